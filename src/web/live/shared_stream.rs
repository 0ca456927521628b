//! A connection to which several may write, each what belongs together in one piece.
//!
//! hyper and tungstenite read from it and write to it as to any other. Beside them, the news of the
//! lights are written to all pages in one go, without waking a task for each; see [`super::fanout`].

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes taken at once, and so kept at most while the other end does not read.
pub const MAX_WRITE: usize = 16 * 1024;

/// A connection; its clones are the same one.
#[derive(Clone)]
pub struct SharedStream(Arc<Mutex<State<dyn Stream>>>);

struct State<S: ?Sized> {
    /// What was taken, but has not left yet: the rest of a frame, before which no other may begin.
    rest: Vec<u8>,
    /// Whether somebody waits for all to leave, or is about to. TLS keeps bytes that are no `rest`.
    flushing: bool,
    io: S,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl SharedStream {
    /// A connection that nobody else writes to.
    pub fn new(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> SharedStream {
        SharedStream(Arc::new(Mutex::new(State {
            rest: Vec::new(),
            flushing: false,
            io,
        })))
    }

    /// Takes all these bytes, and says whether they have left. If not, [`flush`](SharedStream::flush) is to
    /// be called: nobody else will send them.
    pub fn send(&self, bytes: &[u8]) -> bool {
        let mut state = self.state();
        // A connection wakes only who asked last, and that is to stay who waits.
        if state.flushing || !state.rest.is_empty() {
            state.rest.extend(bytes);
            return false;
        }
        let mut nobody = Context::from_waker(Waker::noop());
        state.take(&mut nobody, bytes);
        matches!(state.poll_flush(&mut nobody), Poll::Ready(Ok(())))
    }

    /// Sends what has not left yet.
    ///
    /// # Errors
    /// The other end is gone.
    pub async fn flush(&self) -> io::Result<()> {
        std::future::poll_fn(|context| self.state().poll_flush(context)).await
    }

    fn state(&self) -> MutexGuard<'_, State<dyn Stream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State<dyn Stream> {
    /// Writes what it can of these bytes, and keeps the rest. There must be no other rest.
    fn take(&mut self, context: &mut Context<'_>, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let sent = match Pin::new(&mut self.io).poll_write(context, bytes) {
            Poll::Ready(Ok(sent)) => sent,
            // An error will be there again when the rest is sent.
            Poll::Ready(Err(_)) | Poll::Pending => 0,
        };
        self.rest.extend(&bytes[sent..]);
    }

    fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.rest.is_empty() {
            let sent = ready!(Pin::new(&mut self.io).poll_write(context, &self.rest))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.rest.drain(..sent);
        }
        self.rest = Vec::new();
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flushing = true;
        ready!(self.poll_rest(context))?;
        ready!(Pin::new(&mut self.io).poll_flush(context))?;
        self.flushing = false;
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for SharedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.state().io).poll_read(context, buffer)
    }
}

impl AsyncWrite for SharedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let bytes = &bytes[..bytes.len().min(MAX_WRITE)];
        let mut state = self.state();
        ready!(state.poll_rest(context))?;
        state.take(context, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state().poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state();
        ready!(state.poll_rest(context))?;
        Pin::new(&mut state.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter, duplex};
    use tokio::time::{sleep, timeout};

    use super::*;

    #[tokio::test]
    async fn what_two_write_to_a_slow_reader_comes_in_whole_pieces_and_in_order() {
        let (ours, mut theirs) = duplex(5);
        let line = SharedStream::new(ours);
        let mut other = line.clone();
        assert!(line.send(b"one "));
        assert!(!line.send(b"two "), "a byte of it has left");
        assert!(!line.send(b"three "));
        // There is room again before anybody has sent the rest.
        let mut begin = [0; 5];
        theirs.read_exact(&mut begin).await.unwrap();
        let both = async {
            other.write_all(b"four ").await.unwrap();
            assert!(!line.send(b"five "), "there is a rest again");
            line.flush().await.unwrap();
            assert!(!line.send(b"to the end"));
            other.shutdown().await.unwrap();
        };
        let mut text = String::new();
        let (_, read) = tokio::join!(both, theirs.read_to_string(&mut text));
        read.unwrap();
        assert_eq!(
            (&begin, &*text),
            (b"one t", "wo three four five to the end")
        );
    }

    #[tokio::test]
    async fn what_is_sent_after_what_another_has_not_flushed_comes_after_it() {
        let (ours, mut theirs) = duplex(5);
        let line = SharedStream::new(ours);
        line.clone().write_all(b"one two ").await.unwrap();
        let mut text = [0; 13];
        theirs.read_exact(&mut text[..5]).await.unwrap();
        assert!(!line.send(b"three"));
        let (flushed, read) = tokio::join!(line.flush(), theirs.read_exact(&mut text[5..]));
        flushed.and(read).unwrap();
        assert_eq!(&text, b"one two three");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_woken_although_another_sends_meanwhile() {
        let (ours, mut theirs) = duplex(5);
        // It takes more than leaves, as TLS does.
        let line = SharedStream::new(BufWriter::new(ours));
        assert!(line.send(b"zero "));
        let read = timeout(Duration::from_secs(1), theirs.read_exact(&mut [0; 5])).await;
        read.expect("it was kept").unwrap();
        let mut waits = line.clone();
        let waiting = tokio::spawn(async move {
            waits.write_all(b"one two ").await.unwrap();
            waits.flush().await.unwrap();
        });
        // Time passes once there is nothing to do but to wait.
        sleep(Duration::from_secs(1)).await;
        assert!(!line.send(b"three"));
        let mut text = [0; 13];
        let read = timeout(Duration::from_secs(1), theirs.read_exact(&mut text)).await;
        read.expect("nobody is woken").unwrap();
        assert_eq!(&text, b"one two three");
        waiting.await.unwrap();
    }

    #[tokio::test]
    async fn a_piece_is_bounded() {
        let (ours, _theirs) = duplex(5);
        let mut line = SharedStream::new(ours);
        assert_eq!(line.write(&[0; 1 << 20]).await.unwrap(), MAX_WRITE);
    }

    #[tokio::test]
    async fn an_end_that_is_gone_is_told_to_who_flushes() {
        let (ours, theirs) = duplex(5);
        let line = SharedStream::new(ours);
        drop(theirs);
        assert!(!line.send(b"one"));
        assert!(line.flush().await.is_err());
    }
}
