//! The fan-out: sends every client its updates, in one loop for all clients and one write for each.
//!
//! A task for each client that waits for updates would be woken for each change, and that is most of the
//! cost of a broadcast: docs/performance.md has the figures. So a client's task only reads, and this
//! loop writes. A client that does not take everything at once is left to its own task until it has, and
//! delays nobody.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task;
use tokio::time::timeout;

use super::client_view::{ClientView, FrameCache, Sources, frame};
use super::shared_stream::SharedStream;
use crate::platform::supervisor::Heartbeat;

/// Clients updated before other tasks get their turn, which bounds how long a client's message waits. With
/// more, the runtime would stop the loop within its turn, and clients would be taken for slow that are
/// not: a task may make 128 reads and writes, and a client may take three.
const BATCH: usize = 32;
/// Time that a client may take nothing: as long as it may be silent.
pub const STALL: Duration = Duration::from_secs(30);

/// The clients, and what they are told of.
pub struct Fanout {
    sources: Sources,
    subscribers: Mutex<BTreeMap<u64, Arc<Subscriber>>>,
}

/// What a client shows, and the way to it.
struct Subscriber {
    stream: SharedStream,
    view: Mutex<ClientView>,
    /// Wakes the client's own task when [`ClientView::lagging`] is set.
    lagging: Notify,
}

impl Fanout {
    /// A fan-out of these sources, without clients.
    pub fn new(sources: Sources) -> Arc<Fanout> {
        Arc::new(Fanout {
            sources,
            subscribers: Mutex::default(),
        })
    }

    /// Adds a client. It is sent nothing before its first [`Subscription::send`].
    pub fn subscribe(self: &Arc<Fanout>, client: u64, stream: SharedStream) -> Subscription {
        let lights = self.sources.hub.lights.list().len();
        let subscriber = Arc::new(Subscriber {
            stream,
            view: Mutex::new(ClientView::new(lights)),
            lagging: Notify::new(),
        });
        self.subscribers().insert(client, subscriber.clone());
        Subscription {
            fanout: self.clone(),
            client,
            subscriber,
        }
    }

    /// Sends updates whenever something changes; never ends.
    pub async fn run(&self, mut heartbeat: Heartbeat) {
        let Sources { hub, clients } = &self.sources;
        let (mut lights, mut clients) = (hub.lights.watch(), clients.watch());
        let (mut presets, mut timers) = (hub.presets.watch(), hub.timers.watch());
        let (mut activity, mut fleet) = (hub.activity.watch(), hub.fleet.watch());
        let (mut cache, mut out) = (FrameCache::default(), Vec::new());
        loop {
            let mut updated = Some(0);
            while let Some(last) = updated {
                updated = self.update_batch(last, &mut cache, &mut out);
                task::yield_now().await;
            }
            tokio::select! {
                // None fails: `self` holds the senders.
                _ = lights.changed() => {}
                _ = clients.changed() => {}
                _ = presets.changed() => {}
                _ = timers.changed() => {}
                _ = activity.changed() => {}
                _ = fleet.changed() => {}
                () = heartbeat.beat() => {}
            }
        }
    }

    /// Updates the next clients after this one, and returns the last of them, if there was any.
    fn update_batch(&self, after: u64, cache: &mut FrameCache, out: &mut Vec<u8>) -> Option<u64> {
        let subscribers = self.subscribers();
        let batch = subscribers.range((Excluded(after), Unbounded)).take(BATCH);
        let mut last = None;
        for (client, subscriber) in batch {
            subscriber.update(&self.sources, cache, out);
            last = Some(*client);
        }
        last
    }

    fn subscribers(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Subscriber>>> {
        self.subscribers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscriber {
    fn update(&self, sources: &Sources, cache: &mut FrameCache, out: &mut Vec<u8>) {
        let mut view = self.view();
        if view.lagging {
            return;
        }
        out.clear();
        view.updates(sources, cache, out);
        if !self.stream.send(out) {
            view.lagging = true;
            self.lagging.notify_one();
        }
    }

    fn view(&self) -> MutexGuard<'_, ClientView> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client that is sent updates, until this is dropped.
pub struct Subscription {
    fanout: Arc<Fanout>,
    client: u64,
    subscriber: Arc<Subscriber>,
}

impl Subscription {
    /// What the client shows. While this is held, the client is sent nothing, so that its own change
    /// can be made and marked as shown in one step.
    pub fn view(&self) -> MutexGuard<'_, ClientView> {
        self.subscriber.view()
    }

    /// Resolves when the client did not take everything, so that [`send`](Subscription::send) is due.
    pub async fn lagging(&self) {
        self.subscriber.lagging.notified().await;
    }

    /// Sends `first`, what the client does not show yet, and `last`; resolves when it has taken that.
    ///
    /// # Errors
    /// The client is gone, or takes nothing for [`STALL`].
    pub async fn send(
        &self,
        mut first: Option<String>,
        mut last: Option<String>,
    ) -> io::Result<()> {
        loop {
            let mut out = Vec::new();
            {
                let mut view = self.view();
                first.take().inspect(|text| frame(text, &mut out));
                view.updates(&self.fanout.sources, &mut FrameCache::default(), &mut out);
                last.take().inspect(|text| frame(text, &mut out));
                view.lagging = !self.subscriber.stream.send(&out);
                if !view.lagging {
                    return Ok(());
                }
            }
            timeout(STALL, self.subscriber.stream.flush()).await??;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.fanout.subscribers().remove(&self.client);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, DuplexStream, duplex};
    use tokio::time::sleep;

    use tokio::time::Instant;

    use super::*;
    use crate::model::command::{Outcome, Target};
    use crate::model::hub::Hub;
    use crate::model::level::Level;
    use crate::model::lights::{Change, LightId, Lights};
    use crate::platform::supervisor::heartbeat;
    use crate::web::limiter::{ConnectionLimiter, Permit};

    const LED: LightId = LightId::FIRST;
    /// Bytes on the way to a client that takes everything, and to one that takes next to nothing.
    const FAST: usize = 64 * 1024;
    const SLOW: usize = 5;

    /// A running fan-out, with one light at 50.
    struct Running(Arc<Fanout>);

    /// A client, and the other end of its connection.
    struct Client {
        subscription: Subscription,
        /// Counts as connected until this is dropped.
        _permit: Permit,
        received: DuplexStream,
    }

    impl Running {
        fn new() -> Running {
            let fanout = Fanout::new(Sources {
                hub: Hub::with(Lights::led()),
                clients: ConnectionLimiter::new(1000, 1000),
            });
            let running = fanout.clone();
            task::spawn(async move { running.run(heartbeat().1).await });
            Running(fanout)
        }

        fn set(&self, percent: u8) {
            let level = Level::from_percent(percent.into()).unwrap();
            self.0.sources.hub.change(LED, Change::Level(level));
        }

        /// A client that has been sent nothing yet.
        fn connect(&self, on_the_way: usize) -> Client {
            let permit = self
                .0
                .sources
                .clients
                .try_acquire(Ipv4Addr::LOCALHOST.into())
                .unwrap();
            let (received, sent) = duplex(on_the_way);
            Client {
                subscription: self.0.subscribe(permit.number, SharedStream::new(sent)),
                _permit: permit,
                received,
            }
        }

        /// A client that shows everything.
        async fn current(&self, on_the_way: usize) -> Client {
            let mut client = self.connect(on_the_way);
            let Client {
                subscription,
                received,
                ..
            } = &mut client;
            let (told, ()) = tokio::join!(subscription.send(None, None), async {
                while !hear(received).await.contains("pages") {}
            });
            told.unwrap();
            client
        }
    }

    /// The next text.
    async fn hear(received: &mut DuplexStream) -> String {
        let text = async {
            assert_eq!(
                received.read_u8().await.unwrap(),
                0x81,
                "a text in one frame"
            );
            let length = match received.read_u8().await.unwrap() {
                126 => received.read_u16().await.unwrap().into(),
                length => usize::from(length),
            };
            let mut text = vec![0; length];
            received.read_exact(&mut text).await.unwrap();
            String::from_utf8(text).unwrap()
        };
        timeout(STALL, text).await.expect("nothing more is said")
    }

    async fn assert_heard(client: &mut Client, expected: &[&str]) {
        for expected in expected {
            assert_eq!(hear(&mut client.received).await, *expected);
        }
        let more = client.received.read_u8().now_or_never();
        assert!(more.is_none(), "no more than that: {more:?}");
    }

    /// Lets all be done that there is to do: only then does the time go on that is not real.
    async fn rest() {
        sleep(Duration::from_millis(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_is_told_nothing_before_its_hello_and_the_answer_last() {
        let running = Running::new();
        let mut client = running.connect(FAST);
        running.set(7);
        rest().await;
        assert_heard(&mut client, &[]).await;
        let told = client
            .subscription
            .send(Some("hello".into()), Some("bye".into()));
        told.await.unwrap();
        let news = [r#"{"light":"led","level":7}"#, r#"{"pages":1}"#];
        assert_heard(&mut client, &["hello", news[0], news[1], "bye"]).await;
    }

    #[tokio::test(start_paused = true)]
    async fn every_page_of_many_is_told_every_change_and_how_far_it_was_seen() {
        // More than the runtime lets a task write to in one turn.
        const MANY: usize = 300;
        let running = Running::new();
        let mut pages = Vec::new();
        for _ in 0..MANY {
            pages.push(running.connect(FAST));
        }
        for client in &mut pages {
            client.subscription.send(None, None).await.unwrap();
            let first = r#"{"light":"led","level":50}"#;
            assert_heard(client, &[first, r#"{"pages":300}"#]).await;
        }
        pages[1].subscription.view().seen = Some(4);
        for level in [1, 2] {
            running.set(level);
            rest().await;
            for (number, client) in pages.iter_mut().enumerate() {
                let seen = if number == 1 { r#","seen":4"# } else { "" };
                let news = format!(r#"{{"light":"led","level":{level}{seen}}}"#);
                assert_heard(client, &[&news]).await;
                assert!(client.subscription.lagging().now_or_never().is_none());
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_that_shows_the_level_is_told_nothing() {
        let running = Running::new();
        let mut one = running.current(FAST).await;
        {
            let mut view = one.subscription.view();
            running.set(1);
            let state = running.0.sources.hub.lights.state(LED);
            view.show(Target::Own(LED), Outcome::Light(state));
        }
        rest().await;
        assert_heard(&mut one, &[]).await;
        one.subscription.view().forget(&Target::Own(LED));
        one.subscription.send(None, None).await.unwrap();
        assert_heard(&mut one, &[r#"{"light":"led","level":1}"#]).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_that_does_not_take_all_is_left_to_its_own_task_until_it_has() {
        let running = Running::new();
        let mut slow = running.current(SLOW).await;
        for level in [1, 2, 3] {
            running.set(level);
            rest().await;
        }
        let lagging = timeout(STALL, slow.subscription.lagging());
        lagging.await.expect("its own task is not woken");
        let Client {
            subscription,
            received,
            ..
        } = &mut slow;
        // What was begun is ended; of the rest, only the newest counts.
        let (told, ()) = tokio::join!(subscription.send(None, None), async {
            assert_eq!(hear(received).await, r#"{"light":"led","level":1}"#);
            assert_eq!(hear(received).await, r#"{"light":"led","level":3}"#);
        });
        told.unwrap();
        assert_heard(&mut slow, &[]).await;

        // It has all, so the loop begins again.
        running.set(4);
        let mut begin = [0; SLOW];
        let begun = timeout(STALL, slow.received.read_exact(&mut begin)).await;
        begun.expect("it is told no more").unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_that_is_gone_or_takes_nothing_is_an_error() {
        let running = Running::new();
        let start = Instant::now();
        let silent = running.connect(SLOW);
        assert!(silent.subscription.send(None, None).await.is_err());
        assert_eq!(start.elapsed().as_secs(), STALL.as_secs());

        let gone = running.current(FAST).await;
        drop(gone.received);
        running.set(1);
        let lagging = timeout(STALL, gone.subscription.lagging());
        lagging.await.expect("its own task is not woken");
        assert!(gone.subscription.send(None, None).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn who_left_is_told_no_more_and_its_connection_ends() {
        let running = Running::new();
        let mut client = running.current(FAST).await;
        drop(client.subscription);
        running.set(1);
        let end = timeout(STALL, client.received.read_u8()).await;
        end.expect("it is kept").expect_err("it is told more");
    }
}
