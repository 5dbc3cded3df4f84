//! The lag of the driver, compared with that of the machine.

use crate::selftest::{Line, SelfTestContext, load, unusable};
use pushbench_analysis::stats::median;
use pushbench_core::error::{Error, Result};
use pushbench_core::record::histogram::Hist;
use pushbench_core::scenario::{Arrivals, Load};
use pushbench_core::schedule::Schedule;
use pushbench_core::transport::Transport;
use pushbench_core::units::nanos_text;
use pushbench_host::clock;
use pushbench_host::cpus;

pub(crate) const ABOUT: &str =
    "10,000 events per second: the driver's lag, compared with a spin loop and the hiccup meter";

const RATE: f64 = 10_000.0;
const TRIALS: usize = 3;
/// Budget of the median lag at this rate.
const MEDIAN_NS: f64 = 50_000.0;
/// Budget of its p99, as a multiple of the hiccup meter's: beyond it the driver adds stalls of its own.
const TIMES_HICCUP: f64 = 2.0;

pub fn run(context: &SelfTestContext<'_>) -> Result<Vec<Line>> {
    let load = load(Arrivals::Poisson, Some(RATE), 200, 1_000);
    let spin = spin(context, load.clone())?;
    let mut lags = Vec::new();
    let mut tails = Vec::new();
    let mut shares = Vec::new();
    let mut hiccups = Vec::new();
    for _ in 0..TRIALS {
        let trial_arm = context.trial_arm(0, Transport::Tcp, None);
        let trial = context.measure_one(&context.group(vec![trial_arm], load.clone(), None))?;
        if let Some(line) = unusable("tcp", &trial) {
            return Ok(vec![line]);
        }
        let at = |hist: &Hist, q| hist.quantile(q).unwrap_or(0) as f64;
        let (lag, hiccup) = (at(&trial.account.lag, 0.99), at(&trial.hiccup, 0.99));
        lags.push(at(&trial.account.lag, 0.5));
        tails.push(lag);
        hiccups.push(hiccup);
        shares.push(lag / hiccup.max(1.0));
    }
    let middle = |values: &[f64]| median(values).unwrap_or(f64::NAN);
    let spin_at = |q| nanos_text(spin.quantile(q).unwrap_or(0) as f64);
    Ok(vec![
        Line {
            what: format!("lag p50, median of {TRIALS} trials"),
            measured: nanos_text(middle(&lags)),
            theory: format!("at most {}; spin loop {}", nanos_text(MEDIAN_NS), spin_at(0.5)),
            ok: middle(&lags) <= MEDIAN_NS,
        },
        Line {
            what: format!("lag p99, median of {TRIALS} trials"),
            measured: format!("{}, ×{:.2} of hiccups", nanos_text(middle(&tails)), middle(&shares)),
            theory: format!(
                "at most ×{TIMES_HICCUP} of hiccup p99 {}; spin loop {}",
                nanos_text(middle(&hiccups)),
                spin_at(0.99)
            ),
            ok: middle(&shares) <= TIMES_HICCUP,
        },
    ])
}

/// The lateness of a loop that does nothing but look at the clock, on the driver's CPU.
pub(super) fn spin(context: &SelfTestContext<'_>, load: Load) -> Result<Hist> {
    let cpu = context.placement.driver[..1].to_vec();
    let seed = context.seed;
    let thread = std::thread::spawn(move || {
        cpus::pin(&cpu);
        let mut hist = Hist::new();
        let origin = clock::now();
        for due in Schedule::new(&load, seed, 0, 1).into_iter().flatten() {
            let due = origin + due.at;
            let mut now = clock::now();
            while now < due {
                std::hint::spin_loop();
                now = clock::now();
            }
            hist.record((now - due).max(1));
        }
        hist
    });
    thread.join().map_err(|_| Error::harness("the spin loop panicked: please report it"))
}
