//! The names of a chart's rows, whole, beside them: the room is what the longest needs, and names that are
//! too long for a phone take several lines.

use crate::chart::plot::LETTER;
use crate::chart::svg::{Anchor, Svg};
use crate::visible::{shorten, visible};

/// Letters of a line; more would leave the drawing too little.
const MOST: usize = 25;
/// From one line of a name to the next.
const LINE: f64 = 17.0;
/// Between the names and the drawing.
const GAP: f64 = 14.0;
/// What follows these may begin a line, where no space does.
const BREAKS: [char; 7] = ['@', '.', '/', '_', '-', '+', '·'];
/// Longer names than any that is meant to be read lose their middle.
const LONGEST: usize = 4 * MOST;

/// The names of all rows.
pub struct Names {
    rows: Vec<Vec<String>>,
    /// Where the drawing begins.
    pub left: f64,
    /// Height of a row.
    pub row: f64,
}

impl Names {
    /// Those of rows that are at least so high.
    pub fn of(names: impl Iterator<Item = String>, least: f64) -> Names {
        let rows: Vec<Vec<String>> =
            names.map(|name| lines(&shorten(&visible(&name), LONGEST))).collect();
        let letters = rows.iter().flatten().map(|line| line.chars().count()).max().unwrap_or(0);
        let most = rows.iter().map(Vec::len).max().unwrap_or(1);
        let row = least.max(most as f64 * LINE + 8.0);
        Names { rows, left: letters as f64 * LETTER + GAP, row }
    }

    /// Draws the name of a row around this height.
    pub fn draw(&self, svg: &mut Svg, row: usize, middle: f64) {
        let lines = &self.rows[row];
        let first = middle - (lines.len() as f64 - 1.0) * LINE / 2.0 + 4.5;
        for (i, line) in lines.iter().enumerate() {
            let at = (self.left - 10.0, first + i as f64 * LINE);
            svg.text("t", at, Anchor::End, line);
        }
    }
}

/// Breaks a name behind a comma, else behind a space, else where its parts meet.
fn lines(name: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest: Vec<char> = name.chars().collect();
    while rest.len() > MOST {
        let behind = |ends: &dyn Fn(usize) -> bool| (1..=MOST).rev().find(|at| ends(*at));
        let at = behind(&|at| rest[at] == ' ' && rest[at - 1] == ',')
            .or_else(|| behind(&|at| rest[at] == ' '))
            .or_else(|| behind(&|at| BREAKS.contains(&rest[at - 1])))
            .unwrap_or(MOST);
        let line: String = rest.drain(..at).collect();
        lines.push(line.trim().to_owned());
    }
    let last: String = rest.into_iter().collect();
    lines.push(last.trim().to_owned());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_whole_and_breaks_where_its_parts_meet() {
        for (name, broken) in [
            ("delivery p50", vec!["delivery p50"]),
            ("count = 1000, webhook@builtin-close", vec!["count = 1000,", "webhook@builtin-close"]),
            ("question to answer p50 (null)", vec!["question to answer p50", "(null)"]),
            (
                "webhook target_usage.cpu_ns_per_event",
                vec!["webhook", "target_usage.cpu_ns_per_", "event"],
            ),
            ("abcdefghijklmnopqrstuvwxyzabcd", vec!["abcdefghijklmnopqrstuvwxy", "zabcd"]),
        ] {
            assert_eq!(lines(name), broken, "{name}");
        }
    }

    #[test]
    fn the_room_is_what_the_longest_name_needs() {
        let of = |names: &[&str]| Names::of(names.iter().map(|n| (*n).to_owned()), 24.0);
        let (short, long) = (of(&["a", "reach"]), of(&["reach", "target memory/subscriber"]));
        assert!(short.left < long.left && long.left >= 24.0 * LETTER);
        assert!(of(&["count = 1000, webhook@builtin-close"]).row > short.row);
    }
}
