//! Figures of stored runs over time. Only runs that may be compared make a line (law 8): what keeps two apart is what
//! `compare` says of them.

use crate::compare::blocks::of_arm;
use crate::compare::charts::headlines;
use crate::compare::charts::sweep::{Sweep, sweep};
use crate::compare::comparability::{Basis, dated, hinders, points_of_both};
use crate::compare::machine::Difference;
use crate::compare::runs::Value;
use crate::compare::{Point, Report, Standing, Trials, compare};
use pushbench_core::record::fanout::DatedBy;
use pushbench_core::record::metrics::{self, Family, Metric};
use pushbench_core::record::run::{RunHeader, StoredRun};
use pushbench_core::scenario::{Flow, Setting};
use serde::Serialize;

/// A run without its trials: its report, and its headline figures over blocks.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Plan and machine.
    pub header: RunHeader,
    /// The report.
    pub report: Report,
    /// How the figures change along a swept key.
    pub sweep: Option<Sweep>,
    /// How far it can be trusted.
    pub standing: Standing,
    dated: Option<DatedBy>,
    /// Of each point, in the report's order.
    figures: Vec<Vec<Figure>>,
}

/// A headline of an arm, or of the ratio between two.
#[derive(Debug, Clone)]
struct Figure {
    metric: &'static str,
    of: Subject,
    value: Value,
}

/// What a figure belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Subject {
    /// An arm.
    Arm(String),
    /// The ratio of a candidate to its baseline.
    Ratio {
        /// The arm above the stroke.
        candidate: String,
        /// The arm below it.
        baseline: String,
    },
}

/// Runs that may be compared with the oldest of them.
#[derive(Debug, Clone, Serialize)]
pub struct History {
    /// The scenario's name.
    pub scenario: String,
    /// The runs by their place among all that were given, the oldest first.
    pub runs: Vec<usize>,
    /// When each began, s after 1970.
    pub began_s: Vec<f64>,
    /// What keeps the oldest from the line of the same scenario before; empty where there is none before.
    pub differs: Vec<Difference>,
    /// A chart's worth a setting and headline; empty of a single run.
    pub lines: Vec<Line>,
}

/// A metric at a setting.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// The swept keys; empty without a sweep.
    pub setting: Setting,
    /// Which way events went.
    pub flow: Flow,
    /// Name in the registry.
    pub metric: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// The arms, in the order of the oldest run, then their ratios.
    pub curves: Vec<Curve>,
}

/// The figures of one arm, or of the ratio between two.
#[derive(Debug, Clone, Serialize)]
pub struct Curve {
    /// What they belong to.
    pub of: Subject,
    /// One for each run; `null` where it was not measured or is not supported.
    pub values: Vec<Option<Value>>,
}

impl Measured {
    /// Derives it from a stored run.
    pub fn of(run: &StoredRun) -> Measured {
        let report = compare(run);
        Measured {
            header: run.header.clone(),
            sweep: sweep(run, &report),
            standing: Standing::of(&report.points),
            dated: dated(run),
            figures: (0..report.points.len()).map(|i| figures(run, &report, i)).collect(),
            report,
        }
    }

    fn basis(&self) -> Basis<'_> {
        Basis { header: &self.header, report: &self.report, dated: self.dated }
    }

    /// What keeps the figures of two runs from being compared.
    fn hindrances(&self, other: &Measured) -> Vec<Difference> {
        let mut found = self.basis().differences(&other.basis());
        found.retain(hinders);
        found
    }

    fn value(&self, point: usize, metric: &str, of: &Subject) -> Option<Value> {
        let mut mine = self.figures[point].iter();
        mine.find(|f| f.metric == metric && f.of == *of).map(|f| f.value)
    }
}

/// The headlines of a point. The throughput of an open loop is what its schedule says.
fn shown(point: &Point) -> impl Iterator<Item = &'static Metric> + use<> {
    let open = point.design.rate.is_some();
    let told = move |m: &&Metric| !(open && m.family == Family::Throughput);
    headlines([point]).into_iter().filter_map(metrics::named).filter(told)
}

fn figures(run: &StoredRun, report: &Report, index: usize) -> Vec<Figure> {
    let (point, trials) = (&report.points[index], Trials::of(run, index));
    let mut found = Vec::new();
    for metric in shown(point) {
        for (arm, figures) in point.arms.iter().enumerate() {
            let value = of_arm(metric, figures, arm, &trials).map(|o| Value::of_arm(&o));
            let of = Subject::Arm(figures.arm.clone());
            found.extend(value.map(|value| Figure { metric: metric.name, of, value }));
        }
        for c in point.comparisons.iter().filter(|c| c.metric == metric.name) {
            let (candidate, baseline) = (c.candidate.clone(), c.baseline.clone());
            let of = Subject::Ratio { candidate, baseline };
            found.extend(Value::of_ratio(c).map(|value| Figure { metric: metric.name, of, value }));
        }
    }
    found
}

/// Puts runs that may be compared into one history each, ordered by their first run. A run whose records were altered,
/// or whose start is no instant, has no place in any.
pub fn histories(runs: &[&Measured]) -> Vec<History> {
    let at = |run: &Measured| run.header.started.parse::<jiff::Timestamp>().ok();
    let mut order: Vec<(jiff::Timestamp, usize)> = runs
        .iter()
        .enumerate()
        .filter(|(_, run)| run.basis().is_unaltered())
        .filter_map(|(index, run)| Some((at(run)?, index)))
        .collect();
    order.sort_unstable();
    let mut groups: Vec<Vec<(jiff::Timestamp, usize)>> = Vec::new();
    for entry in order {
        let fits = |group: &&mut Vec<(jiff::Timestamp, usize)>| {
            let (oldest, run) = (runs[group[0].1], runs[entry.1]);
            // Most runs differ in this, which is soon seen.
            oldest.header.scenario == run.header.scenario && oldest.hindrances(run).is_empty()
        };
        match groups.iter_mut().find(fits) {
            Some(group) => group.push(entry),
            None => groups.push(vec![entry]),
        }
    }
    let mut found: Vec<History> = Vec::new();
    for group in groups {
        let oldest = runs[group[0].1];
        let before = found.iter().rev().find(|h| h.scenario == oldest.header.scenario);
        let differs = before.map(|h| runs[h.runs[0]].hindrances(oldest)).unwrap_or_default();
        let members: Vec<usize> = group.iter().map(|(_, run)| *run).collect();
        found.push(History {
            scenario: oldest.header.scenario.clone(),
            began_s: group.iter().map(|(at, _)| at.as_millisecond() as f64 / 1e3).collect(),
            lines: if members.len() > 1 { lines(runs, &members) } else { Vec::new() },
            runs: members,
            differs,
        });
    }
    found
}

/// The lines of runs that may be compared with the first of them.
fn lines(runs: &[&Measured], members: &[usize]) -> Vec<Line> {
    let oldest = runs[members[0]];
    let mut lines = Vec::new();
    for (index, point) in oldest.report.points.iter().enumerate() {
        // Where a member keeps this setting.
        let places: Vec<Option<usize>> = members
            .iter()
            .map(|run| {
                let both = points_of_both(&oldest.header, &runs[*run].header);
                both.into_iter().find(|(i, _)| *i == index).map(|(_, j)| j)
            })
            .collect();
        for metric in shown(point) {
            let values = |of: &Subject| -> Vec<Option<Value>> {
                let of_run = |(run, place): (&usize, &Option<usize>)| {
                    runs[*run].value((*place)?, metric.name, of)
                };
                members.iter().zip(&places).map(of_run).collect()
            };
            let arms = point.arms.iter().map(|a| Subject::Arm(a.arm.clone()));
            let compared = point.comparisons.iter().filter(|c| c.metric == metric.name);
            let ratios = compared.map(|c| Subject::Ratio {
                candidate: c.candidate.clone(),
                baseline: c.baseline.clone(),
            });
            let curves = arms.chain(ratios).map(|of| Curve { values: values(&of), of });
            let curves: Vec<Curve> =
                curves.filter(|c| c.values.iter().any(Option::is_some)).collect();
            if !curves.is_empty() {
                lines.push(Line {
                    setting: point.setting.clone(),
                    flow: point.design.flow,
                    metric: metric.name,
                    unit: metric.unit.name(),
                    curves,
                });
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::runs::side_by_side;
    use crate::compare::sample;

    /// A run that began on this day of January.
    fn on(day: usize, change: impl FnOnce(&mut StoredRun)) -> StoredRun {
        let mut run = sample::ratios(0.8, 0.5);
        run.header.started = format!("2026-01-{day:02}T00:00:00Z");
        change(&mut run);
        run
    }

    fn found(runs: &[StoredRun]) -> Vec<History> {
        let measured: Vec<Measured> = runs.iter().map(Measured::of).collect();
        histories(&measured.iter().collect::<Vec<_>>())
    }

    #[test]
    fn comparable_runs_make_a_line_in_the_order_of_time() {
        let runs = [on(3, |_| {}), on(1, |_| {}), on(2, |run| run.header.seed = 9)];
        let [history] = &found(&runs)[..] else { panic!("one history") };
        assert_eq!(history.runs, [1, 2, 0]);
        assert!((history.began_s[1] - history.began_s[0] - 86_400.0).abs() < 1e-9);
        assert!(history.differs.is_empty());
        let names: Vec<&str> = history.lines.iter().map(|l| l.metric).collect();
        assert_eq!(names, ["response.p50", "response.p99", "target_usage.cpu_ns_per_event"]);
        for line in &history.lines {
            assert_eq!(line.curves.len(), 3, "two arms and their ratio: {}", line.metric);
            assert!(line.curves.iter().all(|c| c.values.iter().all(Option::is_some)));
        }
    }

    #[test]
    fn figures_are_those_that_compare_shows() {
        let runs = [on(1, |_| {}), on(2, |_| {})];
        let both = side_by_side(("a", &runs[0]), ("b", &runs[1]));
        let history = &found(&runs)[0];
        for curve in history.lines.iter().flat_map(|l| l.curves.iter().map(move |c| (l.metric, c)))
        {
            let of = match &curve.1.of {
                Subject::Arm(arm) => arm.clone(),
                Subject::Ratio { candidate, baseline } => format!("{candidate} / {baseline}"),
            };
            let mut all = both.points[0].figures.iter();
            let same = all.find(|f| f.of == of && f.metric == curve.0).unwrap();
            assert_eq!(curve.1.values, [same.first, same.second], "{of} {}", curve.0);
        }
    }

    #[test]
    fn runs_that_may_not_be_compared_are_apart_and_it_is_said_why() {
        let cpu = |run: &mut StoredRun| {
            run.header.environment.insert("cpu".to_owned(), "another".to_owned());
        };
        let runs = [on(1, |_| {}), on(2, cpu), on(3, |_| {}), on(4, cpu)];
        let all = found(&runs);
        let members: Vec<&[usize]> = all.iter().map(|h| &h.runs[..]).collect();
        assert_eq!(members, [&[0, 2][..], &[1, 3]]);
        let names: Vec<&str> = all[1].differs.iter().map(|d| d.what.as_str()).collect();
        assert_eq!(names, ["cpu"]);
    }

    #[test]
    fn altered_records_and_other_scenarios_are_in_no_line() {
        let altered = |run: &mut StoredRun| {
            run.header.records =
                Some(pushbench_core::record::records::Records { count: 9, sha256: String::new() });
            run.altered = Some("6 are missing".to_owned());
        };
        let runs = [
            on(1, |_| {}),
            on(2, altered),
            on(3, |run| run.header.scenario = "other".to_owned()),
            on(4, |run| run.header.started = "yesterday".to_owned()),
        ];
        let members: Vec<Vec<usize>> = found(&runs).into_iter().map(|h| h.runs).collect();
        assert_eq!(members, [vec![0], vec![2]]);
        assert!(found(&runs).iter().all(|h| h.lines.is_empty() && h.differs.is_empty()));
    }

    #[test]
    fn a_setting_that_a_run_lacks_has_no_figure_there() {
        let swept = |run: &mut StoredRun| {
            let mut second = run.header.points[0].clone();
            run.header.points[0].setting.insert("load.rate".to_owned(), 500.into());
            second.setting.insert("load.rate".to_owned(), 900.into());
            run.header.points.push(second);
            let mut more = run.trials.clone();
            more.iter_mut().for_each(|t| t.point = 1);
            run.trials.extend(more);
        };
        let history = &found(&[on(1, swept), on(2, swept)])[0];
        assert_eq!(history.lines.len(), 6, "three metrics at two settings");
        assert_eq!(history.lines[3].setting["load.rate"], 900);
    }
}
