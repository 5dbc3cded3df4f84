//! What a ramp, bursts or short connections were run to find out, in words.

use crate::compare::ArmFigures;
use pushbench_core::scenario::{Arrivals, Scenario};
use pushbench_core::units;

/// One sentence an arm, where the scenario asks for more than a comparison.
pub(crate) fn of_arms(scenario: &Scenario, arms: &[ArmFigures]) -> Vec<String> {
    let of_arm = |arm: &ArmFigures| match scenario.load.arrivals {
        Arrivals::Ramp { to } => arm.knee_per_second.map(|knee| kept_up(&arm.arm, knee, to)),
        Arrivals::Burst(_) => drain(arm),
        _ => first_event(arm),
    };
    arms.iter().filter(|a| a.trials > a.invalid).filter_map(of_arm).collect()
}

fn kept_up(arm: &str, knee: f64, to: f64) -> String {
    match knee >= to {
        true => format!("{arm} kept up to the end of the ramp, {}.", units::rate(to)),
        false => format!("{arm} kept up to about {}.", units::rate(knee)),
    }
}

fn drain(arm: &ArmFigures) -> Option<String> {
    let b = &arm.backlog;
    let name = &arm.arm;
    let peak = b.peak.filter(|_| b.bursts > 0)?;
    Some(match b.drain_ns {
        Some(ns) => format!(
            "{name}: at most {peak} events waited; the queue was empty {} after a burst (median of {}).",
            units::nanos_text(ns as f64),
            b.bursts
        ),
        None => format!(
            "{name}: at most {peak} events waited; after {} of {} bursts the queue was not empty before the next one.",
            b.undrained, b.bursts
        ),
    })
}

fn first_event(arm: &ArmFigures) -> Option<String> {
    let r = arm.first_over_last.as_ref()?;
    Some(format!(
        "{}: the first event of a connection takes ×{:.2} [{:.2}, {:.2}] the time of its last one.",
        arm.arm, r.ratio, r.ci95[0], r.ci95[1]
    ))
}
