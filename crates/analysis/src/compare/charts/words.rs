//! What many verdicts come to, in words: along a swept key, and over many arms.

use crate::compare::{Comparison, FEWEST_BLOCKS, Point, Verdict};
use pushbench_core::record::metrics;
use pushbench_core::units;

/// Verdicts in the order of the summary.
const VERDICT_ORDER: [&str; 8] = [
    "better",
    "better but too small to matter",
    "worse",
    "worse but too small to matter",
    "equivalent",
    "cannot tell",
    "overloaded",
    "invalid",
];

fn word(c: &Comparison) -> &'static str {
    VERDICT_ORDER[match (c.verdict, c.matters) {
        (Verdict::Better, true) => 0,
        (Verdict::Better, false) => 1,
        (Verdict::Worse, true) => 2,
        (Verdict::Worse, false) => 3,
        (Verdict::Equivalent, _) => 4,
        (Verdict::Inconclusive, _) => 5,
        (Verdict::Overloaded, _) => 6,
        (Verdict::Invalid, _) => 7,
    }]
}

/// What a candidate's verdicts along an axis come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AxisSummary {
    /// The two arms and the axis.
    pub title: String,
    /// A metric by name, and where it is better, worse or neither.
    pub lines: Vec<(&'static str, String)>,
}

/// One for each candidate.
pub(super) fn summaries(key: &str, points: &[&Point]) -> Vec<AxisSummary> {
    let Some(first) = points.first() else { return Vec::new() };
    let metrics = crate::compare::charts::headlines(points.iter().copied());
    let of_arm = |arm: &str| AxisSummary {
        title: format!("{arm} against {}, as {key} changes", first.arms[0].arm),
        lines: metrics
            .iter()
            .filter_map(|metric| Some((*metric, line(key, points, arm, metric)?)))
            .collect(),
    };
    first.arms.iter().skip(1).map(|arm| of_arm(&arm.arm)).collect()
}

/// `better at 1, 16, 64; equivalent at 4`
fn line(key: &str, points: &[&Point], arm: &str, metric: &str) -> Option<String> {
    let verdict = |point: &&Point| {
        let mine = point.comparisons.iter().find(|c| c.candidate == arm && c.metric == metric)?;
        Some((value(point, key), word(mine), unclaimed(point, mine)))
    };
    let verdicts: Vec<(String, &str, Option<f64>)> =
        points.iter().map(verdict).collect::<Option<_>>()?;
    let parts = VERDICT_ORDER.iter().filter_map(|word| {
        let mine = || verdicts.iter().filter(|v| v.1 == *word);
        let at: Vec<&str> = mine().map(|v| v.0.as_str()).collect();
        let measured = measured(mine().filter_map(|v| v.2));
        match at.len() {
            0 => None,
            n if n == verdicts.len() => Some(format!("{word} everywhere{measured}")),
            _ => Some(format!("{word} at {}{measured}", at.join(", "))),
        }
    });
    Some(parts.collect::<Vec<_>>().join("; "))
}

/// The ratio of a point with too few blocks to claim anything from it.
fn unclaimed(point: &Point, c: &Comparison) -> Option<f64> {
    let few = point.design.blocks_valid < FEWEST_BLOCKS;
    c.measured().filter(|_| few && c.verdict == Verdict::Inconclusive)
}

/// ` (×0.53 to ×0.56, too few blocks for a claim)`
fn measured(ratios: impl Iterator<Item = f64>) -> String {
    let (low, high) =
        ratios.fold((f64::INFINITY, 0.0), |(low, high): (f64, f64), r| (low.min(r), high.max(r)));
    let [from, to] = [low, high].map(units::ratio);
    match high > 0.0 {
        false => String::new(),
        true if from == to => format!(" ({from}, too few blocks for a claim)"),
        true => format!(" ({from} to {to}, too few blocks for a claim)"),
    }
}

fn value(point: &Point, key: &str) -> String {
    match point.setting.get(key) {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

/// Of many arms the first and the last by the metric that the point is sorted by; `None` where fewer
/// than two have a figure.
pub fn first_and_last(point: &Point) -> Option<[usize; 2]> {
    metrics::named(point.sorted_by)?;
    let known = |arm: &&usize| point.arms[**arm].figure(point.sorted_by).is_some();
    let known: Vec<usize> = point.order.iter().filter(known).copied().collect();
    match known.as_slice() {
        [first, .., last] => Some([*first, *last]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{compare, sample};

    fn at(rate: u64, service: f64) -> Point {
        let mut point = compare(&sample::ratios(service, 0.5)).points.remove(0);
        point.setting.insert("load.rate".to_owned(), rate.into());
        point
    }

    #[test]
    fn settings_are_gathered_by_verdict() {
        let points = [at(500, 0.8), at(1000, 1.0), at(2000, 1.3)];
        let summaries = summaries("load.rate", &points.each_ref());
        assert_eq!(summaries.len(), 1);
        assert_eq!(
            summaries[0].title,
            "websocket@builtin against webhook@builtin, as load.rate changes"
        );
        let line = |name: &str| {
            summaries[0].lines.iter().find(|l| l.0 == name).map(|l| l.1.as_str()).unwrap()
        };
        assert_eq!(
            line("response.p50"),
            "better but too small to matter at 500; worse but too small to matter at 2000; equivalent at 1000"
        );
        assert_eq!(line("target_usage.cpu_ns_per_event"), "better everywhere");
    }

    #[test]
    fn the_best_comes_first_by_the_headline() {
        assert_eq!(first_and_last(&at(1, 0.8)), Some([1, 0]));
    }
}
