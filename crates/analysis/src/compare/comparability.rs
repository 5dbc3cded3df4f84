//! What the plans of two runs, their machines and their programs do not have in common, and whether their figures
//! may be compared in spite of it.

use crate::compare::machine::Difference;
use crate::compare::{Report, machine};
use pushbench_core::record::fanout::DatedBy;
use pushbench_core::record::run::{ArmHeader, PointHeader, RunHeader, StoredRun};
use pushbench_core::scenario::Scenario;
use pushbench_core::units;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Keys of scenarios that are stored in nanoseconds.
const NANOS: [&str; 5] =
    ["load.warmup", "load.duration", "load.timeout", "compare.slice", "compare.matters.latency"];
/// Keys that change neither what is measured nor how.
const NO_MATTER: [&str; 2] = ["question", "name"];
/// More of the same, or the same with other random numbers: named, but no reason not to compare.
const HARMLESS: [&str; 2] = ["seed", "compare.blocks"];
/// What is unknown.
const NONE: &str = "none";

/// What the figures of a run depend on: its plan, its machine, and how it was measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Basis<'a> {
    pub header: &'a RunHeader,
    pub report: &'a Report,
    /// When its deliveries end; `None` where nothing was delivered.
    pub dated: Option<DatedBy>,
}

impl Basis<'_> {
    /// Everything that the two do not have in common.
    pub fn differences(&self, other: &Basis<'_>) -> Vec<Difference> {
        let mut found = differences(self.header, other.header);
        let kind = |report: &Report, point: usize| report.points[point].design.kind;
        let of_both = points_of_both(self.header, other.header).into_iter();
        found.extend(
            of_both.filter_map(|(i, j)| kind(self.report, i).zip(kind(other.report, j))).find_map(
                |(first, second)| {
                    Difference::between("design of the blocks", first.to_owned(), second.to_owned())
                },
            ),
        );
        let words = |dated| match dated {
            DatedBy::Kernel => "their arrival, by the kernel".to_owned(),
            DatedBy::Read => "the driver's poll".to_owned(),
        };
        if let (Some(first), Some(second)) = (self.dated, other.dated) {
            found.extend(Difference::between("deliveries end at", words(first), words(second)));
        }
        found
    }

    /// Whether the records are those that were written.
    pub fn is_unaltered(&self) -> bool {
        self.report.records_differ.is_empty()
    }
}

/// When the deliveries of a run end.
pub(crate) fn dated(run: &StoredRun) -> Option<DatedBy> {
    run.trials.iter().filter_map(|t| t.fanout.as_ref()).map(|f| f.deliveries.dated_by()).max()
}

/// Whether figures of runs that differ in this may not be compared.
pub(crate) fn hinders(difference: &Difference) -> bool {
    !HARMLESS.contains(&difference.what.as_str())
}

/// Indices of the settings that both have.
pub(crate) fn points_of_both(a: &RunHeader, b: &RunHeader) -> Vec<(usize, usize)> {
    if let ([_], [_]) = (&a.points[..], &b.points[..]) {
        return vec![(0, 0)];
    }
    let same = |(i, p): (usize, &PointHeader)| {
        Some((i, b.points.iter().position(|q| q.setting == p.setting)?))
    };
    a.points.iter().enumerate().filter_map(same).collect()
}

/// Everything that the plans, the machines and the programs do not have in common.
fn differences(a: &RunHeader, b: &RunHeader) -> Vec<Difference> {
    let plans = [
        ("schema", a.schema.to_string(), b.schema.to_string()),
        ("scenario", a.scenario.clone(), b.scenario.clone()),
        ("settings", settings(a), settings(b)),
        ("seed", a.seed.to_string(), b.seed.to_string()),
    ];
    let differ = |(what, first, second)| Difference::between(what, first, second);
    let mut found: Vec<Difference> = plans.into_iter().filter_map(differ).collect();
    for (i, j) in points_of_both(a, b) {
        let (p, q) = (&a.points[i], &b.points[j]);
        found.extend(differ(("arms", labels(p), labels(q))));
        found.extend(scenario_differences(&p.scenario, &q.scenario));
        for (arm, other) in arms_of_both(p, q) {
            found.extend(arm_differences(&p.arms[arm], &q.arms[other]));
        }
    }
    found.extend(machine::differences(a, b));
    // A sweep would say the same of every point.
    let mut listed = BTreeSet::new();
    found.retain(|d| listed.insert(d.to_string()));
    found
}

fn settings(run: &RunHeader) -> String {
    let each = |p: &PointHeader| match p.setting.is_empty() {
        true => NONE.to_owned(),
        false => serde_json::to_string(&p.setting).unwrap_or_default(),
    };
    run.points.iter().map(each).collect::<Vec<_>>().join(" ")
}

fn labels(point: &PointHeader) -> String {
    point.arms.iter().map(|a| a.label.as_str()).collect::<Vec<_>>().join(", ")
}

/// Indices of the arms that both have, by label.
pub(crate) fn arms_of_both(p: &PointHeader, q: &PointHeader) -> Vec<(usize, usize)> {
    let of = |label: &str| q.arms.iter().position(|a| a.label == label);
    p.arms.iter().enumerate().filter_map(|(i, a)| Some((i, of(&a.label)?))).collect()
}

fn scenario_differences(a: &Scenario, b: &Scenario) -> Vec<Difference> {
    let keys = |s: &Scenario| serde_json::to_value(s).map(|v| flat(&v)).unwrap_or_default();
    let mut found = key_differences("", keys(a), keys(b));
    found.retain(|d| !NO_MATTER.contains(&d.what.as_str()) && !d.what.starts_with("price."));
    found
}

fn arm_differences(a: &ArmHeader, b: &ArmHeader) -> Vec<Difference> {
    // How easy a program is to write changes nothing about its figures. Older versions recorded neither scheme
    // nor library.
    let recorded = a.library.is_some() && b.library.is_some();
    let keys = |arm: &ArmHeader| {
        let mut arm = ArmHeader { ease: None, ..arm.clone() };
        if !recorded {
            (arm.scheme, arm.library) = (None, None);
        }
        serde_json::to_value(arm).map(|v| flat(&v)).unwrap_or_default()
    };
    key_differences(&format!("{}: ", a.label), keys(a), keys(b))
}

fn key_differences(
    prefix: &str,
    a: BTreeMap<String, String>,
    b: BTreeMap<String, String>,
) -> Vec<Difference> {
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let of = |map: &BTreeMap<String, String>, name: &String| {
        map.get(name).cloned().unwrap_or_else(|| NONE.to_owned())
    };
    let each = |name: &&String| {
        Difference::between(&format!("{prefix}{name}"), of(&a, name), of(&b, name))
    };
    names.iter().filter_map(each).collect()
}

/// `{"load": {"rate": 5}}` as `load.rate`: `5`.
fn flat(value: &Value) -> BTreeMap<String, String> {
    fn walk(path: &str, value: &Value, into: &mut BTreeMap<String, String>) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| {
                let dot = if path.is_empty() { "" } else { "." };
                walk(&format!("{path}{dot}{name}"), value, into);
            }),
            Value::Null => {}
            Value::String(text) => {
                into.insert(path.to_owned(), text.clone());
            }
            Value::Number(ns) if NANOS.contains(&path) => {
                let ns = ns.as_f64().unwrap_or_default();
                into.insert(path.to_owned(), units::nanos_text(ns));
            }
            other => {
                into.insert(path.to_owned(), other.to_string());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk("", value, &mut found);
    found
}
