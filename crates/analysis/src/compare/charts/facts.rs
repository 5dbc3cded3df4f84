//! The scenario, the machine, and how to run it again.

use crate::compare::verified::{Verified, verified};
use pushbench_core::record::run::{ArmHeader, StoredRun};
use std::collections::BTreeMap;

/// The facts of a run.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Version of pushbench that measured.
    pub pushbench: String,
    /// Version of the records.
    pub schema: u32,
    /// The command that was typed.
    pub command: String,
    /// The command that runs the same again.
    pub repeat: String,
    /// When it began, UTC.
    pub started: String,
    /// When it ended; `None` when it was cut short.
    pub finished: Option<String>,
    /// CPUs of driver and target.
    pub placement: BTreeMap<String, Vec<usize>>,
    /// The machine.
    pub environment: BTreeMap<String, String>,
    /// How each arm was started, of the first point.
    pub arms: Vec<ArmHeader>,
    /// What the first look found out about each arm.
    pub findings: Verified,
}

/// Collects them.
pub fn facts(run: &StoredRun) -> Facts {
    let h = &run.header;
    Facts {
        pushbench: h.pushbench.clone(),
        schema: h.schema,
        command: shell_words::join(&h.command),
        repeat: repeat(&h.command, &h.scenario, h.seed),
        started: h.started.clone(),
        finished: h.finished.clone(),
        placement: h.placement.clone(),
        environment: h.environment.clone(),
        arms: h.points.first().map(|p| p.arms.clone()).unwrap_or_default(),
        findings: verified(&h.findings),
    }
}

/// The words of a command without the directory that exists by now.
pub fn elsewhere(command: &[String]) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut rest = command.iter();
    while let Some(word) = rest.next() {
        match word.as_str() {
            "--out" => drop(rest.next()),
            _ if word.starts_with("--out=") => {}
            _ => words.push(word.clone()),
        }
    }
    words
}

/// The command as it was typed, without the directory that exists by now, and with the seed.
fn repeat(command: &[String], scenario: &str, seed: u64) -> String {
    let mut words = elsewhere(command);
    if words.len() < 2 {
        // `pushbench` alone.
        words = ["pushbench", "run", scenario].map(str::to_owned).to_vec();
    }
    if !words.iter().any(|w| w == "--seed" || w.starts_with("--seed=")) {
        words.extend(["--seed".to_owned(), seed.to_string()]);
    }
    shell_words::join(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_repeated_elsewhere_with_its_seed() {
        let again = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
            repeat(&words, "ingest", 7)
        };
        assert_eq!(again(&["pushbench"]), "pushbench run ingest --seed 7");
        assert_eq!(
            again(&["pushbench", "run", "x y.toml", "--out", "r", "--seed=9"]),
            "pushbench run 'x y.toml' '--seed=9'"
        );
        assert_eq!(again(&["pushbench", "run", "--out=r"]), "pushbench run --seed 7");
    }
}
