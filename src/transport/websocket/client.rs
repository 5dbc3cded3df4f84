//! The sender's half: many unanswered events on one connection; what is ready is written together
//! and flushed once.

use super::greeting::Greeting;
use super::socket::Socket;
use super::{config, handshake};
use crate::record::ledger::Ledger;
use crate::transport::Client;
use crate::transport::dial::Dial;
use crate::transport::fault::Fault;
use crate::transport::feed::Feed;
use crate::transport::io::{Stamped, Stamps};
use crate::transport::pipeline;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

/// An open WebSocket.
pub struct Websocket {
    dial: Dial,
    socket: Socket,
    stamps: Rc<Stamps>,
}

impl Client for Websocket {
    async fn open(dial: &Dial) -> Result<Self, Fault> {
        let io = Stamped::connect(dial.address.socket, dial.max_segment, &dial.ledger).await?;
        let stamps = io.stamps();
        let request = handshake::request(&dial.address, &dial.terms)?;
        stamps.listen();
        let greeting = Greeting { io, came: Vec::new() };
        let shaken =
            tokio_tungstenite::client_async_with_config(request, greeting, Some(config())).await;
        let heard = stamps.heard();
        let (shaken, _response) = shaken.map_err(|e| handshake::fault(&e, &heard, &dial.terms))?;
        let Greeting { io, came } = shaken.into_inner();
        if dial.warm {
            io.set_up();
        }
        Ok(Websocket { dial: dial.clone(), socket: Socket::new(io, &came), stamps })
    }

    async fn carry(mut self, feed: Feed, _ledger: Rc<Ledger>) -> Result<(), Fault> {
        pipeline::carry(&mut self.socket, &self.dial, self.stamps, &feed).await?;
        let mut socket = Some(self.socket);
        poll_fn(|cx| Poll::Ready(socket.take().map(|socket| socket.part(cx)))).await;
        Ok(())
    }
}
