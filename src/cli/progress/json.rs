//! JSON lines for other programs. `docs/progress.md` has their fields.

use crate::cli::progress::state::State;
use crate::run::{BlockEnded, PlanOutline};
use pushbench_analysis::compare::{Comparison, Interim};
use pushbench_core::scenario::Setting;
use pushbench_core::visible;
use pushbench_host::{console, secrets};
use serde::Serialize;
use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// Version of the lines.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Line<'a> {
    schema: u32,
    #[serde(flatten)]
    event: &'a Event<'a>,
}

/// What a line says. Times are whole nanoseconds.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event<'a> {
    /// The run begins.
    Begin {
        scenario: &'a str,
        arms: &'a [String],
        points: usize,
        blocks: Option<usize>,
        seed: u64,
        results: &'a Path,
        estimate_ns: u64,
    },
    /// A point of the sweep begins or goes on.
    Point { point: usize, setting: &'a Setting, arms: &'a [String] },
    /// The next thing is measured.
    Stage { text: &'a str, elapsed_ns: u64, left_ns: u64 },
    /// A second of an arm has ended.
    Second {
        arm: &'a str,
        responses: u64,
        rate_per_second: u64,
        turns: usize,
        count: u64,
        p50_ns: Option<u64>,
        p90_ns: Option<u64>,
        p99_ns: Option<u64>,
        p99_9_ns: Option<u64>,
    },
    /// A block has ended.
    Block {
        point: usize,
        block: usize,
        valid: bool,
        reasons: &'a [String],
        blocks_valid: usize,
        blocks_voided: usize,
        blocks_wanted: usize,
    },
    /// How the arms compare after the blocks so far.
    Verdict {
        point: usize,
        blocks_valid: usize,
        blocks_needed: usize,
        comparisons: &'a [Comparison],
    },
    /// Something worth a line.
    Message { text: &'a str },
    /// The command ends.
    End { exit_code: u8, error: Option<&'a str>, results: Option<&'a Path> },
}

fn nanos(time: Duration) -> u64 {
    time.as_nanos() as u64
}

impl<'a> Event<'a> {
    /// Of a run.
    pub fn begin(plan: &'a PlanOutline<'a>) -> Event<'a> {
        let PlanOutline { scenario, points, blocks, seed, results, estimate, .. } = *plan;
        let estimate_ns = nanos(estimate);
        Event::Begin { scenario, arms: &plan.arms, points, blocks, seed, results, estimate_ns }
    }

    /// Of what the state says.
    pub fn stage(state: &'a State, now: Instant) -> Event<'a> {
        let (elapsed_ns, left_ns) = (nanos(state.elapsed(now)), nanos(state.left(now)));
        Event::Stage { text: &state.stage, elapsed_ns, left_ns }
    }

    /// Of the latest second of an arm.
    pub fn second(state: &'a State, arm: usize) -> Event<'a> {
        let (arm, figures) = (&state.arms[arm], state.arms[arm].figures());
        let whole = |ns: Option<f64>| ns.map(|ns| ns as u64);
        Event::Second {
            arm: &arm.label,
            responses: arm.latest(),
            rate_per_second: arm.rate().round() as u64,
            turns: state.turns,
            count: figures.count,
            p50_ns: whole(figures.p50),
            p90_ns: whole(figures.p90),
            p99_ns: whole(figures.p99),
            p99_9_ns: whole(figures.p99_9),
        }
    }

    /// Of a block of a point.
    pub fn block(point: usize, ended: &'a BlockEnded) -> Event<'a> {
        let BlockEnded { number, valid, blocks_valid, blocks_voided, blocks_wanted, .. } = *ended;
        let (block, reasons) = (number, &ended.reasons[..]);
        Event::Block { point, block, valid, reasons, blocks_valid, blocks_voided, blocks_wanted }
    }

    /// Of a point.
    pub fn verdict(point: usize, interim: &'a Interim) -> Event<'a> {
        let Interim { blocks_valid, blocks_needed, .. } = *interim;
        Event::Verdict { point, blocks_valid, blocks_needed, comparisons: &interim.comparisons }
    }

    /// The line, with its line feed.
    fn line(&self) -> String {
        let line = serde_json::to_string(&Line { schema: SCHEMA, event: self });
        visible::json(&line.expect("an event has only string keys")) + "\n"
    }

    /// Writes the line to standard error, as far as it can be written.
    pub fn write(&self) {
        let line = self.line();
        let line = secrets::hide_document(line.as_bytes());
        let _nobody_reads_it = console::write_all(io::stderr().lock().as_fd(), &line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::progress::state::sample;
    use serde_json::Value;
    use std::collections::{BTreeMap, BTreeSet};

    /// A line of every kind.
    fn lines() -> Vec<String> {
        let now = Instant::now();
        let state = sample::state(12, now);
        let arms = vec!["webhook@builtin".to_owned(), "a\u{202e}b".to_owned()];
        let plan = PlanOutline {
            scenario: "ingest",
            arms: arms.clone(),
            points: 2,
            blocks: Some(12),
            seed: 7,
            results: Path::new("results/r"),
            estimate: Duration::from_secs(96),
        };
        let block = sample::block(false);
        let (setting, interim) = (&state.setting, state.interim.as_ref().unwrap());
        let events = [
            Event::begin(&plan),
            Event::Point { point: 1, setting, arms: &arms },
            Event::stage(&state, now),
            Event::second(&state, 1),
            Event::block(1, &block),
            Event::verdict(1, interim),
            Event::Message { text: "block 3 is void: \u{1b}[2J" },
            Event::End { exit_code: 3, error: Some("no space"), results: Some(plan.results) },
        ];
        events.iter().map(Event::line).collect()
    }

    #[test]
    fn the_page_lists_every_field_of_every_line() {
        let page = include_str!("../../../docs/progress.md");
        let mut documented: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for section in page.split("\n### `").skip(1) {
            let (event, text) = section.split_once('`').unwrap();
            let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
            let fields = rows.map(|row| row.split('`').next().unwrap());
            documented.insert(event, fields.chain(["schema", "event"]).collect());
        }
        let lines: Vec<Value> =
            lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let written: BTreeMap<&str, BTreeSet<&str>> = lines
            .iter()
            .map(|line| {
                let fields = line.as_object().unwrap().keys().map(String::as_str);
                (line["event"].as_str().unwrap(), fields.collect())
            })
            .collect();
        assert_eq!(documented, written);
    }

    #[test]
    fn a_line_begins_with_its_schema_and_holds_nothing_that_a_terminal_obeys() {
        for line in lines() {
            assert!(line.starts_with("{\"schema\":1,\"event\":\""), "{line}");
            assert_eq!(line.matches('\n').count(), 1, "{line}");
            assert_eq!(visible::terminal(line.trim_end()), line.trim_end());
        }
    }
}
