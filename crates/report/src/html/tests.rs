use crate::html::*;
use pushbench_analysis::compare::charts::page;
use pushbench_analysis::compare::{compare, sample};
use pushbench_core::record::run::{Seconds, StoredRun};

fn source(run: &StoredRun) -> Source {
    let file = |name: &str| RawFile { name: name.to_owned(), href: Some(name.to_owned()) };
    Source {
        page: page(run, compare(run), &Seconds::new()),
        dir: "results/x".to_owned(),
        files: ["run.json", "trials.jsonl"].map(file).to_vec(),
    }
}

pub(crate) fn html(run: &StoredRun) -> String {
    render(&[source(run)])
}

/// Whatever a target, a file or a command line could bring.
const HOSTILE: &str = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&\u{202e}gnp\u{2066}\u{7}\u{1b}[31m\u{0}\u{200b}";

fn hostile() -> StoredRun {
    let mut run = sample::ratios(0.8, 0.5);
    let h = &mut run.header;
    h.question = HOSTILE.to_owned();
    h.scenario = HOSTILE.to_owned();
    h.command = vec!["pushbench".to_owned(), "run".to_owned(), HOSTILE.to_owned()];
    h.environment.insert(HOSTILE.to_owned(), HOSTILE.to_owned());
    let arm = &mut h.points[0].arms[0];
    for field in
        [&mut arm.label, &mut arm.target, &mut arm.transport, &mut arm.host, &mut arm.framing]
    {
        *field = HOSTILE.to_owned();
    }
    arm.command = Some(vec![HOSTILE.to_owned()]);
    h.points[0].setting.insert(HOSTILE.to_owned(), HOSTILE.into());
    for trial in &mut run.trials {
        trial.account.faults.insert(HOSTILE.to_owned(), 3);
        if trial.arm == 0 {
            trial.label = HOSTILE.to_owned();
        }
        if trial.block == 2 {
            trial.judged.invalid.push(HOSTILE.to_owned());
        }
    }
    run
}

/// The text of every attribute of this name.
fn attributes<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!(" {name}=\"");
    html.split(start.as_str()).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn every_section_is_there_in_order() {
    let html = html(&sample::ratios(0.8, 0.5));
    let ids = ["verdict", "ratios", "percentiles", "time", "blocks", "cost", "record"];
    let places: Vec<usize> = ids
        .iter()
        .map(|id| html.find(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("no {id}")))
        .collect();
    assert!(places.is_sorted(), "{places:?}");
    for text in [
        "websocket@builtin answers",
        "Validity",
        "Not tested here",
        "pushbench run ingest --seed 7",
        "pushbench report results/x",
        "trials.jsonl",
    ] {
        assert!(html.contains(text), "no {text:?}");
    }
    assert_eq!(html.matches("<h1").count(), 1);
}

#[test]
fn nothing_outside_of_the_page_is_referred_to() {
    for run in [sample::ratios(0.8, 0.5), hostile()] {
        let html = html(&run);
        for attribute in ["src", "srcset", "action", "data", "poster", "xlink:href", "background"] {
            assert!(attributes(&html, attribute).is_empty(), "{attribute}");
        }
        for href in attributes(&html, "href") {
            assert!(
                href.starts_with('#') || href.ends_with(".json") || href.ends_with(".jsonl"),
                "{href}"
            );
        }
        for word in
            ["@import", "url(", "<link", "<iframe", "<base", "fetch(", "XMLHttpRequest", "import("]
        {
            assert!(!html.contains(word), "{word}");
        }
    }
}

#[test]
fn what_comes_from_a_target_is_text() {
    let html = html(&hostile());
    assert_eq!(html.matches("<script").count(), 1, "our own");
    assert!(!html.contains("<img") && !html.contains("alert(1)</script>"));
    assert!(html.contains("&lt;img src=x onerror=alert(1)&gt;"), "it is shown");
    assert!(html.contains("[U+202E]gnp[U+2066][U+0007][U+001B]"), "and what would steer is seen");
    let steering = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert_eq!(html.chars().find(|c| steering(*c)), None);
}

#[test]
fn an_incomplete_run_says_so_on_top() {
    let mut run = sample::ratios(0.8, 0.5);
    run.trials.truncate(5);
    run.header.complete = false;
    run.header.finished = None;
    let html = html(&run);
    let notice = html.find("the run was cut short").expect("it says so");
    assert!(notice < html.find("id=\"verdict\"").unwrap());
    assert!(html.contains("2 of 12 blocks."), "and how far it came");
    run.header.failure = Some("disk <full>".to_owned());
    let why = "the run was cut short (disk &lt;full&gt;)";
    assert!(crate::html::tests::html(&run).contains(why), "and why");
}

#[test]
fn records_that_differ_are_said_on_top() {
    let mut run = sample::ratios(0.8, 0.5);
    run.header.records =
        Some(pushbench_host::results_store::Records { count: 24, sha256: String::new() });
    run.altered = Some("trials.jsonl holds 20 records".to_owned());
    let html = html(&run);
    let notice = html.find("RECORDS DIFFER: trials.jsonl holds 20 records").expect("it says so");
    assert!(notice < html.find("id=\"verdict\"").unwrap());
}

#[test]
fn a_card_is_green_only_where_no_note_can_move_a_figure() {
    let sound = html(&sample::ratios(0.8, 0.5));
    assert!(sound.contains("class=\"card validity well\"") && !sound.contains("class=\"mark\""));
    let moved = html(&crate::tests::spilled());
    assert!(moved.contains("class=\"card validity ill\"") && !moved.contains("is valid.<"));
    assert!(moved.contains("the notes below affect figures"), "not by colour alone");
    assert!(moved.contains("class=\"tile moved\""), "nor is what it moves green");
    let pair = table_of(&moved, "pair");
    let row = |name: &str| pair.split("<tr>").find(|r| r.contains(name)).unwrap().to_owned();
    assert!(row(">response p99").contains("href=\"#note-1-1\""), "{pair}");
    assert!(!row(">target CPU/event").contains("note-1-1"), "{pair}");
    assert_eq!(attributes(&moved, "id").iter().filter(|id| **id == "note-1-1").count(), 1);
    let mut few = sample::ratios(0.8, 0.5);
    few.trials.retain(|t| t.block < 3);
    assert!(html(&few).contains("too few blocks for a claim"));
}

#[test]
fn a_tile_names_its_subject_and_is_green_only_for_what_matters() {
    let html = html(&sample::ratios(0.8, 0.5));
    let tiles = html.split("<div class=\"tile ").skip(1);
    let tiles: Vec<&str> = tiles.map(|t| t.split("</div>").next().unwrap()).collect();
    let of = |name: &str| *tiles.iter().find(|t| t.contains(name)).unwrap();
    let (small, clear) = (of("response p50"), of("target CPU/event"));
    assert!(small.starts_with("alike\"") && small.contains("too small to matter"), "{small}");
    assert!(small.contains(">websocket sooner<") && !small.contains('✓'), "{small}");
    assert!(clear.starts_with("better\"") && clear.contains("✓ websocket needs less"), "{clear}");
    assert!(table_of(&html, "pair").contains("class=\"word alike\">better*<"), "nor in the table");
    assert!(html.contains("* too small to matter by this scenario"), "the star is explained");
}

#[test]
fn every_sign_of_a_table_is_explained_under_it() {
    let mut run = sample::ratios(0.8, 0.5);
    run.trials.retain(|t| t.block < 7);
    let html = html(&run);
    assert!(table_of(&html, "pair").contains("cannot tell†"));
    assert!(html.contains("† <bdi>7 valid blocks, 8 are needed: response.p50"));
}

#[test]
fn every_run_is_a_page() {
    let mut nothing = sample::ratios(1.0, 1.0);
    nothing.trials.clear();
    let mut alone = sample::ratios(1.0, 1.0);
    alone.header.points[0].arms.truncate(1);
    alone.trials.retain(|t| t.arm == 0);
    let mut overloaded = sample::ratios(0.8, 0.5);
    overloaded.trials.iter_mut().filter(|t| t.arm == 0).for_each(|t| t.judged.overloaded = true);
    let mut invalid = sample::ratios(0.8, 0.5);
    invalid.trials.iter_mut().for_each(|t| t.judged.invalid.push("lag".to_owned()));
    for (run, says) in [
        (nothing, "No trial was finished"),
        (alone, "measured alone"),
        (overloaded, "overloaded"),
        (invalid, "no valid trial"),
    ] {
        let html = html(&run);
        assert!(html.contains(says), "{says}");
        assert!(!html.contains("NaN") && html.ends_with("</html>"));
    }
}

#[test]
fn several_runs_have_an_index_and_share_no_identifier() {
    let html = render(&[source(&sample::ratios(0.8, 0.5)), source(&sample::ratios(1.2, 0.5))]);
    assert!(html.find("id=\"index\"").unwrap() < html.find("id=\"run1-top\"").unwrap());
    assert!(html.contains("href=\"#run2-top\""));
    let mut ids = attributes(&html, "id");
    ids.sort_unstable();
    let twice: Vec<_> = ids.windows(2).filter(|w| w[0] == w[1]).collect();
    assert!(twice.is_empty(), "{twice:?}");
    assert_eq!(html.matches("<h1").count(), 1);
}

#[test]
fn a_fan_out_tells_of_deliveries_and_subscribers() {
    let html = html(&crate::tests::fanned_out());
    for text in [
        "delivery p50",
        "last subscriber p50",
        "reach",
        "target CPU/delivery",
        "target memory/subscriber",
        "delivery time by percentile",
        "CPU per delivery: target and driver",
        "Memory per subscriber",
        "Trial by trial",
        "records hold no per-second figures of deliveries",
    ] {
        assert!(html.contains(text), "no {text:?}");
    }
    for text in [
        "CPU time per acknowledged event",
        "NaN",
        "÷ connections",
        "delivery.p",
        "Time ×",
        "publishing p50",
    ] {
        assert!(!html.contains(text), "{text:?}");
    }
}

#[test]
fn an_idle_flow_has_no_distribution_to_show() {
    let mut run = crate::tests::fanned_out();
    run.header.points[0].scenario.flow = pushbench_core::scenario::Flow::Idle;
    let html = html(&run);
    assert!(!html.contains("id=\"percentiles\"") && !html.contains("id=\"time\""));
    assert!(!html.contains("href=\"#percentiles\"") && html.contains("id=\"cost\""));
    assert!(html.contains("Memory per idle subscriber"));
}

#[test]
fn a_duplex_asks_for_answers() {
    let mut run = sample::ratios(0.8, 0.5);
    run.header.points[0].scenario =
        pushbench_core::scenario::load("duplex", &[]).unwrap().points.remove(0).scenario;
    let html = html(&run);
    for text in ["answer p50", "time to the answer by percentile", "target CPU/question"] {
        assert!(html.contains(text), "no {text:?}");
    }
}

/// The markup of a page's table of this class.
fn table_of(html: &str, class: &str) -> String {
    let start = html.find(&format!("<table class=\"{class}")).unwrap_or_else(|| panic!("{class}"));
    html[start..].split("</table>").next().unwrap().replace("<wbr>", "").replace('\u{a0}', " ")
}

#[test]
fn a_sweep_shows_its_headlines_with_figures_where_nothing_can_be_claimed() {
    let html = html(&crate::tests::idled());
    let matrix = table_of(&html, "matrix");
    for text in [
        "target memory/subscriber",
        "kernel memory/subscriber",
        "target CPU/subscriber·min",
        "next event, last delivery",
        "? cannot tell",
        "×0.50",
        "20.5 KiB → 10.2 KiB",
    ] {
        assert!(matrix.contains(text), "no {text:?} in {matrix}");
    }
    assert!(html.contains("cannot tell everywhere (×0.50, too few blocks for a claim)"));
    for word in ["✓ better", "✗ worse"] {
        assert!(!html.contains(word), "{word}");
    }
}

#[test]
fn sweeps_of_every_flow_show_figures_of_both_arms() {
    for (flow, run) in [
        ("fanout", crate::tests::fanned_out()),
        ("duplex", sample::ratios(0.8, 0.5)),
        ("ingest", sample::ratios(0.8, 0.5)),
    ] {
        let mut run = run;
        run.trials.retain(|t| t.block < 2);
        run.header.points[0].scenario =
            pushbench_core::scenario::load(flow, &[]).unwrap().points.remove(0).scenario;
        let mut second = run.header.points[0].clone();
        run.header.points[0].setting.insert("payload.bytes".to_owned(), 64.into());
        second.setting.insert("payload.bytes".to_owned(), 512.into());
        run.header.points.push(second);
        let more = run.trials.to_vec();
        run.trials.extend(more.into_iter().map(|mut t| {
            t.point = 1;
            t
        }));
        let matrix = table_of(&html(&run), "matrix");
        let figures = matrix.matches(" → ").count();
        assert!(figures >= 6, "{flow}: {figures} cells with figures");
        assert!(matrix.contains(" p99"), "{flow}");
    }
}

#[test]
fn a_ratio_of_too_few_blocks_is_shown_everywhere_and_claims_nothing() {
    let mut run = sample::ratios(0.8, 0.5);
    run.trials.retain(|t| t.block == 0);
    let html = html(&run);
    assert!(table_of(&html, "pair").contains("×0.50"), "in the table");
    assert!(html.contains("A mark without a line has too few blocks"), "in the chart");
    assert!(html.contains("×0.500 ? cannot tell"), "beside its mark");
}
