//! `pushbench scorecard`: five factors, each with a question, what was measured, the usual claim, and what the figures
//! make of it.

mod judge;
mod measured;
mod questions;
#[cfg(test)]
mod tests;

pub use judge::judge;
pub use measured::{of_capacity, of_matrix, of_run, same_plan};
pub use questions::metrics;

use crate::advice::Duties;
use pushbench_core::scorecard::CardRecord;
use serde::Serialize;

/// A card. Its JSON is schema 1 and holds the record that it is derived from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Card {
    /// The record.
    #[serde(flatten)]
    pub record: CardRecord,
    /// The factors in the order of the article.
    pub factors: Vec<Factor>,
    /// What has to be built beside sending and receiving, for each transport.
    pub duties: Vec<Duties>,
    /// What no question is about.
    pub not_measured: Vec<&'static str>,
}

/// A factor with its verdict.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Factor {
    /// Its name.
    pub factor: &'static str,
    /// The question.
    pub question: &'static str,
    /// What is usually said, in our words.
    pub claim: &'static str,
    /// What the figures make of it.
    pub verdict: Verdict,
    /// Questions whose answers agree with the claim.
    pub agree: usize,
    /// Questions whose answers speak against it.
    pub disagree: usize,
    /// Questions whose answers differ by too little to matter, or not at all.
    pub too_small: usize,
    /// Questions that were measured and not decided.
    pub cannot_tell: usize,
    /// The answers.
    pub because: Vec<Line>,
    /// Questions without an answer, and why.
    pub not_measured: Vec<String>,
}

/// What becomes of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// Every answer that was decided agrees with it.
    #[serde(rename = "borne out")]
    BorneOut,
    /// None does, and at least one was decided.
    #[serde(rename = "contradicted")]
    Contradicted,
    /// Some do.
    #[serde(rename = "depends")]
    Depends,
    /// No answer was decided: nothing was measured, or not well enough to tell.
    #[serde(rename = "not measured")]
    NotMeasured,
}

impl Verdict {
    /// As in the JSON.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::BorneOut => "borne out",
            Verdict::Contradicted => "contradicted",
            Verdict::Depends => "depends",
            Verdict::NotMeasured => "not measured",
        }
    }
}

/// What an answer says of the claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Stance {
    /// It agrees.
    #[serde(rename = "agrees")]
    Agrees,
    /// It speaks against it: the difference points the other way.
    #[serde(rename = "disagrees")]
    Disagrees,
    /// It speaks against it: the difference is too small to matter, whichever way it points.
    #[serde(rename = "too small to matter")]
    TooSmall,
    /// The figures do not decide.
    #[serde(rename = "cannot tell")]
    CannotTell,
    /// The claim does not say.
    #[serde(rename = "no claim")]
    NoClaim,
}

impl Stance {
    /// As in the JSON.
    pub fn name(self) -> &'static str {
        match self {
            Stance::Agrees => "agrees",
            Stance::Disagrees => "disagrees",
            Stance::TooSmall => "too small to matter",
            Stance::CannotTell => "cannot tell",
            Stance::NoClaim => "no claim",
        }
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// The whole answer.
    pub sentence: String,
    /// What was compared.
    pub what: String,
    /// Under which conditions.
    pub conditions: String,
    /// The arms with their figures, the first one the baseline.
    pub arms: Vec<[String; 2]>,
    /// Ratio or difference of the second to the first, in `unit`; `null` where there is none.
    pub figure: Option<f64>,
    /// Its 95 % interval; `null` of counts, which are exact.
    pub ci95: Option<[f64; 2]>,
    /// Unit of `figure`: `ratio`, `ns`, or `null`.
    pub unit: Option<&'static str>,
    /// The figure with its interval, as it is written.
    pub difference: String,
    /// What it says of the claim.
    pub claim: Stance,
    /// The reason, where that needs saying.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The directory that it comes from; `null` of code, which is in the program.
    pub run: Option<String>,
}
