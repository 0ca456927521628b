//! The servers that are compared, each in a process of its own, and what Linux counts of it.

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

/// The variable that names the Python that the tutorials' servers run in.
pub const PYTHON: &str = "FANOUT_PYTHON";

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
    fn command(self, folder: &TempDir) -> anyhow::Result<Command> {
        match self.dialect {
            Dialect::Bare | Dialect::Relayed => {
                let mut command = Command::new(env::current_exe()?);
                command.args(["--serve", self.name]);
                Ok(command)
            }
            Dialect::SocketIo => {
                let python = env::var_os(PYTHON).context("no Python")?;
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
                let mut command = Command::new(dimmer());
                command
                    .arg("--config")
                    .arg(settings)
                    .args(["--listen", "127.0.0.1:0", "--state-dir"])
                    .arg(folder.path().join("state"));
                Ok(command)
            }
        }
    }

    /// Starts it on the first core, and waits until it says where it listens.
    pub fn start(self) -> anyhow::Result<Running> {
        let folder = tempfile::tempdir()?;
        let mut command = self.command(&folder)?;
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let start = Instant::now();
        // A process runs where the one that starts it does.
        run_on(0);
        let child = command.spawn();
        run_on(1);
        let mut child = child.with_context(|| format!("cannot start {}", self.name))?;
        let out = child.stdout.take().context("no output")?;
        let mut running = Running {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            start: Duration::ZERO,
            _folder: folder,
        };
        running.address = BufReader::new(out)
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("open http://")?.parse().ok())
            .with_context(|| format!("{} does not listen", self.name))?;
        running.start = start.elapsed();
        Ok(running)
    }
}

/// The program that is measured: `DIMMER_BIN`, or the one that cargo just built.
pub fn dimmer() -> PathBuf {
    env::var_os("DIMMER_BIN")
        .unwrap_or_else(|| env!("CARGO_BIN_EXE_dimmer").into())
        .into()
}

/// Keeps this thread on a core. Where there is but one, there is nothing to choose.
fn run_on(core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core);
    let _ = sched_setaffinity(None, &cores);
}

/// A server that runs. It is killed when dropped.
pub struct Running {
    child: Child,
    pub address: SocketAddr,
    /// Time until it listened.
    pub start: Duration,
    _folder: TempDir,
}

/// CPU time in nanoseconds that each thread of a process has had.
pub type Spent = HashMap<String, u64>;

impl Running {
    pub fn spent(&self) -> anyhow::Result<Spent> {
        let mut spent = Spent::new();
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let thread = thread?;
            // One may have ended in the meantime.
            let Ok(times) = fs::read_to_string(thread.path().join("schedstat")) else {
                continue;
            };
            let time = times.split_whitespace().next().context("no schedstat")?;
            spent.insert(thread.file_name().to_string_lossy().into(), time.parse()?);
        }
        Ok(spent)
    }

    /// A figure in KiB of `/proc/PID/status`.
    pub fn memory(&self, figure: &str) -> anyhow::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(figure));
        let number = line.and_then(|line| line.split_whitespace().next());
        Ok(number.context("no such figure")?.parse()?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Nanoseconds of all threads between two looks.
pub fn between(before: &Spent, after: &Spent) -> f64 {
    let threads = after.iter();
    threads
        .map(|(thread, time)| time - before.get(thread).unwrap_or(&0))
        .sum::<u64>() as f64
}
