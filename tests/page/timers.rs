//! The timers in the sheet: to sleep, to wake up, and the list of those there are.

use crate::browser::{Browser, Window, in_both_browsers};
use crate::common::{Setup, TestServer, until};
use crate::steps::{TWO, enter, expect, make_tall, open_part, tap, undo};
use reqwest::Method;
use serde_json::{Value, json};

const FIRST: &str = ".timers .list li:first-child span";

/// The timers by the API, once there are this many.
async fn timers(count: usize, dimmer: &TestServer) -> Vec<Value> {
    let mut timers = Vec::new();
    until(&format!("there are {count} timers"), async || {
        let (_, all) = dimmer.request(Method::GET, "/api/timers", "").await;
        timers = all.as_array().unwrap().clone();
        timers.len() == count
    })
    .await;
    timers
}

async fn a_sleep_timer_turns_the_light_off_after_its_minutes(browser: Browser) {
    let dimmer = TestServer::start();
    let phone = browser.phone(&dimmer).await;
    let other = browser.phone(&dimmer).await;
    open_part("timers", &phone).await;
    open_part("timers", &other).await;
    tap(".sleep .chip:nth-child(2)", &phone).await;
    let timer = &timers(1, &dimmer).await[0];
    assert_eq!(timer["light"], "led");
    assert_eq!(
        (&timer["on"], &timer["transition"]),
        (&json!(false), &json!(60.0))
    );
    // Off after 15 minutes, the last of which it fades.
    let next = timer["next"].as_str().unwrap();
    let wait = format!("(Date.parse('{next}') - Date.now()) / 60000");
    let wait = phone.eval(&wait).await.as_f64().unwrap();
    assert!(wait > 13.0 && wait <= 14.1, "{wait} minutes");
    for window in [&phone, &other] {
        expect(
            "it is in the list",
            &format!(
                "document.querySelector('{FIRST}')?.textContent.includes({})",
                off_at(next)
            ),
            window,
        )
        .await;
    }
    phone.screenshot("phone-timers").await;

    // Another time takes the place of this one.
    tap(".sleep .chip:nth-child(4)", &phone).await;
    until("it is in an hour", async || {
        let timer = &timers(1, &dimmer).await[0];
        timer["next"] != next
    })
    .await;
    tap(".remove", &other).await;
    timers(0, &dimmer).await;
    for window in [&phone, &other] {
        expect(
            "it is gone",
            "!document.querySelector('.timers li')",
            window,
        )
        .await;
    }
    // Undone, it is in an hour again.
    undo(&other).await;
    let next = timers(1, &dimmer).await[0]["next"].clone();
    let wait = format!("(Date.parse({next}) - Date.now()) / 60000");
    let wait = phone.eval(&wait).await.as_f64().unwrap();
    assert!(wait > 57.0 && wait <= 59.1, "{wait} minutes");
    browser.close().await;
}

/// JavaScript for the end of a minute's fade that begins then, as an American phone writes it.
fn off_at(next: &str) -> String {
    format!(
        "'Off at ' + new Intl.DateTimeFormat('en-US', {{ hour: 'numeric', minute: '2-digit', timeZone: 'UTC' }})
            .format(Date.parse('{}Z') + 60000)",
        &next[..19]
    )
}

async fn a_wake_up_timer_has_a_time_days_and_a_sunrise(browser: Browser) {
    let dimmer = Setup::with(TWO).start();
    let phone = browser.phone(&dimmer).await;
    open_part("timers", &phone).await;
    enter(".which select", "desk", &phone).await;
    tap(".waker", &phone).await;
    enter(".wake [name=at]", "06:30", &phone).await;
    enter(".wake [name=minutes]", "20", &phone).await;
    tap(".days [value=mon]", &phone).await;
    tap(".days [value=fri]", &phone).await;
    tap(".wake > button", &phone).await;
    let timer = &timers(1, &dimmer).await[0];
    assert_eq!(timer["light"], "desk");
    assert_eq!(
        (&timer["at"], &timer["days"]),
        (&json!("06:30"), &json!(["mon", "fri"]))
    );
    assert_eq!(
        (&timer["effect"], &timer["transition"]),
        (&json!("sunrise"), &json!(1200.0))
    );
    expect("it is in the list", &format!("/^Sunrise · Desk lamp.* 6:30.AM · Mon Fri$/.test(document.querySelector('{FIRST}')?.textContent)"), &phone).await;
    assert_eq!(
        phone.eval("document.querySelector('.wake').hidden").await,
        true
    );

    // Without days once, and for all lights.
    enter(".which select", "", &phone).await;
    tap(".waker", &phone).await;
    for day in ["mon", "fri"] {
        tap(&format!(".days [value={day}]"), &phone).await;
    }
    tap(".wake > button", &phone).await;
    let all = timers(2, &dimmer).await;
    let once = all.iter().find(|timer| timer["light"].is_null()).unwrap();
    assert!(once["days"].as_array().is_none_or(Vec::is_empty), "{once}");
    expect(
        "both are in the list",
        "document.querySelectorAll('.timers .list li').length === 2",
        &phone,
    )
    .await;
    browser.close().await;
}

async fn timers_of_others_are_listed_in_the_order_of_their_due_times(browser: Browser) {
    let dimmer = TestServer::start();
    let phone = browser.phone(&dimmer).await;
    let mut client = dimmer.client().await;
    client.send(json!({"save": "Film"})).await;
    for timer in [
        json!({"in": 7200, "level": 40, "light": "led", "name": "b"}),
        json!({"in": 3600, "recall": "Film", "name": "a"}),
    ] {
        client.send(json!({ "timer": timer })).await;
    }
    open_part("timers", &phone).await;
    let list = "[...document.querySelectorAll('.timers .list span')].map((item) => item.firstChild.textContent)";
    let both = format!("JSON.stringify({list}) === '[\"Film\",\"40 %\"]'");
    expect("both are listed, the first first", &both, &phone).await;
    // The focus stays in the list when another removes what has it.
    phone
        .eval("document.querySelector('.remove').focus()")
        .await;
    client.send(json!({"cancel": "a"})).await;
    expect(
        "one is left",
        &format!("JSON.stringify({list}) === '[\"40 %\"]'"),
        &phone,
    )
    .await;
    let focused = phone.eval("document.activeElement.className").await;
    assert_eq!(focused, "remove");
    browser.close().await;
}

/// Fills the form of a new timer with these values, submits it, and returns the timers that there are then.
async fn add(fields: &[(&str, &str)], count: usize, dimmer: &TestServer, phone: &Window) -> Value {
    tap(".waker", phone).await;
    for (name, value) in fields {
        let field = format!(".wake [name={name}]");
        let event = format!(
            "document.querySelector('{field}').dispatchEvent(new Event('change', {{ bubbles: true }}))"
        );
        enter(&field, value, phone).await;
        phone.eval(&event).await;
    }
    tap(".wake > button", phone).await;
    timers(count, dimmer).await.into()
}

async fn the_form_makes_every_kind_of_timer(browser: Browser) {
    let settings = format!("latitude = -22.9\nlongitude = -43.2\n{TWO}");
    let dimmer = Setup::with(&settings).start();
    dimmer.request(Method::PUT, "/api/presets/Film", "").await;
    let phone = browser.phone(&dimmer).await;
    open_part("timers", &phone).await;
    make_tall(&phone).await;
    enter(".which select", "desk", &phone).await;
    let kinds: [(&[(&str, &str)], Value); 5] = [
        (
            &[("what", "off"), ("at", "23:30")],
            json!({"light": "desk", "on": false, "at": "23:30"}),
        ),
        (
            &[("what", "on"), ("when", "sunset"), ("offset", "-15")],
            json!({"light": "desk", "on": true, "at": "sunset", "offset": -15}),
        ),
        (
            &[
                ("what", "level"),
                ("level", "12.5"),
                ("when", "sunrise"),
                ("minutes", "2"),
            ],
            json!({"light": "desk", "level": 12.5, "at": "sunrise", "transition": 120.0, "offset": -15}),
        ),
        (
            &[("what", "recall Film"), ("when", "time"), ("at", "20:00")],
            json!({"recall": "Film", "at": "20:00"}),
        ),
        (
            &[
                ("what", "effect candle"),
                ("when", "after"),
                ("after", "90"),
            ],
            json!({"light": "desk", "effect": "candle", "speed": 1}),
        ),
    ];
    for (count, (fields, expected)) in kinds.into_iter().enumerate() {
        let all = add(fields, count + 1, &dimmer, &phone).await;
        let known = |timer: &&Value| {
            let mut timer = (*timer).clone();
            let fields = timer.as_object_mut().unwrap();
            fields.retain(|name, _| !["name", "next"].contains(&name.as_str()));
            timer == expected
        };
        assert!(
            all.as_array().unwrap().iter().any(|timer| known(&timer)),
            "{expected} in {all}"
        );
    }
    // The one that runs out is on the first screen, and not those that come at a time of day.
    tap(".sheet .close", &phone).await;
    let runs = "/^Candle · Desk lamp · .*×Film$/.test(document.querySelector('#bar').textContent)";
    expect("it is on the first screen", runs, &phone).await;
    browser.close().await;
}

/// In Chromium alone, where a page has any time zone.
#[tokio::test]
#[ignore = "needs Chromium; scripts/test.sh installs it and runs this"]
async fn a_timer_shows_its_due_time_in_the_time_zones_of_the_service_and_of_the_phone() {
    let dimmer = TestServer::start();
    let browser = Browser::chromium();
    let phone = browser.phone(&dimmer).await;
    let zone = json!({"timezoneId": "Pacific/Marquesas"});
    phone.devtools("Emulation.setTimezoneOverride", zone).await;
    let body = r#"{"in": 60, "on": true, "light": "led"}"#;
    let (_, timer) = dimmer.request(Method::POST, "/api/timers", body).await;
    let next = timer["next"].as_str().unwrap();
    open_part("timers", &phone).await;
    // Tomorrow if the test runs in the last minute of a day.
    let due = format!(
        "(() => {{
            const clock = (timeZone) => new Intl.DateTimeFormat('en-US', {{ hour: 'numeric', minute: '2-digit', timeZone }});
            const there = clock('UTC').format(Date.parse('{}Z')), here = clock('Pacific/Marquesas').format(Date.parse('{next}'));
            const shown = document.querySelector('.timers .list small')?.textContent;
            return there !== here && ['today', 'tomorrow'].some((day) => shown === `${{day}} ${{there}} (${{here}} here)`);
        }})()",
        &next[..19]
    );
    expect("it says when", &due, &phone).await;
    browser.close().await;
}

in_both_browsers! {
    a_sleep_timer_turns_the_light_off_after_its_minutes,
    a_wake_up_timer_has_a_time_days_and_a_sunrise,
    the_form_makes_every_kind_of_timer,
    timers_of_others_are_listed_in_the_order_of_their_due_times,
}
