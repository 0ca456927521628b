//! The sheet of effects, presets and timers, and what the page says of them while it is closed.

#![allow(clippy::unwrap_used)]

#[path = "common/browser.rs"]
mod browser;
mod common;

use std::collections::HashSet;

use browser::{Browser, Window};
use common::{Dimmer, Home, until};
use reqwest::Method;
use serde_json::{Value, json};

const OPENER: &str = "#opener";
const CLOSE: &str = ".sheet .close";
const ENTER: char = '\u{e007}';
const ESCAPE: char = '\u{e00c}';
const SPACE: char = ' ';
const TAB: char = '\u{e004}';
const OPEN: &str = "document.querySelector('.sheet')?.open && !document.getAnimations().length";
const CLOSED: &str = "!document.querySelector('.sheet').open";
const TWO: &str = "[[light]]\n[[light]]\nname = \"desk\"\ntitle = \"Desk lamp\"\ngpio = 20\n";

/// An effect's button.
fn chip(number: u8) -> String {
    format!(".effects .chip:nth-child({number})")
}
const NONE: u8 = 1;
const BREATHE: u8 = 2;
const SUNRISE: u8 = 6;

async fn is(what: &str, expression: &str, window: &Window) {
    until(what, async || window.eval(expression).await == true).await;
}

/// The text of the element, once it is this.
async fn says(selector: &str, text: &str, window: &Window) {
    let same = format!(
        "document.querySelector('{selector}')?.textContent.trim() === {}",
        json!(text)
    );
    is(&format!("{selector} says {text:?}"), &same, window).await;
}

async fn open_sheet(window: &Window) {
    window.tap(OPENER).await;
    is("the sheet is open and still", OPEN, window).await;
}

/// Taps what may have to be scrolled into view first.
async fn tap(selector: &str, window: &Window) {
    let element = format!("document.querySelector('{selector}')");
    window
        .eval(&format!("{element}.scrollIntoView({{block: 'center'}})"))
        .await;
    window.tap(selector).await;
}

/// Puts this into a field, as typing does.
async fn enter(selector: &str, text: &str, window: &Window) {
    let field = format!("document.querySelector('{selector}')");
    let events = "['input', 'change'].forEach((type) => field.dispatchEvent(new Event(type)))";
    window
        .eval(&format!(
            "((field) => (field.value = {}, {events}))({field})",
            json!(text)
        ))
        .await;
}

async fn light(name: &str, dimmer: &Dimmer) -> Value {
    let path = format!("/api/lights/{name}");
    dimmer.ask(Method::GET, &path, "").await.1
}

async fn plays(effect: Value, speed: Value, name: &str, dimmer: &Dimmer) {
    let what = format!("{name} plays {effect} at {speed}");
    until(&what, async || {
        let light = light(name, dimmer).await;
        (&light["effect"], &light["speed"]) == (&effect, &speed)
    })
    .await;
}

async fn pressed(chip: &str, window: &Window) {
    let pressed = format!("document.querySelector('{chip}').ariaPressed === 'true'");
    is(&format!("{chip} is pressed"), &pressed, window).await;
}

#[tokio::test]
async fn the_sheet_is_loaded_when_it_is_first_opened_and_all_together_weighs_little() {
    let dimmer = Home::with(TWO).start();
    let browser = Browser::start();
    let phone = browser.phone(&dimmer).await;
    let page = phone.eval("location.href").await;
    let loaded = "performance.getEntriesByType('resource').map((entry) => entry.name)";
    let sheet = format!("{loaded}.some((name) => name.includes('sheet'))");
    assert_eq!(phone.eval(&sheet).await, false);
    open_sheet(&phone).await;
    assert_eq!(phone.eval(&sheet).await, true);
    // The countdown too, which comes with the first long transition.
    dimmer
        .ask(
            Method::PUT,
            "/api/lights/led",
            r#"{"level": 5, "transition": 60}"#,
        )
        .await;
    let counts = format!("{loaded}.some((name) => name.includes('countdown'))");
    is("the countdown is loaded", &counts, &phone).await;

    let (mut requests, mut all) = (HashSet::new(), 0.0);
    for event in phone.events().await {
        let about = &event["params"];
        match event["method"].as_str().unwrap() {
            // The browser's own start page makes requests too.
            "Network.requestWillBeSent" if about["documentURL"] == page => {
                requests.insert(about["requestId"].to_string());
            }
            "Network.loadingFinished" if requests.contains(&about["requestId"].to_string()) => {
                all += about["encodedDataLength"].as_f64().unwrap();
            }
            _ => {}
        }
    }
    println!("all of the page: {all} bytes");
    assert!(all > 15_000.0 && all <= 30_000.0, "{all} bytes");
    browser.close().await;
}

#[tokio::test]
async fn each_effect_is_a_button_that_shows_what_the_service_says() {
    let dimmer = Dimmer::start();
    let browser = Browser::start();
    let phone = browser.phone(&dimmer).await;
    let other = browser.phone(&dimmer).await;
    open_sheet(&phone).await;
    open_sheet(&other).await;
    pressed(&chip(NONE), &phone).await;
    for (number, effect, word) in [
        (2, "breathe", "Breathe"),
        (3, "blink", "Blink"),
        (4, "candle", "Candle"),
        (5, "strobe", "Strobe"),
    ] {
        tap(&chip(number), &phone).await;
        plays(json!(effect), json!(1), "led", &dimmer).await;
        for window in [&phone, &other] {
            pressed(&chip(number), window).await;
            says(".doing", word, window).await;
        }
        let others = "document.querySelectorAll('.effects [aria-pressed=true]').length";
        assert_eq!(phone.eval(others).await, 1);
    }
    let said = phone
        .attribute("[data-light=led] input", "aria-valuetext")
        .await;
    assert_eq!(said.unwrap(), "50 percent, strobe");
    tap(&chip(BREATHE), &phone).await;
    plays(json!("breathe"), json!(1), "led", &dimmer).await;
    phone.screenshot("phone-sheet").await;

    let most = phone.attribute(".effects [type=range]", "max").await;
    assert_eq!(most.unwrap(), "3");
    enter(".effects [type=range]", "2.5", &phone).await;
    plays(json!("breathe"), json!(2.5), "led", &dimmer).await;
    for window in [&phone, &other] {
        says(".doing", "Breathe · 2.5×", window).await;
        says(".effects output", "2.5×", window).await;
    }

    // What others do comes here too; and a level of our own ends it.
    let body = r#"{"effect": "candle"}"#;
    dimmer.ask(Method::PUT, "/api/lights/led", body).await;
    pressed(&chip(4), &phone).await;
    tap(CLOSE, &phone).await;
    phone.press("[data-light=led] .track").await;
    phone.slide("led", 10.0).await;
    phone.release().await;
    plays(Value::Null, Value::Null, "led", &dimmer).await;
    says(".doing", "", &phone).await;
    says(".doing", "", &other).await;
    pressed(&chip(NONE), &other).await;
    browser.close().await;
}

#[tokio::test]
async fn a_sunrise_asks_for_its_minutes_and_the_time_left_counts_down() {
    let dimmer = Dimmer::start();
    let browser = Browser::start();
    let phone = browser.phone(&dimmer).await;
    open_sheet(&phone).await;
    let expanded = async || phone.attribute(&chip(SUNRISE), "aria-expanded").await;
    assert_eq!(expanded().await.unwrap(), "false");
    tap(&chip(SUNRISE), &phone).await;
    assert_eq!(expanded().await.unwrap(), "true");
    assert_eq!(light("led", &dimmer).await["effect"], Value::Null);
    enter(".sunrise input", "2", &phone).await;
    tap(".sunrise button", &phone).await;
    plays(json!("sunrise"), json!(1), "led", &dimmer).await;
    let left = light("led", &dimmer).await["left"].as_f64().unwrap();
    assert!(left > 100.0 && left <= 120.0, "{left} s");
    pressed(&chip(SUNRISE), &phone).await;
    assert_eq!(expanded().await.unwrap(), "false");
    is(
        "the time left counts down",
        "/^Sunrise · 1:5\\d left$/.test(document.querySelector('.doing').textContent)",
        &phone,
    )
    .await;

    // None ends it, and nothing is left to count.
    tap(&chip(NONE), &phone).await;
    plays(Value::Null, Value::Null, "led", &dimmer).await;
    says(".doing", "", &phone).await;
    browser.close().await;
}

#[tokio::test]
async fn the_time_left_counts_down_with_one_timer_and_then_none() {
    let dimmer = Dimmer::start();
    let browser = Browser::start();
    let phone = browser.phone(&dimmer).await;
    let doing = "document.querySelector('.doing').textContent";
    // Long enough to have it counted, if it has to be loaded first.
    let body = r#"{"level": 90, "transition": 60}"#;
    dimmer.ask(Method::PUT, "/api/lights/led", body).await;
    is(
        "the time left is shown",
        &format!("/^(5\\d s|1:00) left$/.test({doing})"),
        &phone,
    )
    .await;
    phone.screenshot("phone-transition").await;

    watch_timers(&phone).await;
    let body = r#"{"level": 10, "transition": 3}"#;
    dimmer.ask(Method::PUT, "/api/lights/led", body).await;
    for left in ["2 s left", "1 s left", ""] {
        says(".doing", left, &phone).await;
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

    // One of 2 s or less is no news.
    let body = r#"{"level": 30, "transition": 2}"#;
    dimmer.ask(Method::PUT, "/api/lights/led", body).await;
    until("the page has it", async || phone.level("led").await == 30.0).await;
    assert_eq!(phone.eval(doing).await, "");
    assert_eq!(phone.eval(short).await, ticks);
    browser.close().await;
}

/// From now on keeps the milliseconds of every timer that the page sets, and every frame it asks for.
async fn watch_timers(window: &Window) {
    let watch = "(() => {
        window.timers = [];
        window.frames = 0;
        const { setTimeout, requestAnimationFrame } = window;
        window.setTimeout = (task, ms) => (window.timers.push(ms), setTimeout(task, ms));
        window.setInterval = () => window.timers.push('interval');
        window.requestAnimationFrame = (task) => (window.frames++, requestAnimationFrame(task));
    })()";
    window.eval(watch).await;
}

#[tokio::test]
async fn a_closed_sheet_costs_no_timer() {
    let dimmer = Dimmer::start();
    let browser = Browser::start();
    let phone = browser.phone(&dimmer).await;
    open_sheet(&phone).await;
    tap(CLOSE, &phone).await;
    watch_timers(&phone).await;
    let mut page = dimmer.page().await;
    for change in [
        json!({"effect": "breathe"}),
        json!({"save": "Evening"}),
        json!({"effect": "candle", "speed": 2}),
    ] {
        page.say(change).await;
    }
    says(".doing", "Candle · 2×", &phone).await;
    // Only the one that asks after a silence whether the socket still lives.
    assert_eq!(phone.eval("timers.every((ms) => ms === 15000)").await, true);
    assert_eq!(phone.eval("frames").await, 0);
    let chips = "document.querySelectorAll('.presets .chip').length";
    assert_eq!(phone.eval(chips).await, 0);
    open_sheet(&phone).await;
    says(".presets .chip", "Evening", &phone).await;
    browser.close().await;
}

#[tokio::test]
async fn presets_are_saved_recalled_and_forgotten_on_every_page() {
    let dimmer = Dimmer::start();
    let browser = Browser::start();
    let phone = browser.phone(&dimmer).await;
    let other = browser.phone(&dimmer).await;
    open_sheet(&phone).await;
    open_sheet(&other).await;
    enter(".save input", "Evening", &phone).await;
    tap(".save button", &phone).await;
    for window in [&phone, &other] {
        says(".presets .chip", "Evening", window).await;
    }
    let (_, presets) = dimmer.ask(Method::GET, "/api/presets", "").await;
    assert_eq!(presets[0]["name"], "Evening");
    assert_eq!(presets[0]["lights"]["led"]["level"], 50);
    assert_eq!(
        phone
            .eval("document.querySelector('.save input').value")
            .await,
        ""
    );

    let body = r#"{"level": 10}"#;
    dimmer.ask(Method::PUT, "/api/lights/led", body).await;
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

    tap(".forget", &phone).await;
    says(".forget", "Forget?", &phone).await;
    tap(".chip", &phone).await;
    says(".forget", "×", &phone).await;
    tap(".forget", &phone).await;
    tap(".forget", &phone).await;
    for window in [&phone, &other] {
        is(
            "it is forgotten",
            "!document.querySelector('.presets .chip')",
            window,
        )
        .await;
    }
    let (_, presets) = dimmer.ask(Method::GET, "/api/presets", "").await;
    assert_eq!(presets, json!([]));
    browser.close().await;
}

#[tokio::test]
async fn an_error_is_shown_in_the_sheet_as_the_service_says_it() {
    let dimmer = Dimmer::start();
    let browser = Browser::start();
    let phone = browser.phone(&dimmer).await;
    let mut page = dimmer.page().await;
    for number in 0..32 {
        page.say(json!({"save": format!("Preset {number}")})).await;
    }
    page.settle().await;
    open_sheet(&phone).await;
    enter(".save input", "One more", &phone).await;
    tap(".save button", &phone).await;
    is(
        "the error is shown",
        "document.querySelector('.said').textContent.includes('32')",
        &phone,
    )
    .await;
    page.say(json!({"save": "One more"})).await;
    let error = page.next().await["error"].clone();
    says(".said", error.as_str().unwrap(), &phone).await;
    phone.screenshot("phone-sheet-error").await;
    browser.close().await;
}

#[tokio::test]
async fn a_finger_pulls_the_sheet_up_and_down() {
    let dimmer = Dimmer::start();
    let browser = Browser::start();
    let phone = browser.phone(&dimmer).await;
    for _ in 0..2 {
        phone.press(OPENER).await;
        phone.slide("led", 30.0).await;
        phone.release().await;
        is("it is up and still", OPEN, &phone).await;
        phone.press(".sheet h2").await;
        phone.slide("led", -30.0).await;
        phone.release().await;
        is("it is down", CLOSED, &phone).await;
    }
    assert_eq!(phone.level("led").await, 50.0);
    // A tap beside it closes it too.
    open_sheet(&phone).await;
    phone.tap("[data-light=led] .lamp").await;
    is("it is down", CLOSED, &phone).await;
    assert_eq!(phone.level("led").await, 50.0);
    browser.close().await;
}

#[tokio::test]
async fn an_effect_is_for_the_chosen_light_or_for_all() {
    let dimmer = Home::with(TWO).start();
    let browser = Browser::start();
    let phone = browser.phone(&dimmer).await;
    open_sheet(&phone).await;
    let options = "[...document.querySelectorAll('.which option')].map((option) => option.text)";
    let titles = json!(["All lights", "led", "Desk lamp"]);
    assert_eq!(phone.eval(options).await, titles);
    enter(".which select", "desk", &phone).await;
    tap(&chip(BREATHE), &phone).await;
    plays(json!("breathe"), json!(1), "desk", &dimmer).await;
    plays(Value::Null, Value::Null, "led", &dimmer).await;
    pressed(&chip(BREATHE), &phone).await;
    enter(".which select", "led", &phone).await;
    pressed(&chip(NONE), &phone).await;
    enter(".which select", "", &phone).await;
    let none_pressed = "!document.querySelector('.effects [aria-pressed=true]')";
    is("the two differ", none_pressed, &phone).await;
    tap(&chip(BREATHE), &phone).await;
    plays(json!("breathe"), json!(1), "led", &dimmer).await;
    pressed(&chip(BREATHE), &phone).await;
    browser.close().await;
}

/// What has the focus: its class, type or name.
async fn focused(window: &Window) -> String {
    let name = "((element) => element.name || element.id || element.className || element.type)";
    let focused = window
        .eval(&format!("{name}(document.activeElement)"))
        .await;
    focused.as_str().unwrap_or_default().into()
}

#[tokio::test]
async fn the_keyboard_alone_walks_through_the_sheet_and_back_out() {
    let dimmer = Dimmer::start();
    let browser = Browser::start();
    let desktop = browser.desktop(&dimmer).await;
    let mut page = dimmer.page().await;
    page.say(json!({"save": "Evening"})).await;
    page.settle().await;
    for _ in 0..5 {
        desktop.key(TAB).await;
    }
    assert_eq!(focused(&desktop).await, "opener");
    desktop.key(ENTER).await;
    is(
        "the sheet is open",
        "document.querySelector('.sheet')?.open",
        &desktop,
    )
    .await;
    assert_eq!(focused(&desktop).await, "close");

    let mut seen = Vec::new();
    loop {
        desktop.key(TAB).await;
        let name = focused(&desktop).await;
        // Past the end the browser itself has it for one stop.
        if name == "close" || seen.len() > 40 {
            break;
        }
        let outline = "document.activeElement.matches(':focus-visible, body')";
        assert_eq!(desktop.eval(outline).await, true, "{name}");
        seen.push(name);
    }
    let inside = desktop.eval("document.querySelector('.sheet').open").await;
    assert_eq!(inside, true);
    let count = |name: &str| seen.iter().filter(|seen| *seen == name).count();
    assert_eq!(count("opener") + count("lamp"), 0, "{seen:?}");
    // Effects, the preset, sleep, wake up.
    assert_eq!(count("chip"), 6 + 1 + 4, "{seen:?}");
    for name in ["range", "forget", "text", "chip waker"] {
        assert_eq!(count(name), 1, "{name}: {seen:?}");
    }

    desktop.key(TAB).await;
    desktop.key(TAB).await;
    desktop.key(SPACE).await;
    plays(json!("breathe"), json!(1), "led", &dimmer).await;
    desktop.key(ESCAPE).await;
    is("the sheet is closed", CLOSED, &desktop).await;
    assert_eq!(focused(&desktop).await, "opener");
    browser.close().await;
}

#[tokio::test]
async fn a_target_is_as_large_as_a_thumb_and_has_a_name() {
    let dimmer = Home::with(TWO).start();
    let browser = Browser::start();
    let phone = browser.phone(&dimmer).await;
    let mut page = dimmer.page().await;
    page.say(json!({"save": "Evening"})).await;
    page.settle().await;
    open_sheet(&phone).await;
    tap(&chip(SUNRISE), &phone).await;
    tap(".waker", &phone).await;
    let small = "[...document.querySelectorAll('button, input, select')]
        .filter((one) => one.type !== 'range' || one.closest('.sheet'))
        .map((one) => [one.className || one.name || one.type, one.getBoundingClientRect()])
        .filter(([, box]) => box.height < 44 || box.width < 43)
        .map(([name, box]) => `${name}: ${box.width} x ${box.height}`)";
    assert_eq!(phone.eval(small).await, json!([]));
    phone.screenshot("phone-sheet-all").await;
    browser.close().await;
}

#[tokio::test]
async fn a_portuguese_phone_reads_a_portuguese_sheet() {
    let dimmer = Dimmer::start();
    let browser = Browser::start();
    let phone = browser.phone_in("pt-BR", dimmer.address.port()).await;
    says(OPENER, "Efeitos, cenas, timers", &phone).await;
    open_sheet(&phone).await;
    tap(".waker", &phone).await;
    let text = phone
        .eval("document.querySelector('.sheet').innerText")
        .await;
    let text = text.as_str().unwrap();
    for word in [
        "Efeitos",
        "Vela",
        "Velocidade",
        "Salvar",
        "Desligar em",
        "Despertar",
        "seg",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(!text.contains("undefined"), "{text}");
    for word in ["Effect", "Save", "Off in", "Mon", "minutes"] {
        assert!(!text.contains(word), "{word}: {text}");
    }
    enter(".effects [type=range]", "1.5", &phone).await;
    says(".effects output", "1,5×", &phone).await;
    phone.screenshot("phone-sheet-portuguese").await;
    browser.close().await;
}

#[tokio::test]
async fn without_the_service_the_sheet_waits_and_closes() {
    let dimmer = Dimmer::start();
    let browser = Browser::start();
    let phone = browser.phone(&dimmer).await;
    open_sheet(&phone).await;
    let (_, home) = dimmer.stop();
    let disabled = "document.querySelector('.sheet fieldset').disabled";
    is("nothing can be set", disabled, &phone).await;
    tap(CLOSE, &phone).await;
    is("it is closed", CLOSED, &phone).await;
    let dimmer = home.start();
    phone.is_live().await;
    open_sheet(&phone).await;
    tap(&chip(BREATHE), &phone).await;
    plays(json!("breathe"), json!(1), "led", &dimmer).await;
    let complaints = phone.complaints().await;
    let expected = |complaint: &String| complaint.contains("/ws' failed");
    assert!(complaints.iter().all(expected), "{complaints:?}");
    browser.close().await;
}
