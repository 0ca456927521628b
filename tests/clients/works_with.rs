//! README's "Works with": each line as it stands there, run against the service.
//!
//! scripts/clients.sh fetches the clients.

use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::broker::{Broker, MqttClient};
use crate::browser::{Browser, PI};
use crate::common::{Setup, TestServer, fetched, need, until};
use crate::socketio::CLIENTS;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;

const README: &str = include_str!("../../README.md");
const NODE_RED: &str = include_str!("../../examples/node-red.json");

/// Where README has the service.
const ADDRESS: &str = "raspberrypi.local:5000";

const OPERATIONS: &str = include_str!("../../docs/operations.md");

/// The code in a client's row of README.
fn lines(client: &str) -> Vec<&'static str> {
    let (_, section) = README.split_once("\n## Works with\n").unwrap();
    let (table, _) = section.split_once("\n## ").unwrap();
    let (plain, link) = (format!("| {client} |"), format!("[{client}]("));
    let is_its = |row: &&str| row.starts_with(&plain) || row.contains(&link);
    let row = table
        .lines()
        .find(is_its)
        .unwrap_or_else(|| panic!("no row of {client}"));
    row.split('`').skip(1).step_by(2).collect()
}

/// The line with the service's address in it.
fn to(dimmer: &TestServer, line: &str) -> String {
    assert!(line.contains(ADDRESS), "{line}");
    line.replace(ADDRESS, &dimmer.address.to_string())
}

/// The shell that runs the line, with these folders in its PATH.
fn shell(dimmer: &TestServer, line: &str, programs: &[PathBuf]) -> Command {
    let path = env::var_os("PATH").unwrap();
    let folders = programs.iter().cloned().chain(env::split_paths(&path));
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("exec {}", to(dimmer, line))])
        .env("PATH", env::join_paths(folders).unwrap());
    command
}

/// What the line prints. Asserts that it succeeds.
fn printed(dimmer: &TestServer, line: &str, programs: &[PathBuf]) -> String {
    let output = shell(dimmer, line, programs).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// A program that runs until this is dropped.
pub struct Running {
    folder: TempDir,
    child: Child,
    input: ChildStdin,
}

impl Running {
    /// Its files go below `folder`.
    pub fn start(folder: TempDir, mut command: Command) -> Running {
        let file = File::create(folder.path().join("output")).unwrap();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let input = child.stdin.take().unwrap();
        Running {
            folder,
            child,
            input,
        }
    }

    pub fn write(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    /// All that the program has printed.
    fn printed(&self) -> String {
        fs::read_to_string(self.folder.path().join("output")).unwrap()
    }

    /// Waits until the program prints this, behind the first `after` bytes, and returns where that ends.
    pub async fn wait_for(&self, what: &str, after: usize) -> usize {
        let mut end = None;
        until(&format!("the program prints {what}"), async || {
            let text = self.printed();
            end = text[after..].find(what).map(|at| after + at + what.len());
            end.is_some()
        })
        .await;
        end.unwrap()
    }

    /// The address that the program prints behind these words.
    async fn address(&self, words: &str) -> String {
        let start = self.wait_for(words, 0).await;
        let text = self.printed();
        let is_its = |letter: char| letter.is_ascii_digit() || ".:".contains(letter);
        let end = text[start..].find(|letter| !is_its(letter)).unwrap();
        text[start..start + end].into()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// README's session with websocat: each line is what is typed, or the start of what is received.
fn talk() -> impl Iterator<Item = (bool, &'static str)> {
    let [websocat, ..] = lines("websocat")[..] else {
        panic!("websocat has no command");
    };
    let (_, talk) = README.split_once(&format!("\n$ {websocat}\n")).unwrap();
    let (talk, _) = talk.split_once("\n```").unwrap();
    talk.lines().map(|line| {
        let is_typed = line.parse::<f64>().is_ok() || line.contains("\": ");
        (is_typed, line.split('…').next().unwrap())
    })
}

/// Has README's session by the client's command.
async fn talk_by(client: &str, programs: &[PathBuf]) {
    let dimmer = TestServer::start();
    let _first = dimmer.client().await;
    let command = shell(&dimmer, lines(client)[0], programs);
    let mut client = Running::start(tempfile::tempdir().unwrap(), command);
    let (mut printed, mut typed) = (0, 0);
    for (is_typed, line) in talk() {
        if is_typed {
            client.write(line);
            typed += 1;
        } else {
            printed = client.wait_for(line, printed).await;
        }
    }
    assert!(typed >= 5);
    assert_eq!(dimmer.level("led").await, 100.0);
}

#[tokio::test]
#[ignore = "needs Chromium; scripts/test.sh installs it and runs this"]
async fn a_browser() {
    let dimmer = TestServer::start();
    let [url] = lines("a browser")[..] else {
        panic!("a browser has one address")
    };
    let browser = Browser::chromium();
    assert!(url.contains(PI));
    let port = format!(":{}", dimmer.address.port());
    let client = browser
        .phone_at("en-US", &url.replace(":5000", &port))
        .await;
    client.is_live().await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs curl; scripts/test.sh installs it and runs this"]
async fn curl() {
    need("curl", "curl");
    let dimmer = TestServer::start();
    let saved = dimmer.request(Method::PUT, "/api/presets/Film", "").await;
    assert_eq!(saved.0, 200);
    let [get, put, recall] = lines("curl")[..] else {
        panic!("curl has three commands")
    };
    printed(&dimmer, put, &[]);
    assert_eq!(dimmer.level("led").await, 42.0);
    let light: Value = serde_json::from_str(&printed(&dimmer, get, &[])).unwrap();
    assert_eq!(light["level"], 42);
    assert_eq!(printed(&dimmer, recall, &[]), "");
    assert_eq!(dimmer.level("led").await, 50.0);
}

#[tokio::test]
#[ignore = "needs HTTPie; scripts/test.sh installs it and runs this"]
async fn httpie() {
    need("http", "httpie");
    need("script", "bsdutils");
    let dimmer = TestServer::start();
    // On a terminal: elsewhere it takes its input for the body.
    let line = lines("HTTPie")[0];
    let line = format!("script --quiet --return --command '{line}' /dev/null");
    printed(&dimmer, &line, &[]);
    assert_eq!(dimmer.level("led").await, 42.0);
}

#[tokio::test]
#[ignore = "needs Node.js; scripts/test.sh installs it and runs this"]
async fn node_js() {
    need("node", "nodejs");
    let dimmer = TestServer::start();
    printed(&dimmer, lines("Node.js")[0], &[]);
    assert_eq!(dimmer.level("led").await, 42.0);
}

#[tokio::test]
#[ignore = "needs wscat; scripts/test.sh installs it and runs this"]
async fn wscat() {
    talk_by("wscat", &[CLIENTS.join("node_modules/.bin")]).await;
}

#[tokio::test]
#[ignore = "needs websockets of Python; scripts/test.sh installs it and runs this"]
async fn websockets_of_python() {
    talk_by("websockets", &[CLIENTS.join("engineio-4/bin")]).await;
}

#[tokio::test]
#[ignore = "needs websocat; scripts/test.sh installs it and runs this"]
async fn websocat() {
    talk_by(
        "websocat",
        &[fetched("scripts/clients.sh", &["websocat"]).join("bin")],
    )
    .await;
}

#[tokio::test]
#[ignore = "needs python-socketio; scripts/test.sh installs it and runs this"]
async fn python_socketio() {
    let dimmer = TestServer::start();
    let [command] = lines("python-socketio")[..] else {
        panic!("python-socketio has one command")
    };
    printed(&dimmer, command, &[CLIENTS.join("engineio-4/bin")]);
    assert_eq!(dimmer.level("led").await, 42.0);
}

#[tokio::test]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn home_assistant() {
    let broker = Broker::start();
    let [setting, section] = lines("Home Assistant")[..] else {
        panic!("Home Assistant has one setting")
    };
    let settings = format!("{section}\nnode = \"attic\"\n{setting}\n");
    let its = format!("127.0.0.1:{}", broker.port);
    let dimmer = Setup::with(&settings.replace("homeassistant.local:1883", &its)).start();
    let mqtt = MqttClient::open(&broker).await;
    let config = "homeassistant/light/attic/led/config";
    until("the light appears", async || {
        mqtt.newest(config)["command_topic"].is_string()
    })
    .await;
    let command = json!({"state": "ON", "brightness": 42});
    mqtt.publish("dimmer/attic/led/set", command).await;
    until("the light is at 42", async || {
        dimmer.level("led").await == 42.0
    })
    .await;
}

/// Prometheus with this below `scrape_configs`.
fn prometheus(job: &str) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prometheus.yml");
    let settings = format!("global: {{ scrape_interval: 1s }}\nscrape_configs:\n  {job}\n");
    fs::write(&file, settings).unwrap();
    let programs = fetched("scripts/clients.sh", &["prometheus"]);
    let mut command = Command::new(programs.join("usr/bin/prometheus"));
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().display()))
        .arg("--web.listen-address=127.0.0.1:0");
    Running::start(folder, command)
}

#[tokio::test]
#[ignore = "needs Prometheus; scripts/test.sh installs it and runs this"]
async fn prometheus_scrapes_the_level() {
    let dimmer = TestServer::start();
    let prometheus = prometheus(&to(&dimmer, lines("Prometheus")[0]));
    let mut client = dimmer.client().await;
    client.change("led", json!({"level": 42})).await;
    let address = prometheus.address("\"Listening on\" address=").await;
    let url = format!("http://{address}/api/v1/query?query=dimmer_light_level_ratio");
    until("Prometheus has the level", async || {
        let Ok(answer) = reqwest::get(&url).await else {
            return false;
        };
        let answer: Value = answer.json().await.unwrap_or_default();
        let found = &answer["data"]["result"][0];
        found["metric"]["job"] == "dimmer" && found["value"][1] == "0.42"
    })
    .await;
}

#[test]
fn the_flow_for_node_red_has_the_address_once() {
    let [file, address] = lines("Node-RED")[..] else {
        panic!("Node-RED has a flow and its address")
    };
    assert!(Path::new(file).is_file(), "{file}");
    assert_eq!(NODE_RED.matches(address).count(), 1);
    assert_eq!(NODE_RED.matches("raspberrypi").count(), 1);
}

fn node_red(dimmer: &TestServer) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let flow = folder.path().join("flow.json");
    fs::write(&flow, to(dimmer, NODE_RED)).unwrap();
    let program = fetched("scripts/clients.sh", &["node-red"]).join("node_modules/node-red/red.js");
    let mut command = Command::new("node");
    command
        .arg(program)
        .args(["--port", "0", "--define", "uiHost=127.0.0.1", "--userDir"])
        .arg(folder.path())
        .arg(flow);
    Running::start(folder, command)
}

/// The id of the node of this name.
fn node(name: &str) -> String {
    let nodes: Vec<Value> = serde_json::from_str(NODE_RED).unwrap();
    let node = nodes.iter().find(|node| node["name"] == name).unwrap();
    node["id"].as_str().unwrap().into()
}

#[tokio::test]
#[ignore = "needs Node-RED; scripts/test.sh installs it and runs this"]
async fn node_red_sets_the_light_and_receives_the_change() {
    let dimmer = TestServer::start();
    let node_red = node_red(&dimmer);
    let address = node_red.address("now running at http://").await;
    let connected = node_red.wait_for("{ light: 'led', level: 50 }", 0).await;
    let press = async |button: &str| {
        let url = format!("http://{address}/inject/{}", node(button));
        let answer = Client::new().post(url).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{button}");
    };
    press("42 percent").await;
    // Its own change, which it asks to be sent.
    node_red
        .wait_for("{ light: 'led', level: 42 }", connected)
        .await;
    press("toggle").await;
    node_red
        .wait_for("{ light: 'led', level: 0 }", connected)
        .await;
    let mut client = dimmer.client().await;
    client.change("led", json!({"level": 60})).await;
    node_red
        .wait_for("{ light: 'led', level: 60 }", connected)
        .await;
}

#[tokio::test]
#[ignore = "needs curl; scripts/test.sh installs it and runs this"]
async fn the_requests_for_shortcuts_of_a_phone_do_what_they_say() {
    need("curl", "curl");
    let (_, section) = OPERATIONS
        .split_once("\n## Shortcuts and widgets on a phone\n")
        .unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let lines: Vec<_> = section
        .lines()
        .filter(|line| line.starts_with("curl "))
        .collect();
    assert_eq!(lines.len(), 4);
    let dimmer = TestServer::start();
    let mut client = dimmer.client().await;
    client.send(json!({"save": "Film"})).await;
    client.settled().await;
    for (line, level) in lines.iter().zip([40.0, 0.0, 40.0, 50.0]) {
        let answer = printed(&dimmer, line, &[]);
        assert!(!answer.contains("error"), "{line}: {answer}");
        assert_eq!(dimmer.level("led").await, level, "{line}");
    }
}
