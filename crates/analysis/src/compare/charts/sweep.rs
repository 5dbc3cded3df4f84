//! How the figures change along a swept key or along a ramp: where each arm stops keeping up, and where
//! two arms cross.

use crate::compare::charts::words;
use crate::compare::decide::is_about;
use crate::compare::{ArmFigures, Comparison, FEWEST_BLOCKS, Point, Report, Trials, Verdict};
use crate::stats;
use pushbench_core::record::metrics;
use pushbench_core::record::metrics::Metric;
use pushbench_core::record::run::StoredRun;
use pushbench_core::scenario::{Setting, split};
use pushbench_core::units;
use serde_json::Value;

/// Confidence of the bars.
const CONFIDENCE: f64 = 0.95;

/// The figures along one axis.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// The swept key, `load.rate`.
    pub key: String,
    /// The places on the axis.
    pub places: Vec<Place>,
    /// True when every place is a number above 0, so that distances on the axis mean something.
    pub numeric: bool,
    /// One for each setting of the other swept keys.
    pub groups: Vec<Group>,
}

/// A place on the axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// As in the scenario.
    pub label: String,
    /// As a number, where it is one.
    pub value: Option<f64>,
}

/// The curves of one setting of the other keys.
#[derive(Debug, Clone)]
pub struct Group {
    /// The other keys; empty where one key is swept.
    pub setting: Setting,
    /// Names of the arms.
    pub arms: Vec<ArmFigures>,
    /// A curve a metric.
    pub curves: Vec<Curve>,
    /// Between which places an arm stopped keeping up.
    pub knees: Vec<Knee>,
    /// What the verdicts along the axis come to, one a candidate.
    pub summaries: Vec<words::AxisSummary>,
}

/// Where an arm stops keeping up with what is offered.
#[derive(Debug, Clone, PartialEq)]
pub struct Knee {
    /// The arm's place.
    pub arm: usize,
    /// It still kept up here.
    pub from: f64,
    /// And no longer here.
    pub to: f64,
}

/// One metric along the axis.
#[derive(Debug, Clone)]
pub struct Curve {
    /// The metric.
    pub metric: &'static str,
    /// For each arm a mark a place.
    pub arms: Vec<Vec<Mark>>,
    /// Where a candidate and the baseline change places beyond doubt.
    pub crossings: Vec<Crossing>,
}

/// A figure at a place.
#[derive(Debug, Clone, PartialEq)]
pub enum Mark {
    /// It was measured.
    Figure {
        /// In the metric's unit.
        value: f64,
        /// 95 % interval of a block's own value; `None` of too few blocks.
        interval: Option<[f64; 2]>,
    },
    /// The arm fell behind: its latency is the length of the trial.
    Overloaded,
    /// No valid trial, or too few samples.
    Nothing,
}

/// Two arms change places.
#[derive(Debug, Clone, PartialEq)]
pub struct Crossing {
    /// The candidate's place among the arms; the other one is the baseline.
    pub candidate: usize,
    /// Index of the place before.
    pub before: usize,
    /// Index of the place after.
    pub after: usize,
    /// True when the candidate is the better one after it.
    pub better_after: bool,
}

/// The sweep of a run; `None` where nothing is swept.
pub fn sweep(run: &StoredRun, report: &Report) -> Option<Sweep> {
    let key = main_key(report)?;
    let mut places: Vec<Place> = Vec::new();
    let mut groups: Vec<(Setting, Vec<usize>)> = Vec::new();
    for (index, point) in report.points.iter().enumerate() {
        let place = place(&point.setting[&key]);
        if !places.contains(&place) {
            places.push(place);
        }
        let mut rest = point.setting.clone();
        rest.remove(&key);
        match groups.iter_mut().find(|(setting, _)| *setting == rest) {
            Some((_, points)) => points.push(index),
            None => groups.push((rest, vec![index])),
        }
    }
    let numeric = places.iter().all(|p| p.value.is_some_and(|v| v > 0.0));
    let groups = groups
        .into_iter()
        .map(|(setting, points)| Line { run, report, points }.group(setting, &key));
    Some(Sweep { groups: groups.collect(), key, places, numeric })
}

/// The key with the most values.
fn main_key(report: &Report) -> Option<String> {
    let values = |key: &String| {
        let mut distinct: Vec<&Value> =
            report.points.iter().filter_map(|p| p.setting.get(key)).collect();
        distinct.dedup();
        distinct.len()
    };
    let keys = report.points.first()?.setting.keys();
    let swept = keys.filter(|key| report.points.iter().all(|p| p.setting.contains_key(*key)));
    let main = swept.max_by_key(|key| values(key)).cloned();
    main.filter(|_| report.points.len() > 1)
}

fn place(value: &Value) -> Place {
    match value {
        Value::String(text) => {
            let size = units::parse_size(text).ok().map(|n| n as f64);
            let time = || units::parse_duration(text).ok().map(|d| d.as_nanos() as f64);
            Place { label: text.clone(), value: size.or_else(time) }
        }
        other => Place { label: other.to_string(), value: other.as_f64() },
    }
}

/// The points that differ in the axis alone, in the order of the run.
struct Line<'a> {
    run: &'a StoredRun,
    report: &'a Report,
    points: Vec<usize>,
}

impl Line<'_> {
    fn point(&self, place: usize) -> &Point {
        &self.report.points[self.points[place]]
    }

    fn group(&self, setting: Setting, key: &str) -> Group {
        let arms = self.point(0).arms.clone();
        let trials: Vec<Trials<'_>> =
            self.points.iter().map(|p| Trials::of(self.run, *p)).collect();
        let points: Vec<&Point> = (0..self.points.len()).map(|p| self.point(p)).collect();
        // In a fan-out the published rate would be drawn as well, which is not the question.
        let flow = points[0].design.flow;
        let shown = crate::compare::charts::headlines(points.iter().copied())
            .into_iter()
            .filter_map(metrics::named);
        // A count of 0 has no place on a logarithmic axis.
        let shown = shown.filter(|m| is_about(m, flow) && m.family != metrics::Family::Counted);
        let curves = shown.map(|metric| Curve {
            metric: metric.name,
            arms: (0..arms.len()).map(|arm| self.marks(metric, arm, &trials)).collect(),
            crossings: (1..arms.len()).flat_map(|arm| self.crossings(metric, arm)).collect(),
        });
        let curves = curves.collect();
        let knees = if key == "load.rate" { self.knees(arms.len()) } else { Vec::new() };
        let summaries = words::summaries(key, &points);
        Group { setting, arms, curves, knees, summaries }
    }

    fn marks(&self, metric: &Metric, arm: usize, trials: &[Trials<'_>]) -> Vec<Mark> {
        let latency = matches!(metric.family, metrics::Family::Latency { .. });
        let mark = |place: usize| {
            let Some(figures) = self.point(place).arms.get(arm) else { return Mark::Nothing };
            if latency && figures.overloaded {
                return Mark::Overloaded;
            }
            match figures.figure(metric.name) {
                Some(value) => {
                    Mark::Figure { value, interval: interval(metric, arm, &trials[place]) }
                }
                None => Mark::Nothing,
            }
        };
        (0..self.points.len()).map(mark).collect()
    }

    /// Neighbouring places at which the candidate is better beyond doubt at one, worse at the other.
    fn crossings(&self, metric: &Metric, candidate: usize) -> Vec<Crossing> {
        let judged: Vec<(usize, bool)> = (0..self.points.len())
            .filter_map(|place| {
                let point = self.point(place);
                let name = &point.arms.get(candidate)?.arm;
                let mine = |c: &&Comparison| c.metric == metric.name && c.candidate == *name;
                match point.comparisons.iter().find(mine)?.verdict {
                    Verdict::Better => Some((place, true)),
                    Verdict::Worse => Some((place, false)),
                    _ => None,
                }
            })
            .collect();
        let changed = judged.windows(2).filter(|w| w[0].1 != w[1].1);
        let crossing = |w: &[(usize, bool)]| Crossing {
            candidate,
            before: w[0].0,
            after: w[1].0,
            better_after: w[1].1,
        };
        changed.map(crossing).collect()
    }

    fn knees(&self, arms: usize) -> Vec<Knee> {
        let mut rates: Vec<(f64, usize)> = (0..self.points.len())
            .filter_map(|place| Some((self.point(place).design.rate?, place)))
            .collect();
        rates.sort_by(|a, b| a.0.total_cmp(&b.0));
        let knee = |arm: usize| {
            let first = rates.iter().position(|(_, p)| self.point(*p).arms[arm].overloaded)?;
            Some(Knee { arm, from: rates[first.checked_sub(1)?].0, to: rates[first].0 })
        };
        (0..arms).filter_map(knee).collect()
    }
}

/// The interval of a block's own value, on logarithms as all ratios are.
pub(super) fn interval(metric: &Metric, arm: usize, trials: &Trials<'_>) -> Option<[f64; 2]> {
    let values: Option<Vec<f64>> = trials.of_arm(arm).iter().map(|t| (metric.value)(t)).collect();
    let logs: Vec<f64> =
        values.filter(|v| v.len() >= FEWEST_BLOCKS)?.iter().map(|v| v.ln()).collect();
    let interval = stats::t_interval(&logs, CONFIDENCE)?;
    Some([interval.low.exp(), interval.high.exp()])
}

/// A ramp's steps: the rate in the middle of each, and which are behind an arm's knee.
#[derive(Debug, Clone, PartialEq)]
pub struct Ramp {
    /// The rates at the begin and the end of each step.
    pub steps: Vec<(f64, f64)>,
    /// For each arm the step in which it stopped keeping up; `None` where it kept up to the end.
    pub knees: Vec<Knee>,
}

/// The ramp of a point, if it was one.
pub fn ramp(scenario: &pushbench_core::scenario::Scenario, arms: &[ArmFigures]) -> Option<Ramp> {
    let steps = split::ramp_steps(scenario);
    let end = steps.last()?.1;
    let knee = |(arm, figures): (usize, &ArmFigures)| {
        let from = figures.knee_per_second.filter(|knee| *knee < end)?;
        let to = steps.iter().find(|(low, _)| *low >= from).map_or(end, |(_, high)| *high);
        Some(Knee { arm, from, to })
    };
    let knees = arms.iter().enumerate().filter_map(knee).collect();
    Some(Ramp { knees, steps })
}
