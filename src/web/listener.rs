//! Takes connections in, and bounds what each may cost: how many there are, from one address and in
//! all, how long a request may take, how large its headers may be, how long nothing may happen.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, getrlimit};
use tokio::io::{self, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::platform::supervisor::Supervisor;
use crate::platform::tls::Tls;
use crate::web::limiter::{ConnectionLimiter, Permit};
use crate::web::live::shared_stream::SharedStream;
use crate::web::response::error;

/// Time for the headers of a request, and as much for the rest of it. As the first is counted from
/// the end of the request before, it is also how long a connection may be silent.
const REQUEST: Duration = Duration::from_secs(10);
/// Size of a request's line and headers, in bytes.
const HEADERS: usize = 16 * 1024;
/// Life of a connection that is no page, lest one that takes no answers stays for ever.
const LIFE: Duration = Duration::from_secs(60);
/// Time to end a request when the service stops: pages and pins need the rest of what a stop takes.
const GRACE: Duration = Duration::from_millis(500);
/// Time in which what is still sent to a closed connection is read.
const LINGER: Duration = Duration::from_secs(1);
/// Pause after a connection could not be accepted.
const RETRY: Duration = Duration::from_millis(250);

/// Connections in all beside those of pages.
const NOT_PAGES: usize = 256;
/// Connections from one address beside those of pages. A browser opens six.
const NOT_PAGES_OF_ONE: usize = 32;
/// Files that the service itself has open, at most: pins, levels, the runtime.
const OWN_FILES: usize = 64;
/// Connections that there are where hardly any files may be open.
const FEWEST: usize = 16;

/// Who is at the other end: a part of each request, and as long as it is kept the connection counts.
#[derive(Clone)]
pub struct Peer(Arc<Permit>);

impl Peer {
    /// Its address.
    pub fn address(&self) -> IpAddr {
        self.0.address
    }
}

/// The connections that so many pages need, with as much room for others as the limit of open files
/// leaves. One address never gets all of it.
pub fn limiter(max_pages: usize, max_pages_per_address: usize) -> Arc<ConnectionLimiter> {
    let files = getrlimit(Resource::Nofile).current;
    let files = files.map_or(usize::MAX, |files| {
        usize::try_from(files).unwrap_or(usize::MAX)
    });
    let (most, most_of_one) = room(max_pages, max_pages_per_address, files);
    ConnectionLimiter::new(most, most_of_one)
}

fn room(max_pages: usize, max_pages_per_address: usize, files: usize) -> (usize, usize) {
    let most = max_pages
        .saturating_add(NOT_PAGES)
        .min(files.saturating_sub(OWN_FILES).max(FEWEST));
    let most_of_one = max_pages_per_address
        .saturating_add(NOT_PAGES_OF_ONE)
        .min(most - most / 8);
    (most, most_of_one)
}

/// TLS, and what is said to who does not speak it.
#[derive(Clone)]
pub struct Secured {
    /// The certificate.
    pub tls: Arc<Tls>,
    /// Answers without TLS.
    pub instead: Router,
}

/// Serves until `stop` is cancelled and every connection is closed, pages too.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    secured: Option<Secured>,
    limiter: Arc<ConnectionLimiter>,
    supervisor: &Supervisor,
    stop: CancellationToken,
) {
    tokio::select! {
        () = accept(&listener, &router, &secured, &limiter, supervisor, &stop) => {}
        () = stop.cancelled() => {}
    }
    drop(listener);
    limiter.wait_until_empty().await;
}

async fn accept(
    listener: &TcpListener,
    router: &Router,
    secured: &Option<Secured>,
    limiter: &Arc<ConnectionLimiter>,
    supervisor: &Supervisor,
    stop: &CancellationToken,
) {
    let mut failed = false;
    loop {
        // Whoever comes while it is full waits in the kernel's queue for one to leave.
        limiter.wait_for_capacity().await;
        match listener.accept().await {
            Ok((stream, from)) => {
                failed = false;
                // One of IPv4 looks otherwise on a socket of both.
                match limiter.try_acquire(from.ip().to_canonical()) {
                    Ok(place) => {
                        let peer = Peer(Arc::new(place));
                        let (router, stop) = (router.clone(), stop.clone());
                        let (secured, stream) = (secured.clone(), prepared(stream));
                        let name = format!("connection of {}", peer.address());
                        supervisor.spawn_short(name, async move {
                            match secured {
                                None => talk(SharedStream::new(stream), peer, router, stop).await,
                                Some(secured) => secured.talk(stream, peer, router, stop).await,
                            }
                        });
                    }
                    Err(_) => debug!("too many connections from {}", from.ip()),
                }
            }
            // Out of files, or of memory: it passes, and until then nobody can come in.
            Err(error) => {
                if !failed {
                    warn!("cannot accept connections, trying on: {error}");
                }
                failed = true;
                sleep(RETRY).await;
            }
        }
    }
}

impl Secured {
    /// Shakes hands in the time of a request's headers, and then talks.
    async fn talk(self, stream: TcpStream, peer: Peer, router: Router, stop: CancellationToken) {
        let handshake = timeout(REQUEST, self.tls.accept(stream));
        match stop.run_until_cancelled(handshake).await {
            Some(Ok(Ok(Ok(stream)))) => talk(SharedStream::new(stream), peer, router, stop).await,
            Some(Ok(Ok(Err(plain)))) => {
                talk(SharedStream::new(plain), peer, self.instead, stop).await
            }
            Some(Ok(Err(error))) => debug!("no TLS with {}: {error}", peer.address()),
            Some(Err(_)) | None => {}
        }
    }
}

fn prepared(stream: TcpStream) -> TcpStream {
    // With Nagle's algorithm on, a page that also sends would wait 40 ms for others' changes.
    if let Err(error) = stream.set_nodelay(true) {
        debug!("cannot switch off Nagle's algorithm: {error}");
    }
    stream
}

/// Speaks HTTP/1 until the connection ends, or becomes a page.
async fn talk(line: SharedStream, peer: Peer, router: Router, stop: CancellationToken) {
    let io = TokioIo::new(line.clone());
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: axum::http::Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        request.extensions_mut().insert(line.clone());
        router.call(request)
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST)
        .max_buf_size(HEADERS)
        .serve_connection(io, service)
        .with_upgrades();

    let patience = tokio::select! {
        ended = &mut connection => {
            let Some(parts) = connection.into_parts() else {
                return;
            };
            let mut io = parts.io.into_inner();
            let last_words = async {
                // hyper closes without a word.
                if ended.is_err_and(|error| error.is_timeout()) && !parts.read_buf.is_empty() {
                    io.write_all(&late()).await?;
                }
                linger(io).await
            };
            // A stop waits for none of this.
            let _ = timeout(LINGER, stop.run_until_cancelled(last_words)).await;
            return;
        }
        () = sleep(LIFE) => REQUEST,
        () = stop.cancelled() => GRACE,
    };
    // At once if it is between two requests.
    Pin::new(&mut connection).graceful_shutdown();
    let _ = timeout(patience, connection).await;
}

/// The answer to headers that came too slowly.
fn late() -> Vec<u8> {
    let body = format!(r#"{{"error":"{}"}}"#, too_slow("the headers"));
    format!(
        "HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-type: application/json\r\n\
         x-content-type-options: nosniff\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn too_slow(what: &str) -> String {
    format!(
        "{what} of a request must come within {} s",
        REQUEST.as_secs()
    )
}

/// Ends what the service says, and reads what the other end still does: closing a socket that has
/// unread bytes resets it, and the last answer may be lost.
async fn linger(mut io: SharedStream) -> io::Result<()> {
    io.shutdown().await?;
    io::copy(&mut io, &mut io::sink()).await?;
    Ok(())
}

/// Answers a request whose body does not come in time.
pub async fn in_time(request: Request, next: Next) -> Response {
    match timeout(REQUEST, next.run(request)).await {
        Ok(answer) => answer,
        Err(_) => error(StatusCode::REQUEST_TIMEOUT, too_slow("the body")),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use axum::middleware;
    use axum::routing::{get, put};
    use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, DuplexStream, duplex};
    use tokio::time::Instant;

    use super::*;

    const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

    /// The other end of a connection that is served, with so many bytes on the way at most.
    fn connect(stop: &CancellationToken, on_the_way: usize) -> DuplexStream {
        connect_as(watched_place().0, stop, on_the_way)
    }

    /// A place, and what ends when it is free again.
    fn watched_place() -> (Permit, tokio::task::JoinHandle<()>) {
        let limiter = ConnectionLimiter::new(1, 1);
        let place = limiter.try_acquire(Ipv4Addr::LOCALHOST.into()).unwrap();
        (
            place,
            tokio::spawn(async move { limiter.wait_until_empty().await }),
        )
    }

    fn connect_as(place: Permit, stop: &CancellationToken, on_the_way: usize) -> DuplexStream {
        let router = Router::new()
            .route("/", get(async || "here"))
            .route("/", put(async |_: String| "put"))
            .route("/slow", get(async || sleep(GRACE / 2).await))
            .layer(middleware::from_fn(in_time));
        let (ours, theirs) = duplex(on_the_way);
        tokio::spawn(talk(
            SharedStream::new(theirs),
            Peer(Arc::new(place)),
            router,
            stop.clone(),
        ));
        ours
    }

    /// All that is sent until the end, and when that came, in whole seconds.
    async fn until_closed(mut end: impl AsyncRead + Unpin) -> (String, u64) {
        let start = Instant::now();
        let mut text = String::new();
        end.read_to_string(&mut text).await.unwrap();
        (text, start.elapsed().as_secs())
    }

    /// Sends a byte each second, for as long as they are taken.
    async fn trickle(mut end: impl AsyncWrite + Unpin, bytes: &[u8]) {
        for byte in bytes {
            if end.write_all(&[*byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_secs(1)).await;
        }
        std::future::pending().await
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_that_takes_longer_than_ten_seconds_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let [cert, key] = ["cert", "key"].map(|name| folder.path().join(name));
        let made = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let tls = Arc::new(Tls::load(cert, key).unwrap());
        for first in [&[][..], &[0x16], &[0x16, 3, 1]] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let mut ours = TcpStream::connect(address).await.unwrap();
            let (theirs, _) = listener.accept().await.unwrap();
            ours.write_all(first).await.unwrap();
            let instead = Router::new();
            let secured = Secured {
                tls: tls.clone(),
                instead,
            };
            let (place, gone) = watched_place();
            let peer = Peer(Arc::new(place));
            let start = Instant::now();
            let stop = CancellationToken::new();
            secured.talk(theirs, peer, Router::new(), stop).await;
            assert_eq!(start.elapsed(), REQUEST, "{first:?}");
            gone.await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_is_closed_after_ten_seconds_without_a_word() {
        let end = connect(&CancellationToken::new(), 1024);
        assert_eq!(until_closed(end).await, (String::new(), 10));
    }

    #[tokio::test(start_paused = true)]
    async fn headers_that_trickle_in_are_answered_with_408_after_ten_seconds() {
        let (reads, writes) = io::split(connect(&CancellationToken::new(), 1024));
        let (answer, seconds) = tokio::select! {
            closed = until_closed(reads) => closed,
            () = trickle(writes, GET) => unreachable!(),
        };
        assert_eq!(seconds, 10);
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(
            answer.ends_with("{\"error\":\"the headers of a request must come within 10 s\"}"),
            "{answer}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_in_is_answered_with_408_after_ten_seconds() {
        let (reads, mut writes) = io::split(connect(&CancellationToken::new(), 1024));
        let headers = b"PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n";
        writes.write_all(headers).await.unwrap();
        let (answer, seconds) = tokio::select! {
            closed = until_closed(reads) => closed,
            () = trickle(writes, &[b' '; 100]) => unreachable!(),
        };
        assert_eq!(seconds, 10);
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(
            answer.ends_with("{\"error\":\"the body of a request must come within 10 s\"}"),
            "{answer}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_asks_no_more_is_closed_after_ten_seconds() {
        let mut end = connect(&CancellationToken::new(), 1024);
        end.write_all(GET).await.unwrap();
        let (answer, seconds) = until_closed(end).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(
            answer.ends_with("here"),
            "closed without another word: {answer}"
        );
        assert_eq!(seconds, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn no_connection_lives_longer_than_its_life_and_the_time_of_a_request() {
        // One that takes no answers.
        let mut end = connect(&CancellationToken::new(), 1024);
        let start = Instant::now();
        let asking = async { while end.write_all(GET).await.is_ok() {} };
        timeout(2 * LIFE, asking).await.unwrap();
        assert_eq!(start.elapsed(), LIFE + REQUEST);

        // One that asks again and again.
        let (reads, mut writes) = io::split(connect(&CancellationToken::new(), 1024));
        let asking = async {
            while writes.write_all(GET).await.is_ok() {
                sleep(Duration::from_secs(7)).await;
            }
            std::future::pending().await
        };
        let (answers, seconds) = tokio::select! {
            closed = until_closed(reads) => closed,
            () = asking => unreachable!(),
        };
        assert_eq!(seconds, LIFE.as_secs());
        assert_eq!(answers.matches("here").count(), 9);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_still_sent_after_a_refusal_is_taken_so_that_the_answer_arrives() {
        let mut end = connect(&CancellationToken::new(), 1024);
        end.write_all(&[b'x'; 100_000]).await.unwrap();
        end.shutdown().await.unwrap();
        let (answer, _) = until_closed(end).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_lets_a_request_end_and_waits_for_no_other() {
        let stop = CancellationToken::new();
        let mut under_way = connect(&stop, 1024);
        under_way
            .write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        let mut half_sent = connect(&stop, 1024);
        half_sent.write_all(&GET[..9]).await.unwrap();
        let silent = connect(&stop, 1024);
        let (place, gone) = watched_place();
        let mut lingers = connect_as(place, &stop, 1024);
        lingers.write_all(b"no HTTP\r\n\r\n").await.unwrap();
        sleep(GRACE / 4).await;
        assert!(!gone.is_finished());
        stop.cancel();
        let start = Instant::now();
        assert_eq!(until_closed(silent).await.0, "");
        gone.await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert!(until_closed(under_way).await.0.starts_with("HTTP/1.1 200 "));
        assert!(start.elapsed() < GRACE);
        until_closed(half_sent).await;
        assert!(start.elapsed() <= GRACE + Duration::from_millis(1));
    }

    #[test]
    fn there_is_room_for_every_page_unless_files_are_few_and_never_all_for_one_address() {
        assert_eq!(room(1024, 64, usize::MAX), (1280, 96));
        assert_eq!(room(1024, 1024, 1 << 19), (1280, 1056));
        assert_eq!(room(1024, 1024, 1024), (960, 840));
        assert_eq!(room(1024, 64, 40), (16, 14));
        assert_eq!(room(usize::MAX, usize::MAX, 1064), (1000, 875));
    }
}
