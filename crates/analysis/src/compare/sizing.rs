//! How many blocks a point needs: from the deviation of its first blocks to their number. What
//! differs between the arms is not looked at, only how much it varies.

use crate::compare::decide;
use crate::compare::judge::ALPHA;
use crate::stats;
use pushbench_core::record::metrics::{METRICS, Metric, PLANNED};
use pushbench_core::record::sizing::{MOST_BLOCKS, PILOT_BLOCKS, Sizing};
use pushbench_core::record::trial::Trial;
use pushbench_core::scenario::Scenario;

/// A true slow-down of the requested size is found this often.
pub(crate) const POWER: f64 = 0.9;
/// The deviation planned with is one that the true one exceeds once in five pilots: planned with the
/// estimate itself, every second number would be too small.
const DEVIATION_CONFIDENCE: f64 = 0.8;

/// What is kept of the first blocks: a value a metric, arm and block.
pub struct Pilot {
    arms: Vec<String>,
    metrics: Vec<Series>,
}

struct Series {
    metric: &'static Metric,
    /// By arm, then by block.
    values: Vec<Vec<Option<f64>>>,
}

impl Pilot {
    /// For a point of these arms; the first is the baseline.
    pub fn new(scenario: &Scenario, arms: &[String]) -> Pilot {
        let series = |metric| Series { metric, values: vec![Vec::new(); arms.len()] };
        let judged = METRICS.iter().filter(|m| decide::is_judged(m, scenario));
        Pilot { arms: arms.to_vec(), metrics: judged.map(series).collect() }
    }

    /// Takes in a valid block: a trial of every arm, in any order.
    pub fn add(&mut self, block: &[Trial]) {
        let of = |arm| block.iter().find(|t| t.arm == arm);
        self.add_values(|metric, arm| (metric.value)(of(arm)?));
    }

    /// Takes in a block by the values of its metrics and arms.
    pub(super) fn add_values(&mut self, value: impl Fn(&Metric, usize) -> Option<f64>) {
        for series in &mut self.metrics {
            for (arm, values) in series.values.iter_mut().enumerate() {
                values.push(value(series.metric, arm));
            }
        }
    }

    /// Blocks taken in.
    pub fn blocks(&self) -> usize {
        self.metrics.first().and_then(|s| s.values.first()).map_or(0, Vec::len)
    }

    /// The number of blocks with which a slow-down by `precision` (0.1 is 10 %) of any arm in any of the
    /// metrics planned for is found with a power of 90 %, at the level that Holm's adjustment leaves a
    /// single difference among all metrics judged. `None` with nothing to compare.
    pub fn sizing(&self, precision: f64) -> Option<Sizing> {
        let pairs = 1..self.arms.len();
        let judged =
            |arm: &usize| self.metrics.iter().filter(|s| s.deviation(*arm).is_some()).count();
        let level = ALPHA / pairs.clone().map(|arm| judged(&arm)).max()?.max(1) as f64;
        let planned = self.metrics.iter().filter(|s| PLANNED.contains(&s.metric.name));
        let all =
            planned.flat_map(|s| pairs.clone().filter_map(move |a| Some((s.deviation(a)?, s, a))));
        let (deviation, series, arm) = all.max_by(|a, b| a.0.total_cmp(&b.0))?;
        let observed = self.blocks();
        let assumed = stats::deviation_at_most(deviation, observed, DEVIATION_CONFIDENCE);
        let needed = stats::blocks_needed(assumed, precision.ln_1p(), POWER, level);
        let blocks = needed.clamp(PILOT_BLOCKS, MOST_BLOCKS).max(observed);
        Some(Sizing {
            blocks,
            seen: observed,
            metric: series.metric.name.to_owned(),
            candidate: self.arms[arm].clone(),
            deviation,
            finds: stats::effect_found(blocks, assumed, POWER, level).exp_m1(),
        })
    }
}

impl Series {
    /// Of the log ratios of an arm to the first one.
    fn deviation(&self, arm: usize) -> Option<f64> {
        let side = |arm: usize| self.values[arm].iter().copied().collect::<Option<Vec<f64>>>();
        stats::std_dev(&stats::log_ratios(&side(0)?, &side(arm)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::FEWEST_BLOCKS;
    use crate::compare::sample;
    use crate::compare::sample::{Block, ratios};
    use pushbench_core::record::run::StoredRun;

    fn of(run: &StoredRun, blocks: usize, precision: f64) -> Option<Sizing> {
        let point = &run.header.points[0];
        let arms: Vec<String> = point.arms.iter().map(|a| a.label.clone()).collect();
        let mut pilot = Pilot::new(&point.scenario, &arms);
        for number in 0..blocks {
            let block: Vec<Trial> =
                run.trials.iter().filter(|t| t.block == number).rev().cloned().collect();
            pilot.add(&block);
        }
        assert_eq!(pilot.blocks(), blocks);
        pilot.sizing(precision)
    }

    /// The second arm's CPU wavers by `spread` around the first one's.
    fn wavering(spread: f64) -> StoredRun {
        let cpu = |n: usize| (40_000.0 * (1.0 + spread * (n % 5) as f64)) as u64;
        let block = |n| [Block::of(100_000, 40_000), Block::of(100_000, cpu(n))];
        sample::run(&(0..8).map(block).collect::<Vec<_>>())
    }

    #[test]
    fn the_pilot_is_as_long_as_a_verdict_needs() {
        assert_eq!(PILOT_BLOCKS, FEWEST_BLOCKS);
        const { assert!(MOST_BLOCKS <= stats::MOST_FLIPPED) };
        assert!(PLANNED.iter().all(|name| METRICS.iter().any(|m| m.name == *name)));
    }

    #[test]
    fn quiet_blocks_need_no_more_and_wavering_ones_do() {
        let quiet = of(&ratios(0.5, 2.0), 8, 0.1).unwrap();
        assert_eq!((quiet.blocks, quiet.seen), (PILOT_BLOCKS, 8));
        assert!(quiet.finds < 0.1, "{quiet:?}");
        let some = of(&wavering(0.05), 8, 0.1).unwrap();
        assert_eq!(some.metric, "target_usage.cpu_ns_per_event");
        assert_eq!(some.candidate, "websocket@builtin");
        assert!(some.blocks > PILOT_BLOCKS && some.blocks < MOST_BLOCKS, "{some:?}");
        assert!((0.08..0.1).contains(&some.finds), "{some:?}");
        // Less is found with more blocks.
        assert!(of(&wavering(0.05), 8, 0.08).unwrap().blocks > some.blocks);
        let much = of(&wavering(0.3), 8, 0.1).unwrap();
        assert_eq!(much.blocks, MOST_BLOCKS);
        assert!(much.finds > 0.1, "it says what it cannot do: {much:?}");
    }

    #[test]
    fn the_number_does_not_know_the_difference() {
        let (slow, fast) = (of(&ratios(3.0, 1.0), 8, 0.1), of(&ratios(0.3, 1.0), 8, 0.1));
        assert_eq!(slow.map(|s| s.blocks), fast.map(|s| s.blocks));
    }

    #[test]
    fn one_arm_alone_has_nothing_to_find() {
        let mut run = ratios(1.0, 1.0);
        run.header.points[0].arms.truncate(1);
        run.trials.retain(|t| t.arm == 0);
        assert_eq!(of(&run, 8, 0.1), None);
    }
}
