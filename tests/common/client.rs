//! A client of `/ws`.

use std::collections::HashMap;
use std::net::SocketAddr;

use futures_util::{FutureExt, SinkExt, StreamExt};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::LIMIT;

/// Lets this process have as many open files as the system allows it: each client is one. For all tests of the crate, and
/// for the services that they start from then on.
pub fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

fn is_activity(message: &Value) -> bool {
    !message["activity"].is_null() || !message["here"].is_null()
}

/// A client of the WebSocket that keeps the rules of `seq` and `seen`, as the page does.
pub struct TestClient<S = TcpStream> {
    pub socket: WebSocketStream<S>,
    pub hello: Value,
    /// What came after `hello`, before the client sent anything.
    pub greeting: Vec<Value>,
    /// The level that the client shows of each light.
    pub levels: HashMap<String, f64>,
    /// The newest number of open clients, which the wire calls `pages`.
    pub pages: u64,
    /// Set for a client that breaks the rule of `seen`, to show what the rule is for.
    pub ignores_seen: bool,
    seq: u64,
    /// The last `seq` sent for each light.
    sent: HashMap<String, u64>,
    echoes: u64,
}

impl TestClient {
    pub async fn open(address: SocketAddr) -> TestClient {
        TestClient::open_with(address, None).await
    }

    /// With a receive buffer of this many bytes, and small segments: those of loopback have 64 KiB, so the system
    /// would take in a megabyte and more for a client that does not read.
    pub async fn open_with(address: SocketAddr, buffer: Option<u32>) -> TestClient {
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(bytes) = buffer {
            socket.set_recv_buffer_size(bytes).unwrap();
            SockRef::from(&socket).set_tcp_mss(536).unwrap();
        }
        let stream = socket.connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (socket, _) = client_async(format!("ws://{address}/ws"), stream)
            .await
            .unwrap();
        TestClient::greeted(socket).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TestClient<S> {
    /// The client of this WebSocket, which has been greeted.
    pub async fn greeted(socket: WebSocketStream<S>) -> TestClient<S> {
        let mut client = TestClient {
            socket,
            hello: Value::Null,
            greeting: Vec::new(),
            levels: HashMap::new(),
            pages: 0,
            ignores_seen: false,
            seq: 0,
            sent: HashMap::new(),
            echoes: 0,
        };
        client.hello = client.next().await["hello"].clone();
        client.greeting = client.until_echo().await;
        client
    }

    /// The next message; its level also counts as shown. The library answers pings. Activity comes a while after the
    /// change that it reports, so at any time: this skips it, and [`TestClient::next_field`] finds it.
    pub async fn next(&mut self) -> Value {
        loop {
            let message = self.next_message().await;
            if !is_activity(&message) {
                return message;
            }
        }
    }

    /// The value of this field in the next message that has it.
    pub async fn next_field(&mut self, field: &str) -> Value {
        loop {
            let mut message = self.next_message().await;
            if !message[field].is_null() {
                return message[field].take();
            }
        }
    }

    async fn next_message(&mut self) -> Value {
        let next = async {
            loop {
                let frame = self.socket.next().await;
                if let Some(message) = self.handle(frame) {
                    return message;
                }
            }
        };
        timeout(LIMIT, next)
            .await
            .expect("the service sent nothing")
    }

    /// Handles the messages that have arrived, without waiting for more.
    pub fn drain(&mut self) {
        while let Some(frame) = self.socket.next().now_or_never() {
            self.handle(frame);
        }
    }

    fn handle(&mut self, frame: Option<Result<Message, Error>>) -> Option<Value> {
        match frame {
            Some(Ok(Message::Text(text))) => {
                let message = serde_json::from_str(&text).unwrap();
                self.apply(&message);
                Some(message)
            }
            Some(Ok(Message::Ping(_))) => None,
            other => panic!("the service sent {other:?}"),
        }
    }

    fn apply(&mut self, message: &Value) {
        let several = message["lights"].as_array();
        let lights = several.map_or(std::slice::from_ref(message), Vec::as_slice);
        for update in lights {
            if let (Some(light), Some(level)) = (update["light"].as_str(), update["level"].as_f64())
            {
                let sent = self.sent.get(light).copied().unwrap_or(0);
                if self.ignores_seen || message["seen"].as_u64().unwrap_or(0) >= sent {
                    self.levels.insert(light.into(), level);
                }
            }
        }
        if let Some(pages) = message["pages"].as_u64() {
            self.pages = pages;
        }
    }

    /// Sends a message as it is.
    pub async fn send(&mut self, message: Value) {
        self.send_frame(Message::text(message.to_string()))
            .await
            .unwrap();
    }

    /// Sends a frame as it is.
    pub async fn send_frame(&mut self, frame: Message) -> Result<(), Error> {
        timeout(LIMIT, self.socket.send(frame))
            .await
            .expect("the service takes nothing")
    }

    /// Sends a change of a light with the next `seq`, and returns that.
    pub async fn change(&mut self, light: &str, mut change: Value) -> u64 {
        self.seq += 1;
        change["seq"] = json!(self.seq);
        change["light"] = json!(light);
        self.sent.insert(light.into(), self.seq);
        if let Some(level) = change["level"].as_f64() {
            self.levels.insert(light.into(), level);
        }
        self.send(change).await;
        self.seq
    }

    /// Sends changes of several lights with the next `seq`, and returns that.
    pub async fn change_together(&mut self, lights: Value) -> u64 {
        self.seq += 1;
        for (light, change) in lights.as_object().unwrap() {
            self.sent.insert(light.clone(), self.seq);
            let level = change.as_f64().or(change["level"].as_f64());
            if let (Some(shown), Some(level)) = (self.levels.get_mut(light), level) {
                *shown = level;
            }
        }
        self.send(json!({"lights": lights, "seq": self.seq})).await;
        self.seq
    }

    /// What the service sends until it has handled all that this client sent. After this the client has everything
    /// that was set before the call.
    pub async fn settled(&mut self) -> Vec<Value> {
        let mut received = self.until_echo().await;
        received.retain(|message| !is_activity(message));
        received
    }

    async fn until_echo(&mut self) -> Vec<Value> {
        self.echoes += 1;
        let echo = json!({"echo": self.echoes});
        self.send(echo.clone()).await;
        let mut received = Vec::new();
        loop {
            let message = self.next_message().await;
            if message == echo {
                return received;
            }
            received.push(message);
        }
    }

    /// The code of the close frame, after whatever else was on the way.
    pub async fn close_code(&mut self) -> u16 {
        loop {
            let frame = timeout(LIMIT, self.socket.next()).await;
            match frame.expect("the service sent nothing") {
                Some(Ok(Message::Close(Some(close)))) => return close.code.into(),
                Some(Ok(_)) => {}
                other => panic!("no close frame, but {other:?}"),
            }
        }
    }
}
