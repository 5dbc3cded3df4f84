//! How often the gate was right: false alarms among equal builds, and what it found of what was put in
//! on purpose.

use crate::compare::gate::margin::{FEWEST_NULLS, Null, bias, mean_of_nulls};
use crate::compare::gate::{BASE, Gate, Line, Look, NULL, Outcome, Settings, judge};
use crate::stats;
use pushbench_core::record::run::StoredRun;
use serde::{Deserialize, Serialize};

/// The candidate that is equal.
pub const EQUAL: &str = "equal";
/// Candidates that are slower on purpose, and by what share of the base's service time.
pub const SLOWER: [(&str, f64); 2] = [("slower-5", 0.05), ("slower-10", 0.10)];
/// `qualify.json`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Version of this file.
    pub schema: u32,
    /// The command line that began it.
    pub command: Vec<String>,
    /// The scenario's name.
    pub scenario: String,
    /// How events travel.
    pub transport: String,
    /// What is judged.
    pub settings: Settings,
    /// Blocks of a gate before its first look.
    pub blocks: usize,
    /// How long a gate may take, s; 0 in those of versions that had two stages.
    #[serde(default)]
    pub at_most_s: f64,
    /// Gates in all.
    pub gates: usize,
    /// Gates with slower candidates.
    pub injected: usize,
    /// Seed.
    pub seed: u64,
    /// The base's service time, from which the added work was worked out, ns.
    pub service_ns: f64,
    /// Each start had a fresh copy of its executable.
    #[serde(default)]
    pub copied: bool,
}

/// How one candidate did in one gate.
#[derive(Debug, Clone, Serialize)]
pub struct Tried {
    /// The gate, from 1.
    pub gate: usize,
    /// `equal`, `slower-5`, `slower-10`.
    pub candidate: String,
    /// The verdict.
    pub verdict: Outcome,
    /// The look that gave it.
    pub look: usize,
    /// Valid blocks until then.
    pub blocks: usize,
    /// More blocks are wanted.
    pub open: bool,
    /// The verdict on service p50 alone.
    pub(crate) service_p50: Option<Outcome>,
    /// Slow-down of each judged metric, log ratio.
    pub log_ratios: Vec<(String, f64)>,
}

/// Every candidate of a gate, by the look that decides about it: the first after which it wants no more blocks, or the
/// last.
pub fn judged(header: &Header, gate: usize, run: &StoredRun, looks: &[Look]) -> Vec<Tried> {
    let names = run.header.points[0].arms.iter().map(|a| a.target.clone());
    let candidates: Vec<String> = names.filter(|t| t != BASE && t != NULL).collect();
    let mut found: Vec<Option<Tried>> = vec![None; candidates.len()];
    for look in looks {
        let then = look.of(run.clone());
        for (candidate, found) in candidates.iter().zip(&mut found) {
            if found.as_ref().is_none_or(|tried| tried.open) {
                let decided = judge(&then, candidate, &header.settings, look);
                *found = Some(tried(gate, candidate, &decided));
            }
        }
    }
    found.into_iter().flatten().collect()
}

fn tried(gate: usize, candidate: &str, decided: &Gate) -> Tried {
    let log = |l: &Line| Some((l.metric.to_owned(), l.slow_down.as_ref()?.ratio.ln()));
    let service = decided.lines.iter().find(|l| l.metric == "service.p50");
    Tried {
        gate,
        candidate: candidate.to_owned(),
        verdict: decided.verdict,
        look: decided.stage,
        blocks: decided.blocks_valid,
        open: decided.wants_more(),
        service_p50: service.map(|l| l.outcome),
        log_ratios: decided.lines.iter().filter_map(log).collect(),
    }
}

/// How often something happened.
#[derive(Debug, Clone, Serialize)]
pub struct Rate {
    /// What was counted.
    pub what: String,
    /// How often.
    pub count: usize,
    /// Of how many.
    pub of: usize,
    /// Exact binomial 95 % interval.
    pub ci95: [f64; 2],
}

/// By how much equal builds differ on average.
#[derive(Debug, Clone, Serialize)]
pub struct NullMean {
    /// The metric.
    pub metric: String,
    /// Gates.
    pub of: usize,
    /// Mean log ratio over all blocks of the gates.
    pub mean: f64,
    /// Its 95 % interval (Student's t over gates).
    pub ci95: [f64; 2],
    /// The interval excludes 0, and the mean is beyond 0.3 %, of enough gates for margins.
    pub biased: bool,
}

/// The log ratios of the equal builds in a metric, one for each gate that has one.
pub fn nulls(trials: &[Tried], metric: &str) -> Vec<Null> {
    let equal = trials.iter().filter(|t| t.candidate == EQUAL);
    let null = |t: &Tried| {
        let (_, log_ratio) = t.log_ratios.iter().find(|(m, _)| m == metric)?;
        Some(Null { log_ratio: *log_ratio, blocks: t.blocks })
    };
    equal.filter_map(null).collect()
}

/// The mean of the equal builds in each judged metric. A verdict may be right in every gate and the
/// measurement still favour one side.
pub fn null_means(header: &Header, trials: &[Tried]) -> Vec<NullMean> {
    let of = |metric: &str| {
        let nulls = nulls(trials, metric);
        let mean = mean_of_nulls(&nulls)?;
        Some(NullMean {
            metric: metric.to_owned(),
            of: nulls.len(),
            mean: mean.estimate,
            ci95: [mean.low, mean.high],
            biased: nulls.len() >= FEWEST_NULLS && bias(&nulls).is_some(),
        })
    };
    header.settings.margins.iter().filter_map(|m| of(&m.metric)).collect()
}

/// False alarms and detections, each with what N allows to say.
pub fn rates(trials: &[Tried]) -> Vec<Rate> {
    let rate = |what: String, candidate: &str, is: &dyn Fn(&Tried) -> bool| {
        let mine: Vec<&Tried> = trials.iter().filter(|t| t.candidate == candidate).collect();
        let count = mine.iter().filter(|t| is(t)).count();
        let i = stats::exact_binomial(count as u64, mine.len() as u64, 0.95);
        (!mine.is_empty()).then_some(Rate { what, count, of: mine.len(), ci95: [i.low, i.high] })
    };
    let failed = |t: &Tried| t.verdict == Outcome::Regression;
    let cannot = |t: &Tried| t.verdict == Outcome::CannotTell;
    let by_service = |t: &Tried| t.service_p50 == Some(Outcome::Regression);
    let mut all = vec![
        rate("false alarms among equal builds".into(), EQUAL, &failed),
        rate("equal builds with the verdict cannot tell".into(), EQUAL, &cannot),
    ];
    for (name, share) in SLOWER {
        let share = share * 100.0;
        all.push(rate(format!("+{share:.0} % found"), name, &failed));
        all.push(rate(format!("+{share:.0} % found on service.p50"), name, &by_service));
        all.push(rate(format!("+{share:.0} % with the verdict cannot tell"), name, &cannot));
    }
    all.into_iter().flatten().collect()
}
