//! What systemd and the service tell each other: the socket that systemd keeps open across restarts,
//! and that the service is ready, stopping, alive, and at which levels.
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
use crate::pin::Follower;

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

/// Says that the service is ready, then what its lights are at and that it is alive, and at last
/// that it stops.
pub async fn follow(lights: Arc<Lights>, pins: Vec<Follower>, stop: CancellationToken) {
    if env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    say(NotifyState::Ready);
    tokio::select! {
        () = stop.cancelled() => {}
        () = tell_levels(&lights) => {}
        () = tell_alive(&pins) => {}
    }
    say(NotifyState::Stopping);
}

fn say(news: NotifyState) {
    if let Err(error) = sd_notify::notify(&[news]) {
        debug!("cannot tell systemd: {error}");
    }
}

/// Tells every change of the levels, and sleeps while there is none.
async fn tell_levels(lights: &Lights) {
    let mut watch = lights.watch();
    let mut told = String::new();
    loop {
        let status = status(lights.list(), &watch.borrow_and_update());
        if status != told {
            say(NotifyState::Status(&status));
            told = status;
            // Changes during the pause are seen after it.
            sleep(STATUS).await;
        }
        if watch.changed().await.is_err() {
            // The lights outlive their followers.
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

/// Tells twice within systemd's patience that the service is alive: that this task runs and that
/// every pin's thread answers.
async fn tell_alive(pins: &[Follower]) {
    let Some(patience) = sd_notify::watchdog_enabled().filter(|time| !time.is_zero()) else {
        return future::pending().await;
    };
    let mut ticks = interval(patience / 2);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for pin in pins {
            let mut answer = pin!(pin.answers());
            if timeout(patience / 4, &mut answer).await.is_err() {
                warn!("light {}: its driver hangs", pin.light);
                answer.await;
            }
        }
        say(NotifyState::Watchdog);
    }
}
