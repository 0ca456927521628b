//! What the kernel accounts to this process.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

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
    /// The start of the process, as a time since 1970.
    pub start: Duration,
}

impl ProcessUsage {
    /// The usage now.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn now() -> anyhow::Result<ProcessUsage> {
        let stat = fs::read_to_string("/proc/self/stat")?;
        // proc_pid_stat(5). The name before the parenthesis may hold anything.
        let (_, fields) = stat.rsplit_once(") ").context("no name")?;
        let fields: Vec<_> = fields.split(' ').collect();
        let field = |number: usize| -> anyhow::Result<u64> {
            let field = fields.get(number - 3).context("too few fields")?;
            Ok(field.parse()?)
        };
        let ticks =
            |count: u64| Duration::from_secs_f64(count as f64 / clock_ticks_per_second() as f64);
        let system = fs::read_to_string("/proc/stat")?;
        let boot = system.lines().find_map(|line| line.strip_prefix("btime "));
        let boot: u64 = boot.context("no time of the boot")?.parse()?;
        Ok(ProcessUsage {
            cpu: ticks(field(14)? + field(15)?),
            virtual_memory: field(23)?,
            resident_memory: field(24)? * page_size() as u64,
            // One of them is the folder itself.
            open_files: fs::read_dir("/proc/self/fd")?.count() - 1,
            max_files: getrlimit(Resource::Nofile).current,
            start: Duration::from_secs(boot) + ticks(field(22)?),
        })
    }
}
