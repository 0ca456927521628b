//! WebKit: MiniBrowser, driven by WebKitWebDriver, on a virtual screen.
//!
//! It has no touchscreen: WebDriver's touches arrive as those of a mouse, and those of a touchscreen of
//! the X server as `touchstart` and so on, without the pointer events that WebKit sends on an iPhone.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::{Program, Session, Window, WindowSetup, request};
use crate::common::{LIMIT, until};

/// A screen, and the driver on it: one for each window, as a driver has one session.
pub async fn start(setup: &WindowSetup<'_>) -> (Vec<Program>, Session) {
    let mut screen = Command::new("Xvfb");
    screen
        .args("-displayfd 1 -screen 0 1280x1024x24 -nolisten tcp".split(' '))
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut screen = Program::start(&mut screen, "xvfb");
    let mut number = String::new();
    let mut output = BufReader::new(screen.0.stdout.take().unwrap());
    output.read_line(&mut number).unwrap();
    assert!(!number.is_empty(), "Xvfb did not start");

    let mut driver = Command::new("WebKitWebDriver");
    driver
        .arg("--port=0")
        .env("DISPLAY", format!(":{}", number.trim()))
        // Or it does not start as root.
        .env("WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS", "1")
        // Without a graphics card that takes a third of its time.
        .env("WEBKIT_DISABLE_COMPOSITING_MODE", "1")
        .env("LOCPATH", setup.folder)
        .env("LC_ALL", locale(setup))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let driver = Program::start(&mut driver, "webkit2gtk-driver");
    let mut port = None;
    until("WebKitWebDriver listens", async || {
        port = port_of(driver.0.id());
        port.is_some()
    })
    .await;
    let sessions = format!("http://127.0.0.1:{}/session", port.unwrap());
    let client = Client::builder().timeout(LIMIT).build().unwrap();
    let wanted = json!({"capabilities": {"alwaysMatch": wanted(setup)}});
    let session = request(&client, Method::POST, &sessions, Some(wanted)).await;
    let address = format!("{sessions}/{}", session["sessionId"].as_str().unwrap());
    (vec![driver, screen], Session::WebKit { client, address })
}

/// The language is that of the system's locale, of which only the name matters.
fn locale(setup: &WindowSetup) -> String {
    let locale = setup.language.replace('-', "_") + ".UTF-8";
    symlink("/usr/lib/locale/C.utf8", setup.folder.join(&locale)).unwrap();
    locale
}

/// The port on which this process listens, which WebKitWebDriver does not print.
fn port_of(pid: u32) -> Option<u16> {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
    let files: Vec<_> = files
        .filter_map(|file| fs::read_link(file.path()).ok())
        .collect();
    // Those of its network, which may not be this one.
    let sockets = fs::read_to_string(format!("/proc/{pid}/net/tcp")).ok()?;
    sockets.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (address, state, inode) = (fields[1], fields[3], *fields.get(9)?);
        let own = || {
            let socket = format!("socket:[{inode}]");
            files.iter().any(|file| file.as_os_str() == socket.as_str())
        };
        let (_, port) = address.split_once(':')?;
        (state == "0A" && own()).then(|| u16::from_str_radix(port, 16).unwrap())
    })
}

/// The capabilities of a session.
fn wanted(setup: &WindowSetup) -> Value {
    let mut arguments = vec!["--automation", "--full-screen"];
    if setup.night {
        arguments.push("--dark-mode");
    }
    json!({"browserName": "MiniBrowser", "webkitgtk:browserOptions": {"args": arguments}})
}

/// Collects errors, as the driver has no log. What goes wrong while the page loads is missed.
const LISTEN: &str = "(() => {
    const complaints = (window.complaints ??= []);
    const text = ({ message, reason, violatedDirective }) => String(message ?? reason ?? violatedDirective);
    for (const type of ['error', 'unhandledrejection', 'securitypolicyviolation'])
        addEventListener(type, (event) => complaints.push(text(event)));
})()";

impl Window {
    pub(super) async fn resize(&self) {
        let (width, height) = self.hand.window();
        let size = json!({"x": 0, "y": 0, "width": width, "height": height});
        self.call("/window/rect", size).await;
    }

    /// Collects what the page complains of from now on.
    pub(super) async fn listen(&self) {
        self.eval(LISTEN).await;
    }

    pub(super) async fn complaints_of_webkit(&self) -> Vec<String> {
        let complaints = self.eval("window.complaints?.splice(0) ?? []").await;
        serde_json::from_value(complaints).unwrap()
    }
}
