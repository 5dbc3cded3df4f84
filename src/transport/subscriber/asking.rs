//! Receiving by asking: each request says which event came last, and its answer is a JSON array of what
//! has come to the publisher since. The same for every such transport.

use super::Call;
use super::requests::{Asked, Requests};
use crate::scenario::payload::ID_DIGITS;
use crate::transport::fault::Fault;
use hyper::{StatusCode, Uri};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::rc::Rc;

/// What a publisher answers to a subscription.
#[derive(Deserialize)]
struct Subscribed {
    /// Where its events are asked for.
    events: String,
}

/// A subscriber that asks.
pub struct Asking {
    call: Rc<Call>,
    number: usize,
    requests: Requests,
    events: String,
    /// The last event that came.
    after: Option<u64>,
}

impl Asking {
    /// Subscribes as number `number`.
    pub async fn subscribe(call: &Rc<Call>, number: usize) -> Result<Asking, Fault> {
        let mut requests = Requests::connect(call, number).await?;
        let path: Uri = call.subscribe.path.parse().map_err(Fault::refused)?;
        let (status, body) = requests.ask(&Asked::post(path, "{}")).await?;
        let said = || String::from_utf8_lossy(&body);
        if !status.is_success() {
            return Err(Fault::Refused(format!("subscribing was answered {status}: {}", said())));
        }
        let Subscribed { events } = serde_json::from_slice(&body).map_err(|e| {
            let wanted = r#"{"events": "/where/to/ask"} was expected"#;
            Fault::Refused(format!("subscribing was answered {:?}: {wanted}: {e}", said()))
        })?;
        requests.set_up();
        Ok(Asking { call: call.clone(), number, requests, events, after: None })
    }

    /// Asks once, and tells the ledger what came.
    pub async fn once(&mut self) -> Result<(), Fault> {
        let path = self.path()?;
        let (status, body) = self.requests.ask(&Asked::get(path)).await?;
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
        let stamps = self.requests.stamps();
        for event in &events {
            let index = self.call.matched.index(event.get().as_bytes());
            self.call.ledger.receive(self.number, index, stamps.read(), stamps.woken());
            self.after = index.or(self.after);
        }
        self.call.ledger.asked(events.is_empty());
        // As in `stream`: what others have got is read before this one asks again.
        tokio::task::yield_now().await;
        Ok(())
    }

    fn path(&self) -> Result<Uri, Fault> {
        let path = match self.after.filter(|_| self.call.acknowledged) {
            None => self.events.parse(),
            Some(after) => {
                let mark = if self.events.contains('?') { '&' } else { '?' };
                format!("{}{mark}after={after:0ID_DIGITS$x}", self.events).parse()
            }
        };
        path.map_err(|e| Fault::protocol(format!("{}: no usable path: {e}", self.events)))
    }
}
