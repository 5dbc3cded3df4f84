//! Sends on schedule and records: pacer, workers, the life of one trial. Never inside a target.

#![cfg_attr(not(test), deny(clippy::print_stderr, clippy::print_stdout))]

pub mod client;
pub mod dial;
pub mod feed;
pub mod io;
pub mod ledger;
pub mod long_poll;
pub mod pipeline;
pub mod poll;
pub mod sse;
pub mod subscriber;
pub mod tcp;
pub mod webhook;
pub mod websocket;
pub mod window;

mod agenda;
mod assemble;
mod attendance;
pub mod block;
mod bursts;
pub mod connections;
pub mod effort;
mod fanout;
pub mod limits;
mod lives;
mod memory;
pub mod metered;
mod neighbors;
pub mod pacer;
mod quiet;
pub mod shard;
mod silence;
pub mod stretch;
pub mod subscribers;
mod tasks;
mod timeline;
mod turns;
