//! What the verdicts along a swept key come to, in words: where a candidate is better, where worse,
//! and where it cannot be told.

use crate::compare::{Point, Verdict};

/// What a reader of a sweep asks for first, and how it is called.
const ASKED: [(&str, &str); 6] = [
    ("response.p50", "response p50"),
    ("response.p99", "response p99"),
    ("service.p50", "service p50"),
    ("service.p99", "service p99"),
    ("throughput", "throughput"),
    ("target_usage.cpu_ns_per_event", "target CPU per event"),
];
/// Verdicts in the order in which they are told.
const TOLD: [(Verdict, &str); 6] = [
    (Verdict::Better, "better"),
    (Verdict::Worse, "worse"),
    (Verdict::Equivalent, "equivalent"),
    (Verdict::Inconclusive, "cannot tell"),
    (Verdict::Overloaded, "overloaded"),
    (Verdict::Invalid, "invalid"),
];

/// A sentence a candidate and metric.
pub(super) fn sentences(key: &str, points: &[&Point]) -> Vec<String> {
    let Some(first) = points.first() else { return Vec::new() };
    let closed = points.iter().all(|p| p.design.rate.is_none());
    let mut sentences = Vec::new();
    for arm in first.arms.iter().skip(1) {
        for (metric, name) in ASKED {
            // An open loop is asked how long it takes from the due instant, a closed one cannot be.
            if closed || !metric.starts_with("service") {
                sentences.extend(sentence(key, points, &arm.arm, metric, name));
            }
        }
    }
    sentences
}

fn sentence(key: &str, points: &[&Point], arm: &str, metric: &str, name: &str) -> Option<String> {
    let verdict = |point: &&Point| {
        let mine = point.comparisons.iter().find(|c| c.candidate == arm && c.metric == metric)?;
        Some((value(point, key), mine.verdict))
    };
    let verdicts: Vec<(String, Verdict)> = points.iter().map(verdict).collect::<Option<_>>()?;
    let told = TOLD.iter().filter_map(|(verdict, word)| {
        let at: Vec<&str> =
            verdicts.iter().filter(|v| v.1 == *verdict).map(|v| v.0.as_str()).collect();
        match at.len() {
            0 => None,
            n if n == verdicts.len() => Some(format!("{word} at every {key}")),
            _ => Some(format!("{word} at {}", at.join(", "))),
        }
    });
    let baseline = &points[0].arms[0].arm;
    let told: Vec<String> = told.collect();
    Some(format!("{name}, {arm} against {baseline}: {}.", told.join("; ")))
}

fn value(point: &Point, key: &str) -> String {
    match point.setting.get(key) {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}
