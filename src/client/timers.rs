//! `dimmer timer`: lists, adds and cancels timers.

use serde_json::{Map, Value, json};

use super::arguments::EffectChoice;
use super::connection::{Connection, ReceivedMessage};
use super::endpoint::ServiceArgs;
use crate::platform::terminal::print_line;

/// The subcommands of `dimmer timer`.
#[derive(Debug, clap::Subcommand)]
pub enum TimerCommand {
    /// Print all timers, the next one first
    List,
    /// Add a timer, or replace the timer of the same name; prints all timers
    Add(Box<TimerArgs>),
    /// Remove a timer
    Cancel {
        /// Name of the timer
        name: String,
    },
}

/// A timer to be added. The service checks the values.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("when").required(true)), group(clap::ArgGroup::new("what").required(true)))]
pub struct TimerArgs {
    /// Seconds from now, 1 to 86400
    #[arg(long = "in", value_name = "SECONDS", group = "when")]
    after: Option<f64>,
    /// Time of day, such as 07:00, or sunrise or sunset
    #[arg(long, value_name = "TIME", group = "when")]
    at: Option<String>,
    /// Minutes after sunrise or sunset, -180 to 180
    #[arg(long, value_name = "MINUTES", allow_hyphen_values = true)]
    offset: Option<f64>,
    /// Repeat on these days, such as mon,tue [default: once]
    #[arg(long, value_name = "DAY,…", value_delimiter = ',')]
    days: Option<Vec<String>>,
    /// Set this level, 0 to 100
    #[arg(long, group = "what")]
    level: Option<f64>,
    /// Switch on
    #[arg(long, group = "what")]
    on: bool,
    /// Switch off
    #[arg(long, group = "what")]
    off: bool,
    /// Play this effect
    #[arg(long, group = "what", value_parser = EffectChoice::parser())]
    effect: Option<EffectChoice>,
    /// Recall this preset
    #[arg(long, value_name = "PRESET", group = "what")]
    recall: Option<String>,
    /// Speed of the effect, relative to normal
    #[arg(long)]
    speed: Option<f64>,
    /// Name of the light [default: all lights]
    #[arg(long)]
    light: Option<String>,
    /// Seconds that the change takes, 0 to 3600 [default: the light's own; 1800 for a sunrise]
    #[arg(long, value_name = "SECONDS")]
    transition: Option<f64>,
    /// Name of the timer [default: a number]
    #[arg(long)]
    name: Option<String>,
}

impl TimerArgs {
    fn message(&self) -> Value {
        let on = self.on.then_some(true).or(self.off.then_some(false));
        let fields = [
            ("in", self.after.map(Value::from)),
            ("at", self.at.as_deref().map(Value::from)),
            ("offset", self.offset.map(Value::from)),
            ("days", self.days.clone().map(Value::from)),
            ("level", self.level.map(Value::from)),
            ("on", on.map(Value::from)),
            (
                "effect",
                self.effect
                    .as_ref()
                    .map(|EffectChoice(message)| message["effect"].clone()),
            ),
            ("recall", self.recall.as_deref().map(Value::from)),
            ("speed", self.speed.map(Value::from)),
            ("light", self.light.as_deref().map(Value::from)),
            ("transition", self.transition.map(Value::from)),
            ("name", self.name.as_deref().map(Value::from)),
        ];
        let given: Map<_, _> = fields
            .into_iter()
            .filter_map(|(field, value)| Some((field.to_owned(), value?)))
            .collect();
        json!({ "timer": given })
    }
}

impl TimerCommand {
    /// The message to the service; `None` for what it sends unasked.
    pub(super) fn message(&self) -> Option<Value> {
        match self {
            TimerCommand::List => None,
            TimerCommand::Add(timer) => Some(timer.message()),
            TimerCommand::Cancel { name } => Some(json!({ "cancel": name })),
        }
    }
}

/// Lists, adds or cancels timers.
///
/// # Errors
/// The service cannot be reached, or refuses the command.
pub async fn timers(service: &ServiceArgs, command: TimerCommand) -> anyhow::Result<()> {
    let mut connection = Connection::open(service).await?;
    let messages = match command.message() {
        None => connection.initial_messages().await?,
        Some(message) => connection.request(message).await?,
    };
    match command {
        TimerCommand::List | TimerCommand::Add(_) => list(messages),
        TimerCommand::Cancel { .. } => Ok(()),
    }
}

/// Prints the newest timers in these messages, one a line.
fn list(messages: Vec<ReceivedMessage>) -> anyhow::Result<()> {
    let newest = messages
        .into_iter()
        .filter_map(|message| message.timers)
        .next_back();
    for mut timer in newest.unwrap_or_default() {
        let next = match text(&timer, "next") {
            "" => "waiting",
            next => next,
        };
        let start = format!("{next}  {}", text(&timer, "name"));
        timer.retain(|field, _| field != "next" && field != "name");
        print_line(format_args!("{start}  {}", Value::Object(timer)))?;
    }
    Ok(())
}

/// The names of these timers, the next one first.
pub fn names(timers: &[Map<String, Value>]) -> String {
    let names: Vec<_> = timers.iter().map(|timer| text(timer, "name")).collect();
    names.join(", ")
}

fn text<'a>(timer: &'a Map<String, Value>, field: &str) -> &'a str {
    timer.get(field).and_then(Value::as_str).unwrap_or_default()
}
