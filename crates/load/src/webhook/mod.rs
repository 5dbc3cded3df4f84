//! The webhook transport, driver's side.

pub mod callback;
pub mod client;
pub mod subscriber;
