//! Settings of HTTP/2, the same at both ends: of the driver's client, its subscribers and the built-in servers.

/// Bytes that a stream may carry before its receiver has taken them up.
pub const STREAM_WINDOW: u32 = 1 << 20;
/// And all streams of a connection together.
pub const CONNECTION_WINDOW: u32 = 1 << 20;
/// Open streams that a built-in server allows on a connection, as hyper does by default.
pub const MAX_STREAMS: u32 = 200;
