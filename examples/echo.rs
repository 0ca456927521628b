//! A WebSocket server that sends back each message, and a client for it: text and binary messages of up to 16 MiB,
//! whole or in fragments.
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

/// Maximum bytes of a message. The server holds a whole message before it sends it back, so this times the number of
/// clients is the memory that strangers can occupy.
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
    // Otherwise the kernel delays a small answer until the previous one is acknowledged, some 40 ms.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    // On every path, because tools request different ones.
    axum::serve(listener, Router::new().fallback(any(open))).await?;
    Ok(())
}

async fn open(socket: WebSocketUpgrade) -> Response {
    socket
        .max_message_size(LARGEST)
        .max_frame_size(LARGEST)
        .on_upgrade(echo)
}

/// Answers each message before reading the next. So a client that sends without reading cannot fill the memory of the
/// server: its own sending blocks.
async fn echo(mut socket: WebSocket) {
    // axum joins fragments into one message.
    while let Some(Ok(message)) = socket.recv().await {
        // axum answers pings and closing handshakes.
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

    // Reading stdin blocks, so it runs in a thread of its own, which ends with the program.
    let (typed, mut lines) = mpsc::channel(1);
    thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            if typed.blocking_send(line).is_err() {
                break;
            }
        }
    });
    // A task of its own, so that answers are read while a large message is sent: two peers that only send to each other
    // block for ever once the buffers between them are full.
    tokio::spawn(async move {
        while let Some(line) = lines.recv().await {
            sender.send(line.into()).await?;
        }
        // The server answers the closing handshake after its last answer.
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
