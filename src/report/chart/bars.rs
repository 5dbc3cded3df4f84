//! What an event cost: CPU of the target beside the driver's, and bytes both ways.

use super::look::{Look, looks};
use super::plot::{Plot, WIDTH};
use super::scale::{Scale, bytes_tick, time_tick};
use super::svg::Anchor;
use super::{Chart, Kind};
use crate::compare::ArmFigures;
use crate::compare::page::Page;
use crate::report::visible::{shorten, visible};
use crate::units;

/// Height of a bar and the room around it.
const ROW: f64 = 30.0;
/// Right of the names.
const LEFT: f64 = 182.0;
/// Room for the figure behind the bar.
const FIGURE: f64 = 120.0;
/// Letters of a name that fit.
const NAME: usize = 21;

/// Two parts of a sum, stacked.
struct Bars<'a> {
    name: &'a str,
    title: &'a str,
    about: &'a str,
    axis: &'a str,
    parts: [&'a str; 2],
    of: fn(&ArmFigures) -> [Option<f64>; 2],
    tick: fn(f64) -> String,
    text: fn(f64) -> String,
}

/// Charts of cost; those without a figure are left out.
pub fn of_point(page: &Page, index: usize) -> Vec<Chart> {
    let arms = &page.report.points[index].arms;
    let all = [
        Bars {
            name: "cpu",
            title: "CPU per event: target and driver",
            about: "Solid: the target's process tree. Pale: the driver, without spinning for due instants. Loopback bills much of the receiver's network work to the sender: only the sum is free of that.",
            axis: "CPU time per acknowledged event",
            parts: ["target", "driver"],
            of: |a| [a.target_usage.cpu_ns_per_event, a.driver_usage.cpu_ns_per_event],
            tick: time_tick,
            text: units::nanos_text,
        },
        Bars {
            name: "bytes",
            title: "Bytes per event: to the target and back",
            about: "Solid: to the target. Pale: back. Bytes inside TCP segments, without IP and TCP headers and without the set-up of warm connections.",
            axis: "bytes per event sent",
            parts: ["out", "in"],
            of: |a| [a.wire.bytes_out_per_event, a.wire.bytes_in_per_event],
            tick: bytes_tick,
            text: units::bytes,
        },
        Bars {
            name: "memory",
            title: "Memory of the target",
            about: "Solid: resident at the end of the window (median of the trials). Pale: how much more the largest peak was.",
            axis: "resident memory of the process tree",
            parts: ["steady", "to the peak"],
            of: |a| {
                let (steady, peak) =
                    (a.target_usage.rss_steady_bytes, a.target_usage.rss_peak_bytes);
                [
                    steady.map(|b| b as f64),
                    peak.zip(steady).map(|(p, s)| p.saturating_sub(s) as f64),
                ]
            },
            tick: bytes_tick,
            text: units::bytes,
        },
    ];
    let looks = looks(arms);
    all.iter().filter_map(|bars| bars.chart(arms, &looks)).collect()
}

impl Bars<'_> {
    fn chart(&self, arms: &[ArmFigures], looks: &[Look]) -> Option<Chart> {
        let sums: Vec<(&Look, [Option<f64>; 2])> =
            looks.iter().zip(arms).map(|(look, a)| (look, (self.of)(a))).collect();
        let total = |parts: &[Option<f64>; 2]| parts.iter().flatten().sum::<f64>();
        if sums.iter().all(|(_, parts)| total(parts) == 0.0) {
            return None;
        }
        let mut plot = Plot::with_left(sums.len() as f64 * ROW + 6.0, LEFT, &[]);
        plot.x.1 = WIDTH - FIGURE;
        let x = Scale::from_zero(sums.iter().map(|(_, p)| total(p)), plot.x);
        let ticks = x.ticks(4).into_iter().map(|t| (x.place(t), (self.tick)(t)));
        let name = format!("{} ({} + {})", self.axis, self.parts[0], self.parts[1]);
        plot.x_marks(&ticks.collect::<Vec<_>>(), &name);
        for (i, (look, parts)) in sums.iter().enumerate() {
            let y = plot.y.1 + 6.0 + i as f64 * ROW;
            self.bar(&mut plot, look, parts, x, y);
        }
        let (title, about) = (self.title.to_owned(), self.about.to_owned());
        Some(Chart::of(self.name, Kind::Resources, title, about, plot))
    }

    fn bar(&self, plot: &mut Plot, look: &Look, parts: &[Option<f64>; 2], x: Scale, y: f64) {
        let svg = &mut plot.svg;
        svg.begin(&look.classes());
        let name = shorten(&visible(&look.name), NAME);
        svg.text("t", (LEFT - 10.0, y + 14.0), Anchor::End, &name);
        let mut from = 0.0;
        for ((part, what), class) in parts.iter().zip(self.parts).zip(["bar", "bar pale"]) {
            let Some(value) = part else { continue };
            let tip = format!("{what} {}", (self.text)(*value));
            let across = (x.place(from), x.place(from + value));
            svg.rect(class, across, (y, y + 20.0), Some(&tip));
            from += value;
        }
        let shown: Vec<String> =
            parts.iter().map(|p| p.map_or("–".to_owned(), |v| (self.text)(v))).collect();
        svg.text("v", (x.place(from) + 8.0, y + 14.0), Anchor::Start, &shown.join(" + "));
        svg.end();
    }
}
