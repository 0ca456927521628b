//! The compared servers, each in a process of its own, with the CPU time and memory that Linux reports for it.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::thread::{CpuSet, sched_setaffinity};
use tempfile::TempDir;

use crate::dialect::Dialect;

/// The environment variable with the Python interpreter for the tutorials' server; scripts/bench.sh sets it.
const PYTHON: &str = "FANOUT_PYTHON";

/// A server to measure.
#[derive(Clone, Copy)]
pub struct Server {
    pub name: &'static str,
    pub dialect: Dialect,
}

/// In the order of the table.
pub const SERVERS: [Server; 5] = [
    Server {
        name: "floor",
        dialect: Dialect::Bare,
    },
    Server {
        name: "textbook",
        dialect: Dialect::Relayed,
    },
    Server {
        name: "threading",
        dialect: Dialect::SocketIo,
    },
    Server {
        name: "gevent",
        dialect: Dialect::SocketIo,
    },
    Server {
        name: "dimmer",
        dialect: Dialect::Dimmer,
    },
];

impl Server {
    /// The command that starts the server; its files go to `folder`.
    fn command(self, folder: &TempDir) -> anyhow::Result<Command> {
        match self.dialect {
            Dialect::Bare | Dialect::Relayed => {
                let mut command = Command::new(env::current_exe()?);
                command.args(["--serve", self.name]);
                Ok(command)
            }
            Dialect::SocketIo => {
                let python = env::var_os(PYTHON).with_context(|| {
                    format!(
                        "{PYTHON} is not set: run scripts/bench.sh, which installs Flask-SocketIO"
                    )
                })?;
                let mut command = Command::new(python);
                command
                    .arg(concat!(
                        env!("CARGO_MANIFEST_DIR"),
                        "/benches/fanout/tutorial.py"
                    ))
                    .arg(self.name);
                Ok(command)
            }
            Dialect::Dimmer => {
                let settings = folder.path().join("dimmer.toml");
                fs::write(
                    &settings,
                    "max_pages = 2000\nmax_pages_per_address = 2000\n\
                     [[light]]\nname = \"led\"\ngpio = 21\ndriver = \"simulated\"\n",
                )?;
                let mut command = Command::new(dimmer_binary());
                command
                    .arg("--config")
                    .arg(settings)
                    .args(["--listen", "127.0.0.1:0", "--state-dir"])
                    .arg(folder.path().join("state"));
                Ok(command)
            }
        }
    }

    /// Starts the server on the first core, and waits until it prints its address.
    pub fn start(self) -> anyhow::Result<RunningServer> {
        let folder = tempfile::tempdir()?;
        let mut command = self.command(&folder)?;
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let start = Instant::now();
        // A child process inherits the affinity of the thread that starts it.
        pin_to_core(0);
        let child = command.spawn();
        pin_to_core(1);
        let mut child = child.with_context(|| format!("cannot start {}", self.name))?;
        let stdout = child.stdout.take().context("stdout is not piped")?;
        let mut running = RunningServer {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            startup: Duration::ZERO,
            _folder: folder,
        };
        running.address = BufReader::new(stdout)
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("open http://")?.parse().ok())
            .with_context(|| format!("{} ended without printing its address", self.name))?;
        running.startup = start.elapsed();
        Ok(running)
    }
}

/// The measured binary: `DIMMER_BIN`, or the one that cargo just built.
fn dimmer_binary() -> PathBuf {
    env::var_os("DIMMER_BIN")
        .unwrap_or_else(|| env!("CARGO_BIN_EXE_dimmer").into())
        .into()
}

/// Pins this thread to a core. A failure is ignored: a machine with a single core has no other.
fn pin_to_core(core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core);
    let _ = sched_setaffinity(None, &cores);
}

/// A running server, which is killed when dropped.
pub struct RunningServer {
    child: Child,
    pub address: SocketAddr,
    /// Time from the start of the process until it printed its address.
    pub startup: Duration,
    _folder: TempDir,
}

/// CPU time in nanoseconds of each thread of a process, by thread ID.
pub type CpuTimes = HashMap<String, u64>;

impl RunningServer {
    pub fn cpu_times(&self) -> anyhow::Result<CpuTimes> {
        let mut cpu_times = CpuTimes::new();
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let thread = thread?;
            // The thread may have ended in the meantime.
            let Ok(schedstat) = fs::read_to_string(thread.path().join("schedstat")) else {
                continue;
            };
            let time = schedstat.split_whitespace().next();
            let time = time.context("schedstat is empty")?;
            cpu_times.insert(thread.file_name().to_string_lossy().into(), time.parse()?);
        }
        Ok(cpu_times)
    }

    /// A field of `/proc/PID/status` in KiB, such as `VmRSS:`.
    pub fn memory(&self, field: &str) -> anyhow::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let number = line.and_then(|line| line.split_whitespace().next());
        let number = number.with_context(|| format!("/proc/PID/status has no {field}"))?;
        Ok(number.parse()?)
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU time in nanoseconds of all threads between two readings.
pub fn cpu_time_between(before: &CpuTimes, after: &CpuTimes) -> f64 {
    let threads = after.iter();
    threads
        .map(|(thread, time)| time - before.get(thread).unwrap_or(&0))
        .sum::<u64>() as f64
}
