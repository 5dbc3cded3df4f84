//! `pushbench gate --judge instructions`: what it takes, and what it does not.

use crate::cli::gate::options::AT_MOST;
use crate::cli::gate::{Args, MIN_DIFFERENCE};
use crate::gate::Request;
use pushbench_core::error::{Error, Result};
use pushbench_core::units::parse_duration;
use pushbench_sut::instructions::Counter;

/// What is judged then, and nothing else.
pub(super) const INSTRUCTIONS: &str = "instructions";
/// Scenario keys that concern the events, how many there are and how long one may take, and not when they are due.
const KEYS: [&str; 5] = ["payload.", "compression.", "tls.", "load.duration", "load.timeout"];

/// Whether instructions are judged. With times they are not judged together, and options that concern times do not
/// belong to them.
pub(super) fn are_judged(args: &Args) -> Result<bool> {
    let judged = &args.options.judge;
    if !judged.iter().any(|name| name == INSTRUCTIONS) {
        return Ok(false);
    }
    if judged.len() > 1 {
        let others: Vec<&str> =
            judged.iter().map(String::as_str).filter(|name| *name != INSTRUCTIONS).collect();
        return Err(Error::usage(format!(
            "--judge {}: instructions are counted in trials of their own: run two gates, one with --judge {INSTRUCTIONS} and \
             one with --judge {}",
            judged.join(","),
            others.join(",")
        )));
    }
    let is_default = |time, default| parse_duration(default) == Ok(time);
    let options = [
        (
            "--against",
            !args.against.is_empty(),
            "base and candidate are counted in the same blocks: name the base by --base",
        ),
        ("--ratio", args.ratio, "each transport is judged by itself"),
        (
            "--nulls",
            args.nulls.is_some(),
            "the margin of instructions is the same on every machine",
        ),
        (
            "--min-difference",
            !is_default(args.min_difference, MIN_DIFFERENCE),
            "it is a time, and no time is judged",
        ),
        (
            "--at-most",
            !is_default(args.options.at_most, AT_MOST),
            "the number of blocks is fixed: --blocks sets it",
        ),
    ];
    if let Some((option, _, why)) = options.into_iter().find(|(_, given, _)| *given) {
        return Err(Error::usage(format!(
            "{option} does not go with --judge {INSTRUCTIONS}: {why}; leave it out"
        )));
    }
    let key = |set: &String| set.split('=').next().unwrap_or_default().trim().to_owned();
    let timed = |key: &String| !KEYS.iter().any(|known| key.starts_with(known));
    match args.options.set.iter().map(key).find(timed) {
        Some(key) => Err(Error::usage(format!(
            "--set {key}: events are sent one after the other to count instructions, so it has no effect: leave it out; keys \
             that begin with {} have one",
            KEYS.join(", ")
        ))),
        None => Ok(true),
    }
}

/// What counts, once it is known that these targets can be counted.
pub(super) fn counter(request: &Request) -> Result<Counter> {
    if request.question.points.len() > 1 {
        return Err(Error::usage(format!(
            "--judge {INSTRUCTIONS}: instructions are counted at one point, and the scenario {} is a sweep: choose another",
            request.question.name
        )));
    }
    if let Some(arm) = request.arms.iter().find(|arm| arm.manifest.command.is_none()) {
        return Err(Error::usage(format!(
            "--judge {INSTRUCTIONS}: {} was not started by pushbench, so its instructions cannot be counted: name a target that \
             has a command",
            arm.label
        )));
    }
    Counter::find()
}
