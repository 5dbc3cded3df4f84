//! The records behind a report, sorted out for the formats that other tools read: every trial, the
//! whole distributions, the seconds, and each arm's figures over blocks.

use crate::compare::blocks::{OverBlocks, over_blocks};
use crate::compare::figures::merged;
use crate::compare::{Report, Trials, cost, machine};
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::interval_log::Logged;
use pushbench_core::record::metrics::SAMPLES_BEYOND;
use pushbench_core::record::run::{Seconds, StoredRun};
use pushbench_core::record::trial::Trial;
use std::time::Duration;

/// What a run has left.
#[derive(Debug)]
pub struct Evidence<'a> {
    /// The words of the command line.
    pub command: &'a [String],
    /// When it began, UTC.
    pub started: &'a str,
    /// The same, after 1970.
    pub began: Duration,
    /// The machine and the program.
    pub machine: Vec<(&'static str, String)>,
    /// The points, in the report's order.
    pub points: Vec<PointEvidence<'a>>,
}

/// One setting.
#[derive(Debug)]
pub struct PointEvidence<'a> {
    /// Every trial, pilots and voided ones included, in the order they ended.
    pub trials: Vec<&'a Trial>,
    /// What each of them comes to at the prices of the scenario; `None` of pilots and without prices.
    pub costs: Vec<Option<f64>>,
    /// From the first trial's begin to the last one's end.
    pub took: Duration,
    /// The arms, in the report's order.
    pub arms: Vec<ArmEvidence>,
}

/// One arm's valid trials.
#[derive(Debug)]
pub struct ArmEvidence {
    /// Due to done; empty in a closed loop.
    pub response: Distribution,
    /// Sent to done.
    pub service: Distribution,
    /// Responses (service times in a closed loop) second by second; trial by trial where the record
    /// of the seconds is not there or not whole.
    pub log: Vec<Logged>,
    /// Whether `log` has seconds.
    pub by_second: bool,
    /// Its figures over blocks.
    pub over_blocks: Vec<OverBlocks>,
}

/// A distribution over the whole run.
#[derive(Debug)]
pub struct Distribution {
    /// Its values, ns.
    pub hist: Hist,
    /// Beyond this quantile lie too few samples to say anything; `None` when that is so of all.
    pub supported: Option<f64>,
}

impl Distribution {
    fn of(trials: &[&Trial], hist: impl Fn(&Trial) -> &Hist) -> Distribution {
        let hist = merged(trials, hist);
        let count = hist.count();
        let supported = count.checked_sub(SAMPLES_BEYOND).filter(|n| *n > 0);
        let supported = supported.map(|n| n as f64 / count as f64);
        Distribution { hist, supported }
    }
}

/// Sorts out a stored run. `report` is what [`crate::compare::compare`] made of it, `seconds` what its
/// interval logs hold.
pub fn evidence<'a>(run: &'a StoredRun, report: &Report, seconds: &Seconds) -> Evidence<'a> {
    let header = &run.header;
    let began: jiff::Timestamp = header.started.parse().unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let point = |(index, figures): (usize, &crate::compare::Point)| {
        let trials = Trials::of(run, index);
        let arm = |arm: usize| {
            let valid = trials.of_arm(arm);
            let response = Distribution::of(&valid, |t| &t.account.response);
            let service = Distribution::of(&valid, |t| &t.account.service);
            let recorded = if response.hist.is_empty() { &service } else { &response };
            let intervals = seconds.get(&header.points[index].arms[arm].label);
            let by_second =
                intervals.and_then(|intervals| of_trials(run, intervals, index, arm, recorded));
            ArmEvidence {
                by_second: by_second.is_some(),
                log: by_second.unwrap_or_else(|| valid.iter().map(|t| whole(t)).collect()),
                over_blocks: over_blocks(&figures.arms[arm], arm, &trials),
                response,
                service,
            }
        };
        let mine: Vec<&Trial> = run.trials.iter().filter(|t| t.point == index).collect();
        let costs =
            mine.iter().map(|t| cost::of_trial(&header.points[index], t, &trials)).collect();
        let arms = (0..trials.arms).map(arm).collect();
        PointEvidence { arms, took: took(&mine), trials: mine, costs }
    };
    Evidence {
        command: &header.command,
        started: &header.started,
        began: Duration::try_from(began.as_duration()).unwrap_or_default(),
        machine: machine::fingerprint(header),
        points: report.points.iter().enumerate().map(point).collect(),
    }
}

fn took(trials: &[&Trial]) -> Duration {
    let begin = trials.iter().map(|t| t.began()).min().unwrap_or_default();
    let end = trials.iter().map(|t| t.began() + Duration::from_nanos(t.wall_ns)).max();
    end.unwrap_or_default().saturating_sub(begin)
}

/// A trial as one interval.
fn whole(trial: &Trial) -> Logged {
    let hist = if trial.account.response.is_empty() {
        &trial.account.service
    } else {
        &trial.account.response
    };
    let (start, length) = (trial.began(), Duration::from_nanos(trial.wall_ns));
    Logged { start, length, hist: hist.packed() }
}

/// The seconds of an arm's valid trials at one point; `None` unless they are all there. An arm has
/// one log for all points and voided trials, which do not overlap in time.
fn of_trials(
    run: &StoredRun,
    seconds: &[Logged],
    point: usize,
    arm: usize,
    recorded: &Distribution,
) -> Option<Vec<Logged>> {
    /// Logs count milliseconds, trials nanoseconds.
    const ROUNDED: Duration = Duration::from_millis(1);
    let label = &run.header.points[point].arms[arm].label;
    let all = Trials::of(run, point);
    let valid: Vec<usize> = all.of_arm(arm).iter().map(|t| t.block).collect();
    let of_trial = |second: &&Logged| {
        let before = |t: &&Trial| &t.label == label && t.began() <= second.start + ROUNDED;
        let owner = run.trials.iter().filter(before).max_by_key(|t| t.began());
        owner.is_some_and(|t| t.point == point && valid.contains(&t.block))
    };
    let found: Vec<Logged> = seconds.iter().filter(of_trial).cloned().collect();
    let mut sum = Hist::new();
    found.iter().for_each(|l| sum.merge(&l.hist));
    (sum == recorded.hist && !found.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{compare, sample};

    /// A sample whose trials follow each other, and its seconds.
    fn run_with_seconds() -> (StoredRun, Seconds) {
        let mut run = sample::ratios(0.8, 0.5);
        let mut seconds = Seconds::new();
        for trial in &mut run.trials {
            trial.started = format!("2026-01-01T00:00:{:02}.0005Z", trial.block * 4);
            let second = Logged { length: Duration::from_secs(1), ..whole(trial) };
            // Written with milliseconds, so a little before the trial began.
            let start = Duration::from_millis(second.start.as_millis() as u64);
            seconds.entry(trial.label.clone()).or_default().push(Logged { start, ..second });
        }
        (run, seconds)
    }

    #[test]
    fn seconds_are_those_of_valid_trials_and_add_up() {
        let (mut run, mut seconds) = run_with_seconds();
        run.trials
            .iter_mut()
            .filter(|t| t.block == 3)
            .for_each(|t| t.judged.invalid.push("x".into()));
        let report = compare(&run);
        let found = evidence(&run, &report, &seconds);
        let arm = &found.points[0].arms[1];
        assert!(arm.by_second && arm.log.len() == 11);
        let mut sum = Hist::new();
        arm.log.iter().for_each(|l| sum.merge(&l.hist));
        assert_eq!(sum, arm.response.hist);
        assert_eq!(arm.log.iter().filter(|l| l.length == Duration::from_secs(1)).count(), 11);
        // What is not whole is not used.
        seconds.values_mut().for_each(|s| s.truncate(5));
        for seconds in [seconds, Seconds::new()] {
            let found = evidence(&run, &report, &seconds);
            let arm = &found.points[0].arms[1];
            assert!(!arm.by_second && arm.log.len() == 11);
            assert!(arm.log.iter().all(|l| l.length == Duration::from_secs(3)));
        }
    }

    #[test]
    fn figures_over_blocks_have_an_interval_around_them() {
        let run = sample::ratios(0.8, 0.5);
        let report = compare(&run);
        let found = evidence(&run, &report, &Seconds::new());
        let arm = &found.points[0].arms[0];
        let p50 = arm.over_blocks.iter().find(|o| o.metric == "response.p50").unwrap();
        let [low, high] = p50.ci95.unwrap();
        assert!(low < p50.estimate && p50.estimate < high && p50.blocks == 12, "{p50:?}");
        let shown = report.points[0].arms[0].response_ns.p50.unwrap() as f64;
        assert!((p50.estimate / shown - 1.0).abs() < 0.1, "{} beside {shown}", p50.estimate);
        assert!(arm.over_blocks.iter().all(|o| o.metric != "response.p99_9"), "3 samples beyond");
        let supported = arm.response.supported.unwrap();
        assert!((supported - (1.0 - 10.0 / 36_000.0)).abs() < 1e-12);
    }
}
