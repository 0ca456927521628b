//! systemd: socket activation, readiness, status line and watchdog.
//!
//! If systemd does not run the service, nothing here has any effect.

use std::env;
use std::future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::net::TcpListener;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::model::lights::{Light, LightState, Lights};
use crate::platform::supervisor::Probe;

/// Shortest time between two status lines, so that a dragged slider does not flood systemd.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);

/// The listening socket that systemd passes, if there is one. During a restart, a new connection then
/// waits in the queue of the socket instead of being refused.
///
/// # Errors
/// systemd passes anything but one TCP socket.
pub fn listener() -> anyhow::Result<Option<TcpListener>> {
    let mut sockets = ListenFd::from_env();
    let count = sockets.len();
    ensure!(
        count <= 1,
        "systemd passes {count} sockets, but dimmer takes one: leave one ListenStream= in dimmer.socket"
    );
    let Some(listener) = sockets.take_tcp_listener(0).context(
        "the socket from systemd is not for TCP: set ListenStream=5000 in dimmer.socket",
    )?
    else {
        return Ok(None);
    };
    listener.set_nonblocking(true)?;
    Ok(Some(TcpListener::from_std(listener)?))
}

/// Notifies systemd when the service is ready, of the levels of its lights and of its liveness, and when
/// `stop` is cancelled. Each probed loop has a name for the log.
pub async fn run(lights: Arc<Lights>, probes: Vec<(String, Probe)>, stop: CancellationToken) {
    if env::var_os("NOTIFY_SOCKET").is_none() {
        return stop.cancelled().await;
    }
    notify(NotifyState::Ready);
    tokio::select! {
        () = stop.cancelled() => {}
        () = notify_levels(&lights) => {}
        () = notify_alive(&probes) => {}
    }
    notify(NotifyState::Stopping);
}

fn notify(state: NotifyState) {
    if let Err(error) = sd_notify::notify(&[state]) {
        debug!("cannot notify systemd: {error}");
    }
}

/// Reports every change of the levels, and sleeps while there is none.
async fn notify_levels(lights: &Lights) {
    let mut watch = lights.watch();
    let mut reported = String::new();
    loop {
        let status = status(lights.list(), &watch.borrow_and_update());
        if status != reported {
            notify(NotifyState::Status(&status));
            reported = status;
            // Changes during the pause are seen after it.
            sleep(STATUS_INTERVAL).await;
        }
        if watch.changed().await.is_err() {
            // Cannot fail: the hub outlives this task.
            future::pending().await
        }
    }
}

/// A line for `systemctl status`.
fn status(lights: &[Light], states: &[LightState]) -> String {
    let texts: Vec<_> = lights
        .iter()
        .zip(states)
        .map(|(Light { name, .. }, state)| match &state.fault {
            Some(fault) => format!("{name} {} % but {}", state.level, fault.message),
            None => format!("{name} {} %", state.level),
        })
        .collect();
    texts.join(", ")
}

/// Notifies the watchdog twice in each of its periods, but only while every probed loop answers.
async fn notify_alive(probes: &[(String, Probe)]) {
    let Some(watchdog) = sd_notify::watchdog_enabled().filter(|time| !time.is_zero()) else {
        return future::pending().await;
    };
    let mut ticks = interval(watchdog / 2);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for (name, probe) in probes {
            let mut answered = pin!(probe.answered());
            if timeout(watchdog / 4, &mut answered).await.is_err() {
                warn!("{name} hangs");
                answered.await;
            }
        }
        notify(NotifyState::Watchdog);
    }
}
