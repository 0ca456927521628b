//! The commands of the command line that control a running service, by its WebSocket and its REST API.

mod arguments;
mod backup;
mod connection;
mod endpoint;
mod matter;
mod presets;
mod rest;
mod settings;
mod timers;

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

pub use arguments::{ChangeArgs, EffectChoice, LevelChange};
pub use backup::{fetch_backup, restore_backup};
use connection::{Connection, ReceivedFault, ReceivedMessage};
pub use endpoint::ServiceArgs;
pub use matter::{MatterCommand, matter};
pub use presets::{PresetCommand, presets};
pub use settings::{SettingsCommand, settings};
pub use timers::{TimerCommand, timers};

use crate::platform::terminal::{output_closed, print_line};

/// Pause between two pings.
const PING_PAUSE: Duration = Duration::from_millis(100);

/// Changes the level of a light and prints the new level.
///
/// # Errors
/// The service cannot be reached, or refuses the change.
pub async fn set(
    service: &ServiceArgs,
    LevelChange(message): LevelChange,
    args: ChangeArgs,
) -> anyhow::Result<()> {
    change(service, message, args).await
}

/// Starts an effect at a speed relative to normal, or ends the effect, and prints the light's level.
///
/// # Errors
/// The service cannot be reached, or refuses the change.
pub async fn effect(
    service: &ServiceArgs,
    choice: EffectChoice,
    speed: Option<f64>,
    args: ChangeArgs,
) -> anyhow::Result<()> {
    change(service, choice.message(speed), args).await
}

async fn change(service: &ServiceArgs, change: Value, args: ChangeArgs) -> anyhow::Result<()> {
    let mut connection = Connection::open(service).await?;
    let (lights, mut levels) = connection.initial_levels().await?;
    let light = args.light.clone().or_else(|| lights.first().cloned());
    let light = light.context("the service has no lights")?;
    let message = args.message(change, &light);
    // The service does not send a level back to the client that set it.
    let level = message.get("level").cloned();
    let responses = connection.request(message).await?;
    if let Some(level) = level {
        levels.push((light.clone(), serde_json::from_value(level)?));
    }
    levels.extend(
        responses
            .into_iter()
            .filter_map(|message| message.light.zip(message.level)),
    );
    let mut newest = levels.into_iter().rev();
    match newest.find(|(name, _)| *name == light) {
        Some((name, level)) => print_line(format_args!("{name} {level}")),
        None => bail!("the service did not send the level of {light}"),
    }
}

/// Prints the name and the level of each light, or only the level of one light.
///
/// # Errors
/// The service cannot be reached, or no light has this name.
pub async fn get(service: &ServiceArgs, light: Option<String>) -> anyhow::Result<()> {
    let mut connection = Connection::open(service).await?;
    let (_, levels) = connection.initial_levels().await?;
    match light {
        None => levels
            .iter()
            .try_for_each(|(name, level)| print_line(format_args!("{name} {level}"))),
        Some(light) => match levels.iter().find(|(name, _)| *name == light) {
            Some((_, level)) => print_line(format_args!("{level}")),
            None => bail!("no light is called {light:?}"),
        },
    }
}

/// Prints each level, each fault, and the names of presets and timers, until the service ends.
///
/// # Errors
/// The service cannot be reached, or has ended.
pub async fn watch(service: &ServiceArgs) -> anyhow::Result<()> {
    let mut connection = Connection::open(service).await?;
    loop {
        let message = tokio::select! {
            message = connection.next_update() => message?,
            closed = output_closed() => return Err(closed.into()),
        };
        if let (Some(light), Some(level)) = (&message.light, message.level) {
            print_line(format_args!("{light} {level}{}", details(&message)))?;
        }
        if let Some(presets) = &message.presets {
            print_line(format_args!("presets: {}", presets.join(", ")))?;
        }
        if let Some(timers) = &message.timers {
            print_line(format_args!("timers: {}", timers::names(timers)))?;
        }
        if let Some(ReceivedFault { light, message }) = message.fault {
            match message {
                Some(message) => print_line(format_args!("{light} fault: {message}"))?,
                None => print_line(format_args!("{light} works again"))?,
            }
        }
    }
}

/// The effect, the seconds left and the author of a light's level, as far as the message has them.
fn details(message: &ReceivedMessage) -> String {
    let mut details = String::new();
    if let Some((kind, speed)) = message.effect.zip(message.speed) {
        details += &format!(" {} at speed {}", kind.name(), speed.times());
    }
    if let Some(left) = message.left {
        details += &format!(" in {left} s");
    }
    if let Some(by) = &message.by {
        details += &format!(" by {by}");
    }
    details
}

/// Measures round trips and prints each, and a summary, in milliseconds.
///
/// # Errors
/// The service cannot be reached, or does not answer.
pub async fn ping(service: &ServiceArgs, count: u32) -> anyhow::Result<()> {
    let mut connection = Connection::open(service).await?;
    connection.initial_levels().await?;
    let mut times = Vec::new();
    for number in 1..=count {
        let start = Instant::now();
        connection.restart_deadline();
        connection.send(json!({ "echo": number })).await?;
        while connection.next_response().await?.echo != Some(json!(number)) {}
        let time = start.elapsed().as_secs_f64() * 1000.0;
        print_line(format_args!("{number}: {time:.3} ms"))?;
        times.push(time);
        if number < count {
            sleep(PING_PAUSE).await;
        }
    }
    times.sort_by(f64::total_cmp);
    let quantile = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
    print_line(format_args!(
        "{count} round trips: min {:.3}, p50 {:.3}, p99 {:.3}, max {:.3} ms",
        quantile(0.0),
        quantile(0.5),
        quantile(0.99),
        quantile(1.0)
    ))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::protocol::request::ClientMessage;

    /// The commands that send a message.
    #[derive(Parser)]
    enum Commands {
        Set {
            #[arg(allow_hyphen_values = true)]
            change: LevelChange,
            #[command(flatten)]
            args: ChangeArgs,
        },
        Effect {
            #[arg(value_parser = EffectChoice::parser())]
            choice: EffectChoice,
            #[arg(long)]
            speed: Option<f64>,
            #[command(flatten)]
            args: ChangeArgs,
        },
        #[command(subcommand)]
        Preset(PresetCommand),
        #[command(subcommand)]
        Timer(TimerCommand),
        #[command(subcommand)]
        Settings(SettingsCommand),
    }

    impl Commands {
        fn message(self) -> Option<Value> {
            match self {
                Commands::Set { change, args } => Some(args.message(change.0, "led")),
                Commands::Effect {
                    choice,
                    speed,
                    args,
                } => Some(args.message(choice.message(speed), "led")),
                Commands::Preset(command) => command.message(),
                Commands::Timer(command) => command.message(),
                Commands::Settings(command) => command.message(),
            }
        }
    }

    #[test]
    fn the_service_accepts_the_message_of_every_command() {
        for line in [
            "set 40.5",
            "set +2.5 --light shelf",
            "set -5 --transition 0.5",
            "set on",
            "set off",
            "set toggle --transition 1 --light shelf",
            "effect breathe",
            "effect blink --speed 2",
            "effect candle --light shelf",
            "effect strobe",
            "effect sunrise --transition 60 --speed 2",
            "effect none",
            "preset save Film",
            "preset recall Film",
            "preset recall Film --transition 2",
            "preset forget Film",
            "timer add --in 60 --off",
            "timer add --at 07:00 --days mon,sun --on --name wake",
            "timer add --at sunset --offset -15 --recall Film --transition 9",
            "timer add --in 60 --level 9.5 --light led",
            "timer add --in 60 --effect sunrise --speed 2 --transition 60",
            "timer cancel wake",
            "settings set title=Desk min_duty=2.5 hidden=true warmth=#ffa757 groups=a,b --light led",
            "settings set latitude=1.5 longitude=-46",
            "settings reset title --light led",
        ] {
            let arguments = ["dimmer"].into_iter().chain(line.split(' '));
            let message = Commands::parse_from(arguments).message().unwrap();
            let request = ClientMessage::parse(&message.to_string()).request;
            assert!(request.is_ok(), "{line} sends {message}: {request:?}");
        }
    }
}
