//! One connection kept open, a text message per event; a message back acknowledges it.

pub mod deflate;
pub mod deflate_stream;
pub mod frames;
pub mod handshake;
pub mod messages;
pub mod negotiation;

use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// tungstenite allocates its read buffer per socket and zero-fills it at each read: 128 KiB, its
/// default, costs 1.6 µs a read and 1 GB for 10,000 sockets. 8 KiB hold an ordinary event.
pub(crate) const BUFFER_BYTES: usize = 8 * 1024;

/// The reason of a close with code 1013 that says for how many seconds to stay away begins with this.
pub const RETRY_AFTER: &str = "Retry-After: ";

/// The same buffers at both ends.
pub fn config() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(BUFFER_BYTES).write_buffer_size(BUFFER_BYTES)
}
