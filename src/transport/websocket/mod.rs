//! One connection kept open, a text message per event; a message back acknowledges it.

pub mod client;
pub mod frames;
pub mod handshake;
mod messages;
pub mod publisher;
pub mod server;
mod socket;
pub mod subscriber;

use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// Name in arms and manifests.
pub const NAME: &str = "websocket";
/// What it is, in a line.
pub const ABOUT: &str = "one WebSocket kept open, a text message per event, many unanswered";
/// What surrounds an event.
pub const FRAMING: &str = "WebSocket frames, masked by the client";

/// tungstenite allocates its read buffer per socket and zero-fills it at each read: 128 KiB, its
/// default, costs 1.6 µs a read and 1 GB for 10,000 sockets. 8 KiB hold an ordinary event.
const BUFFER_BYTES: usize = 8 * 1024;

/// The same buffers at both ends.
fn config() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(BUFFER_BYTES).write_buffer_size(BUFFER_BYTES)
}
