//! `dimmer timer`: lists, adds and cancels timers.

use serde_json::{Map, Value, json};

use super::connection::{Client, Target};
use super::{Play, print};

/// What to do with timers.
#[derive(Debug, clap::Subcommand)]
pub enum Timers {
    /// Print them, the next one first
    List,
    /// Add one, or replace the one of that name
    Add(Box<Wanted>),
    /// Remove one
    Cancel {
        /// The timer's name
        name: String,
    },
}

/// A timer. The service says what is wrong with it.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("when").required(true)), group(clap::ArgGroup::new("what").required(true)))]
pub struct Wanted {
    /// Seconds from now, 1 to 86400
    #[arg(long = "in", value_name = "SECONDS", group = "when")]
    after: Option<f64>,
    /// A time of day, such as 07:00, or sunrise or sunset
    #[arg(long, value_name = "TIME", group = "when")]
    at: Option<String>,
    /// Minutes after sunrise or sunset, -180 to 180
    #[arg(long, value_name = "MINUTES", allow_hyphen_values = true)]
    offset: Option<f64>,
    /// Again on each of these, such as mon,tue [default: once]
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
    /// Play this effect: breathe, blink, candle, strobe or sunrise
    #[arg(long, group = "what")]
    effect: Option<Play>,
    /// Recall this preset
    #[arg(long, value_name = "PRESET", group = "what")]
    recall: Option<String>,
    /// How many times as fast as normal the effect is
    #[arg(long)]
    speed: Option<f64>,
    /// Which light [default: all]
    #[arg(long)]
    light: Option<String>,
    /// Seconds to get there, 0 to 3600 [default: the light's own; 1800 for a sunrise]
    #[arg(long, value_name = "SECONDS")]
    transition: Option<f64>,
    /// What to call it [default: a number]
    #[arg(long)]
    name: Option<String>,
}

impl Wanted {
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
                    .map(|Play(play)| play["effect"].clone()),
            ),
            ("recall", self.recall.as_deref().map(Value::from)),
            ("speed", self.speed.map(Value::from)),
            ("light", self.light.as_deref().map(Value::from)),
            ("transition", self.transition.map(Value::from)),
            ("name", self.name.as_deref().map(Value::from)),
        ];
        let given = fields.into_iter();
        let given: Map<_, _> = given
            .filter_map(|(field, value)| Some((field.to_owned(), value?)))
            .collect();
        json!({ "timer": given })
    }
}

/// Lists, adds or cancels timers.
///
/// # Errors
/// The service cannot be reached, or refuses.
pub async fn timers(target: &Target, what: Timers) -> anyhow::Result<()> {
    let message = match &what {
        Timers::List => json!({"echo": "only what there is"}),
        Timers::Add(wanted) => wanted.message(),
        Timers::Cancel { name } => json!({ "cancel": name }),
    };
    let mut client = Client::connect(target).await?;
    let told = client.ask(message).await?;
    if let Timers::Cancel { .. } = what {
        return Ok(());
    }
    let all = told.into_iter().filter_map(|said| said.timers).next_back();
    for mut timer in all.unwrap_or_default() {
        let (next, name) = (text(&timer, "next"), text(&timer, "name"));
        let start = format!("{next}  {name}");
        timer.retain(|field, _| field != "next" && field != "name");
        print(format_args!("{start}  {}", Value::Object(timer)))?;
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
