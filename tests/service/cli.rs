//! `dimmer set`, `get`, `watch` and `ping` against the running service.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::common::{Setup, TestServer, dimmer};
use serde_json::json;

/// The exit code of a client command, and what it prints on stdout and on stderr.
fn client(service: &TestServer, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = dimmer()
        .args(arguments)
        .env("DIMMER_URL", service.url(""))
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn prints(service: &TestServer, arguments: &[&str], expected: &str) {
    let (code, out, error) = client(service, arguments);
    assert_eq!(
        (code, out.as_str()),
        (Some(0), expected),
        "{arguments:?}: {error}"
    );
}

#[test]
fn set_prints_the_resulting_level() {
    let service = Setup::with("[[light]]\n[[light]]\nname = \"shelf\"\ngpio = 20\n").start();
    prints(&service, &["set", "40"], "led 40\n");
    prints(&service, &["set", "40.04"], "led 40\n");
    prints(&service, &["set", "+2.5"], "led 42.5\n");
    prints(&service, &["set", "-10"], "led 32.5\n");
    prints(&service, &["set", "off"], "led 0\n");
    prints(&service, &["set", "on"], "led 32.5\n");
    prints(&service, &["set", "toggle"], "led 0\n");
    prints(
        &service,
        &["set", "7", "--light", "shelf", "--transition", "0.1"],
        "shelf 7\n",
    );
    prints(&service, &["get"], "led 0\nshelf 7\n");
    prints(&service, &["get", "--light", "shelf"], "7\n");
}

#[test]
fn effects_are_played_and_presets_kept() {
    let service = TestServer::start();
    prints(&service, &["set", "40"], "led 40\n");
    prints(&service, &["preset", "list"], "");
    prints(&service, &["preset", "save", "Film"], "");
    prints(&service, &["set", "off"], "led 0\n");
    prints(&service, &["effect", "breathe", "--speed", "2"], "led 40\n");
    prints(
        &service,
        &["effect", "sunrise", "--transition", "60"],
        "led 40\n",
    );
    prints(&service, &["effect", "none"], "led 40\n");
    prints(&service, &["set", "90"], "led 90\n");
    prints(&service, &["preset", "list"], "Film\n");
    prints(
        &service,
        &["preset", "recall", "Film", "--transition", "0"],
        "",
    );
    prints(&service, &["get"], "led 40\n");
    prints(&service, &["preset", "forget", "Film"], "");
    prints(&service, &["preset", "list"], "");
}

#[test]
fn a_request_that_the_service_refuses_is_an_error_in_one_line() {
    let service = TestServer::start();
    for (arguments, expected) in [
        (
            &["preset", "recall", "Film"][..],
            "dimmer: no preset is called \"Film\"\n",
        ),
        (
            &["effect", "blink", "--speed", "4"],
            "dimmer: speed must be from 0.1 to 3, not 4: more is for lights with allow_fast_strobe\n",
        ),
        (
            &["set", "5", "--light", "cellar"],
            "dimmer: no light is called \"cellar\"\n",
        ),
        (
            &["get", "--light", "cellar"],
            "dimmer: no light is called \"cellar\"\n",
        ),
        (
            &["set", "5", "--transition", "4000"],
            "dimmer: transition must be from 0 to 3600 seconds, not 4000\n",
        ),
    ] {
        let (code, out, error) = client(&service, arguments);
        assert_eq!(
            (code, out.as_str(), error.as_str()),
            (Some(1), "", expected)
        );
    }
}

#[test]
fn an_unreachable_service_is_an_error_that_says_what_to_do() {
    let service = TestServer::start();
    let url = service.url("");
    drop(service);
    for arguments in [&["get"][..], &["set", "1"], &["watch"], &["ping"]] {
        let output = dimmer()
            .args(arguments)
            .args(["--url", &url])
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(
            error.starts_with(&format!("dimmer: cannot reach {url}: ")),
            "{error}"
        );
        assert!(
            error.ends_with("start the service, or set --url\n"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn watch_prints_each_change_and_ends_with_the_service() {
    let service = TestServer::start();
    let mut watch = dimmer()
        .args(["watch", "--url", &service.url("")])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "led 50");

    let mut client = service.client().await;
    client.send(json!(42)).await;
    assert_eq!(lines.next().unwrap().unwrap(), "led 42");
    client.send(json!({"name": "Ana"})).await;
    client.send(json!(43)).await;
    assert_eq!(lines.next().unwrap().unwrap(), "led 43 by Ana");
    for (message, line) in [
        (
            json!({"effect": "candle", "speed": 2}),
            "led 43 candle at speed 2 by Ana",
        ),
        (json!({"save": "Film"}), "presets: Film"),
        (
            json!({"timer": {"in": 60, "on": false, "name": "sleep"}}),
            "timers: sleep",
        ),
        (json!({"cancel": "sleep"}), "timers: "),
    ] {
        client.send(message).await;
        assert_eq!(lines.next().unwrap().unwrap(), line);
    }

    drop(service);
    assert!(lines.next().is_none());
    assert_eq!(watch.wait().unwrap().code(), Some(1));
}

#[test]
fn ping_prints_each_round_trip_and_a_summary() {
    let service = TestServer::start();
    let (code, out, error) = client(&service, &["ping", "--count", "3"]);
    assert_eq!(code, Some(0), "{error}");
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 4);
    assert!(
        lines[0].starts_with("1: ") && lines[0].ends_with(" ms"),
        "{out}"
    );
    assert!(lines[3].starts_with("3 round trips: min "), "{out}");
}
