//! One subscriber's thread: events come out of its queue, and the fault decides what becomes of each.

use crate::publisher::outlet::Outlet;
use crate::publisher::publisher_fault::{PublisherFault, UNASKED};
use crate::publisher::site::{Event, Site, Tally};
use crate::wire::id_of;
use pushbench_core::event::acknowledged_index;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

/// Delivers to the subscriber that came as number `number`, from 0, until no event will come any more.
/// What is due to one that cannot be reached is counted, too.
pub(super) fn serve(
    outlet: io::Result<impl Outlet>,
    number: u64,
    events: &Receiver<Arc<Event>>,
    site: &Site,
) -> io::Result<()> {
    let mut line = Line { outlet: outlet.ok(), number, site, held: Vec::new() };
    for event in events {
        // However the connection ends, what comes later has come to nothing, and is counted.
        if line.handle(&event).is_err() {
            line.outlet = None;
            site.tally(|t| t.gone += 1);
        }
        site.tally(|t| t.waiting -= 1);
    }
    line.close()
}

struct Line<'a, O> {
    /// `None` once the connection has ended.
    outlet: Option<O>,
    number: u64,
    site: &'a Site,
    held: Vec<Arc<Event>>,
}

impl<O: Outlet> Line<'_, O> {
    fn handle(&mut self, event: &Arc<Event>) -> io::Result<()> {
        let fault = self.site.conduct.fault;
        let struck = fault.strikes(event.index, self.number);
        self.site.tally(|t| t.struck += u64::from(struck));
        match struck.then_some(fault) {
            Some(PublisherFault::Drop) => self.site.tally(|t| t.dropped += 1),
            Some(PublisherFault::Swap | PublisherFault::Late) => self.held.push(event.clone()),
            Some(PublisherFault::HangUp) => {
                self.close()?;
                self.site.tally(|t| t.hung_up += 1);
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            Some(PublisherFault::Twice) => {
                self.deliver(event, |_| {})?;
                self.write(&event.text, |t| t.doubled += 1)?;
            }
            Some(PublisherFault::Unasked) => {
                for n in 0..UNASKED {
                    // Something that is no event, and one that nobody has published.
                    let text = match n % 2 {
                        0 => "news".to_owned(),
                        _ => event.text.replace(&id_of(event.index), &id_of(u64::MAX)),
                    };
                    self.write(&text, |t| t.unasked += 1)?;
                }
                self.deliver(event, |_| {})?;
            }
            Some(PublisherFault::Honest | PublisherFault::TurnAway) | None => {
                self.deliver(event, |_| {})?;
            }
        }
        if !struck && fault.releases(event.index) {
            for held in std::mem::take(&mut self.held) {
                self.deliver(&held, |t| {
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
        self.site.tally(|t| t.acknowledged += u64::from(acknowledged));
        Ok(())
    }

    /// Writes a text and waits for its acknowledgement where there is one; whether it came.
    fn write(&mut self, text: &str, count: impl Fn(&mut Tally)) -> io::Result<bool> {
        let outlet = self.outlet.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        outlet.deliver(text)?;
        self.site.tally(count);
        let index = acknowledged_index(text.as_bytes());
        let wanted = self.site.conduct.acknowledged && index.is_some();
        if !wanted && !outlet.always_answered() {
            return Ok(false);
        }
        let said = outlet.acknowledgement()?;
        let right = said.is_some() && said == index;
        self.site.tally(|t| t.stray += u64::from(index.is_some() && !right));
        Ok(right)
    }

    fn close(&mut self) -> io::Result<()> {
        let Some(mut outlet) = self.outlet.take() else { return Ok(()) };
        let strays = outlet.close()?;
        self.site.tally(|t| t.stray += strays);
        Ok(())
    }
}
