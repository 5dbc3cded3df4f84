//! Columns and lines as a terminal shows them: text made harmless, aligned, wrapped, coloured.

use anstyle::{AnsiColor, Style};
use std::fmt::Write as _;
use unicode_width::UnicodeWidthStr as _;

/// Narrower terminals are written to as if they were this wide.
const NARROWEST: usize = 40;
const GAP: &str = "   ";
/// Words that stay with the number before them.
const UNITS: [&str; 9] = ["ns", "µs", "ms", "s", "%", "B", "KiB", "MiB", "GiB"];
/// Room that is kept for one, with its space.
const LONGEST_UNIT: usize = 4;

/// How a report may look where it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Colours are understood and wanted.
    pub colour: bool,
    /// Columns of the terminal; `None` where lines may be long.
    pub width: Option<usize>,
}

impl Look {
    /// For files and pipes.
    pub const PLAIN: Look = Look { colour: false, width: None };

    /// Text in a style, if colours are wanted.
    pub(crate) fn paint(self, style: Style, text: &str) -> String {
        match self.colour && !text.is_empty() {
            true => format!("{style}{text}{style:#}"),
            false => text.to_owned(),
        }
    }

    fn columns(self) -> usize {
        self.width.map_or(usize::MAX, |w| w.max(NARROWEST))
    }

    /// Wraps a line between words; further lines begin with so many spaces.
    pub(crate) fn wrap(self, text: &str, indent: usize) -> String {
        let columns = self.columns();
        let mut out = String::new();
        for line in text.split('\n') {
            let mut used = 0;
            for (i, word) in line.split(' ').enumerate() {
                let width = word.width();
                let apart = i > 0 && !UNITS.contains(&word);
                if apart && used + 1 + width > columns - LONGEST_UNIT && used > indent {
                    let _ = write!(out, "\n{:indent$}", "");
                    used = indent;
                } else if i > 0 {
                    out.push(' ');
                    used += 1;
                }
                out.push_str(word);
                used += width;
            }
            out.push('\n');
        }
        out
    }
}

/// Bold, for headings and sentences.
pub(crate) const BOLD: Style = Style::new().bold();
/// What went wrong.
pub(crate) const ALARM: Style = AnsiColor::Red.on_default().bold();
/// What to know before believing it.
pub(crate) const CAUTION: Style = AnsiColor::Yellow.on_default();

/// The style of a verdict in words.
fn verdict_style(words: &str) -> Style {
    match words.trim().trim_end_matches('†') {
        "better" | "within" => AnsiColor::Green.on_default(),
        "worse" | "outside" => AnsiColor::Red.on_default(),
        "cannot tell" => CAUTION,
        "overloaded" | "invalid" => ALARM,
        _ => Style::new(),
    }
}

/// The first `names` columns and the last `words` ones to the left, figures to the right.
pub fn align(grid: &[Vec<String>], names: usize, words: usize) -> String {
    table(grid, names, words, Look::PLAIN)
}

/// The same where it is shown: a table that is too wide is cut into several, each of which begins with
/// the names again.
pub fn table(grid: &[Vec<String>], names: usize, words: usize, look: Look) -> String {
    let columns = grid.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| grid.iter().filter_map(|r| r.get(c)).map(|s| s.width()).max();
    let widths: Vec<usize> = (0..columns).map(|c| width(c).unwrap_or(0)).collect();
    let mut out = String::new();
    for (i, group) in groups(&widths, names, look.columns()).iter().enumerate() {
        if i > 0 {
            out.push('\n');
        }
        // What a later part has nothing of is not named again.
        let relevant = |row: &[String]| {
            group[names.min(group.len())..]
                .iter()
                .any(|c| row.get(*c).is_some_and(|s| !s.is_empty()))
        };
        let rows = grid.iter().enumerate().filter(|(_, row)| i == 0 || relevant(row));
        for (number, row) in rows {
            let shown = group.iter().filter_map(|c| Some((*c, row.get(*c)?)));
            let mut line = String::new();
            for (c, cell) in shown {
                let left = c < names || c + words >= columns;
                let padding = " ".repeat(widths[c] - cell.width());
                let style = match number {
                    0 => BOLD,
                    _ if c + 1 == columns => verdict_style(cell),
                    _ => Style::new(),
                };
                let gap = if line.is_empty() && c == 0 { "" } else { GAP };
                let cell =
                    if style == Style::new() { cell.clone() } else { look.paint(style, cell) };
                let _ = match left {
                    true => write!(line, "{gap}{cell}{padding}"),
                    false => write!(line, "{gap}{padding}{cell}"),
                };
            }
            let _ = writeln!(out, "{}", line.trim_end());
        }
    }
    out
}

/// The columns of each part of a table. A column that alone is too wide has a part of its own.
fn groups(widths: &[usize], names: usize, most: usize) -> Vec<Vec<usize>> {
    let named: Vec<usize> = (0..names.min(widths.len())).collect();
    let each = |c: usize| widths[c] + GAP.len();
    let begin: usize = named.iter().map(|c| each(*c)).sum::<usize>().saturating_sub(GAP.len());
    let mut groups = vec![named.clone()];
    let mut used = begin;
    for c in named.len()..widths.len() {
        let last = groups.last_mut().expect("there is one");
        if used + each(c) > most && last.len() > named.len() {
            groups.push([&named[..], &[c]].concat());
            used = begin + each(c);
        } else {
            last.push(c);
            used += each(c);
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Vec<Vec<String>> {
        [["", "one", "two", "verdict"], ["p50", "1 µs", "日本", "better*"]]
            .map(|row| row.map(str::to_owned).to_vec())
            .to_vec()
    }

    #[test]
    fn columns_align_by_visible_width() {
        assert_eq!(
            align(&grid(), 1, 1),
            "       one    two   verdict\np50   1 µs   日本   better*\n"
        );
    }

    #[test]
    fn colours_change_nothing_but_colours() {
        let look = Look { colour: true, width: None };
        let mut clear = grid();
        clear[1][3] = "better".to_owned();
        let green = table(&clear, 1, 1, look);
        assert!(green.contains("\u{1b}[32mbetter\u{1b}[0m"), "{green:?}");
        let coloured = table(&grid(), 1, 1, look);
        assert!(!coloured.contains("\u{1b}[32m"), "too small to matter is no green: {coloured:?}");
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), align(&grid(), 1, 1));
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let wide: Vec<String> = (0..9).map(|n| format!("column number {n}")).collect();
        let grid = vec![wide.clone(), wide];
        for width in [40, 60, 99] {
            let look = Look { colour: false, width: Some(width) };
            let shown = table(&grid, 1, 0, look);
            assert!(shown.lines().all(|l| l.width() <= width), "{shown}");
            for n in 0..9 {
                assert!(shown.contains(&format!("number {n}")), "{shown}");
            }
        }
        let look = Look { colour: false, width: Some(40) };
        let text = "trust   blocks 12/12 valid · lag p50 5.00 µs · machine stalls p99 209 µs";
        let shown = look.wrap(text, 8);
        assert!(shown.lines().all(|l| l.width() <= 40), "{shown}");
        assert!(shown.lines().skip(1).all(|l| l.starts_with("        ")), "{shown}");
        let words = |t: &str| t.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&shown), words(text));
        assert_eq!(Look::PLAIN.wrap(text, 8), format!("{text}\n"));
    }
}
