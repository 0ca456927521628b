//! Takes messages that are too large out of what a broker sends: [`Sieve`].
//!
//! The MQTT library ends the connection at a packet above its limit. As the broker sends a retained
//! message again on each connection, one of them would keep dimmer off the broker for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Longest packet in bytes that is let through: far more than a command, a state or the discovery of a
/// light has.
pub const MAX_PACKET: usize = 16 * 1024;
/// Takes the place of a payload that was taken out.
pub const TAKEN_OUT: &[u8] = b"\xfftoo large";

/// Bytes that are read at once.
const CHUNK: usize = 4096;
/// The type of a PUBLISH, in the upper half of the first byte of a packet.
const PUBLISH: u8 = 3;
/// The bits of a PUBLISH's first byte that have its quality of service.
const QOS: u8 = 0b110;
/// The most bytes that the length of a packet takes.
const MAX_LENGTH_BYTES: usize = 4;

/// A connection to a broker on which each PUBLISH above [`MAX_PACKET`] has the payload [`TAKEN_OUT`]
/// instead of its own. It keeps its topic and its packet identifier, so that the library reports and
/// acknowledges it.
pub struct Sieve<S> {
    stream: S,
    /// The beginning of the current packet, until it is known what happens to the packet.
    head: Vec<u8>,
    /// The bytes that follow the head.
    left: usize,
    /// Whether these are dropped.
    is_dropping: bool,
    /// What was let through, and is not read yet.
    output: Vec<u8>,
}

/// What is to happen to a packet.
#[derive(Debug, PartialEq)]
enum Verdict {
    /// More of its beginning is needed.
    Undecided,
    /// So many bytes after its head are let through.
    Pass(usize),
    /// What follows its topic is dropped.
    TakeOut {
        /// Where the topic begins.
        topic: usize,
        /// The bytes after the head.
        left: usize,
    },
}

impl Verdict {
    fn of(head: &[u8]) -> Verdict {
        let mut length = 0;
        let bytes = head.iter().skip(1).take(MAX_LENGTH_BYTES);
        for (index, byte) in bytes.enumerate() {
            length |= usize::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                return Verdict::of_packet(head, index + 2, length);
            }
        }
        match head.len() {
            0..=MAX_LENGTH_BYTES => Verdict::Undecided,
            // Not MQTT: the library is to say so.
            _ => Verdict::Pass(usize::MAX),
        }
    }

    /// Of a packet with this length from `start` on.
    fn of_packet(head: &[u8], start: usize, length: usize) -> Verdict {
        if head[0] >> 4 != PUBLISH || length <= MAX_PACKET {
            return Verdict::Pass(start + length - head.len());
        }
        let Some(&[high, low]) = head.get(start..start + 2) else {
            return Verdict::Undecided;
        };
        let topic = 2 + usize::from(u16::from_be_bytes([high, low]));
        let identifier = if head[0] & QOS == 0 { 0 } else { 2 };
        let end = start + topic + identifier;
        match length.checked_sub(topic + identifier) {
            Some(left) if head.len() == end => Verdict::TakeOut { topic: start, left },
            Some(_) => Verdict::Undecided,
            None => Verdict::Pass(usize::MAX),
        }
    }
}

impl<S> Sieve<S> {
    /// Takes what is too large out of this stream.
    pub fn new(stream: S) -> Sieve<S> {
        Sieve {
            stream,
            head: Vec::new(),
            left: 0,
            is_dropping: false,
            output: Vec::new(),
        }
    }

    fn sift(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left == 0 {
                self.head.push(bytes[0]);
                bytes = &bytes[1..];
                self.decide();
                continue;
            }
            let (these, rest) = bytes.split_at(self.left.min(bytes.len()));
            if !self.is_dropping {
                self.output.extend_from_slice(these);
            }
            self.left -= these.len();
            bytes = rest;
        }
    }

    fn decide(&mut self) {
        match Verdict::of(&self.head) {
            Verdict::Undecided => return,
            Verdict::Pass(left) => {
                self.output.extend_from_slice(&self.head);
                (self.left, self.is_dropping) = (left, false);
            }
            Verdict::TakeOut { topic, left } => {
                let topic = &self.head[topic..];
                self.output.push(self.head[0]);
                put_length(&mut self.output, topic.len() + TAKEN_OUT.len());
                self.output.extend_from_slice(topic);
                self.output.extend_from_slice(TAKEN_OUT);
                (self.left, self.is_dropping) = (left, true);
            }
        }
        self.head.clear();
    }
}

/// Appends the length of a packet: 7 bits a byte, the lowest first.
fn put_length(output: &mut Vec<u8>, mut length: usize) {
    while length > 0x7f {
        output.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    output.push(length as u8);
}

impl<S: AsyncRead + Unpin> AsyncRead for Sieve<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let sieve = self.get_mut();
        while sieve.output.is_empty() {
            let mut chunk = [0; CHUNK];
            let mut chunk = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut sieve.stream).poll_read(context, &mut chunk))?;
            match chunk.filled() {
                [] => return Poll::Ready(Ok(())),
                bytes => sieve.sift(bytes),
            }
        }
        let count = sieve.output.len().min(buffer.remaining());
        buffer.put_slice(&sieve.output[..count]);
        sieve.output.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Sieve<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncReadExt;

    use super::*;

    fn publish(qos: u8, topic: &str, payload: &[u8]) -> Vec<u8> {
        let mut body = (topic.len() as u16).to_be_bytes().to_vec();
        body.extend_from_slice(topic.as_bytes());
        if qos > 0 {
            body.extend_from_slice(&[0x12, 0x34]);
        }
        body.extend_from_slice(payload);
        let mut packet = vec![PUBLISH << 4 | qos << 1 | 1];
        put_length(&mut packet, body.len());
        packet.extend(body);
        packet
    }

    /// What comes through if the bytes arrive in pieces of this size.
    fn sifted(bytes: &[u8], piece: usize) -> Vec<u8> {
        let mut sieve = Sieve::new(());
        bytes.chunks(piece).for_each(|piece| sieve.sift(piece));
        assert!(sieve.head.len() < 0x1_0000 + 16);
        sieve.output
    }

    #[test]
    fn only_the_payload_of_a_large_message_is_taken_out() {
        let large = vec![b'x'; 300_000];
        let fits = vec![b'x'; MAX_PACKET - 5];
        let (ping, before) = ([0xd0, 0], publish(1, "a/b", b"{}"));
        let after = publish(0, "abc", &fits);
        for qos in [0, 1, 2] {
            let packets = [
                &before,
                &publish(qos, "dimmer/a/led/set", &large),
                &ping[..],
                &after,
            ];
            let short = publish(qos, "dimmer/a/led/set", TAKEN_OUT);
            let expected = [&before, &short, &ping[..], &after].concat();
            for piece in [1, 2, 3, 4096, 1_000_000] {
                assert_eq!(sifted(&packets.concat(), piece), expected);
            }
        }
        let longest = "x".repeat(0xffff);
        let expected = publish(1, &longest, TAKEN_OUT);
        assert_eq!(sifted(&publish(1, &longest, b""), 100), expected);
    }

    #[test]
    fn what_is_not_mqtt_comes_through() {
        for bytes in [
            &[0xff; 64][..],
            // A topic that is longer than its packet.
            &[0x30, 0xff, 0xff, 0x01, 0xff, 0xff, 1, 2, 3],
        ] {
            assert_eq!(sifted(bytes, 1), bytes);
        }
    }

    #[tokio::test]
    async fn a_stream_is_read_to_its_end() {
        let packet = publish(1, "dimmer/a/led/set", &[0; 100_000]);
        let mut read = Vec::new();
        let mut sieve = Sieve::new(&packet[..]);
        sieve.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, publish(1, "dimmer/a/led/set", TAKEN_OUT));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, piece in 1..9_usize) {
            sifted(&bytes, piece);
        }
    }
}
