//! `/ws`: a task for each client, which reads what the client sends. The [fan-out](super::fanout) writes.

use std::pin::{Pin, pin};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message as Frame, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Extension, State};
use axum::response::Response;
use futures_util::StreamExt;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite;
use tracing::debug;

use super::client_view::ClientView;
use super::fanout::{STALL, Subscription};
use super::selection::Selection;
use super::shared_stream::SharedStream;
use crate::model::activity::Participant;
use crate::model::command::{Command, Outcome, Target};
use crate::model::hub::Hub;
use crate::model::lights::LightId;
use crate::protocol;
use crate::protocol::input_error::InputError;
use crate::protocol::light_change::LightChange;
use crate::protocol::request::{ClientMessage, Request};
use crate::protocol::server_message::{Hello, ServerMessage};
use crate::web::auth::login::Left;
use crate::web::limiter::Permit;
use crate::web::listener::Peer;
use crate::web::response::too_many_clients;
use crate::web::state::AppState;

/// Silence after which a client is sent a ping.
const PING_AFTER: Duration = Duration::from_secs(20);
/// Time that a client has to answer the ping.
const PONG_TIMEOUT: Duration = Duration::from_secs(10);
/// Time that a client has to answer the close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes read at once: a dozen changes. tungstenite's own 128 KiB would be most of a client's memory.
const READ_BUFFER: usize = 1024;
/// Frames that a client may send within a second: 16 lights at 60 a second each.
const FRAMES: u32 = 1000;
/// Pause of a client that has sent them: the others are then told of its changes no more often than
/// of a thumb's.
const PAUSE: Duration = Duration::from_millis(16);

/// Upgrades a request to a client's connection, or refuses it with 503 beyond the limits.
pub async fn open(
    State(app): State<AppState>,
    Extension(peer): Extension<Peer>,
    Extension(stream): Extension<SharedStream>,
    left: Option<Extension<Left>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let permit = match app.clients.try_acquire(peer.address()) {
        Ok(permit) => permit,
        Err(reached) => return too_many_clients(reached, peer.address()),
    };
    upgrade
        .read_buffer_size(READ_BUFFER)
        .max_message_size(protocol::MAX_MESSAGE)
        .max_frame_size(protocol::MAX_MESSAGE)
        .on_upgrade(move |socket| async move {
            let left = left.and_then(|Extension(Left(left))| left);
            Client::new(app, permit, socket, stream).run(left).await;
            // A client is a connection, too, and counts as one until its end.
            drop(peer);
        })
}

/// A connected client.
struct Client {
    app: AppState,
    permit: Permit,
    socket: WebSocket,
    subscription: Subscription,
    participant: Participant,
    selection: Selection,
}

/// The frames that are still read from a client now: [`FRAMES`] after a second of silence.
///
/// A client that sends more is not read for [`PAUSE`]. So it waits, as its messages do: none is lost,
/// the last one counts, and the others have the time of the service.
struct Allowance {
    /// When all frames will be allowed again.
    full: Instant,
}

impl Allowance {
    fn new(now: Instant) -> Allowance {
        Allowance { full: now }
    }

    /// Counts a frame. If it was the last one, returns when the next may be read.
    fn spend(&mut self, now: Instant) -> Option<Instant> {
        let second = Duration::from_secs(1);
        self.full = self.full.max(now) + second / FRAMES;
        (self.full >= now + second).then(|| self.full - second + PAUSE)
    }
}

/// Why a connection ends.
enum End {
    /// The client is gone, or cannot be reached.
    Gone,
    /// The service closes the connection with this code and reason.
    Closed(u16, &'static str),
}

impl Client {
    fn new(app: AppState, permit: Permit, socket: WebSocket, stream: SharedStream) -> Client {
        let subscription = app.fanout.subscribe(permit.number, stream);
        let participant = app.hub.activity.join(permit.number, permit.address);
        let selection = Selection::new(&app.hub.lights);
        Client {
            app,
            permit,
            socket,
            subscription,
            participant,
            selection,
        }
    }

    /// Serves the client until it is gone, or its browser's session ends after `left`.
    async fn run(mut self, left: Option<Duration>) {
        let number = self.permit.number;
        debug!("client {number} connected");
        let end = self.serve(left).await;
        // No update may follow the close frame.
        drop((self.subscription, self.participant));
        match end {
            End::Gone => debug!("client {number} is gone"),
            End::Closed(code, reason) => {
                debug!("client {number} is closed: {code} {reason}");
                let _ = timeout(CLOSE_TIMEOUT, close(self.socket, code, reason)).await;
            }
        }
    }

    async fn serve(&mut self, left: Option<Duration>) -> End {
        let mut session = pin!(sleep(left.unwrap_or_default()));
        let mut stop = pin!(self.app.stop.clone().cancelled_owned());
        let mut silence = pin!(sleep(PING_AFTER));
        let mut pinged = false;
        let mut allowance = Allowance::new(Instant::now());
        let mut paused = None;
        let mut first = Some(self.hello());
        let mut response = None;
        loop {
            // The response last: a client that has it has all that was set before.
            let sent = self.subscription.send(first.take(), response.take()).await;
            if sent.is_err() {
                return End::Gone;
            }
            tokio::select! {
                frame = self.socket.next(), if paused.is_none() => match self.handle_frame(frame) {
                    Ok(handled) => {
                        paused = allowance.spend(Instant::now());
                        response = handled;
                        pinged = false;
                        reset(&mut silence, PING_AFTER);
                    }
                    Err(end) => return end,
                },
                () = self.subscription.lagging() => {}
                () = until(paused), if paused.is_some() => paused = None,
                () = &mut stop => {
                    return End::Closed(close_code::AWAY, "the service stops");
                }
                () = &mut session, if left.is_some() => {
                    return End::Closed(close_code::POLICY, "log in again");
                }
                () = &mut silence => {
                    if pinged || self.ping().await.is_err() {
                        return End::Gone;
                    }
                    pinged = true;
                    reset(&mut silence, PONG_TIMEOUT);
                }
            }
        }
    }

    fn hello(&self) -> String {
        let lights = self.app.hub.lights.list().iter();
        let hello = Hello {
            version: env!("CARGO_PKG_VERSION"),
            client: self.permit.number,
            lights: lights.map(Into::into).collect(),
        };
        ServerMessage::Hello { hello }.to_json()
    }

    async fn ping(&mut self) -> Result<(), axum::Error> {
        let ping = self.socket.send(Frame::Ping(Default::default()));
        timeout(STALL, ping).await.map_err(axum::Error::new)?
    }

    /// Handles a frame, and returns the response that is for this client alone.
    fn handle_frame(
        &mut self,
        frame: Option<Result<Frame, axum::Error>>,
    ) -> Result<Option<String>, End> {
        match frame {
            Some(Ok(Frame::Text(text))) => {
                self.app.metrics.messages.add();
                Ok(self.handle_text(&text))
            }
            Some(Ok(Frame::Binary(_))) => {
                self.app.metrics.messages.add();
                self.app.metrics.refused.add();
                let error = "send JSON in a text frame, not a binary one".into();
                Ok(Some(ServerMessage::Error { error, seq: None }.to_json()))
            }
            Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => Ok(None),
            // tungstenite answers the close frame by itself at the next read.
            Some(Ok(Frame::Close(_))) => Err(End::Closed(close_code::NORMAL, "the page closed")),
            Some(Err(error)) => Err(violation(error)),
            None => Err(End::Gone),
        }
    }

    fn handle_text(&mut self, text: &str) -> Option<String> {
        let message = ClientMessage::parse(text);
        let seq = message.seq;
        // Locked until the change is marked as shown: see the invariants of `web::live`.
        let mut view = self.subscription.view();
        view.seen = seq.or(view.seen);
        let hub = &self.app.hub;
        let (participant, selection) = (&mut self.participant, &mut self.selection);
        handle(message, hub, participant, selection, &mut view).unwrap_or_else(|refused| {
            self.app.metrics.refused.add();
            let error = refused.to_string();
            Some(ServerMessage::Error { error, seq }.to_json())
        })
    }
}

/// Does what a client asks for, and returns the response that is for it alone.
fn handle(
    message: ClientMessage,
    hub: &Hub,
    participant: &mut Participant,
    selection: &mut Selection,
    view: &mut ClientView,
) -> Result<Option<String>, InputError> {
    let target = match &message.light {
        None => Target::Own(LightId::FIRST),
        Some(name) => hub.target(name)?,
    };
    if message.is_change {
        // Unless the change is made exactly as asked for, it is unknown what the client shows.
        view.forget(&target);
    }
    match message.request? {
        Request::Change(wanted) => {
            let is_exact = wanted.is_exact;
            let outcome = change(wanted, target.clone(), hub, participant)?;
            if is_exact {
                view.show(target, outcome);
            }
        }
        // The client does not know the level that results.
        Request::ChangeSelected(wanted) => {
            let target = Target::Own(selection.light());
            view.forget(&target);
            change(wanted, target, hub, participant)?;
        }
        Request::Select(direction) => {
            selection.move_by(direction, &hub.lights);
            let selected = &hub.lights.light(selection.light()).name;
            return Ok(Some(ServerMessage::Selected { selected }.to_json()));
        }
        Request::Command(command) => {
            hub.execute(&participant.actor(), command)?;
        }
        Request::Say(remark) => participant.say(remark)?,
        Request::Name(name) => participant.rename(name),
        Request::Echo(echo) => return Ok(Some(ServerMessage::Echo { echo: &echo }.to_json())),
    }
    Ok(None)
}

fn change(
    wanted: LightChange,
    target: Target,
    hub: &Hub,
    participant: &Participant,
) -> Result<Outcome, InputError> {
    let command = Command::Change {
        target,
        change: wanted.change,
        transition: wanted.transition,
    };
    Ok(hub.execute(&participant.actor(), command)?)
}

/// Sends the close frame, and waits for the client's.
async fn close(mut socket: WebSocket, code: u16, reason: &'static str) {
    let reason = reason.into();
    let frame = Frame::Close(Some(CloseFrame { code, reason }));
    let _ = socket.send(frame).await;
    while let Some(Ok(_)) = socket.next().await {}
}

async fn until(paused: Option<Instant>) {
    if let Some(paused) = paused {
        sleep_until(paused).await;
    }
}

fn reset(timer: &mut Pin<&mut Sleep>, time: Duration) {
    timer.as_mut().reset(Instant::now() + time);
}

/// The end that a violation of the protocol calls for: RFC 6455, 7.4.1.
fn violation(error: axum::Error) -> End {
    use tungstenite::Error;
    match error.into_inner().downcast_ref::<Error>() {
        Some(Error::Capacity(_)) => End::Closed(close_code::SIZE, "a message has at most 4 KiB"),
        Some(Error::Utf8(_)) => End::Closed(close_code::INVALID, "text must be UTF-8"),
        Some(Error::Protocol(_)) => End::Closed(close_code::PROTOCOL, "not a WebSocket frame"),
        _ => End::Gone,
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::net::{TcpListener, TcpStream};
    use tokio_tungstenite::{WebSocketStream, client_async};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::config::WebConfig;
    use crate::metrics::Metrics;
    use crate::model::lights::Lights;
    use crate::platform::supervisor::{Supervisor, heartbeat};
    use crate::web::Server;

    /// How many frames are read in this time, of a client that sends as fast as it can.
    fn flood(allowance: &mut Allowance, start: Instant, time: Duration) -> u32 {
        let mut frames = 0;
        let mut now = start;
        while now <= start + time {
            now = allowance.spend(now).unwrap_or(now);
            frames += 1;
        }
        frames
    }

    #[test]
    fn a_flood_is_read_at_a_thousand_frames_a_second() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        assert_eq!(
            flood(&mut allowance, start, Duration::from_secs(10)),
            11_000
        );
        // A pause gives back no more than a second's.
        let later = start + Duration::from_secs(60);
        assert_eq!(flood(&mut allowance, later, Duration::ZERO), 1000);
    }

    #[test]
    fn a_thumb_never_waits() {
        let mut now = Instant::now();
        let mut allowance = Allowance::new(now);
        for _ in 0..10_000 {
            assert_eq!(allowance.spend(now), None);
            now += Duration::from_secs(1) / 120;
        }
    }

    async fn connect(address: SocketAddr) -> WebSocketStream<TcpStream> {
        let stream = TcpStream::connect(address).await.unwrap();
        let (client, _) = client_async(format!("ws://{address}/ws"), stream)
            .await
            .unwrap();
        client
    }

    /// Reads until there are so many clients.
    async fn read_until(client: &mut WebSocketStream<TcpStream>, clients: usize) {
        let news = ServerMessage::Clients { clients }.to_json();
        while client.next().await.unwrap().unwrap() != tungstenite::Message::text(news.as_str()) {}
    }

    #[tokio::test]
    async fn a_client_that_answers_stays_and_one_that_does_not_is_closed_after_30_seconds() {
        let hub = Hub::with(Lights::led());
        let config = WebConfig {
            allowed_hosts: Vec::new(),
            max_pages: 2,
            max_pages_per_address: 2,
            socketio: true,
            password: None,
            tls: None,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let metrics = Metrics::new(Vec::new());
        let (supervisor, _failures) = Supervisor::new();
        let server = Server::new(hub, metrics, config, None, supervisor, stop);
        let fanout = server.fanout();
        tokio::spawn(async move { fanout.run(heartbeat().1).await });
        tokio::spawn(server.serve(listener));

        // To read is to answer; the other is as one whose Wi-Fi is gone.
        let mut there = connect(address).await;
        let _gone = connect(address).await;
        read_until(&mut there, 2).await;
        // From here on time passes as soon as there is nothing else to do.
        tokio::time::pause();
        let start = Instant::now();
        read_until(&mut there, 1).await;
        let after = start.elapsed().as_millis();
        assert!((29_900..30_100).contains(&after), "{after} ms");
        let longer = timeout(10 * PING_AFTER, there.next()).await;
        assert!(
            matches!(longer, Ok(Some(Ok(tungstenite::Message::Ping(_))))),
            "{longer:?}"
        );
    }
}
