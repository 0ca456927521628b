//! The arguments that say how to change a light.

use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::{Value, json};

use crate::model::effect::EffectKind;
use crate::model::level::{Level, Step};

/// The argument of `dimmer set` as a message: a level, `+5`, `-5`, `on`, `off` or `toggle`.
#[derive(Debug, Clone)]
pub struct LevelChange(pub(super) Value);

impl FromStr for LevelChange {
    type Err = String;

    fn from_str(text: &str) -> Result<LevelChange, String> {
        let message = match text {
            "on" => json!({"on": true}),
            "off" => json!({"on": false}),
            "toggle" => json!({"toggle": true}),
            _ if text.starts_with(['+', '-']) => {
                let percent = text
                    .parse()
                    .map_err(|_| format!("a step is +N or -N percent, not {text:?}"))?;
                let step = Step::from_percent(percent).map_err(|error| format!("step {error}"))?;
                json!({ "step": step.percent() })
            }
            _ => {
                let level: Level = text.parse().map_err(|error| format!("level {error}"))?;
                json!({ "level": level })
            }
        };
        Ok(LevelChange(message))
    }
}

/// The argument of `dimmer effect` as a message: the name of an effect, or `none`.
#[derive(Debug, Clone)]
pub struct EffectChoice(pub(super) Value);

impl EffectChoice {
    /// Parses an argument. Help and completions have its values.
    pub fn parser() -> impl TypedValueParser<Value = EffectChoice> {
        let names = EffectKind::ALL.map(EffectKind::name);
        let names = names.into_iter().chain(["none"]);
        PossibleValuesParser::new(names)
            .map(|name| EffectChoice(json!({"effect": EffectKind::from_name(&name)})))
    }

    /// The message with a speed, relative to normal.
    pub fn message(self, speed: Option<f64>) -> Value {
        let EffectChoice(mut message) = self;
        if let Some(speed) = speed {
            message["speed"] = json!(speed);
        }
        message
    }
}

/// The light to change, and the duration of the change.
#[derive(Debug, clap::Args)]
pub struct ChangeArgs {
    /// Name of the light [default: the first light]
    #[arg(long)]
    pub light: Option<String>,
    /// Seconds that the change takes, 0 to 3600 [default: the light's own; 1800 for a sunrise]
    #[arg(long, value_name = "SECONDS")]
    pub transition: Option<f64>,
}

impl ChangeArgs {
    /// The message of a change of this light.
    pub fn message(&self, mut change: Value, light: &str) -> Value {
        change["light"] = json!(light);
        if let Some(transition) = self.transition {
            change["transition"] = json!(transition);
        }
        change
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_change_is_a_level_a_step_or_a_word() {
        for (text, message) in [
            ("40", r#"{"level":40}"#),
            ("40.5", r#"{"level":40.5}"#),
            ("+5", r#"{"step":5.0}"#),
            ("-2.5", r#"{"step":-2.5}"#),
            ("on", r#"{"on":true}"#),
            ("off", r#"{"on":false}"#),
            ("toggle", r#"{"toggle":true}"#),
        ] {
            let change: LevelChange = text.parse().unwrap();
            assert_eq!(change.0.to_string(), message);
        }
        for (text, expected) in [
            ("101", "level must be from 0 to 100, not 101"),
            ("bright", "level must be from 0 to 100, not \"bright\""),
            ("-101", "step must be from -100 to 100, not -101"),
            ("+x", "a step is +N or -N percent, not \"+x\""),
        ] {
            assert_eq!(text.parse::<LevelChange>().unwrap_err(), expected);
        }
    }
}
