//! An HTTP/1.1 POST per event; the answer's status, and its id where the target echoes one,
//! acknowledge it.

pub mod answering;
pub mod callback;
mod chunks;
pub mod client;
pub mod posts;
mod prebuilt;
pub mod publisher;
pub mod request;
pub mod response;
pub mod server;
pub mod subscriber;
mod unasked;

/// Name in arms and manifests.
pub const NAME: &str = "webhook";
/// What it is, in a line.
pub const ABOUT: &str = "HTTP/1.1 POST per event over kept connections; one unanswered event each";
/// What surrounds an event.
pub const FRAMING: &str = "HTTP/1.1 request and response heads";
/// How a subscriber acknowledges a delivery.
pub const ACKNOWLEDGEMENT: &str = "the response's status, the same connection";
