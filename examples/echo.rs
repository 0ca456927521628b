//! A WebSocket server that says back whatever it hears, and a client to talk to it: text and binary,
//! of any size up to 16 MiB, whole or in fragments.
//!
//!     cargo run --example echo                            serves on 127.0.0.1:5001, or on the address given
//!     cargo run --example echo -- ws://127.0.0.1:5001     sends each line that you type, prints the answers
//!     websocat ws://127.0.0.1:5001                        or any other tool

use std::{env, io, thread};

use anyhow::{Context, anyhow};
use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::any;
use axum::serve::ListenerExt;
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::http::Uri;

/// Most bytes of one message. A message is held whole before it goes back, so this, times the
/// number of clients, is the memory that strangers can take.
const LARGEST: usize = 16 * 1024 * 1024;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match env::args().nth(1) {
        Some(url) if url.contains("://") => talk(&url).await,
        address => serve(address.as_deref().unwrap_or("127.0.0.1:5001")).await,
    }
}

async fn serve(address: &str) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    println!("listening on http://{}", listener.local_addr()?);
    // Else the system keeps a small answer back while the one before is unacknowledged: some 40 ms.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    // On every path: tools differ in what they ask for.
    axum::serve(listener, Router::new().fallback(any(open))).await?;
    Ok(())
}

async fn open(socket: WebSocketUpgrade) -> Response {
    socket
        .max_message_size(LARGEST)
        .max_frame_size(LARGEST)
        .on_upgrade(echo)
}

/// Answers each message before it reads the next. So a client that sends and does not read fills no
/// memory here: its own sending stops.
async fn echo(mut socket: WebSocket) {
    // Fragments come as the message that they make up.
    while let Some(Ok(message)) = socket.recv().await {
        // Pings and goodbyes are answered by axum.
        if let Message::Text(_) | Message::Binary(_) = message
            && socket.send(message).await.is_err()
        {
            break;
        }
    }
}

async fn talk(url: &str) -> anyhow::Result<()> {
    let uri: Uri = url.parse()?;
    let host = match (uri.scheme_str(), uri.host()) {
        (Some("ws"), Some(host)) => host.trim_matches(['[', ']']),
        _ => return Err(anyhow!("{url} is not of the form ws://HOST:PORT")),
    };
    let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(80)))
        .await
        .with_context(|| format!("cannot connect to {url}"))?;
    stream.set_nodelay(true)?;
    let (socket, _) = client_async(url, stream).await?;
    let (mut sender, mut receiver) = socket.split();

    // Reading stdin blocks, so it has a thread of its own, which ends with the program.
    let (typed, mut lines) = mpsc::channel(1);
    thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            if typed.blocking_send(line).is_err() {
                break;
            }
        }
    });
    // A task of its own, so that answers are read while a large message goes out: two that only
    // send to each other stand still for good once the buffers between them are full.
    tokio::spawn(async move {
        while let Some(line) = lines.recv().await {
            sender.send(line.into()).await?;
        }
        // No more to say. The server says goodbye too, and that comes after its last answer.
        sender.close().await
    });
    while let Some(message) = receiver.next().await {
        match message? {
            tungstenite::Message::Text(text) => println!("{text}"),
            tungstenite::Message::Binary(bytes) => println!("{} bytes", bytes.len()),
            _ => {}
        }
    }
    Ok(())
}
