//! What the two sides have in common and what not, and how that is known (law 6).

use crate::compare::promises::promises;
use crate::compare::{Trials, layers};
use pushbench_core::record::effective_config::EffectiveConfig;
use pushbench_core::record::findings::{Aspect, Findings};
use pushbench_core::record::run::{ArmHeader, PointHeader};
use pushbench_core::record::trial::Trial;
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

impl Property {
    /// What somebody said; unknown where nobody did.
    pub(super) fn declared(value: Option<String>) -> Property {
        match value {
            Some(value) => Property { value, known: Known::Declared },
            None => Property { value: "unknown".to_owned(), known: Known::Unknown },
        }
    }
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
    // Also what a built-in server says of itself is only declared.
    let effective = |of: fn(&EffectiveConfig) -> String| -> Vec<Property> {
        let property = |s: &Option<EffectiveConfig>| Property::declared(s.as_ref().map(of));
        configs.iter().map(property).collect()
    };
    let declared = |of: fn(&ArmHeader) -> String| -> Vec<Property> {
        let property = |a: &ArmHeader| Property::declared(Some(of(a)));
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
    // The usual connection has neither encryption nor an extension, which is not worth a row.
    type Agreed = fn(usize, &[&Trial]) -> Option<String>;
    for (name, of) in [("security", layers::security as Agreed), ("protocol", layers::protocol)] {
        let found: Vec<Option<String>> =
            (0..header.arms.len()).map(|arm| of(arm, &trials.all)).collect();
        if found.iter().any(Option::is_some) {
            let property = |agreed: Option<String>| Property {
                value: agreed.unwrap_or_else(|| "none".to_owned()),
                known: Known::Tested,
            };
            rows.push(row(name, found.into_iter().map(property).collect()));
        }
    }
    // Older versions did not record them.
    if header.arms.iter().any(|a| a.library.is_some()) {
        let target = |c: &Option<EffectiveConfig>| {
            Property::declared(c.as_ref().and_then(|c| c.library.clone()))
        };
        let driver = |a: &ArmHeader| Property::declared(a.library.clone());
        rows.push(row("target's library", configs.iter().map(target).collect()));
        rows.push(row("driver's library", header.arms.iter().map(driver).collect()));
    }
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
    if header.arms.iter().any(|a| a.authentication.is_some()) {
        let declared = |a: &ArmHeader| a.authentication.clone().unwrap_or_else(|| "none".into());
        let authentication = |(a, tested): (&ArmHeader, Property)| match tested.known {
            Known::Tested => tested,
            _ => Property::declared(Some(declared(a))),
        };
        let tested = found(Aspect::Authentication, header, findings);
        rows.push(row(
            Aspect::Authentication.name(),
            header.arms.iter().zip(tested).map(authentication).collect(),
        ));
    }
    // The usual request adds nothing, which is not worth a row.
    if header.arms.iter().any(|a| !a.headers.is_empty()) {
        let names = |a: &ArmHeader| match a.headers.is_empty() {
            true => "none".to_owned(),
            false => a.headers.join(", "),
        };
        rows.push(row("headers", declared(names)));
    }
    if header.arms.iter().any(|a| !a.messages.is_empty()) {
        let messages = |a: &ArmHeader| match a.messages.is_empty() {
            true => "as they are".to_owned(),
            false => a.messages.join(", "),
        };
        rows.push(row("messages", declared(messages)));
    }
    if !findings.is_empty() {
        rows.extend(FOUND.map(|aspect| row(aspect.name(), found(aspect, header, findings))));
    }
    rows.extend(promises(header, &configs, trials).into_iter().map(|(name, arms)| row(name, arms)));
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
            None => Property::declared(None),
        }
    };
    header.arms.iter().map(of_arm).collect()
}

impl Row {
    /// How the row is known: as its least known value is.
    pub fn known(&self) -> Known {
        let any = |known| self.arms.iter().any(|p| p.known == known);
        match (any(Known::Unknown), any(Known::Declared)) {
            (true, _) => Known::Unknown,
            (false, true) => Known::Declared,
            (false, false) => Known::Tested,
        }
    }
}

impl Parity {
    /// Names of the rows that are known in this way and agree, and of those that are so known and differ.
    pub fn names(&self, known: Known) -> [Vec<&'static str>; 2] {
        let mine = |same| {
            let rows = self.rows.iter().filter(move |r| r.known() == known && r.same == same);
            rows.map(|r| r.property).collect()
        };
        [mine(true), mine(false)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{compare, sample};
    use pushbench_core::record::findings::Finding;
    use pushbench_core::record::run::StoredRun;

    fn rows(run: &StoredRun) -> Vec<Row> {
        compare(run).points.remove(0).parity.rows
    }

    #[test]
    fn what_a_side_says_of_itself_is_declared_and_only_what_was_observed_is_tested() {
        let mut run = sample::ratios(1.0, 1.0);
        assert!(rows(&run).iter().all(|r| r.known() == Known::Declared), "{:?}", rows(&run));
        run.header.findings = run.header.points[0]
            .arms
            .iter()
            .map(|arm| Findings {
                arm: arm.label.clone(),
                acknowledged: 5,
                failure: None,
                list: vec![Finding::tested(Aspect::Order, "in order")],
            })
            .collect();
        let tested: Vec<&str> =
            rows(&run).iter().filter(|r| r.known() == Known::Tested).map(|r| r.property).collect();
        assert_eq!(tested, ["order"]);
        run.trials.iter_mut().filter(|t| t.arm == 0).for_each(|t| t.in_force = None);
        let handler = rows(&run).remove(0);
        assert_eq!((handler.property, handler.known()), ("handler", Known::Unknown));
    }

    #[test]
    fn authentication_is_tested_where_it_was_and_none_where_there_is_none() {
        let mut run = sample::ratios(1.0, 1.0);
        assert!(rows(&run).iter().all(|r| r.property != "authentication"), "an older run");
        run.header.points[0].arms[0].authentication = Some("a token".to_owned());
        let authentication =
            |run: &StoredRun| rows(run).into_iter().find(|r| r.property == "authentication");
        let values = |row: &Row| row.arms.iter().map(|p| p.value.clone()).collect::<Vec<_>>();
        let row = authentication(&run).unwrap();
        assert_eq!(
            (row.same, row.known(), values(&row)),
            (false, Known::Declared, vec!["a token".into(), "none".into()])
        );
        run.header.findings = vec![Findings {
            arm: run.header.points[0].arms[0].label.clone(),
            acknowledged: 5,
            failure: None,
            list: vec![Finding::tested(Aspect::Authentication, "not demanded")],
        }];
        let row = authentication(&run).unwrap();
        assert_eq!(row.arms[0], Property { value: "not demanded".into(), known: Known::Tested });
        assert_eq!(row.arms[1].known, Known::Declared);
    }

    #[test]
    fn both_sides_name_their_libraries_where_the_run_has_them() {
        let mut run = sample::ratios(1.0, 1.0);
        let value = |run: &StoredRun, name: &str| {
            let row = rows(run).into_iter().find(|r| r.property == name)?;
            Some(row.arms[1].value.clone())
        };
        assert_eq!(value(&run, "target's library").as_deref(), Some("hyper 1.2.3"));
        assert_eq!(value(&run, "driver's library").as_deref(), Some("own code"));
        run.header.points[0].arms.iter_mut().for_each(|a| a.library = None);
        assert_eq!(value(&run, "driver's library"), None, "an older run");
    }
}
