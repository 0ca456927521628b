//! `/ws`: a task for each open page, which hears what the page says.
//!
//! What pages are told is up to [`super::fanout`]. It sends a light's level when that is another than
//! the page shows, and the page shows what it last set, or was last told. This one rule keeps a page
//! from hearing its own changes, and tells it of everything else: others' changes, steps, rounding,
//! rejection, being overruled. As only the newest state is ever compared, a slow page costs no memory
//! and delays nobody.

use std::pin::{Pin, pin};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message as Frame, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::StreamExt;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite;
use tracing::debug;

use super::fanout::{Member, STALL, Shown};
use super::fleet_view;
use super::selection::Selection;
use crate::model::activity::{Action, Participant};
use crate::model::hub::Hub;
use crate::model::lights::{LightState, Lights};
use crate::model::presets;
use crate::protocol::{self, BadInput, Hello, LightChange, Message, Request, ServerMessage};
use crate::web::auth::login::Left;
use crate::web::limiter::{LimitReached, Permit};
use crate::web::listener::Peer;
use crate::web::live::shared_stream::SharedStream;
use crate::web::response::error;
use crate::web::state::AppState;

/// Silence after which a page is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(20);
/// Time it has to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time it has to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);
/// Bytes read at once: a dozen changes. tungstenite's own 128 KiB would be most of what a page costs.
const READ_BUFFER: usize = 1024;
/// Frames that a page may send in a second, whenever in it: 16 lights at 60 a second each.
const FRAMES: u32 = 1000;
/// Time that a page waits which has sent them: others are then told of its changes no more often
/// than of a thumb's.
const REST: Duration = Duration::from_millis(16);

/// Turns a request into an open page, or into 503 if all places that it could have are taken.
pub async fn open(
    State(web): State<AppState>,
    Extension(peer): Extension<Peer>,
    Extension(line): Extension<SharedStream>,
    left: Option<Extension<Left>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let place = match web.clients.try_acquire(peer.address()) {
        Ok(place) => place,
        Err(full) => return no_place(full, &peer),
    };
    upgrade
        .read_buffer_size(READ_BUFFER)
        .max_message_size(protocol::MAX_MESSAGE)
        .max_frame_size(protocol::MAX_MESSAGE)
        .on_upgrade(move |socket| async move {
            let left = left.and_then(|Extension(Left(left))| left);
            Page::new(web, place, socket, line).run(left).await;
            // A page is a connection, too, and counts as one until its end.
            drop(peer);
        })
}

/// The answer that there is no place for one more page.
pub fn no_place(full: LimitReached, peer: &Peer) -> Response {
    let message = match full {
        LimitReached::Total => "too many open pages; see max_pages".into(),
        LimitReached::PerAddress => format!(
            "too many open pages from {}; see max_pages_per_address",
            peer.address()
        ),
    };
    error(StatusCode::SERVICE_UNAVAILABLE, message)
}

/// One open page.
struct Page {
    web: AppState,
    place: Permit,
    socket: WebSocket,
    member: Member,
    guest: Participant,
    selection: Selection,
}

/// How many frames are still read from a page now: [`FRAMES`] after a second of silence.
///
/// A page that sends more is not read for [`REST`]. So it waits, as its messages do: none is lost,
/// the last one counts, and the others have the time of the service.
struct Allowance {
    /// When all frames will be allowed again.
    full: Instant,
}

impl Allowance {
    fn new(now: Instant) -> Allowance {
        Allowance { full: now }
    }

    /// Counts a frame, and says until when no more is read if that was the last.
    fn spend(&mut self, now: Instant) -> Option<Instant> {
        let second = Duration::from_secs(1);
        self.full = self.full.max(now) + second / FRAMES;
        (self.full >= now + second).then(|| self.full - second + REST)
    }
}

/// Why a page is open no longer.
enum End {
    /// It left, or cannot be reached.
    Gone,
    /// The service closes it, for this reason.
    Closed(u16, &'static str),
}

impl Page {
    fn new(web: AppState, place: Permit, socket: WebSocket, line: SharedStream) -> Page {
        let member = web.fanout.join(place.number, line);
        let guest = web.hub.activity.enter(place.number, place.address);
        let selection = Selection::new(web.hub.lights.list());
        Page {
            web,
            place,
            socket,
            member,
            guest,
            selection,
        }
    }

    /// Until it ends, or its browser's session does.
    async fn run(mut self, left: Option<Duration>) {
        let number = self.place.number;
        debug!("page {number} is open");
        let end = self.talk(left).await;
        // Nothing may follow a goodbye, so it is told no more news.
        drop((self.member, self.guest));
        match end {
            End::Gone => debug!("page {number} left"),
            End::Closed(code, reason) => {
                debug!("page {number} is closed: {code} {reason}");
                let _ = timeout(GOODBYE, close(self.socket, code, reason)).await;
            }
        }
    }

    async fn talk(&mut self, left: Option<Duration>) -> End {
        let mut session = pin!(sleep(left.unwrap_or_default()));
        let mut stop = pin!(self.web.stop.clone().cancelled_owned());
        let mut quiet = pin!(sleep(SILENCE));
        let mut asked = false;
        let mut allowance = Allowance::new(Instant::now());
        let mut rests = None;
        let mut first = Some(self.hello());
        let mut answer = None;
        loop {
            // The answer last: a page that has it has all that was set before.
            if self.member.tell(first.take(), answer.take()).await.is_err() {
                return End::Gone;
            }
            tokio::select! {
                frame = self.socket.next(), if rests.is_none() => match self.hear(frame) {
                    Ok(heard) => {
                        rests = allowance.spend(Instant::now());
                        answer = heard;
                        asked = false;
                        wait(&mut quiet, SILENCE);
                    }
                    Err(end) => return end,
                },
                () = self.member.behind() => {}
                () = until(rests), if rests.is_some() => rests = None,
                () = &mut stop => {
                    return End::Closed(close_code::AWAY, "the service stops");
                }
                () = &mut session, if left.is_some() => {
                    return End::Closed(close_code::POLICY, "log in again");
                }
                () = &mut quiet => {
                    if asked || self.ask().await.is_err() {
                        return End::Gone;
                    }
                    asked = true;
                    wait(&mut quiet, PATIENCE);
                }
            }
        }
    }

    fn hello(&self) -> String {
        let hello = Hello {
            version: env!("CARGO_PKG_VERSION"),
            page: self.place.number,
            lights: self.web.hub.lights.list(),
        };
        ServerMessage::Hello { hello }.to_json()
    }

    /// Asks whether the page is still there.
    async fn ask(&mut self) -> Result<(), axum::Error> {
        let ping = self.socket.send(Frame::Ping(Default::default()));
        timeout(STALL, ping).await.map_err(axum::Error::new)?
    }

    /// Takes in a frame, and returns the answer that is for this page alone.
    fn hear(&mut self, frame: Option<Result<Frame, axum::Error>>) -> Result<Option<String>, End> {
        match frame {
            Some(Ok(Frame::Text(text))) => {
                self.web.metrics.messages.add();
                Ok(self.understand(&text))
            }
            Some(Ok(Frame::Binary(_))) => {
                self.web.metrics.messages.add();
                self.web.metrics.refused.add();
                let error = "send JSON in a text frame, not a binary one".into();
                Ok(Some(ServerMessage::Error { error, seq: None }.to_json()))
            }
            Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => Ok(None),
            // tungstenite answers the goodbye by itself when it is read from once more.
            Some(Ok(Frame::Close(_))) => Err(End::Closed(close_code::NORMAL, "the page closed")),
            Some(Err(error)) => Err(breach(error)),
            None => Err(End::Gone),
        }
    }

    fn understand(&mut self, text: &str) -> Option<String> {
        let Message {
            seq,
            light,
            asks_for_change,
            wish,
        } = Message::parse(text);
        let hub = &*self.web.hub;
        let mut shown = self.member.shown();
        shown.seen = seq.or(shown.seen);
        let (guest, selection) = (&mut self.guest, &mut self.selection);
        let done = match light {
            Some(name) if hub.fleet.has(&name) => {
                shown.fleet.set(&name, None);
                let done =
                    |wish| fleet_view::fulfil(wish, &name, &hub.fleet, guest, &mut shown.fleet);
                wish.and_then(done).map(|()| None)
            }
            light => {
                let light = match light {
                    None => Ok(0),
                    Some(name) => hub.lights.find(&name).ok_or(BadInput::NoSuchLight(name)),
                };
                if asks_for_change && let Ok(light) = light {
                    // Until it is made, it is not known what the page shows.
                    shown.set(light, None);
                }
                light.and_then(|light| fulfil(wish?, light, hub, guest, selection, &mut shown))
            }
        };
        done.unwrap_or_else(|bad| {
            self.web.metrics.refused.add();
            let error = bad.to_string();
            Some(ServerMessage::Error { error, seq }.to_json())
        })
    }
}

/// Does what this page wishes, and returns what is to be answered to it alone.
fn fulfil(
    wish: Request,
    light: usize,
    hub: &Hub,
    guest: &mut Participant,
    selection: &mut Selection,
    shown: &mut Shown,
) -> Result<Option<String>, BadInput> {
    let Hub {
        lights,
        presets,
        timers,
        ..
    } = hub;
    match wish {
        Request::Change(wanted) => {
            wanted.check(&lights.list()[light])?;
            let state = change(light, &wanted, lights, guest);
            if wanted.exact {
                shown.set(light, Some(&state));
            }
        }
        Request::ChangeSelected(wanted) => {
            let light = selection.light();
            shown.set(light, None);
            change(light, &wanted, lights, guest);
        }
        Request::Select(direction) => {
            selection.go(direction, lights.list());
            let selected = &lights.list()[selection.light()].name;
            return Ok(Some(ServerMessage::Selected { selected }.to_json()));
        }
        Request::Save(preset) => {
            presets.save(&preset, presets::of(lights))?;
            guest.did(Action::Saved { preset });
        }
        // What comes of it is news to this page, too.
        Request::Recall {
            name: preset,
            transition,
        } => {
            presets.recall(&preset, lights, transition, guest.name())?;
            guest.did(Action::Recalled { preset });
        }
        Request::Forget(preset) => {
            presets.forget(&preset)?;
            guest.did(Action::Forgot { preset });
        }
        Request::Timer(wanted) => {
            protocol::check_timer(&wanted, hub)?;
            let timer = timers.add(wanted)?.name;
            guest.did(Action::Timer { timer });
        }
        Request::Cancel(timer) => {
            timers.cancel(&timer)?;
            guest.did(Action::Cancelled { timer });
        }
        Request::Say(text) => guest.say(text)?,
        Request::Name(name) => guest.rename(name),
        Request::Echo(echo) => return Ok(Some(ServerMessage::Echo { echo: &echo }.to_json())),
    }
    Ok(None)
}

/// Changes a light, and takes note of that.
fn change(light: usize, wanted: &LightChange, lights: &Lights, guest: &Participant) -> LightState {
    let state = lights.change(light, wanted.change, wanted.transition, guest.name());
    guest.did(Action::of(wanted.change, &lights.list()[light], &state));
    state
}

/// Says goodbye, and waits for the page's.
async fn close(mut socket: WebSocket, code: u16, reason: &'static str) {
    let reason = reason.into();
    let frame = Frame::Close(Some(CloseFrame { code, reason }));
    let _ = socket.send(frame).await;
    while let Some(Ok(_)) = socket.next().await {}
}

async fn until(rests: Option<Instant>) {
    if let Some(rests) = rests {
        sleep_until(rests).await;
    }
}

fn wait(quiet: &mut Pin<&mut Sleep>, time: Duration) {
    quiet.as_mut().reset(Instant::now() + time);
}

/// What a broken frame deserves: RFC 6455, 7.4.1.
fn breach(error: axum::Error) -> End {
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

    /// How many frames are read in this time, of a page that sends as fast as it can.
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

    async fn open_page(address: SocketAddr) -> WebSocketStream<TcpStream> {
        let stream = TcpStream::connect(address).await.unwrap();
        let (page, _) = client_async(format!("ws://{address}/ws"), stream)
            .await
            .unwrap();
        page
    }

    /// Reads until there are so many open pages.
    async fn read_until(page: &mut WebSocketStream<TcpStream>, pages: usize) {
        let news = ServerMessage::Pages { pages }.to_json();
        while page.next().await.unwrap().unwrap() != tungstenite::Message::text(news.as_str()) {}
    }

    #[tokio::test]
    async fn a_page_that_answers_stays_and_one_that_does_not_is_closed_after_30_seconds() {
        let hub = Hub::of(Lights::led());
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
        tokio::spawn(crate::web::serve(
            listener, hub, metrics, config, None, None, stop,
        ));

        // To read is to answer; the other is as one whose Wi-Fi is gone.
        let mut there = open_page(address).await;
        let _gone = open_page(address).await;
        read_until(&mut there, 2).await;
        // From here on time passes as soon as there is nothing else to do.
        tokio::time::pause();
        let start = Instant::now();
        read_until(&mut there, 1).await;
        let after = start.elapsed().as_millis();
        assert!((29_900..30_100).contains(&after), "{after} ms");
        let longer = timeout(10 * SILENCE, there.next()).await;
        assert!(
            matches!(longer, Ok(Some(Ok(tungstenite::Message::Ping(_))))),
            "{longer:?}"
        );
    }
}
