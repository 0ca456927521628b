//! Does what people ask of Matter, and publishes what is paired.

use std::cell::Cell;
use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::Duration;

use rs_matter::Matter;
use rs_matter::dm::HandlerContext;
use rs_matter::error::Error;
use rs_matter::fabric::FabricPersist;
use rs_matter::sc::pase::CommWindowState;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep};
use tracing::info;

use super::bridge::MatterBridge;
use crate::model::matter::{
    Codes, Fabric, MatterError, MatterRequest, MatterState, PairingCommand, WINDOW, Window,
};

/// How often to look for what nobody reports: a label, or a window that has ended.
const LOOK: Duration = Duration::from_secs(5);

/// Answers requests, and publishes the state.
pub struct Requests<'a> {
    pub bridge: &'a MatterBridge,
    pub matter: &'a Matter<'a>,
    pub codes: Codes,
    pub state: &'a watch::Sender<MatterState>,
    /// Is notified when the services in mDNS may have changed.
    pub services: &'a Notify,
    /// Is notified when fabrics or the window have changed.
    pub changed: &'a Notify,
    /// When the window that was opened here ends.
    pub until: Cell<Instant>,
}

impl Requests<'_> {
    /// Never returns.
    pub async fn run(
        &self,
        stack: &impl HandlerContext,
        requests: &mut mpsc::Receiver<MatterRequest>,
    ) {
        // Somebody who has just put it up wants to pair it.
        if !self.matter.has_fabrics() {
            let _ = self.open(stack);
        }
        loop {
            self.publish();
            tokio::select! {
                request = requests.recv() => match request {
                    Some((command, answer)) => {
                        let done = self.execute(stack, command);
                        self.publish();
                        // Whoever asked may have given up waiting.
                        let _ = answer.send(done);
                    }
                    None => return std::future::pending().await,
                },
                () = self.changed.notified() => {}
                () = sleep(LOOK) => {}
            }
        }
    }

    fn execute(
        &self,
        stack: &impl HandlerContext,
        command: PairingCommand,
    ) -> Result<(), MatterError> {
        let failed = |error: Error| MatterError::Unavailable(format!("{:?}", error.code()));
        match command {
            PairingCommand::Open => self.open(stack).map_err(failed),
            PairingCommand::Close => self.close(stack).map_err(failed),
            PairingCommand::Remove(index) => {
                let fabric = NonZeroU8::new(index).ok_or(MatterError::NoSuchFabric(index))?;
                let found = self
                    .matter
                    .with_state(|state| state.fabrics.get(fabric).is_some());
                match found {
                    true => self.remove(stack, fabric).map_err(failed),
                    false => Err(MatterError::NoSuchFabric(index)),
                }
            }
            PairingCommand::Reset => {
                for fabric in self.fabrics() {
                    if let Some(index) = NonZeroU8::new(fabric.index) {
                        self.remove(stack, index).map_err(failed)?;
                    }
                }
                self.bridge.reset().map_err(failed)?;
                self.open(stack).map_err(failed)
            }
        }
    }

    /// Opens the window for [`WINDOW`] from now on.
    fn open(&self, stack: &impl HandlerContext) -> Result<(), Error> {
        // One that a controller has opened has the codes of that one.
        self.close(stack)?;
        let seconds = WINDOW.as_secs() as u16;
        self.matter
            .open_basic_comm_window(seconds, stack.crypto(), stack)?;
        self.until.set(Instant::now() + WINDOW);
        Ok(())
    }

    fn close(&self, stack: &impl HandlerContext) -> Result<(), Error> {
        self.matter.close_comm_window(stack).map(|_| ())
    }

    /// Forgets a fabric: first on the disk, so that a power cut does not bring it back.
    fn remove(&self, stack: &impl HandlerContext, index: NonZeroU8) -> Result<(), Error> {
        FabricPersist::new(stack.kv()).remove(index)?;
        self.matter
            .with_state(|state| state.fabrics.remove(index))?;
        // Another fabric may get this index, and must not get the sessions. rs-matter closes all or none; controllers
        // open theirs again, as after a restart. Its error is about buffers that are in use, which then stay.
        let _ = self.matter.reset_transport();
        stack.notify_fabric_removed(index);
        self.services.notify_one();
        Ok(())
    }

    fn fabrics(&self) -> Vec<Fabric> {
        self.matter.with_state(|state| {
            let fabrics = state.fabrics.iter().map(|fabric| Fabric {
                index: fabric.fab_idx().get(),
                label: Arc::from(fabric.label()),
                vendor: fabric.vendor_id(),
            });
            fabrics.collect()
        })
    }

    fn window(&self) -> Window {
        match self.matter.comm_window_state() {
            CommWindowState::Closed => Window::Closed,
            CommWindowState::Open { opener: Some(_) } => Window::OpenByController,
            CommWindowState::Open { opener: None } => Window::Open {
                until: self.until.get(),
                codes: self.codes.clone(),
            },
        }
    }

    fn publish(&self) {
        let state = MatterState {
            window: self.window(),
            fabrics: self.fabrics(),
        };
        self.state.send_if_modified(|published| {
            log_differences(&published.fabrics, &state.fabrics);
            let differs = *published != state;
            *published = state;
            differs
        });
    }
}

/// Who controls the lights from now on, or no longer, is worth a line for whoever asks later.
fn log_differences(before: &[Fabric], now: &[Fabric]) {
    let missing_in = |fabrics: &[Fabric], fabric: &Fabric| {
        fabrics.iter().all(|other| other.index != fabric.index)
    };
    for Fabric { index, vendor, .. } in now.iter().filter(|fabric| missing_in(before, fabric)) {
        info!("matter: fabric {index} of vendor {vendor:#06x} is paired");
    }
    for Fabric { index, .. } in before.iter().filter(|fabric| missing_in(now, fabric)) {
        info!("matter: fabric {index} is no longer paired");
    }
}
