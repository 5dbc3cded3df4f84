//! The driver with two shards, compared with one: the gain of a second CPU, where one is available,
//! and whether an event costs more.

use crate::selftest::accuracy::{capacity, middle, of_trial};
use crate::selftest::{CONNECTIONS, SelfTestContext, load};
use pushbench_core::cpu_list::Cpus;
use pushbench_core::error::Result;
use pushbench_core::record::accuracy::Sharded;
use pushbench_core::record::trial::Trial;
use pushbench_core::scenario::Arrivals;
use pushbench_core::transport::{CARRIERS, Carrier};
use pushbench_host::cpus::{Placement, allowed};

const WARMUP_MS: u64 = 100;
const MEASURED_MS: u64 = 400;
/// Rounds of one and two, by turns: a ratio of pairs is less steady than a median of three would show.
const ROUNDS: usize = 5;

pub(super) fn measure(context: &SelfTestContext<'_>) -> Result<Vec<Sharded>> {
    let placements = placements(&allowed(), context.placement);
    CARRIERS.into_iter().map(|carrier| sharded(context, carrier, &placements)).collect()
}

/// Where one shard and two have their CPUs, and the target its own in both cases. Two shards and a target
/// need three CPUs; with fewer the shards share one.
fn placements(allowed: &[usize], usual: &Placement) -> [Placement; 2] {
    let (target, drivers) = match allowed {
        [target @ .., one, two] if !target.is_empty() => (target.to_vec(), [*one, *two]),
        _ => (usual.target.clone(), [usual.driver[0]; 2]),
    };
    [&drivers[1..], &drivers[..]]
        .map(|driver| Placement { driver: driver.to_vec(), target: target.clone() })
}

/// What one trial gives: events a second, CPU an event, the part of its CPUs that the target used.
type TrialFigures = [f64; 3];

fn sharded(
    context: &SelfTestContext<'_>,
    carrier: Carrier,
    placements: &[Placement; 2],
) -> Result<Sharded> {
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let context = of_trial(context, round);
        let trial = |shards: usize| trial(&context, carrier, &placements[shards - 1]);
        // Who goes first alternates.
        let [first, second] = if round % 2 == 0 { [1, 2] } else { [2, 1] };
        let pair = (trial(first)?, trial(second)?);
        rounds.push(if first == 1 { [pair.0, pair.1] } else { [pair.1, pair.0] });
    }
    let each =
        |figure: usize| [0, 1].map(|shards| middle(rounds.iter().map(|r| r[shards][figure])));
    let ratio = |figure: usize| middle(rounds.iter().map(|r| r[1][figure] / r[0][figure]));
    let [one, two] = placements;
    Ok(Sharded {
        transport: carrier.name().to_owned(),
        rounds: ROUNDS,
        driver: [&one.driver, &two.driver].map(|cpus| Cpus(cpus).to_string()),
        target: Cpus(&one.target).to_string(),
        apart: two.driver[0] != two.driver[1],
        per_second: each(0),
        per_second_ratio: ratio(0),
        cpu_ns: each(1),
        cpu_ratio: ratio(1),
        target_busy: each(2)[1],
    })
}

fn trial(
    context: &SelfTestContext<'_>,
    carrier: Carrier,
    placement: &Placement,
) -> Result<TrialFigures> {
    let context = SelfTestContext { placement, ..*context };
    let load = load(Arrivals::Closed, None, WARMUP_MS, MEASURED_MS);
    let mut trial_arm = context.trial_arm(0, carrier.transport(), None);
    trial_arm.connections = CONNECTIONS;
    let trial: Trial = context.measure_one(&context.group(vec![trial_arm], load, None))?;
    let cpu = trial.driver.cpu_ns as f64 / trial.account.acknowledged_in_window as f64;
    let target = trial.target.map_or(f64::NAN, |t| t.cpu_ns as f64);
    let busy = target / (trial.window_ns as f64 * placement.target.len() as f64);
    Ok([capacity(&trial), cpu, busy])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_shards_have_a_cpu_each_where_a_third_one_is_left() {
        let usual = Placement { driver: vec![1], target: vec![0] };
        let of = |allowed: &[usize]| {
            placements(allowed, &usual).map(|p| (p.driver.clone(), p.target.clone()))
        };
        assert_eq!(of(&[0, 1]), [(vec![1], vec![0]), (vec![1, 1], vec![0])]);
        assert_eq!(of(&[0, 1, 2]), [(vec![2], vec![0]), (vec![1, 2], vec![0])]);
        assert_eq!(of(&[2, 4, 5, 7]), [(vec![7], vec![2, 4]), (vec![5, 7], vec![2, 4])]);
    }
}
