//! Links that do one thing, after a tap of confirmation.

use crate::browser::{Browser, Window, in_both_browsers};
use crate::common::{Setup, TestServer, until};
use serde_json::json;

const TWO: &str = "[[light]]\n[[light]]\nname = \"shelf\"\ntitle = \"Shelf\"\ngpio = 20\n";

/// What the link says that it asks for; waits until it can be agreed to.
async fn asked(window: &Window) -> String {
    until("the link asks", async || {
        window.eval("!!document.querySelector('.ask')").await == true
    })
    .await;
    let text = window
        .eval("document.querySelector('.ask').innerText")
        .await;
    text.as_str().unwrap().into()
}

async fn agree(window: &Window) {
    until("the tap counts", async || {
        window
            .eval("document.querySelector('.ask .run').disabled")
            .await
            == false
    })
    .await;
    answer(".run", window).await;
}

/// Clicks one of the buttons, and waits until nothing is asked any more. Not by the hand: after a change of the
/// address, WebKit's driver drops the next tap now and then.
async fn answer(button: &str, window: &Window) {
    let click = format!("document.querySelector('.ask {button}').click()");
    window.eval(&click).await;
    until("nothing is asked", async || {
        window.eval("document.querySelector('.ask')").await == json!(null)
    })
    .await;
}

async fn is_at(dimmer: &TestServer, light: &str, level: f64) {
    until("the light is there", async || {
        dimmer.level(light).await == level
    })
    .await;
}

async fn a_link_does_one_thing_after_a_tap_and_not_before(browser: Browser) {
    let dimmer = Setup::with(TWO).start();
    let mut client = dimmer.client().await;
    client.change("led", json!({"level": 10})).await;
    client.send(json!({"save": "Film"})).await;
    client.change("led", json!({"level": 80})).await;
    client.settled().await;
    let url = browser.url(dimmer.address.port());
    let phone = browser
        .phone_at("en-US", &format!("{url}#recall=Film"))
        .await;
    let text = asked(&phone).await;
    assert!(
        text.contains("A link asks for:") && text.contains("Film"),
        "{text}"
    );
    phone.screenshot("phone-link").await;
    assert_eq!(dimmer.level("led").await, 80.0);
    agree(&phone).await;
    is_at(&dimmer, "led", 10.0).await;
    assert_eq!(phone.eval("location.hash").await, "");

    // In an open page, too, as from a shortcut of the home screen.
    phone.eval("location.hash = 'level=30.5&light=shelf'").await;
    assert!(asked(&phone).await.contains("Shelf: 30.5 %"));
    agree(&phone).await;
    is_at(&dimmer, "shelf", 30.5).await;
    until("the page shows it", async || {
        phone.level("shelf").await == 30.5
    })
    .await;
    phone.eval("location.hash = 'off'").await;
    assert!(asked(&phone).await.contains("All lights: Off"));
    answer(".cancel", &phone).await;
    phone.eval("location.hash = 'off'").await;
    asked(&phone).await;
    agree(&phone).await;
    is_at(&dimmer, "led", 0.0).await;
    is_at(&dimmer, "shelf", 0.0).await;
    browser.close().await;
}

async fn a_link_to_what_is_not_here_has_nothing_to_agree_to(browser: Browser) {
    let dimmer = TestServer::start();
    let phone = browser.phone(&dimmer).await;
    for link in [
        "recall=Film",
        "level=101",
        "level=",
        "level=NaN",
        "effect=toString",
        "off&on",
        "off&light=cellar",
        "forget=Film",
        "%",
        "<img src=x onerror=alert(1)>",
    ] {
        phone.eval(&format!("location.hash = {link:?}")).await;
        let text = asked(&phone).await;
        assert!(
            text.contains("something that is not here"),
            "{link}: {text}"
        );
        assert_eq!(
            phone.eval("document.querySelector('.ask .run')").await,
            json!(null)
        );
        answer(".cancel", &phone).await;
    }
    assert_eq!(dimmer.level("led").await, 50.0);
    browser.close().await;
}

in_both_browsers! {
    a_link_does_one_thing_after_a_tap_and_not_before,
    a_link_to_what_is_not_here_has_nothing_to_agree_to,
}
