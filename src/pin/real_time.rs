//! Real-time priority of the threads that switch pins.
//!
//! rppal's thread asks for it by `sched_setscheduler()`, which does nothing in musl's library, and ignores the
//! error. So the thread that starts rppal's asks first, in a way that works everywhere, and rppal's inherits.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thread_priority::{
    Error, RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// `SCHED_FIFO` and `SCHED_RR`, the policies of real-time priority.
const REAL_TIME_POLICIES: [&str; 2] = ["1", "2"];

/// Gives the current thread, and the threads that it starts, the highest real-time priority.
///
/// # Errors
/// It is not permitted; the message says what to do.
pub fn request() -> Result<(), String> {
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::RoundRobin);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Max, policy).map_err(
        |error| {
            let reason = match error {
                Error::OS(code) => io::Error::from_raw_os_error(code).to_string(),
                error => format!("{error:?}"),
            };
            format!(
                "{reason}; set LimitRTPRIO=99 in systemd, or rtprio in /etc/security/limits.conf"
            )
        },
    )
}

/// Whether the current thread has real-time priority.
pub fn is_granted() -> bool {
    has_real_time(Path::new("/proc/thread-self"))
}

/// Whether the threads that the current one has started all have real-time priority: those of rppal have no name
/// of their own, so they have its name. `false` if there is none.
pub fn is_inherited() -> bool {
    let this = fs::read_link("/proc/thread-self").unwrap_or_default();
    let name = name_of(Path::new("/proc/thread-self"));
    let mut started = threads(Path::new("/proc/self"))
        .filter(|thread| thread.file_name() != this.file_name() && name_of(thread) == name)
        .peekable();
    started.peek().is_some() && started.all(|thread| has_real_time(&thread))
}

/// Whether a thread of another process that moves a pin has real-time priority; `None` if it has no such thread.
pub fn of_pins(process: u32) -> Option<bool> {
    let process = format!("/proc/{process}");
    threads(Path::new(&process))
        .filter(|thread| name_of(thread).is_some_and(|name| name.starts_with("pin-")))
        .map(|thread| has_real_time(&thread))
        .reduce(|one, other| one || other)
}

fn threads(process: &Path) -> impl Iterator<Item = PathBuf> {
    let tasks = fs::read_dir(process.join("task"));
    tasks
        .into_iter()
        .flatten()
        .flatten()
        .map(|task| task.path())
}

fn name_of(thread: &Path) -> Option<String> {
    fs::read_to_string(thread.join("comm")).ok()
}

fn has_real_time(thread: &Path) -> bool {
    let stat = fs::read_to_string(thread.join("stat")).unwrap_or_default();
    // The name of the thread, in parentheses, may contain spaces. The policy is the 39th field after it.
    let policy = stat
        .rsplit_once(')')
        .and_then(|(_, fields)| fields.split_whitespace().nth(38));
    policy.is_some_and(|policy| REAL_TIME_POLICIES.contains(&policy))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    /// Runs in a thread of its own with this name, so that no other thread changes its priority.
    fn in_thread<T: Send + 'static>(name: &str, run: impl FnOnce() -> T + Send + 'static) -> T {
        let thread = thread::Builder::new().name(name.into()).spawn(run);
        thread.unwrap().join().unwrap()
    }

    #[test]
    fn a_thread_that_is_started_later_inherits_what_was_granted() {
        let (before, requested, granted, without, inherited) = in_thread("rt-asks", || {
            let before = is_granted();
            let requested = request();
            let (granted, without) = (is_granted(), is_inherited());
            let (stop, stopped) = mpsc::channel::<()>();
            let started = thread::spawn(move || stopped.recv());
            let inherited = is_inherited();
            drop(stop);
            let _ = started.join().unwrap();
            (before, requested, granted, without, inherited)
        });
        assert!(!before && !without);
        // Root may, most other users may not.
        assert_eq!(granted, requested.is_ok(), "{requested:?}");
        assert_eq!(inherited, granted);
        if let Err(reason) = requested {
            assert!(reason.contains("LimitRTPRIO=99"), "{reason}");
        }
    }

    #[test]
    fn without_a_request_nothing_is_claimed() {
        let inherited = in_thread("rt-asks-not", || {
            let (stop, stopped) = mpsc::channel::<()>();
            let started = thread::spawn(move || stopped.recv());
            let inherited = is_inherited();
            drop(stop);
            let _ = started.join().unwrap();
            inherited
        });
        assert!(!inherited);
    }
}
