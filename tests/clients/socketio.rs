//! The clients of the tutorials, unmodified, against the service: Socket.IO of both generations, and
//! the form at `/led`.
//!
//! scripts/clients.sh fetches the libraries.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{LIMIT, Setup, TestServer, fetched, long, take_turn, until};
use futures_util::{SinkExt, StreamExt};
use reqwest::{Client, Response};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use tokio::task;
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

/// A library that speaks Socket.IO.
#[derive(Debug, Clone, Copy)]
pub enum Library {
    /// Of python-socketio, with this version of Engine.IO.
    Python(u8),
    /// socket.io-client, of this version.
    Node(u8),
}

pub const LIBRARIES: [Library; 4] = [
    Library::Python(3),
    Library::Python(4),
    Library::Node(2),
    Library::Node(4),
];
/// Time for a client to start. A dozen interpreters that start at once take longer than [`LIMIT`] on a
/// busy machine, and the service has no part in that.
const START: Duration = Duration::from_secs(120);
const TRANSPORTS: [&str; 3] = ["any", "polling", "websocket"];

/// The folder with the libraries.
pub static CLIENTS: LazyLock<PathBuf> = LazyLock::new(|| fetched("scripts/clients.sh", &[]));

/// A client in a process of its own, which runs until this is dropped.
pub struct Tutorial {
    name: String,
    child: Child,
    input: ChildStdin,
    printed: Receiver<String>,
}

impl Tutorial {
    /// `header` is a name and a value.
    pub fn start(library: Library, url: &str, transport: &str, header: &[&str]) -> Tutorial {
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/socketio");
        let mut command = match library {
            Library::Python(version) => {
                let mut command =
                    Command::new(CLIENTS.join(format!("engineio-{version}/bin/python")));
                command.arg(programs.join("client.py"));
                command
            }
            Library::Node(version) => {
                let mut command = Command::new("node");
                command
                    .env("NODE_PATH", CLIENTS.join("node_modules"))
                    .arg(programs.join("client.js"))
                    .arg(format!("socket.io-client-{version}"));
                command
            }
        };
        let mut child = command
            .args([url, transport])
            .args(header)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, printed) = channel();
        thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Tutorial {
            name: format!("{library:?} by {transport}"),
            input: child.stdin.take().unwrap(),
            child,
            printed,
        }
    }

    /// The same, once it is connected, has received the level and is ready.
    fn connect(library: Library, dimmer: &TestServer, transport: &str) -> Tutorial {
        let tutorial = Tutorial::start(library, &dimmer.url(""), transport, &[]);
        tutorial.welcomed(&["led 50"]);
        tutorial
    }

    fn started(&self) {
        assert_eq!(self.next_within(START), "started", "{}", self.name);
    }

    /// Waits until it is connected and has received these events.
    pub fn welcomed(&self, events: &[&str]) {
        self.started();
        // Python handles each event in a thread of its own, so any of them may be printed first.
        let mut expected = [&["connect", "ready"], events].concat();
        expected.sort_unstable();
        let mut received: Vec<_> = expected.iter().map(|_| self.next()).collect();
        received.sort();
        assert_eq!(received, expected, "{}", self.name);
    }

    pub fn send(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    /// The next line that it prints.
    pub fn next(&self) -> String {
        self.next_within(LIMIT)
    }

    fn next_within(&self, time: Duration) -> String {
        let line = self.printed.recv_timeout(time);
        line.unwrap_or_else(|error| panic!("{} prints nothing: {error}", self.name))
    }

    /// Whether it prints nothing for this time, not even that the connection ended.
    fn is_quiet(&self, time: Duration) -> bool {
        self.printed.recv_timeout(time) == Err(RecvTimeoutError::Timeout)
    }
}

impl Drop for Tutorial {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Each library by each transport, all connected.
fn all(dimmer: &TestServer) -> Vec<Tutorial> {
    let starting: Vec<_> = LIBRARIES
        .into_iter()
        .flat_map(|library| TRANSPORTS.map(|transport| (library, transport)))
        .map(|(library, transport)| Tutorial::start(library, &dimmer.url(""), transport, &[]))
        .collect();
    for tutorial in &starting {
        tutorial.welcomed(&["led 50"]);
    }
    starting
}

#[tokio::test]
#[ignore = "needs the clients of Socket.IO; scripts/test.sh installs them and runs this"]
async fn a_client_is_sent_the_level_and_a_change_goes_to_every_client_the_sender_too() {
    let _turn = take_turn();
    let dimmer = TestServer::start();
    let mut all = all(&dimmer);
    for sender in 0..all.len() {
        let level = 30 + sender;
        all[sender].send(&format!("led {level}"));
        for tutorial in &all {
            assert_eq!(tutorial.next(), format!("led {level}"), "{}", tutorial.name);
        }
    }
    let last = 30.0 + (all.len() - 1) as f64;
    assert_eq!(dimmer.level("led").await, last);
    dimmer.pin_is_at("led", last).await;
}

#[tokio::test]
#[ignore = "needs the clients of Socket.IO; scripts/test.sh installs them and runs this"]
async fn a_socketio_client_and_a_websocket_client_receive_each_others_levels() {
    let _turn = take_turn();
    let dimmer = TestServer::start();
    let mut all = all(&dimmer);
    let mut client = dimmer.client().await;
    client.change("led", json!({"level": 12.6})).await;
    for tutorial in &all {
        assert_eq!(
            tutorial.next(),
            "led 13",
            "in whole percent: {}",
            tutorial.name
        );
    }
    for (number, tutorial) in all.iter_mut().enumerate() {
        let level = 70.0 + number as f64;
        tutorial.send(&format!("led {level}"));
        while client.levels["led"] != level {
            client.next().await;
        }
    }
}

#[tokio::test]
#[ignore = "needs the clients of Socket.IO; scripts/test.sh installs them and runs this"]
async fn a_level_is_clamped_and_anything_else_changes_nothing() {
    for library in LIBRARIES {
        let dimmer = TestServer::start();
        let mut tutorial = Tutorial::connect(library, &dimmer, "any");
        for (sent, received) in [
            ("150", "100"),
            ("150", "100"),
            ("-3", "0"),
            (" 42.4 ", "42"),
        ] {
            tutorial.send(&format!("led {sent}"));
            assert_eq!(tutorial.next(), format!("led {received}"), "{sent}");
        }
        for nothing in ["loud", "NaN", "inf", ""] {
            tutorial.send(&format!("led {nothing}"));
        }
        tutorial.send("led 43");
        assert_eq!(tutorial.next(), "led 43", "the others change nothing");
    }
}

#[tokio::test]
#[ignore = "needs the clients of Socket.IO; scripts/test.sh installs them and runs this"]
async fn a_greeting_is_answered_to_all_and_names_its_sender() {
    let _turn = take_turn();
    let dimmer = TestServer::start();
    let mut client = dimmer.client().await;
    let mut all = all(&dimmer);
    for (sender, name) in [(0, "Bia"), (5, "Rui"), (8, "Ana Rita")] {
        let greeting = format!("Cliente {name} connectado..");
        all[sender].send(&format!("message {greeting}"));
        for tutorial in &all {
            let mut received = [tutorial.next(), tutorial.next()];
            received.sort();
            let response = format!("response Server received: {greeting}");
            assert_eq!(received, ["message Olá", &response], "{}", tutorial.name);
        }
        until("the log has the greeting", async || {
            let log = dimmer.log();
            log.contains(&format!("{name} (127.0.0.1)")) && log.contains(&greeting)
        })
        .await;
    }
    while client.next_field("here").await != json!(["Ana Rita", "Bia", "Rui"]) {}
    // None of the three polls: such a client is not gone until it misses a ping.
    drop(all);
    while client.next_field("here").await != json!([]) {}
}

#[tokio::test]
#[ignore = "needs the clients of Socket.IO; scripts/test.sh installs them and runs this"]
async fn arrows_do_their_command_and_all_are_told() {
    let _turn = take_turn();
    let shelf = "[[light]]\n[[light]]\nname = \"shelf\"\ngpio = 20\non_start = 5\n";
    let dimmer = Setup::with(shelf).start();
    let mut all = all(&dimmer);
    let mut press = |sender: usize, text: &str, command: &str| {
        all[sender].send(&format!(
            r#"message {{"msg":"{text}","command":"{command}"}}"#
        ));
        let response = format!("response Server received: {text}");
        for tutorial in &all {
            // A change of the first light is sent, too.
            let received: Vec<_> = match (command, text) {
                ("up", "Vai para Cima!") => vec![tutorial.next(), tutorial.next()],
                _ => vec![tutorial.next()],
            };
            assert!(
                received.contains(&response),
                "{}: {received:?}",
                tutorial.name
            );
        }
    };
    press(0, "Vai para Cima!", "up");
    press(6, "Vai para Direita!", "right");
    press(6, "Cima, a outra", "up");
    assert_eq!(dimmer.level("led").await, 55.0);
    assert_eq!(dimmer.level("shelf").await, 10.0);
}

/// A library by each transport, with this header.
fn each(library: Library, dimmer: &TestServer, header: &[&str]) -> impl Iterator<Item = Tutorial> {
    TRANSPORTS
        .map(|transport| Tutorial::start(library, &dimmer.url(""), transport, header))
        .into_iter()
}

fn assert_refused(tutorial: Tutorial) {
    tutorial.started();
    let received = tutorial.next();
    assert!(
        received.starts_with("refused"),
        "{}: {received}",
        tutorial.name
    );
}

#[tokio::test]
#[ignore = "needs the clients of Socket.IO; scripts/test.sh installs them and runs this"]
async fn a_client_needs_the_password() {
    let dimmer = Setup::new().with_password("correct horse").start();
    let right = ["Authorization", "Bearer correct horse"];
    for library in LIBRARIES {
        each(library, &dimmer, &[]).for_each(assert_refused);
        for (tutorial, transport) in each(library, &dimmer, &right).zip(TRANSPORTS) {
            // Python's first poll has the header, and no other.
            if !matches!((library, transport), (Library::Python(_), "polling")) {
                tutorial.welcomed(&["led 50"]);
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs the clients of Socket.IO; scripts/test.sh installs them and runs this"]
async fn a_client_from_another_site_needs_an_allowed_host() {
    let dimmer = Setup::with("allowed_hosts = [\"tutorial.example\"]\n").start();
    for library in LIBRARIES {
        let evil = ["Origin", "http://evil.example"];
        each(library, &dimmer, &evil).for_each(assert_refused);
        let allowed = ["Origin", "http://tutorial.example:8000"];
        for tutorial in each(library, &dimmer, &allowed) {
            tutorial.welcomed(&["led 50"]);
        }
    }
}

#[tokio::test]
#[ignore = "needs the clients of Socket.IO; scripts/test.sh installs them and runs this"]
async fn a_client_that_polls_stays_connected_longer_than_a_connection_may() {
    let _turn = take_turn();
    let dimmer = TestServer::start();
    let all = all(&dimmer);
    // A connection lives for 70 s at most; keep-alives are due every 25 s, and patience is 20 s.
    let time = Duration::from_secs(if long() { 150 } else { 12 });
    let start = Instant::now();
    for tutorial in &all {
        let left = time.saturating_sub(start.elapsed());
        assert!(tutorial.is_quiet(left), "{}", tutorial.name);
    }
    let mut client = dimmer.client().await;
    client.change("led", json!({"level": 7})).await;
    for tutorial in &all {
        assert_eq!(tutorial.next(), "led 7", "{}", tutorial.name);
    }
}

#[tokio::test]
#[ignore = "needs the clients of Socket.IO; scripts/test.sh installs them and runs this"]
async fn a_stop_waits_for_no_client() {
    let _turn = take_turn();
    let dimmer = TestServer::start();
    let all = all(&dimmer);
    let start = Instant::now();
    let (status, setup) = dimmer.stop();
    let time = start.elapsed();
    assert!(
        status.success() && time < Duration::from_secs(2),
        "{time:?}"
    );
    let log = setup.log();
    assert!(!log.contains("did not close in time"), "{log}");
    for tutorial in &all {
        assert_eq!(tutorial.next(), "disconnect", "{}", tutorial.name);
    }
}

#[tokio::test]
async fn a_client_that_joins_during_a_stop_is_not_refused() {
    let setup = Setup::new();
    // The stop waits up to 10 seconds for the disk: here until a process reads this pipe.
    let disk = setup.levels_file().with_extension("json.new");
    fs::create_dir(disk.parent().unwrap()).unwrap();
    mknodat(CWD, &disk, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let dimmer = setup.start();
    let (mut joined, _) = connect_async(websocket(&dimmer)).await.unwrap();
    joined.send(Message::text("40")).await.unwrap();
    let level = Message::text(r#"42["led",{"level":50}]"#);
    while joined.next().await.unwrap().unwrap() != level {}
    let (mut joins, _) = connect_async(websocket(&dimmer)).await.unwrap();
    let open = joins.next().await.unwrap().unwrap();
    assert!(open.to_text().unwrap().starts_with('0'), "{open}");
    dimmer
        .client()
        .await
        .change("led", json!({"level": 7}))
        .await;
    until("there is a level to keep", async || {
        dimmer.level("led").await == 7.0
    })
    .await;
    let stop = task::spawn_blocking(move || dimmer.stop());

    // The stop has begun once it has closed the other client.
    let closed = async { while let Some(Ok(_)) = joined.next().await {} };
    timeout(LIMIT, closed).await.unwrap();
    joins.send(Message::text("40")).await.unwrap();
    let mut packets = Vec::new();
    let closed = async {
        while let Some(Ok(Message::Text(packet))) = joins.next().await {
            packets.push(packet.to_string());
        }
    };
    timeout(LIMIT, closed).await.unwrap();
    // socket.io-client comes back after a close, and not after a refusal ("44").
    assert!(
        !packets.iter().any(|packet| packet.starts_with("44")),
        "{packets:?}"
    );
    assert_eq!(packets.last().map(String::as_str), Some("1"), "{packets:?}");
    let _reader = fs::File::options().read(true).write(true).open(&disk);
    let (status, _) = stop.await.unwrap();
    assert!(status.success());
}

/// A client made for these tests, which polls only when `poll` is called. Engine.IO 4.
struct Poller {
    http: Client,
    url: String,
}

impl Poller {
    async fn request_with(dimmer: &TestServer, query: &str) -> Response {
        reqwest::get(dimmer.url(&format!("/socket.io/?{query}")))
            .await
            .unwrap()
    }

    /// The answer of the service to a new client: itself, or the status that it is refused with.
    async fn open(dimmer: &TestServer) -> Result<Poller, u16> {
        let answer = Poller::request_with(dimmer, "EIO=4&transport=polling").await;
        if !answer.status().is_success() {
            return Err(answer.status().into());
        }
        let text = answer.text().await.unwrap();
        let open: Value = serde_json::from_str(text.strip_prefix('0').unwrap()).unwrap();
        let sid = open["sid"].as_str().unwrap();
        let url = dimmer.url(&format!("/socket.io/?EIO=4&transport=polling&sid={sid}"));
        let http = Client::new();
        Ok(Poller { http, url })
    }

    /// A client that has joined and received the level.
    async fn join(dimmer: &TestServer) -> Poller {
        let poller = Poller::open(dimmer).await.unwrap();
        assert_eq!(poller.post("40").await, 200);
        let mut packets = Vec::new();
        while packets.len() < 2 {
            packets.extend(poller.poll().await);
        }
        assert!(packets[0].starts_with("40{\"sid\":"), "{packets:?}");
        assert_eq!(packets[1..], [r#"42["led",{"level":50}]"#]);
        poller
    }

    async fn post(&self, packets: &str) -> u16 {
        let post = self.http.post(&self.url).body(packets.to_owned());
        post.send().await.unwrap().status().into()
    }

    /// What there is for it, or comes to be. Whether it is there is answered by itself.
    async fn poll(&self) -> Vec<String> {
        loop {
            let answer = self.http.get(&self.url).send().await.unwrap();
            let text = answer.text().await.unwrap();
            let mut packets: Vec<_> = text.split('\u{1e}').map(String::from).collect();
            if let Some(ping) = packets.iter().position(|packet| packet == "2") {
                packets.remove(ping);
                assert_eq!(self.post("3").await, 200);
            }
            if !packets.is_empty() {
                return packets;
            }
        }
    }
}

#[tokio::test]
async fn a_poll_without_updates_is_answered_before_the_request_times_out() {
    let dimmer = TestServer::start();
    let poller = Poller::join(&dimmer).await;
    let start = Instant::now();
    assert_eq!(poller.poll().await, ["6"]);
    assert!(
        start.elapsed() > Duration::from_secs(7),
        "it waits for an update"
    );
    let mut client = dimmer.client().await;
    client.change("led", json!({"level": 1})).await;
    assert_eq!(poller.poll().await, [r#"42["led",{"level":1}]"#]);
}

#[tokio::test]
async fn only_the_newest_level_is_queued_for_a_client_that_does_not_poll() {
    let dimmer = TestServer::start();
    let poller = Poller::join(&dimmer).await;
    let mut client = dimmer.client().await;
    for level in 1..=99 {
        client.change("led", json!({ "level": level })).await;
        client.settled().await;
    }
    for _ in 0..100 {
        assert_eq!(poller.post(r#"42["message","hear me"]"#).await, 200);
    }
    let packets = poller.poll().await;
    let levels: Vec<_> = packets
        .iter()
        .filter(|packet| packet.contains("led"))
        .collect();
    assert_eq!(levels, [r#"42["led",{"level":99}]"#]);
    assert!(
        (2..=17).contains(&packets.len()),
        "answers have a limit: {packets:?}"
    );
}

#[tokio::test]
async fn a_client_counts_as_a_page_until_it_leaves() {
    let dimmer = Setup::with("max_pages = 2\n").start();
    let mut client = dimmer.client().await;
    for _ in 0..3 {
        let poller = Poller::join(&dimmer).await;
        while client.pages != 2 {
            client.next().await;
        }
        // One that polls asks for its place by its second request.
        let newcomer = Poller::open(&dimmer).await.unwrap();
        assert_eq!(newcomer.post("40").await, 503);
        let second = connect_async(websocket(&dimmer)).await;
        assert!(second.is_err(), "by WebSocket neither");
        assert_eq!(poller.post("1").await, 200);
        while client.pages != 1 {
            client.next().await;
        }
        let (mut socket, _) = connect_async(websocket(&dimmer)).await.unwrap();
        // The library waits for this, even after the end of the connection.
        socket.send(Message::text("40")).await.unwrap();
        while client.pages != 2 {
            client.next().await;
        }
        let newcomer = Poller::open(&dimmer).await.unwrap();
        assert_eq!(newcomer.post("40").await, 503);
        socket.close(None).await.unwrap();
        while client.pages != 1 {
            client.next().await;
        }
    }
}

fn websocket(dimmer: &TestServer) -> String {
    format!(
        "ws://{}/socket.io/?EIO=4&transport=websocket",
        dimmer.address
    )
}

#[tokio::test]
async fn a_client_that_sends_a_binary_or_too_large_message_is_closed() {
    let dimmer = TestServer::start();
    let large = format!("42[\"led\",\"{}\"]", "x".repeat(4096));
    for message in [
        Message::text(large.clone()),
        Message::binary(vec![0; 10]),
        Message::text(r#"451-["led",{"_placeholder":true,"num":0}]"#),
        Message::text("no packet"),
    ] {
        let (mut socket, _) = connect_async(websocket(&dimmer)).await.unwrap();
        socket.send(Message::text("40")).await.unwrap();
        let level = Message::text(r#"42["led",{"level":50}]"#);
        while socket.next().await.unwrap().unwrap() != level {}
        socket.send(message.clone()).await.unwrap();
        let closing = async {
            while let Some(Ok(frame)) = socket.next().await {
                let [ping, end] = ["2", "1"].map(Message::text);
                let closes = frame.is_close() || frame == ping || frame == end;
                assert!(closes, "{message:?} is answered with {frame:?}");
            }
        };
        // Sooner than for a ping that is not answered.
        let closed = timeout(Duration::from_secs(10), closing).await;
        assert!(closed.is_ok(), "{message:?} is taken");
    }
    let poller = Poller::join(&dimmer).await;
    assert_ne!(poller.post(&large).await, 200);
    assert_eq!(dimmer.level("led").await, 50.0);
}

#[tokio::test]
async fn the_form_of_the_tutorials_shows_and_sets_the_level() {
    let dimmer = TestServer::start();
    let mut client = dimmer.client().await;
    let url = dimmer.url("/led");
    let shown: Value = reqwest::get(&url).await.unwrap().json().await.unwrap();
    assert_eq!(shown, json!({"level": 50}));
    let post = async |form: &str| {
        let answer = Client::new()
            .post(&url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.to_owned())
            .send()
            .await
            .unwrap();
        (
            answer.status().as_u16(),
            answer.json::<Value>().await.unwrap(),
        )
    };
    assert_eq!(post("level=42").await, (200, json!({"level": 42})));
    while client.levels["led"] != 42.0 {
        client.next().await;
    }
    for (form, status, error) in [
        ("level=101", 422, "level must be from 0 to 100, not 101"),
        ("level=-1", 422, "level must be from 0 to 100, not -1"),
        (
            "level=loud",
            400,
            "level must be a number from 0 to 100, not \"loud\"",
        ),
        ("colour=red", 400, "level is needed, as in level=42"),
        ("", 400, "level is needed, as in level=42"),
    ] {
        assert_eq!(
            post(form).await,
            (status, json!({"error": error})),
            "{form}"
        );
    }
    assert_eq!(post(&"x".repeat(4097)).await.0, 413);
    assert_eq!(dimmer.level("led").await, 42.0);
}

#[tokio::test]
async fn with_socketio_off_there_is_neither_socketio_nor_the_form() {
    let dimmer = Setup::with("socketio = false\n").start();
    let poll = Poller::request_with(&dimmer, "EIO=4&transport=polling").await;
    assert_eq!(poll.status(), 404);
    assert_eq!(
        reqwest::get(dimmer.url("/led")).await.unwrap().status(),
        404
    );
}

#[tokio::test]
async fn only_a_page_of_an_allowed_host_may_read_the_answers() {
    let dimmer = Setup::with("allowed_hosts = [\"tutorial.example\"]\n").start();
    for path in ["/socket.io/?EIO=3&transport=polling", "/led"] {
        for (origin, expected) in [
            (
                "http://tutorial.example:8000",
                Some("http://tutorial.example:8000"),
            ),
            ("http://evil.example", None),
        ] {
            let get = Client::new().get(dimmer.url(path)).header("origin", origin);
            let answer = get.send().await.unwrap();
            let allowed = answer.headers().get("access-control-allow-origin");
            assert_eq!(
                allowed.map(|value| value.to_str().unwrap()),
                expected,
                "{path}"
            );
        }
    }
}
