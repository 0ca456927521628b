//! `/ws` as its clients see it: every message, every error, over real sockets.

use crate::common::{Setup, TestClient, TestServer, linear, until};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

const TWO_LIGHTS: &str = "[[light]]\n[[light]]\nname = \"shelf\"\ntitle = \"Shelf\"\nhidden = true\nwarmth = 2700\ngpio = 20\non_start = 5\n";

/// The messages with a level among these.
fn levels(received: &[Value]) -> Vec<&Value> {
    received
        .iter()
        .filter(|message| message.get("level").is_some())
        .collect()
}

#[tokio::test]
async fn a_new_client_is_greeted_and_gets_the_level_of_every_light() {
    let dimmer = Setup::with(TWO_LIGHTS).start();
    let client = dimmer.client().await;
    assert_eq!(client.hello["version"], env!("CARGO_PKG_VERSION"));
    assert!(client.hello["page"].is_u64());
    let mut light = json!({
        "name": "led", "title": "led", "hidden": false, "gpio": 21, "driver": "simulated",
        "frequency": 1000, "resolution": 65536, "simulated": true, "transition": 0.0, "fastest": 3,
    });
    assert_eq!(client.hello["lights"][0], light);
    (light["name"], light["title"]) = (json!("shelf"), json!("Shelf"));
    (light["hidden"], light["gpio"]) = (json!(true), json!(20));
    light["warmth"] = json!("#ffad59");
    assert_eq!(client.hello["lights"][1], light);
    assert_eq!(client.levels["led"], 50.0);
    assert_eq!(client.levels["shelf"], 5.0);
    assert_eq!(client.pages, 1);
}

#[tokio::test]
async fn a_client_never_receives_its_own_level_and_every_other_client_does() {
    let dimmer = TestServer::start();
    let mut one = dimmer.client().await;
    let mut two = dimmer.client().await;
    let mut three = dimmer.client().await;
    one.settled().await;

    one.send(json!({"level": 42})).await;
    assert_eq!(one.settled().await, Vec::<Value>::new());
    for client in [&mut two, &mut three] {
        client.settled().await;
        assert_eq!(client.levels["led"], 42.0);
    }

    two.send(json!(7)).await;
    assert_eq!(levels(&two.settled().await), Vec::<&Value>::new());
    let received = one.settled().await;
    assert_eq!(received, [json!({"light": "led", "level": 7})]);
}

#[tokio::test]
async fn the_sender_is_sent_a_level_that_it_cannot_know() {
    let dimmer = TestServer::start();
    let mut client = dimmer.client().await;
    for (sent, level) in [
        (json!({"step": 10}), json!(60)),
        (json!({"step": 100}), json!(100)),
        (json!({"step": -30.5}), json!(69.5)),
        (json!({"toggle": true}), json!(0)),
        (json!({"toggle": true}), json!(69.5)),
        (json!({"on": false}), json!(0)),
        (json!({"on": true}), json!(69.5)),
        (json!({"level": 33.333}), json!(33.3)),
        (json!({"step": 0}), json!(33.3)),
    ] {
        client.send(sent.clone()).await;
        let received = client.settled().await;
        assert_eq!(
            received,
            [json!({"light": "led", "level": level})],
            "{sent}"
        );
    }
    for sent in [json!({"level": "12.5"}), json!(13), json!({"level": 14})] {
        client.send(sent.clone()).await;
        assert_eq!(client.settled().await, Vec::<Value>::new(), "{sent}");
    }
    assert_eq!(dimmer.level("led").await, 14.0);
}

#[tokio::test]
async fn a_client_that_sends_seq_is_sent_the_last_one_seen() {
    let dimmer = TestServer::start();
    let mut one = dimmer.client().await;
    let mut two = dimmer.client().await;
    one.settled().await;

    one.send(json!({"level": 10, "seq": 5})).await;
    one.settled().await;
    two.send(json!({"level": 20})).await;
    two.settled().await;
    let received = one.settled().await;
    assert_eq!(received, [json!({"light": "led", "level": 20, "seen": 5})]);

    // Also for a change that was refused: otherwise the client would ignore the level for ever.
    one.send(json!({"level": 150, "seq": 6})).await;
    let received = one.settled().await;
    assert_eq!(received.len(), 2);
    assert_eq!(
        levels(&received),
        [&json!({"light": "led", "level": 20, "seen": 6})]
    );

    // A client that sends no `seq` is sent no `seen`.
    one.send(json!(30)).await;
    one.settled().await;
    assert_eq!(two.settled().await, [json!({"light": "led", "level": 30})]);
}

#[tokio::test]
async fn a_client_that_is_overruled_before_it_is_answered_receives_the_newer_level() {
    let dimmer = TestServer::start();
    let mut one = dimmer.client().await;
    let mut two = dimmer.client().await;
    for round in 0..200 {
        // Both at once, in whichever order they arrive.
        let (mine, theirs) = (f64::from(round % 50), f64::from(50 + round % 50));
        one.change("led", json!({ "level": mine })).await;
        two.change("led", json!({ "level": theirs })).await;
        one.settled().await;
        two.settled().await;
        one.settled().await;
        let level = dimmer.level("led").await;
        assert_eq!(one.levels["led"], level, "round {round}");
        assert_eq!(two.levels["led"], level, "round {round}");
    }
}

#[tokio::test]
async fn a_client_with_a_name_is_named_to_the_others() {
    let dimmer = TestServer::start();
    let mut ana = dimmer.client().await;
    let mut other = dimmer.client().await;
    ana.send(json!({"name": "Ana's phone"})).await;
    ana.send(json!(42)).await;
    ana.settled().await;
    assert_eq!(
        levels(&other.settled().await),
        [&json!({"light": "led", "level": 42, "by": "Ana's phone"})]
    );
}

#[tokio::test]
async fn an_echo_is_returned_unchanged_and_only_to_its_client() {
    let dimmer = TestServer::start();
    let mut one = dimmer.client().await;
    let mut two = dimmer.client().await;
    one.settled().await;
    let echo = json!({"echo": {"z": [1.5, null, "ção"], "a": {}}});
    one.send(echo.clone()).await;
    assert_eq!(one.next().await, echo);
    assert_eq!(two.settled().await, Vec::<Value>::new());
}

#[tokio::test]
async fn every_client_is_sent_the_number_of_open_clients() {
    let dimmer = TestServer::start();
    let mut one = dimmer.client().await;
    assert_eq!(one.pages, 1);
    let two = dimmer.client().await;
    assert_eq!(one.next().await, json!({"pages": 2}));
    drop(two);
    assert_eq!(one.next().await, json!({"pages": 1}));
}

#[tokio::test]
async fn lights_are_changed_by_name_and_independently() {
    let dimmer = Setup::with(TWO_LIGHTS).start();
    let mut client = dimmer.client().await;
    client.send(json!({"level": 80, "light": "shelf"})).await;
    client.send(json!({"level": 20})).await;
    client.settled().await;
    assert_eq!(dimmer.level("shelf").await, 80.0);
    assert_eq!(dimmer.level("led").await, 20.0, "the first, without a name");
    until("each pin has its own duty", async || {
        dimmer.duties("shelf").last() == Some(&linear(80.0))
            && dimmer.duties("led").last() == Some(&linear(20.0))
    })
    .await;
}

#[tokio::test]
async fn a_transition_moves_the_pin_gradually_and_its_target_is_sent_at_once() {
    let dimmer = TestServer::start();
    let mut one = dimmer.client().await;
    let mut two = dimmer.client().await;
    one.send(json!({"level": 0})).await;
    until("the pin is dark", async || {
        dimmer.duties("led").last() == Some(&0)
    })
    .await;
    let before = dimmer.duties("led").len();

    one.send(json!({"level": 100, "transition": 0.3})).await;
    one.settled().await;
    two.settled().await;
    assert_eq!(two.levels["led"], 100.0);
    until("the pin is at full", async || {
        dimmer.duties("led").last() == Some(&65535)
    })
    .await;
    let way = &dimmer.duties("led")[before..];
    assert!(way.len() > 5, "{way:?}");
    assert!(way.is_sorted(), "{way:?}");
}

#[tokio::test]
async fn bad_input_is_answered_and_changes_nothing() {
    let dimmer = TestServer::start();
    let mut client = dimmer.client().await;
    let mut other = dimmer.client().await;
    client.send(json!(42)).await;
    client.settled().await;
    other.settled().await;
    let large_echo = json!({"echo": "x".repeat(1100)}).to_string();
    for (bad, names) in [
        (r#"{"level":150,"seq":1}"#, "level"),
        (r#"{"level":-1,"seq":1}"#, "level"),
        (r#"{"level":"NaN","seq":1}"#, "level"),
        (r#"{"level":null,"seq":1}"#, "level"),
        (r#"{"level":true,"seq":1}"#, "level"),
        (r#"{"level":{},"seq":1}"#, "level"),
        (r#"{"step":1000,"seq":1}"#, "step"),
        (r#"{"on":"yes","seq":1}"#, "on"),
        (r#"{"toggle":0,"seq":1}"#, "toggle"),
        (r#"{"level":1,"transition":-1,"seq":1}"#, "transition"),
        (r#"{"level":1,"light":"cellar","seq":1}"#, "cellar"),
        (r#"{"level":1,"colour":"red","seq":1}"#, "colour"),
        (r#"{"level":1,"step":1,"seq":1}"#, "step"),
        (r#"{"level":1,"toggle":true,"seq":1}"#, "toggle"),
        (r#"{"name":"","seq":1}"#, "name"),
        (r#"{"seq":1}"#, "level"),
        (r#"{"level":1,"seq":"1"}"#, "seq"),
        (&large_echo, "echo"),
        ("NaN", "JSON"),
        ("Infinity", "JSON"),
        ("level=42", "JSON"),
        (r#"{"level":42"#, "JSON"),
        ("", "JSON"),
        ("null", "null"),
        ("[]", "[]"),
    ] {
        client.send_frame(Message::text(bad)).await.unwrap();
        let received = client.settled().await;
        let error = received
            .iter()
            .find(|message| message.get("error").is_some());
        let error = error.unwrap_or_else(|| panic!("{bad} was not answered: {received:?}"));
        let text = error["error"].as_str().unwrap();
        assert!(text.contains(names), "{bad}: {text}");
        if bad.ends_with(r#""seq":1}"#) {
            assert_eq!(error["seq"], 1, "{bad}");
        }
        assert_eq!(dimmer.level("led").await, 42.0, "{bad}");
    }
    let binary = Message::binary(vec![42]);
    client.send_frame(binary).await.unwrap();
    assert!(client.settled().await[0]["error"].is_string());

    assert_eq!(
        other.settled().await,
        Vec::<Value>::new(),
        "others receive nothing"
    );
    client.send(json!(43)).await;
    client.settled().await;
    assert_eq!(
        dimmer.level("led").await,
        43.0,
        "the connection is as good as before"
    );
}

#[tokio::test]
async fn bad_input_that_is_not_about_a_light_is_answered_with_only_its_error() {
    let dimmer = TestServer::start();
    let mut client = dimmer.client().await;
    client.send(json!(42)).await;
    for bad in [
        r#"{"name":""}"#,
        r#"{"echo":1,"transition":1}"#,
        "not JSON",
        "{}",
    ] {
        client.send_frame(Message::text(bad)).await.unwrap();
        let received = client.settled().await;
        assert!(
            received.len() == 1 && received[0]["error"].is_string(),
            "{bad}: {received:?}"
        );
    }
}

#[tokio::test]
async fn a_protocol_violation_closes_that_client_with_its_code() {
    let dimmer = TestServer::start();
    let mut witness = dimmer.client().await;
    let text =
        |bytes: Vec<u8>| Message::Frame(Frame::message(bytes, OpCode::Data(Data::Text), true));
    let largest = format!(r#"{{"level":1{}}}"#, " ".repeat(4096 - 11));
    let mut client = dimmer.client().await;
    client.send_frame(Message::text(largest)).await.unwrap();
    client.settled().await;
    assert_eq!(dimmer.level("led").await, 1.0, "4 KiB are allowed");

    for (frame, code) in [
        (Message::text("x".repeat(4097)), 1009),
        (Message::text("x".repeat(1 << 20)), 1009),
        (text(vec![b'"', 0xff, 0xfe, b'"']), 1007),
    ] {
        let mut client = dimmer.client().await;
        // The service reads only the beginning of a large message, so sending its end may fail.
        let _ = client.send_frame(frame).await;
        assert_eq!(client.close_code().await, code);
    }
    witness.send(json!(2)).await;
    witness.settled().await;
    assert_eq!(dimmer.level("led").await, 2.0);
}

#[tokio::test]
async fn a_client_above_the_limit_is_refused_until_one_leaves() {
    let dimmer = Setup::with("max_pages = 2\n").start();
    let _one = dimmer.client().await;
    let two = dimmer.client().await;
    let answer = tokio_tungstenite::connect_async(format!("ws://{}/ws", dimmer.address)).await;
    match answer {
        Err(tokio_tungstenite::tungstenite::Error::Http(answer)) => {
            assert_eq!(answer.status(), 503);
        }
        other => panic!("{other:?}"),
    }
    drop(two);
    until("there is room again", async || {
        let url = format!("ws://{}/ws", dimmer.address);
        tokio_tungstenite::connect_async(url).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn every_client_is_sent_a_fault_and_its_end() {
    let dimmer = TestServer::start();
    let mut one = dimmer.client().await;
    let mut two = dimmer.client().await;
    one.settled().await;
    let trace = dimmer.setup().trace_folder();
    let away = dimmer.setup().path().join("away");
    std::fs::rename(&trace, &away).unwrap();

    one.send(json!(42)).await;
    for client in [&mut one, &mut two] {
        let fault = fault(client).await;
        assert_eq!(fault["light"], "led");
        assert!(fault["message"].as_str().unwrap().contains("simulated"));
    }
    let mut late = dimmer.client().await;
    late.send(json!(43)).await;
    let health = reqwest::get(dimmer.url("/api/health")).await.unwrap();
    assert_eq!(health.status(), 503);

    std::fs::rename(&away, &trace).unwrap();
    for client in [&mut one, &mut two] {
        assert_eq!(
            fault(client).await,
            json!({"light": "led", "message": null})
        );
    }
    assert_eq!(
        dimmer.duties("led").last(),
        Some(&linear(43.0)),
        "the level set meanwhile"
    );
    let health = reqwest::get(dimmer.url("/api/health")).await.unwrap();
    assert_eq!(health.status(), 200);
}

async fn fault(client: &mut TestClient) -> Value {
    loop {
        let message = client.next().await;
        if let Some(fault) = message.get("fault") {
            return fault.clone();
        }
    }
}

#[tokio::test]
async fn a_ping_is_answered() {
    let dimmer = TestServer::start();
    let mut client = dimmer.client().await;
    client
        .send_frame(Message::Ping("are you there".into()))
        .await
        .unwrap();
    client.socket.flush().await.unwrap();
    let pong = futures_util::StreamExt::next(&mut client.socket).await;
    assert_eq!(
        pong.unwrap().unwrap(),
        Message::Pong("are you there".into())
    );
}

#[tokio::test]
async fn a_client_is_sent_its_own_changes_if_it_asks_for_them() {
    let dimmer = TestServer::start();
    let mut client = dimmer.client().await;
    client.settled().await;
    for (own, sent) in [(true, 1), (false, 0), (true, 1)] {
        client.send(json!({ "own": own })).await;
        for level in [30, 40] {
            client.send(json!({ "level": level })).await;
            let expected = vec![json!({"light": "led", "level": level}); sent];
            assert_eq!(client.settled().await, expected, "own: {own}");
        }
    }
    client.send(json!({"own": 1})).await;
    let error = "own must be true or false, not 1";
    assert_eq!(client.next_field("error").await, error);
}

#[tokio::test]
async fn several_lights_are_changed_by_one_message_and_are_one_message_to_who_asked() {
    let dimmer = Setup::with(TWO_LIGHTS).start();
    let mut sender = dimmer.client().await;
    let mut batched = dimmer.client().await;
    let mut other = dimmer.client().await;
    sender.settled().await;
    batched.send(json!({"batch": true})).await;
    batched.settled().await;
    sender.send(json!({"batch": true, "seq": 7})).await;
    sender.send(json!({"name": "Ana"})).await;

    let lights = json!({"led": 40, "shelf": {"level": 70.5}});
    sender.send(json!({"lights": lights, "seq": 8})).await;
    assert_eq!(sender.settled().await, Vec::<Value>::new(), "no echo");
    let each = [
        json!({"light": "led", "level": 40, "by": "Ana"}),
        json!({"light": "shelf", "level": 70.5, "by": "Ana"}),
    ];
    assert_eq!(batched.settled().await, [json!({ "lights": each })]);
    assert_eq!(other.settled().await, each);

    // What the sender cannot know is one message, too, and says what was seen.
    let lights = json!({"led": {"on": false}, "shelf": {"effect": "candle", "speed": 2}});
    let change = json!({"lights": lights, "transition": 60, "seq": 9});
    sender.send(change).await;
    let received = sender.settled().await;
    let [update] = &received[..] else {
        panic!("{received:?}");
    };
    assert_eq!(update["seen"], 9);
    let (led, shelf) = (&update["lights"][0], &update["lights"][1]);
    assert_eq!((&led["level"], &led["left"]), (&json!(0), &json!(60.0)));
    let candle = json!({
        "light": "shelf", "level": 70.5, "effect": "candle", "speed": 2, "by": "Ana",
    });
    assert_eq!(shelf, &candle);

    // One light needs no list, and one that is as the client shows it no message.
    other.send(json!({"lights": {"led": 0, "shelf": 30}})).await;
    other.settled().await;
    other.send(json!({"lights": {"led": 0, "shelf": 31}})).await;
    other.settled().await;
    let received = sender.settled().await;
    let last = json!({"light": "shelf", "level": 31, "seen": 9});
    assert_eq!(received.last(), Some(&last), "{received:?}");

    sender.send(json!({"batch": false})).await;
    sender.settled().await;
    other.send(json!({"lights": {"led": 1, "shelf": 2}})).await;
    other.settled().await;
    assert_eq!(sender.settled().await.len(), 2);
}

#[tokio::test]
async fn a_client_that_asks_for_its_own_changes_is_sent_those_of_several_lights() {
    let dimmer = Setup::with(TWO_LIGHTS).start();
    let mut client = dimmer.client().await;
    client.send(json!({"own": true})).await;
    client.send(json!({"batch": true})).await;
    client.settled().await;
    for _ in 0..2 {
        client.send(json!({"lights": {"led": 1, "shelf": 2}})).await;
        let each = json!([{"light": "led", "level": 1}, {"light": "shelf", "level": 2}]);
        assert_eq!(client.settled().await, [json!({ "lights": each })]);
    }
}

#[tokio::test]
async fn of_several_lights_all_are_changed_or_none() {
    let dimmer = Setup::with(TWO_LIGHTS).start();
    let mut client = dimmer.client().await;
    let mut other = dimmer.client().await;
    client.settled().await;
    let many: serde_json::Map<_, _> = (0..101).map(|n| (n.to_string(), json!(1))).collect();
    for (lights, says) in [
        (
            json!({"led": 7, "shelf": 101}),
            r#""shelf": level must be from 0 to 100, not 101"#,
        ),
        (
            json!({"led": 7, "cellar": 8}),
            r#"no light is called "cellar""#,
        ),
        (
            json!({"led": 7, "shelf": {"effect": "strobe", "speed": 10}}),
            r#"speed of "shelf" must be from 0.1 to 3, not 10: more is for lights with allow_fast_strobe"#,
        ),
        (
            json!({"led": {"level": 7, "transition": -1}}),
            r#""led": transition must be from 0 to 3600 seconds, not -1"#,
        ),
        (json!({}), "lights must have 1 to 100 lights, not 0"),
        (
            Value::Object(many),
            "lights must have 1 to 100 lights, not 101",
        ),
        (json!("led"), r#"lights must be an object, not "led""#),
    ] {
        let is_about_led = lights.get("led").is_some();
        let seq = match lights.is_object() {
            true => client.change_together(lights.clone()).await,
            false => {
                client.send(json!({"lights": lights, "seq": 1000})).await;
                1000
            }
        };
        let received = client.settled().await;
        let error = json!({"error": says, "seq": seq});
        assert_eq!(received.last(), Some(&error), "{lights}");
        // Or the client would show for ever what it has not got.
        let as_it_is = json!({"light": "led", "level": 50, "seen": seq});
        assert_eq!(received.contains(&as_it_is), is_about_led, "{received:?}");
        if is_about_led {
            assert_eq!(client.levels["led"], 50.0);
        }
    }
    assert_eq!(other.settled().await, Vec::<Value>::new());
    assert_eq!(dimmer.level("led").await, 50.0);
    assert_eq!(dimmer.level("shelf").await, 5.0);
}

#[tokio::test]
async fn arrows_select_the_visible_lights_of_this_client_and_step_the_selected_one() {
    let third = "[[light]]\nname = \"door\"\ngpio = 19\non_start = 98\n";
    let dimmer = Setup::with(&format!("{TWO_LIGHTS}{third}")).start();
    let mut one = dimmer.client().await;
    let mut other = dimmer.client().await;
    one.settled().await;
    let level = |light: &str, level: u32| json!({"light": light, "level": level});
    for (command, expected) in [
        ("up", level("led", 55)),
        ("down", level("led", 50)),
        ("right", json!({"selected": "door"})),
        ("up", level("door", 100)),
        ("up", level("door", 100)),
        ("right", json!({"selected": "led"})),
        ("left", json!({"selected": "door"})),
        ("down", level("door", 95)),
    ] {
        one.send(json!({ "command": command })).await;
        assert_eq!(one.settled().await, [expected], "{command}");
    }
    assert_eq!(dimmer.level("shelf").await, 5.0, "it is hidden");

    other.settled().await;
    other.send(json!({"command": "down", "seq": 9})).await;
    let expected = [json!({"light": "led", "level": 45, "seen": 9})];
    assert_eq!(other.settled().await, expected, "it has its own selection");
    assert_eq!(one.settled().await, [level("led", 45)]);

    other.send(json!({"command": "up", "transition": 60})).await;
    let received = other.settled().await;
    assert_eq!(
        (&received[0]["level"], &received[0]["left"]),
        (&json!(50), &json!(60.0))
    );
}

#[tokio::test]
async fn a_client_that_asks_for_subprotocols_gets_one_of_them() {
    let dimmer = TestServer::start();
    let url = dimmer.url("/ws").replace("http", "ws");
    let mut request = url.into_client_request().unwrap();
    let protocols = HeaderValue::from_static("json, chat");
    request
        .headers_mut()
        .insert("sec-websocket-protocol", protocols);
    let (mut socket, response) = connect_async(request).await.unwrap();
    let chosen = &response.headers()["sec-websocket-protocol"];
    assert!(chosen == "json" || chosen == "chat", "{chosen:?}");
    let hello = socket.next().await.unwrap().unwrap();
    assert!(hello.to_text().unwrap().starts_with(r#"{"hello":"#));
}
