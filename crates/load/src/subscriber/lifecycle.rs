//! The lifecycle of a subscriber: it subscribes before the first event, may leave and return at instants
//! of a seeded plan, and subscribes again when it was cut off.

use crate::subscriber::{SubscribeConfig, Subscriber};
use pushbench_core::schedule::turnover::{Leaves, Pauses};
use pushbench_core::units;
use pushbench_host::clock;
use pushbench_host::sleep::Timer;
use pushbench_wire::fault::Fault;
use std::future::{pending, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use tokio::sync::watch;

/// How often one that leaves looks whether it still waits for something, ns.
const CHECK_INTERVAL_NS: u64 = 1_000_000;

/// When a subscriber goes, and how it comes back.
pub(super) struct Plan {
    /// `None` when it stays.
    pub leaves: Option<Box<Leaves>>,
    /// How long it stays away, ns.
    pub away: u64,
    /// `None` when it does not come back after it was cut off.
    pub pauses: Option<Box<Pauses>>,
    /// The trial's origin, once there is one.
    pub origin: watch::Receiver<u64>,
}

/// What a subscriber needs to subscribe again.
pub(super) struct SubscriberSlot<S: Subscriber> {
    pub(crate) subscribe_config: Rc<SubscribeConfig>,
    pub common: S::Common,
    pub number: usize,
}

/// How a stay ended.
pub(super) enum Ended {
    CutOff(Result<(), Fault>),
    Leaves,
}

/// Keeps a subscriber, and its record, until the trial ends. There are thousands, so that it keeps little
/// beside the subscriber: what is done now and then is boxed while it is done.
pub(super) async fn run_subscriber<S: Subscriber>(
    first: Box<S>,
    slot: Box<SubscriberSlot<S>>,
    mut plan: Box<Plan>,
) {
    if let Err(e) = run(first, &slot, &mut plan).await {
        slot.subscribe_config.ledger.fault(&format!("subscriber: {e}"));
    }
}

async fn run<S: Subscriber>(
    mut subscriber: Box<S>,
    slot: &SubscriberSlot<S>,
    plan: &mut Plan,
) -> io::Result<()> {
    let (ledger, number) = (&slot.subscribe_config.ledger, slot.number);
    // One that only stays needs no descriptor for a timer.
    let moves = plan.leaves.is_some() || plan.pauses.is_some();
    let timer = moves.then(Timer::new).transpose()?;
    let mut leave = plan.leaves.as_mut().and_then(Iterator::next);
    loop {
        let leaves = leave_at(leave, &mut plan.origin, timer.as_ref());
        let limit = slot.subscribe_config.dead_after.filter(|_| !slot.subscribe_config.polls);
        let ended = match limit {
            None => first_of(subscriber.receive(), leaves).await?,
            Some(limit) => {
                let receiving = receive_until_dead(&mut *subscriber, slot, limit);
                first_of(Box::pin(receiving), leaves).await?
            }
        };
        match (ended, &timer) {
            (Ended::CutOff(how), timer) => {
                ledger.fault(&match how {
                    Ok(()) => "subscriber: the publisher ended the subscription".to_owned(),
                    Err(fault) => format!("subscriber: {fault}"),
                });
                ledger.cut_off(number);
                slot.subscribe_config.note_end(number);
                drop(subscriber);
                let (Some(timer), Some(pauses)) = (timer, &mut plan.pauses) else { return Ok(()) };
                timer.until(clock::now() + pauses.draw()).await?;
                subscriber = Box::pin(resubscribe(slot, Some(pauses), timer)).await?;
            }
            (Ended::Leaves, Some(timer)) => {
                ledger.leaving(number);
                let back = clock::now() + plan.away;
                Box::pin(leave_after_deliveries(subscriber, slot, timer)).await?;
                timer.until(back).await?;
                subscriber = Box::pin(resubscribe(slot, plan.pauses.as_deref_mut(), timer)).await?;
                leave = plan.leaves.as_mut().and_then(Iterator::next);
            }
            (Ended::Leaves, None) => return Ok(()),
        }
    }
}

/// Whichever is over first: the subscription or the stay.
pub(super) async fn first_of(
    receiving: impl Future<Output = Result<(), Fault>>,
    leaves: impl Future<Output = io::Result<()>>,
) -> io::Result<Ended> {
    let (mut receiving, mut leaves) = (pin!(receiving), pin!(leaves));
    poll_fn(|cx| {
        if let Poll::Ready(how) = receiving.as_mut().poll(cx) {
            return Poll::Ready(Ok(Ended::CutOff(how)));
        }
        leaves.as_mut().poll(cx).map_ok(|()| Ended::Leaves)
    })
    .await
}

/// Receives until nothing has come for so long, ns: then the connection may be dead without either end being told.
pub(super) async fn receive_until_dead<S: Subscriber>(
    subscriber: &mut S,
    slot: &SubscriberSlot<S>,
    limit: u64,
) -> Result<(), Fault> {
    let silent = async {
        let timer = Timer::new()?;
        loop {
            let dead = slot.subscribe_config.heard(slot.number).unwrap_or(clock::now()) + limit;
            if clock::now() >= dead {
                return Ok(());
            }
            timer.until(dead).await?;
        }
    };
    match first_of(subscriber.receive(), silent).await.map_err(Fault::closed)? {
        Ended::CutOff(how) => how,
        Ended::Leaves => {
            let limit = units::nanos_text(limit as f64);
            Err(Fault::closed(format!(
                "nothing came for {limit}: the connection is taken for dead"
            )))
        }
    }
}

/// Ready at the planned instant, and never when there is none.
async fn leave_at(
    leave: Option<u64>,
    origin: &mut watch::Receiver<u64>,
    timer: Option<&Timer>,
) -> io::Result<()> {
    let (Some(at), Some(timer)) = (leave, timer) else { return pending().await };
    let origin = match origin.wait_for(|origin| *origin != 0).await {
        Ok(origin) => *origin,
        Err(_called_off) => return pending().await,
    };
    timer.until(origin + at).await
}

/// Takes what is on its way, then ends the subscription. A publisher that is gone meanwhile has ended
/// it already.
async fn leave_after_deliveries<S: Subscriber>(
    mut subscriber: Box<S>,
    slot: &SubscriberSlot<S>,
    timer: &Timer,
) -> io::Result<()> {
    let (ledger, number) = (&slot.subscribe_config.ledger, slot.number);
    let deliveries_settled = async {
        while ledger.awaits(number) {
            timer.until(clock::now() + CHECK_INTERVAL_NS).await?;
        }
        Ok(())
    };
    if let Ended::CutOff(_) = first_of(subscriber.receive(), deliveries_settled).await? {
        ledger.cut_off(number);
    } else if let Err(fault) = subscriber.leave().await {
        ledger.fault(&format!("subscriber: leaving: {fault}"));
    }
    Ok(())
}

/// Subscribes until it is confirmed.
async fn resubscribe<S: Subscriber>(
    slot: &SubscriberSlot<S>,
    mut pauses: Option<&mut Pauses>,
    timer: &Timer,
) -> io::Result<Box<S>> {
    let ledger = &slot.subscribe_config.ledger;
    loop {
        let requested_at = clock::now();
        match S::subscribe(&slot.subscribe_config, &slot.common, slot.number).await {
            Ok(subscriber) => {
                ledger.subscribed(slot.number, requested_at);
                if let Some(pauses) = pauses {
                    pauses.reset();
                }
                return Ok(Box::new(subscriber));
            }
            Err(fault) => {
                ledger.subscription_failed();
                let Some(pauses) = &mut pauses else {
                    return Err(io::Error::other(format!("subscribing again: {fault}")));
                };
                timer.until(clock::now() + pauses.draw()).await?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{tcp, webhook, websocket};

    /// Bytes of the task that keeps a subscriber; the subscriber itself is boxed.
    fn task<S, P, F>(_: impl Fn(Box<S>, Box<SubscriberSlot<S>>, P) -> F) -> usize
    where
        S: Subscriber,
    {
        size_of::<F>()
    }

    #[test]
    fn a_subscriber_that_is_there_takes_little_memory() {
        for (transport, task, itself) in [
            (
                "webhook",
                task(run_subscriber::<webhook::subscriber::WebhookSubscriber>),
                size_of::<webhook::subscriber::WebhookSubscriber>(),
            ),
            (
                "websocket",
                task(run_subscriber::<websocket::subscriber::PlainSubscriber>),
                size_of::<websocket::subscriber::PlainSubscriber>(),
            ),
            ("tcp", task(run_subscriber::<tcp::TcpSubscriber>), size_of::<tcp::TcpSubscriber>()),
        ] {
            assert!(task <= 1280, "{transport}: its task is {task} bytes");
            assert!(itself <= 1024, "{transport}: it is {itself} bytes");
        }
    }
}
