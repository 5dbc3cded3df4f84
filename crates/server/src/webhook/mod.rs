//! The webhook transport, server's side.

pub mod answering;
pub mod publisher;
pub mod server;
