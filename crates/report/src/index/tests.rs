use super::*;
use crate::html::index::render;
use pushbench_analysis::compare::gate::sample::recipe;
use pushbench_analysis::compare::sample;
use pushbench_core::record::run::StoredRun;
use std::collections::BTreeMap;

const HOSTILE: &str = "</script><script>alert(1)</script>\"'\u{202e}gnp";

fn entry(name: &str, page: bool, record: Record) -> Entry {
    let page = page.then(|| RawFile {
        name: "report.html".to_owned(),
        href: Some(format!("{}/report.html", name.len())),
    });
    let command = format!("pushbench report {}", shell_words::quote(name));
    Entry::of(name.to_owned(), page, command, record)
}

/// A run that began on this day.
fn run(day: usize, change: impl FnOnce(&mut StoredRun)) -> Record {
    let mut run = sample::ratios(0.8, 0.5);
    run.header.started = format!("2026-01-{day:02}T10:30:00Z");
    run.header.environment =
        [("cpu", "EPYC"), ("cpus", "2")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    change(&mut run);
    Record::Run(Box::new(Measured::of(&run)))
}

fn gate(candidate: f64) -> Record {
    Record::Gate(Box::new(GateRecord {
        sides: ["old/server", "new/server"].map(str::to_owned),
        pushbench: "0.1.0".to_owned(),
        began: "2026-01-04T00:00:00Z".to_owned(),
        environment: BTreeMap::new(),
        verdict: Some(recipe(candidate).gate()),
    }))
}

fn sample() -> Index {
    let cut = |run: &mut StoredRun| {
        run.trials.truncate(8);
        run.header.complete = false;
    };
    let capacity = pushbench_analysis::capacity::judge(&crate::capacity::tests::record());
    let entries = vec![
        entry("nightly/1", true, run(1, |_| {})),
        entry("nightly/2", true, run(2, |_| {})),
        entry("nightly/3", false, run(3, cut)),
        entry("gates/slower", true, gate(1.25)),
        entry("gates/equal", true, gate(1.0)),
        entry("capacity", false, Record::Capacity(Box::new(capacity))),
    ];
    let why = "photo.jpg: no record of pushbench".to_owned();
    Index::of(
        ("results".to_owned(), "index.html".to_owned()),
        entries,
        vec![Unread { directory: "photos".to_owned(), why }],
    )
}

#[test]
fn text_and_markdown_list_every_record() {
    insta::assert_snapshot!("index_text", text(&sample(), Look::PLAIN));
    insta::assert_snapshot!("index_markdown", markdown(&sample()));
}

#[test]
fn json_has_the_rows_and_the_histories_by_directory() {
    let json: serde_json::Value = serde_json::from_str(&json(&sample())).unwrap();
    assert_eq!(json["schema"], 1);
    assert_eq!(json["entries"].as_array().unwrap().len(), 6);
    let slower = &json["entries"][1];
    assert_eq!(
        (&slower["directory"], &slower["record"]["outcome"]),
        (&"gates/slower".into(), &"failed".into())
    );
    let history = &json["histories"][0];
    assert_eq!(history["directories"], serde_json::json!(["nightly/1", "nightly/2", "nightly/3"]));
    let curve = &history["lines"][0]["curves"][0];
    assert_eq!(curve["of"], "webhook@builtin");
    assert!(curve["values"][0]["ci95"][0].as_f64() < curve["values"][0]["estimate"].as_f64());
    assert_eq!(json["not_shown"][0]["directory"], "photos");
}

#[test]
fn a_page_links_marks_and_says_what_is_missing() {
    let html = render(&sample());
    for part in [
        "<a href=\"9/report.html\"><bdi>nightly/1</bdi></a>",
        "✗ failed",
        "✓ passed",
        "cut short",
        "no page",
        "pushbench report nightly/3",
        "photo.jpg: no record of pushbench",
        "ingest</bdi>: 3 runs",
    ] {
        assert!(html.contains(part), "no {part:?}");
    }
    assert_eq!(html.matches("<figure").count(), 3, "a chart for each headline of three runs");
}

#[test]
fn names_are_text() {
    let hostile = |run: &mut StoredRun| {
        run.header.scenario = HOSTILE.to_owned();
        run.header.pushbench = HOSTILE.to_owned();
        run.header.points[0].arms[0].label = HOSTILE.to_owned();
        run.header.environment.insert("cpu".to_owned(), HOSTILE.to_owned());
    };
    let entries = vec![
        entry(HOSTILE, false, run(1, hostile)),
        entry(&format!("{HOSTILE}2"), true, run(2, hostile)),
    ];
    let unread = vec![Unread { directory: HOSTILE.to_owned(), why: HOSTILE.to_owned() }];
    let index = Index::of((HOSTILE.to_owned(), "-".to_owned()), entries, unread);
    let html = render(&index);
    assert_eq!(html.matches("<script").count(), 2, "our own");
    assert!(!html.contains("alert(1)</script>") && html.contains("&lt;script&gt;alert(1)"));
    for text in [html, text(&index, Look::PLAIN), markdown(&index), json(&index)] {
        assert!(!text.contains('\u{202e}'));
    }
    // The heading has the directory as code, which is text.
    assert!(markdown(&index).lines().skip(1).all(|line| !line.contains("<script>")));
}

#[test]
fn two_hundred_runs_are_less_than_two_megabytes() {
    let Record::Run(one) = run(1, |_| {}) else { unreachable!() };
    let copy = |n: usize| {
        let mut run = one.clone();
        run.header.started = format!("2026-{:02}-{:02}T10:30:00Z", n / 28 + 1, n % 28 + 1);
        entry(&format!("nightly/2026/run-{n:03}"), true, Record::Run(run))
    };
    let index =
        Index::of(("results".to_owned(), "-".to_owned()), (0..200).map(copy).collect(), Vec::new());
    let html = render(&index);
    assert!(html.len() < 2_000_000, "{} bytes", html.len());
    assert_eq!(index.histories[0].runs.len(), 200);
    assert!(html.matches("run-199").count() > 3, "in its row and in every table");
}
