//! Backups: made and restored by REST, by the command line, and from the folder of a service that does not run.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::process::{Output, Stdio};

use crate::common::{Setup, TestServer, dimmer, until};
use reqwest::{Client, Method};
use serde_json::{Value, json};

const PATH: &str = "/api/backup";
const TWO: &str = "[[light]]\n[[light]]\nname = \"shelf\"\ngpio = 20\n";
const ATTIC: &str = "[[light]]\n[[light]]\nname = \"attic\"\ngpio = 20\n";

async fn backup(service: &TestServer) -> Value {
    let (status, backup) = service.request(Method::GET, PATH, "").await;
    assert_eq!(status, 200, "{backup}");
    backup
}

async fn restore(service: &TestServer, backup: &Value) -> Value {
    let answer = service
        .request(Method::PUT, PATH, &backup.to_string())
        .await;
    assert_eq!(answer.0, 200, "{}", answer.1);
    answer.1
}

/// The lights, presets and timers of a backup.
fn state(backup: &Value) -> Value {
    let mut state = backup.clone();
    let fields = state.as_object_mut().unwrap();
    fields.remove("backup");
    // A backup says that none was set here, and the file does not.
    if fields.get("settings") == Some(&json!({})) {
        fields.remove("settings");
    }
    state
}

async fn set(service: &TestServer, light: &str, change: &Value) {
    let path = format!("/api/lights/{light}");
    let answer = service
        .request(Method::PUT, &path, &change.to_string())
        .await;
    assert_eq!(answer.0, 200, "{}", answer.1);
}

async fn add_timer(service: &TestServer, timer: &Value) {
    let answer = service
        .request(Method::POST, "/api/timers", &timer.to_string())
        .await;
    assert_eq!(answer.0, 200, "{}", answer.1);
}

/// A level, an effect, a preset and two timers.
async fn fill(service: &TestServer) {
    set(service, "led", &json!({"level": 30})).await;
    set(service, "led", &json!({"on": false})).await;
    set(service, "shelf", &json!({"effect": "candle", "speed": 2})).await;
    let saved = service.request(Method::PUT, "/api/presets/Film", "").await;
    assert_eq!(saved.0, 200);
    let weekly = json!({"at": "07:00", "days": ["mon"], "recall": "Film", "name": "wake"});
    add_timer(service, &weekly).await;
    add_timer(service, &json!({"in": 3600, "on": false, "light": "led"})).await;
}

/// The result of a command of the command line with this standard input.
fn run(service: &TestServer, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = dimmer();
    command.args(arguments).env("DIMMER_URL", service.url(""));
    run_with(command, input)
}

fn run_with(mut command: std::process::Command, input: &[u8]) -> Output {
    let command = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The command may not read all of it.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn printed(output: &Output) -> (bool, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let success = output.status.success();
    (success, text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn a_backup_restores_levels_effects_presets_and_timers_for_everyone_at_once() {
    let service = Setup::with(TWO).start();
    fill(&service).await;
    let kept = backup(&service).await;
    assert_eq!(kept["backup"]["version"], env!("CARGO_PKG_VERSION"));

    let (mut one, mut other) = (service.client().await, service.client().await);
    set(&service, "led", &json!({"level": 80})).await;
    set(&service, "shelf", &json!({"level": 5})).await;
    service
        .request(Method::DELETE, "/api/presets/Film", "")
        .await;
    service.request(Method::PUT, "/api/presets/Later", "").await;
    service
        .request(Method::DELETE, "/api/timers/wake", "")
        .await;
    for client in [&mut one, &mut other] {
        client.settled().await;
    }

    for _ in 0..2 {
        let answer = restore(&service, &kept).await;
        let expected = json!({"lights": 2, "presets": 1, "timers": 2, "notes": []});
        assert_eq!(answer, expected);
        assert_eq!(
            state(&backup(&service).await),
            state(&kept),
            "restored twice is the same"
        );
    }
    for client in [&mut one, &mut other] {
        let received = client.settled().await;
        let has = |field: &str, value: Value| received.iter().any(|it| it[field] == value);
        assert!(has("presets", json!(["Film"])), "{received:?}");
        assert!(
            received
                .iter()
                .any(|it| it["effect"] == "candle" && it["speed"] == 2)
        );
        assert_eq!(client.levels["led"], 0.0);
    }
    service.pin_is_at("led", 0.0).await;
    set(&service, "led", &json!({"on": true})).await;
    assert_eq!(
        service.level("led").await,
        30.0,
        "the level that was chosen last"
    );

    until("the activity has it", async || {
        let received = service.client().await.greeting;
        let entries = received.iter().filter_map(|it| it["activity"].as_array());
        let mut entries = entries.flatten();
        entries.any(|it| it["what"] == "restored" && it["via"] == "api")
    })
    .await;
}

#[tokio::test]
async fn what_was_restored_is_there_after_a_restart_and_what_was_before_in_a_copy() {
    let service = Setup::with(TWO).start();
    fill(&service).await;
    let kept = backup(&service).await;
    set(&service, "led", &json!({"level": 80})).await;
    service
        .request(Method::DELETE, "/api/presets/Film", "")
        .await;
    let (_, setup) = service.stop();
    let before: Value = serde_json::from_slice(&fs::read(setup.levels_file()).unwrap()).unwrap();

    let service = setup.start();
    restore(&service, &kept).await;
    let (_, setup) = service.stop();
    let file: Value = serde_json::from_slice(&fs::read(setup.levels_file()).unwrap()).unwrap();
    assert_eq!(file, state(&kept));
    let copy = setup.levels_file().with_extension("json.before-restore");
    let copy: Value = serde_json::from_slice(&fs::read(copy).unwrap()).unwrap();
    assert_eq!(copy, before);

    // A levels.json is a backup, too.
    let service = setup.start();
    restore(&service, &copy).await;
    assert_eq!(service.level("led").await, 80.0);
    assert_eq!(
        service.request(Method::GET, "/api/presets", "").await.1,
        json!([])
    );
}

#[tokio::test]
async fn what_a_newer_version_or_another_dimmer_has_is_kept_and_written_back() {
    let service = Setup::with(TWO).start();
    // Their present state must not take the place of what is not understood.
    set(&service, "led", &json!({"level": 80})).await;
    set(&service, "shelf", &json!({"level": 33})).await;
    let newer = json!({
        "version": 1,
        "scenes": [7],
        "backup": {"version": "9.9.9", "at": "2100-01-04T07:00:00+00:00", "by": "Ana"},
        "lights": {
            "led": {"level": 9, "last_on": 9, "effect": "aurora", "hue": 120},
            "shelf": {"colour": "#ffaa00"},
            "attic": {"level": 4, "last_on": 4, "effect": "candle", "speed": 1},
        },
        "presets": {"Film": {"led": {"level": 3, "effect": "aurora"}, "cellar": {"level": 1}}},
        "timers": [
            {"name": "dusk", "at": "dusk", "days": ["mon"], "on": true, "next": "2100-01-04T07:00:00+00:00"},
            {"name": "flash", "at": "07:00", "days": ["mon"], "flash": 3, "next": "2100-01-04T07:00:00+00:00"},
        ],
    });
    let answer = restore(&service, &newer).await;
    let counts = ["lights", "presets", "timers"].map(|what| answer[what].as_u64().unwrap());
    assert_eq!(counts, [1, 1, 0]);
    let notes = answer["notes"].to_string();
    for says in [
        "attic", "aurora", "hue", "colour", "dusk", "flash", "scenes",
    ] {
        assert!(notes.contains(says), "{says}: {notes}");
    }
    assert_eq!(service.level("led").await, 9.0);
    assert_eq!(service.level("shelf").await, 33.0);

    let again = async |service: &TestServer| {
        let mut kept = state(&backup(service).await);
        // In the order of what is understood, which is none.
        let timers = kept["timers"].as_array_mut().unwrap();
        timers.sort_by_key(|timer| timer["name"].to_string());
        assert_eq!(kept, state(&newer));
    };
    again(&service).await;
    let (_, setup) = service.stop();
    let service = setup.start();
    again(&service).await;
    let (_, setup) = service.stop();

    // On the dimmer that has the light, it is there.
    let service = setup.with_settings(ATTIC).start();
    assert_eq!(service.level("attic").await, 4.0);
    set(&service, "led", &json!({"level": 10})).await;
    let kept = backup(&service).await;
    assert_eq!(
        kept["lights"]["led"]["hue"], 120,
        "a change leaves the rest"
    );
}

/// Files that are no backup, or have a value that is not allowed, with what is said of them.
fn bad_backups() -> Vec<(String, u16, &'static str)> {
    let with = |part: &str, value: Value| {
        let mut backup = json!({"version": 1, "lights": {}, "presets": {}, "timers": []});
        *backup.pointer_mut(part).unwrap() = value;
        backup.to_string()
    };
    let presets: serde_json::Map<_, _> = (0..33)
        .map(|number| (number.to_string(), json!({})))
        .collect();
    let timer = |name: &str, more: &Value| {
        let mut timer = json!({"name": name, "on": true, "next": "2100-01-04T07:00:00Z"});
        let more = more.as_object().unwrap().clone();
        timer.as_object_mut().unwrap().extend(more);
        timer
    };
    let timers = |timers: Vec<Value>| with("/timers", json!(timers));
    let many = (0..33)
        .map(|number| timer(&number.to_string(), &json!({})))
        .collect();
    let same = timer("a", &json!({}));
    vec![
        (String::new(), 400, "not a backup of dimmer: it is empty"),
        (
            "holiday".into(),
            400,
            "not a backup of dimmer: not JSON: expected value at line 1",
        ),
        ("[]".into(), 400, "it must be an object, not []"),
        (r#"{"version":1}"#.into(), 400, "lights is missing"),
        (
            r#"{"version":1,"lights":{},"timers":null}"#.into(),
            400,
            "timers must not be null",
        ),
        (r#"{"lights":{}}"#.into(), 400, "version is missing"),
        (
            with("/version", json!(2)),
            400,
            "its format is 2, and this version reads 1",
        ),
        (with("/lights", json!([1])), 400, "lights is [1]"),
        (
            "[".repeat(100_000),
            400,
            "not JSON: recursion limit exceeded",
        ),
        (
            with("/lights", json!({"led": 7})),
            422,
            "light \"led\": must be an object, not 7",
        ),
        (
            with("/lights", json!({"led": {"level": 142}})),
            422,
            "level must be from 0 to 100, not 142",
        ),
        (
            with("/lights", json!({"led": {}})),
            422,
            "light \"led\": level is missing",
        ),
        (
            with("/lights", json!({"led": {"level": 1, "effect": 7}})),
            422,
            "effect is 7",
        ),
        (
            with(
                "/lights",
                json!({"led": {"level": 1, "effect": "blink", "speed": 99}}),
            ),
            422,
            "speed",
        ),
        (
            with("/presets", json!({"a": {"led": {"level": -1}}})),
            422,
            "preset \"a\": light \"led\"",
        ),
        (
            with("/presets", json!(presets)),
            422,
            "presets must be at most 32, not 33",
        ),
        (
            with("/presets", json!({"a\nb": {}})),
            422,
            "the name of a preset must not have control",
        ),
        (
            with("/presets", json!({"ã".repeat(41): {}})),
            422,
            "must have 1 to 40 characters, not 41",
        ),
        (
            with("/lights", json!({"\n".repeat(50_000): {"level": 1}})),
            422,
            "the name of a light must have 1 to 40 characters, not 50000",
        ),
        (
            timers(vec![timer("a", &json!({"light": "b".repeat(50_000)}))]),
            422,
            "the name of a light must have 1 to 40 characters, not 50000",
        ),
        (
            timers(vec![
                json!({"name": "a", "recall": "", "next": "2100-01-04T07:00:00Z"}),
            ]),
            422,
            "the name of a preset must have 1 to 40 characters, not 0",
        ),
        (timers(many), 422, "timers must be at most 32, not 33"),
        (
            timers(vec![same.clone(), same]),
            422,
            "two are called \"a\"",
        ),
        (
            timers(vec![timer("", &json!({}))]),
            422,
            "the name of a timer must have 1 to 40",
        ),
        (
            timers(vec![timer("a", &json!({"transition": 4000}))]),
            422,
            "not 4000",
        ),
        (
            timers(vec![timer("a", &json!({"at": 7}))]),
            422,
            "timer \"a\": at is 7",
        ),
        (
            timers(vec![timer("a", &json!({"at": "07:00", "days": []}))]),
            422,
            "days must be a list",
        ),
        (
            timers(vec![timer("a", &json!({"at": "07:00", "offset": 5}))]),
            422,
            "offset goes with sunrise",
        ),
        (
            timers(vec![timer("a", &json!({"at": "sunset", "offset": 500}))]),
            422,
            "not 500",
        ),
        (
            timers(vec![json!({"name": "a", "on": true})]),
            422,
            "at and next are missing",
        ),
        (
            timers(vec![json!({"name": "a", "next": "2100-01-04T07:00:00Z"})]),
            422,
            "recall and effect are missing",
        ),
        (with("/timers", json!([7])), 422, "must be an object, not 7"),
        (
            r#"{"version":1,"lights":{},"backup":7}"#.into(),
            422,
            "backup must be an object, not 7",
        ),
        (
            r#"{"version":1,"lights":{},"backup":{"settings":7}}"#.into(),
            422,
            "settings must be text, not 7",
        ),
        ("x".repeat(200_000), 413, "at most 131072 bytes"),
    ]
}

#[tokio::test]
async fn a_bad_backup_is_refused_with_what_is_wrong_and_changes_nothing() {
    let service = Setup::with(TWO).start();
    fill(&service).await;
    let kept = backup(&service).await;
    for (file, status, says) in bad_backups() {
        let (answered, body) = service.request(Method::PUT, PATH, &file).await;
        let error = body["error"].as_str().unwrap_or_default();
        assert!(
            answered == status && error.contains(says),
            "{says}: {answered} {error}"
        );
        assert!(error.len() < 1000 && !error.contains('\n'), "{error}");
        assert_eq!(state(&backup(&service).await), state(&kept), "{says}");
    }
    // However a download was cut off.
    let whole = kept.to_string();
    for length in (0..whole.len()).step_by(7) {
        let (status, _) = service.request(Method::POST, PATH, &whole[..length]).await;
        assert_eq!(status, 400, "{}", &whole[..length]);
    }
    assert_eq!(state(&backup(&service).await), state(&kept));
    let marked = format!("\u{feff}{whole}");
    assert_eq!(service.request(Method::POST, PATH, &marked).await.0, 200);
}

#[tokio::test]
async fn timers_that_were_due_are_left_out_and_those_that_repeat_or_wait_stay() {
    let service = TestServer::start();
    let past = "2020-01-06T07:00:00+00:00";
    let file = json!({"version": 1, "lights": {}, "timers": [
        {"name": "once", "on": true, "next": past},
        {"name": "daily once", "at": "07:00", "on": true, "next": past},
        {"name": "weekly", "at": "07:00", "days": ["mon"], "on": true, "next": past},
        {"name": "sunset", "at": "sunset", "days": ["mon"], "on": true, "next": past},
    ]});
    let answer = restore(&service, &file).await;
    assert_eq!(answer["timers"], 2);
    let notes = answer["notes"].to_string();
    for says in [
        r#"timer \"once\" was missed"#,
        r#"timer \"daily once\" was missed"#,
        r#"timer \"sunset\" waits: it needs latitude and longitude in the settings"#,
        r#"light \"led\" has no level in the backup: it stays as it is"#,
    ] {
        assert!(notes.contains(says), "{says}: {notes}");
    }
    let timers = service.request(Method::GET, "/api/timers", "").await.1;
    assert!(timers[0]["next"].as_str().unwrap() > "2026", "{timers}");
    assert_eq!(timers[1]["waiting"], "place");
    assert_eq!(service.level("led").await, 50.0, "none has run");
}

#[tokio::test]
async fn whoever_drags_during_a_restore_ends_in_step_with_all() {
    let service = TestServer::start();
    let (mut dragging, mut watching) = (service.client().await, service.client().await);
    let low = json!({"version": 1, "lights": {"led": {"level": 1, "last_on": 1}}});
    for round in 1..=20 {
        for level in 0..20 {
            dragging
                .change("led", json!({"level": level + round}))
                .await;
            if level == round {
                restore(&service, &low).await;
            }
        }
        let last = 20 + round;
        dragging.change("led", json!({"level": last})).await;
        dragging.settled().await;
        watching.settled().await;
        let levels = [
            dragging.levels["led"],
            watching.levels["led"],
            service.level("led").await,
        ];
        assert_eq!(levels, [f64::from(last); 3], "round {round}");
        service.pin_is_at("led", f64::from(last)).await;
    }
    // At rest, the restore counts, for who dragged, too.
    restore(&service, &low).await;
    for client in [&mut dragging, &mut watching] {
        client.settled().await;
        assert_eq!(client.levels["led"], 1.0);
    }
}

#[tokio::test]
async fn few_backups_are_sent_and_received_at_once_and_one_that_breaks_off_changes_nothing() {
    let service = TestServer::start();
    let file = json!({"version": 1, "lights": {"led": {"level": 7}}}).to_string();
    let length = file.len() + 1;
    let head =
        format!("PUT {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n");
    let slow: Vec<_> = (0..8)
        .map(|_| {
            let mut slow = TcpStream::connect(service.address).unwrap();
            slow.write_all(format!("{head}{file}").as_bytes()).unwrap();
            slow
        })
        .collect();
    for (method, free) in [(Method::PUT, 400), (Method::GET, 200)] {
        until("one more is refused", async || {
            let (status, body) = service.request(method.clone(), PATH, "{}").await;
            assert!(status == 503 || status == free, "{status}");
            status == 503 && body["error"] == "too many backups at once; try again later"
        })
        .await;
    }
    drop(slow);
    until("there is room", async || {
        service.request(Method::PUT, PATH, "{}").await.0 == 400
    })
    .await;
    assert_eq!(service.level("led").await, 50.0);
}

#[tokio::test]
async fn a_backup_needs_the_password_and_the_origin_like_all_else() {
    let service = Setup::new().with_password("correct horse").start();
    let file = json!({"version": 1, "lights": {"led": {"level": 7}}}).to_string();
    let request = async |method, headers: &[(&str, &str)]| {
        let mut request = Client::new().request(method, service.url(PATH));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request
            .body(file.clone())
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    let password = ("authorization", "Bearer correct horse");
    let foreign = ("origin", "http://evil.example");
    for method in [Method::GET, Method::PUT, Method::POST] {
        assert_eq!(request(method.clone(), &[]).await, 401, "{method}");
        assert_eq!(
            request(method.clone(), &[password, foreign]).await,
            403,
            "{method}"
        );
    }
    assert_eq!(request(Method::GET, &[password]).await, 200);
    assert_eq!(request(Method::PUT, &[password]).await, 200);

    let (success, _, error) = printed(&run(&service, &["backup"], b""));
    assert!(!success && error.contains("wants a password: set the variable DIMMER_PASSWORD"));
    let mut command = dimmer();
    command.arg("restore").env("DIMMER_URL", service.url(""));
    command.env("DIMMER_PASSWORD", "correct horse");
    let (success, out, error) = printed(&run_with(command, file.as_bytes()));
    assert!(
        success && out == "restored 1 light, 0 presets and 0 timers\n",
        "{out}{error}"
    );
}

#[tokio::test]
async fn the_command_line_moves_a_dimmer_and_leaves_the_settings_to_a_person() {
    let old = Setup::with(TWO).start();
    fill(&old).await;
    let settings = old.setup().path().join("dimmer.toml");
    let arguments = ["backup", "--config", settings.to_str().unwrap()];
    let (success, file, error) = printed(&run(&old, &arguments, b""));
    assert!(success && error.is_empty(), "{error}");
    let kept: Value = serde_json::from_str(&file).unwrap();
    assert_eq!(kept["backup"]["settings"], TWO);
    assert!(file.lines().count() > 20, "people can read it: {file}");
    let over_the_network = backup(&old).await;
    assert_eq!(over_the_network["backup"].get("settings"), None);

    let (success, printed_settings, _) = printed(&run(
        &old,
        &["restore", "--print-settings"],
        file.as_bytes(),
    ));
    assert!(success && printed_settings == TWO);
    let without = over_the_network.to_string();
    let (success, _, error) = printed(&run(
        &old,
        &["restore", "--print-settings"],
        without.as_bytes(),
    ));
    assert!(
        !success && error == "dimmer: the backup has no settings\n",
        "{error}"
    );

    let new = Setup::with(ATTIC).start();
    let (success, out, error) = printed(&run(&new, &["restore"], file.as_bytes()));
    assert!(
        success && out == "restored 1 light, 1 preset and 2 timers\n",
        "{out}{error}"
    );
    for note in [
        "dimmer: light \"shelf\" is not in the settings here: it is kept until it is\n",
        "dimmer: light \"attic\" has no level in the backup: it stays as it is\n",
        "dimmer: the settings in it are not put in place: dimmer restore --print-settings prints them\n",
    ] {
        assert!(error.contains(note), "{note}: {error}");
    }
    let settings = fs::read_to_string(new.setup().path().join("dimmer.toml")).unwrap();
    assert_eq!(settings, ATTIC, "restoring writes no settings");
}

#[tokio::test]
async fn the_command_line_says_what_is_wrong_with_a_backup_in_one_line() {
    let service = TestServer::start();
    let garbage = "x".repeat(10 << 20);
    for (input, says) in [
        ("", "not a backup of dimmer: it is empty"),
        (
            r#"{"version":1,"lights":{"led":{"level":142}}}"#,
            "level must be from 0 to 100, not 142",
        ),
        (
            &garbage,
            "a backup must have at most 131072 bytes, and this has more",
        ),
    ] {
        let (success, out, error) = printed(&run(&service, &["restore"], input.as_bytes()));
        assert!(
            !success && out.is_empty() && error.contains(says),
            "{error}"
        );
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    assert_eq!(service.level("led").await, 50.0);
    let url = service.url("");
    drop(service);
    for command in ["backup", "restore"] {
        let mut program = dimmer();
        program.args([command, "--url", &url]);
        let (success, _, error) = printed(&run_with(program, b"{}"));
        assert!(
            !success && error.starts_with(&format!("dimmer: cannot reach {url}: ")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_folder_is_backed_up_and_restored_while_no_service_uses_it() {
    let service = Setup::with(TWO).start();
    fill(&service).await;
    let kept = backup(&service).await;
    let folder = service.setup().levels_file().parent().unwrap().to_owned();
    let offline = |arguments: &[&str], input: &[u8]| {
        let mut program = dimmer();
        program.args(arguments).arg("--state-dir").arg(&folder);
        printed(&run_with(program, input))
    };
    for command in ["backup", "restore"] {
        let (success, _, error) = offline(&[command], kept.to_string().as_bytes());
        assert!(!success && error.contains("is in use by"), "{error}");
    }
    let (_, setup) = service.stop();
    let (success, file, error) = offline(&["backup"], b"");
    assert!(success, "{error}");
    let file: Value = serde_json::from_str(&file).unwrap();
    assert_eq!(state(&file), state(&kept));

    let bad = r#"{"version":1,"lights":{},"presets":{"":{}}}"#;
    let before = fs::read(setup.levels_file()).unwrap();
    let (success, _, error) = offline(&["restore"], bad.as_bytes());
    assert!(
        !success && error.contains("the name of a preset"),
        "{error}"
    );
    assert_eq!(fs::read(setup.levels_file()).unwrap(), before);

    let less = json!({"version": 1, "lights": {"led": {"level": 7, "last_on": 7}}});
    let (success, out, error) = offline(&["restore"], less.to_string().as_bytes());
    assert!(
        success && out == "restored 1 light, 0 presets and 0 timers\n",
        "{out}{error}"
    );
    let service = setup.start();
    assert_eq!(service.level("led").await, 7.0);
    let shelf = service
        .request(Method::GET, "/api/lights/shelf", "")
        .await
        .1;
    assert_eq!(
        shelf["effect"], "candle",
        "a light that is not in it stays as it was"
    );
    assert_eq!(
        service.request(Method::GET, "/api/presets", "").await.1,
        json!([])
    );
    let (_, setup) = service.stop();

    fs::write(setup.levels_file(), "damaged").unwrap();
    let (success, _, error) = offline(&["backup"], b"");
    assert!(
        !success && error.contains("levels.json: not JSON: expected value"),
        "{error}"
    );
    assert_eq!(
        fs::read(setup.levels_file()).unwrap(),
        b"damaged",
        "it is only read"
    );
}

#[tokio::test]
async fn there_is_no_backup_and_no_restore_while_the_file_of_levels_cannot_be_read() {
    let setup = Setup::new();
    // Root can read every file, but no folder.
    fs::create_dir_all(setup.levels_file()).unwrap();
    let service = setup.start();
    let file = json!({"version": 1, "lights": {"led": {"level": 7}}}).to_string();
    for method in [Method::GET, Method::PUT] {
        let (status, body) = service.request(method, PATH, &file).await;
        assert_eq!(status, 503);
        assert!(
            body["error"]
                .to_string()
                .contains("levels.json cannot be read"),
            "{body}"
        );
    }
    assert_eq!(service.level("led").await, 50.0);
}

#[tokio::test]
async fn a_disk_that_cannot_be_written_is_tried_again_with_what_was_restored() {
    let service = TestServer::start();
    set(&service, "led", &json!({"level": 80})).await;
    let written = async |level: i64| {
        let file = fs::read(service.setup().levels_file()).unwrap_or_default();
        let file: Value = serde_json::from_slice(&file).unwrap_or_default();
        file["lights"]["led"]["level"] == level
    };
    until("the level is kept", async || written(80).await).await;
    // Where the new file would be written, there is a folder that is not empty.
    let next = service.setup().levels_file().with_extension("json.new");
    fs::create_dir_all(next.join("full")).unwrap();
    let file = json!({"version": 1, "later": true, "lights": {"led": {"level": 7, "last_on": 7}}});
    restore(&service, &file).await;
    until("the failure is logged", async || {
        service.log().contains("cannot keep the levels")
    })
    .await;
    assert_eq!(
        state(&backup(&service).await),
        file,
        "it is not lost meanwhile"
    );
    fs::remove_dir_all(next).unwrap();
    let (_, setup) = service.stop();
    let kept: Value = serde_json::from_slice(&fs::read(setup.levels_file()).unwrap()).unwrap();
    assert_eq!(kept, file);
}

#[tokio::test]
async fn a_browser_saves_a_backup_under_a_name_with_its_day() {
    let service = TestServer::start();
    let answer = reqwest::get(service.url(PATH)).await.unwrap();
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("cache-control"), "no-store");
    let name = header("content-disposition");
    assert!(name.starts_with("attachment; filename=\"dimmer-") && name.ends_with(".json\""));
}
