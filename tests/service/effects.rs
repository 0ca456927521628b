//! Effects: over the WebSocket, REST and the command line, at the pin and after a restart.

use crate::common::{Setup, TestClient, TestServer, linear, until};
use reqwest::Method;
use serde_json::{Value, json};

/// The last update of led, once the service has handled everything that was sent before.
async fn last_update(client: &mut TestClient) -> Value {
    let received = client.settled().await;
    let mut of_led = received
        .into_iter()
        .filter(|message| message["light"] == "led");
    of_led.next_back().expect("no update of led")
}

#[tokio::test]
async fn an_effect_moves_the_pin_and_is_sent_to_every_client_until_a_level_ends_it() {
    let dimmer = TestServer::start();
    let (mut one, mut other) = (dimmer.client().await, dimmer.client().await);
    dimmer.pin_is_at("led", 50.0).await;
    let before = dimmer.duties("led").len();
    one.change("led", json!({"effect": "blink", "speed": 3}))
        .await;
    let update = json!({"light": "led", "level": 50, "effect": "blink", "speed": 3});
    let mut own = last_update(&mut one).await;
    assert_eq!(own["seen"].take(), 1, "what it could not know");
    own.as_object_mut().unwrap().remove("seen");
    assert_eq!(own, update);
    assert_eq!(last_update(&mut other).await, update);
    until("the light blinks", async || {
        dimmer.duties("led").len() >= before + 4
    })
    .await;
    let duties = dimmer.duties("led");
    assert_eq!(duties[before..before + 3], [0, linear(50.0), 0]);

    one.change("led", json!({"level": 30})).await;
    assert_eq!(
        last_update(&mut other).await,
        json!({"light": "led", "level": 30})
    );
    dimmer.pin_is_at("led", 30.0).await;
}

#[tokio::test]
async fn a_light_that_is_off_plays_an_effect_at_its_last_level() {
    let dimmer = TestServer::start();
    let mut client = dimmer.client().await;
    client.change("led", json!({"level": 40})).await;
    client.change("led", json!({"on": false})).await;
    client.change("led", json!({"effect": "candle"})).await;
    let update = last_update(&mut client).await;
    assert_eq!(
        (&update["level"], &update["effect"]),
        (&json!(40), &json!("candle"))
    );
    client.change("led", json!({"effect": null})).await;
    let update = last_update(&mut client).await;
    assert_eq!(
        (&update["level"], &update["effect"]),
        (&json!(40), &Value::Null)
    );
    dimmer.pin_is_at("led", 40.0).await;
}

#[tokio::test]
async fn a_sunrise_takes_its_time_and_ends_by_itself() {
    let dimmer = TestServer::start();
    let mut client = dimmer.client().await;
    client.send(json!({"level": 80})).await;
    client.settled().await;
    let before = dimmer.duties("led").len();
    let body = r#"{"effect": "sunrise", "transition": 1}"#;
    let (status, light) = dimmer.request(Method::PUT, "/api/lights/led", body).await;
    assert_eq!((status, &light["effect"]), (200, &json!("sunrise")));
    assert!(light["left"].as_f64().unwrap() <= 1.0, "{light}");
    let first = client.next().await;
    assert_eq!(
        (&first["level"], &first["effect"]),
        (&json!(80), &json!("sunrise"))
    );
    assert_eq!(
        client.next().await,
        json!({"light": "led", "level": 80}),
        "its end"
    );
    let duties = &dimmer.duties("led")[before..];
    let start = duties.iter().position(|duty| *duty == 0).expect("dark");
    assert!(
        duties[start..].is_sorted() && duties.len() > 20,
        "{duties:?}"
    );
    assert_eq!(duties.last(), Some(&linear(80.0)));
}

#[tokio::test]
async fn more_than_three_flashes_a_second_are_for_lights_that_allow_it() {
    let settings = "[[light]]\n[[light]]\nname = \"disco\"\ngpio = 20\nallow_fast_strobe = true\n";
    let dimmer = Setup::with(settings).start();
    let mut client = dimmer.client().await;
    assert_eq!(client.hello["lights"][0]["fastest"], 3);
    assert_eq!(client.hello["lights"][1]["fastest"], 10);
    for light in ["led", "disco"] {
        client
            .send(json!({"effect": "strobe", "speed": 10, "light": light}))
            .await;
    }
    let error =
        "speed of \"led\" must be from 0.1 to 3, not 10: more is for lights with allow_fast_strobe";
    assert_eq!(
        client.next().await,
        json!({ "light": "led", "level": 50 }),
        "as it is"
    );
    assert_eq!(client.next().await, json!({ "error": error }));
    let update = json!({"light": "disco", "level": 50, "effect": "strobe", "speed": 10});
    assert_eq!(client.next().await, update);
    let body = r#"{"effect": "strobe", "speed": 3.1}"#;
    let (status, _) = dimmer.request(Method::PUT, "/api/lights/led", body).await;
    assert_eq!(status, 422);
}

#[tokio::test]
async fn an_effect_goes_on_after_a_restart_unless_the_settings_say_otherwise() {
    let dimmer =
        Setup::with("[[light]]\n[[light]]\nname = \"lamp\"\ngpio = 20\non_start = 10\n").start();
    let mut client = dimmer.client().await;
    for light in ["led", "lamp"] {
        client
            .change(light, json!({"effect": "breathe", "speed": 2}))
            .await;
    }
    client.settled().await;
    let (_, setup) = dimmer.stop();
    let dimmer = setup.start();
    let (_, lights) = dimmer.request(Method::GET, "/api/lights", "").await;
    assert_eq!(
        (&lights[0]["effect"], &lights[0]["speed"]),
        (&json!("breathe"), &json!(2))
    );
    assert_eq!(
        (&lights[1]["effect"], &lights[1]["level"]),
        (&Value::Null, &json!(10))
    );
    let duties = dimmer.duties("led").len();
    until("the light breathes", async || {
        dimmer.duties("led").len() > duties + 10
    })
    .await;
}

#[tokio::test]
async fn a_transition_is_sent_with_its_time_left_but_not_to_the_client_that_set_it() {
    let dimmer = Setup::with("[[light]]\ntransition = 60\n").start();
    let (mut one, mut other) = (dimmer.client().await, dimmer.client().await);
    assert_eq!(one.hello["lights"][0]["transition"], 60.0);
    one.settled().await;
    one.change("led", json!({"level": 80})).await;
    assert!(one.settled().await.is_empty(), "it knows");
    let update = last_update(&mut other).await;
    let left = update["left"].as_f64().unwrap();
    assert!((30.0..=60.0).contains(&left), "{update}");
    // The same level, but at once.
    one.change("led", json!({"level": 80, "transition": 0}))
        .await;
    assert_eq!(
        last_update(&mut other).await,
        json!({"light": "led", "level": 80})
    );
    dimmer.pin_is_at("led", 80.0).await;
}

#[tokio::test]
async fn no_stored_effect_is_faster_than_the_light_allows_now() {
    let setup = Setup::new();
    let strobe = r#"{"level":50,"effect":"strobe","speed":10}"#;
    let kept = format!(
        r#"{{"version":1,
            "lights":{{"led":{{"level":50,"last_on":50,"effect":"strobe","speed":10}}}},
            "presets":{{"Rave":{{"led":{strobe}}}}},
            "timers":[{{"name":"1","effect":"strobe","speed":10,"next":"{}"}}]}}"#,
        jiff::Timestamp::now() + jiff::SignedDuration::from_secs(3)
    );
    std::fs::create_dir_all(setup.levels_file().parent().unwrap()).unwrap();
    std::fs::write(setup.levels_file(), kept).unwrap();
    let dimmer = setup.start();
    let speed = async || {
        let (_, light) = dimmer.request(Method::GET, "/api/lights/led", "").await;
        light["speed"].as_f64()
    };
    assert_eq!(speed().await, Some(3.0), "restored");
    let dark = json!({"on": false}).to_string();
    for (what, path) in [("recalled", "Rave"), ("saved and recalled", "Now")] {
        dimmer.request(Method::PUT, "/api/presets/Now", "").await;
        dimmer.request(Method::PUT, "/api/lights/led", &dark).await;
        let path = format!("/api/presets/{path}/recall");
        assert_eq!(dimmer.request(Method::POST, &path, "").await.0, 204);
        assert_eq!(speed().await, Some(3.0), "{what}");
    }
    dimmer.request(Method::PUT, "/api/lights/led", &dark).await;
    until("the timer is due", async || speed().await.is_some()).await;
    assert_eq!(speed().await, Some(3.0), "by a timer");

    let preset = format!(r#"{{"lights":{{"led":{strobe}}}}}"#);
    dimmer
        .request(Method::PUT, "/api/presets/Given", &preset)
        .await;
    let recall = "/api/presets/Given/recall";
    dimmer.request(Method::POST, recall, "").await;
    assert_eq!(speed().await, Some(3.0), "given over REST");
    let fast = json!({"effect": "strobe", "speed": 10}).to_string();
    let (status, _) = dimmer.request(Method::PUT, "/api/lights/led", &fast).await;
    assert_eq!(status, 422);
}
