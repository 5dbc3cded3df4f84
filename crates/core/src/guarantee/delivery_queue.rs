//! The deliveries to one destination of a webhook publisher.

use crate::guarantee::Guarantee;
use crate::guarantee::backoff::Backoff;
use std::collections::{BTreeMap, VecDeque};

/// What the sender does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next<E> {
    /// It makes an attempt with this event, and reports the outcome.
    Send(E),
    /// It waits until this instant, or without one until an event is put in or the attempt under way has its outcome.
    Wait(Option<u64>),
    /// Nothing is sent any more.
    Ended,
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// The receiver took the event.
    Acknowledged,
    /// It did not, as far as the sender knows: another status, a time-out, a connection that was refused or ended.
    Failed {
        /// The receiver wants to be left alone for so long, ns: `Retry-After` of a 503 or 429.
        retry_after: Option<u64>,
    },
    /// The receiver ended its subscription: 410.
    Gone,
}

/// What became of the event of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled<E> {
    /// It is delivered.
    Acknowledged(E),
    /// It is tried again.
    Retried,
    /// All attempts have failed: it is lost for good.
    Exhausted(E),
    /// The subscription has ended, and everything that was open is lost for good.
    Ended(Vec<E>),
}

/// How long events waited behind one that was being tried again, in an ordered queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// Events that waited.
    pub events: u64,
    /// Their waiting together, ns.
    pub ns: u64,
}

#[derive(Debug, Clone)]
struct Delivery<E> {
    event: E,
    put: u64,
    failures: usize,
    held: bool,
}

/// The open events of one destination, and which of them is sent when. One attempt is under way at a time. In an ordered
/// queue an event waits until the one before it is settled; otherwise an attempt that is due again comes first, then the
/// oldest event that was not tried yet. While a `Retry-After` lasts, nothing is sent to the destination.
#[derive(Debug, Clone)]
pub struct DeliveryQueue<E> {
    backoff: Backoff,
    retries: bool,
    ordered: bool,
    capacity: usize,
    /// Events that were not tried yet.
    fresh: VecDeque<Delivery<E>>,
    /// Events that are tried again, by the instant at which they are due and the number of the attempt that failed.
    due: BTreeMap<(u64, u64), Delivery<E>>,
    under_way: Option<Delivery<E>>,
    not_before: u64,
    ended: bool,
    attempts: u64,
    /// Since when the events of `fresh` have waited behind one that is being tried again.
    held_since: Option<u64>,
    held: Held,
}

impl<E: Clone> DeliveryQueue<E> {
    /// The queue of destination `number` for `capacity` open events.
    pub fn new(guarantee: &Guarantee, seed: u64, number: u64, capacity: usize) -> DeliveryQueue<E> {
        DeliveryQueue {
            backoff: Backoff::new(guarantee, seed, number),
            retries: guarantee.retries(),
            ordered: guarantee.ordered,
            capacity,
            fresh: VecDeque::new(),
            due: BTreeMap::new(),
            under_way: None,
            not_before: 0,
            ended: false,
            attempts: 0,
            held_since: None,
            held: Held::default(),
        }
    }

    /// Puts an event in; false if the queue is full or has ended.
    pub fn put(&mut self, event: E, now: u64) -> bool {
        let takes = !self.ended && self.open() < self.capacity;
        if takes {
            self.fresh.push_back(Delivery { event, put: now, failures: 0, held: false });
        }
        takes
    }

    /// What to do next.
    pub fn next(&mut self, now: u64) -> Next<E> {
        if self.ended {
            return Next::Ended;
        }
        if self.under_way.is_some() || self.open() == 0 {
            return Next::Wait(None);
        }
        if now < self.not_before {
            return Next::Wait(Some(self.not_before));
        }
        let due = self.due.first_key_value().map(|((due, _), _)| *due);
        let delivery = match due {
            Some(due) if due <= now => self.due.pop_first().map(|(_, delivery)| delivery),
            Some(due) if self.ordered => return Next::Wait(Some(due)),
            _ => self.fresh.pop_front(),
        };
        let Some(delivery) = delivery else { return Next::Wait(due) };
        self.attempts += 1;
        Next::Send(self.under_way.insert(delivery).event.clone())
    }

    /// The attempt under way has this outcome.
    ///
    /// # Panics
    /// If there is none, and the queue has not ended.
    pub fn outcome(&mut self, outcome: Attempt, now: u64) -> Settled<E> {
        if self.ended {
            return Settled::Ended(Vec::new());
        }
        if outcome == Attempt::Gone {
            return Settled::Ended(self.end(now));
        }
        let mut delivery = self.under_way.take().expect("an attempt is under way");
        let Attempt::Failed { retry_after } = outcome else {
            self.release_held(now);
            return Settled::Acknowledged(delivery.event);
        };
        if self.retries {
            self.not_before = self.not_before.max(now.saturating_add(retry_after.unwrap_or(0)));
        }
        delivery.failures += 1;
        match self.backoff.pause_after(delivery.failures, retry_after) {
            Some(pause) => {
                self.due.insert((now.saturating_add(pause), self.attempts), delivery);
                self.held_since = self.held_since.or(self.ordered.then_some(now));
                Settled::Retried
            }
            None => {
                self.release_held(now);
                Settled::Exhausted(delivery.event)
            }
        }
    }

    /// Ends the queue, and returns everything that was open: the event of the attempt under way, then those to be tried
    /// again, then those that were not tried.
    pub fn end(&mut self, now: u64) -> Vec<E> {
        self.ended = true;
        self.release_held(now);
        let again = std::mem::take(&mut self.due).into_values();
        let open = self.under_way.take().into_iter().chain(again).chain(self.fresh.drain(..));
        open.map(|delivery| delivery.event).collect()
    }

    /// Events that are not settled.
    pub fn open(&self) -> usize {
        self.fresh.len() + self.due.len() + usize::from(self.under_way.is_some())
    }

    /// What waited behind an event that was tried again and is settled now.
    pub fn held(&self) -> Held {
        self.held
    }

    /// Attempts that were begun.
    pub fn attempts(&self) -> u64 {
        self.attempts
    }

    fn release_held(&mut self, now: u64) {
        let Some(since) = self.held_since.take() else { return };
        for delivery in &mut self.fresh {
            self.held.ns += now.saturating_sub(since.max(delivery.put));
            self.held.events += u64::from(!std::mem::replace(&mut delivery.held, true));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guarantee::{Jitter, Promise};
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;
    const FAILED: Attempt = Attempt::Failed { retry_after: None };

    fn queue(ordered: bool, attempts: usize) -> DeliveryQueue<u32> {
        let (delivery, jitter) = (Promise::AtLeastOnce, Jitter::None);
        let policy = Guarantee { delivery, ordered, jitter, attempts, ..Guarantee::default() };
        let mut queue = DeliveryQueue::new(&policy, 1, 0, 8);
        (1..=3).for_each(|event| assert!(queue.put(event, 0)));
        queue
    }

    #[test]
    fn an_ordered_queue_holds_the_next_event_back() {
        let mut queue = queue(true, 3);
        assert_eq!((queue.next(0), queue.next(0)), (Next::Send(1), Next::Wait(None)));
        assert_eq!(queue.outcome(FAILED, MS), Settled::Retried);
        assert_eq!(queue.next(MS), Next::Wait(Some(101 * MS)));
        assert!(queue.put(4, 51 * MS));
        assert_eq!(queue.next(101 * MS), Next::Send(1));
        assert_eq!(queue.outcome(FAILED, 101 * MS), Settled::Retried);
        assert_eq!(queue.next(301 * MS), Next::Send(1));
        assert_eq!(
            queue.outcome(FAILED, 301 * MS),
            Settled::Exhausted(1),
            "the third was the last"
        );
        // 2 and 3 waited 300 ms, 4 came later.
        assert_eq!(queue.held(), Held { events: 3, ns: (300 + 300 + 250) * MS });
        assert_eq!((queue.next(301 * MS), queue.attempts(), queue.open()), (Next::Send(2), 4, 3));
    }

    #[test]
    fn otherwise_others_go_on_and_what_is_due_again_comes_first() {
        let mut queue = queue(false, 3);
        assert_eq!(queue.next(0), Next::Send(1));
        assert_eq!((queue.outcome(FAILED, 0), queue.next(0)), (Settled::Retried, Next::Send(2)));
        assert_eq!(queue.outcome(Attempt::Acknowledged, 100 * MS), Settled::Acknowledged(2));
        assert_eq!(queue.next(100 * MS), Next::Send(1));
        assert_eq!(queue.outcome(Attempt::Acknowledged, 100 * MS), Settled::Acknowledged(1));
        assert_eq!((queue.next(100 * MS), queue.held()), (Next::Send(3), Held::default()));
        assert_eq!(queue.outcome(FAILED, 100 * MS), Settled::Retried);
        assert!(queue.put(4, 100 * MS));
        assert_eq!(queue.next(100 * MS), Next::Send(4));
        assert_eq!((queue.outcome(FAILED, 100 * MS), queue.open()), (Settled::Retried, 2));
        assert_eq!(queue.next(100 * MS), Next::Wait(Some(200 * MS)), "both are due at one instant");
        assert_eq!(queue.next(200 * MS), Next::Send(3));
    }

    #[test]
    fn retry_after_holds_the_whole_destination_back() {
        let mut queue = queue(false, 3);
        assert_eq!(queue.next(0), Next::Send(1));
        let busy = Attempt::Failed { retry_after: Some(1_000 * MS) };
        assert_eq!(
            (queue.outcome(busy, 0), queue.next(0)),
            (Settled::Retried, Next::Wait(Some(1_000 * MS)))
        );
        assert_eq!(queue.next(1_000 * MS), Next::Send(1));
    }

    #[test]
    fn gone_ends_everything_that_is_open() {
        let mut queue = queue(false, 3);
        assert_eq!((queue.next(0), queue.outcome(FAILED, 0)), (Next::Send(1), Settled::Retried));
        assert_eq!(queue.next(0), Next::Send(2));
        assert_eq!(queue.outcome(Attempt::Gone, 0), Settled::Ended(vec![2, 1, 3]));
        assert_eq!((queue.next(0), queue.open(), queue.put(4, 0)), (Next::Ended, 0, false));
        assert_eq!(
            queue.outcome(FAILED, 0),
            Settled::Ended(vec![]),
            "an attempt that was under way"
        );
    }

    #[test]
    fn at_most_once_is_one_attempt_and_no_pause() {
        let mut queue = DeliveryQueue::new(&Guarantee::default(), 1, 0, 2);
        assert!(queue.put(1, 0) && queue.put(2, 0) && !queue.put(3, 0), "it is full");
        assert_eq!(queue.next(0), Next::Send(1));
        let busy = Attempt::Failed { retry_after: Some(MS) };
        assert_eq!((queue.outcome(busy, 0), queue.next(0)), (Settled::Exhausted(1), Next::Send(2)));
    }

    proptest! {
        #[test]
        fn every_event_is_settled_once_within_its_attempts(
            ordered: bool,
            attempts in 1_usize..5,
            capacity in 1_usize..6,
            steps in proptest::collection::vec((0_u8..8, 0_u64..300), 0..200),
        ) {
            let policy = Guarantee { delivery: Promise::AtLeastOnce, ordered, attempts, ..Guarantee::default() };
            let mut queue = DeliveryQueue::new(&policy, 3, 0, capacity);
            let (mut now, mut put, mut tried, mut settled) = (0, Vec::new(), vec![0; 300], Vec::new());
            for (step, ms) in steps {
                now += ms * MS;
                let event = put.len();
                if step < 3 && queue.put(event, now) {
                    put.push(event);
                }
                match queue.next(now) {
                    Next::Send(event) => tried[event] += 1,
                    Next::Wait(Some(until)) => prop_assert!(until > now, "it would wait for nothing"),
                    Next::Wait(None) => {}
                    Next::Ended => prop_assert!(step == 7 || queue.open() == 0),
                }
                if queue.under_way.is_some() && step > 1 {
                    let outcome = match step {
                        7 => Attempt::Gone,
                        2 | 3 => Attempt::Failed { retry_after: Some(150 * MS) },
                        4 => FAILED,
                        _ => Attempt::Acknowledged,
                    };
                    match queue.outcome(outcome, now) {
                        Settled::Retried => {}
                        Settled::Acknowledged(event) => settled.push(event),
                        Settled::Exhausted(event) => {
                            prop_assert_eq!(tried[event], attempts);
                            settled.push(event);
                        }
                        Settled::Ended(events) => settled.extend(events),
                    }
                }
                prop_assert!(queue.open() <= capacity);
                prop_assert_eq!(queue.open() + settled.len(), put.len());
            }
            prop_assert!(tried.iter().all(|n| *n <= attempts));
            prop_assert_eq!(tried.iter().sum::<usize>() as u64, queue.attempts());
            settled.extend(queue.end(now));
            prop_assert!(!ordered || settled.is_sorted(), "{:?}", settled);
            settled.sort_unstable();
            prop_assert_eq!(settled, put);
        }
    }
}
