//! What stands in for Matter where dimmer is built without it: the settings refuse it then, so it never runs.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use tokio_util::sync::CancellationToken;

use crate::model::hub::Hub;
use crate::model::matter::MatterEnd;

/// As there is no stack.
pub const STACK_SIZE: usize = 0;

/// Refuses.
///
/// # Errors
/// Always.
pub async fn run(
    _: Arc<Hub>,
    _: PathBuf,
    _: MatterEnd,
    _: CancellationToken,
) -> anyhow::Result<()> {
    bail!("this dimmer is built without Matter, the Cargo feature matter")
}
