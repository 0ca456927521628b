//! Makes and restores backups by the REST API of a running service.

use anyhow::Context;
use axum::http::Method;
use serde::Deserialize;

use super::endpoint::{ServiceArgs, unexpected};
use super::rest::request;
use crate::model::backup::Restored;

const PATH: &str = "/api/backup";

/// What the service has restored.
#[derive(Deserialize)]
struct ReceivedRestored {
    lights: usize,
    presets: usize,
    timers: usize,
    notes: Vec<String>,
}

/// A backup of the service, without the settings file.
///
/// # Errors
/// The service cannot be reached, or has no backup.
pub async fn fetch_backup(service: &ServiceArgs) -> anyhow::Result<Vec<u8>> {
    request(service, Method::GET, PATH, Vec::new()).await
}

/// Restores a backup.
///
/// # Errors
/// The service cannot be reached, or refuses the backup; nothing has changed then.
pub async fn restore_backup(service: &ServiceArgs, backup: Vec<u8>) -> anyhow::Result<Restored> {
    let answer = request(service, Method::PUT, PATH, backup).await?;
    let answer = serde_json::from_slice(&answer);
    let answer: ReceivedRestored = answer.with_context(|| unexpected(&service.url))?;
    Ok(Restored {
        lights: answer.lights,
        presets: answer.presets,
        timers: answer.timers,
        notes: answer.notes,
    })
}
