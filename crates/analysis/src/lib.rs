//! Statistics, figures, verdicts, validity and the rules of the gate. Pure: what is decided is decided
//! here, from raw figures in the record.

#![cfg_attr(not(test), deny(clippy::print_stderr, clippy::print_stdout))]

pub mod advice;
pub mod capacity;
pub mod compare;
pub mod reach;
pub mod scorecard;
pub mod stats;
pub mod validity;
