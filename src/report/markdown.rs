//! The report for a pull request or a design document.

use super::{overview, table};
use crate::compare::{Point, Report};
use std::fmt::Write as _;

/// Renders the whole report.
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "# {}\n\n{}\n", escape(&report.scenario), escape(&report.question));
    if !report.complete {
        out.push_str("**Incomplete: the run was cut short.**\n\n");
    }
    for point in &report.points {
        section(&mut out, point);
    }
    let _ = writeln!(out, "Not tested here: {}.", table::NOT_TESTED);
    out
}

fn section(out: &mut String, point: &Point) {
    if !point.setting.is_empty() {
        let _ = writeln!(out, "## {}\n", escape(&table::setting(point)));
    }
    let _ = writeln!(
        out,
        "{}  \n{}\n",
        escape(&table::conditions(point)),
        escape(&table::place(point))
    );
    if point.arms.len() > overview::FEW {
        grid(out, &overview::grid(point));
    } else {
        (1..point.arms.len().max(2)).for_each(|candidate| comparison(out, point, candidate));
    }
    grid(out, &table::strata(point));
    for sentence in &point.sentences {
        let _ = writeln!(out, "**{}**\n", escape(sentence));
    }
    let _ = writeln!(out, "- trust: {}", escape(&table::trust(point)));
    for note in &point.validity.notes {
        let _ = writeln!(out, "- note: {}", escape(note));
    }
    let _ = writeln!(out, "- parity: {}\n", escape(&table::parity(point)));
}

/// The first arm and another one side by side.
fn comparison(out: &mut String, point: &Point, candidate: usize) {
    let shown: Vec<usize> = if point.arms.len() > 1 { vec![0, candidate] } else { vec![0] };
    let mut line = "| |".to_owned();
    let mut rule = "|---|".to_owned();
    for arm in &shown {
        let _ = write!(line, " {} |", escape(&point.arms[*arm].arm));
        rule.push_str("---:|");
    }
    let _ = writeln!(out, "{line} difference [95 %] | |\n{rule}---|---|");
    for row in table::rows(point, candidate) {
        let _ = write!(out, "| {} |", row.name);
        for arm in &shown {
            let _ = write!(out, " {} |", escape(&row.arms[*arm]));
        }
        let _ = writeln!(out, " {} | {} |", escape(&row.difference), escape(&row.verdict));
    }
    out.push('\n');
}

/// A heading and its rows; nothing for an empty grid.
pub(super) fn grid(out: &mut String, rows: &[Vec<String>]) {
    for (i, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row.iter().map(|cell| escape(cell)).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
        if i == 0 {
            let _ = writeln!(out, "|---|{}", "---:|".repeat(row.len() - 1));
        }
    }
    if !rows.is_empty() {
        out.push('\n');
    }
}

/// Text as text: whatever Markdown or HTML would read is escaped, line breaks become spaces.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut all = text.chars();
    while let Some(c) = all.next() {
        let rest = all.as_str();
        match c {
            c if c.is_control() => out.push(' '),
            // As entities: whoever renders Markdown may let HTML through.
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' => {
                out.push('\\');
                out.push(c);
            }
            // GitHub makes links of bare addresses.
            ':' if rest.starts_with("//") => out.push_str("\\:"),
            '.' if out.ends_with("www") => out.push_str("\\."),
            // ... and of addresses of mail, even of escaped ones: a character of no width parts them.
            '@' if is_domain(rest) => {
                out.push_str("@\u{200b}");
            }
            c => out.push(c),
        }
    }
    out
}

/// Whether a text begins like the domain of an address.
fn is_domain(text: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    let end = text.find(|c| !part(c)).unwrap_or(text.len());
    text[..end].trim_end_matches('.').contains('.')
}

/// Text in which nothing is obeyed and nobody is mentioned: commands.
pub(super) fn code(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    // One blank each is taken away again; without them a backtick at an end would join the fence.
    format!("{fence} {text} {fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_stay_text() {
        assert_eq!(escape("<b>|x|`y`\n"), "&lt;b&gt;\\|x\\|\\`y\\` ");
        assert_eq!(escape("http://x www.x ~y~"), "http\\://x www\\.x \\~y\\~");
        assert_eq!(escape("webhook@x. webhook@x.y"), "webhook@x. webhook@\u{200b}x.y");
        assert_eq!(code("a`` `b\n"), "``` a`` `b  ```");
    }
}
