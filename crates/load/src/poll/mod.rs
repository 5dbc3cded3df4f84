//! The poll transport.

pub mod alarms;
pub mod subscriber;
