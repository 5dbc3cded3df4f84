//! Receiving that goes on where it was left off: a subscriber whose turn to leave has come is asked to
//! receive once more, and a request that is under way must not be forgotten meanwhile.

use pushbench_wire::fault::Fault;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

/// A subscriber's whole work. Boxed once a subscription.
pub struct Ongoing(Pin<Box<dyn Future<Output = Result<(), Fault>>>>);

impl Ongoing {
    /// Nothing is done yet.
    pub fn new(work: impl Future<Output = Result<(), Fault>> + 'static) -> Ongoing {
        Ongoing(Box::pin(work))
    }

    /// Works until the publisher ends the subscription.
    pub async fn receive(&mut self) -> Result<(), Fault> {
        self.0.as_mut().await
    }

    /// Works until nothing is left to be done, as `through` says after each step.
    pub async fn finish(&mut self, through: impl Fn() -> bool) {
        poll_fn(|cx| match self.0.as_mut().poll(cx).is_ready() || through() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }
}
