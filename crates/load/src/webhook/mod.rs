//! The webhook transport, driver's side.

pub mod batch;
pub mod callback;
pub mod client;
pub mod http2;
mod prepared_request;
mod receiver;
pub mod subscriber;
