//! Firefox, which speaks WebDriver BiDi itself, on a WebSocket.

use std::cell::{Cell, RefCell};
use std::fs;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::hand::Hand;
use super::{PI, Program, Session, WindowSetup};
use crate::common::{LIMIT, until};

/// The tab of a Firefox that is driven.
pub struct Tab {
    socket: Mutex<WebSocketStream<TcpStream>>,
    /// The number of the last command.
    number: Cell<u64>,
    /// What WebDriver calls the tab.
    context: String,
    complaints: RefCell<Vec<String>>,
}

/// Starts it with a profile of its own.
pub async fn start(setup: &WindowSetup<'_>) -> (Vec<Program>, Session) {
    fs::write(setup.folder.join("user.js"), preferences(setup)).unwrap();
    let mut command = Command::new("firefox-esr");
    command
        .args(["--headless", "--no-remote", "--remote-debugging-port=0"])
        .arg("--profile")
        .arg(setup.folder)
        .env("MOZ_CRASHREPORTER_DISABLE", "1")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let program = Program::start(&mut command, "firefox-esr");
    let mut port = None;
    until("Firefox listens", async || {
        let server = fs::read(setup.folder.join("WebDriverBiDiServer.json")).unwrap_or_default();
        let server: Value = serde_json::from_slice(&server).unwrap_or_default();
        port = server["ws_port"].as_u64();
        port.is_some()
    })
    .await;
    let tab = Tab::of(port.unwrap(), setup.hand).await;
    (vec![program], Session::Firefox(Rc::new(tab)))
}

fn preferences(setup: &WindowSetup) -> String {
    let scheme = if setup.night { 0 } else { 1 };
    let touchscreen = matches!(setup.hand, Hand::Finger);
    let preferences = [
        ("intl.accept_languages", json!(setup.language)),
        (
            "layout.css.prefers-color-scheme.content-override",
            json!(scheme),
        ),
        ("dom.w3c_touch_events.enabled", json!(u8::from(touchscreen))),
        ("network.dns.localDomains", json!(PI)),
        // One process for pages, and none in advance: each takes a second.
        ("dom.ipc.processCount", json!(1)),
        ("dom.ipc.processPrelaunch.enabled", json!(false)),
        ("fission.autostart", json!(false)),
        ("browser.startup.page", json!(0)),
        ("browser.newtabpage.enabled", json!(false)),
    ];
    let line = |(name, value)| format!("user_pref({}, {value});\n", json!(name));
    preferences.map(line).concat()
}

/// How long Firefox may take to start.
const START: Duration = Duration::from_secs(120);

/// Collects what the log has not: what breaks the content security policy.
const LISTEN: &str =
    "() => addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
    console.error(`${violatedDirective} forbids ${blockedURI}`))";

impl Tab {
    async fn of(port: u64, hand: Hand) -> Tab {
        let address = format!("127.0.0.1:{port}");
        let stream = TcpStream::connect(&address).await.unwrap();
        let (socket, _) = client_async(format!("ws://{address}/session"), stream)
            .await
            .unwrap();
        let mut tab = Tab {
            socket: Mutex::new(socket),
            number: Cell::default(),
            context: String::new(),
            complaints: RefCell::default(),
        };
        // Answered once Firefox has started, which takes it long where others have the processor.
        tab.call_within(START, "session.new", json!({"capabilities": {}}))
            .await;
        let tree = tab.call("browsingContext.getTree", json!({})).await;
        tab.context = tree["contexts"][0]["context"].as_str().unwrap().into();
        let events = json!({"events": ["log.entryAdded"]});
        tab.call("session.subscribe", events).await;
        let listen = json!({"functionDeclaration": LISTEN});
        tab.call("script.addPreloadScript", listen).await;
        let (width, height) = hand.window();
        tab.resize_to(width, height).await;
        tab
    }

    /// Gives a command of WebDriver BiDi.
    async fn call(&self, command: &str, parameters: Value) -> Value {
        self.call_within(LIMIT, command, parameters).await
    }

    async fn call_within(&self, limit: Duration, command: &str, parameters: Value) -> Value {
        let answer = timeout(limit, self.answer(command, parameters)).await;
        let mut answer = answer.unwrap_or_else(|_| panic!("{command}: not within {limit:?}"));
        let error = &answer["error"];
        assert!(error.is_null(), "{command}: {error}: {}", answer["message"]);
        answer["result"].take()
    }

    async fn answer(&self, command: &str, parameters: Value) -> Value {
        let mut socket = self.socket.lock().await;
        let number = self.number.get() + 1;
        self.number.set(number);
        let command = json!({"id": number, "method": command, "params": parameters});
        let text = Message::text(command.to_string());
        socket.send(text).await.unwrap();
        loop {
            let message = socket.next().await.expect("Firefox runs").unwrap();
            let Message::Text(text) = message else {
                continue;
            };
            let message: Value = serde_json::from_str(&text).unwrap();
            if message["id"] == number {
                return message;
            }
            if message["method"] == "log.entryAdded" {
                let entry = &message["params"];
                if entry["level"] == "error" || entry["level"] == "warn" {
                    self.complaints.borrow_mut().push(entry.to_string());
                }
            }
        }
    }

    /// What a function with this body returns.
    pub async fn run(&self, body: &str) -> Value {
        let expression =
            format!("(async () => JSON.stringify(await (async () => {{{body}\n}})()) ?? null)()");
        let result = self
            .call(
                "script.evaluate",
                json!({
                    "expression": expression,
                    "target": {"context": self.context},
                    "awaitPromise": true,
                }),
            )
            .await;
        let details = &result["exceptionDetails"]["text"];
        assert!(details.is_null(), "{body}: {details}");
        let value = result["result"]["value"].as_str().unwrap_or("null");
        serde_json::from_str(value).unwrap()
    }

    pub async fn go(&self, url: &str) {
        let place = json!({"context": self.context, "url": url, "wait": "complete"});
        self.call("browsingContext.navigate", place).await;
    }

    pub async fn reload(&self) {
        let tab = json!({"context": self.context, "wait": "complete"});
        self.call("browsingContext.reload", tab).await;
    }

    pub async fn resize_to(&self, width: u32, height: u32) {
        let viewport = json!({"width": width, "height": height});
        let size = json!({"context": self.context, "viewport": viewport});
        self.call("browsingContext.setViewport", size).await;
    }

    /// What a device does, as WebDriver calls its actions.
    pub async fn act(&self, device: Value) {
        let actions = json!({"context": self.context, "actions": [device]});
        self.call("input.performActions", actions).await;
    }

    pub async fn picture(&self) -> Value {
        let tab = json!({"context": self.context});
        let mut picture = self.call("browsingContext.captureScreenshot", tab).await;
        picture["data"].take()
    }

    pub async fn complaints(&self) -> Vec<String> {
        // By its answer all that came before has been read.
        self.call("session.status", json!({})).await;
        self.complaints.take()
    }
}
