//! Writes dimmer's manual pages and shell completions, for its packages, to the folder it is given.
//!
//! An example, so that the crates that make them are in no binary that is shipped.

#[path = "../src/cli.rs"]
mod cli;

use std::path::PathBuf;
use std::{env, fs};

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::{Shell, generate_to};

fn main() -> anyhow::Result<()> {
    let folder: PathBuf = env::args_os()
        .nth(1)
        .context("which folder? cargo run --example manual FOLDER")?
        .into();
    fs::create_dir_all(&folder)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut cli::Cli::command(), "dimmer", &folder)?;
    }
    // A page each for `dimmer help …` would say nothing new.
    let command = cli::Cli::command().disable_help_subcommand(true);
    clap_mangen::generate_to(command, folder)?;
    Ok(())
}
