//! Length-prefixed messages on a bare socket: the floor that shows what the machine itself costs.

pub mod client;
pub mod codec;
mod messages;
pub mod publisher;
pub mod server;
pub mod subscriber;

/// Name in arms and manifests.
pub const NAME: &str = "tcp";
/// What it is, in a line.
pub const ABOUT: &str = "length-prefixed messages on a bare socket: the floor of this machine";
/// What surrounds an event.
pub const FRAMING: &str = "a 4-byte length";
