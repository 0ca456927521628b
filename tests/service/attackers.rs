//! Attackers at addresses of their own, each of a stated rate, so that two cores can serve the others.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::broker::MqttClient;
use crate::common::UPGRADE;
use crate::common::raw::{FIN, TEXT, frame};
use crate::tls::Certificate;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::net::tcp::WriteHalf;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// How often a flood writes its share of a second.
const TICK: Duration = Duration::from_millis(100);
/// The pause before a connection that has ended is opened again.
const AGAIN: Duration = Duration::from_millis(500);

/// A connection from this address of the loopback network.
pub async fn connect(from: [u8; 4], to: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends a request that closes the connection, and returns the answer.
async fn exchange(
    mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin,
    request: &str,
) -> io::Result<String> {
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into())
}

/// How often an attack did what it does.
#[derive(Debug, Clone, Default)]
pub struct Tally(Arc<AtomicU64>);

impl Tally {
    fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub fn count(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Connections that send the same bytes again and again, and are opened again when they end.
#[derive(Clone)]
pub struct Flood {
    pub name: &'static str,
    connections: usize,
    first: Vec<u8>,
    repeated: Vec<u8>,
    /// Bytes a second on each connection.
    rate: usize,
    is_reading: bool,
}

impl Flood {
    pub fn new(
        name: &'static str,
        connections: usize,
        first: impl AsRef<[u8]>,
        repeated: impl AsRef<[u8]>,
        rate: usize,
    ) -> Flood {
        Flood {
            name,
            connections,
            first: first.as_ref().into(),
            repeated: repeated.as_ref().into(),
            rate,
            is_reading: true,
        }
    }

    pub fn without_reading(self) -> Flood {
        Flood {
            is_reading: false,
            ..self
        }
    }

    /// Starts all connections. The tally counts writes, and connections where there is nothing to write.
    pub fn start(&self, attacks: &mut JoinSet<()>, from: [u8; 4], to: SocketAddr, tally: &Tally) {
        for _ in 0..self.connections {
            let (flood, tally) = (self.clone(), tally.clone());
            attacks.spawn(async move {
                loop {
                    if let Ok(stream) = connect(from, to).await {
                        // The service closes it.
                        let _ = flood.run(stream, &tally).await;
                    }
                    sleep(AGAIN).await;
                }
            });
        }
    }

    /// Attacks until the service closes the connection.
    async fn run(&self, mut stream: TcpStream, tally: &Tally) -> io::Result<()> {
        stream.write_all(&self.first).await?;
        tally.add();
        let (mut reader, writer) = stream.split();
        let read = async {
            if self.is_reading {
                return copy(&mut reader, &mut sink()).await.map(|_| ());
            }
            pending().await
        };
        tokio::select! {
            ended = self.write(writer, tally) => ended,
            ended = read => ended,
        }
    }

    async fn write(&self, mut writer: WriteHalf<'_>, tally: &Tally) -> io::Result<()> {
        if self.rate == 0 {
            return pending().await;
        }
        let share = self.rate * TICK.as_millis() as usize / 1000;
        let bytes = self.repeated.repeat(share / self.repeated.len() + 2);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next = 0;
        loop {
            ticks.tick().await;
            writer.write_all(&bytes[next..next + share]).await?;
            next = (next + share) % self.repeated.len();
            tally.add();
        }
    }
}

/// Sessions of Socket.IO that poll: four a second, each posting 4 KiB of packets twice.
pub async fn poll(from: [u8; 4], to: SocketAddr, tally: Tally) {
    let packets = "40\x1e".repeat(1300) + "40";
    let open = "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    loop {
        sleep(Duration::from_millis(250)).await;
        let Ok(stream) = connect(from, to).await else {
            continue;
        };
        let answer = exchange(stream, open).await.unwrap_or_default();
        let id = answer
            .split(r#""sid":""#)
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let post = format!(
            "POST /socket.io/?EIO=4&transport=polling&sid={} HTTP/1.1\r\nhost: localhost\r\n\
             connection: close\r\ncontent-length: {}\r\n\r\n{packets}",
            id.unwrap_or_default(),
            packets.len()
        );
        for _ in 0..2 {
            if let Ok(stream) = connect(from, to).await
                && exchange(stream, &post).await.is_ok()
            {
                tally.add();
            }
        }
    }
}

/// Clients that change a light, say something and are gone: five a second, each under another name.
pub async fn reconnect(from: [u8; 4], to: SocketAddr, tally: Tally) {
    let upgrade = format!("GET /ws HTTP/1.1\r\nhost: localhost\r\n{UPGRADE}\r\n");
    for number in 0.. {
        sleep(Duration::from_millis(200)).await;
        let messages = [
            json!({"name": format!("guest {number}")}),
            json!({"level": number % 100}),
            json!({"say": "x".repeat(100)}),
        ];
        let messages = messages.map(|message| frame(FIN | TEXT, message.to_string().as_bytes()));
        let Ok(mut stream) = connect(from, to).await else {
            continue;
        };
        let bytes = [upgrade.as_bytes(), &messages.concat()].concat();
        let mut answer = [0; 4096];
        if stream.write_all(&bytes).await.is_ok() && stream.read(&mut answer).await.is_ok() {
            tally.add();
        }
    }
}

/// Passwords, at most ten a second, each from another of 250 addresses.
pub async fn guess(certificate: Arc<Certificate>, to: SocketAddr, tally: Tally) {
    let guess = async |address: u8| {
        let stream = connect([127, 0, 5, address], to).await?;
        let stream = certificate.connect_over(stream).await?;
        let request = "POST /login HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                       content-length: 14\r\n\r\npassword=wrong";
        exchange(stream, request).await
    };
    let guessers = (0..25).map(async |first: u8| {
        for round in (0..10).cycle() {
            if guess(1 + first * 10 + round).await.is_ok() {
                tally.add();
            }
            sleep(Duration::from_millis(2500)).await;
        }
    });
    futures_util::future::join_all(guessers).await;
}

/// Eight messages a second: too large ones for a light of dimmer's, retained, and for 80 lights of others.
pub async fn publish(mqtt: MqttClient, tally: Tally) {
    for number in (0..80).cycle() {
        let light = json!({"name": "x", "origin": {"name": "dimmer"}});
        let fake = format!("homeassistant/light/fake{number}/led/config");
        mqtt.publish_retained(&fake, light).await;
        mqtt.publish_retained(&fake.replace("fake", "large"), "x".repeat(20 << 10))
            .await;
        mqtt.publish_retained("dimmer/attic/bait/set", "x".repeat(300 << 10))
            .await;
        mqtt.publish("dimmer/attic/bait/set", "x".repeat(1000))
            .await;
        // It receives all of that.
        mqtt.clear();
        tally.add();
        sleep(Duration::from_millis(500)).await;
    }
}
