//! A webhook publisher with a queue for each destination, and receivers that deduplicate.

use super::ledger::{Reason, pauses};
use super::plan::{EVENTS, Faults, random};
use super::{Bug, Transport, World};
use crate::guarantee::deduplicator::Deduplicator;
use crate::guarantee::delivery_queue::{Attempt, DeliveryQueue, Next, Settled};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

/// No instant.
const NEVER: u64 = u64::MAX;

/// What a publisher and a receiver do.
pub(super) enum Step {
    /// The sender of a destination looks for what to do.
    Wake(usize),
    /// A request arrives.
    Arrive { at: usize, event: u8, attempt: u64 },
    /// Its event has been processed; `outages` of the receiver before.
    Processed { at: usize, event: u8, attempt: u64, outages: u32, first: bool },
    /// The sender gets the outcome.
    Outcome { at: usize, attempt: u64, outcome: Attempt },
    /// A receiver registers with a publisher that has lost its subscription.
    Register(usize),
}

/// What the harness knows of an event at a destination, since the publisher's last start.
#[derive(Clone, Copy, Default)]
struct Tried {
    attempts: u32,
    failed_at: u64,
    retry_after: u64,
    settled: bool,
}

/// A destination: the publisher's part, and the receiver's.
struct Site {
    queue: Option<DeliveryQueue<u8>>,
    /// The attempt under way, and its event.
    attempt: u64,
    event: u8,
    wake: u64,
    tried: [Tried; EVENTS + 1],
    quiet_until: u64,
    rng: ChaCha8Rng,
    seen: Deduplicator<u8>,
    is_down: bool,
    outages: u32,
    gone: bool,
}

/// All of them.
pub(super) struct Webhook {
    sites: Vec<Site>,
}

type W<'p> = World<'p, Step>;

fn queue(world: &W<'_>, at: usize, capacity: usize) -> DeliveryQueue<u8> {
    DeliveryQueue::new(&world.plan.policy(world.bug), world.plan.seed, at as u64, capacity)
}

impl Webhook {
    fn wake(&mut self, world: &mut W<'_>, at: usize, when: u64) {
        let site = &mut self.sites[at];
        if when < site.wake {
            site.wake = when;
            world.after(when - world.now, Step::Wake(at));
        }
    }

    /// Puts an event into the queue of a destination.
    fn put(&mut self, world: &mut W<'_>, at: usize, event: u8) {
        let (site, now) = (&mut self.sites[at], world.now);
        let Some(queue) = &mut site.queue else {
            // After a 410, or lost with the process that knew the subscription.
            let was_lost = !world.plan.keeps_deliveries() && world.process > 0;
            let reason = if site.gone { Reason::Gone } else { Reason::Restart };
            world.ledger.give_up(at, event, reason, site.gone || was_lost);
            return;
        };
        if queue.put(event, now) {
            self.wake(world, at, now);
            return;
        }
        let is_full = queue.open() >= world.plan.capacity;
        world.trace(|| format!("{event} finds the queue of {at} full"));
        if !world.has_bug(Bug::OverflowIsSilent) {
            world.ledger.give_up(at, event, Reason::Queue, is_full);
        }
        world.settled(at, Some(event));
    }

    fn woken(&mut self, world: &mut W<'_>, at: usize) {
        if self.sites[at].wake != world.now {
            return;
        }
        self.sites[at].wake = NEVER;
        let first = self.sites[0].queue.as_ref();
        if at > 0 && world.has_bug(Bug::BackoffIsShared) && first.is_some_and(|q| q.open() > 0) {
            return self.wake(world, at, world.now + super::MS);
        }
        let Some(queue) = &mut self.sites[at].queue else { return };
        match queue.next(world.now) {
            Next::Send(event) => self.send(world, at, event),
            Next::Wait(Some(until)) => {
                world.ledger.law(until > world.now, || "it waits for nothing".to_owned());
                self.wake(world, at, until.max(world.now + 1));
            }
            Next::Wait(None) | Next::Ended => {}
        }
    }

    fn send(&mut self, world: &mut W<'_>, at: usize, event: u8) {
        let (site, now, policy) = (&mut self.sites[at], world.now, &world.plan.guarantee);
        let tried = &mut site.tried[usize::from(event)];
        if tried.attempts > 0 {
            let allowed = pauses(policy, tried.attempts, tried.retry_after);
            let pause = now - tried.failed_at;
            world
                .ledger
                .law(pause >= *allowed.start(), || format!("{event} is tried again too early"));
            // In an ordered queue nothing else is in the way.
            let latest = (tried.failed_at + allowed.end()).max(site.quiet_until);
            let late = policy.ordered && now > latest;
            world.ledger.law(!late, || format!("{event} is tried again too late"));
        }
        tried.attempts += 1;
        let within = tried.attempts as usize <= if policy.retries() { policy.attempts } else { 1 };
        world.ledger.law(within, || format!("{event} has too many attempts at {at}"));
        world
            .ledger
            .law(!tried.settled, || format!("{event} was settled at {at}, and is sent again"));
        world.ledger.law(now >= site.quiet_until, || format!("{at} wants to be left alone"));
        world.ledger.account.attempts += 1;
        site.attempt += 1;
        site.event = event;
        let attempt = site.attempt;
        world.trace(|| format!("{event} is sent to {at}, attempt {attempt}"));
        let transfer = world.delay(&mut site.rng);
        world.after(transfer, Step::Arrive { at, event, attempt });
        let outcome = Attempt::Failed { retry_after: None };
        world.after(world.plan.timeout, Step::Outcome { at, attempt, outcome });
    }

    /// The receiver responds.
    fn respond(&mut self, world: &mut W<'_>, at: usize, attempt: u64, outcome: Attempt) {
        let transfer = world.delay(&mut self.sites[at].rng);
        world.after(transfer, Step::Outcome { at, attempt, outcome });
    }

    fn arrive(&mut self, world: &mut W<'_>, at: usize, event: u8, attempt: u64) {
        let (site, faults) = (&mut self.sites[at], &world.plan.faults[at]);
        let Faults { refuse, reset, error, busy, retry_after, gone, .. } = *faults;
        let failed = Attempt::Failed { retry_after: None };
        let mut occurs = |share: f64| share > 0.0 && site.rng.random_bool(share);
        let met = if site.is_down || occurs(refuse) || occurs(reset) {
            Some(failed)
        } else if site.gone || occurs(gone) {
            site.gone = true;
            Some(Attempt::Gone)
        } else if faults.poison || occurs(error) {
            Some(failed)
        } else {
            occurs(busy).then_some(Attempt::Failed { retry_after: Some(retry_after) })
        };
        if let Some(outcome) = met {
            world.trace(|| format!("{event} arrives at {at}, attempt {attempt}: {outcome:?}"));
            return self.respond(world, at, attempt, outcome);
        }
        let first = world.has_bug(Bug::RemembersBeforeProcessing) && site.seen.is_first(&event);
        let (takes, outages) = (site.rng.random_range(0..=faults.slow), site.outages);
        world.after(takes, Step::Processed { at, event, attempt, outages, first });
        if world.has_bug(Bug::AcknowledgesBeforeProcessing) {
            self.respond(world, at, attempt, Attempt::Acknowledged);
        }
    }

    fn processed(&mut self, world: &mut W<'_>, at: usize, event: u8, attempt: u64, first: bool) {
        let (site, faults) = (&mut self.sites[at], &world.plan.faults[at]);
        let takes = match world.bug {
            Some(Bug::NoDeduplication) => true,
            Some(Bug::RemembersBeforeProcessing) => first,
            _ => !world.plan.guarantee.deduplicates() || site.seen.is_first(&event),
        };
        world.trace(|| {
            format!("{event} is processed by {at}, attempt {attempt}; it is new: {takes}")
        });
        if takes {
            world.ledger.hand_over(at, event, world.now);
        } else {
            world.ledger.account.removed += 1;
        }
        let mut occurs = |share: f64| share > 0.0 && site.rng.random_bool(share);
        if occurs(faults.lost_acks) {
            self.respond(world, at, attempt, Attempt::Failed { retry_after: None });
        } else if !occurs(faults.silent) && !world.has_bug(Bug::AcknowledgesBeforeProcessing) {
            self.respond(world, at, attempt, Attempt::Acknowledged);
        }
    }

    fn outcome(&mut self, world: &mut W<'_>, at: usize, attempt: u64, mut outcome: Attempt) {
        let (site, now) = (&mut self.sites[at], world.now);
        // It was timed out, or the publisher has been killed since.
        if attempt != site.attempt {
            return;
        }
        let Some(queue) = &mut site.queue else { return };
        site.attempt += 1;
        let event = site.event;
        let tried = &mut site.tried[usize::from(event)];
        if let Attempt::Failed { retry_after } = &mut outcome {
            (tried.failed_at, tried.retry_after) = (now, retry_after.unwrap_or(0));
            if world.plan.guarantee.retries() {
                site.quiet_until = site.quiet_until.max(now + retry_after.unwrap_or(0));
            }
            if world.has_bug(Bug::RetryAfterIgnored) {
                *retry_after = None;
            }
            if world.has_bug(Bug::RetriesEndSilently) && tried.attempts == 3 {
                queue.outcome(Attempt::Acknowledged, now);
                return self.wake(world, at, now);
            }
        }
        let is_last = tried.attempts as usize
            == if world.plan.guarantee.retries() { world.plan.guarantee.attempts } else { 1 };
        let settled = queue.outcome(outcome, now);
        world.trace(|| format!("{event} at {at}, attempt {attempt}: {outcome:?}, {settled:?}"));
        tried.settled = settled != Settled::Retried;
        match settled {
            Settled::Retried => {}
            Settled::Acknowledged(event) => world.settled(at, Some(event)),
            Settled::Exhausted(event) => {
                world.ledger.give_up(at, event, Reason::Attempts, is_last);
                world.settled(at, Some(event));
            }
            Settled::Ended(events) => {
                let said_so = site.gone;
                site.queue = None;
                let told = if world.has_bug(Bug::GoneForgetsTheOthers) { 1 } else { events.len() };
                for event in &events[..told] {
                    world.ledger.give_up(at, *event, Reason::Gone, said_so);
                }
                world.settled(at, None);
            }
        }
        self.wake(world, at, now);
    }
}

impl Transport for Webhook {
    type Step = Step;

    fn new(world: &mut W<'_>) -> Webhook {
        let site = |at| Site {
            queue: Some(queue(world, at, world.plan.capacity)),
            attempt: 0,
            event: 0,
            wake: NEVER,
            tried: [Tried::default(); EVENTS + 1],
            quiet_until: 0,
            rng: random(world.plan.seed, 2 + at as u64),
            seen: Deduplicator::new(world.plan.guarantee.window),
            is_down: false,
            outages: 0,
            gone: false,
        };
        Webhook { sites: (0..world.plan.faults.len()).map(site).collect() }
    }

    fn deliver(&mut self, world: &mut W<'_>, event: u8) {
        (0..self.sites.len()).for_each(|at| self.put(world, at, event));
    }

    fn step(&mut self, world: &mut W<'_>, step: Step) {
        match step {
            Step::Wake(at) => self.woken(world, at),
            Step::Arrive { at, event, attempt } => self.arrive(world, at, event, attempt),
            Step::Processed { at, event, attempt, outages, first } => {
                if outages == self.sites[at].outages {
                    self.processed(world, at, event, attempt, first);
                } else {
                    // The connection was reset while the event was being processed.
                    self.respond(world, at, attempt, Attempt::Failed { retry_after: None });
                }
            }
            Step::Outcome { at, attempt, outcome } => self.outcome(world, at, attempt, outcome),
            Step::Register(at) => {
                let site = &mut self.sites[at];
                if world.up && site.queue.is_none() && !site.gone {
                    world.trace(|| format!("{at} registers"));
                    site.queue = Some(queue(world, at, world.plan.capacity));
                }
            }
        }
    }

    fn killed(&mut self, world: &mut W<'_>) {
        for (at, site) in self.sites.iter_mut().enumerate() {
            let open = site.queue.take().map_or(Vec::new(), |mut queue| queue.end(world.now));
            if !world.plan.keeps_deliveries() {
                open.iter().for_each(|e| world.ledger.give_up(at, *e, Reason::Restart, true));
            }
            site.attempt += 1;
            site.tried = [Tried::default(); EVENTS + 1];
            site.quiet_until = 0;
        }
    }

    fn restarted(&mut self, world: &mut W<'_>) {
        for at in 0..self.sites.len() {
            if !world.plan.guarantee.durable {
                let later = world.delay(&mut self.sites[at].rng);
                world.after(later, Step::Register(at));
            } else if !world.store.ended[at] {
                let settled = &world.store.settled[at];
                let open = world.store.events.iter().filter(|e| !settled[usize::from(**e)]);
                let mut open: Vec<u8> = open.copied().collect();
                if !world.plan.keeps_deliveries() {
                    open.clear();
                }
                match world.bug {
                    Some(Bug::RestartForgetsUnsettled) => open.clear(),
                    Some(Bug::RestartReversesUnsettled) => open.reverse(),
                    _ => {}
                }
                // With settlements that were not written more may be open than there was room for.
                let capacity = world.plan.capacity.max(open.len());
                self.sites[at].queue = Some(queue(world, at, capacity));
                open.into_iter().for_each(|event| self.put(world, at, event));
            }
        }
    }

    fn cut(&mut self, world: &mut W<'_>, at: usize) {
        // Requests that are being processed are reset.
        world.trace(|| format!("the connections of {at} are reset"));
        self.sites[at].outages += 1;
    }

    fn down(&mut self, world: &mut W<'_>, at: usize, is_down: bool) {
        world.trace(|| format!("{at} is down: {is_down}"));
        self.sites[at].is_down = is_down;
        self.sites[at].outages += u32::from(is_down);
    }

    fn finish(self, world: &mut W<'_>) {
        for (at, site) in self.sites.iter().enumerate() {
            let open = site.queue.as_ref().map_or(0, DeliveryQueue::open);
            world.ledger.law(open == 0, || format!("{open} events wait at {at} for ever"));
        }
    }
}
