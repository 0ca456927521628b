//! What `kernel-pwm` writes to the kernel, with rppal, on a made-up Pi: its `/sys` is a folder of plain files.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::common::{dimmer, linear, need, run_by, until};
use crate::pi::FakePi;

impl FakePi {
    async fn has_pulse(&self, what: &str, pulse: u64) {
        let pulse = pulse.to_string();
        until(&format!("{what}: {pulse} ns"), async || {
            self.read("duty_cycle") == pulse
        })
        .await;
    }

    fn park(&self, settings: &Path) {
        let mut park = dimmer();
        park.args(["park", "--config"]).arg(settings);
        assert!(self.on(&park).status().unwrap().success());
    }
}

/// The pulse of a level in ns.
fn pulse(level: f64, period: u64, invert: bool) -> u64 {
    let duty = linear(level);
    let duty = if invert { u16::MAX - duty } else { duty };
    (f64::from(duty) / 65_535.0 * period as f64).round() as u64
}

/// The writes to files of the channel, as strace writes them.
fn writes(calls: &Path) -> Vec<(String, String)> {
    let calls = fs::read_to_string(calls).unwrap_or_default();
    let write = |call: &str| {
        let (_, rest) = call.split_once("/pwm0/")?;
        let (file, rest) = rest.split_once('>')?;
        let value = rest.split('"').nth(1)?;
        Some((file.to_owned(), value.to_owned()))
    };
    calls.lines().filter_map(write).collect()
}

/// Starts the service on this Pi, and checks that it writes this to the channel, and no more.
async fn writes_of_a_start(pi: &FakePi, settings: &str, expected: &[(&str, u64)]) {
    need("strace", "strace");
    let setup = pi.setup(settings);
    let calls = setup.path().join("calls");
    let mut strace = Command::new("strace");
    // The tracer is the grandchild, so signals reach the service.
    strace.args(["-D", "-f", "-y", "-e", "trace=write", "-o"]);
    strace.arg(&calls);
    let command = pi.on(&run_by(strace, &setup.command()));
    let _dimmer = setup.start_by(command);

    let expected: Vec<(String, String)> = expected
        .iter()
        .map(|(file, value)| ((*file).to_owned(), value.to_string()))
        .collect();
    until("the first level is written", async || {
        writes(&calls).len() >= expected.len()
    })
    .await;
    assert_eq!(writes(&calls), expected, "{settings}");
}

const PERIOD: u64 = 1_000_000;

#[tokio::test]
#[ignore = "needs strace and mount namespaces; scripts/test.sh installs what is missing and runs this"]
async fn a_channel_that_runs_is_dark_until_the_first_level_and_never_disabled() {
    const LEFT: u64 = 500_000;
    for invert in [false, true] {
        let pi = FakePi::left_running(22, LEFT, LEFT / 2);
        let dark = |period| if invert { period } else { 0 };
        let expected = [
            ("duty_cycle", dark(LEFT)),
            ("period", PERIOD),
            ("duty_cycle", dark(PERIOD)),
            ("enable", 1),
            ("duty_cycle", pulse(50.0, PERIOD, invert)),
        ];
        writes_of_a_start(&pi, &format!("invert = {invert}"), &expected).await;
    }
}

#[tokio::test]
#[ignore = "needs strace and mount namespaces; scripts/test.sh installs what is missing and runs this"]
async fn a_channel_that_is_stopped_is_enabled_dark() {
    const LEFT: u64 = 500_000;
    for invert in [false, true] {
        let pi = FakePi::left(26, LEFT, LEFT / 2, 0);
        let dark = |period| if invert { period } else { 0 };
        let expected = [
            ("enable", 0),
            ("duty_cycle", dark(LEFT)),
            ("period", PERIOD),
            ("duty_cycle", dark(PERIOD)),
            ("enable", 1),
            ("duty_cycle", pulse(50.0, PERIOD, invert)),
        ];
        writes_of_a_start(&pi, &format!("invert = {invert}"), &expected).await;
    }
}

#[tokio::test]
#[ignore = "needs strace and mount namespaces; scripts/test.sh installs what is missing and runs this"]
async fn a_light_that_was_kept_goes_on_without_a_dip() {
    for invert in [false, true] {
        let kept = pulse(25.0, PERIOD, invert);
        let settings = format!("invert = {invert}\non_stop = \"keep\"\non_start = 25");
        let pi = FakePi::left_running(25, PERIOD, kept);
        let the_same = [
            ("duty_cycle", kept),
            ("period", PERIOD),
            ("duty_cycle", kept),
            ("enable", 1),
            ("duty_cycle", kept),
        ];
        writes_of_a_start(&pi, &settings, &the_same).await;

        // With another frequency it has the same share of each period.
        let pi = FakePi::left_running(25, PERIOD / 2, PERIOD / 4);
        let half_until_the_first_level = [
            ("duty_cycle", PERIOD / 4),
            ("period", PERIOD),
            ("duty_cycle", PERIOD / 2),
            ("enable", 1),
            ("duty_cycle", kept),
        ];
        writes_of_a_start(&pi, &settings, &half_until_the_first_level).await;
    }
}

#[tokio::test]
#[ignore = "needs mount namespaces; scripts/test.sh runs this"]
async fn each_level_is_the_exact_pulse_of_the_exact_period() {
    for (setting, period, invert) in [
        ("", 1_000_000, false),
        ("frequency = 50", 20_000_000, false),
        ("invert = true", 1_000_000, true),
    ] {
        let pi = FakePi::left_running(23, 5_000_000, 0);
        let dimmer = pi.start(pi.setup(setting));
        let mut client = dimmer.client().await;
        assert_eq!(client.hello["lights"][0]["driver"], "kernel-pwm");
        for level in [0.1, 1.0, 33.3, 50.0, 99.9, 100.0, 0.0] {
            client.send(json!(level)).await;
            let what = format!("{level} %, {setting}");
            pi.has_pulse(&what, pulse(level, period, invert)).await;
        }
        assert_eq!(pi.read("period"), period.to_string(), "{setting}");
        assert_eq!(pi.read("enable"), "1", "{setting}");
    }
}

#[tokio::test]
#[ignore = "needs mount namespaces; scripts/test.sh runs this"]
async fn a_pin_is_off_after_the_service_and_after_park_unless_it_is_kept() {
    for (on_stop, invert) in [("off", false), ("off", true), ("keep", false)] {
        let settings = format!("on_stop = \"{on_stop}\"\ninvert = {invert}");
        let pi = FakePi::left_running(24, 1_000_000, 0);
        let left = |level| match on_stop {
            "keep" => pulse(level, 1_000_000, invert),
            _ => pulse(0.0, 1_000_000, invert),
        };
        let dimmer = pi.start(pi.setup(&settings));
        dimmer.client().await.send(json!(25)).await;
        let lit = pulse(25.0, 1_000_000, invert);
        pi.has_pulse("25 %", lit).await;
        let (status, setup) = dimmer.stop();
        assert!(status.success());
        let what = format!("{settings} after the stop");
        assert_eq!(pi.read("duty_cycle"), left(25.0).to_string(), "{what}");

        let dimmer = pi.start(setup);
        pi.has_pulse("25 % again", lit).await;
        let setup = dimmer.kill();
        assert_eq!(pi.read("duty_cycle"), lit.to_string(), "after a crash");
        // To park what is kept means not even to enable it.
        let enable = if on_stop == "keep" { "0" } else { "1" };
        fs::write(pi.channel().join("enable"), enable).unwrap();
        pi.park(&setup.write_settings());
        let what = format!("{settings} after park");
        assert_eq!(pi.read("duty_cycle"), left(25.0).to_string(), "{what}");
        assert_eq!(pi.read("enable"), enable, "{what}");
    }
}
