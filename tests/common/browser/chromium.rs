//! Chromium's headless shell, driven by the DevTools protocol on a WebSocket.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::process::{Command, Stdio};
use std::rc::Rc;

use serde_json::{Value, json};

use super::hand::{self, ENTER, Hand, Motion};
use super::socket::Socket;
use super::{PI, Program, Session, Window, WindowSetup};
use crate::common::until;

/// The tab of a Chromium that is driven.
pub struct Tab {
    socket: Socket,
    /// What the protocol calls the connection to the tab.
    session: String,
    complaints: RefCell<Vec<String>>,
    events: RefCell<Vec<Value>>,
}

/// Starts it with a profile of its own.
pub async fn start(setup: &WindowSetup<'_>) -> (Vec<Program>, Session) {
    let mut command = Command::new("chromium-headless-shell");
    command
        .args([
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-quic",
            "--window-size=1280,800",
            "--remote-debugging-port=0",
        ])
        .arg(format!("--host-resolver-rules=MAP {PI} 127.0.0.1"))
        .arg(format!("--lang={}", setup.language))
        .arg(format!("--accept-lang={}", setup.language))
        .arg(format!("--user-data-dir={}", setup.folder.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let program = Program::start(&mut command, "chromium-headless-shell");
    let mut listens = None;
    until("Chromium listens", async || {
        let file = fs::read_to_string(setup.folder.join("DevToolsActivePort"));
        listens = file.ok().and_then(|file| {
            let (port, path) = file.split_once('\n')?;
            Some((port.parse().ok()?, path.to_string()))
        });
        listens.is_some()
    })
    .await;
    let (port, path) = listens.unwrap();
    let tab = Tab::of(Socket::of(port, &path).await, setup.hand).await;
    (vec![program], Session::Chromium(Rc::new(tab)))
}

/// What the protocol says when the page goes away during a command.
const GONE: [&str; 3] = [
    "Cannot find default execution context",
    "Execution context was destroyed",
    "Inspected target navigated or closed",
];

/// Lets a script wait until the page is loaded.
const LOADED: &str = "document.readyState === 'complete' || await new Promise((loaded) => addEventListener('load', loaded))";

impl Tab {
    async fn of(socket: Socket, hand: Hand) -> Tab {
        let call = async |method: &str, parameters: Value| {
            let command = json!({"method": method, "params": parameters});
            socket.call(command).await.unwrap()
        };
        let page = call("Target.createTarget", json!({"url": "about:blank"})).await;
        let attach = json!({"targetId": page["targetId"], "flatten": true});
        let attached = call("Target.attachToTarget", attach).await;
        let tab = Tab {
            session: attached["sessionId"].as_str().unwrap().into(),
            socket,
            complaints: RefCell::default(),
            events: RefCell::default(),
        };
        for domain in ["Log", "Network", "Page", "Runtime"] {
            tab.call(&format!("{domain}.enable"), json!({})).await;
        }
        if let Hand::Finger = hand {
            let (width, height) = hand.window();
            let metrics =
                json!({"width": width, "height": height, "deviceScaleFactor": 3, "mobile": true});
            tab.call("Emulation.setDeviceMetricsOverride", metrics)
                .await;
            let touch = json!({"enabled": true});
            tab.call("Emulation.setTouchEmulationEnabled", touch).await;
        }
        tab
    }

    /// Gives a command of the DevTools protocol.
    pub async fn call(&self, method: &str, parameters: Value) -> Value {
        let answer = self.try_call(method, parameters).await;
        answer.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    async fn try_call(&self, method: &str, parameters: Value) -> Result<Value, String> {
        let command = json!({"method": method, "params": parameters, "sessionId": self.session});
        let answer = self.socket.call(command).await;
        for event in self.socket.events() {
            self.complaints.borrow_mut().extend(complaint(&event));
            self.events.borrow_mut().push(event);
        }
        answer
    }

    /// What a function with this body returns. A page that goes away meanwhile lets it run on the next one.
    pub async fn run(&self, body: &str) -> Value {
        let script = json!({
            "expression": format!("(async () => {{ {LOADED}; {body}\n}})()"),
            "awaitPromise": true,
            "returnByValue": true,
            "userGesture": true,
        });
        let mut answer = Value::Null;
        until("the page runs a script", async || {
            match self.try_call("Runtime.evaluate", script.clone()).await {
                Ok(result) => answer = result,
                Err(error) if GONE.iter().any(|text| error.contains(text)) => return false,
                Err(error) => panic!("{body}: {error}"),
            }
            true
        })
        .await;
        let details = &answer["exceptionDetails"];
        assert!(details.is_null(), "{body}: {details}");
        answer["result"]["value"].take()
    }

    pub async fn go(&self, url: &str) {
        let answer = self.call("Page.navigate", json!({"url": url})).await;
        let error = &answer["errorText"];
        assert!(error.is_null(), "{url}: {error}");
        self.run("").await;
    }

    pub async fn reload(&self) {
        self.run("window.isOld = true").await;
        self.call("Page.reload", json!({})).await;
        until("the page is another", async || {
            self.run("return window.isOld").await != true
        })
        .await;
    }

    pub async fn resize_to(&self, width: u32, height: u32) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size).await;
    }

    pub async fn picture(&self) -> Value {
        self.call("Page.captureScreenshot", json!({})).await["data"].take()
    }

    /// Presses a key and lets go of it.
    pub async fn key(&self, key: char) {
        let (name, number, text) = match hand::named(key) {
            Some((name, number)) => (
                name.into(),
                number,
                if key == ENTER { "\r" } else { "" }.into(),
            ),
            None => (
                key.to_string(),
                key.to_ascii_uppercase().into(),
                key.to_string(),
            ),
        };
        let mut stroke =
            json!({"type": "keyDown", "key": name, "windowsVirtualKeyCode": number, "text": text});
        self.call("Input.dispatchKeyEvent", stroke.clone()).await;
        stroke["type"] = "keyUp".into();
        stroke["text"] = "".into();
        self.call("Input.dispatchKeyEvent", stroke).await;
    }

    /// Every error and warning that was not returned before.
    pub async fn complaints(&self) -> Vec<String> {
        self.catch_up().await;
        self.complaints.take()
    }

    /// Reads every event until now: those before the answer to a command.
    async fn catch_up(&self) {
        self.call("Page.enable", json!({})).await;
    }
}

/// What an event says that the page does wrong.
fn complaint(event: &Value) -> Option<String> {
    let about = &event["params"];
    let is_bad = match event["method"].as_str()? {
        "Log.entryAdded" => matches!(about["entry"]["level"].as_str()?, "error" | "warning"),
        "Runtime.consoleAPICalled" => {
            matches!(about["type"].as_str()?, "assert" | "error" | "warning")
        }
        "Runtime.exceptionThrown" => true,
        _ => false,
    };
    is_bad.then(|| about.to_string())
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
        self.chromium().call(command, parameters).await
    }

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
        let picture = self.chromium().picture().await;
        self.show_by(self.night).await;
        picture
    }

    /// The DevTools protocol's events of this window that were not returned before.
    pub async fn events(&self) -> Vec<Value> {
        let tab = self.chromium();
        tab.catch_up().await;
        tab.events.take()
    }

    /// What it took to load the page at `url`, to the last file. To be called once, as it takes the
    /// [events](Window::events).
    pub async fn load(&self, url: &str) -> Load {
        // The shell has no use for it, and fetches it only so.
        self.devtools("Page.getAppManifest", json!({})).await;
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
}
