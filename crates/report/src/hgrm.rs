//! Percentile distributions as HdrHistogram's plotter reads them. The unit is µs with three decimals,
//! so that no nanosecond is lost.

use crate::file_names::FileNames;
use crate::{File, table};
use pushbench_analysis::compare::evidence::{Distribution, Evidence};
use pushbench_analysis::compare::{Point, Report};
use std::fmt::Write as _;

/// Percentiles a halving of what is left, as HdrHistogram's own tools write them.
const TICKS: u32 = 5;
const NS_PER_US: f64 = 1e3;

/// A file an arm for responses, and one for service times.
pub fn files(report: &Report, evidence: &Evidence<'_>) -> Vec<File> {
    let mut names = FileNames::default();
    let mut files = Vec::new();
    for (point, found) in report.points.iter().zip(&evidence.points) {
        let setting = table::setting(point);
        for (arm, recorded) in point.arms.iter().zip(&found.arms) {
            let kinds = [("response", &recorded.response), ("service", &recorded.service)];
            for (kind, distribution) in kinds {
                if !distribution.hist.is_empty() {
                    let name = names.of(&[&setting, &arm.arm, kind], "hgrm");
                    let text = distribution_text(report, point, &arm.arm, kind, distribution);
                    files.push(File { name, bytes: text.into_bytes() });
                }
            }
        }
    }
    files
}

fn distribution_text(
    report: &Report,
    point: &Point,
    arm: &str,
    kind: &str,
    distribution: &Distribution,
) -> String {
    let hist = &distribution.hist;
    let mut out = String::new();
    let head = ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"];
    let _ = writeln!(out, "{:>12} {:>14} {:>10} {:>14}\n", head[0], head[1], head[2], head[3]);
    for (value, quantile, count) in hist.spectrum(TICKS) {
        let _ = write!(out, "{:12.3} {quantile:2.12} {count:10}", value as f64 / NS_PER_US);
        // The last line has no inverse.
        let _ = match quantile < 1.0 {
            true => writeln!(out, " {:14.2}", 1.0 / (1.0 - quantile)),
            false => writeln!(out),
        };
    }
    let us = |ns: Option<f64>| ns.unwrap_or_default() / NS_PER_US;
    let (mean, deviation) = (us(hist.mean()), us(hist.std_dev()));
    let _ = writeln!(out, "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]");
    let (max, count) = (us(hist.max().map(|ns| ns as f64)), hist.count());
    let _ = writeln!(out, "#[Max     = {max:12.3}, Total count    = {count:12}]");
    // Behind the table, as readers expect its heading in the first line.
    let mut say = |line: &str| {
        let _ = writeln!(out, "# {}", crate::visible::line(line));
    };
    say(&format!("pushbench {}: {kind} of {arm}, µs", report.scenario));
    if !point.setting.is_empty() {
        say(&table::setting(point));
    }
    say(&match distribution.supported {
        Some(q) => format!("fewer than 10 values lie beyond percentile {:.6}", q * 100.0),
        None => "fewer than 10 values: too few for a percentile".to_owned(),
    });
    if let Some(message) = table::incomplete(report) {
        say(&message);
    }
    out
}
