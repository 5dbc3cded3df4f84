//! What touches the machine: clocks, `/proc`, CPU topology, `TCP_INFO`, the files that a user names, and the
//! results store.

#![cfg_attr(not(test), deny(clippy::print_stderr, clippy::print_stdout))]

pub mod arrival;
pub mod clock;
pub mod console;
pub mod cpus;
pub mod descriptors;
pub mod hiccup;
pub mod input;
pub mod kernel_memory;
pub mod results_store;
pub mod secrets;
pub mod sleep;
pub mod tcp_info;
pub mod usage;
