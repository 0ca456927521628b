//! The load generator: all clients in one thread, with one `read` per message and little else, so that the
//! measurement shows the server and not the clients.

use std::io::{ErrorKind, Read, Write};
use std::mem;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

use crate::dialect::{Dialect, Received};

/// Number of levels: 0 to 100.
const LEVELS: usize = 101;
/// Clients that connect at once: fewer than the listen backlog of any of the servers.
const BATCH: usize = 50;
/// Silence after which everything counts as arrived. Nagle's algorithm may delay a message by 40 ms.
const QUIET: Duration = Duration::from_millis(250);
/// Timeout for all clients to open, and for the last message of a run to arrive.
const TIMEOUT: Duration = Duration::from_secs(20);

const NO_WAIT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// The watching client whose receipt of a change acknowledges the change, for servers that do not tell the sender.
const ACK_WATCHER: usize = 2;

/// All clients of a server. The first one or two send changes; the others only watch.
pub struct LoadGenerator {
    dialect: Dialect,
    epoll: OwnedFd,
    events: Vec<Event>,
    clients: Vec<Client>,
    senders: Vec<Sender>,
    /// The last change of the first sender in the current run; convergence is the time until all watchers have it.
    final_change: Option<usize>,
    /// Watchers that have received the final change.
    converged: usize,
    last_receipt: Instant,
    pub totals: Totals,
}

/// What the clients sent and received since the totals were last taken.
#[derive(Default)]
pub struct Totals {
    /// Nanoseconds from sending a change to its receipt by each watcher.
    pub watcher_latencies: Vec<u64>,
    /// Nanoseconds from sending a change to its receipt by the other sender.
    pub sender_latencies: Vec<u64>,
    /// Levels received, by all clients.
    pub delivered: usize,
    /// Changes sent.
    pub changes: usize,
    /// Time spent on reading and parsing.
    pub busy: Duration,
}

struct Client {
    stream: TcpStream,
    /// Received bytes that are not a whole frame yet.
    unparsed: Vec<u8>,
    in_handshake: bool,
    open: bool,
    disconnected: bool,
    level: Option<usize>,
    /// The earliest change of each sender that the client has not received yet.
    next: [usize; 2],
}

/// A sending client. Its levels cycle through a range that no other sender uses, so that a level identifies its change.
struct Sender {
    first_level: usize,
    levels: usize,
    sent: Vec<Instant>,
    acknowledged: usize,
}

impl Sender {
    fn level(&self, change: usize) -> usize {
        self.first_level + change % self.levels
    }
}

impl LoadGenerator {
    /// Opens `count` clients, and waits until the server has nothing more to send.
    pub fn open(
        address: SocketAddr,
        dialect: Dialect,
        count: usize,
        senders: usize,
    ) -> anyhow::Result<LoadGenerator> {
        let levels = LEVELS / senders;
        let senders = (0..senders).map(|number| Sender {
            first_level: number * levels,
            levels,
            sent: Vec::new(),
            acknowledged: 0,
        });
        let mut load = LoadGenerator {
            dialect,
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(256),
            clients: Vec::with_capacity(count),
            senders: senders.collect(),
            final_change: None,
            converged: 0,
            last_receipt: Instant::now(),
            totals: Totals::default(),
        };
        let deadline = Instant::now() + TIMEOUT;
        while load.clients.len() < count {
            for _ in 0..BATCH.min(count - load.clients.len()) {
                load.connect(address)?;
            }
            while !load.clients.iter().all(|client| client.open) {
                ensure!(
                    Instant::now() < deadline && load.disconnected() == 0,
                    "only {} of {count} clients could connect",
                    load.clients.iter().filter(|client| client.open).count()
                );
                load.receive(deadline)?;
            }
        }
        load.settle()?;
        load.totals = Totals::default();
        Ok(load)
    }

    fn connect(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        let mut stream =
            TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        let handshake = self.dialect.handshake(address);
        stream.write_all(handshake.as_bytes())?;
        stream.set_nonblocking(true)?;
        let number = EventData::new_u64(self.clients.len() as u64);
        epoll::add(&self.epoll, &stream, number, EventFlags::IN)?;
        self.clients.push(Client {
            stream,
            unparsed: Vec::new(),
            in_handshake: !handshake.is_empty(),
            open: false,
            disconnected: false,
            level: None,
            next: [0; 2],
        });
        Ok(())
    }

    /// The first sender drags its slider: one change per `pace`. Returns the convergence as [`Self::converge`] does.
    pub fn drag(&mut self, changes: usize, pace: Duration) -> anyhow::Result<Option<Duration>> {
        let start = Instant::now();
        self.final_change = Some(self.senders[0].sent.len() + changes - 1);
        self.converged = 0;
        for change in 0..changes {
            let due = start + pace * change as u32;
            while Instant::now() < due {
                self.receive(due)?;
            }
            self.send(0)?;
        }
        self.converge()
    }

    /// Every sender sends its changes as fast as it can write them.
    pub fn burst(&mut self, changes: usize) -> anyhow::Result<()> {
        let starts: Vec<_> = self
            .senders
            .iter()
            .map(|sender| sender.sent.len())
            .collect();
        for client in &mut self.clients {
            // The changes that the server skipped in earlier runs do not arrive any more.
            client.next[..starts.len()].copy_from_slice(&starts);
        }
        self.final_change = Some(starts[0] + changes - 1);
        self.converged = 0;
        for _ in 0..changes {
            for sender in 0..self.senders.len() {
                self.send(sender)?;
            }
        }
        Ok(())
    }

    /// Every sender sends `changes` changes, each once the one before is acknowledged.
    pub fn flood(&mut self, changes: usize) -> anyhow::Result<()> {
        let deadline = Instant::now() + TIMEOUT;
        while Instant::now() < deadline {
            let mut done = true;
            for number in 0..self.senders.len() {
                let sender = &self.senders[number];
                done &= sender.acknowledged == changes || self.clients[number].disconnected;
                if sender.acknowledged == sender.sent.len() && sender.sent.len() < changes {
                    self.send(number)?;
                    if let Some(request) = self.dialect.echo_request() {
                        self.write(number, &request)?;
                    }
                }
            }
            if done || self.clients[ACK_WATCHER].disconnected {
                break;
            }
            self.receive(deadline)?;
        }
        Ok(())
    }

    /// Waits until every watcher has the final change, and returns the time since that was sent; `None` if a client is
    /// disconnected or the timeout passes.
    pub fn converge(&mut self) -> anyhow::Result<Option<Duration>> {
        let sent = self.senders[0].sent.last().copied();
        let sent = sent.context("no change was sent, so nothing can converge")?;
        let deadline = sent + TIMEOUT;
        let watchers = self.clients.len() - self.senders.len();
        while self.converged < watchers && self.disconnected() == 0 && Instant::now() < deadline {
            self.receive(deadline)?;
        }
        Ok((self.converged == watchers).then(|| self.last_receipt - sent))
    }

    /// Receives until the server has been silent for [`QUIET`].
    pub fn settle(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + TIMEOUT;
        let mut quiet = Instant::now() + QUIET;
        while Instant::now() < quiet.min(deadline) {
            if self.receive(quiet)? {
                quiet = Instant::now() + QUIET;
            }
        }
        Ok(())
    }

    /// Number of clients that the server disconnected.
    pub fn disconnected(&self) -> usize {
        let disconnected = self.clients.iter().filter(|client| client.disconnected);
        disconnected.count()
    }

    /// Share of all clients that show the level that most watchers show. A disconnected client shows none.
    pub fn in_step(&self) -> f64 {
        let mut votes = [0; LEVELS];
        let watchers = &self.clients[self.senders.len()..];
        for level in watchers.iter().filter_map(|client| client.shown()) {
            votes[level] += 1;
        }
        let majority = (0..LEVELS).max_by_key(|level| votes[*level]);
        let in_step = self
            .clients
            .iter()
            .filter(|client| client.shown() == majority);
        in_step.count() as f64 / self.clients.len() as f64
    }

    fn send(&mut self, number: usize) -> anyhow::Result<()> {
        let sender = &mut self.senders[number];
        let level = sender.level(sender.sent.len());
        let frame = self.dialect.change(level, sender.sent.len() as u64 + 1);
        self.clients[number].level = Some(level);
        sender.sent.push(Instant::now());
        self.totals.changes += 1;
        self.write(number, &frame)
    }

    fn write(&mut self, number: usize, frame: &[u8]) -> anyhow::Result<()> {
        let client = &mut self.clients[number];
        match client.stream.write_all(frame) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                bail!("the server stopped reading from client {number}: its socket buffer is full")
            }
            Err(_) => client.disconnected = true,
            Ok(()) => {}
        }
        Ok(())
    }

    /// Reads from every client that becomes readable first; returns false if none does before `until`.
    ///
    /// Polls without sleeping: otherwise a slow server would pay for waking this process with each message, and a fast
    /// one would not.
    fn receive(&mut self, until: Instant) -> anyhow::Result<bool> {
        let mut events = mem::take(&mut self.events);
        let mut now = Instant::now();
        while events.is_empty() && now < until {
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&NO_WAIT)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            now = Instant::now();
        }
        let received = !events.is_empty();
        for event in events.drain(..) {
            self.read(event.data.u64() as usize)?;
        }
        self.events = events;
        self.totals.busy += now.elapsed();
        Ok(received)
    }

    fn read(&mut self, number: usize) -> anyhow::Result<()> {
        let mut buffer = [0; 4096];
        let client = &mut self.clients[number];
        let size = match client.stream.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Ok(0) | Err(_) => {
                client.disconnected = true;
                epoll::delete(&self.epoll, &client.stream)?;
                return Ok(());
            }
            Ok(size) => size,
        };
        let now = Instant::now();
        let mut bytes = mem::take(&mut client.unparsed);
        bytes.extend_from_slice(&buffer[..size]);
        let mut consumed = 0;
        if client.in_handshake {
            let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else {
                client.unparsed = bytes;
                return Ok(());
            };
            let head = String::from_utf8_lossy(&bytes[..end]);
            ensure!(
                head.starts_with("HTTP/1.1 101 "),
                "the server refused the WebSocket: {head}"
            );
            client.in_handshake = false;
            client.open = self.dialect == Dialect::Relayed;
            consumed = end + 4;
        }
        while let Some((opcode, payload, length)) = first_frame(&bytes[consumed..]) {
            match self.dialect.parse(opcode, payload) {
                Received::Level { level, seen } => self.handle_level(number, level, seen, now),
                Received::Echo => {
                    self.senders[number].acknowledged = self.senders[number].sent.len();
                }
                Received::ReplyWith(reply) => self.write(number, &reply)?,
                Received::Close => self.clients[number].disconnected = true,
                Received::Other => self.clients[number].open |= self.dialect == Dialect::Bare,
            }
            consumed += length;
        }
        bytes.drain(..consumed);
        self.clients[number].unparsed = bytes;
        Ok(())
    }

    fn handle_level(&mut self, number: usize, level: usize, seen: u64, now: Instant) {
        let client = &mut self.clients[number];
        client.open = true;
        let is_sender = number < self.senders.len();
        // A dimmer client ignores a level that does not include its own last change yet; no other server sends `seen`.
        let stale = is_sender
            && self.dialect == Dialect::Dimmer
            && seen < self.senders[number].sent.len() as u64;
        if !stale {
            client.level = Some(level);
        }
        let from = usize::from(self.senders.len() == 2 && level >= self.senders[1].first_level);
        let sender = &mut self.senders[from];
        // The next change with this level: the server may have skipped some.
        let next = client.next[from];
        let skipped = (level + sender.levels - sender.level(next)) % sender.levels;
        let change = next + skipped;
        let Some(sent) = sender.sent.get(change) else {
            // Not a change: the level that a client is sent when it opens.
            return;
        };
        client.next[from] = change + 1;
        self.last_receipt = now;
        self.totals.delivered += 1;
        let echo = self.dialect == Dialect::SocketIo && number == from;
        let latency = (now - *sent).as_nanos() as u64;
        if !is_sender {
            self.totals.watcher_latencies.push(latency);
            self.converged += usize::from(self.final_change == Some(change));
        } else if !echo {
            self.totals.sender_latencies.push(latency);
        }
        if echo || number == ACK_WATCHER && self.dialect != Dialect::Dimmer {
            sender.acknowledged = sender.acknowledged.max(change + 1);
        }
    }
}

impl Client {
    /// The level that the client shows; `None` before the first level and after a disconnection.
    fn shown(&self) -> Option<usize> {
        self.level.filter(|_| !self.disconnected)
    }
}

/// Opcode, payload and total length of the first complete frame. Servers do not mask.
fn first_frame(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (start, length) = match (*bytes.get(1)?, bytes) {
        (126, [_, _, high, low, ..]) => (4, usize::from(u16::from_be_bytes([*high, *low]))),
        (126.., _) => return None,
        (length, _) => (2, usize::from(length)),
    };
    let payload = bytes.get(start..start + length)?;
    Some((bytes[0] & 0xf, payload, start + length))
}
