//! A fresh image becomes a dimmer without a keyboard, from a repository: docs/emulated-pi.md.

use std::path::Path;
use std::process::Command;
use std::time::{Instant, SystemTime};

use crate::browser::Browser;
use crate::claims::{self, Claims, DIMMER};
use crate::common::{Repository, TestClient, until_within};
use crate::deployment::{
    GPIOMEM, KERNEL, OPERATIONS, OVERLAY, STOCK, has_the_duty, is_active, left_behind, repackage,
    slow_down, version,
};
use crate::machine::{LIMIT, Machine};
use crate::measure::{follows, set};

/// What QEMU's user network calls the host.
const HOST: &str = "10.0.2.2";
/// The address in the steps for a Pi that has no dimmer yet, of a repository that nobody runs.
const EXAMPLE: &str = "https://example.org/dimmer";
/// What the LED's dark end is set to on the page, in percent, and the step of its slider that is this duty.
const DARK_END: f64 = 6.4;
const STEP: u32 = 400;

#[test]
#[ignore = "needs QEMU; scripts/emulate.sh --first-boot fetches it and runs this"]
fn on_an_emulated_pi() {
    claims::prove(async |lab, claims| {
        let repository = Repository::new(HOST);
        let package = repository.path("first.deb");
        publish(&repository, &repackage(&package, "first", "true"));
        put_on_card(lab, &repository.file("user-data"));

        let start = Instant::now();
        let mut machine = Machine::boot_system(&lab.join(KERNEL), STOCK, GPIOMEM);
        claims.of(&mut machine, KERNEL, "both, from a repository", 21);
        waits_for_the_clock(&mut machine).await;
        machine.has_rebooted(OVERLAY, GPIOMEM);
        set_clock(&mut machine);
        is_set_up(&mut machine, start, claims).await;
        slow_down(&mut machine);
        is_dimmed_by_eye(&mut machine, claims).await;
        is_upgraded(&repository, &mut machine, claims).await;
        is_removed(&mut machine, claims);
        is_installed_by_hand(&repository, &mut machine, claims).await;
    });
}

fn publish(repository: &Repository, package: &Path) {
    let published = repository.publish("maintainer", package);
    assert!(published.status.success(), "{published:?}");
}

/// As a person copies a file to the card in a laptop.
fn put_on_card(lab: &Path, file: &Path) {
    let write = format!("write {} /boot/firmware/user-data", file.display());
    let mut debugfs = Command::new("/sbin/debugfs");
    debugfs.args(["-w", "-R", &write]).arg(lab.join("sd.img"));
    assert!(debugfs.status().unwrap().success());
}

/// Until NTP has set the clock, the repository is from the future; cloud-init tries again.
async fn waits_for_the_clock(machine: &mut Machine) {
    until_within(LIMIT, "apt refuses the repository", async || {
        // What cloud-init prints on the console may come in between.
        let refusal = machine.run("grep '^E: ' /var/log/cloud-init-output.log || true");
        refusal.contains("is not valid yet")
    })
    .await;
    set_clock(machine);
}

/// As NTP, which is not within reach here, does after each boot.
fn set_clock(machine: &mut Machine) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    machine.run(&format!("date --set=@{}", now.unwrap().as_secs()));
}

/// After the first boot, which ends with another one, it is a dimmer whose pin the kernel drives.
async fn is_set_up(machine: &mut Machine, start: Instant, claims: &mut Claims) {
    until_within(LIMIT, "the service is up", async || is_active(machine)).await;
    let config = machine.run("cat /boot/firmware/config.txt");
    claims.check(
        config == format!("dtoverlay={OVERLAY}"),
        format!("cloud-init has added what dimmer doctor advises: {config}"),
    );
    let status = machine.run("cloud-init status --wait");
    claims.check(
        status.ends_with("status: done"),
        "cloud-init has done all of it",
    );
    let name = machine.run("hostname");
    claims.check(name == "dimmer", format!("the Pi is called {name}"));
    let client = TestClient::open(machine.address(DIMMER)).await;
    claims.check(
        client.hello["lights"][0]["driver"] == "kernel-pwm",
        format!(
            "the page opens {:.0} s after the first boot began, nothing typed: {}",
            start.elapsed().as_secs_f64(),
            client.hello["lights"][0]
        ),
    );
}

/// The dark end is found on the page, in a phone's browser, and is what the pin has at the lowest level.
async fn is_dimmed_by_eye(machine: &mut Machine, claims: &mut Claims) {
    const DARK: &str = ".of-light .end:nth-child(3)";
    let mut client = TestClient::open(machine.address(DIMMER)).await;
    set(machine, &mut client, 50.0).await;
    let browser = Browser::chromium();
    let phone = browser
        .phone_in("en-US", machine.address(DIMMER).port())
        .await;
    for (button, shown) in [
        ("#opener", "!!document.querySelector('.settings > .chip')"),
        (
            ".settings > .chip",
            "document.querySelector('.whose select')?.options.length > 0",
        ),
    ] {
        let click = format!("document.querySelector('{button}').click()");
        phone.eval(&click).await;
        until_within(LIMIT, shown, async || phone.eval(shown).await == true).await;
    }
    let slider = format!("document.querySelector('{DARK} input')");
    phone
        .eval(&format!(
            "({slider}.value = {STEP}, {slider}.dispatchEvent(new Event('input')))"
        ))
        .await;
    let (holds, seen) = follows(machine, DARK_END / 100.0).await;
    claims.check(
        holds,
        format!("the pin shows what the page tries, {DARK_END} %: {seen:.4}"),
    );
    phone
        .eval(&format!(
            "document.querySelector('{DARK} .save-end').click()"
        ))
        .await;
    until_within(LIMIT, "the dark end is kept", async || {
        has_dark_end(machine)
    })
    .await;
    set(machine, &mut client, 0.1).await;
    let (holds, seen) = follows(machine, DARK_END / 100.0).await;
    claims.check(
        holds,
        format!("and has it at the lowest level, when it is kept: {seen:.4}"),
    );
    set(machine, &mut client, 100.0).await;
    browser.close().await;
}

/// `apt upgrade` brings a new version; the level and the dark end stay.
async fn is_upgraded(repository: &Repository, machine: &mut Machine, claims: &mut Claims) {
    let next = repackage(&repository.path("next.deb"), "next", "true");
    publish(repository, &next);
    machine.run("apt-get --quiet update 2>&1 && apt-get --quiet --yes upgrade 2>&1");
    until_within(LIMIT, "the service is up", async || is_active(machine)).await;
    let client = TestClient::open(machine.address(DIMMER)).await;
    let version = version(machine);
    claims.check(
        version.ends_with("+next") && client.levels["led"] == 100.0 && has_dark_end(machine),
        format!("apt upgrade brings {version}, and keeps the level and the dark end"),
    );
}

/// Whether the dark end is set, as `dimmer settings` says.
fn has_dark_end(machine: &mut Machine) -> bool {
    let setting = machine.run("dimmer settings | grep min_duty");
    setting.contains(&DARK_END.to_string())
}

fn is_removed(machine: &mut Machine, claims: &mut Claims) {
    machine.run("apt-get --quiet --yes purge dimmer 2>&1");
    // What it was installed from is the user's.
    machine.run("rm /etc/apt/sources.list.d/dimmer.sources && apt-get clean");
    let left = left_behind(machine);
    claims.check(left.is_empty(), format!("apt purge leaves nothing {left}"));
}

/// By the commands of operations.md, with the address of this repository.
async fn is_installed_by_hand(repository: &Repository, machine: &mut Machine, claims: &mut Claims) {
    let (_, commands) = OPERATIONS.split_once("```sh\nsudo wget").unwrap();
    let (commands, _) = commands.split_once("\n```").unwrap();
    let commands = format!("sudo wget{commands}");
    let start = Instant::now();
    for command in commands.lines() {
        machine.run(&format!(
            "({}) 2>&1",
            command.replace(EXAMPLE, repository.url())
        ));
    }
    until_within(LIMIT, "the service is up", async || is_active(machine)).await;
    let version = version(machine);
    claims.check(
        version.ends_with("+next"),
        format!(
            "{} commands install {version}, in {:.0} s",
            commands.lines().count(),
            start.elapsed().as_secs_f64()
        ),
    );
    slow_down(machine);
    let mut client = TestClient::open(machine.address(DIMMER)).await;
    set(machine, &mut client, 25.0).await;
    has_the_duty(machine, 25.0, "the pin follows", claims).await;
}
