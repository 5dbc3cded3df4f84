//! The subscriber's half: a stream that is read on one connection, and acknowledgements on another one.

use super::codec::{Decoder, Message};
use super::{CONTENT, SUBSCRIBED};
use crate::scenario::payload::ID_DIGITS;
use crate::transport::fault::Fault;
use crate::transport::subscriber::requests::{Asked, Requests};
use crate::transport::subscriber::{Call, Subscriber};
use futures_util::future::{Either, select};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode, Uri};
use serde::Deserialize;
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// What the publisher says when a stream opens.
#[derive(Deserialize)]
struct Subscribed {
    /// Where acknowledgements go.
    acknowledge: String,
}

/// A subscriber with its open stream.
pub struct Stream {
    source: Source,
    acknowledging: Option<Acknowledging>,
}

/// The connection that brings events.
struct Source {
    call: Rc<Call>,
    number: usize,
    requests: Requests,
    body: Incoming,
    decoder: Decoder,
}

/// The connection that takes acknowledgements.
struct Acknowledging {
    requests: Requests,
    path: Uri,
}

impl Subscriber for Stream {
    type Common = ();

    async fn prepare(_: &Rc<Call>) -> Result<(), Fault> {
        Ok(())
    }

    async fn subscribe(call: &Rc<Call>, (): &(), number: usize) -> Result<Self, Fault> {
        let mut requests = Requests::connect(call, number).await?;
        let path = call.subscribe.path.parse().map_err(Fault::refused)?;
        let accept = Some((ACCEPT, HeaderValue::from_static(CONTENT)));
        let asked = Asked { header: accept, ..Asked::get(path) };
        let answer = requests.begin(&asked).await?;
        let body = streaming(answer, &mut requests).await?;
        let (call, decoder) = (call.clone(), Decoder::default());
        let mut source = Source { call, number, requests, body, decoder };
        let acknowledging = match source.call.acknowledged {
            true => Some(source.acknowledging().await?),
            false => None,
        };
        source.requests.set_up();
        Ok(Stream { source, acknowledging })
    }

    async fn receive(self) -> Result<(), Fault> {
        let Stream { mut source, acknowledging } = self;
        let Some(acknowledging) = acknowledging else { return source.receive(None).await };
        let come = Come::default();
        let (call, receiving) = (source.call.clone(), pin!(source.receive(Some(&come))));
        match select(receiving, pin!(acknowledging.run(&come, &call))).await {
            Either::Left((ended, _)) | Either::Right((ended, _)) => ended,
        }
    }
}

/// The body of an answer that is a stream of events.
async fn streaming(answer: Response<Incoming>, requests: &mut Requests) -> Result<Incoming, Fault> {
    let (head, body) = answer.into_parts();
    let content = head.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if head.status == StatusCode::OK && content.starts_with(CONTENT) {
        return Ok(body);
    }
    let (status, said) = (head.status, requests.rest(body).await);
    let said = String::from_utf8_lossy(&said);
    Err(Fault::Refused(match status.is_success() {
        true => {
            format!("subscribing was answered with {content:?}, {CONTENT} was expected: {said}")
        }
        false => format!("subscribing was answered {status}: {said}"),
    }))
}

impl Source {
    /// Hands the events of the next bytes to `each`; ready when the stream has ended.
    async fn read(&mut self, mut each: impl FnMut(&Source, Message<'_>)) -> Result<bool, Fault> {
        let Some(bytes) = self.requests.bytes(&mut self.body).await? else { return Ok(false) };
        let mut decoder = std::mem::take(&mut self.decoder);
        let read = decoder.push(&bytes, |message| each(self, message));
        self.decoder = decoder;
        read.map_err(Fault::protocol)?;
        Ok(true)
    }

    /// The connection for acknowledgements: the first event tells where they go.
    async fn acknowledging(&mut self) -> Result<Acknowledging, Fault> {
        let mut told = None;
        while told.is_none() {
            let each = |_: &Source, message: Message<'_>| {
                if message.kind == SUBSCRIBED.as_bytes() {
                    told = serde_json::from_slice::<Subscribed>(message.data).ok();
                }
            };
            if !self.read(each).await? {
                break;
            }
        }
        let Some(Subscribed { acknowledge }) = told else {
            let wanted = r#"{"acknowledge": "/where/to"}"#;
            let why = format!("the stream ended before an event {SUBSCRIBED} with {wanted}");
            return Err(Fault::Refused(why));
        };
        let path = acknowledge.parse().map_err(Fault::refused)?;
        let mut requests = Requests::connect(&self.call, self.number).await?;
        requests.set_up();
        Ok(Acknowledging { requests, path })
    }

    /// Reads until the stream ends; what is to be acknowledged goes to `come`.
    async fn receive(&mut self, come: Option<&Come>) -> Result<(), Fault> {
        let each = |here: &Source, message: Message<'_>| {
            if message.kind == SUBSCRIBED.as_bytes() {
                return;
            }
            let (call, stamps) = (&here.call, here.requests.stamps());
            let index = call.matched.index(message.data);
            call.ledger.receive(here.number, index, stamps.read(), stamps.woken());
            if let (Some(come), Some(index)) = (come, index) {
                come.put(index);
            }
        };
        while self.read(each).await? {}
        Ok(())
    }
}

impl Acknowledging {
    /// Acknowledges what has come, for ever. What comes while a request is on its way goes with the next.
    async fn run(mut self, come: &Come, call: &Call) -> Result<(), Fault> {
        loop {
            let mut indices = poll_fn(|cx| come.poll_take(cx)).await;
            // As in `subscriber::stream`: what others have got is read before this one's answer.
            tokio::task::yield_now().await;
            indices.append(&mut come.indices.borrow_mut());
            let ids: Vec<String> = indices.iter().map(|i| format!("{i:0ID_DIGITS$x}")).collect();
            let body = serde_json::to_vec(&ids).map_err(Fault::protocol)?;
            let (status, said) = self.requests.ask(&Asked::post(self.path.clone(), body)).await?;
            call.ledger.asked(false);
            if !status.is_success() {
                let said = String::from_utf8_lossy(&said);
                call.ledger.fault(&format!("acknowledgements were answered {status}: {said}"));
            }
        }
    }
}

/// What has come and is not acknowledged.
#[derive(Default)]
struct Come {
    indices: RefCell<Vec<u64>>,
    acknowledging: RefCell<Option<Waker>>,
}

impl Come {
    fn put(&self, index: u64) {
        self.indices.borrow_mut().push(index);
        if let Some(waker) = self.acknowledging.take() {
            waker.wake();
        }
    }

    /// Whatever has come, once it is something.
    fn poll_take(&self, cx: &Context<'_>) -> Poll<Vec<u64>> {
        let indices = self.indices.take();
        if !indices.is_empty() {
            return Poll::Ready(indices);
        }
        self.acknowledging.replace(Some(cx.waker().clone()));
        Poll::Pending
    }
}
