//! The tcp transport, server's side.

pub mod publisher;
pub mod server;
