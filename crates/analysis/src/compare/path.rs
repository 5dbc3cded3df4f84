//! What the path did to an arm's packets, and what its router cost.

use crate::compare::figures::{distribution, over_blocks, per};
use crate::compare::{ArmFigures, Latency};
use crate::stats;
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::path::{PacketCounts, PathRecord};
use pushbench_core::record::trial::Trial;
use serde::Serialize;

/// Figures of the path over an arm's valid trials. Counts are of both directions, from the first connection on.
#[derive(Debug, Clone, Serialize)]
pub struct PathFigures {
    /// Packets that entered the link.
    pub packets: u64,
    /// Packets that were lost as the settings say.
    pub lost: u64,
    /// Packets that found the queue of the rate full.
    pub queue_full: u64,
    /// Packets that were dropped by a pause or a new address.
    pub cut: u64,
    /// TCP segments that the kernels of both ends sent again.
    pub retransmitted: u64,
    /// CPU of the router per acknowledged event or received delivery, ns.
    pub router_cpu_ns_per_event: Option<f64>,
    /// The router's share of the measured window, median over trials.
    pub router_busy: Option<f64>,
    /// Of the driver's busiest thread and the router together, median over trials.
    pub driver_and_router_busy: Option<f64>,
    /// How much later than planned packets left the link.
    pub router_lateness_ns: Latency,
    /// Congestion control of TCP.
    pub congestion_control: String,
}

/// Those of some trials; `None` without a path.
pub(super) fn figures(trials: &[&Trial]) -> Option<PathFigures> {
    let records: Vec<&PathRecord> = trials.iter().filter_map(|t| t.path.as_ref()).collect();
    let first = records.first()?;
    let sum = |of: fn(&PacketCounts) -> u64| {
        records.iter().flat_map(|record| record.directions()).map(of).sum()
    };
    let events = |t: &&Trial| match &t.fanout {
        Some(fanout) => fanout.deliveries.measured.received,
        None => t.account.acknowledged_in_window,
    };
    let busy = |with: fn(&Trial) -> f64| {
        let busy = |t: &&Trial| Some(t.path.as_ref()?.busy + with(t));
        stats::median(&trials.iter().filter_map(busy).collect::<Vec<f64>>())
    };
    let each: Vec<Option<&Hist>> = records.iter().map(|record| Some(&record.lateness)).collect();
    let mut late = Hist::new();
    records.iter().for_each(|record| late.merge(&record.lateness));
    let cpu = records.iter().map(|record| record.cpu_ns).sum();
    Some(PathFigures {
        packets: sum(|d| d.entered),
        lost: sum(|d| d.lost),
        queue_full: sum(|d| d.queue_full),
        cut: sum(|d| d.cut),
        retransmitted: sum(|d| d.retransmitted),
        router_cpu_ns_per_event: per(cpu, trials.iter().map(events).sum()),
        router_busy: busy(|_| 0.0),
        driver_and_router_busy: busy(|t| t.driver.busy),
        router_lateness_ns: distribution(&late, trials, false, |q| over_blocks(&each, q)),
        congestion_control: first.congestion_control.clone(),
    })
}

/// The congestion control of the arms.
pub fn congestion_control(arms: &[ArmFigures]) -> Option<&str> {
    let control = arms.iter().find_map(|arm| Some(&arm.path.as_ref()?.congestion_control));
    control.map(String::as_str).filter(|control| !control.is_empty())
}
