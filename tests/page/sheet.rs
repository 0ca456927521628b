//! The sheet below the page: what it weighs, how hands and keyboards get into it and out of it.

use std::collections::HashSet;

use crate::browser::{Browser, ENTER, ESCAPE, LEFT, RIGHT, TAB, Window, in_both_browsers};
use crate::common::{Setup, TestServer};
use crate::steps::{
    BREATHE, CLOSE, CLOSED, CONNECTIONS, OPEN, OPENER, SUNRISE, TWO, chip, enter, expect,
    expect_effect, expect_level, expect_text, make_tall, open_part, open_sheet, show_part, tap,
};
use reqwest::Method;
use serde_json::json;

const SPACE: char = ' ';
#[tokio::test]
#[ignore = "needs Chromium; scripts/test.sh installs it and runs this"]
async fn the_sheet_is_loaded_when_it_is_first_opened_and_all_together_weighs_little() {
    let dimmer = Setup::with(TWO).start();
    let browser = Browser::chromium();
    let phone = browser.phone(&dimmer).await;
    let page = phone.eval("location.href").await;
    let loaded = "performance.getEntriesByType('resource').map((entry) => entry.name)";
    let sheet = format!("{loaded}.some((name) => name.includes('sheet'))");
    assert_eq!(phone.eval(&sheet).await, false);
    open_sheet(&phone).await;
    assert_eq!(phone.eval(&sheet).await, true);
    // The countdown too, which comes with the first long transition.
    dimmer
        .request(
            Method::PUT,
            "/api/lights/led",
            r#"{"level": 5, "transition": 60}"#,
        )
        .await;
    let counts = format!("{loaded}.some((name) => name.includes('countdown'))");
    expect("the countdown is loaded", &counts, &phone).await;

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
    assert!(all > 15_000.0 && all <= 43_450.0, "{all} bytes");
    browser.close().await;
}

async fn an_error_is_shown_in_the_sheet_in_the_words_of_the_service(browser: Browser) {
    let dimmer = TestServer::start();
    let phone = browser.phone(&dimmer).await;
    let mut client = dimmer.client().await;
    for number in 0..32 {
        client
            .send(json!({"save": format!("Preset {number}")}))
            .await;
    }
    client.settled().await;
    open_part("presets", &phone).await;
    enter(".save input", "One more", &phone).await;
    tap(".save button", &phone).await;
    expect(
        "the error is shown",
        "document.querySelector('.said').textContent.includes('32')",
        &phone,
    )
    .await;
    client.send(json!({"save": "One more"})).await;
    let error = client.next_field("error").await;
    expect_text(".said", error.as_str().unwrap(), &phone).await;
    phone.screenshot("phone-sheet-error").await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium; scripts/test.sh installs it and runs this"]
async fn a_finger_pulls_the_sheet_up_and_down() {
    let dimmer = TestServer::start();
    let browser = Browser::chromium();
    let phone = browser.phone(&dimmer).await;
    let tall =
        "document.querySelector('.sheet.tall') !== null && document.querySelector('main').inert";
    let half = "document.querySelector('.sheet[open]:not(.tall)') !== null && !document.querySelector('main').inert";
    let swipe = async |up: f64| {
        phone.press(".sheet .head").await;
        phone.swipe(0.0, up).await;
        phone.release().await;
    };
    for _ in 0..2 {
        phone.press(OPENER).await;
        phone.swipe(0.0, 200.0).await;
        phone.release().await;
        expect("it is up and still", OPEN, &phone).await;
        if phone.eval(tall).await == false {
            swipe(200.0).await;
        }
        expect("it is tall", tall, &phone).await;
        expect("it is still", OPEN, &phone).await;
        swipe(-200.0).await;
        expect("it is half as high", half, &phone).await;
        expect("it is still", OPEN, &phone).await;
        swipe(-200.0).await;
        expect("it is down", CLOSED, &phone).await;
    }
    assert_eq!(phone.level("led").await, 50.0);
    browser.close().await;
}

async fn the_light_is_usable_beside_the_sheet_and_back_closes_it(browser: Browser) {
    let dimmer = TestServer::start();
    let phone = browser.phone(&dimmer).await;
    open_sheet(&phone).await;
    phone.tap("[data-light=led] .lamp").await;
    expect_level(0.0, "led", &dimmer, &[&phone]).await;
    phone.tap("[data-light=led] .lamp").await;
    expect_level(50.0, "led", &dimmer, &[&phone]).await;
    phone.press("[data-light=led] .track").await;
    phone.slide(20.0).await;
    phone.release().await;
    expect_level(70.0, "led", &dimmer, &[&phone]).await;
    assert_eq!(phone.eval(OPEN).await, true);
    phone.screenshot("phone-sheet").await;

    let length = phone.eval("history.length").await;
    phone.eval("history.back()").await;
    expect("it is closed", CLOSED, &phone).await;
    open_sheet(&phone).await;
    tap(CLOSE, &phone).await;
    expect("it is closed", CLOSED, &phone).await;
    // Also after a reload of the page with an open sheet.
    open_sheet(&phone).await;
    phone.reload().await;
    phone.is_live().await;
    expect("it is closed", "!document.querySelector('.sheet')", &phone).await;
    open_sheet(&phone).await;
    tap(CLOSE, &phone).await;
    expect("it is closed", CLOSED, &phone).await;
    let state = "!history.state?.sheet";
    assert_eq!(phone.eval(state).await, true);
    assert_eq!(phone.eval("history.length").await, length);
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

async fn the_keyboard_alone_walks_through_the_sheet_and_back_out(browser: Browser) {
    let dimmer = TestServer::start();
    let mut client = dimmer.client().await;
    client.send(json!({"save": "Evening"})).await;
    client.settled().await;
    // The page has all of this from its start.
    let desktop = browser.desktop(&dimmer).await;
    // A light is one stop, its slider; then there is the preset.
    for stop in ["range", "button", "opener"] {
        desktop.key(TAB).await;
        assert_eq!(focused(&desktop).await, stop);
    }
    desktop.key(ENTER).await;
    expect(
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
    let count = |name: &str| seen.iter().filter(|seen| *seen == name).count();
    // Effects, who is here, settings, and the backup; around the end are the light, the bar and the foot of the page.
    assert_eq!(count("chip"), 6 + 1 + 1 + 1, "{seen:?}");
    for name in [
        "chip restore",
        "speed",
        "range",
        "button",
        "opener",
        "tab-now",
    ] {
        assert_eq!(count(name), 1, "{name}: {seen:?}");
    }

    desktop
        .eval("document.querySelector('#tab-now').focus()")
        .await;
    for (key, tab) in [
        (RIGHT, "tab-presets"),
        (RIGHT, "tab-timers"),
        (RIGHT, "tab-now"),
        (LEFT, "tab-timers"),
        (RIGHT, "tab-now"),
    ] {
        desktop.key(key).await;
        assert_eq!(focused(&desktop).await, tab);
        let part = format!(
            "!document.querySelector('#{}').hidden",
            tab.replace("tab", "part")
        );
        assert_eq!(desktop.eval(&part).await, true);
    }
    for _ in ["close", "none", "breathe"] {
        desktop.key(TAB).await;
    }
    desktop.key(SPACE).await;
    expect_effect(json!("breathe"), json!(1), "led", &dimmer).await;
    desktop.key(ESCAPE).await;
    expect("the sheet is closed", CLOSED, &desktop).await;
    assert_eq!(focused(&desktop).await, "opener");
    browser.close().await;
}

/// Not in Firefox, where a button takes no key from WebDriver while no window manager has given the window the focus.
#[tokio::test]
#[ignore = "needs Chromium; scripts/test.sh installs it and runs this"]
async fn the_keyboard_alone_walks_through_the_sheet_in_chromium() {
    the_keyboard_alone_walks_through_the_sheet_and_back_out(Browser::chromium()).await;
}

#[tokio::test]
#[ignore = "needs WebKit; scripts/test.sh installs it and runs this"]
async fn the_keyboard_alone_walks_through_the_sheet_in_webkit() {
    the_keyboard_alone_walks_through_the_sheet_and_back_out(Browser::webkit()).await;
}

async fn a_target_is_as_large_as_a_thumb_and_has_a_name(browser: Browser) {
    let dimmer = Setup::with(TWO).start();
    let mut client = dimmer.client().await;
    client.send(json!({"save": "Evening"})).await;
    client.settled().await;
    let phone = browser.phone(&dimmer).await;
    open_sheet(&phone).await;
    // The handle is only as high as WCAG asks for: a thumb pulls at all of the head.
    let small = "[...document.querySelectorAll('button, input, select')]
        .filter((one) => one.checkVisibility() && !one.matches('.handle') && (one.type !== 'range' || one.closest('.sheet')))
        .map((one) => [one.className || one.name || one.type, one.getBoundingClientRect()])
        .filter(([, box]) => box.height < 44 || box.width < 43)
        .map(([name, box]) => `${name}: ${box.width} x ${box.height}`)";
    tap(&chip(SUNRISE), &phone).await;
    assert_eq!(phone.eval(small).await, json!([]));
    make_tall(&phone).await;
    phone.screenshot("phone-sheet-all").await;
    for part in ["presets", "timers"] {
        show_part(part, &phone).await;
        if part == "timers" {
            tap(".waker", &phone).await;
        }
        assert_eq!(phone.eval(small).await, json!([]), "{part}");
        expect("it is still", OPEN, &phone).await;
        phone.screenshot(&format!("phone-sheet-{part}")).await;
    }
    browser.close().await;
}

async fn a_portuguese_phone_reads_a_portuguese_sheet(browser: Browser) {
    let dimmer = TestServer::start();
    let phone = browser.phone_in("pt-BR", dimmer.address.port()).await;
    expect_text(OPENER, "Efeitos, cenas, timers", &phone).await;
    open_sheet(&phone).await;
    let text = phone
        .eval("document.querySelector('.sheet').textContent")
        .await;
    let text = text.as_str().unwrap();
    for word in [
        "Agora",
        "Vela",
        "Velocidade",
        "Salvar",
        "Desligar em",
        "Novo timer",
        "seg",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(!text.contains("undefined"), "{text}");
    for word in ["Effect", "Save", "Off in", "Mon", "minutes"] {
        assert!(!text.contains(word), "{word}: {text}");
    }
    enter(".effects [type=range]", "1.5", &phone).await;
    expect_text(".effects output", "1,5×", &phone).await;
    phone.screenshot("phone-sheet-portuguese").await;
    browser.close().await;
}

async fn without_the_service_the_sheet_waits_and_closes(browser: Browser) {
    let dimmer = TestServer::start();
    let phone = browser.phone(&dimmer).await;
    open_sheet(&phone).await;
    let (_, setup) = dimmer.stop();
    let disabled = "document.querySelector('.sheet fieldset').disabled";
    expect("nothing can be set", disabled, &phone).await;
    tap(CLOSE, &phone).await;
    expect("it is closed", CLOSED, &phone).await;
    let dimmer = setup.start();
    phone.is_live().await;
    open_sheet(&phone).await;
    tap(&chip(BREATHE), &phone).await;
    expect_effect(json!("breathe"), json!(1), "led", &dimmer).await;
    browser.close_despite(&[CONNECTIONS]).await;
}

in_both_browsers! {
    an_error_is_shown_in_the_sheet_in_the_words_of_the_service,
    the_light_is_usable_beside_the_sheet_and_back_closes_it,
    a_target_is_as_large_as_a_thumb_and_has_a_name,
    a_portuguese_phone_reads_a_portuguese_sheet,
    without_the_service_the_sheet_waits_and_closes,
}
