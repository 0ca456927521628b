//! What a client shows of the lights of other dimmers.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::fleet::{Fleet, RemoteLightsByName, RemoteState};
use crate::protocol::server_message::{RemoteUpdate, ServerMessage};

/// What a client shows of them: what it last asked for, or was last told.
#[derive(Default)]
pub struct FleetView {
    /// All lights at the last update.
    all: Arc<RemoteLightsByName>,
    /// `None`: it is unknown what the client shows, so an update is due.
    states: BTreeMap<Arc<str>, Option<RemoteState>>,
}

impl FleetView {
    /// The client shows a light like this; `None` if that is unknown.
    pub fn set(&mut self, name: &str, state: Option<RemoteState>) {
        if let Some(shown) = self.states.get_mut(name) {
            *shown = state;
            self.all = Arc::default();
        }
    }

    /// The message with everything that the client does not show yet, which counts as shown from now on.
    pub fn updates(&mut self, fleet: &Fleet, seen: Option<u64>) -> Option<String> {
        let all = fleet.all();
        if Arc::ptr_eq(&self.all, &all) {
            return None;
        }
        let there = |name: &str| all.get(name).and_then(|light| light.state());
        let gone = self.states.extract_if(.., |name, _| there(name).is_none());
        let gone: Vec<_> = gone.map(|(name, _)| name).collect();
        let mut updates = Vec::new();
        updates.extend(
            gone.iter()
                .map(|light| RemoteUpdate::Gone { light, gone: true }),
        );
        for (light, remote) in all.iter() {
            let Some(state) = remote.state() else {
                continue;
            };
            if self.states.get(light).and_then(Option::as_ref) != Some(state) {
                self.states.insert(light.clone(), Some(state.clone()));
                updates.push(RemoteUpdate::new(light, state));
            }
        }
        let message = (!updates.is_empty()).then(|| {
            ServerMessage::Fleet {
                fleet: updates,
                seen,
            }
            .to_json()
        });
        self.all = all;
        message
    }
}
