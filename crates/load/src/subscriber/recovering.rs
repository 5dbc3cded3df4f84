//! A subscriber under a guarantee or under faults: it stays, and subscribes again with back-off whenever it is cut off.

use crate::subscriber::Subscriber;
use crate::subscriber::lifecycle::{Ended, SubscriberSlot, first_of, receive_until_dead};
use crate::subscriber::receivers::Receivers;
use pushbench_host::clock;
use pushbench_wire::fault::Fault;
use std::future::pending;
use std::io;

/// Keeps a subscriber, and its record, until the trial ends or it gives up.
pub(super) async fn run_recovering<S: Subscriber>(first: Box<S>, slot: Box<SubscriberSlot<S>>) {
    if let Err(e) = run(first, &slot).await {
        slot.subscribe_config.ledger.fault(&format!("subscriber: {e}"));
    }
}

async fn run<S: Subscriber>(mut subscriber: Box<S>, slot: &SubscriberSlot<S>) -> io::Result<()> {
    let (config, number) = (&slot.subscribe_config, slot.number);
    let Some(receivers) = &config.receivers else { return Ok(()) };
    loop {
        let limit = config.dead_after.filter(|_| !config.polls);
        let reset = async {
            match receivers.connect() {
                true => receivers.reset().await,
                // Its address stays registered.
                false => pending().await,
            }
        };
        let ended = match limit {
            None => first_of(subscriber.receive(), reset).await?,
            Some(limit) => {
                first_of(Box::pin(receive_until_dead(&mut *subscriber, slot, limit)), reset).await?
            }
        };
        let planned = receivers.take_planned(number);
        match ended {
            Ended::Leaves => config.reset(number),
            Ended::CutOff(_) if planned => {}
            Ended::CutOff(Ok(())) => {
                config.ledger.fault("subscriber: the publisher ended the subscription");
            }
            Ended::CutOff(Err(fault)) => config.ledger.fault(&format!("subscriber: {fault}")),
        }
        config.ledger.cut_off(number);
        config.note_end(number);
        drop(subscriber);
        match Box::pin(subscribe_again(slot, receivers)).await {
            Some(again) => subscriber = again,
            None => return Ok(()),
        }
    }
}

/// Subscribes until it is confirmed; `None` when all attempts have failed.
async fn subscribe_again<S: Subscriber>(
    slot: &SubscriberSlot<S>,
    receivers: &Receivers,
) -> Option<Box<S>> {
    let (config, number) = (&slot.subscribe_config, slot.number);
    let mut last = None;
    loop {
        let Some(pause) = receivers.pause(number) else {
            let why = last.map_or_else(String::new, |fault: Fault| format!(": {fault}"));
            config.ledger.fault(&format!("a subscriber gave up after its last attempt{why}"));
            config.ledger.gave_up(number);
            return None;
        };
        receivers.timer.until(clock::now() + pause).await;
        let requested_at = receivers.begin_attempt(number);
        let down = receivers.connect() && receivers.are_down();
        let attempt = match down {
            true => Err(Fault::refused("the receiver is down")),
            false => S::subscribe(config, &slot.common, number).await,
        };
        match attempt {
            Ok(_) if receivers.connect() && receivers.are_down() => config.reset(number),
            Ok(subscriber) => {
                config.ledger.subscribed(number, requested_at);
                receivers.subscribed(number);
                return Some(Box::new(subscriber));
            }
            Err(fault) => {
                if down {
                    config.ledger.receiver_refused();
                }
                last = Some(fault);
            }
        }
        config.ledger.subscription_failed();
    }
}
