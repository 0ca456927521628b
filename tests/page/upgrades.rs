//! An open page after an upgrade of the service.
//!
//! The next version is the same service behind a proxy that names another folder in the page.

use crate::browser::{Browser, Window, in_both_browsers};
use crate::common::{TestServer, until};
use crate::proxy::Proxy;
use crate::steps::CONNECTIONS;

const NEXT: &str = "assets/ffffffffffffffff/";

/// The page behind a proxy, and the folder of its files.
async fn open(browser: &Browser, dimmer: &TestServer) -> (Proxy, Window, String) {
    let proxy = Proxy::start(dimmer, str::to_owned);
    let phone = browser.phone_in("en-US", proxy.port).await;
    phone.eval("window.notReloaded = true").await;
    let folder = dimmer.asset("");
    (proxy, phone, folder.trim_start_matches('/').into())
}

async fn is_reloaded(phone: &Window) -> bool {
    phone
        .eval("!window.notReloaded && document.documentElement.dataset.connection === 'live'")
        .await
        == true
}

async fn runs_next(phone: &Window) -> bool {
    let script = "document.querySelector('script').src";
    phone.eval(script).await.as_str().unwrap().contains(NEXT)
}

async fn a_page_that_nobody_touches_loads_itself_anew_after_an_upgrade(browser: Browser) {
    let dimmer = TestServer::start();
    let (proxy, phone, folder) = open(&browser, &dimmer).await;
    proxy.replace(&folder, NEXT);
    until("the page is new", async || is_reloaded(&phone).await).await;
    assert!(runs_next(&phone).await);
    // All of it: no old part is asked for.
    let parts = "performance.getEntriesByType('resource').map(({ name }) => name).filter((name) => name.includes('assets'))";
    let parts = phone.eval(parts).await;
    let parts = parts.as_array().unwrap();
    assert!(parts.len() > 5, "{parts:?}");
    assert!(
        parts
            .iter()
            .all(|part| part.as_str().unwrap().contains(NEXT)),
        "{parts:?}"
    );
    browser.close_despite(&[CONNECTIONS]).await;
}

async fn a_page_that_is_touched_waits_until_it_is_left_alone(browser: Browser) {
    let dimmer = TestServer::start();
    let (proxy, phone, folder) = open(&browser, &dimmer).await;
    phone.press("[data-light=led] .track").await;
    proxy.requests("GET / ");
    proxy.replace(&folder, NEXT);
    // It asks again and again, and keeps the page under the finger.
    let mut asked = 0;
    until("the page has asked three times", async || {
        asked += proxy.requests("GET / ");
        asked >= 3
    })
    .await;
    assert_eq!(phone.eval("window.notReloaded").await, true);
    phone.release().await;
    until("the page is new", async || is_reloaded(&phone).await).await;
    browser.close_despite(&[CONNECTIONS]).await;
}

async fn a_restart_of_the_same_version_reloads_nothing(browser: Browser) {
    let dimmer = TestServer::start();
    let (proxy, phone, folder) = open(&browser, &dimmer).await;
    proxy.requests("GET / ");
    proxy.replace(&folder, &folder);
    let mut asked = 0;
    until("the page has asked", async || {
        asked += proxy.requests("GET / ");
        asked >= 1
    })
    .await;
    phone.is_live().await;
    assert_eq!(phone.eval("window.notReloaded").await, true);
    browser.close_despite(&[CONNECTIONS]).await;
}

in_both_browsers! {
    a_page_that_nobody_touches_loads_itself_anew_after_an_upgrade,
    a_page_that_is_touched_waits_until_it_is_left_alone,
    a_restart_of_the_same_version_reloads_nothing,
}
