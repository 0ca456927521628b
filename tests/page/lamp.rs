//! The lamp shows what the pin does, as far as the service says it.

use crate::browser::{Browser, Window, in_both_browsers};
use crate::common::{Setup, TestServer, until};
use crate::steps::{expect, expect_level};
use serde_json::json;

const MOVES: &str = "document.getAnimations().length > 0";
const RESTS: &str = "document.getAnimations().length === 0";

async fn at(level: f64, dimmer: &TestServer, phone: &Window) {
    let mut client = dimmer.client().await;
    client.change("led", json!({ "level": level })).await;
    expect_level(level, "led", dimmer, &[phone]).await;
}

/// The opacity of the light in the room.
async fn glow(phone: &Window) -> f64 {
    let opacity =
        "Number(getComputedStyle(document.querySelector('[data-light=led] .glow')).opacity)";
    phone.eval(opacity).await.as_f64().unwrap()
}

/// The mean brightness of the lamp and of the room around it, from 0 to 255.
async fn brightness(night: bool, phone: &Window) -> f64 {
    let [red, green, blue] = colour(night, phone).await;
    red * 0.2126 + green * 0.7152 + blue * 0.0722
}

/// The mean red, green and blue of the same.
async fn colour(night: bool, phone: &Window) -> [f64; 3] {
    let picture = phone.picture_by(night).await;
    let mean = "(async (picture) => {
        const image = new Image();
        image.src = `data:image/png;base64,${picture}`;
        await image.decode();
        const scale = image.width / innerWidth;
        const box = document.querySelector('[data-light=led] .lamp').getBoundingClientRect();
        const [width, height] = [image.width, Math.round(box.bottom * 1.2 * scale)];
        const context = new OffscreenCanvas(width, height).getContext('2d');
        context.drawImage(image, 0, 0);
        const { data } = context.getImageData(0, 0, width, height);
        const sum = [0, 0, 0];
        for (let n = 0; n < data.length; n += 4)
            for (const part of [0, 1, 2]) sum[part] += data[n + part];
        return sum.map((part) => part / (data.length / 4));
    })";
    let mean = phone.eval(&format!("{mean}({picture})")).await;
    serde_json::from_value(mean).unwrap()
}

/// In Chromium alone, which shows both colours in one window.
#[tokio::test]
#[ignore = "needs Chromium; scripts/test.sh installs it and runs this"]
async fn a_light_has_the_colour_of_its_led() {
    let browser = Browser::chromium();
    for (settings, is_blue) in [("", false), ("warmth = \"#22f\"", true)] {
        let dimmer = Setup::with(&format!("[[light]]\n{settings}\n")).start();
        let phone = browser.phone(&dimmer).await;
        for night in [false, true] {
            at(0.0, &dimmer, &phone).await;
            let dark = colour(night, &phone).await;
            at(100.0, &dimmer, &phone).await;
            let lit = colour(night, &phone).await;
            let [red, _, blue] = [0, 1, 2].map(|part| lit[part] - dark[part]);
            assert_eq!(
                blue > red,
                is_blue,
                "{settings:?}: {lit:?} is {dark:?}, lit"
            );
        }
        phone.go("about:blank").await;
    }
    browser.close().await;
}

/// In Chromium alone, which shows both colours in one window.
#[tokio::test]
#[ignore = "needs Chromium; scripts/test.sh installs it and runs this"]
async fn the_lamp_is_brighter_at_each_level_than_at_the_one_below_by_day_and_by_night() {
    let dimmer = TestServer::start();
    let browser = Browser::chromium();
    let phone = browser.phone(&dimmer).await;
    for night in [false, true] {
        let mut before = 0.0;
        for level in [0.0, 1.0, 5.0, 30.0, 100.0] {
            at(level, &dimmer, &phone).await;
            let now = brightness(night, &phone).await;
            println!("at {level} percent, night {night}: {now:.2}");
            assert!(
                now > before + 0.1,
                "at {level} percent, night {night}: {now}, before {before}"
            );
            before = now;
        }
    }
    browser.close().await;
}

async fn a_transition_shows_on_the_lamp_as_long_as_it_takes(browser: Browser) {
    let dimmer = TestServer::start();
    let phone = browser.phone(&dimmer).await;
    at(0.0, &dimmer, &phone).await;
    expect("nothing moves", RESTS, &phone).await;
    assert_eq!(glow(&phone).await, 0.0);

    let mut client = dimmer.client().await;
    client
        .change("led", json!({"level": 100, "transition": 600}))
        .await;
    until("the page shows 100", async || {
        phone.level("led").await == 100.0
    })
    .await;
    expect("the lamp moves", MOVES, &phone).await;
    until("it begins to shine", async || glow(&phone).await > 0.0).await;
    let shown = glow(&phone).await;
    assert!(shown < 0.5, "{shown}");

    at(100.0, &dimmer, &phone).await;
    expect("nothing moves", RESTS, &phone).await;
    assert_eq!(glow(&phone).await, 1.0);
    browser.close().await;
}

async fn an_effect_plays_on_the_lamp_at_its_speed_and_nothing_moves_without_one(browser: Browser) {
    let dimmer = Setup::with("[[light]]\nallow_fast_strobe = true\n").start();
    let phone = browser.phone(&dimmer).await;
    expect("nothing moves", RESTS, &phone).await;
    let mut client = dimmer.client().await;
    for (effect, speed, period) in [
        ("breathe", 2.0, 2000.0),
        ("blink", 0.5, 2000.0),
        ("strobe", 2.0, 500.0),
        ("candle", 1.0, 3700.0),
    ] {
        client
            .change("led", json!({"effect": effect, "speed": speed}))
            .await;
        let plays = format!(
            "['.glow span', '.lit g'].every((part) => document.querySelector(part).getAnimations().some(
                ({{ animationName, effect }}) => animationName === '{effect}'
                    && effect.getComputedTiming().duration === {period}))"
        );
        expect(&format!("{effect} plays"), &plays, &phone).await;
    }
    // That would flash on the screen more often than is safe.
    client
        .change("led", json!({"effect": "strobe", "speed": 10}))
        .await;
    expect("nothing flashes", RESTS, &phone).await;
    client
        .change("led", json!({"effect": "sunrise", "transition": 600}))
        .await;
    expect("the sun rises", MOVES, &phone).await;
    let shown = "Number(getComputedStyle(document.querySelector('.glow span')).opacity) < 0.5";
    expect("it begins in the dark", shown, &phone).await;
    client.change("led", json!({"effect": null})).await;
    expect("nothing moves", RESTS, &phone).await;
    browser.close().await;
}

in_both_browsers! {
    a_transition_shows_on_the_lamp_as_long_as_it_takes,
    an_effect_plays_on_the_lamp_at_its_speed_and_nothing_moves_without_one,
}
