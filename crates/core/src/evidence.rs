//! Figures that advice rests on, each with the run that it was measured in.

use crate::record::ease::StackEase;
use serde::{Deserialize, Serialize};

/// Version of the file.
pub const SCHEMA: u32 = 1;

/// All that is known.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// [`SCHEMA`]
    pub schema: u32,
    /// The runs.
    pub runs: Vec<Run>,
    /// What they measured.
    pub figures: Vec<Figure>,
    /// What got through which path.
    pub passages: Vec<Passage>,
    /// The code of programs that serve webhook and WebSocket; counted, not stored.
    #[serde(skip)]
    pub stacks: Vec<StackEase>,
}

/// A run that figures come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its directory.
    pub dir: String,
    /// Of the program.
    pub version: String,
    /// When it began, UTC.
    pub began: String,
    /// The machine's CPU.
    pub cpu: String,
    /// True of a run that was made for this advice, on this machine.
    pub own: bool,
}

/// A metric of an arm: its mean over the valid blocks, or a percentile of what was measured in all of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The transport.
    pub transport: String,
    /// Over TLS.
    pub tls: bool,
    /// The metric, as in `pushbench list metrics`.
    pub metric: String,
    /// Under which load.
    pub setting: Setting,
    /// In the metric's unit.
    pub value: f64,
    /// The 95 % interval of a mean; `None` below the blocks that a verdict needs.
    pub ci95: Option<[f64; 2]>,
    /// Valid blocks.
    pub blocks: usize,
    /// Index of its run.
    pub run: usize,
}

/// The load under which a figure was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// Receivers: subscribers of a fan-out.
    pub receivers: u64,
    /// Many events were under way to one receiver at once, which is no subscriber.
    pub deep: bool,
    /// Whoever receives an event acknowledges it.
    pub acknowledged: bool,
    /// Events a second; `None` of a closed loop.
    pub rate: Option<f64>,
    /// Events that may be unanswered at once.
    pub in_flight: usize,
    /// Bytes of an event.
    pub payload_bytes: u64,
}

/// Whether an arm got through a path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    /// The path, as in `pushbench reach`.
    pub path: String,
    /// The transport.
    pub transport: String,
    /// Over TLS.
    pub tls: bool,
    /// Events arrived; `None` where it was not tried.
    pub through: Option<bool>,
    /// Its connection outlived a silence, or needs none.
    pub survives_silence: Option<bool>,
    /// The setting that cures what is lacking.
    pub cure: Option<String>,
    /// Why it did not get through.
    pub why: String,
    /// Index of its run.
    pub run: usize,
}

impl Evidence {
    /// Adds what else is known, with its runs.
    pub fn extend(&mut self, other: Evidence) {
        let shift = self.runs.len();
        self.runs.extend(other.runs);
        let figures = other.figures.into_iter();
        self.figures.extend(figures.map(|f| Figure { run: f.run + shift, ..f }));
        let passages = other.passages.into_iter();
        self.passages.extend(passages.map(|p| Passage { run: p.run + shift, ..p }));
        self.stacks.extend(other.stacks);
    }
}
