use super::*;
use pushbench_analysis::capacity::judge;
use pushbench_core::capacity::{CapacityRecord, Overload, SCHEMA, Window};
use pushbench_core::record::outcomes::Outcomes;
use pushbench_core::scenario::{Override, load as load_scenario};
use std::collections::BTreeMap;

const MS: f64 = 1e6;

/// Two arms whose p99 crosses the limit at 900 and at 2,000 events/s, and one that the driver cannot bring to its limit.
pub(crate) fn record() -> CapacityRecord {
    let line = |what: &str, value: &str| Override {
        key: format!("objective.{what}"),
        value: value.to_owned(),
        origin: String::new(),
    };
    let lines = [line("response.p99", "50ms"), line("acknowledged", "99.9%")];
    let question = load_scenario("ingest", &lines).unwrap();
    let mut windows = Vec::new();
    for (arm, knee) in [(0, 900.0), (1, 2000.0)] {
        for n in 0..24 {
            let load = knee * (0.7 + 0.025 * f64::from(n));
            // A few percent up and down, the same each time.
            let noise = f64::from((n * 7) % 5 - 2) * 0.04;
            let p99 = 50.0 * MS * ((load / knee).ln() * 6.0 + noise).exp();
            windows.push(Window {
                arm,
                load,
                values: vec![Some(p99), Some(1.0)],
                outcomes: Outcomes {
                    due: load as u64 * 2,
                    acknowledged: load as u64 * 2,
                    ..Outcomes::default()
                },
                target_cpus: Some(if arm == 0 { 0.97 } else { 0.4 }),
                ..Window::default()
            });
        }
    }
    for n in 0..12 {
        let void =
            (n >= 10).then(|| "driver saturated: busy for 99 % of its available time".to_owned());
        windows.push(Window {
            arm: 2,
            load: if n >= 10 { 8000.0 } else { 7200.0 },
            values: vec![Some(2.0 * MS), Some(1.0)],
            driver_saturated: void.is_some(),
            void,
            ..Window::default()
        });
    }
    CapacityRecord {
        schema: SCHEMA,
        version: "0.0.0".into(),
        command: "pushbench capacity".into(),
        began: "2026-01-01T00:00:00Z".into(),
        machine: BTreeMap::new(),
        placement: BTreeMap::from([("target".to_owned(), vec![0])]),
        scenario: question.points[0].scenario.clone(),
        of: "load.rate".into(),
        window_ns: 2_000_000_000,
        precision: 0.05,
        at_most_ns: 240_000_000_000,
        arms: ["webhook@builtin", "websocket@builtin", "tcp@builtin"].map(str::to_owned).to_vec(),
        start: 2000.0,
        fits: None,
        windows,
        overloads: vec![overload(0, Some(730_000_000)), overload(1, None)],
        complete: true,
        failure: None,
    }
}

fn overload(arm: usize, drained_ns: Option<u64>) -> Overload {
    Overload {
        arm,
        load: 700.0,
        factor: 1.5,
        length_ns: 1_000_000_000,
        drained_ns,
        waited_ns: 2_000_000_000,
        void: None,
    }
}

#[test]
fn capacity_text() {
    insta::assert_snapshot!(text(&judge(&record()), Look::PLAIN));
}

#[test]
fn capacity_markdown() {
    insta::assert_snapshot!(markdown(&judge(&record())));
}

#[test]
fn a_search_is_judged_from_its_windows() {
    let mut record = record();
    let judged = judge(&record);
    let [webhook, websocket, tcp] = &judged.arms[..] else { panic!("three arms") };
    for (arm, knee) in [(webhook, 900.0), (websocket, 2000.0)] {
        let (highest, (low, high)) = (arm.highest.unwrap(), arm.ci95.unwrap());
        assert!(
            low < highest && highest < high.unwrap() && (highest / knee - 0.98).abs() < 0.04,
            "{arm:?}"
        );
    }
    assert_eq!(webhook.limited_by.as_deref(), Some("target cpu"));
    assert_eq!(websocket.limited_by.as_deref(), Some("response.p99"));
    assert_eq!((tcp.at_least, tcp.highest, tcp.ending), (true, Some(7200.0), Ending::AtLeast));
    assert_eq!(tcp.limited_by.as_deref(), Some("driver"));
    let ratio = judged.comparisons[0].ratio.unwrap();
    assert!((ratio - 2000.0 / 900.0).abs() < 0.15, "{ratio}");
    // What the driver could not bring to its limit is not compared as if it were known.
    assert_eq!(judged.comparisons[1].ratio, None);
    // A target that died is what gave way.
    record
        .windows
        .iter_mut()
        .filter(|w| w.arm == 0 && w.load > 900.0)
        .for_each(|w| w.died = Some("target ended".into()));
    assert_eq!(judge(&record).arms[0].limited_by.as_deref(), Some("target died"));
}

#[test]
fn loads_have_three_digits() {
    for (value, shown) in [
        (0.5, "0.5"),
        (12.345, "12.3"),
        (999.6, "1,000"),
        (12_345.0, "12,300"),
        (4_567_890.0, "4,570,000"),
    ] {
        assert_eq!(load(value), shown);
    }
}
