//! Presence and the activity feed: what every client is sent, and what is logged.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::common::{Setup, TestClient, TestServer, until};
use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

const TWO: &str = "[[light]]\nname = \"desk\"\n[[light]]\nname = \"shelf\"\ngpio = 20\n";

/// The next `count` entries, and the number of frames that brought them. Asserts that their times are now.
async fn entries(client: &mut TestClient, count: usize) -> (Vec<Value>, usize) {
    let (mut entries, mut frames) = (Vec::new(), 0);
    while entries.len() < count {
        let activity = client.next_field("activity").await;
        entries.extend(activity.as_array().unwrap().clone());
        frames += 1;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    for entry in &mut entries {
        let at = entry.as_object_mut().unwrap().remove("at").unwrap();
        let ago = now.as_secs() - at.as_u64().unwrap();
        assert!(ago < 60, "{ago} s ago");
    }
    (entries, frames)
}

async fn named(dimmer: &TestServer, name: &str) -> TestClient {
    let mut client = dimmer.client().await;
    client.send(json!({ "name": name })).await;
    client
}

#[tokio::test]
async fn every_client_is_sent_each_participants_name_once() {
    let dimmer = TestServer::start();
    let mut silent = dimmer.client().await;
    let mut bia = named(&dimmer, "Bia").await;
    assert_eq!(silent.next_field("here").await, json!(["Bia"]));
    assert_eq!(bia.next_field("here").await, json!(["Bia"]));
    let mut ana = named(&dimmer, "Ana's phone").await;
    let both = json!(["Ana's phone", "Bia"]);
    while silent.next_field("here").await != both {}
    while ana.next_field("here").await != both {}

    // A client that connects later is sent them in its first message.
    let again = named(&dimmer, "Bia").await;
    drop(bia);
    drop(ana);
    assert_eq!(silent.next_field("here").await, json!(["Bia"]));
    drop(again);
    assert_eq!(silent.next_field("here").await, json!([]));
}

#[tokio::test]
async fn a_drag_is_one_entry_in_one_frame_for_everybody_and_in_the_log() {
    let dimmer = Setup::with(TWO).start();
    let mut ana = dimmer.client().await;
    let mut other = dimmer.client().await;
    for level in 0..=40 {
        ana.change("desk", json!({"level": level})).await;
    }
    ana.change("shelf", json!({"effect": "breathe"})).await;
    let expected = [
        json!({"what": "set", "light": "desk", "level": 40}),
        json!({"what": "effect", "light": "shelf", "effect": "breathe"}),
    ];
    for client in [&mut ana, &mut other] {
        assert_eq!(entries(client, 2).await, (expected.to_vec(), 1));
    }
    let later = dimmer.client().await;
    let has_activity = |message: &&Value| !message["activity"].is_null();
    let entries = &later.greeting.iter().find(has_activity).unwrap()["activity"];
    assert_eq!(entries[0]["level"], 40, "{entries}");
    assert_eq!(dimmer.log().matches(" set desk to ").count(), 1);
    assert!(
        dimmer
            .log()
            .contains("a client (127.0.0.1) set desk to 40\n")
    );
}

#[tokio::test]
async fn a_drag_of_several_lights_together_is_one_entry() {
    let dimmer = Setup::with(TWO).start();
    let mut ana = named(&dimmer, "Ana").await;
    let mut other = dimmer.client().await;
    for level in 0..=40 {
        let lights = json!({"desk": level, "shelf": f64::from(level) / 2.0});
        ana.change_together(lights).await;
    }
    ana.change_together(json!({"desk": {"on": false}})).await;
    let expected = [
        json!({"who": "Ana", "what": "joined"}),
        json!({"who": "Ana", "what": "lights", "lights": {"desk": 40, "shelf": 20}}),
        json!({"who": "Ana", "what": "set", "light": "desk", "level": 0}),
    ];
    let (mut received, _) = entries(&mut other, 3).await;
    received.sort_by_key(|entry| entry["what"].to_string());
    assert_eq!(received, expected);
    let logged = "Ana (127.0.0.1) set desk to 40, shelf to 20\n";
    assert!(dimmer.log().contains(logged), "{}", dimmer.log());
}

#[tokio::test]
async fn each_action_is_reported_with_its_actor() {
    let dimmer = Setup::with(TWO).start();
    let mut client = dimmer.client().await;
    let mut ana = named(&dimmer, "Ana").await;
    ana.send(json!({"save": "Film"})).await;
    ana.send(json!({"on": false})).await;
    ana.settled().await;
    let level = json!({"level": 12.5}).to_string();
    let (_, light) = dimmer
        .request(Method::PUT, "/api/lights/shelf", &level)
        .await;
    assert_eq!(light["level"], 12.5);
    dimmer
        .request(Method::POST, "/api/presets/Film/recall", "")
        .await;
    dimmer.request(Method::PUT, "/api/presets/Work", "").await;
    ana.send(json!({"forget": "Work"})).await;
    let wake = json!({"in": 600, "on": true, "name": "wake"});
    ana.send(json!({ "timer": wake })).await;
    let soon = json!({"in": 1, "light": "desk", "effect": "candle"}).to_string();
    let (_, timer) = dimmer.request(Method::POST, "/api/timers", &soon).await;
    // A command that failed is not recorded.
    ana.send(json!({"forget": "Nothing"})).await;

    let (mut received, _) = entries(&mut client, 10).await;
    received.sort_by_key(Value::to_string);
    let mut expected = [
        json!({"who": "Ana", "what": "joined"}),
        json!({"who": "Ana", "what": "saved", "preset": "Film"}),
        json!({"who": "Ana", "what": "set", "light": "desk", "level": 0}),
        json!({"via": "api", "what": "set", "light": "shelf", "level": 12.5}),
        json!({"via": "api", "what": "recalled", "preset": "Film"}),
        json!({"via": "api", "what": "saved", "preset": "Work"}),
        json!({"who": "Ana", "what": "forgot", "preset": "Work"}),
        json!({"who": "Ana", "what": "timer", "timer": "wake"}),
        json!({"via": "api", "what": "timer", "timer": timer["name"]}),
        json!({"via": "timer", "what": "effect", "light": "desk", "effect": "candle"}),
    ];
    expected.sort_by_key(Value::to_string);
    assert_eq!(received, expected);

    dimmer.request(Method::DELETE, "/api/timers/wake", "").await;
    drop(ana);
    let (received, _) = entries(&mut client, 2).await;
    assert_eq!(
        received,
        [
            json!({"via": "api", "what": "cancelled", "timer": "wake"}),
            json!({"who": "Ana", "what": "left"}),
        ]
    );
    until("it is logged", async || {
        dimmer.log().contains("Ana (127.0.0.1) left\n")
    })
    .await;
    assert!(
        dimmer
            .log()
            .contains("the API (127.0.0.1) set shelf to 12.5\n")
    );
}

#[tokio::test]
async fn a_client_named_timer_is_distinguished_from_a_timer() {
    let dimmer = TestServer::start();
    let mut other = dimmer.client().await;
    let mut liar = named(&dimmer, "timer").await;
    liar.send(json!({"level": 7})).await;
    let update = loop {
        let message = other.next().await;
        if message["light"] == "led" {
            break message;
        }
    };
    let expected = json!({"light": "led", "level": 7, "by": "timer"});
    assert_eq!(update, expected);

    liar.send(json!({"timer": {"in": 1, "level": 8}})).await;
    let update = loop {
        let message = other.next().await;
        if message["light"] == "led" {
            break message;
        }
    };
    let expected = json!({"light": "led", "level": 8, "by": "timer", "via": "timer"});
    assert_eq!(update, expected);
}

#[tokio::test]
async fn a_message_reaches_every_client_at_once_and_ten_a_minute_are_the_limit() {
    let dimmer = TestServer::start();
    let mut other = dimmer.client().await;
    let mut ana = named(&dimmer, "Ana").await;
    let text = "keep it low, <b>the baby sleeps</b>";
    ana.send(json!({ "say": text })).await;
    let said = json!({"who": "Ana", "what": "said", "text": text});
    for client in [&mut other, &mut ana] {
        let (received, _) = entries(client, 1).await;
        assert_eq!(received[0], said);
    }
    for (text, error) in [
        (json!(""), "say must have 1 to 200 characters, not 0"),
        (
            json!("ã".repeat(201)),
            "say must have 1 to 200 characters, not 201",
        ),
        (
            json!("a\nforged line"),
            r#"say must not have control characters, as in "a\nforged line""#,
        ),
        (json!(7), "say must be text, not 7"),
    ] {
        ana.send(json!({"say": text, "seq": 3})).await;
        assert_eq!(ana.next_field("error").await, error);
    }
    for _ in 0..10 {
        ana.send(json!({ "say": "ã".repeat(200) })).await;
    }
    assert_eq!(
        ana.next_field("error").await,
        "say must come at most 10 times a minute from a client"
    );
}

#[tokio::test]
async fn a_command_brings_a_text_for_the_others_as_the_tutorial_sends_it() {
    let dimmer = TestServer::start();
    let mut other = dimmer.client().await;
    let mut ana = named(&dimmer, "Ana").await;
    for (level, command, text) in [
        (55, "up", "Vai para Cima!"),
        (50, "down", "Vai para Baixo!"),
    ] {
        ana.send(json!({"msg": text, "command": command})).await;
        ana.settled().await;
        assert_eq!(dimmer.level("led").await, f64::from(level));
        let said = json!({"who": "Ana", "what": "said", "text": text});
        // Among others: who has joined, and what was set.
        while !entries(&mut other, 1).await.0.contains(&said) {}
    }
    // Too much is said, but every command counts.
    for _ in 0..12 {
        ana.send(json!({"msg": "down", "command": "down"})).await;
    }
    assert_eq!(ana.settled().await.last().unwrap()["level"], 0);
    for (message, error) in [
        (
            json!({"msg": "", "command": "up"}),
            "msg must have 1 to 200 characters, not 0",
        ),
        (
            json!({"msg": 7, "command": "up"}),
            "msg must be text, not 7",
        ),
        (
            json!({"msg": "x", "level": 9}),
            "msg does not go with level",
        ),
    ] {
        ana.send(message).await;
        assert_eq!(ana.next_field("error").await, error);
    }
    assert_eq!(dimmer.level("led").await, 0.0);
}

#[tokio::test]
async fn a_late_client_is_sent_the_last_100_entries() {
    let dimmer = Setup::with("max_pages_per_address = 200\n").start();
    let mut clients = Vec::new();
    for number in 0..110 {
        let mut client = dimmer.client().await;
        client.send(json!({ "say": number.to_string() })).await;
        client.settled().await;
        clients.push(client);
    }
    until("every entry is kept", async || {
        let late = dimmer.client().await;
        let kept = late
            .greeting
            .iter()
            .find_map(|message| message["activity"].as_array());
        kept.is_some_and(|kept| {
            let texts: Vec<_> = kept.iter().map(|entry| &entry["text"]).collect();
            assert!(texts.len() <= 100);
            texts.last() == Some(&&json!("109")) && texts[0] == "10"
        })
    })
    .await;
}

#[tokio::test]
async fn a_stop_logs_a_change_that_is_not_settled_yet() {
    let dimmer = TestServer::start();
    let mut ana = named(&dimmer, "Ana").await;
    ana.send(json!({"level": 7})).await;
    ana.settled().await;
    let (_, setup) = dimmer.stop();
    let log = setup.log();
    assert!(log.contains("Ana (127.0.0.1) set led to 7\n"), "{log}");
}

#[tokio::test]
async fn without_activity_nobody_is_named_and_nothing_is_sent_or_logged() {
    let dimmer = Setup::with("activity = false\n").start();
    let mut other = dimmer.client().await;
    let mut ana = named(&dimmer, "Ana").await;
    ana.send(json!({"level": 7})).await;
    ana.send(json!({"say": "hi"})).await;
    let error = ana.next_field("error").await;
    assert_eq!(error, "say is off: the settings have activity = false");
    let level = json!({"light": "led", "level": 7, "by": "Ana"});
    assert_eq!(other.settled().await, [json!({"pages": 2}), level]);
    assert_eq!(ana.settled().await, Vec::<Value>::new());
    // A stop logs a drag that has not come to rest.
    let (_, setup) = dimmer.stop();
    let log = setup.log();
    assert!(!log.contains("Ana") && !log.contains("set led"), "{log}");
}

#[tokio::test]
async fn actions_of_socketio_clients_are_reported_too() {
    let dimmer = Setup::with(TWO).start();
    let mut client = dimmer.client().await;
    dimmer.request(Method::POST, "/led", "level=42").await;
    let url = format!(
        "ws://{}/socket.io/?EIO=4&transport=websocket",
        dimmer.address
    );
    let (mut tutorial, _) = connect_async(url).await.unwrap();
    tutorial.send(Message::text("40")).await.unwrap();
    until("the client has joined", async || {
        let frame = tutorial.next().await.unwrap().unwrap();
        frame.to_text().unwrap().starts_with("40")
    })
    .await;
    let event = Message::text(r#"42["led",{"level":"7"}]"#);
    tutorial.send(event).await.unwrap();
    assert_eq!(
        entries(&mut client, 2).await.0,
        [
            json!({"via": "api", "what": "set", "light": "desk", "level": 42}),
            json!({"what": "set", "light": "desk", "level": 7}),
        ]
    );
}
