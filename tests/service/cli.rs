//! `dimmer set`, `get`, `watch` and `ping` against the running service, and against servers that mean harm.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::common::{Setup, TestServer, dimmer};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

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
            "dimmer: speed of \"led\" must be from 0.1 to 3, not 4: more is for lights with allow_fast_strobe\n",
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

/// The URL of a server that does this with its only client.
fn server(serve: impl FnOnce(WebSocket<TcpStream>) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        serve(tungstenite::accept(stream).unwrap());
    });
    format!("http://{address}")
}

fn send(socket: &mut WebSocket<TcpStream>, messages: &[Value]) {
    for message in messages {
        // The client may have ended.
        let _ = socket.send(Message::text(message.to_string()));
    }
}

/// What a command answers to a server that sends these messages, and later these to each request.
fn answer(arguments: &[&str], greeting: Value, later: Value) -> (Option<i32>, String, String) {
    let url = server(move |mut socket| {
        send(&mut socket, greeting.as_array().unwrap());
        while socket.read().is_ok() {
            send(&mut socket, later.as_array().unwrap());
        }
    });
    let output = dimmer().args(arguments).env("DIMMER_URL", url).output();
    let output = output.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, error) = (text(output.stdout), text(output.stderr));
    (output.status.code(), out, error)
}

#[test]
fn no_text_of_a_server_acts_on_the_terminal() {
    let evil = "a\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}\u{2028}b\nforged";
    let greeting = json!([
        {"hello": {"version": "1", "page": 1, "lights": [{"name": evil}]}},
        {"light": evil, "level": 50, "by": evil},
        {"fault": {"light": evil, "message": evil}},
        {"presets": [evil]},
        {"timers": [{"name": evil, "next": evil, "light": evil}]},
    ]);
    let bare = |text: &str| {
        let acts = |letter: char| {
            letter.is_control() && letter != '\n' || matches!(letter, '\u{202e}' | '\u{2028}')
        };
        assert!(!text.contains(acts), "{text:?}");
        assert!(!text.contains("\nforged"), "{text:?}");
    };
    for (arguments, code) in [
        (&["get"][..], 0),
        (&["set", "5"], 1),
        (&["preset", "list"], 1),
        (&["preset", "recall", "x"], 1),
        (&["timer", "list"], 1),
    ] {
        let (actual, out, error) = answer(arguments, greeting.clone(), json!([{"error": evil}]));
        assert_eq!(actual, Some(code), "{arguments:?}: {error:?}");
        bare(&out);
        bare(&error);
        assert!((out + &error).contains("owned"), "{arguments:?}");
    }
    for arguments in [&["preset", "list"][..], &["timer", "list"], &["set", "5"]] {
        let (code, out, error) = answer(arguments, greeting.clone(), json!([{"echo": "done"}]));
        assert_eq!(code, Some(0), "{arguments:?}: {error:?}");
        bare(&out);
    }
    let url = server(move |mut socket| send(&mut socket, greeting.as_array().unwrap()));
    let output = dimmer().args(["watch", "--url", &url]).output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(out.contains("fault"), "{out}");
    bare(&out);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_server_without_lights_is_an_error_and_no_panic() {
    let greeting = json!([{"hello": {"version": "1", "page": 1, "lights": []}}]);
    let (code, out, error) = answer(&["set", "5"], greeting.clone(), json!([{"echo": "done"}]));
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert_eq!(error, "dimmer: the service has no lights\n");
    let (code, out, _) = answer(&["get"], greeting, json!([]));
    assert_eq!((code, out.as_str()), (Some(0), ""));
}

#[test]
fn a_server_that_says_everything_but_the_answer_is_given_up() {
    let hello = json!({"hello": {"version": "1", "page": 1, "lights": [{"name": "led"}]}});
    let level = json!({"light": "led", "level": 50});
    let commands = [
        (vec!["get"], vec![hello.clone()]),
        (vec!["set", "5"], vec![hello.clone(), level.clone()]),
        (vec!["preset", "list"], vec![]),
        (vec!["ping"], vec![hello, level]),
    ];
    let drips = [
        Message::Ping(Default::default()),
        Message::text(json!({"pages": 2}).to_string()),
    ];
    let mut clients = Vec::new();
    for (arguments, greeting) in commands {
        for drip in drips.clone() {
            let (greeting, arguments) = (greeting.clone(), arguments.clone());
            clients.push(thread::spawn(move || {
                let url = server(move |mut socket| {
                    send(&mut socket, &greeting);
                    while socket.send(drip.clone()).is_ok() {
                        thread::sleep(Duration::from_millis(50));
                    }
                });
                let output = dimmer().args(&arguments).env("DIMMER_URL", url).output();
                let output = output.unwrap();
                let error = String::from_utf8(output.stderr).unwrap();
                assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
                assert!(error.ends_with(" does not answer\n"), "{error}");
            }));
        }
    }
    for client in clients {
        client.join().unwrap();
    }
}

#[test]
fn watch_ends_quietly_when_nobody_reads_it_any_more() {
    let service = TestServer::start();
    let mut watch = dimmer()
        .args(["watch", "--url", &service.url("")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    let mut out = BufReader::new(watch.stdout.take().unwrap());
    out.read_line(&mut first).unwrap();
    assert_eq!(first, "led 50\n");
    drop(out);
    // Nothing else happens to the light.
    let output = watch.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn a_variable_that_is_empty_is_not_set() {
    let setup = Setup::new();
    let variables = [
        "DIMMER_CONFIG",
        "DIMMER_GPIO",
        "DIMMER_DRIVER",
        "DIMMER_FREQUENCY",
        "DIMMER_LISTEN",
        "DIMMER_ALLOWED_HOSTS",
        "DIMMER_PASSWORD_FILE",
        "DIMMER_STATE_DIR",
        "DIMMER_TRACE",
        "DIMMER_LOG",
        "DIMMER_URL",
        "DIMMER_CA",
        "DIMMER_PASSWORD",
        "CREDENTIALS_DIRECTORY",
        "STATE_DIRECTORY",
    ];
    let run = |arguments: &[&str]| {
        let mut command = dimmer();
        command.args(arguments).current_dir(setup.path());
        command.env("HOME", setup.path());
        for variable in variables {
            command.env(variable, "");
        }
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let (code, out, error) = run(&["serve", "--check", "--driver", "simulated"]);
    assert_eq!(code, Some(0), "{error}");
    assert!(out.contains("listen 0.0.0.0:5000"), "{out}");
    let (code, _, error) = run(&["doctor"]);
    assert_eq!(code, Some(0), "{error}");
    // Port 1 belongs to nobody here.
    let (code, _, error) = run(&["get", "--url", "http://127.0.0.1:1"]);
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("cannot reach http://127.0.0.1:1"), "{error}");
}
