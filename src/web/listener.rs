//! Accepts connections and bounds what each may cost: how many there are in total and per address, how
//! long a request may take, how large its headers may be, and how long a connection may be silent.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::header::CONNECTION;
use axum::http::{StatusCode, Version};
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rustix::net::sockopt;
use rustix::process::{Resource, getrlimit};
use tokio::io::{self, AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::platform::supervisor::Supervisor;
use crate::platform::tls::{Tls, begins_with_handshake};
use crate::web::allowance::{Allowances, Meter, Metered, Traffic};
use crate::web::limiter::{ConnectionLimiter, Permit};
use crate::web::live::fanout::STALL;
use crate::web::live::shared_stream::SharedStream;
use crate::web::request_clock::{Clocked, MAX_SILENCE, RequestClock};
use crate::web::response::error;

/// Time for a TLS handshake, and for the body of a request; the [`RequestClock`] has the same for its headers.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum size of a request's line and headers, in bytes.
const MAX_HEADERS: usize = 16 * 1024;
/// Lifetime of a plain HTTP connection, which then closes with the next response.
const MAX_LIFETIME: Duration = Duration::from_secs(60);
/// Time to finish a request when the service stops: clients and pins need the rest of the stop's time.
const STOP_GRACE: Duration = Duration::from_millis(500);
/// Time in which the service reads what still arrives on a connection that it has closed.
const LINGER: Duration = Duration::from_secs(1);
/// Bytes that the kernel keeps of what a client has not taken yet. It doubles this, as it counts what it needs to
/// keep them, too. By itself it would keep megabytes.
const SEND_BUFFER: usize = 16 * 1024;
/// The same for what the service has not read yet: enough for a request with its headers.
const RECEIVE_BUFFER: usize = 32 * 1024;
/// Pause after a connection could not be accepted.
const ACCEPT_RETRY: Duration = Duration::from_millis(250);

/// Connections in total beyond those of clients.
const EXTRA_CONNECTIONS: usize = 256;
/// Connections from one address beyond those of its clients. A browser opens six.
const EXTRA_PER_ADDRESS: usize = 32;
/// Files that the service itself may have open: pins, levels, the runtime.
const OWN_FILES: usize = 64;
/// Connections that are allowed however few files may be open.
const MIN_CONNECTIONS: usize = 16;

/// The remote end of a connection: an extension of each request. The connection counts until the last
/// clone is dropped.
#[derive(Clone)]
pub struct Peer {
    permit: Arc<Permit>,
    meter: Arc<Meter>,
}

impl Peer {
    fn new(permit: Permit, meter: Arc<Meter>) -> Peer {
        let permit = Arc::new(permit);
        Peer { permit, meter }
    }

    /// The remote address.
    pub fn address(&self) -> IpAddr {
        self.permit.address
    }

    /// Counts what is read from the connection as this traffic from now on.
    pub fn count_as(&self, traffic: Traffic) {
        self.meter.count_as(traffic);
    }

    /// Waits until a session of Socket.IO may be opened from the address.
    pub async fn open_session(&self) {
        self.meter.open_session().await;
    }
}

/// Limits connections to what this many clients need, plus as many others as the limit of open files
/// leaves. One address never gets all of them.
pub fn limiter(max_clients: usize, max_clients_per_address: usize) -> Arc<ConnectionLimiter> {
    let files = getrlimit(Resource::Nofile).current;
    let files = files.map_or(usize::MAX, |files| {
        usize::try_from(files).unwrap_or(usize::MAX)
    });
    let (max, max_per_address) = limits(max_clients, max_clients_per_address, files);
    ConnectionLimiter::new(max, max_per_address)
}

/// The limits of connections in total and per address, where `files` may be open.
fn limits(max_clients: usize, max_clients_per_address: usize, files: usize) -> (usize, usize) {
    let max = max_clients
        .saturating_add(EXTRA_CONNECTIONS)
        .min(files.saturating_sub(OWN_FILES).max(MIN_CONNECTIONS));
    let max_per_address = max_clients_per_address
        .saturating_add(EXTRA_PER_ADDRESS)
        .min(max - max / 8);
    (max, max_per_address)
}

/// TLS, and what answers a client that does not speak it.
#[derive(Clone)]
pub struct Secured {
    /// The certificate.
    pub tls: Arc<Tls>,
    /// Answers requests that come without TLS.
    pub plain: Router,
}

/// Serves until `stop` is cancelled and every connection is closed, those of clients too.
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
    let mut allowances = Allowances::default();
    loop {
        // At the limit, new connections wait in the kernel's queue until one is closed.
        limiter.wait_for_capacity().await;
        match listener.accept().await {
            Ok((stream, from)) => {
                failed = false;
                // A socket that serves both IPv4 and IPv6 reports IPv4 addresses as mapped ones.
                match limiter.try_acquire(from.ip().to_canonical()) {
                    Ok(permit) => {
                        let meter = allowances.meter(permit.address);
                        let peer = Peer::new(permit, meter);
                        let (router, stop) = (router.clone(), stop.clone());
                        let secured = secured.clone();
                        if let Err(error) = configure(&stream) {
                            debug!("cannot configure the connection: {error}");
                        }
                        let name = format!("connection from {}", peer.address());
                        supervisor.spawn_short(name, async move {
                            match secured {
                                None => {
                                    serve_connection(stream, peer, router, stop).await;
                                }
                                Some(secured) => secured.serve(stream, peer, router, stop).await,
                            }
                        });
                    }
                    Err(_) => debug!("too many connections from {}", from.ip()),
                }
            }
            // No files or no memory are left: that passes, and until then nobody can connect.
            Err(error) => {
                if !failed {
                    warn!("cannot accept connections, will keep trying: {error}");
                }
                failed = true;
                sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

impl Secured {
    /// Completes the TLS handshake in the time that a request's headers have, then serves HTTP.
    async fn serve(self, stream: TcpStream, peer: Peer, router: Router, stop: CancellationToken) {
        let handshake = async {
            Ok(match begins_with_handshake(&stream).await? {
                true => Ok(self
                    .tls
                    .accept(Metered::new(stream, peer.meter.clone()))
                    .await?),
                false => Err(stream),
            })
        };
        let handshake = timeout(REQUEST_TIMEOUT, handshake);
        match stop.run_until_cancelled(handshake).await {
            // It is metered below TLS.
            Some(Ok(Ok(Ok(stream)))) => {
                serve_shared(SharedStream::new(stream), peer, router, stop).await;
            }
            Some(Ok(Ok(Err(plain)))) => serve_connection(plain, peer, self.plain, stop).await,
            Some(Ok(Err(error))) => {
                let error: io::Error = error;
                debug!("TLS handshake with {} failed: {error}", peer.address());
            }
            Some(Err(_)) | None => {}
        }
    }
}

/// Sets what the kernel does with an accepted connection.
fn configure(stream: &TcpStream) -> io::Result<()> {
    // With Nagle's algorithm, a client that also sends would wait 40 ms for the changes of others.
    stream.set_nodelay(true)?;
    sockopt::set_socket_send_buffer_size(stream, SEND_BUFFER)?;
    sockopt::set_socket_recv_buffer_size(stream, RECEIVE_BUFFER)?;
    let timeout = u32::try_from(STALL.as_millis()).unwrap_or(u32::MAX);
    sockopt::set_tcp_user_timeout(stream, timeout)?;
    Ok(())
}

/// Serves HTTP/1, reading no more than the connection's allowance.
async fn serve_connection(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    peer: Peer,
    router: Router,
    stop: CancellationToken,
) {
    let stream = SharedStream::new(Metered::new(stream, peer.meter.clone()));
    serve_shared(stream, peer, router, stop).await;
}

/// Serves HTTP/1 until the connection ends, or is upgraded to a WebSocket.
async fn serve_shared(stream: SharedStream, peer: Peer, router: Router, stop: CancellationToken) {
    let clock = RequestClock::new();
    let io = TokioIo::new(Clocked::new(stream.clone(), clock.clone()));
    let router = TowerToHyperService::new(router);
    let is_old = Arc::new(AtomicBool::new(false));
    let (clock_of_requests, closes) = (clock.clone(), is_old.clone());
    let service = service_fn(move |mut request: axum::http::Request<Incoming>| {
        let (clock, closes, peer) = (clock_of_requests.clone(), closes.clone(), peer.clone());
        clock.begin();
        let is_last = asks_to_close(&request);
        request.extensions_mut().insert(peer.clone());
        request.extensions_mut().insert(stream.clone());
        let response = router.call(request);
        async move {
            let mut response = response.await?;
            // A body that has not been read to its end is no beginning of a request.
            let is_unread = [StatusCode::REQUEST_TIMEOUT, StatusCode::PAYLOAD_TOO_LARGE]
                .contains(&response.status());
            let is_last = is_last || is_unread || closes.load(Ordering::Relaxed);
            clock.end(&mut response, peer.permit.is_scarce(), is_last);
            Ok::<_, Infallible>(response)
        }
    });
    let mut connection = http1::Builder::new()
        // The clock does that.
        .header_read_timeout(None)
        .max_buf_size(MAX_HEADERS)
        .serve_connection(io, service)
        .with_upgrades();

    // Between two requests it is not closed before the client can know: by the next response, or by the
    // time that the last one announced.
    let lifetime = async {
        sleep(MAX_LIFETIME).await;
        is_old.store(true, Ordering::Relaxed);
        sleep(MAX_SILENCE).await;
    };
    let is_late = tokio::select! {
        _ = &mut connection => Some(false),
        () = clock.expired() => Some(true),
        () = lifetime => None,
        () = stop.cancelled() => None,
    };
    if let Some(is_late) = is_late {
        if let Some(parts) = connection.into_parts() {
            let io = parts.io.into_inner().into_inner();
            close(io, is_late && !parts.read_buf.is_empty(), &stop).await;
        }
        return;
    }
    let time_left = match stop.is_cancelled() {
        true => STOP_GRACE,
        false => REQUEST_TIMEOUT,
    };
    // Between two requests this closes the connection at once.
    Pin::new(&mut connection).graceful_shutdown();
    let _ = timeout(time_left, connection).await;
}

/// Whether the client asks for no further response on the connection: RFC 9112, 9.3.
fn asks_to_close<B>(request: &axum::http::Request<B>) -> bool {
    let values = request.headers().get_all(CONNECTION).iter();
    let mut options = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let mut has = |name: &str| options.any(|option| option.trim().eq_ignore_ascii_case(name));
    match request.version() {
        Version::HTTP_10 => !has("keep-alive"),
        _ => has("close"),
    }
}

/// Closes a connection; before that, tells the client if the headers of a request have not come in time.
async fn close(mut io: SharedStream, is_late: bool, stop: &CancellationToken) {
    let close = async {
        // hyper closes without a response.
        if is_late {
            io.write_all(&headers_timeout_response()).await?;
        }
        linger(io).await
    };
    // A stop waits for none of this.
    let _ = timeout(LINGER, stop.run_until_cancelled(close)).await;
}

/// The response to headers that do not arrive in time.
fn headers_timeout_response() -> Vec<u8> {
    let body = format!(r#"{{"error":"{}"}}"#, timeout_message("the headers"));
    format!(
        "HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-type: application/json\r\n\
         x-content-type-options: nosniff\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn timeout_message(part: &str) -> String {
    format!(
        "{part} of a request must come within {} s",
        REQUEST_TIMEOUT.as_secs()
    )
}

/// Shuts the sending side down, then reads until the other end does so, too: closing a socket that has
/// unread bytes resets the connection, and the last response may be lost.
async fn linger(mut io: SharedStream) -> io::Result<()> {
    io.shutdown().await?;
    io::copy(&mut io, &mut io::sink()).await?;
    Ok(())
}

/// Responds with 408 to a request whose body does not arrive in time.
pub async fn limit_time(request: Request, next: Next) -> Response {
    match timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => error(StatusCode::REQUEST_TIMEOUT, timeout_message("the body")),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use axum::middleware;
    use axum::routing::{get, put};
    use tokio::io::{AsyncReadExt, DuplexStream, duplex};
    use tokio::time::Instant;

    use super::*;

    const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

    /// The remote end of a connection that is served, which buffers this many bytes.
    fn connect(stop: &CancellationToken, buffer: usize) -> DuplexStream {
        connect_with(watched_permit().0, stop, buffer)
    }

    fn peer(permit: Permit) -> Peer {
        let meter = Allowances::default().meter(permit.address);
        Peer::new(permit, meter)
    }

    /// A permit, and a task that ends once the permit is dropped.
    fn watched_permit() -> (Permit, tokio::task::JoinHandle<()>) {
        let limiter = ConnectionLimiter::new(1, 1);
        let permit = limiter.try_acquire(Ipv4Addr::LOCALHOST.into()).unwrap();
        (
            permit,
            tokio::spawn(async move { limiter.wait_until_empty().await }),
        )
    }

    fn connect_with(permit: Permit, stop: &CancellationToken, buffer: usize) -> DuplexStream {
        let router = Router::new()
            .route("/", get(async || "here"))
            .route("/", put(async |_: String| "put"))
            .route("/slow", get(async || sleep(STOP_GRACE / 2).await))
            .layer(middleware::from_fn(limit_time));
        let (ours, theirs) = duplex(buffer);
        tokio::spawn(serve_connection(theirs, peer(permit), router, stop.clone()));
        ours
    }

    /// Everything that arrives until the connection is closed, and the time until then, in whole seconds.
    async fn until_closed(mut end: impl AsyncRead + Unpin) -> (String, u64) {
        let start = Instant::now();
        let mut text = String::new();
        end.read_to_string(&mut text).await.unwrap();
        (text, start.elapsed().as_secs())
    }

    /// Sends a byte each second, until the connection is closed.
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
            let secured = Secured {
                tls: tls.clone(),
                plain: Router::new(),
            };
            let (permit, closed) = watched_permit();
            let peer = peer(permit);
            let start = Instant::now();
            let stop = CancellationToken::new();
            secured.serve(theirs, peer, Router::new(), stop).await;
            assert_eq!(start.elapsed(), REQUEST_TIMEOUT, "{first:?}");
            closed.await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_is_closed_after_ten_seconds_without_a_response() {
        let end = connect(&CancellationToken::new(), 1024);
        assert_eq!(until_closed(end).await, (String::new(), 10));
    }

    #[tokio::test(start_paused = true)]
    async fn headers_that_trickle_in_are_answered_with_408_after_ten_seconds() {
        let (reads, writes) = io::split(connect(&CancellationToken::new(), 1024));
        let (response, seconds) = tokio::select! {
            closed = until_closed(reads) => closed,
            () = trickle(writes, GET) => unreachable!(),
        };
        assert_eq!(seconds, 10);
        assert!(response.starts_with("HTTP/1.1 408 "), "{response}");
        assert!(
            response.ends_with("{\"error\":\"the headers of a request must come within 10 s\"}"),
            "{response}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_in_is_answered_with_408_after_ten_seconds() {
        let (reads, mut writes) = io::split(connect(&CancellationToken::new(), 1024));
        let headers = b"PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n";
        writes.write_all(headers).await.unwrap();
        let (response, seconds) = tokio::select! {
            closed = until_closed(reads) => closed,
            () = trickle(writes, &[b' '; 100]) => unreachable!(),
        };
        assert_eq!(seconds, 10);
        assert!(response.starts_with("HTTP/1.1 408 "), "{response}");
        assert!(
            response.ends_with("{\"error\":\"the body of a request must come within 10 s\"}"),
            "{response}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_closed_after_ten_seconds() {
        let mut end = connect(&CancellationToken::new(), 1024);
        end.write_all(GET).await.unwrap();
        let (response, seconds) = until_closed(end).await;
        assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
        assert!(
            response.ends_with("here"),
            "closed without a further response: {response}"
        );
        assert_eq!(seconds, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn no_connection_lives_longer_than_its_life_and_the_time_of_a_request() {
        // A client that reads no responses.
        let mut end = connect(&CancellationToken::new(), 1024);
        let start = Instant::now();
        let asking = async { while end.write_all(GET).await.is_ok() {} };
        timeout(2 * MAX_LIFETIME, asking).await.unwrap();
        assert!(start.elapsed() <= MAX_LIFETIME + REQUEST_TIMEOUT);

        // A client that sends one request after another.
        let (reads, mut writes) = io::split(connect(&CancellationToken::new(), 1024));
        let asking = async {
            while writes.write_all(GET).await.is_ok() {
                sleep(Duration::from_secs(7)).await;
            }
            std::future::pending().await
        };
        let (responses, seconds) = tokio::select! {
            closed = until_closed(reads) => closed,
            () = asking => unreachable!(),
        };
        // The last response says so.
        assert_eq!(seconds, 63);
        assert_eq!(responses.matches("here").count(), 10);
        assert_eq!(responses.matches("connection: close").count(), 1);
        assert!(responses.rfind("connection: close") > responses.rfind("connection: keep-alive"));
    }

    #[tokio::test(start_paused = true)]
    async fn no_connection_is_closed_under_a_request_whatever_the_interval() {
        let stop = CancellationToken::new();
        for interval in [1, 5, 10, 15, 30, 60, 61, 75, 89] {
            let limiter = ConnectionLimiter::new(10, 10);
            let connect = || {
                let permit = limiter.try_acquire(Ipv4Addr::LOCALHOST.into()).unwrap();
                connect_with(permit, &stop, 1024)
            };
            let mut end = connect();
            for number in 0..100 {
                end.write_all(GET).await.unwrap();
                let mut response = Vec::new();
                while !response.ends_with(b"here") {
                    let byte = end.read_u8().await;
                    response.push(
                        byte.unwrap_or_else(|error| panic!("{interval} s, {number}: {error}")),
                    );
                }
                let response = String::from_utf8(response).unwrap();
                sleep(Duration::from_secs(interval)).await;
                if response.contains("connection: close") {
                    end = connect();
                } else {
                    assert!(response.contains("keep-alive: timeout=89"), "{response}");
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_response_of_a_connection_says_so_and_no_other() {
        let limiter = ConnectionLimiter::new(100, 100);
        for (request, is_last) in [
            (
                "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
                true,
            ),
            (
                "GET / HTTP/1.1\r\nhost: a\r\nconnection: te, Close\r\n\r\n",
                true,
            ),
            ("GET / HTTP/1.1\r\nhost: a\r\nconnection: te\r\n\r\n", false),
            ("GET / HTTP/1.0\r\nhost: a\r\n\r\n", true),
            (
                "GET / HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\n",
                false,
            ),
        ] {
            let permit = limiter.try_acquire(Ipv4Addr::LOCALHOST.into()).unwrap();
            let mut end = connect_with(permit, &CancellationToken::new(), 1024);
            end.write_all(request.as_bytes()).await.unwrap();
            let (response, seconds) = until_closed(end).await;
            let closes = response.contains("connection: close\r\n");
            let keeps = response.contains("keep-alive: timeout=89\r\n");
            assert_eq!(
                (closes, keeps),
                (is_last, !is_last),
                "{request}: {response}"
            );
            assert_eq!(seconds, if is_last { 0 } else { 91 }, "{request}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn headers_that_begin_after_a_silence_have_ten_seconds() {
        let limiter = ConnectionLimiter::new(10, 10);
        let permit = limiter.try_acquire(Ipv4Addr::LOCALHOST.into()).unwrap();
        let mut end = connect_with(permit, &CancellationToken::new(), 1024);
        end.write_all(GET).await.unwrap();
        sleep(Duration::from_secs(50)).await;
        end.write_all(&GET[..9]).await.unwrap();
        let (responses, seconds) = until_closed(end).await;
        assert!(responses.contains("HTTP/1.1 408 "), "{responses}");
        assert_eq!(seconds, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_after_a_refusal_are_read_so_that_the_response_is_not_lost() {
        let mut end = connect(&CancellationToken::new(), 1024);
        end.write_all(&[b'x'; 100_000]).await.unwrap();
        end.shutdown().await.unwrap();
        let (response, _) = until_closed(end).await;
        assert!(response.starts_with("HTTP/1.1 431 "), "{response}");
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
        let (permit, closed) = watched_permit();
        let mut lingers = connect_with(permit, &stop, 1024);
        lingers.write_all(b"no HTTP\r\n\r\n").await.unwrap();
        sleep(STOP_GRACE / 4).await;
        assert!(!closed.is_finished());
        stop.cancel();
        let start = Instant::now();
        assert_eq!(until_closed(silent).await.0, "");
        closed.await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert!(until_closed(under_way).await.0.starts_with("HTTP/1.1 200 "));
        assert!(start.elapsed() < STOP_GRACE);
        until_closed(half_sent).await;
        assert!(start.elapsed() <= STOP_GRACE + Duration::from_millis(1));
    }

    #[test]
    fn every_client_has_a_connection_unless_files_are_few_and_one_address_never_has_all() {
        assert_eq!(limits(1024, 64, usize::MAX), (1280, 96));
        assert_eq!(limits(1024, 1024, 1 << 19), (1280, 1056));
        assert_eq!(limits(1024, 1024, 1024), (960, 840));
        assert_eq!(limits(1024, 64, 40), (16, 14));
        assert_eq!(limits(usize::MAX, usize::MAX, 1064), (1000, 875));
    }
}
