//! A connection slot: its connection is opened before the first event, and a connection that ended
//! is made again when the next event needs it.

use crate::feed::Feed;
use crate::ledger::Ledger;
use pushbench_core::arm::ArmSpec;
use pushbench_core::event::{Matched, Template};
use pushbench_core::guarantee::backoff::Backoff;
use pushbench_core::record::outcomes::Failure;
use pushbench_core::scenario::Lifetime;
use pushbench_host::clock;
use pushbench_host::sleep::Timer;
use pushbench_path::namespace::Namespace;
use pushbench_wire::endpoint::Resolved;
use pushbench_wire::fault::Fault;
use pushbench_wire::request_options::RequestOptions;
use pushbench_wire::tls::ClientTls;
use std::rc::Rc;

/// Serves a slot until its feed ends.
///
/// Every transport reconnects by the same rule, when an event is there to be carried, so that a
/// server that closes after each event pays for its connections in the response time. Where a connection carries many
/// events under a guarantee, it is made again after a pause.
pub async fn keep<C: Client>(
    warm: Option<C>,
    connect_config: Rc<ConnectConfig>,
    (feed, slot): (Feed, usize),
    ledger: Rc<Ledger>,
) {
    let mut connection = warm;
    let mut reconnect = ledger.reconnect_backoff(slot).map(Reconnect::new);
    let is_cut = ledger.is_cut_at().is_some();
    loop {
        let client = match connection.take() {
            Some(client) => client,
            None => {
                if let Some(reconnect) = &mut reconnect {
                    reconnect.pause(&ledger).await;
                }
                let Some(ticket) = feed.next().await else {
                    return;
                };
                let begun = clock::now();
                match feed.while_open(&ticket, C::open(&connect_config)).await {
                    Some(Ok(client)) => {
                        ledger.reconnected(clock::now() - begun);
                        feed.put_back(ticket);
                        if let Some(reconnect) = &mut reconnect {
                            reconnect.backoff.succeeded();
                            ledger.back(slot);
                        }
                        client
                    }
                    Some(Err(fault)) => {
                        let fault = fault.to_string();
                        let Some(reconnect) = &mut reconnect else {
                            ledger.fail(&ticket, Failure::Refused, &fault);
                            continue;
                        };
                        ledger.event_connection_refused();
                        if reconnect.is_tried_again(&ledger) {
                            ledger.fault(&fault);
                            feed.put_back(ticket);
                            // Another slot may have a connection for it.
                            drop(feed.next_handle());
                        } else {
                            ledger.give_up(&ticket, Failure::Refused, &fault);
                        }
                        continue;
                    }
                    None => {
                        ledger.fault(&Fault::TimedOut.to_string());
                        continue;
                    }
                }
            }
        };
        let carrying = client.carry(feed.next_handle(), ledger.clone());
        let carried = match is_cut {
            false => carrying.await,
            true => {
                feed.until_cut(carrying).await.unwrap_or_else(|| Err(Fault::Closed(CUT.into())))
            }
        };
        if let Err(fault) = carried {
            ledger.fault(&fault.to_string());
            if let Some(reconnect) = &mut reconnect {
                reconnect.is_tried_again(&ledger);
            }
        }
        if feed.ended() && ledger.open_count() == 0 {
            return;
        }
    }
}

/// What a planned cut of all connections is called among the faults.
const CUT: &str = "reset by the driver, as planned";

/// When the connection of a slot may be made again.
struct Reconnect {
    backoff: Backoff,
    /// When the current pause is over.
    at: u64,
}

impl Reconnect {
    fn new(backoff: Backoff) -> Reconnect {
        Reconnect { backoff, at: 0 }
    }

    /// An attempt failed, or the connection ended; false after the last attempt in a row, when the next one is the first of
    /// another row.
    fn is_tried_again(&mut self, ledger: &Ledger) -> bool {
        let pause = self.backoff.failed(ledger.take_stay_away());
        if pause.is_none() {
            self.backoff.succeeded();
        }
        self.at = clock::now() + pause.unwrap_or(0);
        pause.is_some()
    }

    async fn pause(&self, ledger: &Ledger) {
        if self.at <= clock::now() {
            return;
        }
        let paused = async { Timer::new()?.until(self.at).await };
        if let Err(e) = paused.await {
            ledger.fault(&format!("the timer of a pause failed: {e}"));
        }
    }
}

/// Opens the warm connections of the slots, a few at a time.
pub(crate) async fn warm_up<C: Client>(slots: &[Rc<ConnectConfig>]) -> Result<Vec<C>, Fault> {
    /// Below the accept backlog of any server, so that no SYN is dropped and retried a second later.
    const AT_ONCE: usize = 64;
    let mut open = Vec::with_capacity(slots.len());
    for batch in slots.chunks(AT_ONCE) {
        let opening = batch.iter().map(async |slot| {
            C::open(&ConnectConfig { warm: true, ..ConnectConfig::clone(slot) }).await
        });
        open.extend(futures_util::future::try_join_all(opening).await?);
    }
    Ok(open)
}

/// One connection of a transport, driver's side. Chosen once a trial; nothing is boxed per event.
pub trait Client: Sized + 'static {
    /// Connects and shakes hands, so that the first event can be written at once.
    fn open(connect_config: &ConnectConfig) -> impl Future<Output = Result<Self, Fault>>;

    /// Carries events until the feed ends, the lifetime is reached, or the connection ends.
    fn carry(
        self,
        feed: Feed,
        ledger: Rc<Ledger>,
    ) -> impl Future<Output = Result<(), Fault>> + 'static;
}

/// Everything a client half needs to open connections and carry events of one arm in one shard.
#[derive(Clone)]
pub struct ConnectConfig {
    /// The target.
    pub address: Rc<Resolved>,
    /// The namespace of its connections where it is not the thread's.
    pub namespace: Option<Namespace>,
    /// How its connections are encrypted; nothing without TLS.
    pub tls: Option<ClientTls>,
    /// How answers find their events.
    pub matched: Matched,
    /// What it wants of requests and handshakes.
    pub request_options: Rc<RequestOptions>,
    /// Makes the events, as they are sent.
    pub template: Rc<Template>,
    /// The events before they are wrapped.
    pub events: Rc<Template>,
    /// Most unanswered events a connection carries.
    pub in_flight: usize,
    /// Events a connection carries before it is closed.
    pub lifetime: Lifetime,
    /// Cap of the TCP segment size, for counting segments as a real network would.
    pub max_segment: Option<u32>,
    /// Where outcomes and traffic go.
    pub ledger: Rc<Ledger>,
    /// Transport, options and target of the arm.
    pub spec: Rc<ArmSpec>,
    /// This connection is opened before the first event: its set-up is not charged to events.
    pub warm: bool,
}

impl ConnectConfig {
    /// Events are signed or encrypted on their way to the socket, which takes its time.
    pub(crate) fn encodes(&self) -> bool {
        self.tls.is_some() || self.request_options.signing.is_some()
    }

    /// Events the connection may still carry after `carried`.
    pub fn left(&self, carried: u64) -> u64 {
        match self.lifetime {
            Lifetime::Unlimited => u64::MAX,
            Lifetime::Events(n) => n.saturating_sub(carried),
        }
    }
}
