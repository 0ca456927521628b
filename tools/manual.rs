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

use anyhow::{Context, ensure};
use clap::CommandFactory;
use clap_complete::{Shell, generate_to};

fn main() -> anyhow::Result<()> {
    let folder: PathBuf = env::args_os()
        .nth(1)
        .context("name the folder to write to: cargo run --example manual FOLDER")?
        .into();
    fs::create_dir_all(&folder)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let file = generate_to(shell, &mut cli::Cli::command(), "dimmer", &folder)?;
        let script = with_names(shell, fs::read_to_string(&file)?)?;
        fs::write(file, script)?;
    }
    // One page for each `dimmer help …` would repeat the page of that command.
    let command = cli::Cli::command().disable_help_subcommand(true);
    clap_mangen::generate_to(command, folder)?;
    Ok(())
}

/// Lets a completion ask the service for the names of lights, presets and timers, which clap cannot know.
fn with_names(shell: Shell, script: String) -> anyhow::Result<String> {
    match shell {
        Shell::Bash => Ok(script + include_str!("names.bash")),
        Shell::Fish => Ok(script + include_str!("names.fish") + &fish_effects()?),
        _ => [
            (":LIGHT:_default", ":LIGHT:_dimmer_lights"),
            (":PRESET:_default", ":PRESET:_dimmer_presets"),
            (
                "Name of the preset:_default",
                "Name of the preset:_dimmer_presets",
            ),
            (":NAME:_default", ":NAME:_dimmer_timers"),
            (
                "Name of the timer:_default",
                "Name of the timer:_dimmer_timers",
            ),
            (ZSH_START, &format!("{ZSH_START}{ZSH_LINE}")),
            (ZSH_END, &format!("{}{ZSH_END}", include_str!("names.zsh"))),
        ]
        .into_iter()
        .try_fold(script, |script, (from, to)| {
            ensure!(
                script.contains(from),
                "clap_complete no longer writes {from}"
            );
            Ok(script.replace(from, to))
        }),
    }
}

/// The effects for fish, where clap_complete leaves out the values of arguments that are no options.
fn fish_effects() -> anyhow::Result<String> {
    let command = cli::Cli::command();
    let effect = command.find_subcommand("effect");
    let argument = effect.and_then(|effect| effect.get_positionals().next());
    let values = argument
        .context("dimmer effect has an argument")?
        .get_possible_values();
    let names: Vec<_> = values.iter().map(|value| value.get_name()).collect();
    let names = names.join(" ");
    Ok(format!(
        "complete -c dimmer -n \"__fish_dimmer_using_subcommand effect\" -f -a \"{names}\"\n"
    ))
}

/// How the completion for zsh starts.
const ZSH_START: &str = "_dimmer() {\n";
/// Keeps the whole line: within a subcommand, `words` is the rest of it.
const ZSH_LINE: &str = "    local -a _dimmer_line=(\"${(@Q)words}\")\n";
/// What follows the functions in a completion for zsh.
const ZSH_END: &str = "if [ \"$funcstack[1]\"";
