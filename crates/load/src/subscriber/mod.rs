//! The driver's subscribers: each receives events and records in the ledger when each was read.
//!
//! Every transport implements one trait: *a subscriber subscribes, receives until it leaves or is cut off, and
//! records the events that it has read* ([`Subscriber`]). Acknowledging is a part of receiving.

mod config;
pub mod event_requester;
mod http2;
pub(crate) mod lifecycle;
pub(crate) mod receivers;
mod recovering;
pub mod requests;
pub mod stream;

pub(crate) use config::Delivered;
pub use config::{Registration, SubscribeConfig};

use crate::ledger::Ledger;
use crate::shard::ArmJob;
use crate::subscriber::lifecycle::{Plan, SubscriberSlot, run_subscriber};
use crate::subscriber::receivers::{DeliveryConditions, Receivers};
use crate::subscriber::recovering::run_recovering;
use crate::tasks::Tasks;
use crate::{long_poll, poll, sse, tcp, webhook, websocket};
use pushbench_core::arm::ArmOption;
use pushbench_core::event::Matched;
use pushbench_core::record::fanout::Share;
use pushbench_core::scenario::{Compression, Subscribers};
use pushbench_core::schedule::turnover::{Leaves, Pauses};
use pushbench_core::transport::Transport;
use pushbench_core::wording::Wording;
use pushbench_host::{arrival, clock};
use pushbench_path::Ends;
use pushbench_wire::delivery_verifier::DeliveryVerifier;
use pushbench_wire::endpoint::Resolved;
use pushbench_wire::fault::Fault;
use pushbench_wire::request_options::RequestOptions;
use pushbench_wire::tls::ClientTls;
use std::cell::RefCell;
use std::future::{poll_fn, ready};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::watch;

/// Starts an additional task, such as a connection that a listener has accepted; it ends
/// with the trial.
pub type Spawn = Rc<dyn Fn(Pin<Box<dyn Future<Output = ()>>>)>;

/// One subscriber of a transport. Chosen once a trial; nothing is boxed per event.
pub trait Subscriber: Sized + 'static {
    /// What the subscribers of an arm have in common, such as the listener behind their addresses.
    type Common: Clone + 'static;

    /// Makes what they have in common, before the first one.
    fn prepare(
        subscribe_config: &Rc<SubscribeConfig>,
    ) -> impl Future<Output = Result<Self::Common, Fault>>;

    /// Subscribes as number `number`: when this returns, the publisher has confirmed it.
    fn subscribe(
        subscribe_config: &Rc<SubscribeConfig>,
        common: &Self::Common,
        number: usize,
    ) -> impl Future<Output = Result<Self, Fault>>;

    /// After all have subscribed before the first event: waits for what confirms it, where that is no
    /// answer to any of them.
    fn confirm(_: &Self::Common) -> impl Future<Output = Result<(), Fault>> {
        ready(Ok(()))
    }

    /// Receives until the publisher ends the subscription.
    fn receive(&mut self) -> impl Future<Output = Result<(), Fault>>;

    /// Ends the subscription; when this returns, the publisher knows.
    fn leave(self) -> impl Future<Output = Result<(), Fault>>;
}

/// Connections from one source address to one destination: the usual range of ports has 28,000.
pub(crate) const CONNECTIONS_PER_SOURCE: usize = 10_000;

/// The source address of subscriber `number`, where it connects itself: 127.0.1.1, 127.0.1.2 …
pub fn source(number: usize) -> Ipv4Addr {
    Ipv4Addr::from(0x7f00_0101 + (number / CONNECTIONS_PER_SOURCE) as u32)
}

/// Where the driver listens for what a target on this machine connects to it for.
pub fn listens_at(ends: Option<&Ends>) -> SocketAddrV4 {
    match ends {
        Some(ends) => SocketAddrV4::new(pushbench_path::DRIVER, ends.listen_port),
        None => SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0),
    }
}

/// Below the accept backlog of any server, so that no SYN is dropped and retried a second later.
const AT_ONCE: usize = 64;

/// Which subscribers are on this machine, and where the publisher reaches them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// Those of this machine.
    pub share: Share,
    /// Its address, where the publisher is on another one.
    pub address: Option<Ipv4Addr>,
}

/// The parameters of an arm's subscribers.
#[derive(Debug, Clone)]
pub struct SubscribersJob {
    /// How events reach them.
    pub transport: Transport,
    /// Where they subscribe.
    pub address: Resolved,
    /// How connections there are encrypted; nothing without TLS.
    pub tls: Option<ClientTls>,
    /// How their addresses reach the publisher.
    pub registration: Registration,
    /// How many there are and how they behave.
    pub settings: Subscribers,
    /// Which of them are here.
    pub spread: Spread,
    /// They acknowledge in these words, where the publisher has its own.
    pub acknowledgement: Option<Wording>,
    /// Where an event carries its id.
    pub matched: Matched,
    /// Of their plans: the block's.
    pub seed: u64,
    /// Nobody leaves later, ns after the origin.
    pub length: u64,
    /// How long a delivery waits at most by design.
    pub max_polling_delay: Duration,
    /// The publisher is ended and restarted.
    pub restarts: bool,
    /// The ends of the path, where there is one.
    pub ends: Option<Ends>,
    /// The run's token.
    pub token: String,
    /// Who deliveries come from.
    pub verifier: DeliveryVerifier,
    /// The compression that they offer.
    pub compression: Option<Compression>,
    /// What is promised to them, and what breaks; nothing by default.
    pub(crate) conditions: Option<DeliveryConditions>,
}

impl SubscribersJob {
    /// The ledger of these subscribers. `event_bytes`: the length of an event.
    pub(super) fn ledger(&self, ledger: Ledger, event_bytes: usize) -> Ledger {
        let ledger = ledger.with_subscribers(self.settings.audience(), self.max_polling_delay);
        let ledger = ledger.with_share(self.spread.share);
        match &self.conditions {
            None => ledger,
            Some(conditions) => {
                let retries = conditions.guarantee.retries();
                ledger.under_guarantee(retries, conditions.recovery, event_bytes)
            }
        }
    }

    /// The configuration of the subscribers.
    pub(super) fn subscribe_config(
        &self,
        arm: &ArmJob,
        max_segment: Option<u32>,
        ledger: &Rc<Ledger>,
        tasks: &Tasks,
    ) -> Result<Rc<SubscribeConfig>, Fault> {
        let tasks = tasks.clone();
        let connect = match self.transport {
            Transport::Webhook => 1,
            _ => self.settings.count,
        };
        let http2 = arm.spec.has(ArmOption::H2);
        let tls = self.tls.iter().map(|tls| if http2 { tls.with_http2() } else { tls.clone() });
        let tls = tls.flat_map(|tls| (0..connect).map(move |_| tls.with_own_sessions()));
        let new = |c| Receivers::new(c, (&self.settings, self.seed), ledger);
        let receivers = self.conditions.as_ref().map(new).transpose()?;
        Ok(Rc::new(SubscribeConfig {
            subscribe: self.address.clone(),
            tls: tls.collect(),
            http2,
            listener_tls: arm.listener_tls.clone(),
            request_options: RequestOptions {
                compression: self.compression,
                ..arm.request_options.clone()
            },
            token: self.token.clone(),
            verifier: self.verifier.clone(),
            matched: self.matched.clone(),
            settings: self.settings.clone(),
            spread: self.spread,
            acknowledgement: self.acknowledgement.clone(),
            registration: self.registration.clone(),
            restarts: self.restarts,
            ends: self.ends.clone(),
            dead_after: self.dead_after(),
            polls: matches!(self.transport, Transport::Poll | Transport::LongPoll),
            reads: RefCell::default(),
            max_segment,
            stamping: arrival::start_stamping().ok(),
            ledger: ledger.clone(),
            spawn: Rc::new(move |work| tasks.spawn(work)),
            receivers,
        }))
    }

    /// After how long without anything a subscriber takes its connections for dead, ns: between two answers nothing
    /// comes to one that polls.
    fn dead_after(&self) -> Option<u64> {
        let limit = self.settings.dead_after?;
        let silent = match self.transport {
            Transport::Webhook => return None,
            Transport::Poll => self.settings.poll_interval,
            Transport::LongPoll => self.settings.long_poll_hold,
            Transport::Websocket | Transport::Sse | Transport::Tcp => Duration::ZERO,
        };
        Some((limit + silent).as_nanos() as u64)
    }

    /// Subscribes all and starts them; gives how long it took, ns. `origin`: when the trial begins.
    /// A transport registers its subscriber's half here.
    pub(super) async fn start(
        &self,
        subscribe_config: &Rc<SubscribeConfig>,
        tasks: &Tasks,
        origin: &watch::Receiver<u64>,
    ) -> Result<u64, Fault> {
        let start = Starter { job: self, subscribe_config, tasks, origin };
        match self.transport {
            Transport::Webhook => start.all::<webhook::subscriber::WebhookSubscriber>().await,
            Transport::Websocket if subscribe_config.request_options.compression.is_some() => {
                start.all::<websocket::subscriber::CompressedSubscriber>().await
            }
            Transport::Websocket => start.all::<websocket::subscriber::PlainSubscriber>().await,
            Transport::Tcp => start.all::<tcp::TcpSubscriber>().await,
            Transport::Sse => start.all::<sse::SseSubscriber>().await,
            Transport::LongPoll if self.registration.is_by_get() => {
                start.all::<long_poll::HeldRequestSubscriber>().await
            }
            Transport::LongPoll => start.all::<poll::LongPollSubscriber>().await,
            Transport::Poll => start.all::<poll::PollSubscriber>().await,
        }
    }

    fn plan(&self, number: usize, origin: &watch::Receiver<u64>) -> Plan {
        let Subscribers { stay, away, backoff, .. } = self.settings;
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

struct Starter<'a> {
    job: &'a SubscribersJob,
    subscribe_config: &'a Rc<SubscribeConfig>,
    tasks: &'a Tasks,
    origin: &'a watch::Receiver<u64>,
}

impl Starter<'_> {
    async fn all<S: Subscriber>(&self) -> Result<u64, Fault> {
        let begun = clock::now();
        let subscribe_config = self.subscribe_config;
        if subscribe_config.receivers.is_some() {
            receivers::start(subscribe_config, self.origin);
        }
        let common = S::prepare(subscribe_config).await?;
        let here: Vec<usize> = self.job.spread.share.numbers(self.job.settings.count).collect();
        for numbers in here.chunks(AT_ONCE) {
            let subscribing =
                numbers.iter().map(|number| S::subscribe(subscribe_config, &common, *number));
            let subscribed = futures_util::future::try_join_all(subscribing).await?;
            for (&number, subscriber) in numbers.iter().zip(subscribed) {
                let slot = SubscriberSlot {
                    subscribe_config: subscribe_config.clone(),
                    common: common.clone(),
                    number,
                };
                let plan = self.job.plan(number, self.origin);
                let (first, slot) = (subscriber.into(), slot.into());
                match subscribe_config.receivers.is_some() && plan.leaves.is_none() {
                    false => self.tasks.spawn(run_subscriber::<S>(first, slot, plan.into())),
                    true => self.tasks.spawn(run_recovering::<S>(first, slot)),
                }
            }
        }
        let took = clock::now() - begun;
        S::confirm(&common).await?;
        Ok(took)
    }
}

/// A subscriber's whole work. Boxed once a subscription.
pub struct SubscriberTask(Pin<Box<dyn Future<Output = Result<(), Fault>>>>);

impl SubscriberTask {
    /// Nothing is done yet.
    pub fn new(work: impl Future<Output = Result<(), Fault>> + 'static) -> SubscriberTask {
        SubscriberTask(Box::pin(work))
    }

    /// Works until it waits for the publisher.
    pub(crate) async fn begin(&mut self) -> Result<(), Fault> {
        poll_fn(|cx| match self.0.as_mut().poll(cx) {
            Poll::Ready(ended) => Poll::Ready(ended),
            Poll::Pending => Poll::Ready(Ok(())),
        })
        .await
    }

    /// Works until the publisher ends the subscription.
    pub async fn receive(&mut self) -> Result<(), Fault> {
        self.0.as_mut().await
    }

    /// Works until nothing is left to be done, as `through` reports after each step.
    pub async fn finish(&mut self, through: impl Fn() -> bool) {
        poll_fn(|cx| match self.0.as_mut().poll(cx).is_ready() || through() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pushbench_wire::subscriber_addresses::host;

    #[test]
    fn subscribers_are_spread_over_the_loopback_network() {
        assert_eq!((source(0), source(9_999)), (Ipv4Addr::new(127, 0, 1, 1), source(0)));
        assert_eq!(source(10_000), Ipv4Addr::new(127, 0, 1, 2));
        assert_eq!(
            (host(0), host(255)),
            (Ipv4Addr::new(127, 1, 0, 1), Ipv4Addr::new(127, 1, 1, 0))
        );
        assert!(host(1_000_000).is_loopback() && source(1_000_000).is_loopback());
    }
}
