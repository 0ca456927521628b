//! Lights of other dimmers on the same broker: against a real broker, with several real services.

#![allow(clippy::unwrap_used)]

#[path = "common/broker.rs"]
mod broker;
mod common;

use std::time::{Duration, Instant};

use broker::{Broker, Hub, options};
use common::{Dimmer, Home, Page, linear, until};
use serde_json::{Value, json};

/// A dimmer of this name on the broker, with more settings of MQTT and then its lights.
fn dimmer(node: &str, more: &str, broker: &Broker) -> Dimmer {
    Home::with(&settings(node, more, broker)).start()
}

fn settings(node: &str, more: &str, broker: &Broker) -> String {
    let port = broker.port;
    format!("[mqtt]\nbroker = \"mqtt://127.0.0.1:{port}\"\nnode = {node:?}\n{more}")
}

/// A page of a dimmer that shows the lights of others, and what it shows of them.
struct Watcher {
    page: Page,
    fleet: Vec<Value>,
}

impl Watcher {
    async fn open(dimmer: &Dimmer) -> Watcher {
        let page = dimmer.page().await;
        let fleet = Vec::new();
        let greeting = page.greeting.clone();
        let mut watcher = Watcher { page, fleet };
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

    /// What it shows of a light.
    fn light(&self, name: &str) -> &Value {
        let light = self.fleet.iter().find(|light| light["light"] == name);
        light.unwrap_or(&Value::Null)
    }

    /// Waits until it shows this of a light.
    async fn shows(&mut self, name: &str, field: &str, wanted: Value) {
        while self.light(name)[field] != wanted {
            let message = self.page.next().await;
            self.show(&message);
        }
    }
}

async fn pin_is_at(dimmer: &Dimmer, light: &str, level: f64) {
    until(&format!("{light} is at {level}"), async || {
        dimmer.duty(light) == Some(linear(level))
    })
    .await;
}

/// A dimmer that shows the others, one with a light at 30, and a page that shows that.
async fn two(broker: &Broker) -> (Dimmer, Dimmer, Watcher) {
    let kitchen = dimmer("kitchen", "fleet = true\n", broker);
    let attic = dimmer(
        "attic",
        "[[light]]\ntitle = \"Desk\"\non_start = 30\n",
        broker,
    );
    let mut page = Watcher::open(&kitchen).await;
    page.shows("attic/led", "online", json!(true)).await;
    (kitchen, attic, page)
}

#[tokio::test]
async fn a_page_sees_dims_and_follows_the_light_of_another_dimmer() {
    let broker = Broker::start();
    let (kitchen, attic, mut page) = two(&broker).await;
    let shown = json!({"light": "attic/led", "title": "Attic: Desk", "level": 30, "online": true});
    assert_eq!(*page.light("attic/led"), shown);

    page.page.change("attic/led", json!({"level": 70})).await;
    pin_is_at(&attic, "led", 70.0).await;
    for (change, level) in [
        (json!({"step": -20}), 50.0),
        (json!({"toggle": true}), 0.0),
        (json!({"on": true}), 50.0),
        (json!({"level": 80, "transition": 0.1}), 80.0),
    ] {
        page.page.change("attic/led", change).await;
        pin_is_at(&attic, "led", level).await;
    }

    let mut theirs = attic.page().await;
    theirs.change("led", json!({"level": 12.5})).await;
    page.shows("attic/led", "level", json!(12.5)).await;
    theirs.change("led", json!({"effect": "breathe"})).await;
    page.shows("attic/led", "effect", json!("breathe")).await;

    // Nor does it show itself, or move its own.
    assert_eq!(page.fleet.len(), 1, "{:?}", page.fleet);
    assert_eq!(kitchen.level("led").await, 50.0);
}

#[tokio::test]
async fn a_page_is_not_sent_back_the_level_that_it_set_and_the_others_are_told() {
    let broker = Broker::start();
    let (kitchen, attic, mut page) = two(&broker).await;
    let mut other = Watcher::open(&kitchen).await;
    let seq = page.page.change("attic/led", json!({"level": 70})).await;
    other.shows("attic/led", "level", json!(70)).await;
    pin_is_at(&attic, "led", 70.0).await;
    // What it is told next is the change of somebody else.
    let mut theirs = attic.page().await;
    theirs.change("led", json!({"level": 5})).await;
    loop {
        let message = page.page.next().await;
        if let Some(news) = message["fleet"].as_array() {
            assert_eq!(news[0]["level"], 5, "{message}");
            assert_eq!(message["seen"], seq);
            break;
        }
    }
}

#[tokio::test]
async fn a_drag_of_200_levels_ends_at_the_last_one_and_queues_up_nothing() {
    let broker = Broker::start();
    let (_kitchen, attic, mut page) = two(&broker).await;
    let hub = Hub::open(&broker).await;
    let set = "dimmer/attic/led/set";
    let start = Instant::now();
    for n in 0..200 {
        let level = f64::from(1000 - 3 * n) / 10.0;
        page.page.change("attic/led", json!({"level": level})).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let time = start.elapsed();
    let last: f64 = 40.3;
    pin_is_at(&attic, "led", last).await;
    let after = start.elapsed() - time;
    until("the last was sent", async || {
        hub.newest(set)["brightness"] == last
    })
    .await;
    let sent = hub.heard(set).len();
    println!("{sent} commands in {time:?}, the last {after:?} after the drag");
    let most = time.as_millis() / 60 + 2;
    assert!(sent > 4 && sent as u128 <= most, "{sent} of at most {most}");
    let echoes = page.page.settle().await;
    let fleet = |message: &&Value| message["fleet"][0]["level"].is_number();
    let told: Vec<_> = echoes.iter().filter(fleet).collect();
    assert!(told.is_empty(), "levels jump under the thumb: {told:?}");
}

#[tokio::test]
async fn a_light_is_offline_when_its_dimmer_is_killed_and_back_with_it() {
    let broker = Broker::start();
    let (_kitchen, attic, mut page) = two(&broker).await;
    let home = attic.kill();
    page.shows("attic/led", "online", json!(false)).await;
    let seq = page.page.change("attic/led", json!({"level": 70})).await;
    let error = loop {
        let message = page.page.next().await;
        page.show(&message);
        if message["error"].is_string() {
            break message;
        }
    };
    let why = "\"attic/led\" cannot be reached: its dimmer is offline";
    assert_eq!(error, json!({"error": why, "seq": seq}));
    let _attic = home.start();
    page.shows("attic/led", "online", json!(true)).await;
    page.shows("attic/led", "level", json!(30)).await;
}

#[tokio::test]
async fn a_light_is_gone_when_the_settings_of_its_dimmer_lose_it() {
    let broker = Broker::start();
    let lights = "[[light]]\n[[light]]\nname = \"desk\"\ngpio = 20\n";
    let kitchen = dimmer("kitchen", "fleet = true\n", &broker);
    let attic = dimmer("attic", lights, &broker);
    let mut page = Watcher::open(&kitchen).await;
    page.shows("attic/desk", "online", json!(true)).await;
    attic.stop();
    page.shows("attic/desk", "online", json!(false)).await;
    let _attic = dimmer("attic", "", &broker);
    page.shows("attic/desk", "light", Value::Null).await;
    page.shows("attic/led", "online", json!(true)).await;
    page.page
        .say(json!({"light": "attic/desk", "level": 1}))
        .await;
    let heard = page.page.settle().await;
    let error = json!({"error": "no light is called \"attic/desk\""});
    assert!(heard.contains(&error), "{heard:?}");
}

#[tokio::test]
async fn three_dimmers_see_each_other_and_again_after_the_broker_was_away() {
    let mut broker = Broker::start();
    let names = ["attic", "kitchen", "porch"];
    let dimmers = names.map(|node| dimmer(node, "fleet = true\n", &broker));
    let mut page = Watcher::open(&dimmers[0]).await;
    for light in ["kitchen/led", "porch/led"] {
        page.shows(light, "online", json!(true)).await;
    }
    broker.stop();
    for light in ["kitchen/led", "porch/led"] {
        page.shows(light, "online", json!(false)).await;
    }
    broker.start_again();
    for (light, dimmer) in [("kitchen/led", &dimmers[1]), ("porch/led", &dimmers[2])] {
        page.shows(light, "online", json!(true)).await;
        page.page.change(light, json!({"level": 9})).await;
        pin_is_at(dimmer, "led", 9.0).await;
    }
    assert_eq!(page.fleet.len(), 2, "{:?}", page.fleet);
}

#[tokio::test]
async fn what_is_no_dimmer_is_not_shown_and_a_bad_state_changes_nothing() {
    let broker = Broker::start();
    let (_kitchen, _attic, mut page) = two(&broker).await;
    let mut options = options("hub", &broker);
    options.set_max_packet_size(30_000, 30_000);
    let hub = Hub::open_with(options).await;
    let ours = json!({"name": "x", "origin": {"name": "dimmer"}});
    let theirs = json!({"name": "x".repeat(20_000), "origin": {"name": "Zigbee2MQTT"}});
    for (topic, message) in [
        ("homeassistant/light/zigbee/led/config", theirs.to_string()),
        ("homeassistant/light/Bad Name/led/config", ours.to_string()),
        ("dimmer/attic/led/state", "{\"state\":\"ON\"}".into()),
        ("dimmer/attic/led/state", "ON".into()),
        ("dimmer/zigbee/led/state", "{\"state\":\"OFF\"}".into()),
    ] {
        hub.publish(topic, message, true).await;
    }
    let state = json!({"state": "ON", "brightness": 31});
    hub.publish("dimmer/attic/led/state", state, true).await;
    page.shows("attic/led", "level", json!(31)).await;
    assert_eq!(page.fleet.len(), 1, "{:?}", page.fleet);
}

#[tokio::test]
async fn without_fleet_nothing_is_shown_or_asked_of_the_broker() {
    let broker = Broker::start();
    let kitchen = dimmer("kitchen", "fleet = true\n", &broker);
    let attic = dimmer("attic", "", &broker);
    let mut page = Watcher::open(&kitchen).await;
    page.shows("attic/led", "online", json!(true)).await;
    // By now the other would have found this one, too.
    let mut page = attic.page().await;
    page.change("kitchen/led", json!({"level": 1})).await;
    let mut heard = page.greeting.clone();
    heard.extend(page.settle().await);
    assert!(
        heard.iter().all(|message| message["fleet"].is_null()),
        "{heard:?}"
    );
    let error = json!({"error": "no light is called \"kitchen/led\"", "seq": 1});
    assert!(heard.contains(&error), "{heard:?}");
    assert_eq!(kitchen.level("led").await, 50.0);
}
