use crate::gate::github::{LIMIT, annotations, summary};
use crate::gate::{ALL, Format, GateSides, Source, rows};
use comrak::nodes::{AstNode, NodeValue};
use comrak::{Arena, Options, parse_document};
use pushbench_analysis::compare::gate::sample::{Recipe, recipe, settings, sweep};
use pushbench_analysis::compare::gate::{
    CANDIDATE, Failure, Gate, Look, Settings, Waiver, judge, judge_against,
};
use pushbench_core::record::executables::Executables;

const COMMAND: &str = "./server --port {port}";

const AGAIN: &str = "pushbench gate --base old --candidate new";

const SOURCE: Source<'_> = Source {
    dir: "results/x y",
    pushbench: "0.1.0",
    started: "2026-06-01T12:00:00Z",
    took_s: 61.5,
};

fn sides(stages: &[Gate]) -> GateSides<'_> {
    GateSides {
        base: COMMAND,
        candidate: "./new/server --port {port}",
        executables: None,
        command: AGAIN,
        stages,
    }
}

fn passed() -> Gate {
    recipe(1.0).gate()
}

fn failed() -> Gate {
    recipe(1.25).gate()
}

fn cannot_tell() -> Gate {
    Recipe { null: 1.08, ..recipe(1.1) }.gate()
}

/// What a renderer that is not ours understands of a text, with everything that GitHub adds to
/// CommonMark and that could be misused.
#[derive(Debug, Default)]
struct Understood {
    /// Cells of each row of each table.
    tables: Vec<Vec<Vec<String>>>,
    /// Links, images, HTML: nothing of that is ours.
    foreign: Vec<String>,
    code: Vec<String>,
}

fn understood(markdown: &str) -> Understood {
    let mut options = Options::default();
    options.extension.table = true;
    options.extension.strikethrough = true;
    options.extension.autolink = true;
    options.extension.tasklist = true;
    options.extension.footnotes = true;
    let arena = Arena::new();
    let mut found = Understood::default();
    for node in parse_document(&arena, markdown, &options).descendants() {
        match &node.data().value {
            NodeValue::Table(_) => found.tables.push(node.children().map(cells).collect()),
            NodeValue::Code(code) => found.code.push(code.literal.clone()),
            foreign @ (NodeValue::Link(_)
            | NodeValue::Image(_)
            | NodeValue::HtmlInline(_)
            | NodeValue::HtmlBlock(_)
            | NodeValue::Strikethrough
            | NodeValue::FootnoteReference(_)
            | NodeValue::CodeBlock(_)
            | NodeValue::BlockQuote
            | NodeValue::TaskItem(_)) => found.foreign.push(format!("{foreign:?}")),
            _ => {}
        }
    }
    found
}

fn cells<'a>(row: &'a AstNode<'a>) -> Vec<String> {
    row.children().map(|cell| text(cell).trim().to_owned()).collect()
}

fn text<'a>(node: &'a AstNode<'a>) -> String {
    let part = |n: &'a AstNode<'a>| match &n.data().value {
        NodeValue::Text(text) => text.to_string(),
        NodeValue::SoftBreak => " ".to_owned(),
        _ => String::new(),
    };
    node.descendants().map(part).collect()
}

/// Every ending, as the looks that lead to it.
fn endings() -> Vec<(&'static str, Vec<Gate>)> {
    let look = |number: usize, last: bool| Look {
        number,
        planned: 6,
        share: if last { 0.5 } else { 1.0 / 6.0 },
        last,
        begun: vec![8 + 4 * (number - 1)],
        ..Look::only()
    };
    let judged = |recipe: &Recipe, settings: &Settings, look: &Look| {
        let blocks = look.begun.first().copied().unwrap_or(11);
        judge(&Recipe { blocks, ..recipe.clone() }.run(), CANDIDATE, settings, look)
    };
    let at = |recipe: &Recipe, number, last| judged(recipe, &settings(), &look(number, last));
    let noisy = |candidate: f64| Recipe { noise: [0.0, 0.07, 0.07], ..recipe(candidate) };
    let (even, close) = (recipe(1.0), Recipe { noise: [0.0, 0.1, 0.02], ..recipe(1.03) });
    let wide = at(&noisy(1.1), 1, false);
    let ended = |error: &str, exit_code| Failure { error: error.to_owned(), exit_code };
    let unfinished = |looks: &[Look]| {
        let gate = judged(&noisy(1.1), &settings(), &Look::unfinished(looks));
        Gate { looks_planned: Some(looks.last().map_or(0, |l| l.planned)), ..gate }
    };
    let crash = ended("webhook@candidate: block 11: the target exited with code 1", 3);
    let stop = || ended("interrupted", 130);
    let waiver = Waiver {
        scenario: "gate".to_owned(),
        metric: "service.p50".to_owned(),
        ceiling: 0.15,
        expires: "2026-12-31".to_owned(),
        reason: "answers are signed now".to_owned(),
    };
    let waived = Settings {
        waivers: vec![waiver],
        margins: settings().margins.into_iter().filter(|m| m.metric == "service.p50").collect(),
        ..settings()
    };
    let mut shared = even.run();
    shared.header.placement = ["driver", "target"].map(|s| (s.to_owned(), vec![1])).into();
    let mut voided = even.run();
    voided.trials.iter_mut().filter(|t| t.block == 3).for_each(|t| {
        t.judged.invalid = vec!["the driver was 9 ms late".to_owned()];
    });
    let shift = Recipe { null: 1.08, ..recipe(1.1) };
    let stored = [even.run()];
    // The null of a candidate against a stored run is the candidate's own.
    let slow = Recipe { null: 1.25, ..recipe(1.25) };
    let advice = judge_against(&stored, "webhook@base", &slow.run(), &settings(), vec![]);
    vec![
        ("passed", vec![at(&even, 1, false)]),
        ("passed_with_a_waiver", vec![judged(&recipe(1.1), &waived, &look(1, false))]),
        (
            "passed_beside_a_voided_block",
            vec![judge(&voided, CANDIDATE, &settings(), &look(2, false))],
        ),
        ("failed", vec![wide.clone(), at(&recipe(1.25), 2, false)]),
        ("cannot_tell", vec![at(&shift, 1, false), at(&shift, 2, true)]),
        ("out_of_time", vec![wide.clone(), at(&close, 2, true).out_of_time(60.0)]),
        ("shared_cpu", vec![judge(&shared, CANDIDATE, &settings(), &look(2, false))]),
        ("advice", vec![advice]),
        ("not_started", vec![Gate::without_records("gate").failed(crash.clone())]),
        ("crashed", vec![wide.clone(), unfinished(&[look(1, false)]).failed(crash)]),
        ("interrupted", vec![wide, unfinished(&[look(1, false)]).failed(stop())]),
        ("interrupted_early", vec![unfinished(&[]).failed(stop())]),
    ]
}

#[test]
fn every_ending_as_people_see_it() {
    for (name, stages) in endings() {
        let sides = sides(&stages);
        let (text, annotation) = (Format::Text.render(&sides, SOURCE), annotations(&sides));
        insta::assert_snapshot!(name, format!("{text}\n{annotation}"));
    }
    for (name, stages) in
        endings().into_iter().filter(|(name, _)| ["failed", "interrupted"].contains(name))
    {
        let markdown = Format::Markdown.render(&sides(&stages), SOURCE);
        insta::assert_snapshot!(format!("{name}_markdown"), markdown);
    }
}

/// Whatever else a format shows, it tells how the gate ended and what else to know.
#[test]
fn every_format_tells_every_ending() {
    for (name, stages) in endings() {
        let (sides, last) = (sides(&stages), stages.last().unwrap());
        let json: serde_json::Value =
            serde_json::from_str(&Format::Json.render(&sides, SOURCE)).unwrap();
        let told = json["stages"].as_array().unwrap().last().unwrap();
        assert_eq!(told["sentence"], last.sentence.as_str(), "{name}");
        assert_eq!(json["command"], AGAIN);
        assert_eq!(told["time_used_up"].is_object(), name == "out_of_time", "{told}");
        let plain = |text: &str| -> String {
            let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
            let text = text.replace("&amp;", "&").replace('\u{a0}', " ").replace("%25", "%");
            text.chars().filter(|c| !c.is_whitespace() && *c != '\\').collect()
        };
        let formats = ALL.into_iter().filter(|f| *f != Format::Json);
        let mut shown: Vec<(&str, String)> =
            formats.map(|f| (f.name(), f.render(&sides, SOURCE))).collect();
        shown.push(("annotation", annotations(&sides)));
        for (format, text) in shown {
            let text = plain(&text);
            assert!(text.contains(&plain(&last.sentence)), "{name} as {format}: {}", last.sentence);
            for remark in rows::remarks(last, usize::MAX) {
                assert!(text.contains(&plain(&remark)), "{name} as {format}: {remark}");
            }
            let again = last.failure.is_some();
            assert!(!again || text.contains(&plain(AGAIN)), "{name} as {format}");
        }
    }
}

#[test]
fn junit_has_a_case_for_the_verdict_and_each_line() {
    for (name, stages) in endings() {
        let xml = Format::Junit.render(&sides(&stages), SOURCE);
        let document = roxmltree::Document::parse(&xml).unwrap();
        let cases: Vec<_> = document.descendants().filter(|n| n.has_tag_name("testcase")).collect();
        let gate = stages.last().unwrap();
        assert_eq!(cases.len(), 1 + gate.lines.len() + gate.exact.len(), "{name}");
        let verdict = cases[0].first_element_child().map(|n| n.tag_name().name());
        let wanted = match (gate.exit_code(), name) {
            (0, _) => None,
            (1, _) => Some("failure"),
            (2 | 130, _) => Some("skipped"),
            _ => Some("error"),
        };
        assert_eq!(verdict, wanted, "{name}");
        let failed = cases[1..].iter().filter(|c| c.children().any(|n| n.has_tag_name("failure")));
        assert_eq!(failed.count() > 0, name == "failed" || name == "advice", "{name}");
    }
}

/// What was measured until a gate ended is no verdict, in no table and no chart.
#[test]
fn without_a_verdict_no_line_has_one() {
    for (name, stages) in endings().into_iter().filter(|(_, s)| s.last().unwrap().failure.is_some())
    {
        let sides = sides(&stages[stages.len() - 1..]);
        for format in [Format::Text, Format::Markdown, Format::Html] {
            let text = format.render(&sides, SOURCE);
            for word in ["REGRESSION", ">passes", "passes\n", "✓"] {
                assert!(!text.contains(word), "{name}: {word} in {text}");
            }
        }
    }
}

#[test]
fn the_summary_is_the_tables_that_were_meant() {
    let gates = [failed()];
    let found = understood(&summary(&sides(&gates)));
    assert!(found.foreign.is_empty(), "{:?}", found.foreign);
    assert_eq!(found.code, [COMMAND, "./new/server --port {port}"]);
    let [lines] = &found.tables[..] else { panic!("{:?}", found.tables) };
    assert_eq!(lines.len(), 1 + 3);
    assert!(lines.iter().all(|row| row.len() == 9), "{lines:?}");
    let service = lines.iter().find(|row| row[0] == "webhook service.p50").unwrap();
    assert!(service[3].starts_with("+25.") && service[3].ends_with(']'), "{service:?}");
    assert_eq!((service[6].as_str(), service[7].as_str()), ("5 %", "REGRESSION"));
}

/// Names, commands and reasons that a hostile repository could bring.
const HOSTILE: [&str; 9] = [
    "<script>alert(1)</script>",
    "a | b || c",
    "`x` ``y`` ```z",
    "[click](http://evil.example) ![i](x)",
    "https://evil.example www.evil.example me@evil.example",
    "~~gone~~ **bold** _it_ \\| &amp;",
    "line\nbreak\r\n\n| new | row |\n|---|---|",
    "\u{1b}[31mred\u{7}",
    "[^1] - [x] # h > q",
];

#[test]
fn what_comes_from_elsewhere_stays_text() {
    for evil in HOSTILE {
        let mut gate = failed();
        gate.scenario = evil.to_owned();
        gate.exact[0].why = Some(evil.to_owned());
        gate.exact[0].base = Some(7.0);
        gate.lines[0].why = Some(evil.to_owned());
        gate.lines[1].setting.insert("payload.file".to_owned(), evil.into());
        gate.notes.push(evil.to_owned());
        gate.sentence.push_str(evil);
        let gates = [gate];
        let why = Executables::InPlace(evil.to_owned());
        let executables = Some(&why);
        let sides =
            GateSides { base: evil, candidate: evil, executables, command: evil, stages: &gates };
        let markdown = summary(&sides);
        let found = understood(&markdown);
        assert!(found.foreign.is_empty(), "{evil:?}: {:?}\n{markdown}", found.foreign);
        let shape: Vec<Vec<usize>> =
            found.tables.iter().map(|t| t.iter().map(Vec::len).collect()).collect();
        assert_eq!(shape, [vec![9; 4], vec![6; 2]], "{evil:?}\n{markdown}");
        assert_eq!(found.code.len(), 2, "{evil:?}\n{markdown}");
        for format in ALL.into_iter().filter(|f| *f != Format::Json) {
            let text = format.render(&sides, SOURCE);
            assert!(!text.contains(['\u{1b}', '\u{7}']), "{text:?}");
        }
        let noted = annotations(&sides);
        assert_eq!(noted.lines().count(), 1, "{noted:?}");
    }
}

#[test]
fn a_sweep_stays_under_the_limit() {
    let gates = [sweep(&failed(), 100)];
    let whole = summary(&sides(&gates));
    assert!(whole.len() < LIMIT, "{} bytes", whole.len());
    let found = understood(&whole);
    assert_eq!(found.tables[0].len(), 1 + 300, "every line of 100 points is shown");
    assert!(!whole.contains("are not shown"));

    let gates = [sweep(&failed(), 2_000)];
    assert!(
        Format::Markdown.render(&sides(&gates), SOURCE).len() > LIMIT,
        "this test tests nothing"
    );
    let cut = summary(&sides(&gates));
    assert!(cut.len() < LIMIT, "{} bytes", cut.len());
    let shown = understood(&cut).tables[0].len() - 1;
    assert!(shown > 1_000, "{shown} rows");
    assert!(cut.contains(&format!("{} more lines are not shown.", 6_000 - shown)));
}

#[test]
fn whatever_else_is_long_gives_way_too() {
    let mut gate = failed();
    gate.notes = vec!["n".repeat(1_000); 2_000];
    gate.missing = vec!["m".repeat(1_000); 2_000];
    let gates = [gate];
    let cut = summary(&sides(&gates));
    assert!(cut.len() < LIMIT && cut.contains("more remarks are not shown"), "{}", cut.len());
    assert_eq!(understood(&cut).tables[0].len(), 1 + 3, "the lines are still there");
}

#[test]
fn annotations_are_one_command_each() {
    let of = |gate: Gate| annotations(&sides(&[gate]));
    let text = of(failed());
    assert!(text.starts_with("::error title=pushbench gate failed::FAILED: service.p50"), "{text}");
    assert!(text.contains("%25") && !text.contains(" % "), "{text}");
    assert!(of(passed()).starts_with("::notice "));
    assert!(of(cannot_tell()).starts_with("::warning "));
    let evil = Gate { sentence: "a\n::error::b\r%0A".to_owned(), ..passed() };
    assert!(of(evil).ends_with("::a%0A::error::b%0D%250A\n"));
}

#[test]
fn waivers_are_always_shown() {
    let waiver = Waiver {
        scenario: "gate".to_owned(),
        metric: "service.p50".to_owned(),
        ceiling: 0.15,
        expires: "2026-12-31".to_owned(),
        reason: "answers are signed now".to_owned(),
    };
    let waivers = vec![waiver];
    let run = recipe(1.0).run();
    let gates = [judge(
        &run,
        CANDIDATE,
        &pushbench_analysis::compare::gate::Settings { waivers, ..settings() },
        &Look::only(),
    )];
    for format in ALL {
        let text = format.render(&sides(&gates), SOURCE);
        assert!(text.contains("answers are signed now"), "{}", format.name());
    }
    let json: serde_json::Value =
        serde_json::from_str(&Format::Json.render(&sides(&gates), SOURCE)).unwrap();
    assert_eq!(json["stages"][0]["waivers"][0]["state"], "not-needed");
    assert_eq!(json["stages"][0]["verdict"], "passed");
}

#[test]
fn the_page_says_what_was_decided_and_how_to_repeat_it() {
    for (gate, word) in
        [(passed(), "✓ passed"), (failed(), "✗ failed"), (cannot_tell(), "? cannot tell")]
    {
        let gates = [Gate { stage: 1, ..cannot_tell() }, Gate { stage: 2, ..gate }];
        let page = Format::Html.render(&sides(&gates), SOURCE);
        let sentence = gates[1].sentence.split(' ').next().unwrap();
        for part in [
            word,
            sentence,
            "service.p50",
            "null [95\u{a0}%]",
            "Counted",
            "left open",
            "pushbench gate --base old --candidate new",
            "pushbench report &#39;results/x y&#39;",
            "<svg role=\"img\"",
        ] {
            let found = page.contains(part) || page.contains(&part.replace("&#39;", "'"));
            assert!(found, "no {part:?}");
        }
        assert_eq!(page.matches("<h1").count(), 1);
        assert!(!page.contains("NaN"));
    }
}

#[test]
fn a_gate_that_passed_with_remarks_is_not_green() {
    let page = |gate: Gate| Format::Html.render(&sides(&[gate]), SOURCE);
    assert!(page(passed()).contains("class=\"tile better\""));
    let mut noted = passed();
    noted.notes.push("driver and target shared a CPU".to_owned());
    let noted = page(noted);
    assert!(noted.contains("class=\"tile moved\"") && noted.contains("read the remarks below"));
}

#[test]
fn what_comes_from_elsewhere_stays_text_on_the_page() {
    for evil in HOSTILE {
        let mut gate = failed();
        for text in [&mut gate.scenario, &mut gate.sentence] {
            text.push_str(evil);
        }
        gate.lines[0].why = Some(evil.to_owned());
        gate.lines[1].setting.insert("payload.file".to_owned(), evil.into());
        gate.notes.push(evil.to_owned());
        let gates = [gate];
        let why = Executables::InPlace(evil.to_owned());
        let executables = Some(&why);
        let sides =
            GateSides { base: evil, candidate: evil, executables, command: evil, stages: &gates };
        let source = Source { dir: evil, pushbench: evil, ..SOURCE };
        let page = Format::Html.render(&sides, source);
        assert_eq!(page.matches("<script").count(), 1, "our own");
        assert!(!page.contains('\u{1b}') && !page.contains("<img"), "{evil:?}");
    }
}
