//! Long polling: a request is held until there is an event, and the next one acknowledges what came.
//! The publisher's half is [`publisher::asked`](crate::transport::publisher), the same as for `poll`.

pub mod subscriber;

/// Name in arms and manifests.
pub const NAME: &str = "long-poll";
/// What it is, in a line.
pub const ABOUT: &str =
    "HTTP requests that are held until there is an event; the next one acknowledges it";
/// What surrounds an event.
pub const FRAMING: &str =
    "HTTP/1.1 request and response heads, a JSON array of the events that are ready";
