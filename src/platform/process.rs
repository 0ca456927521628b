//! What the kernel says of processes: what this one uses, and who another one is.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// The program of a process, its number and since when it runs, as far as this user may see them.
pub fn describe(process: u32) -> String {
    let mut text = format!("process {process}");
    if let Ok(program) = fs::read_to_string(format!("/proc/{process}/comm")) {
        text = format!("{}, {text}", program.trim());
    }
    if let Ok(start) = Stat::of(process).and_then(|stat| stat.start()) {
        let start = start.to_zoned(TimeZone::system());
        text += &format!(" since {}", start.strftime("%F %T"));
    }
    text
}

/// The numbers of `/proc/PID/stat`: proc_pid_stat(5).
struct Stat(Vec<String>);

impl Stat {
    fn of(process: u32) -> anyhow::Result<Stat> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        // The second field is the name of the program, in parentheses, which may contain anything.
        let (_, fields) = stat.rsplit_once(") ").context("no name")?;
        Ok(Stat(fields.split_whitespace().map(Into::into).collect()))
    }

    /// The field of this number in the manual.
    fn field(&self, number: usize) -> anyhow::Result<u64> {
        Ok(self.0.get(number - 3).context("too few fields")?.parse()?)
    }

    /// The time in a field that counts clock ticks.
    fn time(&self, number: usize) -> anyhow::Result<Duration> {
        let millis = self.field(number)? * 1000 / clock_ticks_per_second();
        Ok(Duration::from_millis(millis))
    }

    fn start(&self) -> anyhow::Result<Timestamp> {
        let now = Duration::try_from(clock_gettime(ClockId::Boottime))?;
        let age = now.checked_sub(self.time(22)?).unwrap_or_default();
        Ok(Timestamp::now() - age)
    }
}

/// What this process uses.
#[derive(Debug)]
pub struct ProcessUsage {
    /// Processor time, in user mode and in the kernel.
    pub cpu: Duration,
    /// Address space, in bytes.
    pub virtual_memory: u64,
    /// Memory, in bytes.
    pub resident_memory: u64,
    /// Open files and sockets.
    pub open_files: usize,
    /// The most files that it may open; `None`: no limit.
    pub max_files: Option<u64>,
    /// The start of the process.
    pub start: Timestamp,
}

impl ProcessUsage {
    /// The usage now.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn now() -> anyhow::Result<ProcessUsage> {
        let stat = Stat::of(std::process::id())?;
        Ok(ProcessUsage {
            cpu: stat.time(14)? + stat.time(15)?,
            virtual_memory: stat.field(23)?,
            resident_memory: stat.field(24)? * page_size() as u64,
            // One of them is the folder itself.
            open_files: fs::read_dir("/proc/self/fd")?.count() - 1,
            max_files: getrlimit(Resource::Nofile).current,
            start: stat.start()?,
        })
    }
}
