//! The textbook: axum with a broadcast channel, put together as axum's own chat example is.
//!
//! Each page has a task that sends what the channel holds and a task that receives; when either
//! ends, so does the page. All settings are the defaults: the runtime's threads, the buffers of
//! the WebSocket, Nagle's algorithm.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::routing::get;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tokio::sync::broadcast;

/// Messages that the channel holds, as in the example.
const CAPACITY: usize = 100;

/// A message, and the page that sent it.
type Sent = (usize, Utf8Bytes);

/// Serves until it is killed.
#[tokio::main]
pub async fn serve() {
    let (channel, _) = broadcast::channel::<Sent>(CAPACITY);
    let open = async move |upgrade: WebSocketUpgrade| {
        upgrade.on_upgrade(move |socket| talk(socket, channel))
    };
    let router = Router::new().route("/ws", get(open));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("open http://{}", listener.local_addr().unwrap());
    axum::serve(listener, router).await.unwrap();
}

async fn talk(socket: WebSocket, channel: broadcast::Sender<Sent>) {
    static PAGES: AtomicUsize = AtomicUsize::new(0);
    let number = PAGES.fetch_add(1, Ordering::Relaxed);
    let mut news = channel.subscribe();
    let (mut sink, mut stream) = socket.split();
    let mut sending = tokio::spawn(async move {
        // An overrun is an error, too: who is late by more than the channel holds is cut off.
        while let Ok((from, text)) = news.recv().await {
            if from != number && sink.send(Message::Text(text)).await.is_err() {
                break;
            }
        }
    });
    let mut receiving = tokio::spawn(async move {
        while let Some(Ok(Message::Text(text))) = stream.next().await {
            let _ = channel.send((number, text));
        }
    });
    tokio::select! {
        _ = &mut sending => receiving.abort(),
        _ = &mut receiving => sending.abort(),
    }
}
