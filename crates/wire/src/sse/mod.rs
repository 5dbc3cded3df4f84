//! Server-sent events: a response that never ends, an event per event. It goes one way only, so each
//! subscriber acknowledges by POST on a second connection, or over HTTP/2 on the same one.

pub mod codec;

/// The first event of a stream, with the path for acknowledgements.
pub const SUBSCRIBED: &str = "subscribed";
/// What the stream is.
pub const CONTENT: &str = "text/event-stream";
