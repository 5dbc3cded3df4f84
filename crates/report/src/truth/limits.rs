//! How far the driver reaches: up to which rate, and with a second shard.

use crate::markdown::{escape, grid};
use crate::truth::{rows, section};
use pushbench_core::record::truth::{Limit, Rung, Sharded};
use pushbench_core::units::{nanos_text, rate};
use std::fmt::Write as _;

/// The throughput of two shards over that of one that is wanted where CPUs are free to give.
const WANTED_OF_TWO: f64 = 1.8;
/// A target busier than this was what held two shards up.
const TARGET_BOUND: f64 = 0.9;

pub(super) fn limits(out: &mut String, limits: &[Limit], trials: usize) {
    section(
        out,
        "Up to which rate it is to be trusted",
        "Poisson arrivals on 32 connections to a target that is faster than the driver, one core each. A trial is trusted \
         when `run` would not call it invalid by the driver's doing (`drive::validity`: lag or late reading beyond \
         its budget, or too busy); *busy* is work over work and idle, time in which others had the CPU apart, and more \
         than 90 % are too much; *said* is what `run` prints there.",
    );
    for limit in limits {
        let _ = writeln!(out, "### {}\n", escape(&limit.transport));
        let trusted =
            limit.trusted_up_to.map_or("At none of these rates trusted".to_owned(), |r| {
                format!("Trusted up to {}", rate(r))
            });
        let not = limit.mistrusted_from.map_or(
            "**it did not say of itself at the highest rate that it cannot be**".to_owned(),
            |r| format!("not trusted from {} on", rate(r)),
        );
        let capacity = rate(limit.capacity);
        let _ =
            writeln!(out, "{trusted}; {not}. In a closed loop the driver manages {capacity}.\n");
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
            ["rate", "trusted", "response p50", "lag p50", "late reading p50", "busy", "said"];
        grid(out, &rows(&head, limit.rungs.iter().map(row)), 0);
    }
}

pub(super) fn shards(out: &mut String, shards: &[Sharded]) {
    let Some(first) = shards.first() else { return };
    let ([_, two], target) = (&first.driver, &first.target);
    let text = match first.apart {
        true => format!(
            "A closed loop of 32 connections, one shard of the driver on CPU {} beside two on CPUs {two}, in {} rounds by \
             turns; the built-in target has CPU {target} both times. At least ×{WANTED_OF_TWO} of the throughput is wanted.",
            first.driver[0], first.rounds
        ),
        false => format!(
            "**This machine cannot show what a second CPU gives the driver**: two shards and a target need three, one each. \
             What it shows is whether an event costs more when the driver is split: a closed loop of 32 connections, one \
             shard beside two that share CPU {}, in {} rounds by turns; the built-in target has CPU {target} both times.",
            first.driver[0], first.rounds
        ),
    };
    section(out, "Two shards beside one", &text);
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
