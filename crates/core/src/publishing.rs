//! What publishers and their subscribers agree on (`targets/PROTOCOL.md`): variables, paths, defaults.

use std::time::Duration;

/// The variable that holds the token of a run.
pub const TOKEN_VARIABLE: &str = "PUSHBENCH_TOKEN";
/// The variable that holds the types of events that are published, with commas between them.
pub const TYPES_VARIABLE: &str = "PUSHBENCH_TYPES";
/// The variable that says whether subscribers acknowledge, `true` or `false`.
pub const ACKNOWLEDGED_VARIABLE: &str = "PUSHBENCH_ACKNOWLEDGED";
/// Path that takes events.
pub const PUBLISH: &str = "/publish";
/// Path that takes subscriptions.
pub const SUBSCRIBE: &str = "/subscribe";
/// Path that tells what was counted.
pub const STATUS: &str = "/status";
/// Path of the events of a subscriber that asks for them; its number follows.
pub const EVENTS: &str = "/events/";
/// Path that takes the acknowledgements of a subscriber; its number follows.
pub const ACKNOWLEDGE: &str = "/ack/";

/// Events that may wait for a subscriber or for its acknowledgement, by default.
pub const QUEUE: usize = 1024;
/// Webhook deliveries under way at the same time, by default: enough to keep a core busy,
/// few enough that a thousand answers do not all wait for each other.
pub const CONCURRENCY: usize = 256;
/// A subscription is an address, or none, and a few names.
pub const LONGEST_SUBSCRIPTION: usize = 16 * 1024;
/// A subscriber on a machine that stalls accepts within this.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A delivery without an acknowledgement for this long is given up.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// A request for events is held for so long, by default: below the 30 s and more after which
/// proxies and clients give one up.
pub const HOLD: Duration = Duration::from_secs(25);

/// What becomes of a webhook's connection after a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// It is kept for as long as the subscriber keeps it.
    Always,
    /// It is kept, and closed after it was idle for so long.
    For(Duration),
    /// It is closed.
    Never,
}
