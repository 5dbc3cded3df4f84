//! What a subscriber does with its connection, its cursor and what arrives.

use super::{Hello, Step, Stream, W};
use crate::guarantee::simulation::Bug;
use crate::guarantee::simulation::ledger::{Reason, pauses};
use rand::RngExt as _;

impl Stream {
    /// The subscriber ends its connection.
    pub(super) fn leave(&mut self, world: &mut W<'_>, at: usize, retry_after: Option<u64>) {
        let subscriber = &mut self.subscribers[at];
        let link = std::mem::take(&mut subscriber.link);
        let transfer = world.delay(&mut subscriber.rng);
        world.after(transfer, Step::Left { at, link });
        self.failed(world, at, retry_after);
    }

    pub(super) fn failed(&mut self, world: &mut W<'_>, at: usize, retry_after: Option<u64>) {
        let subscriber = &mut self.subscribers[at];
        let policy = &world.plan.guarantee;
        subscriber.failures += 1;
        let asked = retry_after.filter(|_| !world.has_bug(Bug::RetryAfterIgnored));
        let pause = subscriber.backoff.failed(asked);
        let failures = subscriber.failures;
        world.trace(|| format!("{at} is not connected after {failures} failures, pause {pause:?}"));
        let is_last = failures as usize >= policy.attempts;
        world
            .ledger
            .law(is_last == pause.is_none(), || format!("{at} has another number of attempts"));
        let Some(pause) = pause else {
            subscriber.gave_up = true;
            return;
        };
        let allowed = pauses(policy, failures, retry_after.unwrap_or(0));
        world.ledger.law(allowed.contains(&pause), || {
            format!("{at} pauses for {pause}: not in {allowed:?}")
        });
        world.after(pause, Step::Connect(at));
    }

    pub(super) fn succeeded(&mut self, at: usize) {
        self.subscribers[at].backoff.succeeded();
        self.subscribers[at].failures = 0;
    }

    /// The subscriber learns what is lost for good: what it has not got of the events before the replay.
    pub(super) fn greeted(&mut self, world: &mut W<'_>, at: usize, hello: Hello) {
        let same = self.subscribers[at].log == hello.log;
        if !same || !(hello.complete || world.has_bug(Bug::IncompleteNotTold)) {
            let reason = if same { Reason::Log } else { Reason::Restart };
            for i in 0..hello.published {
                let (event, process) = world.published[i];
                if hello.from.is_none_or(|from| event < from) && !world.ledger.has(at, event) {
                    let was_lost = !world.plan.guarantee.durable && process < world.process;
                    // The log of a durable publisher has all events, that of another one those of its process.
                    let newer = world.published.len() - 1 - i;
                    let fell_out = newer >= world.plan.guarantee.log;
                    let is_so = fell_out || (reason == Reason::Restart && was_lost);
                    world.ledger.give_up(at, event, reason, is_so);
                }
            }
        }
        self.subscribers[at].log = hello.log;
        if hello.from.is_none() {
            self.succeeded(at);
        }
    }

    pub(super) fn arrived(&mut self, world: &mut W<'_>, at: usize, link: u64, event: u8) {
        let subscriber = &mut self.subscribers[at];
        if world.has_bug(Bug::ResumesFromReceived) {
            subscriber.cursor = event;
        }
        let takes = subscriber.rng.random_range(0..=world.plan.faults[at].slow);
        subscriber.busy = subscriber.busy.max(world.now) + takes;
        world.after(subscriber.busy - world.now, Step::Process { at, link, event });
        if world.has_bug(Bug::AcknowledgesBeforeProcessing) {
            self.acknowledge(world, at, link, event);
        }
    }

    pub(super) fn acknowledge(&mut self, world: &mut W<'_>, at: usize, link: u64, event: u8) {
        let subscriber = &mut self.subscribers[at];
        subscriber.cursor = event;
        let transfer = world.delay(&mut subscriber.rng);
        world.after(transfer, Step::Acknowledged { at, link, event });
        self.succeeded(at);
    }

    pub(super) fn process(&mut self, world: &mut W<'_>, at: usize, link: u64, event: u8) {
        let (subscriber, faults) = (&mut self.subscribers[at], &world.plan.faults[at]);
        let mut occurs = |share: f64| share > 0.0 && subscriber.rng.random_bool(share);
        if faults.poison || occurs(faults.reset) || occurs(faults.error) {
            world.trace(|| format!("{event} is refused by {at}"));
            return self.leave(world, at, None);
        }
        if occurs(faults.busy) {
            world.trace(|| format!("{event} is refused by {at} for a while"));
            return self.leave(world, at, Some(faults.retry_after));
        }
        let (lost, silent) = (occurs(faults.lost_acks), occurs(faults.silent));
        let deduplicates =
            world.plan.guarantee.deduplicates() && !world.has_bug(Bug::NoDeduplication);
        let takes = !deduplicates || subscriber.seen.is_first(&event);
        world.trace(|| {
            format!("{event} is processed by {at}; it is new: {takes}, not acknowledged: {lost}")
        });
        if takes {
            world.ledger.hand_over(at, event, world.now);
        } else {
            world.ledger.account.removed += 1;
        }
        if lost {
            self.leave(world, at, None);
        } else if silent {
            // It takes the event for acknowledged, and the publisher ends the connection.
            self.subscribers[at].cursor = event;
        } else if !world.has_bug(Bug::AcknowledgesBeforeProcessing) {
            self.acknowledge(world, at, link, event);
        }
    }
}
