//! The JSON of the contract: the report as it is.

use crate::visible;
use pushbench_analysis::compare::Report;

/// One line of JSON and a line feed.
pub fn render(report: &Report) -> String {
    let text = serde_json::to_string(report).expect("a report has only string keys");
    visible::json(&text) + "\n"
}
