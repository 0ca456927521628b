//! The names of the topics.

use crate::config::GROUP;

/// Where Home Assistant says that it has started, whatever its discovery prefix.
pub const BIRTH: &str = "homeassistant/status";

/// The topics of one dimmer.
pub struct Topics {
    /// Of everything that is its own: `dimmer/kitchen`.
    own: String,
    /// Of its lights' discovery: `homeassistant/light/kitchen`.
    discovery: String,
}

/// What a message is about.
#[derive(Debug, PartialEq)]
pub enum Subject<'a> {
    /// A command to this light.
    Light(&'a str),
    /// A command to all lights of this group.
    Group(&'a str),
    /// The discovery of this light of this dimmer.
    Discovery(&'a str),
    /// Home Assistant comes or goes.
    Birth,
}

impl Topics {
    /// Those of the dimmer called `node`.
    pub fn new(node: &str, discovery_prefix: &str) -> Topics {
        Topics {
            own: format!("dimmer/{node}"),
            discovery: format!("{discovery_prefix}/light/{node}"),
        }
    }

    /// Whether the dimmer is there: `online` or `offline`.
    pub fn status(&self) -> String {
        format!("{}/status", self.own)
    }

    /// What a light is set to.
    pub fn state(&self, light: &str) -> String {
        format!("{}/{light}/state", self.own)
    }

    /// Commands to a light; `+` for every light.
    pub fn set(&self, light: &str) -> String {
        format!("{}/{light}/set", self.own)
    }

    /// What Home Assistant has to know of a light; `+` for every light.
    pub fn discovery(&self, light: &str) -> String {
        format!("{}/{light}/config", self.discovery)
    }

    /// What a topic says that its message is about.
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

/// Commands to a group.
pub fn group(name: &str) -> String {
    format!("dimmer/{GROUP}/{name}/set")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_says_what_its_message_is_about() {
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
}
