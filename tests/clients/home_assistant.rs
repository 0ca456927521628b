//! Home Assistant itself, in the oldest version that dimmer is tested with and in the newest one, with a real broker.

use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::broker::{Broker, MqttClient};
use crate::common::{Setup, TestServer, until_within};
use reqwest::{Client, Method, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

const OLD: &str = "2024.3.3";
const NEW: &str = "2026.11.0";
/// How long Home Assistant may take for anything, such as a start on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);
/// Home Assistant wants the URL of an application for a login.
const CLIENT: &str = "http://127.0.0.1/";
const LIGHT: &str = "light.attic_led";

async fn until(what: &str, holds: impl AsyncFnMut() -> bool) {
    until_within(LIMIT, what, holds).await;
}

/// A Home Assistant with a user, which is connected to a broker.
struct HomeAssistant {
    version: &'static str,
    folder: TempDir,
    url: String,
    child: Child,
    token: String,
}

impl HomeAssistant {
    async fn start(version: &'static str, broker: &Broker) -> HomeAssistant {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let folder = tempfile::tempdir().unwrap();
        write_settings(&folder, version, port);
        let child = run(version, &folder);
        let mut home = HomeAssistant {
            version,
            folder,
            url: format!("http://127.0.0.1:{port}"),
            child,
            token: String::new(),
        };
        home.is_up("/api/onboarding").await;
        home.token = home.onboard().await;
        home.connect(broker).await;
        home
    }

    /// Waits until this path can be read.
    async fn is_up(&mut self, path: &str) {
        let start = Instant::now();
        while self.try_request(Method::GET, path, None).await.is_none() {
            let has_failed = self.child.try_wait().unwrap().is_some()
                || start.elapsed() > LIMIT
                || self.log().contains("recovery mode");
            assert!(!has_failed, "{}", self.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Creates the first user. Returns its token.
    async fn onboard(&self) -> String {
        let user = json!({
            "name": "Ana", "username": "ana", "password": "correct horse",
            "client_id": CLIENT, "language": "en",
        });
        let user = self
            .request(Method::POST, "/api/onboarding/users", user)
            .await;
        let code = user["auth_code"].as_str().unwrap();
        let form = format!("grant_type=authorization_code&code={code}&client_id={CLIENT}");
        let answer = Client::new()
            .post(format!("{}/auth/token", self.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form)
            .send();
        let tokens: Value = answer.await.unwrap().json().await.unwrap();
        tokens["access_token"].as_str().unwrap().into()
    }

    /// Adds the MQTT integration, as its dialogue does.
    async fn connect(&self, broker: &Broker) {
        let flows = "/api/config/config_entries/flow";
        let flow = self
            .request(Method::POST, flows, json!({"handler": "mqtt"}))
            .await;
        assert_eq!(flow["step_id"], "broker", "{flow}");
        let mut settings = json!({"broker": "127.0.0.1", "port": broker.port});
        if self.version == NEW {
            settings["protocol"] = "5".into();
            settings["other_settings"] =
                json!({"set_client_cert": false, "set_ca_cert": "off", "transport": "tcp"});
        }
        let path = format!("{flows}/{}", flow["flow_id"].as_str().unwrap());
        let entry = self.request(Method::POST, &path, settings).await;
        assert_eq!(entry["type"], "create_entry", "{entry}");
    }

    async fn restart(&mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.child.wait().unwrap();
        self.child = run(self.version, &self.folder);
        self.is_up("/api/states").await;
    }

    async fn try_request(&self, method: Method, path: &str, body: Option<Value>) -> Option<Value> {
        let request = Client::new()
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(&self.token);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let answer = request.send().await.ok()?;
        let is_ok = answer.status() == StatusCode::OK;
        is_ok.then_some(answer.text().await.ok()?).map(|text| {
            // A template is answered with its text.
            serde_json::from_str(&text).unwrap_or_else(|_| text.into())
        })
    }

    async fn request(&self, method: Method, path: &str, body: Value) -> Value {
        let answer = self.try_request(method, path, Some(body)).await;
        answer.unwrap_or_else(|| panic!("{path} is refused: {}", self.log()))
    }

    async fn call(&self, service: &str, entity: &str, mut data: Value) {
        data["entity_id"] = entity.into();
        let path = format!("/api/services/{service}");
        self.request(Method::POST, &path, data).await;
    }

    /// What a template says.
    async fn template(&self, template: &str) -> Value {
        let body = json!({"template": format!("{{{{ {template} }}}}")});
        self.request(Method::POST, "/api/template", body).await
    }

    /// The state of an entity; null without one.
    async fn entity(&self, id: &str) -> Value {
        let path = format!("/api/states/{id}");
        let entity = self.try_request(Method::GET, &path, None).await;
        entity.unwrap_or_default()
    }

    async fn expect(&self, id: &str, state: &str) {
        until(&format!("{id} is {state}"), async || {
            self.entity(id).await["state"] == state
        })
        .await;
    }

    /// Waits until the light has this attribute.
    async fn light_has(&self, attribute: &str, value: Value) {
        until(&format!("{attribute} is {value}"), async || {
            self.entity(LIGHT).await["attributes"][attribute] == value
        })
        .await;
    }

    async fn turn_on(&self, data: Value) {
        self.call("light/turn_on", LIGHT, data).await;
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("output")).unwrap()
    }

    /// Fails if a line of the log is about dimmer.
    fn check_log(&self) {
        // Not where Home Assistant is installed.
        let log = self.log().replace("/dimmer/home-assistant", "");
        let is_about = |line: &&str| {
            ["dimmer", "attic", "cellar"]
                .iter()
                .any(|name| line.contains(name))
        };
        let lines: Vec<_> = log.lines().filter(is_about).collect();
        assert!(lines.is_empty(), "{lines:#?}");
    }
}

impl Drop for HomeAssistant {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write_settings(folder: &TempDir, version: &str, port: u16) {
    let mut settings = String::from("api:\nconfig:\nonboarding:\nlogger:\n  default: warning\n");
    if version == OLD {
        settings += &format!("http:\n  server_host: 127.0.0.1\n  server_port: {port}\n");
    } else {
        // It reads these settings from yaml only once, and asks its user to confirm them.
        let stable = json!({
            "server_host": ["127.0.0.1"], "server_port": port, "ssl_profile": "intermediate_v6",
            "cors_allowed_origins": [], "login_attempts_threshold": -1, "ip_ban_enabled": true,
            "use_x_frame_options": true,
            "created_at": "2026-01-01T00:00:00+00:00", "error": null, "error_message": null,
        });
        let data = json!({"stable": stable, "pending": null, "yaml_migration_done": true});
        let stored = json!({"version": 3, "minor_version": 1, "key": "http", "data": data});
        fs::create_dir(folder.path().join(".storage")).unwrap();
        fs::write(folder.path().join(".storage/http"), stored.to_string()).unwrap();
    }
    fs::write(folder.path().join("configuration.yaml"), settings).unwrap();
}

fn run(version: &str, folder: &TempDir) -> Child {
    let output = folder.path().join("output");
    let output = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(output);
    let output = output.unwrap();
    Command::new("scripts/home-assistant.sh")
        .args(["run", version])
        .arg(folder.path())
        .stdout(output.try_clone().unwrap())
        .stderr(Stdio::from(output))
        .spawn()
        .unwrap()
}

/// What the first version of dimmer said about a light.
fn first_discovery() -> Value {
    json!({
        "schema": "json",
        "name": "led",
        "unique_id": "dimmer_attic_led",
        "object_id": "attic_led",
        "command_topic": "dimmer/attic/led/set",
        "state_topic": "dimmer/attic/led/state",
        "availability_topic": "dimmer/attic/status",
        "brightness": true,
        "brightness_scale": 100,
        "effect": true,
        "effect_list": ["off", "breathe", "blink", "candle", "strobe", "sunrise"],
        "device": {
            "identifiers": ["dimmer_attic"], "name": "attic", "manufacturer": "dimmer",
            "model": "dimmer", "sw_version": "0.1.0",
        },
        "origin": {"name": "dimmer", "sw": "0.1.0"},
    })
}

/// A broker, a Home Assistant that knew the first version of dimmer, and the dimmer that took its place.
async fn upgraded(version: &'static str) -> (Broker, HomeAssistant, TestServer) {
    let broker = Broker::start();
    let mqtt = MqttClient::open(&broker).await;
    let config = "homeassistant/light/attic/led/config";
    mqtt.publish_retained(config, first_discovery()).await;
    let home = HomeAssistant::start(version, &broker).await;
    home.expect(LIGHT, "unavailable").await;
    let dimmer = Setup::with(&broker.settings("")).start();
    home.expect(LIGHT, "on").await;
    (broker, home, dimmer)
}

/// All entities are there, once each, and of one device.
async fn discovers(home: &HomeAssistant) {
    for (entity, state) in [
        ("number.attic_led_speed", "1"),
        ("number.attic_led_sleep", "30"),
        ("button.attic_led_sleep", "unknown"),
        ("binary_sensor.attic_led_fault", "off"),
    ] {
        until(entity, async || {
            let found = home.entity(entity).await["state"].clone();
            found
                .as_str()
                .is_some_and(|found| found.trim_end_matches(".0") == state)
        })
        .await;
        let same = format!("device_id('{entity}') == device_id('{LIGHT}')");
        assert_eq!(home.template(&same).await, json!("True"), "{entity}");
    }
    let all = home.template("states.light | list | count").await;
    assert_eq!(all, 1, "the upgrade leaves no second light");
    let version = format!("device_attr('{LIGHT}', 'sw_version')");
    assert_eq!(home.template(&version).await, env!("CARGO_PKG_VERSION"));
}

/// A device that Home Assistant has not seen before gets its area, and a link to its page.
async fn has_an_area_and_a_link(home: &HomeAssistant, broker: &Broker) {
    let settings = broker.settings_of("cellar", "area = \"Cellar\"\n");
    let dimmer = Setup::with(&settings).start_with(|command| {
        // On loopback alone there is no page that others could open.
        command.args(["--listen", "0.0.0.0:0"]);
    });
    home.expect("light.cellar_led", "on").await;
    let area = home.template("area_name('light.cellar_led')").await;
    assert_eq!(area, "Cellar");
    let url = "device_attr('light.cellar_led', 'configuration_url')";
    let url = home.template(url).await;
    let end = format!(".local:{}", dimmer.address.port());
    assert!(url.as_str().is_some_and(|url| url.ends_with(&end)), "{url}");
}

async fn dims(home: &HomeAssistant, dimmer: &TestServer) {
    for brightness in [1, 2, 77, 254, 255] {
        home.turn_on(json!({"brightness": brightness})).await;
        let level = (f64::from(brightness) / 255.0 * 1000.0).round() / 10.0;
        dimmer.pin_is_at("led", level).await;
        home.light_has("brightness", json!(brightness)).await;
        home.light_has("color_mode", json!("brightness")).await;
    }
    let mut client = dimmer.client().await;
    client.change("led", json!({"level": 12.5})).await;
    home.light_has("brightness", json!(32)).await;

    home.call("light/turn_off", LIGHT, json!({"transition": 0.2}))
        .await;
    home.expect(LIGHT, "off").await;
    dimmer.pin_is_at("led", 0.0).await;
    let before = dimmer.duties("led").len();
    let start = Instant::now();
    home.turn_on(json!({"brightness": 255, "transition": 1}))
        .await;
    dimmer.pin_is_at("led", 100.0).await;
    assert!(start.elapsed() >= Duration::from_millis(900));
    let way = dimmer.duties("led").split_off(before);
    assert!(way.len() > 20 && way.is_sorted(), "{way:?}");
}

async fn plays_effects(home: &HomeAssistant, dimmer: &TestServer) {
    for effect in ["breathe", "blink", "strobe", "sunrise", "candle"] {
        home.turn_on(json!({"effect": effect})).await;
        home.light_has("effect", json!(effect)).await;
    }
    home.turn_on(json!({"brightness": 51})).await;
    home.light_has("brightness", json!(51)).await;
    home.light_has("effect", json!("candle")).await;
    let speed = "number.attic_led_speed";
    home.call("number/set_value", speed, json!({"value": 2.5}))
        .await;
    home.expect(speed, "2.5").await;
    let led = dimmer.request(Method::GET, "/api/lights/led", "").await.1;
    assert_eq!(
        (&led["effect"], &led["speed"]),
        (&json!("candle"), &json!(2.5))
    );
    home.turn_on(json!({"effect": "off"})).await;
    home.light_has("effect", json!("off")).await;
    dimmer.pin_is_at("led", 20.0).await;
}

async fn flashes(home: &HomeAssistant, dimmer: &TestServer) {
    let effect = async || {
        let led = dimmer.request(Method::GET, "/api/lights/led", "").await.1;
        led["effect"].clone()
    };
    for (flash, seconds) in [("short", 2), ("long", 10)] {
        home.turn_on(json!({"flash": flash})).await;
        until("it blinks", async || effect().await == "blink").await;
        let start = Instant::now();
        until("it is over", async || effect().await.is_null()).await;
        let lasted = start.elapsed().as_secs_f64();
        let asked = f64::from(seconds);
        assert!(
            (asked - 1.0..asked + 1.0).contains(&lasted),
            "{flash}: {lasted} s"
        );
        dimmer.pin_is_at("led", 20.0).await;
    }
}

async fn recalls_presets(home: &HomeAssistant, dimmer: &TestServer) {
    let select = "select.attic_preset";
    assert_eq!(home.entity(select).await, Value::Null);
    let film = json!({"lights": {"led": {"level": 7}}}).to_string();
    dimmer
        .request(Method::PUT, "/api/presets/Film", &film)
        .await;
    home.expect(select, "unknown").await;
    let option = json!({"option": "Film"});
    home.call("select/select_option", select, option).await;
    dimmer.pin_is_at("led", 7.0).await;
    home.expect(select, "Film").await;
    dimmer
        .request(Method::DELETE, "/api/presets/Film", "")
        .await;
    until("it is gone", async || home.entity(select).await.is_null()).await;
}

async fn sleeps(home: &HomeAssistant, dimmer: &TestServer) {
    let timers = async || dimmer.request(Method::GET, "/api/timers", "").await.1;
    let (number, button) = ("number.attic_led_sleep", "button.attic_led_sleep");
    home.call("number/set_value", number, json!({"value": 45}))
        .await;
    home.expect(number, "45").await;
    home.call("button/press", button, json!({})).await;
    until("it is set", async || {
        timers().await[0]["name"] == "sleep led"
    })
    .await;
    home.call("number/set_value", number, json!({"value": 0}))
        .await;
    home.expect(number, "0").await;
    home.call("button/press", button, json!({})).await;
    until("it is cancelled", async || timers().await == json!([])).await;
}

async fn sees_a_fault(home: &HomeAssistant, dimmer: &TestServer) {
    let (fault, trace) = (
        "binary_sensor.attic_led_fault",
        dimmer.setup().trace_folder().join("led"),
    );
    fs::remove_file(&trace).unwrap();
    fs::create_dir(&trace).unwrap();
    home.turn_on(json!({"brightness": 100})).await;
    home.expect(fault, "on").await;
    let why = home.entity(fault).await["attributes"]["fault"].clone();
    assert!(why.is_string(), "{why}");
    fs::remove_dir(&trace).unwrap();
    home.expect(fault, "off").await;
}

/// Restarts each of the three, and kills dimmer; after each the light is there, and obeys.
async fn survives(mut home: HomeAssistant, mut broker: Broker, mut dimmer: TestServer) {
    for is_killed in [false, true] {
        let setup = match is_killed {
            false => dimmer.stop().1,
            true => dimmer.kill(),
        };
        home.expect(LIGHT, "unavailable").await;
        dimmer = setup.start();
        home.expect(LIGHT, "on").await;
        obeys(&home, &dimmer, if is_killed { 20.0 } else { 40.0 }).await;
    }
    broker.stop();
    home.expect(LIGHT, "unavailable").await;
    broker.start_again();
    home.expect(LIGHT, "on").await;
    obeys(&home, &dimmer, 60.0).await;

    home.restart().await;
    home.expect(LIGHT, "on").await;
    obeys(&home, &dimmer, 80.0).await;
    home.check_log();

    let (_, setup) = dimmer.stop();
    let other = broker.settings("entities = []\n[[light]]\nname = \"other\"\n");
    let _dimmer = setup.with_settings(&other).start();
    home.expect("light.attic_other", "on").await;
    for entity in [
        LIGHT,
        "number.attic_led_speed",
        "binary_sensor.attic_led_fault",
    ] {
        until("it is gone", async || home.entity(entity).await.is_null()).await;
    }
    home.check_log();
}

async fn obeys(home: &HomeAssistant, dimmer: &TestServer, level: f64) {
    home.turn_on(json!({"brightness_pct": level})).await;
    dimmer.pin_is_at("led", level).await;
}

async fn everything(version: &'static str) {
    let (broker, home, dimmer) = upgraded(version).await;
    discovers(&home).await;
    has_an_area_and_a_link(&home, &broker).await;
    dims(&home, &dimmer).await;
    plays_effects(&home, &dimmer).await;
    flashes(&home, &dimmer).await;
    recalls_presets(&home, &dimmer).await;
    sleeps(&home, &dimmer).await;
    sees_a_fault(&home, &dimmer).await;
    home.check_log();
    survives(home, broker, dimmer).await;
}

#[tokio::test]
#[ignore = "needs Home Assistant; scripts/test.sh --long installs it and runs this"]
async fn everything_works_on_home_assistant_2024_3() {
    everything(OLD).await;
}

#[tokio::test]
#[ignore = "needs Home Assistant; scripts/test.sh --long installs it and runs this"]
async fn everything_works_on_home_assistant_2026_11() {
    everything(NEW).await;
}
