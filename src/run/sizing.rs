//! `compare.blocks = "auto"`: the first blocks say how many there will be.

use crate::run::Request;
use pushbench_analysis::compare::sizing::Pilot;
use pushbench_core::record::sizing::{MOST_BLOCKS, PILOT_BLOCKS, Sizing};
use pushbench_core::record::trial::Trial;
use pushbench_core::scenario::{Blocks, Scenario};
use std::time::Duration;

/// The first blocks of a point that finds its own number of blocks.
pub struct AutoSizing {
    pilot: Pilot,
    precision: f64,
}

impl AutoSizing {
    /// `None` where the number is fixed.
    pub fn of(request: &Request, scenario: &Scenario) -> Option<AutoSizing> {
        let Blocks::Auto { precision } = scenario.compare.blocks else { return None };
        let arms: Vec<String> = request.arms.iter().map(|a| a.label.clone()).collect();
        Some(AutoSizing { pilot: Pilot::new(scenario, &arms), precision })
    }

    /// The number of blocks, once enough of them have shown it, and never again.
    pub fn size(&mut self, block: &[Trial]) -> Option<Sizing> {
        self.pilot.add(block);
        (self.pilot.blocks() == PILOT_BLOCKS).then(|| self.pilot.sizing(self.precision))?
    }
}

/// `service.p50 of websocket@builtin varies by 4.1 % from block to block: 14 blocks find a slow-down of
/// 10 % nine times in ten; 6 more take about 24 s`
pub fn sizing_line(sizing: &Sizing, more: Duration) -> String {
    let Sizing { blocks, seen, metric, candidate, deviation, finds } = sizing;
    let most = if *blocks == MOST_BLOCKS { ", the maximum of auto," } else { "" };
    let more = match blocks - seen {
        0 => "no more blocks are needed".to_owned(),
        n => format!("{n} more take about {} s", more.as_secs().max(1)),
    };
    format!(
        "{metric} of {candidate} varies by {:.1} % from block to block: {blocks} blocks{most} detect a slow-down of {:.1} % nine times in ten; {more}",
        deviation * 100.0,
        finds * 100.0
    )
}
