//! One subscriber as its connection sees it.

use crate::publisher::hub::Hub;
use crate::publisher::outbox::Outbox;
use crate::publisher::tally::DeliveryOutcome;
use serde_json::Value;
use std::ops::Deref;
use std::sync::Arc;
use std::task::Context;

/// A subscription; dropping it ends it, and what it has not delivered is lost, or left to the log.
pub struct Subscription {
    hub: Arc<Hub>,
    number: u64,
    outbox: Arc<Outbox>,
    /// Under a guarantee, what its subscriber is told first over a connection: how it resumed.
    pub(crate) first: Option<Value>,
}

impl Subscription {
    /// Of that number; the hub has it on its register.
    pub(super) fn new(hub: &Arc<Hub>, number: u64, outbox: Arc<Outbox>) -> Subscription {
        Subscription { hub: hub.clone(), number, outbox, first: None }
    }

    /// The written event of that id has its outcome. False when none of that id was open.
    pub fn settle(&self, id: &str, outcome: DeliveryOutcome) -> bool {
        let event = self.hub.settle_one(&self.outbox, id, outcome);
        if let Some(event) = event.as_ref().filter(|_| self.outbox.url().is_some()) {
            self.hub.note_settled(self.number, event);
        }
        event.is_some()
    }

    /// Whether it was ended under a guarantee; if not, the task is woken when it is.
    pub(super) fn ended_under_guarantee(&self, cx: &Context<'_>) -> bool {
        self.hub.options.resumes() && self.outbox.poll_ended(cx)
    }

    /// A ping was queued.
    pub fn pinged(&self) {
        self.hub.pinged();
    }

    /// One was answered.
    pub(crate) fn ponged(&self) {
        self.hub.ponged();
    }

    /// Whose subscription it is.
    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Its number, from 0.
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl Deref for Subscription {
    type Target = Outbox;
    fn deref(&self) -> &Outbox {
        &self.outbox
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.hub.end(self.number);
        if self.outbox.url().is_some() {
            self.hub.note_end(self.number);
        }
    }
}
