use crate::layout::Look;
use crate::{ALL, Format, Output, json, text};
use pushbench_analysis::compare;
use pushbench_analysis::compare::Report;
use pushbench_analysis::compare::evidence::evidence;
use pushbench_analysis::compare::sample;
use pushbench_analysis::compare::sample::Block;
use pushbench_core::record::ease::{Dependencies, Duty, Ease};
use pushbench_core::record::fanout::{
    Audience, Deliveries, DeliveryOutcomes, Fanout, Growth, Quiet,
};
use pushbench_core::record::run::StoredRun;
use pushbench_core::record::trial::Trial;
use pushbench_core::scenario;
use std::collections::BTreeMap;

/// The files of some formats by name; one of its own is called by its usual name.
fn files(formats: &[Format], run: &StoredRun) -> Vec<(Format, Vec<(String, String)>)> {
    let report = compare::compare(run);
    let evidence = evidence(run, &report, &BTreeMap::new());
    let of = |format: Format| match format.render(&report, &evidence).unwrap() {
        Output::One(text) => vec![(format.file_name().unwrap().to_owned(), text)],
        Output::Several(files) => {
            let text = |bytes| String::from_utf8(bytes).unwrap();
            files.into_iter().map(|f| (f.name, text(f.bytes))).collect()
        }
    };
    // The page and its charts take more than the report, and have tests of their own.
    let mine = formats.iter().filter(|f| !matches!(f, Format::Html | Format::Svg));
    mine.map(|format| (*format, of(*format))).collect()
}

/// The text of a format of one file.
fn one(format: Format, run: &StoredRun) -> String {
    files(&[format], run).remove(0).1.remove(0).1
}

fn cut_short() -> StoredRun {
    let mut run = sample::ratios(0.8, 0.5);
    run.trials.truncate(5);
    run.header.complete = false;
    run.header.finished = None;
    run
}

/// Twelve blocks in which either arm is ahead in turn.
fn inconclusive() -> StoredRun {
    let block = |n: u64| {
        let (a, b) = if n.is_multiple_of(2) { (100_000, 150_000) } else { (150_000, 100_000) };
        [Block::of(a, a / 2), Block::of(b, b / 2)]
    };
    sample::run(&(0..12).map(block).collect::<Vec<_>>())
}

fn overloaded() -> StoredRun {
    let mut run = sample::ratios(0.8, 0.5);
    run.trials.iter_mut().filter(|t| t.arm == 0).for_each(|t| {
        t.judged.overloaded = true;
        t.account.acknowledged_by_end = 1500;
    });
    run
}

fn invalid() -> StoredRun {
    let mut run = sample::ratios(0.8, 0.5);
    let why = "median lag 900 µs, over 200 µs";
    run.trials
        .iter_mut()
        .filter(|t| t.arm == 1)
        .for_each(|t| t.judged.invalid.push(why.to_owned()));
    run
}

fn sweep() -> StoredRun {
    let mut run = sample::ratios(0.8, 0.5);
    let faster = sample::ratios(0.4, 0.5);
    let mut second = faster.header.points[0].clone();
    second.scenario.load.rate = Some(4000.0);
    for (point, rate) in [(&mut run.header.points[0], 2000), (&mut second, 4000)] {
        point.setting.insert("load.rate".to_owned(), rate.into());
    }
    run.header.points.push(second);
    run.trials.extend(faster.trials.into_iter().map(|mut trial| {
        (trial.point, trial.offered_per_second) = (1, Some(4000.0));
        trial
    }));
    run
}

/// A fan-out to 50 subscribers, in which the second arm delivers in four fifths of the time.
pub(crate) fn fanned_out() -> StoredRun {
    let mut run = sample::ratios(0.8, 0.5);
    let scenario = scenario::load("fanout", &[]).unwrap().points.remove(0).scenario;
    run.header.scenario.clone_from(&scenario.name);
    run.header.question.clone_from(&scenario.question);
    run.header.points[0].scenario = scenario;
    let audience = Audience::all(50);
    for trial in &mut run.trials {
        let mut deliveries = Deliveries::new(&audience);
        let events = trial.account.measured.due;
        let due = 50 * events;
        deliveries.measured =
            DeliveryOutcomes { due, received: due, ..DeliveryOutcomes::default() };
        (deliveries.events, deliveries.complete) = (events, events);
        (deliveries.read, deliveries.read_in_window, deliveries.read_by_end) = (due, due, due);
        for times in [&mut deliveries.delivery, &mut deliveries.unlagged, &mut deliveries.last] {
            times.merge(&trial.account.service);
        }
        deliveries.skew.merge(&trial.account.lag);
        deliveries.connections = 50;
        trial.fanout = Some(Fanout {
            deliveries,
            acknowledged: true,
            subscribed_in_ns: 5_000_000,
            target_memory: Some(Growth { before: 4 << 20, after: 5 << 20 }),
            driver_memory: None,
            kernel_memory: None,
            kernel_memory_why: None,
            quiet: None,
            publisher: None,
        });
    }
    run
}

/// An idle flow of one block at two sizes, nothing of which can be claimed.
pub(crate) fn idled() -> StoredRun {
    let mut run = fanned_out();
    let scenario = scenario::load("idle", &[]).unwrap().points.remove(0).scenario;
    run.header.scenario.clone_from(&scenario.name);
    run.trials.retain(|t| t.block == 0);
    for trial in &mut run.trials {
        let fanout = trial.fanout.as_mut().unwrap();
        let half = trial.arm as u64 * (1 << 19);
        fanout.target_memory = Some(Growth { before: 4 << 20, after: (5 << 20) - half });
        fanout.quiet = Some(Quiet {
            ns: 60_000_000_000,
            target_cpu_ns: Some(50_000),
            driver_cpu_ns: 50_000,
            bytes_in: 600,
            bytes_out: 600,
            pings: 50,
            reads: Some(50),
            requests: Some(0),
            connections: 50,
            unsettled: 0,
        });
    }
    run.header.points[0].scenario = scenario;
    let mut second = run.header.points[0].clone();
    for (point, count) in [(&mut run.header.points[0], 1000), (&mut second, 5000)] {
        point.setting.insert("subscribers.count".to_owned(), count.into());
    }
    run.header.points.push(second);
    let more: Vec<_> = run.trials.iter().cloned().map(|t| Trial { point: 1, ..t }).collect();
    run.trials.extend(more);
    run
}

/// Events were open when the other arm's slice began.
pub(crate) fn spilled() -> StoredRun {
    let mut run = sample::ratios(0.8, 0.5);
    run.trials.iter_mut().for_each(|t| t.account.spill = t.account.measured.due / 10);
    run
}

/// The runs that every format is shown with, one of each kind.
fn runs() -> Vec<(&'static str, StoredRun)> {
    vec![
        ("normal", sample::ratios(0.8, 0.5)),
        ("inconclusive", inconclusive()),
        ("overloaded", overloaded()),
        ("invalid", invalid()),
        ("incomplete", cut_short()),
        ("sweep", sweep()),
        ("fanout", fanned_out()),
        ("outage", sample::outage(fanned_out())),
    ]
}

/// Names that a hostile target or file could bring.
fn hostile() -> StoredRun {
    let mut run = sample::ratios(0.8, 0.5);
    run.header.scenario = "=cmd|' /C calc'!A1".to_owned();
    run.header.question =
        "- What <script>alert(1)</script> does | this \u{1b}[31mdo? http://x.y ]]>".to_owned();
    run.header.command.push("`rm`\u{202e}\n</details>".to_owned());
    let label = "webhook@<b>&`x`\u{7}\u{202e},\"'=1\n#".to_owned();
    run.header.points[0].arms[0].label.clone_from(&label);
    for trial in run.trials.iter_mut().filter(|t| t.arm == 0) {
        trial.label.clone_from(&label);
        trial
            .account
            .faults
            .insert("-answered <img src=x>\n\u{1b}]0;title\u{7} \u{ffff}".to_owned(), 3);
        if trial.block == 3 {
            trial.judged.invalid.push("@exit <i>=2</i>\n\u{2066}".to_owned());
        }
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
fn runs_as_people_and_programs_see_them() {
    for (name, run) in runs() {
        for (format, files) in files(&[Format::Text, Format::Markdown, Format::Json], &run) {
            let text = match format {
                Format::Json => rounded(&files[0].1),
                _ => files[0].1.clone(),
            };
            insta::assert_snapshot!(format!("{}_{name}", format.name()), text);
        }
    }
}

#[test]
fn a_narrow_terminal_is_respected_and_colours_are_only_colours() {
    for (_, run) in runs() {
        let report = compare::compare(&run);
        let plain = text::render(&report, Look::PLAIN);
        let coloured = text::render(&report, Look { colour: true, width: None });
        assert!(coloured.contains('\u{1b}'));
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
        let narrow = text::render(&report, Look { colour: false, width: Some(70) });
        assert!(narrow.lines().all(|l| l.chars().count() <= 70), "{narrow}");
        let words = |t: &str| t.split_whitespace().collect::<String>().len();
        assert!(words(&narrow) >= words(&plain), "nothing is left out");
    }
    let report = compare::compare(&sample::ratios(0.8, 0.5));
    let narrow = Look { colour: false, width: Some(70) };
    insta::assert_snapshot!("text_narrow", text::render(&report, narrow));
}

#[test]
fn programs_are_shown_with_what_they_ask_of_their_writers() {
    let mut run = sample::ratios(0.8, 0.5);
    let text = |run: &StoredRun| one(Format::Text, run);
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
        serde_json::from_str(&json::render(&compare::compare(&run))).unwrap();
    let ease = |arm: usize| &json["points"][0]["arms"][arm]["ease"];
    assert!(ease(0).is_null());
    assert_eq!(ease(1)["dependencies"]["all"], 9);
}

#[test]
fn a_difference_that_is_not_claimed_says_why() {
    // Seven blocks are too few for any claim, however clear their intervals are.
    let mut run = sample::ratios(0.8, 0.5);
    run.trials.retain(|t| t.block < 7);
    let text = one(Format::Text, &run);
    assert!(text.contains("cannot tell†"), "{text}");
    let why = "† 7 valid blocks, 8 are needed: response.p50, response.p90, ";
    assert_eq!(text.matches(why).count(), 1, "once for all metrics\n{text}");
    assert!(text.contains("of websocket@builtin\n"), "{text}");
    assert!(one(Format::Markdown, &run).contains("† 7 valid blocks"), "{text}");
}

#[test]
fn an_arm_alone_shows_how_certain_its_percentiles_are() {
    let mut run = sample::ratios(1.0, 1.0);
    run.header.points[0].arms.truncate(1);
    run.trials.retain(|t| t.arm == 0);
    let text = one(Format::Text, &run);
    assert!(text.contains("service p50             118 µs [109, 127]\n"), "{text}");
}

#[test]
fn a_note_stands_beside_the_figures_that_it_can_move() {
    let text = one(Format::Text, &spilled());
    for line in ["response p50 !1 ", "service p50 !1 ", "!1 10 % of the events were still open"] {
        assert!(text.contains(line), "no {line:?} in {text}");
    }
    assert!(!text.contains("CPU/event !"), "{text}");
    let markdown = one(Format::Markdown, &spilled());
    for line in ["| response p99 !1 |", "- note !1: 10 % of", "> Read the numbered notes first"] {
        assert!(markdown.contains(line), "no {line:?} in {markdown}");
    }
    assert!(!one(Format::Markdown, &sample::ratios(0.8, 0.5)).contains("numbered notes"));
    let json: serde_json::Value = serde_json::from_str(&one(Format::Json, &spilled())).unwrap();
    let validity = &json["points"][0]["validity"];
    let detail = &validity["note_details"][0];
    assert_eq!(detail["note"], validity["notes"][0], "the texts stay what they were");
    assert!(detail["arm"].is_null() && detail["moves_figures"] == true, "{detail}");
    let metrics = detail["metrics"].as_array().unwrap();
    assert!(metrics.contains(&"response.p99".into()), "{detail}");
}

#[test]
fn a_run_cut_short_says_so() {
    for (format, files) in files(&ALL, &cut_short()) {
        // JSON says it in a field, and Bencher's has no room for it: there the command says it.
        if matches!(format, Format::Json | Format::Bencher | Format::Csv) {
            continue;
        }
        for (name, text) in files {
            let empty = name == "bigger-is-better.json" && text.trim() == "[]";
            assert!(empty || text.contains("INCOMPLETE"), "{name}: {text}");
        }
    }
    assert!(one(Format::Json, &cut_short()).contains("\"complete\":false"));
    let mut cut = sample::ratios(0.8, 0.5);
    cut.cut = true;
    let text = one(Format::Text, &cut);
    assert!(text.contains("INCOMPLETE") && text.contains("in the middle of a line"), "{text}");
}

/// What a reader, a terminal or a spreadsheet would obey.
fn obeyed(c: char) -> bool {
    (c.is_control() && c != '\n') || "\u{202e}\u{2066}\u{ffff}".contains(c)
}

#[test]
fn nothing_from_a_target_is_obeyed() {
    for (format, files) in files(&ALL, &hostile()) {
        for (name, text) in files {
            assert!(!name.contains(obeyed) && !name.contains('/'), "{name:?}");
            // JSON's own escapes are text to whoever reads them.
            if format != Format::Json {
                assert!(!text.contains(obeyed), "{name}: {text:?}");
            }
        }
    }
    let markdown = one(Format::Markdown, &hostile());
    assert!(!markdown.contains("<script") && !markdown.contains("<img"), "{markdown}");
}

#[test]
fn every_format_renders_every_run() {
    let mut empty = cut_short();
    empty.trials.clear();
    let mut alone = sample::ratios(1.0, 1.0);
    alone.header.points[0].arms.truncate(1);
    alone.trials.retain(|t| t.arm == 0);
    let mut all = runs();
    all.extend([("empty", empty), ("alone", alone), ("hostile", hostile())]);
    for (name, run) in all {
        for (format, files) in files(&ALL, &run) {
            // Of what has no valid block there is no distribution.
            let nothing = format == Format::Hgrm && ["empty", "invalid"].contains(&name);
            assert_eq!(files.is_empty(), nothing, "{} of {name}", format.name());
            assert!(files.iter().all(|(_, text)| !text.trim().is_empty()), "{}", format.name());
        }
    }
}

#[test]
fn nothing_to_compare_says_what_is_missing() {
    let mut run = cut_short();
    run.trials.clear();
    for format in [Format::Text, Format::Markdown, Format::Junit, Format::Json] {
        let text = one(format, &run);
        assert!(text.contains("No trial was finished: nothing is compared."), "{text}");
    }
    let report: Report = compare::compare(&run);
    assert_eq!(report.points[0].arms.len(), 2, "the arms are named all the same");
}
