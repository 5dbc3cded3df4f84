//! How true the instrument's figures are, as Markdown and JSON.

mod differences;
mod limits;
mod queues;

use crate::markdown::{escape, grid};
use pushbench_core::record::accuracy::{Delayed, Frozen, Lagging, Share, Truth};
use pushbench_core::units::{nanos_text, rate};
use std::fmt::Write as _;

/// The response error that is wanted at the median, ns.
const WANTED_NS: f64 = 50_000.0;

/// The page.
pub fn render(truth: &Truth) -> String {
    let mut out = format!(
        "# Accuracy of the figures\n\nMade by `{}` (pushbench {}, seed {}) on {}; driver on CPU {}, target on CPU {}. Each \
         figure is the median of {} trials, or the percentile of all of them. Loopback, events of 512 bytes.\n\n",
        truth.command.replace('`', "'"),
        escape(&truth.version),
        truth.seed,
        escape(&truth.began),
        escape(&truth.cpus[0]),
        escape(&truth.cpus[1]),
        truth.trials
    );
    let machine = truth.machine.iter().map(|(name, value)| format!("{name} {value}"));
    let _ = writeln!(out, "Machine: {}.\n", escape(&machine.collect::<Vec<_>>().join(", ")));
    delays(&mut out, &truth.delays);
    differences::differences(&mut out, &truth.differences);
    differences::tails(&mut out, &truth.tails);
    queues::queues(&mut out, &truth.queues);
    freezes(&mut out, &truth.freezes);
    lags(&mut out, &truth.lags);
    shares(&mut out, &truth.shares);
    limits::limits(&mut out, &truth.limits, truth.trials);
    limits::shards(&mut out, &truth.shards);
    out
}

/// The same as data.
pub fn json(truth: &Truth) -> String {
    crate::visible::json(&serde_json::to_string_pretty(truth).expect("figures are JSON")) + "\n"
}

fn section(out: &mut String, title: &str, text: &str) {
    let _ = writeln!(out, "## {title}\n\n{text}\n");
}

fn rows(head: &[&str], body: impl Iterator<Item = Vec<String>>) -> Vec<Vec<String>> {
    let head = head.iter().map(|word| (*word).to_owned()).collect();
    std::iter::once(head).chain(body).collect()
}

fn delays(out: &mut String, delays: &[Delayed]) {
    section(
        out,
        "Response against a known delay",
        "The target delays each answer with one thread that never sleeps, so that no timer is late. Its own clock records the true delay (*actual delay*). *Reported* is the driver's median response. *Overhead* is the difference: transport, kernel and driver together, which is an upper bound of the driver's error. *Error* is the overhead with the delay minus the overhead without a delay, round by round.",
    );
    let row = |d: &Delayed| {
        let invalid = if d.invalid > 0 { format!("{} invalid", d.invalid) } else { String::new() };
        vec![
            d.transport.clone(),
            rate(d.rate),
            nanos_text(d.delay_ns as f64),
            nanos_text(d.reported_ns),
            nanos_text(d.held_ns),
            nanos_text(d.beside_ns),
            nanos_text(d.error_ns),
            nanos_text(d.beside_p99_ns),
            invalid,
        ]
    };
    let head = [
        "",
        "rate",
        "delay",
        "reported",
        "actual delay",
        "overhead",
        "error",
        "overhead p99",
        "trials",
    ];
    grid(out, &rows(&head, delays.iter().map(row)), 1);
    let fine = delays.iter().filter(|d| resolved(d.reported_ns));
    let worst = fine.map(|d| d.error_ns.abs()).fold(0.0, f64::max);
    let _ = write!(
        out,
        "The largest error is {}, {} the limit of {}.",
        nanos_text(worst),
        within(worst, WANTED_NS),
        nanos_text(WANTED_NS)
    );
    let coarse = delays.iter().find(|d| !resolved(d.reported_ns));
    steps(out, coarse.map(|d| d.delay_ns as f64));
    out.push_str("\n\n");
}

fn within(value: f64, limit: f64) -> &'static str {
    if value <= limit { "within" } else { "beyond" }
}

/// An error of the wanted size can be told apart at this value.
fn resolved(ns: f64) -> bool {
    step(ns) <= WANTED_NS
}

/// Says why rows of such values are not counted, where there are any.
fn steps(out: &mut String, coarse_ns: Option<f64>) {
    if let Some(ns) = coarse_ns {
        let _ = write!(
            out,
            " A histogram has steps of up to 0.1 % of its values, {} at {}: an error of that size cannot be resolved there, and such rows are not counted in this sentence.",
            nanos_text(step(ns)),
            nanos_text(ns)
        );
    }
}

/// The step of a histogram at a value: three significant digits are 2,048 steps to twice a power of two.
fn step(ns: f64) -> f64 {
    2f64.powf(ns.max(1.0).log2().floor() - 10.0).max(1.0)
}

fn freezes(out: &mut String, freezes: &[Frozen]) {
    section(
        out,
        "A frozen target",
        "The built-in server is stopped for 1 s of 5 s. The expected waiting times follow from the schedule (`stats::queue`). Each cell is: measured, expected.",
    );
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let row = |f: &Frozen| {
        let times = |[measured, theory]: [u64; 2]| {
            format!("{}, {}", nanos_text(measured as f64), nanos_text(theory as f64))
        };
        vec![
            f.transport.clone(),
            f.late.map(percent).join(", "),
            times(f.p90_ns),
            times(f.max_ns),
            percent(f.distance),
            f.missing.to_string(),
        ]
    };
    let head =
        ["", "responses over 10 ms", "p90", "largest", "distance of distributions", "missing"];
    grid(out, &rows(&head, freezes.iter().map(row)), 1);
}

fn lags(out: &mut String, lags: &[Lagging]) {
    section(
        out,
        "Lag against a spin loop",
        "A loop that only reads the clock, on the driver's CPU, shows how late the machine itself is. The driver's \
         lag is that of the floor transport (`tcp`) at the same instants.",
    );
    let row = |l: &Lagging| {
        let [spin, lag] = [l.spin_ns, l.lag_ns].map(|pair| pair.map(|ns| nanos_text(ns as f64)));
        let [[spin50, spin99], [lag50, lag99]] = [spin, lag];
        vec![rate(l.rate), spin50, lag50, spin99, lag99, nanos_text(l.hiccup_p99_ns as f64)]
    };
    let head = ["rate", "loop p50", "driver p50", "loop p99", "driver p99", "hiccups p99"];
    grid(out, &rows(&head, lags.iter().map(row)), 0);
}

fn shares(out: &mut String, shares: &[Share]) {
    section(
        out,
        "The driver's share of a latency",
        "A closed loop over the floor transport, one event on each connection. The bare loop writes and reads the same \
         bytes on the same CPU, never sleeps and records only the time: what the driver reports beyond that is its own cost (runtime, wake-ups, ledger, histograms). With many in flight each event waits until the driver has handled the others, so a closed loop shows the driver's cost and not the target's.",
    );
    let row = |s: &Share| {
        vec![
            s.in_flight.to_string(),
            nanos_text(s.reported_ns),
            nanos_text(s.bare_ns),
            nanos_text(s.reported_ns - s.bare_ns),
            format!("{:.0} %", s.own_share * 100.0),
        ]
    };
    let head = ["in flight", "reported p50", "bare loop p50", "driver's own", "share"];
    grid(out, &rows(&head, shares.iter().map(row)), 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use pushbench_core::record::accuracy::{Limit, Rung, Sharded};

    fn sharded(apart: bool, per_second_ratio: f64, target_busy: f64) -> Sharded {
        Sharded {
            transport: "tcp".into(),
            rounds: 5,
            driver: ["3".into(), if apart { "2-3" } else { "3" }.into()],
            target: "0".into(),
            apart,
            per_second: [100e3, 100e3 * per_second_ratio],
            per_second_ratio,
            cpu_ns: [5_000.0, 5_100.0],
            cpu_ratio: 1.02,
            target_busy,
        }
    }

    #[test]
    fn two_shards_are_judged_only_where_they_have_a_cpu_each() {
        let page = |s: Sharded| render(&Truth { shards: vec![s], ..sample() });
        let shared = page(sharded(false, 0.9, 0.5));
        assert!(shared.contains("**This machine cannot show"), "{shared}");
        assert!(shared.contains("| tcp | 5.00 µs | 5.10 µs | ×1.02 |\n"), "{shared}");
        for (ratio, busy, expected) in [
            (1.9, 0.99, "| ×1.90 | 5.00 µs | 5.10 µs | ×1.02 | met |"),
            (1.7, 0.5, "| not met |"),
            (1.3, 0.97, "| the target was the limit, busy 97 % |"),
        ] {
            let apart = page(sharded(true, ratio, busy));
            assert!(
                apart.contains(expected) && !apart.contains("cannot show"),
                "{expected}: {apart}"
            );
        }
        let older = render(&Truth { shards: Vec::new(), ..sample() });
        assert!(!older.contains("Two shards"), "{older}");
    }

    fn sample() -> Truth {
        let rung = |rate, trusted, said: Option<&str>| Rung {
            rate,
            trusted,
            response_ns: 90e3,
            lag_ns: 1e3,
            reading_ns: 2e3,
            busy: 0.5,
            said: said.map(str::to_owned),
        };
        let delayed = |delay_ns, error_ns| Delayed {
            transport: "webhook".into(),
            rate: 1e3,
            delay_ns,
            reported_ns: delay_ns as f64 + 70e3,
            held_ns: delay_ns as f64,
            beside_ns: 70e3,
            error_ns,
            beside_p99_ns: 1e6,
            invalid: 1,
        };
        Truth {
            schema: pushbench_core::record::accuracy::SCHEMA,
            version: "1".into(),
            command: "pushbench selftest --truth".into(),
            began: "2026-01-01T00:00:00Z".into(),
            seed: 7,
            machine: [("cpu".to_owned(), "a | b".to_owned())].into(),
            cpus: ["1".into(), "0".into()],
            trials: 3,
            delays: vec![delayed(100_000, -51e3), delayed(100_000_000, 131e3)],
            freezes: vec![Frozen {
                transport: "webhook".into(),
                late: [0.2, 0.198],
                p90_ns: [500_000_000, 499_000_000],
                max_ns: [1_000_000_000, 999_000_000],
                distance: 0.01,
                missing: 0,
            }],
            lags: vec![Lagging {
                rate: 1e3,
                spin_ns: [50, 9e5 as u64],
                lag_ns: [200, 950_000],
                hiccup_p99_ns: 1,
            }],
            shares: vec![Share { in_flight: 4, reported_ns: 40e3, bare_ns: 30e3, own_share: 0.25 }],
            limits: vec![Limit {
                transport: "tcp".into(),
                capacity: 90e3,
                rungs: vec![rung(40e3, 3, None), rung(80e3, 0, Some("driver saturated: 99 %"))],
                trusted_up_to: Some(40e3),
                mistrusted_from: Some(80e3),
            }],
            shards: vec![sharded(false, 0.9, 0.5)],
            queues: Vec::new(),
            differences: Vec::new(),
            tails: Vec::new(),
        }
    }

    #[test]
    fn the_page_says_what_the_data_say() {
        let truth = sample();
        let read: Truth = serde_json::from_str(&json(&truth)).unwrap();
        assert_eq!(read, truth);
        let page = render(&read);
        assert_eq!(page, render(&truth));
        for expected in [
            "error is 51.0 µs, beyond the limit of 50.0 µs",
            "65.5 µs at 100 ms",
            "1 invalid",
            "| 4 | 40.0 µs | 30.0 µs | 10.0 µs | 25 % |",
            "driver saturated",
            "Trusted up to 40.0k",
            "a \\| b",
        ] {
            assert!(page.contains(expected), "{expected} is missing:\n{page}");
        }
    }
}
