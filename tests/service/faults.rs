//! Drivers, the disk and the clock break; the service goes on.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{LIMIT, Setup, TestClient, TestServer, duties, linear, need, run_by, until};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::time::sleep;

/// Two lights: one for the fault, and one that goes on.
const TWO: &str = "[[light]]\nname = \"bad\"\n[[light]]\nname = \"good\"\ngpio = 18\n";

fn trace(dimmer: &TestServer) -> PathBuf {
    dimmer.setup().trace_folder().join("bad")
}

/// From now on each write to the bad light fails: its trace is a folder.
fn break_driver(dimmer: &TestServer) {
    fs::remove_file(trace(dimmer)).unwrap();
    fs::create_dir(trace(dimmer)).unwrap();
}

/// From now on each write succeeds, into a new trace.
fn repair_driver(dimmer: &TestServer) {
    fs::remove_dir(trace(dimmer)).unwrap();
}

/// From now on each write hangs: a pipe that nobody reads blocks the process that opens it to write.
fn hang_driver(dimmer: &TestServer) {
    fs::remove_file(trace(dimmer)).unwrap();
    mknodat(CWD, trace(dimmer), FileType::Fifo, Mode::RWXU, 0).unwrap();
}

/// Starts, and waits until both pins have their first level, so that no write is on the way.
async fn start() -> TestServer {
    let dimmer = Setup::with(TWO).start();
    until("both pins are set", async || {
        ["bad", "good"].map(|light| dimmer.duty(light)) == [Some(linear(50.0)); 2]
    })
    .await;
    dimmer
}

/// The next message to this client about a light's fault: its text, or nothing if the fault is over.
async fn fault(client: &mut TestClient) -> Option<String> {
    loop {
        let message = client.next().await;
        if message.get("fault").is_some() {
            return message["fault"]["message"].as_str().map(str::to_owned);
        }
    }
}

async fn health(dimmer: &TestServer) -> u16 {
    let answer = reqwest::get(dimmer.url("/api/health")).await.unwrap();
    answer.status().as_u16()
}

/// Whether the file holds this level for the light.
fn keeps(file: &Path, light: &str, level: f64) -> bool {
    let text = fs::read_to_string(file).unwrap_or_default();
    let contents: Value = serde_json::from_str(&text).unwrap_or_default();
    contents["lights"][light]["level"].as_f64() == Some(level)
}

async fn expect_kept(file: &Path, light: &str, level: f64) {
    until("the level is kept", async || keeps(file, light, level)).await;
}

#[tokio::test]
async fn a_driver_that_fails_once_gets_the_level_again() {
    let dimmer = start().await;
    let mut clients = [dimmer.client().await, dimmer.client().await];
    break_driver(&dimmer);
    clients[0].change("bad", json!({"level": 80})).await;
    for client in &mut clients {
        assert!(fault(client).await.unwrap().starts_with("simulated: "));
    }
    repair_driver(&dimmer);
    for client in &mut clients {
        assert_eq!(fault(client).await, None);
    }
    assert_eq!(dimmer.duties("bad"), [linear(80.0)]);
    assert_eq!(health(&dimmer).await, 200);
}

#[tokio::test]
async fn a_driver_that_fails_for_a_while_gets_the_level_set_meanwhile() {
    let dimmer = start().await;
    let mut client = dimmer.client().await;
    break_driver(&dimmer);
    client.change("bad", json!({"level": 80})).await;
    assert!(fault(&mut client).await.is_some());
    assert_eq!(health(&dimmer).await, 503);
    let mut other = dimmer.client().await;
    for level in [10, 20, 60] {
        client.change("bad", json!({"level": level})).await;
        client.change("good", json!({"level": level})).await;
        dimmer.pin_is_at("good", level.into()).await;
    }
    other.settled().await;
    assert_eq!(other.levels["bad"], 60.0);

    repair_driver(&dimmer);
    assert_eq!(fault(&mut client).await, None);
    assert_eq!(dimmer.duties("bad"), [linear(60.0)], "and none in between");
    assert_eq!(health(&dimmer).await, 200);
}

#[tokio::test]
async fn a_driver_that_fails_for_good_affects_only_its_own_light() {
    let dimmer = start().await;
    let mut client = dimmer.client().await;
    break_driver(&dimmer);
    client.change("bad", json!({"level": 80})).await;
    assert!(fault(&mut client).await.is_some());
    // A client that connects later receives the fault, too.
    let mut late = TestClient::open(dimmer.address).await;
    late.change("good", json!({"level": 30})).await;
    dimmer.pin_is_at("good", 30.0).await;
    let url = dimmer.url("/api/lights/bad");
    let bad: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    assert_eq!(bad["level"], 80);
    assert!(bad["fault"].is_string(), "{bad}");

    let start = Instant::now();
    let (status, setup) = dimmer.stop();
    assert_eq!(status.code(), Some(0));
    assert!(start.elapsed() < LIMIT);
    assert_eq!(duties(&setup, "good").last(), Some(&0));
    assert!(keeps(&setup.levels_file(), "bad", 80.0));

    // Nor does it keep the service from starting.
    let dimmer = setup.start();
    until("the fault is reported", async || {
        health(&dimmer).await == 503
    })
    .await;
    dimmer.pin_is_at("good", 30.0).await;
}

#[tokio::test]
async fn a_driver_that_hangs_for_seconds_delays_no_one_and_gets_the_newest_level() {
    let dimmer = start().await;
    let mut client = dimmer.client().await;
    let mut other = dimmer.client().await;
    hang_driver(&dimmer);
    client.change("bad", json!({"level": 80})).await;
    // For the time that the driver hangs, which is the fault under test.
    let hanging = Instant::now();
    let mut slowest = Duration::ZERO;
    let mut level = 0;
    while hanging.elapsed() < Duration::from_secs(3) {
        let start = Instant::now();
        level = (level + 1) % 100;
        client.change("good", json!({"level": level})).await;
        client.change("bad", json!({"level": level})).await;
        client.settled().await;
        other.settled().await;
        assert_eq!(other.levels["bad"], f64::from(level));
        dimmer.pin_is_at("good", level.into()).await;
        slowest = slowest.max(start.elapsed());
    }
    println!("while a driver hung, a change took {slowest:?} at most to reach client and pin");

    client.change("bad", json!({"level": 33.3})).await;
    client.settled().await;
    let pipe = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().try_into().unwrap())
        .open(trace(&dimmer));
    let mut pipe = pipe.unwrap();
    let mut written = String::new();
    until("the newest level", async || {
        // An empty pipe is no error here.
        let _ = pipe.read_to_string(&mut written);
        written.ends_with(&format!(" {}\n", linear(33.3)))
    })
    .await;
    assert_eq!(written.lines().count(), 2, "80, and the newest: {written}");
}

#[tokio::test]
async fn a_driver_that_hangs_holds_up_no_stop() {
    let dimmer = start().await;
    let mut client = dimmer.client().await;
    hang_driver(&dimmer);
    client.change("bad", json!({"level": 80})).await;
    client.change("good", json!({"level": 20})).await;
    dimmer.pin_is_at("good", 20.0).await;
    client.settled().await;
    let start = Instant::now();
    let (status, setup) = dimmer.stop();
    assert_eq!(status.code(), Some(0));
    assert!(start.elapsed() < LIMIT / 2, "{:?}", start.elapsed());
    let log = setup.log();
    assert!(log.contains("a driver hangs"), "{log}");
    assert_eq!(duties(&setup, "good").last(), Some(&0));
    assert!(keeps(&setup.levels_file(), "bad", 80.0));
}

#[tokio::test]
async fn a_start_that_hangs_ends_at_a_signal_to_stop() {
    for signal in [Signal::TERM, Signal::INT] {
        let setup = Setup::new();
        fs::create_dir(setup.path().join("state")).unwrap();
        mknodat(CWD, setup.levels_file(), FileType::Fifo, Mode::RWXU, 0).unwrap();
        let mut child = setup.command().stderr(Stdio::null()).spawn().unwrap();
        // A pipe opens for writing only when somebody reads, and as long as it is open the reader waits.
        let open = || {
            OpenOptions::new()
                .write(true)
                .custom_flags(OFlags::NONBLOCK.bits().try_into().unwrap())
                .open(setup.levels_file())
        };
        let mut pipe = None;
        until("the service reads its levels", async || {
            pipe = open().ok();
            pipe.is_some()
        })
        .await;
        kill_process(Pid::from_child(&child), signal).unwrap();
        let mut status = None;
        until("it ends", async || {
            status = child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        assert_eq!(status.unwrap().code(), Some(0), "{signal:?}");
        assert!(!setup.trace_folder().join("led").exists(), "no pin moved");
    }
}

#[tokio::test]
#[ignore = "takes 30 s; scripts/test.sh runs this"]
async fn a_client_that_disappears_is_noticed_within_30_seconds() {
    // The same on a clock that is made to run is a unit test of the socket.
    let dimmer = TestServer::start();
    let _gone = dimmer.client().await;
    let mut there = dimmer.client().await;
    let start = Instant::now();
    while there.pages != 1 {
        there.settled().await;
        assert!(start.elapsed() < 3 * LIMIT, "nobody noticed");
        sleep(Duration::from_millis(100)).await;
    }
    let after = start.elapsed().as_secs();
    assert!((28..=31).contains(&after), "{after} s");
}

/// A command that mounts something on the state folder, in a mount namespace of its own, and then serves. Needs root.
fn on_a_disk(setup: &Setup, mount: &str) -> Command {
    let state = setup.path().join("state");
    fs::create_dir_all(&state).unwrap();
    let mut unshare = Command::new("unshare");
    unshare
        .args(["-m", "sh", "-c"])
        .arg(format!("{mount} && exec \"$@\""))
        .arg(state);
    run_by(unshare, &setup.command())
}

#[tokio::test]
#[ignore = "needs root, to mount a file system; scripts/test.sh runs this"]
async fn a_state_folder_that_is_read_only_costs_a_warning_until_it_can_be_written() {
    let dimmer = TestServer::start();
    dimmer
        .client()
        .await
        .change("led", json!({"level": 42}))
        .await;
    expect_kept(&dimmer.setup().levels_file(), "led", 42.0).await;
    let (_, setup) = dimmer.stop();

    let read_only = r#"mount --bind "$0" "$0" && mount -o remount,bind,ro "$0""#;
    let command = on_a_disk(&setup, read_only);
    let dimmer = setup.start_by(command);
    let file = dimmer.setup().levels_file();
    let mut client = dimmer.client().await;
    assert_eq!(client.levels["led"], 42.0, "it can be read");
    client.change("led", json!({"level": 77})).await;
    dimmer.pin_is_at("led", 77.0).await;
    until("the warning", async || {
        dimmer.log().contains("cannot keep the levels in") && dimmer.log().contains("Read-only")
    })
    .await;
    assert!(keeps(&file, "led", 42.0));

    let mut enter = Command::new("nsenter");
    enter.args(["--mount", "--target", &dimmer.pid().to_string()]);
    enter
        .args(["mount", "-o", "remount,bind,rw"])
        .arg(file.parent().unwrap());
    assert!(enter.status().unwrap().success());
    expect_kept(&file, "led", 77.0).await;
}

#[tokio::test]
#[ignore = "needs root, to mount a file system; scripts/test.sh runs this"]
async fn a_full_disk_keeps_the_old_levels_until_there_is_room() {
    let setup = Setup::new();
    let command = on_a_disk(&setup, r#"mount -t tmpfs -o size=16k tmpfs "$0""#);
    let dimmer = setup.start_by(command);
    // The path as the service sees it.
    let root = format!("/proc/{}/root", dimmer.pid());
    let file = dimmer.setup().levels_file();
    let file = Path::new(&root).join(file.strip_prefix("/").unwrap());
    expect_kept(&file, "led", 50.0).await;
    let filler = file.with_file_name("filler");
    let mut full = File::create(&filler).unwrap();
    while full.write_all(&[b'x'; 4096]).is_ok() {}

    let mut client = dimmer.client().await;
    client.change("led", json!({"level": 77})).await;
    dimmer.pin_is_at("led", 77.0).await;
    until("the warning", async || {
        dimmer.log().contains("No space left on device")
    })
    .await;
    assert!(keeps(&file, "led", 50.0), "the old file is whole");

    fs::remove_file(&filler).unwrap();
    drop(full);
    expect_kept(&file, "led", 77.0).await;
}

#[tokio::test]
async fn a_state_folder_that_is_gone_is_made_again() {
    let dimmer = TestServer::start();
    let file = dimmer.setup().levels_file();
    expect_kept(&file, "led", 50.0).await;
    fs::remove_dir_all(file.parent().unwrap()).unwrap();
    let mut client = dimmer.client().await;
    client.change("led", json!({"level": 42})).await;
    expect_kept(&file, "led", 42.0).await;
}

#[tokio::test]
#[ignore = "needs strace; scripts/test.sh installs it and runs this"]
async fn a_new_state_folder_and_its_file_are_synced_up_to_the_folder_that_was_there() {
    need("strace", "strace");
    let setup = Setup::new();
    let calls = setup.path().join("calls");
    let mut strace = Command::new("strace");
    strace
        .args(["-D", "-f", "-y", "-e", "trace=fsync", "-o"])
        .arg(&calls);
    let mut command = run_by(strace, &setup.command());
    command
        .arg("--state-dir")
        .arg(setup.path().join("state/of/dimmer"));
    let dimmer = setup.start_by(command);
    let state = dimmer.setup().path().join("state");
    let file = state.join("of/dimmer/levels.json.new");
    let folder = |above| file.ancestors().nth(above).unwrap().display();
    let synced = [folder(4), folder(3), folder(2), folder(0), folder(1)];
    until("all is synced", async || {
        let calls = fs::read_to_string(&calls).unwrap_or_default();
        let mut calls = calls.lines();
        let mut done = synced.iter();
        done.all(|path| calls.any(|call| call.contains(&format!("<{path}>)"))))
    })
    .await;
}

#[tokio::test]
async fn a_file_of_levels_that_cannot_be_read_is_left_alone_until_it_can() {
    let setup = Setup::with(TWO);
    let file = setup.levels_file();
    fs::create_dir(file.parent().unwrap()).unwrap();
    // A link to itself: reading fails, and only writing would end that.
    symlink(&file, &file).unwrap();
    let dimmer = setup.start();
    assert!(
        dimmer.log().contains("it is left as it is"),
        "{}",
        dimmer.log()
    );
    let mut client = dimmer.client().await;
    client.change("bad", json!({"level": 70})).await;
    dimmer.pin_is_at("bad", 70.0).await;
    until("the warning", async || {
        dimmer.log().contains("cannot keep the levels in")
    })
    .await;
    let error = fs::read(&file).unwrap_err();
    assert_ne!(error.kind(), ErrorKind::NotFound, "it is still there");

    let levels = r#"{"version":1,"lights":{
        "bad":{"level":10,"last_on":10},
        "good":{"level":34,"last_on":34}}}"#;
    let whole = file.with_extension("whole");
    fs::write(&whole, levels).unwrap();
    fs::rename(&whole, &file).unwrap();
    expect_kept(&file, "bad", 70.0).await;
    assert!(keeps(&file, "good", 34.0), "nobody has changed that");
    let files = fs::read_dir(file.parent().unwrap()).unwrap().count();
    assert_eq!(files, 1, "nothing was set aside");
}

#[tokio::test]
async fn a_file_of_levels_cut_at_any_byte_loses_only_the_levels() {
    let whole = br#"{"version":1,"lights":{"led":{"level":42.5,"last_on":42.5}}}"#;
    let mut setup = Setup::new();
    let file = setup.levels_file();
    let aside = file.with_extension("json.damaged");
    fs::create_dir(file.parent().unwrap()).unwrap();
    for length in 0..=whole.len() {
        fs::write(&file, &whole[..length]).unwrap();
        let dimmer = setup.start();
        let level = dimmer.level("led").await;
        if length == whole.len() {
            assert_eq!(level, 42.5);
            assert!(!aside.exists());
        } else {
            assert_eq!(level, 50.0, "cut at {length}");
            assert_eq!(fs::read(&aside).unwrap(), whole[..length]);
            fs::remove_file(&aside).unwrap();
        }
        setup = dimmer.kill();
    }
}

#[tokio::test]
async fn an_older_version_keeps_what_a_newer_one_wrote() {
    let setup = Setup::new();
    let file = setup.levels_file();
    fs::create_dir(file.parent().unwrap()).unwrap();
    let newer = json!({
        "version": 1,
        "scenes": {"Dinner": 1},
        "lights": {
            "led": {"level": 34, "last_on": 34, "hue": 120},
            "gone": {"level": 142},
        },
        "presets": {"Film": {"led": {"level": 12, "effect": "aurora"}, "gone": {"level": 3}}},
        "timers": [
            {"name": "a", "at": "07:00", "days": ["mon"], "level": 4},
            {"name": "b", "at": "07:00", "days": ["mon"], "effect": "aurora"},
        ],
    });
    fs::write(&file, format!("\u{feff}{newer}")).unwrap();
    let dimmer = setup.start();
    assert_eq!(dimmer.level("led").await, 34.0);
    let mut client = dimmer.client().await;
    client.send(json!({"recall": "Film"})).await;
    client.settled().await;
    assert_eq!(client.levels["led"], 12.0, "what is understood of it works");
    let log = dimmer.log();
    for named in [
        "unknown field \"scenes\"",
        "light \"led\": unknown field \"hue\"",
        "light \"gone\": level is 142",
        "preset \"Film\": effect is \"aurora\"",
        "timer \"b\": effect is \"aurora\"",
    ] {
        assert!(log.contains(named), "{named}: {log}");
    }
    let (_, _setup) = dimmer.stop();

    let kept: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    for part in [
        "/scenes",
        "/lights/led/hue",
        "/lights/gone",
        "/presets",
        "/timers/1",
    ] {
        assert_eq!(kept.pointer(part), newer.pointer(part), "{part}");
    }
    assert_eq!(kept["lights"]["led"]["level"], 12);
    assert!(kept["timers"][0]["next"].is_string(), "it was computed");
    let files = fs::read_dir(file.parent().unwrap()).unwrap().count();
    assert_eq!(files, 1, "nothing was set aside");
}

#[tokio::test]
async fn a_second_service_on_the_same_state_folder_is_refused_until_the_first_ends() {
    let dimmer = TestServer::start();
    let file = dimmer.setup().levels_file();
    let second = |listen: &str| {
        let mut command = crate::common::dimmer();
        command
            .args(["--driver", "simulated", "--listen", listen, "--state-dir"])
            .arg(file.parent().unwrap());
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let refused = second("127.0.0.1:0");
    let holder = format!("is in use by dimmer, process {} since 2", dimmer.pid());
    assert!(
        refused.contains(&holder) && refused.contains("--state-dir"),
        "{refused}"
    );
    let same_port = second(&dimmer.address.to_string());
    assert!(same_port.contains("cannot listen"), "{same_port}");
    let mut client = dimmer.client().await;
    client.change("led", json!({"level": 42})).await;
    expect_kept(&file, "led", 42.0).await;
    let dimmer = dimmer.kill().start();
    assert_eq!(dimmer.level("led").await, 42.0, "a crash leaves no lock");
}

/// A library that sets the wall clock of one process a year ahead or back, while a file exists.
const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
  int result = syscall(SYS_clock_gettime, clock, now);
  if (result == 0 && clock == CLOCK_REALTIME) {
    if (access(getenv("CLOCK_AHEAD"), F_OK) == 0) now->tv_sec += 31536000;
    if (access(getenv("CLOCK_BACK"), F_OK) == 0) now->tv_sec -= 31536000;
  }
  return result;
}
"#;

#[tokio::test]
#[ignore = "needs a C compiler; scripts/test.sh installs it and runs this"]
async fn a_clock_that_jumps_a_year_changes_nothing() {
    let setup = Setup::with(TWO);
    let [source, library, ahead, back] =
        ["clock.c", "clock.so", "ahead", "back"].map(|name| setup.path().join(name));
    fs::write(&source, CLOCK).unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source);
    let compiled = cc.status().expect("cc is needed: apt install gcc");
    assert!(compiled.success());
    let dimmer = setup.start_with(|command| {
        command
            .env("LD_PRELOAD", &library)
            .env("CLOCK_AHEAD", &ahead)
            .env("CLOCK_BACK", &back);
    });
    let file = dimmer.setup().levels_file();
    let mut client = dimmer.client().await;
    let mut other = dimmer.client().await;
    let mut level = 10.0;
    for jump in [None, Some(&ahead), None, Some(&back), None] {
        let _ = (fs::remove_file(&ahead), fs::remove_file(&back));
        if let Some(jump) = jump {
            fs::write(jump, "").unwrap();
        }
        level += 10.0;
        client.change("bad", json!({ "level": level })).await;
        client
            .change("good", json!({"level": level, "transition": 0.2}))
            .await;
        client.settled().await;
        other.settled().await;
        assert_eq!(other.levels["bad"], level);
        dimmer.pin_is_at("bad", level).await;
        dimmer.pin_is_at("good", level).await;
        expect_kept(&file, "good", level).await;
    }
    let stamps: Vec<u64> = fs::read_to_string(trace(&dimmer))
        .unwrap()
        .lines()
        .map(|line| line.split_once(' ').unwrap().0.parse().unwrap())
        .collect();
    assert!(
        !stamps.is_sorted(),
        "no clock jumped: LD_PRELOAD needs a program that is linked dynamically"
    );
    // A fault that began in the future ends all the same.
    break_driver(&dimmer);
    client.change("bad", json!({"level": 90})).await;
    assert!(fault(&mut client).await.is_some());
    fs::write(&back, "").unwrap();
    repair_driver(&dimmer);
    assert_eq!(fault(&mut client).await, None);
    dimmer.pin_is_at("bad", 90.0).await;
}
