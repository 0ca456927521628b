//! The web page in real Chromium, with a simulated LED: `cargo bench --bench page`, or only some parts of it, as in
//! `cargo bench --bench page -- master`.
//!
//! - Latency from a pointer event in one window to the frame it sends, and to the paint in another window. Each window
//!   is a browser of its own, as on two phones.
//! - Cost of the first load: bytes, requests, and the time until the page is usable, with the main thread slowed down
//!   four times; and the same time of a bare page that is only a slider.
//! - Frames that a drag of the master over sixteen lights drops, with the main thread slowed down four times, and what
//!   it sends; what a frame costs the main thread, not slowed down; and both of a bare page that only moves sixteen
//!   boxes.

#![allow(clippy::unwrap_used)]

#[path = "../tests/common/browser.rs"]
mod browser;
#[path = "../tests/common/mod.rs"]
mod common;
mod stats;

use std::collections::HashMap;
use std::env;

use axum::Router;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::http::header::CONTENT_TYPE;
use axum::response::Html;
use axum::routing::get;
use browser::{Browser, Load, PI, Window};
use common::{Setup, TestServer, until};
use serde::Deserialize;
use serde_json::{Value, json};
use stats::percentile;
use tokio::net::TcpListener;

/// Number of slides, to and fro.
const SLIDES: usize = 8;
/// Length of a slide in percent of the track, with one pointer event for each percent.
const SLIDE: f64 = 20.0;
/// Loads of each page, with and without an earlier load, each in a new browser. The two pages take turns.
const LOADS: usize = 9;
/// Factor by which Chromium slows down the main thread, to stand for a phone's.
const SLOWDOWN: f64 = 4.0;

/// Records each level that a window sends, with the times in ms at which the browser received the pointer event
/// (`received`), the page handled that event (`handled`) and the page passed the frame to the browser (`at`).
const RECORD_SENT: &str = "(() => {
    window.sent = [];
    let event;
    addEventListener('pointermove', ({ timeStamp }) => {
        event = { received: timeStamp, handled: performance.now() };
    }, { capture: true });
    const send = WebSocket.prototype.send;
    WebSocket.prototype.send = function (text) {
        const { level } = JSON.parse(text);
        if (level !== undefined) sent.push({ ...event, level, at: performance.now() });
        send.call(this, text);
    };
})()";

/// Records each level that a window shows, with the times in ms at which the page wrote it (`written`) and the next
/// frame was painted (`at`). The message posted in the animation frame arrives when the main thread has finished that
/// frame: layout and paint are done, only the compositor and the screen are left.
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

/// Records when the slider is enabled and shows the first level from the service (`usable`), and when that is painted
/// (`seen`), in milliseconds since the start of the navigation.
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

/// Lights of the drag of the master.
const LIGHTS: u8 = 16;
/// Drags the master to and fro for 5 s, and returns the share of the frames of a screen of 60 Hz that had no turn, with
/// the messages that it sent in a second, their bytes, and the number of frames. The pointer moves once a frame, as
/// browsers hand it to a page.
const DRAG_MASTER: &str = "(async () => {
    let messages = 0, bytes = 0;
    const { send: sendText } = WebSocket.prototype;
    WebSocket.prototype.send = function (text) {
        messages++;
        bytes += text.length;
        sendText.call(this, text);
    };
    const track = document.querySelector('.master .track');
    track.setPointerCapture = () => {};
    const { left, width, top } = track.getBoundingClientRect();
    const send = (type, share) => track.dispatchEvent(new PointerEvent(type, {
        pointerId: 9, button: 0, clientX: left + width * share, clientY: top + 9,
    }));
    send('pointerdown', 0.5);
    const start = await new Promise(requestAnimationFrame);
    let frames = 0, now = start;
    while (now - start < 5000) {
        send('pointermove', 0.55 + 0.4 * Math.sin((now - start) / 400));
        now = await new Promise(requestAnimationFrame);
        frames++;
    }
    send('pointerup', 0.5);
    WebSocket.prototype.send = sendText;
    const seconds = (now - start) / 1000;
    return [1 - frames / (seconds * 60), messages / seconds, bytes / (messages || 1), frames];
})()";

/// The least that such a page can do: boxes as large as the lights, which all follow the pointer once a frame.
const BARE_BOXES: &str = "<!doctype html>
    <html lang=en>
    <title>bare</title>
    <link rel=icon href=data:,>
    <meta name=viewport content='width=device-width'>
    <style>
        main { display: grid; grid-template-columns: 1fr 1fr; gap: 10px; padding: 12px 16px }
        .master { grid-column: 1 / -1 }
        .track { position: relative; height: 96px; overflow: hidden; border-radius: 20px; background: #ddd }
        .fill { position: absolute; inset: 0; background: orange }
    </style>
    <main><div class=master><div class=track><div class=fill></div></div></div></main>
    <script type=module src=bare.js></script>";
const BARE_BOXES_SCRIPT: &str = "const main = document.querySelector('main');
    const track = main.querySelector('.track');
    for (let n = 0; n < 16; n++) main.append(track.cloneNode(true));
    const fills = [...main.querySelectorAll('.fill')];
    let place = 0, frame = 0;
    const move = () => {
        frame = 0;
        for (const { style } of fills) style.transform = `translateX(${(place - 1) * 100}%)`;
    };
    track.addEventListener('pointermove', ({ clientX }) => {
        place = clientX / innerWidth;
        frame ||= requestAnimationFrame(move);
    });";

/// The smallest usable page: a slider that the first level enables.
const BARE_PAGE: &str = "<!doctype html>
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
    received: f64,
    handled: f64,
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
    let wanted: Vec<_> = env::args().skip(1).collect();
    // cargo adds --bench.
    let all = wanted.iter().all(|part| part.starts_with("--"));
    let is_wanted = |part: &str| all || wanted.iter().any(|wanted| wanted == part);
    if is_wanted("load") {
        report_load_size(&dimmer).await;
        report_load_times(&dimmer).await;
    }
    if is_wanted("drag") {
        report_drag(&dimmer).await;
    }
    if is_wanted("master") {
        report_master_drag().await;
    }
}

async fn report_master_drag() {
    let light = |n| {
        format!(
            "[[light]]\nname = \"light-{n}\"\ngpio = {}\non_start = {}\n",
            n + 2,
            n * 5 + 5
        )
    };
    let dimmer = Setup::with(&(0..LIGHTS).map(light).collect::<String>()).start();
    let browser = Browser::chromium();
    let phone = browser.phone(&dimmer).await;
    let bare = format!(
        "http://{PI}:{}/",
        serve_bare_page(BARE_BOXES, BARE_BOXES_SCRIPT).await
    );
    let bare = browser.phone_at("en-US", &bare).await;
    println!("drag of the master over {LIGHTS} lights for 5 s:");
    let mut dropped: [Vec<f64>; 2] = Default::default();
    for (label, window) in [("page", &phone), ("bare page", &bare)] {
        report_frames(label, window).await;
        let slow = json!({"rate": SLOWDOWN});
        window
            .devtools("Emulation.setCPUThrottlingRate", slow)
            .await;
    }
    for _ in 0..5 {
        for (window, dropped) in [&phone, &bare].into_iter().zip(&mut dropped) {
            let [share, ..] = recorded::<[f64; 4]>(window, DRAG_MASTER).await;
            dropped.push(share * 100.0);
        }
    }
    println!("  frames dropped, CPU {SLOWDOWN} x slower, in turns");
    for (label, mut dropped) in ["page", "bare page"].into_iter().zip(dropped) {
        dropped.sort_by(f64::total_cmp);
        let [least, .., most] = dropped[..] else {
            unreachable!()
        };
        println!(
            "    {label}: median {:.1} %, from {least:.1} to {most:.1} %",
            dropped[2]
        );
    }
    browser.close().await;
}

/// What a frame of the drag costs the main thread, in its own CPU time, which leaves out what else the machine does.
async fn report_frames(label: &str, window: &Window) {
    let domain = json!({"timeDomain": "threadTicks"});
    window.devtools("Performance.enable", domain).await;
    let before = metrics(window).await;
    let [_, messages, bytes, frames]: [f64; 4] = recorded(window, DRAG_MASTER).await;
    let after = metrics(window).await;
    let [all, script, style, layout] = ["Task", "Script", "RecalcStyle", "Layout"].map(|part| {
        let name = format!("{part}Duration");
        (after[&name] - before[&name]) * 1000.0 / frames
    });
    println!(
        "  {label}: {all:.2} ms a frame; script {script:.2}, style {style:.2}, layout {layout:.2}; \
         {messages:.0} messages in a second, of {bytes:.0} bytes each"
    );
}

/// What Chromium counts: durations in seconds.
async fn metrics(window: &Window) -> HashMap<String, f64> {
    let metrics = window.devtools("Performance.getMetrics", json!({})).await;
    let metrics = metrics["metrics"].as_array().unwrap().iter();
    let entry = |metric: &Value| {
        let name = metric["name"].as_str().unwrap();
        (name.into(), metric["value"].as_f64().unwrap())
    };
    metrics.map(entry).collect()
}

async fn report_load_times(dimmer: &TestServer) {
    println!(
        "load of the page and of a bare page, CPU {SLOWDOWN} x slower, empty cache, from the start of the navigation:"
    );
    let ports = [
        dimmer.address.port(),
        serve_bare_page(BARE_PAGE, BARE_SCRIPT).await,
    ];
    for again in [false, true] {
        let mut times: [Vec<Times>; 2] = Default::default();
        for _ in 0..LOADS {
            for (port, times) in ports.iter().zip(&mut times) {
                times.push(measure_load(*port, again).await);
            }
        }
        println!(
            "  {}",
            if again {
                "loaded again in the same browser"
            } else {
                "in a new browser"
            }
        );
        compare(
            "usable: slider enabled, first level shown",
            &times,
            |times| times.usable,
        );
        compare("seen: the same, painted", &times, |times| times.seen);
    }
}

fn compare(label: &str, [page, bare]: &[Vec<Times>; 2], time: fn(&Times) -> f64) {
    let page = page.iter().map(time).collect();
    let bare = bare.iter().map(time).collect();
    let page = print_median(&format!("    {label}"), page);
    let bare = print_median("      bare page", bare);
    println!("      {:.2} times the bare page", page / bare);
}

/// Loads the page at this port in a new browser; with `again`, measures its second load there.
async fn measure_load(port: u16, again: bool) -> Times {
    let url = format!("http://{PI}:{port}/");
    let browser = Browser::chromium();
    let phone = browser.phone_at("en-US", "about:blank").await;
    for (command, parameters) in [
        ("Network.setCacheDisabled", json!({"cacheDisabled": true})),
        ("Emulation.setCPUThrottlingRate", json!({"rate": SLOWDOWN})),
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
    // `times` is a promise; WebDriver waits for it.
    let times = recorded(&phone, "times").await;
    browser.close().await;
    times
}

/// Serves a bare page with this script, and returns its port.
async fn serve_bare_page(page: &'static str, script: &'static str) -> u16 {
    let send_level = async |mut socket: WebSocket| {
        let _ = socket.send(r#"{"light":"led","level":20}"#.into()).await;
        while let Some(Ok(_)) = socket.recv().await {}
    };
    let script = ([(CONTENT_TYPE, "text/javascript")], script);
    let router = Router::new()
        .route("/", get(Html(page)))
        .route("/bare.js", get(script))
        .route(
            "/ws",
            get(async move |upgrade: WebSocketUpgrade| upgrade.on_upgrade(send_level)),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(axum::serve(listener, router).into_future());
    port
}

async fn report_load_size(dimmer: &TestServer) {
    let browser = Browser::chromium();
    let phone = browser.phone(dimmer).await;
    let url = format!("http://{PI}:{}/", dimmer.address.port());
    let Load {
        requests, bytes, ..
    } = phone.load(&url).await;
    println!("first load: {bytes} bytes in {} requests", requests.len());
    browser.close().await;
}

async fn report_drag(dimmer: &TestServer) {
    let browser = Browser::chromium();
    let desktop = browser.desktop(dimmer).await;
    let other = browser.desktop(dimmer).await;
    desktop.eval(RECORD_SENT).await;
    other.eval(RECORD_SHOWN).await;
    desktop.press("[data-light=led] .track").await;
    for slide in 0..SLIDES {
        let percent = if slide % 2 == 0 { SLIDE } else { -SLIDE };
        desktop.slide(percent).await;
    }
    desktop.release().await;
    let sent: Vec<Sent> = recorded(&desktop, "sent").await;
    until("the other window shows all levels", async || {
        other.level("led").await == sent.last().unwrap().level
            && other.eval("shown.length").await == sent.len()
    })
    .await;
    let shown: Vec<Shown> = recorded(&other, "shown").await;
    // Both windows use the system's monotonic clock, each from the start of its own navigation.
    let offset = navigation_start(&other).await - navigation_start(&desktop).await;
    let (mut frame, mut own_code, mut written, mut painted) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (sent, shown) in sent.iter().zip(&shown) {
        assert_eq!(sent.level, shown.level, "none is skipped at this pace");
        frame.push(sent.at - sent.received);
        own_code.push(sent.at - sent.handled);
        written.push(shown.written + offset - sent.at);
        painted.push(shown.at + offset - sent.received);
    }
    println!("{} pointer events of a drag:", sent.len());
    print("  event to sent frame", frame);
    print("    of that in the page's own code", own_code);
    print("  sent frame to the document of the other window", written);
    print("  event to paint in the other window", painted);
    browser.close().await;
}

/// The value of a JavaScript expression in the window.
async fn recorded<T: for<'de> Deserialize<'de>>(window: &Window, expression: &str) -> T {
    serde_json::from_value(window.eval(expression).await).unwrap()
}

/// The zero of the page's clock, in milliseconds of the system's monotonic clock.
async fn navigation_start(window: &Window) -> f64 {
    window.devtools("Performance.enable", json!({})).await;
    metrics(window).await["NavigationStart"] * 1000.0
}

fn print(label: &str, mut times: Vec<f64>) {
    times.sort_by(f64::total_cmp);
    let [p0, p50, p99, p100] = [0, 50, 99, 100].map(|percent| percentile(&times, percent));
    println!("{label}: p50 {p50:.1} ms, p99 {p99:.1} ms, from {p0:.1} to {p100:.1} ms");
}

/// Prints and returns the median, of too few values for a 99th percentile.
fn print_median(label: &str, mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    let (min, median, max) = (times[0], times[times.len() / 2], times[times.len() - 1]);
    println!("{label}: median {median:.1} ms, from {min:.1} to {max:.1} ms");
    median
}
