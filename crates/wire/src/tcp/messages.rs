//! Messages both ways, at either end.

use crate::messages::{Messages, Received};
use crate::tcp::codec::Framed;
use bytes::Bytes;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite};

impl<S: AsyncRead + AsyncWrite + Unpin> Messages for Framed<S> {
    fn poll_messages(
        &mut self,
        cx: &mut Context<'_>,
        mut each: impl FnMut(Received<'_>),
    ) -> Poll<io::Result<()>> {
        while let Some(message) = ready!(self.poll_message(cx))? {
            each(Received::Message(message));
        }
        Poll::Ready(Ok(()))
    }

    fn queue(&mut self, message: Bytes) -> io::Result<()> {
        self.queue_with(|out| out.extend_from_slice(&message));
        Ok(())
    }

    const PINGS: bool = false;

    fn queue_ping(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_written(cx)
    }

    fn queue_close(&mut self, _: u16) -> io::Result<()> {
        Ok(())
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_written(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
