//! `[duplex]`: how questions are answered.

use crate::scenario::draft::Wrong;
use crate::units;
use crate::units::nanos;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// `[duplex]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Questions {
    /// Bytes of the built-in server's answer.
    pub answer_bytes: usize,
    /// How long the built-in server takes to have an answer.
    #[serde(with = "nanos")]
    pub takes: Duration,
}

impl Default for Questions {
    fn default() -> Questions {
        Questions { answer_bytes: 512, takes: Duration::ZERO }
    }
}

impl Questions {
    /// A key that differs from what holds when it is left out.
    pub(super) fn given(&self) -> Option<&'static str> {
        let usual = Questions::default();
        [
            ("duplex.answer_bytes", self.answer_bytes != usual.answer_bytes),
            ("duplex.takes", self.takes != usual.takes),
        ]
        .into_iter()
        .find_map(|(key, given)| given.then_some(key))
    }

    /// What an answer takes must be within what a question may wait.
    pub(super) fn check(&self, timeout: Duration) -> Result<(), Wrong> {
        if self.takes < timeout {
            return Ok(());
        }
        let takes = units::nanos_text(self.takes.as_nanos() as f64);
        let why =
            format!("{takes}: every question has timed out by then: write less than load.timeout");
        Err(Wrong::new("duplex.takes", why).against("load.timeout"))
    }
}
