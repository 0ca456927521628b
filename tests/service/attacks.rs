//! Everything that docs/security.md is about, at once: pages that behave stay connected, lose nothing and get their
//! answers in time, while the service takes little memory.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::attackers::{Flood, Tally, connect, guess, poll, publish, reconnect};
use crate::broker::{Broker, MqttClient, options};
use crate::common::raw::{CONTINUATION, FIN, TEXT, frame};
use crate::common::{
    Answer, Setup, TestClient, TestServer, UPGRADE, long, raise_file_limit, take_turn, until,
};
use crate::limits::kept_by_the_kernel;
use crate::tls::Certificate;
use futures_util::future::join_all;
use rand::RngExt;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

const PAGES: u8 = 20;
/// Lights of which each is dimmed by a page of its own; the attackers have the light "bait".
const LIGHTS: usize = 15;
/// Pages of the service with a password and a certificate.
const SECURED_PAGES: u8 = 5;
/// The pause of a page between a change with its answer and the next one.
const PAUSE: Duration = Duration::from_millis(100);
const PASSWORD: &str = "correct horse";

/// The most resident memory that the attacks may add, in KiB: a release takes 8 MiB without them.
const MEMORY: u64 = 32 << 10;
/// The 99th percentile of the round trips.
const LATE: Duration = Duration::from_millis(50);

/// The lights' names, that of the attackers first: Socket.IO and a level alone are for the first light.
fn lights() -> Vec<String> {
    let own = (0..LIGHTS).map(|number| format!("light{number}"));
    ["bait".into()].into_iter().chain(own).collect()
}

fn settings(broker: &Broker) -> String {
    let lights = lights();
    let tables = lights
        .iter()
        .enumerate()
        .map(|(number, name)| format!("[[light]]\nname = {name:?}\ngpio = {}\n", number + 2));
    tables.collect::<String>() + &broker.settings("fleet = true\n")
}

/// A WebSocket of the page, opened from this address.
async fn open(from: [u8; 4], to: SocketAddr) -> TestClient {
    let stream = connect(from, to).await.unwrap();
    let (socket, _) = client_async(format!("ws://{to}/ws"), stream).await.unwrap();
    TestClient::greeted(socket).await
}

/// The same over TLS and with the password.
async fn open_secured(
    from: [u8; 4],
    to: SocketAddr,
    certificate: &Certificate,
) -> TestClient<impl AsyncRead + AsyncWrite + Unpin + use<>> {
    let stream = connect(from, to).await.unwrap();
    let stream = certificate.connect_over(stream).await.unwrap();
    let mut request = format!("wss://{to}/ws").into_client_request().unwrap();
    let password = format!("Bearer {PASSWORD}").parse().unwrap();
    request.headers_mut().insert("authorization", password);
    let (socket, _) = client_async(request, stream).await.unwrap();
    TestClient::greeted(socket).await
}

/// Dims its light, if it has one, again and again, and ends at `last`. Panics if the page is closed or gets no answer.
/// Returns how long each answer took.
async fn dim<S: AsyncRead + AsyncWrite + Unpin>(
    page: &mut TestClient<S>,
    light: Option<&str>,
    last: f64,
    end: Instant,
) -> Vec<Duration> {
    let mut times = Vec::new();
    loop {
        let is_last = Instant::now() >= end;
        let level = if is_last {
            last
        } else {
            rand::rng().random_range(0..=100).into()
        };
        let start = Instant::now();
        if let Some(light) = light {
            page.change(light, json!({ "level": level })).await;
        }
        page.settled().await;
        times.push(start.elapsed());
        if is_last {
            return times;
        }
        sleep(PAUSE).await;
    }
}

/// A page that is opened again and again, its files too. Returns how long that took each time.
async fn visit(from: [u8; 4], to: SocketAddr, end: Instant) -> Vec<Duration> {
    let mut times = Vec::new();
    while Instant::now() < end {
        let start = Instant::now();
        let mut stream = connect(from, to).await.unwrap();
        let request = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(Answer::parse(&answer).status, 200);
        open(from, to).await.settled().await;
        times.push(start.elapsed());
        sleep(Duration::from_secs(1)).await;
    }
    times
}

/// The level at which a page leaves its light: none that it passes.
fn last_level(number: usize) -> f64 {
    number as f64 + 0.5
}

/// What the pages that behave saw.
struct Seen {
    round_trips: Vec<Duration>,
    secured_round_trips: Vec<Duration>,
    visits: Vec<Duration>,
}

/// The pages that behave, until all show the last levels.
async fn behave(
    to: SocketAddr,
    secured: SocketAddr,
    certificate: &Certificate,
    time: Duration,
) -> Seen {
    let open_pages = (1..=PAGES).map(|number| open([127, 0, 2, number], to));
    let mut pages = join_all(open_pages).await;
    let open_pages =
        (1..=SECURED_PAGES).map(|number| open_secured([127, 0, 3, number], secured, certificate));
    let mut secured_pages = join_all(open_pages).await;
    let end = Instant::now() + time;
    let lights = lights();
    let dimming = pages.iter_mut().enumerate().map(|(number, page)| {
        let light = lights.get(number + 1).map(String::as_str);
        dim(page, light, last_level(number), end)
    });
    let secured_dimming = secured_pages
        .iter_mut()
        .map(|page| dim(page, Some("led"), last_level(0), end));
    let (round_trips, secured_round_trips, visits) = tokio::join!(
        join_all(dimming),
        join_all(secured_dimming),
        visit([127, 0, 4, 1], to, end)
    );
    for page in &mut pages {
        page.settled().await;
        for number in 0..LIGHTS {
            let light = &lights[number + 1];
            assert_eq!(page.levels[light], last_level(number), "{light}");
        }
    }
    for page in &mut secured_pages {
        page.settled().await;
        assert_eq!(page.levels["led"], last_level(0));
    }
    Seen {
        round_trips: round_trips.concat(),
        secured_round_trips: secured_round_trips.concat(),
        visits,
    }
}

/// Waits until the service has these levels in its file.
async fn expect_kept(dimmer: &TestServer, levels: impl Iterator<Item = (String, f64)>) {
    let levels: Vec<_> = levels.collect();
    let file = dimmer.setup().levels_file();
    until("the levels are in the file", async || {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let kept: Value = serde_json::from_str(&text).unwrap_or_default();
        let mut levels = levels.iter();
        levels.all(|(light, level)| kept["lights"][light]["level"] == json!(level))
    })
    .await;
}

/// A request for a WebSocket.
fn upgrade(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{UPGRADE}\r\n")
}

fn get(path: &str, header: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{header}\r\n").into()
}

/// A text frame with this JSON.
fn text(message: &Value) -> Vec<u8> {
    frame(FIN | TEXT, message.to_string().as_bytes())
}

/// The floods of the open service.
fn floods() -> Vec<Flood> {
    let ws = upgrade("/ws");
    let socketio = upgrade("/socket.io/?EIO=4&transport=websocket");
    let put = |length: usize| {
        let body = " ".repeat(length.min(8192));
        format!(
            "PUT /api/lights/bait HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    };
    let echo = text(&json!({"echo": "x".repeat(100)}));
    let say = text(&json!({"say": "x".repeat(100)}));
    let fragments = [ws.as_bytes(), &frame(TEXT, b"")].concat();
    let image = get("/socket.io/?EIO=3&transport=polling", "");
    let foreign = get("/", "origin: http://evil.example\r\n");
    vec![
        // Each: its name, the connections, what they begin with, what follows again and again, and of that how many
        // bytes a second on each connection.
        Flood::new(
            "join packets",
            62,
            &socketio,
            frame(FIN | TEXT, b"40"),
            8 << 10,
        ),
        Flood::new(
            "empty fragments",
            30,
            fragments,
            frame(CONTINUATION, b""),
            64 << 10,
        ),
        Flood::new("pings", 10, &ws, frame(FIN | 0x9, b"ping"), 4 << 10),
        Flood::new("messages", 4, &ws, text(&json!({"level": 7})), 8 << 10),
        Flood::new("remarks", 10, &ws, say, 8 << 10),
        Flood::new("clients that never read", 62, &ws, echo.clone(), 16 << 10).without_reading(),
        Flood::new("more of them", 62, &ws, echo, 16 << 10).without_reading(),
        Flood::new("requests", 20, "", get("/api/lights", ""), 4 << 10),
        Flood::new(
            "requests never read",
            20,
            "",
            get("/api/openapi.json", ""),
            4 << 10,
        )
        .without_reading(),
        Flood::new("bodies", 10, "", put(4096), 40 << 10),
        Flood::new("bodies too large", 10, "", put(1 << 20), 40 << 10),
        Flood::new("bodies byte by byte", 20, &put(4096)[..100], " ", 10),
        Flood::new("slow headers", 30, "GET / HTTP/1.1\r\nx: ", "x", 10),
        Flood::new("large headers", 10, "GET / HTTP/1.1\r\nx: ", "x", 40 << 10),
        Flood::new("silent connections", 60, "", "", 0),
        // A browser opens six connections, however many images a site has.
        Flood::new("images", 6, "", image, 4 << 10),
        Flood::new(
            "paths",
            10,
            "",
            get("/assets/..%2f..%2f../etc/passwd", ""),
            2 << 10,
        ),
        Flood::new("foreign pages", 10, "", foreign, 2 << 10),
        Flood::new("no HTTP", 10, "", [0, 255, 13, 10], 1 << 10),
    ]
}

/// The beginning of a TLS handshake, whose rest never comes.
fn stalled_handshakes() -> Flood {
    Flood::new(
        "stalled handshakes",
        90,
        [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3],
        "",
        0,
    )
}

/// Starts all attacks, each from addresses of its own. Returns what they have done by name.
async fn attack(
    attacks: &mut JoinSet<()>,
    to: SocketAddr,
    secured: SocketAddr,
    certificate: Arc<Certificate>,
    broker: &Broker,
) -> BTreeMap<&'static str, Tally> {
    let mut tallies = BTreeMap::<_, Tally>::new();
    let mut tally = |name| tallies.entry(name).or_default().clone();
    let mut addresses = (1..).map(|number| [127, 0, 1, number]);
    let mut address = || addresses.next().unwrap();
    let on_open = floods().into_iter().map(|flood| (flood, to));
    for (flood, to) in on_open.chain([(stalled_handshakes(), secured)]) {
        flood.start(attacks, address(), to, &tally(flood.name));
    }
    attacks.spawn(poll(address(), to, tally("polls of join packets")));
    let one = address();
    for _ in 0..4 {
        attacks.spawn(reconnect(one, to, tally("clients that reconnect")));
    }
    attacks.spawn(guess(certificate, secured, tally("guesses")));
    let mqtt = MqttClient::open_with(options("attacker", broker)).await;
    attacks.spawn(publish(mqtt, tally("MQTT messages")));
    tallies
}

fn summary(name: &str, mut times: Vec<Duration>) -> Duration {
    times.sort();
    let share = |percent: usize| times[(times.len() - 1) * percent / 100];
    let [middle, late, last] = [50, 99, 100].map(share);
    println!(
        "{name}: {middle:?}, p99 {late:?}, at most {last:?}, of {}",
        times.len()
    );
    late
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto; scripts/test.sh installs it and runs this"]
async fn all_attacks_at_once_close_no_page_and_lose_nothing() {
    let _turn = take_turn();
    raise_file_limit();
    let time = Duration::from_secs(if long() { 600 } else { 10 });
    let broker = Broker::start();
    let dimmer = Setup::with(&settings(&broker)).start();
    let certificate = Arc::new(Certificate::new());
    let secured = certificate.setup().with_password(PASSWORD).start();
    let at_rest = [dimmer.memory(), secured.memory()];
    let start = Instant::now();
    let mut attacks = JoinSet::new();
    let (to, to_secured) = (dimmer.address, secured.address);
    // The right password is known to be right before anybody guesses: whoever brings it then does not wait.
    open_secured([127, 0, 3, 1], to_secured, &certificate).await;
    let tallies = attack(&mut attacks, to, to_secured, certificate.clone(), &broker).await;

    // In a thread of their own, so that the attackers keep none of them waiting.
    let pages = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime
            .unwrap()
            .block_on(behave(to, to_secured, &certificate, time))
    });
    let mut kept = 0;
    while !pages.is_finished() {
        kept = kept.max(
            kept_by_the_kernel(&dimmer)
                .into_iter()
                .map(|[sent, received]| sent + received)
                .sum(),
        );
        sleep(Duration::from_millis(500)).await;
    }
    // It panics if a page was closed, had no answer, or does not show what another one set last.
    let seen = pages.join().unwrap();
    let lights = lights();
    for (number, light) in lights[1..].iter().enumerate() {
        assert_eq!(dimmer.level(light).await, last_level(number));
    }
    let last = (0..LIGHTS).map(|number| (lights[number + 1].clone(), last_level(number)));
    expect_kept(&dimmer, last).await;
    expect_kept(&secured, [("led".into(), last_level(0))].into_iter()).await;
    attacks.shutdown().await;

    for (name, tally) in &tallies {
        println!("{name}: {}", tally.count());
    }
    for (name, service) in [("open", &dimmer), ("secured", &secured)] {
        let share = service.processor_time().as_secs_f64() / start.elapsed().as_secs_f64();
        let waited = service.processor_wait().as_secs_f64() / start.elapsed().as_secs_f64();
        println!(
            "{name}: {:.0} % of a core, and {:.0} % of the time it waited for one",
            100.0 * share,
            100.0 * waited
        );
    }
    println!("the kernel kept {} KiB at most", kept >> 10);
    let late = [
        summary("round trips", seen.round_trips),
        summary("secured round trips", seen.secured_round_trips),
        summary("pages opened", seen.visits),
    ];
    for (name, service, at_rest) in [
        ("open", &dimmer, at_rest[0]),
        ("secured", &secured, at_rest[1]),
    ] {
        let (memory, log) = (service.peak_memory(), service.log());
        println!(
            "{name}: {memory} KiB of memory, {} KiB of log",
            log.len() >> 10
        );
        assert!(!log.contains("panicked"), "{log}");
        let more = memory - at_rest;
        assert!(more < MEMORY, "{name}: {more} KiB more");
    }
    assert!(!long() || late[0] < LATE && late[1] < LATE, "{late:?}");
    let idle: Vec<_> = tallies
        .iter()
        .filter(|(_, tally)| tally.count() == 0)
        .collect();
    assert!(idle.is_empty(), "these attacked nobody: {idle:?}");
}
