//! What the protocol of WebSockets itself forbids (RFC 6455): the sender is cut off, and nobody else
//! notices.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Dimmer, LIMIT};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const FIN: u8 = 0x80;
/// Reserved: the first is for compression, which nobody agreed on.
const RSV1: u8 = 0x40;
const RSV2: u8 = 0x20;
const RSV3: u8 = 0x10;
const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const MASKED: u8 = 0x80;

/// RFC 6455, 7.4.1.
const PROTOCOL_ERROR: u16 = 1002;
const NOT_UTF8: u16 = 1007;
const TOO_BIG: u16 = 1009;

/// A frame as a browser sends it, with a mask of zeros, which changes nothing.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first, MASKED | u8::try_from(payload.len()).unwrap()];
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// A page's connection, past the handshake.
async fn connect(dimmer: &Dimmer) -> TcpStream {
    let mut socket = TcpStream::connect(dimmer.address).await.unwrap();
    let request = format!(
        "GET /ws HTTP/1.1\r\nhost: {}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         sec-websocket-extensions: permessage-deflate\r\n\r\n",
        dimmer.address
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    assert!(head.starts_with("http/1.1 101"), "{head}");
    assert!(!head.contains("permessage-deflate"), "{head}");
    socket
}

/// The code of the goodbye, if there is one, once the connection has ended. Nothing may follow it.
async fn goodbye(mut socket: TcpStream) -> Option<u16> {
    let mut bytes = Vec::new();
    // A reset is an end, too.
    let _ = timeout(LIMIT, socket.read_to_end(&mut bytes))
        .await
        .expect("the connection stays open");
    let mut rest = &bytes[..];
    loop {
        let (&[first, length], body) = rest.split_first_chunk()?;
        let (length, body) = match length {
            126 => {
                let (length, body) = body.split_first_chunk()?;
                (u16::from_be_bytes(*length).into(), body)
            }
            length => (usize::from(length), body),
        };
        if first == FIN | CLOSE {
            assert_eq!(&body[length..], b"", "more after the goodbye");
            return body.first_chunk().map(|code| u16::from_be_bytes(*code));
        }
        rest = body.get(length..)?;
    }
}

#[tokio::test]
async fn what_the_protocol_forbids_ends_the_page_and_touches_no_other() {
    let dimmer = Dimmer::start();
    let mut other = dimmer.page().await;
    let level = br#"{"level": 7}"#;
    let unmasked: Vec<u8> = [&[FIN | TEXT, level.len() as u8][..], level].concat();
    // A snowman, cut in two, with its second half missing.
    let half = [frame(TEXT, b"\"\xe2\x98"), frame(FIN | CONTINUATION, b"\"")].concat();
    let huge = [
        &[FIN | TEXT, MASKED | 127][..],
        &u64::MAX.to_be_bytes(),
        &[0; 4],
    ]
    .concat();
    let long_ping = [&[FIN | PING, MASKED | 126, 0, 126][..], &[0; 4 + 126]].concat();
    for (what, bytes, code) in [
        ("no mask", unmasked, PROTOCOL_ERROR),
        (
            "compression",
            frame(FIN | RSV1 | TEXT, level),
            PROTOCOL_ERROR,
        ),
        (
            "reserved bit 2",
            frame(FIN | RSV2 | TEXT, level),
            PROTOCOL_ERROR,
        ),
        (
            "reserved bit 3",
            frame(FIN | RSV3 | TEXT, level),
            PROTOCOL_ERROR,
        ),
        ("a reserved kind", frame(FIN | 0x3, level), PROTOCOL_ERROR),
        ("a reserved control", frame(FIN | 0xb, b""), PROTOCOL_ERROR),
        ("a ping in parts", frame(PING, b""), PROTOCOL_ERROR),
        ("a ping that is too long", long_ping, PROTOCOL_ERROR),
        (
            "a part of nothing",
            frame(FIN | CONTINUATION, level),
            PROTOCOL_ERROR,
        ),
        (
            "a message within another",
            [frame(TEXT, b"{"), frame(FIN | TEXT, level)].concat(),
            PROTOCOL_ERROR,
        ),
        ("half a character", half, NOT_UTF8),
        ("a length of 2^64 - 1", huge, TOO_BIG),
        (
            "a close with half a code",
            frame(FIN | CLOSE, b"\x03"),
            PROTOCOL_ERROR,
        ),
        (
            "a close with a reserved code",
            frame(FIN | CLOSE, b"\x03\xed"),
            PROTOCOL_ERROR,
        ),
    ] {
        let mut socket = connect(&dimmer).await;
        socket.write_all(&bytes).await.unwrap();
        assert_eq!(goodbye(socket).await, Some(code), "{what}");
        other.settle().await;
        assert_eq!(other.levels["led"], 50.0, "{what} changed the light");
    }
}

#[tokio::test]
async fn a_message_may_come_in_parts_that_cut_characters() {
    let dimmer = Dimmer::start();
    let mut other = dimmer.page().await;
    let mut socket = connect(&dimmer).await;
    let text = "{\"name\": \"Zoë ☃\"}".as_bytes();
    for (number, byte) in text.iter().enumerate() {
        let kind = if number == 0 { TEXT } else { CONTINUATION };
        let fin = if number + 1 == text.len() { FIN } else { 0 };
        socket
            .write_all(&frame(fin | kind, &[*byte]))
            .await
            .unwrap();
        // Control frames may come in between.
        socket.write_all(&frame(FIN | PING, b"")).await.unwrap();
    }
    socket.write_all(&frame(FIN | TEXT, b"7")).await.unwrap();
    let message = loop {
        let message = other.next().await;
        if message["level"] == 7.0 {
            break message;
        }
    };
    assert_eq!(message["by"], "Zoë ☃");
}

#[tokio::test]
async fn a_connection_that_ends_within_a_frame_is_forgotten() {
    let dimmer = Dimmer::start();
    let mut other = dimmer.page().await;
    for length in 1..8 {
        let mut socket = connect(&dimmer).await;
        let frame = frame(FIN | TEXT, b"7");
        socket
            .write_all(&frame[..length.min(frame.len() - 1)])
            .await
            .unwrap();
        drop(socket);
    }
    common::until("the page is alone", async || {
        other.settle().await;
        other.pages == 1
    })
    .await;
    assert_eq!(other.levels["led"], 50.0);
}

#[tokio::test]
async fn nothing_follows_a_goodbye() {
    const AWAY: u16 = 1001;
    let dimmer = Dimmer::start();
    // These do not answer it, so they are kept for a second, in which the page leaves.
    let silent = [connect(&dimmer).await, connect(&dimmer).await];
    let mut page = dimmer.page().await;
    let leaving = tokio::spawn(async move { page.goodbye().await });
    let (status, _home) = tokio::task::spawn_blocking(|| dimmer.stop()).await.unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(leaving.await.unwrap(), AWAY);
    for socket in silent {
        assert_eq!(goodbye(socket).await, Some(AWAY));
    }
}
