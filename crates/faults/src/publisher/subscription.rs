//! One subscriber's thread: events come out of its queue, and the fault decides what becomes of each.

use crate::publisher::connection::SubscriberConnection;
use crate::publisher::publisher_fault::{PublisherFault, UNSOLICITED};
use crate::publisher::state::{Event, PublisherState, Tally};
use crate::wire::id_of;
use pushbench_core::event::acknowledged_index;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

/// Delivers to the subscriber that came as number `number`, from 0, until no event will come any more.
/// What is due to one that cannot be reached is counted, too.
pub(super) fn serve(
    connection: io::Result<impl SubscriberConnection>,
    number: u64,
    events: &Receiver<Arc<Event>>,
    state: &PublisherState,
) -> io::Result<()> {
    let mut queue = QueueReader { connection: connection.ok(), number, state, delayed: Vec::new() };
    for event in events {
        // However the connection ends, what comes later has come to nothing, and is counted.
        if queue.handle(&event).is_err() {
            queue.connection = None;
            state.tally(|t| t.gone += 1);
        }
        state.tally(|t| t.waiting -= 1);
    }
    queue.close()
}

struct QueueReader<'a, O> {
    /// `None` once the connection has ended.
    connection: Option<O>,
    number: u64,
    state: &'a PublisherState,
    delayed: Vec<Arc<Event>>,
}

impl<O: SubscriberConnection> QueueReader<'_, O> {
    fn handle(&mut self, event: &Arc<Event>) -> io::Result<()> {
        let fault = self.state.options.fault;
        let affected = fault.affects(event.index, self.number);
        self.state.tally(|t| t.affected += u64::from(affected));
        match affected.then_some(fault) {
            Some(PublisherFault::Drop) => self.state.tally(|t| t.dropped += 1),
            Some(PublisherFault::Swap | PublisherFault::Late) => self.delayed.push(event.clone()),
            Some(PublisherFault::HangUp) => {
                self.close()?;
                self.state.tally(|t| t.hung_up += 1);
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            Some(PublisherFault::Twice) => {
                self.deliver(event, |_| {})?;
                self.write(&event.text, |t| t.doubled += 1)?;
            }
            Some(PublisherFault::Unasked) => {
                for n in 0..UNSOLICITED {
                    // A message that is not an event, and an event that was not published.
                    let text = match n % 2 {
                        0 => "news".to_owned(),
                        _ => event.text.replace(&id_of(event.index), &id_of(u64::MAX)),
                    };
                    self.write(&text, |t| t.unsolicited += 1)?;
                }
                self.deliver(event, |_| {})?;
            }
            Some(PublisherFault::Correct | PublisherFault::TurnAway) | None => {
                self.deliver(event, |_| {})?;
            }
        }
        if !affected && fault.sends_delayed(event.index) {
            for delayed in std::mem::take(&mut self.delayed) {
                self.deliver(&delayed, |t| {
                    t.overtaken += 1;
                    t.late += u64::from(fault == PublisherFault::Late);
                })?;
            }
        }
        Ok(())
    }

    /// Delivers an event for the first time.
    fn deliver(&mut self, event: &Event, count: impl Fn(&mut Tally)) -> io::Result<()> {
        let acknowledged = self.write(&event.text, |t| {
            t.delivered += 1;
            count(t);
        })?;
        self.state.tally(|t| t.acknowledged += u64::from(acknowledged));
        Ok(())
    }

    /// Writes a text and waits for its acknowledgement where there is one; whether it came.
    fn write(&mut self, text: &str, count: impl Fn(&mut Tally)) -> io::Result<bool> {
        let connection = self.connection.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        connection.deliver(text)?;
        self.state.tally(count);
        let index = acknowledged_index(text.as_bytes());
        let wanted = self.state.options.acknowledged && index.is_some();
        if !wanted && !connection.always_answered() {
            return Ok(false);
        }
        let acknowledged_index_read = connection.acknowledgement()?;
        let right = acknowledged_index_read.is_some() && acknowledged_index_read == index;
        self.state.tally(|t| t.stray += u64::from(index.is_some() && !right));
        Ok(right)
    }

    fn close(&mut self) -> io::Result<()> {
        let Some(mut connection) = self.connection.take() else { return Ok(()) };
        let strays = connection.close()?;
        self.state.tally(|t| t.stray += strays);
        Ok(())
    }
}
