//! What was seen: histograms, the ledger of fates, resources, hiccups, and the results store.

pub mod records;
pub mod run;
pub mod usage;

pub mod account;
pub mod callbacks;
pub mod ease;
pub mod fanout;
pub mod fates;
pub mod findings;
pub mod histogram;
pub mod in_force;
pub mod interval;
pub mod interval_log;
pub mod metrics;
pub mod peaks;
pub mod sizing;
pub mod strata;
pub mod trial;
pub mod truth;
pub mod wire;
