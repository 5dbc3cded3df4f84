//! The subscriber's half: asks again as soon as it has its answer.

use crate::transport::fault::Fault;
use crate::transport::subscriber::asking::Asking;
use crate::transport::subscriber::{Call, Subscriber};
use std::rc::Rc;

/// A subscriber with its connection, on which a request is always held.
pub struct Held(Asking);

impl Subscriber for Held {
    type Common = ();

    async fn prepare(_: &Rc<Call>) -> Result<(), Fault> {
        Ok(())
    }

    async fn subscribe(call: &Rc<Call>, (): &(), number: usize) -> Result<Self, Fault> {
        Ok(Held(Asking::subscribe(call, number).await?))
    }

    async fn receive(self) -> Result<(), Fault> {
        let Held(mut asking) = self;
        loop {
            asking.once().await?;
        }
    }
}
