//! What this dimmer left on the broker under a former node name or discovery prefix: [`Former`] removes
//! it. Otherwise Home Assistant would show lights for ever that nobody can switch.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::discovery;
use super::topics::{ONLINE, Subject, Topics};
use crate::config::MqttConfig;

/// The name of the file in the state folder that has the present [`Identity`] for the next start.
const FILE: &str = "mqtt.json";

/// What the topics of a dimmer depend on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Identity {
    node: String,
    discovery_prefix: String,
}

impl Identity {
    fn topics(&self) -> Topics {
        Topics::new(&self.node, &self.discovery_prefix)
    }
}

/// How far the removal is.
#[derive(Debug)]
enum Stage {
    /// There is nothing to remove.
    Done,
    /// Another dimmer may have the former name by now: the status in its topic says so.
    Asking(Identity),
    /// What is still there is removed as it arrives.
    Removing(Identity),
}

/// The former identity of this dimmer.
pub struct Former {
    file: PathBuf,
    now: Identity,
    stage: Mutex<Stage>,
}

impl Former {
    /// Reads the identity of the run before.
    pub fn read(config: &MqttConfig) -> Former {
        let file = config.state_dir.join(FILE);
        let now = Identity {
            node: config.node.clone(),
            discovery_prefix: config.discovery_prefix.clone(),
        };
        let before = fs::read(&file).ok();
        let before = before.and_then(|text| serde_json::from_slice::<Identity>(&text).ok());
        let stage = match before {
            Some(before) if before.node != now.node => Stage::Asking(before),
            Some(before) if before != now => Stage::Removing(before),
            Some(_) => Stage::Done,
            None => {
                remember(&file, &now);
                Stage::Done
            }
        };
        Former {
            file,
            now,
            stage: Mutex::new(stage),
        }
    }

    /// The topics to subscribe to on a new connection.
    pub fn topics(&self) -> Vec<String> {
        match &*self.stage() {
            Stage::Done => vec![],
            Stage::Asking(before) => vec![before.topics().status()],
            Stage::Removing(before) => {
                remember(&self.file, &self.now);
                before.topics().all_discoveries()
            }
        }
    }

    /// Handles a message that is retained or empty. Returns the topics to be emptied, and whether [`Former::topics`] are
    /// others now.
    pub fn handle(&self, topic: &str, payload: &[u8]) -> (Vec<String>, bool) {
        let mut stage = self.stage();
        match &*stage {
            Stage::Asking(before) if topic == before.topics().status() => {
                let node = &before.node;
                if payload == ONLINE.as_bytes() {
                    info!("mqtt: another dimmer is {node} by now, so its messages stay");
                    *stage = Stage::Done;
                    remember(&self.file, &self.now);
                    return (vec![], false);
                }
                info!("mqtt: removing what this dimmer left on the broker as {node}");
                *stage = Stage::Removing(before.clone());
                (vec![topic.into()], true)
            }
            Stage::Removing(before) => {
                let topics = before.topics();
                let Some(Subject::Discovery(platform, object)) = topics.subject(topic) else {
                    return (vec![], false);
                };
                if discovery::parse(payload).is_some() {
                    (vec![topic.into()], false)
                } else if payload.is_empty() && before.node != self.now.node {
                    // Home Assistant would warn of an empty state before.
                    (topics.states_of(platform, object), false)
                } else {
                    (vec![], false)
                }
            }
            Stage::Asking(_) | Stage::Done => (vec![], false),
        }
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remember(file: &Path, identity: &Identity) {
    let text = serde_json::to_string(identity).unwrap_or_default();
    // Nothing may have been stored yet.
    let folder = file.parent().map_or(Ok(()), fs::create_dir_all);
    if let Err(error) = folder.and_then(|()| fs::write(file, text)) {
        warn!("mqtt: cannot write {}: {error}", file.display());
    }
}
