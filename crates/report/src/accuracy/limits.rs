//! How far the driver reaches: up to which rate, and with a second shard.

use crate::accuracy::{rows, section};
use crate::markdown::{escape, grid};
use pushbench_core::record::accuracy::{Limit, Rung, Sharded};
use pushbench_core::units::{nanos_text, rate};
use std::fmt::Write as _;

/// The throughput of two shards over that of one that is wanted where CPUs are free to give.
const WANTED_OF_TWO: f64 = 1.8;
/// A target busier than this was what held two shards up.
const TARGET_BOUND: f64 = 0.9;

pub(super) fn limits(out: &mut String, limits: &[Limit], trials: usize) {
    section(
        out,
        "Highest trusted rate",
        "Poisson arrivals on 32 connections to a target that is faster than the driver, one core each. A trial is trusted when `run` would not call it invalid because of the driver (lag or late reading beyond its budget, or a saturated driver). *Busy* is work time divided by work and idle time, without time in which other processes had the CPU; more than 90 % is too much. *Reason* is the message of `run`.",
    );
    for limit in limits {
        let _ = writeln!(out, "### {}\n", escape(&limit.transport));
        let trusted =
            limit.trusted_up_to.map_or("Trusted at none of these rates".to_owned(), |r| {
                format!("Trusted up to {}", rate(r))
            });
        let not = limit
            .mistrusted_from
            .map_or("**the highest rate was not reported as untrusted**".to_owned(), |r| {
                format!("not trusted from {} on", rate(r))
            });
        let capacity = rate(limit.capacity);
        let _ =
            writeln!(out, "{trusted}; {not}. The driver's closed-loop capacity is {capacity}.\n");
        let row = |r: &Rung| {
            vec![
                rate(r.rate),
                format!("{} of {trials}", r.trusted),
                nanos_text(r.response_ns),
                nanos_text(r.lag_ns),
                nanos_text(r.reading_ns),
                format!("{:.0} %", r.busy * 100.0),
                r.said.clone().unwrap_or_default(),
            ]
        };
        let head =
            ["rate", "trusted", "response p50", "lag p50", "late reading p50", "busy", "reason"];
        grid(out, &rows(&head, limit.rungs.iter().map(row)), 0);
    }
}

pub(super) fn shards(out: &mut String, shards: &[Sharded]) {
    let Some(first) = shards.first() else { return };
    let ([_, two], target) = (&first.driver, &first.target);
    let text = match first.apart {
        true => format!(
            "A closed loop of 32 connections, one shard of the driver on CPU {} and two on CPUs {two}, alternating over {} rounds; the built-in target has CPU {target} in both. The limit is at least ×{WANTED_OF_TWO} of the throughput.",
            first.driver[0], first.rounds
        ),
        false => format!(
            "**This machine cannot show the gain from a second driver CPU**: two shards and a target need three CPUs. It shows whether an event costs more when the driver is split: a closed loop of 32 connections, one shard and two that share CPU {}, alternating over {} rounds; the built-in target has CPU {target} in both.",
            first.driver[0], first.rounds
        ),
    };
    section(out, "Two shards and one", &text);
    let ratio = |ratio: f64| format!("×{ratio:.2}");
    let row = |s: &Sharded| {
        let mut cells = vec![s.transport.clone()];
        if s.apart {
            cells.extend(s.per_second.map(rate));
            cells.push(ratio(s.per_second_ratio));
        }
        cells.extend(s.cpu_ns.map(nanos_text));
        cells.push(ratio(s.cpu_ratio));
        if s.apart {
            let met = s.per_second_ratio >= WANTED_OF_TWO;
            cells.push(match (met, s.target_busy > TARGET_BOUND) {
                (true, _) => "met".to_owned(),
                (false, true) => {
                    format!("the target was the limit, busy {:.0} %", s.target_busy * 100.0)
                }
                (false, false) => "not met".to_owned(),
            });
        }
        cells
    };
    let cpu = ["CPU/event, one", "two", "ratio"];
    let head: Vec<&str> = match first.apart {
        true => [&["", "rate, one", "two", "ratio"][..], &cpu, &["wanted"]].concat(),
        false => [&[""][..], &cpu].concat(),
    };
    grid(out, &rows(&head, shards.iter().map(row)), 1);
}
