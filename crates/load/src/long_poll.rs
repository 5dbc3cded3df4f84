//! Long polling: the subscriber asks again as soon as it has its answer, and that request acknowledges what came.

use crate::subscriber::asking::{Asking, Seat};
use crate::subscriber::ongoing::Ongoing;
use crate::subscriber::{SubscribeConfig, Subscriber};
use pushbench_wire::fault::Fault;
use std::rc::Rc;

/// A subscriber with its connection, on which a request is always held.
pub struct Held {
    seat: Rc<Seat>,
    asking: Ongoing,
}

impl Subscriber for Held {
    type Common = ();

    async fn prepare(_: &Rc<SubscribeConfig>) -> Result<(), Fault> {
        Ok(())
    }

    async fn subscribe(
        subscribe_config: &Rc<SubscribeConfig>,
        (): &(),
        number: usize,
    ) -> Result<Self, Fault> {
        let mut asking = Asking::subscribe(subscribe_config, number).await?;
        let seat = asking.seat();
        let asking = Ongoing::new(async move {
            loop {
                asking.once().await?;
            }
        });
        Ok(Held { seat, asking })
    }

    async fn receive(&mut self) -> Result<(), Fault> {
        self.asking.receive().await
    }

    async fn leave(mut self) -> Result<(), Fault> {
        self.asking.finish(|| self.seat.is_through()).await;
        self.seat.leave().await
    }
}
