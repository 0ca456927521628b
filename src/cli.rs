//! The command line.

use clap::{Args, Parser, Subcommand};

use dimmer::client::{How, Play, Presets, Setting, Target, Timers};
use dimmer::config::{LightOptions, Options};

/// Dims the LEDs of a Raspberry Pi from any phone on the LAN.
///
/// Without a command it serves, on a simulated LED where there is no Pi.
#[derive(Debug, Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    args_override_self = true,
    after_help = "DIMMER_LOG sets what is logged: error, warn, info (the default), debug or trace.\n\
                  DIMMER_PASSWORD is the password that the commands to a running service send.\n\
                  Exit codes: 0 done, 1 failed, 2 wrong usage."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub serve: Serve,
}

/// How to serve.
#[derive(Debug, Args)]
pub struct Serve {
    /// Only say what would be served, or why it cannot be
    #[arg(long)]
    pub check: bool,
    #[command(flatten)]
    pub options: Options,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the page and move the pins
    Serve(Serve),
    /// Say what drives each GPIO here, and what would be better
    Doctor(LightOptions),
    /// Put the pins off without a service, as after a crash
    Park(LightOptions),
    /// Ask for a password and print its hash, for password_file
    Password,
    /// Print where the page of this machine is, with a QR code
    Address {
        /// The service's port
        #[arg(long, default_value_t = 5000)]
        port: u16,
    },
    /// Print every dimmer on the LAN: its name, URL, addresses and lights
    List {
        /// How long to wait for answers
        #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=60))]
        timeout: u32,
    },
    /// Change a light
    Set {
        /// A level from 0 to 100, +N or -N percent, on, off or toggle
        #[arg(allow_hyphen_values = true)]
        setting: Setting,
        #[command(flatten)]
        how: How,
        #[command(flatten)]
        target: Target,
    },
    /// Let a light play an effect around its level, until it is set
    Effect {
        /// breathe, blink, candle, strobe, sunrise or none
        effect: Play,
        /// How many times as fast as normal, 0.1 to 3; to 10 with allow_fast_strobe [default: 1]
        #[arg(long)]
        speed: Option<f64>,
        #[command(flatten)]
        how: How,
        #[command(flatten)]
        target: Target,
    },
    /// Keep what all lights are set to, and set it again
    Preset {
        #[command(subcommand)]
        what: Presets,
        #[command(flatten)]
        target: Target,
    },
    /// Let something happen at a time
    Timer {
        #[command(subcommand)]
        what: Timers,
        #[command(flatten)]
        target: Target,
    },
    /// Print the levels
    Get {
        /// Only this light, and only its level
        #[arg(long)]
        light: Option<String>,
        #[command(flatten)]
        target: Target,
    },
    /// Print each change as it happens
    Watch {
        #[command(flatten)]
        target: Target,
    },
    /// Measure round trips over the WebSocket
    Ping {
        /// How many
        #[arg(long, short, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
        count: u32,
        #[command(flatten)]
        target: Target,
    },
}
