//! The charts of a run, each by a name: drawn as SVG, with a text and a table that say the same.

mod bars;
pub(crate) mod capacity;
mod costs;
pub(super) mod forest;
mod freshness;
pub(super) mod gate;
mod heat;
pub(super) mod history;
pub mod look;
mod names;
mod paired;
mod plot;
pub mod scale;
mod spectrum;
mod svg;
mod sweep;
mod time;
mod trade;
mod words;

use crate::visible::escape;
use plot::Plot;
use pushbench_analysis::compare::charts::Page;
use pushbench_core::record::metrics::{self, Unit};
use pushbench_core::units;
use scale::{bytes_tick, rate_tick, short, time_tick};
use std::fmt::Write as _;

/// The look of charts, in a page and alone.
pub(crate) const STYLE: &str = include_str!("chart.css");

/// The subject of a chart; the page has a section for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Ratios with their intervals.
    Forest,
    /// How far behind receivers were around a fault.
    Freshness,
    /// Percentiles on an axis of nines.
    Spectrum,
    /// Figures along a swept key, or a ramp.
    Sweep,
    /// Seconds of a run.
    Time,
    /// Ratios block by block.
    Paired,
    /// What it cost.
    Resources,
}

/// A chart.
#[derive(Debug, Clone)]
pub struct Chart {
    /// `spectrum`, and with the point's number in a run of several: `spectrum-2`.
    pub name: String,
    /// Its subject.
    pub kind: Kind,
    /// The point it belongs to; `None` where it is about all of them.
    pub point: Option<usize>,
    /// Its heading.
    pub title: String,
    /// How it is read, in a sentence or two.
    pub about: String,
    /// The same as a table: a heading and rows. A page saves it as CSV.
    pub table: Vec<Vec<String>>,
    /// The figures as CSV, where a table of them would be too long to read.
    pub data: Option<String>,
    body: String,
    size: (f64, f64),
}

impl Chart {
    fn of(name: &str, kind: Kind, title: String, about: String, plot: Plot) -> Chart {
        let size = (plot.svg.width, plot.svg.height);
        let body = plot.svg.into_body();
        Chart {
            name: name.to_owned(),
            kind,
            point: None,
            title,
            about,
            table: Vec::new(),
            data: None,
            body,
            size,
        }
    }

    fn with(self, table: Vec<Vec<String>>) -> Chart {
        Chart { table, ..self }
    }

    fn with_data(self, data: String) -> Chart {
        Chart { data: Some(data), ..self }
    }

    /// Twice as high as wide ones are, so that two may stand beside it.
    pub(crate) fn is_tall(&self) -> bool {
        self.size.1 > self.size.0 * 0.8
    }

    /// As part of a page, whose style it has.
    pub fn inline(&self) -> String {
        self.element("", "")
    }

    /// As a file of its own.
    pub fn file(&self) -> String {
        let style =
            format!("<style>{STYLE}</style><rect class=\"paper\" width=\"100%\" height=\"100%\"/>");
        let mut text =
            self.element(" xmlns=\"http://www.w3.org/2000/svg\" class=\"alone\"", &style);
        text.push('\n');
        text
    }

    fn element(&self, attributes: &str, before: &str) -> String {
        let mut out = String::new();
        let (width, height) = self.size;
        let _ = write!(
            out,
            "<svg role=\"img\" viewBox=\"0 0 {width} {height}\"{attributes}><title>{}</title><desc>{}</desc>{before}{}</svg>",
            escape(&self.title),
            escape(&self.about),
            self.body
        );
        out
    }
}

/// Writes a figure.
type Written = fn(f64) -> String;

/// How a figure of a metric is written, on an axis and in words.
fn writer(metric: &str) -> (Written, Written) {
    match metrics::named(metric).map(|m| m.unit) {
        Some(Unit::PerSecond) => (rate_tick, units::rate),
        Some(Unit::Bytes) => (bytes_tick, units::bytes),
        Some(Unit::Share) => (share, share),
        Some(Unit::Count) => (short, short),
        Some(Unit::Nanoseconds) | None => (time_tick, units::nanos_text),
    }
}

fn share(value: f64) -> String {
    format!("{} %", short(value * 100.0))
}

/// Every chart that this run has figures for, in the order of the page.
pub fn all(page: &Page) -> Vec<Chart> {
    let mut charts = Vec::new();
    let several = page.report.points.len() > 1;
    if several {
        charts.extend(forest::of_run(page));
    }
    charts.extend(sweep::of_run(page));
    for index in 0..page.report.points.len() {
        let mut of_point: Vec<Chart> = Vec::new();
        of_point.extend(freshness::of_point(page, index));
        if !several {
            of_point.extend(forest::of_point(page, index));
        }
        of_point.extend(spectrum::of_point(page, index));
        of_point.extend(sweep::of_ramp(page, index));
        of_point.extend(time::of_point(page, index));
        of_point.extend(heat::of_point(page, index));
        of_point.extend(paired::of_point(page, index));
        of_point.extend(trade::of_point(page, index));
        if !several {
            of_point.extend(bars::of_point(page, index));
        }
        for mut chart in of_point {
            chart.point = Some(index);
            if several {
                let _ = write!(chart.name, "-{}", index + 1);
            }
            charts.push(chart);
        }
    }
    charts
}

#[cfg(test)]
mod tests;
