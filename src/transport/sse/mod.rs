//! Server-sent events: a response that never ends, an event per event. It goes one way only, so each
//! subscriber acknowledges by POST on a second connection.

pub mod codec;
pub mod publisher;
pub mod subscriber;

/// Name in arms and manifests.
pub const NAME: &str = "sse";
/// What it is, in a line.
pub const ABOUT: &str = "server-sent events in an HTTP response that stays open; acknowledged by POST on a second connection";
/// What surrounds an event.
pub const FRAMING: &str = "lines id: and data: in a chunk of an HTTP/1.1 response";
/// How a subscriber acknowledges a delivery: what has come meanwhile goes with it.
pub const ACKNOWLEDGEMENT: &str =
    "a POST of the ids that are ready, a second connection each subscriber";

/// The event that opens a stream and says how it is acknowledged.
const SUBSCRIBED: &str = "subscribed";
/// What the stream is.
const CONTENT: &str = "text/event-stream";
