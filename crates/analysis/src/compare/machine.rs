//! Whether two runs were made on the same machine by the same program: absolute figures of different
//! ones are never put beside each other without saying so.

use pushbench_core::record::run::RunHeader;
use serde::Serialize;

/// Properties of the machine in `run.json` that may not differ. Names are those of its `environment`.
const MACHINE: [&str; 9] = [
    "cpu",
    "cpus",
    "virtual machine",
    "kernel",
    "clock",
    "governor",
    "memory",
    "build",
    SCHEDULING,
];
/// How the kernel scheduled driver and targets: `ordinary`, or a real-time priority. Older versions did not
/// record it, which is no difference.
pub(super) const SCHEDULING: &str = "scheduling";
/// A kernel reserves a little more or less of the same memory each time it starts.
const SAME_MEMORY: f64 = 0.02;
/// What a run does not tell.
pub const NOT_RECORDED: &str = "not recorded";

/// One thing that two runs do not have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What it is, as people call it: `kernel`, `pushbench`.
    pub what: String,
    /// Its value in the first run.
    pub first: String,
    /// Its value in the second one.
    pub second: String,
}

impl Difference {
    /// `None` when both values are the same.
    pub(super) fn between(what: &str, first: String, second: String) -> Option<Difference> {
        (first != second).then(|| Difference { what: what.to_owned(), first, second })
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}, then {}", self.what, self.first, self.second)
    }
}

/// The machine of a run: names and values, in the order people read them.
pub(crate) fn fingerprint(run: &RunHeader) -> Vec<(&'static str, String)> {
    let value = |name: &str| run.environment.get(name).cloned();
    let machine =
        MACHINE.map(|name| (name, value(name).unwrap_or_else(|| NOT_RECORDED.to_owned())));
    let cpus = |side: &str| match run.placement.get(side) {
        Some(cpus) => pushbench_core::cpu_list::Cpus(cpus).to_string(),
        None => NOT_RECORDED.to_owned(),
    };
    let program = [
        ("machines", machines(run)),
        ("driver on CPU", cpus("driver")),
        ("target on CPU", cpus("target")),
        ("pushbench", run.pushbench.clone()),
    ];
    machine.into_iter().chain(program).collect()
}

/// `1`, or `3 (driver on a, driver on b, target on c)`.
fn machines(run: &RunHeader) -> String {
    let each = run.machines.iter().map(|machine| format!("{} on {}", machine.role, machine.host));
    let each: Vec<String> = each.collect();
    match each.len() {
        0 => "1".to_owned(),
        n => format!("{n} ({})", each.join(", ")),
    }
}

/// What differs between the machines and programs of two runs; empty when absolute figures may be
/// compared.
pub fn differences(first: &RunHeader, second: &RunHeader) -> Vec<Difference> {
    let pairs = fingerprint(first).into_iter().zip(fingerprint(second));
    let differ = |((what, a), (_, b)): ((&str, String), (_, String))| {
        let unknown = what == SCHEDULING && [&a, &b].contains(&&NOT_RECORDED.to_owned());
        if unknown || what == "memory" && same_memory(&a, &b) {
            return None;
        }
        Difference::between(what, a, b)
    };
    pairs.filter_map(differ).collect()
}

/// `16384256 kB` and `16384252 kB` are the same.
fn same_memory(a: &str, b: &str) -> bool {
    let kilobytes = |text: &str| text.strip_suffix(" kB")?.parse::<f64>().ok();
    match (kilobytes(a), kilobytes(b)) {
        (Some(a), Some(b)) => (a - b).abs() <= SAME_MEMORY * a.max(b),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::sample;

    fn header(machine: &[(&str, &str)]) -> RunHeader {
        let mut header = sample::ratios(1.0, 1.0).header;
        header.environment =
            machine.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        header
    }

    #[test]
    fn a_machine_is_the_same_as_itself_after_a_restart() {
        let a = header(&[("cpu", "X"), ("memory", "16384256 kB")]);
        let b = header(&[("cpu", "X"), ("memory", "16380000 kB")]);
        assert_eq!(differences(&a, &b), []);
    }

    #[test]
    fn every_part_of_the_fingerprint_counts_and_is_named() {
        let full: Vec<(&str, &str)> = MACHINE.map(|name| (name, "1 kB")).to_vec();
        let a = header(&full);
        for (i, name) in MACHINE.iter().enumerate() {
            let mut other = full.clone();
            other[i].1 = "2 kB";
            let found = differences(&a, &header(&other));
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].to_string(), format!("{name}: 1 kB, then 2 kB"));
            other.remove(i);
            let found = differences(&a, &header(&other));
            if *name == SCHEDULING {
                assert_eq!(found, [], "older versions did not record it");
                continue;
            }
            assert_eq!((found[0].what.as_str(), found[0].second.as_str()), (*name, NOT_RECORDED));
        }
        let mut newer = a.clone();
        newer.pushbench = "0.2.0".to_owned();
        newer.placement.insert("driver".to_owned(), vec![2, 3]);
        let names: Vec<String> = differences(&a, &newer).into_iter().map(|d| d.what).collect();
        assert_eq!(names, ["driver on CPU", "pushbench"]);
    }
}
