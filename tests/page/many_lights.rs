//! From the fourth light on each is a tile: what hands and keys do to it, and that it fits any screen.

use crate::browser::{Browser, ENTER, ESCAPE, LEFT, RIGHT, TAB, in_each_browser};
use crate::common::{Setup, TestServer, until};
use crate::steps::{CLOSE, CLOSED, expect, expect_level, expect_text, open_sheet};
use serde_json::json;

const TITLES: [&str; 4] = [
    "Ceiling",
    "Desk lamp",
    "Reading corner by the window",
    "Bed",
];

/// Lights `light-0` and so on, at 0, 30, 60 and 90 percent in turn.
fn lights(count: u8) -> TestServer {
    let light = |n: u8| {
        let (title, level) = (TITLES[usize::from(n % 4)], n % 4 * 30);
        let gpio = n + 2;
        format!(
            "[[light]]\nname = \"light-{n}\"\ntitle = {title:?}\ngpio = {gpio}\non_start = {level}\n"
        )
    };
    Setup::with(&(0..count).map(light).collect::<String>()).start()
}

async fn a_tap_toggles_a_tile_and_a_drag_along_it_dims(browser: Browser) {
    let dimmer = lights(5);
    let phone = browser.phone(&dimmer).await;
    let tile = "[data-light=light-1] .track";
    phone.tap(tile).await;
    expect_level(0.0, "light-1", &dimmer, &[&phone]).await;
    phone.tap(tile).await;
    expect_level(30.0, "light-1", &dimmer, &[&phone]).await;
    phone.press(tile).await;
    phone.slide(35.0).await;
    phone.release().await;
    expect_level(65.0, "light-1", &dimmer, &[&phone]).await;
    phone.screenshot("phone-many").await;
    browser.close().await;
}

async fn a_hold_opens_the_lamp_and_back_closes_it(browser: Browser) {
    let dimmer = lights(5);
    let phone = browser.phone(&dimmer).await;
    let opened = "['light-0', 'light-1'].map((name) =>
        document.querySelector(`[data-light=${name}]`).checkVisibility()).join() === 'false,true'";
    let closed = "document.querySelectorAll('[data-light]:not([hidden])').length === 5";
    phone.press("[data-light=light-1] .track").await;
    expect("the lamp is open", opened, &phone).await;
    phone.release().await;
    expect_level(30.0, "light-1", &dimmer, &[&phone]).await;
    // It is a light like one that is alone.
    phone.press("[data-light=light-1] .track").await;
    phone.slide(20.0).await;
    phone.release().await;
    expect_level(50.0, "light-1", &dimmer, &[&phone]).await;
    phone.tap("#back").await;
    expect("all are there again", closed, &phone).await;

    for close in ["history.back()", "document.body.click()"] {
        phone
            .eval("document.querySelector('[data-light=light-1] input').focus()")
            .await;
        phone.key(ENTER).await;
        expect("the lamp is open", opened, &phone).await;
        phone.eval(close).await;
        if close != "history.back()" {
            phone.key(ESCAPE).await;
        }
        expect("all are there again", closed, &phone).await;
        let focused = "document.activeElement.closest('section')?.dataset.light === 'light-1'";
        expect("the focus is where it was", focused, &phone).await;
    }
    expect_level(50.0, "light-1", &dimmer, &[&phone]).await;

    // Beside the open sheet too: the sheet closes, and the lamp stays.
    open_sheet(&phone).await;
    phone
        .eval("document.querySelector('[data-light=light-1] input').focus()")
        .await;
    phone.key(ENTER).await;
    expect("the lamp is open", opened, &phone).await;
    phone.tap(CLOSE).await;
    expect("the sheet is closed", CLOSED, &phone).await;
    assert_eq!(phone.eval(opened).await, true);
    phone.tap("#back").await;
    expect("all are there again", closed, &phone).await;
    browser.close().await;
}

async fn all_off_is_undone_and_the_header_says_what_is_on(browser: Browser) {
    let dimmer = lights(5);
    let phone = browser.phone(&dimmer).await;
    expect_text(".master .doing", "3 on, up to 90 %", &phone).await;
    expect_text(".master .word", "All off", &phone).await;
    phone.tap(".master .lamp").await;
    for light in ["light-1", "light-2", "light-3"] {
        expect_level(0.0, light, &dimmer, &[&phone]).await;
    }
    expect_text(".master .doing", "Off", &phone).await;
    expect_text(".master .word", "Undo", &phone).await;
    phone.tap(".master .lamp").await;
    for (light, level) in [
        ("light-0", 0.0),
        ("light-1", 30.0),
        ("light-2", 60.0),
        ("light-3", 90.0),
    ] {
        expect_level(level, light, &dimmer, &[&phone]).await;
    }
    // It scales what is on.
    phone.press(".master .track").await;
    phone.slide(-45.0).await;
    phone.release().await;
    for (light, level) in [
        ("light-0", 0.0),
        ("light-1", 15.0),
        ("light-2", 30.0),
        ("light-3", 45.0),
    ] {
        expect_level(level, light, &dimmer, &[&phone]).await;
    }
    expect_text(".master .doing", "3 on, up to 45 %", &phone).await;
    browser.close().await;
}

async fn each_tile_is_one_tab_stop_and_a_horizontal_slider(browser: Browser) {
    let dimmer = lights(5);
    let desktop = browser.desktop(&dimmer).await;
    desktop
        .eval("document.querySelector('.master input').focus()")
        .await;
    desktop.key(TAB).await;
    desktop.key(RIGHT).await;
    desktop.key(TAB).await;
    desktop.key(LEFT).await;
    expect_level(1.0, "light-0", &dimmer, &[&desktop]).await;
    expect_level(29.0, "light-1", &dimmer, &[&desktop]).await;
    let horizontal = "[...document.querySelectorAll('main input')]
        .every((input) => input.getAttribute('aria-orientation') === 'horizontal')";
    assert_eq!(desktop.eval(horizontal).await, true);
    browser.close().await;
}

/// In Chromium alone, which counts its layouts. It was 1.6 for each frame when the code asked for the size of the track
/// in each.
#[tokio::test]
#[ignore = "needs Chromium; scripts/test.sh installs it and runs this"]
async fn a_drag_of_the_master_over_sixteen_lights_lays_out_the_page_once_a_frame_at_most() {
    let dimmer = lights(16);
    let browser = Browser::chromium();
    let phone = browser.phone(&dimmer).await;
    phone.devtools("Performance.enable", json!({})).await;
    let layouts = async || {
        let metrics = phone.devtools("Performance.getMetrics", json!({})).await;
        let metrics = metrics["metrics"].as_array().unwrap();
        let count = metrics.iter().find(|each| each["name"] == "LayoutCount");
        count.unwrap()["value"].as_f64().unwrap()
    };
    let drag = "(async () => {
        const track = document.querySelector('.master .track');
        track.setPointerCapture = () => {};
        const { left, right, top } = track.getBoundingClientRect();
        const send = (type, share) => track.dispatchEvent(new PointerEvent(type, {
            pointerId: 9, button: 0, clientX: left + (right - left) * share, clientY: top + 9,
        }));
        send('pointerdown', 0.5);
        for (let frame = 0; frame < 100; frame++) {
            send('pointermove', 0.6 + 0.3 * Math.sin(frame / 20));
            await new Promise(requestAnimationFrame);
        }
        send('pointerup', 0.5);
    })()";
    let before = layouts().await;
    phone.eval(drag).await;
    let count = layouts().await - before;
    println!("{count} layouts in 100 frames");
    assert!(count <= 110.0, "{count} layouts in 100 frames");
    browser.close().await;
}

/// What overlaps or is cut: the visible parts of each light against each other and the window.
const WRONG: &str = "(() => {
    const wrong = [];
    const visible = (element) => element.checkVisibility({ visibilityProperty: true });
    const box = (element) => element.getBoundingClientRect();
    const text = (element) => {
        const range = document.createRange();
        range.selectNodeContents(element);
        return range.getBoundingClientRect();
    };
    const name = (element) => `${element.closest('section')?.dataset.light ?? 'all'} ${element.className || element.tagName}`;
    const over = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
        && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
    if (document.documentElement.scrollWidth > innerWidth) wrong.push('the page is wider than the window');
    const sections = [...document.querySelectorAll('main section')].filter(visible);
    const blocks = [...sections, document.querySelector('footer')];
    blocks.forEach((a, n) => blocks.slice(n + 1).forEach((b) => {
        if (over(box(a), box(b))) wrong.push(`${name(a)} is over ${name(b)}`);
    }));
    for (const section of sections) {
        const parts = [...section.querySelectorAll('.name, output, .doing, .less, .more, .word, .lamp svg')]
            .filter((part) => visible(part) && text(part).width > 0 | part.matches('.less, .more'));
        const boxes = parts.map((part) => part.matches('.less, .more, svg') ? box(part) : text(part));
        boxes.forEach((a, n) => {
            const { left, right, top, bottom } = box(section);
            if (a.left < left - 1 || a.right > right + 1 || a.bottom > bottom + 1 || a.top < top - 1)
                wrong.push(`${name(parts[n])} leaves its light`);
            if (parts[n].matches('output, .doing') && a.width > box(parts[n]).width + 1)
                wrong.push(`${name(parts[n])} is cut`);
            boxes.slice(n + 1).forEach((b, m) => {
                if (over(a, b)) wrong.push(`${name(parts[n])} is over ${name(parts[n + 1 + m])}`);
            });
        });
    }
    return wrong;
})()";

/// Windows from 320 to 2560 pixels wide, high and wide ones, at 100 to 400 %: at 400 % one of 1280 by 1024 pixels is as
/// one of 320 by 256.
const SIZES: [(u32, u32); 20] = [
    (320, 256),
    (320, 568),
    (360, 640),
    (390, 844),
    (427, 341),
    (480, 270),
    (568, 320),
    (640, 360),
    (640, 512),
    (768, 1024),
    (800, 360),
    (844, 390),
    (960, 540),
    (1024, 768),
    (1024, 1366),
    (1280, 800),
    (1440, 2560),
    (1920, 1080),
    (2560, 1080),
    (2560, 1440),
];
const LEVELS: [f64; 4] = [0.0, 33.3, 66.6, 100.0];

async fn nothing_overlaps_or_is_cut_at_any_size_of_the_window(browser: Browser) {
    let window = browser.phone_at("en-US", "about:blank").await;
    let mut wrong = Vec::new();
    for count in 1..=16 {
        let dimmer = lights(count);
        window.go(&dimmer.url("/")).await;
        let mut client = dimmer.client().await;
        // Few lights are at each level in turn; among many there is one at each with a title of each length.
        let turns = if count <= 4 { 4 } else { 1 };
        for turn in 0..turns {
            let level = |n: u8| LEVELS[usize::from((n + n / 4 + turn) % 4)];
            for n in 0..count {
                let light = format!("light-{n}");
                client.change(&light, json!({ "level": level(n) })).await;
            }
            for n in 0..count {
                until("the level is shown", async || {
                    let shown = "document.querySelector('[data-light=light-0]') !== null";
                    window.eval(shown).await == true
                        && window.level(&format!("light-{n}")).await == level(n)
                })
                .await;
            }
            for (width, height) in SIZES {
                window.resize_to(width, height).await;
                let found = window.eval(WRONG).await;
                if found != json!([]) {
                    wrong.push(format!("{count} lights, {width}×{height}: {found}"));
                }
            }
        }
        window.go("about:blank").await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    browser.close().await;
}

/// Not in WebKit, where a window does not take any size.
#[tokio::test]
#[ignore = "needs Chromium; scripts/test.sh installs it and runs this"]
async fn nothing_overlaps_or_is_cut_in_chromium() {
    nothing_overlaps_or_is_cut_at_any_size_of_the_window(Browser::chromium()).await;
}

#[tokio::test]
#[ignore = "needs Firefox; scripts/test.sh installs it and runs this"]
async fn nothing_overlaps_or_is_cut_in_firefox() {
    nothing_overlaps_or_is_cut_at_any_size_of_the_window(Browser::firefox()).await;
}

in_each_browser! {
    a_tap_toggles_a_tile_and_a_drag_along_it_dims,
    a_hold_opens_the_lamp_and_back_closes_it,
    all_off_is_undone_and_the_header_says_what_is_on,
    each_tile_is_one_tab_stop_and_a_horizontal_slider,
}
