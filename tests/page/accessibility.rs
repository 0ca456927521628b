//! Accessibility: axe-core finds nothing wrong with the page, in any of its states and colours.

use std::fs;

use crate::browser::{Browser, ENTER, Window, in_both_browsers};
use crate::common::{Setup, TestServer, until};
use crate::steps::{SUNRISE, TWO, chip, expect, expect_text, open_sheet, tap};
use reqwest::Method;

const LAMP: &str = "[data-light=led] .lamp";
const MORE: &str = "[data-light=led] .more";
const TWO_LIGHTS: &str = "[[light]]\n[[light]]\nname = \"shelf\"\ngpio = 20\n";

async fn the_page_is_accessible_in_light_colours(browser: Browser) {
    in_every_state(&browser, false).await;
    browser.close().await;
}

async fn the_page_is_accessible_in_dark_colours(browser: Browser) {
    let browser = browser.by_night();
    in_every_state(&browser, true).await;
    browser.close().await;
}

async fn in_every_state(browser: &Browser, dark: bool) {
    let window = browser.phone_at("en-US", "about:blank").await;
    let is_dark = "matchMedia('(prefers-color-scheme: dark)').matches";
    assert_eq!(window.eval(is_dark).await, dark);
    one_light(browser).await;
    two_lights(browser).await;
    many_lights(browser).await;
    the_sheet(browser).await;
    portuguese(browser).await;
    login(browser).await;
}

/// Live, off, in fault, offline.
async fn one_light(browser: &Browser) {
    let dimmer = TestServer::start();
    let phone = browser.phone(&dimmer).await;
    phone.is_accessible("live").await;
    phone.tap(LAMP).await;
    until("the light is off", async || phone.level("led").await == 0.0).await;
    phone.is_accessible("off").await;

    let trace = dimmer.setup().trace_folder();
    fs::rename(&trace, dimmer.setup().path().join("away")).unwrap();
    phone.tap(MORE).await;
    until("the fault is shown", async || {
        phone.status().await.contains("does not answer")
    })
    .await;
    phone.is_accessible("fault").await;

    dimmer.stop();
    until("the page is offline", async || {
        phone.connection().await == "reconnecting"
    })
    .await;
    phone.is_accessible("offline").await;
    leave(&phone).await;
}

async fn two_lights(browser: &Browser) {
    let dimmer = Setup::with(TWO_LIGHTS).start();
    let phone = browser.phone(&dimmer).await;
    phone.is_accessible("two lights").await;
    let desktop = browser.desktop(&dimmer).await;
    desktop.is_accessible("two lights on a desktop").await;
    leave(&phone).await;
    leave(&desktop).await;
}

/// As tiles, and one of these open.
async fn many_lights(browser: &Browser) {
    let light = |n: u8| {
        format!(
            "[[light]]\nname = \"light-{n}\"\ngpio = {}\non_start = {}\n",
            n + 2,
            n * 20
        )
    };
    let dimmer = Setup::with(&(0..6).map(light).collect::<String>()).start();
    let phone = browser.phone(&dimmer).await;
    phone.is_accessible("many lights").await;
    phone
        .eval("document.querySelector('[data-light=light-3] input').focus()")
        .await;
    phone.key(ENTER).await;
    expect(
        "the lamp is open",
        "!document.querySelector('#back').hidden",
        &phone,
    )
    .await;
    phone.is_accessible("one of many lights").await;
    leave(&phone).await;
}

/// The sheet with all that it can have, unfolded, and the status below it.
async fn the_sheet(browser: &Browser) {
    let dimmer = Setup::with(TWO).start();
    for (path, body) in [
        ("/api/presets/Film", ""),
        ("/api/lights/led", r#"{"effect": "breathe", "speed": 2}"#),
        ("/api/lights/desk", r#"{"level": 90, "transition": 60}"#),
    ] {
        dimmer.request(Method::PUT, path, body).await;
    }
    let body = r#"{"at": "07:00", "days": ["mon"], "effect": "sunrise"}"#;
    dimmer.request(Method::POST, "/api/timers", body).await;
    let phone = browser.phone(&dimmer).await;
    expect_text("[data-light=led] .doing", "Breathe · 2×", &phone).await;
    phone.is_accessible("an effect and a transition").await;
    open_sheet(&phone).await;
    phone.is_accessible("the sheet").await;
    tap(&chip(SUNRISE), &phone).await;
    tap(".waker", &phone).await;
    tap(".days [value=mon]", &phone).await;
    tap(".forget", &phone).await;
    phone.is_accessible("the sheet, unfolded").await;
    leave(&phone).await;
}

async fn portuguese(browser: &Browser) {
    let dimmer = TestServer::start();
    let phone = browser.phone_in("pt-BR", dimmer.address.port()).await;
    phone.is_accessible("Portuguese").await;
    leave(&phone).await;
}

async fn login(browser: &Browser) {
    let dimmer = Setup::new().with_password("correct horse").start();
    let url = browser.url(dimmer.address.port());
    let phone = browser.phone_at("en-US", &url).await;
    phone.is_accessible("login").await;
    phone
        .eval("document.querySelector('form[action=login]').submit()")
        .await;
    until("the password is refused", async || {
        let text = phone.eval("document.querySelector('#said')?.innerText");
        text.await == "That is not the password."
    })
    .await;
    phone.is_accessible("wrong password").await;
    leave(&phone).await;
}

/// Before its service ends, as a window that is not needed any more would go on reconnecting.
async fn leave(window: &Window) {
    window.go("about:blank").await;
    // Complaints that the service was gone, or refused the password.
    window.complaints().await;
}

in_both_browsers! {
    the_page_is_accessible_in_light_colours,
    the_page_is_accessible_in_dark_colours,
}
