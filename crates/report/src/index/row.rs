//! What a list shows of a record.

use crate::capacity::{comparison, highest, range, unit};
use crate::gate::rows;
use crate::{headline, qualification, scorecard};
use pushbench_analysis::capacity::Capacity;
use pushbench_analysis::compare::gate::Gate;
use pushbench_analysis::compare::gate::qualification::{Header, Tried};
use pushbench_analysis::compare::history::Measured;
use pushbench_analysis::compare::{Report, Standing};
use pushbench_analysis::reach::Matrix;
use pushbench_analysis::scorecard::Card;
use pushbench_core::record::accuracy::Truth;
use serde::Serialize;
use std::collections::BTreeMap;

/// What is not known of a record.
const NONE: &str = "–";

/// A stored record, judged.
#[derive(Debug)]
pub enum Record {
    /// Of `pushbench run`.
    Run(Box<Measured>),
    /// Of `pushbench gate`.
    Gate(Box<GateRecord>),
    /// Of `pushbench capacity`.
    Capacity(Box<Capacity>),
    /// Of `pushbench reach`.
    Reach(Box<Matrix>),
    /// Of `pushbench scorecard`.
    Scorecard(Box<Card>),
    /// Of `pushbench qualify`.
    Qualification(Box<Header>, Vec<Tried>),
    /// Of `pushbench selftest --truth`.
    Accuracy(Box<Truth>),
}

/// A gate with its circumstances.
#[derive(Debug)]
pub struct GateRecord {
    /// The base and the candidate, as given on the command line.
    pub sides: [String; 2],
    /// Version of pushbench that measured.
    pub pushbench: String,
    /// When it began, UTC.
    pub began: String,
    /// The machine; empty where no block was begun.
    pub environment: BTreeMap<String, String>,
    /// The verdict; `None` before the first look.
    pub verdict: Option<Gate>,
}

/// A record in a list.
#[derive(Debug, Serialize)]
pub struct Row {
    /// What it is, in a word.
    pub kind: &'static str,
    /// The scenario's name, or what was tried.
    pub scenario: String,
    /// The arms; of a gate its two sides.
    pub arms: Vec<String>,
    /// The machine in a few words.
    pub machine: String,
    /// Version of pushbench that wrote it.
    pub pushbench: String,
    /// When it began, UTC; empty where that is not recorded.
    pub began: String,
    /// Valid blocks and all that were run; `null` where there are no blocks.
    pub blocks: Option<[usize; 2]>,
    /// What it comes to, in the sentences of its own report.
    pub verdict: Vec<String>,
    /// Of a gate, the class of its verdict and a mark with its word.
    #[serde(serialize_with = "word")]
    pub outcome: Option<(&'static str, &'static str)>,
    /// Whether it can be trusted, in a word or two.
    pub validity: &'static str,
    /// Whether that leaves nothing to know before believing it.
    pub sound: bool,
}

fn word<S: serde::Serializer>(
    outcome: &Option<(&'static str, &'static str)>,
    to: S,
) -> Result<S::Ok, S::Error> {
    outcome.map(|(_, word)| word.trim_start_matches(|c: char| !c.is_alphabetic())).serialize(to)
}

/// Several of a kind.
pub(super) fn plural(kind: &str) -> String {
    match kind {
        "capacity" => "capacities".to_owned(),
        "reach" => "matrices of paths".to_owned(),
        "accuracy" => "pages of the self-test".to_owned(),
        other => format!("{other}s"),
    }
}

impl Row {
    /// Of a record.
    pub fn of(record: &Record) -> Row {
        match record {
            Record::Run(run) => of_run(run),
            Record::Gate(gate) => of_gate(gate),
            Record::Capacity(capacity) => of_capacity(capacity),
            Record::Reach(matrix) => of_reach(matrix),
            Record::Scorecard(card) => of_card(card),
            Record::Qualification(header, tried) => of_qualification(header, tried),
            Record::Accuracy(truth) => of_truth(truth),
        }
    }

    /// `run of ingest`
    pub(crate) fn title(&self) -> String {
        if self.scenario.is_empty() {
            self.kind.to_owned()
        } else {
            format!("{} of {}", self.kind, self.scenario)
        }
    }

    /// The day it began.
    pub(crate) fn day(&self) -> &str {
        if self.began.is_empty() { NONE } else { self.began.get(..10).unwrap_or(&self.began) }
    }

    /// `12 of 12 blocks`
    pub(crate) fn blocks_text(&self) -> Option<String> {
        self.blocks.map(|[valid, run]| format!("{valid} of {run} blocks"))
    }
}

/// `AMD EPYC, 2 CPUs`
fn machine(environment: &BTreeMap<String, String>) -> String {
    let cpu = environment.get("cpu").map_or("an unknown CPU", String::as_str);
    match environment.get("cpus") {
        Some(cpus) => format!("{cpu}, {cpus} CPUs"),
        None => cpu.to_owned(),
    }
}

fn of_run(run: &Measured) -> Row {
    let (header, report) = (&run.header, &run.report);
    let sum = |of: fn(&pushbench_analysis::compare::Design) -> usize| {
        report.points.iter().map(|p| of(&p.design)).sum()
    };
    let arms = header.points.first().map(|p| &p.arms[..]).unwrap_or_default();
    let several = match header.machines.len() {
        0 => String::new(),
        n => format!("{n} machines; "),
    };
    Row {
        kind: "run",
        scenario: header.scenario.clone(),
        arms: arms.iter().map(|a| a.label.clone()).collect(),
        machine: several + &machine(&header.environment),
        pushbench: header.pushbench.clone(),
        began: header.started.clone(),
        blocks: Some([sum(|d| d.blocks_valid), sum(|d| d.blocks_run)]),
        verdict: headline::sentences(report, run.sweep.as_ref()),
        outcome: None,
        validity: validity(report, run.standing),
        sound: report.complete && run.standing == Standing::Sound,
    }
}

fn validity(report: &Report, standing: Standing) -> &'static str {
    match standing {
        _ if !report.records_differ.is_empty() => "records differ",
        _ if !report.complete => "cut short",
        Standing::Sound => "valid",
        Standing::TooFew => "too few blocks",
        Standing::Movable => "notes affect figures",
        Standing::Unsound => "trials not valid",
    }
}

fn of_gate(gate: &GateRecord) -> Row {
    let verdict = gate.verdict.as_ref();
    let ended = |g: &Gate| if g.failure.is_some() { "no verdict" } else { "judged" };
    Row {
        kind: "gate",
        scenario: verdict.map(|g| g.scenario.clone()).unwrap_or_default(),
        arms: gate.sides.to_vec(),
        machine: if gate.environment.is_empty() {
            NONE.to_owned()
        } else {
            machine(&gate.environment)
        },
        pushbench: gate.pushbench.clone(),
        began: gate.began.clone(),
        blocks: verdict.map(|g| [g.blocks_valid, g.blocks_run]),
        verdict: verdict.map(|g| g.sentence.clone()).into_iter().collect(),
        outcome: verdict.map(rows::verdict),
        validity: verdict.map_or("no verdict", ended),
        sound: verdict.is_some_and(|g| g.failure.is_none()),
    }
}

fn whole(complete: bool) -> &'static str {
    if complete { "complete" } else { "cut short" }
}

fn of_capacity(capacity: &Capacity) -> Row {
    let record = &capacity.record;
    let unit = unit(capacity);
    let arm = |a: &pushbench_analysis::capacity::ArmCapacity| {
        format!("{}: {} {unit} {}", a.arm, highest(a), range(a))
    };
    let arms = capacity.arms.iter().map(arm);
    Row {
        kind: "capacity",
        scenario: record.scenario.name.clone(),
        arms: record.arms.clone(),
        machine: machine(&record.machine),
        pushbench: record.version.clone(),
        began: record.began.clone(),
        blocks: None,
        verdict: arms.chain(capacity.comparisons.iter().map(|c| comparison(c) + ".")).collect(),
        outcome: None,
        validity: whole(record.complete),
        sound: record.complete,
    }
}

fn of_reach(matrix: &Matrix) -> Row {
    let header = &matrix.header;
    let (paths, arms) = crate::reach::axes(matrix);
    let (through, tried) = matrix.passages();
    Row {
        kind: "reach",
        scenario: format!("{} paths", paths.len()),
        arms: arms.into_iter().map(str::to_owned).collect(),
        machine: machine(&header.machine),
        pushbench: header.version.clone(),
        began: header.began.clone(),
        blocks: None,
        verdict: vec![format!("Events get through in {through} of {tried} cells that were tried.")],
        outcome: None,
        validity: whole(header.complete),
        sound: header.complete,
    }
}

fn of_card(card: &Card) -> Row {
    let record = &card.record;
    let factor = |f: &pushbench_analysis::scorecard::Factor| {
        format!("{}: {}.", f.factor, scorecard::verdict(f))
    };
    Row {
        kind: "scorecard",
        scenario: format!("{} form", record.form.name()),
        arms: vec![record.webhook.clone(), record.websocket.clone()],
        machine: machine(&record.machine),
        pushbench: record.version.clone(),
        began: record.began.clone(),
        blocks: None,
        verdict: card.factors.iter().map(factor).collect(),
        outcome: None,
        validity: whole(record.complete),
        sound: record.complete,
    }
}

fn of_qualification(header: &Header, tried: &[Tried]) -> Row {
    let gates = tried.iter().map(|t| t.gate).max().unwrap_or(0);
    Row {
        kind: "qualification",
        scenario: header.scenario.clone(),
        arms: vec![header.transport.clone()],
        machine: NONE.to_owned(),
        pushbench: NONE.to_owned(),
        began: String::new(),
        blocks: None,
        verdict: qualification::sentences(tried),
        outcome: None,
        validity: whole(gates >= header.gates),
        sound: gates >= header.gates,
    }
}

fn of_truth(truth: &Truth) -> Row {
    Row {
        kind: "accuracy",
        scenario: String::new(),
        arms: Vec::new(),
        machine: machine(&truth.machine),
        pushbench: truth.version.clone(),
        began: truth.began.clone(),
        blocks: None,
        verdict: vec![format!("Errors of the figures, over {} trials each.", truth.trials)],
        outcome: None,
        validity: whole(true),
        sound: true,
    }
}
