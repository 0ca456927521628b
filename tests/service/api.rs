//! The REST API and the page's files over HTTP.

use crate::common::{Setup, TestServer};
use reqwest::{Method, Response};
use serde_json::{Value, json};

async fn put(dimmer: &TestServer, light: &str, body: &str) -> (u16, Value) {
    let path = format!("/api/lights/{light}");
    dimmer.request(Method::PUT, &path, body).await
}

async fn get(dimmer: &TestServer, path: &str) -> Response {
    reqwest::get(dimmer.url(path)).await.unwrap()
}

#[tokio::test]
async fn lights_are_listed_and_shown() {
    let dimmer = Setup::with("[[light]]\n[[light]]\nname = \"shelf\"\ngpio = 20\n").start();
    let led = json!({
        "name": "led", "title": "led", "hidden": false, "level": 50, "gpio": 21,
        "driver": "simulated", "frequency": 1000, "resolution": 65536, "simulated": true,
        "transition": 0.0, "fastest": 3, "fault": null,
    });
    let all: Value = get(&dimmer, "/api/lights").await.json().await.unwrap();
    assert_eq!(all[0], led);
    assert_eq!(all[1]["name"], "shelf");
    let one: Value = get(&dimmer, "/api/lights/led").await.json().await.unwrap();
    assert_eq!(one, led);
}

#[tokio::test]
async fn a_put_changes_the_light_answers_its_state_and_reaches_every_client() {
    let dimmer = TestServer::start();
    let mut client = dimmer.client().await;
    for (body, level) in [
        (r#"{"level":42.5}"#, 42.5),
        (r#"{"level":"40"}"#, 40.0),
        (r#"{"step":-10}"#, 30.0),
        (r#"{"toggle":true}"#, 0.0),
        (r#"{"on":true,"transition":0.1}"#, 30.0),
    ] {
        let (status, light) = put(&dimmer, "led", body).await;
        assert_eq!(
            (status, light["level"].as_f64()),
            (200, Some(level)),
            "{body}"
        );
        client.settled().await;
        assert_eq!(client.levels["led"], level);
    }
}

#[tokio::test]
async fn a_put_changes_several_lights_at_once_or_none() {
    let dimmer = Setup::with("[[light]]\n[[light]]\nname = \"shelf\"\ngpio = 20\n").start();
    let mut client = dimmer.client().await;
    client.send(json!({"batch": true})).await;
    client.settled().await;
    for method in [Method::PUT, Method::POST] {
        let level = if method == Method::PUT { 40 } else { 41 };
        let body = json!({"lights": {"led": level, "shelf": {"step": 10}}, "transition": 0.1});
        let (status, lights) = dimmer
            .request(method, "/api/lights", &body.to_string())
            .await;
        assert_eq!((status, &lights[0]["level"]), (200, &json!(level)));
        let received = client.settled().await;
        assert_eq!(received.len(), 1, "{received:?}");
        assert_eq!(received[0]["lights"][0]["level"], level);
    }
    for (body, status, says) in [
        (json!({}), 400, "one of lights is needed"),
        (
            json!({"lights": {"led": 1, "shelf": 101}}),
            422,
            r#""shelf": level must be from 0 to 100, not 101"#,
        ),
        (
            json!({"lights": {"led": 1, "cellar": 1}}),
            404,
            r#"no light is called "cellar""#,
        ),
        (
            json!({"lights": {"led": 1}, "level": 1}),
            400,
            r#"unknown field "level"; there are lights, transition"#,
        ),
    ] {
        let (got, answer) = dimmer
            .request(Method::PUT, "/api/lights", &body.to_string())
            .await;
        assert_eq!((got, &answer["error"]), (status, &json!(says)));
    }
    assert_eq!(dimmer.level("led").await, 41.0);
}

#[tokio::test]
async fn each_kind_of_bad_request_has_its_status_and_changes_nothing() {
    let dimmer = TestServer::start();
    let large = format!(r#"{{"level":1{}}}"#, " ".repeat(5000));
    for (light, body, status, expected) in [
        ("led", "level=42", 400, "not JSON"),
        ("led", "[]", 400, "the body is an object, not []"),
        (
            "led",
            "{}",
            400,
            "one of level, step, on, toggle, effect is needed",
        ),
        (
            "led",
            r#"{"level":true}"#,
            400,
            "level must be a number from 0 to 100, not true",
        ),
        ("led", r#"{"colour":1}"#, 400, "unknown field \"colour\""),
        (
            "led",
            r#"{"level":1,"seq":1}"#,
            400,
            "unknown field \"seq\"",
        ),
        ("led", r#"{"name":"Ana"}"#, 400, "unknown field \"name\""),
        (
            "led",
            r#"{"level":101}"#,
            422,
            "level must be from 0 to 100, not 101",
        ),
        (
            "led",
            r#"{"step":101}"#,
            422,
            "step must be from -100 to 100, not 101",
        ),
        (
            "led",
            r#"{"on":true,"transition":-1}"#,
            422,
            "transition must be from 0 to 3600 seconds, not -1",
        ),
        (
            "cellar",
            r#"{"level":1}"#,
            404,
            "no light is called \"cellar\"",
        ),
        ("led", &large, 413, "a body must have at most 4096 bytes"),
    ] {
        let (got, answer) = put(&dimmer, light, body).await;
        let error = answer["error"].as_str().unwrap();
        assert_eq!(got, status, "{body}: {error}");
        assert!(error.contains(expected), "{body}: {error}");
    }
    assert_eq!(dimmer.level("led").await, 50.0);
    let answer = get(&dimmer, "/api/lights/cellar").await;
    assert_eq!(answer.status(), 404);
    let answer = get(&dimmer, "/api/lamps").await;
    assert_eq!(answer.status(), 404);
    let answer: Value = answer.json().await.unwrap();
    assert!(answer["error"].is_string());
}

#[tokio::test]
async fn the_doctor_says_what_drives_each_light() {
    let dimmer = Setup::with("[[light]]\n[[light]]\nname = \"shelf\"\ngpio = 20\n").start();
    let answer = get(&dimmer, "/api/doctor").await;
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.unwrap();
    let light = |name, gpio| {
        json!({
            "name": name, "gpio": gpio, "pin": null, "driver": "simulated", "frequency": 1000,
            "resolution": 65536, "advice": [],
        })
    };
    assert_eq!(
        answer["lights"],
        json!([light("led", 21), light("shelf", 20)])
    );
    assert!(answer.get("machine").is_some());

    // It is asked one after another, and answers all.
    let ask = || tokio::spawn(reqwest::get(dimmer.url("/api/doctor")));
    let asked: Vec<_> = (0..20).map(|_| ask()).collect();
    for answer in asked {
        assert_eq!(answer.await.unwrap().unwrap().status(), 200);
    }
}

#[tokio::test]
async fn health_is_200_while_every_driver_works() {
    let dimmer = TestServer::start();
    let answer = get(&dimmer, "/api/health").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.json::<Value>().await.unwrap(),
        json!({"healthy": true})
    );
}
