//! A gate as JUnit XML: a case for the verdict, each judged line and each count.

use crate::gate::{GateSides, text};
use crate::html::gate::Source;
use crate::junit::{Case, Ending, Suite, document};
use pushbench_analysis::compare::gate::{Gate, Outcome, place};
use std::time::Duration;

/// One suite. What cannot be told, or was interrupted, is skipped.
pub(super) fn render(sides: &GateSides<'_>, source: Source<'_>) -> String {
    let Some(gate) = sides.last() else { return document(&[]) };
    let mut cases = vec![Case { name: "verdict".to_owned(), ending: verdict(gate) }];
    cases.extend(gate.lines.iter().map(|l| Case {
        name: format!("{} of {}", l.metric, place(&l.transport, &l.setting)),
        ending: part(gate, l.outcome, l.why.as_ref()),
    }));
    cases.extend(gate.exact.iter().map(|e| Case {
        name: format!("{} of {}", e.what, place(&e.transport, &e.setting)),
        ending: part(gate, e.outcome, e.why.as_ref()),
    }));
    let properties = [
        ("base", sides.base),
        ("candidate", sides.candidate),
        ("again", sides.command),
        ("pushbench", source.pushbench),
    ];
    document(&[Suite {
        class: format!("pushbench.gate.{}", gate.scenario),
        setting: String::new(),
        properties: properties.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        started: source.started.to_owned(),
        took: Duration::from_secs_f64(source.took_s.max(0.0)),
        cases,
        output: text(sides),
    }])
}

fn verdict(gate: &Gate) -> Ending {
    let sentence = gate.sentence.clone();
    match (gate.verdict, &gate.failure) {
        (_, Some(failure)) if !failure.is_interrupt() => Ending::Errored(sentence),
        (_, Some(_)) | (Outcome::CannotTell | Outcome::NotQualified, None) => {
            Ending::Skipped(sentence)
        }
        (Outcome::Regression, None) => Ending::Failed(sentence),
        (Outcome::Passed | Outcome::Waived, None) => Ending::Passed,
    }
}

/// A line or a count. Without a verdict nothing is decided.
fn part(gate: &Gate, outcome: Outcome, why: Option<&String>) -> Ending {
    let text = why.cloned().unwrap_or_else(|| outcome.name().to_owned());
    match outcome {
        _ if gate.failure.is_some() => Ending::Skipped("no verdict".to_owned()),
        Outcome::Passed | Outcome::Waived => Ending::Passed,
        Outcome::Regression => Ending::Failed(text),
        Outcome::CannotTell | Outcome::NotQualified => Ending::Skipped(text),
    }
}
