//! Polling: a request every so often, answered at once with what is there, and the next one acknowledges
//! it. The publisher's half is [`publisher::asked`](crate::transport::publisher), the same as for
//! `long-poll`.

mod alarms;
pub mod subscriber;

/// Name in arms and manifests.
pub const NAME: &str = "poll";
/// What it is, in a line.
pub const ABOUT: &str =
    "an HTTP request every delivery.poll_interval; the next one acknowledges what came";
/// What surrounds an event.
pub const FRAMING: &str =
    "HTTP/1.1 request and response heads, a JSON array of the events since the last request";
