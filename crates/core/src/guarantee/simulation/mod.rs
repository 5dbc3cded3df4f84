//! A deterministic simulation of deliveries under a guarantee: the state machines of this module between a virtual
//! clock and a virtual network. No socket, no thread, no real time: a seed is a schedule.

mod ledger;
mod plan;
mod stream;
mod tests;
mod webhook;

use ledger::{Ledger, instant};
use plan::{EVENTS, Plan, random};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

const MS: u64 = 1_000_000;
/// A schedule that takes more steps does not end.
const MOST_STEPS: u64 = 200_000;

/// A bug put in on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    /// The receiver acknowledges an event when it arrives, and processes it then.
    AcknowledgesBeforeProcessing,
    /// The receiver remembers an id when the event arrives, and processes it then.
    RemembersBeforeProcessing,
    /// The receiver removes no duplicates.
    NoDeduplication,
    /// The publisher makes one attempt more than the policy has.
    OneAttemptTooMany,
    /// The first pauses are half as long as the policy says.
    PausesTooShort,
    /// `Retry-After` is ignored.
    RetryAfterIgnored,
    /// The next event does not wait until the one before is settled.
    OrderNotKept,
    /// An event is dropped after its third failure without an account.
    RetriesEndSilently,
    /// A 410 accounts only for the event of its attempt.
    GoneForgetsTheOthers,
    /// What a full queue turns away is not accounted for.
    OverflowIsSilent,
    /// A destination that is tried again delays another one.
    BackoffIsShared,
    /// The publisher acknowledges an event before it is in the store.
    AnswersBeforeCommit,
    /// A restart does not read unsettled deliveries back.
    RestartForgetsUnsettled,
    /// A restart reads unsettled deliveries back in the wrong order.
    RestartReversesUnsettled,
    /// A subscriber resumes from the last id that it has received instead of the last that it has acknowledged.
    ResumesFromReceived,
    /// A replay begins one event too late.
    ReplayOffByOne,
    /// A subscriber is added after its replay was read from the log, not at once.
    GapAfterReplay,
    /// The subscriber is not told that events have fallen out of the log.
    IncompleteNotTold,
    /// The log that is read back does not know that events have fallen out of it.
    RestartForgetsTrimmed,
    /// A publisher that lost its log is taken for the same one.
    SamePublisherAfterLoss,
    /// A connection that is established resets the count of failures, also if every delivery over it fails.
    ConnectingIsSuccess,
}

/// What happens at an instant; `S` is what the transport does.
enum What<S> {
    Publish(u8),
    Commit(u8, u32),
    Answer(u8, u32),
    Kill,
    Restart,
    Cut,
    Down(usize),
    Up(usize),
    Transport(S),
}

struct Scheduled<S> {
    at: u64,
    number: u64,
    what: What<S>,
}

impl<S> Ord for Scheduled<S> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl<S> PartialOrd for Scheduled<S> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<S> PartialEq for Scheduled<S> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl<S> Eq for Scheduled<S> {}

/// What a durable publisher has on disk.
struct Store {
    events: Vec<u8>,
    /// Of each receiver: the events that are settled.
    settled: Vec<[bool; EVENTS + 1]>,
    /// Of each receiver: its subscription has ended.
    ended: Vec<bool>,
    /// Settlements of the next commit; without an event, the subscription has ended.
    unwritten: Vec<(usize, Option<u8>)>,
}

/// The clock, the store and the process of the publisher.
struct World<'p, S> {
    plan: &'p Plan,
    bug: Option<Bug>,
    tracing: bool,
    now: u64,
    scheduled: BinaryHeap<Reverse<Scheduled<S>>>,
    number: u64,
    rng: ChaCha8Rng,
    ledger: Ledger,
    up: bool,
    /// Counts the publisher's starts.
    process: u32,
    store: Store,
    /// When the store has written all that it was given.
    synced: u64,
    /// The events that were published, and by which process.
    published: Vec<(u8, u32)>,
}

/// A publisher and its receivers.
trait Transport: Sized {
    type Step;
    fn new(world: &mut World<'_, Self::Step>) -> Self;
    /// The publisher has taken an event, and on disk if it is durable.
    fn deliver(&mut self, world: &mut World<'_, Self::Step>, event: u8);
    fn step(&mut self, world: &mut World<'_, Self::Step>, step: Self::Step);
    fn killed(&mut self, world: &mut World<'_, Self::Step>);
    fn restarted(&mut self, world: &mut World<'_, Self::Step>);
    fn cut(&mut self, world: &mut World<'_, Self::Step>, receiver: usize);
    fn down(&mut self, world: &mut World<'_, Self::Step>, receiver: usize, is_down: bool);
    /// Nothing happens any more.
    fn finish(self, world: &mut World<'_, Self::Step>);
}

impl<'p, S> World<'p, S> {
    fn new(plan: &'p Plan, bug: Option<Bug>, tracing: bool) -> World<'p, S> {
        let receivers = plan.faults.len();
        let store = Store {
            events: Vec::new(),
            settled: vec![[false; EVENTS + 1]; receivers],
            ended: vec![false; receivers],
            unwritten: Vec::new(),
        };
        let mut world = World {
            plan,
            bug,
            tracing,
            now: 0,
            scheduled: BinaryHeap::new(),
            number: 0,
            rng: random(plan.seed, 1),
            ledger: Ledger::new(plan),
            up: true,
            process: 0,
            store,
            synced: 0,
            published: Vec::new(),
        };
        for (event, at) in (1..).zip(&plan.published) {
            world.at(*at, What::Publish(event));
        }
        for (at, back) in &plan.kills {
            world.at(*at, What::Kill);
            world.at(*back, What::Restart);
        }
        plan.cuts.iter().for_each(|at| world.at(*at, What::Cut));
        for (receiver, faults) in plan.faults.iter().enumerate() {
            for (from, until) in &faults.outages {
                world.at(*from, What::Down(receiver));
                world.at(*until, What::Up(receiver));
            }
        }
        world
    }

    fn at(&mut self, at: u64, what: What<S>) {
        self.number += 1;
        self.scheduled.push(Reverse(Scheduled { at, number: self.number, what }));
    }

    /// The transport takes this step after a while.
    fn after(&mut self, pause: u64, step: S) {
        self.at(self.now + pause, What::Transport(step));
    }

    /// The transfer of a message: one in fifty takes much longer.
    fn delay(&self, rng: &mut ChaCha8Rng) -> u64 {
        let most = if rng.random_bool(0.02) { self.plan.delay * 20 } else { self.plan.delay };
        rng.random_range(0..=most)
    }

    fn trace(&self, what: impl FnOnce() -> String) {
        if self.tracing {
            println!("{:>12}  {}", instant(self.now), what());
        }
    }

    fn has_bug(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// It is written with the next commit.
    fn settled(&mut self, receiver: usize, event: Option<u8>) {
        self.store.unwritten.push((receiver, event));
    }

    fn publish(&mut self, transport: &mut impl Transport<Step = S>, event: u8) {
        if !self.up {
            self.trace(|| format!("{event} is not accepted: the publisher is down"));
        } else if self.plan.guarantee.durable {
            self.synced = self.synced.max(self.now) + self.rng.random_range(1..=self.plan.sync);
            self.at(self.synced, What::Commit(event, self.process));
            if self.has_bug(Bug::AnswersBeforeCommit) {
                self.at(self.now, What::Answer(event, self.process));
            }
        } else {
            self.take(transport, event);
        }
    }

    fn commit(&mut self, transport: &mut impl Transport<Step = S>, event: u8) {
        for (receiver, event) in self.store.unwritten.drain(..) {
            match event {
                Some(event) => self.store.settled[receiver][usize::from(event)] = true,
                None => self.store.ended[receiver] = true,
            }
        }
        self.store.events.push(event);
        self.take(transport, event);
    }

    fn take(&mut self, transport: &mut impl Transport<Step = S>, event: u8) {
        self.published.push((event, self.process));
        self.trace(|| format!("{event} is published"));
        transport.deliver(self, event);
        let soon = self.now + self.rng.random_range(0..MS);
        self.at(soon, What::Answer(event, self.process));
    }

    fn happens(&mut self, transport: &mut impl Transport<Step = S>, what: What<S>) {
        match what {
            What::Publish(event) => self.publish(transport, event),
            What::Commit(event, process) if process == self.process => {
                self.commit(transport, event)
            }
            // A publisher that was killed has answered nobody any more.
            What::Answer(event, process) if process == self.process => self.ledger.accepted(event),
            What::Commit(..) | What::Answer(..) => {}
            What::Kill if self.up => {
                self.trace(|| "the publisher is killed".to_owned());
                self.ledger.account.kills += 1;
                self.up = false;
                self.process += 1;
                self.synced = 0;
                self.store.unwritten.clear();
                transport.killed(self);
            }
            What::Restart if !self.up => {
                self.trace(|| "the publisher is back".to_owned());
                self.up = true;
                transport.restarted(self);
            }
            What::Kill | What::Restart => {}
            What::Cut => (0..self.plan.faults.len()).for_each(|r| transport.cut(self, r)),
            What::Down(receiver) => transport.down(self, receiver, true),
            What::Up(receiver) => transport.down(self, receiver, false),
            What::Transport(step) => transport.step(self, step),
        }
    }
}

fn run_as<T: Transport>(plan: &Plan, bug: Option<Bug>, tracing: bool) -> Ledger {
    let mut world = World::new(plan, bug, tracing);
    let mut transport = T::new(&mut world);
    while let Some(Reverse(Scheduled { at, what, .. })) = world.scheduled.pop() {
        world.now = at;
        world.ledger.account.steps += 1;
        let ends = world.ledger.account.steps < MOST_STEPS;
        world.ledger.law(ends, || "it does not end".to_owned());
        world.happens(&mut transport, what);
        if world.ledger.broken.is_some() {
            return world.ledger;
        }
    }
    transport.finish(&mut world);
    world.ledger.close();
    world.ledger
}

fn run(plan: &Plan, bug: Option<Bug>, tracing: bool) -> Ledger {
    if plan.streams {
        run_as::<stream::Stream>(plan, bug, tracing)
    } else {
        run_as::<webhook::Webhook>(plan, bug, tracing)
    }
}

/// Runs the schedule of a seed, and checks every law.
fn check(seed: u64, bug: Option<Bug>, tracing: bool) -> Ledger {
    let plan = Plan::draw(seed);
    if tracing {
        println!("{plan:#?}");
    }
    let mut ledger = run(&plan, bug, tracing);
    if seed.is_multiple_of(8) && ledger.broken.is_none() && plan.faults.len() > 1 {
        // Whatever breaks at the first receiver, the others get the same at the same instants.
        let healthy = run(&plan.with_healthy_first(), bug, false);
        let same = healthy.others() == ledger.others();
        ledger.law(same, || {
            "what breaks at the first receiver changes when others get events".into()
        });
    }
    ledger
}
