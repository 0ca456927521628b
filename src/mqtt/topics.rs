//! The topics, and the payloads that say whether a program is online.

use crate::config::GROUP;

/// The topic where Home Assistant publishes that it has started, whatever its discovery prefix.
pub const BIRTH: &str = "homeassistant/status";

/// Payload of a program that is connected to the broker.
pub const ONLINE: &str = "online";
/// Payload of a program that is not, as its last will.
pub const OFFLINE: &str = "offline";

/// The topics of one dimmer.
pub struct Topics {
    /// Prefix of the dimmer's own topics: `dimmer/kitchen`.
    own: String,
    /// Prefix of the discovery of its lights: `homeassistant/light/kitchen`.
    discovery: String,
}

/// The subject of a message, by its topic.
#[derive(Debug, PartialEq)]
pub enum Subject<'a> {
    /// A command to this light.
    Light(&'a str),
    /// A command to all lights of this group.
    Group(&'a str),
    /// The discovery of this light of this dimmer.
    Discovery(&'a str),
    /// Home Assistant starts or ends.
    Birth,
}

/// The subject of a message about another dimmer, by its topic.
#[derive(Debug, PartialEq)]
pub enum PeerSubject<'a> {
    /// The discovery of a light of the dimmer called `node`.
    Discovery {
        /// The dimmer.
        node: &'a str,
        /// The light.
        light: &'a str,
    },
    /// Whether the dimmer of this name is connected.
    Status(&'a str),
    /// The state of a light, by its name, `node/light`.
    State(&'a str),
}

impl<'a> PeerSubject<'a> {
    /// The subject of a topic; `None` if it is of no interest.
    pub fn of(topic: &'a str, discovery_prefix: &str) -> Option<PeerSubject<'a>> {
        let discovery = topic.strip_prefix(discovery_prefix);
        if let Some(path) = discovery.and_then(|path| path.strip_prefix("/light/")) {
            let (node, light) = path.strip_suffix("/config")?.split_once('/')?;
            return Some(PeerSubject::Discovery { node, light });
        }
        let path = topic.strip_prefix("dimmer/")?;
        let status = path.strip_suffix("/status").map(PeerSubject::Status);
        status.or_else(|| path.strip_suffix("/state").map(PeerSubject::State))
    }
}

impl Topics {
    /// The topics of the dimmer called `node`.
    pub fn new(node: &str, discovery_prefix: &str) -> Topics {
        Topics {
            own: format!("dimmer/{node}"),
            discovery: format!("{discovery_prefix}/light/{node}"),
        }
    }

    /// Whether the dimmer is connected: [`ONLINE`] or [`OFFLINE`].
    pub fn status(&self) -> String {
        format!("{}/status", self.own)
    }

    /// The state of a light.
    pub fn state(&self, light: &str) -> String {
        format!("{}/{light}/state", self.own)
    }

    /// Commands to a light; `+` for every light.
    pub fn set(&self, light: &str) -> String {
        format!("{}/{light}/set", self.own)
    }

    /// The description of a light for Home Assistant; `+` for every light.
    pub fn discovery(&self, light: &str) -> String {
        format!("{}/{light}/config", self.discovery)
    }

    /// The subject of a topic; `None` if it is of no interest.
    pub fn subject<'a>(&self, topic: &'a str) -> Option<Subject<'a>> {
        let between = |start: &str, end: &str| {
            let rest = topic.strip_prefix(start)?.strip_prefix('/')?;
            rest.strip_suffix(end)?.strip_suffix('/')
        };
        if topic == BIRTH {
            return Some(Subject::Birth);
        }
        between(&format!("dimmer/{GROUP}"), "set")
            .map(Subject::Group)
            .or_else(|| between(&self.own, "set").map(Subject::Light))
            .or_else(|| between(&self.discovery, "config").map(Subject::Discovery))
    }
}

/// The discovery of every light of every dimmer.
pub fn all_discoveries(discovery_prefix: &str) -> String {
    Topics::new("+", discovery_prefix).discovery("+")
}

/// Commands to a group.
pub fn group(name: &str) -> String {
    format!("dimmer/{GROUP}/{name}/set")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_has_a_subject() {
        let topics = Topics::new("kitchen", "homeassistant");
        for (topic, subject) in [
            (topics.set("led"), Some(Subject::Light("led"))),
            (group("up"), Some(Subject::Group("up"))),
            (topics.discovery("led"), Some(Subject::Discovery("led"))),
            (BIRTH.into(), Some(Subject::Birth)),
            (topics.state("led"), None),
            ("dimmer/attic/led/set".into(), None),
            ("dimmer/kitchen/set".into(), None),
        ] {
            assert_eq!(topics.subject(&topic), subject, "{topic}");
        }
    }

    #[test]
    fn a_topic_of_another_dimmer_has_a_subject() {
        assert_eq!(
            all_discoveries("homeassistant"),
            "homeassistant/light/+/+/config"
        );
        let attic = Topics::new("attic", "homeassistant");
        let (node, light) = ("attic", "led");
        for (topic, subject) in [
            (
                attic.discovery(light),
                Some(PeerSubject::Discovery { node, light }),
            ),
            (attic.status(), Some(PeerSubject::Status(node))),
            (attic.state(light), Some(PeerSubject::State("attic/led"))),
            (attic.set(light), None),
            (BIRTH.into(), None),
            ("homeassistant/light/attic/config".into(), None),
            ("homeassistant/switch/attic/led/config".into(), None),
            ("homeassistant/light/attic/led/state".into(), None),
        ] {
            let found = PeerSubject::of(&topic, "homeassistant");
            assert_eq!(found, subject, "{topic}");
        }
    }
}
