//! Messages both ways on a connection that frames them, seen from either end.

use bytes::Bytes;
use std::io;
use std::task::{Context, Poll};

/// A connection that frames messages.
pub trait Messages {
    /// Hands every message that has come to `each`; ready when the connection has ended.
    fn poll_messages(
        &mut self,
        cx: &mut Context<'_>,
        each: impl FnMut(&[u8]),
    ) -> Poll<io::Result<()>>;

    /// Queues a message.
    fn queue(&mut self, message: Bytes) -> io::Result<()>;

    /// Writes what is queued.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Queues a ping, which the other end answers by itself; false where the protocol has none.
    fn ping(&mut self) -> io::Result<bool>;

    /// Tells the other end that nothing more will be written, after what is queued.
    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}
