//! A shard's connection to its coordinator: what is urgent is done by the thread that reads, and the rest is passed on.

use crate::cluster::STEP;
use crate::cluster::protocol::{ALIVE, FromShard, ToShard};
use crate::cluster::shard::Request;
use pushbench_core::error::{Error, Result};
use pushbench_host::clock;
use pushbench_wire::link::Link;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// What came from the coordinator and needs work.
pub(super) enum Order {
    Do(Box<ToShard>),
    /// The connection has ended.
    Gone,
}

/// What the thread that reads shares with the one that works.
pub(super) struct Signals {
    pub link: Link,
    /// Ends what is going on.
    pub stop: Arc<AtomicBool>,
    /// The origin of the group that is going on, once it is known.
    pub origin: Mutex<Option<u64>>,
    /// Every event has its outcome.
    pub finish: AtomicBool,
    /// Connections, or targets, may be closed.
    pub release: AtomicBool,
}

pub(super) fn lost(why: &str) -> Error {
    Error::harness(format!("the connection to the coordinator is lost: {why}"))
}

pub(super) fn connect(request: &Request, interrupt: &AtomicBool) -> Result<Link> {
    let began = Instant::now();
    loop {
        match Link::connect(request.coordinator, request.ticket.fingerprint) {
            Ok(link) => {
                // It has shown the certificate of the ticket.
                link.trust();
                return Ok(link);
            }
            Err(e) if matches!(e.kind(), ErrorKind::InvalidData | ErrorKind::Other) => {
                return Err(Error::usage(format!(
                    "{}: this is not the coordinator of the ticket: {e}",
                    request.coordinator
                )));
            }
            Err(e) if began.elapsed() > request.patience => {
                return Err(Error::harness(format!(
                    "no coordinator at {}: {e}; start pushbench coordinate first, or wait longer with --wait",
                    request.coordinator
                )));
            }
            Err(_) if interrupt.load(Ordering::Relaxed) => return Err(Error::Interrupted),
            Err(_) => std::thread::sleep(STEP),
        }
    }
}

pub(super) fn tell<T: serde::Serialize>(link: &Link, message: &T) -> Result<()> {
    let frame = serde_json::to_vec(message)
        .map_err(|e| Error::harness(format!("cannot write a message: {e}")))?;
    link.send(&frame).map_err(|e| lost(&e.to_string()))
}

/// Reads until the connection ends. What is urgent is done at once.
pub(super) fn read(signals: &Signals, orders: &Sender<Order>, interrupt: &AtomicBool) {
    let stop = || signals.stop.store(true, Ordering::Relaxed);
    let mut said = Instant::now();
    loop {
        if said.elapsed() >= ALIVE {
            if tell(&signals.link, &FromShard::Alive).is_err() {
                break;
            }
            said = Instant::now();
        }
        let frame = match signals.link.receive(Some(STEP)) {
            Ok(Some(frame)) => frame,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if interrupt.load(Ordering::Relaxed) {
                    stop();
                }
                continue;
            }
            Ok(None) | Err(_) => break,
        };
        let Ok(message) = serde_json::from_slice::<ToShard>(&frame) else { break };
        match message {
            ToShard::Clock(number) => {
                if tell(&signals.link, &FromShard::Clock(number, clock::now())).is_err() {
                    break;
                }
            }
            ToShard::Origin(at) => {
                *signals.origin.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
            }
            ToShard::Finish => signals.finish.store(true, Ordering::Relaxed),
            ToShard::Release => signals.release.store(true, Ordering::Relaxed),
            other => {
                if matches!(other, ToShard::Stop) {
                    stop();
                }
                if orders.send(Order::Do(Box::new(other))).is_err() {
                    break;
                }
            }
        }
    }
    stop();
    let _ended_already = orders.send(Order::Gone);
}
