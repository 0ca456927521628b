//! The fan-out: sends every client its updates, in one loop for all clients and one write for each.
//!
//! If each client's task waited for changes, each change would wake all of these tasks, which is most of
//! the cost of a broadcast: docs/performance.md has the figures. So a client's task waits for the client
//! alone, and this loop writes. A client whose connection does not take everything at once is left to its
//! own task until it has, and delays nobody.

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

/// Clients updated before other tasks get their turn, which bounds how long a client's message waits.
/// tokio lets a task make 128 reads and writes in one turn, and a client may take three; after that, writes
/// are pending, and clients would be taken for slow that are not.
const BATCH: usize = 32;
/// Time that a client may go without taking bytes: as long as it may be silent.
pub const STALL: Duration = Duration::from_secs(30);

/// The connected clients, and the values that they are sent updates about.
pub struct Fanout {
    sources: Sources,
    subscribers: Mutex<BTreeMap<u64, Arc<Subscriber>>>,
}

/// What a client shows, and its connection.
struct Subscriber {
    stream: SharedStream,
    view: Mutex<ClientView>,
    /// Wakes the client's own task when [`ClientView::lagging`] is set.
    lagging: Notify,
}

impl Fanout {
    /// A fan-out of these values, without clients.
    pub fn new(sources: Sources) -> Arc<Fanout> {
        Arc::new(Fanout {
            sources,
            subscribers: Mutex::default(),
        })
    }

    /// Adds a client. It is sent nothing before its first [`Subscription::send`].
    pub fn subscribe(self: &Arc<Fanout>, client: u64, stream: SharedStream) -> Subscription {
        let subscriber = Arc::new(Subscriber {
            stream,
            view: Mutex::new(ClientView::new(&self.sources.hub)),
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
        let mut settings = hub.settings.watch();
        let (mut cache, mut out) = (FrameCache::default(), Vec::new());
        loop {
            let mut updated = Some(0);
            while let Some(last) = updated {
                updated = self.update_batch(last, &mut cache, &mut out);
                task::yield_now().await;
            }
            tokio::select! {
                // `changed` fails only without a sender, and `self` holds the senders.
                _ = lights.changed() => {}
                _ = clients.changed() => {}
                _ = presets.changed() => {}
                _ = timers.changed() => {}
                _ = settings.changed() => {}
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
    /// Locks what the client shows. Meanwhile the client is sent nothing, so that its own change can be
    /// made and marked as shown in one step.
    pub fn view(&self) -> MutexGuard<'_, ClientView> {
        self.subscriber.view()
    }

    /// Resolves when the loop has left bytes unsent, so that [`send`](Subscription::send) is due.
    pub async fn lagging(&self) {
        self.subscriber.lagging.notified().await;
    }

    /// Sends `first`, what the client does not show yet, and `last`; resolves once its connection has taken
    /// all of that.
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
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::model::command::{Outcome, Target};
    use crate::model::hub::Hub;
    use crate::model::level::Level;
    use crate::model::lights::{Change, LightId, Lights};
    use crate::platform::supervisor::heartbeat;
    use crate::web::limiter::{ConnectionLimiter, Permit};

    const LED: LightId = LightId::FIRST;
    /// Bytes that the connection of a fast client buffers, and that of a slow one.
    const FAST: usize = 64 * 1024;
    const SLOW: usize = 5;

    /// A running fan-out, with one light at 50.
    struct Running(Arc<Fanout>);

    /// A client, and its end of the connection.
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
        fn connect(&self, buffer: usize) -> Client {
            let permit = self
                .0
                .sources
                .clients
                .try_acquire(Ipv4Addr::LOCALHOST.into())
                .unwrap();
            let (received, sent) = duplex(buffer);
            Client {
                subscription: self.0.subscribe(permit.number, SharedStream::new(sent)),
                _permit: permit,
                received,
            }
        }

        /// A client that shows the current state.
        async fn current(&self, buffer: usize) -> Client {
            let mut client = self.connect(buffer);
            let Client {
                subscription,
                received,
                ..
            } = &mut client;
            let (sent, ()) = tokio::join!(subscription.send(None, None), async {
                while !receive(received).await.contains("pages") {}
            });
            sent.unwrap();
            client
        }
    }

    /// The next text frame.
    async fn receive(received: &mut DuplexStream) -> String {
        let text = async {
            assert_eq!(
                received.read_u8().await.unwrap(),
                0x81,
                "a text in a single frame"
            );
            let length = match received.read_u8().await.unwrap() {
                126 => received.read_u16().await.unwrap().into(),
                length => usize::from(length),
            };
            let mut text = vec![0; length];
            received.read_exact(&mut text).await.unwrap();
            String::from_utf8(text).unwrap()
        };
        timeout(STALL, text).await.expect("nothing more is sent")
    }

    async fn assert_received(client: &mut Client, expected: &[&str]) {
        for expected in expected {
            assert_eq!(receive(&mut client.received).await, *expected);
        }
        let more = client.received.read_u8().now_or_never();
        assert!(more.is_none(), "nothing else was expected: {more:?}");
    }

    /// Lets all other tasks run until they wait: only then does the paused clock advance.
    async fn settle() {
        sleep(Duration::from_millis(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_is_sent_nothing_before_its_hello_and_the_response_last() {
        let running = Running::new();
        let mut client = running.connect(FAST);
        running.set(7);
        settle().await;
        assert_received(&mut client, &[]).await;
        let sent = client
            .subscription
            .send(Some("hello".into()), Some("bye".into()));
        sent.await.unwrap();
        let updates = [r#"{"light":"led","level":7}"#, r#"{"pages":1}"#];
        assert_received(&mut client, &["hello", updates[0], updates[1], "bye"]).await;
    }

    #[tokio::test(start_paused = true)]
    async fn each_of_many_clients_is_sent_every_change_and_the_seq_that_was_seen() {
        // More than tokio lets a task write to in one turn.
        const MANY: usize = 300;
        let running = Running::new();
        let mut clients = Vec::new();
        for _ in 0..MANY {
            clients.push(running.connect(FAST));
        }
        for client in &mut clients {
            client.subscription.send(None, None).await.unwrap();
            let first = r#"{"light":"led","level":50}"#;
            assert_received(client, &[first, r#"{"pages":300}"#]).await;
        }
        clients[1].subscription.view().seen = Some(4);
        for level in [1, 2] {
            running.set(level);
            settle().await;
            for (number, client) in clients.iter_mut().enumerate() {
                let seen = if number == 1 { r#","seen":4"# } else { "" };
                let update = format!(r#"{{"light":"led","level":{level}{seen}}}"#);
                assert_received(client, &[&update]).await;
                assert!(client.subscription.lagging().now_or_never().is_none());
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_shows_the_level_is_sent_nothing() {
        let running = Running::new();
        let mut one = running.current(FAST).await;
        {
            let mut view = one.subscription.view();
            running.set(1);
            let state = running.0.sources.hub.lights.state(LED);
            view.show(Target::Own(LED), Outcome::Light(state));
        }
        settle().await;
        assert_received(&mut one, &[]).await;
        one.subscription.view().forget(&Target::Own(LED));
        one.subscription.send(None, None).await.unwrap();
        assert_received(&mut one, &[r#"{"light":"led","level":1}"#]).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_take_everything_is_left_to_its_own_task_until_it_has() {
        let running = Running::new();
        let mut slow = running.current(SLOW).await;
        for level in [1, 2, 3] {
            running.set(level);
            settle().await;
        }
        let lagging = timeout(STALL, slow.subscription.lagging());
        lagging.await.expect("its own task is not woken");
        let Client {
            subscription,
            received,
            ..
        } = &mut slow;
        // The frame that was begun is completed; of the later levels, only the newest is sent.
        let (sent, ()) = tokio::join!(subscription.send(None, None), async {
            assert_eq!(receive(received).await, r#"{"light":"led","level":1}"#);
            assert_eq!(receive(received).await, r#"{"light":"led","level":3}"#);
        });
        sent.unwrap();
        assert_received(&mut slow, &[]).await;

        // It has everything, so the loop writes to it again.
        running.set(4);
        let mut begin = [0; SLOW];
        let begun = timeout(STALL, slow.received.read_exact(&mut begin)).await;
        begun.expect("it is sent no more updates").unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn sending_to_a_client_that_is_gone_or_takes_nothing_is_an_error() {
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
    async fn dropping_a_subscription_ends_the_updates_and_the_connection() {
        let running = Running::new();
        let mut client = running.current(FAST).await;
        drop(client.subscription);
        running.set(1);
        let end = timeout(STALL, client.received.read_u8()).await;
        end.expect("the connection is kept")
            .expect_err("it is sent more");
    }
}
