//! `dimmer preset`: lists, saves, recalls and removes presets.

use serde_json::json;

use super::connection::{Connection, ServiceArgs};
use super::output::print;

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

/// Lists, saves, recalls or removes presets.
///
/// # Errors
/// The service cannot be reached, or refuses the command.
pub async fn presets(service: &ServiceArgs, command: PresetCommand) -> anyhow::Result<()> {
    let mut connection = Connection::open(service).await?;
    let message = match &command {
        PresetCommand::List => return list(&mut connection).await,
        PresetCommand::Save { name } => json!({ "save": name }),
        PresetCommand::Recall {
            name,
            transition: None,
        } => json!({ "recall": name }),
        PresetCommand::Recall { name, transition } => {
            json!({ "recall": name, "transition": transition })
        }
        PresetCommand::Forget { name } => json!({ "forget": name }),
    };
    connection.request(message).await?;
    Ok(())
}

async fn list(connection: &mut Connection) -> anyhow::Result<()> {
    let messages = connection.initial_messages().await?;
    let names = messages
        .into_iter()
        .filter_map(|message| message.presets)
        .next_back();
    for name in names.unwrap_or_default() {
        print(format_args!("{name}"))?;
    }
    Ok(())
}
