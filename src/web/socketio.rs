//! The protocol of the usual tutorials: Socket.IO, and a form at `/led`.
//!
//! A Socket.IO client counts towards the limit of clients like one of `/ws`, and passes the same checks of
//! `Origin` and password. A slow client is sent the newest level, not each.

mod newcomers;
mod tutorial_client;

use std::future::{Ready, ready};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body;
use axum::extract::{Extension, FromRequest, Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE, ORIGIN, UPGRADE,
    VARY,
};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::FutureExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use socketioxide::extract::{AckSender, SocketRef, TryData};
use socketioxide::{ParserConfig, SocketIo};
use tokio::task;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use self::newcomers::{Newcomers, Seat};
use self::tutorial_client::{LIGHT, TutorialClient, set_level};
use crate::model::actor::Actor;
use crate::model::level::Level;
use crate::model::lights::Lights;
use crate::platform::supervisor::Supervisor;
use crate::protocol;
use crate::protocol::fields::LEVEL;
use crate::protocol::input_error::InputError;
use crate::protocol::resource::LedResource;
use crate::web::allowance::Traffic;
use crate::web::auth::session::SessionEnd;
use crate::web::body::Body;
use crate::web::limiter::{LimitReached, Permit};
use crate::web::listener::Peer;
use crate::web::live::shared_stream::SharedStream;
use crate::web::response::too_many_clients;
use crate::web::state::AppState;

/// Packets that may wait for a client. Levels are not among them: only the newest one is kept.
const MAX_WAITING: usize = 16;
/// Bytes read at once, as for a client of `/ws`.
const READ_BUFFER: usize = 1024;
/// Time after which a poll is answered even if there is nothing to send: less than a request may take.
const POLL_TIMEOUT: Duration = Duration::from_secs(8);
/// Time in which a client has to join the namespace, or to change from polling to a WebSocket.
const JOIN_TIMEOUT: Duration = Duration::from_secs(10);

/// What decides on the requests of clients before the library sees them.
#[derive(Clone)]
struct Admission {
    app: AppState,
    library: TowerToHyperService<Router>,
    newcomers: Arc<Mutex<Newcomers>>,
    /// The library starts a task for each packet of a body. These end before the next body is handled.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// The routes of the tutorials' clients, which are disconnected when the service stops.
pub fn router(app: AppState) -> Router {
    let (service, io) = SocketIo::builder()
        .max_payload(protocol::MAX_MESSAGE as u64)
        .ws_max_message_size(protocol::MAX_MESSAGE)
        .ws_max_frame_size(protocol::MAX_MESSAGE)
        .ws_read_buffer_size(READ_BUFFER)
        .max_buffer_size(MAX_WAITING)
        .connect_timeout(JOIN_TIMEOUT)
        .with_parser(ParserConfig::common().max_incoming_binaries(0))
        .build_svc();
    let state = app.clone();
    io.ns("/", move |socket: SocketRef| {
        let supervisor = state.supervisor.clone();
        handle_event(&supervisor, move || on_connect(socket, state))
    });
    // `close` removes this namespace. A client that joins after that would be told that the namespace is
    // invalid, and socket.io-client does not connect again after a refusal. It does so after a close. The
    // library looks for a dynamic namespace only where there is no other.
    io.dyn_ns("/", async |_: SocketRef, io: SocketIo| io.close().await)
        .expect("the path is valid, and no other dynamic namespace has it");
    let stop = app.stop.clone();
    app.supervisor.spawn("Socket.IO", &app.stop, async move {
        stop.cancelled().await;
        io.close().await;
        Ok(())
    });
    let library = Router::new().route_service("/socket.io/", service.clone());
    let admission = Admission {
        app: app.clone(),
        library: TowerToHyperService::new(library),
        newcomers: Arc::default(),
        turn: Arc::default(),
    };
    Router::new()
        .route_service("/socket.io", service.clone())
        .route_service("/socket.io/", service)
        .layer(middleware::from_fn_with_state(admission, admit))
        .route("/led", get(show_level).post(change_level))
        .layer(middleware::from_fn(add_cors_headers))
        .with_state(app)
}

/// Acquires a permit for a new client, or refuses it; and answers each poll in time.
async fn admit(
    State(admission): State<Admission>,
    Extension(peer): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    peer.count_as(Traffic::SocketIo);
    let app = &admission.app;
    let uri = request.uri().clone();
    let is_websocket = request.headers().contains_key(UPGRADE);
    let extensions = request.extensions_mut();
    // The library keeps the extensions as long as the client, but connections that poll come and go.
    extensions.remove::<SharedStream>();
    extensions.remove::<Peer>();
    if is_websocket {
        // It counts as a connection until its end. A stop does not wait for that.
        let open = app.stop.child_token();
        extensions.insert(Arc::new(open.clone().drop_guard()));
        let peer = peer.clone();
        let name = format!("connection of a Socket.IO client from {}", peer.address());
        app.supervisor.spawn_short(name, async move {
            open.cancelled().await;
            drop(peer);
        });
    }
    let Some(id) = query_value(&uri, "sid=") else {
        let seat = Seat::default();
        extensions.insert(seat.clone());
        peer.open_session().await;
        // The page of another site cannot open a WebSocket: a browser says where it comes from.
        if is_websocket {
            return match admission.seat(&seat, peer.address()) {
                Ok(()) => next.run(request).await,
                Err(reached) => too_many_clients(reached, peer.address()),
            };
        }
        let response = next.run(request).await;
        return admission.add_newcomer(response, peer.address(), seat).await;
    };
    let newcomer = admission.newcomers().remove(id);
    if let Some(seat) = newcomer
        && let Err(reached) = admission.seat(&seat, peer.address())
    {
        admission.close(id).await;
        return too_many_clients(reached, peer.address());
    }
    if request.method() == Method::POST {
        return admission.post(id, request, next).await;
    }
    if is_websocket || request.method() != Method::GET {
        return next.run(request).await;
    }
    match timeout(POLL_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => noop_packet(&uri),
    }
}

impl Admission {
    fn newcomers(&self) -> MutexGuard<'_, Newcomers> {
        self.newcomers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a session the place of a client, or refuses it.
    fn seat(&self, seat: &Seat, address: IpAddr) -> Result<(), LimitReached> {
        let _ = seat.set(self.app.clients.try_acquire(address)?);
        Ok(())
    }

    /// Keeps the session that is opened by this response as a newcomer, and closes the one that it replaces.
    async fn add_newcomer(&self, response: Response, address: IpAddr, seat: Seat) -> Response {
        let (head, packet) = response.into_parts();
        let packet = body::to_bytes(packet, protocol::MAX_MESSAGE).await;
        let packet = packet.unwrap_or_default();
        if let Some(id) = opened_session(&packet) {
            let replaced = self.newcomers().add(id, address, seat);
            if let Some(replaced) = replaced {
                self.close(&replaced).await;
            }
        }
        Response::from_parts(head, packet.into())
    }

    /// Handles the packets of a client that polls.
    async fn post(&self, id: &str, request: Request, next: Next) -> Response {
        let (head, content) = request.into_parts();
        let copy = Request::from_parts(head.clone(), content);
        let content = match Body::from_request(copy, &()).await {
            Ok(Body(content)) => content,
            Err(refused) => {
                if refused.status() == StatusCode::PAYLOAD_TOO_LARGE {
                    self.close(id).await;
                }
                return refused;
            }
        };
        let _turn = self.turn.lock().await;
        let response = next.run(Request::from_parts(head, content.into())).await;
        task::yield_now().await;
        response
    }

    /// Closes a session as its client would: by Engine.IO's packet `close`.
    async fn close(&self, id: &str) {
        let uri = format!("/socket.io/?EIO=4&transport=polling&sid={id}");
        let request = Request::post(uri).body(body::Body::from("1"));
        if let Ok(request) = request {
            let Ok(_) = self.library.call(request).await;
        }
    }
}

/// The id of the session that Engine.IO's `open` packet announces.
fn opened_session(packet: &[u8]) -> Option<String> {
    let (_, rest) = str::from_utf8(packet).ok()?.split_once(r#""sid":""#)?;
    rest.split_once('"').map(|(id, _)| id.into())
}

/// What follows the beginning of a part of the query, which is how Engine.IO itself reads the query.
fn query_value<'a>(uri: &'a Uri, start: &str) -> Option<&'a str> {
    let query = uri.query().unwrap_or_default();
    query.split('&').find_map(|part| part.strip_prefix(start))
}

/// Engine.IO's `noop` packet; protocol 3 has the packet's length before it.
fn noop_packet(uri: &Uri) -> Response {
    let is_v3 = query_value(uri, "EIO=3").is_some();
    let packet = if is_v3 { "1:6" } else { "6" };
    ([(CONTENT_TYPE, "text/plain; charset=UTF-8")], packet).into_response()
}

/// Lets a page of another origin read the response. The request has passed the check of its `Origin`, so
/// its host is one of `allowed_hosts`, or the service's own.
async fn add_cors_headers(request: Request, next: Next) -> Response {
    let origin = request.headers().get(ORIGIN).cloned();
    let mut response = next.run(request).await;
    if let Some(origin) = origin {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let cookies = HeaderValue::from_static("true");
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, cookies);
        headers.insert(VARY, HeaderValue::from_static("origin"));
    }
    response
}

/// Handles an event of a client at once, and returns a future that has nothing to do: the library would
/// spawn what a handler returns, and so might handle events in another order than they came.
///
/// The library calls handlers in tasks of its own, which nobody watches, so a panic is reported from here.
fn handle_event(supervisor: &Supervisor, handle: impl FnOnce() + Send + 'static) -> Ready<()> {
    let stopped = CancellationToken::new();
    stopped.cancel();
    let handled = supervisor.watch("event of a Socket.IO client", &stopped, async {
        handle();
        Ok(())
    });
    handled.now_or_never();
    ready(())
}

/// Prepares the handlers of a client that has joined, and begins to send it the level.
fn on_connect(socket: SocketRef, app: AppState) {
    debug!("Socket.IO client {} connected", socket.id);
    if session_end(&socket).is_over() {
        // It was disconnected, and has joined again over the connection that it kept.
        let _ = socket.disconnect();
        return;
    }
    // When the service stops, the library calls no handler of a disconnect.
    let gone = app.stop.child_token();
    let left = gone.clone();
    let supervisor = app.supervisor.clone();
    socket.on_disconnect(move |socket: SocketRef| {
        handle_event(&supervisor, move || {
            debug!("Socket.IO client {} is gone", socket.id);
            left.cancel();
        })
    });
    // It has a place from its second request on, and an event is at least that.
    let client = Arc::new(Mutex::new(None));
    type Handle = fn(&mut TutorialClient, &SocketRef, &Value) -> Result<(), InputError>;
    let events: [(&str, Handle); 2] = [
        ("led", |client, _, data| client.led(data)),
        ("message", TutorialClient::message),
    ];
    for (event, handle) in events {
        let (app, client) = (app.clone(), client.clone());
        let on_event = move |socket: SocketRef, TryData::<Value>(data), ack: AckSender| {
            handle_event(&app.supervisor.clone(), move || {
                let mut client = client.lock().unwrap_or_else(PoisonError::into_inner);
                let data = data.map_err(|error| InputError::malformed(error.to_string()));
                let handled = data.and_then(|data| {
                    if client.is_none() {
                        *client = permit(&socket).map(|permit| TutorialClient::new(app, permit));
                    }
                    let client = client.as_mut();
                    let client = client.ok_or_else(|| InputError::malformed("it has no place"))?;
                    handle(client, &socket, &data)
                });
                if let Err(error) = handled {
                    debug!("a Socket.IO client: {error}");
                }
                let _ = ack.send(&());
            })
        };
        socket.on(event, on_event);
    }
    let lights = app.hub.lights.clone();
    let name = format!("Socket.IO client {}", socket.id);
    app.supervisor.spawn_short(name, async move {
        let levels = send_levels_until_session_end(socket, lights);
        gone.run_until_cancelled_owned(levels).await;
    });
}

/// Sends a client the level whenever it is set, and disconnects it when its browser's session ends.
async fn send_levels_until_session_end(socket: SocketRef, lights: Arc<Lights>) {
    let session = session_end(&socket);
    tokio::select! {
        () = send_levels(&socket, &lights) => {}
        () = session.over() => {
            let _ = socket.disconnect();
        }
    }
}

async fn send_levels(socket: &SocketRef, lights: &Lights) {
    let mut states = lights.watch();
    let mut sent = states.borrow_and_update()[LIGHT.index()].revision;
    // The first level is queued, so that it cannot overtake the response to the client's joining. The next
    // ones are volatile: of these, only the newest waits.
    let _ = socket.emit("led", &led(lights));
    while states.changed().await.is_ok() {
        let revision = states.borrow_and_update()[LIGHT.index()].revision;
        if revision != sent {
            sent = revision;
            let _ = socket.volatile().emit("led", &led(lights));
        }
    }
}

/// The end of the session of a client's browser.
fn session_end(socket: &SocketRef) -> SessionEnd {
    let end = socket.req_parts().extensions.get::<SessionEnd>();
    end.cloned().unwrap_or(SessionEnd::NEVER)
}

/// The level in the tutorials' form.
fn led(lights: &Lights) -> LedResource {
    lights.state(LIGHT).level.into()
}

/// The permit of a client that has a place.
fn permit(socket: &SocketRef) -> Option<&Permit> {
    let seat = socket.req_parts().extensions.get::<Seat>()?;
    seat.get()
}

async fn show_level(State(app): State<AppState>) -> Response {
    Json(led(&app.hub.lights)).into_response()
}

async fn change_level(
    State(app): State<AppState>,
    Extension(peer): Extension<Peer>,
    body: Body,
) -> Result<Response, InputError> {
    let actor = Actor::Api(peer.address());
    set_level(&app.hub, &actor, form_level(&body.0)?)?;
    Ok(Json(led(&app.hub.lights)).into_response())
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

#[cfg(test)]
mod tests {
    use futures_util::{SinkExt, StreamExt};
    use tokio_tungstenite::connect_async;

    use super::*;
    use crate::web::testing::serve;

    #[tokio::test]
    async fn a_panic_in_a_task_of_a_client_is_a_failure_that_names_it() {
        let (address, supervisor, mut failures) = serve().await;
        let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
        let (mut client, _) = connect_async(url).await.unwrap();
        // The packets of Engine.IO and Socket.IO: open, join the namespace, joined, the level.
        client.send("40".into()).await.unwrap();
        while client.next().await.unwrap().unwrap() != r#"42["led",{"level":50}]"#.into() {}

        let mut names = supervisor.sabotage.names();
        names.retain(|name| name.contains("Socket.IO client") && !name.starts_with("event"));
        let [connection, levels] = &names[..] else {
            panic!("{names:?}");
        };
        assert_eq!(
            connection,
            "connection of a Socket.IO client from 127.0.0.1"
        );
        for name in [levels, connection] {
            supervisor.sabotage.make_panic(name);
            let failure = timeout(JOIN_TIMEOUT, failures.next()).await.unwrap();
            let expected = format!("{name}: panicked: as the test wants");
            assert_eq!(failure.to_string(), expected);
        }
    }

    #[tokio::test]
    async fn a_panic_in_a_handler_of_an_event_is_a_failure() {
        let (supervisor, mut failures) = Supervisor::new();
        handle_event(&supervisor, || panic!("no luck")).await;
        let failure = timeout(JOIN_TIMEOUT, failures.next()).await.unwrap();
        let expected = "event of a Socket.IO client: panicked: no luck";
        assert_eq!(failure.to_string(), expected);
    }
}
