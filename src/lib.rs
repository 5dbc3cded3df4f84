//! pushbench answers one question with evidence: *should these events travel by webhook or by
//! WebSocket?*
//!
//! Data walks one way: **scenario → plan → trials → records → comparison → report**. Each room below
//! is one step of that walk; `ARCHITECTURE.md` says which may use which, and a test keeps it so.

// Standard output and standard error may be closed or full, which ends a macro of the standard library with a
// panic: `console` writes to both.
#![cfg_attr(not(test), deny(clippy::print_stderr, clippy::print_stdout))]

#[cfg(not(target_os = "linux"))]
compile_error!(
    "pushbench measures with timerfd, /proc and TCP_INFO, which only Linux has: build it on Linux"
);

pub mod cli;
pub mod compare;
pub mod console;
pub mod cpus;
pub mod drive;
pub mod error;
pub mod gate;
pub mod input;
pub mod origin;
pub mod plan;
pub mod record;
pub mod remedy;
pub mod report;
pub mod run;
pub mod scenario;
pub mod schedule;
pub mod selftest;
pub mod stats;
pub mod store;
pub mod suggest;
pub mod target;
pub mod transport;
pub mod units;
pub mod verify;
pub mod visible;
