//! Deploys to an emulated Raspberry Pi with Debian on its SD card: docs/emulated-pi.md.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::claims::{self, Claims, DIMMER, SSH};
use crate::common::{TestClient, until_within};
use crate::machine::{LIMIT, Machine};
use crate::measure::{FREQUENCY, duty, follows, pass_periods, set};
use crate::real_time;
use crate::waveform::Period;
use tokio::time::sleep;

/// README's commands are what is run.
const README: &str = include_str!("../../README.md");
/// Where README deploys to.
const PI: &str = "pi@raspberrypi.local";
/// The device tree with `dtoverlay=pwm-gpio,gpio=21`.
pub const OVERLAY: &str = "pwm-gpio,gpio=21";
/// The one without.
pub const STOCK: &str = "stock";
pub const KERNEL: &str = "6.12";
/// The option with which init loads what stands in for Raspberry Pi OS's gpiomem.
pub const GPIOMEM: &str = "gpiomem";
/// The steps for Debian's own kernel, which has no /dev/gpiomem.
pub const OPERATIONS: &str = include_str!("../../docs/operations.md");

/// The package that is deployed, as a pattern of the shell.
const PACKAGE: &str = "target/aarch64-unknown-linux-gnu/debian/dimmer_*_arm64.deb";

/// Where an administrator changes the unit.
const DROP_IN: &str = "/etc/systemd/system/dimmer.service.d";

/// The numbers of users that systemd makes for a service (systemd's "Users, Groups, UIDs and GIDs").
const DYNAMIC_USERS: std::ops::RangeInclusive<u32> = 61184..=65519;

#[test]
#[ignore = "needs QEMU; scripts/emulate.sh --system fetches it and runs this"]
fn on_an_emulated_pi() {
    claims::prove(async |lab, claims| {
        let mut machine = Machine::boot_system(&lab.join(KERNEL), OVERLAY, "");
        claims.of(&mut machine, KERNEL, "both, as deployed", 21);
        let laptop = Laptop::new(lab, &mut machine);

        deploys(&laptop, &mut machine, claims).await;
        comes_back_after_a_crash(&mut machine, claims).await;
        upgrades_under_open_clients(&laptop, &mut machine, claims).await;
        survives_broken_upgrades(&laptop, &mut machine, claims).await;

        machine.reboot(OVERLAY, "");
        comes_back_after_a_reboot(&mut machine, claims).await;
        machine.reboot(STOCK, GPIOMEM);
        needs_no_overlay(&mut machine, claims).await;
        needs_no_gpiomem(&mut machine, claims).await;
        leaves_nothing_behind(&mut machine, claims).await;
    });
}

/// Where `scripts/deploy.sh` runs, and what it uses to reach the Pi.
struct Laptop {
    lab: PathBuf,
}

/// How a deployment went.
struct Deployment {
    succeeded: bool,
    output: String,
}

impl Laptop {
    /// A laptop that has the Pi in its known hosts.
    fn new(lab: &Path, machine: &mut Machine) -> Laptop {
        let laptop = Laptop { lab: lab.into() };
        let port = machine.address(SSH).port();
        let key = fs::read_to_string(lab.join("host_key.pub")).unwrap();
        fs::write(
            laptop.file("known_hosts"),
            format!("[127.0.0.1]:{port} {key}"),
        )
        .unwrap();
        let config = format!(
            "Host raspberrypi.local\n HostName 127.0.0.1\n Port {port}\n IdentityFile {}\n \
             UserKnownHostsFile {}\n StrictHostKeyChecking yes\n",
            laptop.file("key").display(),
            laptop.file("known_hosts").display(),
        );
        fs::write(laptop.file("ssh_config"), config).unwrap();
        laptop
    }

    fn file(&self, name: &str) -> PathBuf {
        self.lab.join(name)
    }

    fn ssh(&self, command: &str) -> String {
        let output = Command::new("ssh")
            .arg("-F")
            .arg(self.file("ssh_config"))
            .args([PI, command])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn deploy(&self, arguments: &[&str]) -> Deployment {
        let start = Instant::now();
        let environment = fs::read_to_string(self.file("environment")).unwrap();
        let variables = environment.split_terminator('\0');
        // Not in that of a test, which cargo fills: the build scripts of others would run again, and compile for minutes.
        let output = Command::new("scripts/deploy.sh")
            .env_clear()
            .envs(variables.filter_map(|variable| variable.split_once('=')))
            .args(arguments)
            .args([PI, "--", "-F"])
            .arg(self.file("ssh_config"))
            .output()
            .unwrap();
        let (out, log) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        let text = format!("{log}{out}");
        println!("{}\n({:.0} s)", text.trim(), start.elapsed().as_secs_f64());
        Deployment {
            succeeded: output.status.success(),
            output: text,
        }
    }
}

/// The commands of README's "Put it on a Pi".
fn readme_commands() -> Vec<&'static str> {
    let (_, section) = README.split_once("Or from a laptop with Rust").unwrap();
    let (_, commands) = section.split_once("```sh\n").unwrap();
    commands.split_once("\n```").unwrap().0.lines().collect()
}

/// One command brings it up; the same again changes nothing.
async fn deploys(laptop: &Laptop, machine: &mut Machine, claims: &mut Claims) {
    let dry = laptop.deploy(&["--dry-run"]);
    claims.check(
        dry.succeeded && machine.run("dpkg -l | grep dimmer || true").is_empty(),
        "a dry run changes nothing",
    );

    let first = laptop.deploy(&[]);
    claims.check(
        first.succeeded && first.output.contains("open http://10.0.2.15:5000"),
        "one command deploys, and ends with the address",
    );
    let doctor = laptop.ssh("dimmer doctor");
    claims.check(
        readme_commands()
            == [
                format!("scripts/deploy.sh {PI}"),
                format!("ssh {PI} dimmer doctor"),
            ]
            && doctor.contains("auto takes  kernel-pwm (pwm-gpio, pwmchip"),
        "these are README's commands; dimmer doctor says what drives the GPIO",
    );
    slow_down(machine);

    let url = format!("http://{}/", machine.address(DIMMER));
    let page = reqwest::get(url).await.unwrap();
    claims.check(page.status() == 200, "the page opens from outside");
    let process = main_process(machine);
    let user: u32 = machine
        .run(&format!("stat -c %u /proc/{process}"))
        .parse()
        .unwrap();
    claims.check(
        is_active(machine) && DYNAMIC_USERS.contains(&user),
        format!("systemctl says active (running), as the user {user}, made for it alone"),
    );
    let mut client = TestClient::open(machine.address(DIMMER)).await;
    let light = client.hello["lights"][0].to_string();
    claims.check(
        client.hello["lights"][0]["driver"] == "kernel-pwm",
        format!("by the kernel's PWM: {light}"),
    );
    set(machine, &mut client, 25.0).await;
    has_the_duty(machine, 25.0, "the pin follows", claims).await;

    machine.run("printf '[matter]\\nenabled = true\\n' >>/etc/dimmer/dimmer.toml && systemctl restart dimmer");
    let paired = machine
        .run("for i in $(seq 100); do dimmer matter | grep '^MT:' && break; sleep 0.2; done");
    let mode = machine.run("stat -c %a /var/lib/private/dimmer/matter/identity.json");
    claims.check(
        paired.starts_with("MT:") && mode == "600",
        format!("in the sandbox of the unit home apps can be paired: {paired}"),
    );

    let before = main_process(machine);
    let again = laptop.deploy(&[]);
    claims.check(
        again.succeeded
            && again.output.contains("nothing to change")
            && again.output.contains("open http://10.0.2.15:5000")
            && main_process(machine) == before,
        "the same command again changes nothing, and says so",
    );
}

/// Sets the frequency at which the duty is measured: at 1 kHz the emulation's own delays would be too much of a period.
pub fn slow_down(machine: &mut Machine) {
    let line = format!("frequency = {FREQUENCY}");
    machine.run(&format!(
        "sed -i 's/^# *frequency = .*/{line}/' /etc/dimmer/dimmer.toml"
    ));
    machine.run(&format!("grep -q '^{line}' /etc/dimmer/dimmer.toml"));
    machine.run("systemctl restart dimmer");
}

/// After SIGKILL the pin is off until systemd has started the service again, at the level from before.
async fn comes_back_after_a_crash(machine: &mut Machine, claims: &mut Claims) {
    let mut client = TestClient::open(machine.address(DIMMER)).await;
    set(machine, &mut client, 75.0).await;
    machine.run(
        r#"until grep -q '"level":75[,}]' /var/lib/private/dimmer/levels.json; do sleep 0.1; done"#,
    );
    let before = main_process(machine);
    machine.start_trace();
    machine.run("systemctl kill --signal=KILL dimmer");
    machine.run(&format!(
        "until systemctl is-active --quiet dimmer && [ $(systemctl show --property=MainPID --value dimmer) != {before} ]; do sleep 0.2; done"
    ));
    let periods = machine.end_trace().periods();
    let longest = periods.iter().map(Period::low).fold(0.0, f64::max);
    claims.check(
        longest > 0.5,
        format!("after SIGKILL the pin is low for {longest:.1} s"),
    );
    has_the_duty(machine, 75.0, "and then back", claims).await;
}

/// A client that is connected during an upgrade is away for a moment, and finds its level again.
async fn upgrades_under_open_clients(laptop: &Laptop, machine: &mut Machine, claims: &mut Claims) {
    let next = repackage(&laptop.file("next.deb"), "next", "true");
    let address = machine.address(DIMMER);
    let mut client = TestClient::open(address).await;
    set(machine, &mut client, 42.0).await;
    let deploy = std::thread::spawn({
        let laptop = Laptop {
            lab: laptop.lab.clone(),
        };
        move || laptop.deploy(&["--package", next.to_str().unwrap()])
    });
    let goodbye = loop {
        // Quiet until the service closes it.
        let frame = futures_util::StreamExt::next(&mut client.socket).await;
        if !matches!(frame, Some(Ok(message)) if !message.is_close()) {
            break Instant::now();
        }
    };
    let client = TestClient::open(address).await;
    let away = goodbye.elapsed();
    let deployment = deploy.join().unwrap();
    let version = version(machine);
    claims.check(
        deployment.succeeded && version.ends_with("+next"),
        format!("an upgrade to {version}"),
    );
    claims.check(
        client.levels["led"] == 42.0 && away < AWAY,
        format!(
            "a client is away for {:.1} s and finds its level again",
            away.as_secs_f64()
        ),
    );
    let frequency = &client.hello["lights"][0]["frequency"];
    claims.check(*frequency == FREQUENCY, "the settings stay");
}

/// A client's way back in an upgrade. It takes 2 s at most on a Pi; this one is emulated, some ten times
/// slower than a Pi 3.
const AWAY: Duration = Duration::from_secs(10);

/// A package that cannot read the settings, and one that cannot serve, leave what was there.
async fn survives_broken_upgrades(laptop: &Laptop, machine: &mut Machine, claims: &mut Claims) {
    let before = version(machine);
    for (name, script, what) in [
        ("unreadable", "exit 1", "cannot read the settings"),
        (
            "dead",
            "case \"$*\" in *--check*) ;; *) exit 1 ;; esac",
            "does not serve",
        ),
    ] {
        let program = format!("printf '#!/bin/sh\\n%s\\n' '{script}' >usr/bin/dimmer");
        let broken = repackage(&laptop.file(&format!("{name}.deb")), name, &program);
        let deployment = laptop.deploy(&["--package", broken.to_str().unwrap()]);
        let client = TestClient::open(machine.address(DIMMER)).await;
        claims.check(
            !deployment.succeeded
                && deployment.output.contains("put back what ran before")
                && version(machine) == before
                && is_active(machine)
                && client.levels["led"] == 42.0,
            format!("a package that {what} is rolled back to {before}, at its level"),
        );
    }
}

async fn comes_back_after_a_reboot(machine: &mut Machine, claims: &mut Claims) {
    until_within(LIMIT, "the service is up", async || is_active(machine)).await;
    has_the_duty(machine, 42.0, "after a reboot the pin is as before", claims).await;
}

/// The same service with `software-pwm`, in the sandbox of its unit as it comes.
async fn needs_no_overlay(machine: &mut Machine, claims: &mut Claims) {
    until_within(LIMIT, "the service is up", async || is_active(machine)).await;
    let device = machine.run("stat -c '%U %G %a' /dev/gpiomem");
    let claim = format!("without the overlay, with a gpiomem of {device}, the pin is as before");
    has_the_duty(machine, 42.0, &claim, claims).await;
    let process = main_process(machine);
    let user = machine.run(&format!("stat -c %u /proc/{process}"));
    claims.check(
        device == "root gpio 660"
            && user.parse().is_ok_and(|user| DYNAMIC_USERS.contains(&user))
            && has_real_time_priority(machine),
        format!("by software-pwm with real-time priority, as the user {user}"),
    );
}

/// Nor a gpiomem, by what operations.md says for a kernel without one.
async fn needs_no_gpiomem(machine: &mut Machine, claims: &mut Claims) {
    let (_, section) = OPERATIONS
        .split_once("## A kernel without gpiomem")
        .unwrap();
    let (_, unit) = section.split_once("```ini\n").unwrap();
    let (unit, _) = unit.split_once("```").unwrap();
    machine.run("systemctl stop dimmer && rm /dev/gpiomem");
    machine.run(&format!(
        "mkdir {DROP_IN} && printf '%s' '{unit}' >{DROP_IN}/mem.conf && systemctl daemon-reload"
    ));
    machine.run("systemctl start dimmer && sync");
    until_within(LIMIT, "the service is up", async || is_active(machine)).await;
    let claim = "on a kernel without gpiomem the pin is as before";
    has_the_duty(machine, 42.0, claim, claims).await;
    claims.check(
        has_real_time_priority(machine),
        "by software-pwm with real-time priority",
    );
}

/// Whether the service says so, and the kernel says the same of the threads of the pin.
fn has_real_time_priority(machine: &mut Machine) -> bool {
    let log = machine.run(
        "journalctl --no-pager --unit=dimmer --output=cat \
         _SYSTEMD_INVOCATION_ID=$(systemctl show --property=InvocationID --value dimmer)",
    );
    let process = main_process(machine);
    log.contains("software-pwm with real-time priority") && real_time::is_kept(machine, &process)
}

/// Removed, the pin is off; purged, no file is left.
async fn leaves_nothing_behind(machine: &mut Machine, claims: &mut Claims) {
    machine.run("dpkg --remove dimmer 2>&1");
    pass_periods(machine);
    machine.start_trace();
    sleep(Duration::from_millis(500)).await;
    let steady = machine.end_trace().writes() == (0, 0);
    claims.check(steady && !machine.pin_is_high(), "removed: the pin is off");
    // 5000 in hexadecimal, listening.
    let listens = machine.run("cat /proc/net/tcp /proc/net/tcp6 | grep -c ':1388 .* 0A ' || true");
    claims.check(listens == "0", "and the port closed");
    machine.run(&format!("rm -r {DROP_IN}"));
    machine.run("dpkg --purge dimmer 2>&1");
    let left = left_behind(machine);
    claims.check(left.is_empty(), format!("purged: nothing is left {left}"));
}

/// The files that have to do with dimmer.
pub fn left_behind(machine: &mut Machine) -> String {
    machine.run(
        "find / -xdev -iname '*dimmer*' ! -path '/proc/*' ! -path '/sys/*' ! -path '/var/log/journal/*'",
    )
}

/// Makes a package of the one that was deployed, with another version, after a change to its files.
pub fn repackage(package: &Path, version: &str, change: &str) -> PathBuf {
    let script = format!(
        "set -e
         folder=$(mktemp -d)
         dpkg-deb -R {PACKAGE} $folder/new
         cd $folder/new
         sed -i 's/^Version: .*/&+{version}/' DEBIAN/control
         {change}
         dpkg-deb --root-owner-group -b . \"$1\"
         rm -r $folder"
    );
    let made = Command::new("bash")
        .args(["-c", &script, "bash"])
        .arg(package)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    package.into()
}

pub async fn has_the_duty(machine: &mut Machine, level: f64, claim: &str, claims: &mut Claims) {
    let (holds, seen) = follows(machine, duty(level)).await;
    claims.check(
        holds,
        format!("{claim}: high for {seen:.4} of the time at {level} %"),
    );
}

pub fn is_active(machine: &mut Machine) -> bool {
    let state = machine.run("systemctl show --property=ActiveState,SubState --value dimmer");
    state.split_whitespace().eq(["active", "running"])
}

pub fn main_process(machine: &mut Machine) -> String {
    machine.run("systemctl show --property=MainPID --value dimmer")
}

pub fn version(machine: &mut Machine) -> String {
    machine.run("dpkg-query --show --showformat='${Version}' dimmer")
}
