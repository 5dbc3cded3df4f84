//! The time line of a trial: what each second of the wall clock brought.

use crate::record::histogram::Hist;
use crate::record::metrics::supported_quantile;
use serde::{Deserialize, Serialize};

/// Counts of one arm of one shard since the last interval was closed.
#[derive(Debug, Clone, Default)]
pub struct IntervalCounts {
    /// Responses (service times in a closed loop), by the instant the answer was read.
    pub responses: Hist,
    /// Events that came due.
    pub due: u64,
    /// Longest queue of events waiting for a connection.
    pub backlog_peak: u64,
}

impl IntervalCounts {
    /// True when nothing happened.
    pub fn is_empty(&self) -> bool {
        self.responses.is_empty() && self.due == 0
    }

    /// Adds another shard's.
    pub fn merge(&mut self, other: &IntervalCounts) {
        self.responses.merge(&other.responses);
        self.due += other.due;
        self.backlog_peak += other.backlog_peak;
    }
}

/// A second of a trial, warm-up included. Times are ns; a percentile that too few samples support is
/// `None`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Its number, from 0 at the first event's origin.
    pub second: u64,
    /// Events that came due.
    pub due: u64,
    /// Measured events with a read answer.
    pub acknowledged: u64,
    /// Median response.
    pub p50: Option<u64>,
    /// 99th percentile.
    pub p99: Option<u64>,
    /// Largest.
    pub max: Option<u64>,
    /// Longest queue of events waiting for a connection, summed over shards.
    pub backlog_peak: u64,
    /// Resident memory of the driver when the second ended.
    pub driver_rss_bytes: u64,
}

impl Interval {
    /// The figures of a second.
    pub fn of(second: u64, counts: &IntervalCounts, driver_rss_bytes: u64) -> Interval {
        let quantile = |q| supported_quantile(&counts.responses, q).map(|v| v as u64);
        Interval {
            second,
            due: counts.due,
            acknowledged: counts.responses.count(),
            p50: quantile(0.5),
            p99: quantile(0.99),
            max: counts.responses.max(),
            backlog_peak: counts.backlog_peak,
            driver_rss_bytes,
        }
    }
}
