//! The sender's half: many unanswered events on one connection; what is ready is written together
//! and flushed once.

use super::{config, handshake};
use crate::record::ledger::Ledger;
use crate::transport::Client;
use crate::transport::dial::Dial;
use crate::transport::event::Template;
use crate::transport::fault::Fault;
use crate::transport::feed::Feed;
use crate::transport::io::{Stamped, Stamps};
use crate::transport::pipeline::{self, Pipe};
use bytes::BytesMut;
use futures_util::{Sink, Stream as _};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

/// An open WebSocket.
pub struct Websocket {
    dial: Dial,
    messages: Messages,
    stamps: Rc<Stamps>,
}

/// A socket and the buffer in which its events are made.
struct Messages {
    socket: WebSocketStream<Stamped>,
    /// tungstenite takes an event as shared bytes, copies them masked into its own buffer and drops
    /// them at once, so that this memory is free again for the next event.
    event: BytesMut,
}

impl Client for Websocket {
    async fn open(dial: &Dial) -> Result<Self, Fault> {
        let io = Stamped::connect(dial.address.socket, dial.max_segment, &dial.ledger).await?;
        let stamps = io.stamps();
        let request = handshake::request(&dial.address, &dial.terms)?;
        stamps.listen();
        let shaken = tokio_tungstenite::client_async_with_config(request, io, Some(config())).await;
        let heard = stamps.heard();
        let (socket, _response) = shaken.map_err(|e| handshake::fault(&e, &heard, &dial.terms))?;
        if dial.warm {
            socket.get_ref().set_up();
        }
        let event = BytesMut::with_capacity(dial.template.len());
        Ok(Websocket { dial: dial.clone(), messages: Messages { socket, event }, stamps })
    }

    async fn carry(mut self, feed: Feed, _ledger: Rc<Ledger>) -> Result<(), Fault> {
        let result = pipeline::carry(&mut self.messages, &self.dial, self.stamps, &feed).await;
        if result.is_ok() {
            let mut socket = self.messages.socket;
            socket.get_ref().account();
            // A polite end: the close frame goes out if the socket takes it at once.
            let close = poll_fn(|cx| Poll::Ready(Pin::new(&mut socket).poll_close(cx)));
            let _not_measured = close.await;
        }
        result
    }
}

impl Pipe for Messages {
    fn poll_answers(
        &mut self,
        cx: &mut Context<'_>,
        mut answer: impl FnMut(&[u8]),
    ) -> Poll<Result<(), Fault>> {
        while let Some(message) = ready!(Pin::new(&mut self.socket).poll_next(cx)) {
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
        template.append(index, &mut self.event);
        let event = self.event.split().freeze();
        // A template is text already: as a whole frame it is not checked again for each event.
        let frame = Frame::message(event, OpCode::Data(Data::Text), true);
        match Pin::new(&mut self.socket).start_send(Message::Frame(frame)) {
            // A full socket is no fault: the rest is written when it drains.
            Err(WsError::Io(e)) if e.kind() == std::io::ErrorKind::WouldBlock => Ok(()),
            other => other.map_err(fault),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Sink::poll_flush(Pin::new(&mut self.socket), cx).map_err(fault)
    }
}

fn fault(e: WsError) -> Fault {
    match e {
        WsError::ConnectionClosed | WsError::AlreadyClosed | WsError::Io(_) => Fault::closed(e),
        e => Fault::protocol(e),
    }
}
