//! What the clients of the tutorials speak: Socket.IO, and a form at `/led`. Both are about the first light.
//!
//! A Socket.IO client is a page in all but its language: it takes the place of one, and the guard
//! and the login are before it. It is told the newest level, and none that it had no time for.

use std::future::{self, Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Extension, Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE, ORIGIN, UPGRADE,
    VARY,
};
use axum::http::{HeaderValue, Method, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;
use socketioxide::extract::{AckSender, SocketRef, TryData};
use socketioxide::{ParserConfig, SocketIo};
use tokio::task;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::debug;

use crate::model::actor::Actor;
use crate::model::command::{Command, CommandError, Target};
use crate::model::hub::Hub;
use crate::model::level::Level;
use crate::model::lights::{Change, LightId, Lights};
use crate::protocol;
use crate::protocol::fields::LEVEL;
use crate::protocol::input_error::InputError;
use crate::protocol::resource::LedResource;
use crate::web::auth::login::Left;
use crate::web::body::Body;
use crate::web::limiter::Permit;
use crate::web::listener::Peer;
use crate::web::live::shared_stream::SharedStream;
use crate::web::response::too_many_clients;
use crate::web::state::AppState;

/// The light that the tutorials have.
const LIGHT: LightId = LightId::FIRST;
/// Answers on the way to a client. Levels are not among them: of these there is the newest alone.
const ANSWERS: usize = 16;
/// Bytes read at once, as for a page.
const READ_BUFFER: usize = 1024;
/// Time after which a poll is answered, if only with nothing: before the time of a request is over.
const POLL: Duration = Duration::from_secs(8);
/// Time in which a client must have joined, or have changed from polling to a WebSocket.
const JOIN: Duration = Duration::from_secs(10);

/// Until when the browser of a client is let in; `None`: there is no end.
#[derive(Clone, Copy)]
struct End(Option<Instant>);

/// The routes of the tutorials. The clients are sent away when the service stops.
pub fn router(web: AppState) -> Router {
    let (service, io) = SocketIo::builder()
        .max_payload(protocol::MAX_MESSAGE as u64)
        .ws_max_message_size(protocol::MAX_MESSAGE)
        .ws_max_frame_size(protocol::MAX_MESSAGE)
        .ws_read_buffer_size(READ_BUFFER)
        .max_buffer_size(ANSWERS)
        .connect_timeout(JOIN)
        .with_parser(ParserConfig::common().max_incoming_binaries(0))
        .build_svc();
    let joined = web.clone();
    io.ns("/", move |socket: SocketRef| welcome(socket, joined));
    // `close` removes this namespace. A client that joins after that would be told that there is none,
    // and socket.io-client does not connect again after a refusal. After a close it does. The library
    // asks for a dynamic namespace only where there is no other.
    io.dyn_ns("/", async |_: SocketRef, io: SocketIo| io.close().await)
        .expect("the path is valid, and no other has it");
    let stop = web.stop.clone();
    task::spawn(async move {
        stop.cancelled().await;
        io.close().await;
    });
    Router::new()
        .route_service("/socket.io/", service)
        .layer(middleware::from_fn_with_state(web.clone(), admit))
        .route("/led", get(level).post(set_level))
        .layer(DefaultBodyLimit::max(protocol::MAX_MESSAGE))
        .layer(middleware::from_fn(answer_other_sites))
        .with_state(web)
}

/// Gives a new client a place, or refuses it; and answers each poll in time.
async fn admit(
    State(web): State<AppState>,
    Extension(peer): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let uri = request.uri().clone();
    let is_websocket = request.headers().contains_key(UPGRADE);
    let extensions = request.extensions_mut();
    // What is left among these is kept as long as the client, but connections that poll come and go.
    extensions.remove::<SharedStream>();
    extensions.remove::<Peer>();
    if is_websocket {
        // It counts as a connection until its end. A stop does not wait for that.
        let open = web.stop.child_token();
        extensions.insert(Arc::new(open.clone().drop_guard()));
        let peer = peer.clone();
        task::spawn(async move {
            open.cancelled().await;
            drop(peer);
        });
    }
    let is_new = !has(&uri, "sid=");
    if is_new {
        match web.clients.try_acquire(peer.address()) {
            Ok(place) => extensions.insert(Arc::new(place)),
            Err(reached) => return too_many_clients(reached, peer.address()),
        };
        let left = extensions.get::<Left>().and_then(|Left(left)| *left);
        extensions.insert(End(left.map(|left| Instant::now() + left)));
    }
    if is_new || is_websocket || request.method() != Method::GET {
        return next.run(request).await;
    }
    match timeout(POLL, next.run(request)).await {
        Ok(answer) => answer,
        Err(_) => nothing_new(&uri),
    }
}

/// Whether a part of the query begins like this: what Engine.IO itself goes by.
fn has(uri: &Uri, start: &str) -> bool {
    let query = uri.query().unwrap_or_default();
    query.split('&').any(|part| part.starts_with(start))
}

/// Engine.IO's packet that says nothing, in its version 3 with its length before it.
fn nothing_new(uri: &Uri) -> Response {
    let packet = if has(uri, "EIO=3") { "1:6" } else { "6" };
    ([(CONTENT_TYPE, "text/plain; charset=UTF-8")], packet).into_response()
}

/// Lets a page of another origin read the answer. The guard has let it in, so its host is one of
/// `allowed_hosts`, or the service's own.
async fn answer_other_sites(request: Request, next: Next) -> Response {
    let origin = request.headers().get(ORIGIN).cloned();
    let mut answer = next.run(request).await;
    if let Some(origin) = origin {
        let headers = answer.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let cookies = HeaderValue::from_static("true");
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, cookies);
        headers.insert(VARY, HeaderValue::from_static("origin"));
    }
    answer
}

/// Begins to talk with a client.
///
/// Its events are handled before the handlers return: what these return would be spawned, and so
/// might be done in another order than it was asked for.
fn welcome(socket: SocketRef, web: AppState) -> Ready<()> {
    debug!("Socket.IO client {} is there", socket.id);
    if ends(&socket).is_some_and(|end| end <= Instant::now()) {
        // It was sent away, and has joined again by the connection that it kept.
        let _ = socket.disconnect();
        return ready(());
    }
    // On a stop nobody is told who leaves.
    let gone = web.stop.child_token();
    let leaves = gone.clone();
    socket.on_disconnect(move |socket: SocketRef| {
        debug!("Socket.IO client {} left", socket.id);
        leaves.cancel();
        ready(())
    });
    let hub = web.hub.clone();
    let Some(actor) = actor(&socket) else {
        return ready(());
    };
    socket.on("led", move |TryData::<Value>(data), ack: AckSender| {
        match data.map_err(|error| error.to_string()).and_then(wanted) {
            Ok(level) => {
                if let Err(error) = set(&hub, &actor, level) {
                    debug!("a Socket.IO client: {error}");
                }
            }
            Err(why) => debug!("a Socket.IO client asked for no level: {why}"),
        }
        let _ = ack.send(&());
        ready(())
    });
    socket.on("message", |socket: SocketRef, ack: AckSender| {
        // There is no room for it if the client sends more than it reads.
        let _ = socket.emit("message", "Olá");
        let _ = ack.send(&());
        ready(())
    });
    let lights = web.hub.lights.clone();
    task::spawn(gone.run_until_cancelled_owned(tell(socket, lights)));
    ready(())
}

/// Tells a client the level, whenever it is set, until its browser's session ends.
async fn tell(socket: SocketRef, lights: Arc<Lights>) {
    let left = ends(&socket).map(sleep_until);
    let ended = async {
        match left {
            Some(left) => left.await,
            None => future::pending().await,
        }
    };
    tokio::select! {
        () = follow(&socket, &lights) => {}
        () = ended => {
            let _ = socket.disconnect();
        }
    }
}

async fn follow(socket: &SocketRef, lights: &Lights) {
    let mut states = lights.watch();
    let mut told = states.borrow_and_update()[LIGHT.index()].revision;
    // This one waits in line, lest it overtake the answer to the client's joining. The next ones
    // do not: of these there is never more than the newest.
    let _ = socket.emit("led", &shown(lights));
    while states.changed().await.is_ok() {
        let revision = states.borrow_and_update()[LIGHT.index()].revision;
        if revision != told {
            told = revision;
            let _ = socket.volatile().emit("led", &shown(lights));
        }
    }
}

/// When the session of a client's browser ends, if it has one.
fn ends(socket: &SocketRef) -> Option<Instant> {
    let end = socket.req_parts().extensions.get::<End>();
    end.and_then(|End(end)| *end)
}

/// The level as the tutorials have it.
fn shown(lights: &Lights) -> LedResource {
    lights.state(LIGHT).level.into()
}

/// The level that an event asks for, brought into its range as the tutorials' server does.
fn wanted(data: Value) -> Result<Level, String> {
    let percent = match &data["level"] {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    percent
        .filter(|percent| percent.is_finite())
        .and_then(|percent: f64| Level::from_percent(percent.clamp(0.0, 100.0)).ok())
        .ok_or_else(|| format!("level must be a number, or a string holding one, in {data}"))
}

fn set(hub: &Hub, actor: &Actor, level: Level) -> Result<(), CommandError> {
    let command = Command::Change {
        target: Target::Own(LIGHT),
        change: Change::Level(level),
        transition: None,
    };
    hub.execute(actor, command).map(|_| ())
}

/// The client as the one who causes a change; it has no name.
fn actor(socket: &SocketRef) -> Option<Actor> {
    let permit = socket.req_parts().extensions.get::<Arc<Permit>>()?;
    Some(Actor::Client {
        number: permit.number,
        address: permit.address,
        name: None,
    })
}

async fn level(State(app): State<AppState>) -> Response {
    Json(shown(&app.hub.lights)).into_response()
}

async fn set_level(
    State(app): State<AppState>,
    Extension(peer): Extension<Peer>,
    body: Body,
) -> Result<Response, InputError> {
    let actor = Actor::Api(peer.address());
    set(&app.hub, &actor, form_level(&body.0)?)?;
    Ok(Json(shown(&app.hub.lights)).into_response())
}

/// The level of a form, `level=42`.
fn form_level(body: &[u8]) -> Result<Level, InputError> {
    let mut fields = form_urlencoded::parse(body);
    let (_, level) = fields
        .find(|(name, _)| name == LEVEL.name)
        .ok_or_else(|| InputError::malformed("level is needed, as in level=42"))?;
    let percent = LEVEL.number(&Value::from(level.as_ref()))?;
    Level::from_percent(percent).map_err(|error| InputError::out_of_range(LEVEL.name, error))
}
