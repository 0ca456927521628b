//! A build tool: writes the manual pages and shell completions of dimmer to a folder, for scripts/package.sh.
//!
//!     cargo run --example manual FOLDER
//!
//! Cargo.toml declares this file as an example, so that clap_mangen and clap_complete are development dependencies
//! and no shipped binary contains them.

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
        .context("name the folder to write to: cargo run --example manual FOLDER")?
        .into();
    fs::create_dir_all(&folder)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut cli::Cli::command(), "dimmer", &folder)?;
    }
    // One page for each `dimmer help …` would repeat the page of that command.
    let command = cli::Cli::command().disable_help_subcommand(true);
    clap_mangen::generate_to(command, folder)?;
    Ok(())
}
