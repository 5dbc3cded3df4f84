//! pushbench answers one question with evidence: *should these events travel by webhook or by
//! WebSocket?*
//!
//! Data walks one way: **scenario → plan → trials → records → comparison → report**. The crates
//! below this one are the steps of that walk; `ARCHITECTURE.md` has the map.

// Standard output and standard error may be closed or full, which ends a macro of the standard library with a
// panic: `console` writes to both.
#![cfg_attr(not(test), deny(clippy::print_stderr, clippy::print_stdout))]

#[cfg(not(target_os = "linux"))]
compile_error!(
    "pushbench measures with timerfd, /proc and TCP_INFO, which only Linux has: build it on Linux"
);

pub mod advise;
pub mod capacity;
pub mod cli;
pub mod cluster;
pub mod gate;
pub mod reach;
pub mod run;
pub mod scorecard;
pub mod selftest;
pub mod verify;
