//! Known differences between two targets, and a known tail.

use crate::accuracy::queues::{known, trials};
use crate::accuracy::{rows, section, step, within};
use crate::markdown::grid;
use pushbench_core::record::accuracy::{Difference, Tail};
use pushbench_core::units::nanos_text;
use std::fmt::Write as _;

/// The error that is wanted up to this difference, ns, and up to which one it is the limit.
const WANTED: [(u64, f64); 2] = [(10_000, 2_000.0), (1_000_000, 20_000.0)];

pub(super) fn differences(out: &mut String, differences: &[Difference]) {
    if differences.is_empty() {
        return;
    }
    section(
        out,
        "Known differences",
        "Targets that hold each event for 100 µs and for a known time more are the arms of one run, and each is compared with the first as `run` compares arms. *Known* is the difference between the medians by the clocks of the targets. *Reported* is the difference of `response.p50` with its 95 % interval. Blocks in which the machine stalled are left out: there more than 1 % of the hiccup meter's readings were beyond 1 ms.",
    );
    let row = |d: &Difference| {
        let [low, high] = d.interval_ns.map(nanos_text);
        let cells = vec![
            d.transport.clone(),
            nanos_text(d.wanted_ns as f64),
            nanos_text(d.known_ns),
            nanos_text(d.reported_ns),
            format!("{low} … {high}"),
            nanos_text(error(d)),
            trials(d.blocks, d.left_out),
        ];
        known(cells, 2, d.blocks)
    };
    let head = ["", "added", "known", "reported", "interval", "error", "blocks"];
    grid(out, &rows(&head, differences.iter().map(row)), 1);
    let valid = || differences.iter().filter(|d| d.blocks > 0);
    let mut sentences = Vec::new();
    let mut above = 0;
    for (up_to, wanted) in WANTED {
        let mine = valid().filter(|d| d.wanted_ns > above && d.wanted_ns <= up_to);
        if let Some(worst) = mine.map(|d| error(d).abs()).reduce(f64::max) {
            sentences.push(format!(
                "The largest error of differences of up to {} is {}, {} the limit of {}.",
                nanos_text(up_to as f64),
                nanos_text(worst),
                within(worst, wanted),
                nanos_text(wanted)
            ));
        }
        above = up_to;
    }
    let holds = |d: &&Difference| d.interval_ns[0] <= d.known_ns && d.known_ns <= d.interval_ns[1];
    sentences.push(format!(
        "The interval contains the known difference in {} of {} rows.",
        valid().filter(holds).count(),
        valid().count()
    ));
    let _ = writeln!(out, "{}\n", sentences.join(" "));
}

fn error(d: &Difference) -> f64 {
    d.reported_ns - d.known_ns
}

pub(super) fn tails(out: &mut String, tails: &[Tail]) {
    if tails.is_empty() {
        return;
    }
    section(
        out,
        "A known tail",
        "A target holds each event for 1 ms, and every twentieth one for 20 ms. *Exact* is the figure by the target's own clock. Trials of blocks in which the machine stalled are left out, as above.",
    );
    let percent = |share: f64| format!("{:.2} %", share * 100.0);
    let row = |t: &Tail| {
        let [reported, exact] = t.p99_ns;
        let mut cells = vec![t.transport.clone()];
        cells.extend([reported, exact, reported - exact].map(nanos_text));
        cells.extend(t.beyond.map(percent));
        cells.push(trials(t.trials, t.left_out));
        known(cells, 1, t.trials)
    };
    let head = ["", "p99", "exact", "error", "over 10 ms", "exact", "trials"];
    grid(out, &rows(&head, tails.iter().map(row)), 1);
    let valid = || tails.iter().filter(|t| t.trials > 0);
    let Some(p99) = valid().map(|t| (t.p99_ns[0] - t.p99_ns[1]).abs()).reduce(f64::max) else {
        return;
    };
    let beyond = valid().map(|t| (t.beyond[0] - t.beyond[1]).abs()).fold(0.0, f64::max);
    let at = valid().map(|t| t.p99_ns[0]).fold(0.0, f64::max);
    let _ = writeln!(
        out,
        "The largest error of p99 is {}, where the histogram has steps of {}. The largest error of the part over 10 ms is {:.2} percentage points.\n",
        nanos_text(p99),
        nanos_text(step(at)),
        beyond * 100.0
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(wanted_ns: u64, error_ns: f64) -> Difference {
        let known_ns = wanted_ns as f64 + 20.0;
        let reported_ns = known_ns + error_ns;
        Difference {
            transport: "tcp".into(),
            wanted_ns,
            known_ns,
            reported_ns,
            interval_ns: [reported_ns - 500.0, reported_ns + 500.0],
            blocks: 11,
            left_out: 1,
        }
    }

    fn page(rows: &[Difference]) -> String {
        let mut out = String::new();
        differences(&mut out, rows);
        out
    }

    #[test]
    fn the_worst_error_of_each_size_is_named() {
        let page = page(&[
            difference(2_000, 300.0),
            difference(10_000, -900.0),
            difference(50_000, 4e3),
            difference(1_000_000, -21e3),
        ]);
        for expected in [
            "| tcp | 10.0 µs | 10.0 µs | 9.12 µs | 8.62 µs … 9.62 µs | −900 ns | 11, 1 left out |",
            "up to 10.0 µs is 900 ns, within the limit of 2.00 µs.",
            "up to 1.00 ms is 21.0 µs, beyond the limit of 20.0 µs.",
            "in 1 of 4 rows",
        ] {
            assert!(page.contains(expected), "{expected} is missing:\n{page}");
        }
        assert_eq!(self::page(&[]), "");
    }

    #[test]
    fn rows_without_blocks_claim_nothing() {
        let mut none = difference(2_000, 9e9);
        none.blocks = 0;
        let page = page(&[none, difference(5_000, 2_500.0)]);
        assert!(page.contains("is 2.50 µs, beyond the limit of 2.00 µs. The interval"), "{page}");
        assert!(page.contains("in 0 of 1 rows"), "{page}");
        assert!(page.contains("| tcp | 2.00 µs | – | – | – | – | 0, 1 left out |"), "{page}");
    }

    #[test]
    fn the_tail_is_held_against_the_clock_of_the_target() {
        let mut out = String::new();
        let tail = Tail {
            transport: "websocket".into(),
            p99_ns: [20.06e6, 20.0e6],
            beyond: [0.0512, 0.05],
            trials: 8,
            left_out: 0,
        };
        tails(&mut out, &[tail]);
        for expected in [
            "| websocket | 20.1 ms | 20.0 ms | 60.0 µs | 5.12 % | 5.00 % | 8 |",
            "error of p99 is 60.0 µs, where the histogram has steps of 16.4 µs",
            "is 0.12 percentage points",
        ] {
            assert!(out.contains(expected), "{expected} is missing:\n{out}");
        }
    }
}
