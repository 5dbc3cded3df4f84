//! Receiving by polling: each request contains the last event received, and its response is a JSON array
//! of what
//! has come to the publisher since. The same for every such transport.

use crate::ledger::DeliveryTimes;
use crate::subscriber::SubscribeConfig;
use crate::subscriber::receivers::{PLANNED, Verdict};
use crate::subscriber::requests::{RequestConnection, SubscriberRequest, unsubscribe};
use hyper::{Method, StatusCode, Uri};
use pushbench_core::record::fanout::Conduct;
use pushbench_core::scenario::payload::ID_DIGITS;
use pushbench_host::clock;
use pushbench_host::sleep::Timer;
use pushbench_wire::fault::Fault;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;

/// What a publisher answers to a subscription.
#[derive(Deserialize)]
struct Subscribed {
    /// The path of its events.
    events: String,
}

/// A subscriber that requests events.
pub struct EventRequester {
    state: Rc<SubscriptionState>,
    requests: RequestConnection,
}

/// The state of a subscription, which outlives its connection.
pub struct SubscriptionState {
    subscribe_config: Rc<SubscribeConfig>,
    number: usize,
    events: String,
    /// The last event that was handled.
    after: Cell<Option<u64>>,
    /// It is handling an event.
    busy: Cell<bool>,
}

impl EventRequester {
    /// Subscribes as number `number`.
    pub async fn subscribe(
        subscribe_config: &Rc<SubscribeConfig>,
        number: usize,
    ) -> Result<EventRequester, Fault> {
        let mut requests = RequestConnection::connect(subscribe_config, number).await?;
        let path: Uri = subscribe_config.subscribe.endpoint.path.parse().map_err(Fault::refused)?;
        let mut wanted = json!({ "types": subscribe_config.settings.wanted(number) });
        let receivers = subscribe_config.receivers.as_ref();
        if let Some(cursor) = receivers.and_then(|receivers| receivers.cursor(number)) {
            wanted["after"] = json!(cursor);
        }
        let answer = requests.exchange(&SubscriberRequest::post(path, wanted.to_string())).await?;
        let (status, body) = (answer.status(), answer.into_body());
        let text = || String::from_utf8_lossy(&body);
        if !status.is_success() {
            return Err(Fault::Refused(format!("subscribing was answered {status}: {}", text())));
        }
        let Subscribed { events } = serde_json::from_slice(&body).map_err(|e| {
            let wanted = r#"{"events": "/where/to/ask"} was expected"#;
            Fault::Refused(format!("subscribing was answered {:?}: {wanted}: {e}", text()))
        })?;
        if let Some(receivers) = receivers.filter(|receivers| receivers.resume()) {
            receivers.confirm(number, &body)?;
        }
        // A subscription that outlives its connection would take events for nobody.
        if let Some(ended) = receivers.and_then(|all| all.replace_events(number, &events)) {
            let path = ended.parse().map_err(Fault::refused)?;
            let method = Method::DELETE;
            let _gone = requests
                .exchange(&SubscriberRequest { method, ..SubscriberRequest::get(path) })
                .await?;
        }
        requests.end_setup();
        let (after, busy) = (Cell::default(), Cell::default());
        let state = Rc::new(SubscriptionState {
            subscribe_config: subscribe_config.clone(),
            number,
            events,
            after,
            busy,
        });
        Ok(EventRequester { state, requests })
    }

    /// The state that outlives the connection.
    pub(crate) fn state(&self) -> Rc<SubscriptionState> {
        self.state.clone()
    }

    /// Sends one request and records the events. A stuck subscriber sends none.
    pub async fn request_events(&mut self) -> Result<(), Fault> {
        if self.state.subscribe_config.conduct(self.state.number) == Conduct::Stuck {
            pending::<()>().await;
        }
        let path = self.state.path().parse().map_err(|e| {
            Fault::protocol(format!("{}: the path is not valid: {e}", self.state.events))
        })?;
        let answer = self.requests.exchange(&SubscriberRequest::get(path)).await?;
        let (status, body) = (answer.status(), answer.into_body());
        let events: Vec<&RawValue> = match status {
            StatusCode::NO_CONTENT => Vec::new(),
            StatusCode::OK => serde_json::from_slice(&body).map_err(|e| {
                Fault::protocol(format!("the answer is not an array of events: {e}"))
            })?,
            _ => {
                let text = String::from_utf8_lossy(&body);
                return Err(Fault::closed(format!(
                    "the request for events was answered {status}: {text}"
                )));
            }
        };
        let (read_times, state) = (self.requests.read_times(), &self.state);
        state.subscribe_config.ledger.requested(events.is_empty());
        for event in &events {
            let index = state.subscribe_config.index(event.get().as_bytes());
            match state.subscribe_config.conduct(state.number) {
                conduct if state.subscribe_config.receivers.is_some() => {
                    state.arrive(index, read_times.delivery(), conduct).await?;
                }
                Conduct::Slow => state.take_slowly(index).await?,
                _ => state.subscribe_config.ledger.receive(
                    state.number,
                    index,
                    read_times.delivery(),
                ),
            }
            state.after.set(index.or(state.after.get()));
        }
        // As in `stream`: other subscribers' events are read before this one sends its next request.
        tokio::task::yield_now().await;
        Ok(())
    }
}

impl SubscriptionState {
    /// Handles an event for the time of a slow subscriber.
    async fn take_slowly(&self, index: Option<u64>) -> Result<(), Fault> {
        let now = clock::now();
        self.subscribe_config.ledger.receive(self.number, index, DeliveryTimes::handled(now));
        self.busy.set(true);
        let through = async { Timer::new()?.until(now + self.subscribe_config.slow_by()).await };
        through.await.map_err(Fault::closed)?;
        self.busy.set(false);
        Ok(())
    }

    /// Handles an event under a guarantee or under faults. One that a planned fault meets ends the subscription: the next one
    /// is made with the event before it for a cursor.
    async fn arrive(
        &self,
        index: Option<u64>,
        times: DeliveryTimes,
        conduct: Conduct,
    ) -> Result<(), Fault> {
        let Some(receivers) = &self.subscribe_config.receivers else { return Ok(()) };
        let slow = conduct == Conduct::Slow;
        let times = if slow { DeliveryTimes::handled(clock::now()) } else { times };
        let verdict = receivers.arrive((self.number, index), times, None);
        if verdict == Verdict::Acknowledge {
            if slow {
                receivers.timer.until(times.read + self.subscribe_config.slow_by()).await;
            }
            return Ok(());
        }
        if verdict == Verdict::Reset {
            self.subscribe_config.reset(self.number);
        }
        Err(Fault::closed(PLANNED))
    }

    /// It is not handling an event.
    pub(crate) fn is_idle(&self) -> bool {
        !self.busy.get()
    }

    /// Ends the subscription and acknowledges what has come.
    pub async fn leave(&self) -> Result<(), Fault> {
        unsubscribe((&self.subscribe_config, self.number), None, &self.path()).await
    }

    /// The path of its events, with the last one as acknowledgement.
    fn path(&self) -> String {
        match self.after.get().filter(|_| self.subscribe_config.settings.acknowledged) {
            None => self.events.clone(),
            Some(after) => {
                let mark = if self.events.contains('?') { '&' } else { '?' };
                format!("{}{mark}after={after:0ID_DIGITS$x}", self.events)
            }
        }
    }
}
