//! Lights of other dimmers on the same broker, with a real broker and several services.

use std::time::{Duration, Instant};

use crate::broker::{Broker, MqttClient, options};
use crate::common::{Setup, TestClient, TestServer, take_turn, until};
use serde_json::{Value, json};

/// A dimmer of this name on the broker, with more settings of MQTT, and its lights behind them.
fn dimmer(node: &str, more: &str, broker: &Broker) -> TestServer {
    Setup::with(&broker.settings_of(node, more)).start()
}

/// A client of a dimmer that shows the lights of others, and those lights as it shows them.
struct Watcher {
    client: TestClient,
    fleet: Vec<Value>,
}

impl Watcher {
    async fn open(dimmer: &TestServer) -> Watcher {
        let client = dimmer.client().await;
        let fleet = Vec::new();
        let greeting = client.greeting.clone();
        let mut watcher = Watcher { client, fleet };
        greeting.iter().for_each(|message| watcher.show(message));
        watcher
    }

    fn show(&mut self, message: &Value) {
        for news in message["fleet"].as_array().into_iter().flatten() {
            self.fleet.retain(|light| light["light"] != news["light"]);
            if news["gone"] != true {
                self.fleet.push(news.clone());
            }
        }
    }

    /// What is shown of a light.
    fn light(&self, name: &str) -> &Value {
        let light = self.fleet.iter().find(|light| light["light"] == name);
        light.unwrap_or(&Value::Null)
    }

    /// Waits until this is shown of a light.
    async fn shows(&mut self, name: &str, field: &str, wanted: Value) {
        while self.light(name)[field] != wanted {
            let message = self.client.next().await;
            self.show(&message);
        }
    }
}

/// A dimmer that shows the others, one with a light at 30, and a client that is shown that.
async fn two(broker: &Broker) -> (TestServer, TestServer, Watcher) {
    let kitchen = dimmer("kitchen", "fleet = true\n", broker);
    let attic = dimmer(
        "attic",
        "[[light]]\ntitle = \"Desk\"\non_start = 30\n",
        broker,
    );
    let mut watcher = Watcher::open(&kitchen).await;
    watcher.shows("attic/led", "online", json!(true)).await;
    (kitchen, attic, watcher)
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn a_client_sees_dims_and_follows_the_light_of_another_dimmer() {
    let broker = Broker::start();
    let (kitchen, attic, mut watcher) = two(&broker).await;
    let shown = json!({"light": "attic/led", "title": "Attic: Desk", "level": 30, "online": true});
    assert_eq!(*watcher.light("attic/led"), shown);

    watcher
        .client
        .change("attic/led", json!({"level": 70}))
        .await;
    attic.pin_is_at("led", 70.0).await;
    for (change, level) in [
        (json!({"step": -20}), 50.0),
        (json!({"toggle": true}), 0.0),
        (json!({"on": true}), 50.0),
        (json!({"level": 80, "transition": 0.1}), 80.0),
    ] {
        watcher.client.change("attic/led", change).await;
        attic.pin_is_at("led", level).await;
    }

    let mut theirs = attic.client().await;
    theirs.change("led", json!({"level": 12.5})).await;
    watcher.shows("attic/led", "level", json!(12.5)).await;
    theirs.change("led", json!({"effect": "breathe"})).await;
    watcher.shows("attic/led", "effect", json!("breathe")).await;

    // It neither shows its own light as another's nor moves it.
    assert_eq!(watcher.fleet.len(), 1, "{:?}", watcher.fleet);
    assert_eq!(kitchen.level("led").await, 50.0);
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn a_client_is_not_sent_its_own_level_and_the_others_are() {
    let broker = Broker::start();
    let (kitchen, attic, mut watcher) = two(&broker).await;
    let mut other = Watcher::open(&kitchen).await;
    let seq = watcher
        .client
        .change("attic/led", json!({"level": 70}))
        .await;
    other.shows("attic/led", "level", json!(70)).await;
    attic.pin_is_at("led", 70.0).await;
    // The next message is the change of another client.
    let mut theirs = attic.client().await;
    theirs.change("led", json!({"level": 5})).await;
    loop {
        let message = watcher.client.next().await;
        if let Some(news) = message["fleet"].as_array() {
            assert_eq!(news[0]["level"], 5, "{message}");
            assert_eq!(message["seen"], seq);
            break;
        }
    }
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn a_drag_of_200_levels_ends_at_the_last_one_and_queues_nothing() {
    let _turn = take_turn();
    let broker = Broker::start();
    let (_kitchen, attic, mut watcher) = two(&broker).await;
    let mqtt = MqttClient::open(&broker).await;
    let set = "dimmer/attic/led/set";
    let start = Instant::now();
    for n in 0..200 {
        let level = f64::from(1000 - 3 * n) / 10.0;
        watcher
            .client
            .change("attic/led", json!({"level": level}))
            .await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let time = start.elapsed();
    let last: f64 = 40.3;
    attic.pin_is_at("led", last).await;
    let after = start.elapsed() - time;
    until("the last was sent", async || {
        mqtt.newest(set)["brightness"] == last
    })
    .await;
    let sent = mqtt.received(set).len();
    println!("{sent} commands in {time:?}, the last {after:?} after the drag");
    let most = time.as_millis() / 60 + 2;
    assert!(sent > 4 && sent as u128 <= most, "{sent} of at most {most}");
    let echoes = watcher.client.settled().await;
    let fleet = |message: &&Value| message["fleet"][0]["level"].is_number();
    let echoed: Vec<_> = echoes.iter().filter(fleet).collect();
    assert!(echoed.is_empty(), "levels jump under the thumb: {echoed:?}");
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn a_light_is_offline_when_its_dimmer_is_killed_and_back_with_it() {
    let broker = Broker::start();
    let (_kitchen, attic, mut watcher) = two(&broker).await;
    let setup = attic.kill();
    watcher.shows("attic/led", "online", json!(false)).await;
    let seq = watcher
        .client
        .change("attic/led", json!({"level": 70}))
        .await;
    let error = loop {
        let message = watcher.client.next().await;
        watcher.show(&message);
        if message["error"].is_string() {
            break message;
        }
    };
    let why = "\"attic/led\" cannot be reached: its dimmer is offline";
    assert_eq!(error, json!({"error": why, "seq": seq}));
    let _attic = setup.start();
    watcher.shows("attic/led", "online", json!(true)).await;
    watcher.shows("attic/led", "level", json!(30)).await;
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn a_light_is_gone_when_it_is_removed_from_the_settings_of_its_dimmer() {
    let broker = Broker::start();
    let lights = "[[light]]\n[[light]]\nname = \"desk\"\ngpio = 20\n";
    let kitchen = dimmer("kitchen", "fleet = true\n", &broker);
    let attic = dimmer("attic", lights, &broker);
    let mut watcher = Watcher::open(&kitchen).await;
    watcher.shows("attic/desk", "online", json!(true)).await;
    attic.stop();
    watcher.shows("attic/desk", "online", json!(false)).await;
    let _attic = dimmer("attic", "", &broker);
    watcher.shows("attic/desk", "light", Value::Null).await;
    watcher.shows("attic/led", "online", json!(true)).await;
    watcher
        .client
        .send(json!({"light": "attic/desk", "level": 1}))
        .await;
    let received = watcher.client.settled().await;
    let error = json!({"error": "no light is called \"attic/desk\""});
    assert!(received.contains(&error), "{received:?}");
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn three_dimmers_see_each_other_and_again_after_the_broker_was_away() {
    let mut broker = Broker::start();
    let names = ["attic", "kitchen", "porch"];
    let dimmers = names.map(|node| dimmer(node, "fleet = true\n", &broker));
    let mut watcher = Watcher::open(&dimmers[0]).await;
    for light in ["kitchen/led", "porch/led"] {
        watcher.shows(light, "online", json!(true)).await;
    }
    broker.stop();
    for light in ["kitchen/led", "porch/led"] {
        watcher.shows(light, "online", json!(false)).await;
    }
    broker.start_again();
    for (light, dimmer) in [("kitchen/led", &dimmers[1]), ("porch/led", &dimmers[2])] {
        watcher.shows(light, "online", json!(true)).await;
        watcher.client.change(light, json!({"level": 9})).await;
        dimmer.pin_is_at("led", 9.0).await;
    }
    assert_eq!(watcher.fleet.len(), 2, "{:?}", watcher.fleet);
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn other_devices_are_not_shown_and_a_bad_state_changes_nothing() {
    let broker = Broker::start();
    let (_kitchen, _attic, mut watcher) = two(&broker).await;
    let mut options = options("hub", &broker);
    options.set_max_packet_size(30_000, 30_000);
    let mqtt = MqttClient::open_with(options).await;
    let ours = json!({"name": "x", "origin": {"name": "dimmer"}});
    let theirs = json!({"name": "x".repeat(20_000), "origin": {"name": "Zigbee2MQTT"}});
    for (topic, message) in [
        ("homeassistant/light/zigbee/led/config", theirs.to_string()),
        ("homeassistant/light/Bad Name/led/config", ours.to_string()),
        ("dimmer/attic/led/state", "{\"state\":\"ON\"}".into()),
        ("dimmer/attic/led/state", "ON".into()),
        ("dimmer/zigbee/led/state", "{\"state\":\"OFF\"}".into()),
    ] {
        mqtt.publish_retained(topic, message).await;
    }
    let state = json!({"state": "ON", "brightness": 31});
    mqtt.publish_retained("dimmer/attic/led/state", state).await;
    watcher.shows("attic/led", "level", json!(31)).await;
    assert_eq!(watcher.fleet.len(), 1, "{:?}", watcher.fleet);
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn without_fleet_nothing_is_shown_or_subscribed_to() {
    let broker = Broker::start();
    let kitchen = dimmer("kitchen", "fleet = true\n", &broker);
    let attic = dimmer("attic", "", &broker);
    let mut watcher = Watcher::open(&kitchen).await;
    watcher.shows("attic/led", "online", json!(true)).await;
    // By now the other would have found this one, too.
    let mut client = attic.client().await;
    client.change("kitchen/led", json!({"level": 1})).await;
    let mut received = client.greeting.clone();
    received.extend(client.settled().await);
    assert!(
        received.iter().all(|message| message["fleet"].is_null()),
        "{received:?}"
    );
    let error = json!({"error": "no light is called \"kitchen/led\"", "seq": 1});
    assert!(received.contains(&error), "{received:?}");
    assert_eq!(kitchen.level("led").await, 50.0);
}
