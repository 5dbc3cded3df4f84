//! The stored gates that judge instructions, judged again.

use crate::documents::read;
use crate::stated_results::texts::grid;
use pushbench_analysis::compare::gate::instructions::{
    InstructionTrial, Length, Method, judge, margin,
};
use pushbench_analysis::compare::gate::sample::settings;
use pushbench_analysis::compare::gate::{Gate, Outcome, Settings};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A stored gate: for each block, the counts of the two lengths.
#[derive(Deserialize)]
struct Stored {
    language: String,
    kind: String,
    counter: String,
    events: [u64; 2],
    base: Vec<[u64; 2]>,
    candidate: Vec<[u64; 2]>,
    null: Vec<[u64; 2]>,
}

impl Stored {
    fn gate(&self) -> Gate {
        let mut trials = Vec::new();
        let parts = [("base", &self.base), ("candidate", &self.candidate), ("null", &self.null)];
        for (part, blocks) in parts {
            for (block, counts) in blocks.iter().enumerate() {
                for (at, length) in [Length::Short, Length::Long].into_iter().enumerate() {
                    trials.push(InstructionTrial {
                        block,
                        arm: format!("webhook@{part}"),
                        length,
                        events: self.events[at],
                        instructions: counts[at],
                        processes: 1,
                        seconds: 0.0,
                    });
                }
            }
        }
        let method = Method {
            counter: self.counter.clone(),
            blocks: self.base.len(),
            addresses_fixed: true,
            environment: BTreeMap::new(),
        };
        let settings = Settings { margins: vec![margin()], ..settings() };
        judge("gate", &method, &trials, &settings)
    }
}

/// What the gates of each language came to.
pub fn gates() -> String {
    let stored: Vec<Stored> =
        serde_json::from_str(&read("results/gate-instructions/gates.json")).unwrap();
    let mut kinds: Vec<(&str, &str)> = Vec::new();
    for gate in &stored {
        let kind = (gate.language.as_str(), gate.kind.as_str());
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    let head = ["server", "candidate", "passed", "failed", "cannot tell", "slow-down", "null"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for (language, kind) in kinds {
        let mine =
            stored.iter().filter(|g| (g.language.as_str(), g.kind.as_str()) == (language, kind));
        let gates: Vec<Gate> = mine.map(Stored::gate).collect();
        let count = |outcome: Outcome| {
            let found = gates.iter().filter(|gate| gate.verdict == outcome).count();
            format!("{found} of {}", gates.len())
        };
        let range = |of: &dyn Fn(&Gate) -> Option<f64>| {
            let all: Vec<f64> = gates.iter().filter_map(of).map(|r| (r - 1.0) * 100.0).collect();
            let [low, high] = [f64::min, f64::max].map(|f| all.iter().copied().reduce(f));
            match (low, high) {
                (Some(low), Some(high)) => format!("{low:+.3} to {high:+.3} %"),
                _ => "–".to_owned(),
            }
        };
        rows.push(vec![
            language.to_owned(),
            kind.to_owned(),
            count(Outcome::Passed),
            count(Outcome::Regression),
            count(Outcome::CannotTell),
            range(&|gate| Some(gate.lines[0].slow_down.as_ref()?.ratio)),
            range(&|gate| Some(gate.lines[0].null.as_ref()?.ratio)),
        ]);
    }
    let counters: Vec<&str> = stored.iter().map(|g| g.counter.as_str()).collect();
    assert!(counters.iter().all(|c| *c == counters[0]), "counted in different ways");
    format!("Counted by {}:\n\n{}", counters[0], grid(&rows))
}
