//! Messages with their length before them, four bytes in network order, in reused buffers.

use crate::request_options::RequestOptions;
use crate::response_diagnostics;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Longest message taken from a peer; a longer length means that the peer uses another protocol.
const LONGEST: usize = 64 << 20;
/// Size of a read.
const READ_BYTES: usize = 8 * 1024;

/// A stream with its buffers.
pub struct Framed<S> {
    /// The stream.
    pub stream: S,
    read: Vec<u8>,
    taken: usize,
    write: Vec<u8>,
    written: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Framed<S> {
    /// Over a connected stream.
    pub fn new(stream: S) -> Self {
        Framed { stream, read: Vec::new(), taken: 0, write: Vec::new(), written: 0 }
    }

    /// The next message; `None` at an orderly end between messages.
    pub fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<&[u8]>>> {
        let range = loop {
            if let Some(range) = self.buffered()? {
                break range;
            }
            self.read.drain(..self.taken);
            self.taken = 0;
            if ready!(self.fill(cx))? == 0 {
                return Poll::Ready(match self.read.is_empty() {
                    true => Ok(None),
                    false => Err(io::ErrorKind::UnexpectedEof.into()),
                });
            }
        };
        self.taken = range.end;
        Poll::Ready(Ok(Some(&self.read[range])))
    }

    fn buffered(&self) -> io::Result<Option<std::ops::Range<usize>>> {
        let unread = &self.read[self.taken..];
        let Some((length, rest)) = unread.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length) as usize;
        if length > LONGEST {
            let instead = response_diagnostics::instead(unread, &RequestOptions::default());
            let message = format!("a message of {length} bytes was announced{instead}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let start = self.taken + 4;
        Ok((rest.len() >= length).then_some(start..start + length))
    }

    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [const { std::mem::MaybeUninit::uninit() }; READ_BYTES];
        let mut buf = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf))?;
        self.read.extend_from_slice(buf.filled());
        Poll::Ready(Ok(buf.filled().len()))
    }

    /// Queues a message whose bytes `fill` appends.
    pub fn queue_with(&mut self, fill: impl FnOnce(&mut Vec<u8>)) {
        let head = self.write.len();
        self.write.extend_from_slice(&[0; 4]);
        fill(&mut self.write);
        let length = (self.write.len() - head - 4) as u32;
        self.write[head..head + 4].copy_from_slice(&length.to_be_bytes());
    }

    /// Bytes that are queued.
    pub fn left_to_write(&self) -> usize {
        self.write.len() - self.written
    }

    /// Writes what is queued.
    pub fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.write.len() {
            let rest = &self.write[self.written..];
            let n = ready!(Pin::new(&mut self.stream).poll_write(cx, rest))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += n;
        }
        // Below a layer that encrypts, bytes that were taken may still wait for the socket.
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.write.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// Waits until everything queued is written.
    pub async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_written(cx)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;

    fn run<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(work)
    }

    async fn next(f: &mut Framed<tokio::io::DuplexStream>) -> io::Result<Option<Vec<u8>>> {
        poll_fn(|cx| f.poll_message(cx).map_ok(|m| m.map(<[u8]>::to_vec))).await
    }

    #[test]
    fn messages_survive_any_cut() {
        run(async {
            let (a, b) = tokio::io::duplex(7); // every write is cut into bits of seven bytes
            let (mut a, mut b) = (Framed::new(a), Framed::new(b));
            let sent: Vec<Vec<u8>> = [0, 1, 5, 300, 20_000].map(|n| vec![n as u8; n]).into();
            let expected = sent.clone();
            let write = async move {
                for m in &sent {
                    a.queue_with(|out| out.extend_from_slice(m));
                }
                a.flush().await.unwrap();
            };
            let read = async {
                for m in &expected {
                    assert_eq!(next(&mut b).await.unwrap().as_ref(), Some(m));
                }
                assert_eq!(next(&mut b).await.unwrap(), None);
            };
            tokio::join!(write, read);
        });
    }

    #[test]
    fn a_message_cut_short_is_an_error() {
        run(async {
            let (mut a, b) = tokio::io::duplex(64);
            let mut b = Framed::new(b);
            a.write_all(&[0, 0, 0, 9, 1]).await.unwrap();
            drop(a);
            assert!(next(&mut b).await.is_err());
        });
    }

    #[test]
    fn another_protocol_is_told_apart() {
        run(async {
            let (mut a, b) = tokio::io::duplex(64);
            let mut b = Framed::new(b);
            a.write_all(b"HTTP/1.1 400 Bad Request\r\n").await.unwrap();
            assert_eq!(next(&mut b).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        });
    }
}
