//! Settings that are changed while the service runs, and duties that are tried: over the WebSocket, REST and the command
//! line, at the pin, on the disk and after a restart.

use std::fs;
use std::process::Output;

use crate::common::{Setup, TestClient, TestServer, dimmer, linear, until};
use reqwest::Method;
use serde_json::{Value, json};

const PATH: &str = "/api/settings";
const TWO: &str = "latitude = -23.5\nlongitude = -46.6\n\
                   [[light]]\nmin_duty = 2\n[[light]]\nname = \"shelf\"\ngpio = 20\n";

async fn all(service: &TestServer) -> Value {
    let (status, settings) = service.request(Method::GET, PATH, "").await;
    assert_eq!(status, 200, "{settings}");
    settings
}

async fn change(service: &TestServer, change: Value) -> (u16, Value) {
    service
        .request(Method::PUT, PATH, &change.to_string())
        .await
}

async fn change_led(service: &TestServer, values: Value) {
    let (status, answer) = change(service, json!({"lights": {"led": values}})).await;
    assert_eq!(status, 200, "{answer}");
}

/// Waits until the pin of `led` has this duty in percent.
async fn pin_has(service: &TestServer, duty: f64) {
    until(&format!("the pin has {duty} percent"), async || {
        service.duty("led") == Some(linear(duty))
    })
    .await;
}

/// Waits until the file of levels has these settings.
async fn kept(service: &TestServer, settings: Value) {
    let file = service.setup().levels_file();
    until(&format!("{settings} is kept"), async || {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let file: Value = serde_json::from_str(&text).unwrap_or_default();
        file["settings"] == settings
    })
    .await;
}

fn command(service: &TestServer, arguments: &[&str]) -> (bool, String, String) {
    let mut command = dimmer();
    command.arg("settings").args(arguments);
    let Output {
        status,
        stdout,
        stderr,
    } = command.env("DIMMER_URL", service.url("")).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.success(), text(stdout), text(stderr))
}

async fn error_of(client: &mut TestClient) -> String {
    let error = client.next_field("error").await;
    error.as_str().unwrap().into()
}

#[tokio::test]
async fn settings_take_effect_at_once_for_every_client_and_at_the_pin_and_are_kept() {
    let service = Setup::with(TWO).start();
    let mut client = service.client().await;
    client.change("led", json!({"level": 50})).await;
    pin_has(&service, 51.0).await;
    let before = service.duties("led").len();
    let values = json!({"title": "Desk", "warmth": 2700, "hidden": true, "transition": 0.2,
                        "curve": "perceptual", "min_duty": 10, "on_start": 30});
    client
        .send(json!({"settings": {"title": "Attic", "lights": {"led": values}}}))
        .await;
    let described = client.next_field("described").await;
    assert_eq!(described["name"], "led");
    assert_eq!(described["title"], "Desk");
    assert_eq!(described["hidden"], true);
    assert_eq!(described["warmth"], "#ffad59");
    assert_eq!(described["transition"], 0.2);
    assert_eq!(client.next_field("title").await, "Attic");
    // Lightness 50 is 18.42 percent of the luminance.
    pin_has(&service, 10.0 + 90.0 * 0.184_186_5).await;
    let duties = service.duties("led");
    assert_eq!(
        duties.len(),
        before + 1,
        "one step, without a flash: {duties:?}"
    );

    let late = service.client().await;
    assert_eq!(late.hello["title"], "Attic");
    assert_eq!(late.hello["lights"][0]["title"], "Desk");
    assert_eq!(late.hello["lights"][1]["title"], "shelf");
    let settings = all(&service).await;
    assert_eq!(settings["locked"], false);
    assert_eq!(
        settings["title"],
        json!({"value": "Attic", "source": "here"})
    );
    assert_eq!(
        settings["latitude"],
        json!({"value": -23.5, "source": "file"})
    );
    let led = &settings["lights"]["led"];
    assert_eq!(led["min_duty"], json!({"value": 10, "source": "here"}));
    assert_eq!(led["max_duty"], json!({"value": 100, "source": "default"}));

    kept(
        &service,
        json!({"title": "Attic", "lights": {"led": values}}),
    )
    .await;
    let service = service.kill().start();
    let late = service.client().await;
    assert_eq!(late.hello["title"], "Attic");
    assert_eq!(late.hello["lights"][0]["title"], "Desk");
    assert_eq!(late.levels["led"], 30.0, "what it does after a power cut");

    let reset = json!({"title": null, "min_duty": null, "hidden": null, "warmth": null,
                       "transition": null, "curve": null, "on_start": null});
    change_led(&service, reset).await;
    pin_has(&service, 2.0 + 98.0 * 0.3).await;
    let led = all(&service).await["lights"]["led"].clone();
    assert_eq!(led["min_duty"], json!({"value": 2, "source": "file"}));
    assert_eq!(led["title"], json!({"value": null, "source": "default"}));
    kept(&service, json!({"title": "Attic"})).await;
}

#[tokio::test]
async fn who_has_the_transition_of_a_light_changed_is_in_the_activity() {
    let service = TestServer::start();
    let mut ana = service.client().await;
    ana.send(json!({"name": "Ana"})).await;
    ana.send(json!({"settings": {"title": "Attic", "lights": {"led": {"title": "Desk"}}}}))
        .await;
    let mut found = Vec::new();
    while found.len() < 2 {
        let entries = ana.next_field("activity").await;
        let entries = entries.as_array().unwrap().iter();
        found.extend(entries.filter(|entry| entry["what"] == "settings").cloned());
    }
    assert!(found.iter().all(|entry| entry["who"] == "Ana"), "{found:?}");
    let lights: Vec<_> = found.iter().map(|entry| entry["light"].clone()).collect();
    assert_eq!(lights, [json!(null), json!("led")]);
}

#[tokio::test]
async fn a_wrong_value_changes_nothing_and_says_what_is_allowed() {
    let service = Setup::with(TWO).start();
    let before = all(&service).await;
    let long = "x".repeat(41);
    for (body, status, expected) in [
        (
            json!({"lights": {"led": {"title": "Desk", "min_duty": 100.5}}}),
            422,
            "\"led\": min_duty must be from 0 to 100, not 100.5",
        ),
        (
            json!({"lights": {"shelf": {"title": "Desk"}, "led": {"max_duty": 2}}}),
            422,
            "max_duty of light led must be above its min_duty, 2, up to 100, not 2",
        ),
        (
            json!({"lights": {"led": {"gpio": 18}}}),
            422,
            "\"led\": unknown setting \"gpio\"; there are title, hidden, warmth, curve, min_duty, \
             max_duty, transition, on_start, groups",
        ),
        (
            json!({"password_file": "/etc/shadow"}),
            422,
            "unknown setting \"password_file\"; there are title, latitude, longitude",
        ),
        (
            json!({"title": long}),
            422,
            "title must have 1 to 40 characters, not 41",
        ),
        (
            json!({"title": "a\u{202e}b"}),
            422,
            "title must not have invisible characters, as in \"a\\u{202e}b\"",
        ),
        (
            json!({"longitude": 181}),
            422,
            "longitude must be from -180 to 180 degrees, not 181",
        ),
        (
            json!({"title": "Attic", "lights": {"attic": {"hidden": true}}}),
            404,
            "no light is called \"attic\"",
        ),
        (
            json!({"lights": {"led": 3}}),
            400,
            "\"led\": settings must be an object, not 3",
        ),
        (json!([]), 400, "the body is an object, not []"),
    ] {
        let (answered, answer) = change(&service, body.clone()).await;
        assert_eq!(
            (answered, &answer["error"]),
            (status, &json!(expected)),
            "{body}"
        );
    }
    let mut client = service.client().await;
    client
        .send(json!({"settings": {"latitude": "north"}}))
        .await;
    assert_eq!(
        error_of(&mut client).await,
        "latitude: invalid type: string \"north\", expected a number without quotes"
    );
    client.send(json!({"try": 100.5})).await;
    assert_eq!(
        error_of(&mut client).await,
        "try must be from 0 to 100, not 100.5"
    );
    client.send(json!({"try": 1, "light": "attic"})).await;
    assert_eq!(error_of(&mut client).await, "no light is called \"attic\"");
    assert_eq!(all(&service).await, before);
}

#[tokio::test]
async fn locked_settings_are_those_of_the_file() {
    let service = Setup::with(TWO).start();
    change_led(&service, json!({"title": "Desk"})).await;
    kept(&service, json!({"lights": {"led": {"title": "Desk"}}})).await;
    let setup = service.stop().1;
    let locked = format!("settings = \"file\"\n{TWO}");
    let service = setup.with_settings(&locked).start();
    let expected = "settings are locked: the settings file has settings = \"file\"";
    let (status, answer) = change(&service, json!({"title": "Attic"})).await;
    assert_eq!((status, &answer["error"]), (409, &json!(expected)));
    let mut client = service.client().await;
    assert_eq!(client.hello["lights"][0]["title"], "led");
    for refused in [
        json!({"settings": {"lights": {"led": {"title": "Lamp"}}}}),
        json!({"try": 3}),
    ] {
        client.send(refused).await;
        assert_eq!(error_of(&mut client).await, expected);
    }
    assert_eq!(all(&service).await["locked"], true);
    assert!(
        service
            .log()
            .contains("those that were set here have no effect")
    );
    client.change("led", json!({"level": 7})).await;
    client.settled().await;
    // Kept for the day on which they are unlocked.
    let service = service.stop().1.with_settings(TWO).start();
    assert_eq!(service.client().await.hello["lights"][0]["title"], "Desk");
}

#[tokio::test]
async fn a_light_goes_on_with_its_effect_while_its_settings_change() {
    let service = TestServer::start();
    let mut client = service.client().await;
    client
        .change("led", json!({"effect": "blink", "speed": 3}))
        .await;
    for max_duty in [80, 60, 40] {
        change_led(&service, json!({"max_duty": max_duty})).await;
        let full = linear(f64::from(max_duty) / 2.0);
        until("it blinks up to the new duty", async || {
            service.duties("led").ends_with(&[0, full])
        })
        .await;
    }
    client.settled().await;
    let (_, led) = service.request(Method::GET, "/api/lights/led", "").await;
    assert_eq!(led["effect"], "blink");
}

#[tokio::test]
async fn a_duty_is_tried_by_one_client_at_a_time_and_undone_when_it_is_gone() {
    let service = TestServer::start();
    let (mut one, mut other) = (service.client().await, service.client().await);
    one.change("led", json!({"level": 80})).await;
    pin_has(&service, 80.0).await;
    for duty in [5.0, 3.0, 2.5] {
        one.send(json!({"try": duty})).await;
        pin_has(&service, duty).await;
    }
    for refused in [json!({"try": 9}), json!({"try": null})] {
        other.send(refused).await;
        assert_eq!(
            error_of(&mut other).await,
            "another client tries the duty of \"led\": wait until it is done"
        );
    }
    assert_eq!(service.level("led").await, 80.0, "its level is what it was");

    // Saved by who tries it: the pin goes to its level.
    let dark = json!({"settings": {"lights": {"led": {"min_duty": 2.5}}}});
    one.send(dark).await;
    pin_has(&service, 2.5 + 97.5 * 0.8).await;
    one.send(json!({"try": 1})).await;
    pin_has(&service, 1.0).await;
    one.send(json!({"try": null})).await;
    pin_has(&service, 80.5).await;

    // The phone dies.
    one.send(json!({"try": 1})).await;
    pin_has(&service, 1.0).await;
    drop(one);
    pin_has(&service, 80.5).await;

    other.send(json!({"try": 4})).await;
    pin_has(&service, 4.0).await;
    let mut third = service.client().await;
    third.change("led", json!({"level": 0})).await;
    pin_has(&service, 0.0).await;
    third.send(json!({"try": 1})).await;
    pin_has(&service, 1.0).await;
}

#[tokio::test]
async fn sunset_follows_the_place() {
    let service = TestServer::start();
    let timer = json!({"at": "sunset", "days": ["mon"], "on": true}).to_string();
    let add = async || service.request(Method::POST, "/api/timers", &timer).await;
    assert_eq!(add().await.0, 422);
    let place = json!({"latitude": 52.5, "longitude": 13.37});
    assert_eq!(change(&service, place).await.0, 200);
    let (status, timer) = add().await;
    assert_eq!(status, 200, "{timer}");
    let place = json!({"latitude": -23.5, "longitude": -46.6});
    assert_eq!(change(&service, place).await.0, 200);
    let (_, timers) = service.request(Method::GET, "/api/timers", "").await;
    assert_ne!(timers[0]["next"], timer["next"]);
    let none = json!({"latitude": null, "longitude": null});
    assert_eq!(change(&service, none).await.0, 200);
    let (_, timers) = service.request(Method::GET, "/api/timers", "").await;
    assert_eq!(timers[0]["waiting"], "place");
}

fn with_levels(text: &str) -> Setup {
    let setup = Setup::with(TWO);
    fs::create_dir(setup.path().join("state")).unwrap();
    fs::write(setup.levels_file(), text).unwrap();
    setup
}

#[tokio::test]
async fn what_a_newer_version_has_set_is_kept() {
    let newer = json!({"title": "Attic", "scent": "rose", "lights": {
        "led": {"title": "Desk", "curve": "cubic", "hue": 7, "hidden": true},
        "gone": {"title": "Once"},
    }});
    let file =
        json!({"version": 1, "lights": {"led": {"level": 40, "last_on": 40}}, "settings": newer});
    let service = with_levels(&file.to_string()).start();
    let client = service.client().await;
    assert_eq!(client.hello["title"], "Attic");
    assert_eq!(client.hello["lights"][0]["title"], "Desk");
    let log = service.log();
    for problem in [
        "unknown setting \"scent\"",
        "`cubic`",
        "unknown setting \"hue\"",
    ] {
        assert!(log.contains(problem), "{problem}: {log}");
    }
    change_led(&service, json!({"title": "Lamp", "hidden": null})).await;
    let mut expected = newer.clone();
    expected["lights"]["led"] = json!({"title": "Lamp", "curve": "cubic", "hue": 7});
    kept(&service, expected).await;
}

#[tokio::test]
async fn broken_settings_cost_neither_the_start_nor_the_others() {
    for (settings, title) in [
        (
            json!({"lights": {"led": {"title": "Desk", "min_duty": 900}}}),
            "Desk",
        ),
        (json!({"lights": {"led": {"title": 7}}}), "led"),
        (json!({"lights": {"led": [1]}}), "led"),
        (json!({"lights": 7, "latitude": 1}), "led"),
        // The file has been changed since: its range is empty then.
        (
            json!({"lights": {"led": {"title": "Desk", "max_duty": 1}}}),
            "Desk",
        ),
    ] {
        let file = json!({"version": 1, "lights": {"led": {"level": 40, "last_on": 40}},
                          "settings": settings});
        let service = with_levels(&file.to_string()).start();
        let client = service.client().await;
        assert_eq!(client.levels["led"], 40.0, "{settings}");
        assert_eq!(client.hello["lights"][0]["title"], title, "{settings}");
        pin_has(&service, 2.0 + 98.0 * 0.4).await;
        // Another one mends the light that was broken.
        change_led(
            &service,
            json!({"title": "Lamp", "min_duty": 3, "max_duty": 90}),
        )
        .await;
        pin_has(&service, 3.0 + 87.0 * 0.4).await;
    }
}

#[tokio::test]
async fn settings_are_in_backups_and_an_old_backup_leaves_them() {
    let service = Setup::with(TWO).start();
    let values = json!({"title": "Desk", "max_duty": 80});
    change_led(&service, values.clone()).await;
    let (_, backup) = service.request(Method::GET, "/api/backup", "").await;
    assert_eq!(backup["settings"], json!({"lights": {"led": values}}));
    let restore = async |backup: &Value| {
        let path = "/api/backup";
        let backup = backup.to_string();
        let answer = service.request(Method::PUT, path, &backup);
        answer.await
    };
    let mut client = service.client().await;
    change_led(&service, json!({"title": "Lamp", "max_duty": 70})).await;
    assert_eq!(client.next_field("described").await["title"], "Lamp");
    let (status, answer) = restore(&backup).await;
    assert_eq!((status, &answer["notes"]), (200, &json!([])));
    assert_eq!(client.next_field("described").await["title"], "Desk");
    pin_has(&service, 2.0 + 78.0 * 0.5).await;

    let mut old = backup.clone();
    old.as_object_mut().unwrap().remove("settings");
    assert_eq!(restore(&old).await.0, 200);
    assert_eq!(
        all(&service).await["lights"]["led"]["title"]["value"],
        "Desk"
    );

    let mut wrong = backup.clone();
    wrong["settings"]["lights"]["led"]["max_duty"] = json!(101);
    let (status, answer) = restore(&wrong).await;
    let expected = "settings of light \"led\": max_duty must be from 0 to 100, not 101";
    assert_eq!((status, &answer["error"]), (422, &json!(expected)));
    assert_eq!(
        all(&service).await["lights"]["led"]["title"]["value"],
        "Desk"
    );

    let mut contradicts = backup.clone();
    contradicts["settings"] = json!({"scent": "rose", "lights": {"led": {"max_duty": 1}}});
    let (status, answer) = restore(&contradicts).await;
    assert_eq!(status, 200);
    let notes = answer["notes"].to_string();
    assert!(
        notes.contains("have no effect") && notes.contains("scent"),
        "{notes}"
    );
    kept(&service, contradicts["settings"].clone()).await;

    let mut none = backup.clone();
    none["settings"] = json!({});
    assert_eq!(restore(&none).await.0, 200);
    let led = all(&service).await["lights"]["led"].clone();
    assert_eq!(led["title"], json!({"value": null, "source": "default"}));
}

#[tokio::test]
async fn the_command_line_lists_changes_and_resets_settings() {
    let service = Setup::with(TWO).start();
    let (success, _, stderr) = command(
        &service,
        &[
            "set",
            "title=Desk",
            "min_duty=2.5",
            "groups=a,b",
            "--light",
            "led",
        ],
    );
    assert!(success, "{stderr}");
    assert!(command(&service, &["set", "title=7", "latitude=1", "longitude=2"]).0);
    let (success, list, stderr) = command(&service, &[]);
    assert!(success, "{stderr}");
    let line = |name: &str| {
        let line = list.lines().find(|line| line.starts_with(name)).unwrap();
        let words: Vec<_> = line.split_whitespace().collect();
        words[words.len() - 2..].join(" ")
    };
    assert_eq!(line("title "), "7 here");
    assert_eq!(line("latitude"), "1 here");
    assert_eq!(line("led title"), "Desk here");
    assert_eq!(line("led min_duty"), "2.5 here");
    assert_eq!(line("led groups"), "a,b here");
    assert_eq!(line("led curve"), "linear default");
    assert_eq!(line("shelf title"), "- default");
    assert!(command(&service, &["reset", "min_duty", "--light", "led"]).0);
    let led = all(&service).await["lights"]["led"].clone();
    assert_eq!(led["min_duty"], json!({"value": 2, "source": "file"}));

    for (arguments, expected) in [
        (
            &["set", "min_duty=101", "--light", "led"][..],
            "\"led\": min_duty must be from 0 to 100, not 101",
        ),
        (&["set", "city=Atlantis/Poseidonis"], "no city is called"),
        (&["set", "title"], "must be NAME=VALUE"),
        (
            &["reset", "gpio", "--light", "led"],
            "unknown setting \"gpio\"",
        ),
    ] {
        let (success, _, stderr) = command(&service, arguments);
        assert!(!success && stderr.contains(expected), "{stderr}");
    }
    let (_, cities) = service.request(Method::GET, "/api/cities", "").await;
    // A machine may have no time zone database.
    if let Some(city) = cities.as_array().unwrap().first() {
        let name = city["zone"].as_str().unwrap();
        assert!(command(&service, &["set", &format!("city={name}")]).0);
        assert_eq!(all(&service).await["latitude"]["value"], city["latitude"]);
        assert!(command(&service, &["cities"]).1.contains(name));
    }
}

#[tokio::test]
async fn with_a_password_settings_need_it() {
    let service = Setup::new().with_password("correct horse").start();
    let (status, _) = change(&service, json!({"title": "Attic"})).await;
    assert_eq!(status, 401);
    assert_eq!(service.request(Method::GET, PATH, "").await.0, 401);
    assert_eq!(service.request(Method::GET, "/api/cities", "").await.0, 401);
}
