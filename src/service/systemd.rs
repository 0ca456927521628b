//! Socket activation, readiness, status line and watchdog.
//!
//! Where systemd does not run the service, nothing here does anything.

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

/// Shortest time between two status lines: a slider that is dragged is no news to systemd.
const STATUS: Duration = Duration::from_secs(1);

/// The listening socket that systemd hands over, if it does. A page that opens during a restart
/// then waits in its queue instead of failing.
///
/// # Errors
/// It hands over anything but one TCP socket.
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

/// Tells systemd that the service is ready, then the levels of its lights and that it is alive, and at
/// last that it stops. Each loop that is probed has a name for the log.
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
        debug!("cannot tell systemd: {error}");
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
            sleep(STATUS).await;
        }
        if watch.changed().await.is_err() {
            // Cannot fail: the hub outlives this task.
            future::pending().await
        }
    }
}

/// The lights in a line for `systemctl status`.
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

/// Notifies the watchdog twice within its time, but only if every probed loop answers.
async fn notify_alive(probes: &[(String, Probe)]) {
    let Some(patience) = sd_notify::watchdog_enabled().filter(|time| !time.is_zero()) else {
        return future::pending().await;
    };
    let mut ticks = interval(patience / 2);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for (name, probe) in probes {
            let mut answered = pin!(probe.answered());
            if timeout(patience / 4, &mut answered).await.is_err() {
                warn!("{name} hangs");
                answered.await;
            }
        }
        notify(NotifyState::Watchdog);
    }
}
