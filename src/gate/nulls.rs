//! Differences between equal builds on a kind of machine, kept in a file that belongs next to the code it
//! gates: `pushbench qualify` writes it, `pushbench gate` takes its margins from it.

use pushbench_analysis::compare::gate::Margin;
use pushbench_analysis::compare::gate::margin::Null;
use pushbench_core::error::{Error, Result};
use pushbench_host::input;
use pushbench_host::results_store::write_atomically;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Looked for in the working directory.
pub const FILE: &str = "pushbench-nulls.json";
/// Version of the file.
const SCHEMA: u32 = 1;
/// What makes machines of one kind, by the names of a run's environment.
const KIND: [&str; 4] = ["cpu", "cpus", "virtual machine", "build"];

/// The file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Nulls {
    schema: u32,
    /// One for each kind of machine, scenario, transport and metric.
    entries: Vec<Entry>,
}

/// Log ratios of equal builds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The kind of machine.
    pub machine: BTreeMap<String, String>,
    /// The scenario's name.
    pub scenario: String,
    /// How events travelled.
    pub transport: String,
    /// The metric.
    pub metric: String,
    /// Blocks of each gate.
    pub blocks: usize,
    /// One for each null gate.
    pub log_ratios: Vec<f64>,
    /// The blocks of each of them; empty where all had as many, as in files of earlier versions.
    #[serde(default)]
    pub blocks_of_each: Vec<usize>,
}

impl Entry {
    fn nulls(&self) -> impl Iterator<Item = Null> + '_ {
        let blocks = |at: usize| self.blocks_of_each.get(at).copied().unwrap_or(self.blocks);
        let logs = self.log_ratios.iter().enumerate();
        logs.map(move |(at, &log_ratio)| Null { log_ratio, blocks: blocks(at) })
    }
}

/// The kind of a machine, from its environment.
pub fn kind(environment: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let described = |name: &&str| environment.get(*name).map(|v| ((*name).to_owned(), v.clone()));
    KIND.iter().filter_map(described).collect()
}

impl Nulls {
    /// Reads the file; `required`: it was named, so it must be there.
    pub fn read(path: &Path, required: bool) -> Result<Nulls> {
        let text = match input::text(path, input::GENERATED) {
            Ok(text) => text,
            Err(e) if e.is_missing() && !required => {
                return Ok(Nulls { schema: SCHEMA, entries: Vec::new() });
            }
            Err(e) => return Err(e.into()),
        };
        let bad = |why: String| {
            Error::usage(format!(
                "{}: {why}; write it again with `pushbench qualify`",
                path.display()
            ))
        };
        let found: Nulls = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
        if found.schema != SCHEMA {
            return Err(bad(format!(
                "it has schema {}, but this version of pushbench reads schema {SCHEMA}",
                found.schema
            )));
        }
        Ok(found)
    }

    /// The margin of a metric on this kind of machine.
    pub fn margin(
        &self,
        machine: &BTreeMap<String, String>,
        scenario: &str,
        transports: &[&str],
        metric: &str,
    ) -> Margin {
        let mine = |e: &&Entry| {
            e.machine == *machine
                && e.scenario == scenario
                && e.metric == metric
                && transports.contains(&e.transport.as_str())
        };
        let nulls: Vec<Null> = self.entries.iter().filter(mine).flat_map(Entry::nulls).collect();
        Margin::of(metric, &nulls)
    }

    /// Puts entries in the place of older ones of the same kind, and writes the file.
    pub fn store(mut self, fresh: Vec<Entry>, path: &Path) -> Result<()> {
        let same = |a: &Entry, b: &Entry| {
            (&a.machine, &a.scenario, &a.transport, &a.metric)
                == (&b.machine, &b.scenario, &b.transport, &b.metric)
        };
        self.entries.retain(|old| !fresh.iter().any(|new| same(old, new)));
        self.entries.extend(fresh);
        self.schema = SCHEMA;
        let text = serde_json::to_string_pretty(&self)
            .map_err(|e| Error::harness(format!("cannot write {}: {e}", path.display())))?;
        write_atomically(path, format!("{text}\n").as_bytes())
    }
}
