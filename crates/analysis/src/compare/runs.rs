//! Comparison of two stored runs: first whether they may be compared, then figure by figure whether
//! the second run's value lies within the first one's interval, and whether both come to the same
//! verdicts. No verdict on the runs: they were not measured under the same machine conditions (law 5).

use crate::compare::blocks::OverBlocks;
use crate::compare::comparability::{Basis, arms_of_both, dated, hinders, points_of_both};
use crate::compare::completeness;
use crate::compare::evidence::{Evidence, evidence};
use crate::compare::machine::Difference;
use crate::compare::verdicts::{Agreement, VerdictPair, pairs};
use crate::compare::{Comparison, Report, compare};
use pushbench_core::record::run::{RunHeader, StoredRun};
use pushbench_core::scenario::Setting;
use serde::Serialize;
use std::collections::BTreeMap;

/// Two runs side by side.
#[derive(Debug, Serialize)]
pub struct Runs {
    /// Version of this structure.
    pub schema: u32,
    /// The first one, which gives the intervals.
    pub first: Run,
    /// The second one.
    pub second: Run,
    /// False when something differs that figures hang on.
    pub comparable: bool,
    /// Everything that differs.
    pub differences: Vec<Difference>,
    /// Whether both come to the same verdicts.
    pub verdicts: Agreement,
    /// Settings that both have.
    pub points: Vec<Pair>,
}

/// One of the runs.
#[derive(Debug, Serialize)]
pub struct Run {
    /// Its directory, as it was named.
    pub dir: String,
    /// Its scenario.
    pub scenario: String,
    /// When it began, UTC.
    pub started: String,
    /// The version that wrote it.
    pub pushbench: String,
    /// False when it was cut short, or not all of its records are there.
    pub complete: bool,
    /// In what its records differ from those that the run wrote.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub records_differ: Vec<String>,
}

/// A setting that both runs have.
#[derive(Debug, Serialize)]
pub struct Pair {
    /// The swept keys; empty without a sweep.
    pub setting: Setting,
    /// The design of the blocks of each, on which CPU depends: `sliced`, `sequential`, or `null`.
    pub designs: [Option<&'static str>; 2],
    /// Figures of the arms that both have, and the ratios between them.
    pub figures: Vec<Figure>,
    /// What both say of the pairs of arms that both have.
    pub verdicts: Vec<VerdictPair>,
}

/// One figure of both runs.
#[derive(Debug, Serialize)]
pub struct Figure {
    /// The arm, or both for a ratio.
    pub of: String,
    /// Name in the registry.
    pub metric: &'static str,
    /// Its unit; `ratio` of candidate to baseline.
    pub unit: &'static str,
    /// In the first run.
    pub first: Option<Value>,
    /// In the second run.
    pub second: Option<Value>,
    /// The second one's value over the first one's.
    pub change: Option<f64>,
    /// Whether the second one's value lies within the first one's interval.
    pub within: Option<bool>,
}

/// An estimate over blocks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Value {
    /// Geometric mean over blocks.
    pub estimate: f64,
    /// Its 95 % interval; `null` of too few blocks.
    pub ci95: Option<[f64; 2]>,
}

impl Value {
    pub(crate) fn of_arm(o: &OverBlocks) -> Value {
        Value { estimate: o.estimate, ci95: o.ci95 }
    }

    /// `None` of too few blocks for a ratio.
    pub(crate) fn of_ratio(c: &Comparison) -> Option<Value> {
        Some(Value { estimate: c.ratio?, ci95: c.ci95 })
    }
}

impl Runs {
    /// Figures within the first run's intervals, and all that could be compared.
    pub fn within(&self) -> (usize, usize) {
        let judged = || self.points.iter().flat_map(|p| &p.figures).filter_map(|f| f.within);
        (judged().filter(|w| *w).count(), judged().count())
    }
}

/// Puts two runs, each with the name of its directory, side by side.
pub fn side_by_side(first: (&str, &StoredRun), second: (&str, &StoredRun)) -> Runs {
    let (a, b) = (Derived::of(first.1), Derived::of(second.1));
    let differences = a.basis(first.1).differences(&b.basis(second.1));
    let unaltered = a.basis(first.1).is_unaltered() && b.basis(second.1).is_unaltered();
    let points = points_of_both(&first.1.header, &second.1.header);
    let points: Vec<Pair> = points.iter().map(|(i, j)| pair(&a, *i, &b, *j)).collect();
    Runs {
        schema: 1,
        comparable: unaltered && !differences.iter().any(hinders),
        first: run(first),
        second: run(second),
        verdicts: Agreement::of(points.iter().flat_map(|p| &p.verdicts)),
        points,
        differences,
    }
}

fn run((dir, stored): (&str, &StoredRun)) -> Run {
    let header = &stored.header;
    Run {
        dir: dir.to_owned(),
        scenario: header.scenario.clone(),
        started: header.started.clone(),
        pushbench: header.pushbench.clone(),
        complete: completeness::is_complete(stored),
        records_differ: completeness::differences(stored),
    }
}

/// A run with its report.
struct Derived<'a> {
    header: &'a RunHeader,
    report: Report,
    evidence: Evidence<'a>,
}

impl<'a> Derived<'a> {
    fn of(run: &'a StoredRun) -> Derived<'a> {
        let report = compare(run);
        let evidence = evidence(run, &report, &BTreeMap::new());
        Derived { header: &run.header, report, evidence }
    }

    fn basis(&self, run: &StoredRun) -> Basis<'_> {
        Basis { header: self.header, report: &self.report, dated: dated(run) }
    }
}

fn pair(a: &Derived<'_>, i: usize, b: &Derived<'_>, j: usize) -> Pair {
    let (p, q) = (&a.header.points[i], &b.header.points[j]);
    let mut figures = Vec::new();
    for (arm, other) in arms_of_both(p, q) {
        let first = &a.evidence.points[i].arms[arm].over_blocks;
        let second = &b.evidence.points[j].arms[other].over_blocks;
        figures.extend(of_arm(&p.arms[arm].label, first, second));
    }
    let (first, second) = (&a.report.points[i].comparisons, &b.report.points[j].comparisons);
    figures.extend(ratios(first, second));
    let designs = [a.report.points[i].design.kind, b.report.points[j].design.kind];
    Pair { setting: p.setting.clone(), designs, figures, verdicts: pairs(first, second) }
}

fn of_arm(label: &str, first: &[OverBlocks], second: &[OverBlocks]) -> Vec<Figure> {
    let value = Value::of_arm;
    let of = |list: &[OverBlocks], metric| list.iter().find(|o| o.metric == metric).map(value);
    let mut known: Vec<(&'static str, &'static str)> = Vec::new();
    for o in first.iter().chain(second) {
        if !known.contains(&(o.metric, o.unit)) {
            known.push((o.metric, o.unit));
        }
    }
    let figure =
        |(metric, unit)| figure(label, metric, unit, of(first, metric), of(second, metric));
    known.into_iter().map(figure).collect()
}

fn ratios(first: &[Comparison], second: &[Comparison]) -> Vec<Figure> {
    let value = Value::of_ratio;
    let each = |c: &Comparison| {
        let same = |d: &&Comparison| {
            (&d.baseline, &d.candidate, d.metric) == (&c.baseline, &c.candidate, c.metric)
        };
        let (a, b) = (value(c), value(second.iter().find(same)?));
        let of = format!("{} / {}", c.candidate, c.baseline);
        (a.is_some() || b.is_some()).then(|| figure(&of, c.metric, "ratio", a, b))
    };
    first.iter().filter_map(each).collect()
}

fn figure(
    of: &str,
    metric: &'static str,
    unit: &'static str,
    first: Option<Value>,
    second: Option<Value>,
) -> Figure {
    let within = |a: Value, b: Value| a.ci95.map(|[low, high]| (low..=high).contains(&b.estimate));
    let both = first.zip(second);
    Figure {
        of: of.to_owned(),
        metric,
        unit,
        first,
        second,
        change: both.map(|(a, b)| b.estimate / a.estimate),
        within: both.and_then(|(a, b)| within(a, b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::sample;
    use pushbench_core::record::trial::TrialDesign;

    fn names(runs: &Runs) -> Vec<&str> {
        runs.differences.iter().map(|d| d.what.as_str()).collect()
    }

    #[test]
    fn a_run_beside_itself_differs_in_nothing() {
        let run = sample::ratios(0.8, 0.5);
        let runs = side_by_side(("a", &run), ("b", &run));
        assert!(runs.comparable && runs.differences.is_empty(), "{:?}", runs.differences);
        let (within, judged) = runs.within();
        assert!(within == judged && judged > 12, "{within} of {judged}");
        assert!(runs.points[0].figures.iter().all(|f| f.change.is_none_or(|c| c == 1.0)));
        let verdicts = runs.verdicts;
        assert!(
            verdicts.agree == verdicts.of && verdicts.of > 4 && verdicts.contradict == 0,
            "{verdicts:?}"
        );
    }

    #[test]
    fn records_that_differ_are_no_run_to_compare_with() {
        let run = sample::ratios(0.8, 0.5);
        let mut altered = run.clone();
        altered.header.records =
            Some(pushbench_core::record::records::Records { count: 9, sha256: String::new() });
        altered.altered = Some("6 are missing".to_owned());
        let runs = side_by_side(("a", &run), ("b", &altered));
        assert!(!runs.comparable && !runs.second.complete && runs.first.complete);
        assert_eq!(runs.second.records_differ, ["6 are missing"]);
    }

    #[test]
    fn blocks_of_another_design_are_a_difference() {
        let first = sample::ratios(0.8, 0.5);
        let mut second = first.clone();
        second.trials.iter_mut().for_each(|t| t.design = TrialDesign::Sequential);
        let runs = side_by_side(("a", &first), ("b", &second));
        assert_eq!(names(&runs), ["design of the blocks"]);
        assert!(!runs.comparable);
        assert_eq!(runs.points[0].designs, [Some("sliced"), Some("sequential")]);
    }

    #[test]
    fn every_difference_is_named_and_only_harmless_ones_may_be_compared() {
        let first = sample::ratios(0.8, 0.5);
        let mut second = first.clone();
        second.header.seed = 8;
        second.header.points[0].scenario.compare.blocks =
            pushbench_core::scenario::Blocks::Fixed(24);
        let runs = side_by_side(("a", &first), ("b", &second));
        assert_eq!(names(&runs), ["seed", "compare.blocks"]);
        assert!(runs.comparable);
        let point = &mut second.header.points[0];
        point.scenario.load.duration *= 2;
        point.arms[1].matched = "order".to_owned();
        second.header.pushbench = "0.2.0".to_owned();
        let runs = side_by_side(("a", &first), ("b", &second));
        let expected =
            ["seed", "compare.blocks", "load.duration", "websocket@builtin: matched", "pushbench"];
        assert_eq!(names(&runs), expected);
        assert!(!runs.comparable);
        assert_eq!(runs.differences[2].to_string(), "load.duration: 1.50 s, then 3.00 s");
    }

    #[test]
    fn values_lie_within_or_outside_and_what_one_has_not_is_not_judged() {
        let (first, mut second) = (sample::ratios(0.8, 0.5), sample::ratios(0.4, 0.5));
        second.trials.iter_mut().for_each(|t| t.target = None);
        let runs = side_by_side(("a", &first), ("b", &second));
        let find = |of: &str, metric: &str| {
            let mut all = runs.points[0].figures.iter();
            all.find(|f| f.of == of && f.metric == metric).unwrap()
        };
        assert_eq!(find("webhook@builtin", "service.p50").within, Some(true));
        let halved = find("websocket@builtin", "service.p50");
        assert_eq!(halved.within, Some(false));
        assert!((halved.change.unwrap() - 0.5).abs() < 0.01, "{halved:?}");
        let ratio = find("websocket@builtin / webhook@builtin", "service.p50");
        assert_eq!((ratio.within, ratio.unit), (Some(false), "ratio"));
        let cpu = find("webhook@builtin", "target_usage.cpu_ns_per_event");
        assert_eq!((cpu.second, cpu.within, cpu.change), (None, None, None));
    }

    #[test]
    fn arms_and_settings_that_only_one_has_are_named() {
        let first = sample::ratios(0.8, 0.5);
        let mut second = first.clone();
        second.header.points[0].arms[1].label = "tcp@builtin".to_owned();
        second.header.points[0].setting.insert("load.rate".to_owned(), 500.into());
        let runs = side_by_side(("a", &first), ("b", &second));
        assert_eq!(names(&runs), ["settings", "arms"]);
        assert!(runs.points[0].figures.iter().all(|f| f.of == "webhook@builtin"));
    }
}
