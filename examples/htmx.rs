//! A page for the light without a script of its own: htmx sends its forms over a WebSocket and inserts the HTML that
//! comes back. This crate moves the pin.
//!
//!     cargo run --example htmx    serves on 127.0.0.1:5003, or on the address given
//!
//! On a LAN without internet access, fetch htmx once into the folder where you start this:
//!
//!     npm install --no-save htmx.org@2.0.11 htmx-ext-ws@2.0.4
//!
//! Only the server holds the level, so pages cannot get out of step. (A slider holds one, too, while it is dragged:
//! docs/wire.md says what that requires.)

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::{env, fs};

use anyhow::{Context, bail};
use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{any, get};
use dimmer::config::LightConfig;
use dimmer::model::activity::Activity;
use dimmer::model::actor::Actor;
use dimmer::model::command::{Command, Target};
use dimmer::model::hub::Hub;
use dimmer::model::level::{Level, Step};
use dimmer::model::lights::{Change, LightId, LightState, Lights};
use dimmer::pin::Reservation;
use dimmer::platform::supervisor::Supervisor;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const CDN: &str = "https://cdn.jsdelivr.net/npm";
const HTMX: &str = "htmx.org@2.0.11/dist/htmx.min.js";
const WS: &str = "htmx-ext-ws@2.0.4/dist/ws.min.js";

/// The fields of the forms, as text. htmx also sends `HEADERS`, which this example does not need.
#[derive(Deserialize)]
struct Form {
    level: Option<String>,
    step: Option<String>,
    name: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:5003".into());
    let listener = TcpListener::bind(&address).await.context(address)?;
    let settings = LightConfig::default();
    let pin = Reservation::new(settings.clone())?.open(None)?;
    let state = LightState::new(Level::HALF, Level::HALF);
    let light = settings.light(pin.driver());
    let hub = Arc::new(Hub::new(
        Lights::new(vec![(light, state)]),
        Activity::new(false),
    ));
    let stop = CancellationToken::new();
    let (supervisor, mut failures) = Supervisor::new();
    let pin = pin.start(
        hub.lights.clone(),
        LightId::FIRST,
        &supervisor,
        stop.clone(),
    )?;
    println!("listening on http://{}", listener.local_addr()?);
    let router = Router::new()
        .route("/", get(Html(include_str!("htmx.html"))))
        .route(&format!("/npm/{HTMX}"), get(|| script(HTMX)))
        .route(&format!("/npm/{WS}"), get(|| script(WS)))
        .route("/ws", any(open))
        .with_state(hub);
    tokio::select! {
        served = axum::serve(listener, router) => served?,
        failure = failures.next() => return Err(failure),
        _ = tokio::signal::ctrl_c() => {}
    }
    stop.cancel();
    pin.ended.cancelled().await; // Now the LED is dark.
    Ok(())
}

/// A script from where npm has installed it, or else the CDN's address of it.
async fn script(name: &str) -> Response {
    let (package, file) = name.split_once('@').unwrap_or_default();
    let (_, file) = file.split_once('/').unwrap_or_default();
    match fs::read(format!("node_modules/{package}/{file}")) {
        Ok(script) => ([(header::CONTENT_TYPE, "text/javascript")], script).into_response(),
        Err(_) => Redirect::temporary(&format!("{CDN}/{name}")).into_response(),
    }
}

/// Browsers let any site open a WebSocket to this server, but send its origin. (src/web/origin.rs checks more.)
async fn open(headers: HeaderMap, hub: State<Arc<Hub>>, ws: WebSocketUpgrade) -> Response {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let own = |origin: &str| origin.strip_prefix("http://") == text(header::HOST);
    if !text(header::ORIGIN).is_none_or(own) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let ws = ws.max_message_size(4096);
    ws.on_upgrade(async move |socket| follow(socket, &hub).await)
}

/// Sends the light at each change, also to the page that changed it: a page shows only what it is sent.
async fn follow(mut socket: WebSocket, hub: &Hub) {
    let mut news = hub.lights.watch();
    // So that the present level is sent first.
    news.mark_changed();
    loop {
        let html = tokio::select! {
            _ = news.changed() => light(&news.borrow_and_update()[0]),
            message = socket.recv() => match message {
                Some(Ok(Message::Text(form))) => {
                    let done = change(&form, hub).map_err(|error| format!("{error:#}"));
                    fragment("error", &escape(&done.err().unwrap_or_default()))
                }
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => break,
            },
        };
        if socket.send(html.into()).await.is_err() {
            break;
        }
    }
}

fn change(form: &str, hub: &Hub) -> anyhow::Result<()> {
    let form: Form = serde_json::from_str(form)?;
    let change = match (form.level, form.step) {
        (Some(level), None) => Change::Level(level.parse().context("level")?),
        (None, Some(step)) => Change::Step(Step::from_percent(step.parse().context("step")?)?),
        _ => bail!("a form has either level or step"),
    };
    let by = Some(form.name).filter(|name| !name.is_empty());
    let actor = Actor::Client {
        number: 0,
        address: Ipv4Addr::UNSPECIFIED.into(),
        name: by.map(Arc::from),
    };
    let command = Command::Change {
        target: Target::Own(LightId::FIRST),
        change,
        transition: None,
    };
    hub.execute(&actor, command)?;
    Ok(())
}

fn light(light: &LightState) -> String {
    let by = light.by.as_ref().and_then(Actor::name);
    let by = by.map(|by| format!(" by {}", escape(by)));
    let (level, by) = (light.level, by.unwrap_or_default());
    let html = format!(r#"<meter max="100" value="{level}"></meter> {level} %{by}"#);
    fragment("light", &html)
}

/// HTML that replaces the element with this id: htmx's "out of band" swap, because it answers no request.
fn fragment(id: &str, html: &str) -> String {
    format!(r#"<p id="{id}" hx-swap-oob="true">{html}</p>"#)
}

/// Escapes text from people for use between tags. Otherwise a name could be a script on everybody's page.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
