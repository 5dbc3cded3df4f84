//! Slow-downs that are meant: each with a ceiling, a day on which it expires, and a reason.

use crate::compare::gate::{Line, Outcome};
use serde::{Deserialize, Serialize};

/// One entry of `waivers.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waiver {
    /// The scenario it speaks of.
    pub scenario: String,
    /// The metric it speaks of.
    pub metric: String,
    /// The slow-down it allows, 0.15 for 15 %.
    pub ceiling: f64,
    /// The last day on which it holds, `2026-12-31`, UTC.
    pub expires: String,
    /// Why it is meant.
    pub reason: String,
}

/// What a waiver came to in a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Its day is over: the gate fails until it is removed or renewed.
    Expired,
    /// The slow-down is larger than it allows.
    Exceeded,
    /// It is undecided whether the slow-down is smaller than it allows.
    Open,
    /// A line passes only because of it.
    InUse,
    /// Every line would have passed without it.
    NotNeeded,
    /// Nothing of its metric is judged.
    Unjudged,
}

impl State {
    /// As people read it.
    pub fn text(self) -> &'static str {
        match self {
            State::Expired => "EXPIRED waiver",
            State::Exceeded => "waiver exceeded",
            State::Open => "waiver, and cannot tell",
            State::InUse => "waiver in use",
            State::NotNeeded => "waiver not needed",
            State::Unjudged => "waiver of a metric that is not judged",
        }
    }
}

impl Waiver {
    /// Whether its last day was before this one. ISO days compare as text does.
    pub fn expired(&self, today: &str) -> bool {
        self.expires.as_str() < today
    }

    /// A line for people.
    pub fn text(&self) -> String {
        format!(
            "{} may be {:.0} % slower until {}: {}",
            self.metric,
            self.ceiling * 100.0,
            self.expires,
            self.reason
        )
    }

    pub(super) fn state(&self, today: &str, lines: &[Line]) -> State {
        if self.expired(today) {
            return State::Expired;
        }
        let mine = || lines.iter().filter(|l| l.metric == self.metric).map(|l| l.outcome);
        let order = [
            (Outcome::Regression, State::Exceeded),
            (Outcome::CannotTell, State::Open),
            (Outcome::Waived, State::InUse),
            (Outcome::Passed, State::NotNeeded),
        ];
        let worst = order.into_iter().find(|(outcome, _)| mine().any(|o| o == *outcome));
        worst.map_or(State::Unjudged, |(_, state)| state)
    }
}
