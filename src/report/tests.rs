use super::{ALL, Format};
use crate::compare::{self, Report, sample};
use crate::record::ease::{Dependencies, Duty, Ease};
use crate::store::StoredRun;

fn rendered(format: Format, report: &Report) -> String {
    format.render(report).unwrap()
}

fn text(report: &Report) -> String {
    rendered(Format::Text, report)
}

fn cut_short() -> StoredRun {
    let mut run = sample::ratios(0.8, 0.5);
    run.trials.truncate(5);
    run.header.complete = false;
    run
}

/// Names that a hostile target or file could bring.
fn hostile() -> StoredRun {
    let mut run = sample::ratios(0.8, 0.5);
    run.header.question = "What <script>alert(1)</script> does | this \u{1b}[31mdo?".to_owned();
    let label = "webhook@<b>&`x`\u{7}".to_owned();
    run.header.points[0].arms[0].label.clone_from(&label);
    for trial in run.trials.iter_mut().filter(|t| t.arm == 0) {
        trial.label.clone_from(&label);
        trial.faults.insert("answered <img src=x>\n\u{1b}]0;title\u{7}".to_owned(), 3);
    }
    run
}

/// JSON a line a value, floats to nine digits: the last ones are the platform's libm.
fn rounded(json: &str) -> String {
    fn round(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Number(n) if n.is_f64() => {
                let digits = format!("{:.8e}", n.as_f64().unwrap());
                *value = digits.parse::<f64>().unwrap().into();
            }
            serde_json::Value::Array(items) => items.iter_mut().for_each(round),
            serde_json::Value::Object(fields) => fields.values_mut().for_each(round),
            _ => {}
        }
    }
    let mut value: serde_json::Value = serde_json::from_str(json).unwrap();
    round(&mut value);
    serde_json::to_string_pretty(&value).unwrap()
}

#[test]
fn a_run_as_people_see_it() {
    let report = compare::compare(&sample::ratios(0.8, 0.5));
    insta::assert_snapshot!("text", text(&report));
    insta::assert_snapshot!("markdown", rendered(Format::Markdown, &report));
    insta::assert_snapshot!("json", rounded(&rendered(Format::Json, &report)));
}

#[test]
fn programs_are_shown_with_what_they_ask_of_their_writers() {
    let mut run = sample::ratios(0.8, 0.5);
    let text = |run: &StoredRun| self::text(&compare::compare(run));
    assert!(!text(&run).contains("lines of code"), "nothing is known of built-in servers");
    run.header.points[0].arms[1].ease = Some(Ease {
        lines_of_code: Some(42),
        dependencies: Some(Dependencies { direct: Some(2), all: 9 }),
        duties: Some(vec![Duty::Backpressure]),
    });
    let shown = text(&run);
    for row in [
        "lines of code                         –                  42",
        "packages direct / all                 –               2 / 9",
        "duties in the code                    –        backpressure",
    ] {
        assert!(shown.contains(row), "no {row:?} in:\n{shown}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&rendered(Format::Json, &compare::compare(&run))).unwrap();
    let ease = |arm: usize| &json["points"][0]["arms"][arm]["ease"];
    assert!(ease(0).is_null());
    assert_eq!(ease(1)["dependencies"]["all"], 9);
}

#[test]
fn a_run_cut_short_says_so() {
    let report = compare::compare(&cut_short());
    insta::assert_snapshot!("text_cut_short", text(&report));
}

#[test]
fn nothing_from_a_target_is_obeyed() {
    let report = compare::compare(&hostile());
    for format in [Format::Text, Format::Markdown] {
        let text = rendered(format, &report);
        assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'), "{text:?}");
    }
    let markdown = rendered(Format::Markdown, &report);
    assert!(!markdown.contains("<script") && !markdown.contains("<img"), "{markdown}");
}

#[test]
fn every_format_renders_every_run() {
    let mut empty = cut_short();
    empty.trials.clear();
    let mut alone = sample::ratios(1.0, 1.0);
    alone.header.points[0].arms.truncate(1);
    alone.trials.retain(|t| t.arm == 0);
    for run in [cut_short(), empty, alone, hostile()] {
        let report = compare::compare(&run);
        for format in ALL {
            let text = format.render(&report);
            assert!(text.is_none_or(|text| !text.trim().is_empty()), "{}", format.name());
        }
    }
}
