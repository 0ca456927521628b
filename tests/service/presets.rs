//! Presets: over the WebSocket and REST, and after a restart.

use crate::common::{Setup, TestServer};
use reqwest::Method;
use serde_json::json;

const TWO: &str = "[[light]]\n[[light]]\nname = \"shelf\"\ngpio = 20\n";

#[tokio::test]
async fn a_preset_sets_all_lights_again_for_every_client() {
    let dimmer = Setup::with(TWO).start();
    let (mut one, mut other) = (dimmer.client().await, dimmer.client().await);
    one.change("led", json!({"level": 20})).await;
    one.change("shelf", json!({"effect": "breathe"})).await;
    one.send(json!({"save": "Film"})).await;
    for client in [&mut one, &mut other] {
        assert_eq!(client.next_field("presets").await, json!(["Film"]));
    }
    one.change("led", json!({"level": 90})).await;
    one.change("shelf", json!({"level": 0})).await;
    one.settled().await;

    other.send(json!({"name": "Ana"})).await;
    other
        .send(json!({"recall": "Film", "transition": 0.2}))
        .await;
    // Only now is it certain that the preset was recalled.
    other.settled().await;
    let received = one.settled().await;
    let received: Vec<_> = received
        .iter()
        .filter(|message| message["by"] == "Ana")
        .collect();
    assert_eq!(
        (&received[0]["light"], &received[0]["level"]),
        (&json!("led"), &json!(20))
    );
    assert_eq!(
        (&received[1]["light"], &received[1]["effect"]),
        (&json!("shelf"), &json!("breathe"))
    );
    other.settled().await;
    assert_eq!(other.levels["led"], 20.0, "who recalls cannot know");
    dimmer.pin_is_at("led", 20.0).await;

    one.send(json!({"forget": "Film"})).await;
    assert_eq!(other.next_field("presets").await, json!([]));
    one.send(json!({"recall": "Film"})).await;
    assert_eq!(
        one.next_field("error").await,
        "no preset is called \"Film\""
    );
}

#[tokio::test]
async fn presets_are_kept_over_restarts_and_sent_to_later_clients() {
    let dimmer = Setup::with(TWO).start();
    let mut client = dimmer.client().await;
    client.send(json!({"save": "Film"})).await;
    client.send(json!({"save": "À noite"})).await;
    client.settled().await;
    let setup = dimmer.stop().1;
    let dimmer = setup.start();
    let mut client = dimmer.client().await;
    let (_, all) = dimmer.request(Method::GET, "/api/presets", "").await;
    assert_eq!(all[0]["name"], "Film");
    assert_eq!(
        all[0]["lights"],
        json!({"led": {"level": 50}, "shelf": {"level": 50}})
    );
    client.send(json!({"save": "Dinner"})).await;
    assert_eq!(
        client.next_field("presets").await,
        json!(["Dinner", "Film", "À noite"])
    );
}

#[tokio::test]
async fn the_api_saves_recalls_and_forgets() {
    let dimmer = Setup::with(TWO).start();
    let request = async |method, path: &str, body| dimmer.request(method, path, body).await;
    let body = r#"{"lights": {"led": {"level": 7, "effect": "candle", "speed": 2}}}"#;
    let (status, saved) = request(Method::PUT, "/api/presets/Film", body).await;
    let lights = json!({"led": {"level": 7, "effect": "candle", "speed": 2}});
    assert_eq!(
        (status, saved),
        (200, json!({"name": "Film", "lights": lights}))
    );
    let (status, saved) = request(Method::PUT, "/api/presets/Now", "").await;
    assert_eq!(
        (status, &saved["lights"]["shelf"]),
        (200, &json!({"level": 50}))
    );

    let path = "/api/presets/Film/recall";
    assert_eq!(request(Method::POST, path, "").await.0, 204);
    assert_eq!(dimmer.level("led").await, 7.0);
    assert_eq!(dimmer.level("shelf").await, 50.0);
    let (_, light) = request(Method::GET, "/api/lights/led", "").await;
    assert_eq!(light["effect"], "candle");
    assert_eq!(
        request(Method::POST, path, r#"{"transition": 0}"#).await.0,
        204
    );

    assert_eq!(
        request(Method::DELETE, "/api/presets/Film", "").await.0,
        204
    );
    let (_, all) = request(Method::GET, "/api/presets", "").await;
    assert_eq!(all.as_array().unwrap().len(), 1);
    let long = format!("/api/presets/{}", "x".repeat(41));
    for (method, path, body, status, expected) in [
        (
            Method::DELETE,
            "/api/presets/Film",
            "",
            404,
            "no preset is called \"Film\"",
        ),
        (Method::POST, path, "", 404, "no preset is called \"Film\""),
        (
            Method::POST,
            path,
            "{\"level\":1}",
            400,
            "unknown field \"level\"; there is transition",
        ),
        (
            Method::POST,
            path,
            "{\"transition\":-1}",
            422,
            "transition must be from 0 to 3600",
        ),
        (
            Method::PUT,
            &long,
            "",
            422,
            "name must have 1 to 40 characters, not 41",
        ),
        (
            Method::PUT,
            "/api/presets/A",
            "{}",
            400,
            "missing field `lights`",
        ),
        (
            Method::PUT,
            "/api/presets/A",
            "{\"lights\":{\"led\":{\"level\":101}}}",
            400,
            "level must be",
        ),
        (
            Method::PUT,
            "/api/presets/A",
            "{\"lights\":{\"cellar\":{\"level\":1}}}",
            404,
            "no light",
        ),
    ] {
        let (got, body) = request(method, path, body).await;
        let error = body["error"].as_str().unwrap();
        assert_eq!(got, status, "{path}: {error}");
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn the_33rd_preset_is_refused_and_nothing_is_lost() {
    let dimmer = TestServer::start();
    let mut client = dimmer.client().await;
    for number in 0..33 {
        client.send(json!({"save": format!("{number}")})).await;
    }
    let error = client.next_field("error").await;
    assert_eq!(
        error,
        "the limit of 32 presets is reached: forget one first"
    );
    let (_, all) = dimmer.request(Method::GET, "/api/presets", "").await;
    assert_eq!(all.as_array().unwrap().len(), 32);
}
