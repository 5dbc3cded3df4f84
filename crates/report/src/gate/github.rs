//! What GitHub shows: Markdown for the summary of a step, and annotations.
//!
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>

use crate::gate::{GateSides, markdown, rows};
use pushbench_analysis::compare::gate::{Gate, Outcome};

/// A step's summary may hold 1 MiB; what a step wrote before shares it.
pub(crate) const LIMIT: usize = 1024 * 1024 / 2;

/// Tables as short as this are not cut before others are.
const FEW: usize = 100;

/// The summary, with fewer rows where all of them would not fit.
pub fn summary(sides: &GateSides<'_>) -> String {
    let longest = |g: &Gate| g.lines.len().max(g.exact.len()).max(g.missing.len());
    let mut most = sides.last().map_or(0, longest).max(FEW);
    loop {
        let text = markdown(sides, most);
        if text.len() <= LIMIT || most == 0 {
            return text;
        }
        most /= 2;
    }
}

/// So many remarks fit into an annotation.
const REMARKS: usize = 10;

/// One workflow command: an error for what failed, a warning for what is undecided or was interrupted. Below the sentence
/// stands what else to know.
pub fn annotations(sides: &GateSides<'_>) -> String {
    let Some(gate) = sides.last() else { return String::new() };
    let (level, title) = match (gate.verdict, &gate.failure) {
        (_, Some(failure)) if failure.is_interrupt() => ("warning", "pushbench gate interrupted"),
        (_, Some(_)) => ("error", "pushbench gate ended without a verdict"),
        (Outcome::Regression, _) => ("error", "pushbench gate failed"),
        (Outcome::CannotTell | Outcome::NotQualified, _) => {
            ("warning", "pushbench gate cannot tell")
        }
        (Outcome::Passed | Outcome::Waived, _) => ("notice", "pushbench gate passed"),
    };
    let mut lines = vec![gate.sentence.clone()];
    lines.extend(sides.again().map(|command| format!("again: {command}")));
    lines.extend(rows::remarks(gate, REMARKS).into_iter().map(|remark| format!("! {remark}")));
    format!("::{level} title={}::{}\n", property(title), data(&lines.join("\n")))
}

/// A command's message: per cent signs and line breaks would end it.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a command: colons and commas, too.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
