//! Settings of HTTP/2, the same at both ends.

/// Bytes of a message that a stream may carry before its receiver has taken them.
pub const STREAM_WINDOW: u32 = 1 << 20;
/// Bytes that all streams of a connection may carry together.
pub const CONNECTION_WINDOW: u32 = 1 << 20;
