//! The command line: commands, arguments and their help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use dimmer::client::{
    ChangeArgs, EffectChoice, LevelChange, MatterCommand, PresetCommand, ServiceArgs,
    SettingsCommand, TimerCommand,
};
use dimmer::config::{LightOptions, Options};
use dimmer::platform::host::Host;

/// Dims the LEDs of a Raspberry Pi from any phone on the LAN.
///
/// Without a command, dimmer serves. Where there is no Raspberry Pi, the LED is simulated.
#[derive(Debug, Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    args_override_self = true,
    after_help = "DIMMER_LOG sets the log level: error, warn, info (the default), debug or trace.\n\
                  DIMMER_PASSWORD is the password that commands send to a running service.\n\
                  Exit codes: 0 success, 1 failure, 2 wrong usage."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<CliCommand>,
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// The arguments of `dimmer serve`, and of `dimmer` without a command.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Check the settings and print what they mean on this machine, without serving
    #[arg(long)]
    pub check: bool,
    #[command(flatten)]
    pub options: Options,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum CliCommand {
    /// Serve the page and the APIs, and drive the pins
    Serve(ServeArgs),
    /// Print which driver each GPIO gets on this machine, and how to get a better one
    Doctor(LightOptions),
    /// Switch the pins off while no service runs, for example after a crash
    Park(LightOptions),
    /// Ask for a password and print its hash, for password_file
    Password,
    /// Make a certificate for https and say how phones trust it; or the next one
    Certificate(CertificateArgs),
    /// Print the URLs of the page on this machine, with a QR code
    Address {
        /// Port of the service
        #[arg(long, default_value_t = 5000)]
        port: u16,
    },
    /// List all dimmers on the LAN: name, URL, addresses and lights
    List {
        /// Seconds to wait for answers
        #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=60))]
        timeout: u32,
    },
    /// Change the level of a light
    Set {
        /// Level from 0 to 100, +N or -N percent, on, off or toggle
        #[arg(allow_hyphen_values = true)]
        level: LevelChange,
        #[command(flatten)]
        args: ChangeArgs,
        #[command(flatten)]
        service: ServiceArgs,
    },
    /// Start an effect around the level of a light, or end it
    Effect {
        /// The effect; none ends it
        #[arg(value_parser = EffectChoice::parser())]
        effect: EffectChoice,
        /// Speed relative to normal, 0.1 to 3; up to 10 with allow_fast_strobe [default: 1]
        #[arg(long)]
        speed: Option<f64>,
        #[command(flatten)]
        args: ChangeArgs,
        #[command(flatten)]
        service: ServiceArgs,
    },
    /// List, save, recall or remove presets
    Preset {
        #[command(subcommand)]
        command: PresetCommand,
        #[command(flatten)]
        service: ServiceArgs,
    },
    /// List, add or cancel timers
    Timer {
        #[command(subcommand)]
        command: TimerCommand,
        #[command(flatten)]
        service: ServiceArgs,
    },
    /// List, change or reset the settings that may be changed while the service runs
    Settings {
        #[command(subcommand)]
        command: Option<SettingsCommand>,
        #[command(flatten)]
        service: ServiceArgs,
    },
    /// Print what is paired with Matter, pair more, or remove what is paired
    Matter {
        #[command(subcommand)]
        command: Option<MatterCommand>,
        #[command(flatten)]
        service: ServiceArgs,
    },
    /// Print the levels of the lights
    Get {
        /// Print only the level of this light
        #[arg(long)]
        light: Option<String>,
        #[command(flatten)]
        service: ServiceArgs,
    },
    /// Print each change as it happens
    Watch {
        #[command(flatten)]
        service: ServiceArgs,
    },
    /// Print a backup: levels, effects, presets, timers, and the settings of this machine
    Backup(BackupArgs),
    /// Restore a backup from standard input: levels, effects, presets and timers
    Restore(RestoreArgs),
    /// Measure round trips over the WebSocket
    Ping {
        /// Number of round trips
        #[arg(long, short, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
        count: u32,
        #[command(flatten)]
        service: ServiceArgs,
    },
}

/// The arguments of `dimmer certificate`.
#[derive(Debug, Args)]
pub struct CertificateArgs {
    /// Folder for the certificate, its key, and the key of the authority that issues it
    #[arg(long, value_name = "FOLDER", default_value = "/etc/dimmer")]
    pub folder: PathBuf,
    /// Name or address of this machine besides its own; may be repeated
    #[arg(long = "host", value_name = "HOST")]
    pub hosts: Vec<Host>,
}

/// The arguments of `dimmer backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// Settings file to include, if the service is on this machine
    /// [default: /etc/dimmer/dimmer.toml, if it exists]
    #[arg(long, env = "DIMMER_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// State folder to read while no service runs, such as /var/lib/dimmer
    #[arg(long, value_name = "FOLDER")]
    pub state_dir: Option<PathBuf>,
    #[command(flatten)]
    pub service: ServiceArgs,
}

/// The arguments of `dimmer restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Print the settings in the backup instead, for /etc/dimmer/dimmer.toml, and restore nothing
    #[arg(long)]
    pub print_settings: bool,
    /// State folder to restore to while no service runs, such as /var/lib/dimmer
    #[arg(long, value_name = "FOLDER", conflicts_with = "print_settings")]
    pub state_dir: Option<PathBuf>,
    #[command(flatten)]
    pub service: ServiceArgs,
}
