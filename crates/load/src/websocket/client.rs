//! The sender's half: many unanswered events on one connection; what is ready is written together
//! and flushed once.

use crate::client::Client;
use crate::connect_config::ConnectConfig;
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
    connect_config: ConnectConfig,
    socket: Socket,
    stamps: Rc<Stamps>,
}

impl Client for Websocket {
    async fn open(connect_config: &ConnectConfig) -> Result<Self, Fault> {
        let mut io = Stamped::connect(connect_config).await?;
        let stamps = io.socket().stamps();
        let request =
            handshake::request(&connect_config.address.endpoint, &connect_config.request_options)?;
        let came = handshake::shake(&mut io, &request, &connect_config.request_options).await?;
        if connect_config.warm {
            io.socket().set_up();
        }
        Ok(Websocket {
            connect_config: connect_config.clone(),
            socket: Socket::new(io, &came),
            stamps,
        })
    }

    async fn carry(mut self, feed: Feed, _ledger: Rc<Ledger>) -> Result<(), Fault> {
        let ended =
            pipeline::carry(&mut self.socket, &self.connect_config, self.stamps, &feed).await;
        // Also where the peer has closed with events on their way: its close wants an answer (RFC 6455, 5.5.1).
        let mut socket = Some(self.socket);
        poll_fn(|cx| Poll::Ready(socket.take().map(|socket| socket.part(cx)))).await;
        ended
    }
}
