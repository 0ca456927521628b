//! The settings in the sheet: what they change, the ends of a range that are found by eye, and what undoes that.

use crate::browser::{Browser, Window, in_both_browsers};
use crate::common::{Setup, TestServer, linear, until};
use crate::steps::{CLOSE, CLOSED, TWO, enter, expect, expect_text, make_tall, open_sheet, tap};
use reqwest::Method;
use serde_json::{Value, json};

const OPENER: &str = ".settings > .chip";
const DARK: &str = ".of-light .end:nth-child(3)";

async fn open_settings(phone: &Window) {
    open_sheet(phone).await;
    make_tall(phone).await;
    tap(OPENER, phone).await;
    let filled = "document.querySelector('.whose select')?.options.length > 0";
    expect("the settings are there", filled, phone).await;
}

async fn setting(dimmer: &TestServer, light: &str, name: &str) -> Value {
    let settings = dimmer.request(Method::GET, "/api/settings", "").await.1;
    settings["lights"][light][name].clone()
}

async fn expect_setting(dimmer: &TestServer, name: &str, value: Value) {
    until(&format!("{name} is {value}"), async || {
        setting(dimmer, "led", name).await["value"] == value
    })
    .await;
}

async fn pin_has(dimmer: &TestServer, duty: f64) {
    until(&format!("the pin has {duty} percent"), async || {
        dimmer.duty("led") == Some(linear(duty))
    })
    .await;
}

/// Puts the slider of the dark end at one of its thousand steps, as a drag does.
async fn drag_to(step: u32, phone: &Window) {
    let slider = format!("document.querySelector('{DARK} input')");
    let drag = format!("({slider}.value = {step}, {slider}.dispatchEvent(new Event('input')))");
    phone.eval(&drag).await;
}

async fn a_light_is_set_up_on_one_page_and_every_page_shows_it(browser: Browser) {
    let dimmer = Setup::with(TWO).start();
    let (phone, other) = (browser.phone(&dimmer).await, browser.phone(&dimmer).await);
    open_settings(&phone).await;
    phone.is_accessible("settings").await;
    phone.screenshot("phone-sheet-settings").await;
    enter(".of-light input[type=text]", "Window sill", &phone).await;
    expect_text("[data-light=led] .name", "Window sill", &other).await;
    enter(
        ".of-light .setting:nth-child(2) select",
        "perceptual",
        &phone,
    )
    .await;
    expect_setting(&dimmer, "curve", json!("perceptual")).await;
    enter(".of-light [type=number]", "1.5", &phone).await;
    expect_setting(&dimmer, "transition", json!(1.5)).await;
    enter(".of-light .setting:nth-child(6) select", "off", &phone).await;
    expect_setting(&dimmer, "on_start", json!("off")).await;
    enter(".of-light [type=color]", "#ffa757", &phone).await;
    expect_setting(&dimmer, "warmth", json!("#ffa757")).await;

    let groups = ".of-light .setting:last-child input";
    enter(groups, "upstairs, windows,", &phone).await;
    expect_setting(&dimmer, "groups", json!(["upstairs", "windows"])).await;

    tap(".of-light [type=checkbox]", &phone).await;
    expect_setting(&dimmer, "hidden", json!(true)).await;
    let gone = "!document.querySelector('[data-light=led]')";
    for window in [&phone, &other] {
        expect("it is hidden", gone, window).await;
    }
    // One light needs no choice, and without that the sheet stays where it was scrolled to.
    let is_one = "document.querySelector('.which').hidden";
    expect("there is no choice", is_one, &phone).await;
    let scrolled = phone.eval("document.querySelector('.all').scrollTop").await;
    assert!(scrolled.as_f64() > Some(100.0), "{scrolled}");
    // It is still in the settings, and comes back with its level.
    tap(".of-light [type=checkbox]", &phone).await;
    for window in [&phone, &other] {
        until("it is back", async || window.level("led").await == 50.0).await;
    }

    enter(".of-house input[type=text]", "Attic", &phone).await;
    expect(
        "the page has its name",
        "document.title.includes('Attic')",
        &other,
    )
    .await;
    let reset = ".of-light .setting:nth-child(1) .remove";
    let can = format!("!document.querySelector('{reset}').hidden");
    expect("it can be taken back", &can, &phone).await;
    tap(reset, &phone).await;
    expect_setting(&dimmer, "title", json!(null)).await;
    expect_text("[data-light=led] .name", "led", &other).await;
    browser.close().await;
}

async fn what_is_set_here_is_not_undone_by_an_answer_from_before(browser: Browser) {
    let dimmer = Setup::with(TWO).start();
    let phone = browser.phone(&dimmer).await;
    open_settings(&phone).await;
    let hold = "(async (...asked) => {
        const answer = await fetched(...asked);
        if (asked[0] === 'api/settings') await new Promise((resolve) => held.push(resolve));
        return answer;
    })";
    let hold = format!("(window.held = [], window.fetched = fetch, window.fetch = {hold}, true)");
    phone.eval(&hold).await;
    let titled = r#"{"lights": {"led": {"title": "Sill"}}}"#;
    dimmer.request(Method::PUT, "/api/settings", titled).await;
    expect("an answer is held", "held.length === 1", &phone).await;

    tap(".of-light [type=checkbox]", &phone).await;
    expect_setting(&dimmer, "hidden", json!(true)).await;
    expect("the next is held, too", "held.length === 2", &phone).await;
    phone.eval("(held[0](), true)").await;
    let title = "document.querySelector('.of-light [type=text]').value";
    assert_eq!(phone.eval(title).await, "");
    let checked = "document.querySelector('.of-light [type=checkbox]').checked";
    assert_eq!(phone.eval(checked).await, true);
    phone.eval("(held[1](), true)").await;
    expect("it is shown", &format!("{title} === 'Sill'"), &phone).await;
    tap(".of-light [type=checkbox]", &phone).await;
    expect_setting(&dimmer, "hidden", json!(false)).await;
    browser.close().await;
}

async fn the_dark_end_is_found_by_eye_and_undone_unless_it_is_saved(browser: Browser) {
    let dimmer = TestServer::start();
    let phone = browser.phone(&dimmer).await;
    pin_has(&dimmer, 50.0).await;
    open_settings(&phone).await;
    for (step, duty) in [(400, 6.4), (300, 2.7), (200, 0.8)] {
        drag_to(step, &phone).await;
        pin_has(&dimmer, duty).await;
        expect_text(&format!("{DARK} output"), &format!("{duty} %"), &phone).await;
    }
    let cancel = format!("{DARK} .chips .chip:last-child");
    tap(&cancel, &phone).await;
    pin_has(&dimmer, 50.0).await;
    expect_text(&format!("{DARK} output"), "0 %", &phone).await;

    drag_to(300, &phone).await;
    pin_has(&dimmer, 2.7).await;
    tap(&format!("{DARK} .save-end"), &phone).await;
    pin_has(&dimmer, 2.7 + 97.3 * 0.5).await;
    expect_setting(&dimmer, "min_duty", json!(2.7)).await;

    // Closed in the middle of it.
    drag_to(200, &phone).await;
    pin_has(&dimmer, 0.8).await;
    phone.tap(CLOSE).await;
    expect("it is closed", CLOSED, &phone).await;
    pin_has(&dimmer, 51.35).await;

    // Somebody else switches the light off, and the page leaves it alone.
    open_sheet(&phone).await;
    drag_to(200, &phone).await;
    pin_has(&dimmer, 0.8).await;
    dimmer
        .request(Method::PUT, "/api/lights/led", r#"{"on": false}"#)
        .await;
    pin_has(&dimmer, 0.0).await;
    let over = format!("document.querySelector('{DARK} .chips').hidden");
    expect("what was tried is over", &over, &phone).await;

    // The page goes away.
    drag_to(200, &phone).await;
    pin_has(&dimmer, 0.8).await;
    phone.go("about:blank").await;
    pin_has(&dimmer, 0.0).await;
    browser.close().await;
}

async fn what_is_locked_is_shown_and_an_error_is_said(browser: Browser) {
    let dimmer = Setup::with("settings = \"file\"").start();
    let phone = browser.phone(&dimmer).await;
    open_settings(&phone).await;
    let locked =
        "document.querySelector('.set').disabled && !document.querySelector('.locked').hidden";
    expect("they are locked", locked, &phone).await;
    phone.is_accessible("locked settings").await;
    let (_, setup) = dimmer.stop();
    let dimmer = setup.with_settings("").start();
    let phone = browser.phone(&dimmer).await;
    open_settings(&phone).await;
    enter(".of-light [type=text]", "x\u{200b}", &phone).await;
    let said =
        "document.querySelector('.said').textContent.includes('title must not have invisible')";
    expect("the error is shown", said, &phone).await;
    browser.close_despite(&[crate::steps::CONNECTIONS]).await;
}

in_both_browsers! {
    a_light_is_set_up_on_one_page_and_every_page_shows_it,
    what_is_set_here_is_not_undone_by_an_answer_from_before,
    the_dark_end_is_found_by_eye_and_undone_unless_it_is_saved,
    what_is_locked_is_shown_and_an_error_is_said,
}
