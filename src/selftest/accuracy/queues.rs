//! One server with a queue, compared with Lindley's recursion and with the formulas of queueing theory.

use crate::selftest::SelfTestContext;
use crate::selftest::accuracy::middle;
use crate::selftest::exact_run::{ExactRun, ExactTrial, schedule};
use crate::selftest::queue::{CARRIERS, Distributions, cell, design};
use pushbench_analysis::stats::queue::{Work, first_in_first_out};
use pushbench_core::error::Result;
use pushbench_core::record::accuracy::{Queued, Server};
use pushbench_core::scenario::Load;
use pushbench_faults::exact_target::Service;

/// Servers by their nominal time for an event, and how long a trial with each is measured.
const SERVERS: [(Server, Service, f64, u64); 2] = [
    (Server::Spinning, Service::Spin(200_000), 0.2e6, 2_000),
    (Server::Sleeping, Service::Sleep(2_000_000), 2e6, 4_000),
];
const UTILISATIONS: [f64; 3] = [0.5, 0.7, 0.9];
/// The mean of exponential times, and the utilisation.
const EXPONENTIAL: (u64, f64) = (2_000_000, 0.7);
const OVERLOAD: f64 = 1.2;
const BLOCKS: usize = 3;
/// Simulated instruments without error.
const SIMULATED: u64 = 200;

pub(super) fn measure(context: &SelfTestContext<'_>) -> Result<Vec<Queued>> {
    let mut found = Vec::new();
    let mut busy = 0.0;
    for (server, service, nominal_ns, measured_ms) in SERVERS {
        // The lowest utilisation shows what an event really takes.
        busy = nominal_ns;
        for utilisation in UTILISATIONS {
            let rate = utilisation / busy * 1e9;
            let run = cell(context, service, rate, BLOCKS, measured_ms)?;
            let rows = rows(&run, server);
            busy = rows.iter().map(|row| row.busy_ns).fold(nominal_ns, f64::max);
            found.extend(rows);
        }
    }
    // The last server was the sleeping one.
    let (_, sleep, _, measured_ms) = SERVERS[1];
    let (mean_ns, utilisation) = EXPONENTIAL;
    let exponential = Service::Exponential(mean_ns);
    for (server, service, utilisation) in
        [(Server::Exponential, exponential, utilisation), (Server::Sleeping, sleep, OVERLOAD)]
    {
        let run = cell(context, service, utilisation / busy * 1e9, BLOCKS, measured_ms)?;
        found.extend(rows(&run, server));
    }
    Ok(found)
}

/// A row for each transport.
fn rows(run: &ExactRun, server: Server) -> Vec<Queued> {
    let load = &run.stored.header.points[0].scenario.load;
    // Without a valid trial there is no number.
    let known = |ns: f64| if ns.is_finite() { ns } else { 0.0 };
    let row = |(arm, transport): (usize, &str)| {
        let trials: Vec<&ExactTrial> = run.trials.iter().filter(|t| t.trial.arm == arm).collect();
        let distributions = Distributions::of(trials.iter().copied());
        let quantiles = distributions.quantiles();
        let work: Vec<Work> = trials.iter().flat_map(|t| t.events.work()).collect();
        let rate = load.rate.unwrap_or(f64::NAN);
        let formula = formula(&work, rate, load);
        Queued {
            transport: transport.to_owned(),
            server,
            busy_ns: known(middle(work.iter().map(|w| w.busy_ns as f64))),
            rate,
            utilisation: known(rate * mean(&work, |w| w.busy_ns) / 1e9),
            sliced: design(run) == "sliced",
            trials: trials.len(),
            left_out: run.left_out / CARRIERS.len(),
            reported_ns: quantiles.map(|[reported, _, _]| reported),
            computed_ns: quantiles.map(|[_, computed, _]| computed),
            hiccup_p99_ns: quantiles[0][2],
            mean_ns: [distributions.reported.mean().unwrap_or(0.0), known(formula)],
            deviation_ns: known(deviation(&work, load, trials.len(), formula)),
        }
    };
    CARRIERS.iter().map(|carrier| carrier.name()).enumerate().map(row).collect()
}

fn mean(work: &[Work], of: impl Fn(&Work) -> u64) -> f64 {
    work.iter().map(|w| of(w) as f64).sum::<f64>() / work.len() as f64
}

/// The mean response of Poisson arrivals. Below saturation that is the formula of Pollaczek and Khinchine with
/// the mean and the mean square of the measured times: M/D/1 for constant ones, M/M/1 for exponential ones. Beyond
/// it the queue grows steadily from the start of the trial.
fn formula(work: &[Work], rate: f64, load: &Load) -> f64 {
    let per_ns = rate / 1e9;
    let busy = mean(work, |w| w.busy_ns);
    let square = work.iter().map(|w| (w.busy_ns as f64).powi(2)).sum::<f64>() / work.len() as f64;
    let utilisation = per_ns * busy;
    let wait = match utilisation < 1.0 {
        true => per_ns * square / (2.0 * (1.0 - utilisation)),
        false => {
            let middle = load.warmup.as_nanos() as f64 + load.duration.as_nanos() as f64 / 2.0;
            (utilisation - 1.0) * middle
        }
    };
    wait + mean(work, |w| w.answered_ns)
}

/// How far the mean of so many trials is from the formula if nothing but the schedule varies: root of the mean
/// square over simulated instruments, each of which serves the measured times at the instants of other schedules.
fn deviation(work: &[Work], load: &Load, trials: usize, formula: f64) -> f64 {
    let warmup = load.warmup.as_nanos() as u64;
    let mut services = work.iter().cycle();
    let mut simulated = |seed: u64| {
        let (mut sum, mut n) = (0.0, 0.0);
        for trial in 0..trials as u64 {
            let due = schedule(load, seed * trials as u64 + trial);
            let events = due.iter().zip(&mut services).map(|(due, work)| (due.at, *work));
            for (due, response) in due.iter().zip(first_in_first_out(events)) {
                if due.at >= warmup {
                    sum += response as f64;
                    n += 1.0;
                }
            }
        }
        (sum / n - formula).powi(2)
    };
    if work.is_empty() {
        return f64::NAN;
    }
    ((0..SIMULATED).map(&mut simulated).sum::<f64>() / SIMULATED as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selftest::load;
    use pushbench_core::scenario::Arrivals;

    const SERVICE: f64 = 2e6;

    fn work(ns: f64) -> Work {
        Work { answered_ns: ns as u64, busy_ns: ns as u64 }
    }

    fn of(utilisation: f64) -> Load {
        load(Arrivals::Poisson, Some(utilisation / SERVICE * 1e9), 500, 1_500)
    }

    fn mean_by_formula(work: &[Work], utilisation: f64) -> f64 {
        formula(work, utilisation / SERVICE * 1e9, &of(utilisation)) / SERVICE
    }

    #[test]
    fn the_formula_is_that_of_the_textbook() {
        let constant = [work(SERVICE)];
        let quantiles = (0..100_000).map(|i| -(1.0 - (f64::from(i) + 0.5) / 1e5_f64).ln());
        let exponential: Vec<Work> = quantiles.map(|t| work(t * SERVICE)).collect();
        let near = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-3, "{a} {b}");
        for busy in UTILISATIONS {
            near(mean_by_formula(&constant, busy), 1.0 + busy / (2.0 * (1.0 - busy)));
            near(mean_by_formula(&exponential, busy), 1.0 / (1.0 - busy));
        }
        // 20 % of 1.25 s, the middle of the window, and the service.
        near(mean_by_formula(&constant, 1.2), 0.25e9 / SERVICE + 1.0);
    }

    #[test]
    fn a_perfect_instrument_deviates_the_more_the_longer_the_queue() {
        let constant = [work(SERVICE)];
        let part = |busy: f64| {
            let formula = mean_by_formula(&constant, busy) * SERVICE;
            deviation(&constant, &of(busy), 12, formula) / formula
        };
        // Twelve windows of 1.5 s, as a run has them.
        assert!(part(0.5) < 0.03, "{}", part(0.5));
        assert!((0.07..0.25).contains(&part(0.9)), "{}", part(0.9));
    }
}
