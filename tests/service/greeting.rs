//! New lights: which are, and how they stop being new.

use reqwest::Method;
use serde_json::{Value, json};

use crate::common::{Setup, TestServer, until};
use crate::pi::FakePi;

#[tokio::test]
async fn a_simulated_light_is_never_new_and_may_be_greeted_all_the_same() {
    let dimmer = TestServer::start();
    let mut client = dimmer.client().await;
    assert_eq!(client.hello["lights"][0].get("new"), None);
    client.send(json!({"greeted": true, "seq": 7})).await;
    client.send(json!({"echo": "settled"})).await;
    assert_eq!(client.next_field("echo").await, "settled");
    for (message, error) in [
        (json!({"greeted": false}), "greeted must be true, not false"),
        (
            json!({"greeted": true, "light": "cellar"}),
            "no light is called \"cellar\"",
        ),
        (
            json!({"greeted": true, "level": 1}),
            "level and greeted do not go together",
        ),
    ] {
        client.send(message).await;
        assert_eq!(client.next_field("error").await, error);
    }
    let (status, _) = dimmer
        .request(Method::POST, "/api/lights/led/greeted", "")
        .await;
    assert_eq!(status, 204);
    let (_, light) = dimmer.request(Method::GET, "/api/lights/led", "").await;
    assert_eq!(light.get("new"), None);
}

/// What the API says of whether the light is new.
async fn is_new(dimmer: &TestServer) -> bool {
    let (_, light) = dimmer.request(Method::GET, "/api/lights/led", "").await;
    light.get("new") == Some(&json!(true))
}

/// The file of levels has an entry for the light.
async fn is_kept(setup: &Setup) {
    until("the light is kept", async || {
        let text = std::fs::read_to_string(setup.levels_file()).unwrap_or_default();
        let levels: Value = serde_json::from_str(&text).unwrap_or_default();
        levels["lights"]["led"].is_object()
    })
    .await;
}

#[tokio::test]
#[ignore = "needs mount namespaces; scripts/test.sh runs this"]
async fn a_light_is_new_until_somebody_greets_it_and_every_client_hears_of_that() {
    let pi = FakePi::new();
    // Until then a start is as good as the first.
    let (_, setup) = pi.start(pi.setup("")).stop();
    let dimmer = pi.start(setup);
    let (mut one, mut other) = (dimmer.client().await, dimmer.client().await);
    assert_eq!(one.hello["lights"][0]["new"], true);
    assert!(is_new(&dimmer).await);
    one.send(json!({"light": "led", "greeted": true})).await;
    for client in [&mut one, &mut other] {
        let described = client.next_field("described").await;
        assert_eq!(
            (&described["name"], described.get("new")),
            (&json!("led"), None)
        );
    }
    assert!(!is_new(&dimmer).await);
    is_kept(dimmer.setup()).await;

    // As by a power cut, at the level that it had by default.
    let dimmer = pi.start(dimmer.kill());
    let client = dimmer.client().await;
    assert_eq!(client.hello["lights"][0].get("new"), None);
    assert_eq!(dimmer.level("led").await, 50.0);
}

#[tokio::test]
#[ignore = "needs mount namespaces; scripts/test.sh runs this"]
async fn a_light_that_was_set_is_not_new_after_a_restart() {
    let pi = FakePi::new();
    let dimmer = pi.start(pi.setup(""));
    dimmer.client().await.send(json!(30)).await;
    is_kept(dimmer.setup()).await;
    assert!(is_new(&dimmer).await, "nobody has said that it lights up");
    let dimmer = pi.start(dimmer.kill());
    assert!(!is_new(&dimmer).await);
}

#[tokio::test]
#[ignore = "needs mount namespaces; scripts/test.sh runs this"]
async fn the_api_greets_a_light_and_the_doctor_says_what_drives_it() {
    let pi = FakePi::new();
    let dimmer = pi.start(pi.setup("invert = true"));
    let (_, doctor) = dimmer.request(Method::GET, "/api/doctor", "").await;
    assert_eq!(doctor["machine"], "Raspberry Pi 4 Model B Rev 1.4");
    let light = &doctor["lights"][0];
    assert_eq!(light["driver"], "kernel-pwm");
    assert!(light["pin"].is_u64(), "{light}");
    let advice = &light["advice"][0];
    assert_eq!(advice["kind"], "at boot", "{light}");
    let line = format!("add the line gpio={}=op,dh to ", pi.gpio);
    assert!(advice["text"].as_str().unwrap().contains(&line), "{advice}");

    assert!(is_new(&dimmer).await);
    let path = "/api/lights/led/greeted";
    assert_eq!(dimmer.request(Method::POST, path, "").await.0, 204);
    assert!(!is_new(&dimmer).await);
}
