//! What the connections of a faulty publisher share: what it does, who is subscribed, and the
//! exact tally of what it did.

use crate::publisher::publisher_fault::PublisherFault;
use pushbench_core::transport::Transport;
use serde::{Deserialize, Serialize};
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Pause between two looks whether the subscribers' threads have nothing to do.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// What a publisher really did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Events taken.
    pub published: u64,
    /// Events turned away.
    pub turned_away: u64,
    /// Deliveries that the events taken ask for: one a subscriber that is there.
    pub due: u64,
    /// Of them, struck by the fault.
    pub affected: u64,
    /// Of them, delivered, however often.
    pub delivered: u64,
    /// Of those delivered, ones that came behind a younger event.
    pub(crate) overtaken: u64,
    /// Of those overtaken, ones that were held beyond their time-out.
    pub late: u64,
    /// Deliveries that were left out.
    pub dropped: u64,
    /// Second copies.
    pub doubled: u64,
    /// Messages that are no event of the driver's.
    pub unsolicited: u64,
    /// Connections of subscribers that were closed.
    pub hung_up: u64,
    /// Deliveries that were acknowledged, copies not counted.
    pub acknowledged: u64,
    /// What else subscribers said.
    pub stray: u64,
    /// Deliveries that a subscriber's thread has not come to.
    pub waiting: u64,
    /// Deliveries that came to nothing because the subscriber's connection had ended, or ended then.
    pub gone: u64,
}

impl Tally {
    /// Held back and never delivered.
    pub fn delayed(&self) -> u64 {
        self.due - self.waiting - self.delivered - self.dropped - self.gone
    }
}

/// An event on its way to subscribers.
pub(super) struct Event {
    pub index: u64,
    pub text: String,
}

/// How a publisher is to behave.
#[derive(Debug, Clone)]
pub struct PublisherOptions {
    /// How events reach subscribers.
    pub transport: Transport,
    /// What it does to deliveries.
    pub fault: PublisherFault,
    /// It waits for acknowledgements; a webhook's answer it always reads.
    pub acknowledged: bool,
    /// What every request must carry.
    pub token: String,
}

/// A running publisher, seen from its connections.
pub(super) struct PublisherState {
    pub options: PublisherOptions,
    /// Where the tally is reported as JSON, at every status request.
    report: Option<SocketAddr>,
    tally: Mutex<Tally>,
    subscribers: Mutex<Subscribers>,
}

#[derive(Default)]
struct Subscribers {
    queues: Vec<Sender<Arc<Event>>>,
    ended: bool,
}

impl PublisherState {
    pub fn new(options: PublisherOptions, report: Option<SocketAddr>) -> PublisherState {
        PublisherState { options, report, tally: Mutex::default(), subscribers: Mutex::default() }
    }

    /// Changes or reads the tally.
    pub fn tally<T>(&self, change: impl FnOnce(&mut Tally) -> T) -> T {
        // A count stays a count when another connection's thread has panicked.
        change(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn subscribers(&self) -> MutexGuard<'_, Subscribers> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody subscribes: a number, and where the events come from.
    pub fn add_subscriber(&self) -> (u64, Receiver<Arc<Event>>) {
        let (sender, events) = channel();
        let mut subscribers = self.subscribers();
        let number = subscribers.queues.len() as u64;
        if !subscribers.ended {
            subscribers.queues.push(sender);
        }
        (number, events)
    }

    /// Accepts an event and returns the number of subscribers; `None` if it is rejected.
    pub fn publish(&self, event: Event) -> Option<u64> {
        if self.options.fault.rejects(event.index) {
            self.tally(|t| t.turned_away += 1);
            return None;
        }
        let event = Arc::new(event);
        let subscribers = self.subscribers();
        let queued = subscribers.queues.len() as u64;
        // Counted before a subscriber's thread can come to it.
        self.tally(|t| {
            t.published += 1;
            t.due += queued;
            t.waiting += queued;
        });
        for queue in &subscribers.queues {
            // A thread that panicked leaves its deliveries waiting, which the tally shows.
            let _panicked = queue.send(event.clone());
        }
        Some(queued)
    }

    /// Nobody will come any more: subscribers' threads end when they have delivered what they have.
    pub fn end(&self) {
        let mut subscribers = self.subscribers();
        subscribers.ended = true;
        subscribers.queues.clear();
    }

    /// Tells the tally to whom it concerns.
    pub fn report(&self, tally: &Tally) -> io::Result<()> {
        let Some(address) = self.report else { return Ok(()) };
        TcpStream::connect(address)?.write_all(&serde_json::to_vec(tally)?)
    }

    /// The tally once no thread has anything to do.
    pub fn settled(&self) -> Tally {
        loop {
            let tally = self.tally(|t| *t);
            if tally.waiting == 0 {
                return tally;
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }
}
