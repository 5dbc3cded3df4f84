//! From pairs of trials to lines, from lines to a verdict.

use super::draft::Draft;
use super::pairs::{self, Found, setting_text};
use super::waiver::Waiver;
use super::{
    ALPHA, Exact, Gate, Line, Outcome, SCHEMA, Settings, WaiverUse, exact, ratio, sentence,
};
use crate::stats;
use crate::store::StoredRun;

/// Judges a run in which base, candidate and null are arms.
pub fn judge(run: &StoredRun, candidate: &str, settings: &Settings, stage: usize) -> Gate {
    decide(run, pairs::within(run, candidate), settings, stage, None)
}

/// Judges a candidate measured now against an arm of a stored run. `differs`: what the machines and
/// programs of both do not have in common; anything makes the verdict advisory.
pub fn judge_against(
    stored: &StoredRun,
    arm: &str,
    now: &StoredRun,
    settings: &Settings,
    differs: Vec<String>,
) -> Gate {
    let advisory = (!differs.is_empty()).then_some(differs);
    decide(now, pairs::against(stored, arm, now), settings, 1, advisory)
}

fn decide(
    run: &StoredRun,
    found: Found<'_>,
    settings: &Settings,
    stage: usize,
    advisory: Option<Vec<String>>,
) -> Gate {
    let mut drafts: Vec<Draft> = Vec::new();
    for pair in &found.pairs {
        for margin in &settings.margins {
            drafts.extend(Draft::of(pair, margin, settings));
        }
    }
    if settings.ratio {
        drafts.extend(ratio::all(&found.pairs, settings));
    }
    adjust(&mut drafts);
    let lines: Vec<Line> = drafts.into_iter().map(|d| d.line(settings)).collect();
    let exact: Vec<Exact> = found.pairs.iter().flat_map(exact::all).collect();
    let waivers = waivers(settings, &run.header.scenario, &lines);
    let mut notes: Vec<String> = found.missing.iter().map(|m| format!("missing: {m}")).collect();
    if !run.header.complete || run.cut {
        notes.push("the run is incomplete".to_owned());
    }
    let fewest = found.pairs.iter().min_by_key(|p| p.candidate.len().min(p.base.len()));
    let blocks_valid = fewest.map_or(0, |p| p.candidate.len().min(p.base.len()));
    let blocks_run = fewest.map_or(0, |p| p.blocks_run);
    if blocks_run > blocks_valid {
        notes.push(format!("{} of {blocks_run} blocks were voided", blocks_run - blocks_valid));
    }
    let mut gate = Gate {
        schema: SCHEMA,
        scenario: run.header.scenario.clone(),
        stage,
        blocks_valid,
        blocks_run,
        verdict: verdict(&lines, &exact, &waivers, &found.missing),
        sentence: String::new(),
        lines,
        exact,
        waivers,
        notes,
        advisory,
    };
    if gate.advisory.is_some() && gate.verdict == Outcome::Regression {
        gate.verdict = Outcome::CannotTell;
    }
    gate.sentence = sentence::closing(&gate, &found.missing);
    gate
}

/// Anything worse than passing decides, the worst first.
fn verdict(lines: &[Line], exact: &[Exact], waivers: &[WaiverUse], missing: &[String]) -> Outcome {
    let all = || lines.iter().map(|l| l.outcome).chain(exact.iter().map(|e| e.outcome));
    let regressed = all().any(|o| o == Outcome::Regression);
    if regressed || !missing.is_empty() || waivers.iter().any(|w| w.expired) {
        return Outcome::Regression;
    }
    let judged = lines.iter().any(|l| l.outcome != Outcome::NotQualified);
    if all().any(|o| o == Outcome::CannotTell) || !judged {
        return Outcome::CannotTell;
    }
    Outcome::Passed
}

/// Holm's step-down procedure over all lines that are judged.
fn adjust(drafts: &mut [Draft]) {
    let judged: Vec<&mut Draft> = drafts.iter_mut().filter(|d| d.is_judged()).collect();
    let p: Vec<f64> = judged.iter().map(|d| d.p.unwrap_or(1.0)).collect();
    for (draft, confidence) in judged.into_iter().zip(stats::holm_confidences(&p, ALPHA)) {
        draft.level = 1.0 - confidence;
    }
}

fn waivers(settings: &Settings, scenario: &str, lines: &[Line]) -> Vec<WaiverUse> {
    let mine = settings.waivers.iter().filter(|w| w.scenario == scenario);
    let used =
        |w: &Waiver| lines.iter().any(|l| l.metric == w.metric && l.outcome == Outcome::Waived);
    mine.map(|w| WaiverUse {
        expired: w.expired(&settings.today),
        used: used(w),
        waiver: w.clone(),
    })
    .collect()
}

/// Where a line or a count stands, for sentences: the transport and, in a sweep, the point.
pub fn place(transport: &str, setting: &crate::scenario::Setting) -> String {
    match setting.is_empty() {
        true => transport.to_owned(),
        false => format!("{transport} at {}", setting_text(setting)),
    }
}
