//! The load: all pages in one thread, with one `read` for a message and no more around it, so that
//! it is the server that is measured.

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

use crate::dialect::{Dialect, Heard};

/// Levels there are: 0 to 100.
const LEVELS: usize = 101;
/// Pages that connect at once: fewer than any server has room for in its queue.
const BATCH: usize = 50;
/// Silence after which everything has arrived. Nagle's algorithm may hold a message for 40 ms.
const QUIET: Duration = Duration::from_millis(250);
/// Time that pages have to open, or a last message to arrive.
const LIMIT: Duration = Duration::from_secs(20);

const AT_ONCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// The page whose receipt stands for a server's echo where there is none: it only watches.
const WITNESS: usize = 2;

/// The pages, of which the first one or two send.
pub struct Load {
    dialect: Dialect,
    epoll: OwnedFd,
    events: Vec<Event>,
    pages: Vec<Page>,
    senders: Vec<Sender>,
    /// The change that pages are awaited to have heard, how many have, and when the last one did.
    awaited: Option<usize>,
    arrived: usize,
    last_heard: Instant,
    pub tally: Tally,
}

/// What the pages heard since it was last taken.
#[derive(Default)]
pub struct Tally {
    /// From a change's sending to its receipt, by each page that only watches, in nanoseconds.
    pub latencies: Vec<u64>,
    /// The same by a page that also sends.
    pub own_latencies: Vec<u64>,
    pub delivered: usize,
    pub changes: usize,
    /// Time spent reading.
    pub busy: Duration,
}

struct Page {
    stream: TcpStream,
    unread: Vec<u8>,
    shaking_hands: bool,
    open: bool,
    gone: bool,
    level: Option<usize>,
    /// The next change it may hear, of each sender.
    next: [usize; 2],
}

/// A page that sends. Levels go round in a range of its own, so that they tell the change.
struct Sender {
    first: usize,
    count: usize,
    sent: Vec<Instant>,
    acknowledged: usize,
}

impl Sender {
    fn level(&self, change: usize) -> usize {
        self.first + change % self.count
    }
}

impl Load {
    /// Opens so many pages, and waits until nothing more is said.
    pub fn open(
        address: SocketAddr,
        dialect: Dialect,
        count: usize,
        senders: usize,
    ) -> anyhow::Result<Load> {
        let share = LEVELS / senders;
        let senders = (0..senders).map(|number| Sender {
            first: number * share,
            count: share,
            sent: Vec::new(),
            acknowledged: 0,
        });
        let mut load = Load {
            dialect,
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(256),
            pages: Vec::with_capacity(count),
            senders: senders.collect(),
            awaited: None,
            arrived: 0,
            last_heard: Instant::now(),
            tally: Tally::default(),
        };
        let limit = Instant::now() + LIMIT;
        while load.pages.len() < count {
            for _ in 0..BATCH.min(count - load.pages.len()) {
                load.connect(address)?;
            }
            while !load.pages.iter().all(|page| page.open) {
                ensure!(
                    Instant::now() < limit && load.gone() == 0,
                    "{} of {count} pages opened",
                    load.pages.iter().filter(|page| page.open).count()
                );
                load.hear(limit)?;
            }
        }
        load.settle()?;
        load.tally = Tally::default();
        Ok(load)
    }

    fn connect(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        let mut stream = TcpStream::connect(address).context("cannot connect")?;
        stream.set_nodelay(true)?;
        let greeting = self.dialect.greeting(address);
        stream.write_all(greeting.as_bytes())?;
        stream.set_nonblocking(true)?;
        let number = EventData::new_u64(self.pages.len() as u64);
        epoll::add(&self.epoll, &stream, number, EventFlags::IN)?;
        self.pages.push(Page {
            stream,
            unread: Vec::new(),
            shaking_hands: !greeting.is_empty(),
            open: false,
            gone: false,
            level: None,
            next: [0; 2],
        });
        Ok(())
    }

    /// One page drags: so many changes, at a pace. Returns the time from the last change until all
    /// have it.
    pub fn drag(&mut self, changes: usize, pace: Duration) -> anyhow::Result<Option<Duration>> {
        let start = Instant::now();
        self.awaited = Some(self.senders[0].sent.len() + changes - 1);
        self.arrived = 0;
        for change in 0..changes {
            let due = start + pace * change as u32;
            while Instant::now() < due {
                self.hear(due)?;
            }
            self.send(0)?;
        }
        self.converge()
    }

    /// Every sender sends so many changes as fast as it can write them.
    pub fn burst(&mut self, changes: usize) -> anyhow::Result<()> {
        let begun: Vec<_> = self
            .senders
            .iter()
            .map(|sender| sender.sent.len())
            .collect();
        for page in &mut self.pages {
            // What was skipped before is not heard any more.
            page.next[..begun.len()].copy_from_slice(&begun);
        }
        self.awaited = Some(begun[0] + changes - 1);
        self.arrived = 0;
        for _ in 0..changes {
            for sender in 0..self.senders.len() {
                self.send(sender)?;
            }
        }
        Ok(())
    }

    /// Every sender sends the next change when its last has come back, so many times.
    pub fn flood(&mut self, changes: usize) -> anyhow::Result<()> {
        let limit = Instant::now() + LIMIT;
        while Instant::now() < limit {
            let mut done = true;
            for number in 0..self.senders.len() {
                let sender = &self.senders[number];
                done &= sender.acknowledged == changes || self.pages[number].gone;
                if sender.acknowledged == sender.sent.len() && sender.sent.len() < changes {
                    self.send(number)?;
                    if let Some(echo) = self.dialect.echo() {
                        self.write(number, &echo)?;
                    }
                }
            }
            if done || self.pages[WITNESS].gone {
                break;
            }
            self.hear(limit)?;
        }
        Ok(())
    }

    /// Time from the last change until every page that only watches has it; `None` if one does not
    /// get it.
    pub fn converge(&mut self) -> anyhow::Result<Option<Duration>> {
        let sent = self.senders[0].sent.last().copied();
        let sent = sent.context("nothing was sent")?;
        let limit = sent + LIMIT;
        let watching = self.pages.len() - self.senders.len();
        while self.arrived < watching && self.gone() == 0 && Instant::now() < limit {
            self.hear(limit)?;
        }
        Ok((self.arrived == watching).then(|| self.last_heard - sent))
    }

    /// Hears until nothing is said any more.
    pub fn settle(&mut self) -> anyhow::Result<()> {
        let limit = Instant::now() + LIMIT;
        let mut quiet = Instant::now() + QUIET;
        while Instant::now() < quiet.min(limit) {
            if self.hear(quiet)? {
                quiet = Instant::now() + QUIET;
            }
        }
        Ok(())
    }

    /// Pages that the server closed.
    pub fn gone(&self) -> usize {
        self.pages.iter().filter(|page| page.gone).count()
    }

    /// The share of pages that show what most of those show that only watch.
    pub fn right(&self) -> f64 {
        let mut votes = [0; LEVELS];
        let watching = &self.pages[self.senders.len()..];
        for level in watching.iter().filter_map(|page| page.shown()) {
            votes[level] += 1;
        }
        let right = (0..LEVELS).max_by_key(|level| votes[*level]);
        let showing = self.pages.iter().filter(|page| page.shown() == right);
        showing.count() as f64 / self.pages.len() as f64
    }

    fn send(&mut self, number: usize) -> anyhow::Result<()> {
        let sender = &mut self.senders[number];
        let level = sender.level(sender.sent.len());
        let frame = self.dialect.change(level, sender.sent.len() as u64 + 1);
        self.pages[number].level = Some(level);
        sender.sent.push(Instant::now());
        self.tally.changes += 1;
        self.write(number, &frame)
    }

    fn write(&mut self, number: usize, frame: &[u8]) -> anyhow::Result<()> {
        let page = &mut self.pages[number];
        match page.stream.write_all(frame) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                bail!("the server does not read what page {number} sends")
            }
            Err(_) => page.gone = true,
            Ok(()) => {}
        }
        Ok(())
    }

    /// Takes in what comes first, if something does in time.
    ///
    /// It asks again and again and does not sleep: else a slow server would pay to wake it for each
    /// message, and a fast one would not.
    fn hear(&mut self, until: Instant) -> anyhow::Result<bool> {
        let mut events = mem::take(&mut self.events);
        let mut now = Instant::now();
        while events.is_empty() && now < until {
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&AT_ONCE)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            now = Instant::now();
        }
        let heard = !events.is_empty();
        for event in events.drain(..) {
            self.read(event.data.u64() as usize)?;
        }
        self.events = events;
        self.tally.busy += now.elapsed();
        Ok(heard)
    }

    fn read(&mut self, number: usize) -> anyhow::Result<()> {
        let mut buffer = [0; 4096];
        let page = &mut self.pages[number];
        let size = match page.stream.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Ok(0) | Err(_) => {
                page.gone = true;
                epoll::delete(&self.epoll, &page.stream)?;
                return Ok(());
            }
            Ok(size) => size,
        };
        let now = Instant::now();
        let mut bytes = mem::take(&mut page.unread);
        bytes.extend_from_slice(&buffer[..size]);
        let mut taken = 0;
        if page.shaking_hands {
            let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else {
                page.unread = bytes;
                return Ok(());
            };
            let head = String::from_utf8_lossy(&bytes[..end]);
            ensure!(head.starts_with("HTTP/1.1 101 "), "refused: {head}");
            page.shaking_hands = false;
            page.open = self.dialect == Dialect::Relayed;
            taken = end + 4;
        }
        while let Some((opcode, payload, length)) = first_frame(&bytes[taken..]) {
            match self.dialect.understand(opcode, payload) {
                Heard::Level { level, seen } => self.heard(number, level, seen, now),
                Heard::Echo => {
                    self.senders[number].acknowledged = self.senders[number].sent.len();
                }
                Heard::Asks(answer) => self.write(number, &answer)?,
                Heard::Goodbye => self.pages[number].gone = true,
                Heard::Nothing => self.pages[number].open |= self.dialect == Dialect::Bare,
            }
            taken += length;
        }
        bytes.drain(..taken);
        self.pages[number].unread = bytes;
        Ok(())
    }

    fn heard(&mut self, number: usize, level: usize, seen: u64, now: Instant) {
        let page = &mut self.pages[number];
        page.open = true;
        let sends = number < self.senders.len();
        // The rule of seq and seen, which dimmer's pages keep; no other server has it.
        let late = sends
            && self.dialect == Dialect::Dimmer
            && seen < self.senders[number].sent.len() as u64;
        if !late {
            page.level = Some(level);
        }
        let from = usize::from(self.senders.len() == 2 && level >= self.senders[1].first);
        let sender = &mut self.senders[from];
        // The next change that has this level: some may have been skipped.
        let next = page.next[from];
        let skipped = (level + sender.count - sender.level(next)) % sender.count;
        let change = next + skipped;
        let Some(sent) = sender.sent.get(change) else {
            // The level that a page is shown when it opens.
            return;
        };
        page.next[from] = change + 1;
        self.last_heard = now;
        self.tally.delivered += 1;
        let echo = self.dialect == Dialect::SocketIo && number == from;
        let latency = (now - *sent).as_nanos() as u64;
        if !sends {
            self.tally.latencies.push(latency);
            self.arrived += usize::from(self.awaited == Some(change));
        } else if !echo {
            self.tally.own_latencies.push(latency);
        }
        if echo || number == WITNESS && self.dialect != Dialect::Dimmer {
            sender.acknowledged = sender.acknowledged.max(change + 1);
        }
    }
}

impl Page {
    fn shown(&self) -> Option<usize> {
        self.level.filter(|_| !self.gone)
    }
}

/// The first frame's opcode, payload and whole length. A server does not mask.
fn first_frame(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (start, length) = match (*bytes.get(1)?, bytes) {
        (126, [_, _, high, low, ..]) => (4, usize::from(u16::from_be_bytes([*high, *low]))),
        (126.., _) => return None,
        (length, _) => (2, usize::from(length)),
    };
    let payload = bytes.get(start..start + length)?;
    Some((bytes[0] & 0xf, payload, start + length))
}
