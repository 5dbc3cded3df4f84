//! The subscriber's half: a WebSocket held open, from an address that has ports to spare.

use super::handshake;
use super::messages::small;
use crate::transport::fault::Fault;
use crate::transport::io::Stamped;
use crate::transport::subscriber::stream::Inbox;
use crate::transport::subscriber::{Call, Subscriber, source};
use std::rc::Rc;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// A subscriber with its open connection.
pub struct Socket(Inbox<WebSocketStream<Stamped>>);

impl Subscriber for Socket {
    type Common = ();

    async fn prepare(_: &Rc<Call>) -> Result<(), Fault> {
        Ok(())
    }

    async fn subscribe(call: &Rc<Call>, (): &(), number: usize) -> Result<Self, Fault> {
        let (from, to) = (source(number).into(), call.subscribe.socket);
        let io = Stamped::connect_from(from, to, call.max_segment, &call.ledger).await?;
        let stamps = io.stamps();
        let request = handshake::request(&call.wanting(number), &call.terms)?;
        stamps.listen();
        let shaken = client_async_with_config(request, io, Some(small())).await;
        let heard = stamps.heard();
        let (socket, _response) = shaken.map_err(|e| handshake::fault(&e, &heard, &call.terms))?;
        socket.get_ref().set_up();
        Ok(Socket(Inbox::new(socket, call.clone(), number, stamps)))
    }

    async fn receive(&mut self) -> Result<(), Fault> {
        self.0.receive().await
    }

    async fn leave(self) -> Result<(), Fault> {
        self.0.leave().await
    }
}
