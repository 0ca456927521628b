//! The service as a process: how it starts, stops, fails and comes back.

use std::fs;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use dimmer::platform::gpio_lock::GpioLock;

use crate::common::{LIMIT, Setup, TestServer, dimmer, duties, linear, need, run_by, until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

/// The exit code and stderr of a command that is expected to end by itself.
fn run(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command.output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[tokio::test]
async fn a_stop_closes_the_clients_and_switches_off() {
    let dimmer = TestServer::start();
    let mut client = dimmer.client().await;
    client.send(json!(80)).await;
    client.settled().await;
    let goodbye = tokio::spawn(async move { client.close_code().await });
    let (status, setup) = tokio::task::spawn_blocking(|| dimmer.stop()).await.unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(goodbye.await.unwrap(), 1001);
    assert_eq!(duties(&setup, "led").last(), Some(&0));
}

#[tokio::test]
#[ignore = "needs script, a terminal; scripts/test.sh installs it and runs this"]
async fn ctrl_c_and_a_terminal_that_goes_away_switch_off() {
    need("script", "bsdutils");
    let (status, setup) = TestServer::start().stop_by(Signal::INT);
    assert_eq!(status.code(), Some(0));
    assert_eq!(duties(&setup, "led").last(), Some(&0));

    let setup = Setup::new();
    let serve = setup.command();
    let words = [serve.get_program()].into_iter().chain(serve.get_args());
    let words: Vec<_> = words
        .map(|word| format!("'{}'", word.to_str().unwrap()))
        .collect();
    // `script` provides the terminal.
    let mut terminal = Command::new("script");
    terminal
        .args(["--quiet", "--command"])
        .arg(format!("exec {}", words.join(" ")))
        .arg("/dev/null")
        .stdin(Stdio::null());
    let setup = setup.start_by(terminal).kill();
    until("the pin is off", async || {
        duties(&setup, "led").last() == Some(&0)
    })
    .await;
}

#[tokio::test]
async fn without_a_terminal_sighup_stops_nothing() {
    let dimmer = Setup::new().start_with(|command| {
        command.stdin(Stdio::null());
    });
    let pid = Pid::from_raw(dimmer.pid() as i32).unwrap();
    kill_process(pid, Signal::HUP).unwrap();
    until("the signal is logged", async || {
        dimmer.log().contains("nothing to read again")
    })
    .await;
    assert_eq!(dimmer.level("led").await, 50.0);
}

#[tokio::test]
async fn a_client_that_does_not_answer_the_close_does_not_hold_up_the_stop() {
    let dimmer = TestServer::start();
    let _deaf = dimmer.client().await;
    let half_sent = std::net::TcpStream::connect(dimmer.address).unwrap();
    std::io::Write::write_all(&mut &half_sent, b"GET / HTTP/1.1\r\n").unwrap();
    let start = Instant::now();
    let (status, setup) = dimmer.stop();
    // Nothing ends these two but the time that the service allows them.
    assert!(start.elapsed() < LIMIT);
    assert_eq!(status.code(), Some(0));
    assert_eq!(duties(&setup, "led").last(), Some(&0));
}

#[tokio::test]
async fn the_level_comes_back_after_a_restart() {
    let dimmer = TestServer::start();
    let mut client = dimmer.client().await;
    client.send(json!(42.5)).await;
    client.send(json!({"on": false})).await;
    client.settled().await;
    let (_, setup) = dimmer.stop();

    let dimmer = setup.start();
    let mut client = dimmer.client().await;
    assert_eq!(client.levels["led"], 0.0);
    client.send(json!({"on": true})).await;
    client.settled().await;
    assert_eq!(
        client.levels["led"], 42.5,
        "the last level above 0 came back, too"
    );
}

#[tokio::test]
async fn the_level_comes_back_after_sigkill() {
    let dimmer = TestServer::start();
    let mut client = dimmer.client().await;
    for level in 0..=33 {
        client.send(json!(level)).await;
    }
    client.settled().await;
    let file = dimmer.setup().levels_file();
    until("the level is kept", async || {
        fs::read_to_string(&file).is_ok_and(|text| text.contains(r#""level":33,"#))
    })
    .await;
    let dimmer = dimmer.kill().start();
    assert_eq!(dimmer.level("led").await, 33.0);
    dimmer.pin_is_at("led", 33.0).await;
}

#[tokio::test]
async fn a_damaged_file_of_levels_is_set_aside_with_a_warning() {
    for damage in [
        "",
        "{\"version\":1,\"lig",
        "\0\0\0\0\0\0",
        "{\"version\":99}",
    ] {
        let setup = Setup::new();
        fs::create_dir_all(setup.levels_file().parent().unwrap()).unwrap();
        fs::write(setup.levels_file(), damage).unwrap();
        let dimmer = setup.start();
        assert_eq!(dimmer.level("led").await, 50.0);
        assert!(dimmer.log().contains("cannot be used"), "{}", dimmer.log());
        let aside = dimmer.setup().levels_file().with_extension("json.damaged");
        assert_eq!(fs::read_to_string(aside).unwrap(), damage);
    }
}

#[tokio::test]
async fn a_state_folder_that_cannot_be_made_costs_a_warning_only() {
    let setup = Setup::new();
    fs::write(setup.path().join("state"), "a file, not a folder").unwrap();
    let dimmer = setup.start();
    let mut client = dimmer.client().await;
    client.send(json!(42)).await;
    client.settled().await;
    assert_eq!(dimmer.level("led").await, 42.0);
    until("the warning", async || {
        dimmer.log().contains("cannot keep the levels in")
    })
    .await;
}

#[tokio::test]
async fn a_light_starts_as_its_settings_say() {
    let settings = |on_start| format!("[[light]]\non_start = {on_start}\n");
    for (on_start, first, then) in [
        ("\"off\"", 0.0, 0.0),
        ("30", 30.0, 30.0),
        ("\"restore\"", 50.0, 7.0),
    ] {
        let dimmer = Setup::with(&settings(on_start)).start();
        assert_eq!(dimmer.level("led").await, first);
        let mut client = dimmer.client().await;
        client.send(json!(7)).await;
        client.settled().await;
        let dimmer = dimmer.stop().1.start();
        assert_eq!(dimmer.level("led").await, then, "on_start = {on_start}");
    }
}

#[tokio::test]
async fn an_inverted_light_is_dark_at_a_high_pin() {
    let dimmer = Setup::with("[[light]]\ninvert = true\n").start();
    let mut client = dimmer.client().await;
    client.send(json!(100)).await;
    until("the pin is low", async || {
        dimmer.duties("led").last() == Some(&0)
    })
    .await;
    let (_, setup) = dimmer.stop();
    assert_eq!(
        duties(&setup, "led").last(),
        Some(&65535),
        "off after the stop"
    );
}

#[tokio::test]
async fn the_light_is_from_min_duty_to_max_duty_and_0_is_dark() {
    let settings = "[[light]]\nmin_duty = 10\nmax_duty = 80.5\ncurve = \"perceptual\"\n";
    let dimmer = Setup::with(settings).start();
    let mut client = dimmer.client().await;
    // A level of 0.1 is 0.1 × 27 / 24389 of the range between.
    for (level, duty) in [(0.1, 6559), (100.0, 52756), (0.0, 0)] {
        client.send(json!(level)).await;
        until("the pin follows", async || {
            dimmer.duties("led").last() == Some(&duty)
        })
        .await;
    }
}

#[tokio::test]
async fn a_pin_that_is_kept_is_left_as_it_is() {
    let dimmer = Setup::with("[[light]]\non_stop = \"keep\"\n").start();
    let mut client = dimmer.client().await;
    client.send(json!(80)).await;
    client.settled().await;
    let (_, setup) = dimmer.stop();
    assert_eq!(duties(&setup, "led").last(), Some(&linear(80.0)));
}

#[test]
fn a_failed_start_says_why_in_one_line_and_exits_with_1() {
    let running = TestServer::start();
    let port = running.address.to_string();
    let cases = [
        (
            Setup::new(),
            vec!["--listen", &port],
            vec![&*port, "in use", "--listen"],
        ),
        (
            Setup::with("[[light]]\ngpio = 99\n"),
            vec![],
            vec!["dimmer.toml:2: gpio must be from 0 to 27, not 99"],
        ),
        (
            Setup::with("[[light]]\ngpio = 2\n[[light]]\nname = \"b\"\n"),
            vec!["--gpio", "4"],
            vec!["--gpio", "[[light]]"],
        ),
        (
            Setup::new(),
            vec!["--config", "/nowhere/dimmer.toml"],
            vec!["/nowhere/dimmer.toml"],
        ),
        (
            Setup::new(),
            vec!["--driver", "kernel-pwm"],
            vec!["GPIO 21", "kernel-pwm", "dimmer doctor"],
        ),
        (
            Setup::new(),
            vec!["--driver", "software-pwm", "--frequency", "5000"],
            vec!["GPIO 21", "frequency must be from 1 to 1000 Hz, not 5000"],
        ),
        (
            Setup::new(),
            vec!["--driver", "software-pwm"],
            vec!["GPIO 21", "software-pwm", "not a Raspberry Pi"],
        ),
    ];
    for (setup, arguments, expected) in cases {
        // Of a flag given twice the last counts.
        let (code, error) = run(setup.command().args(&arguments));
        assert_eq!(code, Some(1), "{arguments:?}: {error}");
        let last = error.trim_end().lines().last().unwrap_or_default();
        for word in expected {
            assert!(last.contains(word), "{arguments:?}: {error}");
        }
    }
}

#[test]
fn check_says_what_would_be_served_and_starts_nothing() {
    let setup = Setup::with("[[light]]\nname = \"desk\"\n[[light]]\nname = \"shelf\"\ngpio = 18\n");
    let Output { status, stdout, .. } = setup.command().arg("--check").output().unwrap();
    assert_eq!(status.code(), Some(0));
    let plan = String::from_utf8(stdout).unwrap();
    let lines: Vec<_> = plan.lines().collect();
    assert_eq!(lines.len(), 3, "{plan}");
    assert!(lines[0].starts_with("listen 127.0.0.1:"), "{plan}");
    assert!(lines[1].starts_with("light desk: GPIO 21: "), "{plan}");
    assert!(lines[2].starts_with("light shelf: GPIO 18: "), "{plan}");
    assert!(!setup.path().join("state").exists(), "no level is kept");
    assert!(duties(&setup, "desk").is_empty(), "no pin is moved");

    let wrong = Setup::with("[[light]]\nfreqency = 100\n");
    let (code, error) = run(dimmer()
        .args(["serve", "--check", "--config"])
        .arg(wrong.write_settings()));
    assert_eq!(code, Some(1), "{error}");
    let expected = "dimmer.toml:2: unknown setting `freqency`; did you mean `frequency`?";
    assert!(error.trim_end().ends_with(expected), "{error}");

    let (code, error) = run(Setup::new()
        .command()
        .args(["--check", "--driver", "kernel-pwm"]));
    assert_eq!(code, Some(1), "{error}");
    assert!(
        error.contains("light led on GPIO 21: kernel-pwm"),
        "{error}"
    );
}

#[test]
fn a_simulated_light_has_no_button_and_says_so() {
    let setup = || Setup::with("[[light]]\nname = \"desk\"\nbutton_gpio = 20\n");
    let expected = "light desk: no button on GPIO 20, as the light is simulated";
    assert!(setup().start().log().contains(expected));

    let Output { stdout, .. } = setup().command().arg("--check").output().unwrap();
    let plan = String::from_utf8(stdout).unwrap();
    let expected = "light desk: button: none on GPIO 20, as the light is simulated\n";
    assert!(plan.ends_with(expected), "{plan}");
}

#[test]
fn wrong_usage_exits_with_2() {
    for arguments in [
        &["--gpio", "28"][..],
        &["--frequency", "0"],
        &["--driver", "pigpio"],
        &["--listen", "5000"],
        &["--allowed-hosts", "pi.lan:80"],
        &["--colour", "red"],
        &["set"],
        &["set", "101"],
        &["set", "bright"],
        &["ping", "--count", "0"],
    ] {
        let (code, error) = run(dimmer().args(arguments));
        assert_eq!(code, Some(2), "{arguments:?}: {error}");
        assert!(error.starts_with("error: "), "{error}");
    }
}

#[test]
fn variables_set_flags_and_flags_override_them() {
    let (code, error) = run(dimmer().env("DIMMER_GPIO", "28"));
    assert_eq!(code, Some(2), "{error}");
    let (_, error) = run(dimmer()
        .args(["--config", "/flag"])
        .env("DIMMER_CONFIG", "/variable"));
    assert!(error.contains("/flag"), "{error}");
    let (code, error) = run(dimmer().env("DIMMER_LOG", "loud"));
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("DIMMER_LOG must be error, warn"), "{error}");
}

#[test]
fn the_limit_of_open_files_leaves_room_for_every_client() {
    let setup = Setup::new();
    // Whatever the tests' own process has raised its soft limit to.
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"ulimit -S -n 128 && exec "$0" "$@""#]);
    let command = run_by(shell, &setup.command());
    let dimmer = setup.start_by(command);
    let limits = fs::read_to_string(format!("/proc/{}/limits", dimmer.pid())).unwrap();
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let mut numbers = line.unwrap().split_whitespace();
    assert_eq!(numbers.next(), numbers.next(), "soft and hard");
}

#[test]
fn park_needs_no_service_and_says_what_it_cannot_do() {
    let setup = Setup::new();
    let settings = setup.write_settings();
    let (code, log) = run(dimmer().args(["park", "--config"]).arg(&settings));
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("light led: off"), "{log}");
    let (code, log) = run(dimmer()
        .args(["park", "--driver", "software-pwm", "--config"])
        .arg(&settings));
    assert_eq!(code, Some(1), "{log}");
    assert!(
        log.contains("GPIO 21: software-pwm: this is not a Raspberry Pi"),
        "{log}"
    );
}

#[test]
fn a_gpio_that_another_process_has_is_left_alone_and_its_owner_is_named() {
    let setup = Setup::new();
    let settings = setup.write_settings();
    // One that no other test has at the same time.
    let (gpio, lock) = (0..=27)
        .rev()
        .find_map(|gpio| Some((gpio, GpioLock::take(gpio).ok()?)))
        .unwrap();
    let gpio = gpio.to_string();
    let command = |name: &str| {
        let mut command = dimmer();
        command.args([name, "--driver", "software-pwm", "--gpio", &gpio]);
        command.arg("--config").arg(&settings);
        command
    };
    let owner = format!(", process {} since 2", std::process::id());
    // The port is in use as well, but another port would not help.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap().to_string();
    for mut refused in [command("serve"), command("park")] {
        if refused.get_args().next().unwrap() == "serve" {
            refused.args(["--listen", &address]);
        }
        let (code, log) = run(&mut refused);
        assert_eq!(code, Some(1), "{log}");
        let expected = format!("light led on GPIO {gpio}: GPIO {gpio} is in use by ");
        assert!(log.contains(&expected) && log.contains(&owner), "{log}");
        assert!(!log.contains("--listen"), "{log}");
    }
    let doctor = || String::from_utf8(command("doctor").output().unwrap().stdout).unwrap();
    let report = doctor();
    let held_by = report.lines().find(|line| line.starts_with("held by"));
    assert!(held_by.unwrap().contains(&owner), "{report}");

    drop(lock);
    assert!(!doctor().contains(&owner));
    let (_, log) = run(&mut command("park"));
    assert!(log.contains("this is not a Raspberry Pi"), "{log}");
}
