//! The driver: sends events on schedule and records their outcomes. It never runs inside a target.

#![cfg_attr(not(test), deny(clippy::print_stderr, clippy::print_stdout))]

pub mod feed;
mod hello;
pub mod io;
mod lead;
pub mod ledger;
pub mod long_poll;
pub mod pipeline;
pub mod poll;
pub mod sse;
pub mod subscriber;
pub mod tcp;
pub mod webhook;
pub mod websocket;

pub mod assemble;
pub mod block;
pub mod connections;
pub mod cpu_account;
mod fanout;
mod ingest_guarantee;
pub mod limits;
mod other_runs;
pub mod pacer;
mod publisher_account;
mod read_times;
mod recovery_cpu;
mod scheduled_actions;
pub mod shard;
pub mod target_side;
mod targets;
pub mod tasks;
pub mod trial_group;
