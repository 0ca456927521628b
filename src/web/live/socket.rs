//! `/ws`: a task for each client, which handles what the client sends, responds to it, and keeps the
//! connection alive. The changes of others are sent by the [fan-out](super::fanout).

use std::pin::{Pin, pin};
use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message as Frame, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::{FutureExt, StreamExt};
use tokio::task::yield_now;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_tungstenite::tungstenite;
use tracing::{debug, warn};

use super::client_view::ClientView;
use super::fanout::{STALL, Subscription};
use super::selection::Selection;
use super::shared_stream::SharedStream;
use crate::model::activity::Participant;
use crate::model::command::{Command, Outcome, Target, TargetChange};
use crate::model::hub::Hub;
use crate::model::lights::LightId;
use crate::protocol;
use crate::protocol::input_error::InputError;
use crate::protocol::light_change::LightChange;
use crate::protocol::request::{ClientMessage, Request};
use crate::protocol::resource::{LightDescription, RefusalCode};
use crate::protocol::server_message::{Hello, ServerMessage};
use crate::web::allowance::Traffic;
use crate::web::auth::session::SessionEnd;
use crate::web::limiter::Permit;
use crate::web::listener::Peer;
use crate::web::response::{refusal, too_many_clients};
use crate::web::state::AppState;

/// Silence after which a client is sent a ping.
const PING_AFTER: Duration = Duration::from_secs(20);
/// Time that a client has to answer the ping.
const PONG_TIMEOUT: Duration = Duration::from_secs(10);
/// Time that a client has to answer the close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes read at once: a dozen changes. tungstenite's own 128 KiB would be most of a client's memory.
const READ_BUFFER: usize = 1024;
/// Frames that are handled before all others have their turn. Together they cost the other clients one update; one by
/// one they would cost an update each.
const TURN: u32 = 32;

/// Upgrades a request to a client's WebSocket, or refuses it with 503 beyond the limits.
pub async fn open(
    State(app): State<AppState>,
    Extension(peer): Extension<Peer>,
    Extension(stream): Extension<SharedStream>,
    session: Option<Extension<SessionEnd>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let mut upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => {
            let message = format!(
                "this is for WebSockets, and a proxy in front must pass on Upgrade and Connection: {}",
                rejection.body_text()
            );
            return refusal(rejection.status(), RefusalCode::Upgrade, message);
        }
    };
    let permit = match app.clients.try_acquire(peer.address()) {
        Ok(permit) => permit,
        Err(reached) => return too_many_clients(reached, peer.address()),
    };
    // There is one protocol, whatever a client calls it. A browser that is told none closes the connection.
    let any = upgrade.requested_protocols().next().cloned();
    if let Some(subprotocol) = any {
        upgrade.set_selected_protocol(subprotocol);
    }
    peer.count_as(Traffic::WebSocket);
    upgrade
        .read_buffer_size(READ_BUFFER)
        .max_message_size(protocol::MAX_MESSAGE)
        .max_frame_size(protocol::MAX_MESSAGE)
        .on_upgrade(async move |socket| {
            let supervisor = app.supervisor.clone();
            let name = format!("client {}", permit.number);
            let session = session.map_or(SessionEnd::NEVER, |Extension(end)| end);
            let mut client = ClientConnection::new(app, permit, socket, stream);
            // axum runs this in a task that nobody watches, so the client gets another one. Its size is most of what a
            // client costs: what is moved within it, it would hold twice.
            supervisor.spawn_short(name, async move {
                let closing = client.serve(session).await;
                Box::pin(client.end(closing)).await;
                // A client is a connection, too, and counts as one until its end.
                drop(peer);
            });
        })
}

/// Says whether a WebSocket would be opened: a browser does not tell its page why that was refused.
pub async fn explain(State(app): State<AppState>, Extension(peer): Extension<Peer>) -> Response {
    match app.clients.check(peer.address()) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(reached) => too_many_clients(reached, peer.address()),
    }
}

/// A connected client.
struct ClientConnection {
    app: AppState,
    permit: Permit,
    socket: WebSocket,
    subscription: Subscription,
    participant: Participant,
    selection: Selection,
    /// The frames left in this [`TURN`].
    turn: u32,
}

/// Why a client's connection ends.
enum Closing {
    /// The client is gone, or cannot be reached.
    Gone,
    /// The service sends the close frame with this code and reason.
    Frame(u16, &'static str),
}

impl ClientConnection {
    fn new(
        app: AppState,
        permit: Permit,
        socket: WebSocket,
        stream: SharedStream,
    ) -> ClientConnection {
        let subscription = app.fanout.subscribe(permit.number, stream);
        let participant = app.hub.activity.join(permit.number, permit.address);
        let selection = Selection::new(&app.hub.lights);
        ClientConnection {
            app,
            permit,
            socket,
            subscription,
            participant,
            selection,
            turn: TURN,
        }
    }

    /// Closes the connection, if the client is still there.
    async fn end(self, closing: Closing) {
        let number = self.permit.number;
        let gone = self.participant.actor();
        if let Err(error) = self.app.hub.execute(&gone, Command::EndTrials) {
            warn!("client {number}: {error}");
        }
        // No update may follow the close frame.
        drop((self.subscription, self.participant));
        match closing {
            Closing::Gone => debug!("client {number} is gone"),
            Closing::Frame(code, reason) => {
                debug!("client {number} is closed: {code} {reason}");
                let _ = timeout(CLOSE_TIMEOUT, close(self.socket, code, reason)).await;
            }
        }
    }

    /// Serves the client until it is gone, the service stops, or its browser's session is over.
    async fn serve(&mut self, session: SessionEnd) -> Closing {
        debug!("client {} connected", self.permit.number);
        let mut hello = Some(self.hello(session.exists()));
        let mut session_over = session.over();
        let mut stop = pin!(self.app.stop.clone().cancelled_owned());
        let mut silence = pin!(sleep(PING_AFTER));
        let mut pinged = false;
        let mut response = None;
        loop {
            // The response last: a client that has received it has received every change made before.
            let sent = self.subscription.send(hello.take(), response.take()).await;
            if sent.is_err() {
                return Closing::Gone;
            }
            if self.turn == 0 {
                self.turn = TURN;
                yield_now().await;
            }
            tokio::select! {
                // In this order: a frame that has arrived counts before the silence that a starved service sees.
                biased;
                () = &mut stop => {
                    return Closing::Frame(close_code::AWAY, "the service stops");
                }
                () = &mut session_over => {
                    return Closing::Frame(close_code::POLICY, "log in again");
                }
                () = self.subscription.lagging() => {}
                frame = self.socket.next() => match self.handle_frames(frame) {
                    Ok(handled) => {
                        response = handled;
                        pinged = false;
                        reset(&mut silence, PING_AFTER);
                    }
                    Err(closing) => return closing,
                },
                () = &mut silence => {
                    if pinged || self.ping().await.is_err() {
                        return Closing::Gone;
                    }
                    pinged = true;
                    reset(&mut silence, PONG_TIMEOUT);
                }
            }
        }
    }

    fn hello(&self, session: bool) -> String {
        let hub = &self.app.hub;
        let states = hub.lights.states();
        let lights = hub.lights.list().iter().zip(&*states);
        let hello = Hello {
            version: env!("CARGO_PKG_VERSION"),
            client: self.permit.number,
            session,
            matter: self.app.matter.is_some(),
            title: hub.settings.house().title,
            lights: lights
                .map(|(light, state)| LightDescription::new(light, state))
                .collect(),
        };
        ServerMessage::Hello { hello }.to_json()
    }

    async fn ping(&mut self) -> Result<(), axum::Error> {
        let ping = self.socket.send(Frame::Ping(Default::default()));
        timeout(STALL, ping).await.map_err(axum::Error::new)?
    }

    /// Handles this frame and those that follow at once, up to the first with a response, which is returned.
    fn handle_frames(
        &mut self,
        first: Option<Result<Frame, axum::Error>>,
    ) -> Result<Option<String>, Closing> {
        let mut frame = first;
        loop {
            self.turn -= 1;
            let response = self.handle_frame(frame)?;
            if response.is_some() || self.turn == 0 {
                return Ok(response);
            }
            // Nobody is woken by this, so the caller has to wait for the socket again.
            match self.socket.next().now_or_never() {
                Some(next) => frame = next,
                None => return Ok(None),
            }
        }
    }

    /// Handles a frame, and returns the response that is for this client alone.
    fn handle_frame(
        &mut self,
        frame: Option<Result<Frame, axum::Error>>,
    ) -> Result<Option<String>, Closing> {
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
            Some(Ok(Frame::Close(_))) => {
                Err(Closing::Frame(close_code::NORMAL, "the client closed it"))
            }
            Some(Err(error)) => Err(violation(error)),
            None => Err(Closing::Gone),
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

/// Carries out a client's message and publishes its remark, and returns the response that is for this
/// client alone.
fn handle(
    mut message: ClientMessage,
    hub: &Hub,
    participant: &mut Participant,
    selection: &mut Selection,
    view: &mut ClientView,
) -> Result<Option<String>, InputError> {
    let remark = message.remark.take();
    let response = carry_out(message, hub, participant, selection, view)?;
    if let Some(remark) = remark {
        // Somebody who holds an arrow key makes more remarks than a client may; the command counts all the same.
        let _ = participant.say(remark);
    }
    Ok(response)
}

fn carry_out(
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
    for name in &message.lights {
        if let Ok(target) = hub.target(name) {
            view.forget(&target);
        }
    }
    match message.request? {
        Request::Change(wanted) => {
            let is_exact = wanted.is_exact;
            let outcome = change(wanted, target.clone(), hub, participant)?;
            if is_exact {
                view.show(target, outcome);
            }
        }
        Request::ChangeTogether(wanted) => change_together(wanted, hub, participant, view)?,
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
        Request::Try(duty) => {
            let Target::Own(light) = target else {
                return Err(InputError::malformed("try is for lights of this dimmer"));
            };
            hub.execute(&participant.actor(), Command::TryDuty { light, duty })?;
        }
        Request::Greet => {
            let Target::Own(light) = target else {
                let why = "greeted is for lights of this dimmer";
                return Err(InputError::malformed(why));
            };
            hub.execute(&participant.actor(), Command::Greet(light))?;
        }
        Request::Say(remark) => participant.say(remark)?,
        Request::Name(name) => participant.rename(name),
        Request::Own(wants_own) => view.wants_own = wants_own,
        Request::Batch(wants_batch) => view.wants_batch = wants_batch,
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

fn change_together(
    wanted: Vec<(String, LightChange)>,
    hub: &Hub,
    participant: &Participant,
    view: &mut ClientView,
) -> Result<(), InputError> {
    let (mut changes, mut exact) = (Vec::new(), Vec::new());
    for (name, wanted) in wanted {
        exact.push(wanted.is_exact);
        changes.push(TargetChange {
            target: hub.target(&name)?,
            change: wanted.change,
            transition: wanted.transition,
        });
    }
    let targets: Vec<_> = changes.iter().map(|each| each.target.clone()).collect();
    let outcome = hub.execute(&participant.actor(), Command::ChangeTogether(changes))?;
    if let Outcome::Together(outcomes) = outcome {
        for ((target, outcome), is_exact) in targets.into_iter().zip(outcomes).zip(exact) {
            if is_exact {
                view.show(target, outcome);
            }
        }
    }
    Ok(())
}

/// Sends the close frame, and waits for the client's.
async fn close(mut socket: WebSocket, code: u16, reason: &'static str) {
    let reason = reason.into();
    let frame = Frame::Close(Some(CloseFrame { code, reason }));
    let _ = socket.send(frame).await;
    while let Some(Ok(_)) = socket.next().await {}
}

fn reset(timer: &mut Pin<&mut Sleep>, time: Duration) {
    timer.as_mut().reset(Instant::now() + time);
}

/// The close code for a violation of the protocol: RFC 6455, 7.4.1.
fn violation(error: axum::Error) -> Closing {
    use tungstenite::Error;
    match error.into_inner().downcast_ref::<Error>() {
        Some(Error::Capacity(_)) => Closing::Frame(close_code::SIZE, "a message has at most 4 KiB"),
        Some(Error::Utf8(_)) => Closing::Frame(close_code::INVALID, "text must be UTF-8"),
        Some(Error::Protocol(_)) => Closing::Frame(close_code::PROTOCOL, "not a WebSocket frame"),
        _ => Closing::Gone,
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use futures_util::SinkExt;
    use tokio::net::TcpStream;
    use tokio_tungstenite::{WebSocketStream, client_async};

    use super::*;
    use crate::web::testing::serve;

    async fn connect(address: SocketAddr) -> WebSocketStream<TcpStream> {
        let stream = TcpStream::connect(address).await.unwrap();
        let (client, _) = client_async(format!("ws://{address}/ws"), stream)
            .await
            .unwrap();
        client
    }

    /// Reads until the message that this many clients are connected.
    async fn read_until(client: &mut WebSocketStream<TcpStream>, clients: usize) {
        let update = tungstenite::Message::text(ServerMessage::Clients { clients }.to_json());
        while client.next().await.unwrap().unwrap() != update {}
    }

    #[tokio::test]
    async fn a_client_that_answers_stays_and_one_that_does_not_is_closed_after_30_seconds() {
        let (address, _supervisor, _failures) = serve().await;
        // tungstenite answers pings while it reads. The other client is like one whose Wi-Fi is gone.
        let mut there = connect(address).await;
        let _gone = connect(address).await;
        read_until(&mut there, 2).await;
        // From here on the clock advances as soon as all tasks wait.
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

    /// Reads until a message that begins with `start`, and returns how many levels came before it.
    async fn levels_before(client: &mut WebSocketStream<TcpStream>, start: &str) -> u32 {
        let mut levels = 0;
        loop {
            let message = client.next().await.unwrap().unwrap();
            let text = message.to_text().unwrap();
            if text.starts_with(start) {
                return levels;
            }
            levels += u32::from(text.starts_with(r#"{"light""#));
        }
    }

    #[tokio::test]
    async fn a_flood_is_read_in_turns_and_others_are_served_between_them() {
        const TURNS: u32 = 100;
        let (address, _supervisor, _failures) = serve().await;
        let (mut other, mut flood) = (connect(address).await, connect(address).await);
        read_until(&mut other, 2).await;
        let flooding = tokio::spawn(async move {
            let levels = (1..TURNS * TURN).map(|number| (number % 100).to_string());
            for level in levels.chain(["55.5".into()]) {
                flood.feed(level.into()).await.unwrap();
            }
            flood.flush().await.unwrap();
            flood
        });
        levels_before(&mut other, r#"{"light""#).await;
        other.send(r#"{"echo":1}"#.into()).await.unwrap();
        let before = levels_before(&mut other, r#"{"echo":1}"#).await;
        let after = levels_before(&mut other, r#"{"light":"led","level":55.5}"#).await;
        assert!(before <= 10, "the other client waited for {before} turns");
        assert!(
            after > TURNS / 4 && before + after < 2 * TURNS,
            "{after} turns came after it"
        );
        let _flood = flooding.await.unwrap();
    }

    #[tokio::test]
    async fn a_panic_in_the_task_of_a_client_is_a_failure_that_names_the_client() {
        let (address, supervisor, mut failures) = serve().await;
        let mut client = connect(address).await;
        read_until(&mut client, 1).await;
        supervisor.sabotage.make_panic("client 1");
        let failure = timeout(STALL, failures.next()).await.unwrap();
        let expected = "client 1: panicked: as the test wants";
        assert_eq!(failure.to_string(), expected);
    }
}
