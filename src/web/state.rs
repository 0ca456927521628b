//! What every request handler can reach.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::limiter::ConnectionLimiter;
use super::listener::Peer;
use super::live::fanout::Fanout;
use crate::metrics::Metrics;
use crate::model::activity::{Action, Actor};
use crate::model::hub::Hub;

/// The router's state.
#[derive(Clone)]
pub struct AppState {
    pub hub: Arc<Hub>,
    pub metrics: Arc<Metrics>,
    pub clients: Arc<ConnectionLimiter>,
    pub fanout: Arc<Fanout>,
    pub stop: CancellationToken,
}

impl AppState {
    /// Takes note of what a request to the API did.
    pub fn note(&self, peer: &Peer, action: Action) {
        self.hub.activity.note(Actor::Api(peer.address()), action);
    }
}
