//! The queue of a subscriber: events that are not delivered or not acknowledged yet.

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use hyper::header::{HeaderName, HeaderValue};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// An event on its way to subscribers: serialised once, shared by all of them.
pub struct Publication {
    /// Its id.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// The event as it came.
    pub body: Bytes,
    /// Headers of its signature; none where it is in the body.
    pub signature: Vec<(HeaderName, HeaderValue)>,
    framed: OnceLock<Bytes>,
    /// Its number in the store, where there is one.
    pub(super) number: u64,
    /// Deliveries without an outcome, and one more while it is being queued.
    pub(super) unsettled: AtomicUsize,
    /// One of its deliveries has ended otherwise than acknowledged.
    pub(super) failed: AtomicBool,
}

impl Publication {
    /// Not delivered yet.
    pub fn new(id: String, kind: String, body: Bytes) -> Publication {
        Publication {
            id,
            kind,
            body,
            signature: Vec::new(),
            framed: OnceLock::new(),
            number: 0,
            unsettled: AtomicUsize::new(1),
            failed: AtomicBool::new(false),
        }
    }

    /// The event with what its transport puts around it, made once for all subscribers.
    pub fn framed(&self, make: impl FnOnce(&Publication) -> Bytes) -> Bytes {
        self.framed.get_or_init(|| make(self)).clone()
    }
}

/// What came of asking for events.
pub(super) enum Polled {
    /// Whatever was queued, oldest first.
    Events(Vec<Arc<Publication>>),
    /// The subscriber has sent a newer request.
    Superseded,
    /// The subscription has ended.
    Ended,
}

/// One subscriber's queue. The hub puts events in, the subscriber's task takes them out, and each stays
/// counted until it is settled.
pub struct Outbox {
    /// Types it wants; all where there are none.
    types: Vec<String>,
    /// The address that it was registered with, where that is to be recognised.
    url: Option<String>,
    capacity: usize,
    state: Mutex<State>,
    task: AtomicWaker,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Arc<Publication>>,
    /// Written, oldest first, and when.
    written: VecDeque<(Arc<Publication>, Instant)>,
    acknowledged: u64,
    /// Requests for events so far, of a subscriber that makes such.
    polls: u64,
    ended: bool,
}

impl Outbox {
    pub(super) fn new(types: Vec<String>, capacity: usize) -> Outbox {
        let (state, task) = (Mutex::default(), AtomicWaker::new());
        Outbox { types, url: None, capacity, state, task }
    }

    /// With these events to be delivered first.
    pub(super) fn with(self, events: VecDeque<Arc<Publication>>) -> Outbox {
        self.state().waiting = events;
        self
    }

    /// Of the subscription of this address.
    pub(super) fn at(self, url: Option<String>) -> Outbox {
        Outbox { url, ..self }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Types it wants; all where there are none.
    pub(super) fn types(&self) -> &[String] {
        &self.types
    }

    /// The address that it was registered with, where that is to be recognised.
    pub(super) fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// Queues an event and returns how many are unsettled then; `None` when there is no room for it.
    pub(super) fn put(&self, event: &Arc<Publication>) -> Option<usize> {
        let mut state = self.state();
        let open = state.waiting.len() + state.written.len();
        if state.ended || open >= self.capacity {
            return None;
        }
        state.waiting.push_back(event.clone());
        drop(state);
        self.task.wake();
        Some(open + 1)
    }

    /// Nothing more is taken out; what is being delivered is delivered to its end. False when it had
    /// ended already.
    pub(super) fn close(&self) -> bool {
        let had_ended = std::mem::replace(&mut self.state().ended, true);
        self.task.wake();
        !had_ended
    }

    /// The next event, which is written at once; `None` when the subscription has ended.
    pub fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<Arc<Publication>>> {
        if let Some(next) = self.take() {
            return Poll::Ready(next);
        }
        self.task.register(cx.waker());
        // An event that arrived before the registration has woken no task.
        self.take().map_or(Poll::Pending, Poll::Ready)
    }

    /// Whether the subscription has ended; if not, the task is woken when it does, or when there is an event.
    pub(super) fn poll_ended(&self, cx: &Context<'_>) -> bool {
        self.task.register(cx.waker());
        self.state().ended
    }

    pub(super) fn take(&self) -> Option<Option<Arc<Publication>>> {
        let mut state = self.state();
        if state.ended {
            return Some(None);
        }
        let event = state.waiting.pop_front()?;
        state.written.push_back((event.clone(), Instant::now()));
        Some(Some(event))
    }

    /// Waits for the next event.
    pub async fn next(&self) -> Option<Arc<Publication>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// A request for events begins, and gets its number; one that still waits gives up. What earlier
    /// responses contained and was not acknowledged is sent again.
    pub(super) fn begin_poll(&self) -> u64 {
        let mut state = self.state();
        state.polls += 1;
        while let Some((event, _)) = state.written.pop_back() {
            state.waiting.push_front(event);
        }
        let number = state.polls;
        drop(state);
        self.task.wake();
        number
    }

    /// Requests for events so far.
    pub(super) fn polls(&self) -> u64 {
        self.state().polls
    }

    /// What is queued for the request of that number, which is written at once: one event at least, and
    /// more while they have at most `bytes` together.
    pub(super) fn poll_events(&self, cx: &Context<'_>, number: u64, bytes: usize) -> Poll<Polled> {
        if let Some(polls) = self.take_events(number, bytes) {
            return Poll::Ready(polls);
        }
        self.task.register(cx.waker());
        self.take_events(number, bytes).map_or(Poll::Pending, Poll::Ready)
    }

    fn take_events(&self, number: u64, bytes: usize) -> Option<Polled> {
        let mut guard = self.state();
        let state = &mut *guard;
        if state.ended || state.polls != number {
            return Some(if state.ended { Polled::Ended } else { Polled::Superseded });
        }
        let (mut events, mut size, now) = (Vec::new(), 0, Instant::now());
        while let Some(event) = state.waiting.front() {
            size += event.body.len();
            if !events.is_empty() && size > bytes {
                break;
            }
            events.extend(state.waiting.pop_front());
        }
        state.written.extend(events.iter().map(|event| (event.clone(), now)));
        (!events.is_empty()).then_some(Polled::Events(events))
    }

    /// The written events up to the one of that id, which are settled now; none where it is not there.
    pub(super) fn settled_up_to(&self, id: &str) -> Vec<Arc<Publication>> {
        let mut state = self.state();
        let last = state.written.iter().position(|(event, _)| event.id == id);
        let n = last.map_or(0, |last| last + 1);
        state.acknowledged += n as u64;
        state.written.drain(..n).map(|(event, _)| event).collect()
    }

    /// The written event of that id, which is settled now. Acknowledgements mostly come in order.
    pub(super) fn settled(&self, id: &str, acknowledged: bool) -> Option<Arc<Publication>> {
        let mut state = self.state();
        let at = state.written.iter().position(|(event, _)| event.id == id)?;
        state.acknowledged += u64::from(acknowledged);
        state.written.remove(at).map(|(event, _)| event)
    }

    /// The written events that have waited for their acknowledgement for longer than this.
    pub(super) fn overdue(&self, timeout: Duration) -> Vec<Arc<Publication>> {
        let mut state = self.state();
        let now = Instant::now();
        let late = |(_, at): &&(Arc<Publication>, Instant)| now.duration_since(*at) > timeout;
        let n = state.written.iter().take_while(late).count();
        state.written.drain(..n).map(|(event, _)| event).collect()
    }

    /// Ends it, and gives back everything that has not been settled.
    pub(super) fn end(&self) -> Vec<Arc<Publication>> {
        let mut state = self.state();
        state.ended = true;
        let state = &mut *state;
        let written = state.written.drain(..).map(|(event, _)| event);
        let unsubscribe_response = written.chain(state.waiting.drain(..)).collect();
        self.task.wake();
        unsubscribe_response
    }

    pub(super) fn open(&self) -> usize {
        let state = self.state();
        state.waiting.len() + state.written.len()
    }

    pub(super) fn acknowledged(&self) -> u64 {
        self.state().acknowledged
    }
}
