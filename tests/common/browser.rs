//! Real browsers, driven by WebDriver or, Chromium, by DevTools.
//!
//! A claim about the page is a function that takes a [`Browser`]. The last lines of a file name its claims and make a
//! test in each browser of each: `chromium::it_is_live`, `firefox::it_is_live` and `webkit::it_is_live`. The compiler
//! warns of a claim that they leave out: it is never used.
//!
//! ```ignore
//! use crate::browser::{Browser, in_each_browser};
//! use crate::common::TestServer;
//!
//! async fn it_is_live(browser: Browser) {
//!     let dimmer = TestServer::start();
//!     let phone = browser.phone(&dimmer).await;
//!     phone.tap("[data-light=led] .more").await;
//!     phone.is_accessible("live").await;
//!     phone.screenshot("phone").await;
//!     browser.close().await;
//! }
//!
//! in_each_browser! { it_is_live }
//! ```
//!
//! A phone has a touchscreen in Chromium and in Firefox, and a mouse in WebKit. A test that needs DevTools, or what
//! else only one browser has, is a `#[tokio::test]` of its own with that browser, and says so. `scripts/test.sh`
//! installs all.

#![allow(dead_code, unused_imports, unused_macros, clippy::unwrap_used)]

#[path = "browser/axe.rs"]
mod axe;
#[path = "browser/chromium.rs"]
mod chromium;
#[path = "browser/firefox.rs"]
mod firefox;
#[path = "browser/hand.rs"]
mod hand;
#[path = "browser/socket.rs"]
mod socket;
#[path = "browser/webkit.rs"]
mod webkit;

use std::cell::{Cell, RefCell};
use std::env;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::rc::Rc;

use reqwest::{Client, Method};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{LIMIT, TestServer, until};
pub use chromium::Load;
pub use hand::{DOWN, END, ENTER, ESCAPE, HOME, LEFT, PAGE_DOWN, PAGE_UP, RIGHT, TAB, UP};
use hand::{Hand, Track};
use socket::Socket;

/// A name for 127.0.0.1. Unlike the address, it is no secure context, and neither is the page on the LAN. WebKit cannot
/// be given such a name.
pub const PI: &str = "raspberrypi.local";

/// Makes of each claim, a function of a [`Browser`], a test in each browser.
macro_rules! in_each_browser {
    ($($claim:ident),+ $(,)?) => {
        crate::browser::in_both_browsers! { $($claim),+ }

        mod firefox {
            $(#[tokio::test]
            #[ignore = "needs Firefox; scripts/test.sh installs it and runs this"]
            async fn $claim() {
                super::$claim(super::Browser::firefox()).await;
            })+
        }
    };
}
pub(crate) use in_each_browser;

/// The same without Firefox, for what hardly differs from one browser to the next: Firefox takes the longest.
macro_rules! in_both_browsers {
    ($($claim:ident),+ $(,)?) => {
        mod chromium {
            $(#[tokio::test]
            #[ignore = "needs Chromium; scripts/test.sh installs it and runs this"]
            async fn $claim() {
                super::$claim(super::Browser::chromium()).await;
            })+
        }

        mod webkit {
            $(#[tokio::test]
            #[ignore = "needs WebKit; scripts/test.sh installs it and runs this"]
            async fn $claim() {
                super::$claim(super::Browser::webkit()).await;
            })+
        }
    };
}
pub(crate) use in_both_browsers;

/// A kind of browser, and its windows. In Chromium and WebKit each is a program of its own; in Firefox, which takes long to
/// start, they share one, but no cookies, no storage and no cache. All are killed when this is dropped.
pub struct Browser {
    kind: Kind,
    night: bool,
    folder: TempDir,
    programs: RefCell<Vec<Program>>,
    /// That of the Firefox, once it runs.
    firefox: RefCell<Option<Rc<Socket>>>,
    windows: RefCell<Vec<Window>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Chromium,
    Firefox,
    WebKit,
}

/// What a window is opened with.
struct WindowSetup<'a> {
    hand: Hand,
    language: &'a str,
    night: bool,
    /// A folder of its own, so that nothing is cached.
    folder: &'a Path,
}

impl Browser {
    pub fn chromium() -> Browser {
        Browser::new(Kind::Chromium)
    }

    pub fn firefox() -> Browser {
        Browser::new(Kind::Firefox)
    }

    /// The nearest to Safari on an iPhone that runs on Linux.
    pub fn webkit() -> Browser {
        Browser::new(Kind::WebKit)
    }

    fn new(kind: Kind) -> Browser {
        Browser {
            kind,
            night: false,
            folder: tempfile::tempdir().unwrap(),
            programs: RefCell::default(),
            firefox: RefCell::default(),
            windows: RefCell::default(),
        }
    }

    /// With the dark colours in every window, not the light ones.
    pub fn by_night(mut self) -> Browser {
        self.night = true;
        self
    }

    /// Where phones find the service on this port: at [`PI`] but in WebKit.
    pub fn url(&self, port: u16) -> String {
        match self.kind {
            Kind::Chromium | Kind::Firefox => format!("http://{PI}:{port}/"),
            Kind::WebKit => format!("http://127.0.0.1:{port}/"),
        }
    }

    /// The live page in a window with the size of a phone, but in WebKit also with the touchscreen of one.
    pub async fn phone(&self, dimmer: &TestServer) -> Window {
        self.phone_in("en-US", dimmer.address.port()).await
    }

    /// The same on a phone of this language, from the service on this port.
    pub async fn phone_in(&self, language: &str, port: u16) -> Window {
        let phone = self.phone_at(language, &self.url(port)).await;
        phone.is_live().await;
        phone
    }

    /// Whatever this address shows on a phone of this language.
    pub async fn phone_at(&self, language: &str, url: &str) -> Window {
        self.open(Hand::Finger, language, url).await
    }

    /// The live page in a window with a mouse, on the machine of the service itself.
    pub async fn desktop(&self, dimmer: &TestServer) -> Window {
        let desktop = self.open(Hand::Mouse, "en-US", &dimmer.url("/")).await;
        desktop.is_live().await;
        desktop
    }

    async fn open(&self, hand: Hand, language: &str, url: &str) -> Window {
        let number = self.windows.borrow().len();
        let folder = self.folder.path().join(number.to_string());
        fs::create_dir(&folder).unwrap();
        let setup = WindowSetup {
            hand,
            language,
            night: self.night,
            folder: &folder,
        };
        let (programs, session) = match self.kind {
            Kind::Chromium => chromium::start(&setup).await,
            Kind::Firefox => self.open_in_firefox(&setup).await,
            Kind::WebKit => webkit::start(&setup).await,
        };
        self.programs.borrow_mut().extend(programs);
        let window = Window {
            session,
            kind: self.kind,
            night: self.night,
            hand,
            place: Cell::default(),
            pressed: Cell::default(),
        };
        self.windows.borrow_mut().push(window.clone());

        match self.kind {
            Kind::Chromium => window.show_by(self.night).await,
            Kind::Firefox => {}
            Kind::WebKit => window.resize().await,
        }
        window.go(url).await;
        window
    }

    async fn open_in_firefox(&self, setup: &WindowSetup<'_>) -> (Vec<Program>, Session) {
        let mut programs = Vec::new();
        let mut running = self.firefox.take();
        if running.is_none() {
            let (program, socket) = firefox::start(setup).await;
            programs.push(program);
            running = Some(socket);
        }
        self.firefox.replace(running.clone());
        let tab = firefox::Tab::open(running.unwrap(), setup).await;
        (programs, Session::Firefox(Rc::new(tab)))
    }

    /// Ends a test: asserts that no window had an error or a warning, and closes them.
    pub async fn close(self) {
        self.close_despite(&[]).await;
    }

    /// The same where errors that contain one of these texts are expected. They are read here, once and in the end, as
    /// a page that has no connection goes on trying and the browser goes on complaining.
    pub async fn close_despite(self, expected: &[&str]) {
        for window in self.windows.take() {
            let mut complaints = window.complaints().await;
            complaints.retain(|complaint| !expected.iter().any(|text| complaint.contains(text)));
            assert_eq!(complaints, Vec::<String>::new());
        }
    }
}

/// How a window is driven.
#[derive(Clone)]
enum Session {
    Chromium(Rc<chromium::Tab>),
    Firefox(Rc<firefox::Tab>),
    /// By a driver, at this address.
    WebKit {
        client: Client,
        address: String,
    },
}

async fn request(client: &Client, method: Method, url: &str, body: Option<Value>) -> Value {
    let mut request = client.request(method, url);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let mut answer: Value = request.send().await.unwrap().json().await.unwrap();
    let value = answer["value"].take();
    assert!(value["error"].is_null(), "{url}: {}", value["message"]);
    value
}

/// A running program; it and all that it started are killed when this is dropped.
struct Program(Child);

impl Program {
    fn start(command: &mut Command, package: &str) -> Program {
        let child = command.process_group(0).spawn();
        let name = command.get_program().display();
        Program(child.unwrap_or_else(|_| panic!("{name} is needed; apt install {package}")))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.wait();
    }
}

/// The page in a browser window.
#[derive(Clone)]
pub struct Window {
    session: Session,
    kind: Kind,
    night: bool,
    hand: Hand,
    /// Where the hand is.
    place: Cell<(f64, f64)>,
    /// The track that the hand pressed, until it moves.
    pressed: Cell<Option<Track>>,
}

impl Window {
    /// The value of a JavaScript expression.
    pub async fn eval(&self, expression: &str) -> Value {
        self.run(&format!("return ({expression})")).await
    }

    /// Goes to this address.
    pub async fn go(&self, url: &str) {
        match &self.session {
            Session::Chromium(tab) => tab.go(url).await,
            Session::Firefox(tab) => tab.go(url).await,
            Session::WebKit { .. } => {
                self.call("/url", json!({"url": url})).await;
                self.listen().await;
            }
        }
    }

    /// Reloads the page. A script's `location.reload()` would return while the old one is still there.
    pub async fn reload(&self) {
        match &self.session {
            Session::Chromium(tab) => tab.reload().await,
            Session::Firefox(tab) => tab.reload().await,
            Session::WebKit { .. } => {
                self.call("/refresh", json!({})).await;
                self.listen().await;
            }
        }
    }

    /// Waits until the page is live and has the levels.
    pub async fn is_live(&self) {
        until("the page is live", async || {
            self.connection().await == "live"
        })
        .await;
        until("the page has the levels", async || {
            let empty = "!!document.querySelector('main[aria-busy]') ||
                [...document.querySelectorAll('output')].some((output) => !output.innerText)";
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

    /// What the light's slider shows; NaN while the page has no such light.
    pub async fn level(&self, light: &str) -> f64 {
        let input = format!("document.querySelector('[data-light=\"{light}\"] input')");
        let level = self.eval(&format!("{input}?.valueAsNumber")).await;
        level.as_f64().unwrap_or(f64::NAN)
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
            "{record}(document.querySelector('[data-light=\"{light}\"]'))"
        ))
        .await;
    }

    pub async fn recorded(&self) -> Vec<f64> {
        let levels = self.eval("window.recorded").await;
        let levels = levels.as_array().unwrap().iter();
        levels.map(|level| level.as_f64().unwrap()).collect()
    }

    /// Every error and warning that was not returned before: violations of the content security policy and
    /// exceptions; but in WebKit also those while the page loads, and whatever else the console has; in Chromium
    /// failed requests, too.
    async fn complaints(&self) -> Vec<String> {
        match &self.session {
            Session::Chromium(tab) => tab.complaints().await,
            Session::Firefox(tab) => tab.complaints().await,
            Session::WebKit { .. } => self.complaints_of_webkit().await,
        }
    }

    /// Saves pictures of the page in the folder `DIMMER_SCREENSHOTS`, if that is set: of Chromium by day
    /// and by night, of the others as the window is.
    pub async fn screenshot(&self, name: &str) {
        let Some(folder) = env::var_os("DIMMER_SCREENSHOTS") else {
            return;
        };
        fs::create_dir_all(&folder).unwrap();
        for night in [false, true] {
            let scheme = if night { "dark" } else { "light" };
            let (picture, name) = match self.kind {
                Kind::Chromium => (self.picture_by(night).await, format!("{name}-{scheme}.png")),
                _ if night != self.night => continue,
                Kind::Firefox => (self.picture().await, format!("{name}-firefox-{scheme}.png")),
                Kind::WebKit => (self.picture().await, format!("{name}-webkit-{scheme}.png")),
            };
            // In Base64, which the browser can undo itself.
            let bytes = format!("[...atob({picture})].map((byte) => byte.charCodeAt())");
            let bytes: Vec<u8> = serde_json::from_value(self.eval(&bytes).await).unwrap();
            fs::write(Path::new(&folder).join(name), bytes).unwrap();
        }
    }

    /// A picture of the page as it is, in Base64.
    async fn picture(&self) -> Value {
        self.settled().await;
        match &self.session {
            Session::Chromium(tab) => tab.picture().await,
            Session::Firefox(tab) => tab.picture().await,
            Session::WebKit { .. } => self.request(Method::GET, "/screenshot", None).await,
        }
    }

    /// Gives the window this size in pixels, and waits until the page is laid out in it. Not in WebKit.
    pub async fn resize_to(&self, width: u32, height: u32) {
        match &self.session {
            Session::Chromium(tab) => tab.resize_to(width, height).await,
            Session::Firefox(tab) => tab.resize_to(width, height).await,
            Session::WebKit { .. } => unreachable!("WebKit has windows of one size"),
        }
        let has = format!("innerWidth === {width} && innerHeight === {height}");
        until("the window has its size", async || {
            self.eval(&has).await == true
        })
        .await;
        self.frames().await;
    }

    /// Waits until nothing moves on the page but what goes on for longer: an effect, a long transition.
    async fn settled(&self) {
        let short = "document.getAnimations()
            .filter(({ effect }) => effect.getComputedTiming().endTime < 2000)";
        until("nothing moves on the page", async || {
            self.eval(&format!("{short}.length")).await == 0
        })
        .await;
    }

    /// What a function with this body returns, to which the page's content security policy does not apply.
    async fn run(&self, body: &str) -> Value {
        match &self.session {
            Session::Chromium(tab) => tab.run(body).await,
            Session::Firefox(tab) => tab.run(body).await,
            Session::WebKit { .. } => {
                let script = json!({"script": body, "args": []});
                self.call("/execute/sync", script).await
            }
        }
    }

    /// Lets a device do what WebDriver calls its actions.
    async fn act(&self, device: Value) {
        match &self.session {
            Session::Chromium(_) => unreachable!("DevTools has no actions"),
            Session::Firefox(tab) => tab.act(device).await,
            Session::WebKit { .. } => {
                self.call("/actions", json!({"actions": [device]})).await;
            }
        }
    }

    /// Gives a command to the driver.
    async fn call(&self, path: &str, body: Value) -> Value {
        self.request(Method::POST, path, Some(body)).await
    }

    async fn request(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        match &self.session {
            Session::WebKit { client, address } => {
                request(client, method, &format!("{address}{path}"), body).await
            }
            _ => unreachable!("only WebKit has a driver for {path}"),
        }
    }

    fn chromium(&self) -> &chromium::Tab {
        match &self.session {
            Session::Chromium(tab) => tab,
            _ => unreachable!("only Chromium has DevTools"),
        }
    }
}
