//! A chat room with names, times, and notices of who joins and leaves, in which a slow member delays nobody.
//!
//!     cargo run --example chat    serves on 127.0.0.1:5002, or on the address given
//!
//! Tokio's `broadcast` seems made for this, but it is a bounded queue: a receiver that lags too far, as after a
//! pause of the Wi-Fi, gets `Lagged`, and many servers then close its connection. Here all members watch one value,
//! the room, and each has its own position in it: nothing queues up, so nothing overflows, and no sender waits.

use std::collections::{HashSet, VecDeque};
use std::env;
use std::future::ready;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::{Html, Response};
use axum::routing::{any, get};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Lines that the room keeps for members who join later or are slow.
const KEPT: usize = 1000;
const ASK_NAME: &str = r#"{"ask": "Action is your name? One that is free, up to 40 characters"}"#;

#[derive(Default)]
struct Room {
    members: HashSet<String>,
    lines: VecDeque<Utf8Bytes>,
    /// Number of lines that were dropped before these.
    gone: usize,
}

impl Room {
    fn add(&mut self, mut line: Value) {
        // In milliseconds since 1970, as JavaScript counts: each page shows the time in its own time zone.
        line["at"] = json!(UNIX_EPOCH.elapsed().unwrap_or_default().as_millis() as u64);
        self.lines.push_back(line.to_string().into());
        if self.lines.len() > KEPT {
            self.lines.pop_front();
            self.gone += 1;
        }
    }

    /// Takes the name if it is valid and free. Checking and taking are one step, so two members cannot get one name.
    fn enter(&mut self, name: &str) -> bool {
        let enters = (1..=40).contains(&name.chars().count()) && self.members.insert(name.into());
        if enters {
            self.add(json!({ "joined": name }));
        }
        enters
    }
}

/// Waits for the line at this position and returns it. If it was dropped meanwhile, returns a notice of how many were.
async fn read(room: &mut watch::Receiver<Room>, place: &mut usize) -> Option<Message> {
    let there = |room: &Room| *place < room.gone + room.lines.len();
    let room = room.wait_for(there).await.ok()?;
    let line = match room.gone.saturating_sub(*place) {
        0 => room.lines[*place - room.gone].clone(),
        gone => json!({ "gone": gone }).to_string().into(),
    };
    *place = room.gone.max(*place + 1);
    Some(Message::Text(line))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:5002".into());
    let listener = TcpListener::bind(&address).await.context(address)?;
    println!("listening on http://{}", listener.local_addr()?);
    let router = Router::new()
        .route("/", get(Html(include_str!("chat.html"))))
        .route("/ws", any(open))
        .with_state(Arc::new(watch::Sender::new(Room::default())));
    Ok(axum::serve(listener, router).await?)
}

async fn open(socket: WebSocketUpgrade, State(room): State<Arc<watch::Sender<Room>>>) -> Response {
    let socket = socket.max_message_size(4096);
    socket.on_upgrade(async move |socket| stay(socket, &room).await)
}

async fn stay(socket: WebSocket, room: &watch::Sender<Room>) {
    let (mut sender, receiver) = socket.split();
    let mut texts = receiver.filter_map(|message| match message {
        Ok(Message::Text(text)) => ready(Some(text.trim().to_owned())),
        _ => ready(None),
    });
    let mut name = String::new();
    while !room.send_if_modified(|room| room.enter(&name)) {
        let _ = sender.send(ASK_NAME.into()).await;
        match texts.next().await {
            Some(text) => name = text,
            None => return,
        }
    }
    let (mut news, mut place) = (room.subscribe(), 0);
    let hear = async {
        while let Some(line) = read(&mut news, &mut place).await
            && sender.send(line).await.is_ok()
        {}
    };
    let speak = texts.for_each(|text| {
        room.send_modify(|room| room.add(json!({"from": name, "text": text})));
        ready(())
    });
    // Concurrently, so that a member who is slow to read can still write.
    tokio::select! { () = hear => {}, () = speak => {} }
    room.send_modify(|room| {
        room.members.remove(&name);
        room.add(json!({ "left": name }));
    });
}
