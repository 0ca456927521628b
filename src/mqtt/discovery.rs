//! The messages by which Home Assistant discovers the entities of this dimmer.
//!
//! There is one for each entity, rather than one for the device, as 2024.11 and newer would also take: 2024.3
//! has no other kind, and other dimmers discover lights for their pages by these.

use serde_json::{Value, json};

use super::message::NO_EFFECT;
use super::topics::{Platform, Topics};
use crate::config::{Entity, MqttConfig};
use crate::model::effect::{EffectKind, Speed};
use crate::model::lights::Light;
use crate::protocol::fields::{FULL_PERMILLE, FieldKind, SLEEP_MINUTES};

/// The name of this program in discovery messages.
const ORIGIN: &str = "dimmer";
/// The object that is the select of presets.
const PRESET: &str = "preset";

/// Describes the entities of one dimmer.
pub struct Discovery {
    node: String,
    topics: Topics,
    entities: Vec<Entity>,
    /// What the entities of the device have in common.
    common: Value,
}

/// A topic, and the message for it.
pub type Message = (String, String);

impl Discovery {
    /// Describes the entities that the settings ask for; `url` is that of the page.
    pub fn new(config: &MqttConfig, url: Option<&str>) -> Discovery {
        let MqttConfig { node, area, .. } = config;
        let topics = Topics::new(node, &config.discovery_prefix);
        let version = env!("CARGO_PKG_VERSION");
        let mut device = json!({
            "identifiers": [format!("dimmer_{node}")],
            "name": node,
            "manufacturer": ORIGIN,
            "model": ORIGIN,
            "sw_version": version,
        });
        let mut origin = json!({ "name": ORIGIN, "sw": version });
        if let Some(url) = url {
            device["configuration_url"] = url.into();
            origin["support_url"] = url.into();
        }
        if let Some(area) = area {
            device["suggested_area"] = area.as_str().into();
        }
        let common = json!({
            "availability_topic": topics.status(),
            "device": device,
            "origin": origin,
        });
        Discovery {
            node: node.clone(),
            topics,
            entities: config.entities.clone(),
            common,
        }
    }

    /// The messages for the entities of a light with this title, the light itself first.
    pub fn of_light(&self, light: &Light, title: &str) -> Vec<Message> {
        let mut messages = vec![self.light(light, title)];
        for entity in &self.entities {
            match entity {
                Entity::Preset => {}
                Entity::EffectSpeed => messages.push(self.effect_speed(light, title)),
                Entity::SleepTimer => {
                    messages.extend([
                        self.sleep_minutes(light, title),
                        self.sleep_button(light, title),
                    ]);
                }
                Entity::Fault => messages.push(self.fault(light, title)),
            }
        }
        messages
    }

    /// The message for the select of these presets, if the settings ask for it; an empty one if there are
    /// no presets, as nothing could be selected.
    pub fn presets<'a>(&self, names: impl Iterator<Item = &'a String>) -> Option<Message> {
        if !self.entities.contains(&Entity::Preset) {
            return None;
        }
        let options: Vec<_> = names.collect();
        if options.is_empty() {
            return Some((self.topics.discovery(Platform::Select, PRESET), "".into()));
        }
        let entity = json!({
            "name": "Preset",
            "options": options,
            "command_topic": self.topics.recall(),
            "state_topic": self.topics.preset(),
            "icon": "mdi:palette",
        });
        Some(self.message(Platform::Select, PRESET, entity))
    }

    /// The keys are those that 2024.3 and 2026.11 accept: 2024.3 refuses `supported_color_modes` alone,
    /// and 2026.2 removed the `color_mode` that it wants beside it.
    fn light(&self, light: &Light, title: &str) -> Message {
        let effects = EffectKind::ALL.map(EffectKind::name);
        let effects: Vec<_> = [NO_EFFECT].into_iter().chain(effects).collect();
        let entity = json!({
            "schema": "json",
            "name": title,
            "command_topic": self.topics.home_assistant_set(&light.name),
            "state_topic": self.topics.home_assistant_state(&light.name),
            "brightness": true,
            "brightness_scale": FULL_PERMILLE as u32,
            "effect": true,
            "effect_list": effects,
        });
        self.message(Platform::Light, &light.name, entity)
    }

    fn effect_speed(&self, light: &Light, title: &str) -> Message {
        let entity = json!({
            "name": format!("{title} effect speed"),
            "command_topic": self.topics.home_assistant_set(&light.name),
            "command_template": "{\"speed\": {{ value }}}",
            "state_topic": self.topics.home_assistant_state(&light.name),
            "value_template": "{{ value_json.speed }}",
            "min": Speed::MIN.times(),
            "max": light.fastest.times(),
            "step": 0.1,
            "mode": "slider",
            "icon": "mdi:speedometer",
            "entity_category": "config",
        });
        self.message(Platform::Number, &format!("{}_speed", light.name), entity)
    }

    fn sleep_minutes(&self, light: &Light, title: &str) -> Message {
        let FieldKind::Number(range) = SLEEP_MINUTES.kind else {
            unreachable!("{} is no number", SLEEP_MINUTES.name)
        };
        let entity = json!({
            "name": format!("{title} sleep timer"),
            "command_topic": self.topics.home_assistant_set(&light.name),
            "command_template": "{\"sleep_minutes\": {{ value }}}",
            "state_topic": self.topics.home_assistant_state(&light.name),
            "value_template": "{{ value_json.sleep_minutes }}",
            "min": range.min,
            "max": range.max,
            "step": 1,
            "mode": "box",
            "unit_of_measurement": "min",
            "icon": "mdi:timer-outline",
            "entity_category": "config",
        });
        self.message(Platform::Number, &format!("{}_sleep", light.name), entity)
    }

    fn sleep_button(&self, light: &Light, title: &str) -> Message {
        let entity = json!({
            "name": format!("{title} start sleep timer"),
            "command_topic": self.topics.home_assistant_set(&light.name),
            "payload_press": "{\"sleep\": true}",
            "icon": "mdi:power-sleep",
        });
        self.message(Platform::Button, &format!("{}_sleep", light.name), entity)
    }

    fn fault(&self, light: &Light, title: &str) -> Message {
        let entity = json!({
            "name": format!("{title} fault"),
            "state_topic": self.topics.home_assistant_state(&light.name),
            "value_template": "{{ 'ON' if value_json.fault else 'OFF' }}",
            "json_attributes_topic": self.topics.home_assistant_state(&light.name),
            "json_attributes_template": "{{ {'fault': value_json.fault} | tojson }}",
            "device_class": "problem",
            "entity_category": "diagnostic",
        });
        self.message(
            Platform::BinarySensor,
            &format!("{}_fault", light.name),
            entity,
        )
    }

    /// Adds what all entities have. `object_id` is for versions before 2025.10, which do not know
    /// `default_entity_id`.
    fn message(&self, platform: Platform, object: &str, entity: Value) -> Message {
        let id = format!("{}_{object}", self.node);
        let entity_id = format!("{}.{}", platform.name(), id.replace('-', "_"));
        let mut message = self.common.clone();
        message["unique_id"] = format!("dimmer_{id}").into();
        message["object_id"] = id.into();
        message["default_entity_id"] = entity_id.into();
        if let (Value::Object(message), Value::Object(entity)) = (&mut message, entity) {
            message.extend(entity);
        }
        let topic = self.topics.discovery(platform, object);
        (topic, message.to_string())
    }
}

/// Parses the discovery message of a dimmer's entity, of any version; `None` for any other message.
pub fn parse(message: &[u8]) -> Option<Value> {
    let message: Value = serde_json::from_slice(message).ok()?;
    (message["origin"]["name"] == ORIGIN).then_some(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::lights::Lights;

    fn messages(config: &MqttConfig, url: Option<&str>) -> Vec<(String, Value)> {
        let discovery = Discovery::new(config, url);
        let messages = discovery.of_light(&Lights::led().list()[0], "Led");
        let presets = discovery.presets([String::from("Film")].iter());
        messages
            .into_iter()
            .chain(presets)
            .map(|(topic, text)| (topic, serde_json::from_str(&text).unwrap()))
            .collect()
    }

    #[test]
    fn the_device_links_to_the_page_and_is_in_its_area_where_these_are_known() {
        let mut config = MqttConfig::for_test("my-pi");
        let url = "http://my-pi.local:5000";
        let (_, light) = &messages(&config, Some(url))[0];
        assert_eq!(light["device"]["configuration_url"], url);
        assert_eq!(light["origin"]["support_url"], url);
        assert_eq!(light["default_entity_id"], "light.my_pi_led");
        assert_eq!(light["device"].get("suggested_area"), None);
        config.area = Some("Kitchen".into());
        let (_, light) = &messages(&config, None)[0];
        assert_eq!(light["device"].get("configuration_url"), None);
        assert_eq!(light["device"]["suggested_area"], "Kitchen");
    }

    #[test]
    fn each_entity_is_described_unless_the_settings_leave_it_out() {
        let mut config = MqttConfig::for_test("attic");
        let topics = |config: &MqttConfig| -> Vec<String> {
            messages(config, None)
                .into_iter()
                .map(|(topic, _)| topic)
                .collect()
        };
        let all = [
            "homeassistant/light/attic/led/config",
            "homeassistant/number/attic/led_speed/config",
            "homeassistant/number/attic/led_sleep/config",
            "homeassistant/button/attic/led_sleep/config",
            "homeassistant/binary_sensor/attic/led_fault/config",
            "homeassistant/select/attic/preset/config",
        ];
        assert_eq!(topics(&config), all);
        config.entities = vec![Entity::SleepTimer];
        assert_eq!(topics(&config), [all[0], all[2], all[3]]);
        config.entities = vec![];
        assert_eq!(topics(&config), [all[0]]);
    }

    #[test]
    fn without_presets_there_is_nothing_to_select() {
        let discovery = Discovery::new(&MqttConfig::for_test("attic"), None);
        let (_, message) = discovery.presets([].iter()).unwrap();
        assert_eq!(message, "");
    }
}
