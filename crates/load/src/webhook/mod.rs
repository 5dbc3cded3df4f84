//! The webhook transport, driver's side.

pub mod callback;
pub mod client;
pub mod prebuilt;
pub mod subscriber;
pub mod unasked;
