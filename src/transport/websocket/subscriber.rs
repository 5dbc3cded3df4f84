//! The subscriber's half: a WebSocket held open, from an address that has ports to spare.

use super::handshake;
use super::messages::small;
use crate::transport::fault::Fault;
use crate::transport::io::{Stamped, Stamps};
use crate::transport::subscriber::{Call, Subscriber, source, stream};
use std::rc::Rc;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// A subscriber with its open connection.
pub struct Socket {
    call: Rc<Call>,
    number: usize,
    socket: WebSocketStream<Stamped>,
    stamps: Rc<Stamps>,
}

impl Subscriber for Socket {
    type Common = ();

    async fn prepare(_: &Rc<Call>) -> Result<(), Fault> {
        Ok(())
    }

    async fn subscribe(call: &Rc<Call>, (): &(), number: usize) -> Result<Self, Fault> {
        let (from, to) = (source(number).into(), call.subscribe.socket);
        let io = Stamped::connect_from(from, to, call.max_segment, &call.ledger).await?;
        let stamps = io.stamps();
        let request = handshake::request(&call.subscribe, &call.terms)?;
        stamps.listen();
        let shaken = client_async_with_config(request, io, Some(small())).await;
        let heard = stamps.heard();
        let (socket, _response) = shaken.map_err(|e| handshake::fault(&e, &heard, &call.terms))?;
        socket.get_ref().set_up();
        Ok(Socket { call: call.clone(), number, socket, stamps })
    }

    async fn receive(self) -> Result<(), Fault> {
        stream::receive(self.socket, self.call, self.number, self.stamps).await
    }
}
