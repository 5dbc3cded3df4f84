//! The websocket transport, driver's side.

pub mod client;
pub mod socket;
pub mod subscriber;
