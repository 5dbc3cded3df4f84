//! A socket whose bytes come piece by piece.

use std::collections::VecDeque;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One piece a read, then the end. What is written to it is kept.
#[derive(Default)]
pub struct Socket<'a> {
    pieces: VecDeque<&'a [u8]>,
    /// What was written.
    pub written: Vec<u8>,
}

impl<'a> Socket<'a> {
    /// Of these pieces.
    pub fn new(pieces: impl Iterator<Item = &'a [u8]>) -> Socket<'a> {
        Socket { pieces: pieces.filter(|piece| !piece.is_empty()).collect(), written: Vec::new() }
    }
}

impl AsyncRead for Socket<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let pieces = &mut self.get_mut().pieces;
        if let Some(piece) = pieces.pop_front() {
            let (now, later) = piece.split_at(piece.len().min(buf.remaining()));
            buf.put_slice(now);
            if !later.is_empty() {
                pieces.push_front(later);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().written.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What a future comes to on such sockets, which never keep it waiting. It may yield now and then.
pub fn polled<T>(future: impl Future<Output = T>) -> T {
    const OFTEN: usize = 10_000;
    let (mut future, mut cx) = (pin!(future), Context::from_waker(Waker::noop()));
    for _ in 0..OFTEN {
        if let Poll::Ready(done) = future.as_mut().poll(&mut cx) {
            return done;
        }
    }
    panic!("it waits although everything has come");
}
