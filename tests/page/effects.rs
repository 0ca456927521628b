//! Effects, presets and long transitions: set in the sheet, and shown by the page while the sheet is closed.

use crate::browser::{Browser, Window, in_both_browsers};
use crate::common::{Setup, TestServer, until};
use crate::steps::{
    BREATHE, CLOSE, FORGET, NONE, SUNRISE, TWO, chip, enter, expect, expect_effect, expect_pressed,
    expect_text, light, open_part, open_sheet, tap, undo,
};
use reqwest::Method;
use serde_json::{Value, json};

async fn each_effect_is_a_button_that_shows_the_state_of_the_service(browser: Browser) {
    let dimmer = TestServer::start();
    let phone = browser.phone(&dimmer).await;
    let other = browser.phone(&dimmer).await;
    open_sheet(&phone).await;
    open_sheet(&other).await;
    expect_pressed(&chip(NONE), &phone).await;
    for (number, effect, word) in [
        (2, "breathe", "Breathe"),
        (3, "blink", "Blink"),
        (4, "candle", "Candle"),
        (5, "strobe", "Strobe"),
    ] {
        tap(&chip(number), &phone).await;
        expect_effect(json!(effect), json!(1), "led", &dimmer).await;
        for window in [&phone, &other] {
            expect_pressed(&chip(number), window).await;
            expect_text(".doing", word, window).await;
        }
        let others = "document.querySelectorAll('.effects [aria-pressed=true]').length";
        assert_eq!(phone.eval(others).await, 1);
    }
    let text = phone
        .attribute("[data-light=led] input", "aria-valuetext")
        .await;
    assert_eq!(text.unwrap(), "50 percent, strobe");
    tap(&chip(BREATHE), &phone).await;
    expect_effect(json!("breathe"), json!(1), "led", &dimmer).await;
    // A speed is for the effect that the page shows.
    expect_pressed(&chip(BREATHE), &phone).await;

    let most = phone.attribute(".effects [type=range]", "max").await;
    assert_eq!(most.unwrap(), "3");
    enter(".effects [type=range]", "2.5", &phone).await;
    expect_effect(json!("breathe"), json!(2.5), "led", &dimmer).await;
    for window in [&phone, &other] {
        expect_text(".doing", "Breathe · 2.5×", window).await;
        expect_text(".effects output", "2.5×", window).await;
    }
    // The next effect has it too.
    tap(&chip(4), &phone).await;
    expect_effect(json!("candle"), json!(2.5), "led", &dimmer).await;
    expect_pressed(&chip(4), &phone).await;

    // An effect that another client set arrives here; and a level set here ends it.
    let body = r#"{"effect": "blink"}"#;
    dimmer.request(Method::PUT, "/api/lights/led", body).await;
    expect_pressed(&chip(3), &phone).await;
    tap(CLOSE, &phone).await;
    phone.press("[data-light=led] .track").await;
    phone.slide(10.0).await;
    phone.release().await;
    expect_effect(Value::Null, Value::Null, "led", &dimmer).await;
    expect_text(".doing", "", &phone).await;
    expect_text(".doing", "", &other).await;
    expect_pressed(&chip(NONE), &other).await;
    browser.close().await;
}

async fn a_sunrise_asks_for_its_minutes_and_the_time_left_counts_down(browser: Browser) {
    let dimmer = TestServer::start();
    let phone = browser.phone(&dimmer).await;
    open_sheet(&phone).await;
    let expanded = async || phone.attribute(&chip(SUNRISE), "aria-expanded").await;
    assert_eq!(expanded().await.unwrap(), "false");
    tap(&chip(SUNRISE), &phone).await;
    assert_eq!(expanded().await.unwrap(), "true");
    assert_eq!(light("led", &dimmer).await["effect"], Value::Null);
    enter(".sunrise input", "2", &phone).await;
    tap(".sunrise button", &phone).await;
    expect_effect(json!("sunrise"), json!(1), "led", &dimmer).await;
    let left = light("led", &dimmer).await["left"].as_f64().unwrap();
    assert!(left > 100.0 && left <= 120.0, "{left} s");
    expect_pressed(&chip(SUNRISE), &phone).await;
    assert_eq!(expanded().await.unwrap(), "false");
    expect(
        "the time left counts down",
        "/^Sunrise · 1:5\\d left$/.test(document.querySelector('.doing').textContent)",
        &phone,
    )
    .await;

    // None ends it, and nothing is left to count.
    tap(&chip(NONE), &phone).await;
    expect_effect(Value::Null, Value::Null, "led", &dimmer).await;
    expect_text(".doing", "", &phone).await;
    browser.close().await;
}

async fn the_time_left_counts_down_with_one_timer_and_then_none(browser: Browser) {
    let dimmer = TestServer::start();
    let phone = browser.phone(&dimmer).await;
    let doing = "document.querySelector('.doing').textContent";
    // Long enough to have it counted, if it has to be loaded first.
    let body = r#"{"level": 90, "transition": 60}"#;
    dimmer.request(Method::PUT, "/api/lights/led", body).await;
    expect(
        "the time left is shown",
        &format!("/^(5\\d s|1:00) left$/.test({doing})"),
        &phone,
    )
    .await;
    phone.screenshot("phone-transition").await;

    watch_timers(&phone).await;
    let body = r#"{"level": 10, "transition": 3}"#;
    dimmer.request(Method::PUT, "/api/lights/led", body).await;
    for left in ["2 s left", "1 s left", ""] {
        expect_text(".doing", left, &phone).await;
    }
    let short = "window.timers.filter((ms) => ms <= 1001).length";
    let ticks = phone.eval(short).await.as_u64().unwrap();
    assert!((3..=4).contains(&ticks), "{ticks} timers for 3 s");
    assert_eq!(
        phone
            .eval("timers.every((ms) => ms <= 1001 || ms === 15000)")
            .await,
        true
    );

    // A transition of 2 s or less is not announced.
    let body = r#"{"level": 30, "transition": 2}"#;
    dimmer.request(Method::PUT, "/api/lights/led", body).await;
    until("the page has it", async || phone.level("led").await == 30.0).await;
    assert_eq!(phone.eval(doing).await, "");
    assert_eq!(phone.eval(short).await, ticks);
    browser.close().await;
}

/// From now on keeps the milliseconds of every timer that the page sets, and every frame it requests.
async fn watch_timers(window: &Window) {
    let watch = "(() => {
        window.timers = [];
        window.frames = 0;
        const { setTimeout, requestAnimationFrame } = window;
        // Those of 30 s are WebKit's driver's, for the scripts of this test.
        window.setTimeout = (task, ms) => (ms !== 30000 && window.timers.push(ms), setTimeout(task, ms));
        window.setInterval = () => window.timers.push('interval');
        window.requestAnimationFrame = (task) => (window.frames++, requestAnimationFrame(task));
    })()";
    window.eval(watch).await;
}

async fn a_closed_sheet_costs_no_timer(browser: Browser) {
    let dimmer = TestServer::start();
    let phone = browser.phone(&dimmer).await;
    open_sheet(&phone).await;
    tap(CLOSE, &phone).await;
    watch_timers(&phone).await;
    let mut client = dimmer.client().await;
    for change in [
        json!({"effect": "breathe"}),
        json!({"save": "Evening"}),
        json!({"effect": "candle", "speed": 2}),
    ] {
        client.send(change).await;
    }
    expect_text(".doing", "Candle · 2×", &phone).await;
    // Only the timer that checks after a silence whether the socket still works.
    assert_eq!(phone.eval("timers.every((ms) => ms === 15000)").await, true);
    assert_eq!(phone.eval("frames").await, 0);
    let chips = "document.querySelectorAll('.presets .chip').length";
    assert_eq!(phone.eval(chips).await, 0);
    open_sheet(&phone).await;
    expect_text(".presets .chip", "Evening", &phone).await;
    browser.close().await;
}

async fn presets_are_saved_recalled_and_forgotten_on_every_page(browser: Browser) {
    let dimmer = TestServer::start();
    let phone = browser.phone(&dimmer).await;
    let other = browser.phone(&dimmer).await;
    open_part("presets", &phone).await;
    open_part("presets", &other).await;
    enter(".save input", "Evening", &phone).await;
    tap(".save button", &phone).await;
    for window in [&phone, &other] {
        expect_text(".presets .chip", "Evening", window).await;
    }
    let (_, presets) = dimmer.request(Method::GET, "/api/presets", "").await;
    assert_eq!(presets[0]["name"], "Evening");
    assert_eq!(presets[0]["lights"]["led"]["level"], 50);
    assert_eq!(
        phone
            .eval("document.querySelector('.save input').value")
            .await,
        ""
    );

    let body = r#"{"level": 10}"#;
    dimmer.request(Method::PUT, "/api/lights/led", body).await;
    until("the phone shows it", async || {
        phone.level("led").await == 10.0
    })
    .await;
    tap(".presets .chip", &other).await;
    for window in [&phone, &other] {
        until("the preset is shown", async || {
            window.level("led").await == 50.0
        })
        .await;
    }

    let forgotten = "!document.querySelector('.presets .chip')";
    tap(FORGET, &phone).await;
    for window in [&phone, &other] {
        expect("it is forgotten", forgotten, window).await;
    }
    // As it was, and not as the lights are now.
    dimmer.request(Method::PUT, "/api/lights/led", body).await;
    expect_text("#toast span", "Removed: Evening", &phone).await;
    // It stays under the focus.
    phone
        .eval("document.querySelector('#toast .undo').focus()")
        .await;
    phone.screenshot("phone-undo").await;
    undo(&phone).await;
    for window in [&phone, &other] {
        expect_text(".presets .chip", "Evening", window).await;
    }
    let (_, presets) = dimmer.request(Method::GET, "/api/presets", "").await;
    assert_eq!(presets[0]["lights"]["led"]["level"], 50);
    tap(FORGET, &phone).await;
    for window in [&phone, &other] {
        expect("it is forgotten", forgotten, window).await;
    }
    let (_, presets) = dimmer.request(Method::GET, "/api/presets", "").await;
    assert_eq!(presets, json!([]));
    browser.close().await;
}

async fn an_effect_is_for_the_chosen_light_or_for_all(browser: Browser) {
    let dimmer = Setup::with(TWO).start();
    let phone = browser.phone(&dimmer).await;
    open_sheet(&phone).await;
    let options = "[...document.querySelectorAll('.which option')].map((option) => option.text)";
    let titles = json!(["All lights", "led", "Desk lamp"]);
    assert_eq!(phone.eval(options).await, titles);
    enter(".which select", "desk", &phone).await;
    tap(&chip(BREATHE), &phone).await;
    expect_effect(json!("breathe"), json!(1), "desk", &dimmer).await;
    expect_effect(Value::Null, Value::Null, "led", &dimmer).await;
    expect_pressed(&chip(BREATHE), &phone).await;
    enter(".which select", "led", &phone).await;
    expect_pressed(&chip(NONE), &phone).await;
    enter(".which select", "", &phone).await;
    let none_pressed = "!document.querySelector('.effects [aria-pressed=true]')";
    expect("the two differ", none_pressed, &phone).await;
    tap(&chip(BREATHE), &phone).await;
    expect_effect(json!("breathe"), json!(1), "led", &dimmer).await;
    expect_pressed(&chip(BREATHE), &phone).await;
    browser.close().await;
}

in_both_browsers! {
    each_effect_is_a_button_that_shows_the_state_of_the_service,
    a_sunrise_asks_for_its_minutes_and_the_time_left_counts_down,
    the_time_left_counts_down_with_one_timer_and_then_none,
    a_closed_sheet_costs_no_timer,
    presets_are_saved_recalled_and_forgotten_on_every_page,
    an_effect_is_for_the_chosen_light_or_for_all,
}
