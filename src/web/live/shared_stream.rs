//! A byte stream shared by several writers; one write is never interleaved with another.
//!
//! hyper and tungstenite read from it and write to it as to any other stream. Beside them, the fan-out
//! writes updates to all clients in one loop, without waking a task for each; see [`super::fanout`].

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most bytes that one write through [`AsyncWrite`] accepts, and so keeps while the other end does
/// not read.
pub const MAX_WRITE: usize = 16 * 1024;

/// A byte stream; its clones are the same stream.
#[derive(Clone)]
pub struct SharedStream(Arc<Mutex<Inner<dyn ReadWrite>>>);

struct Inner<S: ?Sized> {
    /// Accepted, but not written yet: the remainder of a frame, before which no other frame may begin.
    unsent: Vec<u8>,
    /// Whether a flush has begun and not completed. Not the same as `unsent`: TLS has a buffer of its own.
    flushing: bool,
    io: S,
}

trait ReadWrite: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ReadWrite for S {}

impl SharedStream {
    /// Shares this stream, which nobody else may write to.
    pub fn new(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> SharedStream {
        SharedStream(Arc::new(Mutex::new(Inner {
            unsent: Vec::new(),
            flushing: false,
            io,
        })))
    }

    /// Accepts all these bytes, and returns whether they have been written and flushed. If not, the
    /// caller has to call [`flush`](SharedStream::flush): nobody else will write them.
    pub fn send(&self, bytes: &[u8]) -> bool {
        let mut inner = self.inner();
        // Only the task that last polled for writing is woken, and that has to stay the one that flushes.
        if inner.flushing || !inner.unsent.is_empty() {
            inner.unsent.extend(bytes);
            return false;
        }
        let mut nobody = Context::from_waker(Waker::noop());
        inner.accept(&mut nobody, bytes);
        matches!(inner.poll_flush(&mut nobody), Poll::Ready(Ok(())))
    }

    /// Writes and flushes what has been accepted.
    ///
    /// # Errors
    /// The other end is gone.
    pub async fn flush(&self) -> io::Result<()> {
        std::future::poll_fn(|context| self.inner().poll_flush(context)).await
    }

    fn inner(&self) -> MutexGuard<'_, Inner<dyn ReadWrite>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner<dyn ReadWrite> {
    /// Writes as many of these bytes as the stream takes, and keeps the others. To be called only while
    /// nothing is unsent.
    fn accept(&mut self, context: &mut Context<'_>, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let written = match Pin::new(&mut self.io).poll_write(context, bytes) {
            Poll::Ready(Ok(written)) => written,
            // An error will occur again when the unsent bytes are written.
            Poll::Ready(Err(_)) | Poll::Pending => 0,
        };
        self.unsent.extend(&bytes[written..]);
    }

    fn poll_unsent(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(context, &self.unsent))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unsent.drain(..written);
        }
        // Frees the memory.
        self.unsent = Vec::new();
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flushing = true;
        ready!(self.poll_unsent(context))?;
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
        Pin::new(&mut self.inner().io).poll_read(context, buffer)
    }
}

impl AsyncWrite for SharedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let bytes = &bytes[..bytes.len().min(MAX_WRITE)];
        let mut inner = self.inner();
        ready!(inner.poll_unsent(context))?;
        inner.accept(context, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.inner();
        ready!(inner.poll_unsent(context))?;
        Pin::new(&mut inner.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter, duplex};
    use tokio::time::{sleep, timeout};

    use super::*;

    #[tokio::test]
    async fn two_writers_to_a_slow_reader_are_never_interleaved_and_keep_their_order() {
        let (ours, mut theirs) = duplex(5);
        let stream = SharedStream::new(ours);
        let mut other = stream.clone();
        assert!(stream.send(b"one "));
        assert!(!stream.send(b"two "), "one byte of it has been written");
        assert!(!stream.send(b"three "));
        // There is room again before anybody has written what is unsent.
        let mut begin = [0; 5];
        theirs.read_exact(&mut begin).await.unwrap();
        let both = async {
            other.write_all(b"four ").await.unwrap();
            assert!(!stream.send(b"five "), "bytes are unsent again");
            stream.flush().await.unwrap();
            assert!(!stream.send(b"to the end"));
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
    async fn bytes_sent_before_another_writer_has_flushed_follow_its_bytes() {
        let (ours, mut theirs) = duplex(5);
        let stream = SharedStream::new(ours);
        stream.clone().write_all(b"one two ").await.unwrap();
        let mut text = [0; 13];
        theirs.read_exact(&mut text[..5]).await.unwrap();
        assert!(!stream.send(b"three"));
        let (flushed, read) = tokio::join!(stream.flush(), theirs.read_exact(&mut text[5..]));
        flushed.and(read).unwrap();
        assert_eq!(&text, b"one two three");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_flushes_is_woken_although_another_sends_meanwhile() {
        let (ours, mut theirs) = duplex(5);
        // It accepts more than it writes, as TLS does.
        let stream = SharedStream::new(BufWriter::new(ours));
        assert!(stream.send(b"zero "));
        let read = timeout(Duration::from_secs(1), theirs.read_exact(&mut [0; 5])).await;
        read.expect("not flushed").unwrap();
        let mut writer = stream.clone();
        let waiting = tokio::spawn(async move {
            writer.write_all(b"one two ").await.unwrap();
            writer.flush().await.unwrap();
        });
        // The paused clock advances once all tasks wait.
        sleep(Duration::from_secs(1)).await;
        assert!(!stream.send(b"three"));
        let mut text = [0; 13];
        let read = timeout(Duration::from_secs(1), theirs.read_exact(&mut text)).await;
        read.expect("the task is not woken").unwrap();
        assert_eq!(&text, b"one two three");
        waiting.await.unwrap();
    }

    #[tokio::test]
    async fn the_size_of_a_write_is_bounded() {
        let (ours, _theirs) = duplex(5);
        let mut stream = SharedStream::new(ours);
        assert_eq!(stream.write(&[0; 1 << 20]).await.unwrap(), MAX_WRITE);
    }

    #[tokio::test]
    async fn a_flush_fails_when_the_other_end_is_gone() {
        let (ours, theirs) = duplex(5);
        let stream = SharedStream::new(ours);
        drop(theirs);
        assert!(!stream.send(b"one"));
        assert!(stream.flush().await.is_err());
    }
}
