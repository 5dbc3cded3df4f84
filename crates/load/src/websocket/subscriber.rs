//! The subscriber's half: a WebSocket held open, from an address that has ports to spare.

use crate::io::Stamped;
use crate::subscriber::stream::Inbox;
use crate::subscriber::{Call, Subscriber, source};
use pushbench_wire::fault::Fault;
use pushbench_wire::websocket::handshake;
use pushbench_wire::websocket::messages::small;
use std::rc::Rc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

/// A subscriber with its open connection.
pub struct Socket(Inbox<WebSocketStream<Stamped>>);

impl Subscriber for Socket {
    type Common = ();

    async fn prepare(_: &Rc<Call>) -> Result<(), Fault> {
        Ok(())
    }

    async fn subscribe(call: &Rc<Call>, (): &(), number: usize) -> Result<Self, Fault> {
        let (from, to) = (source(number).into(), call.subscribe.socket);
        let mut io = Stamped::connect_from(from, to, call.max_segment, &call.ledger).await?;
        let stamps = io.stamps();
        let request = handshake::request(&call.wanting(number), &call.terms)?;
        let came = handshake::shake(&mut io, &request, &call.terms).await?;
        io.set_up();
        let config = Some(small());
        let socket = WebSocketStream::from_partially_read(io, came, Role::Client, config).await;
        Ok(Socket(Inbox::new(socket, call.clone(), number, stamps)))
    }

    async fn receive(&mut self) -> Result<(), Fault> {
        self.0.receive().await
    }

    async fn leave(self) -> Result<(), Fault> {
        self.0.leave().await
    }
}
