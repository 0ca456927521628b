//! Chromium, driven by chromedriver, and what only Chromium can do, by the DevTools protocol.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::hand::{Hand, Motion};
use super::{Driver, PI, Program, Window, WindowSetup};
use crate::common::until;

pub fn start() -> Driver {
    loop {
        match try_start() {
            Ok(driver) => return driver,
            // chromedriver takes a free port for IPv6, and then wants the same for IPv4.
            Err(output) if output.contains("IPv4 port not available") => {}
            Err(output) => panic!("chromedriver did not start: {output}"),
        }
    }
}

/// The error is what chromedriver printed before it ended.
fn try_start() -> Result<Driver, String> {
    let mut command = Command::new("chromedriver");
    command
        .arg("--port=0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut driver = Program::start(&mut command, "chromium-driver");
    let mut output = String::new();
    let lines = BufReader::new(driver.0.stdout.take().unwrap()).lines();
    let port = lines.map_while(Result::ok).find_map(|line| {
        output += &line;
        output += "\n";
        let (_, port) = line.split_once("successfully on port ")?;
        port.trim_end_matches('.').parse::<u16>().ok()
    });
    Ok(Driver {
        address: format!("http://127.0.0.1:{}/session", port.ok_or(output)?),
        programs: vec![driver],
    })
}

/// The capabilities of a session.
pub fn wanted(setup: &WindowSetup) -> Value {
    let mut options = match setup.hand {
        Hand::Finger => {
            let metrics = json!({"width": 390, "height": 844, "pixelRatio": 3, "touch": true});
            json!({"mobileEmulation": {"deviceMetrics": metrics}})
        }
        Hand::Mouse => json!({}),
    };
    options["args"] = json!([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-quic",
        "--window-size=1280,800",
        format!("--host-resolver-rules=MAP {PI} 127.0.0.1"),
        format!("--lang={}", setup.language),
        format!("--accept-lang={}", setup.language),
        format!("--user-data-dir={}", setup.folder.display()),
    ]);
    json!({
        "goog:chromeOptions": options,
        "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
    })
}

/// What a page took to load.
pub struct Load {
    /// The address of each request.
    pub requests: Vec<String>,
    /// The address of each WebSocket.
    pub sockets: Vec<String>,
    /// What came over the wire for the requests: headers, and bodies as they were compressed.
    pub bytes: f64,
}

impl Window {
    /// Gives a command of the DevTools protocol; in Chromium alone.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let command = json!({"cmd": command, "params": parameters});
        self.call("/goog/cdp/execute", command).await
    }

    /// Not by WebDriver's actions, in which chromedriver forgets a finger that stays down from one
    /// command to the next.
    pub(super) async fn touch_in_chromium(&self, motion: Motion) {
        let (x, y) = self.place.get();
        match self.hand {
            Hand::Finger => {
                let (kind, fingers) = match motion {
                    Motion::Down => ("touchStart", json!([{"x": x, "y": y}])),
                    Motion::Move => ("touchMove", json!([{"x": x, "y": y}])),
                    Motion::Up => ("touchEnd", json!([])),
                };
                let event = json!({"type": kind, "touchPoints": fingers});
                self.devtools("Input.dispatchTouchEvent", event).await;
            }
            Hand::Mouse => {
                let kind = match motion {
                    Motion::Down => "mousePressed",
                    Motion::Move => "mouseMoved",
                    Motion::Up => "mouseReleased",
                };
                let event =
                    json!({"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1});
                self.devtools("Input.dispatchMouseEvent", event).await;
            }
        }
    }

    /// With the dark colours, or the light ones.
    pub(super) async fn show_by(&self, night: bool) {
        let scheme = if night { "dark" } else { "light" };
        let scheme = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.devtools("Emulation.setEmulatedMedia", json!({"features": scheme}))
            .await;
    }

    /// As an app that was added to the home screen, from the next page on.
    pub async fn run_as_app(&self) {
        // The one thing that tells a page so, which DevTools cannot emulate.
        let says_app = "{
            const { matchMedia } = window;
            window.matchMedia = (query) =>
                query.includes('standalone') ? { matches: true } : matchMedia(query);
        }";
        self.devtools(
            "Page.addScriptToEvaluateOnNewDocument",
            json!({"source": says_app}),
        )
        .await;
    }

    /// A picture of the page, in Base64, by day or by night.
    pub async fn picture_by(&self, night: bool) -> Value {
        self.show_by(night).await;
        self.settled().await;
        let mut picture = self.devtools("Page.captureScreenshot", json!({})).await;
        self.show_by(self.night).await;
        picture["data"].take()
    }

    pub(super) async fn complaints_of_chromium(&self) -> Vec<String> {
        let entries = self.log("browser").await;
        let complaints = entries
            .iter()
            .filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING");
        complaints.map(Value::to_string).collect()
    }

    /// The DevTools protocol's events of this window that were not returned before.
    pub async fn events(&self) -> Vec<Value> {
        let entries = self.log("performance").await;
        let event = |entry: &Value| -> Value {
            let entry: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
            entry["message"].clone()
        };
        entries.iter().map(event).collect()
    }

    /// What it took to load the page at `url`, to the last file. To be called once, as it takes the
    /// [events](Window::events).
    pub async fn load(&self, url: &str) -> Load {
        let mut requests = HashMap::new();
        let mut unanswered = HashSet::new();
        let (mut sockets, mut bytes) = (Vec::new(), 0.0);
        until("every request is answered", async || {
            for event in self.events().await {
                let about = &event["params"];
                let id = about["requestId"].to_string();
                match event["method"].as_str().unwrap() {
                    // The browser's own start page makes requests too.
                    "Network.requestWillBeSent" if about["documentURL"] == url => {
                        unanswered.insert(id.clone());
                        requests.insert(id, about["request"]["url"].as_str().unwrap().to_string());
                    }
                    "Network.webSocketCreated" => {
                        sockets.push(about["url"].as_str().unwrap().to_string());
                    }
                    "Network.loadingFinished" if unanswered.remove(&id) => {
                        bytes += about["encodedDataLength"].as_f64().unwrap();
                    }
                    _ => {}
                }
            }
            // The browser asks for the manifest last, when the page is complete.
            unanswered.is_empty()
                && requests
                    .values()
                    .any(|url: &String| url.ends_with("/manifest.webmanifest"))
        })
        .await;
        Load {
            requests: requests.into_values().collect(),
            sockets,
            bytes,
        }
    }

    async fn log(&self, kind: &str) -> Vec<Value> {
        let log = self.call("/se/log", json!({"type": kind})).await;
        log.as_array().unwrap().clone()
    }
}
