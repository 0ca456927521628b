//! What a finger wants: a swipe that scrolls changes no light, wherever it begins and whatever its angle.

use crate::browser::{Browser, Window, in_each_browser};
use crate::common::{Setup, TestServer, until};
use crate::steps::{expect, expect_level};
use serde_json::json;

/// Where swipes begin, on the light `led`.
const PLACES: [&str; 4] = [".track", ".more", ".less", ".lamp"];

/// Lights at 40 percent.
fn lights(count: u8) -> TestServer {
    let first = "[[light]]\non_start = 40\n".to_string();
    let more = |n: u8| {
        format!(
            "[[light]]\nname = \"light-{n}\"\ngpio = {}\non_start = 40\n",
            n + 2
        )
    };
    Setup::with(&(first + &(1..count).map(more).collect::<String>())).start()
}

/// Swipes by 100 pixels at each of these angles, in degrees, to the left and upwards.
async fn swipe_at(angles: &[f64], place: &str, phone: &Window) {
    for angle in angles {
        let (sine, cosine) = angle.to_radians().sin_cos();
        // Where the swipe before has not scrolled it away.
        phone.eval("scrollTo(0, 0)").await;
        phone.press(place).await;
        phone.swipe(-100.0 * cosine, 100.0 * sine).await;
        phone.release().await;
    }
}

/// A phone that no swipe is a hold for, however long a busy machine takes to make it.
async fn phone_without_holds(browser: &Browser, dimmer: &TestServer) -> Window {
    let phone = browser.phone(dimmer).await;
    let never =
        "((later) => window.setTimeout = (task, after) => after === 400 ? 0 : later(task, after))";
    phone.eval(&format!("void {never}(setTimeout)")).await;
    phone.record("led").await;
    phone
}

/// Asserts that no light has been changed since the start of the service.
async fn expect_untouched(phone: &Window, dimmer: &TestServer) {
    // By then all that the page has sent has been handled.
    let mut client = dimmer.client().await;
    client.settled().await;
    assert_eq!(phone.recorded().await, Vec::<f64>::new());
    assert_eq!(dimmer.level("led").await, 40.0);
}

/// With the touchscreen that only Chromium has here.
#[tokio::test]
#[ignore = "needs Chromium; scripts/test.sh installs it and runs this"]
async fn a_swipe_that_is_no_drag_changes_no_light() {
    for count in [1, 3] {
        let dimmer = lights(count);
        let browser = Browser::chromium();
        let phone = phone_without_holds(&browser, &dimmer).await;
        for place in PLACES.map(|place| format!("[data-light=led] {place}")) {
            swipe_at(&[0.0, 5.0, 15.0, 25.0, 40.0], &place, &phone).await;
            if !place.ends_with(".track") {
                swipe_at(&[50.0, 70.0, 90.0], &place, &phone).await;
            }
            expect_untouched(&phone, &dimmer).await;
        }
        // The same swipe along the track is a drag.
        swipe_at(&[60.0], "[data-light=led] .track", &phone).await;
        until("it brightens", async || phone.level("led").await > 50.0).await;
        browser.close().await;
    }
}

/// With the touchscreen that only Chromium has here.
#[tokio::test]
#[ignore = "needs Chromium; scripts/test.sh installs it and runs this"]
async fn a_swipe_that_scrolls_the_tiles_changes_no_light() {
    let dimmer = lights(16);
    let browser = Browser::chromium();
    let phone = phone_without_holds(&browser, &dimmer).await;
    for place in ["[data-light=led] .track", ".master .track", ".master .lamp"] {
        swipe_at(&[50.0, 60.0, 75.0, 90.0], place, &phone).await;
        expect("the page has scrolled", "scrollY > 20", &phone).await;
        expect_untouched(&phone, &dimmer).await;
    }
    swipe_at(&[30.0], "[data-light=led] .track", &phone).await;
    until("it dims", async || phone.level("led").await < 40.0).await;
    browser.close().await;
}

/// In Chromium alone: only DevTools can take a gesture away.
#[tokio::test]
#[ignore = "needs Chromium; scripts/test.sh installs it and runs this"]
async fn a_gesture_that_is_cancelled_goes_back_to_where_it_began() {
    let dimmer = lights(1);
    let browser = Browser::chromium();
    let phone = browser.phone(&dimmer).await;
    let cancel = json!({"type": "touchCancel", "touchPoints": []});

    phone.press("[data-light=led] .track").await;
    phone.slide(30.0).await;
    expect_level(70.0, "led", &dimmer, &[&phone]).await;
    phone
        .devtools("Input.dispatchTouchEvent", cancel.clone())
        .await;
    expect_level(40.0, "led", &dimmer, &[&phone]).await;

    phone.press("[data-light=led] .more").await;
    let held = "document.querySelector('[data-light=led] input').valueAsNumber > 43";
    expect("a hold steps", held, &phone).await;
    phone.devtools("Input.dispatchTouchEvent", cancel).await;
    expect_level(40.0, "led", &dimmer, &[&phone]).await;
    browser.close().await;
}

/// With the touchscreen that only Chromium has here.
#[tokio::test]
#[ignore = "needs Chromium; scripts/test.sh installs it and runs this"]
async fn a_tap_right_after_a_drag_is_not_taken_for_the_end_of_a_scroll() {
    for count in [3, 16] {
        let dimmer = lights(count);
        let browser = Browser::chromium();
        let phone = browser.phone(&dimmer).await;
        // As soon as the browser believes that it scrolls, a script can no longer cancel that.
        let listen =
            "addEventListener('touchmove', ({ cancelable }) => window.moves.push(cancelable))";
        phone
            .eval(&format!("void (window.moves = [], {listen})"))
            .await;
        for percent in [20.0, -20.0, 20.0] {
            phone.press("[data-light=led] .track").await;
            phone.slide(percent).await;
            phone.release().await;
            phone.tap(".master .lamp").await;
            expect_level(0.0, "led", &dimmer, &[&phone]).await;
            phone.tap(".master .lamp").await;
            let on = "document.querySelector('[data-light=led] input').valueAsNumber > 0";
            expect("it is on again", on, &phone).await;
        }
        let moves = phone.eval("moves").await;
        let moves = moves.as_array().unwrap();
        assert!(
            !moves.is_empty() && moves.iter().all(|one| one == true),
            "{moves:?}"
        );
        browser.close().await;
    }
}

async fn the_farther_the_thumb_is_beside_the_track_the_finer_is_the_drag(browser: Browser) {
    let dimmer = lights(1);
    let phone = browser.phone(&dimmer).await;
    phone.press("[data-light=led] .track").await;
    phone.slide(1.0).await;
    phone.swipe(120.0, 0.0).await;
    expect_level(41.0, "led", &dimmer, &[&phone]).await;
    phone.swipe(0.0, 40.0).await;
    let fine = phone.level("led").await - 41.0;
    phone.swipe(-120.0, 0.0).await;
    phone.swipe(0.0, 40.0).await;
    let coarse = phone.level("led").await - 41.0 - fine;
    assert!(fine > 0.0 && fine <= coarse * 0.75, "{fine} and {coarse}");
    phone.release().await;
    browser.close().await;
}

async fn below_10_percent_a_drag_sets_tenths_and_the_grip_always_moves(browser: Browser) {
    let dimmer = lights(1);
    let phone = browser.phone(&dimmer).await;
    phone.press("[data-light=led] .track").await;
    let grip = "document.querySelector('[data-light=led] .fill').getBoundingClientRect().top";
    let mut above = 0.0;
    let (mut level, mut tenths) = (40.0, false);
    for percent in [-31.0, -2.5, -2.5, -1.5, -1.5, -0.8, -2.0] {
        phone.slide(percent).await;
        until("the page is lower, and the light follows", async || {
            let shown = phone.level("led").await;
            shown < level && shown < 10.0 && shown == dimmer.level("led").await
        })
        .await;
        level = phone.level("led").await;
        tenths |= level.fract() != 0.0;
        let top = phone.eval(grip).await.as_f64().unwrap();
        assert!(top > above, "at {level} percent the grip is at {top}");
        above = top;
    }
    assert!(tenths);
    assert_eq!(phone.level("led").await, 0.0);
    phone.release().await;
    browser.close().await;
}

in_each_browser! {
    the_farther_the_thumb_is_beside_the_track_the_finer_is_the_drag,
    below_10_percent_a_drag_sets_tenths_and_the_grip_always_moves,
}
