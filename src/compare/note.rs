//! A note on a point: what it says, which figures it bears on, and whether it can move them.

use crate::record::metrics::{METRICS, Metric};
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
    /// True where these figures would be others without what the note says.
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
    pub fn can_move(&self, arms: &[&str], metric: &str) -> bool {
        let of_arm = self.arm.as_deref().is_none_or(|arm| arms.contains(&arm));
        self.moves_figures && of_arm && self.metrics.contains(&metric)
    }
}

/// Every latency: from due or from sent, of events or of deliveries.
pub fn is_latency(metric: &Metric) -> bool {
    matches!(metric.family, crate::record::metrics::Family::Latency { .. })
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
