//! The tcp transport, driver's side.

pub mod client;
pub mod subscriber;
