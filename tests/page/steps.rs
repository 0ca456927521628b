//! What the tests of the page do and wait for: all windows in step, and the sheet below the page.

use serde_json::{Value, json};

use crate::browser::Window;
use crate::common::{TestServer, until};
use reqwest::Method;

pub const OPENER: &str = "#opener";
pub const CLOSE: &str = ".sheet .close";
pub const OPEN: &str = "document.querySelector('.sheet')?.open && \
    !document.querySelector('.sheet').getAnimations().length";
pub const CLOSED: &str = "!document.querySelector('.sheet').open";
pub const FORGET: &str = ".presets .forget";
/// What is in the browser's own complaint of each attempt of the page to connect, and to ask why it cannot.
pub const CONNECTIONS: &str = "/ws";
pub const TWO: &str = "[[light]]\n[[light]]\nname = \"desk\"\ntitle = \"Desk lamp\"\ngpio = 20\n";

/// An effect's button.
pub fn chip(number: u8) -> String {
    format!(".effects .chip:nth-child({number})")
}

pub const NONE: u8 = 1;
pub const BREATHE: u8 = 2;
pub const SUNRISE: u8 = 6;

/// Waits until the JavaScript expression is true.
pub async fn expect(what: &str, expression: &str, window: &Window) {
    until(what, async || window.eval(expression).await == true).await;
}

/// Waits until the windows, the API and the pin have this level.
pub async fn expect_level(level: f64, light: &str, dimmer: &TestServer, windows: &[&Window]) {
    for (number, window) in windows.iter().enumerate() {
        until(
            &format!("window {number} shows {level} for {light}"),
            async || window.level(light).await == level,
        )
        .await;
    }
    until(&format!("the API shows {level} for {light}"), async || {
        dimmer.level(light).await == level
    })
    .await;
    dimmer.pin_is_at(light, level).await;
}

/// Waits until this is the text of the element.
pub async fn expect_text(selector: &str, text: &str, window: &Window) {
    let same = format!(
        "document.querySelector('{selector}')?.textContent.trim() === {}",
        json!(text)
    );
    expect(&format!("{selector} shows {text:?}"), &same, window).await;
}

pub async fn open_sheet(window: &Window) {
    window.tap(OPENER).await;
    expect("the sheet is open and still", OPEN, window).await;
}

/// Opens the sheet at one of its parts: `now`, `presets` or `timers`.
pub async fn open_part(part: &str, window: &Window) {
    open_sheet(window).await;
    show_part(part, window).await;
}

pub async fn show_part(part: &str, window: &Window) {
    expect("the sheet is still", OPEN, window).await;
    window.tap(&format!("#tab-{part}")).await;
    let shown = format!("!document.querySelector('#part-{part}').hidden");
    expect(&format!("{part} is shown"), &shown, window).await;
}

/// Pulls the open sheet up to its full height, and waits until it is there.
pub async fn make_tall(window: &Window) {
    window.tap(".handle").await;
    let tall = format!("document.querySelector('.sheet.tall') && {OPEN}");
    expect("the sheet is tall and still", &tall, window).await;
}

/// Undoes what the page tells for a moment: at once, as a slow machine's hand would come too late.
pub async fn undo(window: &Window) {
    let click = "!!document.querySelector('#toast .undo')
        && !document.querySelector('#toast .undo').click()";
    expect("it can be undone", click, window).await;
}

/// Taps what may have to be scrolled into view first.
pub async fn tap(selector: &str, window: &Window) {
    window.has(selector).await;
    let element = format!("document.querySelector('{selector}')");
    window
        .eval(&format!("{element}.scrollIntoView({{block: 'center'}})"))
        .await;
    window.tap(selector).await;
}

/// Puts this into a field, as typing does, once the page lets people do so.
pub async fn enter(selector: &str, text: &str, window: &Window) {
    let field = format!("document.querySelector('{selector}')");
    let is_enabled = format!("{field}?.matches(':enabled')");
    expect(&format!("{selector} is enabled"), &is_enabled, window).await;
    let events = "['input', 'change'].forEach((type) => field.dispatchEvent(new Event(type, { bubbles: true })))";
    window
        .eval(&format!(
            "((field) => (field.value = {}, {events}))({field})",
            json!(text)
        ))
        .await;
}

pub async fn light(name: &str, dimmer: &TestServer) -> Value {
    let path = format!("/api/lights/{name}");
    dimmer.request(Method::GET, &path, "").await.1
}

pub async fn expect_effect(effect: Value, speed: Value, name: &str, dimmer: &TestServer) {
    let what = format!("{name} plays {effect} at {speed}");
    until(&what, async || {
        let light = light(name, dimmer).await;
        (&light["effect"], &light["speed"]) == (&effect, &speed)
    })
    .await;
}

pub async fn expect_pressed(chip: &str, window: &Window) {
    let pressed = format!("document.querySelector('{chip}').ariaPressed === 'true'");
    expect(&format!("{chip} is pressed"), &pressed, window).await;
}
