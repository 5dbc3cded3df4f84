//! Buffers that the connections of a thread lend each other: bytes are read into and written from memory
//! that is a connection's own only while something is left over, so that an idle one holds nothing.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Size of a read.
const READ_BYTES: usize = 64 * 1024;
/// A larger buffer is not kept for the next connection.
const KEPT_BYTES: usize = 1024 * 1024;
/// What a connection keeps for what it could not understand yet, once it has understood it.
const OWN_BYTES: usize = 1024;

thread_local! {
    static READ: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static WRITTEN: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Bytes that have come and were not understood yet, which mostly are none.
#[derive(Debug, Default)]
pub struct Unread(Vec<u8>);

impl Unread {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Adds bytes that came another way.
    pub fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Hands the bytes to `look`, which returns how many of them it has used.
    pub fn look<T>(&mut self, look: impl FnOnce(&[u8]) -> (usize, T)) -> T {
        let (used, out) = look(&self.0);
        self.0.drain(..used);
        if self.0.is_empty() && self.0.capacity() > OWN_BYTES {
            self.0 = Vec::new();
        }
        out
    }

    /// Reads once and hands all that was not understood yet to `look`; `None` when the peer has closed.
    pub fn poll_read<T>(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
        look: impl FnOnce(&[u8]) -> (usize, T),
    ) -> Poll<io::Result<Option<T>>> {
        let mut space = READ.take();
        if space.is_empty() {
            space.resize(READ_BYTES, 0);
        }
        let mut buf = ReadBuf::new(&mut space);
        let read = Pin::new(io).poll_read(cx, &mut buf).map_ok(|()| match buf.filled() {
            [] => None,
            // The usual case: what has come is understood where it lies.
            came if self.0.is_empty() => {
                let (used, out) = look(came);
                self.0.extend_from_slice(&came[used..]);
                Some(out)
            }
            came => {
                self.0.extend_from_slice(came);
                Some(self.look(look))
            }
        });
        READ.set(space);
        read
    }
}

/// Bytes on their way out.
#[derive(Debug, Default)]
pub struct Unwritten {
    bytes: Vec<u8>,
    written: usize,
}

impl Unwritten {
    /// Nothing is left to write.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// How many bytes are left to write.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// Where further bytes are appended.
    pub fn room(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = WRITTEN.take();
        }
        &mut self.bytes
    }

    /// Writes them, through every layer down to the socket.
    pub fn poll_written(
        &mut self,
        io: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.written < self.bytes.len() {
            let n = ready!(Pin::new(&mut *io).poll_write(cx, &self.bytes[self.written..]))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += n;
        }
        // Below a layer that encrypts, bytes that were taken may still wait for the socket.
        ready!(Pin::new(io).poll_flush(cx))?;
        self.written = 0;
        let mut bytes = std::mem::take(&mut self.bytes);
        if (1..=KEPT_BYTES).contains(&bytes.capacity()) {
            bytes.clear();
            WRITTEN.set(bytes);
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;
    use tokio::io::AsyncWriteExt as _;

    fn context() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    #[test]
    fn what_is_not_understood_is_kept_and_shown_again() {
        let (mut near, mut far) = tokio::io::duplex(64);
        let (mut unread, mut cx) = (Unread::default(), context());
        let mut read = |unread: &mut Unread, used| {
            unread.poll_read(&mut near, &mut cx, |bytes| (used, bytes.to_vec()))
        };
        let write = |far: &mut tokio::io::DuplexStream, bytes: &'static [u8]| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(far.write_all(bytes)).unwrap();
        };
        assert!(read(&mut unread, 0).is_pending());
        for (came, used, shown, left) in [
            (&b"abc"[..], 2, &b"abc"[..], &b"c"[..]),
            (b"de", 0, b"cde", b"cde"),
            (b"f", 4, b"cdef", b""),
        ] {
            write(&mut far, came);
            let Poll::Ready(Ok(Some(read_bytes))) = read(&mut unread, used) else {
                panic!("{came:?}")
            };
            assert_eq!((&read_bytes[..], unread.bytes()), (shown, left));
        }
        drop(far);
        assert!(matches!(read(&mut unread, 0), Poll::Ready(Ok(None))));
    }

    #[test]
    fn a_connection_that_waits_for_its_peer_keeps_its_bytes() {
        let (mut near, far) = tokio::io::duplex(4);
        let (mut slow, mut quick, mut cx) = (Unwritten::default(), Unwritten::default(), context());
        slow.room().extend_from_slice(b"123456");
        assert!(slow.poll_written(&mut near, &mut cx).is_pending());
        let (mut other, _far) = tokio::io::duplex(4);
        quick.room().extend_from_slice(b"x");
        assert!(quick.poll_written(&mut other, &mut cx).is_ready());
        assert_eq!((slow.len(), quick.is_empty()), (2, true));
        drop(far);
        assert!(matches!(slow.poll_written(&mut near, &mut cx), Poll::Ready(Err(_))));
    }
}
