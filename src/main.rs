//! Parses the command line and starts what it names.

mod announce;
mod cli;

use std::env;
use std::io::{self, IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Parser;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tracing::level_filters::LevelFilter;
use tracing::{info, warn};

use cli::{Cli, Command, Serve};
use dimmer::config::{self, Config, LightOptions};
use dimmer::platform::mdns;
use dimmer::platform::password::{self, Hash};
use dimmer::service::Service;
use dimmer::{client, doctor};

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dimmer: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    // One thread serves all pages: there is little to do for each, and least memory that way.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    let result = runtime.block_on(async {
        match cli.command.unwrap_or(Command::Serve(cli.serve)) {
            Command::Serve(options) => serve(options).await,
            Command::Doctor(options) => doctor(options),
            Command::Park(options) => {
                log_to_stderr()?;
                dimmer::pin::park(config::load_lights(options)?)
            }
            Command::Password => print(&format!("{}\n", Hash::of(&password::ask()?)?.line())),
            Command::Address { port } => {
                let everywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
                print(&announce::addresses(everywhere, "http", true))
            }
            Command::Set {
                setting,
                how,
                target,
            } => client::set(&target, setting, how).await,
            Command::Effect {
                effect,
                speed,
                how,
                target,
            } => client::play(&target, effect, speed, how).await,
            Command::Preset { what, target } => client::presets(&target, what).await,
            Command::Timer { what, target } => client::timers(&target, what).await,
            Command::Get { light, target } => client::get(&target, light).await,
            Command::Watch { target } => client::watch(&target).await,
            Command::List { timeout } => {
                let time = Duration::from_secs(timeout.into());
                print(&mdns::list(time).await?)
            }
            Command::Ping { count, target } => client::ping(&target, count).await,
        }
    });
    // Not waiting for calls that hang: a driver's, a disk's.
    runtime.shutdown_background();
    result
}

async fn serve(serve: Serve) -> anyhow::Result<()> {
    log_to_stderr()?;
    let config = Config::load(serve.options)?;
    if serve.check {
        return print(&doctor::plan(Path::new("/"), &config)?);
    }
    // Asked now, as of a terminal that is gone nothing can be asked.
    let in_terminal = io::stdin().is_terminal() || io::stderr().is_terminal();
    let mut asked = pin!(asked_to_end(in_terminal)?);
    let mut hang_up = signal(SignalKind::hangup()).context("cannot watch for SIGHUP")?;
    raise_open_files();
    let mut service = tokio::select! {
        service = Service::start(config) => service?,
        why = &mut asked => {
            info!("{why}: stopping before the start");
            return Ok(());
        }
    };
    announce::print(
        service.address(),
        service.is_encrypted(),
        service.lights().list(),
    );
    let end = loop {
        tokio::select! {
            why = &mut asked => {
                info!("{why}: stopping");
                break Ok(());
            }
            error = service.failed() => break Err(error),
            Some(()) = hang_up.recv(), if !in_terminal => service.reload(),
        }
    };
    service.stop().await;
    end
}

/// Resolves to why, once the service is asked to end. From now on no such signal is lost.
fn asked_to_end(in_terminal: bool) -> anyhow::Result<impl Future<Output = &'static str>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot watch for Ctrl-C")?;
    let mut hang_up = signal(SignalKind::hangup()).context("cannot watch for SIGHUP")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "Ctrl-C",
            _ = hang_up.recv(), if in_terminal => "the terminal is gone",
        }
    })
}

/// Each page is an open file, and the usual soft limit of 1024 is below `max_pages` and the rest.
fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        warn!("cannot raise the limit of open files: {error}");
    }
}

fn doctor(options: LightOptions) -> anyhow::Result<()> {
    print(&doctor::report(
        Path::new("/"),
        &config::load_lights(options)?,
    ))
}

fn print(text: &str) -> anyhow::Result<()> {
    io::stdout()
        .write_all(text.as_bytes())
        .context("cannot write to standard output")
}

fn log_to_stderr() -> anyhow::Result<()> {
    let level = match env::var("DIMMER_LOG") {
        Ok(text) => text.parse().map_err(|_| {
            anyhow!("DIMMER_LOG must be error, warn, info, debug or trace, not {text:?}")
        })?,
        Err(_) => LevelFilter::INFO,
    };
    let log = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        // It would panic on a terminal that is gone, before the pins are off.
        .log_internal_errors(false)
        .with_ansi(false)
        .with_target(false)
        .with_max_level(level);
    // The journal has its own time on each line.
    if env::var_os("JOURNAL_STREAM").is_some() {
        log.without_time().init();
    } else {
        log.init();
    }
    Ok(())
}
