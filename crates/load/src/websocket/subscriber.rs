//! The subscriber's half: a WebSocket held open, from an address that has ports to spare.

use crate::io::Stamped;
use crate::subscriber::stream::Inbox;
use crate::subscriber::{SubscribeConfig, Subscriber};
use pushbench_wire::fault::Fault;
use pushbench_wire::stream::Stream;
use pushbench_wire::websocket::handshake;
use pushbench_wire::websocket::messages::small;
use std::rc::Rc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

/// A subscriber with its open connection.
pub struct WebsocketSubscriber(Inbox<WebSocketStream<Stream<Stamped>>>);

impl Subscriber for WebsocketSubscriber {
    type Common = ();

    async fn prepare(_: &Rc<SubscribeConfig>) -> Result<(), Fault> {
        Ok(())
    }

    async fn subscribe(
        subscribe_config: &Rc<SubscribeConfig>,
        (): &(),
        number: usize,
    ) -> Result<Self, Fault> {
        let mut io = Stamped::subscribe(subscribe_config, number).await?;
        let stamps = io.socket().stamps();
        let request = handshake::request(
            &subscribe_config.wanting(number),
            &subscribe_config.request_options,
        )?;
        let came = handshake::shake(&mut io, &request, &subscribe_config.request_options).await?;
        io.socket().set_up();
        let config = Some(small());
        let socket = WebSocketStream::from_partially_read(io, came, Role::Client, config).await;
        Ok(WebsocketSubscriber(Inbox::new(socket, subscribe_config.clone(), number, stamps)))
    }

    async fn receive(&mut self) -> Result<(), Fault> {
        self.0.receive().await
    }

    async fn leave(self) -> Result<(), Fault> {
        self.0.leave().await
    }
}
