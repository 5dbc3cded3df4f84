//! Interval logs of HdrHistogram (V2): one of all arms with a tag each, and one an arm without tags,
//! for readers that know none.

use crate::file_names::FileNames;
use crate::{File, table, visible};
use pushbench_analysis::compare::evidence::{ArmEvidence, Evidence};
use pushbench_analysis::compare::{Point, Report};
use pushbench_core::record::interval_log;
use pushbench_core::record::interval_log::Logged;

/// The logs of every point.
pub fn files(report: &Report, evidence: &Evidence<'_>) -> Vec<File> {
    let mut names = FileNames::default();
    let mut files = Vec::new();
    for (point, found) in report.points.iter().zip(&evidence.points) {
        let setting = table::setting(point);
        let tags: Vec<String> = point.arms.iter().map(|a| visible::line(&a.arm)).collect();
        let arms = || tags.iter().zip(&found.arms);
        let tagged = |(tag, arm)| lines(arm).map(move |l: &Logged| (Some(String::as_str(tag)), l));
        let mut all: Vec<(Option<&str>, &Logged)> = arms().flat_map(tagged).collect();
        // Readers expect intervals in the order of time.
        all.sort_by_key(|(_, line)| line.start);
        let by_second = found.arms.iter().all(|a| a.by_second);
        let text = comment(report, point, "all arms", by_second);
        files.push(log(names.of(&[&setting, "tagged"], "hlog"), evidence, &text, all));
        for (arm, recorded) in point.arms.iter().map(|a| &a.arm).zip(&found.arms) {
            let text = comment(report, point, arm, recorded.by_second);
            let untagged = lines(recorded).map(|line| (None, line)).collect();
            files.push(log(names.of(&[&setting, arm], "hlog"), evidence, &text, untagged));
        }
    }
    files
}

fn lines(arm: &ArmEvidence) -> impl Iterator<Item = &Logged> {
    arm.log.iter()
}

fn log(
    name: String,
    evidence: &Evidence<'_>,
    comment: &str,
    lines: Vec<(Option<&str>, &Logged)>,
) -> File {
    let written = interval_log::write(evidence.began, comment, lines);
    File { name, bytes: written.expect("writing to memory does not fail") }
}

fn comment(report: &Report, point: &Point, arm: &str, by_second: bool) -> String {
    let what = if point.design.rate.is_none() { "service times" } else { "responses" };
    let each = if by_second { "second" } else { "trial" };
    let mut text = format!(
        "pushbench {}: {what} of {arm} in ns, valid trials, one line a {each}",
        report.scenario
    );
    if !point.setting.is_empty() {
        text.push_str(&format!("; {}", table::setting(point)));
    }
    if let Some(incomplete) = table::incomplete(report) {
        text.push_str(&format!("; {incomplete}"));
    }
    visible::line(&text)
}
