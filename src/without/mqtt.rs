//! What stands in for MQTT where dimmer is built without it. The settings have no broker then, so it never runs.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::config::MqttConfig;
use crate::metrics::Flag;
use crate::model::hub::Hub;

/// Publishes nothing.
pub async fn run(
    _: Arc<Hub>,
    _: Option<String>,
    _: MqttConfig,
    _: Arc<Flag>,
    stop: CancellationToken,
) {
    stop.cancelled().await;
}
