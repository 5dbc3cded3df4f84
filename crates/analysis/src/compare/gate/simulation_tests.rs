//! How often a gate is right on machines whose noise is known: thousands of made-up gates through the
//! code that judges real ones.

use crate::compare::gate::draft::{Draft, Subject};
use crate::compare::gate::evidence::Evidence;
use crate::compare::gate::sample::settings;
use crate::compare::gate::values::Values;
use crate::compare::gate::*;
use crate::compare::gate::{BLOCKS, blocks};
use crate::stats;
use pushbench_core::record::metrics;
use pushbench_core::scenario::Setting;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Normal, StudentT};

/// What befalls a block.
struct Machine {
    /// Deviation of an arm's own log values, block by block.
    own: f64,
    /// Heavy tails: Student's t with three degrees of freedom, scaled to the same deviation.
    heavy: bool,
    /// Deviation of the mood that all arms of a block share.
    shared: f64,
}

impl Machine {
    /// Log values of base, candidate and null in each block, for every judged metric. The metrics of a
    /// block go together, as those of one process do.
    fn stage(&self, slow_down: f64, blocks: usize, rng: &mut ChaCha8Rng) -> Vec<[Vec<f64>; 3]> {
        let normal = Normal::new(0.0, 1.0).unwrap();
        let tails = StudentT::new(3.0).unwrap();
        let noise = |rng: &mut ChaCha8Rng| match self.heavy {
            true => self.own * tails.sample(rng) / 3f64.sqrt(),
            false => self.own * normal.sample(rng),
        };
        let mut metrics = vec![[Vec::new(), Vec::new(), Vec::new()]; JUDGED.len()];
        let mut drift = 0.0;
        for _ in 0..blocks {
            drift = 0.9 * drift + self.shared * normal.sample(rng);
            // Half of an arm's variance is common to its metrics.
            let common = [(); 3].map(|()| noise(rng));
            for metric in &mut metrics {
                for (arm, values) in metric.iter_mut().enumerate() {
                    let own = (common[arm] + noise(rng)) / 2f64.sqrt();
                    let added = if arm == 1 { slow_down } else { 0.0 };
                    // The difference of two arms deviates by √2 times as much as one.
                    values.push((100_000f64.ln() + drift + own / 2f64.sqrt() + added).exp());
                }
            }
        }
        metrics
    }

    /// The verdict of a gate of one or two stages.
    fn gate(&self, slow_down: f64, rng: &mut ChaCha8Rng) -> Outcome {
        let mut verdict = Outcome::CannotTell;
        for stage in [1, 2] {
            let made = self.stage(slow_down, blocks(BLOCKS, stage), rng);
            let judged = judged(&made);
            verdict = judged.verdict;
            if !judged.wants_more() {
                break;
            }
        }
        verdict
    }
}

fn judged(made: &[[Vec<f64>; 3]]) -> Gate {
    let settings = settings();
    let draft = |(margin, [base, candidate, null]): (&Margin, &[Vec<f64>; 3])| {
        let metric = metrics::named(&margin.metric).unwrap();
        let beside = |other: &Vec<f64>| Values {
            base: base.clone(),
            candidate: other.clone(),
            paired: true,
        };
        let found = beside(candidate);
        let unlagged = metric.without_lag.map(|_| Some(found.clone()));
        let evidence = Evidence::from_values(metric, Some(found), unlagged, Some(beside(null)));
        let (setting, transport) = (Setting::new(), "webhook".to_owned());
        Draft::new(
            Subject { setting, transport, metric, margin, design: None, waiver: None },
            evidence,
        )
    };
    let drafts = settings.margins.iter().zip(made).map(draft).collect();
    let lines = judge::lines(drafts, &settings);
    let mut gate = Gate { lines, ..Gate::without_records("gate") };
    gate.verdict = judge::verdict(&gate);
    gate
}

/// How many of so many gates come to this verdict.
fn count(machine: &Machine, slow_down: f64, gates: u64, verdict: Outcome) -> u64 {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    (0..gates).filter(|_| machine.gate(slow_down, &mut rng) == verdict).count() as u64
}

const GATES: u64 = 2_000;

/// At equality a gate is wrong in one of 40 at most; the two stages and the clean null make it rarer.
/// A slow-down of exactly the margin is where it is hardest.
#[test]
fn equal_builds_fail_in_one_of_forty_at_most() {
    for (own, heavy, shared) in
        [(0.05, false, 0.0), (0.05, true, 0.0), (0.05, true, 0.1), (0.02, false, 0.1)]
    {
        let machine = Machine { own, heavy, shared };
        for (slow_down, allowed) in [(0.0, ALPHA), (1.05f64.ln(), ALPHA)] {
            let wrong = count(&machine, slow_down, GATES, Outcome::Regression);
            let surely = stats::exact_binomial(wrong, GATES, 0.99).low;
            assert!(surely <= allowed, "{wrong} of {GATES} at {own} {heavy} {shared} {slow_down}");
        }
    }
}

/// And they pass on a machine of the usual noise, so that nobody switches the gate off.
#[test]
fn equal_builds_pass_at_the_usual_noise() {
    let usual = Machine { own: 0.03, heavy: false, shared: 0.1 };
    let passed = count(&usual, 0.0, GATES, Outcome::Passed);
    assert!(passed >= 98 * GATES / 100, "{passed} of {GATES}");
}

#[test]
fn ten_per_cent_are_found_in_nine_of_ten_at_the_default_number_of_blocks() {
    for heavy in [false, true] {
        let usual = Machine { own: 0.03, heavy, shared: 0.1 };
        let found = count(&usual, 1.1f64.ln(), GATES, Outcome::Regression);
        assert!(found >= 90 * GATES / 100, "{found} of {GATES}, heavy tails {heavy}");
    }
}

/// What is noisy is left open, not waved through: half as much again as the margin never passes often.
#[test]
fn a_slow_down_beyond_the_margin_seldom_passes() {
    for own in [0.03, 0.1, 0.3] {
        let machine = Machine { own, heavy: false, shared: 0.1 };
        let passed = count(&machine, 1.05f64.ln(), GATES, Outcome::Passed);
        let surely = stats::exact_binomial(passed, GATES, 0.99).low;
        // Two looks at BETA each.
        assert!(surely <= 2.0 * BETA, "{passed} of {GATES} at {own}");
    }
}

/// The same gates, each with the rule that ends after a first stage beyond doubt and with two stages whatever
/// the first one shows.
#[test]
fn to_end_after_one_stage_raises_no_false_alarms() {
    for (own, heavy, shared) in
        [(0.05, false, 0.0), (0.05, true, 0.1), (0.5, false, 0.0), (0.5, true, 0.1)]
    {
        let machine = Machine { own, heavy, shared };
        for slow_down in [0.0, 1.05f64.ln()] {
            let mut rng = ChaCha8Rng::seed_from_u64(12);
            let (mut early, mut alarms, mut of_two) = (0, 0, 0);
            for _ in 0..GATES {
                let first = judged(&machine.stage(slow_down, blocks(BLOCKS, 1), &mut rng));
                let second = judged(&machine.stage(slow_down, blocks(BLOCKS, 2), &mut rng));
                let open = first
                    .outcomes()
                    .any(|o| matches!(o, Outcome::Regression | Outcome::CannotTell));
                let failed = open && second.verdict == Outcome::Regression;
                let ended = first.lines.iter().any(|l| l.decisive);
                early += u64::from(ended);
                of_two += u64::from(failed);
                alarms += u64::from(ended || failed);
            }
            let at = format!(
                "{early} of {alarms}, {of_two} in two stages, at {own} {heavy} {shared} {slow_down}"
            );
            assert!(stats::exact_binomial(early, GATES, 0.99).low <= ALPHA * EARLY, "{at}");
            assert!(stats::exact_binomial(alarms, GATES, 0.99).low <= ALPHA, "{at}");
        }
    }
}

#[test]
fn an_overwhelming_slow_down_needs_one_stage_and_one_of_ten_per_cent_two() {
    let usual = Machine { own: 0.03, heavy: false, shared: 0.1 };
    let mut rng = ChaCha8Rng::seed_from_u64(13);
    let mut ended = |factor: f64| {
        let first = |_| judged(&usual.stage(factor.ln(), blocks(BLOCKS, 1), &mut rng));
        (0..200).map(first).filter(|gate| !gate.wants_more()).count()
    };
    assert_eq!(ended(22.31), 200);
    assert!(ended(1.1) < 20);
}
