//! The page in real Chromium, on a simulated LED: `cargo bench --bench page`.
//!
//! - From a pointer event in one window to the frame that leaves it, and to the paint in another.
//!   Each window is a browser of its own, as each phone is.
//! - What the first load takes: bytes, requests, and the time until the page can be used, with a
//!   main thread that is four times slower than this machine's; and what of that time a page takes
//!   that is nothing but a slider.

#![allow(clippy::unwrap_used)]

#[path = "../tests/common/browser.rs"]
mod browser;
#[path = "../tests/common/mod.rs"]
mod common;

use axum::Router;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::http::header::CONTENT_TYPE;
use axum::response::Html;
use axum::routing::get;
use browser::{Browser, Load, PI, Window};
use common::{Setup, TestServer, until};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;

/// Slides over so many percent of the track. Each is 20 pointer events, one for each percent.
const SLIDES: usize = 8;
const SLIDE: f64 = 20.0;
/// Loads of each page in each way, each in a new browser. The pages take turns.
const LOADS: usize = 9;
/// How much slower a phone's main thread is taken to be.
const SLOWER: f64 = 4.0;

/// Keeps what a window sends with the pointer event that led to it: when the browser got that, when
/// the page did, when the frame was given to the browser.
const RECORD_SENT: &str = "(() => {
    window.sent = [];
    let event;
    addEventListener('pointermove', ({ timeStamp }) => {
        event = { got: timeStamp, heard: performance.now() };
    }, { capture: true });
    const send = WebSocket.prototype.send;
    WebSocket.prototype.send = function (text) {
        const { level } = JSON.parse(text);
        if (level !== undefined) sent.push({ ...event, level, at: performance.now() });
        send.call(this, text);
    };
})()";

/// Keeps what a window shows: when the page wrote it, when the next frame began, and when that was
/// painted. A task after the frame runs as soon as the main thread is through with it: layout and
/// paint are done, and what is left is the compositor's and the screen's.
const RECORD_SHOWN: &str = "(() => {
    window.shown = [];
    const input = document.querySelector('input');
    new MutationObserver(() => {
        const change = { level: input.valueAsNumber, written: performance.now() };
        requestAnimationFrame(() => {
            const { port1, port2 } = new MessageChannel();
            port1.onmessage = () => shown.push({ ...change, at: performance.now() });
            port2.postMessage(null);
        });
    }).observe(document.querySelector('output'), { subtree: true, childList: true, characterData: true });
})()";

/// Keeps when the page could be used: its slider is enabled and shows the first level of the
/// service (`usable`), and that is painted (`seen`). In milliseconds since the navigation began.
const RECORD_LOAD: &str = "window.times = new Promise((resolve) => {
    new MutationObserver((_, observer) => {
        const input = document.querySelector('main input');
        if (!input || input.disabled || !document.querySelector('output').textContent) return;
        observer.disconnect();
        const usable = performance.now();
        requestAnimationFrame(() => {
            const { port1, port2 } = new MessageChannel();
            port1.onmessage = () => resolve({ usable, seen: performance.now() });
            port2.postMessage(null);
        });
    }).observe(document, { subtree: true, childList: true, attributes: true });
})";

/// The least that can be used: a slider that the first level enables.
const BARE: &str = "<!doctype html>
    <html lang=en>
    <title>bare</title>
    <link rel=icon href=data:,>
    <script type=module src=bare.js></script>
    <main><input type=range disabled><output></output></main>";
const BARE_SCRIPT: &str = "const socket = new WebSocket(`ws://${location.host}/ws`);
    socket.onmessage = ({ data }) => {
        const { level } = JSON.parse(data);
        const input = document.querySelector('input');
        input.value = level;
        input.disabled = false;
        document.querySelector('output').textContent = level;
    };";

#[derive(Deserialize)]
struct Sent {
    level: f64,
    got: f64,
    heard: f64,
    at: f64,
}

#[derive(Deserialize)]
struct Shown {
    level: f64,
    written: f64,
    at: f64,
}

#[derive(Deserialize)]
struct Times {
    usable: f64,
    seen: f64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let dimmer = Setup::with("[[light]]\non_start = 20\n").start();
    weight(&dimmer).await;
    loads(&dimmer).await;
    drags(&dimmer).await;
}

async fn loads(dimmer: &TestServer) {
    println!(
        "load of the page and of a bare one, CPU {SLOWER} x slower, nothing cached, since the navigation began:"
    );
    let ports = [dimmer.address.port(), bare().await];
    for again in [false, true] {
        let mut times: [Vec<Times>; 2] = Default::default();
        for _ in 0..LOADS {
            for (port, times) in ports.iter().zip(&mut times) {
                times.push(load(*port, again).await);
            }
        }
        println!(
            "  {}",
            if again {
                "in a browser that had it open before"
            } else {
                "as the first of a new browser"
            }
        );
        compare(
            "usable: slider enabled, first level in it",
            &times,
            |times| times.usable,
        );
        compare("seen: and painted", &times, |times| times.seen);
    }
}

fn compare(what: &str, [page, bare]: &[Vec<Times>; 2], time: fn(&Times) -> f64) {
    let page = page.iter().map(time).collect();
    let bare = bare.iter().map(time).collect();
    let page = print_median(&format!("    {what}"), page);
    let bare = print_median("      of the bare page", bare);
    println!("      {:.2} times the bare page's", page / bare);
}

/// The page on this port in a new browser, or there its second load.
async fn load(port: u16, again: bool) -> Times {
    let url = format!("http://{PI}:{port}/");
    let browser = Browser::chromium();
    let phone = browser.phone_at("en-US", "about:blank").await;
    for (command, parameters) in [
        ("Network.setCacheDisabled", json!({"cacheDisabled": true})),
        ("Emulation.setCPUThrottlingRate", json!({"rate": SLOWER})),
        (
            "Page.addScriptToEvaluateOnNewDocument",
            json!({"source": RECORD_LOAD}),
        ),
    ] {
        phone.devtools(command, parameters).await;
    }
    phone.go(&url).await;
    if again {
        phone.eval("times").await;
        phone.go(&url).await;
    }
    // WebDriver waits for a promise.
    let times = recorded(&phone, "times").await;
    browser.close().await;
    times
}

/// Serves the bare page, on this port.
async fn bare() -> u16 {
    let tell = async |mut socket: WebSocket| {
        let _ = socket.send(r#"{"light":"led","level":20}"#.into()).await;
        while let Some(Ok(_)) = socket.recv().await {}
    };
    let script = ([(CONTENT_TYPE, "text/javascript")], BARE_SCRIPT);
    let router = Router::new()
        .route("/", get(Html(BARE)))
        .route("/bare.js", get(script))
        .route(
            "/ws",
            get(async move |upgrade: WebSocketUpgrade| upgrade.on_upgrade(tell)),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(axum::serve(listener, router).into_future());
    port
}

async fn weight(dimmer: &TestServer) {
    let browser = Browser::chromium();
    let phone = browser.phone(dimmer).await;
    let url = format!("http://{PI}:{}/", dimmer.address.port());
    let Load {
        requests, bytes, ..
    } = phone.load(&url).await;
    println!("first load: {bytes} bytes in {} requests", requests.len());
    browser.close().await;
}

async fn drags(dimmer: &TestServer) {
    let browser = Browser::chromium();
    let desktop = browser.desktop(dimmer).await;
    let other = browser.desktop(dimmer).await;
    desktop.eval(RECORD_SENT).await;
    other.eval(RECORD_SHOWN).await;
    desktop.press("[data-light=led] .track").await;
    for slide in 0..SLIDES {
        let way = if slide % 2 == 0 { SLIDE } else { -SLIDE };
        desktop.slide("led", way).await;
    }
    desktop.release().await;
    let sent: Vec<Sent> = recorded(&desktop, "sent").await;
    until("the other window shows all of it", async || {
        other.level("led").await == sent.last().unwrap().level
            && other.eval("shown.length").await == sent.len()
    })
    .await;
    let shown: Vec<Shown> = recorded(&other, "shown").await;
    // Both clocks are the system's monotonic one, each from when its page began.
    let apart = began(&other).await - began(&desktop).await;
    let (mut frame, mut handled, mut written, mut painted) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (sent, shown) in sent.iter().zip(&shown) {
        assert_eq!(sent.level, shown.level, "none is skipped at this pace");
        frame.push(sent.at - sent.got);
        handled.push(sent.at - sent.heard);
        written.push(shown.written + apart - sent.at);
        painted.push(shown.at + apart - sent.got);
    }
    println!("{} pointer events of a drag:", sent.len());
    print("  event to frame sent", frame);
    print("    of that the page's own", handled);
    print("  frame sent to the other document", written);
    print("  event to painted in the other window", painted);
    browser.close().await;
}

async fn recorded<T: for<'de> Deserialize<'de>>(window: &Window, what: &str) -> T {
    serde_json::from_value(window.eval(what).await).unwrap()
}

/// When the page's clock was 0, in milliseconds of the system's monotonic clock.
async fn began(window: &Window) -> f64 {
    window.devtools("Performance.enable", json!({})).await;
    let metrics = window.devtools("Performance.getMetrics", json!({})).await;
    let metrics = metrics["metrics"].as_array().unwrap();
    let start = metrics
        .iter()
        .find(|metric| metric["name"] == "NavigationStart");
    start.unwrap()["value"].as_f64().unwrap() * 1000.0
}

fn print(what: &str, mut times: Vec<f64>) {
    times.sort_by(f64::total_cmp);
    let share = |share: usize| times[(times.len() - 1) * share / 100];
    println!(
        "{what}: p50 {:.1} ms, p99 {:.1} ms, from {:.1} to {:.1} ms",
        share(50),
        share(99),
        share(0),
        share(100)
    );
}

/// Of so few that a 99th percentile would say nothing.
fn print_median(what: &str, mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    let (least, median, most) = (times[0], times[times.len() / 2], times[times.len() - 1]);
    println!("{what}: median {median:.1} ms, from {least:.1} to {most:.1} ms");
    median
}
