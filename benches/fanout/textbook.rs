//! The textbook server: axum with a broadcast channel, built like axum's own chat example.
//!
//! Each client has a task that sends what the channel delivers and a task that receives; when either ends, so does
//! the connection. All settings are the defaults: the runtime's threads, the WebSocket's buffers, Nagle's algorithm.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::routing::get;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tokio::sync::broadcast;

/// Capacity of the channel in messages, as in the example.
const CAPACITY: usize = 100;

/// The ID of the sending client, and its message.
type Broadcast = (usize, Utf8Bytes);

/// Serves until the process is killed.
#[tokio::main]
pub async fn serve() {
    let (channel, _) = broadcast::channel::<Broadcast>(CAPACITY);
    let upgrade = async move |upgrade: WebSocketUpgrade| {
        upgrade.on_upgrade(move |socket| handle_socket(socket, channel))
    };
    let router = Router::new().route("/ws", get(upgrade));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("open http://{}", listener.local_addr().unwrap());
    axum::serve(listener, router).await.unwrap();
}

async fn handle_socket(socket: WebSocket, channel: broadcast::Sender<Broadcast>) {
    static NEXT_ID: AtomicUsize = AtomicUsize::new(0);
    let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
    let mut messages = channel.subscribe();
    let (mut sink, mut stream) = socket.split();
    let mut send_task = tokio::spawn(async move {
        // A lag is an error, too: a client more messages behind than the channel holds is disconnected.
        while let Ok((from, text)) = messages.recv().await {
            if from != id && sink.send(Message::Text(text)).await.is_err() {
                break;
            }
        }
    });
    let mut receive_task = tokio::spawn(async move {
        while let Some(Ok(Message::Text(text))) = stream.next().await {
            let _ = channel.send((id, text));
        }
    });
    tokio::select! {
        _ = &mut send_task => receive_task.abort(),
        _ = &mut receive_task => send_task.abort(),
    }
}
