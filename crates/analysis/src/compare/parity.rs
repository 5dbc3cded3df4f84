//! What the two sides have in common and what not, from the settings in force (law 6).

use crate::compare::Trials;
use pushbench_core::record::effective_config::EffectiveConfig;
use pushbench_core::record::findings::{Aspect, Findings};
use pushbench_core::record::run::{ArmHeader, PointHeader};
use serde::Serialize;

pub use pushbench_core::record::findings::Known;

/// What the findings say about every transport alike.
const FOUND: [Aspect; 3] = [Aspect::ExactlyOnce, Aspect::Order, Aspect::KeepAlive];

/// A property of one arm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Property {
    /// Its value, as text.
    pub value: String,
    /// How it is known.
    pub known: Known,
}

/// One property over all arms.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// What it is.
    pub property: &'static str,
    /// One value an arm.
    pub arms: Vec<Property>,
    /// True when all are known and the same.
    pub same: bool,
}

/// The parity table.
#[derive(Debug, Clone, Serialize)]
pub struct Parity {
    /// Its rows.
    pub rows: Vec<Row>,
    /// The programs on the sides differ, so sentences name them and not the transports.
    pub different_programs: bool,
}

/// Derives the table from the records. `findings` has one entry an arm, or none at all.
pub fn parity(header: &PointHeader, findings: &[Findings], trials: &Trials<'_>) -> Parity {
    let configs: Vec<Option<EffectiveConfig>> = (0..header.arms.len())
        .map(|a| trials.all.iter().find(|t| t.arm == a).and_then(|t| t.in_force.clone()))
        .collect();
    let effective = |of: fn(&EffectiveConfig) -> String| -> Vec<Property> {
        let property = |s: &Option<EffectiveConfig>| match s {
            Some(s) => Property { value: of(s), known: Known::Tested },
            None => Property { value: "unknown".to_owned(), known: Known::Unknown },
        };
        configs.iter().map(property).collect()
    };
    let declared = |of: fn(&ArmHeader) -> String| -> Vec<Property> {
        let property = |a: &ArmHeader| Property { value: of(a), known: Known::Declared };
        header.arms.iter().map(property).collect()
    };
    let row = |property, arms: Vec<Property>| {
        let known = arms.iter().all(|p| p.known != Known::Unknown);
        let same = known && arms.windows(2).all(|w| w[0].value == w[1].value);
        Row { property, arms, same }
    };
    let acknowledged_by = match findings.is_empty() {
        true => declared(|a| a.matched.clone()),
        false => found(Aspect::AcknowledgedBy, header, findings),
    };
    let mut rows = vec![
        row("handler", effective(|s| s.handler.clone())),
        row("runtime", effective(|s| s.runtime.clone())),
        row("threads", effective(|s| s.threads.to_string())),
        row("NODELAY", effective(|s| s.nodelay.to_string())),
        row("backlog", effective(|s| s.backlog.to_string())),
        row("handler delay", effective(|s| format!("{} ns", s.delay_ns))),
        row("handler work", effective(|s| format!("{} ns", s.work_ns))),
        row("acknowledged by", acknowledged_by),
        row("connections", declared(|a| a.connections.to_string())),
        row("in flight", declared(|a| a.in_flight.to_string())),
        row("framing", declared(|a| a.framing.clone())),
    ];
    if header.arms.iter().any(|a| a.acknowledgement.is_some()) {
        let how = |a: &ArmHeader| a.acknowledgement.clone().unwrap_or_else(|| "not at all".into());
        rows.push(row("deliveries acknowledged by", declared(how)));
    }
    if header.arms.iter().any(|a| a.stuck > 0) {
        let stuck = |a: &ArmHeader| match a.stuck {
            0 => "as in the scenario".to_owned(),
            n => format!("{n} more stuck"),
        };
        rows.push(row("subscribers", declared(stuck)));
    }
    // The usual request adds nothing, which is not worth a row.
    if header.arms.iter().any(|a| !a.headers.is_empty()) {
        let names = |a: &ArmHeader| match a.headers.is_empty() {
            true => "none".to_owned(),
            false => a.headers.join(", "),
        };
        rows.push(row("headers", declared(names)));
    }
    if !findings.is_empty() {
        rows.extend(FOUND.map(|aspect| row(aspect.name(), found(aspect, header, findings))));
    }
    let first = header.arms.first().map(|a| &a.target);
    let different_programs = header.arms.iter().any(|a| Some(&a.target) != first);
    Parity { rows, different_programs }
}

/// What was found out about each arm.
fn found(aspect: Aspect, header: &PointHeader, findings: &[Findings]) -> Vec<Property> {
    let of_arm = |arm: &ArmHeader| {
        let finding = findings.iter().find(|f| f.arm == arm.label).and_then(|f| f.of(aspect));
        match finding {
            Some(f) => Property { value: f.value.clone(), known: f.known },
            None => Property { value: "unknown".to_owned(), known: Known::Unknown },
        }
    };
    header.arms.iter().map(of_arm).collect()
}

impl Parity {
    /// Names of the rows that agree, that differ, and that are not known.
    pub fn names(&self) -> (Vec<&'static str>, Vec<&'static str>, Vec<&'static str>) {
        let (mut same, mut differ, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
        for row in &self.rows {
            if row.arms.iter().any(|p| p.known == Known::Unknown) {
                unknown.push(row.property);
            } else if row.same {
                same.push(row.property);
            } else {
                differ.push(row.property);
            }
        }
        (same, differ, unknown)
    }
}
