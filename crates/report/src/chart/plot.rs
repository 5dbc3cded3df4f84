//! The frame of a chart: two axes with names, ticks and grid lines, and a legend.

use crate::chart::look::Look;
use crate::chart::scale::{Kind, Scale};
use crate::chart::svg::{Anchor, Svg};
use crate::visible::{shorten, visible};

/// Width of every chart: two stand side by side on a wide screen, and one on a phone stays readable.
pub(crate) const WIDTH: f64 = 560.0;
/// Left of the vertical axis, where its ticks are written.
pub(crate) const LEFT: f64 = 74.0;
/// Right of the drawing.
pub(crate) const RIGHT: f64 = 14.0;
/// Below the drawing: ticks and the name of the axis.
const BELOW: f64 = 46.0;
/// A line of the legend.
const LEGEND_LINE: f64 = 20.0;
/// About the width of a letter, at the size used on phones.
pub(crate) const LETTER: f64 = 9.0;
/// Longest name in a legend.
const NAME: usize = 34;
/// Above a drawing, for the name of its vertical axis.
const ABOVE: f64 = 26.0;
/// Between two drawings over the same axis.
const GAP: f64 = 6.0;

/// An axis and what it is called.
pub struct Axis<'a> {
    /// Its values.
    pub scale: Scale,
    /// What they are, with the unit where ticks have none.
    pub name: &'a str,
    /// How a tick is written.
    pub tick: fn(f64) -> String,
    /// About how many.
    pub ticks: usize,
}

/// The room that a chart is drawn in.
pub struct Plot {
    /// The drawing.
    pub svg: Svg,
    /// Its left and right edge.
    pub x: (f64, f64),
    /// Its lower and upper edge.
    pub y: (f64, f64),
}

impl Plot {
    /// Room of this height, below a legend of these arms.
    pub fn new(height: f64, legend: &[Look]) -> Plot {
        Plot::with_left(height, LEFT, legend)
    }

    /// The same with so much room for what stands to the left.
    pub(crate) fn with_left(height: f64, left: f64, legend: &[Look]) -> Plot {
        let (places, lines) = flow(legend);
        let top = lines as f64 * LEGEND_LINE + ABOVE;
        let mut svg = Svg::new(WIDTH, top + height + BELOW);
        for (look, (x, line)) in legend.iter().zip(places) {
            let y = 12.0 + line as f64 * LEGEND_LINE;
            svg.begin(&look.classes());
            svg.line(&look.line(), (x, y), (x + 26.0, y));
            svg.mark(look, (x + 13.0, y), None);
            svg.text("t", (x + 32.0, y + 4.5), Anchor::Start, &label(look));
            svg.end();
        }
        Plot { svg, x: (left, WIDTH - RIGHT), y: (top + height, top) }
    }

    /// Room of this height below what was drawn so far, for another vertical axis over the same
    /// horizontal one.
    pub(crate) fn next_panel(&mut self, height: f64) {
        let top = self.y.0 + GAP + ABOVE;
        self.y = (top + height, top);
        self.svg.height = top + height + BELOW;
    }

    /// Draws the vertical axis: grid lines, ticks, its name above.
    pub(crate) fn y_axis(&mut self, axis: &Axis<'_>) {
        for tick in axis.scale.ticks(axis.ticks) {
            let y = axis.scale.place(tick);
            self.svg.line("g", (self.x.0, y), (self.x.1, y));
            self.svg.text("k", (self.x.0 - 7.0, y + 4.5), Anchor::End, &(axis.tick)(tick));
        }
        self.svg.text("n", (4.0, self.y.1 - 11.0), Anchor::Start, &named(axis));
    }

    /// Draws the horizontal axis: ticks, its name below.
    pub(crate) fn x_axis(&mut self, axis: &Axis<'_>) {
        let ticks = axis.scale.ticks(axis.ticks);
        let marks = ticks.into_iter().map(|t| (axis.scale.place(t), (axis.tick)(t)));
        self.x_marks(&marks.collect::<Vec<_>>(), &named(axis));
    }

    /// The horizontal axis with these places and their names.
    pub(crate) fn x_marks(&mut self, marks: &[(f64, String)], name: &str) {
        let (bottom, (left, right)) = (self.y.0, self.x);
        self.svg.line("axis", (left, bottom), (right, bottom));
        let mut free = f64::NEG_INFINITY;
        for (x, text) in marks {
            let half = text.chars().count() as f64 * LETTER / 2.0;
            self.svg.line("axis", (*x, bottom), (*x, bottom + 4.0));
            // A label that would run into its neighbour is left out; its tick stays.
            if x - half >= free {
                // The outermost ones stay on the paper.
                let at = x.clamp(half.min(WIDTH / 2.0), (WIDTH - half).max(WIDTH / 2.0));
                self.svg.text("k", (at, bottom + 18.0), Anchor::Middle, text);
                free = x + half + 6.0;
            }
        }
        let middle = f64::midpoint(left, right);
        self.svg.text("n", (middle, bottom + 38.0), Anchor::Middle, name);
    }
}

fn named(axis: &Axis<'_>) -> String {
    match axis.scale.kind {
        Kind::Log => format!("{} (log scale)", axis.name),
        Kind::Linear => axis.name.to_owned(),
    }
}

/// The name of an arm, as far as there is room.
pub fn label(look: &Look) -> String {
    shorten(&visible(&look.name), NAME)
}

/// The place of each name of a legend: its left edge and its line, and how many lines there are.
fn flow(legend: &[Look]) -> (Vec<(f64, usize)>, usize) {
    let (mut x, mut line) = (4.0, 0);
    let mut places = Vec::new();
    for look in legend {
        let wide = 44.0 + label(look).chars().count() as f64 * LETTER;
        if x > 4.0 && x + wide > WIDTH {
            (x, line) = (4.0, line + 1);
        }
        places.push((x, line));
        x += wide;
    }
    (places, if legend.is_empty() { 0 } else { line + 1 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::look::looks;
    use pushbench_analysis::compare::{compare, sample};

    #[test]
    fn a_legend_breaks_its_lines_and_keeps_to_the_paper() {
        let arms = compare(&sample::ratios(1.0, 1.0)).points.remove(0).arms;
        let many: Vec<_> = std::iter::repeat_n(arms[0].clone(), 9).collect();
        let (places, lines) = flow(&looks(&many));
        assert!(lines > 2, "{lines}");
        assert!(places.iter().all(|(x, line)| *x < WIDTH - 100.0 && *line < lines));
        assert_eq!(flow(&[]), (vec![], 0));
    }

    #[test]
    fn labels_do_not_run_into_each_other() {
        let mut plot = Plot::new(100.0, &[]);
        let marks: Vec<(f64, String)> =
            (0..40).map(|n| (plot.x.0 + f64::from(n) * 10.0, "100 µs".to_owned())).collect();
        plot.x_marks(&marks, "time");
        let shown = plot.svg.into_body().matches("100 µs").count();
        assert!((5..=9).contains(&shown), "{shown}");
    }
}
