//! Parses the command line and executes its command.

mod announce;
mod backup;
#[cfg_attr(not(feature = "tls"), path = "without/certificate.rs")]
mod certificate;
mod cli;

use std::env;
use std::ffi::OsStr;
use std::io::{self, IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::{CommandFactory, FromArgMatches};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tracing::level_filters::LevelFilter;
use tracing::{info, warn};

use cli::{Cli, CliCommand, ServeArgs};
use dimmer::client::{MatterCommand, SettingsCommand};
use dimmer::config::{self, Config, LightOptions};
use dimmer::model::text::printable;
use dimmer::platform::mdns;
use dimmer::platform::password::{self, Hash};
use dimmer::platform::terminal::{OutputClosed, print};
use dimmer::service::Service;
use dimmer::{client, doctor};

fn main() -> ExitCode {
    let matches = without_empty_variables(Cli::command()).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<OutputClosed>() => ExitCode::SUCCESS,
        Err(error) => {
            // It may quote another machine. `eprintln!` would panic where nobody reads it.
            let _ = writeln!(io::stderr(), "dimmer: {}", printable(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}

/// The command without the variables that are set to nothing, as `DIMMER_GPIO=` in a unit or a shell means
/// that there is none.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |variable: &OsStr| env::var_os(variable).is_some_and(|value| value.is_empty());
    command
        .mut_args(|arg| match arg.get_env().is_some_and(is_empty) {
            true => arg.env(None::<&'static str>),
            false => arg,
        })
        .mut_subcommands(without_empty_variables)
}

fn run(cli: Cli) -> anyhow::Result<()> {
    // A single thread serves all clients: each needs little CPU time, and one thread needs the least
    // memory.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let command = cli.command.unwrap_or(CliCommand::Serve(cli.serve));
    let result = runtime.block_on(execute(command));
    // Without waiting for blocked calls: a driver or a disk may hang.
    runtime.shutdown_background();
    result
}

async fn execute(command: CliCommand) -> anyhow::Result<()> {
    match command {
        CliCommand::Serve(args) => serve(args).await,
        CliCommand::Doctor(options) => doctor(options),
        CliCommand::Park(options) => {
            log_to_stderr()?;
            dimmer::pin::park(config::load_lights(options)?)
        }
        CliCommand::Password => print(&format!("{}\n", Hash::of(&password::ask()?)?.line())),
        CliCommand::Certificate(args) => certificate::make(args),
        CliCommand::Address { port } => {
            let any_address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
            print(&announce::addresses(any_address, "http", true))
        }
        CliCommand::List { timeout } => {
            let timeout = Duration::from_secs(timeout.into());
            print(&mdns::list(timeout).await?)
        }
        CliCommand::Set {
            level,
            args,
            service,
        } => client::set(&service, level, args).await,
        CliCommand::Effect {
            effect,
            speed,
            args,
            service,
        } => client::effect(&service, effect, speed, args).await,
        CliCommand::Preset { command, service } => client::presets(&service, command).await,
        CliCommand::Timer { command, service } => client::timers(&service, command).await,
        CliCommand::Settings { command, service } => {
            let command = command.unwrap_or(SettingsCommand::List);
            client::settings(&service, command).await
        }
        CliCommand::Matter { command, service } => {
            let command = command.unwrap_or(MatterCommand::Show);
            client::matter(&service, command).await
        }
        CliCommand::Get { light, service } => client::get(&service, light).await,
        CliCommand::Watch { service } => client::watch(&service).await,
        CliCommand::Backup(args) => backup::make(args).await,
        CliCommand::Restore(args) => backup::restore(args).await,
        CliCommand::Ping { count, service } => client::ping(&service, count).await,
    }
}

async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    log_to_stderr()?;
    let config = Config::load(args.options)?;
    if args.check {
        return print(&doctor::plan(Path::new("/"), &config)?);
    }
    // Determined now: once the terminal is closed, it can no longer be determined.
    let in_terminal = io::stdin().is_terminal() || io::stderr().is_terminal();
    let mut shutdown = pin!(shutdown_signal(in_terminal)?);
    let mut hang_up = signal(SignalKind::hangup()).context("cannot watch for SIGHUP")?;
    raise_open_files();
    let mut service = tokio::select! {
        service = Service::start(config) => service?,
        signal = &mut shutdown => {
            info!("{signal}: stopping before the start");
            return Ok(());
        }
    };
    announce::print(
        service.address(),
        service.is_encrypted(),
        service.lights().list(),
    );
    let result = loop {
        tokio::select! {
            signal = &mut shutdown => {
                info!("{signal}: stopping");
                break Ok(());
            }
            error = service.failed() => break Err(error),
            Some(()) = hang_up.recv(), if !in_terminal => service.reload(),
        }
    };
    service.stop().await;
    result
}

/// Resolves to the name of the first signal to stop. No signal is lost after this call returns.
fn shutdown_signal(in_terminal: bool) -> anyhow::Result<impl Future<Output = &'static str>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot watch for Ctrl-C")?;
    let mut hang_up = signal(SignalKind::hangup()).context("cannot watch for SIGHUP")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "Ctrl-C",
            _ = hang_up.recv(), if in_terminal => "the terminal was closed",
        }
    })
}

/// Each client is an open file, and the usual soft limit of 1024 is too low for `max_pages` clients and
/// the other files.
fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        warn!("cannot raise the limit on open files: {error}");
    }
}

fn doctor(options: LightOptions) -> anyhow::Result<()> {
    print(&doctor::report(
        Path::new("/"),
        &config::load_lights(options)?,
    ))
}

fn log_to_stderr() -> anyhow::Result<()> {
    let level = match env::var("DIMMER_LOG") {
        Ok(text) if !text.is_empty() => text.parse().map_err(|_| {
            anyhow!("DIMMER_LOG must be error, warn, info, debug or trace, not {text:?}")
        })?,
        _ => LevelFilter::INFO,
    };
    let log = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        // Reporting them would panic when the terminal is closed, before the pins are off.
        .log_internal_errors(false)
        .with_ansi(false)
        .with_target(false)
        .with_max_level(level);
    // The journal adds a time to each line.
    if env::var_os("JOURNAL_STREAM").is_some() {
        log.without_time().init();
    } else {
        log.init();
    }
    Ok(())
}
