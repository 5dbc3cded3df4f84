//! Sends on schedule and records: pacer, workers, the life of one trial. Never inside a target.

#![cfg_attr(not(test), deny(clippy::print_stderr, clippy::print_stdout))]

pub mod client;
pub mod connect_config;
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
pub mod block;
mod bursts;
pub mod connections;
pub mod cpu_account;
mod fanout;
pub mod limits;
mod memory;
pub mod metered;
mod neighbors;
pub mod pacer;
mod quiet;
mod restart_tracker;
pub mod shard;
mod startup_diagnostics;
mod subscriber_lifecycle;
pub mod subscribers;
mod tasks;
mod timeline;
pub mod trial_group;
mod turns;
