//! Receiving by asking: each request says which event came last, and its answer is a JSON array of what
//! has come to the publisher since. The same for every such transport.

use crate::subscriber::SubscribeConfig;
use crate::subscriber::requests::{Requests, SubscriberRequest, unsubscribe};
use hyper::{StatusCode, Uri};
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
    /// Where its events are asked for.
    events: String,
}

/// A subscriber that asks.
pub struct Asking {
    seat: Rc<Seat>,
    requests: Requests,
}

/// What is known of a subscriber beside its connection, and outlives it.
pub struct Seat {
    subscribe_config: Rc<SubscribeConfig>,
    number: usize,
    events: String,
    /// The last event that came and that it is through with.
    after: Cell<Option<u64>>,
    /// It has something in hand.
    busy: Cell<bool>,
}

impl Asking {
    /// Subscribes as number `number`.
    pub async fn subscribe(
        subscribe_config: &Rc<SubscribeConfig>,
        number: usize,
    ) -> Result<Asking, Fault> {
        let mut requests = Requests::connect(subscribe_config, number).await?;
        let path: Uri = subscribe_config.subscribe.endpoint.path.parse().map_err(Fault::refused)?;
        let wanted = json!({ "types": subscribe_config.asked.wanted(number) }).to_string();
        let (status, body) = requests.ask(&SubscriberRequest::post(path, wanted)).await?;
        let said = || String::from_utf8_lossy(&body);
        if !status.is_success() {
            return Err(Fault::Refused(format!("subscribing was answered {status}: {}", said())));
        }
        let Subscribed { events } = serde_json::from_slice(&body).map_err(|e| {
            let wanted = r#"{"events": "/where/to/ask"} was expected"#;
            Fault::Refused(format!("subscribing was answered {:?}: {wanted}: {e}", said()))
        })?;
        requests.set_up();
        let (after, busy) = (Cell::default(), Cell::default());
        let seat = Rc::new(Seat {
            subscribe_config: subscribe_config.clone(),
            number,
            events,
            after,
            busy,
        });
        Ok(Asking { seat, requests })
    }

    /// What outlives its connection.
    pub(crate) fn seat(&self) -> Rc<Seat> {
        self.seat.clone()
    }

    /// Asks once, and tells the ledger what came. One that is stuck does not ask.
    pub async fn once(&mut self) -> Result<(), Fault> {
        if self.seat.subscribe_config.conduct(self.seat.number) == Conduct::Stuck {
            pending::<()>().await;
        }
        let path =
            self.seat.path().parse().map_err(|e| {
                Fault::protocol(format!("{}: no usable path: {e}", self.seat.events))
            })?;
        let (status, body) = self.requests.ask(&SubscriberRequest::get(path)).await?;
        let events: Vec<&RawValue> = match status {
            StatusCode::NO_CONTENT => Vec::new(),
            StatusCode::OK => serde_json::from_slice(&body)
                .map_err(|e| Fault::protocol(format!("the answer is no array of events: {e}")))?,
            _ => {
                let said = String::from_utf8_lossy(&body);
                return Err(Fault::closed(format!(
                    "asking for events was answered {status}: {said}"
                )));
            }
        };
        let (stamps, seat) = (self.requests.stamps(), &self.seat);
        seat.subscribe_config.ledger.requested(events.is_empty());
        for event in &events {
            let index = seat.subscribe_config.matched.index(event.get().as_bytes());
            match seat.subscribe_config.conduct(seat.number) {
                Conduct::Slow => seat.take_slowly(index).await?,
                _ => seat.subscribe_config.ledger.receive(
                    seat.number,
                    index,
                    stamps.read(),
                    stamps.woken(),
                ),
            }
            seat.after.set(index.or(seat.after.get()));
        }
        // As in `stream`: what others have got is read before this one asks again.
        tokio::task::yield_now().await;
        Ok(())
    }
}

impl Seat {
    /// Takes an event up, and is through with it a while later.
    async fn take_slowly(&self, index: Option<u64>) -> Result<(), Fault> {
        let now = clock::now();
        self.subscribe_config.ledger.receive(self.number, index, now, now);
        self.busy.set(true);
        let through = async { Timer::new()?.until(now + self.subscribe_config.slow_by()).await };
        through.await.map_err(Fault::closed)?;
        self.busy.set(false);
        Ok(())
    }

    /// It has nothing in hand.
    pub(crate) fn is_through(&self) -> bool {
        !self.busy.get()
    }

    /// Ends the subscription and acknowledges what has come.
    pub async fn leave(&self) -> Result<(), Fault> {
        unsubscribe(&self.subscribe_config, &self.path()).await
    }

    /// Where it asks, with what it acknowledges.
    fn path(&self) -> String {
        match self.after.get().filter(|_| self.subscribe_config.asked.acknowledged) {
            None => self.events.clone(),
            Some(after) => {
                let mark = if self.events.contains('?') { '&' } else { '?' };
                format!("{}{mark}after={after:0ID_DIGITS$x}", self.events)
            }
        }
    }
}
