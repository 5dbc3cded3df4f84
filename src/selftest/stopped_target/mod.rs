//! A target stopped for a second: who waited how long is known in advance.

mod fanout;

use crate::selftest::{Line, SelfTestContext, load, unusable};
use pushbench_analysis::stats::queue::{Stop, responses};
use pushbench_core::error::Result;
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::trial::Trial;
use pushbench_core::scenario::{Arrivals, Load};
use pushbench_core::schedule::Schedule;
use pushbench_core::transport::Transport;
use pushbench_load::trial_group::Freeze;

pub(crate) const ABOUT: &str = "a target that is stopped for 1 s of 5 s at a constant rate: events that are due during the stop wait until its end. \
     The response times show this, but few service times do. A publisher that is stopped for 1 s of 3 s: \
     the deliveries show the same";

/// Later than any answer of a target that runs, on a machine that stalls.
const LATE_NS: u64 = 10_000_000;
/// At most this part of what the target can do, so that nothing but the stop queues.
const SHARE_OF_CAPACITY: f64 = 0.02;
/// More events would not sharpen the figure.
const HIGHEST_RATE: f64 = 200.0;
const WARMUP_MS: u64 = 300;
const MEASURED_MS: u64 = 5_000;
/// The stop begins this long after the warm-up.
const STOP_AFTER_NS: u64 = 2_000_000_000;
const STOP_NS: u64 = 1_000_000_000;
/// A stall of the machine changes a wait by its own length.
const ALLOWED_STALL_NS: u64 = 100_000_000;
/// Largest gap between measured and computed distribution: a stall of the machine of 100 ms makes
/// 2 % of 5 s late that theory has in time.
const ALLOWED_GAP: f64 = 0.03;

pub fn run(context: &SelfTestContext<'_>) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for transport in [Transport::Webhook, Transport::Websocket] {
        lines.extend(freeze(context, transport)?);
    }
    for transport in [Transport::Webhook, Transport::Websocket] {
        lines.extend(fanout::freeze(context, transport)?);
    }
    Ok(lines)
}

fn freeze(context: &SelfTestContext<'_>, transport: Transport) -> Result<Vec<Line>> {
    Ok(match stopped(context, transport)? {
        Ok(Stopped { trial, theory }) => compare(transport.name(), &trial, &theory, trial.slots),
        Err(line) => vec![line],
    })
}

/// A trial with a stop in it.
pub(super) struct Stopped {
    pub trial: Trial,
    /// The responses that theory gives its measured events, ascending.
    pub theory: Vec<u64>,
}

/// Stops a target; a line with the reason if the trial cannot be used.
pub(super) fn stopped(
    context: &SelfTestContext<'_>,
    transport: Transport,
) -> Result<std::result::Result<Stopped, Line>> {
    let name = transport.name();
    let closed = load(Arrivals::Closed, None, 50, 250);
    let flat_out = context.measure_one(&context.group(
        vec![context.trial_arm(0, transport, None)],
        closed,
        None,
    ))?;
    let capacity =
        flat_out.account.measured.acknowledged as f64 / (flat_out.window_ns as f64 / 1e9);
    if capacity < 100.0 {
        return Ok(Err(Line {
            what: format!("{name}: capacity"),
            measured: format!("{capacity:.0} events/s"),
            theory: "at least 100/s".to_owned(),
            ok: false,
        }));
    }
    let rate = (capacity * SHARE_OF_CAPACITY).min(HIGHEST_RATE).floor();
    let load = load(Arrivals::Constant, Some(rate), WARMUP_MS, MEASURED_MS);
    let warmup = load.warmup.as_nanos() as u64;
    let from = warmup + STOP_AFTER_NS;
    let mut group = context.group(vec![context.trial_arm(0, transport, None)], load.clone(), None);
    group.freeze = Some(Freeze { at: from, length: STOP_NS });
    let trial = context.measure_one(&group)?;
    if let Some(line) = unusable(name, &trial) {
        return Ok(Err(line));
    }
    let stop = Stop {
        from,
        until: from + STOP_NS,
        service_ns: trial.account.service.quantile(0.5).unwrap_or(0),
        drain_gap_ns: (1e9 / capacity) as u64,
    };
    let theory = computed(&load, context.seed, &stop);
    Ok(Ok(Stopped { trial, theory }))
}

/// The responses that theory gives the measured events, ascending.
fn computed(load: &Load, seed: u64, stop: &Stop) -> Vec<u64> {
    let warmup = load.warmup.as_nanos() as u64;
    let due: Vec<u64> =
        Schedule::new(load, seed, 0, 1).into_iter().flatten().map(|d| d.at).collect();
    let all = responses(&due, stop);
    let measured = due.iter().zip(all).filter(|(due, _)| **due >= warmup);
    let mut measured: Vec<u64> = measured.map(|(_, response)| response).collect();
    measured.sort_unstable();
    measured
}

fn compare(name: &str, trial: &Trial, theory: &[u64], slots: u64) -> Vec<Line> {
    let n = theory.len() as f64;
    let late = theory.iter().filter(|r| **r > LATE_NS).count() as f64;
    // Only the events that were being served, one a connection, have a long service time.
    let hidden = late.min(slots as f64) / n;
    let service = late_share(&trial.account.service);
    let mut lines = distribution(name, "responses", &trial.account.response, theory, ALLOWED_GAP);
    lines.push(Line {
        what: format!("{name}: service times over 10 ms"),
        measured: percent(service),
        theory: format!("{}: most of the waiting time is hidden", percent(hidden)),
        ok: service < late / n / 2.0 && (service - hidden).abs() <= ALLOWED_GAP,
    });
    lines.push(Line {
        what: format!("{name}: events lost, failed or timed out"),
        measured: (trial.account.measured.due - trial.account.measured.acknowledged).to_string(),
        theory: "0".to_owned(),
        ok: trial.account.measured.due == trial.account.measured.acknowledged
            && trial.account.measured.due == theory.len() as u64,
    });
    lines
}

/// A measured distribution compared with the computed one: how many are late, how late they are, and how far
/// the two are apart.
fn distribution(
    name: &str,
    what: &str,
    measured: &Hist,
    theory: &[u64],
    allowed_gap: f64,
) -> Vec<Line> {
    let DistributionDifference { late: [share, expected], p90, max, distance: gap } =
        DistributionDifference::of(measured, theory);
    let near = |[measured, theory]: [u64; 2]| measured.abs_diff(theory) <= ALLOWED_STALL_NS;
    let ms = |ns: u64| format!("{:.0} ms", ns as f64 / 1e6);
    let allowed = ms(ALLOWED_STALL_NS);
    vec![
        Line {
            what: format!("{name}: {what} over 10 ms"),
            measured: percent(share),
            theory: format!("{} ± {}", percent(expected), percent(allowed_gap)),
            ok: (share - expected).abs() <= allowed_gap,
        },
        Line {
            what: format!("{name}: {what}, p90 and max"),
            measured: format!("{}, {}", ms(p90[0]), ms(max[0])),
            theory: format!("{}, {} ± {allowed}", ms(p90[1]), ms(max[1])),
            ok: near(p90) && near(max),
        },
        Line {
            what: format!("{name}: distance between the distributions"),
            measured: percent(gap),
            theory: format!("0 + {}", percent(allowed_gap)),
            ok: gap <= allowed_gap,
        },
    ]
}

/// How far a measured distribution is from the computed one; of each pair the measured value first.
pub(super) struct DistributionDifference {
    /// Part that is over 10 ms.
    pub late: [f64; 2],
    /// 90th percentile, ns.
    pub p90: [u64; 2],
    /// Largest, ns.
    pub max: [u64; 2],
    /// Largest distance of the distribution functions among late events.
    pub distance: f64,
}

impl DistributionDifference {
    pub fn of(measured: &Hist, theory: &[u64]) -> DistributionDifference {
        let n = theory.len() as f64;
        let late = theory.iter().filter(|r| **r > LATE_NS).count() as f64;
        let quantile = |q: f64| theory[((n * q) as usize).min(theory.len() - 1)];
        DistributionDifference {
            late: [late_share(measured), late / n],
            p90: [measured.quantile(0.9).unwrap_or(0), quantile(0.9)],
            max: [measured.max().unwrap_or(0), quantile(1.0)],
            distance: largest_gap(measured, theory),
        }
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn late_share(hist: &Hist) -> f64 {
    hist.count_above(LATE_NS) as f64 / hist.count().max(1) as f64
}

/// The largest distance between the two distribution functions among late events (Kolmogorov and
/// Smirnov's statistic, cut where ordinary answers are).
fn largest_gap(measured: &Hist, theory: &[u64]) -> f64 {
    let (n, m) = (theory.len() as f64, measured.count().max(1) as f64);
    let late = theory.iter().enumerate().filter(|(_, r)| **r > LATE_NS);
    let gap = |(i, response): (usize, &u64)| {
        let beyond = n - 1.0 - i as f64;
        (measured.count_above(*response) as f64 / m - beyond / n).abs()
    };
    late.map(gap).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gap_is_none_for_the_same_and_large_for_others() {
        let theory: Vec<u64> = (1..=1000).map(|i| i * 1_000_000).collect();
        let mut same = Hist::new();
        theory.iter().for_each(|r| same.record(*r));
        assert!(largest_gap(&same, &theory) < 0.005);
        let mut hidden = Hist::new();
        theory.iter().for_each(|r| hidden.record((*r).min(5_000_000)));
        assert!(largest_gap(&hidden, &theory) > 0.9);
    }
}
