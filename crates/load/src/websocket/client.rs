//! The sender's half: many unanswered events on one connection; what is ready is written together
//! and flushed once.

use crate::client::Client;
use crate::dial::Dial;
use crate::feed::Feed;
use crate::io::{Stamped, Stamps};
use crate::ledger::Ledger;
use crate::pipeline;
use crate::websocket::socket::Socket;
use pushbench_wire::fault::Fault;
use pushbench_wire::websocket::handshake;
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
