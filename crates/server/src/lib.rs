//! What is measured when the target is ours: receivers of events, and publishers that deliver them.

#![cfg_attr(not(test), deny(clippy::print_stderr, clippy::print_stdout))]

pub mod authentication;
pub mod handler;
mod http2;
pub mod publisher;
pub mod receiver;
pub mod serve;
pub mod sse;
pub mod tcp;
pub mod webhook;
pub mod websocket;
