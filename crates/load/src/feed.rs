//! The feed: events of one arm in one shard, first in, first out, handed to whichever connection
//! has room. The same for every transport.

use crate::ledger::{Ledger, Ticket};
use pushbench_core::record::outcomes::Failure;
use pushbench_host::clock;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Room for waiting events at first: mostly there is one, and a queue walks through its room in a circle.
const WAITING_AT_FIRST: usize = 64;

/// Where the events of a feed come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The pacer puts them in when they are due.
    Open,
    /// Every taker gets one at once (closed loop): index `shard`, `shard + of`, …
    Closed {
        /// First index.
        shard: u64,
        /// Step.
        of: u64,
    },
    /// Another machine sends them: only their deliveries are awaited here.
    Elsewhere,
}

struct Queue {
    waiting: VecDeque<Ticket>,
    idle: VecDeque<usize>,
    wakers: Vec<Option<Waker>>,
    parked: Vec<bool>,
}

struct Inner {
    ledger: Rc<Ledger>,
    source: Source,
    backlog: usize,
    queue: RefCell<Queue>,
    next: Cell<u64>,
    running: Cell<bool>,
    ended: Cell<bool>,
    /// How often all connections were cut.
    cuts: Cell<u64>,
}

/// The pacer's end: puts events in.
#[derive(Clone)]
pub struct EventQueue(Rc<Inner>);

/// A connection's end: takes events out. A handle belongs to one connection slot.
pub struct Feed {
    inner: Rc<Inner>,
    slot: usize,
    put_back_event: Cell<Option<Ticket>>,
}

impl EventQueue {
    /// A feed for `slots` connections; more than `backlog` waiting events fail.
    pub fn new(ledger: Rc<Ledger>, source: Source, slots: usize, backlog: usize) -> EventQueue {
        let first = match source {
            Source::Open | Source::Elsewhere => 0,
            Source::Closed { shard, .. } => shard,
        };
        EventQueue(Rc::new(Inner {
            ledger,
            source,
            backlog,
            queue: RefCell::new(Queue {
                waiting: VecDeque::with_capacity(WAITING_AT_FIRST),
                idle: VecDeque::with_capacity(slots),
                wakers: vec![None; slots],
                parked: vec![false; slots],
            }),
            next: Cell::new(first),
            running: Cell::new(matches!(source, Source::Open)),
            ended: Cell::new(false),
            cuts: Cell::new(0),
        }))
    }

    /// The handle of connection `slot`.
    pub fn feed(&self, slot: usize) -> Feed {
        Feed { inner: self.0.clone(), slot, put_back_event: Cell::new(None) }
    }

    /// An event is due, `at` in the arm's own time. True when no other was waiting for a connection.
    pub fn put(&self, index: u64, due: u64, at: u64) -> bool {
        let ledger = &self.0.ledger;
        if self.0.source == Source::Elsewhere {
            ledger.expect(index, due, at);
            return true;
        }
        let ticket = ledger.open(index, due, Some(at));
        let mut queue = self.0.queue.borrow_mut();
        if queue.waiting.len() >= self.0.backlog {
            drop(queue);
            ledger.fail(
                &ticket,
                Failure::Backlog,
                "backlog full: raise load.backlog or lower the rate",
            );
            return false;
        }
        queue.waiting.push_back(ticket);
        ledger.backlog(queue.waiting.len());
        queue.wake_one();
        queue.waiting.len() == 1
    }

    /// An event is to be sent again. It has its place among those that are open, whatever waits.
    pub(crate) fn put_again(&self, ticket: Ticket) {
        let mut queue = self.0.queue.borrow_mut();
        queue.waiting.push_back(ticket);
        queue.wake_one();
    }

    /// Cuts all connections.
    pub(crate) fn cut(&self) {
        self.0.cuts.set(self.0.cuts.get() + 1);
        self.wake_all();
    }

    /// Lets a closed loop take events, or stops it (between its slices).
    pub fn run(&self, running: bool) {
        self.0.running.set(running);
        if running {
            self.wake_all();
        }
    }

    /// Nothing more will come: connections end when their events are done.
    pub fn end(&self) {
        self.0.ended.set(true);
        self.0.running.set(false);
        self.wake_all();
    }

    /// Wakes every connection, so that it sees what has timed out.
    pub(crate) fn wake_all(&self) {
        let wakers = self.0.queue.borrow().wakers.clone();
        wakers.iter().flatten().for_each(Waker::wake_by_ref);
    }
}

impl Queue {
    fn wake_one(&mut self) {
        while let Some(slot) = self.idle.pop_front() {
            if std::mem::take(&mut self.parked[slot])
                && let Some(waker) = &self.wakers[slot]
            {
                waker.wake_by_ref();
                return;
            }
        }
    }

    /// A slot that took an event by itself must not be woken for the next one: it may be full.
    fn unpark(&mut self, slot: usize) {
        if std::mem::take(&mut self.parked[slot]) {
            self.idle.retain(|s| *s != slot);
        }
    }

    fn park(&mut self, slot: usize) {
        if !std::mem::replace(&mut self.parked[slot], true) {
            self.idle.push_back(slot);
        }
    }
}

impl Feed {
    /// Remembers the task that drives this connection, for time-outs. Call it in every poll.
    pub fn register_waker(&self, cx: &Context<'_>) {
        let waker = &mut self.inner.queue.borrow_mut().wakers[self.slot];
        match waker {
            Some(known) if known.will_wake(cx.waker()) => {}
            _ => *waker = Some(cx.waker().clone()),
        }
    }

    /// The next event; `None` when no more will come.
    pub fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<Ticket>> {
        if let Some(ticket) = self.put_back_event.take()
            && self.inner.ledger.is_open(&ticket)
        {
            return Poll::Ready(Some(ticket));
        }
        if let Source::Closed { of, .. } = self.inner.source {
            return self.poll_closed(cx, of);
        }
        let mut queue = self.inner.queue.borrow_mut();
        while let Some(ticket) = queue.waiting.pop_front() {
            // It may have timed out while it waited.
            if self.inner.ledger.is_open(&ticket) {
                queue.unpark(self.slot);
                return Poll::Ready(Some(ticket));
            }
        }
        if self.inner.ended.get() {
            return Poll::Ready(None);
        }
        queue.park(self.slot);
        drop(queue);
        self.register_waker(cx);
        Poll::Pending
    }

    /// The next event if one waits already. This connection is not woken for a later one.
    pub(crate) fn next_waiting(&self) -> Option<Ticket> {
        if let Source::Closed { of, .. } = self.inner.source {
            let index = self.inner.next.get();
            let runs = self.inner.running.get() && !self.inner.ended.get();
            self.inner.next.set(index + if runs { of } else { 0 });
            return runs.then(|| self.inner.ledger.open(index, clock::now(), None));
        }
        let mut queue = self.inner.queue.borrow_mut();
        std::iter::from_fn(|| queue.waiting.pop_front())
            .find(|ticket| self.inner.ledger.is_open(ticket))
    }

    fn poll_closed(&self, cx: &Context<'_>, of: u64) -> Poll<Option<Ticket>> {
        if self.inner.ended.get() {
            return Poll::Ready(None);
        }
        if !self.inner.running.get() {
            self.register_waker(cx);
            return Poll::Pending;
        }
        let index = self.inner.next.get();
        self.inner.next.set(index + of);
        Poll::Ready(Some(self.inner.ledger.open(index, clock::now(), None)))
    }

    /// Waits for the next event.
    pub async fn next(&self) -> Option<Ticket> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Gives an event back that was not sent: this slot takes it first.
    pub(crate) fn put_back(&self, ticket: Ticket) {
        self.put_back_event.set(Some(ticket));
    }

    /// Passes the slot on to a new connection: a second handle, with any event that was put back.
    pub fn next_handle(&self) -> Feed {
        Feed {
            inner: self.inner.clone(),
            slot: self.slot,
            put_back_event: Cell::new(self.put_back_event.take()),
        }
    }

    /// Leaves an event to another connection that waits for one: this slot was woken for it and cannot take it.
    pub(crate) fn pass_on(&self) {
        let mut queue = self.inner.queue.borrow_mut();
        if !queue.waiting.is_empty() {
            queue.unpark(self.slot);
            queue.wake_one();
        }
    }

    /// True when nothing more will come.
    pub fn ended(&self) -> bool {
        self.inner.ended.get()
    }

    /// Waits for `work`, but no longer than until all connections are cut; `None` when they were.
    pub(crate) async fn until_cut<F: Future>(&self, work: F) -> Option<F::Output> {
        let cuts = self.inner.cuts.get();
        self.while_condition(|| self.inner.cuts.get() == cuts, work).await
    }

    /// Waits for `work`, but no longer than the event is open; `None` when it timed out first.
    pub(crate) async fn while_open<F: Future>(
        &self,
        ticket: &Ticket,
        work: F,
    ) -> Option<F::Output> {
        self.while_condition(|| self.inner.ledger.is_open(ticket), work).await
    }

    /// Waits for `work`, but no longer than `waits` holds, which is looked at whenever some event has
    /// timed out.
    pub(crate) async fn while_condition<F: Future>(
        &self,
        waits: impl Fn() -> bool,
        work: F,
    ) -> Option<F::Output> {
        let mut work = std::pin::pin!(work);
        poll_fn(|cx| {
            if let Poll::Ready(out) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(out));
            }
            if !waits() {
                return Poll::Ready(None);
            }
            self.register_waker(cx);
            Poll::Pending
        })
        .await
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        let mut queue = self.inner.queue.borrow_mut();
        if let Some(ticket) = self.put_back_event.take() {
            queue.waiting.push_front(ticket);
        }
        // Another waiting connection must be woken for events that this one did not take.
        if !queue.waiting.is_empty() {
            queue.wake_one();
        }
    }
}
