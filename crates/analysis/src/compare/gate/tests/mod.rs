mod against;
mod counted;
mod instructions;
mod times;
mod waivers;

use crate::compare::gate::sample::{recipe, settings};
use crate::compare::gate::*;
use pushbench_core::record::trial::Trial;

fn line<'a>(gate: &'a Gate, metric: &str) -> &'a Line {
    gate.lines.iter().find(|l| l.metric == metric).unwrap()
}

fn count<'a>(gate: &'a Gate, what: &str) -> &'a Exact {
    gate.exact.iter().find(|e| e.what == what).unwrap()
}

/// Judges equal arms after something was done to the trials of one of them.
fn after(arm: usize, mut change: impl FnMut(&mut Trial)) -> Gate {
    let mut run = recipe(1.0).run();
    run.trials.iter_mut().filter(|t| t.arm == arm).for_each(&mut change);
    judge(&run, CANDIDATE, &settings(), &Look::only())
}

#[track_caller]
fn is(gate: &Gate, verdict: Outcome, texts: &[&str]) {
    assert_eq!(gate.verdict, verdict, "{}", gate.sentence);
    for text in texts {
        assert!(gate.sentence.contains(text), "no {text:?} in {}", gate.sentence);
    }
}

/// What is done to a trial.
type Change = fn(&mut Trial);
