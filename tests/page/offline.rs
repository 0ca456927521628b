//! The page as an app on the home screen, which opens without the service, too.

use serde_json::json;

use crate::browser::{Browser, Window};
use crate::common::{TestServer, until};
use crate::steps::CONNECTIONS;

/// Opens the page as an app, and waits until it is kept.
async fn open_app(browser: &Browser, dimmer: &TestServer) -> Window {
    let window = browser.desktop(dimmer).await;
    window.run_as_app().await;
    window.go(&dimmer.url("/")).await;
    window.is_live().await;
    until("the page is kept", async || {
        let kept = "(async () => [
            (await navigator.serviceWorker.getRegistration())?.active?.state,
            !!await caches.match('/'),
        ])()";
        window.eval(kept).await == json!(["activated", true])
    })
    .await;
    window
}

#[tokio::test]
#[ignore = "needs Chromium; scripts/test.sh installs it and runs this"]
async fn an_app_opens_without_the_service_and_is_live_once_that_is_back() {
    let browser = Browser::chromium();
    let dimmer = TestServer::start();
    let url = dimmer.url("/");
    let window = open_app(&browser, &dimmer).await;
    // What opened it was not yet controlled by the worker.
    window.go(&url).await;
    window.is_live().await;

    let setup = dimmer.kill();
    window.go(&url).await;
    until("the page says that the service is gone", async || {
        let status = window.status().await;
        window.connection().await != "live" && status.contains("does not answer")
    })
    .await;
    let dimmer = setup.start();
    assert_eq!(dimmer.url("/"), url);
    window.is_live().await;
    browser
        .close_despite(&[CONNECTIONS, "ERR_CONNECTION_REFUSED"])
        .await;
}

#[tokio::test]
#[ignore = "needs Chromium; scripts/test.sh installs it and runs this"]
async fn a_page_in_a_tab_keeps_nothing() {
    let browser = Browser::chromium();
    let dimmer = TestServer::start();
    let window = browser.desktop(&dimmer).await;
    let kept = "(async () => [
        (await navigator.serviceWorker.getRegistrations()).length,
        (await caches.keys()).length,
    ])()";
    assert_eq!(window.eval(kept).await, json!([0, 0]));
    browser.close().await;
}
