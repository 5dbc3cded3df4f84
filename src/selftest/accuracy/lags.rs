//! The driver's lag, compared with a loop that only reads the clock.

use crate::selftest::SelfTestContext;
use crate::selftest::accuracy::{TRIALS, exact, of_trial, open};
use crate::selftest::pacing::spin;
use pushbench_core::error::Result;
use pushbench_core::record::accuracy::Lagging;
use pushbench_core::record::histogram::Hist;
use pushbench_core::transport::Carrier;
use std::time::Duration;

const RATES: [f64; 3] = [1_000.0, 10_000.0, 20_000.0];
const WARMUP_MS: u64 = 200;
const MEASURED_MS: u64 = 1_000;

pub(super) fn measure(context: &SelfTestContext<'_>) -> Result<Vec<Lagging>> {
    RATES.into_iter().map(|rate| compare(context, rate)).collect()
}

fn compare(context: &SelfTestContext<'_>, rate: f64) -> Result<Lagging> {
    let (mut spun, mut lag, mut hiccup) = (Hist::new(), Hist::new(), Hist::new());
    for trial in 0..TRIALS {
        let context = of_trial(context, trial);
        let load = open(rate, WARMUP_MS, MEASURED_MS);
        spun.merge(&spin(&context, load.clone())?);
        let slots = crate::selftest::CONNECTIONS;
        let (trial, _) = exact(&context, Carrier::Tcp, Duration::ZERO, slots, load)?;
        lag.merge(&trial.account.lag);
        hiccup.merge(&trial.hiccup);
    }
    let both = |hist: &Hist| [0.5, 0.99].map(|q| hist.quantile(q).unwrap_or(0));
    Ok(Lagging { rate, spin_ns: both(&spun), lag_ns: both(&lag), hiccup_p99_ns: both(&hiccup)[1] })
}
