//! Text messages both ways on an open WebSocket, at either end.

use crate::messages::{Messages, Received};
use bytes::Bytes;
use futures_util::{Sink, Stream as _};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as WsError, Message, Utf8Bytes};

/// A subscriber's connection is mostly idle, there are thousands, and each end reads little at once:
/// an acknowledgement here, an event there. Larger messages make the buffer grow.
const BUFFER_BYTES: usize = 1024;

/// Bytes of ready messages that are written together; the buffer is as long as what was ever in it.
const WRITTEN_TOGETHER: usize = 8 * 1024;

/// The buffers of subscribers' connections, the same at both ends.
pub fn small() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(BUFFER_BYTES).write_buffer_size(WRITTEN_TOGETHER)
}

impl<S: AsyncRead + AsyncWrite + Unpin> Messages for WebSocketStream<S> {
    fn poll_messages(
        &mut self,
        cx: &mut Context<'_>,
        mut each: impl FnMut(Received<'_>),
    ) -> Poll<io::Result<()>> {
        while let Some(message) = ready!(Pin::new(&mut *self).poll_next(cx)) {
            match message.map_err(error)? {
                Message::Text(text) => each(Received::Message(text.as_bytes())),
                Message::Binary(bytes) => each(Received::Message(&bytes)),
                Message::Close(_) => return Poll::Ready(Ok(())),
                // tungstenite answers it with the next read.
                Message::Ping(_) => each(Received::Ping),
                Message::Pong(_) => each(Received::Pong),
                Message::Frame(_) => {}
            }
        }
        Poll::Ready(Ok(()))
    }

    fn queue(&mut self, message: Bytes) -> io::Result<()> {
        // An event is text already: as a whole frame it is not checked again for each subscriber.
        queued(self, Message::Frame(Frame::message(message, OpCode::Data(Data::Text), true)))
    }

    const PINGS: bool = true;

    fn queue_ping(&mut self) -> io::Result<()> {
        queued(self, Message::Ping(Bytes::new()))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Sink::poll_flush(Pin::new(self), cx).map_err(error)
    }

    fn queue_close(&mut self, code: u16) -> io::Result<()> {
        let frame = CloseFrame { code: code.into(), reason: Utf8Bytes::default() };
        queued(self, Message::Close(Some(frame)))
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Sink::poll_close(Pin::new(self), cx).map_err(error)
    }
}

fn queued<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<S>,
    message: Message,
) -> io::Result<()> {
    match Pin::new(socket).start_send(message) {
        // A full socket is no fault: the rest is written when it drains.
        Err(WsError::Io(e)) if e.kind() == io::ErrorKind::WouldBlock => Ok(()),
        other => other.map_err(error),
    }
}

fn error(e: WsError) -> io::Error {
    match e {
        WsError::Io(e) => e,
        WsError::ConnectionClosed
        | WsError::AlreadyClosed
        | WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            io::ErrorKind::ConnectionReset.into()
        }
        e => io::Error::new(io::ErrorKind::InvalidData, e),
    }
}
