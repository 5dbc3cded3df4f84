//! The subscriber's half: a bare socket held open, on which it has said who it is.

use crate::io::Stamped;
use crate::subscriber::stream::Inbox;
use crate::subscriber::{SubscribeConfig, Subscriber};
use pushbench_wire::fault::Fault;
use pushbench_wire::stream::Stream;
use pushbench_wire::tcp::Hello;
use pushbench_wire::tcp::codec::Framed;
use std::future::poll_fn;
use std::rc::Rc;

/// A subscriber with its open connection.
pub struct TcpSubscriber(Inbox<Framed<Stream<Stamped>>>);

impl Subscriber for TcpSubscriber {
    type Common = ();

    async fn prepare(_: &Rc<SubscribeConfig>) -> Result<(), Fault> {
        Ok(())
    }

    async fn subscribe(
        subscribe_config: &Rc<SubscribeConfig>,
        (): &(),
        number: usize,
    ) -> Result<Self, Fault> {
        let io = Stamped::subscribe(subscribe_config, number).await?;
        let stamps = io.socket().stamps();
        let mut framed = Framed::new(io);
        let hello = Hello {
            token: subscribe_config.token.clone(),
            types: subscribe_config.asked.wanted(number),
        };
        let hello = serde_json::to_vec(&hello).map_err(Fault::refused)?;
        framed.queue_with(|out| out.extend_from_slice(&hello));
        framed.flush().await.map_err(Fault::refused)?;
        let welcome = poll_fn(|cx| framed.poll_message(cx).map_ok(|m| m.map(<[u8]>::to_vec)));
        match welcome.await.map_err(Fault::refused)?.as_deref() {
            Some(b"{}") => {}
            Some(other) => return Err(Fault::Refused(String::from_utf8_lossy(other).into_owned())),
            None => return Err(Fault::Refused("closed instead of a welcome".to_owned())),
        }
        framed.stream.socket().set_up();
        Ok(TcpSubscriber(Inbox::new(framed, subscribe_config.clone(), number, stamps)))
    }

    async fn receive(&mut self) -> Result<(), Fault> {
        self.0.receive().await
    }

    async fn leave(self) -> Result<(), Fault> {
        self.0.leave().await
    }
}
