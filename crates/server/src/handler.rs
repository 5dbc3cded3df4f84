//! The one handler behind every built-in server: decode the event's JSON, check it, acknowledge
//! it or answer it.

use pushbench_core::event::{Event, acknowledgement, answer};
use pushbench_host::clock;
use pushbench_host::sleep::Timer;
use std::time::Duration;

/// What the handler does beside its duty, to imitate a slower server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Handler {
    /// Sleeps this long per event.
    pub delay: Option<Duration>,
    /// Burns CPU this long per event.
    pub work: Option<Duration>,
    /// Answers questions with so many bytes instead of acknowledging events.
    pub answer: Option<usize>,
}

/// A connection's own timer, made when the first event must be delayed. Events of one connection are
/// handled one after the other on every transport.
#[derive(Default)]
pub struct Pause(Option<Timer>);

impl Handler {
    /// Whether it takes its time over an event, so that an answer must not wait for the next one's.
    pub fn takes_time(&self) -> bool {
        self.delay.is_some() || self.work.is_some()
    }

    /// Handles one event: its acknowledgement or its answer, or why it is refused.
    pub async fn handle(&self, pause: &mut Pause, event: &[u8]) -> Result<String, String> {
        let event = self.check(event)?;
        self.answer(pause, &event.id).await
    }

    /// The first half: the event, or why it is refused.
    pub fn check<'a>(&self, event: &'a [u8]) -> Result<Event<'a>, String> {
        let event = Event::read(event).map_err(|e| format!("not an event: {e}"))?;
        if event.id.is_empty() || event.kind.is_empty() {
            return Err("not an event: id and type must not be empty".to_owned());
        }
        Ok(event)
    }

    /// The second half: what goes back for the event of that id.
    pub async fn answer(&self, pause: &mut Pause, id: &str) -> Result<String, String> {
        if let Some(work) = self.work {
            burn(work);
        }
        if let Some(delay) = self.delay {
            let timer = match pause.0.take() {
                Some(timer) => timer,
                None => Timer::new().map_err(|e| format!("no timer: {e}"))?,
            };
            let until = clock::now() + delay.as_nanos() as u64;
            timer.until(until).await.map_err(|e| e.to_string())?;
            pause.0 = Some(timer);
        }
        Ok(match self.answer {
            Some(bytes) => answer(id, bytes),
            None => acknowledgement(id),
        })
    }
}

/// By the thread's own clock: beside other work it takes longer, and costs as much.
fn burn(work: Duration) {
    let end = clock::thread_cpu() + work.as_nanos() as u64;
    while clock::thread_cpu() < end {
        std::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle(event: &str) -> Result<String, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(Handler::default().handle(&mut Pause::default(), event.as_bytes()))
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
}
