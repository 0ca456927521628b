//! `dimmer backup` and `dimmer restore`: of a running service, or of a state folder.
//!
//! The settings are a file of root's, which no service sends or writes: they go into a backup on the machine
//! itself, and a person puts them in place.

use std::fmt::Display;
use std::io::{self, IsTerminal, Read, Write};

use anyhow::{Context, bail};

use crate::cli::{BackupArgs, RestoreArgs};
use dimmer::model::backup::MAX_BACKUP;
use dimmer::model::text::printable;
use dimmer::platform::terminal::{print, print_line};
use dimmer::{client, config, store};

/// Prints a backup, with the settings of this machine.
pub async fn make(args: BackupArgs) -> anyhow::Result<()> {
    let backup = match &args.state_dir {
        Some(folder) => store::make_backup(folder)?,
        None => client::fetch_backup(&args.service).await?,
    };
    let is_here = args.state_dir.is_some() || args.service.is_local();
    let settings = match is_here {
        true => config::settings_text(args.config.as_deref())?,
        false => {
            note("without settings: only a backup that is made on the machine itself has them");
            None
        }
    };
    print(&store::with_settings(&backup, settings)?)
}

/// Restores the backup on standard input, or prints its settings.
pub async fn restore(args: RestoreArgs) -> anyhow::Result<()> {
    let backup = standard_input()?;
    if args.print_settings {
        let settings = store::settings_in(&backup)?;
        return print(&settings.context("the backup has no settings")?);
    }
    let restored = match &args.state_dir {
        Some(folder) => store::restore(folder, &backup)?,
        None => client::restore_backup(&args.service, backup).await?,
    };
    for line in &restored.notes {
        note(line);
    }
    let lights = count(restored.lights, "light");
    let presets = count(restored.presets, "preset");
    let timers = count(restored.timers, "timer");
    print_line(format_args!("restored {lights}, {presets} and {timers}"))
}

fn standard_input() -> anyhow::Result<Vec<u8>> {
    let input = io::stdin();
    if input.is_terminal() {
        bail!("a backup is needed on standard input: dimmer restore < backup.json");
    }
    let mut backup = Vec::new();
    // One byte more tells a file that is too long.
    let most = MAX_BACKUP as u64 + 1;
    let read = input.take(most).read_to_end(&mut backup);
    read.context("cannot read standard input")?;
    match backup.len() > MAX_BACKUP {
        true => bail!("a backup must have at most {MAX_BACKUP} bytes, and this has more"),
        false => Ok(backup),
    }
}

fn count(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// Tells a person something, beside what is printed. `eprintln!` would panic where nobody reads it.
fn note(text: impl Display) {
    let _ = writeln!(io::stderr(), "dimmer: {}", printable(&text.to_string()));
}
