//! Responses of a server with a queue, against Lindley's recursion and the formulas.

use crate::accuracy::{WANTED_NS, resolved, rows, section, steps, within};
use crate::markdown::{escape, grid};
use pushbench_core::record::accuracy::{Queued, Server};
use pushbench_core::units::nanos_text;
use std::fmt::Write as _;

/// The error of p99 that is wanted, as a multiple of the hiccup meter's p99.
const WANTED_HICCUPS: f64 = 2.0;
/// The distance from a formula that is wanted, as a multiple of that of an instrument without error.
const WANTED_DEVIATIONS: f64 = 3.0;

pub(super) fn queues(out: &mut String, queues: &[Queued]) {
    if queues.is_empty() {
        return;
    }
    section(
        out,
        "One server with a queue",
        "The target serves one event after the other, first in, first out. It spins or sleeps for each, and logs by its own clock when it was free again. A run compares two arms with this server, in the design that `run` chooses. Lindley's recursion over the schedule and the logged times gives each response: a service begins when the event has come and the server is free. The schedule is taken without the slices of other arms, so a queue that slices cut off would show as a deviation. The way of an answer from the target to the driver is part of every deviation.",
    );
    let row = |q: &Queued| {
        let mut cells = vec![
            q.transport.clone(),
            server(q.server).to_owned(),
            percent(q.utilisation),
            if q.sliced { "sliced" } else { "sequential" }.to_owned(),
        ];
        for i in 0..3 {
            cells.push(nanos_text(q.reported_ns[i]));
            cells.push(nanos_text(deviation(q, i)));
        }
        cells.extend([nanos_text(q.hiccup_p99_ns), trials(q.trials, q.left_out)]);
        known(cells, 2, q.trials)
    };
    let head = [
        "",
        "server",
        "utilisation",
        "design",
        "p50",
        "deviation",
        "p90",
        "deviation",
        "p99",
        "deviation",
        "hiccups p99",
        "trials",
    ];
    grid(out, &rows(&head, queues.iter().map(row)), 1);
    let valid = || queues.iter().filter(|q| q.trials > 0);
    let fine = |i: usize| valid().filter(move |q| resolved(q.reported_ns[i]));
    let worst = |i: usize| fine(i).map(|q| deviation(q, i).abs()).reduce(f64::max);
    let named = [worst(0).map(|ns| (ns, "p50")), worst(1).map(|ns| (ns, "p90"))];
    let texts: Vec<String> =
        named.iter().flatten().map(|(ns, name)| format!("{} at {name}", nanos_text(*ns))).collect();
    let _ = match worst(0).into_iter().chain(worst(1)).reduce(f64::max) {
        Some(largest) => write!(
            out,
            "The largest deviation is {}, {} the limit of {}.",
            texts.join(" and "),
            within(largest, WANTED_NS),
            nanos_text(WANTED_NS),
        ),
        None => write!(out, "No trial shows a deviation at p50 or p90."),
    };
    let hiccups = |q: &Queued| deviation(q, 2).abs() / q.hiccup_p99_ns.max(1.0);
    if let Some(worst) = fine(2).map(hiccups).reduce(f64::max) {
        let _ = write!(
            out,
            " At p99 it is up to ×{worst:.1} of the 99th percentile of the hiccup meter, {} the limit of ×{WANTED_HICCUPS}.",
            within(worst, WANTED_HICCUPS),
        );
    }
    let coarse = valid().flat_map(|q| q.reported_ns).filter(|ns| !resolved(*ns));
    steps(out, coarse.reduce(f64::min));
    out.push_str("\n\n");
    formulas(out, queues);
}

fn formulas(out: &mut String, queues: &[Queued]) {
    section(
        out,
        "Formulas of queueing theory",
        "The mean response of the same trials, against the formula of Pollaczek and Khinchine with the mean and the mean square of the logged times: M/D/1 where they are constant, M/M/1 where they are exponential. In an overload the queue grows steadily. A formula is for an endless schedule. *Perfect instrument* is the root mean square deviation of simulated instruments without any error, with as many trials of the same length.",
    );
    let row = |q: &Queued| {
        let [reported, formula] = q.mean_ns.map(nanos_text);
        vec![
            q.transport.clone(),
            law(q).to_owned(),
            percent(q.utilisation),
            reported,
            formula,
            nanos_text(q.mean_ns[0] - q.mean_ns[1]),
            nanos_text(q.deviation_ns),
        ]
    };
    let head =
        ["", "formula", "utilisation", "mean", "by formula", "deviation", "perfect instrument"];
    grid(out, &rows(&head, queues.iter().filter(|q| q.trials > 0).map(row)), 1);
    let valid = queues.iter().filter(|q| q.trials > 0);
    let times = |q: &Queued| {
        let own = ((q.mean_ns[0] - q.mean_ns[1]).abs() - WANTED_NS).max(0.0);
        own / q.deviation_ns.max(1.0)
    };
    let Some(worst) = valid.map(times).reduce(f64::max) else { return };
    let _ = writeln!(
        out,
        "After {} for the way of an answer, the largest deviation is ×{worst:.1} of that of a perfect instrument, {} the limit of ×{WANTED_DEVIATIONS}.\n",
        nanos_text(WANTED_NS),
        within(worst, WANTED_DEVIATIONS),
    );
}

fn deviation(q: &Queued, quantile: usize) -> f64 {
    q.reported_ns[quantile] - q.computed_ns[quantile]
}

fn server(server: Server) -> &'static str {
    match server {
        Server::Spinning => "spins",
        Server::Sleeping => "sleeps",
        Server::Exponential => "sleeps, exponential",
    }
}

fn law(q: &Queued) -> &'static str {
    match q.server {
        _ if q.utilisation >= 1.0 => "overload",
        Server::Spinning => "M/D/1, spins",
        Server::Sleeping => "M/D/1, sleeps",
        Server::Exponential => "M/M/1",
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// A row whose figures, from this cell to the one before the last, are known if there is anything behind them.
pub(super) fn known(mut cells: Vec<String>, from: usize, behind: usize) -> Vec<String> {
    let last = cells.len() - 1;
    if behind == 0 {
        cells[from..last].fill("–".to_owned());
    }
    cells
}

/// How many there are, and how many are not among them.
pub(super) fn trials(valid: usize, left_out: usize) -> String {
    match left_out {
        0 => valid.to_string(),
        n => escape(&format!("{valid}, {n} left out")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queued(deviations: [f64; 3], mean: f64) -> Queued {
        let computed_ns = [5e6, 18e6, 33e6];
        Queued {
            transport: "webhook".into(),
            server: Server::Sleeping,
            busy_ns: 2.1e6,
            rate: 430.0,
            utilisation: 0.9,
            sliced: false,
            trials: 3,
            left_out: 1,
            reported_ns: [0, 1, 2].map(|i| computed_ns[i] + deviations[i]),
            computed_ns,
            hiccup_p99_ns: 100e3,
            mean_ns: [mean, 11e6],
            deviation_ns: 1e6,
        }
    }

    fn page(rows: &[Queued]) -> String {
        let mut out = String::new();
        queues(&mut out, rows);
        out
    }

    #[test]
    fn a_page_without_them_has_no_such_section() {
        assert_eq!(page(&[]), "");
    }

    #[test]
    fn deviations_within_their_limits_are_called_so() {
        let page = page(&[queued([40e3, -45e3, 150e3], 12e6), queued([10e3, 0.0, 0.0], 11e6)]);
        for expected in [
            "| webhook | sleeps | 90 % | sequential | 5.04 ms | 40.0 µs | 18.0 ms | −45.0 µs | 33.1 ms | 150 µs | 100 µs | 3, 1 left out |",
            "is 40.0 µs at p50 and 45.0 µs at p90, within the limit of 50.0 µs",
            "At p99 it is up to ×1.5 of the 99th percentile of the hiccup meter, within the limit of ×2.\n",
            "| webhook | M/D/1, sleeps | 90 % | 12.0 ms | 11.0 ms | 1.00 ms | 1.00 ms |",
            "is ×0.9 of that of a perfect instrument, within the limit of ×3.",
        ] {
            assert!(page.contains(expected), "{expected} is missing:\n{page}");
        }
    }

    #[test]
    fn deviations_beyond_them_are_called_so() {
        let page = page(&[queued([40e3, -845e3, 250e3], 8e6)]);
        for expected in [
            "845 µs at p90, beyond the limit",
            "×2.5 of the 99th percentile of the hiccup meter, beyond",
            "beyond the limit of ×2.\n",
        ] {
            assert!(page.contains(expected), "{expected} is missing:\n{page}");
        }
        let far = self::page(&[queued([0.0; 3], 7e6)]);
        assert!(far.contains("is ×4.0 of that of a perfect instrument, beyond"), "{far}");
    }

    #[test]
    fn what_a_histogram_cannot_resolve_is_not_counted() {
        let mut overload = queued([900e3; 3], 500e6);
        overload.utilisation = 1.2;
        overload.reported_ns = [500e6, 900e6, 990e6];
        overload.mean_ns = [500e6; 2];
        let page = page(&[queued([1e3; 3], 11e6), overload]);
        for expected in [
            "is 1.00 µs at p50 and 1.00 µs at p90, within",
            "262 µs at 500 ms: an error of that size cannot be resolved there",
            "| webhook | overload | 120 % |",
        ] {
            assert!(page.contains(expected), "{expected} is missing:\n{page}");
        }
    }

    #[test]
    fn a_row_without_a_valid_trial_claims_nothing() {
        let mut none = queued([9e9; 3], 9e9);
        none.trials = 0;
        let page = page(&[queued([1e3; 3], 11e6), none]);
        assert!(page.contains("is 1.00 µs at p50 and 1.00 µs at p90, within"), "{page}");
        assert!(
            page.contains("| sleeps | – | – |") && page.contains("| 0, 1 left out |"),
            "{page}"
        );
        none = queued([0.0; 3], 11e6);
        none.trials = 0;
        let page = self::page(&[none]);
        assert!(page.contains("No trial shows a deviation") && !page.contains("within"), "{page}");
    }
}
