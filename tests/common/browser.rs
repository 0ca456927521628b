//! One way to look at the page: real Chromium, steered by chromedriver.

#![allow(dead_code)]

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use reqwest::{Client, Method};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{Dimmer, LIMIT, until};

/// A name for 127.0.0.1 that is, unlike that, no secure context: just so is the page on the LAN.
pub const PI: &str = "raspberrypi.local";

/// Both are killed when this is dropped: chromedriver, and its windows, which are in its process group.
pub struct Browser {
    driver: Child,
    address: String,
    profiles: TempDir,
    windows: RefCell<Vec<Window>>,
}

impl Browser {
    pub fn start() -> Browser {
        loop {
            match Browser::try_start() {
                Ok(browser) => return browser,
                // It takes a free port for IPv6, and then wants the same for IPv4.
                Err(said) if said.contains("IPv4 port not available") => {}
                Err(said) => panic!("chromedriver did not start: {said}"),
            }
        }
    }

    /// Or what chromedriver said before it ended.
    fn try_start() -> Result<Browser, String> {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is needed; apt install chromium-driver");
        let mut said = String::new();
        let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines.map_while(Result::ok).find_map(|line| {
            said += &line;
            said += "\n";
            let (_, port) = line.split_once("successfully on port ")?;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        let Some(port) = port else {
            driver.wait().unwrap();
            return Err(said);
        };
        Ok(Browser {
            driver,
            address: format!("http://127.0.0.1:{port}/session"),
            profiles: tempfile::tempdir().unwrap(),
            windows: RefCell::default(),
        })
    }

    /// The live page in a window with the size and the touchscreen of a phone, at [`PI`].
    pub async fn phone(&self, dimmer: &Dimmer) -> Window {
        self.phone_in("en-US", dimmer.address.port()).await
    }

    /// The same on a phone of this language, from the service on this port.
    pub async fn phone_in(&self, language: &str, port: u16) -> Window {
        let phone = self
            .phone_at(language, &format!("http://{PI}:{port}/"))
            .await;
        phone.is_live().await;
        phone
    }

    /// Whatever this address shows on a phone of this language.
    pub async fn phone_at(&self, language: &str, url: &str) -> Window {
        let metrics = json!({"width": 390, "height": 844, "pixelRatio": 3, "touch": true});
        let phone = json!({"mobileEmulation": {"deviceMetrics": metrics}});
        self.open(Hand::Finger, language, phone, url).await
    }

    /// The live page in a window with a mouse, on the machine of the service itself.
    pub async fn desktop(&self, dimmer: &Dimmer) -> Window {
        let url = dimmer.url("/");
        let desktop = self.open(Hand::Mouse, "en-US", json!({}), &url).await;
        desktop.is_live().await;
        desktop
    }

    /// In a profile of its own, so that nothing is cached.
    async fn open(&self, hand: Hand, language: &str, mut options: Value, url: &str) -> Window {
        let number = self.windows.borrow().len();
        let profile = self.profiles.path().join(number.to_string());
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
            format!("--lang={language}"),
            format!("--accept-lang={language}"),
            format!("--user-data-dir={}", profile.display()),
        ]);
        let http = Client::builder().timeout(LIMIT).build().unwrap();
        let mut window = Window {
            http,
            session: self.address.clone(),
            hand,
            place: Cell::default(),
        };
        let wanted = json!({
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        });
        let session = window
            .call("", json!({"capabilities": {"alwaysMatch": wanted}}))
            .await;
        window.session += "/";
        window.session += session["sessionId"].as_str().unwrap();
        self.windows.borrow_mut().push(window.clone());

        window.go(url).await;
        window
    }

    /// Ends a test: asserts that no window had an error or a warning, and closes them.
    pub async fn close(self) {
        for window in self.windows.take() {
            assert_eq!(window.complaints().await, Vec::<String>::new());
            window.request(Method::DELETE, "", None).await;
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.driver), Signal::KILL);
        let _ = self.driver.wait();
    }
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

/// The page in a browser window.
#[derive(Clone)]
pub struct Window {
    http: Client,
    session: String,
    hand: Hand,
    /// Where the hand is.
    place: Cell<(f64, f64)>,
}

#[derive(Clone, Copy)]
enum Hand {
    Finger,
    Mouse,
}

impl Window {
    /// The value of a JavaScript expression.
    pub async fn eval(&self, expression: &str) -> Value {
        let script = format!("return ({expression})");
        self.call("/execute/sync", json!({"script": script, "args": []}))
            .await
    }

    /// Goes to this address.
    pub async fn go(&self, url: &str) {
        self.call("/url", json!({"url": url})).await;
    }

    /// Waits until the page is live and has the levels.
    pub async fn is_live(&self) {
        until("the page is live", async || {
            self.connection().await == "live"
        })
        .await;
        until("the page has the levels", async || {
            let empty =
                "[...document.querySelectorAll('output')].some((output) => !output.innerText)";
            self.eval(empty).await == false
        })
        .await;
    }

    /// `connecting`, `live` or `reconnecting`.
    pub async fn connection(&self) -> String {
        let connection = self
            .eval("document.documentElement.dataset.connection")
            .await;
        connection.as_str().unwrap_or_default().into()
    }

    pub async fn status(&self) -> String {
        let status = self.eval("document.querySelector('#status').innerText");
        status.await.as_str().unwrap().into()
    }

    /// What the light's slider shows.
    pub async fn level(&self, light: &str) -> f64 {
        let input = format!("document.querySelector('[data-light={light}] input')");
        let level = self.eval(&format!("{input}.valueAsNumber")).await;
        level.as_f64().unwrap()
    }

    /// An attribute of the element, or nothing.
    pub async fn attribute(&self, selector: &str, name: &str) -> Option<String> {
        let attribute = format!("document.querySelector('{selector}').getAttribute('{name}')");
        self.eval(&attribute).await.as_str().map(String::from)
    }

    /// From now on keeps every level that the light shows; see [`Window::recorded`].
    pub async fn record(&self, light: &str) {
        let record = "((light) => {
            window.recorded = [];
            const [output, input] = ['output', 'input'].map((part) => light.querySelector(part));
            new MutationObserver(() => window.recorded.push(input.valueAsNumber))
                .observe(output, { subtree: true, childList: true, characterData: true });
        })";
        self.eval(&format!(
            "{record}(document.querySelector('[data-light={light}]'))"
        ))
        .await;
    }

    pub async fn recorded(&self) -> Vec<f64> {
        let levels = self.eval("window.recorded").await;
        let levels = levels.as_array().unwrap().iter();
        levels.map(|level| level.as_f64().unwrap()).collect()
    }

    /// Puts the finger down on the middle of the element, or presses the mouse's button there.
    pub async fn press(&self, selector: &str) {
        let middle = "((box) => [box.x + box.width / 2, box.y + box.height / 2])";
        let element = format!("document.querySelector('{selector}')");
        let middle = format!("{middle}({element}.getBoundingClientRect())");
        let middle = serde_json::from_value(self.eval(&middle).await).unwrap();
        self.place.set(middle);
        self.touch("touchStart", "mousePressed").await;
    }

    /// Moves the hand upwards, in many small steps, by so many percent of the light's track.
    pub async fn slide(&self, light: &str, percent: f64) {
        const STEPS: i32 = 20;
        let track = format!("document.querySelector('[data-light={light}] .track')");
        let height = self.eval(&format!("{track}.offsetHeight")).await;
        let way = height.as_f64().unwrap() * percent / 100.0;
        let (x, y) = self.place.get();
        for step in 1..=STEPS {
            let part = f64::from(step) / f64::from(STEPS);
            self.place.set((x, y - way * part));
            self.touch("touchMove", "mouseMoved").await;
        }
    }

    pub async fn release(&self) {
        self.touch("touchEnd", "mouseReleased").await;
    }

    /// Taps or clicks the element.
    pub async fn tap(&self, selector: &str) {
        self.press(selector).await;
        self.release().await;
    }

    /// Not by WebDriver's actions, in which chromedriver forgets a finger that stays down from one
    /// command to the next.
    async fn touch(&self, finger: &str, mouse: &str) {
        let (x, y) = self.place.get();
        match self.hand {
            Hand::Finger => {
                let down = finger != "touchEnd";
                let fingers: Vec<Value> =
                    down.then(|| json!({"x": x, "y": y})).into_iter().collect();
                let event = json!({"type": finger, "touchPoints": fingers});
                self.devtools("Input.dispatchTouchEvent", event).await;
            }
            Hand::Mouse => {
                let event =
                    json!({"type": mouse, "x": x, "y": y, "button": "left", "clickCount": 1});
                self.devtools("Input.dispatchMouseEvent", event).await;
            }
        }
    }

    /// Presses a key and lets go of it; the characters of special keys are the constants below.
    pub async fn key(&self, key: char) {
        let strokes = json!([{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]);
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": strokes});
        self.call("/actions", json!({"actions": [keyboard]})).await;
    }

    /// Every error and warning in the console that was not returned before: failed requests,
    /// violations of the content security policy, exceptions.
    pub async fn complaints(&self) -> Vec<String> {
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
        let manifest = format!("{url}manifest.webmanifest");
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
            unanswered.is_empty() && requests.values().any(|url| *url == manifest)
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

    /// Keeps the looks of the page, by day and by night, in the folder `DIMMER_SCREENSHOTS`, if
    /// that is set.
    pub async fn screenshot(&self, name: &str) {
        let Some(folder) = env::var_os("DIMMER_SCREENSHOTS") else {
            return;
        };
        fs::create_dir_all(&folder).unwrap();
        for scheme in ["light", "dark"] {
            let scheme_is = json!([{"name": "prefers-color-scheme", "value": scheme}]);
            self.devtools("Emulation.setEmulatedMedia", json!({"features": scheme_is}))
                .await;
            until("nothing moves on the page", async || {
                self.eval("document.getAnimations().length").await == 0
            })
            .await;
            let picture = self.devtools("Page.captureScreenshot", json!({})).await;
            let file = Path::new(&folder).join(format!("{name}-{scheme}.png"));
            // In Base64, which the browser can undo itself.
            let bytes = format!(
                "[...atob({})].map((byte) => byte.charCodeAt())",
                picture["data"]
            );
            let bytes: Vec<u8> = serde_json::from_value(self.eval(&bytes).await).unwrap();
            fs::write(file, bytes).unwrap();
        }
    }

    /// Gives a command of the DevTools protocol.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let command = json!({"cmd": command, "params": parameters});
        self.call("/goog/cdp/execute", command).await
    }

    async fn call(&self, path: &str, body: Value) -> Value {
        self.request(Method::POST, path, Some(body)).await
    }

    async fn request(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let mut request = self.http.request(method, format!("{}{path}", self.session));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let mut answer: Value = request.send().await.unwrap().json().await.unwrap();
        let value = answer["value"].take();
        assert!(value["error"].is_null(), "{path}: {}", value["message"]);
        value
    }
}

/// What WebDriver calls the keys.
pub const PAGE_UP: char = '\u{e00e}';
pub const PAGE_DOWN: char = '\u{e00f}';
pub const END: char = '\u{e010}';
pub const HOME: char = '\u{e011}';
pub const LEFT: char = '\u{e012}';
pub const UP: char = '\u{e013}';
pub const RIGHT: char = '\u{e014}';
pub const DOWN: char = '\u{e015}';
