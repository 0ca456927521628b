//! The echo server that every WebSocket tutorial begins with, and a client for it: text and binary messages of up to
//! 16 MiB, whole or in fragments.
//!
//!     cargo run --example echo                            serves on 127.0.0.1:8765, or on the address given
//!     cargo run --example echo -- ws://127.0.0.1:8765     sends each line that you type, prints the answers
//!     websocat ws://127.0.0.1:8765                        or any other tool
//!
//! A text comes back with `Echo: ` before it, a binary message as it is.

use std::net::SocketAddr;
use std::{env, io, thread};

use anyhow::{Context, anyhow};
use axum::Router;
use axum::extract::ConnectInfo;
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
        address => serve(address.as_deref().unwrap_or("127.0.0.1:8765")).await,
    }
}

async fn serve(address: &str) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    println!("listening on ws://{}", listener.local_addr()?);
    // Otherwise the kernel delays a small answer until the previous one is acknowledged, some 40 ms.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    // On every path, because tools request different ones.
    let router = Router::new().fallback(any(open));
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::select! {
        served = axum::serve(listener, service) => served?,
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    println!("stopped");
    Ok(())
}

async fn open(ConnectInfo(address): ConnectInfo<SocketAddr>, ws: WebSocketUpgrade) -> Response {
    let ws = ws.max_message_size(LARGEST).max_frame_size(LARGEST);
    ws.on_upgrade(move |socket| echo(socket, address))
}

/// Answers each message before reading the next. So a client that sends without reading cannot fill the memory of the
/// server: its own sending blocks.
async fn echo(mut socket: WebSocket, address: SocketAddr) {
    println!("{address} connected");
    // axum joins fragments into one message, and answers pings and closing handshakes.
    while let Some(Ok(message)) = socket.recv().await {
        let answer = match message {
            Message::Text(text) => {
                println!("{address} sent {}", quoted(&text));
                Message::Text(format!("Echo: {text}").into())
            }
            Message::Binary(bytes) => {
                println!("{address} sent {} bytes", bytes.len());
                Message::Binary(bytes)
            }
            _ => continue,
        };
        if socket.send(answer).await.is_err() {
            break;
        }
        println!("{address} was answered");
    }
    println!("{address} is gone");
}

/// The beginning of a text, with escapes for what would control a terminal.
fn quoted(text: &str) -> String {
    let start = text.chars().take(80).collect::<String>();
    match text.len() - start.len() {
        0 => format!("{start:?}"),
        more => format!("{start:?} and {more} bytes more"),
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
