//! Supervision: every task and thread that the service starts is watched.
//!
//! A panic, an error, or an end before the service stops is a failure that names the task. The program
//! waits for it in `Service::failed`, stops the service and exits with the error; systemd then restarts it
//! with a clean state. Threads of libraries are noticed only where they report their end (mDNS, buttons).

use std::any::Any;
use std::fmt::Display;
use std::future;
use std::panic::AssertUnwindSafe;
use std::thread;

use anyhow::{Context, anyhow, bail};
use futures_util::FutureExt;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{self, JoinHandle};
use tokio_util::sync::CancellationToken;

/// Watches tasks and threads. Clones report to the same [`Failures`].
#[derive(Clone)]
pub struct Supervisor {
    failures: mpsc::UnboundedSender<anyhow::Error>,
    #[cfg(test)]
    pub(crate) sabotage: std::sync::Arc<sabotage::Sabotage>,
}

/// The failures of the watched tasks.
pub struct Failures(mpsc::UnboundedReceiver<anyhow::Error>);

impl Failures {
    /// Resolves with the next failure.
    pub async fn next(&mut self) -> anyhow::Error {
        match self.0.recv().await {
            Some(failure) => failure,
            None => future::pending().await,
        }
    }

    /// The next failure that has been reported already, if there is one.
    pub fn try_next(&mut self) -> Option<anyhow::Error> {
        self.0.try_recv().ok()
    }
}

impl Supervisor {
    /// A supervisor that watches nothing yet.
    pub fn new() -> (Supervisor, Failures) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let supervisor = Supervisor {
            failures: sender,
            #[cfg(test)]
            sabotage: Default::default(),
        };
        (supervisor, Failures(receiver))
    }

    /// Spawns a task that ends by itself after `stop`; ending earlier is a failure.
    pub fn spawn(
        &self,
        name: impl Display,
        stop: &CancellationToken,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) -> JoinHandle<()> {
        task::spawn(self.watch(name, stop, task))
    }

    /// The same for a future that must stay in one thread: it gets a thread and a runtime of its own.
    pub fn spawn_thread<F: Future<Output = anyhow::Result<()>>>(
        &self,
        name: &str,
        stop: &CancellationToken,
        stack_size: usize,
        future: impl FnOnce() -> F + Send + 'static,
    ) -> JoinHandle<()> {
        let (sender, ended) = oneshot::channel();
        let body = move || {
            let runtime = Builder::new_current_thread().enable_all().build();
            let result = runtime
                .map_err(anyhow::Error::from)
                .and_then(|runtime| runtime.block_on(future()));
            // Nobody waits for it any more where the service stops without it.
            let _ = sender.send(result);
        };
        let thread = thread::Builder::new()
            .name(name.into())
            .stack_size(stack_size)
            .spawn(body);
        self.spawn(name, stop, async {
            thread.context("cannot start its thread")?;
            // Its end without a result is a panic, whose message is in the log.
            ended.await.unwrap_or_else(|_| bail!("its thread panicked"))
        })
    }

    /// Spawns a task that is dropped at `stop`; ending earlier is a failure.
    pub fn spawn_until(
        &self,
        name: impl Display,
        stop: &CancellationToken,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) -> JoinHandle<()> {
        let stopped = stop.clone().cancelled_owned();
        self.spawn(name, stop, async move {
            tokio::select! {
                () = stopped => Ok(()),
                ended = task => ended,
            }
        })
    }

    /// Spawns a task that may end at any time, such as a connection's.
    pub fn spawn_short(
        &self,
        name: impl Display,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<()> {
        let stopped = CancellationToken::new();
        stopped.cancel();
        self.spawn(name, &stopped, task.map(Ok))
    }

    /// The same task, watched: for a thread to block on.
    pub fn watch(
        &self,
        name: impl Display,
        stop: &CancellationToken,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (name, stop, failures) = (name.to_string(), stop.clone(), self.failures.clone());
        #[cfg(test)]
        self.sabotage.add(&name);
        #[cfg(test)]
        let task = self.sabotage.clone().sabotaged(name.clone(), task);
        // Boxed: the future below would hold the task twice, once until its first poll and once while it runs.
        let task = Box::pin(task);
        async move {
            let failure = match AssertUnwindSafe(task).catch_unwind().await {
                Ok(Ok(())) if stop.is_cancelled() => return,
                Ok(Ok(())) => anyhow!("{name}: ended early"),
                Ok(Err(error)) => error.context(name),
                Err(panic) => anyhow!("{name}: panicked: {}", message(&*panic)),
            };
            // Nobody listens any more once the service has stopped.
            let _ = failures.send(failure);
        }
    }
}

/// The message of a panic.
fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let string = || panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(string).unwrap_or("no message")
}

/// Asks a loop whether it still runs.
#[derive(Clone)]
pub struct Probe(mpsc::Sender<oneshot::Sender<()>>);

/// The loop's side of a [`Probe`].
pub struct Heartbeat(mpsc::Receiver<oneshot::Sender<()>>);

/// A probe and the heartbeat that answers it.
pub fn heartbeat() -> (Probe, Heartbeat) {
    // One is enough: whoever asks waits for the answer.
    let (sender, receiver) = mpsc::channel(1);
    (Probe(sender), Heartbeat(receiver))
}

impl Probe {
    /// Resolves once the loop answers: not while it hangs, nor after its end.
    pub async fn answered(&self) {
        let (sender, answer) = oneshot::channel();
        if self.0.send(sender).await.is_err() || answer.await.is_err() {
            future::pending().await
        }
    }
}

impl Heartbeat {
    /// Waits for a probe and answers it: a branch of the loop's `select!`.
    pub async fn beat(&mut self) {
        match self.0.recv().await {
            // Whoever asked may have given up waiting.
            Some(probe) => drop(probe.send(())),
            None => future::pending().await,
        }
    }
}

/// Makes tasks panic in tests.
#[cfg(test)]
pub(crate) mod sabotage {
    use std::sync::{Arc, Mutex};

    use tokio::sync::Notify;

    /// The names of the watched tasks, and the one that is to panic.
    #[derive(Default)]
    pub struct Sabotage {
        names: Mutex<Vec<String>>,
        victim: Mutex<Option<String>>,
        changed: Notify,
    }

    impl Sabotage {
        /// The names of all tasks watched so far.
        pub fn names(&self) -> Vec<String> {
            self.names.lock().unwrap().clone()
        }

        /// Makes the task of this name panic.
        pub fn make_panic(&self, name: &str) {
            *self.victim.lock().unwrap() = Some(name.into());
            self.changed.notify_waiters();
        }

        pub(super) fn add(&self, name: &str) {
            self.names.lock().unwrap().push(name.into());
        }

        pub(super) async fn sabotaged<T>(
            self: Arc<Sabotage>,
            name: String,
            task: impl Future<Output = T>,
        ) -> T {
            let panic = async {
                loop {
                    let changed = self.changed.notified();
                    if self.victim.lock().unwrap().as_ref() == Some(&name) {
                        panic!("as the test wants");
                    }
                    changed.await;
                }
            };
            tokio::select! {
                biased;
                () = panic => unreachable!(),
                ended = task => ended,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_panic_an_error_and_an_early_end_are_failures_that_name_the_task() {
        let (supervisor, mut failures) = Supervisor::new();
        let stop = CancellationToken::new();
        supervisor.spawn("one", &stop, async { panic!("no {}", "luck") });
        let failure = failures.next().await;
        assert_eq!(failure.to_string(), "one: panicked: no luck");
        supervisor.spawn("two", &stop, async { bail!("out of memory") });
        let failure = failures.next().await;
        assert_eq!(format!("{failure:#}"), "two: out of memory");
        supervisor.spawn_until("three", &stop, async { Ok(()) });
        assert_eq!(failures.next().await.to_string(), "three: ended early");
        supervisor.spawn_short("four", async { panic!("late") });
        assert_eq!(failures.next().await.to_string(), "four: panicked: late");
        supervisor.spawn_thread("five", &stop, 1 << 20, || async { panic!("in a thread") });
        let failure = format!("{:#}", failures.next().await);
        assert_eq!(failure, "five: its thread panicked");
        supervisor.spawn_thread("six", &stop, 1 << 20, || async { bail!("no network") });
        assert_eq!(format!("{:#}", failures.next().await), "six: no network");
    }

    #[tokio::test(start_paused = true)]
    async fn ending_at_the_stop_is_no_failure() {
        let (supervisor, mut failures) = Supervisor::new();
        let stop = CancellationToken::new();
        let one = supervisor.spawn_until("one", &stop, future::pending());
        let two = supervisor.spawn_short("two", async {});
        stop.cancel();
        one.await.unwrap();
        two.await.unwrap();
        let failed = timeout(Duration::from_secs(1), failures.next()).await;
        assert!(failed.is_err(), "{failed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_hangs_or_has_ended_does_not_answer() {
        let (probe, mut heartbeat) = heartbeat();
        let second = Duration::from_secs(1);
        assert!(timeout(second, probe.answered()).await.is_err(), "hangs");
        let beating = tokio::spawn(async move {
            heartbeat.beat().await;
            heartbeat.beat().await;
        });
        timeout(second, probe.answered()).await.unwrap();
        beating.abort();
        let _ = beating.await;
        assert!(
            timeout(second, probe.answered()).await.is_err(),
            "has ended"
        );
    }
}
