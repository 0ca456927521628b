//! Firefox, which speaks WebDriver BiDi itself, on a WebSocket.

use std::fs;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};

use super::socket::Socket;
use super::{PI, Program, WindowSetup};
use crate::common::{LIMIT, until};

/// A window of a Firefox that is driven, with cookies, storage and a cache of its own.
pub struct Tab {
    socket: Rc<Socket>,
    /// What WebDriver calls the tab.
    context: String,
}

/// Starts it with a profile of its own.
pub async fn start(setup: &WindowSetup<'_>) -> (Program, Rc<Socket>) {
    fs::write(setup.folder.join("user.js"), preferences(setup.night)).unwrap();
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
        port = server["ws_port"]
            .as_u64()
            .and_then(|port| port.try_into().ok());
        port.is_some()
    })
    .await;
    let socket = Socket::of(port.unwrap(), "/session").await;
    // Answered once Firefox has started, which takes it long where others have the processor.
    call_within(START, &socket, "session.new", json!({"capabilities": {}})).await;
    let events = json!({"events": ["log.entryAdded"]});
    call(&socket, "session.subscribe", events).await;
    let listen = json!({"functionDeclaration": LISTEN});
    call(&socket, "script.addPreloadScript", listen).await;
    (program, Rc::new(socket))
}

fn preferences(night: bool) -> String {
    let scheme = if night { 0 } else { 1 };
    let preferences = [
        (
            "layout.css.prefers-color-scheme.content-override",
            json!(scheme),
        ),
        ("dom.w3c_touch_events.enabled", json!(1)),
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

/// Gives a command of WebDriver BiDi.
async fn call(socket: &Socket, command: &str, parameters: Value) -> Value {
    call_within(LIMIT, socket, command, parameters).await
}

async fn call_within(limit: Duration, socket: &Socket, command: &str, parameters: Value) -> Value {
    let call = json!({"method": command, "params": parameters});
    let answer = socket.call_within(limit, call).await;
    answer.unwrap_or_else(|error| panic!("{command}: {error}"))
}

impl Tab {
    pub async fn open(socket: Rc<Socket>, setup: &WindowSetup<'_>) -> Tab {
        let mut user = call(&socket, "browser.createUserContext", json!({})).await;
        user["type"] = "window".into();
        let mut window = call(&socket, "browsingContext.create", user).await;
        let Value::String(context) = window["context"].take() else {
            panic!("no context: {window}");
        };
        let tab = Tab { socket, context };
        let locale = json!({"locale": setup.language, "contexts": [tab.context]});
        tab.call("emulation.setLocaleOverride", locale).await;
        let (width, height) = setup.hand.window();
        tab.resize_to(width, height).await;
        tab
    }

    async fn call(&self, command: &str, parameters: Value) -> Value {
        call(&self.socket, command, parameters).await
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

    /// Those of all windows.
    pub async fn complaints(&self) -> Vec<String> {
        // By its answer all that came before has been read.
        self.call("session.status", json!({})).await;
        let entries = self.socket.events().into_iter();
        entries
            .map(|mut event| event["params"].take())
            .filter(|entry| entry["level"] == "error" || entry["level"] == "warn")
            .map(|entry| entry.to_string())
            .collect()
    }
}
