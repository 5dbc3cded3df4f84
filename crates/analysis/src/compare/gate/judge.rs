//! From pairs of trials to lines, from lines to a verdict.

use crate::compare::completeness;
use crate::compare::decide::is_judged;
use crate::compare::gate::draft::{Draft, Subject};
use crate::compare::gate::evidence::Evidence;
use crate::compare::gate::pairs;
use crate::compare::gate::pairs::{Found, Pairs, setting_text};
use crate::compare::gate::waiver::State;
use crate::compare::gate::{
    Exact, Gate, Line, Look, Outcome, SCHEMA, Settings, WaiverUse, exact, ratio, sentence,
};
use crate::compare::trust::beside_others;
use crate::stats;
use pushbench_core::cpu_list::Cpus;
use pushbench_core::record::metrics;
use pushbench_core::record::run::StoredRun;
use pushbench_core::record::trial::Stage;
use pushbench_core::scenario::Setting;
use std::collections::BTreeSet;

/// Judges a run in which base, candidate and null are arms, as it was at this look.
pub fn judge(run: &StoredRun, candidate: &str, settings: &Settings, look: &Look) -> Gate {
    let gate = decide(run, pairs::within(run, candidate), settings, look, incomplete(run));
    completeness::differences(run).into_iter().fold(gate, Gate::left_open)
}

/// Judges a candidate measured now against an arm of stored runs, of which there is one at least. `differs`: what the
/// machines and programs do not have in common; that, blocks of another kind, or too few runs to know how much runs of
/// one build differ, make it advice.
pub fn judge_against(
    stored: &[StoredRun],
    arm: &str,
    now: &StoredRun,
    settings: &Settings,
    differs: Vec<String>,
) -> Gate {
    let mut advisory = Vec::new();
    if stored.len() < FEWEST_RUNS {
        let runs = if stored.len() == 1 {
            "1 stored run"
        } else {
            &format!("{} stored runs", stored.len())
        };
        advisory.push(format!(
            "{runs}, {FEWEST_RUNS} of this machine are needed to know how much runs of one build differ"
        ));
    }
    advisory.extend(differs);
    for run in stored {
        let found = pairs::designs_differ(run, now);
        advisory
            .extend(found.into_iter().filter(|line| !advisory.contains(line)).collect::<Vec<_>>());
    }
    let found = pairs::against(stored, arm, now);
    let mut gate = decide(now, found, settings, &Look::only(), incomplete(now));
    if stored.iter().any(|run| !run.header.complete || run.cut) {
        let note = "a stored run is incomplete: its finished part is the base";
        gate.notes.push(note.to_owned());
    }
    if !advisory.is_empty() {
        gate.verdict = Outcome::CannotTell;
        gate.advisory = Some(advisory);
    }
    gate.sentence = sentence::closing(&gate);
    let of_stored = |reason: &String| format!("the stored run: {reason}");
    let of_each = |run| completeness::differences(run).iter().map(of_stored).collect::<Vec<_>>();
    let mut differ: Vec<String> = stored.iter().flat_map(of_each).collect();
    differ.extend(completeness::differences(now));
    differ.into_iter().fold(gate, Gate::left_open)
}

/// Stored runs from which it is known how much runs of one build differ.
pub const FEWEST_RUNS: usize = 5;

/// What a gate can judge where driver and target share a CPU.
const CPU_METRIC: &str = "target_usage.cpu_ns_per_event";

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
    look: &Look,
    open: Vec<String>,
) -> Gate {
    let mut drafts: Vec<Draft> = found.pairs.iter().flat_map(|p| of_pair(p, settings)).collect();
    if settings.ratio {
        drafts.extend(ratio::all(&found.pairs, settings));
    }
    let lines = lines(drafts, settings, look);
    let exact: Vec<Exact> = found.pairs.iter().flat_map(exact::all).collect();
    let waivers = waivers(settings, &run.header.scenario, &lines);
    let fewest = found.pairs.iter().min_by_key(|p| p.blocks());
    let (valid, run_blocks) = fewest.map_or((0, 0), |p| (p.blocks(), p.blocks_run));
    let mut notes = Vec::new();
    if run_blocks > valid {
        notes.push(format!("{} of {run_blocks} blocks were voided", run_blocks - valid));
    }
    let failed = run.header.points.iter().flat_map(|point| &point.failed_blocks);
    notes.extend(failed.map(ToString::to_string));
    notes.extend(conditions(run));
    let mut gate = Gate {
        schema: SCHEMA,
        scenario: run.header.scenario.clone(),
        stage: look.number,
        looks_planned: (!look.begun.is_empty()).then_some(look.planned),
        error_share: look.share,
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
        method: Vec::new(),
        advisory: None,
        time_used_up: None,
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
pub(super) fn lines(mut drafts: Vec<Draft>, settings: &Settings, look: &Look) -> Vec<Line> {
    let judged: Vec<&mut Draft> = drafts.iter_mut().filter(|d| d.p().is_some()).collect();
    let p: Vec<f64> = judged.iter().filter_map(|d| d.p()).collect();
    for (draft, confidence) in judged.into_iter().zip(stats::holm_confidences(&p, look.alpha())) {
        draft.judge_at(1.0 - confidence);
    }
    drafts.into_iter().map(|d| d.line(settings, look)).collect()
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

/// The waivers of a scenario, and what they came to.
pub(super) fn waivers(settings: &Settings, scenario: &str, lines: &[Line]) -> Vec<WaiverUse> {
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
