//! The figures that only a duplex has: answers by callback.

use crate::compare::Latency;
use crate::compare::figures::{distribution, over_blocks, per};
use pushbench_core::record::callbacks::Callbacks;
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::trial::Trial;
use pushbench_core::record::wire::Traffic;
use pushbench_core::scenario::Questions;
use pushbench_core::units;
use serde::Serialize;

/// Figures of answers by callback, from the merged measured windows of valid trials.
#[derive(Debug, Clone, Serialize)]
pub struct CallbackFigures {
    /// From due to the word that the question was accepted.
    pub accepted_ns: Latency,
    /// Connections on which answers came, mean over trials; the arm's connections contain them.
    pub connections_per_trial: Option<f64>,
    /// What they carried from the target for each question sent; the arm's bytes contain it.
    pub bytes_in_per_event: Option<f64>,
    /// To the target.
    pub bytes_out_per_event: Option<f64>,
}

/// The figures of an arm's valid trials; `None` where answers come in another way.
pub fn figures(trials: &[&Trial]) -> Option<CallbackFigures> {
    let all: Option<Vec<&Callbacks>> =
        trials.iter().map(|t| t.account.callbacks.as_ref()).collect();
    let all = all.filter(|all| !all.is_empty())?;
    let (mut accepted, mut traffic) = (Hist::new(), Traffic::default());
    for callbacks in &all {
        accepted.merge(&callbacks.accepted);
        traffic.add(&callbacks.traffic);
    }
    let blocks: Vec<Option<&Hist>> = all.iter().map(|c| Some(&c.accepted)).collect();
    let sent = trials.iter().map(|t| t.account.sent).sum();
    let connections = all.iter().map(|c| c.connections).sum();
    Some(CallbackFigures {
        accepted_ns: distribution(&accepted, trials, false, |q| over_blocks(&blocks, q)),
        connections_per_trial: per(connections, trials.len() as u64),
        bytes_in_per_event: per(traffic.bytes_in, sent),
        bytes_out_per_event: per(traffic.bytes_out, sent),
    })
}

/// `answers of 512 B after 5 ms`
pub fn describe(questions: &Questions) -> String {
    let mut text = format!("answers of {}", units::bytes(questions.answer_bytes as f64));
    if !questions.takes.is_zero() {
        let takes = units::nanos_text(questions.takes.as_nanos() as f64);
        text.push_str(&format!(" after {takes}"));
    }
    text
}
