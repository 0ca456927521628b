//! What one connection, one address and all clients together may cost the service.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{
    Answer, LIMIT, Setup, TestClient, TestServer, UPGRADE, read_to_end, take_turn, until,
};
use futures_util::SinkExt;
use reqwest::Client;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio::time::sleep;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::{Error, Message};

/// A second machine on the LAN: Linux has all of 127.0.0.0/8.
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A connection from the other machine.
async fn from_other(address: SocketAddr) -> tokio::net::TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((OTHER, 0).into()).unwrap();
    socket.connect(address).await.unwrap()
}

/// Opens a WebSocket over this connection. The error is that of the refusal.
async fn open_client(
    stream: tokio::net::TcpStream,
    address: SocketAddr,
) -> Result<impl Sized, String> {
    match client_async(format!("ws://{address}/ws"), stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(answer)) => {
            assert_eq!(answer.status(), 503);
            let body: Value = serde_json::from_slice(answer.body().as_ref().unwrap()).unwrap();
            Err(body["error"].as_str().unwrap().into())
        }
        Err(error) => panic!("{error}"),
    }
}

/// How many files the service has open.
fn open_files(dimmer: &TestServer) -> usize {
    let folder = fs::read_dir(format!("/proc/{}/fd", dimmer.pid())).unwrap();
    folder.count()
}

#[test]
fn a_connection_that_completes_no_request_for_ten_seconds_is_closed() {
    let dimmer = TestServer::start();
    let begun = b"GET / HTTP/1.1\r\nhost: localhost\r\n";
    let headers = b"PUT /api/lights/led HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{";
    let start = Instant::now();
    let waiting: Vec<_> = [&b""[..], begun, headers]
        .map(|sent| {
            let mut stream = TcpStream::connect(dimmer.address).unwrap();
            stream.write_all(sent).unwrap();
            thread::spawn(move || (read_to_end(stream), start.elapsed()))
        })
        .into_iter()
        .map(|waiting| waiting.join().unwrap())
        .collect();
    for (answer, after) in &waiting {
        assert!(*after > Duration::from_secs(9), "{after:?}: {answer:?}");
    }
    let [silent, begun, body] = &waiting[..] else {
        unreachable!()
    };
    assert_eq!(silent.0, "");
    assert_eq!(Answer::parse(&begun.0).status, 408);
    assert_eq!(
        Answer::parse(&begun.0).error(),
        "the headers of a request must come within 10 s"
    );
    assert_eq!(Answer::parse(&body.0).status, 408);
    assert_eq!(
        Answer::parse(&body.0).error(),
        "the body of a request must come within 10 s"
    );
}

#[test]
fn headers_above_16_kib_are_refused() {
    let dimmer = TestServer::start();
    for (size, expected) in [(15 << 10, 200), (17 << 10, 431), (1 << 20, 431)] {
        let value = "x".repeat(size);
        let request = format!(
            "GET /api/health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx: {value}\r\n\r\n"
        );
        assert_eq!(
            Answer::parse(&dimmer.raw(request)).status,
            expected,
            "{size}"
        );
        let request =
            format!("GET /{value} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let expected = if expected == 200 { 404 } else { expected };
        assert_eq!(
            Answer::parse(&dimmer.raw(request)).status,
            expected,
            "{size}"
        );
    }
}

#[tokio::test]
async fn a_body_above_4_kib_is_refused_and_changes_nothing() {
    let dimmer = TestServer::start();
    let head = "PUT /api/lights/led HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";
    for (size, expected) in [(4096, 200), (4097, 413), (1 << 20, 413)] {
        let body = format!(r#"{{"level":9{}}}"#, " ".repeat(size - 11));
        let whole = format!("{head}content-length: {size}\r\n\r\n{body}");
        let chunked =
            format!("{head}transfer-encoding: chunked\r\n\r\n{size:x}\r\n{body}\r\n0\r\n\r\n");
        for request in [whole, chunked] {
            let answer = Answer::parse(&dimmer.raw(request));
            assert_eq!(answer.status, expected, "{size}");
            if expected == 413 {
                assert_eq!(answer.error(), "a body must have at most 4096 bytes");
            }
        }
        let level = dimmer.level("led").await;
        assert_eq!(level, 9.0, "{size}");
        let mut client = dimmer.client().await;
        client.send(json!(9)).await;
        client.settled().await;
    }
}

#[tokio::test]
async fn bodies_that_come_byte_by_byte_take_no_memory() {
    for (line, setup) in [
        ("PUT /api/lights/led", Setup::new()),
        ("POST /led", Setup::new()),
        ("POST /login", Setup::new().with_password("correct horse")),
    ] {
        let dimmer = setup.start();
        let head = format!("{line} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4096\r\n\r\n");
        let mut streams = Vec::new();
        for _ in 0..20 {
            let mut stream = tokio::net::TcpStream::connect(dimmer.address)
                .await
                .unwrap();
            stream.set_nodelay(true).unwrap();
            stream.write_all(head.as_bytes()).await.unwrap();
            streams.push(stream);
        }
        let before = dimmer.peak_memory();
        for _ in 0..500 {
            for stream in &mut streams {
                stream.write_all(b" ").await.unwrap();
            }
            sleep(Duration::from_millis(1)).await;
        }
        let most = dimmer.peak_memory() - before;
        println!("{line}: {most} KiB");
        assert!(most < 4 << 10, "{line}: {most} KiB");
    }
}

#[tokio::test]
async fn one_address_cannot_take_the_connections_of_others() {
    let dimmer = Setup::with("max_pages = 3\nmax_pages_per_address = 2\n").start();
    let address = dimmer.address;
    let mut one = dimmer.client().await;
    let two = dimmer.client().await;
    let here = async || {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        open_client(stream, address).await
    };
    assert_eq!(
        here().await.err().unwrap(),
        "too many open pages from 127.0.0.1; see max_pages_per_address"
    );
    let _other = open_client(from_other(address).await, address)
        .await
        .unwrap();
    one.settled().await;
    assert_eq!(one.pages, 3);
    let refused = open_client(from_other(address).await, address).await;
    assert_eq!(refused.err().unwrap(), "too many open pages; see max_pages");
    drop(two);
    until("there is room again", async || here().await.is_ok()).await;
}

#[tokio::test]
async fn silent_connections_of_one_address_block_no_other_and_leave_files_to_open() {
    let dimmer = Setup::new().with_open_files(64).start();
    let mut client = dimmer.client().await;
    let silent: Vec<_> = (0..200)
        .map(|_| TcpStream::connect(dimmer.address).unwrap())
        .collect();
    let other = Client::builder().local_address(Some(OTHER.into())).build();
    let other = other.unwrap();
    let request = other
        .put(dimmer.url("/api/lights/led"))
        .body(r#"{"level":7}"#);
    assert_eq!(request.send().await.unwrap().status(), 200);
    client.settled().await;
    assert_eq!(client.levels["led"], 7.0);
    assert!(open_files(&dimmer) < 50, "{} files", open_files(&dimmer));
    let file = dimmer.setup().levels_file();
    until("the level is kept", async || {
        fs::read_to_string(&file).is_ok_and(|text| text.contains(r#""level":7,"#))
    })
    .await;
    assert!(!dimmer.log().contains("cannot accept"), "{}", dimmer.log());
    drop(silent);
    until("the address has room again", async || {
        reqwest::get(dimmer.url("/api/health")).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_client_counts_as_a_connection_until_it_is_closed() {
    // Room for 16 connections, 14 of them from one address.
    let dimmer = Setup::new().with_open_files(64).start();
    let mut clients = Vec::new();
    for _ in 0..14 {
        clients.push(dimmer.client().await);
    }
    let request = async || reqwest::get(dimmer.url("/api/health")).await;
    assert!(request().await.is_err(), "one more came in");
    clients.pop();
    until("there is room again", async || request().await.is_ok()).await;
}

#[tokio::test]
async fn silent_connections_of_all_addresses_are_closed_after_ten_seconds() {
    let dimmer = Setup::new().with_open_files(64).start();
    let mut silent = Vec::new();
    for _ in 0..10 {
        silent.push(
            tokio::net::TcpStream::connect(dimmer.address)
                .await
                .unwrap(),
        );
        silent.push(from_other(dimmer.address).await);
    }
    let start = Instant::now();
    // It waits in the queue, behind as many silent connections as the limit allows.
    let answer = reqwest::get(dimmer.url("/api/health")).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(start.elapsed() > Duration::from_secs(9), "there was room");
}

#[tokio::test]
async fn connections_are_accepted_again_after_the_files_ran_out() {
    let dimmer = TestServer::start();
    let mut client = dimmer.client().await;
    let pid = Pid::from_raw(dimmer.pid().try_into().unwrap());
    let open_at_most = |current| {
        let limit = Rlimit {
            current: Some(current),
            maximum: Some(1024),
        };
        prlimit(pid, Resource::Nofile, limit).unwrap();
    };
    open_at_most(3);
    let waiting = tokio::spawn(reqwest::get(dimmer.url("/api/health")));
    until("the service says that it cannot accept", async || {
        dimmer.log().contains("cannot accept connections")
    })
    .await;
    client.send(json!(42)).await;
    client.settled().await;
    assert!(!waiting.is_finished());

    open_at_most(1024);
    let answer = tokio::time::timeout(LIMIT, waiting).await.unwrap();
    assert!(answer.unwrap().is_ok());
    assert_eq!(dimmer.level("led").await, 42.0);
}

/// A request for a WebSocket.
fn upgrade(path: &str, address: SocketAddr) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n{UPGRADE}\r\n").into_bytes()
}

/// Sends these bytes over and over on 62 connections, which read nothing, for two seconds.
fn flood(address: SocketAddr, first: &[u8], bytes: &[u8]) {
    const CLIENTS: usize = 62;
    let bytes = bytes.repeat((64 << 10) / bytes.len());
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    for client in &mut clients {
        client.write_all(first).unwrap();
        client.set_nonblocking(true).unwrap();
    }
    let start = Instant::now();
    // Where each begins in `bytes`, as the system may take a part of a packet.
    let mut next = [0; CLIENTS];
    while start.elapsed() < Duration::from_secs(2) {
        for (client, next) in clients.iter_mut().zip(&mut next) {
            if let Ok(written) = client.write(&bytes[*next..]) {
                *next = (*next + written) % bytes.len();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_flood_take_little_memory_and_others_are_served() {
    let _turn = take_turn();
    let dimmer = TestServer::start();
    let address = dimmer.address;
    const SOCKETIO: &str = "/socket.io/?EIO=4&transport=websocket";
    let join = b"\x81\x82\0\0\0\x0040";
    let fragment = b"\0\x80\0\0\0\0";
    let mut fragments = upgrade("/ws", address);
    fragments.extend(b"\x01\x80\0\0\0\0");
    let request = "GET /api/health HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for (name, first, bytes) in [
        ("join packets", upgrade(SOCKETIO, address), &join[..]),
        ("empty fragments", fragments, fragment),
        ("requests", Vec::new(), request.as_bytes()),
    ] {
        let before = dimmer.memory();
        let flooding = tokio::task::spawn_blocking(move || flood(address, &first, bytes));
        let other = Client::builder().local_address(Some(OTHER.into()));
        let other = other.timeout(LIMIT).build().unwrap();
        let mut served = 0;
        let mut peak = before;
        while !flooding.is_finished() {
            let answer = other.get(dimmer.url("/api/health")).send().await;
            assert_eq!(answer.unwrap().status(), 200, "{name}");
            served += 1;
            peak = peak.max(dimmer.memory());
        }
        flooding.await.unwrap();
        println!(
            "{name}: {} KiB more, another served {served} times",
            peak - before
        );
        assert!(served > 0);
        assert!(peak - before < 32 << 10, "{name}: {} KiB", peak - before);
    }
}

/// The bytes that the kernel keeps for each connection to the service: sent and not taken, received and not read.
pub fn kept_by_the_kernel(dimmer: &TestServer) -> Vec<[usize; 2]> {
    let connections = fs::read_to_string(format!("/proc/{}/net/tcp", dimmer.pid())).unwrap();
    let port = format!(":{:04X}", dimmer.address.port());
    let of_service = connections.lines().filter_map(|line| {
        let mut columns = line.split_whitespace().skip(1);
        let is_ours = columns.next()?.ends_with(&port);
        let (sent, received) = columns.nth(2)?.split_once(':')?;
        let bytes = |text| usize::from_str_radix(text, 16).unwrap();
        is_ours.then(|| [bytes(sent), bytes(received)])
    });
    of_service.collect()
}

#[tokio::test]
async fn the_kernel_keeps_little_for_a_client_that_never_reads() {
    let dimmer = TestServer::start();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = socket.connect(dimmer.address).await.unwrap();
    let url = format!("ws://{}/ws", dimmer.address);
    let (mut socket, _) = client_async(url, stream).await.unwrap();
    let flooding = tokio::spawn(async move {
        let echo = json!({"echo": "x".repeat(1000)}).to_string();
        for _ in 0..4000 {
            socket.send(Message::text(&*echo)).await.unwrap();
        }
    });
    until("it does not read, and is not read", async || {
        let mut kept = kept_by_the_kernel(&dimmer).into_iter();
        kept.any(|[sent, received]| sent.min(received) > 4096)
    })
    .await;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(1) {
        let kept = kept_by_the_kernel(&dimmer);
        let most = kept.iter().flatten().max().unwrap();
        assert!(*most < 64 << 10, "{kept:?}");
        sleep(Duration::from_millis(20)).await;
    }
    assert!(!flooding.is_finished());
    let mut other = dimmer.client().await;
    other.settled().await;
}

#[tokio::test]
#[ignore = "takes 30 s; scripts/test.sh runs this"]
async fn the_kernel_forgets_a_client_that_never_reads_when_it_is_closed() {
    let dimmer = TestServer::start();
    let mut silent = TestClient::open_with(dimmer.address, Some(1024)).await;
    for _ in 0..8 {
        silent.send(json!({"echo": "x".repeat(1000)})).await;
    }
    let kept = || kept_by_the_kernel(&dimmer).into_iter();
    until("all is read, and not all is taken", async || {
        kept().any(|[sent, received]| sent > 2048 && received == 0)
    })
    .await;
    let start = Instant::now();
    while kept().any(|[sent, _]| sent > 0) {
        assert!(
            start.elapsed() < 3 * LIMIT,
            "{:?}",
            kept_by_the_kernel(&dimmer)
        );
        sleep(Duration::from_millis(100)).await;
    }
    // It is closed as it answers no ping, not because it has sent something that is not read.
    assert!(
        start.elapsed() > Duration::from_secs(25),
        "{:?}",
        start.elapsed()
    );
    drop(silent);
}

#[tokio::test]
async fn images_on_another_site_take_no_place_of_a_client() {
    let dimmer = Setup::with("max_pages = 20\nmax_pages_per_address = 20\n").start();
    let open = |protocol: u8| {
        let request = format!(
            "GET /socket.io/?EIO={protocol}&transport=polling HTTP/1.1\r\nhost: {}\r\n\
             connection: close\r\n\r\n",
            dimmer.address
        );
        let answer = Answer::parse(&dimmer.raw(request));
        assert_eq!(answer.status, 200, "{}", answer.body);
        let (_, rest) = answer.body.split_once(r#""sid":""#).unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    };
    let request = |method: &str, id: &str, body: &str| {
        let request = format!(
            "{method} /socket.io/?EIO=4&transport=polling&sid={id} HTTP/1.1\r\nhost: {}\r\n\
             connection: close\r\ncontent-length: {}\r\n\r\n{body}",
            dimmer.address,
            body.len()
        );
        Answer::parse(&dimmer.raw(request)).status
    };
    let first = open(4);
    let ids: Vec<_> = (0..40).map(|number| open(3 + number % 2)).collect();
    let mut client = dimmer.client().await;
    client.settled().await;
    assert_eq!(client.pages, 1);
    // A newer one has replaced it.
    assert_eq!(request("POST", &first, "40"), 400);
    // The last one proves that it can read.
    assert_eq!(request("POST", &ids[39], "40"), 200);
    until("it counts", async || {
        client.settled().await;
        client.pages == 2
    })
    .await;
    let event = r#"42["led",{"level":42}]"#;
    assert_eq!(request("POST", &ids[39], event), 200);
    until("it dims", async || dimmer.level("led").await == 42.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_keeps_its_last_level_and_delays_no_other_client() {
    let _turn = take_turn();
    const FLOOD: u32 = 3000;
    let dimmer = TestServer::start();
    let mut other = dimmer.client().await;
    let mut quiet = Vec::new();
    for _ in 0..300 {
        quiet.push(round_trip(&mut other).await);
    }
    let mut flood = dimmer.client().await;
    let flooding = tokio::spawn(async move {
        let start = Instant::now();
        for number in 0..FLOOD {
            flood.change("led", json!({ "level": number % 100 })).await;
        }
        flood.change("led", json!({"level": 77.7})).await;
        flood.settled().await;
        (flood, start.elapsed())
    });
    let mut meanwhile = Vec::new();
    while !flooding.is_finished() {
        meanwhile.push(round_trip(&mut other).await);
    }
    let (flood, time) = flooding.await.unwrap();
    println!(
        "{FLOOD} changes at once took {time:?}; another client's round trip: {}, without: {}",
        summary(meanwhile),
        summary(quiet)
    );
    other.settled().await;
    for level in [
        flood.levels["led"],
        other.levels["led"],
        dimmer.level("led").await,
    ] {
        assert_eq!(level, 77.7);
    }
}

/// The time of a round trip, and then a pause: without it no thread would sleep, and none had to be woken.
async fn round_trip(client: &mut TestClient) -> Duration {
    let start = Instant::now();
    client.settled().await;
    let time = start.elapsed();
    sleep(Duration::from_millis(5)).await;
    time
}

fn summary(mut times: Vec<Duration>) -> String {
    times.sort();
    let share = |share: usize| times[(times.len() - 1) * share / 100].as_micros();
    format!(
        "p50 {} µs, p99 {} µs of {}",
        share(50),
        share(99),
        times.len()
    )
}
