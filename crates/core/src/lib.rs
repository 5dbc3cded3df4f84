//! What is planned and what is recorded: scenarios, schedules, plans, events, metrics, histograms and trial
//! records. Pure: no clock, file, socket or process.

#![cfg_attr(not(test), deny(clippy::print_stderr, clippy::print_stdout))]

pub mod arm;
pub mod capacity;
pub mod cpu_list;
pub mod error;
pub mod event;
pub mod evidence;
pub mod guarantee;
pub mod message_pattern;
pub mod origin;
pub mod plan;
pub mod publishing;
pub mod reach;
pub mod record;
pub mod remedy;
pub mod scenario;
pub mod schedule;
pub mod scorecard;
pub mod suggest;
pub mod transport;
pub mod units;
pub mod visible;
pub mod wording;
pub mod workload;
