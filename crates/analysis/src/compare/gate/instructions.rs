//! The gate that judges instructions: counts of two lengths for each arm of each block, and what they come to.

use crate::compare::gate::draft::{Draft, NOT_CLEAN, Subject};
use crate::compare::gate::evidence::Evidence;
use crate::compare::gate::judge::{lines, verdict, waivers};
use crate::compare::gate::values::Values;
use crate::compare::gate::{
    BASE, CANDIDATE, Gate, Look, Margin, MarginSource, NULL, Outcome, Settings, sentence,
};
use pushbench_core::record::metrics::INSTRUCTIONS;
use pushbench_core::scenario::Setting;
use pushbench_core::units;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a candidate may execute more. 1 % more must be found, which a limit of 1 % would miss in half of the gates, and
/// equal builds, which should differ by less than 0.3 %, must pass: the limit lies between the two.
const SHARE: f64 = 0.005;

/// How many events a trial has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Length {
    /// Enough for what is done once.
    Short,
    /// As many, and those that are judged.
    Long,
}

/// One start of one arm: so many events, so many instructions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstructionTrial {
    /// From 0.
    pub block: usize,
    /// `webhook@base`
    pub arm: String,
    /// Which of the two.
    pub length: Length,
    /// Events that were acknowledged, which are all.
    pub events: u64,
    /// In user space, over the process tree, from its start to its end.
    pub instructions: u64,
    /// Processes that were counted apart.
    pub processes: usize,
    /// From its start to its end.
    pub seconds: f64,
}

/// How instructions were counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Method {
    /// `valgrind 3.19.0 (cachegrind)`
    pub counter: String,
    /// Blocks that were planned.
    pub blocks: usize,
    /// Every start had the same addresses.
    pub addresses_fixed: bool,
    /// What every target had in its environment.
    pub environment: BTreeMap<String, String>,
}

/// What is allowed.
pub fn margin() -> Margin {
    Margin {
        metric: INSTRUCTIONS.name.to_owned(),
        share: SHARE,
        source: MarginSource::Fixed,
        bias: None,
        qualified: true,
    }
}

/// Judges what was counted.
pub fn judge(
    scenario: &str,
    method: &Method,
    trials: &[InstructionTrial],
    settings: &Settings,
) -> Gate {
    let look = Look::only();
    let mut transports: Vec<&str> = Vec::new();
    for transport in trials.iter().filter_map(|t| Some(t.arm.rsplit_once('@')?.0)) {
        if !transports.contains(&transport) {
            transports.push(transport);
        }
    }
    let found: Vec<Counts> = transports.iter().map(|t| Counts::of(t, trials)).collect();
    let margin = settings.margins.first().cloned().unwrap_or_else(margin);
    let draft = |(transport, counts): (&&str, &Counts)| {
        let subject = Subject {
            setting: Setting::new(),
            transport: (*transport).to_owned(),
            metric: &INSTRUCTIONS,
            margin: &margin,
            design: None,
            waiver: settings.waiver(scenario, INSTRUCTIONS.name),
        };
        Draft::new(subject, counts.evidence())
    };
    let drafts = transports.iter().zip(&found).map(draft).collect();
    let mut gate = Gate::without_records(scenario);
    gate.looks_planned = Some(look.planned);
    gate.lines = lines(drafts, settings, &look);
    for line in &mut gate.lines {
        if line.outcome == Outcome::CannotTell && line.why.as_deref() == Some(NOT_CLEAN) {
            line.why = Some(format!(
                "{NOT_CLEAN}: what the target does by itself, such as compiling and collecting garbage, varies by more than \
                 the margin"
            ));
        }
    }
    gate.waivers = waivers(settings, scenario, &gate.lines);
    gate.blocks_valid = found.iter().map(|c| c.base.len()).min().unwrap_or_default();
    gate.blocks_run = method.blocks;
    gate.method = described(method, trials, &transports);
    if gate.blocks_valid < method.blocks {
        let measured = format!("{} of {} blocks were counted", gate.blocks_valid, method.blocks);
        gate.open.push(measured);
    }
    gate.verdict = verdict(&gate);
    gate.sentence = sentence::closing(&gate);
    gate
}

/// Instructions for each event of one transport, block by block.
#[derive(Debug, Default)]
struct Counts {
    base: Vec<f64>,
    candidate: Vec<f64>,
    null: Vec<f64>,
    /// An arm had more processes in its longer trials.
    forks: bool,
}

impl Counts {
    fn of(transport: &str, trials: &[InstructionTrial]) -> Counts {
        let mut counts = Counts::default();
        let blocks = trials.iter().map(|t| t.block + 1).max().unwrap_or_default();
        for block in 0..blocks {
            let of = |part: &str, length: Length| {
                trials.iter().find(|t| {
                    let arm = t.arm.rsplit_once('@') == Some((transport, part));
                    arm && (t.block, t.length) == (block, length)
                })
            };
            let pair = |part: &str| Some((of(part, Length::Short)?, of(part, Length::Long)?));
            let all = [BASE, CANDIDATE, NULL].map(pair);
            let [Some(base), Some(candidate), Some(null)] = all else { continue };
            counts.forks |= [base, candidate, null].iter().any(|(a, b)| a.processes != b.processes);
            counts.base.push(slope(base));
            counts.candidate.push(slope(candidate));
            counts.null.push(slope(null));
        }
        counts
    }

    fn evidence(&self) -> Evidence {
        let values = |other: &[f64]| {
            let all = self.base.iter().chain(other);
            all.clone().all(|v| *v > 0.0).then(|| Values {
                base: self.base.clone(),
                candidate: other.to_vec(),
                paired: true,
                runs: Vec::new(),
            })
        };
        let (found, null) = (values(&self.candidate), values(&self.null));
        let mut evidence = Evidence::from_values(&INSTRUCTIONS, found, None, null);
        if self.forks {
            evidence.doubt = Some(
                "the target starts processes for events, and valgrind counts a forked process from the beginning of its \
                 parent: count on a machine with hardware counters"
                    .to_owned(),
            );
        }
        evidence
    }
}

/// Instructions of an event: what the longer trial executed more, over the events it had more.
fn slope((short, long): (&InstructionTrial, &InstructionTrial)) -> f64 {
    let events = long.events.saturating_sub(short.events).max(1);
    (long.instructions as f64 - short.instructions as f64) / events as f64
}

/// How it was counted, in sentences.
fn described(method: &Method, trials: &[InstructionTrial], transports: &[&str]) -> Vec<String> {
    let mut said = vec![format!(
        "counted by {}, in user space, over the target's processes from start to end",
        method.counter
    )];
    for transport in transports {
        let events = |length: Length| {
            let mine = |t: &&InstructionTrial| {
                t.length == length && t.arm.rsplit_once('@').is_some_and(|(t, _)| t == *transport)
            };
            trials.iter().find(mine).map(|t| units::count(t.events as f64))
        };
        if let (Some(short), Some(long)) = (events(Length::Short), events(Length::Long)) {
            said.push(format!(
                "{transport}: in each of {} blocks, base, candidate and null were started for {short} and for {long} events, \
                 one event after the other; the difference is the figure, so that start and end do not count",
                method.blocks
            ));
        }
    }
    if !method.environment.is_empty() {
        let all: Vec<String> =
            method.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        said.push(format!("every target had {} in its environment", all.join(" ")));
    }
    if !method.addresses_fixed {
        said.push(
            "addresses differed from start to start: this environment does not allow to fix them"
                .to_owned(),
        );
    }
    said.push(
        "not seen: the kernel's part (system calls), caches, branches, locks, and time spent waiting"
            .to_owned(),
    );
    said
}
