//! Home Assistant by MQTT: with a real broker, and a client that sends what Home Assistant sends.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::broker::{Broker, MqttClient, options};
use crate::common::{LIMIT, Setup, TestServer, linear, take_turn, until};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};

const STATUS: &str = "dimmer/attic/status";
const STATE: &str = "dimmer/attic/led/state";
const SET: &str = "dimmer/attic/led/set";
const HA_STATE: &str = "dimmer/attic/led/ha/state";
const HA_SET: &str = "dimmer/attic/led/ha/set";
const PRESET: &str = "dimmer/attic/preset";
const CONFIG: &str = "homeassistant/light/attic/led/config";
const BIRTH: &str = "homeassistant/status";

/// A broker, a dimmer that is connected to it, and a client that receives everything.
async fn start() -> (Broker, TestServer, MqttClient) {
    start_with("").await
}

async fn start_with(more: &str) -> (Broker, TestServer, MqttClient) {
    let broker = Broker::start();
    let dimmer = Setup::with(&broker.settings(more)).start();
    let mqtt = MqttClient::open(&broker).await;
    mqtt.expect(STATUS, json!("online")).await;
    mqtt.expect(STATE, at(50.0)).await;
    (broker, dimmer, mqtt)
}

/// The state of a light that plays no effect.
fn at(level: f64) -> Value {
    match level {
        0.0 => json!({"state": "OFF", "effect": "off"}),
        level => json!({"state": "ON", "brightness": level, "effect": "off"}),
    }
}

/// The state of a light that plays an effect.
fn playing(level: f64, effect: &str) -> Value {
    json!({"state": "ON", "brightness": level, "effect": effect})
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn discovery_describes_a_light_to_home_assistant() {
    let (_broker, _dimmer, mqtt) = start().await;
    let config = mqtt.newest(CONFIG);
    let version = env!("CARGO_PKG_VERSION");
    let expected = json!({
        "schema": "json",
        "name": "led",
        "unique_id": "dimmer_attic_led",
        "object_id": "attic_led",
        "default_entity_id": "light.attic_led",
        "command_topic": HA_SET,
        "state_topic": HA_STATE,
        "availability_topic": STATUS,
        "brightness": true,
        "brightness_scale": 1000,
        "effect": true,
        "effect_list": ["off", "breathe", "blink", "candle", "strobe", "sunrise"],
        "device": {
            "identifiers": ["dimmer_attic"],
            "name": "attic",
            "manufacturer": "dimmer",
            "model": "dimmer",
            "sw_version": version,
        },
        "origin": {"name": "dimmer", "sw": version},
    });
    assert_eq!(config, expected);
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn a_later_subscriber_receives_everything_retained() {
    let (broker, _dimmer, _hub) = start().await;
    let late = MqttClient::open_with(options("late", &broker)).await;
    for topic in [CONFIG, STATE, STATUS] {
        until(topic, async || {
            late.received(topic).iter().any(|message| message.retained)
        })
        .await;
    }
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn each_command_of_home_assistant_sets_its_level() {
    let (_broker, dimmer, mqtt) = start().await;
    for (command, level) in [
        (json!({"state": "ON", "brightness": 80}), 80.0),
        (json!({"state": "OFF"}), 0.0),
        (json!({"state": "ON"}), 80.0),
        (
            json!({"state": "ON", "brightness": 20, "transition": 0.2}),
            20.0,
        ),
        (json!({"state": "OFF", "transition": 0.2}), 0.0),
        (json!({"state": "ON", "transition": 0.2}), 20.0),
        (json!({"state": "ON", "brightness": 0}), 0.0),
    ] {
        mqtt.publish(SET, &command).await;
        mqtt.expect(STATE, at(level)).await;
        dimmer.pin_is_at("led", level).await;
    }
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn each_effect_starts_is_published_and_ends() {
    let (_broker, dimmer, mqtt) = start().await;
    for effect in ["breathe", "blink", "candle", "strobe", "sunrise"] {
        mqtt.publish(SET, json!({"state": "ON", "effect": effect}))
            .await;
        mqtt.expect(STATE, playing(50.0, effect)).await;
    }
    mqtt.publish(SET, json!({"state": "ON", "effect": "off"}))
        .await;
    mqtt.expect(STATE, at(50.0)).await;
    dimmer.pin_is_at("led", 50.0).await;
    mqtt.publish(
        SET,
        json!({"state": "ON", "brightness": 70, "effect": "breathe"}),
    )
    .await;
    mqtt.expect(STATE, playing(70.0, "breathe")).await;
    mqtt.publish(SET, json!({"state": "OFF"})).await;
    mqtt.expect(STATE, at(0.0)).await;
    // A light that is off starts from its last level.
    mqtt.publish(SET, json!({"state": "ON", "effect": "candle"}))
        .await;
    mqtt.expect(STATE, playing(70.0, "candle")).await;
    mqtt.publish(
        SET,
        json!({"state": "ON", "brightness": 30, "effect": "off"}),
    )
    .await;
    mqtt.expect(STATE, at(30.0)).await;
    dimmer.pin_is_at("led", 30.0).await;
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn a_sunrise_takes_its_time_and_its_end_is_published() {
    let (_broker, dimmer, mqtt) = start().await;
    let start = Instant::now();
    mqtt.publish(
        SET,
        json!({"state": "ON", "effect": "sunrise", "transition": 0.5}),
    )
    .await;
    let rising = json!({"state": "ON", "brightness": 50.0, "effect": "sunrise"});
    mqtt.expect(STATE, rising).await;
    mqtt.expect(STATE, at(50.0)).await;
    assert!(start.elapsed() >= Duration::from_millis(450));
    dimmer.pin_is_at("led", 50.0).await;
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn a_transition_fades_the_pin() {
    let (_broker, dimmer, mqtt) = start().await;
    mqtt.publish(SET, json!({"state": "OFF"})).await;
    dimmer.pin_is_at("led", 0.0).await;
    let before = dimmer.duties("led").len();
    let start = Instant::now();
    mqtt.publish(
        SET,
        json!({"state": "ON", "brightness": 100, "transition": 1.0}),
    )
    .await;
    dimmer.pin_is_at("led", 100.0).await;
    assert!(start.elapsed() >= Duration::from_millis(900));
    let way = dimmer.duties("led").split_off(before);
    assert!(way.len() > 20, "in {} steps", way.len());
    assert!(way.is_sorted());
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn a_flash_blinks_as_long_as_the_command_says() {
    let (_broker, dimmer, mqtt) = start().await;
    let before = dimmer.duties("led").len();
    let start = Instant::now();
    mqtt.publish(SET, json!({"state": "ON", "flash": 2})).await;
    mqtt.expect(STATE, playing(50.0, "blink")).await;
    mqtt.expect(STATE, at(50.0)).await;
    assert!(start.elapsed() >= Duration::from_secs(2));
    dimmer.pin_is_at("led", 50.0).await;
    let duties = dimmer.duties("led").split_off(before);
    let dark = duties.iter().filter(|duty| **duty == 0).count();
    assert_eq!(dark, 2, "{duties:?}");

    mqtt.publish(SET, json!({"state": "OFF"})).await;
    mqtt.expect(STATE, at(0.0)).await;
    mqtt.publish(SET, json!({"state": "ON", "flash": 1})).await;
    mqtt.expect(STATE, playing(50.0, "blink")).await;
    mqtt.expect(STATE, at(0.0)).await;
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn a_flash_that_a_stop_or_a_kill_cuts_short_is_not_kept() {
    let (_broker, mut dimmer, mqtt) = start().await;
    for is_killed in [false, true] {
        mqtt.publish(SET, json!({"state": "ON", "flash": 10})).await;
        mqtt.expect(STATE, playing(50.0, "blink")).await;
        // Whatever changes, everything is written.
        let path = "/api/presets/Film";
        let (status, preset) = dimmer.request(Method::PUT, path, "").await;
        assert_eq!(
            (status, &preset["lights"]["led"]),
            (200, &json!({"level": 50}))
        );
        let kept = || fs::read_to_string(dimmer.setup().levels_file()).unwrap_or_default();
        until("it is kept", async || kept().contains("Film")).await;
        assert!(!kept().contains("blink"), "{}", kept());
        let setup = match is_killed {
            true => dimmer.kill(),
            false => dimmer.stop().1,
        };
        dimmer = setup.start();
        mqtt.expect(STATE, at(50.0)).await;
    }
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn a_level_set_by_a_client_is_published() {
    let (_broker, dimmer, mqtt) = start().await;
    let mut client = dimmer.client().await;
    client.change("led", json!({"level": 12.5})).await;
    mqtt.expect(STATE, at(12.5)).await;
    client.change("led", json!({"level": 0})).await;
    mqtt.expect(STATE, at(0.0)).await;
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn a_level_set_by_home_assistant_is_sent_to_a_client() {
    let (_broker, dimmer, mqtt) = start().await;
    let mut client = dimmer.client().await;
    mqtt.publish(SET, json!({"state": "ON", "brightness": 31}))
        .await;
    while client.levels["led"] != 31.0 {
        client.next().await;
    }
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn a_drag_is_published_ten_times_a_second_and_its_end_always() {
    let _turn = take_turn();
    let (_broker, dimmer, mqtt) = start().await;
    let mut client = dimmer.client().await;
    for _ in 0..3 {
        mqtt.clear();
        let start = Instant::now();
        for change in 0..90 {
            client
                .change("led", json!({"level": change % 89 + 1}))
                .await;
            tokio::time::sleep(Duration::from_millis(11)).await;
        }
        let dragged = start.elapsed();
        client.change("led", json!({"level": 77.7})).await;
        mqtt.expect(STATE, at(77.7)).await;
        let published = mqtt.received(STATE).len();
        println!("dragged for {dragged:?}, published {published} times");
        let most = dragged.as_secs_f64() * 10.0 + 2.0;
        assert!(published as f64 <= most, "{published} in {dragged:?}");
        assert!(published >= 4, "the light is seen to move: {published}");
    }
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn a_stop_and_a_kill_make_the_light_unavailable() {
    let _turn = take_turn();
    let (_broker, dimmer, mqtt) = start().await;
    let start = Instant::now();
    let (status, setup) = dimmer.stop();
    assert_eq!(status.code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(2));
    mqtt.expect(STATUS, json!("offline")).await;
    let dimmer = setup.start();
    mqtt.expect(STATUS, json!("online")).await;
    dimmer.kill();
    mqtt.expect(STATUS, json!("offline")).await;
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn discovery_is_published_again_when_home_assistant_starts() {
    let (_broker, _dimmer, mqtt) = start().await;
    for _ in 0..2 {
        mqtt.clear();
        mqtt.publish(BIRTH, "online").await;
        until("all is published again", async || {
            [CONFIG, STATUS, STATE]
                .iter()
                .all(|topic| !mqtt.received(topic).is_empty())
        })
        .await;
    }
    mqtt.clear();
    mqtt.publish(BIRTH, "offline").await;
    mqtt.publish(SET, json!({"state": "OFF"})).await;
    mqtt.expect(STATE, at(0.0)).await;
    assert!(mqtt.received(CONFIG).is_empty(), "only when it starts");
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn everything_is_published_again_after_the_broker_restarts() {
    let two = "[[light]]\n[[light]]\nname = \"b\"\ngpio = 18\n";
    let (mut broker, dimmer, mqtt) = start_with(two).await;
    broker.stop();
    until("it is noticed", async || {
        dimmer.log().contains("trying again")
    })
    .await;
    mqtt.clear();
    let mut client = dimmer.client().await;
    client.change("led", json!({"level": 66})).await;
    broker.start_again();
    mqtt.expect(STATE, at(66.0)).await;
    mqtt.expect(STATUS, json!("online")).await;
    mqtt.expect("dimmer/attic/b/state", at(50.0)).await;
    assert!(!mqtt.received(CONFIG).is_empty(), "it had forgotten");
    // Commands arrive as before.
    mqtt.publish(SET, json!({"state": "OFF"})).await;
    dimmer.pin_is_at("led", 0.0).await;
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn a_retained_command_is_not_executed_at_each_connection() {
    let mut broker = Broker::start();
    let mqtt = MqttClient::open(&broker).await;
    mqtt.publish_retained(SET, json!({"state": "OFF"})).await;
    mqtt.expect(SET, json!({"state": "OFF"})).await;
    let dimmer = Setup::with(&broker.settings("")).start();
    mqtt.expect(STATE, at(50.0)).await;
    // The next command on the same connection is done, so the first arrived and was ignored.
    mqtt.publish_retained(SET, json!({"state": "ON", "brightness": 60}))
        .await;
    dimmer.pin_is_at("led", 60.0).await;
    assert!(!dimmer.duties("led").contains(&0));
    broker.stop();
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn a_bad_command_changes_nothing_and_a_flood_of_them_is_one_line_in_the_log() {
    let (_broker, dimmer, mqtt) = start().await;
    mqtt.publish(SET, json!({"state": "ON", "brightness": 101}))
        .await;
    for _ in 0..500 {
        mqtt.publish(SET, "ON").await;
        mqtt.publish("dimmer/attic/sofa/set", json!({"state": "ON"}))
            .await;
    }
    mqtt.publish(SET, json!({"state": "ON", "brightness": 60}))
        .await;
    mqtt.expect(STATE, at(60.0)).await;
    dimmer.pin_is_at("led", 60.0).await;
    let duties = dimmer.duties("led");
    assert_eq!(duties, [linear(50.0), linear(60.0)]);
    let log = dimmer.log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("WARN")).collect();
    assert!(
        lines[0].contains("\"dimmer/attic/led/set\": brightness must be from 0 to 100, not 101"),
        "{log}"
    );
    assert!(lines.len() <= 2, "{log}");
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn a_retained_message_that_is_too_large_is_skipped_and_named() {
    for more in ["", "fleet = true\n"] {
        let broker = Broker::start();
        let mqtt = MqttClient::open(&broker).await;
        let other = "homeassistant/light/other/led/config";
        for topic in [SET, CONFIG, other] {
            mqtt.publish_retained(topic, "x".repeat(300_000)).await;
            until("it is retained", async || !mqtt.received(topic).is_empty()).await;
        }
        let dimmer = Setup::with(&broker.settings(more)).start();
        mqtt.expect(STATUS, json!("online")).await;
        for level in 1..=75 {
            let command = json!({"state": "ON", "brightness": level});
            mqtt.publish(SET, command).await;
            dimmer.pin_is_at("led", level.into()).await;
        }
        let log = dimmer.log();
        let skipped = format!("mqtt: {SET:?}: skipped, as it has more than 16 KiB");
        assert!(log.contains(&skipped), "{log}");
        assert!(!log.contains("trying again"), "{log}");
    }
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn a_group_moves_its_lights_on_all_dimmers() {
    let broker = Broker::start();
    let settings = |node: &str| {
        let lights = "[[light]]\ngroups = [\"upstairs\", \"all\"]\n\
                      [[light]]\nname = \"b\"\ngpio = 18\ngroups = [\"all\"]\n";
        broker.settings(lights).replace("attic", node)
    };
    let dimmers = [
        Setup::with(&settings("one")).start(),
        Setup::with(&settings("two")).start(),
    ];
    let mqtt = MqttClient::open(&broker).await;
    for node in ["one", "two"] {
        mqtt.expect(&format!("dimmer/{node}/status"), json!("online"))
            .await;
    }
    mqtt.publish("dimmer/group/upstairs/set", json!({"state": "OFF"}))
        .await;
    for dimmer in &dimmers {
        dimmer.pin_is_at("led", 0.0).await;
        assert_eq!(dimmer.level("b").await, 50.0);
    }
    mqtt.publish(
        "dimmer/group/all/set",
        json!({"state": "ON", "brightness": 9}),
    )
    .await;
    for dimmer in &dimmers {
        dimmer.pin_is_at("led", 9.0).await;
        dimmer.pin_is_at("b", 9.0).await;
    }
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn a_removed_light_is_removed_from_the_broker() {
    let broker = Broker::start();
    let mqtt = MqttClient::open(&broker).await;
    let light = |name: &str| broker.settings(&format!("[[light]]\nname = \"{name}\"\n"));
    let (old, new) = (light("old"), light("new"));
    let config = "homeassistant/light/attic/old/config";
    let others = "homeassistant/light/attic/other/config";
    mqtt.publish_retained(others, json!({"origin": {"name": "other"}}))
        .await;
    let dimmer = Setup::with(&old).start();
    mqtt.expect(STATUS, json!("online")).await;
    dimmer.stop();
    mqtt.expect(STATUS, json!("offline")).await;
    assert!(mqtt.newest(config).is_object());
    let _dimmer = Setup::with(&new).start();
    mqtt.expect(config, json!("")).await;
    mqtt.expect("dimmer/attic/old/state", json!("")).await;
    assert!(mqtt.newest(others).is_object(), "what others keep stays");
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn what_a_former_node_or_prefix_left_is_removed() {
    let broker = Broker::start();
    let mqtt = MqttClient::open(&broker).await;
    let folder = tempfile::tempdir().unwrap();
    let start = |node: &str, more: &str| {
        let setup = Setup::with(&broker.settings_of(node, more));
        setup.start_with(|command| {
            command.arg("--state-dir").arg(folder.path());
        })
    };
    let config = |prefix: &str, node: &str| format!("{prefix}/light/{node}/led/config");
    let old = config("homeassistant", "old");
    let dimmer = start("old", "");
    mqtt.expect("dimmer/old/status", json!("online")).await;
    dimmer.stop();
    mqtt.expect("dimmer/old/status", json!("offline")).await;

    let dimmer = start("new", "");
    for topic in [old.as_str(), "dimmer/old/led/state", "dimmer/old/status"] {
        mqtt.expect(topic, json!("")).await;
    }
    let new = config("homeassistant", "new");
    mqtt.expect("dimmer/new/status", json!("online")).await;
    assert!(mqtt.newest(&new).is_object());
    dimmer.stop();

    let dimmer = start("new", "discovery_prefix = \"home\"\n");
    mqtt.expect(&new, json!("")).await;
    mqtt.expect("dimmer/new/status", json!("online")).await;
    assert!(mqtt.newest("dimmer/new/led/state").is_object());
    assert!(mqtt.newest(&config("home", "new")).is_object());
    dimmer.stop();

    // Another dimmer has taken the name meanwhile.
    let _other = Setup::with(&broker.settings_of("new", "discovery_prefix = \"home\"\n")).start();
    mqtt.expect("dimmer/new/status", json!("online")).await;
    let dimmer = start("newer", "");
    until("it is noticed", async || {
        dimmer.log().contains("another dimmer is new by now")
    })
    .await;
    mqtt.expect("dimmer/newer/status", json!("online")).await;
    assert!(mqtt.newest(&config("home", "new")).is_object());
}

/// A broker that lets anyone in, refuses all subscriptions if told so, and closes the connection at a message to one of
/// these topics.
fn strict_broker(refuses: bool, denied: &'static [&'static str]) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let published = Arc::new(Mutex::new(Vec::new()));
    let topics = published.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            // Each connection ends with an error, if not otherwise.
            let _ = serve_strictly(stream.unwrap(), refuses, denied, &topics);
        }
    });
    (port, published)
}

fn serve_strictly(
    mut stream: TcpStream,
    refuses: bool,
    denied: &[&str],
    published: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let text = |bytes: &[u8]| {
        let end = 2 + usize::from(bytes[0]) * 256 + usize::from(bytes[1]);
        (String::from_utf8(bytes[2..end].to_vec()).unwrap(), end)
    };
    loop {
        let byte = |stream: &mut TcpStream| {
            let mut byte = [0];
            stream.read_exact(&mut byte).map(|()| byte[0])
        };
        let kind = byte(&mut stream)? >> 4;
        let (mut length, mut shift) = (0, 0);
        loop {
            let next = byte(&mut stream)?;
            length |= usize::from(next & 0x7f) << shift;
            shift += 7;
            if next < 0x80 {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        match kind {
            1 => stream.write_all(&[0x20, 2, 0, 0])?,
            3 => {
                let (topic, _) = text(&body);
                let is_denied = denied.contains(&topic.as_str());
                published.lock().unwrap().push(topic);
                if is_denied {
                    return Ok(());
                }
            }
            8 => {
                let mut answer = body[..2].to_vec();
                let mut rest = &body[2..];
                while !rest.is_empty() {
                    rest = &rest[text(rest).1 + 1..];
                    answer.push(if refuses { 0x80 } else { 1 });
                }
                stream.write_all(&[0x90, answer.len() as u8])?;
                stream.write_all(&answer)?;
            }
            12 => stream.write_all(&[0xd0, 0])?,
            _ => {}
        }
    }
}

fn settings_for(port: u16) -> String {
    format!("[mqtt]\nbroker = \"mqtt://127.0.0.1:{port}\"\nnode = \"attic\"\n")
}

#[tokio::test]
async fn a_subscription_that_the_broker_refuses_is_named_once() {
    let (port, _) = strict_broker(true, &[]);
    let dimmer = Setup::with(&settings_for(port)).start();
    let line = "the broker refuses the subscription to \"dimmer/attic/+/set\", so nothing arrives \
                from there; allow this user to read it in the access list of the broker";
    until("it is logged", async || dimmer.log().contains(line)).await;
    assert_eq!(dimmer.log().matches("dimmer/attic/+/set").count(), 1);
}

#[tokio::test]
async fn a_message_at_which_the_broker_closes_the_connection_is_named_and_left_out() {
    let (port, published) = strict_broker(false, &[CONFIG]);
    let dimmer = Setup::with(&settings_for(port)).start();
    let line = format!("closes the connection at a message to {CONFIG:?}, so that one is left out");
    until("it is named", async || dimmer.log().contains(&line)).await;
    published.lock().unwrap().clear();
    let states = || {
        let published = published.lock().unwrap();
        published.iter().filter(|topic| *topic == STATE).count()
    };
    until("the rest is published", async || states() > 0).await;
    let mut client = dimmer.client().await;
    let before = states();
    client.change("led", json!({"level": 7})).await;
    until("the state is published", async || states() > before).await;
    let published = published.lock().unwrap();
    assert!(!published.iter().any(|topic| topic == CONFIG));
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn the_right_password_connects_and_a_wrong_one_logs_what_to_do() {
    let broker = Broker::with_login("ana", "correct horse");
    let secret = tempfile::NamedTempFile::new().unwrap();
    let more = format!("username = \"ana\"\npassword_file = {:?}\n", secret.path());
    let mut ana = options("hub", &broker);
    ana.set_credentials("ana", "correct horse");
    let mqtt = MqttClient::open_with(ana).await;

    fs::write(secret.path(), "wrong\n").unwrap();
    let dimmer = Setup::with(&broker.settings(&more)).start();
    until("it is logged", async || {
        dimmer.log().contains(
            "the broker refuses the login; check username and password_file in [mqtt]; trying again",
        )
    })
    .await;
    assert!(!dimmer.log().contains("wrong\n"));
    dimmer.stop();

    let dimmer = Setup::with(&broker.settings("")).start();
    until("it is logged", async || {
        dimmer
            .log()
            .contains("set username and password_file in [mqtt]")
    })
    .await;
    dimmer.stop();

    fs::write(secret.path(), "correct horse\n").unwrap();
    let _dimmer = Setup::with(&broker.settings(&more)).start();
    mqtt.expect(STATUS, json!("online")).await;
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn the_password_may_be_a_systemd_credential() {
    let broker = Broker::with_login("ana", "correct horse");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mqtt-password"), "correct horse").unwrap();
    let dimmer = Setup::with(&broker.settings("username = \"ana\"\n")).start_with(|command| {
        command.env("CREDENTIALS_DIRECTORY", folder.path());
    });
    until("it is let in", async || {
        dimmer.log().contains("mqtt: connected to ")
    })
    .await;
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn only_a_broker_that_the_ca_certified_is_trusted() {
    let (broker, cert) = Broker::with_tls();
    let settings = |more: &str| broker.settings(more).replace("mqtt://", "mqtts://");
    let dimmer = Setup::with(&settings(&format!("ca = {cert:?}\n"))).start();
    until("it connects", async || {
        dimmer.log().contains("connected to mqtts://127.0.0.1:")
    })
    .await;
    let (_other, other) = Broker::with_tls();
    let dimmer = Setup::with(&settings(&format!("ca = {other:?}\n"))).start();
    until("it refuses", async || {
        dimmer.log().contains(
            "ca in [mqtt] names the PEM file with the certificate of the broker, or of its issuer",
        )
    })
    .await;
    let setup = Setup::with(&settings("ca = \"/nowhere\"\n"));
    let output = setup.command().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("dimmer: [mqtt]: ca /nowhere: "), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn two_dimmers_of_the_same_node_log_it() {
    let broker = Broker::start();
    let one = Setup::with(&broker.settings("")).start();
    let two = Setup::with(&broker.settings("")).start();
    until("one logs it", async || {
        let logged = "another dimmer may have the node \"attic\", too; trying again";
        [&one, &two]
            .iter()
            .any(|dimmer| dimmer.log().contains(logged))
    })
    .await;
}

#[test]
fn check_prints_the_broker_and_the_node() {
    let setup = Setup::with("[mqtt]\nbroker = \"mqtt://pi.lan\"\nnode = \"attic\"\n");
    let output = setup.command().arg("--check").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.ends_with("mqtt mqtt://pi.lan:1883 as attic\n"),
        "{text}"
    );
}

/// Starts with these settings, moves the light over a WebSocket, and stops; each within a short time.
async fn goes_on(settings: &str, logged: &str) {
    let _turn = take_turn();
    let start = Instant::now();
    let dimmer = Setup::with(settings).start();
    let started = start.elapsed();
    let mut client = dimmer.client().await;
    let mut slowest = Duration::ZERO;
    let mut level = 0;
    // Long enough for the service to log what is wrong.
    while level < 20 || !dimmer.log().contains(logged) {
        level = level % 99 + 1;
        let change = Instant::now();
        client.change("led", json!({ "level": level })).await;
        dimmer.pin_is_at("led", level.into()).await;
        slowest = slowest.max(change.elapsed());
        assert!(start.elapsed() < LIMIT, "{}", dimmer.log());
    }
    let stop = Instant::now();
    let (status, _) = dimmer.stop();
    let stopped = stop.elapsed();
    println!("{logged}: start {started:?}, a change {slowest:?} at most, stop {stopped:?}");
    assert_eq!(status.code(), Some(0));
    let short = Duration::from_secs(2);
    assert!(started < short && slowest < short && stopped < short);
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn a_broker_that_is_away_delays_nothing() {
    let mut broker = Broker::start();
    broker.stop();
    goes_on(&broker.settings(""), "cannot connect: Connection refused").await;
}

#[tokio::test]
async fn a_broker_that_sends_nothing_delays_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let settings = format!("[mqtt]\nbroker = \"mqtt://127.0.0.1:{port}\"\n");
    goes_on(&settings, "the broker does not answer").await;
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn a_broker_that_is_frozen_delays_no_stop() {
    let _turn = take_turn();
    let (broker, dimmer, mqtt) = start().await;
    broker.freeze();
    let mut client = dimmer.client().await;
    for level in 1..=20 {
        client.change("led", json!({ "level": level })).await;
        dimmer.pin_is_at("led", level.into()).await;
    }
    let start = Instant::now();
    dimmer.stop();
    assert!(start.elapsed() < Duration::from_secs(2));
    drop(mqtt);
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn a_command_over_mqtt_is_reported_to_the_clients() {
    let (_broker, dimmer, mqtt) = start().await;
    let mut client = dimmer.client().await;
    mqtt.publish(SET, &json!({"state": "ON", "brightness": 80}))
        .await;
    let entry = loop {
        let entry = client.next_field("activity").await[0].clone();
        if !entry.is_null() {
            break entry;
        }
    };
    let set = (&entry["via"], &entry["what"], &entry["level"]);
    assert_eq!(set, (&json!("mqtt"), &json!("set"), &json!(80)), "{entry}");
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn a_flash_is_reported_to_the_clients_like_any_other_command() {
    let (_broker, dimmer, mqtt) = start().await;
    let mut client = dimmer.client().await;
    mqtt.publish(SET, &json!({"state": "ON", "flash": 2})).await;
    let entry = client.next_field("activity").await[0].clone();
    let flashed = (&entry["via"], &entry["what"], &entry["light"]);
    let expected = (&json!("mqtt"), &json!("flashed"), &json!("led"));
    assert_eq!(flashed, expected, "{entry}");
}

/// What Home Assistant is told of the light.
async fn told(mqtt: &MqttClient, expected: Value) {
    until(&format!("{HA_STATE} has {expected}"), async || {
        let state = mqtt.newest(HA_STATE);
        let expected = expected.as_object().unwrap();
        expected.iter().all(|(key, value)| state[key] == *value)
    })
    .await;
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn home_assistant_has_a_thousand_steps() {
    let (_broker, dimmer, mqtt) = start().await;
    for (brightness, level) in [(4, 0.4), (425, 42.5), (1000, 100.0)] {
        let command = json!({"state": "ON", "brightness": brightness});
        mqtt.publish(HA_SET, command).await;
        dimmer.pin_is_at("led", level).await;
        let color_mode = "brightness";
        told(
            &mqtt,
            json!({"state": "ON", "brightness": brightness, "color_mode": color_mode}),
        )
        .await;
    }
    mqtt.publish(HA_SET, json!({"state": "OFF"})).await;
    told(
        &mqtt,
        json!({"state": "OFF", "brightness": null, "fault": null}),
    )
    .await;
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn home_assistant_changes_the_brightness_and_the_speed_of_an_effect_that_goes_on() {
    let (_broker, _dimmer, mqtt) = start().await;
    told(&mqtt, json!({"speed": 1})).await;
    mqtt.publish(HA_SET, json!({"speed": 2.0})).await;
    told(&mqtt, json!({"speed": 2, "effect": "off"})).await;
    mqtt.publish(HA_SET, json!({"state": "ON", "effect": "breathe"}))
        .await;
    told(
        &mqtt,
        json!({"speed": 2, "effect": "breathe", "brightness": 500}),
    )
    .await;
    mqtt.publish(HA_SET, json!({"state": "ON", "brightness": 200}))
        .await;
    told(
        &mqtt,
        json!({"speed": 2, "effect": "breathe", "brightness": 200}),
    )
    .await;
    mqtt.publish(HA_SET, json!({"speed": 0.5})).await;
    told(
        &mqtt,
        json!({"speed": 0.5, "effect": "breathe", "brightness": 200}),
    )
    .await;
    mqtt.publish(HA_SET, json!({"speed": 3.1})).await;
    mqtt.publish(HA_SET, json!({"state": "ON", "effect": "off"}))
        .await;
    told(
        &mqtt,
        json!({"speed": 0.5, "effect": "off", "brightness": 200}),
    )
    .await;
    // A sunrise has an end, which another brightness is.
    mqtt.publish(HA_SET, json!({"state": "ON", "effect": "sunrise"}))
        .await;
    told(&mqtt, json!({"effect": "sunrise"})).await;
    mqtt.publish(HA_SET, json!({"state": "ON", "brightness": 300}))
        .await;
    told(&mqtt, json!({"effect": "off", "brightness": 300})).await;
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn home_assistant_starts_and_cancels_the_sleep_timer() {
    let (_broker, dimmer, mqtt) = start().await;
    told(&mqtt, json!({"sleep_minutes": 30})).await;
    let timers = async || dimmer.request(Method::GET, "/api/timers", "").await.1;
    let due = async || {
        let next = timers().await[0]["next"].as_str()?.parse::<Timestamp>();
        next.ok()
    };
    for minutes in [90, 10] {
        mqtt.publish(HA_SET, json!({"sleep_minutes": minutes}))
            .await;
        told(&mqtt, json!({"sleep_minutes": minutes})).await;
        mqtt.publish(HA_SET, json!({"sleep": true})).await;
        // It fades in the last minute.
        let expected = Timestamp::now() + SignedDuration::from_secs(minutes * 60 - 60);
        let is_near = |due: Timestamp| due.duration_since(expected).abs().as_secs() < 20;
        until("it is set", async || due().await.is_some_and(is_near)).await;
    }
    let all = timers().await;
    let timer = (&all[0]["name"], &all[0]["on"], &all[0]["transition"]);
    assert_eq!(timer, (&json!("sleep led"), &json!(false), &json!(60.0)));
    assert_eq!(all.as_array().unwrap().len(), 1, "{all}");
    for _ in 0..2 {
        mqtt.publish(HA_SET, json!({"sleep_minutes": 0})).await;
        mqtt.publish(HA_SET, json!({"sleep": true})).await;
        until("it is cancelled", async || timers().await == json!([])).await;
    }
    assert!(!dimmer.log().contains("WARN"), "{}", dimmer.log());
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn home_assistant_selects_presets_and_sees_which_one_is_on() {
    let (_broker, dimmer, mqtt) = start().await;
    let select = "homeassistant/select/attic/preset/config";
    assert_eq!(mqtt.newest(select), Value::Null, "there is no preset");
    let save = async |name: &str, level: f64| {
        let body = json!({"lights": {"led": {"level": level}}}).to_string();
        let path = format!("/api/presets/{name}");
        assert_eq!(dimmer.request(Method::PUT, &path, &body).await.0, 200);
    };
    save("Film", 7.0).await;
    save("Night", 50.0).await;
    until("both are there", async || {
        mqtt.newest(select)["options"] == json!(["Film", "Night"])
    })
    .await;
    mqtt.expect(PRESET, json!("Night")).await;
    mqtt.publish("dimmer/attic/recall", "Film").await;
    dimmer.pin_is_at("led", 7.0).await;
    mqtt.expect(PRESET, json!("Film")).await;
    mqtt.publish(SET, json!({"state": "OFF"})).await;
    mqtt.expect(PRESET, json!("None")).await;
    mqtt.publish("dimmer/attic/recall", "Nothing").await;
    until("it is refused", async || {
        dimmer.log().contains("no preset is called \"Nothing\"")
    })
    .await;
    for name in ["Film", "Night"] {
        let path = format!("/api/presets/{name}");
        dimmer.request(Method::DELETE, &path, "").await;
    }
    mqtt.expect(select, json!("")).await;
    mqtt.expect(PRESET, json!("None")).await;
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn home_assistant_sees_a_fault_and_its_end() {
    let (_broker, dimmer, mqtt) = start().await;
    told(&mqtt, json!({"fault": null})).await;
    let trace = dimmer.setup().trace_folder().join("led");
    fs::remove_file(&trace).unwrap();
    fs::create_dir(&trace).unwrap();
    mqtt.publish(SET, json!({"state": "ON", "brightness": 60}))
        .await;
    until("there is a fault", async || {
        mqtt.newest(HA_STATE)["fault"].is_string()
    })
    .await;
    fs::remove_dir(&trace).unwrap();
    told(&mqtt, json!({"fault": null, "brightness": 600})).await;
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn what_the_settings_leave_out_disappears_from_home_assistant() {
    let (broker, dimmer, mqtt) = start().await;
    let topics = [
        "homeassistant/number/attic/led_speed/config",
        "homeassistant/number/attic/led_sleep/config",
        "homeassistant/button/attic/led_sleep/config",
        "homeassistant/binary_sensor/attic/led_fault/config",
    ];
    let speed = mqtt.newest(topics[0]);
    assert_eq!(speed["unique_id"], "dimmer_attic_led_speed");
    assert_eq!(speed["device"], mqtt.newest(CONFIG)["device"]);
    assert_eq!((&speed["min"], &speed["max"]), (&json!(0.1), &json!(3.0)));
    dimmer.stop();
    mqtt.expect(STATUS, json!("offline")).await;
    let _dimmer = Setup::with(&broker.settings("entities = [\"fault\"]\n")).start();
    for topic in &topics[..3] {
        mqtt.expect(topic, json!("")).await;
    }
    mqtt.expect(STATUS, json!("online")).await;
    assert!(mqtt.newest(topics[3]).is_object());
    assert!(mqtt.newest(CONFIG).is_object());
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn the_connection_to_the_broker_is_a_metric() {
    let (mut broker, dimmer, _mqtt) = start().await;
    let is_connected = async |connected: u8| {
        let metrics = reqwest::get(dimmer.url("/metrics")).await.unwrap();
        let line = format!("\ndimmer_mqtt_connected {connected}\n");
        metrics.text().await.unwrap().contains(&line)
    };
    assert!(is_connected(1).await);
    broker.stop();
    until("it is lost", async || is_connected(0).await).await;
    broker.start_again();
    until("it is back", async || is_connected(1).await).await;
}
