//! What a client shows of the lights of other dimmers: [`FleetView`].

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::fleet::{Fleet, RemoteLightsByName, RemoteState};
use crate::protocol::server_message::{RemoteUpdate, ServerMessage};

/// What a client shows of each remote light: the state that it last set, or was last sent.
#[derive(Default)]
pub struct FleetView {
    /// The fleet at the last update.
    all: Arc<RemoteLightsByName>,
    /// `None`: it is unknown what the client shows, so an update is due.
    states: BTreeMap<Arc<str>, Option<RemoteState>>,
}

impl FleetView {
    /// Marks this state as what the client shows of a light; `None` if that is unknown.
    pub fn set(&mut self, name: &str, state: Option<RemoteState>) {
        if let Some(shown) = self.states.get_mut(name) {
            *shown = state;
            // So that the next update looks at each light, even if the fleet has not changed.
            self.all = Arc::default();
        }
    }

    /// The message with everything that the client does not show yet, if anything, and marks it as shown.
    pub fn updates(&mut self, fleet: &Fleet, seen: Option<u64>) -> Option<String> {
        let all = fleet.all();
        if Arc::ptr_eq(&self.all, &all) {
            return None;
        }
        let state = |name: &str| all.get(name).and_then(|light| light.state());
        let gone = self.states.extract_if(.., |name, _| state(name).is_none());
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
