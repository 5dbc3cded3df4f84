//! Findings side by side: one column an arm, and where two arms differ.

use pushbench_core::record::findings::{Aspect, Finding, Findings, Known};
use serde::Serialize;

/// One aspect over all arms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The aspect.
    pub aspect: Aspect,
    /// What was found, an entry an arm; `None` where it does not apply or was not tested.
    pub arms: Vec<Option<Finding>>,
    /// True when two arms have different known values.
    pub differs: bool,
}

/// The findings of `pushbench verify`, compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Version of this structure.
    pub schema: u32,
    /// The arms by name.
    pub arms: Vec<String>,
    /// Why an arm cannot be measured, an entry an arm.
    #[serde(rename = "trouble")]
    pub failure: Vec<Option<String>>,
    /// Whether each arm acknowledged every known event exactly once.
    pub exactly_once: Vec<bool>,
    /// Every aspect that was tested on at least one arm.
    pub rows: Vec<Row>,
}

/// Puts the findings of all arms side by side.
pub fn verified(all: &[Findings]) -> Verified {
    let mut aspects: Vec<Aspect> =
        all.iter().flat_map(|arm| arm.list.iter().map(|f| f.aspect)).collect();
    aspects.sort_unstable();
    aspects.dedup();
    Verified {
        schema: pushbench_core::record::run::SCHEMA,
        arms: all.iter().map(|f| f.arm.clone()).collect(),
        failure: all.iter().map(|f| f.failure.clone()).collect(),
        exactly_once: all.iter().map(Findings::exactly_once).collect(),
        rows: aspects.into_iter().map(|aspect| row(aspect, all)).collect(),
    }
}

fn row(aspect: Aspect, all: &[Findings]) -> Row {
    let arms: Vec<Option<Finding>> = all.iter().map(|arm| arm.of(aspect).cloned()).collect();
    let mut values = arms.iter().flatten().filter(|f| f.known != Known::Unknown).map(|f| &f.value);
    let first = values.next();
    let differs = values.any(|value| Some(value) != first);
    Row { aspect, arms, differs }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(name: &str, list: Vec<Finding>) -> Findings {
        Findings { arm: name.to_owned(), acknowledged: 1, failure: None, list }
    }

    #[test]
    fn arms_differ_where_both_are_known_and_not_alike() {
        let kept = |value| Finding::tested(Aspect::KeepAlive, value).with("whatever");
        let all = [
            arm("a", vec![kept("kept"), Finding::unknown(Aspect::Nodelay, "?")]),
            arm("b", vec![kept("one event each"), Finding::tested(Aspect::Nodelay, "true")]),
            arm("c", vec![Finding::tested(Aspect::Ping, "answered")]),
        ];
        let rows = verified(&all).rows;
        let found: Vec<(Aspect, bool)> = rows.iter().map(|r| (r.aspect, r.differs)).collect();
        let wanted = [(Aspect::KeepAlive, true), (Aspect::Ping, false), (Aspect::Nodelay, false)];
        assert_eq!(found, wanted);
        assert_eq!(rows[1].arms.iter().flatten().count(), 1);
    }
}
