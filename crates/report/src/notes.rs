//! Notes that affect a figure, and their marks on the figure.

use pushbench_analysis::compare::{Comparison, Note, Point, Verdict};

/// A better or worse that the scenario calls too small to matter.
pub(super) fn is_small(c: &Comparison) -> bool {
    !c.matters && matches!(c.verdict, Verdict::Better | Verdict::Worse)
}

/// The numbers of the notes that can move a row's figures: those of the first arm and of a candidate.
pub(super) fn of_row(point: &Point, candidate: usize, metric: &str) -> Vec<usize> {
    let arms = [point.arms.first(), point.arms.get(candidate)];
    let names: Vec<&str> = arms.into_iter().flatten().map(|a| a.arm.as_str()).collect();
    point.validity.moving(&names, metric)
}

/// The numbers of the notes that can move any figure of an arm.
pub(super) fn of_arm(point: &Point, arm: &str) -> Vec<usize> {
    let mine = |(number, note): (Option<usize>, &Note)| {
        number.filter(|_| note.arm.as_deref().is_none_or(|of| of == arm))
    };
    point.validity.numbered().filter_map(mine).collect()
}

/// A cell with the marks of its notes: `response p99 !1,2`.
pub(super) fn marked(cell: &str, numbers: &[usize]) -> String {
    match numbers {
        [] => cell.to_owned(),
        _ => format!("{cell} !{}", list(numbers)),
    }
}

/// `1,2`
pub(super) fn list(numbers: &[usize]) -> String {
    numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

/// The mark before a note.
pub(super) fn sign(number: Option<usize>) -> String {
    number.map_or("!".to_owned(), |n| format!("!{n}"))
}

/// The warning above figures that a note affects.
pub(super) fn caution(points: &[Point], sign: char) -> Option<String> {
    let moves = |p: &Point| p.validity.notes.iter().any(|n| n.moves_figures);
    let text = || format!("Read the numbered notes first: they affect the figures marked {sign}.");
    points.iter().any(moves).then(text)
}
