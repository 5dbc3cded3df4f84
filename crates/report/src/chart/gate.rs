//! A gate's lines: each slow-down with its interval, the allowed margin and the null.

use crate::chart::names::Names;
use crate::chart::plot::{Plot, WIDTH};
use crate::chart::scale::{Kind as Spread, Scale, short};
use crate::chart::svg::Anchor;
use crate::chart::{Chart, Kind};
use crate::gate::rows;
use pushbench_analysis::compare::Ratio;
use pushbench_analysis::compare::gate::{Gate, Line, Outcome, change, place};

/// Least height of a row: the candidate's interval and the null's below.
const ROW: f64 = 34.0;
/// Room for the outcome.
const WORDS: f64 = 124.0;
/// Slow-downs beyond this are at the edge.
const WIDEST: f64 = 20.0;
/// The axis is at least this wide.
const NARROWEST: f64 = 1.1;

/// The lines of a stage; none without a line that has an interval.
pub fn of_gate(gate: &Gate) -> Option<Chart> {
    let lines: Vec<&Line> = gate.lines.iter().filter(|l| l.slow_down.is_some()).collect();
    if lines.is_empty() {
        return None;
    }
    let names = Names::of(lines.iter().map(|l| name(l)), ROW);
    let mut plot = Plot::with_left(lines.len() as f64 * names.row + 8.0, names.left, &[]);
    plot.x.1 = WIDTH - WORDS;
    let x = axis(&lines, plot.x);
    let ticks = x.ticks(5).into_iter().map(|t| (x.place(t), format!("×{}", short(t))));
    plot.x_marks(&ticks.collect::<Vec<_>>(), "candidate ÷ base: right of ×1 is worse (log scale)");
    let top = plot.y.1 + 4.0;
    for (i, line) in lines.iter().enumerate() {
        let y = top + i as f64 * names.row;
        let allowed = (x.place(x.domain.0), x.place(line.limit().min(x.domain.1)));
        plot.svg.rect("region", allowed, (y, y + names.row - 4.0), None);
        names.draw(&mut plot.svg, i, y + names.row / 2.0 - 2.0);
        row(&mut plot, gate, line, x, y + (names.row - ROW) / 2.0);
    }
    plot.svg.line("one", (x.place(1.0), top), (x.place(1.0), plot.y.0));
    let decides = match gate.failure {
        Some(_) => "The gate ended before its verdict, so nothing is decided here.",
        None => {
            "The pale ends of the upper mark are the bounds that decide: a line whose bounds begin beyond the grey area fails, one whose bounds end within it passes, and between the two the gate cannot tell. A null that reaches beyond the margin moves the limit of a failure by as much, and nothing passes beside it."
        }
    };
    let about = format!(
        "Upper mark of each row: the slow-down with its 95 % interval. Lower, pale mark: the null, which is the base measured again in the same blocks; its true slow-down is ×1, so its distance from ×1 is the error of this machine. The grey area is the allowed slow-down. {decides}"
    );
    let title = "Slow-down of the candidate and the allowed margin".to_owned();
    Some(Chart::of("gate", Kind::Forest, title, about, plot).with(rows::lines(gate)))
}

fn axis(lines: &[&Line], range: (f64, f64)) -> Scale {
    let ratios = || lines.iter().flat_map(|l| [&l.slow_down, &l.null]).flatten();
    let deciding = || lines.iter().flat_map(|l| [l.adjusted_low, l.upper]).flatten();
    let bounds = || ratios().flat_map(|r| r.ci95).chain(deciding()).filter(|v| *v > 0.0);
    let low = bounds().fold(1.0 / NARROWEST, f64::min).max(1.0 / WIDEST);
    let limits = lines.iter().map(|l| l.limit());
    let high = bounds().chain(limits).fold(NARROWEST, f64::max).min(WIDEST);
    Scale::of(Spread::Log, (low * 0.98, high * 1.02), range)
}

/// As in the table of the lines.
fn name(line: &Line) -> String {
    format!("{} {}", place(&line.transport, &line.setting), line.metric)
}

fn row(plot: &mut Plot, gate: &Gate, line: &Line, x: Scale, y: f64) {
    let edge = plot.x.1;
    let svg = &mut plot.svg;
    svg.begin(&format!("c-{}", line.transport));
    let within = |v: f64| x.place(v.clamp(x.domain.0, x.domain.1));
    if let (None, Some(low), Some(high)) = (&gate.failure, line.adjusted_low, line.upper) {
        svg.line("wide", (within(low), y + 10.0), (within(high), y + 10.0));
    }
    for (ratio, class, at, what) in
        [(&line.slow_down, "ci", y + 10.0, "slow-down"), (&line.null, "wide", y + 22.0, "null")]
    {
        let Some(Ratio { ratio, ci95: [low, high], .. }) = ratio else { continue };
        svg.line(class, (within(*low), at), (within(*high), at));
        let tip = format!("{what} {} % [{}, {}]", change(*ratio), change(*low), change(*high));
        let middle = within(*ratio);
        svg.rect("bar", (middle - 1.5, middle + 1.5), (at - 5.0, at + 5.0), Some(&tip));
    }
    let (class, word) = match line.outcome {
        _ if gate.failure.is_some() => ("v", "no verdict"),
        Outcome::Passed | Outcome::Waived => ("v better", line.outcome.name()),
        Outcome::Regression => ("v worse", line.outcome.name()),
        Outcome::CannotTell | Outcome::NotQualified => ("v", line.outcome.name()),
    };
    svg.text(class, (edge + 10.0, y + 14.0), Anchor::Start, word);
    svg.end();
}
