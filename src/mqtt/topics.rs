//! The topics, and the payloads that say whether a program is online.

use crate::config::GROUP;

/// The topic where Home Assistant publishes that it has started, whatever its discovery prefix.
pub const BIRTH: &str = "homeassistant/status";

/// Payload of a program that is connected to the broker.
pub const ONLINE: &str = "online";
/// Payload of a program that is not, as its last will.
pub const OFFLINE: &str = "offline";

/// The kinds of entities of Home Assistant that a dimmer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Platform {
    Light,
    Number,
    Button,
    BinarySensor,
    Select,
}

impl Platform {
    pub const ALL: [Platform; 5] = [
        Platform::Light,
        Platform::Number,
        Platform::Button,
        Platform::BinarySensor,
        Platform::Select,
    ];

    /// The name in topics and in entity ids.
    pub fn name(self) -> &'static str {
        match self {
            Platform::Light => "light",
            Platform::Number => "number",
            Platform::Button => "button",
            Platform::BinarySensor => "binary_sensor",
            Platform::Select => "select",
        }
    }
}

/// The topics of one dimmer.
pub struct Topics {
    /// Prefix of the dimmer's own topics: `dimmer/kitchen`.
    own: String,
    /// Prefix of all discovery: `homeassistant`.
    discovery_prefix: String,
    /// The dimmer's name: `kitchen`.
    node: String,
}

/// The subject of a message, by its topic.
#[derive(Debug, PartialEq)]
pub enum Subject<'a> {
    /// A command to this light.
    Light(&'a str),
    /// A command to all lights of this group.
    Group(&'a str),
    /// A command of Home Assistant about this light.
    HomeAssistant(&'a str),
    /// The preset to recall.
    Recall,
    /// The discovery of an entity of this dimmer.
    Discovery(Platform, &'a str),
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
            discovery_prefix: discovery_prefix.into(),
            node: node.into(),
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

    /// What Home Assistant is to know of a light.
    pub fn home_assistant_state(&self, light: &str) -> String {
        format!("{}/{light}/ha/state", self.own)
    }

    /// Commands of Home Assistant about a light; `+` for every light.
    pub fn home_assistant_set(&self, light: &str) -> String {
        format!("{}/{light}/ha/set", self.own)
    }

    /// The preset that the lights are set to.
    pub fn preset(&self) -> String {
        format!("{}/preset", self.own)
    }

    /// The preset to recall.
    pub fn recall(&self) -> String {
        format!("{}/recall", self.own)
    }

    /// The description of an entity for Home Assistant; `+` for every object.
    pub fn discovery(&self, platform: Platform, object: &str) -> String {
        let (prefix, platform, node) = (&self.discovery_prefix, platform.name(), &self.node);
        format!("{prefix}/{platform}/{node}/{object}/config")
    }

    /// The descriptions of all entities: what to subscribe to.
    pub fn all_discoveries(&self) -> Vec<String> {
        Platform::ALL
            .map(|platform| self.discovery(platform, "+"))
            .into()
    }

    /// The topics with the state of an entity, which no other entity has.
    pub fn states_of(&self, platform: Platform, object: &str) -> Vec<String> {
        match platform {
            Platform::Light => vec![self.state(object), self.home_assistant_state(object)],
            Platform::Select => vec![self.preset()],
            Platform::Number | Platform::Button | Platform::BinarySensor => vec![],
        }
    }

    /// The subject of a topic; `None` if it is of no interest.
    pub fn subject<'a>(&self, topic: &'a str) -> Option<Subject<'a>> {
        if topic == BIRTH {
            return Some(Subject::Birth);
        }
        if let Some(group) = between(topic, &format!("dimmer/{GROUP}"), "set") {
            return Some(Subject::Group(group));
        }
        if topic == self.recall() {
            return Some(Subject::Recall);
        }
        if let Some(light) = between(topic, &self.own, "ha/set") {
            return Some(Subject::HomeAssistant(light));
        }
        if let Some(light) = between(topic, &self.own, "set") {
            return Some(Subject::Light(light));
        }
        Platform::ALL.into_iter().find_map(|platform| {
            let (prefix, node) = (&self.discovery_prefix, &self.node);
            let start = format!("{prefix}/{}/{node}", platform.name());
            between(topic, &start, "config").map(|object| Subject::Discovery(platform, object))
        })
    }
}

/// What stands between `start/` and `/end` in a topic.
fn between<'a>(topic: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let rest = topic.strip_prefix(start)?.strip_prefix('/')?;
    rest.strip_suffix(end)?.strip_suffix('/')
}

/// The discovery of every light of every dimmer.
pub fn all_discoveries(discovery_prefix: &str) -> String {
    Topics::new("+", discovery_prefix).discovery(Platform::Light, "+")
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
            (
                topics.home_assistant_set("led"),
                Some(Subject::HomeAssistant("led")),
            ),
            (topics.recall(), Some(Subject::Recall)),
            (
                topics.discovery(Platform::BinarySensor, "led_fault"),
                Some(Subject::Discovery(Platform::BinarySensor, "led_fault")),
            ),
            (BIRTH.into(), Some(Subject::Birth)),
            (topics.state("led"), None),
            (topics.home_assistant_state("led"), None),
            (topics.preset(), None),
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
                attic.discovery(Platform::Light, light),
                Some(PeerSubject::Discovery { node, light }),
            ),
            (attic.status(), Some(PeerSubject::Status(node))),
            (attic.state(light), Some(PeerSubject::State("attic/led"))),
            (attic.set(light), None),
            (attic.discovery(Platform::Number, "led_speed"), None),
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
