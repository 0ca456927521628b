//! Makes this dimmer a bridge of Matter, so that the home apps of phones control its lights without a broker.
//!
//! rs-matter does the protocol; its interface changes often, so nothing outside this folder knows it. The clusters here
//! translate to commands of the hub, and [`reports`] tells subscribers what has changed.
//!
//! rs-matter's futures stay in one thread, so the stack has one of its own.

mod bridge;
mod bridged_info;
mod disk;
mod endpoints;
mod identify;
mod identity;
mod level;
mod level_control;
mod mdns;
mod on_off;
mod reports;
mod requests;
mod socket;
mod stack;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, anyhow};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::model::hub::Hub;
use crate::model::matter::MatterEnd;

/// The stack's futures are large, and are on the stack of its thread. Only what is used of it is memory.
const STACK_SIZE: usize = 8 << 20;

/// Serves Matter until `stop`; what is paired is kept in `folder`.
///
/// # Errors
/// The stack cannot start, or has failed.
pub async fn run(
    hub: Arc<Hub>,
    folder: PathBuf,
    end: MatterEnd,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let (sender, ended) = oneshot::channel();
    let body = move || {
        let result = serve(hub, folder, end, stop);
        // Nobody waits for it any more if the service has stopped without it.
        let _ = sender.send(result);
    };
    thread::Builder::new()
        .name("matter".into())
        .stack_size(STACK_SIZE)
        .spawn(body)
        .context("cannot start the thread of Matter")?;
    ended.await.map_err(|_| anyhow!("its thread panicked"))?
}

fn serve(
    hub: Arc<Hub>,
    folder: PathBuf,
    end: MatterEnd,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime of Matter")?;
    runtime.block_on(stack::run(hub, &folder, end, stop))
}
