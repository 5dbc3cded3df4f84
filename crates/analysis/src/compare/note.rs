//! A note on a point: what it says, which figures it bears on, and whether it can move them.

use pushbench_core::record::metrics::{METRICS, Metric};
use serde::Serialize;
use std::fmt::Display;

/// What to know before believing a point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// The note itself, beginning with the arm's name where it is about one.
    #[serde(rename = "note")]
    pub text: String,
    /// The arm whose figures it bears on; `null`: those of every arm.
    pub arm: Option<String>,
    /// The metrics that it bears on; empty where it is about no figure.
    pub metrics: Vec<&'static str>,
    /// True where the cause of the note affects these figures.
    pub moves_figures: bool,
}

/// A note that bears on no figure.
impl From<String> for Note {
    fn from(text: String) -> Note {
        Note { text, arm: None, metrics: Vec::new(), moves_figures: false }
    }
}

impl Note {
    /// A note on an arm that bears on no figure.
    pub fn of(arm: &str, text: impl Display) -> Note {
        Note { arm: Some(arm.to_owned()), ..Note::from(format!("{arm}: {text}")) }
    }

    /// The same, bearing on these metrics without moving them.
    pub fn on(mut self, bears: impl Fn(&Metric) -> bool) -> Note {
        self.metrics = METRICS.iter().filter(|m| bears(m)).map(|m| m.name).collect();
        self
    }

    /// The same, able to move the figures of these metrics.
    pub fn moves(self, bears: impl Fn(&Metric) -> bool) -> Note {
        let note = self.on(bears);
        Note { moves_figures: !note.metrics.is_empty(), ..note }
    }

    /// The same without the metrics that a point does not show.
    pub(super) fn within(mut self, shown: impl Fn(&Metric) -> bool) -> Note {
        let named = |name: &str| METRICS.iter().find(|m| m.name == name);
        self.metrics.retain(|name| named(name).is_some_and(&shown));
        self.moves_figures &= !self.metrics.is_empty();
        self
    }

    /// Whether it can move the figure of a metric in one of these arms.
    pub(crate) fn can_move(&self, arms: &[&str], metric: &str) -> bool {
        let of_arm = self.arm.as_deref().is_none_or(|arm| arms.contains(&arm));
        self.moves_figures && of_arm && self.metrics.contains(&metric)
    }
}

/// Every latency: from due or from sent, of events or of deliveries.
pub(crate) fn is_latency(metric: &Metric) -> bool {
    matches!(metric.family, pushbench_core::record::metrics::Family::Latency { .. })
}

/// Whether a metric's name begins with one of these words: `response.p99` with `response`.
pub fn begins(metric: &Metric, words: &[&str]) -> bool {
    metric.name.split('.').next().is_some_and(|word| words.contains(&word))
}

/// The part of the events that lies beyond a percentile; `None` for other metrics.
pub fn beyond(metric: &Metric) -> Option<f64> {
    Some(match metric.name.rsplit('.').next()? {
        "p50" => 0.5,
        "p90" => 0.1,
        "p99" => 0.01,
        "p99_9" => 0.001,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use crate::compare::sample::{Block, ratios, run};
    use crate::compare::{Standing, Validity, compare};
    use pushbench_core::record::run::StoredRun;

    const ARMS: [&str; 2] = ["webhook@builtin", "websocket@builtin"];

    fn validity(run: &StoredRun) -> Validity {
        compare(run).points.remove(0).validity
    }

    #[test]
    fn a_note_marks_the_figures_that_it_can_move_and_no_other() {
        let mut spilled = ratios(0.8, 0.5);
        spilled.trials.iter_mut().for_each(|t| t.account.spill = t.account.measured.due / 10);
        let v = validity(&spilled);
        assert_eq!(v.standing(), Standing::Movable);
        assert_eq!(v.moving(&ARMS[..1], "response.p99"), [1], "of every arm");
        assert!(v.moving(&ARMS, "target_usage.cpu_ns_per_event").is_empty());
        assert!(!v.notes[0].metrics.contains(&"delivery.p50"), "this flow has none");

        let late = Block { service: 100_000, cpu: 40_000, lag: 2_000_000 };
        let v = validity(&run(&[[Block::of(100_000, 40_000), late]; 12]));
        let [webhook, websocket] = ARMS.map(|arm| v.moving(&[arm], "response.p99"));
        assert!(webhook.is_empty() && websocket.len() == 1, "{:?}", v.notes);
        assert!(v.moving(&ARMS, "service.p99").is_empty(), "lag is no part of it");
        assert!(v.moving(&ARMS, "response.p50").is_empty());
    }

    #[test]
    fn missing_events_move_the_percentiles_that_they_could_lie_beyond() {
        for (missing, moved) in [(1, [false, false]), (40, [false, true]), (300, [true, true])] {
            let mut run = ratios(1.0, 1.0);
            for trial in run.trials.iter_mut().filter(|t| t.arm == 1) {
                trial.account.measured.acknowledged -= missing;
                trial.account.measured.failed = missing;
            }
            let v = validity(&run);
            assert!(v.notes.iter().any(|n| n.text.contains("not acknowledged")), "it is said");
            let of = |metric| !v.moving(&ARMS[1..], metric).is_empty();
            assert_eq!([of("response.p50"), of("response.p99")], moved, "{missing} of 3000");
        }
    }

    #[test]
    fn a_point_is_sound_only_where_nothing_speaks_against_it() {
        let sound = ratios(0.8, 0.5);
        assert_eq!(validity(&sound).standing(), Standing::Sound);
        let mut few = ratios(0.8, 0.5);
        few.trials.retain(|t| t.block < 3);
        assert_eq!(validity(&few).standing(), Standing::TooFew);
        let mut invalid = ratios(0.8, 0.5);
        invalid.trials[0].judged.invalid.push("lag".to_owned());
        assert_eq!(validity(&invalid).standing(), Standing::Unsound);
    }
}
