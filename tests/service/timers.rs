//! Timers: over the WebSocket, REST and the command line, and after a restart.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Duration;

use crate::common::{Setup, TestServer, dimmer, run_by, until};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use reqwest::Method;
use serde_json::{Value, json};

const ZONE: &str = "America/Sao_Paulo";
const PLACE: &str = "latitude = -23.55\nlongitude = -46.63\n";
const EVERY_DAY: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// A service in the time zone [`ZONE`].
fn in_zone(setup: Setup) -> TestServer {
    setup.start_with(|command| {
        command.env("TZ", ZONE);
    })
}

async fn timers(dimmer: &TestServer) -> Vec<Value> {
    let (_, timers) = dimmer.request(Method::GET, "/api/timers", "").await;
    timers.as_array().unwrap().clone()
}

#[tokio::test]
async fn a_sleep_timer_fades_the_light_out_and_is_gone() {
    let dimmer = TestServer::start();
    let (mut one, mut other) = (dimmer.client().await, dimmer.client().await);
    let timer = json!({"in": 1, "on": false, "transition": 0.2, "light": "led"});
    one.send(json!({ "timer": timer })).await;
    for client in [&mut one, &mut other] {
        let timers = client.next_field("timers").await;
        let next: Timestamp = timers[0]["next"].as_str().unwrap().parse().unwrap();
        assert!(next.duration_since(Timestamp::now()) < SignedDuration::from_secs(2));
        let expected = json!({
            "name": "1", "light": "led", "on": false, "transition": 0.2, "next": timers[0]["next"],
        });
        assert_eq!(timers, json!([expected]));
    }
    for client in [&mut one, &mut other] {
        let update = client.next().await;
        assert_eq!(
            (&update["level"], &update["by"]),
            (&json!(0), &json!("timer"))
        );
        assert!(update["left"].is_number(), "it fades");
        assert_eq!(client.next_field("timers").await, json!([]));
    }
    until("the light is off", async || dimmer.duty("led") == Some(0)).await;
    assert!(dimmer.duties("led").len() > 5, "in steps");
}

#[tokio::test]
async fn a_time_of_day_is_local_and_plays_its_effect_on_all_lights() {
    let dimmer = in_zone(Setup::with(
        "[[light]]\n[[light]]\nname = \"shelf\"\ngpio = 20\n",
    ));
    let mut client = dimmer.client().await;
    client.change("led", json!({"level": 70})).await;
    client.change("shelf", json!({"level": 30})).await;
    let soon =
        Timestamp::now().to_zoned(TimeZone::get(ZONE).unwrap()) + SignedDuration::from_secs(2);
    let at = soon.strftime("%H:%M:%S").to_string();
    let day = soon.strftime("%a").to_string().to_lowercase();
    let wake =
        json!({"at": at, "days": [day], "effect": "sunrise", "transition": 600, "name": "wake"});
    let (status, timer) = dimmer
        .request(Method::POST, "/api/timers", &wake.to_string())
        .await;
    assert_eq!(status, 200, "{timer}");
    let next = soon.strftime("%Y-%m-%dT%H:%M:%S-03:00").to_string();
    assert_eq!(timer["next"], next);
    for light in ["led", "shelf"] {
        let path = format!("/api/lights/{light}");
        until("the sun rises", async || {
            let (_, light) = dimmer.request(Method::GET, &path, "").await;
            light["effect"] == "sunrise" && light["left"].as_f64() > Some(500.0)
        })
        .await;
    }
    let again = soon + SignedDuration::from_hours(7 * 24);
    let again = again.strftime("%Y-%m-%dT%H:%M:%S-03:00").to_string();
    assert_eq!(timers(&dimmer).await[0]["next"], again, "in a week");
}

#[tokio::test]
async fn a_timer_recalls_a_preset() {
    let dimmer = TestServer::start();
    let mut client = dimmer.client().await;
    client
        .send(json!({"timer": {"in": 1, "recall": "Film"}}))
        .await;
    assert_eq!(
        client.next_field("error").await,
        "no preset is called \"Film\""
    );
    client.change("led", json!({"level": 12})).await;
    client.send(json!({"save": "Film"})).await;
    client.change("led", json!({"level": 90})).await;
    client
        .send(json!({"timer": {"in": 1, "recall": "Film"}}))
        .await;
    client.settled().await;
    dimmer.pin_is_at("led", 12.0).await;
}

#[tokio::test]
async fn timers_survive_a_restart_and_missed_ones_are_not_made_up_for() {
    let dimmer = in_zone(Setup::new());
    let mut client = dimmer.client().await;
    for timer in [
        json!({"in": 3, "on": false, "name": "missed"}),
        json!({"in": 3600, "level": 5, "name": "to come"}),
        json!({"at": "07:00", "days": ["mon", "sun"], "level": 5, "name": "each week"}),
    ] {
        client.send(json!({ "timer": timer })).await;
    }
    client.settled().await;
    let before = timers(&dimmer).await;
    let setup = dimmer.stop().1;
    let missed: Timestamp = before[0]["next"].as_str().unwrap().parse().unwrap();
    until("it is missed", async || {
        Timestamp::now() > missed + SignedDuration::from_millis(1)
    })
    .await;

    let dimmer = in_zone(setup);
    let after = timers(&dimmer).await;
    assert_eq!(after, before[1..]);
    assert_eq!(dimmer.level("led").await, 50.0);
    let mut client = dimmer.client().await;
    client.send(json!({"cancel": "to come"})).await;
    let sent = client.next_field("timers").await;
    assert_eq!(sent, json!(after[1..]), "the same on the wire");
    client.send(json!({"cancel": "to come"})).await;
    assert_eq!(
        client.next_field("error").await,
        "no timer is called \"to come\""
    );
}

#[tokio::test]
async fn sun_timers_work_where_the_settings_have_a_position() {
    let dimmer = in_zone(Setup::with(PLACE));
    let body = r#"{"at": "sunset", "offset": -15, "days": ["sat"], "on": true}"#;
    let (status, timer) = dimmer.request(Method::POST, "/api/timers", body).await;
    assert_eq!(status, 200, "{timer}");
    let next = timer["next"].as_str().unwrap();
    let hour: u32 = next[11..13].parse().unwrap();
    assert!(
        (16..=18).contains(&hour),
        "{next}: sunset is from 17:27 to 18:58 there"
    );

    let dimmer = TestServer::start();
    let (status, error) = dimmer.request(Method::POST, "/api/timers", body).await;
    let expected = "at \"sunset\" needs latitude and longitude in the settings";
    assert_eq!((status, &error["error"]), (422, &json!(expected)));
}

#[tokio::test]
async fn the_api_adds_and_cancels_timers_and_refuses_wrong_ones() {
    let dimmer = TestServer::start();
    let request = async |method, path: &str, body| dimmer.request(method, path, body).await;
    let body = r#"{"in": 600, "level": 5, "name": "A"}"#;
    assert_eq!(request(Method::POST, "/api/timers", body).await.0, 200);
    assert_eq!(request(Method::DELETE, "/api/timers/A", "").await.0, 204);
    assert!(timers(&dimmer).await.is_empty());
    for (method, path, body, status, expected) in [
        (
            Method::DELETE,
            "/api/timers/A",
            "",
            404,
            "no timer is called \"A\"",
        ),
        (
            Method::POST,
            "/api/timers",
            "{}",
            400,
            "a timer has either in or at",
        ),
        (
            Method::POST,
            "/api/timers",
            r#"{"in": 0, "on": true}"#,
            422,
            "in must be from 1",
        ),
        (
            Method::POST,
            "/api/timers",
            r#"{"in": 9, "on": true, "light": "x"}"#,
            404,
            "no light",
        ),
        (
            Method::POST,
            "/api/timers",
            r#"{"in": 9, "effect": "blink", "speed": 5}"#,
            422,
            "speed",
        ),
    ] {
        let (got, body) = request(method, path, body).await;
        let error = body["error"].as_str().unwrap();
        assert_eq!(got, status, "{path}: {error}");
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn the_command_line_adds_lists_and_cancels() {
    let service = in_zone(Setup::new());
    let run = |arguments: &[&str]| {
        let mut command = dimmer();
        command.args(["timer"]).args(arguments);
        let output = command.env("DIMMER_URL", service.url("")).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let out = run(&[
        "add", "--at", "07:00", "--days", "mon,tue", "--effect", "sunrise", "--name", "wake",
    ]);
    assert!(out.contains("T07:00:00-03:00  wake  {"), "{out}");
    assert!(
        out.ends_with("\"effect\":\"sunrise\",\"speed\":1}\n"),
        "{out}"
    );
    run(&["add", "--in", "60", "--off", "--transition", "10"]);
    let out = run(&["list"]);
    assert!(
        out.lines().next().unwrap().contains("  1  {\"on\":false"),
        "{out}"
    );
    run(&["cancel", "wake"]);
    run(&["cancel", "1"]);
    assert_eq!(run(&["list"]), "");
}

#[tokio::test]
async fn a_timer_costs_nothing_until_it_is_due() {
    let dimmer = TestServer::start();
    let body = r#"{"in": 3600, "on": false}"#;
    assert_eq!(
        dimmer.request(Method::POST, "/api/timers", body).await.0,
        200
    );
    until("it rests", async || {
        let before = dimmer.switches();
        tokio::time::sleep(Duration::from_secs(2)).await;
        dimmer.switches() == before
    })
    .await;
}

/// A service with one timer, of which `body` is the rest, in place of all others.
async fn with_timer(dimmer: TestServer, body: Value) -> (Value, TestServer) {
    let mut body = body;
    body["name"] = json!("dusk");
    body["level"] = json!(40);
    let (status, timer) = dimmer
        .request(Method::POST, "/api/timers", &body.to_string())
        .await;
    assert_eq!(status, 200, "{timer}");
    (timer, dimmer)
}

#[tokio::test]
async fn a_sun_timer_waits_through_a_start_without_a_place() {
    let dimmer = in_zone(Setup::with(PLACE));
    let sunset = json!({"at": "sunset", "days": EVERY_DAY});
    let (mut timer, dimmer) = with_timer(dimmer, sunset).await;
    let setup = dimmer.stop().1;

    let dimmer = in_zone(setup.with_settings(""));
    let mut waiting = timer.clone();
    waiting.as_object_mut().unwrap().remove("next");
    waiting["waiting"] = json!("place");
    assert_eq!(timers(&dimmer).await, [waiting.clone()]);
    let mut client = dimmer.client().await;
    let log = dimmer.log();
    assert!(
        log.contains("\"dusk\" waits: at \"sunset\" needs latitude"),
        "{log}"
    );
    client
        .send(json!({"timer": {"in": 3600, "on": false}}))
        .await;
    let sent = client.next_field("timers").await;
    assert_eq!(sent[1], waiting, "the same on the wire, after all others");
    client.send(json!({"cancel": "1"})).await;
    client.settled().await;
    let setup = dimmer.stop().1;

    let dimmer = in_zone(setup.with_settings(PLACE));
    let mut again = timers(&dimmer).await;
    assert_eq!(again.len(), 1);
    assert!(again[0]["next"].is_string());
    for timer in [&mut again[0], &mut timer] {
        timer.as_object_mut().unwrap().remove("next");
    }
    assert_eq!(again[0], timer, "it works again");
}

#[tokio::test]
async fn timers_wait_while_the_time_zone_cannot_be_read() {
    let morning = json!({"at": "07:00", "days": EVERY_DAY});
    let (timer, dimmer) = with_timer(in_zone(Setup::new()), morning).await;
    let setup = dimmer.stop().1;
    let dimmer = setup.start_with(|command| {
        command.env("TZ", "Nowhere/Land");
    });
    assert_eq!(timers(&dimmer).await[0]["waiting"], "zone");
    let body = r#"{"at": "08:00", "on": true}"#;
    let (status, error) = dimmer.request(Method::POST, "/api/timers", body).await;
    let expected =
        "at \"08:00\" needs a time zone, but the one of TZ or /etc/localtime cannot be read";
    assert_eq!((status, &error["error"]), (422, &json!(expected)));
    let setup = dimmer.stop().1;
    let again = timers(&in_zone(setup)).await;
    assert_eq!(again[0]["at"], timer["at"]);
    assert!(
        again[0]["next"]
            .as_str()
            .unwrap()
            .ends_with("T07:00:00-03:00")
    );
}

#[tokio::test]
#[ignore = "needs root, to mount another /etc; scripts/test.sh runs this"]
async fn timers_follow_a_change_of_the_time_zone() {
    let setup = Setup::new();
    let etc = setup.path().join("etc");
    let copied = Command::new("cp").args(["-a", "/etc"]).arg(&etc).status();
    assert!(copied.unwrap().success());
    let set_zone = |zone: &str| {
        let new = etc.join("localtime.new");
        symlink(format!("/usr/share/zoneinfo/{zone}"), &new).unwrap();
        fs::rename(new, etc.join("localtime")).unwrap();
    };
    set_zone(ZONE);
    let mut unshare = Command::new("unshare");
    unshare
        .args(["-m", "sh", "-c", r#"mount --bind "$0" /etc && exec "$@""#])
        .arg(&etc);
    let mut command = run_by(unshare, &setup.command());
    command.env_remove("TZ");
    let dimmer = setup.start_by(command);
    let morning = json!({"at": "07:00", "days": EVERY_DAY});
    let (timer, dimmer) = with_timer(dimmer, morning).await;
    let local = |timer: &Value, offset: &str| {
        let next = timer["next"].as_str().unwrap();
        next.ends_with(&format!("T07:00:00{offset}"))
    };
    assert!(local(&timer, "-03:00"), "{timer}");
    for (zone, offset) in [("Asia/Kolkata", "+05:30"), (ZONE, "-03:00")] {
        set_zone(zone);
        until(zone, async || local(&timers(&dimmer).await[0], offset)).await;
    }
}
