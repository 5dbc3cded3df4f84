//! What `pushbench verify` has found out: a table for people, JSON for programs.

use crate::text::align;
use crate::visible::{json as json_of, line, visible};
use pushbench_analysis::compare::verified::{Row, Verified};
use pushbench_core::record::findings::{Finding, Known};
use std::fmt::Write as _;

/// Longest detail in a cell; a longer one is a note below the table.
const DETAIL_CHARS: usize = 24;

/// One column an arm; `≠` marks rows in which two arms differ.
pub fn text(v: &Verified) -> String {
    let mut head = vec![String::new(), String::new()];
    head.extend(v.arms.iter().map(|arm| visible(arm)));
    let mut grid = vec![head];
    let mut notes = Vec::new();
    grid.extend(v.rows.iter().map(|row| cells(row, &mut notes)));
    // Every column to the left: these are words.
    let columns = v.arms.len() + 2;
    let mut out = align(&grid, 1, columns);
    if !notes.is_empty() {
        out.push('\n');
    }
    for (i, note) in notes.iter().enumerate() {
        let _ = writeln!(out, "[{}] {note}", i + 1);
    }
    out.push_str("\nTested, unless it says declared or unknown.");
    if v.rows.iter().any(|r| r.differs) {
        out.push_str(" ≠ arms differ.");
    }
    out.push('\n');
    for failure in v.failure.iter().flatten() {
        let _ = write!(out, "\n{}\n", visible(failure));
    }
    out
}

/// The structure as it is.
pub fn json(v: &Verified) -> String {
    // Nothing in it can fail to be written.
    json_of(&serde_json::to_string_pretty(v).unwrap_or_default()) + "\n"
}

fn cells(row: &Row, notes: &mut Vec<String>) -> Vec<String> {
    let mark = if row.differs { "≠" } else { "" };
    let mut cells = vec![row.aspect.name().to_owned(), mark.to_owned()];
    let mut cell = |f: &Option<Finding>| match f {
        Some(finding) => cell(finding, notes),
        None => "–".to_owned(),
    };
    cells.extend(row.arms.iter().map(&mut cell));
    cells
}

/// `kept`, `refused (413)`, `refused [1]` with a note, `declared: id`
fn cell(f: &Finding, notes: &mut Vec<String>) -> String {
    let known = if f.known == Known::Declared { "declared: " } else { "" };
    let value = visible(&f.value);
    let Some(detail) = &f.detail else { return format!("{known}{value}") };
    let detail = line(detail);
    if detail.chars().count() <= DETAIL_CHARS {
        return format!("{known}{value} ({detail})");
    }
    let index = notes.iter().position(|note| *note == detail);
    let number = index.unwrap_or_else(|| {
        notes.push(detail);
        notes.len() - 1
    });
    format!("{known}{value} [{}]", number + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pushbench_analysis::compare::verified::verified;
    use pushbench_core::record::findings::{Aspect, Findings, YES};

    #[test]
    fn a_table_of_findings() {
        let arm = |name: &str, list| Findings {
            arm: name.to_owned(),
            acknowledged: 16,
            failure: None,
            list,
        };
        let once = || Finding::tested(Aspect::ExactlyOnce, YES).with("16 of 16");
        let refused = "answered 400 Bad Request: \u{1b}[31mno event, and a long explanation of why";
        let all = [
            arm(
                "webhook@a",
                vec![once(), Finding::tested(Aspect::Malformed, "refused").with(refused)],
            ),
            arm(
                "websocket@b",
                vec![
                    once(),
                    Finding::tested(Aspect::Malformed, "closed"),
                    Finding::tested(Aspect::Ping, "answered"),
                    Finding::declared(Aspect::Runtime, "tokio"),
                    Finding::unknown(Aspect::Nodelay, "not visible from outside"),
                ],
            ),
        ];
        let table = text(&verified(&all));
        insta::assert_snapshot!(table, @r"
                      webhook@a        websocket@b
exactly once          yes (16 of 16)   yes (16 of 16)
malformed event   ≠   refused [1]      closed
ping                  –                answered
NODELAY               –                unknown (not visible from outside)
runtime               –                declared: tokio

[1] answered 400 Bad Request: [U+001B][31mno event, and a long explanation of why

Tested, unless it says declared or unknown. ≠ arms differ.
");
        assert!(json(&verified(&all)).starts_with("{\n  \"schema\": 1,"));
    }
}
