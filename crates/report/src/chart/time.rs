//! What each second brought, or each trial where the records keep no seconds: throughput, percentiles, and
//! under them what the machine did meanwhile.

use crate::chart::look::{Look, looks};
use crate::chart::plot::{Axis, Plot};
use crate::chart::scale::{Kind as Spread, Scale, rate_tick, short, time_tick};
use crate::chart::svg::Anchor;
use crate::chart::words::{Words, words};
use crate::chart::{Chart, Kind};
use crate::table;
use pushbench_analysis::compare::charts::Page;
use pushbench_analysis::compare::charts::time::{Span, Tick, TimeLine, Whole};
use pushbench_analysis::compare::charts::timed::Timed;
use pushbench_core::scenario::Flow;
use pushbench_core::units;

/// Height of the throughput, the percentiles, and the machine's stalls.
const HEIGHTS: [f64; 3] = [110.0, 170.0, 90.0];
/// Steal of less than this is not worth a word.
const LEAST_STEAL: f64 = 0.01;

/// Throughput, percentiles, and the machine over one axis of time; none of a point without a second.
pub(crate) fn of_point(page: &Page, index: usize) -> Option<Chart> {
    let point = &page.report.points[index];
    let line = &page.evidence[index].time;
    // An idle flow publishes an event or two: what lies between them is its time.
    if line.seconds <= 0.0 || point.design.flow == Flow::Idle {
        return None;
    }
    let looks = looks(&point.arms);
    let by_second = Timed::of(point).has_seconds();
    let scene = Scene { line, looks: &looks, words: words(point), by_second };
    let mut plot = Plot::new(HEIGHTS[0], &looks);
    scene.throughput(&mut plot);
    plot.next_panel(HEIGHTS[1]);
    scene.latency(&mut plot);
    plot.next_panel(HEIGHTS[2]);
    scene.machine(&mut plot);
    scene.time_axis(&mut plot);
    let by = if by_second { "Second by second" } else { "Trial by trial" };
    let title = format!("{by}: throughput, latency and machine stalls");
    let about = scene.about();
    let table = scene.table();
    Some(Chart::of("time", Kind::Time, title, about, plot).with(table))
}

struct Scene<'a> {
    line: &'a TimeLine,
    looks: &'a [Look],
    words: Words,
    /// Each second is drawn, not only each trial.
    by_second: bool,
}

const OF_MACHINE: &str = "Below: wake-up delay of the hiccup meter, p99 as bars and the longest as lines; a percentage is the CPU time taken by the hypervisor (shown from 1 %).";

impl Scene<'_> {
    fn about(&self) -> String {
        let answered = self.words.answered;
        match self.by_second {
            true => format!(
                "Above: {answered} per second of each arm's own time; warm-ups, seconds of which less than half was measured, and the set-up between blocks are left out. Middle: marks are seconds, p50 below and p99 above, where the second has the 1,000 samples that a p99 needs; wide pale lines are the p99 of whole trials. {OF_MACHINE}"
            ),
            false => format!(
                "Each line is a whole trial: the records hold no per-second figures of {answered}, so there is no map of time and latency. Above: {answered} per second of each arm's own time. Middle: p50 of the times from due to read by a subscriber, and as wide pale lines p99. {OF_MACHINE}"
            ),
        }
    }

    fn x(&self, plot: &Plot) -> Scale {
        Scale::of(Spread::Linear, (0.0, self.line.seconds), plot.x)
    }

    /// The boundaries of blocks behind everything; voided ones stand out.
    fn stripes(&self, plot: &mut Plot) -> Scale {
        let x = self.x(plot);
        for span in &self.line.spans {
            let class = match (span.valid, span.block % 2) {
                (false, _) => "void-span",
                (true, 0) => "span",
                (true, _) => continue,
            };
            plot.svg.rect(class, (x.place(span.from), x.place(span.to)), plot.y, None);
        }
        x
    }

    fn time_axis(&self, plot: &mut Plot) {
        let blocks = self.line.spans.iter().map(|s| s.block + 1).max().unwrap_or(0);
        let name = format!("seconds of measuring; stripes are the {blocks} blocks");
        let tick = |v: f64| format!("{} s", short(v));
        plot.x_axis(&Axis { scale: self.x(plot), name: &name, tick, ticks: 6 });
    }

    fn throughput(&self, plot: &mut Plot) {
        let seconds = self.line.arms.iter().flatten().filter_map(|t| t.per_second);
        let trials = self.wholes().filter_map(|w| w.per_second).filter(|_| !self.by_second);
        let y = Scale::from_zero(seconds.chain(trials), plot.y);
        let x = self.stripes(plot);
        plot.y_axis(&Axis { scale: y, name: self.words.answered, tick: rate_tick, ticks: 3 });
        if self.by_second {
            return self.series(plot, (x, y), |t| t.per_second, "", units::rate);
        }
        self.trials(plot, (x, y), |w| w.per_second, "", units::rate);
    }

    fn latency(&self, plot: &mut Plot) {
        let seconds = self.line.arms.iter().flatten().flat_map(|t| [t.p50, t.p99]);
        let medians = self.wholes().map(|w| w.p50).filter(|_| !self.by_second);
        let all = seconds.chain(medians).chain(self.wholes().map(|w| w.p99)).flatten();
        let y = Scale::log(all.map(|ns| ns as f64), plot.y);
        let x = self.stripes(plot);
        let name = format!("{} p50 and p99", self.words.answer);
        plot.y_axis(&Axis { scale: y, name: &name, tick: time_tick, ticks: 5 });
        for look in self.looks {
            plot.svg.begin(&look.classes());
            for (span, whole) in self.of_arm(look.arm) {
                if let Some(p99) = whole.p99 {
                    across(plot, "wide", ends(x, span), y.place(p99 as f64));
                }
            }
            plot.svg.end();
        }
        let ns = |ns: Option<u64>| ns.map(|ns| ns as f64);
        if self.by_second {
            self.series(plot, (x, y), |t| ns(t.p50), " p50", units::nanos_text);
            return self.series(plot, (x, y), |t| ns(t.p99), " p99", units::nanos_text);
        }
        self.trials(plot, (x, y), |w| ns(w.p50), " p50", units::nanos_text);
    }

    fn wholes(&self) -> impl Iterator<Item = &Whole> {
        self.line.spans.iter().flat_map(|s| &s.arms)
    }

    /// An arm's trials, each with its time interval.
    fn of_arm(&self, arm: usize) -> impl Iterator<Item = (&Span, &Whole)> {
        let whole = move |s| Span::of_arm(s, arm).map(|whole| (s, whole));
        self.line.spans.iter().filter_map(whole)
    }

    /// A figure of every trial of every arm.
    fn trials(
        &self,
        plot: &mut Plot,
        (x, y): (Scale, Scale),
        of: impl Fn(&Whole) -> Option<f64>,
        what: &str,
        written: fn(f64) -> String,
    ) {
        for look in self.looks.iter().rev() {
            plot.svg.begin(&look.classes());
            for (span, whole) in self.of_arm(look.arm) {
                let Some(value) = of(whole) else { continue };
                let (ends, at) = (ends(x, span), y.place(value));
                across(plot, &look.line(), ends, at);
                let tip = format!("block {}{what} {}", span.block + 1, written(value));
                plot.svg.small_mark(look, (f64::midpoint(ends.0, ends.1), at), &tip);
            }
            plot.svg.end();
        }
    }

    /// A figure of every second of every arm.
    fn series(
        &self,
        plot: &mut Plot,
        (x, y): (Scale, Scale),
        of: impl Fn(&Tick) -> Option<f64>,
        what: &str,
        written: fn(f64) -> String,
    ) {
        // The baseline last: where marks overlap, their shapes distinguish them.
        for (look, ticks) in self.looks.iter().zip(&self.line.arms).rev() {
            let points: Vec<(&Tick, f64)> =
                ticks.iter().filter_map(|t| Some((t, of(t)?))).collect();
            plot.svg.begin(&look.classes());
            for run in points.chunk_by(|a, b| b.0.at - a.0.at < 1.5) {
                let line: Vec<(f64, f64)> =
                    run.iter().map(|(t, v)| (x.place(t.at + 0.5), y.place(*v))).collect();
                plot.svg.polyline(&look.line(), &line);
            }
            for (t, v) in &points {
                let tip = format!("{}{what} {}", clock(t.at), written(*v));
                plot.svg.small_mark(look, (x.place(t.at + 0.5), y.place(*v)), &tip);
            }
            plot.svg.end();
        }
    }

    /// Stalls and steal, one bar each a trial or block.
    fn machine(&self, plot: &mut Plot) {
        let spans = &self.line.spans;
        let stalls = spans.iter().flat_map(|s| [s.hiccup_p99_ns, s.hiccup_max_ns]).flatten();
        let y = Scale::log(stalls.map(|ns| ns as f64), plot.y);
        let x = self.stripes(plot);
        plot.y_axis(&Axis { scale: y, name: "machine's stalls", tick: time_tick, ticks: 3 });
        for s in spans {
            let (left, right) = (x.place(s.from) + 1.5, x.place(s.to) - 1.5);
            let void = if s.valid { "" } else { ", voided" };
            let tip = format!(
                "block {}{void}: stalls p99 {}, longest {}, steal {}",
                s.block + 1,
                table::time(s.hiccup_p99_ns),
                table::time(s.hiccup_max_ns),
                percent(s.steal)
            );
            if let (Some(p99), Some(max)) = (s.hiccup_p99_ns, s.hiccup_max_ns) {
                let bar = (y.place(p99 as f64), plot.y.0);
                plot.svg.rect("stall", (left, right), bar, Some(&tip));
                let max = y.place(max as f64);
                plot.svg.line("stall-max", (left, max), (right, max));
            }
            if s.steal >= LEAST_STEAL {
                let at = (f64::midpoint(left, right), plot.y.1 + 11.0);
                plot.svg.text("k steal", at, Anchor::Middle, &percent(s.steal));
            }
        }
    }

    /// A row a block or trial: seconds would fill pages and are in the interval logs.
    fn table(&self) -> Vec<Vec<String>> {
        let mut head =
            ["block", "from", "stalls p99", "longest", "steal"].map(str::to_owned).to_vec();
        for look in self.looks {
            let rate = if self.by_second { "events/s" } else { "deliveries/s" };
            head.extend([format!("{} {rate}", look.name), format!("{} p99", look.name)]);
        }
        head.push(String::new());
        std::iter::once(head).chain(self.line.spans.iter().map(|s| self.row(s))).collect()
    }

    fn row(&self, s: &Span) -> Vec<String> {
        let mut row = vec![
            (s.block + 1).to_string(),
            clock(s.from),
            table::time(s.hiccup_p99_ns),
            table::time(s.hiccup_max_ns),
            percent(s.steal),
        ];
        for arm in 0..self.looks.len() {
            let whole = s.of_arm(arm);
            let seconds = self.line.arms[arm]
                .iter()
                .filter(|t| whole.is_some() && t.at >= s.from && t.at < s.to)
                .filter_map(|t| t.per_second);
            let trial = whole.and_then(|w| w.per_second).filter(|_| !self.by_second);
            row.push(range(&seconds.chain(trial).collect::<Vec<f64>>()));
            row.push(whole.map_or(String::new(), |w| table::time(w.p99)));
        }
        row.push(if s.valid { String::new() } else { "voided".to_owned() });
        row
    }
}

/// The left and the right end of a time interval, a little apart from its neighbours.
fn ends(x: Scale, span: &Span) -> (f64, f64) {
    (x.place(span.from) + 1.0, x.place(span.to) - 1.0)
}

fn across(plot: &mut Plot, class: &str, (left, right): (f64, f64), at: f64) {
    plot.svg.line(class, (left, at), (right, at));
}

/// The lowest and the highest of some rates.
fn range(rates: &[f64]) -> String {
    let low = rates.iter().copied().reduce(f64::min);
    let high = rates.iter().copied().reduce(f64::max);
    match (low, high) {
        (Some(low), Some(high)) if low < high => {
            format!("{} to {}", units::count(low), units::count(high))
        }
        (Some(only), _) => units::count(only),
        _ => table::NONE.to_owned(),
    }
}

fn clock(seconds: f64) -> String {
    format!("{seconds:.0} s")
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
