//! The subscribers of an arm: all subscribed before the first event, each a task of its own.

use crate::subscriber::{Registration, SubscribeConfig, Subscriber};
use crate::subscriber_lifecycle::{Plan, Seat, attend};
use crate::tasks::Tasks;
use crate::{long_poll, poll, sse, tcp, webhook, websocket};
use pushbench_core::event::Matched;
use pushbench_core::scenario::Subscribers;
use pushbench_core::schedule::turnover::{Leaves, Pauses};
use pushbench_core::transport::Transport;
use pushbench_core::wording::Wording;
use pushbench_host::clock;
use pushbench_wire::endpoint::Resolved;
use pushbench_wire::fault::Fault;
use pushbench_wire::request_options::RequestOptions;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::watch;

/// Below the accept backlog of any server, so that no SYN is dropped and retried a second later.
const AT_ONCE: usize = 64;

/// What a shard must know of an arm's subscribers.
#[derive(Debug, Clone)]
pub struct SubscribersJob {
    /// How events reach them.
    pub transport: Transport,
    /// Where they subscribe.
    pub address: Resolved,
    /// How their addresses reach the publisher.
    pub registration: Registration,
    /// How many there are and how they behave.
    pub asked: Subscribers,
    /// They acknowledge in these words, where the publisher has its own.
    pub acknowledgement: Option<Wording>,
    /// Where an event carries its id.
    pub matched: Matched,
    /// Of their plans: the block's.
    pub seed: u64,
    /// Nobody leaves later, ns after the origin.
    pub length: u64,
    /// How long a delivery waits at most by design.
    pub rests: Duration,
    /// The publisher is ended and restarted.
    pub restarts: bool,
    /// The run's token.
    pub token: String,
}

impl SubscribersJob {
    /// What the subscribers are told.
    pub(super) fn call(
        &self,
        request_options: &RequestOptions,
        max_segment: Option<u32>,
        ledger: &Rc<crate::ledger::Ledger>,
        tasks: &Tasks,
    ) -> Rc<SubscribeConfig> {
        let tasks = tasks.clone();
        Rc::new(SubscribeConfig {
            subscribe: self.address.clone(),
            request_options: request_options.clone(),
            token: self.token.clone(),
            matched: self.matched.clone(),
            asked: self.asked.clone(),
            acknowledgement: self.acknowledgement.clone(),
            registration: self.registration.clone(),
            restarts: self.restarts,
            max_segment,
            ledger: ledger.clone(),
            spawn: Rc::new(move |work| tasks.spawn(work)),
        })
    }

    /// Subscribes all and starts them; gives how long it took, ns. `origin` tells when the trial begins.
    /// A transport registers its subscriber's half here.
    pub(super) async fn start(
        &self,
        subscribe_config: &Rc<SubscribeConfig>,
        tasks: &Tasks,
        origin: &watch::Receiver<u64>,
    ) -> Result<u64, Fault> {
        let begun = clock::now();
        let start = Start { job: self, subscribe_config, tasks, origin };
        match self.transport {
            Transport::Webhook => start.all::<webhook::subscriber::Hook>().await,
            Transport::Websocket => start.all::<websocket::subscriber::WebsocketSubscriber>().await,
            Transport::Tcp => start.all::<tcp::subscriber::TcpSubscriber>().await,
            Transport::Sse => start.all::<sse::Stream>().await,
            Transport::LongPoll => start.all::<long_poll::Held>().await,
            Transport::Poll => start.all::<poll::subscriber::Poller>().await,
        }?;
        Ok(clock::now() - begun)
    }

    fn plan(&self, number: usize, origin: &watch::Receiver<u64>) -> Plan {
        let Subscribers { stay, away, backoff, .. } = self.asked;
        Plan {
            leaves: stay
                .map(|stay| Leaves::new(self.seed, number, stay, away, self.length))
                .map(Box::new),
            away: away.as_nanos() as u64,
            pauses: backoff.map(|first| Pauses::new(self.seed, number, first)).map(Box::new),
            origin: origin.clone(),
        }
    }
}

struct Start<'a> {
    job: &'a SubscribersJob,
    subscribe_config: &'a Rc<SubscribeConfig>,
    tasks: &'a Tasks,
    origin: &'a watch::Receiver<u64>,
}

impl Start<'_> {
    async fn all<S: Subscriber>(&self) -> Result<(), Fault> {
        let (subscribe_config, count) = (self.subscribe_config, self.job.asked.count);
        let common = S::prepare(subscribe_config).await?;
        for first in (0..count).step_by(AT_ONCE) {
            let numbers = first..count.min(first + AT_ONCE);
            let subscribing =
                numbers.clone().map(|number| S::subscribe(subscribe_config, &common, number));
            let subscribed = futures_util::future::try_join_all(subscribing).await?;
            for (number, subscriber) in numbers.zip(subscribed) {
                let seat = Seat {
                    subscribe_config: subscribe_config.clone(),
                    common: common.clone(),
                    number,
                };
                let plan = self.job.plan(number, self.origin);
                let (first, seat, plan) = (subscriber.into(), seat.into(), plan.into());
                self.tasks.spawn(attend::<S>(first, seat, plan));
            }
        }
        Ok(())
    }
}
