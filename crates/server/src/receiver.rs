//! What a built-in receiver does under a guarantee and under planned faults: it removes duplicates, counts what comes, and
//! meets deliveries and connections with the faults of its plan.

use crate::handler::Refusal;
use hyper::StatusCode;
use pushbench_core::event;
use pushbench_core::guarantee::Guarantee;
use pushbench_core::guarantee::deduplicator::Deduplicator;
use pushbench_core::record::guarantee::{RECEIVED, ReceiverStatus};
use pushbench_core::scenario::Faults;
use pushbench_core::schedule::fault_plan::{FaultPlan, PlannedFault};
use pushbench_host::console;
use socket2::SockRef;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};

/// Events that are counted one by one; older ones are forgotten.
const COUNTED: usize = 1 << 20;

/// One for all connections; a handle belongs to one of them.
#[derive(Debug, Clone)]
pub struct Receiver {
    shared: Arc<Shared>,
    /// The connection of this handle is to be reset.
    reset: Arc<Notify>,
}

#[derive(Debug)]
struct Shared {
    removes_duplicates: bool,
    plan: FaultPlan,
    retry_after: Duration,
    received: Mutex<Received>,
    is_down: watch::Sender<bool>,
}

#[derive(Debug)]
struct Received {
    deduplicator: Deduplicator<Box<str>>,
    counts: ReceiverStatus,
    connections: u64,
    /// Arrivals of each event, and how often the application got it.
    events: HashMap<Box<str>, (u64, u64)>,
    oldest_first: VecDeque<Box<str>>,
    youngest: Option<u64>,
}

/// What becomes of an arrival.
#[derive(Debug, PartialEq, Eq)]
enum Arrival {
    /// It is refused.
    Refused(StatusCode),
    /// The connection is reset before it is processed.
    Reset,
    /// The application gets it, unless it has it already; then it is acknowledged, unless that is lost.
    Taken { is_duplicate: bool, loses_ack: bool },
}

impl Receiver {
    /// Under a guarantee, with the faults of a receiver and the seed of their plan.
    pub fn new(guarantee: &Guarantee, faults: &Faults, seed: u64) -> Receiver {
        let shared = Shared {
            removes_duplicates: guarantee.deduplicates(),
            plan: FaultPlan::new(faults, seed),
            retry_after: faults.retry_after,
            received: Mutex::new(Received {
                deduplicator: Deduplicator::new(guarantee.window),
                counts: ReceiverStatus::default(),
                connections: 0,
                events: HashMap::new(),
                oldest_first: VecDeque::new(),
                youngest: None,
            }),
            is_down: watch::Sender::new(false),
        };
        Receiver { shared: Arc::new(shared), reset: Arc::default() }
    }

    fn received(&self) -> MutexGuard<'_, Received> {
        self.shared.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints what it has counted.
    pub fn tell(&self) -> io::Result<()> {
        let mut received = self.received();
        received.counts.told += 1;
        console::output(&format!("{RECEIVED}{}\n", serde_json::to_string(&received.counts)?))
    }

    /// An outage begins or ends.
    pub fn set_down(&self, is_down: bool) {
        self.shared.is_down.send_replace(is_down);
    }

    /// Waits until an outage has begun, or ended.
    pub(crate) async fn until_down(&self, is_down: bool) {
        let mut changes = self.shared.is_down.subscribe();
        let _it_lives_as_long = changes.wait_for(|now| *now == is_down).await;
    }

    /// The handle of a connection that was accepted; nothing where the connection is reset at once.
    pub(crate) fn accept(&self, socket: &TcpStream) -> io::Result<Option<(Receiver, ResetSocket)>> {
        let mut received = self.received();
        let nth = received.connections;
        received.connections += 1;
        let reset_socket = ResetSocket(socket.as_fd().try_clone_to_owned()?);
        if self.shared.plan.refuses(0, nth) {
            received.counts.refused += 1;
            reset_socket.reset()?;
            return Ok(None);
        }
        Ok(Some((Receiver { shared: self.shared.clone(), reset: Arc::default() }, reset_socket)))
    }

    /// Waits until the connection of this handle is to be reset.
    pub(crate) async fn until_reset(&self) {
        tokio::select! {
            () = self.reset.notified() => {}
            () = self.until_down(true) => {}
        }
    }

    /// The connection is reset instead of an answer.
    async fn reset<T>(&self) -> T {
        self.reset.notify_one();
        std::future::pending().await
    }

    /// Takes an event: its answer, for which `process` hands it to the application and `again` acknowledges what the
    /// application has already; or why it is refused.
    pub(crate) async fn take(
        &self,
        id: &str,
        process: impl Future<Output = Result<String, Refusal>>,
        again: impl FnOnce() -> String,
    ) -> Result<String, Refusal> {
        let arrival = self.received().arrived(id, &self.shared);
        let (is_duplicate, loses_ack) = match arrival {
            Arrival::Refused(status) => return Err((status, "a planned fault".to_owned())),
            Arrival::Reset => return self.reset().await,
            Arrival::Taken { is_duplicate, loses_ack } => (is_duplicate, loses_ack),
        };
        let answer = if is_duplicate { again() } else { process.await? };
        if loses_ack { self.reset().await } else { Ok(answer) }
    }

    /// A transport without a status closes the connection instead of a refusal with this one.
    pub(crate) fn closes_for(status: StatusCode) -> bool {
        status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
    }

    /// What `Retry-After` says to a sender that is refused with this status.
    pub(crate) fn retry_after(&self, status: StatusCode) -> Option<u64> {
        let waits = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS];
        waits.contains(&status).then_some(self.shared.retry_after.as_secs())
    }
}

/// What it does, for the description of the server.
impl fmt::Display for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shared.removes_duplicates {
            true => f.write_str("removes and counts duplicates"),
            false => f.write_str("counts duplicates"),
        }
    }
}

impl Received {
    fn arrived(&mut self, id: &str, shared: &Shared) -> Arrival {
        if !self.events.contains_key(id) {
            if self.oldest_first.len() == COUNTED
                && let Some(oldest) = self.oldest_first.pop_front()
            {
                self.events.remove(&oldest);
            }
            self.oldest_first.push_back(id.into());
        }
        let index = event::index_of(id.as_bytes());
        let (arrivals, deliveries) = self.events.entry(id.into()).or_default();
        let counts = &mut self.counts;
        let fault = match index {
            Some(index) => shared.plan.delivery(0, index, *arrivals),
            None => PlannedFault::None,
        };
        *arrivals += 1;
        counts.duplicates_on_wire += u64::from(*deliveries > 0);
        let loses_ack = fault == PlannedFault::LoseAck;
        match fault {
            PlannedFault::Status(status) => {
                counts.met_by_fault += 1;
                let status = StatusCode::from_u16(status);
                return Arrival::Refused(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
            }
            PlannedFault::Reset => {
                counts.met_by_fault += 1;
                return Arrival::Reset;
            }
            PlannedFault::LoseAck | PlannedFault::None => counts.lost_acks += u64::from(loses_ack),
        }
        let is_duplicate = shared.removes_duplicates && !self.deduplicator.is_first(&Box::from(id));
        if is_duplicate {
            return Arrival::Taken { is_duplicate, loses_ack };
        }
        *deliveries += 1;
        match *deliveries {
            1 => {
                counts.delivered += 1;
                counts.delivered_once += 1;
                counts.out_of_order += u64::from(index < self.youngest);
                self.youngest = self.youngest.max(index);
            }
            n => {
                counts.delivered_once -= u64::from(n == 2);
                counts.duplicates_to_application += 1;
            }
        }
        Arrival::Taken { is_duplicate, loses_ack }
    }
}

/// A second descriptor of a connection's socket, to reset it when the first one is closed.
pub(crate) struct ResetSocket(OwnedFd);

impl ResetSocket {
    /// When the last descriptor is closed, the peer gets a reset instead of an orderly end.
    pub fn reset(&self) -> io::Result<()> {
        SockRef::from(&self.0).set_linger(Some(Duration::ZERO))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pushbench_core::event::id_digits;
    use pushbench_core::guarantee::Promise;
    use std::collections::BTreeSet;

    fn id(index: u64) -> String {
        String::from_utf8(id_digits(index).to_vec()).unwrap()
    }

    fn receiver(delivery: Promise, window: usize, faults: &Faults) -> Receiver {
        Receiver::new(&Guarantee { delivery, window, ..Guarantee::default() }, faults, 7)
    }

    fn arrived(receiver: &Receiver, id: &str) -> Arrival {
        receiver.received().arrived(id, &receiver.shared)
    }

    #[test]
    fn what_comes_again_within_the_window_is_acknowledged_and_not_handed_on() {
        for (delivery, window, once, to_application) in [
            (Promise::AtLeastOnce, 100, 2, 2),
            (Promise::ExactlyOnce, 100, 3, 0),
            (Promise::ExactlyOnce, 1, 2, 1),
        ] {
            let receiver = receiver(delivery, window, &Faults::default());
            // The first one comes again at once and later, the last one is out of order.
            for index in [5, 5, 9, 5, 7] {
                arrived(&receiver, &id(index));
            }
            let counts = receiver.received().counts;
            assert_eq!(
                (counts.delivered, counts.duplicates_on_wire, counts.out_of_order),
                (3, 2, 1)
            );
            assert_eq!(
                (counts.delivered_once, counts.duplicates_to_application),
                (once, to_application)
            );
        }
    }

    /// Each arrival has the fault of the plan, and the counts are those of a naive account of all arrivals.
    #[test]
    fn counts_agree_with_a_naive_account_of_planned_faults() {
        let faults = Faults { reset: 0.1, status_503: 0.1, lost_acks: 0.2, ..Faults::default() };
        let (plan, receiver) =
            (FaultPlan::new(&faults, 7), receiver(Promise::ExactlyOnce, 1000, &faults));
        let (mut processed, mut naive) = (BTreeSet::new(), ReceiverStatus::default());
        for index in 0..500 {
            // A sender that tries again until it is acknowledged.
            for nth in 0.. {
                let fault = plan.delivery(0, index, nth);
                let arrival = arrived(&receiver, &id(index));
                naive.duplicates_on_wire += u64::from(processed.contains(&index));
                match fault {
                    PlannedFault::Reset => assert_eq!(arrival, Arrival::Reset),
                    PlannedFault::Status(status) => {
                        assert_eq!(
                            arrival,
                            Arrival::Refused(StatusCode::from_u16(status).unwrap())
                        );
                    }
                    PlannedFault::None | PlannedFault::LoseAck => {
                        let loses_ack = fault == PlannedFault::LoseAck;
                        naive.lost_acks += u64::from(loses_ack);
                        let is_duplicate = !processed.insert(index);
                        assert_eq!(arrival, Arrival::Taken { is_duplicate, loses_ack });
                        if !loses_ack {
                            break;
                        }
                        continue;
                    }
                }
                naive.met_by_fault += 1;
            }
        }
        (naive.delivered, naive.delivered_once) = (500, 500);
        assert!(naive.lost_acks > 50 && naive.met_by_fault > 50 && naive.duplicates_on_wire > 50);
        assert_eq!(receiver.received().counts, naive);
    }
}
