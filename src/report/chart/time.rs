//! What each second brought: throughput, percentiles, and under them what the machine did meanwhile.

use super::look::{Look, looks};
use super::plot::{Axis, Plot};
use super::scale::{Kind as Spread, Scale, rate_tick, short, time_tick};
use super::{Chart, Kind};
use crate::compare::page::Page;
use crate::compare::page::time::{Span, Tick, TimeLine};
use crate::report::table;
use crate::units;

/// Height of the drawings.
const HEIGHT: f64 = 170.0;
/// Of the strip for the machine.
const STRIP: f64 = 110.0;
/// Steal of less than this is not worth a scale of its own.
const LEAST_STEAL: f64 = 0.01;

/// Throughput, percentiles, and the machine; none of a point without a second.
pub fn of_point(page: &Page, index: usize) -> Vec<Chart> {
    let point = &page.report.points[index];
    let line = &page.evidence[index].time;
    if line.seconds <= 0.0 {
        return Vec::new();
    }
    let looks = looks(&point.arms);
    let closed = point.design.rate.is_none();
    let scene = Scene { line, looks: &looks, closed };
    [scene.throughput(), scene.latency(), Some(scene.machine())].into_iter().flatten().collect()
}

struct Scene<'a> {
    line: &'a TimeLine,
    looks: &'a [Look],
    closed: bool,
}

impl Scene<'_> {
    /// The time axis, and the boundaries of blocks behind everything.
    fn time(&self, plot: &mut Plot) -> Scale {
        let x = Scale::of(Spread::Linear, (0.0, self.line.seconds), plot.x);
        let last = self.line.spans.last().map_or(0, |s| s.block);
        for span in &self.line.spans {
            let class = match (span.valid, span.block % 2) {
                (false, _) => "void-span",
                (true, 0) => "span",
                (true, _) => continue,
            };
            let tip = (!span.valid).then(|| format!("block {} is voided", span.block + 1));
            plot.svg.rect(class, (x.place(span.from), x.place(span.to)), plot.y, tip.as_deref());
        }
        let name = format!("seconds of measuring; stripes are the {} blocks", last + 1);
        let tick = |v: f64| format!("{} s", short(v));
        plot.x_axis(&Axis { scale: x, name: &name, tick, ticks: 6 });
        x
    }

    fn drawn(&self) -> impl Iterator<Item = (&Look, &Vec<Tick>)> {
        self.looks.iter().zip(&self.line.arms)
    }

    fn throughput(&self) -> Option<Chart> {
        let rates = || self.line.arms.iter().flatten().filter_map(|t| t.per_second);
        rates().next()?;
        let mut plot = Plot::new(HEIGHT, self.looks);
        let y = Scale::from_zero(rates(), plot.y);
        let x = self.time(&mut plot);
        plot.y_axis(&Axis { scale: y, name: "acknowledged events", tick: rate_tick, ticks: 4 });
        for (look, ticks) in self.drawn() {
            let points: Vec<(&Tick, f64)> =
                ticks.iter().filter_map(|t| Some((t, t.per_second?))).collect();
            for run in consecutive(&points) {
                let line: Vec<(f64, f64)> =
                    run.iter().map(|(t, v)| (x.place(t.at + 0.5), y.place(*v))).collect();
                plot.svg.polyline(&look.line(), &line);
            }
            for (t, v) in &points {
                let tip = format!("{} {}: {}", look.name, clock(t.at), units::rate(*v));
                plot.svg.mark(look, (x.place(t.at + 0.5), y.place(*v)), Some(&tip));
            }
        }
        let about = "Acknowledged events per second of each arm's own time, second by second. Warm-ups and seconds of which less than half was measured are left out, and so is the set-up between blocks.";
        let title = "Second by second: throughput".to_owned();
        let table = self.table("events/s", |t| t.per_second.map(units::rate));
        Some(Chart::of("throughput", Kind::Time, title, about.to_owned(), plot).with(table))
    }

    fn latency(&self) -> Option<Chart> {
        let seconds = || self.line.arms.iter().flatten().flat_map(|t| [t.p50, t.p99]);
        let trials = || self.line.spans.iter().flat_map(|s| &s.arms).map(|(_, p99)| *p99);
        let all = seconds().chain(trials()).flatten().map(|ns| ns as f64);
        all.clone().next()?;
        let mut plot = Plot::new(HEIGHT, self.looks);
        let y = Scale::log(all, plot.y);
        let x = self.time(&mut plot);
        let name = if self.closed { "service p50 and p99" } else { "response p50 and p99" };
        plot.y_axis(&Axis { scale: y, name, tick: time_tick, ticks: 5 });
        for (arm, (look, ticks)) in self.drawn().enumerate() {
            for span in &self.line.spans {
                self.trial_p99(&mut plot, span, arm, look, x, y);
            }
            for (which, p99) in [("p50", false), ("p99", true)] {
                let of = |t: &Tick| if p99 { t.p99 } else { t.p50 };
                let points: Vec<(&Tick, f64)> =
                    ticks.iter().filter_map(|t| Some((t, of(t)? as f64))).collect();
                for run in consecutive(&points) {
                    let line: Vec<(f64, f64)> =
                        run.iter().map(|(t, v)| (x.place(t.at + 0.5), y.place(*v))).collect();
                    plot.svg.polyline(&look.line(), &line);
                }
                for (t, v) in &points {
                    let tip =
                        format!("{} {} {which}: {}", look.name, clock(t.at), units::nanos_text(*v));
                    plot.svg.mark(look, (x.place(t.at + 0.5), y.place(*v)), Some(&tip));
                }
            }
        }
        let about = "Marks are seconds: p50 below, p99 above where the second has the 1,000 samples that it needs. Wide pale lines are the p99 of whole trials.";
        let title = "Second by second: latency".to_owned();
        let cell = |t: &Tick| {
            (t.p50.is_some() || t.p99.is_some())
                .then(|| format!("{} / {}", table::time(t.p50), table::time(t.p99)))
        };
        let table = self.table("p50 / p99", cell);
        Some(Chart::of("latency", Kind::Time, title, about.to_owned(), plot).with(table))
    }

    fn trial_p99(&self, plot: &mut Plot, span: &Span, arm: usize, look: &Look, x: Scale, y: Scale) {
        let mine = span.arms.iter().find(|(a, _)| *a == arm);
        if let Some(p99) = mine.and_then(|(_, p99)| *p99) {
            let at = y.place(p99 as f64);
            let class = format!("wide {}", look.classes());
            plot.svg.line(&class, (x.place(span.from) + 1.0, at), (x.place(span.to) - 1.0, at));
        }
    }

    /// Stalls and steal, one bar each a trial or block.
    fn machine(&self) -> Chart {
        let mut plot = Plot::new(STRIP, &[]);
        let spans = &self.line.spans;
        let stalls = spans.iter().flat_map(|s| [s.hiccup_p99_ns, s.hiccup_max_ns]).flatten();
        let y = Scale::log(stalls.map(|ns| ns as f64), plot.y);
        let x = self.time(&mut plot);
        plot.y_axis(&Axis { scale: y, name: "machine's stalls", tick: time_tick, ticks: 4 });
        for s in spans {
            let (left, right) = (x.place(s.from) + 1.5, x.place(s.to) - 1.5);
            let middle = f64::midpoint(left, right);
            let tip = format!(
                "block {}: stalls p99 {}, longest {}, steal {}",
                s.block + 1,
                table::time(s.hiccup_p99_ns),
                table::time(s.hiccup_max_ns),
                percent(s.steal)
            );
            if let (Some(p99), Some(max)) = (s.hiccup_p99_ns, s.hiccup_max_ns) {
                plot.svg.rect("stall", (left, right), (y.place(p99 as f64), plot.y.0), Some(&tip));
                plot.svg.line(
                    "stall-max",
                    (left, y.place(max as f64)),
                    (right, y.place(max as f64)),
                );
            }
            if s.steal >= LEAST_STEAL {
                let at = (middle, plot.y.1 + 10.0);
                plot.svg.text("k steal", at, super::svg::Anchor::Middle, &percent(s.steal));
            }
        }
        let about = "The hiccup meter beside the driver: bars reach to the 99th percentile of its lateness, lines are the longest stall. A percentage above a bar is CPU time that the hypervisor took; below 1 % none is written.";
        let title = "Second by second: what the machine did".to_owned();
        Chart::of("machine", Kind::Time, title, about.to_owned(), plot).with(machine_table(spans))
    }

    fn table(&self, what: &str, cell: impl Fn(&Tick) -> Option<String>) -> Vec<Vec<String>> {
        let mut head = vec!["second".to_owned()];
        head.extend(self.looks.iter().map(|look| format!("{} {what}", look.name)));
        let seconds = 0..self.line.seconds.ceil() as usize;
        let row = |second: usize| {
            let at = |ticks: &Vec<Tick>| {
                let tick = ticks.iter().find(|t| t.at as usize == second)?;
                cell(tick)
            };
            let cells: Vec<Option<String>> = self.line.arms.iter().map(at).collect();
            cells.iter().any(Option::is_some).then(|| {
                let cells = cells.into_iter().map(|c| c.unwrap_or(table::NONE.to_owned()));
                std::iter::once(clock(second as f64)).chain(cells).collect::<Vec<_>>()
            })
        };
        std::iter::once(head).chain(seconds.filter_map(row)).collect()
    }
}

fn machine_table(spans: &[Span]) -> Vec<Vec<String>> {
    let head = ["block", "from", "stalls p99", "longest", "steal", ""];
    let row = |s: &Span| {
        vec![
            (s.block + 1).to_string(),
            clock(s.from),
            table::time(s.hiccup_p99_ns),
            table::time(s.hiccup_max_ns),
            percent(s.steal),
            if s.valid { String::new() } else { "voided".to_owned() },
        ]
    };
    let head = std::iter::once(head.map(str::to_owned).to_vec());
    head.chain(spans.iter().map(row)).collect()
}

/// Seconds that follow each other are joined; over a warm-up there is no line.
fn consecutive<'a, 'b>(points: &'b [(&'a Tick, f64)]) -> Vec<&'b [(&'a Tick, f64)]> {
    points.chunk_by(|a, b| b.0.at - a.0.at < 1.5).collect()
}

fn clock(seconds: f64) -> String {
    format!("{seconds:.0} s")
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
