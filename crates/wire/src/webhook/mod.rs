//! An HTTP/1.1 POST per event; the answer's status, and its id where the target echoes one,
//! acknowledge it.

pub mod batch;
mod chunks;
pub mod gzip;
pub mod request;
pub mod request_receiver;
pub mod response;

/// The header of a question with the URL for its answer.
pub const CALLBACK_URL: &str = "callback-url";
