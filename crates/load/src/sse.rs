//! The subscriber's half: a stream that is read on one connection, and acknowledgements on another one.

use crate::subscriber::Ongoing;
use crate::subscriber::requests::{Requests, SubscriberRequest, unsubscribe};
use crate::subscriber::{SubscribeConfig, Subscriber};
use futures_util::future::{Either, select};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode, Uri};
use pushbench_core::record::fanout::Conduct;
use pushbench_core::scenario::payload::ID_DIGITS;
use pushbench_host::clock;
use pushbench_host::sleep::Timer;
use pushbench_wire::fault::Fault;
use pushbench_wire::sse::codec::{Decoder, Message};
use pushbench_wire::sse::{CONTENT, SUBSCRIBED};
use serde::Deserialize;
use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// What the publisher says when a stream opens.
#[derive(Deserialize)]
struct Subscribed {
    /// The subscription's number.
    subscriber: Option<u64>,
    /// Where acknowledgements go.
    acknowledge: Option<String>,
}

/// A subscriber with its open stream.
pub struct Stream {
    subscribe_config: Rc<SubscribeConfig>,
    come: Rc<Come>,
    streaming: Ongoing,
}

/// The connection that brings events.
struct Source {
    subscribe_config: Rc<SubscribeConfig>,
    number: usize,
    requests: Requests,
    body: Incoming,
    decoder: Decoder,
    come: Rc<Come>,
}

/// The connection that takes acknowledgements.
struct Acknowledging {
    requests: Requests,
    path: Uri,
}

impl Subscriber for Stream {
    type Common = ();

    async fn prepare(_: &Rc<SubscribeConfig>) -> Result<(), Fault> {
        Ok(())
    }

    async fn subscribe(
        subscribe_config: &Rc<SubscribeConfig>,
        (): &(),
        number: usize,
    ) -> Result<Self, Fault> {
        let mut requests = Requests::connect(subscribe_config, number).await?;
        let path = subscribe_config.wanting(number).path.parse().map_err(Fault::refused)?;
        let accept = Some((ACCEPT, HeaderValue::from_static(CONTENT)));
        let asked = SubscriberRequest { header: accept, ..SubscriberRequest::get(path) };
        let answer = requests.begin(&asked).await?;
        let body = streaming(answer, &mut requests).await?;
        let (decoder, come) = (Decoder::default(), Rc::<Come>::default());
        let mut source = Source {
            subscribe_config: subscribe_config.clone(),
            number,
            requests,
            body,
            decoder,
            come: come.clone(),
        };
        let acknowledging = match subscribe_config.asked.acknowledged {
            true => Some(source.acknowledging().await?),
            false => None,
        };
        source.requests.set_up();
        let streaming = Ongoing::new(stream(source, acknowledging));
        Ok(Stream { subscribe_config: subscribe_config.clone(), come, streaming })
    }

    async fn receive(&mut self) -> Result<(), Fault> {
        self.streaming.receive().await
    }

    async fn leave(mut self) -> Result<(), Fault> {
        self.streaming.finish(|| self.come.is_through()).await;
        match self.come.name.get() {
            Some(name) => {
                unsubscribe(
                    &self.subscribe_config,
                    &format!("{}/{name}", self.subscribe_config.subscribe.endpoint.path),
                )
                .await
            }
            // Its stream ends now, which is all that this publisher can be told.
            None => Ok(()),
        }
    }
}

/// Reads, and acknowledges what has come, until the stream ends.
async fn stream(mut source: Source, acknowledging: Option<Acknowledging>) -> Result<(), Fault> {
    let (subscribe_config, come) = (source.subscribe_config.clone(), source.come.clone());
    let receiving = pin!(source.receive());
    let Some(acknowledging) = acknowledging else { return receiving.await };
    match select(receiving, pin!(acknowledging.run(&come, &subscribe_config))).await {
        Either::Left((ended, _)) | Either::Right((ended, _)) => ended,
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
            let each = |here: &Source, message: Message<'_>| {
                if message.kind == SUBSCRIBED.as_bytes() {
                    told = here.come.subscribed(message.data);
                }
            };
            if !self.read(each).await? {
                break;
            }
        }
        let Some(acknowledge) = told else {
            let wanted = r#"{"acknowledge": "/where/to"}"#;
            let why = format!("the stream ended before an event {SUBSCRIBED} with {wanted}");
            return Err(Fault::Refused(why));
        };
        let path = acknowledge.parse().map_err(Fault::refused)?;
        let mut requests = Requests::connect(&self.subscribe_config, self.number).await?;
        requests.set_up();
        Ok(Acknowledging { requests, path })
    }

    /// Reads until the stream ends. One that is stuck does not read.
    async fn receive(&mut self) -> Result<(), Fault> {
        match self.subscribe_config.conduct(self.number) {
            Conduct::Healthy => while self.read(Source::take).await? {},
            Conduct::Slow => self.receive_slowly().await?,
            Conduct::Stuck => pending().await,
        }
        Ok(())
    }

    fn take(&self, message: Message<'_>) {
        if let Some(index) = self.index(&message) {
            let stamps = self.requests.stamps();
            self.subscribe_config.ledger.receive(self.number, index, stamps.read(), stamps.woken());
            self.acknowledge(index);
        }
    }

    /// Takes up one event after the other, and reads again when it is through with what it has read.
    async fn receive_slowly(&mut self) -> Result<(), Fault> {
        let timer = Timer::new().map_err(Fault::closed)?;
        let mut unhandled = Vec::new();
        while self.read(|here, message| unhandled.extend(here.index(&message))).await? {
            for index in unhandled.drain(..) {
                let now = clock::now();
                self.subscribe_config.ledger.receive(self.number, index, now, now);
                self.come.in_hand.set(true);
                timer.until(now + self.subscribe_config.slow_by()).await.map_err(Fault::closed)?;
                self.come.in_hand.set(false);
                self.acknowledge(index);
            }
        }
        Ok(())
    }

    /// Which event of the trial it is, where there is one of that id; `None` when it is no event.
    fn index(&self, message: &Message<'_>) -> Option<Option<u64>> {
        if message.kind == SUBSCRIBED.as_bytes() {
            self.come.subscribed(message.data);
            return None;
        }
        Some(self.subscribe_config.matched.index(message.data))
    }

    fn acknowledge(&self, index: Option<u64>) {
        if let Some(index) = index.filter(|_| self.subscribe_config.asked.acknowledged) {
            self.come.put(index);
        }
    }
}

impl Acknowledging {
    /// Acknowledges what has come, for ever. What comes while a request is on its way goes with the next.
    async fn run(mut self, come: &Come, subscribe_config: &SubscribeConfig) -> Result<(), Fault> {
        loop {
            let mut indices = poll_fn(|cx| come.poll_take(cx)).await;
            come.under_way.set(true);
            // As in `subscriber::stream`: what others have got is read before this one's answer.
            tokio::task::yield_now().await;
            indices.append(&mut come.indices.borrow_mut());
            let ids: Vec<String> = indices.iter().map(|i| format!("{i:0ID_DIGITS$x}")).collect();
            let body = serde_json::to_vec(&ids).map_err(Fault::protocol)?;
            let (status, said) =
                self.requests.ask(&SubscriberRequest::post(self.path.clone(), body)).await?;
            subscribe_config.ledger.requested(false);
            come.under_way.set(false);
            if !status.is_success() {
                let said = String::from_utf8_lossy(&said);
                subscribe_config
                    .ledger
                    .fault(&format!("acknowledgements were answered {status}: {said}"));
            }
        }
    }
}

/// What has come and is not acknowledged, beside what is known of the subscription.
#[derive(Default)]
struct Come {
    indices: RefCell<Vec<u64>>,
    acknowledging: RefCell<Option<Waker>>,
    /// A request with some of it is on its way.
    under_way: Cell<bool>,
    /// A slow subscriber has an event in hand.
    in_hand: Cell<bool>,
    /// The subscription's number, once the publisher has told it.
    name: Cell<Option<u64>>,
}

impl Come {
    /// The publisher says who the subscriber is, and where acknowledgements go.
    fn subscribed(&self, said: &[u8]) -> Option<String> {
        let Subscribed { subscriber, acknowledge } = serde_json::from_slice(said).ok()?;
        self.name.set(subscriber);
        acknowledge
    }

    /// Nothing is in hand, and everything is acknowledged.
    fn is_through(&self) -> bool {
        !self.in_hand.get() && !self.under_way.get() && self.indices.borrow().is_empty()
    }

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
