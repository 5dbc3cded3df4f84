//! The gate of instructions on made-up counts.

use crate::compare::gate::instructions::{InstructionTrial, Length, Method, judge, margin};
use crate::compare::gate::sample;
use crate::compare::gate::tests::is;
use crate::compare::gate::{Gate, Outcome, Settings, Waiver};

/// Instructions of a start and an end, which are no event's.
const ONCE: f64 = 80_000_000.0;
/// What an event of the base takes.
const EVENT: f64 = 95_000.0;
const EVENTS: [u64; 2] = [100, 600];

/// How much more candidate and null execute, and by how much an event of each differs from block to block.
#[derive(Clone, Copy, Default)]
struct Recipe {
    candidate: f64,
    null: f64,
    spread: f64,
}

fn method(blocks: usize) -> Method {
    let environment = [("PYTHONHASHSEED".to_owned(), "0".to_owned())].into();
    Method { counter: "a counter".to_owned(), blocks, addresses_fixed: true, environment }
}

fn settings() -> Settings {
    Settings { margins: vec![margin()], ..sample::settings() }
}

impl Recipe {
    fn trials(self, transport: &str, blocks: usize) -> Vec<InstructionTrial> {
        let parts = [("base", 0.0), ("candidate", self.candidate), ("null", self.null)];
        let mut trials = Vec::new();
        for block in 0..blocks {
            for (at, (part, more)) in parts.into_iter().enumerate() {
                let own = self.spread * (((block * (3 + at)) % 5) as f64 - 2.0) / 2.0;
                for (length, events) in [Length::Short, Length::Long].into_iter().zip(EVENTS) {
                    let counted = ONCE + EVENT * (1.0 + more + own) * events as f64;
                    trials.push(InstructionTrial {
                        block,
                        arm: format!("{transport}@{part}"),
                        length,
                        events,
                        instructions: counted as u64,
                        processes: 1,
                        seconds: 1.0,
                    });
                }
            }
        }
        trials
    }

    fn gate(self) -> Gate {
        judge("gate", &method(8), &self.trials("webhook", 8), &settings())
    }
}

#[test]
fn start_and_end_are_in_no_figure() {
    let gate = Recipe { candidate: 0.02, ..Recipe::default() }.gate();
    let line = &gate.lines[0];
    assert!((line.base.unwrap() - EVENT).abs() < 1.0, "{line:?}");
    assert!((line.candidate.unwrap() - 1.02 * EVENT).abs() < 1.0, "{line:?}");
    assert_eq!((line.metric, line.unit, line.blocks), ("instructions_per_event", "count", 8));
}

#[test]
fn one_per_cent_more_fails_and_what_equal_builds_differ_by_passes() {
    for spread in [0.0, 0.001] {
        let of = |candidate: f64| Recipe { candidate, spread, ..Recipe::default() }.gate();
        is(&of(0.01), Outcome::Regression, &["FAILED: instructions_per_event of webhook", "0.5 %"]);
        for equal in [-0.003, 0.0, 0.003] {
            is(
                &of(equal),
                Outcome::Passed,
                &["no slow-down beyond 0.5 % in instructions_per_event."],
            );
        }
        // Less is no regression.
        is(&of(-0.2), Outcome::Passed, &[]);
    }
    let gate = Recipe { candidate: 0.01, ..Recipe::default() }.gate();
    assert_eq!((gate.exit_code(), gate.blocks_valid, gate.blocks_run), (1, 8, 8));
    assert!(!gate.sentence.contains("connections"), "nothing else was counted: {}", gate.sentence);
}

#[test]
fn a_runtime_that_varies_by_more_than_the_margin_cannot_be_told() {
    let noisy = Recipe { candidate: 0.01, spread: 0.05, ..Recipe::default() }.gate();
    is(&noisy, Outcome::CannotTell, &["the null is not clean", "collecting garbage"]);
    let shifted = Recipe { null: 0.02, ..Recipe::default() }.gate();
    is(&shifted, Outcome::CannotTell, &["the null is not clean"]);
}

#[test]
fn processes_for_events_are_not_judged() {
    let mut trials = Recipe::default().trials("webhook", 8);
    for trial in trials.iter_mut().filter(|t| t.length == Length::Long) {
        trial.processes = 501;
    }
    let gate = judge("gate", &method(8), &trials, &settings());
    is(&gate, Outcome::CannotTell, &["starts processes for events", "hardware counters"]);
    // Workers that are there from the beginning are.
    trials.iter_mut().for_each(|t| t.processes = 5);
    is(&judge("gate", &method(8), &trials, &settings()), Outcome::Passed, &[]);
}

#[test]
fn counts_that_are_missing_or_make_no_sense_leave_no_verdict() {
    let judge =
        |trials: &[InstructionTrial], blocks| judge("gate", &method(blocks), trials, &settings());
    let trials = Recipe::default().trials("webhook", 8);
    is(&judge(&trials[..47], 8), Outcome::CannotTell, &["7 of 8 blocks were counted"]);
    is(&judge(&trials, 9), Outcome::CannotTell, &["8 of 9 blocks were counted"]);
    assert_eq!(judge(&[], 8).verdict, Outcome::CannotTell);
    let mut senseless = trials;
    senseless.iter_mut().for_each(|t| t.instructions = 1_000_000);
    is(&judge(&senseless, 8), Outcome::CannotTell, &["0 valid blocks, 8 are needed"]);
}

#[test]
fn each_transport_has_a_line_and_a_waiver_may_allow_it() {
    let slower = Recipe { candidate: 0.02, ..Recipe::default() };
    let both = [slower.trials("webhook", 8), Recipe::default().trials("websocket+tls", 8)].concat();
    let gate = judge("gate", &method(8), &both, &settings());
    let found: Vec<_> = gate.lines.iter().map(|l| (l.transport.as_str(), l.outcome)).collect();
    let expected = [("webhook", Outcome::Regression), ("websocket+tls", Outcome::Passed)];
    assert_eq!(found, expected);
    assert_eq!(
        gate.method.iter().filter(|said| said.contains("100 and for 600 events")).count(),
        2
    );
    let waiver = Waiver {
        scenario: "gate".to_owned(),
        metric: "instructions_per_event".to_owned(),
        ceiling: 0.03,
        expires: "2026-12-31".to_owned(),
        reason: "answers are signed now".to_owned(),
    };
    let settings = Settings { waivers: vec![waiver], ..settings() };
    is(&judge("gate", &method(8), &both, &settings), Outcome::Passed, &["because of a waiver"]);
}
