//! A publisher with a log, and subscribers that keep a connection and resume from the last id that they have
//! acknowledged.

mod subscriber;

use super::ledger::Reason;
use super::plan::random;
use super::{Bug, Transport, World};
use crate::guarantee::backoff::Backoff;
use crate::guarantee::deduplicator::Deduplicator;
use crate::guarantee::replay_log::ReplayLog;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;

/// The id of an event; 0 is the cursor before the first one.
fn id(event: u8) -> String {
    if event == 0 { String::new() } else { event.to_string() }
}

/// What a publisher says first on a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hello {
    complete: bool,
    /// The first event that is replayed.
    from: Option<u8>,
    /// Counts the logs of the publisher: it changes when one is lost.
    log: u32,
    /// Events that had been published.
    published: usize,
}

/// What a publisher and a subscriber do. `link` is the number of a connection.
pub(super) enum Step {
    /// The subscriber connects.
    Connect(usize),
    /// The publisher is reached.
    Reach(usize),
    /// From now on the connection gets new events.
    Live {
        at: usize,
        link: u64,
    },
    Hello {
        at: usize,
        link: u64,
        hello: Hello,
    },
    /// An event has arrived at the subscriber, and has been processed.
    Arrived {
        at: usize,
        link: u64,
        event: u8,
    },
    Process {
        at: usize,
        link: u64,
        event: u8,
    },
    /// The publisher gets an acknowledgement.
    Acknowledged {
        at: usize,
        link: u64,
        event: u8,
    },
    /// The publisher looks whether one is overdue.
    Overdue {
        at: usize,
        link: u64,
    },
    /// The subscriber notes that the publisher has ended the connection.
    Ended {
        at: usize,
        link: u64,
    },
    /// The publisher notes that the subscriber has.
    Left {
        at: usize,
        link: u64,
    },
}

/// The publisher's end of a connection.
struct Connection {
    link: u64,
    is_live: bool,
    /// What is not acknowledged, and when it was sent.
    open: VecDeque<(u8, u64)>,
    capacity: usize,
}

/// A subscriber, and the publisher's end of its connection.
struct Subscriber {
    connection: Option<Connection>,
    /// Its own end; 0: it is not connected.
    link: u64,
    /// Messages of a connection arrive in order, and are processed one after the other.
    arrives: u64,
    busy: u64,
    backoff: Backoff,
    seen: Deduplicator<u8>,
    /// The last event that it has acknowledged.
    cursor: u8,
    /// Whose log it knows.
    log: u32,
    /// Failures in a row, as the harness counts them.
    failures: u32,
    rng: ChaCha8Rng,
    is_down: bool,
    gave_up: bool,
}

/// All of them, and the log of the publisher.
pub(super) struct Stream {
    subscribers: Vec<Subscriber>,
    log: ReplayLog<u8>,
    log_number: u32,
    links: u64,
}

type W<'p> = World<'p, Step>;

impl Stream {
    /// A message of the publisher, which keeps its order.
    fn message(&mut self, world: &mut W<'_>, at: usize, step: Step) {
        let subscriber = &mut self.subscribers[at];
        let transfer = world.delay(&mut subscriber.rng);
        subscriber.arrives = subscriber.arrives.max(world.now + transfer);
        world.after(subscriber.arrives - world.now, step);
    }

    fn send(&mut self, world: &mut W<'_>, at: usize, event: u8) {
        let Some(connection) = &mut self.subscribers[at].connection else { return };
        let link = connection.link;
        if connection.open.is_empty() {
            world.after(world.plan.timeout, Step::Overdue { at, link });
        }
        connection.open.push_back((event, world.now));
        world.ledger.account.attempts += 1;
        self.message(world, at, Step::Arrived { at, link, event });
    }

    /// The publisher ends a connection; the subscriber resumes.
    fn end(&mut self, world: &mut W<'_>, at: usize, why: &str) {
        let Some(connection) = self.subscribers[at].connection.take() else { return };
        world.trace(|| format!("the publisher ends the connection of {at}: {why}"));
        self.message(world, at, Step::Ended { at, link: connection.link });
    }

    /// The subscriber connects and names its cursor; the replay and what is new after it are one step.
    fn reach(&mut self, world: &mut W<'_>, at: usize) {
        let (subscriber, faults) = (&mut self.subscribers[at], &world.plan.faults[at]);
        let refused = faults.refuse > 0.0 && subscriber.rng.random_bool(faults.refuse);
        if subscriber.is_down || !world.up || refused {
            return self.failed(world, at, None);
        }
        self.links += 1;
        let link = self.links;
        subscriber.link = link;
        // What it had received over the one before is discarded.
        subscriber.busy = world.now;
        let resumed = self.log.resume(&id(subscriber.cursor));
        let complete = resumed.complete;
        let skip = usize::from(world.has_bug(Bug::ReplayOffByOne));
        let replayed: Vec<u8> = resumed.events.skip(skip).copied().collect();
        let from = replayed.first().copied();
        let again = complete && from.is_some_and(|from| from <= subscriber.cursor);
        world.ledger.law(!again, || format!("{at} gets what it has acknowledged"));
        world.ledger.account.resumed += 1;
        let is_live = !world.has_bug(Bug::GapAfterReplay);
        let capacity = world.plan.capacity + replayed.len();
        subscriber.connection = Some(Connection { link, is_live, open: VecDeque::new(), capacity });
        if world.has_bug(Bug::ConnectingIsSuccess) {
            subscriber.backoff.succeeded();
        }
        let cursor = subscriber.cursor;
        world.trace(|| {
            format!("{at} is connected after {cursor}: complete {complete}, {replayed:?}")
        });
        let hello =
            Hello { complete, from, log: self.log_number, published: world.published.len() };
        self.message(world, at, Step::Hello { at, link, hello });
        replayed.into_iter().for_each(|event| self.send(world, at, event));
        let live = Step::Live { at, link };
        world.after(world.plan.delay, live);
    }

    /// Ends a connection whose oldest event was not acknowledged in time.
    fn overdue(&mut self, world: &mut W<'_>, at: usize, link: u64) {
        let connection = self.subscribers[at].connection.as_ref();
        let Some(connection) = connection.filter(|open| open.link == link) else { return };
        let Some((_, sent)) = connection.open.front() else { return };
        let limit = sent + world.plan.timeout;
        if limit <= world.now {
            self.end(world, at, "no acknowledgement in time");
        } else {
            world.after(limit - world.now, Step::Overdue { at, link });
        }
    }

    fn is_linked(&self, at: usize, link: u64) -> bool {
        self.subscribers[at].link == link
    }
}

impl Transport for Stream {
    type Step = Step;

    fn new(world: &mut W<'_>) -> Stream {
        let policy = world.plan.policy(world.bug);
        let subscriber = |at| Subscriber {
            connection: None,
            link: 0,
            arrives: 0,
            busy: 0,
            backoff: Backoff::new(&policy, world.plan.seed, at as u64),
            seen: Deduplicator::new(policy.window),
            cursor: 0,
            log: 0,
            failures: 0,
            rng: random(world.plan.seed, 2 + at as u64),
            is_down: false,
            gave_up: false,
        };
        let subscribers: Vec<Subscriber> = (0..world.plan.faults.len()).map(subscriber).collect();
        (0..subscribers.len()).for_each(|at| world.after(0, Step::Connect(at)));
        Stream { subscribers, log: ReplayLog::new(policy.log), log_number: 0, links: 0 }
    }

    fn deliver(&mut self, world: &mut W<'_>, event: u8) {
        self.log.append(&id(event), event);
        for at in 0..self.subscribers.len() {
            match &self.subscribers[at].connection {
                Some(open) if open.is_live && open.open.len() >= open.capacity => {
                    self.end(world, at, "its queue is full");
                }
                Some(open) if open.is_live => self.send(world, at, event),
                _ => {}
            }
        }
    }

    fn step(&mut self, world: &mut W<'_>, step: Step) {
        match step {
            Step::Connect(at) => {
                let transfer = world.delay(&mut self.subscribers[at].rng);
                world.after(transfer, Step::Reach(at));
            }
            Step::Reach(at) => self.reach(world, at),
            Step::Live { at, link } | Step::Left { at, link } => {
                let is_left = matches!(step, Step::Left { .. });
                let connection = &mut self.subscribers[at].connection;
                match connection {
                    Some(open) if open.link == link && is_left => *connection = None,
                    Some(open) if open.link == link => open.is_live = true,
                    _ => {}
                }
            }
            Step::Hello { at, link, hello } if self.is_linked(at, link) => {
                self.greeted(world, at, hello);
            }
            Step::Arrived { at, link, event } if self.is_linked(at, link) => {
                self.arrived(world, at, link, event);
            }
            Step::Process { at, link, event } if self.is_linked(at, link) => {
                self.process(world, at, link, event);
            }
            Step::Acknowledged { at, link, event } => {
                let connection = self.subscribers[at].connection.as_mut();
                if let Some(connection) = connection.filter(|open| open.link == link) {
                    while connection.open.front().is_some_and(|(oldest, _)| *oldest <= event) {
                        connection.open.pop_front();
                    }
                }
            }
            Step::Overdue { at, link } => self.overdue(world, at, link),
            Step::Ended { at, link } if self.is_linked(at, link) => {
                self.subscribers[at].link = 0;
                self.failed(world, at, None);
            }
            // Of a connection that has ended.
            Step::Hello { .. }
            | Step::Arrived { .. }
            | Step::Process { .. }
            | Step::Ended { .. } => {}
        }
    }

    fn killed(&mut self, world: &mut W<'_>) {
        (0..self.subscribers.len()).for_each(|at| self.end(world, at, "it is killed"));
    }

    fn restarted(&mut self, world: &mut W<'_>) {
        let capacity = world.plan.guarantee.log;
        if world.plan.guarantee.durable {
            let trimmed = world.store.events.len().saturating_sub(capacity);
            let known = if world.has_bug(Bug::RestartForgetsTrimmed) { 0 } else { trimmed };
            self.log = ReplayLog::restored(capacity, known as u64);
            for event in &world.store.events[trimmed..] {
                self.log.append(&id(*event), *event);
            }
        } else {
            self.log = ReplayLog::new(capacity);
            let same = world.has_bug(Bug::SamePublisherAfterLoss);
            self.log_number = if same { 0 } else { world.process };
        }
    }

    fn cut(&mut self, world: &mut W<'_>, at: usize) {
        self.subscribers[at].connection = None;
        if self.subscribers[at].link != 0 {
            world.trace(|| format!("the connection of {at} is reset"));
            self.subscribers[at].link = 0;
            self.failed(world, at, None);
        }
    }

    fn down(&mut self, world: &mut W<'_>, at: usize, is_down: bool) {
        world.trace(|| format!("{at} is down: {is_down}"));
        self.subscribers[at].is_down = is_down;
        if is_down && self.subscribers[at].link != 0 {
            self.leave(world, at, None);
        }
    }

    fn finish(self, world: &mut W<'_>) {
        for (at, subscriber) in self.subscribers.iter().enumerate() {
            if subscriber.gave_up {
                for (event, _) in &world.published {
                    world.ledger.give_up(at, *event, Reason::Attempts, true);
                }
            } else {
                let connected = subscriber.link != 0 && subscriber.connection.is_some();
                world.ledger.law(connected, || format!("{at} neither is connected nor gave up"));
            }
        }
    }
}
