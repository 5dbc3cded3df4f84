//! The subscribers of an arm: all subscribed before the first event, each a task of its own.

use super::tasks::Tasks;
use crate::record::clock;
use crate::transport::Transport;
use crate::transport::dial::Address;
use crate::transport::event::Matched;
use crate::transport::fault::Fault;
use crate::transport::subscriber::{Call, Subscriber};
use crate::transport::terms::Terms;
use crate::transport::{tcp, webhook, websocket};
use std::rc::Rc;

/// Below the accept backlog of any server, so that no SYN is dropped and retried a second later.
const AT_ONCE: usize = 64;

/// What a shard must know of an arm's subscribers.
#[derive(Debug, Clone)]
pub struct SubscribersJob {
    /// How events reach them.
    pub transport: Transport,
    /// Where they subscribe.
    pub address: Address,
    /// How many there are.
    pub count: usize,
    /// They acknowledge.
    pub acknowledged: bool,
    /// The run's token.
    pub token: String,
}

impl SubscribersJob {
    /// What the subscribers are told.
    pub(super) fn call(
        &self,
        terms: &Terms,
        max_segment: Option<u32>,
        ledger: &Rc<crate::record::ledger::Ledger>,
        tasks: &Tasks,
    ) -> Rc<Call> {
        let tasks = tasks.clone();
        Rc::new(Call {
            subscribe: self.address.clone(),
            terms: terms.clone(),
            token: self.token.clone(),
            matched: Matched::ById,
            acknowledged: self.acknowledged,
            max_segment,
            ledger: ledger.clone(),
            spawn: Rc::new(move |work| tasks.spawn(work)),
        })
    }

    /// Subscribes all and starts them; gives how long it took, ns. A transport registers its
    /// subscriber's half here.
    pub(super) async fn start(&self, call: &Rc<Call>, tasks: &Tasks) -> Result<u64, Fault> {
        let begun = clock::now();
        match self.transport {
            Transport::Webhook => self.all::<webhook::subscriber::Hook>(call, tasks).await,
            Transport::Websocket => self.all::<websocket::subscriber::Socket>(call, tasks).await,
            Transport::Tcp => self.all::<tcp::subscriber::Socket>(call, tasks).await,
        }?;
        Ok(clock::now() - begun)
    }

    async fn all<S: Subscriber>(&self, call: &Rc<Call>, tasks: &Tasks) -> Result<(), Fault> {
        let common = S::prepare(call).await?;
        for first in (0..self.count).step_by(AT_ONCE) {
            let numbers = first..self.count.min(first + AT_ONCE);
            let subscribing = numbers.clone().map(|number| S::subscribe(call, &common, number));
            let subscribed = futures_util::future::try_join_all(subscribing).await?;
            for (number, subscriber) in numbers.zip(subscribed) {
                tasks.spawn(keep(subscriber, call.clone(), number));
            }
        }
        Ok(())
    }
}

/// A subscriber until its subscription ends. It does not subscribe again: what it misses is told.
async fn keep<S: Subscriber>(subscriber: S, call: Rc<Call>, number: usize) {
    if let Err(fault) = subscriber.receive().await {
        call.ledger.fault(&format!("subscriber: {fault}"));
    }
    call.ledger.gone(number);
}
