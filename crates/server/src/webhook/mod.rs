//! The webhook transport, server's side.

pub mod callback_addresses;
pub mod publisher;
pub mod server;
