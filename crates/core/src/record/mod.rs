//! What was measured: histograms, the ledger of outcomes, resources, hiccups, and the results store.

pub mod records;
pub mod run;
pub mod usage;

pub mod account;
pub mod accuracy;
pub mod callbacks;
pub mod ease;
pub mod effective_config;
pub mod executables;
pub mod fanout;
pub mod findings;
pub mod guarantee;
pub mod handshakes;
pub mod histogram;
pub mod interval;
pub mod interval_log;
pub mod metrics;
pub mod outcomes;
pub mod path;
pub mod peaks;
pub mod sizing;
pub mod strata;
pub mod trial;
pub mod wire;
