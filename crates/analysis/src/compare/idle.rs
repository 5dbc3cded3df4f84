//! What holding subscribers costs while nothing is published.

use crate::compare::{ArmFigures, Note};
use pushbench_core::record::fanout::{Fanout, KernelScope, Quiet};
use pushbench_core::record::trial::Trial;
use serde::Serialize;

/// What lay between two events of an idle flow, over valid trials.
#[derive(Debug, Clone, Serialize)]
pub struct IdleFigures {
    /// Quiet periods, summed.
    pub quiet_ns: u64,
    /// CPU of the target's process tree.
    pub target_cpu_ns_per_subscriber_minute: Option<f64>,
    /// CPU of the driver.
    pub driver_cpu_ns_per_subscriber_minute: Option<f64>,
    /// Bytes inside TCP to a subscriber, pings included.
    pub bytes_in_per_subscriber_minute: Option<f64>,
    /// Bytes from it.
    pub bytes_out_per_subscriber_minute: Option<f64>,
    /// Pings that came to a subscriber.
    pub pings_per_subscriber_minute: Option<f64>,
    /// Open connections at the end of the idle interval, per subscriber.
    pub connections_per_subscriber: Option<f64>,
}

/// Nanoseconds of a minute.
const MINUTE: f64 = 60e9;

/// The figures of the quiet periods of these trials; `None` in another flow.
pub fn figures(all: &[&Fanout]) -> Option<IdleFigures> {
    let each: Vec<(&Fanout, &Quiet)> =
        all.iter().filter_map(|f| Some((*f, f.quiet.as_ref()?))).collect();
    if each.is_empty() {
        return None;
    }
    let minutes: f64 =
        each.iter().map(|(f, q)| f.deliveries.subscribers as f64 * q.ns as f64 / MINUTE).sum();
    let per_minute = |total: u64| (minutes > 0.0).then(|| total as f64 / minutes);
    let sum = |of: fn(&Quiet) -> u64| each.iter().map(|(_, q)| of(q)).sum::<u64>();
    let target: Option<u64> = each.iter().map(|(_, q)| q.target_cpu_ns).sum();
    let subscribers: u64 = each.iter().map(|(f, _)| f.deliveries.subscribers).sum();
    let connections = sum(|q| q.connections);
    Some(IdleFigures {
        quiet_ns: sum(|q| q.ns),
        target_cpu_ns_per_subscriber_minute: target.and_then(per_minute),
        driver_cpu_ns_per_subscriber_minute: per_minute(sum(|q| q.driver_cpu_ns)),
        bytes_in_per_subscriber_minute: per_minute(sum(|q| q.bytes_in)),
        bytes_out_per_subscriber_minute: per_minute(sum(|q| q.bytes_out)),
        pings_per_subscriber_minute: per_minute(sum(|q| q.pings)),
        connections_per_subscriber: (subscribers > 0)
            .then(|| connections as f64 / subscribers as f64),
    })
}

/// Whose kernel memory the trials tell; `None` where they do not agree or do not tell.
pub fn kernel_scope(all: &[&Fanout]) -> Option<KernelScope> {
    let first = all.first()?.kernel_memory?.of;
    all.iter().all(|f| f.kernel_memory.is_some_and(|k| k.of == first)).then_some(first)
}

/// What to know of an arm's memory before believing it.
pub fn notes(arm: &ArmFigures, trials: &[&Trial]) -> Vec<Note> {
    let all: Vec<&Fanout> = trials.iter().filter_map(|t| t.fanout.as_ref()).collect();
    if all.iter().all(|f| f.quiet.is_none()) {
        return Vec::new();
    }
    let why = all.iter().find_map(|f| f.kernel_memory_why.as_ref());
    let because = why.map_or(String::new(), |why| format!(": {why}"));
    let kernel = |text| Note::of(&arm.arm, format!("{text}{because}"));
    let mut notes: Vec<Note> = match kernel_scope(&all) {
        Some(KernelScope::Target) => Vec::new(),
        Some(KernelScope::Machine) => {
            let note = kernel("kernel memory includes both ends and the whole machine");
            vec![note.moves(|m| m.name == "target_usage.kernel_bytes_per_subscriber")]
        }
        None => vec![kernel("kernel memory is unknown")],
    };
    let silent = |f: &&Fanout| f.publisher.is_some_and(|p| p.pings > p.pongs + p.subscribers);
    if all.iter().any(silent) {
        notes.push(Note::of(&arm.arm, "pings were not answered"));
    }
    notes
}
