//! What the load says to each server, and what it takes from each.

use std::net::SocketAddr;

/// How a server is spoken to.
#[derive(Clone, Copy, PartialEq)]
pub enum Dialect {
    /// The floor: the frame that others are to get, without a handshake or a mask.
    Bare,
    /// The textbook: the text that others are to get.
    Relayed,
    /// dimmer's `/ws`, with `seq`.
    Dimmer,
    /// Socket.IO on Engine.IO 4, over a WebSocket from the start.
    SocketIo,
}

/// What a frame means to a page.
pub enum Heard {
    Level {
        level: usize,
        seen: u64,
    },
    /// The server has handled all that this page sent.
    Echo,
    /// The server wants this said.
    Asks(Vec<u8>),
    Goodbye,
    Nothing,
}

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

impl Dialect {
    /// What a page says once it is connected.
    pub fn greeting(self, address: SocketAddr) -> String {
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

    /// A page's frame that sets a level.
    pub fn change(self, level: usize, seq: u64) -> Vec<u8> {
        let shown = format!(r#"{{"light":"led","level":{level}}}"#);
        match self {
            Dialect::Bare => {
                let mut frame = vec![0x80 | TEXT, shown.len() as u8];
                frame.extend(shown.as_bytes());
                frame
            }
            Dialect::Relayed => masked(TEXT, shown.as_bytes()),
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

    /// What makes the server say when it has handled a page's changes, where it can.
    pub fn echo(self) -> Option<Vec<u8>> {
        (self == Dialect::Dimmer).then(|| masked(TEXT, br#"{"echo":0}"#))
    }

    pub fn understand(self, opcode: u8, payload: &[u8]) -> Heard {
        match opcode {
            TEXT => self.understand_text(payload),
            PING => Heard::Asks(masked(PONG, payload)),
            CLOSE => Heard::Goodbye,
            _ => Heard::Nothing,
        }
    }

    fn understand_text(self, text: &[u8]) -> Heard {
        // It tells levels, too, but of the past.
        if text.starts_with(b"{\"activity\"") {
            return Heard::Nothing;
        }
        if let Some(level) = number_after(text, b"\"level\":") {
            let seen = number_after(text, b"\"seen\":").unwrap_or(0);
            let level = level as usize;
            return Heard::Level { level, seen };
        }
        match text {
            [b'0', ..] => Heard::Asks(masked(TEXT, b"40")),
            b"2" => Heard::Asks(masked(TEXT, b"3")),
            text if text.starts_with(b"{\"echo\"") => Heard::Echo,
            _ => Heard::Nothing,
        }
    }
}

/// A frame as a page sends it. The mask is zero: it changes nothing, and costs the server as much.
fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() < 126, "no page says that much");
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
