//! HTTP and WebSocket frames byte by byte, for what no library sends.

use std::io::Read;
use std::net::TcpStream;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::{LIMIT, TestServer};

/// The header lines that make a request one for a WebSocket. The connection ends if that is refused.
pub const UPGRADE: &str = "connection: upgrade, close\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                           sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// All that comes until the service closes the connection, or until the connection becomes a WebSocket.
pub fn read_to_end(mut stream: TcpStream) -> String {
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    loop {
        let size = stream.read(&mut part).unwrap();
        answer.extend_from_slice(&part[..size]);
        if size == 0 || answer.starts_with(b"HTTP/1.1 101 ") {
            return String::from_utf8_lossy(&answer).into();
        }
    }
}

/// An HTTP response, taken apart.
pub struct Answer {
    pub status: u16,
    /// The status line and the headers.
    pub head: String,
    pub body: String,
}

impl Answer {
    /// Panics if this is no HTTP response.
    pub fn parse(text: &str) -> Answer {
        let status = text.split(' ').nth(1).and_then(|text| text.parse().ok());
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        Answer {
            status: status.unwrap_or_else(|| panic!("no answer: {text:?}")),
            head: head.into(),
            body: body.into(),
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines();
        let mut values = lines.filter_map(|line| line.split_once(": "));
        let value = values.find(|(has, _)| has.eq_ignore_ascii_case(name));
        value.map(|(_, value)| value)
    }

    /// Name and value of the cookie that the response sets.
    pub fn cookie(&self) -> String {
        let cookie = self.header("set-cookie").unwrap();
        cookie.split(';').next().unwrap().into()
    }

    /// The `error` of the JSON in the body.
    pub fn error(&self) -> String {
        let body: Value = serde_json::from_str(&self.body)
            .unwrap_or_else(|_| panic!("not JSON: {:?}", self.body));
        body["error"].as_str().unwrap().into()
    }
}

pub const FIN: u8 = 0x80;
/// Reserved: the first is for compression, which was not negotiated.
pub const RSV1: u8 = 0x40;
pub const RSV2: u8 = 0x20;
pub const RSV3: u8 = 0x10;
pub const CONTINUATION: u8 = 0x0;
pub const TEXT: u8 = 0x1;
pub const CLOSE: u8 = 0x8;
pub const PING: u8 = 0x9;
pub const MASKED: u8 = 0x80;

/// A frame as a browser sends it, with a mask of zeros, which changes nothing.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first, MASKED | u8::try_from(payload.len()).unwrap()];
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// A WebSocket past the handshake, which offers compression in vain.
pub async fn websocket(dimmer: &TestServer) -> tokio::net::TcpStream {
    let mut socket = tokio::net::TcpStream::connect(dimmer.address)
        .await
        .unwrap();
    let request = format!(
        "GET /ws HTTP/1.1\r\nhost: {}\r\n{UPGRADE}\
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

/// The code of the close frame, if there is one, once the connection has ended. Nothing may follow that frame.
pub async fn close_code(mut socket: tokio::net::TcpStream) -> Option<u16> {
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
            assert_eq!(&body[length..], b"", "more after the close frame");
            return body.first_chunk().map(|code| u16::from_be_bytes(*code));
        }
        rest = body.get(length..)?;
    }
}
