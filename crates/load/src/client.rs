//! The client side of a transport: *a connection carries events from a feed until it ends, and tells the
//! ledger when each was sent and done*.

use crate::connect_config::ConnectConfig;
use crate::feed::Feed;
use crate::ledger::Ledger;
use pushbench_wire::fault::Fault;
use std::rc::Rc;

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
