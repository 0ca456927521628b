//! The allowance of bytes: what is read from a connection, and from all connections of an address, below
//! every parser. Beyond it the service does not read for a while, so the sender waits, and nothing is lost.
//!
//! Every frame, packet and request has some bytes, so this bounds them all, whatever protocol they are of,
//! and also those that a library handles without telling anybody.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// What is read from a connection within a second, and at most at once, if a byte costs 1.
const PER_SECOND: u32 = 4 << 20;
/// The same for all connections of an address together.
const PER_SECOND_AND_ADDRESS: u32 = 2 * PER_SECOND;
/// Sessions of Socket.IO that are opened from an address at once, and within a second. The library keeps each
/// for ten seconds, whatever becomes of it.
const SESSIONS_PER_SECOND: u32 = 20;
/// What is read from a connection before all others have their turn. A library may start a task for each
/// packet, and these only end between two turns: without this there would be a million of them.
const TURN: u32 = 8 << 10;

/// What a byte of a connection costs: as much as what the service does for it.
#[derive(Clone, Copy)]
pub enum Traffic {
    /// Messages of `/ws`: 4 MiB a second, some 100,000 messages.
    WebSocket = 1,
    /// Requests, until they are known to be something else: 1 MiB a second.
    Http = 4,
    /// Packets of Socket.IO, each a task: 128 KiB a second, some 3,000 events.
    SocketIo = 32,
}

/// The allowances of the addresses that have used theirs within the last second, or are connected.
#[derive(Default)]
pub struct Allowances(HashMap<IpAddr, Arc<AddressAllowance>>);

/// What all connections of an address share.
struct AddressAllowance {
    bytes: Bucket,
    sessions: Bucket,
}

impl Allowances {
    /// The allowance of a new connection from this address, and what it shares with the others from there.
    pub fn meter(&mut self, address: IpAddr) -> Arc<Meter> {
        let now = Instant::now();
        // It outlives the connections of its address, so that nobody gets more by connecting again.
        self.0
            .retain(|_, shared| Arc::strong_count(shared) > 1 || !shared.bytes.is_full(now));
        let shared = self.0.entry(address);
        Arc::new(Meter {
            shared: shared
                .or_insert_with(|| {
                    Arc::new(AddressAllowance {
                        bytes: Bucket::new(PER_SECOND_AND_ADDRESS),
                        sessions: Bucket::new(SESSIONS_PER_SECOND),
                    })
                })
                .clone(),
            own: Bucket::new(PER_SECOND),
            cost: AtomicU32::new(Traffic::Http as u32),
        })
    }
}

/// A bucket of tokens: full after a second of silence.
struct Bucket {
    per_second: u32,
    /// When it will be full again.
    full: Mutex<Instant>,
}

impl Bucket {
    fn new(per_second: u32) -> Bucket {
        let full = Mutex::new(Instant::now());
        Bucket { per_second, full }
    }

    fn is_full(&self, now: Instant) -> bool {
        *self.full.lock().unwrap_or_else(PoisonError::into_inner) <= now
    }

    /// Returns when there is something left again, if that is not now.
    fn spend(&self, cost: u32, now: Instant) -> Option<Instant> {
        let mut full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        let second = Duration::from_secs(1);
        let share = f64::from(cost) / f64::from(self.per_second);
        *full = (*full).max(now) + second.mul_f64(share);
        (*full > now + second).then(|| *full - second)
    }
}

/// Counts what is read from a connection.
pub struct Meter {
    shared: Arc<AddressAllowance>,
    own: Bucket,
    cost: AtomicU32,
}

impl Meter {
    /// Counts the connection as this traffic from now on.
    pub fn count_as(&self, traffic: Traffic) {
        self.cost.store(traffic as u32, Ordering::Relaxed);
    }

    /// Waits until a session of Socket.IO may be opened from the address.
    pub async fn open_session(&self) {
        if let Some(next) = self.shared.sessions.spend(1, Instant::now()) {
            sleep_until(next).await;
        }
    }

    /// Returns when more may be read, if that is not now.
    fn spend(&self, cost: u32) -> Option<Instant> {
        let now = Instant::now();
        self.own
            .spend(cost, now)
            .max(self.shared.bytes.spend(cost, now))
    }
}

/// A stream that is read within the allowance of its [`Meter`].
pub struct Metered<S> {
    io: S,
    meter: Arc<Meter>,
    /// What may still be read in this turn.
    turn: u32,
    /// Until the allowance has something left.
    pause: Option<Pin<Box<Sleep>>>,
}

impl<S> Metered<S> {
    pub fn new(io: S, meter: Arc<Meter>) -> Metered<S> {
        Metered {
            io,
            meter,
            turn: TURN,
            pause: None,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(pause) = &mut this.pause {
            ready!(pause.as_mut().poll(context));
            this.pause = None;
        }
        if this.turn == 0 {
            this.turn = TURN;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.io).poll_read(context, buffer);
        if read.is_pending() {
            this.turn = TURN;
            return Poll::Pending;
        }
        let bytes = u32::try_from(buffer.filled().len() - before).unwrap_or(u32::MAX);
        let cost = bytes.saturating_mul(this.meter.cost.load(Ordering::Relaxed));
        this.turn = this.turn.saturating_sub(cost);
        this.pause = this.meter.spend(cost).map(sleep_until).map(Box::pin);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt, repeat};

    use super::*;

    /// The bytes that are read in ten seconds from streams that always have more.
    async fn read_in_ten_seconds(meters: Vec<Arc<Meter>>) -> u64 {
        let end = Instant::now() + Duration::from_secs(10);
        let reads = meters.into_iter().map(async |meter| {
            let mut stream = Metered::new(repeat(0), meter);
            let mut buffer = [0; 1024];
            let mut bytes = 0;
            while let Ok(read) = tokio::time::timeout_at(end, stream.read(&mut buffer)).await {
                bytes += read.unwrap() as u64;
            }
            bytes
        });
        futures_util::future::join_all(reads).await.iter().sum()
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_and_an_address_are_read_within_their_allowances() {
        for (traffic, cost) in [
            (Traffic::WebSocket, 1),
            (Traffic::Http, 4),
            (Traffic::SocketIo, 32),
        ] {
            for connections in [1, 2, 20] {
                let mut allowances = Allowances::default();
                let mut meter = |_| {
                    let meter = allowances.meter(Ipv4Addr::LOCALHOST.into());
                    meter.count_as(traffic);
                    meter
                };
                let read = read_in_ten_seconds((0..connections).map(&mut meter).collect()).await;
                // What is saved up, and that of ten seconds; each may go beyond it by what it reads at once.
                let allowed = 11 * u64::from(PER_SECOND) * connections.min(2) / cost;
                let more = allowed + 1024 * connections;
                assert!((allowed * 99 / 100..=more).contains(&read), "{read}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn connecting_again_gives_an_address_no_more() {
        let mut allowances = Allowances::default();
        let (here, there) = (Ipv4Addr::LOCALHOST.into(), Ipv4Addr::BROADCAST.into());
        for _ in 0..2 {
            assert_eq!(allowances.meter(here).spend(PER_SECOND), None);
        }
        let wait = allowances.meter(here).spend(PER_SECOND).unwrap() - Instant::now();
        assert_eq!(wait.as_millis(), 500);
        assert_eq!(allowances.meter(there).spend(PER_SECOND), None);
        tokio::time::advance(Duration::from_secs(3)).await;
        allowances.meter(there);
        assert_eq!(allowances.0.len(), 1, "an address is forgotten");
    }

    #[tokio::test]
    async fn other_tasks_have_their_turn_while_a_stream_always_has_more() {
        let meter = Allowances::default().meter(Ipv4Addr::LOCALHOST.into());
        let mut stream = Metered::new(repeat(0), meter);
        let other = tokio::spawn(async {});
        let mut bytes = 0;
        while !other.is_finished() {
            bytes += stream.read(&mut [0; 1024]).await.unwrap();
        }
        assert_eq!(bytes as u32, TURN / Traffic::Http as u32 + 1024);
    }
}
