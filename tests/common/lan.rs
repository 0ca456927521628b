//! A LAN of two machines, a Pi called kitchen and a phone, in namespaces of the kernel.

#![allow(dead_code, clippy::unwrap_used)]

use std::env;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use rustix::process::geteuid;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::runtime::Builder;

use crate::common::{LIMIT, need, run_by};

/// The Pi's address.
pub const KITCHEN: &str = "10.9.0.1";
/// Set where the test runs again as root of a user namespace.
const AGAIN: &str = "LAN_TEST_AGAIN";

/// A machine with a network, a name and a `/run` of its own, until it is dropped.
pub struct Machine {
    holder: Child,
}

/// The two machines, which reach each other.
pub struct Lan {
    pub kitchen: Machine,
    pub phone: Machine,
}

/// Runs a test with a LAN. Where the user is not root, the test runs again as root of a user namespace. Panics where
/// the system allows no namespaces.
pub fn with_lan(test: impl FnOnce(Lan)) {
    need("ip", "iproute2");
    if !succeeds("unshare", &["--net", "--mount", "--uts", "true"]) {
        return start_again();
    }
    let kitchen = Machine::new("kitchen");
    let phone = Machine::new("phone");
    let other = phone.holder.id().to_string();
    kitchen.run(&format!(
        "ip link add eth0 type veth peer name eth0 netns {other}"
    ));
    for (machine, address) in [(&kitchen, KITCHEN), (&phone, "10.9.0.2")] {
        machine.run(&format!(
            "ip addr add {address}/24 dev eth0 && ip link set eth0 up && ip route add default dev eth0"
        ));
    }
    test(Lan { kitchen, phone });
}

/// Waits until this holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < LIMIT, "{what}: not within {LIMIT:?}");
        sleep(Duration::from_millis(20));
    }
}

/// Runs the same test in a new process, as root of a user namespace.
fn start_again() {
    let root = ["--user", "--map-root-user"];
    let again = env::var_os(AGAIN).is_some() || geteuid().is_root();
    assert!(
        !again && succeeds("unshare", &[root[0], root[1], "--net", "true"]),
        "the system allows no network namespaces, which stand for a LAN: run this as root, and not in a container \
         without CAP_SYS_ADMIN"
    );
    let thread = thread::current();
    let status = Command::new("unshare")
        .args(root)
        .arg(env::current_exe().unwrap())
        .args(["--exact", thread.name().unwrap(), "--include-ignored"])
        .arg("--nocapture")
        .env(AGAIN, "1")
        .status()
        .unwrap();
    assert!(status.success());
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let output = Command::new(program).args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}

impl Machine {
    fn new(name: &str) -> Machine {
        let set_up = format!(
            "hostname {name} && mount -t tmpfs tmpfs /run && ip link set lo up && echo ready && exec cat"
        );
        // It ends with the test, as its input does.
        let mut holder = Command::new("unshare")
            .args(["--net", "--mount", "--uts", "sh", "-c", &set_up])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "ready");
        Machine { holder }
    }

    /// The command, to be run on this machine.
    pub fn on(&self, command: &Command) -> Command {
        let mut there = Command::new("nsenter");
        there
            .arg(format!("--target={}", self.holder.id()))
            .args(["--net", "--mount", "--uts", "--"]);
        run_by(there, command)
    }

    /// The shell that runs this line there.
    pub fn shell(&self, line: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", line]);
        self.on(&shell)
    }

    /// Runs this line, and returns what it prints. Asserts that it succeeds.
    pub fn run(&self, line: &str) -> String {
        let output = self.shell(line).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs this on the machine's network, in a thread and a runtime of its own.
    pub fn within<T: Send>(&self, f: impl AsyncFnOnce() -> T + Send) -> T {
        let network = File::open(format!("/proc/{}/ns/net", self.holder.id())).unwrap();
        let run = || {
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(f())
        };
        thread::scope(|scope| scope.spawn(run).join().unwrap())
    }

    /// Whether a file or socket is there.
    pub fn has(&self, path: &Path) -> bool {
        self.shell(&format!("test -e {}", path.display()))
            .status()
            .unwrap()
            .success()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
