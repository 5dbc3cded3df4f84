//! The one handler behind every built-in server: decode the event's JSON, check it, acknowledge
//! it or answer it.

use crate::authentication::Authentication;
use crate::receiver::Receiver;
use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderValue};
use pushbench_core::arm::{ArmOption, ArmOptions};
use pushbench_core::event::{Event, acknowledged_id, acknowledgement, answer, elements};
use pushbench_host::clock;
use pushbench_host::sleep::Timer;
use pushbench_wire::webhook::CALLBACK_URL;
use std::time::Duration;

/// Options of the handler: those of its arm, and those that imitate a slower server.
#[derive(Debug, Clone, Default)]
pub struct Handler {
    /// What is added to the transport.
    pub options: ArmOptions,
    /// Sleeps this long per event.
    pub delay: Option<Duration>,
    /// Burns CPU this long per event.
    pub work: Option<Duration>,
    /// Answers questions with so many bytes instead of acknowledging events.
    pub answer: Option<usize>,
    /// Refuses events of others than the sender it knows.
    pub authentication: Option<&'static Authentication>,
    /// Keeps a guarantee and meets what comes with planned faults.
    pub receiver: Option<Receiver>,
}

/// A timer, made when the first event must be delayed. Events of one connection are handled one after the other, but
/// for those over HTTP/2, of which each that is handled has a timer.
#[derive(Default)]
pub struct Pause(Option<Timer>);

/// Why an event is refused. A transport without a status sends the text alone.
pub type Refusal = (StatusCode, String);

/// An event that is in order.
pub struct Checked<'a> {
    /// The event.
    pub event: Event<'a>,
    /// The URL at which its answer is wanted, where that is not the connection it came by.
    pub callback: Option<&'a HeaderValue>,
}

pub(crate) fn bad(why: impl Into<String>) -> Refusal {
    (StatusCode::BAD_REQUEST, why.into())
}

impl Handler {
    /// Whether it takes its time over an event, so that an answer must not wait for the next one's.
    pub(crate) fn takes_time(&self) -> bool {
        self.delay.is_some() || self.work.is_some()
    }

    /// Handles one event: its acknowledgement or its answer, or why it is refused.
    pub async fn handle(
        &self,
        pause: &mut Pause,
        headers: &HeaderMap,
        event: &[u8],
    ) -> Result<String, Refusal> {
        let checked = self.check(headers, event)?;
        self.answer(pause, &checked.event.id).await
    }

    /// Whether a webhook request or a WebSocket handshake with these headers is taken.
    pub fn admit(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        self.authentication.map_or(Ok(()), |authentication| authentication.admit(headers))
    }

    /// Handles a batch of at most so many events: an array with an entry for each, or why all are refused.
    pub(crate) async fn handle_batch(
        &self,
        pause: &mut Pause,
        headers: &HeaderMap,
        body: &[u8],
        most: usize,
    ) -> Result<String, Refusal> {
        // One signature covers all of it.
        let body = self.signed(headers, body)?;
        let events = elements(body).map_err(|e| bad(format!("not a batch: {e}")))?;
        match events.len() {
            0 => return Err(bad("not a batch: there is no event in it")),
            n if n > most => {
                let why = format!("a batch of {n} events: this server takes at most {most}");
                return Err((StatusCode::PAYLOAD_TOO_LARGE, why));
            }
            _ => {}
        }
        let mut entries = String::from("[");
        for event in events {
            let event = event.get().as_bytes();
            let answer = match read(event) {
                Ok(event) => self.answer(pause, &event.id).await,
                Err(refusal) => Err(refusal),
            };
            if entries.len() > 1 {
                entries.push(',');
            }
            match answer {
                Ok(answer) => entries += &answer,
                Err((_, why)) => {
                    let id = acknowledged_id(event);
                    entries += &serde_json::json!({ "id": id, "error": why }).to_string();
                }
            }
        }
        entries.push(']');
        Ok(entries)
    }

    fn signed<'a>(&self, headers: &HeaderMap, body: &'a [u8]) -> Result<&'a [u8], Refusal> {
        self.authentication.map_or(Ok(body), |authentication| authentication.signed(headers, body))
    }

    /// The first half: the event, or why it is refused. `headers` are those of its request, or of the
    /// handshake of its connection; none where the transport has no headers.
    pub fn check<'a>(
        &self,
        headers: &'a HeaderMap,
        event: &'a [u8],
    ) -> Result<Checked<'a>, Refusal> {
        let event = read(self.signed(headers, event)?)?;
        let callback = match self.options.contains(ArmOption::Callback) {
            true => headers.get(CALLBACK_URL),
            false => None,
        };
        Ok(Checked { event, callback })
    }

    /// The second half: what goes back for the event of that id.
    pub async fn answer(&self, pause: &mut Pause, id: &str) -> Result<String, Refusal> {
        match &self.receiver {
            None => self.process(pause, id).await,
            Some(receiver) => {
                receiver.take(id, self.process(pause, id), || acknowledgement(id)).await
            }
        }
    }

    async fn process(&self, pause: &mut Pause, id: &str) -> Result<String, Refusal> {
        if let Some(work) = self.work {
            burn(work);
        }
        if let Some(delay) = self.delay {
            let timer = match pause.0.take() {
                Some(timer) => timer,
                None => Timer::new().map_err(|e| bad(format!("no timer: {e}")))?,
            };
            let until = clock::now() + delay.as_nanos() as u64;
            timer.until(until).await.map_err(|e| bad(e.to_string()))?;
            pause.0 = Some(timer);
        }
        Ok(match self.answer {
            Some(bytes) => answer(id, bytes),
            None => acknowledgement(id),
        })
    }
}

fn read(event: &[u8]) -> Result<Event<'_>, Refusal> {
    let event = Event::read(event).map_err(|e| bad(format!("not an event: {e}")))?;
    match event.id.is_empty() || event.kind.is_empty() {
        true => Err(bad("not an event: id and type must not be empty")),
        false => Ok(event),
    }
}

/// Uses CPU time of the thread, so that the cost is the same under load.
fn burn(work: Duration) {
    let end = clock::thread_cpu() + work.as_nanos() as u64;
    while clock::thread_cpu() < end {
        std::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderName;

    fn handle(event: &str) -> Result<String, Refusal> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (mut pause, headers) = (Pause::default(), HeaderMap::new());
        runtime.block_on(Handler::default().handle(&mut pause, &headers, event.as_bytes()))
    }

    #[test]
    fn an_event_is_acknowledged_by_its_id() {
        let ack = handle(r#"{"id":"7","type":"t","data":{}}"#).unwrap();
        assert_eq!(ack, r#"{"id":"7"}"#);
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for bad in [
            "",
            "{}",
            r#"{"id":"7","type":"t"}"#,
            r#"{"id":"","type":"t","data":{}}"#,
            r#"{"id":"7","type":"","data":{}}"#,
            r#"{"id":7,"type":"t","data":{}}"#,
            r#"{"id":"7","type":"t","data":{}"#,
        ] {
            assert!(handle(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn each_event_of_a_batch_has_its_entry() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let batch = |body: &str, most| {
            let (mut pause, headers) = (Pause::default(), HeaderMap::new());
            let handler = Handler::default();
            runtime.block_on(handler.handle_batch(&mut pause, &headers, body.as_bytes(), most))
        };
        let event = r#"{"id":"7","type":"t","data":{}}"#;
        assert_eq!(batch(&format!("[{event}]"), 1).unwrap(), r#"[{"id":"7"}]"#);
        let mixed = batch(&format!(" [{event}, {{\"id\": \"8\"}}, 9]"), 3).unwrap();
        let entries: serde_json::Value = serde_json::from_str(&mixed).unwrap();
        assert_eq!(entries[0], serde_json::json!({ "id": "7" }));
        assert!(entries[1]["id"] == "8" && entries[1]["error"].is_string(), "{mixed}");
        assert!(entries[2]["id"].is_null() && entries[2]["error"].is_string(), "{mixed}");
        for (body, status) in [("[]", 400), ("[", 400), ("[1, 2, 3]", 413)] {
            assert_eq!(batch(body, 2).unwrap_err().0, status, "{body}");
        }
    }

    #[test]
    fn a_url_in_the_headers_is_heeded_where_answers_are_called_back() {
        let url = (HeaderName::from_static(CALLBACK_URL), HeaderValue::from_static("u"));
        let headers = HeaderMap::from_iter([url]);
        let called_back = ArmOptions::default().with(ArmOption::Callback);
        for (options, heeded) in [(ArmOptions::default(), false), (called_back, true)] {
            let handler = Handler { options, ..Handler::default() };
            let checked = handler.check(&headers, br#"{"id":"7","type":"t","data":{}}"#);
            assert_eq!(checked.ok().unwrap().callback.is_some(), heeded);
        }
    }
}
