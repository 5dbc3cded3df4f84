//! The requests of a connection that have no answer yet.

use crate::webhook::client::InFlightRequest;
use crate::webhook::http2::tap::Body;
use bytes::BytesMut;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};
use hyper::http::response::Parts;
use pushbench_wire::limits::LONGEST_BODY;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// An event in the air.
pub(super) struct InFlightStream {
    pub request: InFlightRequest,
    /// When its bytes were handed to the socket, where a layer takes its time.
    pub written: Option<u64>,
    /// Dropped before its response has come, it resets the stream.
    pub _stream: SendStream<Body>,
    pub response: Response,
}

/// How much of a response has come.
pub(super) enum Response {
    Nothing(ResponseFuture),
    Head(Box<Parts>, RecvStream, BytesMut),
}

/// What has become of a stream.
pub(super) enum Ended {
    Answered(Box<Parts>, BytesMut),
    Broken(h2::Error),
    TooLong,
}

impl Response {
    /// Takes what has come.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        loop {
            match self {
                Response::Nothing(response) => match Pin::new(response).poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(e)) => return Poll::Ready(Ended::Broken(e)),
                    Poll::Ready(Ok(response)) => {
                        let (head, body) = response.into_parts();
                        *self = Response::Head(Box::new(head), body, BytesMut::new());
                    }
                },
                Response::Head(head, body, bytes) => {
                    let ended = match body.poll_data(cx) {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(Some(Ok(data))) => {
                            let _stream_may_have_ended =
                                body.flow_control().release_capacity(data.len());
                            if (bytes.len() + data.len()) as u64 > LONGEST_BODY {
                                return Poll::Ready(Ended::TooLong);
                            }
                            bytes.extend_from_slice(&data);
                            continue;
                        }
                        // A server that has answered before it has read everything may say so (RFC 9113, 8.1).
                        Poll::Ready(Some(Err(e))) if e.reason() != Some(Reason::NO_ERROR) => {
                            Ended::Broken(e)
                        }
                        Poll::Ready(Some(Err(e))) if !e.is_reset() => Ended::Broken(e),
                        Poll::Ready(_) => {
                            let empty = Box::new(hyper::Response::new(()).into_parts().0);
                            let head = std::mem::replace(head, empty);
                            Ended::Answered(head, std::mem::take(bytes))
                        }
                    };
                    return Poll::Ready(ended);
                }
            }
        }
    }
}

/// Streams of which something has come, in that order.
type Changed = Arc<Mutex<Vec<usize>>>;

/// Notes a stream. No task is woken: streams advance only while their connection is driven.
struct NotesChange {
    slot: usize,
    changed: Changed,
}

impl Wake for NotesChange {
    fn wake(self: Arc<Self>) {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner).push(self.slot);
    }
}

/// The streams, each in a slot of its own.
#[derive(Default)]
pub(super) struct InFlight {
    slots: Vec<Option<InFlightStream>>,
    wakers: Vec<Waker>,
    vacant: Vec<usize>,
    /// The number of each slot's event on its connection; the highest where there is none.
    nth: Vec<u64>,
    changed: Changed,
    /// Those that are looked at now, the next one last.
    looked_at: Vec<usize>,
    /// Slots whose events are not known to be written.
    unwritten: Vec<usize>,
}

const NONE: u64 = u64::MAX;

impl InFlight {
    pub fn len(&self) -> usize {
        self.slots.len() - self.vacant.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn iter(&self) -> impl Iterator<Item = &InFlightStream> {
        self.slots.iter().flatten()
    }

    /// Adds a stream. `encodes`: when it is written will be asked.
    pub fn push(&mut self, stream: InFlightStream, encodes: bool) {
        let slot = self.vacant.pop().unwrap_or_else(|| {
            let (slot, changed) = (self.slots.len(), self.changed.clone());
            self.slots.push(None);
            self.nth.push(NONE);
            self.wakers.push(Arc::new(NotesChange { slot, changed }).into());
            slot
        });
        self.nth[slot] = stream.request.send_instants.nth;
        self.slots[slot] = Some(stream);
        if encodes {
            self.unwritten.push(slot);
        }
        // It is looked at once, so that its changes are noted.
        self.changed().push(slot);
    }

    fn changed(&self) -> std::sync::MutexGuard<'_, Vec<usize>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next stream that has ended, in the order in which they have, and whether one that began before it is left.
    pub fn next_ended(&mut self) -> Option<(InFlightStream, Ended, bool)> {
        loop {
            if self.looked_at.is_empty() {
                let changed = &mut *self.changed.lock().unwrap_or_else(PoisonError::into_inner);
                std::mem::swap(&mut self.looked_at, changed);
                self.looked_at.reverse();
            }
            let slot = self.looked_at.pop()?;
            let Some(stream) = &mut self.slots[slot] else { continue };
            let mut cx = Context::from_waker(&self.wakers[slot]);
            let Poll::Ready(ended) = stream.response.poll(&mut cx) else { continue };
            let nth = self.nth[slot];
            let Some(stream) = self.take(slot) else { continue };
            return Some((stream, ended, self.nth.iter().any(|other| *other < nth)));
        }
    }

    fn take(&mut self, slot: usize) -> Option<InFlightStream> {
        let stream = self.slots[slot].take()?;
        self.nth[slot] = NONE;
        self.vacant.push(slot);
        Some(stream)
    }

    /// Drops every stream that does not fit, which resets it; how many.
    pub fn retain(&mut self, fits: impl Fn(&InFlightStream) -> bool) -> usize {
        let before = self.len();
        for slot in 0..self.slots.len() {
            if self.slots[slot].as_ref().is_some_and(|stream| !fits(stream)) {
                drop(self.take(slot));
            }
        }
        before - self.len()
    }

    /// What was not known to be written was handed to the socket.
    pub fn written(&mut self, at: u64) {
        for slot in self.unwritten.drain(..) {
            if let Some(stream) = &mut self.slots[slot] {
                stream.written = Some(at);
            }
        }
    }
}
