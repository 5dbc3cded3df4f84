//! The subscriber's half: a stream that is read on one connection, and acknowledgements on another one, or over HTTP/2 on
//! another stream of the same.

use crate::ledger::DeliveryTimes;
use crate::subscriber::SubscriberTask;
use crate::subscriber::receivers::{PLANNED, Verdict};
use crate::subscriber::requests::{
    RequestConnection, ResponseBody, SubscriberRequest, unsubscribe,
};
use crate::subscriber::{Delivered, SubscribeConfig, Subscriber};
use futures_util::future::{Either, select};
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
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

/// The last event that a subscriber has got.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The first event of a stream.
#[derive(Deserialize)]
struct Subscribed {
    /// The subscription's number.
    subscriber: Option<u64>,
    /// Where acknowledgements go.
    acknowledge: Option<String>,
}

/// A subscriber with its open stream.
pub struct SseSubscriber {
    subscribe_config: Rc<SubscribeConfig>,
    number: usize,
    acknowledgements: Rc<Acknowledgements>,
    /// For the request that unsubscribes, where it is a stream of the same connection.
    unsubscribing: Option<RequestConnection>,
    streaming: SubscriberTask,
}

/// The connection that brings events.
struct EventStream {
    subscribe_config: Rc<SubscribeConfig>,
    number: usize,
    requests: RequestConnection,
    body: ResponseBody,
    decoder: Decoder,
    acknowledgements: Rc<Acknowledgements>,
}

/// The connection that takes acknowledgements: over HTTP/2 the same one.
struct Acknowledger {
    requests: RequestConnection,
    path: Uri,
}

impl Subscriber for SseSubscriber {
    type Common = ();

    async fn prepare(_: &Rc<SubscribeConfig>) -> Result<(), Fault> {
        Ok(())
    }

    async fn subscribe(
        subscribe_config: &Rc<SubscribeConfig>,
        (): &(),
        number: usize,
    ) -> Result<Self, Fault> {
        let mut requests = RequestConnection::connect(subscribe_config, number).await?;
        let path = subscribe_config.endpoint_for(number).path.parse().map_err(Fault::refused)?;
        let accept = Some((ACCEPT, HeaderValue::from_static(CONTENT)));
        let receivers = subscribe_config.receivers.as_ref();
        let last = receivers.and_then(|receivers| receivers.last_event_id(number));
        let last = last.and_then(|id| Some((LAST_EVENT_ID, HeaderValue::from_str(&id).ok()?)));
        let request = SubscriberRequest { headers: [accept, last], ..SubscriberRequest::get(path) };
        let answer = requests.begin(&request).await?;
        let body = streaming(answer, &mut requests).await?;
        let (decoder, acknowledgements) = (Decoder::default(), Rc::<Acknowledgements>::default());
        let mut source = EventStream {
            subscribe_config: subscribe_config.clone(),
            number,
            requests,
            body,
            decoder,
            acknowledgements: acknowledgements.clone(),
        };
        let acknowledger = match subscribe_config.settings.acknowledged {
            true => Some(source.acknowledger().await?),
            false => None,
        };
        source.requests.end_setup();
        let unsubscribing = source.requests.another();
        let streaming = SubscriberTask::new(stream(source, acknowledger));
        Ok(SseSubscriber {
            subscribe_config: subscribe_config.clone(),
            number,
            acknowledgements,
            unsubscribing,
            streaming,
        })
    }

    async fn receive(&mut self) -> Result<(), Fault> {
        self.streaming.receive().await
    }

    async fn leave(mut self) -> Result<(), Fault> {
        self.streaming.finish(|| self.acknowledgements.is_idle()).await;
        match self.acknowledgements.name.get() {
            Some(name) => {
                unsubscribe(
                    (&self.subscribe_config, self.number),
                    self.unsubscribing,
                    &format!("{}/{name}", self.subscribe_config.subscribe.endpoint.path),
                )
                .await
            }
            // This publisher has no request to unsubscribe; closing the stream must be enough.
            None => Ok(()),
        }
    }
}

/// Reads, and acknowledges what has come, until the stream ends.
async fn stream(mut source: EventStream, acknowledger: Option<Acknowledger>) -> Result<(), Fault> {
    let (subscribe_config, acknowledgements) =
        (source.subscribe_config.clone(), source.acknowledgements.clone());
    let receiving = pin!(source.receive());
    let Some(acknowledger) = acknowledger else { return receiving.await };
    match select(receiving, pin!(acknowledger.run(&acknowledgements, &subscribe_config))).await {
        Either::Left((ended, _)) | Either::Right((ended, _)) => ended,
    }
}

/// The body of an answer that is a stream of events.
async fn streaming(
    answer: Response<ResponseBody>,
    requests: &mut RequestConnection,
) -> Result<ResponseBody, Fault> {
    let (head, body) = answer.into_parts();
    let content = head.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if head.status == StatusCode::OK && content.starts_with(CONTENT) {
        return Ok(body);
    }
    let (status, text) = (head.status, requests.rest(body).await);
    let text = String::from_utf8_lossy(&text);
    Err(Fault::Refused(match status.is_success() {
        true => {
            format!("subscribing was answered with {content:?}, {CONTENT} was expected: {text}")
        }
        false => format!("subscribing was answered {status}: {text}"),
    }))
}

impl EventStream {
    /// Hands the events of the next bytes to `each`; ready when the stream has ended.
    async fn read(
        &mut self,
        mut each: impl FnMut(&EventStream, Message<'_>),
    ) -> Result<bool, Fault> {
        let Some(bytes) = self.requests.bytes(&mut self.body).await? else { return Ok(false) };
        let mut decoder = std::mem::take(&mut self.decoder);
        let read = decoder.push(&bytes, |message| each(self, message));
        self.decoder = decoder;
        read.map_err(Fault::protocol)?;
        Ok(true)
    }

    /// The connection for acknowledgements: the first event contains their path.
    async fn acknowledger(&mut self) -> Result<Acknowledger, Fault> {
        let (mut acknowledge_path, mut confirmed) = (None, Ok(()));
        while acknowledge_path.is_none() {
            let each = |source: &EventStream, message: Message<'_>| {
                let receivers = source.subscribe_config.receivers.as_ref();
                if message.kind == SUBSCRIBED.as_bytes() {
                    acknowledge_path = source.acknowledgements.subscribed(message.data);
                    if let Some(receivers) = receivers.filter(|receivers| receivers.resume()) {
                        confirmed = receivers.confirm(source.number, message.data);
                    }
                } else if let Some((receivers, index)) = receivers.zip(source.index(&message)) {
                    let times = source.requests.read_times().delivery();
                    receivers.put_early(source.number, index, times);
                }
            };
            if !self.read(each).await? {
                break;
            }
        }
        confirmed?;
        let Some(acknowledge) = acknowledge_path else {
            let wanted = r#"{"acknowledge": "/where/to"}"#;
            let why = format!("the stream ended before an event {SUBSCRIBED} with {wanted}");
            return Err(Fault::Refused(why));
        };
        let path = acknowledge.parse().map_err(Fault::refused)?;
        let requests = match self.requests.another() {
            Some(stream) => stream,
            None => {
                let mut requests =
                    RequestConnection::connect(&self.subscribe_config, self.number).await?;
                requests.end_setup();
                requests
            }
        };
        Ok(Acknowledger { requests, path })
    }

    /// Reads until the stream ends. One that is stuck does not read.
    async fn receive(&mut self) -> Result<(), Fault> {
        if self.subscribe_config.receivers.is_some() {
            return self.receive_under_guarantee().await;
        }
        match self.subscribe_config.conduct(self.number) {
            Conduct::Healthy => while self.read(EventStream::take).await? {},
            Conduct::Slow => self.receive_slowly().await?,
            Conduct::Stuck => pending().await,
        }
        Ok(())
    }

    fn take(&self, message: Message<'_>) {
        if let Some(index) = self.index(&message) {
            let read_times = self.requests.read_times();
            self.subscribe_config.ledger.receive(self.number, index, read_times.delivery());
            self.acknowledge(index);
        }
    }

    /// Handles one event after the other, and reads again when it has handled all of them.
    async fn receive_slowly(&mut self) -> Result<(), Fault> {
        let timer = Timer::new().map_err(Fault::closed)?;
        let mut unhandled = Vec::new();
        while self.read(|source, message| unhandled.extend(source.index(&message))).await? {
            for index in unhandled.drain(..) {
                let now = clock::now();
                self.subscribe_config.ledger.receive(
                    self.number,
                    index,
                    DeliveryTimes::handled(now),
                );
                self.acknowledgements.handling.set(true);
                timer.until(now + self.subscribe_config.slow_by()).await.map_err(Fault::closed)?;
                self.acknowledgements.handling.set(false);
                self.acknowledge(index);
            }
        }
        Ok(())
    }

    /// Reads under a guarantee or under faults. What was read behind an event that a planned fault has met is not looked at.
    async fn receive_under_guarantee(&mut self) -> Result<(), Fault> {
        let (subscribe_config, number) = (self.subscribe_config.clone(), self.number);
        let Some(receivers) = &subscribe_config.receivers else { return Ok(()) };
        let conduct = subscribe_config.conduct(number);
        if conduct == Conduct::Stuck {
            pending::<()>().await;
        }
        loop {
            for (index, times) in receivers.take_early(number) {
                let slow = conduct == Conduct::Slow;
                let times = if slow { DeliveryTimes::handled(clock::now()) } else { times };
                let verdict = receivers.arrive((number, index), times, None);
                if verdict == Verdict::Reset {
                    subscribe_config.reset(number);
                }
                if verdict != Verdict::Acknowledge {
                    return Err(Fault::closed(PLANNED));
                }
                if slow {
                    receivers.timer.until(times.read + subscribe_config.slow_by()).await;
                }
                self.acknowledge(index);
            }
            let each = |source: &EventStream, message: Message<'_>| {
                if let Some(index) = source.index(&message) {
                    receivers.put_early(number, index, source.requests.read_times().delivery());
                }
            };
            if !self.read(each).await? {
                return Ok(());
            }
        }
    }

    /// Which event of the trial it is, where there is one of that id; `None` when it is no event.
    fn index(&self, message: &Message<'_>) -> Option<Option<u64>> {
        if message.kind == SUBSCRIBED.as_bytes() {
            self.acknowledgements.subscribed(message.data);
            return None;
        }
        match self.subscribe_config.delivered(message.data) {
            // An event of another type, such as a greeting, is a delivery only if it carries an id.
            Delivered::Event(None) if !matches!(message.kind, b"" | b"message") => None,
            Delivered::Event(index) => Some(index),
            Delivered::Heartbeat | Delivered::Nothing => None,
        }
    }

    fn acknowledge(&self, index: Option<u64>) {
        if let Some(index) = index.filter(|_| self.subscribe_config.settings.acknowledged) {
            self.acknowledgements.put(index);
        }
    }
}

impl Acknowledger {
    /// Acknowledges what has come, for ever. What comes while a request is on its way goes with the next.
    async fn run(
        mut self,
        acknowledgements: &Acknowledgements,
        subscribe_config: &SubscribeConfig,
    ) -> Result<(), Fault> {
        loop {
            let mut indices = poll_fn(|cx| acknowledgements.poll_take(cx)).await;
            acknowledgements.request_in_progress.set(true);
            // As in `subscriber::stream`: what others have got is read before this one's answer.
            tokio::task::yield_now().await;
            indices.append(&mut acknowledgements.indices.borrow_mut());
            let ids: Vec<String> = indices.iter().map(|i| format!("{i:0ID_DIGITS$x}")).collect();
            let body = serde_json::to_vec(&ids).map_err(Fault::protocol)?;
            let answer =
                self.requests.exchange(&SubscriberRequest::post(self.path.clone(), body)).await?;
            let status = answer.status();
            subscribe_config.ledger.requested(false);
            acknowledgements.request_in_progress.set(false);
            if !status.is_success() {
                let text = String::from_utf8_lossy(answer.body());
                subscribe_config
                    .ledger
                    .fault(&format!("acknowledgements were answered {status}: {text}"));
            }
        }
    }
}

/// Events that are not acknowledged yet, and the state of the subscription.
#[derive(Default)]
struct Acknowledgements {
    indices: RefCell<Vec<u64>>,
    acknowledger: RefCell<Option<Waker>>,
    /// A request with some of it is on its way.
    request_in_progress: Cell<bool>,
    /// A slow subscriber is handling an event.
    handling: Cell<bool>,
    /// The subscription's number, once the publisher has sent it.
    name: Cell<Option<u64>>,
}

impl Acknowledgements {
    /// The publisher sends the number of the subscriber and the path of acknowledgements.
    fn subscribed(&self, text: &[u8]) -> Option<String> {
        let Subscribed { subscriber, acknowledge } = serde_json::from_slice(text).ok()?;
        self.name.set(subscriber);
        acknowledge
    }

    /// No event is being handled, and all are acknowledged.
    fn is_idle(&self) -> bool {
        !self.handling.get() && !self.request_in_progress.get() && self.indices.borrow().is_empty()
    }

    fn put(&self, index: u64) {
        self.indices.borrow_mut().push(index);
        if let Some(waker) = self.acknowledger.take() {
            waker.wake();
        }
    }

    /// Whatever has come, once it is something.
    fn poll_take(&self, cx: &Context<'_>) -> Poll<Vec<u64>> {
        let indices = self.indices.take();
        if !indices.is_empty() {
            return Poll::Ready(indices);
        }
        self.acknowledger.replace(Some(cx.waker().clone()));
        Poll::Pending
    }
}
