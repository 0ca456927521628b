//! What is on the first screen besides the lights: presets, timers that run out, who sets a light, what somebody says.

use crate::browser::{Browser, in_both_browsers};
use crate::common::{TestServer, until};
use crate::steps::{expect, expect_level, expect_text, undo};
use reqwest::Method;
use serde_json::json;

async fn presets_are_recalled_and_timers_cancelled_on_the_first_screen(browser: Browser) {
    let dimmer = TestServer::start();
    let phone = browser.phone(&dimmer).await;
    let mut client = dimmer.client().await;
    let shown = "[...document.querySelectorAll('#bar li')].filter((item) => item.checkVisibility())
        .map((item) => item.textContent.replace(/[0-9]+ min/, 'some min'))";
    let shows = async |items: &[&str]| {
        let items = json!(json!(items).to_string());
        let same = format!("JSON.stringify({shown}) === {items}");
        expect("the bar shows this", &same, &phone).await;
    };
    assert_eq!(
        phone.eval("document.querySelector('#bar').hidden").await,
        true
    );
    client.send(json!({"save": "Evening"})).await;
    shows(&["Evening"]).await;
    client.change("led", json!({"level": 10})).await;
    expect_level(10.0, "led", &dimmer, &[&phone]).await;
    phone.tap(".recall button").await;
    expect_level(50.0, "led", &dimmer, &[&phone]).await;

    client
        .send(json!({"timer": {"in": 840, "on": false, "transition": 60, "name": "sleep"}}))
        .await;
    client
        .send(json!({"timer": {"at": "07:00", "on": true, "name": "comes"}}))
        .await;
    shows(&["Off · some min×", "Evening"]).await;
    expect_text(".run", "Off · 15 min", &phone).await;
    phone.is_accessible("a timer and a preset").await;
    phone.screenshot("phone-bar").await;
    phone.tap(".running .stop").await;
    shows(&["Evening"]).await;
    expect_text("#toast span", "Removed: Off", &phone).await;
    undo(&phone).await;
    shows(&["Off · some min×", "Evening"]).await;
    let (_, timers) = dimmer.request(Method::GET, "/api/timers", "").await;
    let again = timers.as_array().unwrap().iter();
    let again = again.filter(|timer| timer["name"] == "sleep" && timer["transition"] == 60.0);
    assert_eq!(again.count(), 1, "{timers}");

    // As many as fit into one row; the long one would not.
    for name in ["Film for the whole family on a Sunday", "Gym", "Noon"] {
        client.send(json!({ "save": name })).await;
    }
    shows(&["Off · some min×", "Evening", "Gym"]).await;
    for name in [
        "Evening",
        "Film for the whole family on a Sunday",
        "Gym",
        "Noon",
    ] {
        client.send(json!({ "forget": name })).await;
    }
    client.send(json!({"cancel": "sleep"})).await;
    expect(
        "the bar is gone",
        "document.querySelector('#bar').hidden",
        &phone,
    )
    .await;
    browser.close().await;
}

async fn it_is_shown_for_a_moment_who_sets_a_light_and_what_somebody_says(browser: Browser) {
    let dimmer = TestServer::start();
    let mut client = dimmer.client().await;
    client.send(json!({"name": "Ana"})).await;
    client.send(json!({"say": "an old story"})).await;
    client.change("led", json!({"level": 20})).await;
    client.settled().await;
    let phone = browser.phone(&dimmer).await;
    expect_level(20.0, "led", &dimmer, &[&phone]).await;
    // What was before this page is no news.
    expect_text("[data-light=led] .doing", "", &phone).await;
    client.change("led", json!({"level": 40})).await;
    expect_text(
        "[data-light=led] .doing",
        "\u{2068}Ana\u{2069}: 40 %",
        &phone,
    )
    .await;
    client.change("led", json!({"effect": "candle"})).await;
    expect_text(
        "[data-light=led] .doing",
        "\u{2068}Ana\u{2069}: Candle",
        &phone,
    )
    .await;
    phone.is_accessible("somebody else has set the light").await;
    expect_text("[data-light=led] .doing", "Candle", &phone).await;

    // Until then it may be of the time before.
    until("the page is some seconds old", async || {
        phone.eval("performance.now() > 4000").await == true
    })
    .await;
    assert_eq!(
        phone
            .eval("document.querySelector('#toast').textContent")
            .await,
        ""
    );
    client.send(json!({"say": "<b>dinner</b> is ready"})).await;
    expect_text("#toast", "Ana: <b>dinner</b> is ready", &phone).await;
    phone.is_accessible("somebody says something").await;
    expect_text("#toast", "", &phone).await;
    browser.close().await;
}

in_both_browsers! {
    presets_are_recalled_and_timers_cancelled_on_the_first_screen,
    it_is_shown_for_a_moment_who_sets_a_light_and_what_somebody_says,
}
