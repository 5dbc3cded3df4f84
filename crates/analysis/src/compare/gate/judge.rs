//! From pairs of trials to lines, from lines to a verdict.

use crate::compare::completeness;
use crate::compare::decide::is_judged;
use crate::compare::gate::draft::{Draft, Subject};
use crate::compare::gate::evidence::Evidence;
use crate::compare::gate::pairs;
use crate::compare::gate::pairs::{Found, Pairs, setting_text};
use crate::compare::gate::waiver::State;
use crate::compare::gate::{
    ALPHA, Exact, Gate, Line, Outcome, SCHEMA, Settings, WaiverUse, exact, ratio, sentence,
};
use crate::compare::trust::beside_others;
use crate::stats;
use pushbench_core::cpu_list::Cpus;
use pushbench_core::record::metrics;
use pushbench_core::record::run::StoredRun;
use pushbench_core::record::trial::Stage;
use pushbench_core::scenario::Setting;
use std::collections::BTreeSet;

/// Judges a run in which base, candidate and null are arms.
pub fn judge(run: &StoredRun, candidate: &str, settings: &Settings, stage: usize) -> Gate {
    let mut gate = decide(run, pairs::within(run, candidate), settings, stage, incomplete(run));
    if stage == 1 && gate.lines.iter().any(|l| l.decisive) {
        gate.notes.push(ONE_STAGE.to_owned());
    }
    completeness::differences(run).into_iter().fold(gate, Gate::left_open)
}

/// Judges a candidate measured now against an arm of a stored run. `differs`: what the machines and
/// programs of both do not have in common; that, or blocks of another kind, make the verdict advisory.
pub fn judge_against(
    stored: &StoredRun,
    arm: &str,
    now: &StoredRun,
    settings: &Settings,
    mut differs: Vec<String>,
) -> Gate {
    differs.extend(pairs::designs_differ(stored, now));
    let of_stored = |reason: &String| format!("the stored run: {reason}");
    let mut gate = decide(now, pairs::against(stored, arm, now), settings, 1, incomplete(now));
    if !stored.header.complete || stored.cut {
        let note = "the stored run is incomplete: its finished part is the base";
        gate.notes.push(note.to_owned());
    }
    if !differs.is_empty() {
        if gate.verdict == Outcome::Regression {
            gate.verdict = Outcome::CannotTell;
        }
        gate.advisory = Some(differs);
    }
    gate.sentence = sentence::closing(&gate);
    let mut differ: Vec<String> = completeness::differences(stored).iter().map(of_stored).collect();
    differ.extend(completeness::differences(now));
    differ.into_iter().fold(gate, Gate::left_open)
}

/// What a gate can judge where driver and target share a CPU.
const CPU_METRIC: &str = "target_usage.cpu_ns_per_event";

/// Why one stage is enough.
const ONE_STAGE: &str = "one stage is enough: even at 1/25 of the significance level the slow-down exceeds twice the allowed one";

/// Why a run that was cut short does not pass.
fn incomplete(run: &StoredRun) -> Vec<String> {
    let cut_short = !run.header.complete || run.cut;
    cut_short.then(|| "the run is incomplete".to_owned()).into_iter().collect()
}

/// `open`: what prevents a pass, apart from the lines.
fn decide(
    run: &StoredRun,
    found: Found<'_>,
    settings: &Settings,
    stage: usize,
    open: Vec<String>,
) -> Gate {
    let mut drafts: Vec<Draft> = found.pairs.iter().flat_map(|p| of_pair(p, settings)).collect();
    if settings.ratio {
        drafts.extend(ratio::all(&found.pairs, settings));
    }
    let lines = lines(drafts, settings);
    let exact: Vec<Exact> = found.pairs.iter().flat_map(exact::all).collect();
    let waivers = waivers(settings, &run.header.scenario, &lines);
    let fewest = found.pairs.iter().min_by_key(|p| p.blocks());
    let (valid, run_blocks) = fewest.map_or((0, 0), |p| (p.blocks(), p.blocks_run));
    let mut notes = Vec::new();
    if run_blocks > valid {
        notes.push(format!("{} of {run_blocks} blocks were voided", run_blocks - valid));
    }
    notes.extend(conditions(run));
    let mut gate = Gate {
        schema: SCHEMA,
        scenario: run.header.scenario.clone(),
        stage,
        blocks_valid: valid,
        blocks_run: run_blocks,
        verdict: Outcome::Passed,
        sentence: String::new(),
        lines,
        exact,
        missing: found.missing,
        waivers,
        open,
        notes,
        advisory: None,
        failure: None,
    };
    gate.verdict = verdict(&gate);
    gate.sentence = sentence::closing(&gate);
    gate
}

/// Under what conditions the blocks were measured, where these move the figures.
fn conditions(run: &StoredRun) -> Vec<String> {
    let mut notes = Vec::new();
    let shared = run.header.shared_cpus();
    if !shared.is_empty() {
        notes.push(format!(
            "driver and target shared the core of CPU {}: no time is judged; give them cores of their own (--cpus), or judge \
             what CPU the target uses: --judge {CPU_METRIC}",
            Cpus(&shared)
        ));
    }
    let trials = run.trials.iter().filter(|t| t.stage == Stage::Block && t.other_runs > 0);
    let blocks = trials.map(|t| (t.point, t.block)).collect::<BTreeSet<_>>().len();
    notes.extend(beside_others(blocks));
    notes
}

fn of_pair(pair: &Pairs<'_>, settings: &Settings) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for margin in &settings.margins {
        let metric = metrics::named(&margin.metric);
        let Some(metric) = metric.filter(|m| is_judged(m, pair.scenario)) else { continue };
        let subject = Subject {
            setting: pair.setting.clone(),
            transport: pair.transport.clone(),
            metric,
            margin,
            design: pair.base.first().map(|t| t.design.name()),
            waiver: settings.waiver(&pair.scenario.name, metric.name),
        };
        drafts.push(Draft::new(subject, Evidence::of(pair, metric)));
    }
    drafts
}

/// All lines of a gate: what is judged together is adjusted together, by Holm's procedure.
pub(super) fn lines(mut drafts: Vec<Draft>, settings: &Settings) -> Vec<Line> {
    let judged: Vec<&mut Draft> = drafts.iter_mut().filter(|d| d.p().is_some()).collect();
    let p: Vec<f64> = judged.iter().filter_map(|d| d.p()).collect();
    for (draft, confidence) in judged.into_iter().zip(stats::holm_confidences(&p, ALPHA)) {
        draft.judge_at(1.0 - confidence);
    }
    drafts.into_iter().map(|d| d.line(settings)).collect()
}

/// Anything worse than passing decides, the worst first.
pub(super) fn verdict(gate: &Gate) -> Outcome {
    let any = |outcome| gate.outcomes().any(|o| o == outcome);
    let expired = gate.waivers.iter().any(|w| w.state == State::Expired);
    if any(Outcome::Regression) || !gate.missing.is_empty() || expired {
        return Outcome::Regression;
    }
    let judged = gate.lines.iter().any(|l| l.outcome != Outcome::NotQualified);
    match any(Outcome::CannotTell) || !judged || !gate.open.is_empty() {
        true => Outcome::CannotTell,
        false => Outcome::Passed,
    }
}

fn waivers(settings: &Settings, scenario: &str, lines: &[Line]) -> Vec<WaiverUse> {
    let mine = settings.waivers.iter().filter(|w| w.scenario == scenario);
    mine.map(|w| WaiverUse { state: w.state(&settings.today, lines), waiver: w.clone() }).collect()
}

/// The place of a line or a count, for sentences: the transport and, in a sweep, the point.
pub fn place(transport: &str, setting: &Setting) -> String {
    match setting.is_empty() {
        true => transport.to_owned(),
        false => format!("{transport} at {}", setting_text(setting)),
    }
}
