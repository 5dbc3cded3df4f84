//! Bencher Metric Format: benchmark, measure, value with its lower and upper one.

use crate::{table, visible};
use pushbench_analysis::compare::Report;
use pushbench_analysis::compare::blocks::OverBlocks;
use pushbench_analysis::compare::evidence::Evidence;
use serde_json::{Map, Value, json};

/// Bencher takes no longer names.
const LONGEST_NAME: usize = 1024;

/// A benchmark an arm and setting, a measure a metric.
pub fn render(report: &Report, evidence: &Evidence<'_>) -> String {
    let mut benchmarks = Map::new();
    for (point, found) in report.points.iter().zip(&evidence.points) {
        for (arm, recorded) in point.arms.iter().zip(&found.arms) {
            let measures: Map<String, Value> =
                recorded.over_blocks.iter().map(|o| (slug(o), metric(o))).collect();
            if !measures.is_empty() {
                let name = table::benchmark(report, point, &arm.arm);
                let name: String = visible::line(&name).chars().take(LONGEST_NAME).collect();
                benchmarks.insert(name, measures.into());
            }
        }
    }
    format!("{:#}\n", Value::Object(benchmarks))
}

fn metric(o: &OverBlocks) -> Value {
    match o.ci95 {
        Some([low, high]) => json!({"value": o.estimate, "lower_value": low, "upper_value": high}),
        None => json!({"value": o.estimate}),
    }
}

/// `response.p50` as `response-p50-ns`: a measure's unit is not in the file, so its name says it. The
/// throughput keeps its name, which is that of Bencher's own measure.
fn slug(o: &OverBlocks) -> String {
    let mut slug = o.metric.replace(['.', '_'], "-");
    if o.unit == "ns" && !slug.contains("-ns") {
        slug.push_str("-ns");
    }
    slug
}
