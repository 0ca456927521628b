//! Several lights on one page, and the master that scales them together.

use crate::browser::{Browser, DOWN, END, HOME, LEFT, RIGHT, TAB, UP, Window, in_both_browsers};
use crate::common::{Setup, TestServer, until};
use crate::steps::expect_level;
use serde_json::json;

const MASTER: &str = ".master .track";
const LIGHTS: [&str; 3] = ["led", "desk", "shelf"];

fn three_at(levels: [f64; 3]) -> TestServer {
    let light = |n: usize| {
        let (name, level) = (LIGHTS[n], levels[n]);
        let gpio = 21 - n;
        format!("[[light]]\nname = {name:?}\ngpio = {gpio}\non_start = {level}\n")
    };
    Setup::with(&(0..3).map(light).collect::<String>()).start()
}

/// What the master shows.
async fn master(window: &Window) -> f64 {
    let level = window.eval("document.querySelector('.master input').valueAsNumber");
    level.await.as_f64().unwrap()
}

/// Waits until the window, the API and the pins have these levels, and the master the highest.
async fn expect_levels(levels: [f64; 3], dimmer: &TestServer, window: &Window) {
    for (light, level) in LIGHTS.into_iter().zip(levels) {
        expect_level(level, light, dimmer, &[window]).await;
    }
    let highest = levels.into_iter().fold(0.0, f64::max);
    until(&format!("the master shows {highest}"), async || {
        master(window).await == highest
    })
    .await;
}

async fn the_master_scales_all_and_brings_them_back_from_0_as_they_were(browser: Browser) {
    let dimmer = three_at([40.0, 20.0, 10.0]);
    let phone = browser.phone(&dimmer).await;
    expect_levels([40.0, 20.0, 10.0], &dimmer, &phone).await;
    phone.screenshot("phone-several").await;

    phone.press(MASTER).await;
    phone.slide(-20.0).await;
    expect_levels([20.0, 10.0, 5.0], &dimmer, &phone).await;
    phone.slide(-7.0).await;
    expect_levels([13.0, 6.5, 3.3], &dimmer, &phone).await;
    phone.slide(-18.0).await;
    expect_levels([0.0; 3], &dimmer, &phone).await;
    phone.slide(30.0).await;
    expect_levels([30.0, 15.0, 7.5], &dimmer, &phone).await;
    phone.release().await;
    expect_levels([30.0, 15.0, 7.5], &dimmer, &phone).await;

    phone.press(MASTER).await;
    phone.slide(-35.0).await;
    phone.release().await;
    expect_levels([0.0; 3], &dimmer, &phone).await;
    // A new gesture, that finds them all off, and brings back what was on.
    phone.press(MASTER).await;
    phone.slide(30.0).await;
    phone.release().await;
    expect_levels([30.0, 15.0, 7.5], &dimmer, &phone).await;
    browser.close().await;
}

async fn the_keyboard_moves_the_master_and_keeps_the_proportions(browser: Browser) {
    let dimmer = three_at([80.0, 40.0, 20.0]);
    let desktop = browser.desktop(&dimmer).await;
    let mut client = dimmer.client().await;
    let input = "document.querySelector('.master input')";
    desktop.eval(&format!("{input}.focus()")).await;
    let text = desktop.attribute(".master input", "aria-label").await;
    assert_eq!(text.unwrap(), "All lights: Level");
    for (key, levels) in [
        (HOME, [0.0, 0.0, 0.0]),
        (END, [100.0, 50.0, 25.0]),
        (DOWN, [99.0, 49.5, 24.8]),
        (UP, [100.0, 50.0, 25.0]),
    ] {
        desktop.key(key).await;
        expect_levels(levels, &dimmer, &desktop).await;
    }
    let text = desktop.attribute(".master input", "aria-valuetext").await;
    assert_eq!(text.unwrap(), "100 percent");

    // From where another page has put one of them.
    client.change("led", json!({"level": 50})).await;
    expect_levels([50.0, 50.0, 25.0], &dimmer, &desktop).await;
    desktop.key(END).await;
    expect_levels([100.0, 100.0, 50.0], &dimmer, &desktop).await;
    browser.close().await;
}

async fn each_light_is_one_tab_stop_whose_arrows_always_change_its_level(browser: Browser) {
    let dimmer = three_at([80.0, 40.0, 20.0]);
    let desktop = browser.desktop(&dimmer).await;
    expect_levels([80.0, 40.0, 20.0], &dimmer, &desktop).await;
    let input = "document.querySelector('.master input')";
    desktop.eval(&format!("{input}.focus()")).await;
    desktop.key(TAB).await;
    desktop.key(LEFT).await;
    desktop.key(TAB).await;
    desktop.key(RIGHT).await;
    desktop.key(TAB).await;
    desktop.key(DOWN).await;
    expect_levels([79.0, 41.0, 19.0], &dimmer, &desktop).await;
    // The space bar does what the lamp does.
    desktop.key(' ').await;
    expect_levels([79.0, 41.0, 0.0], &dimmer, &desktop).await;
    browser.close().await;
}

async fn the_lamps_of_the_master_turn_all_off_and_on(browser: Browser) {
    let dimmer = three_at([80.0, 0.0, 20.0]);
    let phone = browser.phone(&dimmer).await;
    phone.tap(".master .lamp").await;
    expect_levels([0.0; 3], &dimmer, &phone).await;
    phone.tap(".master .lamp").await;
    expect_levels([80.0, 0.0, 20.0], &dimmer, &phone).await;
    phone.tap(".master .less").await;
    expect_levels([79.0, 0.0, 19.8], &dimmer, &phone).await;
    browser.close().await;
}

async fn the_master_follows_the_highest_light(browser: Browser) {
    let dimmer = three_at([10.0, 40.0, 20.0]);
    let phone = browser.phone(&dimmer).await;
    phone.press("[data-light=led] .track").await;
    phone.slide(50.0).await;
    expect_levels([60.0, 40.0, 20.0], &dimmer, &phone).await;
    phone.slide(-50.0).await;
    phone.release().await;
    expect_levels([10.0, 40.0, 20.0], &dimmer, &phone).await;
    browser.close().await;
}

async fn sixteen_lights_are_dragged_by_thirty_messages_a_second(browser: Browser) {
    let light = |n: u8| format!("[[light]]\nname = \"light-{n}\"\ngpio = {}\n", n + 2);
    let dimmer = Setup::with(&(0..16).map(light).collect::<String>()).start();
    let phone = browser.phone(&dimmer).await;
    // Another level in each frame of a screen that is faster than any.
    let drag = "(async () => {
        window.sent = [];
        window.others = 0;
        window.requestAnimationFrame = (task) => setTimeout(task, 4);
        const send = WebSocket.prototype.send;
        WebSocket.prototype.send = function (text) {
            const { lights, light } = JSON.parse(text);
            if (lights) window.sent.push({ at: performance.now(), count: Object.keys(lights).length });
            if (light) window.others++;
            send.call(this, text);
        };
        const input = document.querySelector('.master input');
        for (let frame = 0; frame <= 100; frame++) {
            input.value = frame % 2 ? 30 + frame / 10 : 90 - frame / 10;
            if (frame === 100) input.value = 90;
            input.dispatchEvent(new Event('input'));
            await new Promise(requestAnimationFrame);
        }
    })()";
    phone.eval(drag).await;
    for n in 0..16 {
        let light = format!("light-{n}");
        dimmer.pin_is_at(&light, 90.0).await;
    }

    let most = "sent.map((from) =>
        sent.filter(({ at }) => at >= from.at && at < from.at + 1000).length)";
    let most = phone.eval(&format!("Math.max(...{most})")).await;
    let total = phone.eval("sent.length").await.as_u64().unwrap();
    println!("{total} messages, {most} at most in a second");
    assert!(total > 5, "{total} messages");
    assert!(most.as_u64().unwrap() <= 34, "{most} in a second");
    let all = "sent.every(({ count }) => count === 16) && others === 0";
    assert_eq!(phone.eval(all).await, true);
    browser.close().await;
}

async fn titles_are_read_and_hidden_lights_are_not_shown(browser: Browser) {
    let settings = "[[light]]\ntitle = \"Ceiling\"\n\
        [[light]]\nname = \"desk\"\ngpio = 20\n\
        [[light]]\nname = \"fan\"\ntitle = \"Fan\"\ngpio = 19\non_start = 100\nhidden = true\n";
    let dimmer = Setup::with(settings).start();
    let phone = browser.phone(&dimmer).await;
    let names = "[...document.querySelectorAll('h2')].map((name) => name.innerText)";
    let names = phone.eval(names).await;
    assert_eq!(names, json!(["All lights", "Ceiling", "desk"]));
    assert_eq!(master(&phone).await, 50.0, "the hidden one is at 100");
    phone.tap(".master .lamp").await;
    for light in ["led", "desk"] {
        until("the lights are off", async || {
            dimmer.level(light).await == 0.0
        })
        .await;
    }
    assert_eq!(dimmer.level("fan").await, 100.0);

    // One that is left has the page for itself.
    let settings = "[[light]]\ntitle = \"Ceiling\"\n\
        [[light]]\nname = \"fan\"\ngpio = 19\nhidden = true\n";
    let dimmer = Setup::with(settings).start();
    let phone = browser.phone(&dimmer).await;
    assert_eq!(phone.eval("document.title").await, "Ceiling · dimmer");
    assert_eq!(
        phone.eval("!document.querySelector('.several')").await,
        true
    );
    browser.close().await;
}

in_both_browsers! {
    the_master_scales_all_and_brings_them_back_from_0_as_they_were,
    the_keyboard_moves_the_master_and_keeps_the_proportions,
    each_light_is_one_tab_stop_whose_arrows_always_change_its_level,
    the_lamps_of_the_master_turn_all_off_and_on,
    the_master_follows_the_highest_light,
    sixteen_lights_are_dragged_by_thirty_messages_a_second,
    titles_are_read_and_hidden_lights_are_not_shown,
}
