//! The subscriber of a long-poll publisher that is not ours. A request is held until there is an event, and
//! the next request states by the validators of the answer (RFC 9110, 8.8) which event was the last one.

use crate::ledger::DeliveryTimes;
use crate::subscriber::receivers::{PLANNED, Verdict};
use crate::subscriber::requests::{RequestConnection, SubscriberRequest};
use crate::subscriber::{Delivered, SubscribeConfig, Subscriber, SubscriberTask};
use bytes::Bytes;
use hyper::header::{
    ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use hyper::{Response, StatusCode};
use pushbench_core::record::fanout::Conduct;
use pushbench_host::clock;
use pushbench_host::sleep::Timer;
use pushbench_wire::fault::Fault;
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

/// A publisher has read the first requests within this, and answered those that it does not hold, ns.
const HELD_WITHIN_NS: u64 = 50_000_000;
/// Answers without an event to one subscriber in that time, from a publisher that holds requests.
const MOST_EMPTY: usize = 8;
/// One that still answers without an event, and one that may have had no CPU, is given that time so often.
const MOST_WINDOWS: usize = 16;

/// A subscriber with its connection, on which a request is always held.
pub struct HeldRequestSubscriber(SubscriberTask);

/// Whether the requests of the subscribers of an arm are held: no answer says it.
#[derive(Default)]
pub struct FirstRequests {
    /// Enough time has passed. What is answered before was published before the trial.
    held: Cell<bool>,
    /// A request was answered without an event since this was last looked at.
    answered: Cell<bool>,
    refused: RefCell<Option<Fault>>,
}

/// The requests of one subscriber.
struct HeldRequests {
    subscribe_config: Rc<SubscribeConfig>,
    number: usize,
    requests: RequestConnection,
    next: SubscriberRequest,
    first_requests: Rc<FirstRequests>,
}

impl Subscriber for HeldRequestSubscriber {
    type Common = Rc<FirstRequests>;

    async fn prepare(_: &Rc<SubscribeConfig>) -> Result<Rc<FirstRequests>, Fault> {
        Ok(Rc::default())
    }

    async fn subscribe(
        subscribe_config: &Rc<SubscribeConfig>,
        first_requests: &Rc<FirstRequests>,
        number: usize,
    ) -> Result<Self, Fault> {
        let mut requests = RequestConnection::connect(subscribe_config, number).await?;
        requests.end_setup();
        let path = subscribe_config.endpoint_for(number).path.parse().map_err(Fault::refused)?;
        let held_requests = HeldRequests {
            subscribe_config: subscribe_config.clone(),
            number,
            requests,
            next: SubscriberRequest::get(path),
            first_requests: first_requests.clone(),
        };
        let mut task = SubscriberTask::new(held_requests.run());
        task.begin().await?;
        Ok(HeldRequestSubscriber(task))
    }

    async fn confirm(first_requests: &Rc<FirstRequests>) -> Result<(), Fault> {
        let timer = Timer::new().map_err(Fault::refused)?;
        for _ in 0..MOST_WINDOWS {
            let until = clock::now() + HELD_WITHIN_NS;
            timer.until(until).await.map_err(Fault::refused)?;
            // While this machine stood still the publisher may have done so, too.
            let stalled = clock::now() > until + HELD_WITHIN_NS / 5;
            let answered = first_requests.answered.replace(false);
            if !(answered || stalled) || first_requests.refused.borrow().is_some() {
                break;
            }
        }
        first_requests.held.set(true);
        first_requests.refused.take().map_or(Ok(()), Err)
    }

    async fn receive(&mut self) -> Result<(), Fault> {
        self.0.receive().await
    }

    async fn leave(self) -> Result<(), Fault> {
        Ok(())
    }
}

impl HeldRequests {
    async fn run(mut self) -> Result<(), Fault> {
        let Err(fault) = self.receive().await;
        match self.first_requests.held.get() {
            true => Err(fault),
            false => {
                self.first_requests.refused.replace(Some(fault));
                pending().await
            }
        }
    }

    async fn receive(&mut self) -> Result<Infallible, Fault> {
        let conduct = self.subscribe_config.conduct(self.number);
        if conduct == Conduct::Stuck {
            // Its request is held, and the answer is not read.
            let mut first = pin!(self.requests.exchange(&self.next));
            poll_fn(|cx| Poll::Ready(first.as_mut().poll(cx).is_ready())).await;
            pending::<()>().await;
        }
        let mut empty = 0;
        loop {
            let answer = self.requests.exchange(&self.next).await?;
            let event = event(&answer)?;
            for (kept, new) in self.next.headers.iter_mut().zip(validators(answer.headers())) {
                *kept = new.or(kept.take());
            }
            if self.first_requests.held.get() {
                self.subscribe_config.ledger.requested(event.is_none());
                if let Some(Delivered::Event(index)) =
                    event.map(|event| self.subscribe_config.delivered(event))
                {
                    self.take(index, conduct).await?;
                }
            } else if event.is_none() {
                self.first_requests.answered.set(true);
                empty += 1;
                if empty > MOST_EMPTY {
                    return Err(Fault::Refused(format!(
                        "{empty} requests were answered {} at once, but a long-poll's request is held \
                         until there is an event",
                        answer.status()
                    )));
                }
            }
            // As in `stream`: other subscribers' events are read before this one sends its next request.
            tokio::task::yield_now().await;
        }
    }

    async fn take(&self, index: Option<u64>, conduct: Conduct) -> Result<(), Fault> {
        let ledger = &self.subscribe_config.ledger;
        if let Some(receivers) = &self.subscribe_config.receivers {
            let times = self.requests.read_times().delivery();
            let verdict = receivers.arrive((self.number, index), times, None);
            if verdict == Verdict::Reset {
                self.subscribe_config.reset(self.number);
            }
            let acknowledged = verdict == Verdict::Acknowledge;
            return if acknowledged { Ok(()) } else { Err(Fault::closed(PLANNED)) };
        }
        if conduct != Conduct::Slow {
            ledger.receive(self.number, index, self.requests.read_times().delivery());
            return Ok(());
        }
        let now = clock::now();
        ledger.receive(self.number, index, DeliveryTimes::handled(now));
        let handled = async { Timer::new()?.until(now + self.subscribe_config.slow_by()).await };
        handled.await.map_err(Fault::closed)
    }
}

/// The event in an answer; `None` if it says that there was none.
fn event(answer: &Response<Bytes>) -> Result<Option<&[u8]>, Fault> {
    match answer.status() {
        StatusCode::OK if validators(answer.headers()).iter().all(Option::is_none) => {
            Err(Fault::protocol(
                "the answer with an event has neither Last-Modified nor Etag, so the next request \
                 cannot state which event was the last one",
            ))
        }
        StatusCode::OK => Ok(Some(answer.body())),
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED | StatusCode::REQUEST_TIMEOUT => Ok(None),
        status => {
            let text = String::from_utf8_lossy(answer.body());
            Err(Fault::closed(format!("the request for events was answered {status}: {text}")))
        }
    }
}

/// The headers of the next request that state which answer was the last one.
fn validators(answer: &HeaderMap) -> [Option<(HeaderName, HeaderValue)>; 2] {
    [(LAST_MODIFIED, IF_MODIFIED_SINCE), (ETAG, IF_NONE_MATCH)]
        .map(|(from, to)| answer.get(from).map(|value| (to, value.clone())))
}
