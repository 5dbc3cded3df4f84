//! The webhook transport, driver's side.

pub mod callback;
pub mod client;
mod prepared_request;
pub mod subscriber;
