//! How the service is found on the LAN, by itself and beside Avahi.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::common::{LIMIT, Setup, TestServer, dimmer, need};
use crate::lan::{KITCHEN, Lan, Machine, until, with_lan};

/// Starts the service on the Pi.
fn serve(lan: &Lan, settings: &str, listen: &str) -> TestServer {
    let setup = Setup::with(settings);
    let mut command = setup.command();
    command.args(["--listen", listen]);
    let there = lan.kitchen.on(&command);
    setup.start_by(there)
}

/// The exit code of `dimmer list` on the phone, and what it prints on stdout and stderr.
fn list(lan: &Lan, seconds: u32) -> (Option<i32>, String, String) {
    let mut command = dimmer();
    command.args(["list", "--timeout", &seconds.to_string()]);
    let output = lan.phone.on(&command).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (printed, errors) = (text(output.stdout), text(output.stderr));
    (output.status.code(), printed, errors)
}

#[test]
#[ignore = "needs network namespaces; scripts/test.sh installs what is missing and runs this"]
fn a_service_on_the_lan_is_listed_until_it_stops() {
    with_lan(|lan| {
        let settings = "[[light]]\nname = \"desk\"\n[[light]]\nname = \"shelf\"\ngpio = 20\n";
        let service = serve(&lan, settings, "0.0.0.0:5000");
        let line = format!("kitchen  http://kitchen.local:5000  {KITCHEN}  desk,shelf\n");
        until("the list", || list(&lan, 1).1 == line);
        assert!(service.stop().0.success());
        let (code, printed, errors) = list(&lan, 1);
        assert_eq!((code, &*printed), (Some(1), ""));
        assert!(
            errors.contains("no dimmer answered within 1s: "),
            "{errors}"
        );
    });
}

#[test]
#[ignore = "needs network namespaces; scripts/test.sh installs what is missing and runs this"]
fn nothing_is_announced_where_the_settings_or_the_address_forbid_it() {
    with_lan(|lan| {
        for (settings, listen) in [("mdns = false\n", "0.0.0.0:5000"), ("", "127.0.0.1:5000")] {
            let service = serve(&lan, settings, listen);
            assert_eq!(list(&lan, 2).0, Some(1), "{settings}{listen}");
            assert!(!service.log().contains("announced"));
        }
        let _service = serve(&lan, "", "0.0.0.0:5000");
        until("the list", || list(&lan, 2).0 == Some(0));
    });
}

/// Avahi on a machine, with a message bus for its tools.
pub struct Avahi<'a> {
    machine: &'a Machine,
    parts: [Child; 2],
    folder: tempfile::TempDir,
}

const BUS: &str = r#"<busconfig>
  <listen>ADDRESS</listen><auth>EXTERNAL</auth><auth>ANONYMOUS</auth><allow_anonymous/>
  <policy context="default">
    <allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
  </policy>
</busconfig>"#;

impl Avahi<'_> {
    pub fn start<'a>(machine: &'a Machine) -> Avahi<'a> {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("avahi.conf"), "[server]\nuse-ipv6=yes\n").unwrap();
        let address = format!("unix:path={}", path("bus").display());
        fs::write(path("bus.conf"), BUS.replace("ADDRESS", &address)).unwrap();
        let start = |program: &str| {
            let mut command = Command::new(program);
            command.env("DBUS_SYSTEM_BUS_ADDRESS", &address);
            command
        };
        let run = |command: &Command, log: &str| {
            let log = fs::File::create(path(log)).unwrap();
            machine.on(command).stderr(log).spawn().unwrap()
        };
        let bus = run(
            start("dbus-daemon")
                .args(["--nofork", "--nopidfile", "--config-file"])
                .arg(path("bus.conf")),
            "bus.log",
        );
        until("the bus", || machine.has(&path("bus")));
        let avahi = run(
            start("avahi-daemon")
                .args(["--no-drop-root", "--no-chroot", "--no-rlimits", "--file"])
                .arg(path("avahi.conf")),
            "log",
        );
        let avahi = Avahi {
            machine,
            parts: [avahi, bus],
            folder,
        };
        until("Avahi", || avahi.log().contains("Server startup complete"));
        avahi
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// One of its tools.
    fn tool(&self, program: &str, arguments: &[&str]) -> Command {
        let bus = format!("unix:path={}/bus", self.folder.path().display());
        let mut command = Command::new(program);
        command.args(arguments).env("DBUS_SYSTEM_BUS_ADDRESS", bus);
        self.machine.on(&command)
    }

    fn address_of(&self, name: &str) -> String {
        let output = self.tool("avahi-resolve", &["-4", "-n", name]).output();
        let printed = String::from_utf8(output.unwrap().stdout).unwrap();
        let address = printed.split_whitespace().nth(1);
        address.unwrap_or_default().into()
    }

    /// The services of this type that come and go, a line each.
    fn watch(&self, kind: &str) -> Watch {
        let mut browser = self
            .tool(
                "avahi-browse",
                &["--parsable", "--no-db-lookup", "--resolve", kind],
            )
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(browser.stdout.take().unwrap()).lines();
        let (sender, printed) = channel();
        thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Watch { browser, printed }
    }
}

impl Drop for Avahi<'_> {
    fn drop(&mut self) {
        for part in &mut self.parts {
            let _ = part.kill();
            let _ = part.wait();
        }
    }
}

struct Watch {
    browser: Child,
    printed: Receiver<String>,
}

impl Watch {
    /// The next line that begins so.
    fn next(&self, start: &str) -> String {
        loop {
            let line = self.printed.recv_timeout(LIMIT).expect(start);
            if line.starts_with(start) {
                return line;
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.browser.kill();
        let _ = self.browser.wait();
    }
}

fn need_avahi() {
    for (program, package) in [
        ("avahi-daemon", "avahi-daemon"),
        ("avahi-browse", "avahi-utils"),
        ("avahi-resolve", "avahi-utils"),
        ("dbus-daemon", "dbus"),
    ] {
        need(program, package);
    }
}

/// What holds beside Avahi, whichever of the two starts first.
fn live_beside_avahi(lan: &Lan, avahi_first: bool) {
    let theirs = Avahi::start(&lan.phone);
    let pages = theirs.watch("_http._tcp");
    let mut ours = avahi_first.then(|| Avahi::start(&lan.kitchen));
    // As systemd listens, for IPv4 and IPv6.
    let service = serve(lan, "", "[::]:5000");
    let found = pages.next("=;eth0;IPv4;");
    let ours = ours.take().unwrap_or_else(|| Avahi::start(&lan.kitchen));

    let expected = format!("kitchen;_http._tcp;local;kitchen.local;{KITCHEN};5000;");
    assert!(found.contains(&expected), "{found}");
    for text in ["path=/", "tls=no", "lights=led", "version="] {
        assert!(found.contains(text), "{found}");
    }
    let (_, printed, _) = list(lan, 2);
    assert!(
        printed.starts_with("kitchen  http://kitchen.local:5000  "),
        "{printed}"
    );
    assert_eq!(theirs.address_of("kitchen.local"), KITCHEN);
    lan.phone.run(&format!(
        "echo {KITCHEN} kitchen.local > /run/hosts && mount --bind /run/hosts /etc/hosts"
    ));
    let mut get = dimmer();
    get.args(["get", "--url", "http://kitchen.local:5000"]);
    assert_eq!(lan.phone.on(&get).output().unwrap().stdout, b"led 50\n");

    let log = service.log();
    assert!(!log.contains("another machine has the name"), "{log}");
    service.stop();
    pages.next("-;eth0;IPv4;");
    assert_eq!(
        theirs.address_of("kitchen.local"),
        KITCHEN,
        "Avahi's name stays"
    );
    let log = ours.log();
    assert!(
        !log.contains("conflict") && !log.contains("kitchen-2"),
        "{log}"
    );
}

#[test]
#[ignore = "needs Avahi and network namespaces; scripts/test.sh installs what is missing and runs this"]
fn avahi_started_before_the_service_keeps_its_name_and_shows_the_service() {
    need_avahi();
    with_lan(|lan| live_beside_avahi(&lan, true));
}

#[test]
#[ignore = "needs Avahi and network namespaces; scripts/test.sh installs what is missing and runs this"]
fn avahi_started_after_the_service_keeps_its_name_and_shows_the_service() {
    need_avahi();
    with_lan(|lan| live_beside_avahi(&lan, false));
}
