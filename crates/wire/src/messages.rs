//! Messages both ways on a connection that frames them, seen from either end.

use bytes::Bytes;
use std::io;
use std::task::{Context, Poll};

/// What has come.
pub enum Received<'a> {
    /// A message.
    Message(&'a [u8]),
    /// A ping; the transport answers it.
    Ping,
    /// The answer to a ping.
    Pong,
}

/// A connection that frames messages.
pub trait Messages {
    /// Hands everything that has come to `each`; ready when the connection has ended.
    fn poll_messages(
        &mut self,
        cx: &mut Context<'_>,
        each: impl FnMut(Received<'_>),
    ) -> Poll<io::Result<()>>;

    /// Queues a message.
    fn queue(&mut self, message: Bytes) -> io::Result<()>;

    /// Whether the transport has pings.
    const PINGS: bool;

    /// Queues a ping; nothing where there are none.
    fn queue_ping(&mut self) -> io::Result<()>;

    /// Writes what is queued.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Queues the end of the connection with this status code; nothing where there are none.
    fn queue_close(&mut self, code: u16) -> io::Result<()>;

    /// Tells the other end that nothing more will be written, after what is queued.
    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}
