//! Participants, the activity feed and messages, on the page.

use crate::browser::{Browser, Window, in_both_browsers};
use crate::common::TestServer;
use crate::steps::{enter, expect, expect_text, open_sheet, tap};
use serde_json::json;

const WHO: &str = ".activity .chip";
const ME: &str = ".activity .me";
const SAY: &str = ".activity form input";
const SEND: &str = ".activity form button";
const HERE: &str = ".activity .here";

/// Waits until the newest entries are these, the newest first.
async fn expect_entries(entries: &[&str], window: &Window) {
    let count = entries.len();
    let texts = format!(
        "JSON.stringify([...document.querySelectorAll('.activity li span')].slice(0, {count}).map((span) => span.textContent))"
    );
    let entries = json!(json!(entries).to_string());
    expect("they happened", &format!("{texts} === {entries}"), window).await;
}

async fn open_activity(window: &Window) {
    open_sheet(window).await;
    tap(WHO, window).await;
    expect(
        "it is there",
        "document.querySelector('.activity .me') !== null",
        window,
    )
    .await;
}

async fn people_see_the_participants_their_actions_and_their_messages(browser: Browser) {
    let dimmer = TestServer::start();
    let phone = browser.phone(&dimmer).await;
    open_activity(&phone).await;
    expect_text(HERE, "Nobody here has a name yet.", &phone).await;
    enter(ME, "Bia", &phone).await;
    expect_text(HERE, "Here: Bia", &phone).await;

    let mut client = dimmer.client().await;
    client.send(json!({"name": "Ana's phone"})).await;
    client.change("led", json!({"level": 40})).await;
    expect_text(HERE, "Here: Ana's phone, Bia", &phone).await;
    expect_entries(&["Ana's phone set led to 40 %"], &phone).await;
    let name = "document.querySelector('.activity li bdi').textContent";
    let isolated = format!("{name} === \"Ana's phone\"");
    expect("a name turns no words around it", &isolated, &phone).await;

    enter(SAY, "<b>keep it low</b>", &phone).await;
    tap(SEND, &phone).await;
    expect_entries(
        &["Bia “<b>keep it low</b>”", "Ana's phone set led to 40 %"],
        &phone,
    )
    .await;
    phone.is_accessible("activity").await;
    phone.screenshot("phone-activity").await;

    // The name is kept for the next time.
    phone.reload().await;
    expect(
        "it is live",
        "document.documentElement.dataset.connection === 'live'",
        &phone,
    )
    .await;
    open_activity(&phone).await;
    expect_text(HERE, "Here: Ana's phone, Bia", &phone).await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium; scripts/test.sh installs it and runs this"]
async fn a_portuguese_phone_shows_the_activity_in_portuguese() {
    let dimmer = TestServer::start();
    let browser = Browser::chromium();
    let phone = browser.phone_in("pt-BR", dimmer.address.port()).await;
    open_activity(&phone).await;
    let mut client = dimmer.client().await;
    client.send(json!({"name": "Ana"})).await;
    client.change("led", json!({"effect": "candle"})).await;
    expect_text(HERE, "Aqui: Ana", &phone).await;
    expect_entries(&["Ana iniciou Vela em led"], &phone).await;
    browser.close().await;
}

in_both_browsers! { people_see_the_participants_their_actions_and_their_messages }
