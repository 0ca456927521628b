//! The command line's side of `/ws`: set, get, watch and ping a running service, and more.

mod connection;
mod timers;

use std::io::{self, Write};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::model::effect::EffectKind;
use crate::model::level::{Level, Step};
pub use connection::Target;
use connection::{Client, Fault, Said};
pub use timers::{Timers, timers};

/// Pause between two pings.
const PING_PAUSE: Duration = Duration::from_millis(100);

/// What `dimmer set` sets a light to, as a message: a level, `+5`, `-5`, `on`, `off` or `toggle`.
#[derive(Debug, Clone)]
pub struct Setting(Value);

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Setting, String> {
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
        Ok(Setting(message))
    }
}

/// Which effect `dimmer effect` starts, as a message: its name, or `none`.
#[derive(Debug, Clone)]
pub struct Play(Value);

impl FromStr for Play {
    type Err = String;

    fn from_str(text: &str) -> Result<Play, String> {
        match EffectKind::from_name(text) {
            Some(kind) => Ok(Play(json!({ "effect": kind }))),
            None if text == "none" => Ok(Play(json!({"effect": null}))),
            None => {
                let names = EffectKind::ALL.map(EffectKind::name).join(", ");
                Err(format!("an effect is {names} or none, not {text:?}"))
            }
        }
    }
}

/// Which light to change, and how.
#[derive(Debug, clap::Args)]
pub struct How {
    /// Which light [default: the first]
    #[arg(long)]
    pub light: Option<String>,
    /// Seconds to get there, 0 to 3600 [default: the light's own; 1800 for a sunrise]
    #[arg(long, value_name = "SECONDS")]
    pub transition: Option<f64>,
}

/// What to do with presets.
#[derive(Debug, clap::Subcommand)]
pub enum Presets {
    /// Print their names
    List,
    /// Keep what all lights are set to, by this name
    Save {
        /// 1 to 40 characters
        name: String,
    },
    /// Set the lights as a preset says
    Recall {
        /// The preset's name
        name: String,
        /// Seconds to get there, 0 to 3600 [default: each light's own]
        #[arg(long, value_name = "SECONDS")]
        transition: Option<f64>,
    },
    /// Remove a preset
    Forget {
        /// The preset's name
        name: String,
    },
}

/// Changes a light and prints its new level.
///
/// # Errors
/// The service cannot be reached, or refuses.
pub async fn set(target: &Target, Setting(message): Setting, how: How) -> anyhow::Result<()> {
    change(target, message, how).await
}

/// Starts an effect, so many times as fast as normal, or ends it, and prints the light's level.
///
/// # Errors
/// The service cannot be reached, or refuses.
pub async fn play(
    target: &Target,
    Play(mut message): Play,
    speed: Option<f64>,
    how: How,
) -> anyhow::Result<()> {
    if let Some(speed) = speed {
        message["speed"] = json!(speed);
    }
    change(target, message, how).await
}

async fn change(target: &Target, mut message: Value, how: How) -> anyhow::Result<()> {
    let mut client = Client::connect(target).await?;
    let (lights, mut levels) = client.greeting().await?;
    let light = how.light.unwrap_or_else(|| lights[0].clone());
    message["light"] = json!(light);
    if let Some(transition) = how.transition {
        message["transition"] = json!(transition);
    }
    // The service does not echo a level to who set it.
    let level = message.get("level").cloned();
    let told = client.ask(message).await?;
    if let Some(level) = level {
        levels.push((light.clone(), serde_json::from_value(level)?));
    }
    levels.extend(
        told.into_iter()
            .filter_map(|said| said.light.zip(said.level)),
    );
    let mut newest = levels.into_iter().rev();
    match newest.find(|(name, _)| *name == light) {
        Some((name, level)) => print(format_args!("{name} {level}")),
        None => bail!("the service did not tell the level of {light}"),
    }
}

/// Lists, saves, recalls or forgets presets.
///
/// # Errors
/// The service cannot be reached, or refuses.
pub async fn presets(target: &Target, what: Presets) -> anyhow::Result<()> {
    let mut client = Client::connect(target).await?;
    let mut message = match &what {
        Presets::List => json!({"echo": "only what there is"}),
        Presets::Save { name } => json!({ "save": name }),
        Presets::Recall { name, .. } => json!({ "recall": name }),
        Presets::Forget { name } => json!({ "forget": name }),
    };
    if let Presets::Recall {
        transition: Some(transition),
        ..
    } = what
    {
        message["transition"] = json!(transition);
    }
    let told = client.ask(message).await?;
    if let Presets::List = what {
        let names = told.into_iter().filter_map(|said| said.presets).next_back();
        for name in names.unwrap_or_default() {
            print(format_args!("{name}"))?;
        }
    }
    Ok(())
}

/// Prints the level of every light with its name, or of one light alone.
///
/// # Errors
/// The service cannot be reached, or there is no such light.
pub async fn get(target: &Target, light: Option<String>) -> anyhow::Result<()> {
    let mut client = Client::connect(target).await?;
    let (_, levels) = client.greeting().await?;
    match light {
        None => levels
            .iter()
            .try_for_each(|(name, level)| print(format_args!("{name} {level}"))),
        Some(light) => match levels.iter().find(|(name, _)| *name == light) {
            Some((_, level)) => print(format_args!("{level}")),
            None => bail!("no light is called {light:?}"),
        },
    }
}

/// Prints every level, every fault, and the names of presets and timers, until the service is gone.
///
/// # Errors
/// The service cannot be reached, or ends.
pub async fn watch(target: &Target) -> anyhow::Result<()> {
    let mut client = Client::connect(target).await?;
    loop {
        let said = client.news().await?;
        if let (Some(light), Some(level)) = (&said.light, said.level) {
            print(format_args!("{light} {level}{}", more(&said)))?;
        }
        if let Some(presets) = &said.presets {
            print(format_args!("presets: {}", presets.join(", ")))?;
        }
        if let Some(timers) = &said.timers {
            print(format_args!("timers: {}", timers::names(timers)))?;
        }
        if let Some(Fault { light, message }) = said.fault {
            match message {
                Some(message) => print(format_args!("{light} fault: {message}"))?,
                None => print(format_args!("{light} works again"))?,
            }
        }
    }
}

/// What else there is to say about a light's level.
fn more(said: &Said) -> String {
    let mut more = String::new();
    if let Some((kind, speed)) = said.effect.zip(said.speed) {
        more += &format!(" {} at speed {}", kind.name(), speed.times());
    }
    if let Some(left) = said.left {
        more += &format!(" in {left} s");
    }
    if let Some(by) = &said.by {
        more += &format!(" by {by}");
    }
    more
}

/// Measures round trips and prints them, with a summary, in milliseconds.
///
/// # Errors
/// The service cannot be reached, or does not answer.
pub async fn ping(target: &Target, count: u32) -> anyhow::Result<()> {
    let mut client = Client::connect(target).await?;
    client.greeting().await?;
    let mut times = Vec::new();
    for number in 1..=count {
        let start = Instant::now();
        client.say(json!({ "echo": number })).await?;
        while client.answer().await?.echo != Some(json!(number)) {}
        let time = start.elapsed().as_secs_f64() * 1000.0;
        print(format_args!("{number}: {time:.3} ms"))?;
        times.push(time);
        if number < count {
            sleep(PING_PAUSE).await;
        }
    }
    times.sort_by(f64::total_cmp);
    let share = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
    print(format_args!(
        "{count} round trips: min {:.3}, p50 {:.3}, p99 {:.3}, max {:.3} ms",
        share(0.0),
        share(0.5),
        share(0.99),
        share(1.0)
    ))
}

/// A line on standard output; an error rather than a panic once nobody reads it.
fn print(line: std::fmt::Arguments<'_>) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .context("cannot write to standard output")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_a_level_a_step_or_a_word() {
        for (text, message) in [
            ("40", r#"{"level":40}"#),
            ("40.5", r#"{"level":40.5}"#),
            ("+5", r#"{"step":5.0}"#),
            ("-2.5", r#"{"step":-2.5}"#),
            ("on", r#"{"on":true}"#),
            ("off", r#"{"on":false}"#),
            ("toggle", r#"{"toggle":true}"#),
        ] {
            let setting: Setting = text.parse().unwrap();
            assert_eq!(setting.0.to_string(), message);
        }
        for (text, says) in [
            ("101", "level must be from 0 to 100, not 101"),
            ("bright", "level must be from 0 to 100, not \"bright\""),
            ("-101", "step must be from -100 to 100, not -101"),
            ("+x", "a step is +N or -N percent, not \"+x\""),
        ] {
            assert_eq!(text.parse::<Setting>().unwrap_err(), says);
        }
    }
}
