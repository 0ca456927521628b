//! Dead ends in a real browser: the page says in words why it cannot connect.

use crate::browser::{Browser, Window, in_each_browser};
use crate::common::{Setup, TestServer, until};
use crate::proxy::Proxy;
use crate::steps::CONNECTIONS;
use reqwest::Client;
use serde_json::json;

async fn says(window: &Window, words: &str) {
    until(words, async || window.status().await.contains(words)).await;
}

async fn behind_a_proxy_without_upgrade_the_page_names_what_is_missing(browser: Browser) {
    let dimmer = TestServer::start();
    let proxy = Proxy::start(&dimmer, |head| {
        let lines = head
            .lines()
            .filter(|line| !line.to_lowercase().starts_with("upgrade:"));
        lines.collect::<Vec<_>>().join("\r\n")
    });
    let phone = browser.phone_at("en-US", &browser.url(proxy.port)).await;
    says(
        &phone,
        "the proxy in front must pass on Upgrade and Connection",
    )
    .await;
    until("the log says so", async || {
        dimmer.setup().log().contains("must pass on Upgrade")
    })
    .await;
    phone.screenshot("phone-refused").await;
    browser.close_despite(&[CONNECTIONS]).await;
}

async fn behind_a_proxy_with_its_own_host_the_page_names_the_setting(browser: Browser) {
    let dimmer = TestServer::start();
    let proxy = Proxy::start(&dimmer, |head| {
        let lines = head
            .lines()
            .map(|line| match line.to_lowercase().starts_with("host:") {
                true => "host: 127.0.0.1",
                false => line,
            });
        lines.collect::<Vec<_>>().join("\r\n")
    });
    let phone = browser.phone_at("de-DE", &browser.url(proxy.port)).await;
    says(
        &phone,
        "in den Einstellungen des Dienstes unter allowed_hosts ein",
    )
    .await;
    browser.close_despite(&[CONNECTIONS]).await;
}

async fn beyond_the_limits_the_page_says_which_and_comes_in_when_there_is_room(browser: Browser) {
    let mut services = Vec::new();
    for (setting, words) in [
        (
            "max_pages = 1\n",
            "Too many pages are open. Close one, or raise max_pages in",
        ),
        (
            "max_pages_per_address = 1\n",
            "raise max_pages_per_address in",
        ),
    ] {
        let dimmer = Setup::with(setting).start();
        let client = dimmer.client().await;
        let phone = browser
            .phone_at("en-US", &browser.url(dimmer.address.port()))
            .await;
        says(&phone, words).await;
        drop(client);
        phone.is_live().await;
        services.push(dimmer);
        assert!(!phone.status().await.contains("max_pages"));
    }
    browser.close_despite(&[CONNECTIONS]).await;
}

async fn a_page_of_a_service_that_stops_says_so_and_goes_on_with_the_next(browser: Browser) {
    let dimmer = TestServer::start();
    let phone = browser.phone(&dimmer).await;
    let (_, setup) = dimmer.stop();
    says(&phone, "The service has stopped.").await;
    let dimmer = setup.start();
    phone.is_live().await;
    assert!(!phone.status().await.contains("stopped"));
    let setup = dimmer.kill();
    says(&phone, "The service does not answer.").await;
    let _dimmer = setup.start();
    phone.is_live().await;
    browser.close_despite(&[CONNECTIONS]).await;
}

/// In Chromium alone: only there can scripts be blocked.
#[tokio::test]
#[ignore = "needs Chromium; scripts/test.sh installs it and runs this"]
async fn where_scripts_do_not_run_or_do_not_load_the_page_says_what_it_needs() {
    let dimmer = TestServer::start();
    let url = dimmer.url("/");
    for broken in [
        "main.js",
        "connection.js",
        "words/en.js",
        "lights/slider.js",
    ] {
        let browser = Browser::chromium();
        let phone = browser.phone_at("en-US", "about:blank").await;
        phone.devtools("Network.enable", json!({})).await;
        let urls = json!({"urls": [format!("*/{broken}")]});
        phone.devtools("Network.setBlockedURLs", urls).await;
        phone.go(&url).await;
        says(
            &phone,
            "dimmer needs JavaScript and a browser of 2021 or later.",
        )
        .await;
        browser
            .close_despite(&[broken, "net::ERR_BLOCKED_BY_CLIENT"])
            .await;
    }
    // Without any script, the page is what the service sends.
    let page = Client::new().get(&url).send().await.unwrap();
    let page = page.text().await.unwrap();
    for lang in ["en", "ar", "de", "es", "fr", "it", "ja", "pt"] {
        assert!(
            page.contains(&format!("class=\"dead\" lang=\"{lang}\"")),
            "{lang}"
        );
    }
    // Where all is well, nobody sees it.
    let browser = Browser::chromium();
    let phone = browser.phone(&dimmer).await;
    assert_eq!(
        phone.eval("document.querySelector('.dead')").await,
        json!(null)
    );
    browser.close().await;
}

in_each_browser! {
    behind_a_proxy_without_upgrade_the_page_names_what_is_missing,
    behind_a_proxy_with_its_own_host_the_page_names_the_setting,
    beyond_the_limits_the_page_says_which_and_comes_in_when_there_is_room,
    a_page_of_a_service_that_stops_says_so_and_goes_on_with_the_next,
}
