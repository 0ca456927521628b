//! A room in which everybody hears everybody, as plain text on `/ws`, and in which a slow member delays nobody.
//!
//!     cargo run --example room    serves on 127.0.0.1:8000, or on the address given
//!
//! Each text is sent to all, its sender too, as `Mensagem recebida: TEXT`; when a client leaves, the others are sent
//! `Um cliente desconectou.`: what the usual FastAPI tutorial does with a list of connections. There, one `await` for
//! each connection lets the slowest one hold up all. Tokio's `broadcast` seems made for this, but it is a bounded
//! queue: a receiver that lags too far, as after a pause of the Wi-Fi, gets `Lagged`, and many servers then close its
//! connection. Here all watch one value, the room, and each has its own position in it: nothing queues up, so nothing
//! overflows, and no sender waits. Who was too slow is told how much it missed.

use std::collections::VecDeque;
use std::env;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::{Html, Response};
use axum::routing::{any, get};
use axum::serve::ListenerExt;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Lines that the room keeps for members who are slow.
const KEPT: usize = 1000;

#[derive(Default)]
struct Room {
    lines: VecDeque<Utf8Bytes>,
    /// Number of lines that were dropped before these.
    dropped: usize,
}

impl Room {
    fn add(&mut self, line: String) {
        self.lines.push_back(line.into());
        if self.lines.len() > KEPT {
            self.lines.pop_front();
            self.dropped += 1;
        }
    }

    /// The position behind the newest line.
    fn end(&self) -> usize {
        self.dropped + self.lines.len()
    }
}

/// Waits for the line at this position and returns it. If it was dropped meanwhile, returns a notice of how many were.
async fn read(room: &mut watch::Receiver<Room>, position: &mut usize) -> Option<Message> {
    let room = room.wait_for(|room| *position < room.end()).await.ok()?;
    let line = match room.dropped.saturating_sub(*position) {
        0 => room.lines[*position - room.dropped].clone(),
        missed => format!("{missed} mensagens perdidas.").into(),
    };
    *position = room.dropped.max(*position + 1);
    Some(Message::Text(line))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:8000".into());
    let listener = TcpListener::bind(&address).await.context(address)?;
    println!("listening on http://{}", listener.local_addr()?);
    // Otherwise the kernel delays a small message until the previous one is acknowledged, some 40 ms.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let router = Router::new()
        .route("/", get(Html(include_str!("room.html"))))
        .route("/ws", any(open))
        .with_state(Arc::new(watch::Sender::new(Room::default())));
    Ok(axum::serve(listener, router).await?)
}

async fn open(socket: WebSocketUpgrade, State(room): State<Arc<watch::Sender<Room>>>) -> Response {
    let socket = socket.max_message_size(4096);
    socket.on_upgrade(async move |socket| stay(socket, &room).await)
}

async fn stay(socket: WebSocket, room: &watch::Sender<Room>) {
    let (mut sender, mut receiver) = socket.split();
    let mut news = room.subscribe();
    // Who comes in is sent what is said from now on.
    let mut position = news.borrow().end();
    let listen = async {
        while let Some(line) = read(&mut news, &mut position).await
            && sender.send(line).await.is_ok()
        {}
    };
    let speak = async {
        while let Some(Ok(message)) = receiver.next().await {
            if let Message::Text(text) = message {
                room.send_modify(|room| room.add(format!("Mensagem recebida: {text}")));
            }
        }
    };
    tokio::select! {
        () = listen => {}
        () = speak => {}
    }
    room.send_modify(|room| room.add("Um cliente desconectou.".into()));
}
