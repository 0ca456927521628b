//! What the load generator sends to each kind of server, and how it reads the answers.

use std::net::SocketAddr;

/// The protocol that a server speaks.
#[derive(Clone, Copy, PartialEq)]
pub enum Dialect {
    /// The floor: clients send the exact frame that the others receive, without handshake or mask.
    Bare,
    /// The textbook: a WebSocket on which clients send the exact text that the others receive.
    Relayed,
    /// dimmer's `/ws`, with `seq`.
    Dimmer,
    /// Socket.IO on Engine.IO 4, over a WebSocket from the start.
    SocketIo,
}

/// What a frame of the server means.
pub enum Received {
    Level {
        level: usize,
        seen: u64,
    },
    /// The server has handled everything that this client sent.
    Echo,
    /// The server expects this frame in return.
    ReplyWith(Vec<u8>),
    Close,
    Other,
}

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

impl Dialect {
    /// The handshake that a client sends once it is connected; empty if there is none.
    pub fn handshake(self, address: SocketAddr) -> String {
        let path = match self {
            Dialect::Bare => return String::new(),
            Dialect::Relayed | Dialect::Dimmer => "/ws",
            Dialect::SocketIo => "/socket.io/?EIO=4&transport=websocket",
        };
        format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
    }

    /// A client's frame that sets a level.
    pub fn change(self, level: usize, seq: u64) -> Vec<u8> {
        let broadcast = format!(r#"{{"light":"led","level":{level}}}"#);
        match self {
            Dialect::Bare => {
                let mut frame = vec![0x80 | TEXT, broadcast.len() as u8];
                frame.extend(broadcast.as_bytes());
                frame
            }
            Dialect::Relayed => masked(TEXT, broadcast.as_bytes()),
            Dialect::Dimmer => {
                let text = format!(r#"{{"level":{level},"seq":{seq}}}"#);
                masked(TEXT, text.as_bytes())
            }
            Dialect::SocketIo => {
                let text = format!(r#"42["led",{{"level":"{level}"}}]"#);
                masked(TEXT, text.as_bytes())
            }
        }
    }

    /// A frame that the server answers once it has handled the client's changes; only dimmer has one.
    pub fn echo_request(self) -> Option<Vec<u8>> {
        (self == Dialect::Dimmer).then(|| masked(TEXT, br#"{"echo":0}"#))
    }

    pub fn parse(self, opcode: u8, payload: &[u8]) -> Received {
        match opcode {
            TEXT => parse_text(payload),
            PING => Received::ReplyWith(masked(PONG, payload)),
            CLOSE => Received::Close,
            _ => Received::Other,
        }
    }
}

fn parse_text(text: &[u8]) -> Received {
    // The activity log contains levels as well, but past ones.
    if text.starts_with(b"{\"activity\"") {
        return Received::Other;
    }
    if let Some(level) = number_after(text, b"\"level\":") {
        let seen = number_after(text, b"\"seen\":").unwrap_or(0);
        let level = level as usize;
        return Received::Level { level, seen };
    }
    match text {
        // Engine.IO: open, answered with Socket.IO's connect; and ping, answered with pong.
        [b'0', ..] => Received::ReplyWith(masked(TEXT, b"40")),
        b"2" => Received::ReplyWith(masked(TEXT, b"3")),
        text if text.starts_with(b"{\"echo\"") => Received::Echo,
        _ => Received::Other,
    }
}

/// A frame as a client sends it. The mask is zero: unmasking changes no byte, and costs the server as much as any.
fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() < 126, "payload needs a longer frame header");
    let mut frame = vec![0x80 | opcode, 0x80 | payload.len() as u8, 0, 0, 0, 0];
    frame.extend(payload);
    frame
}

fn number_after(text: &[u8], name: &[u8]) -> Option<u64> {
    let at = text.windows(name.len()).position(|part| part == name)?;
    let digits = text[at + name.len()..].trim_ascii_start();
    let digits = digits.iter().take_while(|digit| digit.is_ascii_digit());
    Some(digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}
