//! Rising rates against a target that is faster than the driver: where the driver stops being
//! accurate, and whether its trials are marked invalid.

use crate::selftest::accuracy::{TRIALS, at, capacity, exact, middle, of_trial, open};
use crate::selftest::{CONNECTIONS, SelfTestContext, load};
use pushbench_core::error::Result;
use pushbench_core::record::accuracy::{Limit, Rung};
use pushbench_core::record::trial::Trial;
use pushbench_core::scenario::Arrivals;
use pushbench_core::transport::{CARRIERS, Carrier};
use std::time::Duration;

/// Parts of what the driver manages in a closed loop.
const PARTS: [f64; 8] = [0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.1, 1.4];
/// A closed loop in a bad moment of the machine sets these rates too low: while the highest is trusted, it
/// goes on
/// by this factor …
const FURTHER: f64 = 1.4;
/// … so often at most: a driver that is trusted at five times what it manages does not know itself.
const MOST_FURTHER: usize = 4;
const WARMUP_MS: u64 = 150;
const MEASURED_MS: u64 = 350;
/// How every reason begins that finds fault with the driver (`drive::validity`).
const OWN_FAULT: &str = "driver ";

pub(super) fn measure(context: &SelfTestContext<'_>) -> Result<Vec<Limit>> {
    CARRIERS.into_iter().map(|carrier| limit(context, carrier)).collect()
}

fn limit(context: &SelfTestContext<'_>, carrier: Carrier) -> Result<Limit> {
    let closed = load(Arrivals::Closed, None, WARMUP_MS, MEASURED_MS);
    let (flat_out, _) = exact(context, carrier, Duration::ZERO, CONNECTIONS, closed)?;
    let capacity = capacity(&flat_out);
    let rungs = climb(capacity, |rate| rung(context, carrier, rate))?;
    let (trusted_up_to, mistrusted_from) = edges(&rungs);
    Ok(Limit {
        transport: carrier.name().to_owned(),
        capacity,
        rungs,
        trusted_up_to,
        mistrusted_from,
    })
}

fn rung(context: &SelfTestContext<'_>, carrier: Carrier, rate: f64) -> Result<Rung> {
    let trials = (0..TRIALS).map(|trial| {
        let load = open(rate, WARMUP_MS, MEASURED_MS);
        let slots = CONNECTIONS;
        Ok(exact(&of_trial(context, trial), carrier, Duration::ZERO, slots, load)?.0)
    });
    let trials: Vec<Trial> = trials.collect::<Result<_>>()?;
    let faults: Vec<Option<&String>> = trials
        .iter()
        .map(|t| t.judged.invalid.iter().find(|why| why.starts_with(OWN_FAULT)))
        .collect();
    let median = |of: fn(&Trial) -> f64| middle(trials.iter().map(of));
    Ok(Rung {
        rate,
        trusted: faults.iter().filter(|fault| fault.is_none()).count(),
        response_ns: median(|t| at(&t.account.response, 0.5)),
        lag_ns: median(|t| at(&t.account.lag, 0.5)),
        reading_ns: median(|t| at(&t.account.reading, 0.5)),
        busy: median(|t| t.driver.busy),
        said: faults.into_iter().flatten().next_back().cloned(),
    })
}

/// Rungs from the lowest rate to one that is not trusted, or to the last there is.
fn climb(capacity: f64, mut rung: impl FnMut(f64) -> Result<Rung>) -> Result<Vec<Rung>> {
    let mut rungs = Vec::new();
    for part in PARTS {
        rungs.push(rung(hundreds(capacity * part))?);
    }
    for _ in 0..MOST_FURTHER {
        let Some(highest) = rungs.last().filter(|highest| trusted(highest)) else { break };
        rungs.push(rung(hundreds(highest.rate * FURTHER))?);
    }
    Ok(rungs)
}

/// Whole hundreds, which are easy to type.
fn hundreds(rate: f64) -> f64 {
    (rate / 100.0).ceil() * 100.0
}

/// Most of its trials were.
fn trusted(rung: &Rung) -> bool {
    rung.trusted * 2 > TRIALS
}

/// The last rate of those trusted from the lowest on, the first of those not trusted up to the highest.
fn edges(rungs: &[Rung]) -> (Option<f64>, Option<f64>) {
    let last = rungs.iter().take_while(|rung| trusted(rung)).last();
    let first = rungs.iter().rev().take_while(|rung| !trusted(rung)).last();
    (last.map(|r| r.rate), first.map(|r| r.rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rate: f64, trusted: usize) -> Rung {
        let (response_ns, lag_ns, reading_ns, busy) = (0.0, 0.0, 0.0, 0.0);
        Rung { rate, trusted, response_ns, lag_ns, reading_ns, busy, said: None }
    }

    #[test]
    fn edges_stand_where_trust_begins_and_ends() {
        let edges = |trusted: &[usize]| {
            let rungs: Vec<Rung> =
                (1_u8..).zip(trusted).map(|(rate, trusted)| of(rate.into(), *trusted)).collect();
            super::edges(&rungs)
        };
        assert_eq!(edges(&[3, 2, 1, 0]), (Some(2.0), Some(3.0)));
        assert_eq!(edges(&[3, 0, 3, 0]), (Some(1.0), Some(4.0)));
        assert_eq!(edges(&[3, 3]), (Some(2.0), None));
        assert_eq!(edges(&[0, 1]), (None, Some(1.0)));
    }

    /// The closed loop managed 1,000 in a bad moment; the driver is to be trusted up to `honest`.
    fn climbed(honest: f64) -> Vec<Rung> {
        climb(1000.0, |rate| Ok(of(rate, if rate <= honest { TRIALS } else { 0 }))).unwrap()
    }

    #[test]
    fn the_ladder_ends_above_the_drivers_limit() {
        assert_eq!(climbed(950.0).len(), PARTS.len());
        let rungs = climbed(2000.0);
        assert_eq!(rungs.len(), PARTS.len() + 2);
        assert_eq!(edges(&rungs), (Some(2000.0), Some(2800.0)));
        assert_eq!(climbed(f64::INFINITY).len(), PARTS.len() + MOST_FURTHER);
    }
}
