//! The sender's half: many unanswered events on one connection; what is ready is written together
//! and flushed once.

use super::config;
use crate::record::ledger::Ledger;
use crate::transport::Client;
use crate::transport::dial::Dial;
use crate::transport::event::Template;
use crate::transport::fault::Fault;
use crate::transport::feed::Feed;
use crate::transport::io::{Stamped, Stamps};
use crate::transport::pipeline::{self, Pipe};
use futures_util::{Sink, Stream as _};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error as WsError, Message, Utf8Bytes};

/// An open WebSocket.
pub struct Websocket {
    dial: Dial,
    socket: WebSocketStream<Stamped>,
    stamps: Rc<Stamps>,
}

impl Client for Websocket {
    async fn open(dial: &Dial) -> Result<Self, Fault> {
        let io = Stamped::connect(dial.address.socket, dial.max_segment, &dial.ledger).await?;
        let stamps = io.stamps();
        let url = format!("ws://{}{}", dial.address.authority, dial.address.path);
        let shaken = tokio_tungstenite::client_async_with_config(url, io, Some(config())).await;
        let (socket, _response) = shaken.map_err(Fault::refused)?;
        if dial.warm {
            socket.get_ref().set_up();
        }
        Ok(Websocket { dial: dial.clone(), socket, stamps })
    }

    async fn carry(mut self, feed: Feed, _ledger: Rc<Ledger>) -> Result<(), Fault> {
        let result = pipeline::carry(&mut self.socket, &self.dial, self.stamps, &feed).await;
        if result.is_ok() {
            self.socket.get_ref().account();
            // A polite end: the close frame goes out if the socket takes it at once.
            let close = poll_fn(|cx| Poll::Ready(Pin::new(&mut self.socket).poll_close(cx)));
            let _not_measured = close.await;
        }
        result
    }
}

impl Pipe for WebSocketStream<Stamped> {
    fn poll_answers(
        &mut self,
        cx: &mut Context<'_>,
        mut answer: impl FnMut(&[u8]),
    ) -> Poll<Result<(), Fault>> {
        while let Some(message) = ready!(Pin::new(&mut *self).poll_next(cx)) {
            match message.map_err(fault)? {
                Message::Text(text) => answer(text.as_bytes()),
                Message::Binary(bytes) => answer(&bytes),
                // What would be sent now is not read any more: the connection has ended.
                Message::Close(_) => return Poll::Ready(Ok(())),
                // tungstenite answers pings itself.
                _ => {}
            }
        }
        Poll::Ready(Ok(()))
    }

    fn write(&mut self, template: &Template, index: u64) -> Result<(), Fault> {
        let text = Utf8Bytes::try_from(template.render(index)).map_err(Fault::protocol)?;
        match Pin::new(self).start_send(Message::Text(text)) {
            // A full socket is no fault: the rest is written when it drains.
            Err(WsError::Io(e)) if e.kind() == std::io::ErrorKind::WouldBlock => Ok(()),
            other => other.map_err(fault),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Sink::poll_flush(Pin::new(self), cx).map_err(fault)
    }
}

fn fault(e: WsError) -> Fault {
    match e {
        WsError::ConnectionClosed | WsError::AlreadyClosed | WsError::Io(_) => Fault::closed(e),
        e => Fault::protocol(e),
    }
}
