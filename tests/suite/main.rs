//! The tests that need the built program: one program, so that it is linked once and they wait beside
//! each other. Those that count allocations and the frozen target are programs of their own.

#[path = "../common/mod.rs"]
mod common;

mod action;
mod answers;
mod bad_input;
mod baselines;
mod blocks;
mod browser;
mod check;
mod compression;
mod compression_interop;
mod conditions;
mod conduct;
mod documents;
mod duplex;
mod fanout;
mod faults;
mod filter;
mod formats;
mod gate;
mod http2;
mod http2_faults;
mod http2_interop;
mod idle;
mod layers;
mod limit;
mod messages;
mod middle_boxes;
mod mistaken;
mod one_line;
mod outcomes;
mod own;
mod page;
mod proxies;
mod publisher;
mod publishers;
mod python;
mod run;
mod scenarios;
mod schema;
mod secrets;
mod shards;
mod side_by_side;
mod signing;
mod stated_results;
mod streams;
mod targets;
mod tls_fanout;
mod tls_faults;
mod tls_interop;
mod tls_keys;
mod tls_server;
mod truth;
mod verify;
