//! Notifications, the watchdog and socket activation, and the unit files.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{LIMIT, Setup, TestServer, dimmer, need, run_by, until};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;

/// systemd's end of the notifications.
struct Systemd(UnixDatagram);

impl Systemd {
    fn new(setup: &Setup) -> Systemd {
        let socket = UnixDatagram::bind(setup.path().join("notify")).unwrap();
        Systemd(socket)
    }

    /// The next notification, if one comes within `time`.
    fn next_within(&self, time: Duration) -> Option<String> {
        self.0.set_read_timeout(Some(time)).unwrap();
        let mut bytes = [0; 4096];
        let length = self.0.recv(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes[..length]).trim().to_owned())
    }

    fn next(&self) -> String {
        self.next_within(LIMIT).expect("a notification")
    }

    /// Reads until this notification comes.
    fn expect(&self, notification: &str) {
        let start = Instant::now();
        while self.next() != notification {
            assert!(start.elapsed() < LIMIT, "{notification} did not come");
        }
    }
}

/// The command that serves under this systemd.
fn notifying(setup: &Setup) -> Command {
    let mut command = setup.command();
    command.env("NOTIFY_SOCKET", setup.path().join("notify"));
    command
}

/// The same with a watchdog that expects a sign of life within this time.
fn watched(setup: &Setup, patience: Duration) -> Command {
    let mut command = notifying(setup);
    command.env("WATCHDOG_USEC", patience.as_micros().to_string());
    command
}

fn start(setup: Setup, command: fn(&Setup) -> Command) -> (TestServer, Systemd) {
    let systemd = Systemd::new(&setup);
    let command = command(&setup);
    (setup.start_by(command), systemd)
}

#[tokio::test]
async fn systemd_is_notified_of_the_start_the_levels_and_the_stop() {
    let two = "[[light]]\nname = \"desk\"\n[[light]]\nname = \"shelf\"\ngpio = 18\n";
    let (dimmer, systemd) = start(Setup::with(two), notifying);
    assert_eq!(systemd.next(), "READY=1");
    assert_eq!(systemd.next(), "STATUS=desk 50 %, shelf 50 %");
    let mut client = dimmer.client().await;
    client.send(json!({"light": "shelf", "level": 42.5})).await;
    assert_eq!(systemd.next(), "STATUS=desk 50 %, shelf 42.5 %");
    dimmer.stop();
    assert_eq!(systemd.next(), "STOPPING=1");
    assert_eq!(systemd.next_within(Duration::from_millis(50)), None);
}

#[tokio::test]
async fn a_dragged_slider_is_one_status_a_second_and_the_last_is_right() {
    let (dimmer, systemd) = start(Setup::new(), notifying);
    systemd.expect("STATUS=led 50 %");
    let mut client = dimmer.client().await;
    let start = Instant::now();
    for step in 1..=150 {
        client.send(json!(f64::from(step) / 2.0)).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut notifications = 1;
    while systemd.next() != "STATUS=led 75 %" {
        notifications += 1;
    }
    let most = start.elapsed().as_secs() + 2;
    assert!(
        notifications <= most,
        "{notifications} in {:?}",
        start.elapsed()
    );
}

#[test]
fn systemd_is_not_notified_while_nothing_changes() {
    let (_dimmer, systemd) = start(Setup::new(), notifying);
    systemd.expect("STATUS=led 50 %");
    // Longer than the shortest time between two.
    assert_eq!(systemd.next_within(Duration::from_millis(1500)), None);
}

#[test]
fn a_fault_is_in_the_status() {
    let setup = Setup::new();
    fs::remove_dir(setup.trace_folder()).unwrap();
    let (dimmer, systemd) = start(setup, notifying);
    let start = Instant::now();
    while !systemd.next().contains("led 50 % but simulated: ") {
        assert!(start.elapsed() < LIMIT);
    }
    fs::create_dir(dimmer.setup().trace_folder()).unwrap();
    systemd.expect("STATUS=led 50 %");
}

#[tokio::test]
async fn the_watchdog_is_not_notified_while_a_driver_hangs() {
    const PATIENCE: Duration = Duration::from_millis(400);
    let (dimmer, systemd) = start(Setup::new(), |setup| watched(setup, PATIENCE));
    for _ in 0..3 {
        systemd.expect("WATCHDOG=1");
    }

    // A pipe that nobody reads blocks the process that opens it to write.
    let trace = dimmer.setup().trace_folder().join("led");
    fs::remove_file(&trace).unwrap();
    mknodat(CWD, &trace, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let mut client = dimmer.client().await;
    client.send(json!(80)).await;
    until("the warning", async || {
        dimmer.log().contains("light led: its driver hangs")
    })
    .await;
    client.settled().await;
    // Notifications from before.
    while systemd.next_within(Duration::from_millis(1)).is_some() {}
    while let Some(notification) = systemd.next_within(2 * PATIENCE) {
        assert_ne!(notification, "WATCHDOG=1", "the pin does not follow");
    }

    let mut pipe = fs::File::open(&trace).unwrap();
    systemd.expect("WATCHDOG=1");
    let mut written = [0; 64];
    let length = pipe.read(&mut written).unwrap();
    assert!(written[..length].ends_with(b" 52428\n"), "80 percent");
}

#[test]
fn a_stopping_service_is_alive_to_the_last() {
    let (dimmer, systemd) = start(Setup::new(), |setup| watched(setup, LIMIT));
    systemd.expect("WATCHDOG=1");
    dimmer.stop();
    systemd.expect("STOPPING=1");
}

/// The command that serves on sockets that it inherits, as systemd hands them over.
fn activated(setup: &Setup, socket: OwnedFd, count: u32) -> Command {
    // Standard input becomes the first descriptor that systemd hands over, and the second.
    let hand_over = "exec 3<&0 4<&0 0</dev/null; LISTEN_PID=$$ exec \"$0\" \"$@\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", hand_over]);
    let mut command = run_by(shell, &setup.command());
    command
        .env("LISTEN_FDS", count.to_string())
        .stdin(Stdio::from(socket));
    command
}

#[tokio::test]
async fn a_request_during_a_restart_waits_and_is_served() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = || port.try_clone().unwrap().into();
    let setup = Setup::new();
    let command = activated(&setup, socket(), 1);
    let dimmer = setup.start_by(command);
    assert_eq!(dimmer.address, port.local_addr().unwrap());
    let mut client = dimmer.client().await;
    client.send(json!(42)).await;
    client.settled().await;

    let (_, setup) = dimmer.stop();
    let mut early = TcpStream::connect(port.local_addr().unwrap()).unwrap();
    early.set_read_timeout(Some(LIMIT)).unwrap();
    let request = b"GET /api/lights/led HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    early.write_all(request).unwrap();

    let command = activated(&setup, socket(), 1);
    let _dimmer = setup.start_by(command);
    let mut answer = String::new();
    early.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("\"level\":42,"), "{answer}");
}

#[test]
fn anything_but_a_single_tcp_socket_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let unix = UnixListener::bind(folder.path().join("socket")).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    for (socket, count, expected) in [
        (unix.into(), 1, "not for TCP"),
        (tcp.into(), 2, "2 sockets"),
    ] {
        let setup = Setup::new();
        let output = activated(&setup, socket, count).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("ListenStream="), "{error}");
    }
}

#[tokio::test]
#[ignore = "needs systemd-socket-activate; scripts/test.sh installs it and runs this"]
async fn systemds_own_socket_is_taken() {
    need("systemd-socket-activate", "systemd");
    // The program wants a port number: one that was free a moment ago.
    let address: SocketAddr = {
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        port.local_addr().unwrap()
    };
    let setup = Setup::new();
    let mut activate = Command::new("systemd-socket-activate");
    activate.arg(format!("--listen={address}"));
    let command = run_by(activate, &setup.command());
    // It starts the service at the first connection.
    let (dimmer, ()) = tokio::join!(
        tokio::task::spawn_blocking(|| setup.start_by(command)),
        until("a socket", async || TcpStream::connect(address).is_ok())
    );
    let dimmer = dimmer.unwrap();
    assert_eq!(dimmer.address, address);
    assert_eq!(dimmer.level("led").await, 50.0);
    assert!(dimmer.log().contains("which systemd opened"));
}

/// The units, in a folder of their own, with the program under test.
fn units() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let program = dimmer().get_program().to_owned();
    let service = include_str!("../../systemd/dimmer.service")
        .replace("/usr/bin/dimmer", program.to_str().unwrap());
    fs::write(folder.path().join("dimmer.service"), service).unwrap();
    let socket = include_str!("../../systemd/dimmer.socket");
    fs::write(folder.path().join("dimmer.socket"), socket).unwrap();
    folder
}

/// The exit code of a program that checks something, and all that it prints.
fn judged_by(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
#[ignore = "needs systemd-analyze; scripts/test.sh installs it and runs this"]
fn systemd_finds_nothing_wrong_with_the_units() {
    need("systemd-analyze", "systemd");
    let units = units();
    let (code, words) = judged_by(
        Command::new("systemd-analyze")
            .arg("verify")
            .arg(units.path().join("dimmer.service"))
            .arg(units.path().join("dimmer.socket")),
    );
    assert_eq!((code, &*words), (Some(0), ""));
}

#[test]
fn the_unit_permits_real_time_priority() {
    let unit = include_str!("../../systemd/dimmer.service");
    let line = |text: &str| unit.lines().position(|line| line == text);
    assert!(line("LimitRTPRIO=99").is_some());
    assert!(line("RestrictRealtime=yes").is_none());
    // What is allowed last counts: @resources contains it.
    let denied = line("SystemCallFilter=~@privileged @resources").unwrap();
    let allowed = line("SystemCallFilter=sched_setscheduler");
    assert!(allowed.is_some_and(|allowed| allowed > denied));
}

#[test]
fn the_unit_bounds_the_memory_and_the_tasks_of_the_service() {
    let unit = include_str!("../../systemd/dimmer.service");
    for line in ["MemoryMax=256M", "TasksMax=128"] {
        assert!(unit.lines().any(|of_unit| of_unit == line), "{line}");
    }
}

#[test]
#[ignore = "needs systemd-analyze; scripts/test.sh installs it and runs this"]
fn the_exposure_of_the_service_is_at_most_1_5() {
    need("systemd-analyze", "systemd");
    let units = units();
    let (code, report) = judged_by(
        Command::new("systemd-analyze")
            .args(["security", "--offline=true", "--no-pager", "--threshold=15"])
            .arg(units.path().join("dimmer.service")),
    );
    assert_eq!(code, Some(0), "{report}");
}

/// What udev prints about a rules file, on a system with a group gpio as on a Pi. `udevadm verify`, which would need no
/// mount namespace for that, came with systemd 254.
fn udev_says(rules: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("60-dimmer.rules"), rules).unwrap();
    let set_up = r#"
        (cat /etc/group; echo gpio:x:997:) >"$0/group" && mount --bind "$0/group" /etc/group
        mount -t tmpfs tmpfs /run && mkdir -p /run/udev/rules.d && cp "$0/60-dimmer.rules" /run/udev/rules.d
        exec 2>&1 && mount -t tmpfs tmpfs /dev
        exec udevadm test /sys/devices/virtual/mem/null"#;
    let (_, words) = judged_by(
        Command::new("unshare")
            .args(["-m", "sh", "-ec", set_up])
            .arg(folder.path()),
    );
    let ours = words
        .lines()
        .filter(|line| line.contains("60-dimmer.rules"));
    let ours: Vec<_> = ours.map(String::from).collect();
    assert!(!ours.is_empty(), "udev did not read the rules: {words}");
    ours
}

#[test]
#[ignore = "needs udevadm and root; scripts/test.sh installs it and runs this"]
fn udev_understands_the_rules() {
    need("udevadm", "udev");
    let rules = include_str!("../../systemd/60-dimmer.rules");
    let read = "Reading rules file: /run/udev/rules.d/60-dimmer.rules";
    assert_eq!(udev_says(rules), [read]);
    // An error would show.
    let wrong = udev_says(&rules.replace("GROUP=\"gpio\"", "GRUPPE=\"gpio\""));
    assert!(wrong.len() > 1, "{wrong:?}");
}
