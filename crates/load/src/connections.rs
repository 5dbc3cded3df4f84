//! The life of one connection slot: it is warm before the first event, and a connection that ended
//! is made again when the next event needs it.

use crate::client::Client;
use crate::connect_config::ConnectConfig;
use crate::feed::Feed;
use crate::ledger::Ledger;
use pushbench_core::record::outcomes::Failure;
use pushbench_host::clock;
use pushbench_wire::fault::Fault;
use std::rc::Rc;

/// Serves a slot until its feed ends.
///
/// Every transport reconnects by the same rule, when an event is there to be carried, so that a
/// server that closes after each event pays for its connections in the response time.
pub async fn keep<C: Client>(
    warm: C,
    connect_config: Rc<ConnectConfig>,
    feed: Feed,
    ledger: Rc<Ledger>,
) {
    let mut connection = Some(warm);
    loop {
        let client = match connection.take() {
            Some(client) => client,
            None => {
                let Some(ticket) = feed.next().await else {
                    return;
                };
                let begun = clock::now();
                match feed.while_open(&ticket, C::open(&connect_config)).await {
                    Some(Ok(client)) => {
                        ledger.reconnected(clock::now() - begun);
                        feed.put_back(ticket);
                        client
                    }
                    Some(Err(fault)) => {
                        ledger.fail(&ticket, Failure::Refused, &fault.to_string());
                        continue;
                    }
                    None => {
                        ledger.fault(&Fault::TimedOut.to_string());
                        continue;
                    }
                }
            }
        };
        if let Err(fault) = client.carry(feed.again(), ledger.clone()).await {
            ledger.fault(&fault.to_string());
        }
        if feed.ended() && ledger.open_count() == 0 {
            return;
        }
    }
}

/// Opens the warm connections of an arm, a few at a time.
pub async fn warm_up<C: Client>(
    count: usize,
    connect_config: &ConnectConfig,
) -> Result<Vec<C>, Fault> {
    /// Below the accept backlog of any server, so that no SYN is dropped and retried a second later.
    const AT_ONCE: usize = 64;
    let mut open = Vec::with_capacity(count);
    while open.len() < count {
        let batch = AT_ONCE.min(count - open.len());
        let opening = (0..batch).map(|_| C::open(connect_config));
        open.extend(futures_util::future::try_join_all(opening).await?);
    }
    Ok(open)
}
