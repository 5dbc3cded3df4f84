//! Responses of a target that holds each event for a known time.

use crate::selftest::SelfTestContext;
use crate::selftest::accuracy::{TRIALS, at, exact, middle, of_trial, open};
use pushbench_core::error::Result;
use pushbench_core::record::accuracy::Delayed;
use pushbench_core::transport::{CARRIERS, Carrier};
use std::time::Duration;

const RATES: [f64; 2] = [1_000.0, 10_000.0];
/// 0 is first: the additional time with each delay is compared with that without delay.
const DELAYS_US: [u64; 5] = [0, 100, 1_000, 10_000, 100_000];
const WARMUP_MS: u64 = 200;
/// Enough for a median to a few microseconds.
const EVENTS: f64 = 2_000.0;
const SHORTEST_MS: f64 = 500.0;
/// So many times the events that are open on average find a free slot: none waits for one.
const ROOM: f64 = 1.5;
/// … and so many more, for bursts where few are open.
const SPARE_SLOTS: usize = 32;

/// What one trial gives.
struct TrialFigures {
    reported: f64,
    held: f64,
    reported_p99: f64,
    held_p99: f64,
    invalid: bool,
}

impl TrialFigures {
    fn difference(&self) -> f64 {
        self.reported - self.held
    }
}

pub(super) fn measure(context: &SelfTestContext<'_>) -> Result<Vec<Delayed>> {
    let mut found = Vec::new();
    for carrier in CARRIERS {
        for rate in RATES {
            // A round has every delay, so that all of it shares the machine's conditions.
            let rounds = (0..TRIALS).map(|trial| round(&of_trial(context, trial), carrier, rate));
            let rounds = rounds.collect::<Result<Vec<_>>>()?;
            found.extend(DELAYS_US.iter().enumerate().map(|(i, us)| Delayed {
                transport: carrier.name().to_owned(),
                rate,
                delay_ns: us * 1_000,
                reported_ns: middle(rounds.iter().map(|r| r[i].reported)),
                held_ns: middle(rounds.iter().map(|r| r[i].held)),
                beside_ns: middle(rounds.iter().map(|r| r[i].difference())),
                error_ns: middle(rounds.iter().map(|r| r[i].difference() - r[0].difference())),
                beside_p99_ns: middle(rounds.iter().map(|r| r[i].reported_p99 - r[i].held_p99)),
                invalid: rounds.iter().filter(|r| r[i].invalid).count(),
            }));
        }
    }
    Ok(found)
}

fn round(context: &SelfTestContext<'_>, carrier: Carrier, rate: f64) -> Result<Vec<TrialFigures>> {
    DELAYS_US.iter().map(|us| trial(context, carrier, rate, Duration::from_micros(*us))).collect()
}

fn trial(
    context: &SelfTestContext<'_>,
    carrier: Carrier,
    rate: f64,
    delay: Duration,
) -> Result<TrialFigures> {
    let open_events = rate * delay.as_secs_f64();
    let slots = (open_events * ROOM) as usize + SPARE_SLOTS;
    let measured_ms = (EVENTS / rate * 1e3).max(SHORTEST_MS) as u64;
    let load = open(rate, WARMUP_MS, measured_ms);
    let (trial, account) = exact(context, carrier, delay, slots, load)?;
    Ok(TrialFigures {
        reported: at(&trial.account.response, 0.5),
        held: at(&account.held, 0.5),
        reported_p99: at(&trial.account.response, 0.99),
        held_p99: at(&account.held, 0.99),
        invalid: !trial.is_valid(),
    })
}
