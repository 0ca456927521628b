//! How long a connection may wait for a request. The time is announced, and longer than the usual intervals
//! at which programs ask, so that no connection is closed under a request that is on its way.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::header::CONNECTION;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// Time for the headers of a request, from its first byte; of the first request, from the connection.
const HEADERS: Duration = Duration::from_secs(10);
/// The silence that is announced as allowed between two requests.
const SILENCE: Duration = Duration::from_secs(89);
/// The same where connections are scarce.
const SHORT_SILENCE: Duration = Duration::from_secs(8);
/// What is allowed beyond that, for requests that are on their way.
const GRACE: Duration = Duration::from_secs(2);
/// The longest time for which a connection is open without a request.
pub const MAX_SILENCE: Duration = SILENCE.saturating_add(GRACE);

/// The clock of a connection.
pub struct RequestClock {
    phase: Mutex<RequestPhase>,
    /// Wakes [`RequestClock::expired`] when the time is up earlier than it knows.
    is_earlier: Notify,
}

enum RequestPhase {
    /// Headers must have come by then.
    Headers(Instant),
    /// A request is being answered.
    Busy,
    /// Silent for so long, from the last byte of the response on.
    Silent(Duration, Instant),
}

impl RequestClock {
    /// The clock of a new connection.
    pub fn new() -> Arc<RequestClock> {
        Arc::new(RequestClock {
            phase: Mutex::new(RequestPhase::Headers(Instant::now() + HEADERS)),
            is_earlier: Notify::new(),
        })
    }

    /// The headers of a request have come.
    pub fn begin(&self) {
        *self.phase() = RequestPhase::Busy;
    }

    /// A request is answered: tells the client how long the connection waits for the next one, or that it
    /// does not.
    pub fn end<B>(&self, response: &mut Response<B>, is_scarce: bool, is_last: bool) {
        // From now on it is a WebSocket.
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return;
        }
        let silence = match is_scarce {
            true => SHORT_SILENCE,
            false => SILENCE,
        };
        let headers = response.headers_mut();
        if is_last {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        } else {
            let timeout = format!("timeout={}", silence.as_secs());
            if let Ok(timeout) = HeaderValue::from_str(&timeout) {
                headers.insert(HeaderName::from_static("keep-alive"), timeout);
                headers.insert(CONNECTION, HeaderValue::from_static("keep-alive"));
            }
        }
        let silence = silence + GRACE;
        *self.phase() = RequestPhase::Silent(silence, Instant::now() + silence);
    }

    /// Resolves once the time for the next request is over.
    pub async fn expired(&self) {
        loop {
            let until = match *self.phase() {
                RequestPhase::Headers(until) | RequestPhase::Silent(_, until) => until,
                RequestPhase::Busy => Instant::now() + HEADERS,
            };
            tokio::select! {
                () = sleep_until(until) => {}
                () = self.is_earlier.notified() => {}
            }
            if let RequestPhase::Headers(until) | RequestPhase::Silent(_, until) = *self.phase()
                && until <= Instant::now()
            {
                return;
            }
        }
    }

    /// Bytes of a request have come.
    fn received(&self) {
        let mut phase = self.phase();
        if matches!(*phase, RequestPhase::Silent(..)) {
            *phase = RequestPhase::Headers(Instant::now() + HEADERS);
            self.is_earlier.notify_one();
        }
    }

    /// Bytes of a response have been taken.
    fn sent(&self) {
        if let RequestPhase::Silent(silence, until) = &mut *self.phase() {
            *until = Instant::now() + *silence;
        }
    }

    fn phase(&self) -> MutexGuard<'_, RequestPhase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream that tells the clock of its bytes.
pub struct Clocked<S> {
    io: S,
    clock: Arc<RequestClock>,
}

impl<S> Clocked<S> {
    pub fn new(io: S, clock: Arc<RequestClock>) -> Clocked<S> {
        Clocked { io, clock }
    }

    /// The stream itself.
    pub fn into_inner(self) -> S {
        self.io
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Clocked<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.clock.received();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Clocked<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        if written.is_ready() {
            self.clock.sent();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
