//! Files over a WebSocket: an image goes up in one binary frame, and comes back with its colours inverted.
//!
//!     cargo run --example invert_image                       then open the page that it names
//!     cargo run --example invert_image -- 0.0.0.0:5004       for every phone on the LAN
//!
//! What strangers send is bounded on every side: the bytes of a message, what an image may unpack to, which a small file
//! can make huge, and how many are worked on at once. Whatever is wrong is told in a text frame, and the socket stays.

use std::env;
use std::io::Cursor;

use anyhow::{Context, ensure};
use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::{Html, Response};
use axum::routing::{any, get};
use image::{DynamicImage, ImageFormat, ImageReader, Limits};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task;

/// Most bytes of a file.
const LARGEST: usize = 4 * 1024 * 1024;
/// Most pixels in a row, and most rows.
const LONGEST: u32 = 4096;
/// Most bytes that an image may take while it is unpacked: 16 of each pixel of the largest.
const UNPACKED: u64 = 16 * 4096 * 4096;
/// One image at a time, whoever sends it: its memory is all that is taken, and one core.
static WORK: Semaphore = Semaphore::const_new(1);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:5004".into());
    let listener = TcpListener::bind(&address).await.context(address)?;
    println!("listening on http://{}", listener.local_addr()?);
    let router = Router::new()
        .route("/", get(Html(include_str!("invert_image.html"))))
        .route("/ws", any(open));
    Ok(axum::serve(listener, router).await?)
}

/// Twice the size is read, so that who sends too much can be told. Past that the connection ends: to a
/// client that is still sending nothing can be told.
async fn open(socket: WebSocketUpgrade) -> Response {
    let socket = socket.max_message_size(2 * LARGEST);
    socket.max_frame_size(2 * LARGEST).on_upgrade(serve)
}

async fn serve(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        let inverted = match message {
            Message::Binary(file) => inverted(file.into()).await,
            Message::Text(_) => Err(anyhow::anyhow!("send the image in a binary frame")),
            _ => continue,
        };
        let answer = match inverted {
            Ok(file) => Message::Binary(file.into()),
            Err(error) => Message::Text(format!("{error:#}").into()),
        };
        if socket.send(answer).await.is_err() {
            break;
        }
    }
}

async fn inverted(file: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    ensure!(
        file.len() <= LARGEST,
        "an image may have {LARGEST} bytes, not {}",
        file.len()
    );
    let _turn = WORK.acquire().await?;
    // A thread of its own kind: on those of the sockets it would hold up everybody else's.
    task::spawn_blocking(move || {
        let mut image = decoded(file).context("not a PNG that can be read")?;
        image.invert();
        let mut file = Cursor::default();
        image.write_to(&mut file, ImageFormat::Png)?;
        Ok(file.into_inner())
    })
    .await?
}

fn decoded(file: Vec<u8>) -> image::ImageResult<DynamicImage> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(LONGEST);
    limits.max_image_height = Some(LONGEST);
    limits.max_alloc = Some(UNPACKED);
    let mut reader = ImageReader::with_format(Cursor::new(file), ImageFormat::Png);
    reader.limits(limits);
    reader.decode()
}
