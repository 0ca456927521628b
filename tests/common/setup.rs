//! The folder that a service under test is started in, and the command that starts it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dimmer::platform::password::Hash;
use tempfile::TempDir;

use super::TestServer;

/// What one service is started with, and a folder of its own for it: settings, levels, traces of the pins, log.
pub struct Setup {
    folder: TempDir,
    settings: String,
    /// The port of the service that ran here before, so that a restart keeps it; or 0.
    port: u16,
    /// How many files the service may have open, if not as many as the tests.
    open_files: Option<u32>,
}

impl Setup {
    /// With the default settings.
    pub fn new() -> Setup {
        Setup::with("")
    }

    /// With these settings, in the form of `dimmer.toml`.
    pub fn with(settings: &str) -> Setup {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("trace")).unwrap();
        Setup {
            folder,
            settings: settings.into(),
            port: 0,
            open_files: None,
        }
    }

    /// With other settings.
    pub fn with_settings(mut self, settings: &str) -> Setup {
        self.settings = settings.into();
        self
    }

    /// With this many open files at most.
    pub fn with_open_files(mut self, most: u32) -> Setup {
        self.open_files = Some(most);
        self
    }

    /// With this password, hashed again with a new salt.
    pub fn with_password(mut self, password: &str) -> Setup {
        let file = self.path().join("password");
        fs::write(&file, Hash::of(password).unwrap().line() + "\n").unwrap();
        let setting = format!("password_file = {:?}\n", file.display().to_string());
        if !self.settings.contains(&setting) {
            self.settings = setting + &self.settings;
        }
        self
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn levels_file(&self) -> PathBuf {
        self.path().join("state/levels.json")
    }

    pub fn trace_folder(&self) -> PathBuf {
        self.path().join("trace")
    }

    /// What the services that ran here have logged, one after another.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path().join("log")).unwrap()
    }

    /// Writes the settings file and returns its path.
    pub fn write_settings(&self) -> PathBuf {
        let file = self.path().join("dimmer.toml");
        fs::write(&file, &self.settings).unwrap();
        file
    }

    /// The command that serves from this folder, without the `DIMMER_` variables of the tests' own environment.
    pub fn command(&self) -> Command {
        let mut command = match self.open_files {
            None => dimmer(),
            Some(most) => {
                let mut shell = without_variables("sh");
                shell
                    .args(["-c", r#"ulimit -n "$0" && exec "$@""#])
                    .arg(most.to_string())
                    .arg(program());
                shell
            }
        };
        command
            .arg("--config")
            .arg(self.write_settings())
            .arg("--listen")
            .arg(format!("127.0.0.1:{}", self.port))
            .arg("--state-dir")
            .arg(self.path().join("state"))
            .arg("--trace")
            .arg(self.trace_folder());
        command
    }

    /// Starts the service and waits until it listens.
    pub fn start(self) -> TestServer {
        self.start_with(|_| {})
    }

    /// The same, with something added to the command.
    pub fn start_with(self, add: impl FnOnce(&mut Command)) -> TestServer {
        let mut command = self.command();
        add(&mut command);
        self.start_by(command)
    }

    /// Starts the service by another command, and waits until it listens.
    pub fn start_by(mut self, mut command: Command) -> TestServer {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path().join("log"))
            .unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.map_while(Result::ok).find_map(|line| {
            let url = line.strip_prefix("open http")?;
            url.trim_start_matches('s')
                .strip_prefix("://")?
                .parse()
                .ok()
        });
        let Some(address) = address else {
            panic!("the service did not start: {}", self.log());
        };
        let address: SocketAddr = address;
        self.port = address.port();
        TestServer::new(self, child, address)
    }
}

/// The program under test: `DIMMER_BIN`, or the one that cargo just built.
pub fn dimmer() -> Command {
    without_variables(program())
}

fn program() -> OsString {
    std::env::var_os("DIMMER_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_dimmer").into())
}

fn without_variables(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (variable, _) in std::env::vars_os() {
        if variable.as_encoded_bytes().starts_with(b"DIMMER_") {
            command.env_remove(variable);
        }
    }
    command
}

/// Every duty that a light's pin got, the newest last.
pub fn duties(setup: &Setup, light: &str) -> Vec<u16> {
    let trace = fs::read_to_string(setup.trace_folder().join(light)).unwrap_or_default();
    trace
        .lines()
        .filter_map(|line| line.split_once(' ')?.1.parse().ok())
        .collect()
}
