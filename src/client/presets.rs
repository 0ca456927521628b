//! `dimmer preset`: lists, saves, recalls and removes presets.

use serde_json::{Value, json};

use super::connection::Connection;
use super::endpoint::ServiceArgs;
use crate::platform::terminal::print_line;

/// The subcommands of `dimmer preset`.
#[derive(Debug, clap::Subcommand)]
pub enum PresetCommand {
    /// Print the names of all presets
    List,
    /// Save the current levels and effects of all lights as a preset
    Save {
        /// Name of the preset, 1 to 40 characters
        name: String,
    },
    /// Set the lights as the preset says
    Recall {
        /// Name of the preset
        name: String,
        /// Seconds that the change takes, 0 to 3600 [default: each light's own]
        #[arg(long, value_name = "SECONDS")]
        transition: Option<f64>,
    },
    /// Remove a preset
    Forget {
        /// Name of the preset
        name: String,
    },
}

impl PresetCommand {
    /// The message to the service; `None` for what it sends unasked.
    pub(super) fn message(&self) -> Option<Value> {
        match self {
            PresetCommand::List => None,
            PresetCommand::Save { name } => Some(json!({ "save": name })),
            PresetCommand::Recall {
                name,
                transition: None,
            } => Some(json!({ "recall": name })),
            PresetCommand::Recall { name, transition } => {
                Some(json!({ "recall": name, "transition": transition }))
            }
            PresetCommand::Forget { name } => Some(json!({ "forget": name })),
        }
    }
}

/// Lists, saves, recalls or removes presets.
///
/// # Errors
/// The service cannot be reached, or refuses the command.
pub async fn presets(service: &ServiceArgs, command: PresetCommand) -> anyhow::Result<()> {
    let mut connection = Connection::open(service).await?;
    match command.message() {
        None => list(&mut connection).await,
        Some(message) => connection.request(message).await.map(drop),
    }
}

async fn list(connection: &mut Connection) -> anyhow::Result<()> {
    let messages = connection.initial_messages().await?;
    let names = messages
        .into_iter()
        .filter_map(|message| message.presets)
        .next_back();
    for name in names.unwrap_or_default() {
        print_line(format_args!("{name}"))?;
    }
    Ok(())
}
