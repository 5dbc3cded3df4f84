//! The report for a pull request or a design document: verdict, table and trust; details are folded.

use crate::visible::line;
use crate::{certainty, conditions, cost, guarantee, layers, notes, overview, path, table, text};
use pushbench_analysis::compare::evidence::Evidence;
use pushbench_analysis::compare::expect::Outcome;
use pushbench_analysis::compare::machine::NOT_RECORDED;
use pushbench_analysis::compare::{Point, Report};
use std::fmt::Write as _;

/// Renders the whole report.
pub fn render(report: &Report, evidence: &Evidence<'_>) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "## {}\n\n{}\n", escape(&report.scenario), paragraph(&report.question));
    if let Some(message) = table::incomplete(report) {
        let _ = writeln!(out, "> [!WARNING]\n> {}\n", escape(&message));
    }
    if let Some(caution) = notes::caution(&report.points, '!') {
        let _ = writeln!(out, "> [!WARNING]\n> {}\n", escape(&caution));
    }
    match &report.points[..] {
        [only] => section(&mut out, only),
        points => {
            grid(&mut out, &guarantee::sweep(points), 2);
            grid(&mut out, &text::sweep_grid(report), 2);
            cpu_design(&mut out, points);
            for point in points {
                fold(&mut out, &table::setting(point), |out| section(out, point));
            }
        }
    }
    let _ = writeln!(out, "Not tested here: {}.\n", conditions::not_tested(report).join(", "));
    fold(&mut out, "Machine, seed and command", |out| machine(out, report, evidence));
    out
}

fn section(out: &mut String, point: &Point) {
    for sentence in &point.sentences {
        let _ = writeln!(out, "**{}**\n", escape(sentence));
    }
    let (conditions, place) = (conditions::conditions(point), conditions::place(point));
    let _ = writeln!(out, "{}  \n{}\n", paragraph(&conditions), paragraph(&place));
    if point.arms.len() > overview::FEW {
        grid(out, &guarantee::overview(point), 1);
        grid(out, &overview::grid(point), 1);
    } else {
        (1..point.arms.len().max(2)).for_each(|candidate| comparison(out, point, candidate));
    }
    cpu_design(out, [point]);
    if point.comparisons.iter().any(notes::is_small) {
        out.push_str("\\* too small to matter (`compare.matters`)\n\n");
    }
    for why in certainty::withheld(point) {
        let _ = writeln!(out, "† {}\n", escape(&why));
    }
    grid(out, &table::strata(point), 1);
    grid(out, &layers::grid(point), 2);
    grid(out, &cost::grid(point), 1);
    for note in cost::notes(point) {
        let _ = writeln!(out, "{}\n", paragraph(&note));
    }
    for e in point.expectations.iter().filter(|e| e.outcome != Outcome::Met) {
        let value = e.value.map_or("not measured".to_owned(), |v| v.to_string());
        let failed = e.outcome == Outcome::Failed;
        let what = if failed { "**FAILED**" } else { "cannot be judged" };
        let message = format!("expect {} of {}: {value}, limit {}", e.what, e.arm, e.limit);
        let _ = writeln!(out, "- {what}: {}", escape(&message));
    }
    let _ = writeln!(out, "- trust: {}", escape(&conditions::trust(point)));
    for (number, note) in point.validity.numbered() {
        let number = number.map_or_else(String::new, |n| format!(" !{n}"));
        let _ = writeln!(out, "- note{number}: {}", escape(&note.text));
    }
    if let Some(path) = path::line(point) {
        let _ = writeln!(out, "- path: {}", escape(&path));
    }
    let _ = writeln!(out, "- parity: {}\n", escape(&conditions::parity(point)));
}

fn cpu_design<'a>(out: &mut String, points: impl IntoIterator<Item = &'a Point>) {
    if let Some(how) = conditions::cpu_design(points) {
        let _ = writeln!(out, "{how}\n");
    }
}

fn machine(out: &mut String, report: &Report, evidence: &Evidence<'_>) {
    let row = |(name, value): (&str, &str)| vec![name.to_owned(), value.to_owned()];
    let mut rows = vec![row(("", "")), row(("started", evidence.started))];
    rows.push(row(("seed", &report.seed.to_string())));
    let recorded = evidence.machine.iter().filter(|(_, value)| value != NOT_RECORDED);
    rows.extend(recorded.map(|(name, value)| row((name, value))));
    grid(out, &rows, 2);
    let _ = writeln!(out, "{}", fenced(&line(&shell_words::join(evidence.command))));
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
        let _ = write!(out, "| {} |", notes::marked(row.name, &row.notes));
        for arm in &shown {
            let _ = write!(out, " {} |", escape(&row.arms[*arm]));
        }
        let _ = writeln!(out, " {} | {} |", escape(&row.difference), escape(&row.verdict));
    }
    out.push('\n');
}

/// A heading and its rows, the first `names` columns to the left; nothing for an empty grid.
pub(super) fn grid(out: &mut String, rows: &[Vec<String>], names: usize) {
    for (i, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row.iter().map(|cell| escape(cell)).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
        if i == 0 {
            let names = names.min(row.len());
            let figures = "---:|".repeat(row.len() - names);
            let _ = writeln!(out, "|{}{figures}", "---|".repeat(names));
        }
    }
    if !rows.is_empty() {
        out.push('\n');
    }
}

/// What only some want to read. GitHub and GitLab fold it, others show it.
fn fold(out: &mut String, title: &str, inside: impl FnOnce(&mut String)) {
    // Text within HTML is no Markdown.
    let title = line(title).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let _ = writeln!(out, "<details><summary>{title}</summary>\n");
    inside(out);
    let _ = writeln!(out, "</details>\n");
}

/// A block of code whatever is in it.
fn fenced(code: &str) -> String {
    let longest = code.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(3.max(longest + 1));
    format!("{fence}\n{code}\n{fence}\n")
}

/// Text as text at the begin of a line, where more is obeyed than elsewhere.
pub(super) fn paragraph(text: &str) -> String {
    let escaped = escape(text.trim_start());
    let digits = escaped.len() - escaped.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    match escaped[digits..].chars().next() {
        Some('-' | '+' | '=' | '~') if digits == 0 => format!("\\{escaped}"),
        Some('.' | ')') if digits > 0 => {
            format!("{}\\{}", &escaped[..digits], &escaped[digits..])
        }
        _ => escaped,
    }
}

/// Text as text: whatever Markdown or HTML would read is escaped, line breaks become spaces.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let text = line(text);
    let mut all = text.chars();
    while let Some(c) = all.next() {
        let rest = all.as_str();
        match c {
            // As entities: a Markdown renderer may let HTML through.
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

/// Text without active markup or mentions: commands.
pub(super) fn code(text: &str) -> String {
    let text = line(text);
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
        for (text, shown) in [("- a", "\\- a"), ("12. a", "12\\. a"), ("2000/s", "2000/s")] {
            assert_eq!(paragraph(text), shown);
        }
        assert_eq!(fenced("a ```` b"), "`````\na ```` b\n`````\n");
    }
}
