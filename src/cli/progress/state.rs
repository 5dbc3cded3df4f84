//! What is known of a run while it goes on: what the lines of every kind of progress are made of.

use crate::run::{BlockEnded, PlanOutline};
use pushbench_analysis::compare::Interim;
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::metrics::supported_quantile;
use pushbench_core::scenario::Setting;
use std::time::{Duration, Instant};

/// A shorter part of a second, which the end of a trial has cut, says little of a rate.
const PART_OF_SECOND: Duration = Duration::from_millis(500);
/// Reports of an arm that come within this are of the same second: each shard of the driver sends one.
const SAME_SECOND: Duration = Duration::from_millis(100);

/// What a run has shown of itself.
pub struct State {
    /// The scenario's name; empty before the run begins.
    pub scenario: String,
    /// Points of the sweep.
    pub points: usize,
    /// The point being measured, from 0.
    pub point: usize,
    /// Its swept keys.
    pub setting: Setting,
    /// What is being measured, in words.
    pub stage: String,
    /// The arms of the point.
    pub arms: Vec<ArmState>,
    /// The arm of the latest report.
    pub latest: usize,
    /// Arms that take turns.
    pub turns: usize,
    /// When the measured window of the trial group begins.
    measured_from: Option<Instant>,
    /// The last block of the point.
    pub block: Option<BlockEnded>,
    /// The last voided block of the point.
    pub voided: Option<BlockEnded>,
    /// How the arms of the point compare.
    pub interim: Option<Interim>,
    /// How long everything should take, without the starts of the targets.
    pub total: Duration,
    /// How much of that is done.
    pub done: Duration,
    began: Instant,
    /// When `done` last grew, and when it first did, by how much.
    grew: Instant,
    first: Option<(Instant, Duration)>,
}

impl State {
    /// Before the run begins.
    pub fn new(now: Instant) -> State {
        State {
            scenario: String::new(),
            points: 1,
            point: 0,
            setting: Setting::new(),
            stage: String::new(),
            arms: Vec::new(),
            latest: 0,
            turns: 1,
            measured_from: None,
            block: None,
            voided: None,
            interim: None,
            total: Duration::ZERO,
            done: Duration::ZERO,
            began: now,
            grew: now,
            first: None,
        }
    }

    pub fn begin(&mut self, plan: &PlanOutline<'_>, now: Instant) {
        let begun = State::new(now);
        let (scenario, total) = (plan.scenario.to_owned(), plan.estimate);
        *self = State { scenario, total, points: plan.points, ..begun };
    }

    /// A trial group of so many arms begins, which is measured from an instant on.
    pub fn turns(&mut self, arms: usize, measured_from: Instant) {
        (self.turns, self.measured_from) = (arms, Some(measured_from));
    }

    /// A point begins; one that goes on keeps its blocks.
    pub fn point(&mut self, number: usize, setting: &Setting, labels: &[String]) {
        if self.point != number {
            (self.block, self.voided, self.interim) = (None, None, None);
        }
        self.point = number;
        self.setting.clone_from(setting);
        self.arms = labels.iter().cloned().map(ArmState::new).collect();
        self.latest = 0;
    }

    pub fn second(&mut self, arm: usize, responses: &Hist, now: Instant) {
        // Nothing is measured in a warm-up.
        if self.measured_from.is_some_and(|from| now <= from) {
            return;
        }
        if let Some(found) = self.arms.get_mut(arm) {
            if found.trial != self.measured_from {
                // The figures of an arm that is not of this trial group stay.
                (found.trial, found.since, found.previous) =
                    (self.measured_from, self.measured_from, None);
            }
            found.second(responses, now);
            self.latest = arm;
        }
    }

    pub fn block(&mut self, block: &BlockEnded) {
        if !block.valid {
            self.voided = Some(block.clone());
        }
        self.block = Some(block.clone());
    }

    pub fn advance(&mut self, by: Duration, now: Instant) {
        self.done += by;
        self.grew = now;
        self.first.get_or_insert((now, self.done));
    }

    /// Since the run began.
    pub fn elapsed(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }

    /// How long it still takes: what is left of the estimate, at the pace of what is done, which starts targets too.
    pub fn left(&self, now: Instant) -> Duration {
        let pace = self.first.map_or(1.0, |(at, done)| {
            let (took, planned) = (self.grew - at, self.done.saturating_sub(done));
            if planned.is_zero() { 1.0 } else { took.as_secs_f64() / planned.as_secs_f64() }
        });
        let left = self.total.saturating_sub(self.done).mul_f64(pace.max(1.0));
        left.saturating_sub(now.saturating_duration_since(self.grew))
    }

    /// The part that is done, from 0 to 1.
    pub fn share(&self) -> f64 {
        let total = self.total.as_secs_f64();
        if total > 0.0 { (self.done.as_secs_f64() / total).min(1.0) } else { 0.0 }
    }

    /// `load.rate = 400, payload.bytes = 64`; empty without a sweep.
    pub fn setting_text(&self) -> String {
        let shown: Vec<String> = self.setting.iter().map(|(k, v)| format!("{k} = {v}")).collect();
        shown.join(", ")
    }

    /// The arms whose latest second has ended and was not taken yet. `all`: that of each arm, because no more
    /// reports come.
    pub fn take_ended(&mut self, all: bool, now: Instant) -> Vec<usize> {
        let ended = |second: &Second| {
            !second.taken && (all || now.saturating_duration_since(second.began) >= SAME_SECOND)
        };
        let mut found = Vec::new();
        for (index, arm) in self.arms.iter_mut().enumerate() {
            if let Some(second) = arm.second.as_mut().filter(|second| ended(second)) {
                second.taken = true;
                found.push(index);
            }
        }
        found
    }
}

/// The responses of one arm since its point began, pilots included and warm-ups not.
pub struct ArmState {
    /// Its name.
    pub label: String,
    responses: Hist,
    second: Option<Second>,
    /// When its trial is measured from, as long as that goes on.
    trial: Option<Instant>,
    /// When the measured window or its latest second began.
    since: Option<Instant>,
    /// The rate in the second before, of the same trial.
    previous: Option<f64>,
}

/// The latest second of an arm.
struct Second {
    /// When its first report came.
    began: Instant,
    responses: u64,
    /// How much of a second it was.
    length: Duration,
    /// It was reported.
    taken: bool,
}

impl Second {
    fn rate(&self) -> f64 {
        self.responses as f64 / self.length.as_secs_f64().max(1e-3)
    }
}

/// The figures of an arm, each once enough samples support it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// Responses.
    pub count: u64,
    /// Median, ns.
    pub p50: Option<f64>,
    /// 90th percentile, ns.
    pub p90: Option<f64>,
    /// 99th percentile, ns.
    pub p99: Option<f64>,
    /// 99.9th percentile, ns.
    pub p99_9: Option<f64>,
}

impl ArmState {
    fn new(label: String) -> ArmState {
        let (second, trial, since, previous) = (None, None, None, None);
        ArmState { label, responses: Hist::new(), second, trial, since, previous }
    }

    fn second(&mut self, responses: &Hist, now: Instant) {
        self.responses.merge(responses);
        let count = responses.count();
        match &mut self.second {
            Some(s) if now.saturating_duration_since(s.began) < SAME_SECOND => {
                (s.responses, s.taken) = (s.responses + count, false);
            }
            second => {
                let second_long = Duration::from_secs(1);
                let since = self.since.replace(now);
                let length = since.map_or(second_long, |at| (now - at).min(second_long));
                let new = Second { began: now, responses: count, length, taken: false };
                let former = second.replace(new);
                // Those of former trials were removed when this one began.
                if let Some(former) = former.filter(|s| since == Some(s.began)) {
                    self.previous = Some(former.rate());
                }
            }
        }
    }

    /// Whether it has had no response.
    pub fn is_silent(&self) -> bool {
        self.responses.is_empty()
    }

    /// Responses in the latest second.
    pub fn latest(&self) -> u64 {
        self.second.as_ref().map_or(0, |s| s.responses)
    }

    /// Responses a second. The latest second may be cut by the end of its trial; then the one before says more.
    pub fn rate(&self) -> f64 {
        match (&self.second, self.previous) {
            (Some(s), Some(previous)) if s.length < PART_OF_SECOND => previous,
            (Some(s), _) => s.rate(),
            (None, _) => 0.0,
        }
    }

    /// Its figures so far.
    pub fn figures(&self) -> Figures {
        let packed = self.responses.packed();
        let quantile = |q| supported_quantile(&packed, q);
        Figures {
            count: packed.count(),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            p99_9: quantile(0.999),
        }
    }
}

#[cfg(test)]
pub mod sample {
    use super::*;
    use pushbench_analysis::compare::{interim, sample};

    /// A run of two arms in the middle of its second point, of which so many blocks are valid.
    pub fn state(blocks: usize, now: Instant) -> State {
        let mut state = State::new(now);
        let arms = vec!["webhook@builtin".to_owned(), "websocket@builtin".to_owned()];
        let plan = PlanOutline {
            scenario: "ingest",
            arms: arms.clone(),
            points: 2,
            blocks: Some(12),
            seed: 7,
            results: std::path::Path::new("results/r"),
            estimate: Duration::from_secs(96),
        };
        state.begin(&plan, now);
        state.point(1, &Setting::from([("load.rate".to_owned(), 400.into())]), &arms);
        state.stage = format!("block {}/12", blocks + 1);
        for (arm, ns) in [(0, 150_000), (1, 100_000)] {
            let mut responses = Hist::new();
            (0..5000).for_each(|i| responses.record(ns + i));
            state.second(arm, &responses, now);
        }
        let mut run = sample::ratios(0.8, 0.5);
        run.trials.retain(|t| t.block < blocks);
        state.interim = Some(interim(&run, 0));
        state.advance(Duration::from_secs(48), now);
        state
    }

    pub fn block(valid: bool) -> BlockEnded {
        BlockEnded {
            number: 2,
            valid,
            reasons: if valid { Vec::new() } else { vec!["webhook@builtin: target exited".into()] },
            blocks_valid: 9,
            blocks_voided: usize::from(!valid),
            blocks_wanted: 12,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn responses(n: u64) -> Hist {
        let mut responses = Hist::new();
        (0..n).for_each(|_| responses.record(100_000));
        responses
    }

    #[test]
    fn the_reports_of_all_shards_are_one_second() {
        let began = Instant::now();
        let at = |ms| began + Duration::from_millis(ms);
        let mut state = State::new(began);
        state.point(0, &Setting::new(), &["a".to_owned(), "b".to_owned()]);
        state.turns(1, at(0));
        state.second(0, &responses(300), at(1000));
        state.second(0, &responses(200), at(1010));
        assert_eq!(state.take_ended(false, at(1050)), [0; 0], "another shard may follow");
        assert_eq!((state.arms[0].latest(), state.arms[0].rate()), (500, 500.0));
        assert_eq!(state.take_ended(false, at(1600)), [0]);
        assert_eq!(state.take_ended(true, at(1600)), [0; 0], "each second is taken once");
        state.second(0, &responses(480), at(2000));
        state.second(0, &responses(40), at(2510));
        state.second(1, &responses(7), at(2510));
        assert_eq!((state.arms[0].latest(), state.arms[0].rate()), (40, 40.0 / 0.51));
        assert_eq!(state.arms[0].figures().count, 1020);
        assert_eq!(state.take_ended(true, at(2511)), [0, 1]);
    }

    #[test]
    fn a_second_that_a_trial_cuts_short_says_no_rate_where_another_does() {
        let began = Instant::now();
        let at = |ms| began + Duration::from_millis(ms);
        let mut state = State::new(began);
        state.point(0, &Setting::new(), &["a".to_owned()]);
        state.turns(1, at(0));
        state.second(0, &responses(120), at(400));
        assert_eq!(state.arms[0].rate(), 300.0, "a trial of 400 ms");
        state.turns(1, at(5000));
        state.second(0, &responses(80), at(5400));
        assert_eq!(state.arms[0].rate(), 200.0, "the trial before says nothing of this one");
        state.turns(1, at(9000));
        state.second(0, &responses(250), at(10_000));
        state.second(0, &responses(30), at(10_050));
        assert_eq!(state.arms[0].rate(), 280.0, "late reports of another shard");
        state.second(0, &responses(20), at(10_300));
        assert_eq!(state.arms[0].rate(), 280.0, "a second cut short");
    }

    #[test]
    fn the_time_left_follows_the_pace() {
        let began = Instant::now();
        let at = |s| began + Duration::from_secs(s);
        let mut state = State::new(began);
        state.total = Duration::from_secs(40);
        assert_eq!(state.left(at(2)).as_secs(), 38);
        state.advance(Duration::from_secs(10), at(12));
        state.advance(Duration::from_secs(10), at(32));
        assert_eq!(state.left(at(32)).as_secs(), 40, "10 s took 20: the other 20 take 40");
        assert_eq!(state.left(at(42)).as_secs(), 30);
        assert_eq!(state.share(), 0.5);
        assert_eq!(state.left(at(900)), Duration::ZERO);
    }

    #[test]
    fn a_point_that_goes_on_keeps_its_blocks_and_the_next_has_none() {
        let mut state = sample::state(3, Instant::now());
        state.block(&sample::block(false));
        state.block(&sample::block(true));
        state.point(1, &Setting::new(), &[]);
        assert!(state.voided.is_some() && state.interim.is_some());
        assert!(state.block.as_ref().is_some_and(|b| b.valid));
        state.point(2, &Setting::new(), &[]);
        assert!(state.voided.is_none() && state.interim.is_none() && state.block.is_none());
    }
}
