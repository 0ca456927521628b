//! Frames that the WebSocket protocol forbids (RFC 6455): the sender is cut off, and no other client notices.

use crate::common::raw::{
    CLOSE, CONTINUATION, FIN, MASKED, PING, RSV1, RSV2, RSV3, TEXT, close_code, frame, websocket,
};
use crate::common::{TestServer, until};
use tokio::io::AsyncWriteExt;

/// RFC 6455, 7.4.1.
const PROTOCOL_ERROR: u16 = 1002;
const NOT_UTF8: u16 = 1007;
const TOO_BIG: u16 = 1009;

#[tokio::test]
async fn a_protocol_violation_closes_the_client_and_affects_no_other() {
    let dimmer = TestServer::start();
    let mut other = dimmer.client().await;
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
        let mut socket = websocket(&dimmer).await;
        socket.write_all(&bytes).await.unwrap();
        assert_eq!(close_code(socket).await, Some(code), "{what}");
        other.settled().await;
        assert_eq!(other.levels["led"], 50.0, "{what} changed the light");
    }
}

#[tokio::test]
async fn a_message_may_be_fragmented_within_a_character() {
    let dimmer = TestServer::start();
    let mut other = dimmer.client().await;
    let mut socket = websocket(&dimmer).await;
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
    let dimmer = TestServer::start();
    let mut other = dimmer.client().await;
    for length in 1..8 {
        let mut socket = websocket(&dimmer).await;
        let frame = frame(FIN | TEXT, b"7");
        socket
            .write_all(&frame[..length.min(frame.len() - 1)])
            .await
            .unwrap();
        drop(socket);
    }
    until("the client is alone", async || {
        other.settled().await;
        other.pages == 1
    })
    .await;
    assert_eq!(other.levels["led"], 50.0);
}

#[tokio::test]
async fn nothing_follows_a_close_frame() {
    const AWAY: u16 = 1001;
    let dimmer = TestServer::start();
    // These do not answer the close frame, so the service keeps them for a second, in which the client leaves.
    let silent = [websocket(&dimmer).await, websocket(&dimmer).await];
    let mut client = dimmer.client().await;
    let leaving = tokio::spawn(async move { client.close_code().await });
    let (status, _home) = tokio::task::spawn_blocking(|| dimmer.stop()).await.unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(leaving.await.unwrap(), AWAY);
    for socket in silent {
        assert_eq!(close_code(socket).await, Some(AWAY));
    }
}
