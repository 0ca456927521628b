//! Requests for backups. The store has what is in them, so inputs ask it, by [`Backups`].

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::actor::Actor;
use super::backup::Restored;
use super::command::CommandError;

/// Longest wait for the store, which may be waiting for the disk.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// The most requests that wait for the store.
const MAX_WAITING: usize = 16;

/// Why there is no backup, or why one is not restored. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BackupError {
    /// The store cannot do it now.
    #[error("{0}")]
    Unavailable(String),
    /// The file is no backup.
    #[error("not a backup of dimmer: {0}")]
    Malformed(String),
    /// A value in the file is not allowed.
    #[error("{0}")]
    OutOfRange(String),
    /// The command is refused.
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl BackupError {
    /// The error of one backup too many.
    pub fn too_many() -> BackupError {
        BackupError::Unavailable("too many backups at once; try again later".into())
    }
}

/// A request to the store, with where the answer goes.
pub enum BackupRequest {
    /// Make a backup.
    Make(oneshot::Sender<Result<Vec<u8>, BackupError>>),
    /// Restore this file on behalf of the actor.
    Restore(
        Vec<u8>,
        Actor,
        oneshot::Sender<Result<Restored, BackupError>>,
    ),
}

/// Asks the store for backups.
#[derive(Clone)]
pub struct Backups(mpsc::Sender<BackupRequest>);

impl Backups {
    /// With the end for the store.
    pub fn new() -> (Backups, mpsc::Receiver<BackupRequest>) {
        let (requests, store) = mpsc::channel(MAX_WAITING);
        (Backups(requests), store)
    }

    /// A backup of what is kept and set now.
    ///
    /// # Errors
    /// [`BackupError::Unavailable`].
    pub async fn make(&self) -> Result<Vec<u8>, BackupError> {
        self.ask(BackupRequest::Make).await
    }

    /// Restores a backup, all of it or nothing.
    ///
    /// # Errors
    /// [`BackupError`].
    pub async fn restore(&self, file: Vec<u8>, actor: Actor) -> Result<Restored, BackupError> {
        self.ask(|answer| BackupRequest::Restore(file, actor, answer))
            .await
    }

    /// If this ends before there is an answer, the store does nothing.
    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, BackupError>>) -> BackupRequest,
    ) -> Result<T, BackupError> {
        let unavailable = |why: &str| BackupError::Unavailable(why.into());
        let (answer, answered) = oneshot::channel();
        self.0
            .try_send(request(answer))
            .map_err(|_| BackupError::too_many())?;
        match timeout(MAX_WAIT, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(unavailable("the service stops")),
            Err(_) => Err(unavailable("the disk does not answer; try again later")),
        }
    }
}
