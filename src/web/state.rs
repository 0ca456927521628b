//! The state that request handlers share.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::limiter::ConnectionLimiter;
use super::listener::Peer;
use super::live::fanout::Fanout;
use crate::metrics::Metrics;
use crate::model::actor::Actor;
use crate::model::backup_requests::Backups;
use crate::model::command::{Command, CommandError, Outcome};
use crate::model::hub::Hub;
use crate::model::matter::Matter;
use crate::platform::supervisor::Supervisor;
use crate::protocol::resource::DoctorResource;

/// Says what drives the pins and what would be better. It reads files, so it may block.
pub type Doctor = Arc<dyn Fn() -> DoctorResource + Send + Sync>;

/// The router's state.
#[derive(Clone)]
pub struct AppState {
    pub hub: Arc<Hub>,
    pub backups: Backups,
    pub doctor: Doctor,
    /// Matter, if it is on.
    pub matter: Option<Matter>,
    /// The permit to ask the doctor: one after another, so that many clients together cannot take all cores.
    pub consultation: Arc<Semaphore>,
    /// Permits for bodies of the size of a backup, so that many clients together cannot fill the memory.
    pub large_bodies: Arc<Semaphore>,
    pub metrics: Arc<Metrics>,
    /// Limits and counts the connected clients.
    pub clients: Arc<ConnectionLimiter>,
    pub fanout: Arc<Fanout>,
    /// Watches the tasks of clients.
    pub supervisor: Supervisor,
    pub stop: CancellationToken,
}

impl AppState {
    /// Carries out a command of a request to the REST API.
    ///
    /// # Errors
    /// As [`Hub::execute`].
    pub fn execute(&self, peer: &Peer, command: Command) -> Result<Outcome, CommandError> {
        self.hub.execute(&Actor::Api(peer.address()), command)
    }
}
