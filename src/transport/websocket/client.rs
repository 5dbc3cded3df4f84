//! The sender's half: many unanswered events on one connection; what is ready is written together
//! and flushed once.

use super::handshake;
use super::socket::Socket;
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
        let mut io = Stamped::connect(dial.address.socket, dial.max_segment, &dial.ledger).await?;
        let stamps = io.stamps();
        let request = handshake::request(&dial.address, &dial.terms)?;
        let came = handshake::shake(&mut io, &request, &dial.terms).await?;
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
