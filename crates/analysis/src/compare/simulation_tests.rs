//! What the intervals and verdicts are worth, by simulation: made-up blocks whose truth is known go
//! through the functions that decide. `docs/methodology/statistics.md` says what the noises are and holds the table.

use crate::compare::FEWEST_BLOCKS;
use crate::compare::decide::{is_judged, region};
use crate::compare::judge::{CONFIDENCE, Question, Values, family};
use crate::compare::sizing::Pilot;
use crate::compare::{Verdict, sample};
use pushbench_core::plan;
use pushbench_core::record::metrics::{METRICS, Metric};
use pushbench_core::record::sizing::{MOST_BLOCKS, PILOT_BLOCKS};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, StandardNormal, StudentT};
use rayon::prelude::*;

/// Runs of each noise: enough to tell 5 % from 6.5 %.
const RUNS: u64 = 2_000;
/// Deviation of the log of an arm's value from trial to trial.
const OWN: f64 = 0.08;

/// What moves a machine or an arm.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Noise {
    /// Each trial by itself.
    Independent,
    /// The machine's mood, an AR(1) process of ρ = 0.9 from trial to trial, over both arms.
    Drift,
    /// A machine that slows down all along: 2 % a trial.
    Trend,
    /// Student's t with three degrees of freedom.
    HeavyTails,
    /// One arm alone has a long tail, lognormal with a skewness of 1.75.
    Skew,
    /// The same with a skewness of 6.2: so long that no interval of a few blocks sees it.
    StrongSkew,
    /// An AR(1) process of ρ = 0.9 in one arm alone: no replicate is independent any more.
    DriftOfOneArm,
}

use Noise::{Drift, DriftOfOneArm, HeavyTails, Independent, Skew, StrongSkew, Trend};

/// The noises whose intervals must keep what they promise.
const FAIR: [Noise; 4] = [Independent, Drift, Trend, HeavyTails];

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(rng)
}

/// A lognormal deviate of mean 0 and deviation 1.
fn skewed(rng: &mut ChaCha8Rng, sigma: f64) -> f64 {
    let (mean, square) = ((sigma * sigma / 2.0).exp(), (sigma * sigma).exp());
    ((sigma * normal(rng)).exp() - mean) / (mean * (square - 1.0).sqrt())
}

/// An AR(1) process of ρ = 0.9 and deviation 1.
struct Autocorrelated(f64);

impl Autocorrelated {
    fn next(&mut self, rng: &mut ChaCha8Rng) -> f64 {
        const RHO: f64 = 0.9;
        self.0 = RHO * self.0 + (1.0 - RHO * RHO).sqrt() * normal(rng);
        self.0
    }
}

impl Noise {
    /// The logs of one metric's values in sequential blocks of two arms, one trial after the other in
    /// these orders.
    fn logs(self, rng: &mut ChaCha8Rng, orders: &[plan::Block], own: f64) -> Vec<[f64; 2]> {
        let heavy = StudentT::new(3.0).unwrap();
        let (mut shared, mut one) = (Autocorrelated(normal(rng)), Autocorrelated(normal(rng)));
        let mut block = |order: &plan::Block| {
            let mut logs = [0.0; 2];
            for (place, arm) in order.order.iter().enumerate() {
                let trial = (2 * order.index + place) as f64;
                logs[*arm] = match self {
                    Independent => own * normal(rng),
                    Drift => 0.1 * shared.next(rng) + own * normal(rng),
                    Trend => 0.02 * trial + own * normal(rng),
                    HeavyTails => own * heavy.sample(rng) / 3f64.sqrt(),
                    Skew if *arm == 1 => own * skewed(rng, 0.5),
                    StrongSkew if *arm == 1 => own * skewed(rng, 1.0),
                    DriftOfOneArm if *arm == 1 => own * one.next(rng),
                    Skew | StrongSkew | DriftOfOneArm => 0.1 * own * normal(rng),
                };
            }
            logs
        };
        orders.iter().map(&mut block).collect()
    }

    fn values(self, rng: &mut ChaCha8Rng, orders: &[plan::Block], own: f64, ratio: f64) -> Values {
        let logs = self.logs(rng, orders, own);
        Values {
            baseline: logs.iter().map(|l| 1e5 * l[0].exp()).collect(),
            candidate: logs.iter().map(|l| 1e5 * ratio * l[1].exp()).collect(),
        }
    }
}

fn judged() -> Vec<&'static Metric> {
    let question = pushbench_core::scenario::load("ingest", &[]).unwrap();
    METRICS.iter().filter(|m| is_judged(m, &question.points[0].scenario)).collect()
}

fn verdicts(metrics: &[&Metric], values: &[Values]) -> Vec<Verdict> {
    let question = |(m, values): (&&Metric, _)| Question {
        values,
        more_is_better: m.more_is_better,
        region: region(m),
        without_driver: None,
    };
    let questions: Vec<Question<'_>> = metrics.iter().zip(values).map(question).collect();
    family(&questions).into_iter().map(|a| a.unwrap().verdict).collect()
}

/// Shares of runs, or of intervals.
#[derive(Debug, Default, Clone, Copy)]
struct Shares {
    covered: f64,
    false_claims: f64,
}

/// Runs of arms that are the same, with independent metrics: nothing makes false claims likelier.
fn of_equals(noise: Noise, blocks: usize, runs: u64) -> Shares {
    let metrics = judged();
    let run = |seed: u64| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let orders = plan::blocks(blocks, 2, seed, 0);
        let values: Vec<Values> =
            metrics.iter().map(|_| noise.values(&mut rng, &orders, OWN, 1.0)).collect();
        count(&metrics, &values)
    };
    shares((0..runs).into_par_iter().map(run).collect(), metrics.len())
}

/// Intervals that cover the truth, and whether anything is claimed.
fn count(metrics: &[&Metric], values: &[Values]) -> (usize, bool) {
    let covers = |v: &&Values| v.ratio(CONFIDENCE).unwrap().holds(1.0);
    let claims = |v: &Verdict| matches!(v, Verdict::Better | Verdict::Worse);
    (values.iter().filter(covers).count(), verdicts(metrics, values).iter().any(claims))
}

fn shares(counted: Vec<(usize, bool)>, metrics: usize) -> Shares {
    let runs = counted.len() as f64;
    Shares {
        covered: counted.iter().map(|c| c.0).sum::<usize>() as f64 / (runs * metrics as f64),
        false_claims: counted.iter().filter(|c| c.1).count() as f64 / runs,
    }
}

#[test]
fn intervals_cover_and_equals_are_not_told_apart() {
    for noise in FAIR {
        let s = of_equals(noise, 12, RUNS);
        assert!(s.covered >= 0.93, "{noise:?}: {s:?}");
        assert!(s.false_claims <= 0.065, "{noise:?}: {s:?}");
    }
}

/// The first metrics lie at the edge of the region of equivalence, half of them above 1, the others equal.
#[test]
fn what_lies_at_the_edge_is_rarely_called_equivalent() {
    let metrics = judged();
    for at_the_edge in [metrics.len(), metrics.len() / 2] {
        let run = |seed: u64| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let orders = plan::blocks(12, 2, seed, 0);
            let ratio = |i: usize| match (i < at_the_edge, i % 2) {
                (false, _) => 1.0,
                (true, 0) => 1.0 + region(metrics[i]),
                (true, _) => 1.0 / (1.0 + region(metrics[i])),
            };
            let values: Vec<Values> = (0..metrics.len())
                .map(|i| Independent.values(&mut rng, &orders, 0.3 * OWN, ratio(i)))
                .collect();
            let verdicts = verdicts(&metrics, &values);
            verdicts[..at_the_edge].contains(&Verdict::Equivalent)
        };
        let wrong = (0..RUNS).into_par_iter().filter(|seed| run(*seed)).count();
        let share = wrong as f64 / RUNS as f64;
        assert!(share <= 0.065, "{at_the_edge} at the edge: {share}");
    }
}

#[test]
fn intervals_nearly_cover_under_skew() {
    let s = of_equals(Skew, 12, RUNS);
    assert!(s.covered >= 0.90, "{s:?}");
}

#[test]
fn the_simulation_can_fail() {
    // What is no replicate has no interval: were coverage not really counted, this would pass, too.
    assert!(of_equals(DriftOfOneArm, 12, 50).covered < 0.8);
}

/// What comes of runs that find their own number of blocks.
#[derive(Debug)]
struct Auto {
    /// Of arms that are the same: coverage of the metric whose deviation found the number.
    equals: Shares,
    /// How often an arm whose `service.p50` is a tenth slower is called worse.
    found: f64,
    /// Mean number of blocks.
    blocks: f64,
}

/// The same blocks with and without the slow-down: the number found does not know it.
fn of_auto(noise: Noise, runs: u64) -> Auto {
    let metrics = judged();
    let slowed = metrics.iter().position(|m| m.name == "service.p50").unwrap();
    let scenario = sample::ratios(1.0, 1.0).header.points.remove(0).scenario;
    let run = |seed: u64| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let orders = plan::blocks(MOST_BLOCKS, 2, seed, 0);
        // The others are quieter, so that this one's own deviation finds the number.
        let own = |i: usize| if i == slowed { 0.45 * OWN } else { 0.3 * OWN };
        let mut values: Vec<Values> =
            (0..metrics.len()).map(|i| noise.values(&mut rng, &orders, own(i), 1.0)).collect();
        let mut pilot = Pilot::new(&scenario, &["a".to_owned(), "b".to_owned()]);
        for block in 0..PILOT_BLOCKS {
            pilot.add_values(|metric, arm| {
                let of = &values[metrics.iter().position(|m| m.name == metric.name)?];
                Some(if arm == 0 { of.baseline[block] } else { of.candidate[block] })
            });
        }
        let blocks = pilot.sizing(0.10).unwrap().blocks;
        for v in &mut values {
            v.baseline.truncate(blocks);
            v.candidate.truncate(blocks);
        }
        let covered = values[slowed].ratio(CONFIDENCE).unwrap().holds(1.0);
        let equal = (usize::from(covered), count(&metrics, &values).1);
        values[slowed].candidate.iter_mut().for_each(|v| *v *= 1.10);
        (equal, verdicts(&metrics, &values)[slowed] == Verdict::Worse, blocks)
    };
    let all: Vec<((usize, bool), bool, usize)> = (0..runs).into_par_iter().map(run).collect();
    Auto {
        found: all.iter().filter(|a| a.1).count() as f64 / runs as f64,
        blocks: all.iter().map(|a| a.2).sum::<usize>() as f64 / runs as f64,
        equals: shares(all.into_iter().map(|a| a.0).collect(), 1),
    }
}

#[test]
fn auto_finds_a_tenth_slower_and_no_difference_where_there_is_none() {
    for noise in FAIR {
        let auto = of_auto(noise, RUNS);
        assert!(auto.found >= 0.90, "{noise:?}: {auto:?}");
        // Neither bound of the number decided it.
        assert!(auto.blocks > 1.2 * FEWEST_BLOCKS as f64, "{noise:?}: {auto:?}");
        assert!(auto.blocks < 0.9 * MOST_BLOCKS as f64, "{noise:?}: {auto:?}");
        // Looking at the deviation first costs neither coverage nor false claims.
        assert!(auto.equals.covered >= 0.93, "{noise:?}: {auto:?}");
        assert!(auto.equals.false_claims <= 0.065, "{noise:?}: {auto:?}");
    }
}

/// Runs of each noise for the tables of `docs/methodology/statistics.md`:
/// `cargo test --release --lib simulation -- --ignored --nocapture`
const MANY: u64 = 4_000;

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

#[test]
#[ignore = "prints the first table of docs/methodology/statistics.md; minutes"]
fn table_of_coverage() {
    let counts = [8, 12, 16, 24, 40];
    println!("coverage, false claims | {counts:?}");
    for noise in [Independent, Drift, Trend, HeavyTails, Skew, StrongSkew, DriftOfOneArm] {
        // Arms that are told apart for nothing are judged by every cross-check: that takes long.
        let runs = if [StrongSkew, DriftOfOneArm].contains(&noise) { RUNS / 2 } else { MANY };
        let cells = counts.map(|n| {
            let s = of_equals(noise, n, runs);
            format!("{} ({})", percent(s.covered), percent(s.false_claims))
        });
        println!("| {noise:?} | {} |", cells.join(" | "));
    }
}

#[test]
#[ignore = "prints the second table of docs/methodology/statistics.md; minutes"]
fn table_of_auto() {
    println!("auto | blocks | found | coverage | false claims");
    for noise in FAIR {
        let auto = of_auto(noise, MANY);
        let (covered, wrong) = (percent(auto.equals.covered), percent(auto.equals.false_claims));
        println!(
            "| {noise:?} | {:.1} | {} | {covered} | {wrong} |",
            auto.blocks,
            percent(auto.found)
        );
    }
}
