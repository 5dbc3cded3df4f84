//! Slow-downs that are meant: each with a ceiling, a day on which it expires, and a reason.

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

impl Waiver {
    /// ISO days compare as text does.
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
}
