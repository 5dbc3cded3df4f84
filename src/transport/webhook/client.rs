//! The sender's half: one kept connection, one request at a time.

use super::unasked;
use crate::record::clock;
use crate::record::fates::Failure;
use crate::record::ledger::{Asked, Instants, Ledger, Ticket};
use crate::transport::dial::Dial;
use crate::transport::event::{Matched, body};
use crate::transport::fault::Fault;
use crate::transport::feed::Feed;
use crate::transport::io::{Stamped, Stamps};
use crate::transport::{Client, came_back};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri, Version};
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

/// An open connection to a webhook endpoint.
pub struct Webhook {
    dial: Dial,
    sender: SendRequest<Full<Bytes>>,
    connection: Connection<TokioIo<Stamped>, Full<Bytes>>,
    stamps: Rc<Stamps>,
}

impl Client for Webhook {
    async fn open(dial: &Dial) -> Result<Self, Fault> {
        let io = Stamped::connect(dial.address.socket, dial.max_segment, &dial.ledger).await?;
        if dial.warm {
            io.set_up();
        }
        let stamps = io.stamps();
        let (sender, connection) = handshake(TokioIo::new(io)).await.map_err(Fault::refused)?;
        Ok(Webhook { dial: dial.clone(), sender, connection, stamps })
    }

    async fn carry(self, feed: Feed, ledger: Rc<Ledger>) -> Result<(), Fault> {
        let Webhook { dial, mut sender, connection, stamps } = self;
        let mut line = Line { open: Some(connection), unread: Bytes::new() };
        let mut requests = pin!(send_all(&dial, &mut sender, &stamps, &feed, &ledger));
        // One task drives both halves. When the connection ends it is dropped at once: only then
        // does the sender learn of it, and the request in the air gets its verdict from hyper.
        let done = poll_fn(|cx| {
            let mut ended = line.drive(cx);
            loop {
                if let Poll::Ready(done) = requests.as_mut().poll(cx) {
                    return Poll::Ready(done);
                }
                // The request just queued must reach the socket in this very poll.
                let was_open = !ended;
                ended = line.drive(cx);
                if !(was_open && ended) {
                    return Poll::Pending;
                }
            }
        })
        .await;
        let left = line.end();
        match done {
            // What is left after a request that failed belongs to its answer.
            Err((fault @ Fault::Protocol(_), Written::Maybe)) => {
                Err(fault.with(&came_back::instead(&left, &dial.terms)))
            }
            Err((fault, Written::Maybe)) => Err(fault),
            done => {
                unasked::count(&left, &dial.matched, &ledger);
                done.map_err(|(fault, _)| fault)
            }
        }
    }
}

/// A connection while it is open, and then the bytes it brought that answer no request.
struct Line {
    open: Option<Connection<TokioIo<Stamped>, Full<Bytes>>>,
    unread: Bytes,
}

impl Line {
    /// Drives the open connection; true once it has ended and was dropped.
    fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        let ended = self.open.as_mut().is_none_or(|open| Pin::new(open).poll(cx).is_ready());
        if ended {
            self.end();
        }
        ended
    }

    /// Ends the connection. hyper ends it itself when bytes come that no request asked for, and says
    /// nothing to the sender: they are in its buffer.
    fn end(&mut self) -> Bytes {
        if let Some(open) = self.open.take() {
            self.unread = open.into_parts().read_buf;
        }
        self.unread.clone()
    }
}

async fn send_all(
    dial: &Dial,
    sender: &mut SendRequest<Full<Bytes>>,
    stamps: &Stamps,
    feed: &Feed,
    ledger: &Ledger,
) -> Result<(), (Fault, Written)> {
    let request = Prototype::new(dial).map_err(|fault| (fault, Written::No))?;
    let mut free = clock::now();
    let mut carried = 0;
    while dial.left(carried) > 0 {
        let Some(ticket) = next_while_connected(sender, feed).await else {
            return Ok(());
        };
        let sent = clock::now();
        ledger.sent(&ticket);
        let asked = Asked { free, sent, nth: carried + 1 };
        let measured = dial.called_back && ledger.asked(&ticket, asked);
        let exchange = exchange(sender, request.event(dial, ticket.index));
        // The answer may overtake the word that the question was accepted, which is still to come then.
        let waits = || {
            ledger.is_open(&ticket) || dial.called_back && ledger.is_in_time(&ticket, clock::now())
        };
        let answer = match feed.while_true(waits, exchange).await {
            None => return Err((Fault::TimedOut, Written::Maybe)),
            Some(Err((e, written))) => {
                match written {
                    // hyper hands it back: the next connection carries the event.
                    Written::No => {
                        ledger.unsent(&ticket);
                        feed.put_back(ticket);
                    }
                    Written::Maybe => ledger.lose(&ticket),
                }
                return Err((fault(&e), written));
            }
            Some(Ok(answer)) => answer,
        };
        carried += 1;
        let (done, woken) = (stamps.read(), stamps.woken());
        let at = Instants { free, sent, done, woken, nth: carried };
        match dial.called_back {
            false => settle(dial, ledger, &ticket, &answer, at),
            true if !answer.status.is_success() => refused(dial, ledger, &ticket, &answer),
            true if measured => ledger.accepted(&ticket, done),
            true => {}
        }
        free = at.done;
    }
    Ok(())
}

/// Waits for an event; `None` when no more will come or the idle connection ends. Then nothing is
/// lost: the slot connects anew for the next event.
async fn next_while_connected(
    sender: &mut SendRequest<Full<Bytes>>,
    feed: &Feed,
) -> Option<Ticket> {
    poll_fn(|cx| match sender.poll_ready(cx) {
        Poll::Ready(Err(_closed)) => Poll::Ready(None),
        Poll::Ready(Ok(())) => feed.poll_next(cx),
        Poll::Pending => {
            feed.watch(cx);
            Poll::Pending
        }
    })
    .await
}

/// Whether a request that failed can have reached the target.
enum Written {
    No,
    Maybe,
}

fn fault(e: &hyper::Error) -> Fault {
    if e.is_parse() { Fault::protocol(e) } else { Fault::closed(e) }
}

async fn exchange(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<Answer, (hyper::Error, Written)> {
    let response = sender.try_send_request(request).await.map_err(|mut e| {
        let written = e.take_message().map_or(Written::Maybe, |_unsent| Written::No);
        (e.into_error(), written)
    })?;
    let (head, body) = response.into_parts();
    // hyper keeps the connection only when the body was read to its end.
    let body = body.collect().await.map_err(|e| (e, Written::Maybe))?.to_bytes();
    Ok(Answer { status: head.status, headers: head.headers, body })
}

/// A whole response.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

fn settle(dial: &Dial, ledger: &Ledger, ticket: &Ticket, answer: &Answer, at: Instants) {
    let acknowledged = answer.status.is_success()
        && match &dial.matched {
            Matched::ByOrder => true,
            by_id => by_id.index(&answer.body) == Some(ticket.index),
        };
    if acknowledged {
        ledger.acknowledge(ticket, at);
    } else {
        refused(dial, ledger, ticket, answer);
    }
}

fn refused(dial: &Dial, ledger: &Ledger, ticket: &Ticket, answer: &Answer) {
    let Answer { status, headers, body } = answer;
    let response = came_back::Response { status: *status, headers, body };
    let message = came_back::to_event(&response, &dial.terms, ticket.index);
    ledger.fail(ticket, Failure::WrongAnswer, &message);
}

/// The parts of a request that are the same for every event.
struct Prototype {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl Prototype {
    fn new(dial: &Dial) -> Result<Prototype, Fault> {
        let host = HeaderValue::from_str(&dial.address.authority).map_err(Fault::refused)?;
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static("pushbench"));
        for (name, value) in &dial.terms.headers {
            headers.insert(name, value.clone());
        }
        // Every event has the same length; hyper would write it anew and let the map grow for it.
        headers.insert(CONTENT_LENGTH, HeaderValue::from(dial.template.len()));
        let uri = dial.address.path.parse().map_err(Fault::refused)?;
        Ok(Prototype { method: dial.terms.method.clone(), uri, headers })
    }

    fn event(&self, dial: &Dial, index: u64) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body(&dial.template, index)));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.version_mut() = Version::HTTP_11;
        *request.headers_mut() = self.headers.clone();
        request
    }
}
