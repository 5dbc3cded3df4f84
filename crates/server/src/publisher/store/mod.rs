//! The durable store of a publisher: an event is acknowledged when it is on disk, whatever the transport.
//!
//! One thread has the file. It commits everything that waits in one transaction, and then reports all of it, in the
//! order in which it was written. Process death loses nothing that was reported; what the disk does with a sync when
//! the power fails is the disk's.

mod database;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use database::Database;
use pushbench_core::error::{Error, Result};
use pushbench_host::console;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What is settled waits for so long for an event to be written with.
const SETTLEMENTS_WAIT: Duration = Duration::from_millis(100);
/// Most writes of one transaction.
const MOST_WRITES: usize = 1024;

/// Something to be written.
#[derive(Debug)]
pub enum Write {
    /// An event, which gets the next number.
    Event {
        /// Its id.
        id: String,
        /// Its type.
        kind: String,
        /// The event as it came.
        body: Bytes,
    },
    /// A webhook subscription, which wants the events that come after it.
    Subscription {
        /// Its number.
        number: u64,
        /// Where its events are POSTed.
        url: String,
        /// Types it wants; all where there are none.
        types: Vec<String>,
    },
    /// The subscription of that number has ended.
    End(u64),
    /// A subscription needs an event no longer.
    Settled {
        /// The number of the subscription.
        subscription: u64,
        /// The number of the event.
        event: u64,
    },
}

/// An event as it is kept.
#[derive(Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place in the order of all events.
    pub number: u64,
    /// Its id.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// The event as it came.
    pub body: Bytes,
}

/// A webhook subscription as it is kept.
#[derive(Debug, PartialEq, Eq)]
pub struct StoredSubscription {
    /// Its number.
    pub number: u64,
    /// Where its events are POSTed.
    pub url: String,
    /// Types it wants; all where there are none.
    pub types: Vec<String>,
    /// The numbers of the events that are not settled.
    pub open: Vec<u64>,
}

/// What was kept before this process.
#[derive(Debug)]
pub struct Recovered {
    /// Made with the file: what a publisher with another epoch has published is not in this log.
    pub epoch: String,
    /// What is kept for replay, oldest first; before it, older events that subscriptions still need.
    pub events: Vec<StoredEvent>,
    /// Events up to this number have fallen out of the log.
    pub trimmed: u64,
    /// The webhook subscriptions.
    pub subscriptions: Vec<StoredSubscription>,
}

/// Why something is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreError {
    /// There was no room; with room, what comes next is kept again.
    pub full: bool,
    /// What happened, and what to do.
    pub message: String,
}

impl StoreError {
    /// Its thread has ended.
    pub(super) fn ended() -> StoreError {
        let message = "the store has ended: start the publisher anew".to_owned();
        StoreError { full: false, message }
    }
}

/// Is told the number of the event that was stored, or of the event before the subscription.
type Done = Box<dyn FnOnce(std::result::Result<u64, StoreError>) + Send>;
type Outcome = (Done, std::result::Result<u64, StoreError>);

/// The way to the thread that has the file.
pub struct Store {
    writes: Sender<(Write, Option<Done>)>,
    times: Arc<SyncTimes>,
}

#[derive(Default)]
struct SyncTimes {
    count: AtomicU64,
    sum_ns: AtomicU64,
    longest_ns: AtomicU64,
}

impl Store {
    /// Opens a file, or makes it; `log` events are kept for replay. Reports are made in the runtime that this is
    /// called in.
    pub fn open(path: &Path, log: usize) -> Result<(Store, Recovered)> {
        let (database, recovered) = Database::open(path, log)?;
        let (writes, to_write) = channel();
        let (reports, to_report) = unbounded_channel();
        let times = Arc::new(SyncTimes::default());
        let counted = times.clone();
        std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || keep(database, &to_write, &reports, &counted))
            .map_err(|e| Error::harness(format!("cannot start the thread of the store: {e}")))?;
        tokio::spawn(report(to_report));
        Ok((Store { writes, times }, recovered))
    }

    /// Keeps this; `done` is called when it is on disk, after those of everything that was written before.
    pub fn keep(
        &self,
        write: Write,
        done: impl FnOnce(std::result::Result<u64, StoreError>) + Send + 'static,
    ) {
        let _ends_with_the_process = self.writes.send((write, Some(Box::new(done))));
    }

    /// Keeps this with the next commit. What is not kept when the process dies is delivered once more.
    pub fn note(&self, write: Write) {
        let _ends_with_the_process = self.writes.send((write, None));
    }

    /// Commits, their time, and the longest one, ns: the write of SQLite's log and its sync.
    pub fn sync_times(&self) -> (u64, u64, u64) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (read(&self.times.count), read(&self.times.sum_ns), read(&self.times.longest_ns))
    }
}

/// The thread of the store.
fn keep(
    mut database: Database,
    writes: &Receiver<(Write, Option<Done>)>,
    reports: &UnboundedSender<Vec<Outcome>>,
    times: &SyncTimes,
) {
    let mut error: Option<StoreError> = None;
    while let Ok(first) = writes.recv() {
        let (batch, waiting) = collect(first, writes);
        let result = match &error {
            Some(error) if !error.full => Err(error.clone()),
            _ => database.write(&batch),
        };
        if let (Err(new), None) = (&result, &error) {
            console::error_line(&new.message);
        }
        error = result.as_ref().err().cloned();
        let numbers = result.map(|(first, took)| {
            let took = took.as_nanos() as u64;
            times.count.fetch_add(1, Ordering::Relaxed);
            times.sum_ns.fetch_add(took, Ordering::Relaxed);
            times.longest_ns.fetch_max(took, Ordering::Relaxed);
            first
        });
        let mut events = 0;
        let outcomes = batch.iter().zip(waiting).filter_map(|(write, done)| {
            events += u64::from(matches!(write, Write::Event { .. }));
            Some((done?, numbers.clone().map(|first| first + events - 1)))
        });
        let _ends_with_the_process = reports.send(outcomes.collect());
    }
}

/// Everything that waits, with what waits for it.
fn collect(
    first: (Write, Option<Done>),
    writes: &Receiver<(Write, Option<Done>)>,
) -> (Vec<Write>, Vec<Option<Done>>) {
    let until = Instant::now() + SETTLEMENTS_WAIT;
    let (mut batch, mut waiting) = (Vec::new(), Vec::new());
    let (mut next, mut is_waited_for) = (Some(first), false);
    while let Some((write, done)) = next {
        is_waited_for |= done.is_some();
        batch.push(write);
        waiting.push(done);
        next = match (batch.len() < MOST_WRITES, is_waited_for) {
            (false, _) => None,
            (true, true) => writes.try_recv().ok(),
            (true, false) => {
                writes.recv_timeout(until.saturating_duration_since(Instant::now())).ok()
            }
        };
    }
    (batch, waiting)
}

async fn report(mut reports: UnboundedReceiver<Vec<Outcome>>) {
    while let Some(outcomes) = reports.recv().await {
        outcomes.into_iter().for_each(|(done, outcome)| done(outcome));
    }
}
