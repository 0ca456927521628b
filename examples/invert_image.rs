//! Files over a WebSocket: the client sends an image in one binary frame, and gets it back with its colours inverted.
//!
//!     cargo run --example invert_image                       then open the page that it prints
//!     cargo run --example invert_image -- 0.0.0.0:5004       for every phone on the LAN
//!
//! What strangers send is limited in every respect: the bytes of a message; the memory of the decoded image, because a
//! small file can decode to a huge one; and the number of images in work. Each error is answered with a text frame, and
//! the connection stays open.

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

/// Maximum bytes of a file.
const LARGEST: usize = 4 * 1024 * 1024;
/// Maximum width and height in pixels.
const LONGEST: u32 = 4096;
/// Maximum bytes of memory for decoding: 16 for each pixel of the largest image.
const UNPACKED: u64 = 16 * 4096 * 4096;
/// One image at a time, whoever sends it, so that all clients together take the memory of one image, and one core.
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

/// Reads up to twice the maximum size, so that the sender of a file that is too large gets an answer. Beyond that the
/// connection is closed: a client that is still sending reads no answer.
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
    // On a thread for blocking work: on the threads of the sockets it would delay all other clients.
    task::spawn_blocking(move || {
        let mut image = decoded(file).context("not a PNG image that can be read")?;
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
