//! The page in a real browser: what a thumb, a mouse and a keyboard do, and what people see.

use std::cell::Cell;
use std::fs;

use crate::browser::{
    Browser, DOWN, END, HOME, LEFT, Load, PAGE_DOWN, PAGE_UP, PI, RIGHT, UP, Window,
    in_both_browsers,
};
use crate::common::{Setup, TestServer, linear, until};
use crate::steps::{CONNECTIONS, expect_level};
use reqwest::Method;
use serde_json::json;

const TRACK: &str = "[data-light=led] .track";
const INPUT: &str = "[data-light=led] input";
const LAMP: &str = "[data-light=led] .lamp";
const MORE: &str = "[data-light=led] .more";
const LESS: &str = "[data-light=led] .less";

/// A service whose light starts at this level.
fn starting_at(level: u8) -> TestServer {
    Setup::with(&format!("[[light]]\non_start = {level}\n")).start()
}

async fn expect_status(words: &str, window: &Window) {
    until(&format!("the status shows {words:?}"), async || {
        window.status().await.contains(words)
    })
    .await;
}

async fn a_drag_moves_the_pin_and_the_other_window(browser: Browser) {
    let dimmer = starting_at(20);
    let phone = browser.phone(&dimmer).await;
    let other = browser.phone(&dimmer).await;
    phone.record("led").await;

    // In the middle of the track, far from its level: a drag is relative.
    phone.press(TRACK).await;
    phone.slide(42.0).await;
    expect_level(62.0, "led", &dimmer, &[&phone, &other]).await;
    phone.release().await;
    other.tap(MORE).await;
    expect_level(63.0, "led", &dimmer, &[&phone, &other]).await;

    let shown = phone.recorded().await;
    assert!(shown.is_sorted() && shown[0] < 30.0, "{shown:?}");
    let duties = dimmer.duties("led");
    assert!(duties.is_sorted() && duties.len() > 5, "{duties:?}");
    phone.screenshot("phone").await;
    browser.close().await;
}

async fn a_tap_on_the_track_glides_to_that_level(browser: Browser) {
    let dimmer = starting_at(20);
    let phone = browser.phone(&dimmer).await;
    phone.tap(TRACK).await;
    // The middle of the track: a quarter of it is for the first 10 percent.
    expect_level(40.0, "led", &dimmer, &[&phone]).await;
    let duties = dimmer.duties("led");
    assert!(duties.is_sorted() && duties.len() > 5, "{duties:?}");
    browser.close().await;
}

async fn a_light_does_not_jump_under_the_thumb_while_others_set_it(browser: Browser) {
    let dimmer = starting_at(20);
    let phone = browser.phone(&dimmer).await;
    let mut client = dimmer.client().await;
    phone.record("led").await;

    phone.press(TRACK).await;
    let dragging = Cell::new(true);
    let drag = async {
        phone.slide(30.0).await;
        dragging.set(false);
    };
    let meddle = async {
        while dragging.get() {
            for level in [3, 97] {
                client.change("led", json!({ "level": level })).await;
                client.settled().await;
            }
        }
    };
    tokio::join!(drag, meddle);
    phone.slide(10.0).await;
    expect_level(60.0, "led", &dimmer, &[&phone]).await;
    client.change("led", json!({"level": 7})).await;
    expect_level(7.0, "led", &dimmer, &[]).await;
    assert_eq!(phone.level("led").await, 60.0);
    let shown = phone.recorded().await;
    assert!(shown.is_sorted() && shown[0] < 30.0, "{shown:?}");

    phone.release().await;
    expect_level(7.0, "led", &dimmer, &[&phone]).await;
    client.settled().await;
    assert_eq!(client.levels["led"], 7.0);
    browser.close().await;
}

async fn the_keyboard_moves_the_slider_and_its_level_is_announced_in_words(browser: Browser) {
    let dimmer = starting_at(39);
    let desktop = browser.desktop(&dimmer).await;
    desktop
        .eval(&format!("document.querySelector('{INPUT}').focus()"))
        .await;
    for (key, level, words) in [
        (UP, 40.0, "40 percent"),
        (RIGHT, 41.0, "41 percent"),
        (DOWN, 40.0, "40 percent"),
        (LEFT, 39.0, "39 percent"),
        (PAGE_UP, 49.0, "49 percent"),
        (PAGE_DOWN, 39.0, "39 percent"),
        (HOME, 0.0, "off"),
        (DOWN, 0.0, "off"),
        (END, 100.0, "100 percent"),
        (UP, 100.0, "100 percent"),
    ] {
        desktop.key(key).await;
        expect_level(level, "led", &dimmer, &[&desktop]).await;
        let text = desktop.attribute(INPUT, "aria-valuetext").await;
        assert_eq!(text.unwrap(), words);
    }
    browser.close().await;
}

async fn a_tap_on_the_lamp_turns_it_off_and_on_and_the_buttons_step(browser: Browser) {
    let dimmer = starting_at(42);
    let phone = browser.phone(&dimmer).await;
    for (tapped, level, pressed) in [
        (LAMP, 0.0, "false"),
        (LAMP, 42.0, "true"),
        (MORE, 43.0, "true"),
        (MORE, 44.0, "true"),
        (LESS, 43.0, "true"),
        (LAMP, 0.0, "false"),
        (LESS, 0.0, "false"),
        (LAMP, 43.0, "true"),
    ] {
        phone.tap(tapped).await;
        expect_level(level, "led", &dimmer, &[&phone]).await;
        let lamp = phone.attribute(LAMP, "aria-pressed").await;
        assert_eq!(lamp.unwrap(), pressed, "after a tap on {tapped}");
    }
    phone.tap(LAMP).await;
    expect_level(0.0, "led", &dimmer, &[&phone]).await;
    phone.screenshot("phone-off").await;
    browser.close().await;
}

async fn a_page_comes_back_by_itself_and_replays_nothing(browser: Browser) {
    let dimmer = TestServer::start();
    let phone = browser.phone(&dimmer).await;
    phone.eval("window.not_reloaded = true").await;

    phone.press(TRACK).await;
    phone.slide(10.0).await;
    expect_level(60.0, "led", &dimmer, &[&phone]).await;
    let (_, setup) = dimmer.stop();
    expect_status("Reconnecting", &phone).await;
    assert_eq!(phone.connection().await, "reconnecting");
    let disabled = format!("document.querySelector('{INPUT}').disabled");
    assert_eq!(phone.eval(&disabled).await, true);
    // On with the drag that was under way, and another, and a tap.
    phone.slide(10.0).await;
    phone.release().await;
    phone.press(TRACK).await;
    phone.slide(20.0).await;
    phone.release().await;
    phone.tap(MORE).await;
    assert_eq!(phone.level("led").await, 60.0);
    phone.screenshot("phone-offline").await;

    let kept = fs::read_to_string(setup.levels_file()).unwrap();
    let other = kept.replace(r#""level":60"#, r#""level":77"#);
    assert_ne!(kept, other);
    fs::write(setup.levels_file(), other).unwrap();
    let dimmer = setup.start();
    let restarted = dimmer.duties("led").len();
    expect_status("Live", &phone).await;
    expect_level(77.0, "led", &dimmer, &[&phone]).await;
    // What comes after a replay would be late or other than this.
    phone.tap(MORE).await;
    expect_level(78.0, "led", &dimmer, &[&phone]).await;
    for duty in &dimmer.duties("led")[restarted..] {
        assert!([linear(77.0), linear(78.0)].contains(duty), "{duty}");
    }
    assert_eq!(phone.eval("window.not_reloaded").await, true);

    browser.close_despite(&[CONNECTIONS]).await;
}

async fn a_fault_is_shown_in_words_and_goes_away(browser: Browser) {
    let dimmer = starting_at(50);
    let phone = browser.phone(&dimmer).await;
    let trace = dimmer.setup().trace_folder();
    let away = dimmer.setup().path().join("away");
    fs::rename(&trace, &away).unwrap();
    phone.tap(MORE).await;
    expect_status("The LED does not answer: simulated", &phone).await;
    phone.screenshot("phone-fault").await;
    // Also to one that is opened now.
    let late = browser.phone(&dimmer).await;
    expect_status("The LED does not answer: simulated", &late).await;

    fs::rename(&away, &trace).unwrap();
    for window in [&phone, &late] {
        expect_status("Live", window).await;
        assert!(!window.status().await.contains("answer"));
    }
    expect_level(51.0, "led", &dimmer, &[&phone, &late]).await;
    browser.close().await;
}

/// In Chromium alone: only there has 127.0.0.1 another name, and only there are bytes counted.
#[tokio::test]
#[ignore = "needs Chromium; scripts/test.sh installs it and runs this"]
async fn the_first_load_is_small_and_requests_nothing_from_other_hosts() {
    let dimmer = TestServer::start();
    for preset in ["Evening", "Film"] {
        let path = format!("/api/presets/{preset}");
        dimmer.request(Method::PUT, &path, "").await;
    }
    let browser = Browser::chromium();
    let phone = browser.phone(&dimmer).await;
    assert_eq!(phone.eval("isSecureContext").await, false);
    let here = format!("{PI}:{}", dimmer.address.port());
    let page = format!("http://{here}/");
    let Load {
        requests,
        sockets,
        bytes,
    } = phone.load(&page).await;
    println!("the first load: {} requests, {bytes} bytes", requests.len());
    assert!(requests.contains(&page), "{requests:?}");
    assert!(
        requests.iter().all(|url| url.starts_with(&page)),
        "{requests:?}"
    );
    assert!(requests.len() <= 12, "{requests:?}");
    assert!(bytes > 1000.0 && bytes <= 23_800.0, "{bytes} bytes");
    assert_eq!(sockets, [format!("ws://{here}/ws")]);
    browser.close().await;
}

async fn a_portuguese_phone_reads_portuguese(browser: Browser) {
    let dimmer = starting_at(40);
    let phone = browser.phone_in("pt-BR", dimmer.address.port()).await;
    assert_eq!(phone.attribute("html", "lang").await.unwrap(), "pt-BR");
    expect_status("Conectado", &phone).await;
    expect_status("LED simulado", &phone).await;
    let text = phone.attribute(INPUT, "aria-valuetext").await;
    assert_eq!(text.unwrap(), "40 por cento");
    phone.tap(LAMP).await;
    expect_level(0.0, "led", &dimmer, &[&phone]).await;
    let text = phone.attribute(INPUT, "aria-valuetext").await;
    assert_eq!(text.unwrap(), "desligado");
    phone.screenshot("phone-portuguese").await;
    browser.close().await;
}

async fn each_of_several_lights_has_a_slider_of_its_own(browser: Browser) {
    let settings = "[[light]]\n[[light]]\nname = \"shelf\"\ngpio = 20\n";
    let dimmer = Setup::with(settings).start();
    let phone = browser.phone(&dimmer).await;
    let names = "[...document.querySelectorAll('[data-light] h2')].map((name) => name.innerText)";
    assert_eq!(phone.eval(names).await, json!(["led", "shelf"]));

    phone.press("[data-light=shelf] .track").await;
    phone.slide(30.0).await;
    phone.release().await;
    expect_level(80.0, "shelf", &dimmer, &[&phone]).await;
    expect_level(50.0, "led", &dimmer, &[&phone]).await;
    phone.press(TRACK).await;
    phone.slide(-30.0).await;
    phone.release().await;
    expect_level(20.0, "led", &dimmer, &[&phone]).await;
    expect_level(80.0, "shelf", &dimmer, &[&phone]).await;
    phone.screenshot("phone-two-lights").await;
    browser.close().await;
}

async fn the_status_counts_the_open_pages_and_calls_a_simulated_led_simulated(browser: Browser) {
    let dimmer = TestServer::start();
    let phone = browser.phone(&dimmer).await;
    expect_status("only this page is open", &phone).await;
    expect_status("Simulated LED", &phone).await;
    let client = dimmer.client().await;
    let other = browser.phone(&dimmer).await;
    for window in [&phone, &other] {
        expect_status("3 pages open", window).await;
    }
    drop(client);
    for window in [&phone, &other] {
        expect_status("2 pages open", window).await;
    }
    browser.close().await;
}

async fn a_mouse_drags_too(browser: Browser) {
    let dimmer = starting_at(80);
    let desktop = browser.desktop(&dimmer).await;
    desktop.press(TRACK).await;
    desktop.slide(-25.0).await;
    expect_level(55.0, "led", &dimmer, &[&desktop]).await;
    desktop.release().await;
    desktop.slide(-10.0).await;
    desktop.tap(MORE).await;
    expect_level(56.0, "led", &dimmer, &[&desktop]).await;
    desktop.screenshot("desktop").await;
    browser.close().await;
}

async fn the_phone_ticks_at_0_50_and_100_only_under_the_thumb(browser: Browser) {
    let dimmer = starting_at(48);
    let phone = browser.phone(&dimmer).await;
    let stub = "navigator.vibrate = (ms) => window.ticks.push(ms) > 0";
    phone.eval(&format!("window.ticks = [], {stub}")).await;
    // No browser lets a page tick before it was touched.
    phone.tap("#status").await;
    let mut client = dimmer.client().await;

    phone.press(TRACK).await;
    for (percent, level, ticks) in [
        (1.0, 49.0, 0),
        (4.0, 53.0, 1),
        (-2.0, 51.0, 1),
        (40.0, 91.0, 1),
        (20.0, 100.0, 2),
        (-60.0, 40.0, 3),
        (-60.0, 0.0, 4),
    ] {
        phone.slide(percent).await;
        expect_level(level, "led", &dimmer, &[&phone]).await;
        let felt = phone.eval("ticks.length").await;
        assert_eq!(felt, ticks, "after {percent} percent to {level}");
    }
    phone.release().await;
    client.change("led", json!({"level": 50})).await;
    expect_level(50.0, "led", &dimmer, &[&phone]).await;
    phone.tap(MORE).await;
    expect_level(51.0, "led", &dimmer, &[&phone]).await;
    assert_eq!(
        phone.eval("ticks.length").await,
        4,
        "nothing was dragged since"
    );
    assert_eq!(phone.eval("ticks.every((ms) => ms < 20)").await, true);
    browser.close().await;
}

in_both_browsers! {
    a_drag_moves_the_pin_and_the_other_window,
    a_tap_on_the_track_glides_to_that_level,
    a_light_does_not_jump_under_the_thumb_while_others_set_it,
    the_keyboard_moves_the_slider_and_its_level_is_announced_in_words,
    a_tap_on_the_lamp_turns_it_off_and_on_and_the_buttons_step,
    a_page_comes_back_by_itself_and_replays_nothing,
    a_fault_is_shown_in_words_and_goes_away,
    a_portuguese_phone_reads_portuguese,
    each_of_several_lights_has_a_slider_of_its_own,
    the_status_counts_the_open_pages_and_calls_a_simulated_led_simulated,
    a_mouse_drags_too,
    the_phone_ticks_at_0_50_and_100_only_under_the_thumb,
}
