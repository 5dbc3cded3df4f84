//! `report.html` in headless Chromium: it is whole, silent, reaches for nothing, works by pointer and
//! without script, fits a phone, and axe-core finds no violation of WCAG level AA. Skipped where the
//! browser or npm is missing, except in CI, where that is a failure.

mod cdp;
mod index;
mod saving;

use self::cdp::Page;
use crate::common::Bench;
use crate::common::turn::{self, Turn};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

/// Kept between test runs.
const AXE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/axe");
const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/results");

/// Says that something is missing; in CI that is a failure.
pub(super) fn missing(what: &str) {
    let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(!ci, "missing: {what}");
    eprintln!("skipped, missing: {what}");
}

/// A browser keeps a CPU busy.
fn turn() -> Option<Arc<Turn>> {
    if cdp::browser().is_none() {
        missing("Chromium (apt install chromium)");
        return None;
    }
    Some(turn::busy())
}

/// axe-core as locked in `tests/suite/browser`, set up once.
fn axe() -> Option<String> {
    static ONE: Mutex<()> = Mutex::new(());
    let _one_at_a_time = ONE.lock().unwrap();
    let script = Path::new(AXE).join("node_modules/axe-core/axe.min.js");
    if !script.exists() {
        if !Command::new("npm").arg("--version").output().is_ok_and(|o| o.status.success()) {
            missing("npm (apt install npm)");
            return None;
        }
        std::fs::create_dir_all(AXE).unwrap();
        for file in ["package.json", "package-lock.json"] {
            let from = format!("{}/tests/suite/browser/{file}", env!("CARGO_MANIFEST_DIR"));
            std::fs::copy(from, Path::new(AXE).join(file)).unwrap();
        }
        let set_up = Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(AXE)
            .output()
            .unwrap();
        if !set_up.status.success() {
            missing(&format!("axe-core: {}", String::from_utf8_lossy(&set_up.stderr)));
            return None;
        }
    }
    Some(std::fs::read_to_string(script).unwrap())
}

/// The page of some committed runs.
fn page_of(bench: &Bench, runs: &[&str]) -> PathBuf {
    let dirs: Vec<String> = runs.iter().map(|run| format!("{RESULTS}/{run}")).collect();
    let mut args = vec!["report"];
    args.extend(dirs.iter().map(String::as_str));
    args.extend(["--format", "html", "--output", "page.html"]);
    bench.run(&args).succeeds();
    bench.path("page.html")
}

/// A committed run whose names and messages are those of a hostile target.
fn hostile(bench: &Bench) -> PathBuf {
    const NAME: &str =
        r#"webhook@</script><script>pwned()</script><img src=x onerror=pwned()>\"'\u202egnp"#;
    for file in ["run.json", "trials.jsonl"] {
        let text = std::fs::read_to_string(format!("{RESULTS}/readme-ingest/{file}")).unwrap();
        let text = text.replace("webhook@builtin", NAME);
        let text = text.replace("One service sends", "<svg onload=pwned()>One service sends");
        bench.write(&format!("hostile/{file}"), &text);
    }
    bench.run(&["report", "hostile", "--format", "html", "--output", "page.html"]).succeeds();
    bench.path("page.html")
}

#[track_caller]
fn is_silent_and_alone(page: &Page) {
    assert!(page.printed().is_empty(), "{:#?}", page.printed());
    let requests = page.requests();
    assert!(requests.len() == 1 && requests[0].starts_with("file://"), "{requests:?}");
}

#[test]
fn every_section_is_shown_and_nothing_is_said_or_asked_for() {
    let Some(_turn) = turn() else { return };
    let mut page = Page::start();
    page.resize(1280, 900);
    let always = ["verdict", "ratios", "percentiles", "time", "blocks", "cost", "record"];
    for (run, sweep) in
        [("readme-ingest", false), ("short-lived-connections", true), ("all-targets", false)]
    {
        let bench = Bench::new();
        page.open(&page_of(&bench, &[run]));
        is_silent_and_alone(&page);
        for id in always.into_iter().chain(sweep.then_some("sweep")) {
            let height = page.eval(&format!("document.getElementById('{id}')?.offsetHeight ?? 0"));
            assert!(height.as_f64() > Some(60.0), "{run}: {id} is {height} high");
        }
        let dead = "[...document.querySelectorAll('a[href^=\"#\"]')].filter(a => !document.querySelector(a.hash)).map(a => a.hash)";
        assert_eq!(page.eval(dead), serde_json::json!([]), "{run}: links that lead nowhere");
        assert_eq!(
            page.eval("document.title").as_str().map(|t| t.starts_with("pushbench: ")),
            Some(true)
        );
    }
}

#[test]
fn several_runs_are_one_page_with_an_index() {
    let Some(_turn) = turn() else { return };
    let mut page = Page::start();
    let bench = Bench::new();
    page.open(&page_of(&bench, &["readme-ingest", "in-flight-sweep"]));
    is_silent_and_alone(&page);
    assert_eq!(page.eval("document.querySelectorAll('#index > ol > li').length"), 2);
    assert_eq!(page.eval("document.querySelectorAll('article').length"), 2);
}

#[test]
fn hostile_names_are_shown_and_not_obeyed() {
    let Some(_turn) = turn() else { return };
    let mut page = Page::start();
    let bench = Bench::new();
    page.open(&hostile(&bench));
    is_silent_and_alone(&page);
    assert_eq!(page.eval("document.querySelectorAll('img').length"), 0);
    assert_eq!(page.eval("document.querySelectorAll('script').length"), 1);
    let shown = page.eval("document.querySelector('table.pair th[scope=col]').textContent");
    let shown = shown.as_str().unwrap();
    assert!(shown.contains("<img src=x onerror=pwned()>\"'[U+202E]gnp"), "{shown}");
    assert!(
        page.eval("document.querySelector('h1').textContent")
            .as_str()
            .unwrap()
            .contains("<svg onload")
    );
}

/// The middle of the first visible mark of an arm in a figure.
fn mark(page: &mut Page, figure: &str, arm: &str) -> (f64, f64) {
    let at = page.eval(&format!(
        "(() => {{ const mark = document.querySelector('#figure-{figure} .{arm} .m[data-tip]');
          mark.scrollIntoView({{block: 'center'}}); const b = mark.getBoundingClientRect();
          return [(b.left + b.right) / 2, (b.top + b.bottom) / 2]; }})()"
    ));
    (at[0].as_f64().unwrap(), at[1].as_f64().unwrap())
}

#[test]
fn pointing_shows_values_and_buttons_hide_arms() {
    let Some(_turn) = turn() else { return };
    let mut page = Page::start();
    page.resize(1280, 900);
    let bench = Bench::new();
    page.open(&page_of(&bench, &["readme-ingest"]));
    let tip =
        "document.getElementById('tip').hidden ? null : document.getElementById('tip').textContent";
    assert_eq!(page.eval(tip), Value::Null);
    let (x, y) = mark(&mut page, "spectrum", "a0");
    // Scrolling hides what was shown: the page must have come to rest.
    page.eval("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))");
    page.point(x, y);
    let shown = page.eval(tip);
    assert!(shown.as_str().is_some_and(|t| t.starts_with("webhook@builtin: p50 ")), "{shown}");
    page.point(2.0, 2.0);
    assert_eq!(page.eval(tip), Value::Null, "and no longer than it is pointed at");

    let visible = "[0, 1].map(arm => [...document.querySelectorAll(`#figure-spectrum .a${arm} path`)].some(part => part.getBoundingClientRect().width > 0))";
    assert_eq!(page.eval(visible), serde_json::json!([true, true]));
    page.eval("document.querySelector('.arms button[data-arm=a0]').click()");
    assert_eq!(page.eval(visible), serde_json::json!([false, true]));
    assert_eq!(
        page.eval("document.querySelector('[data-arm=a0]').getAttribute('aria-pressed')"),
        "false"
    );
    page.eval("document.querySelector('.arms button[data-arm=a0]').click()");
    assert_eq!(page.eval(visible), serde_json::json!([true, true]));
    is_silent_and_alone(&page);
}

#[test]
fn without_script_and_on_paper_everything_is_there() {
    let Some(_turn) = turn() else { return };
    let mut page = Page::start();
    page.call("Emulation.setScriptExecutionDisabled", serde_json::json!({"value": true}));
    let bench = Bench::new();
    page.open(&page_of(&bench, &["readme-ingest"]));
    let text = page.eval("document.body.innerText");
    for part in [
        "websocket@builtin answers",
        "response p99",
        "Not tested here",
        "pushbench run ingest --seed 7",
        "trials.jsonl",
    ] {
        assert!(text.as_str().unwrap().contains(part), "no {part:?}");
    }
    // What only the script makes work is not shown without it.
    assert_eq!(
        page.eval("[...document.querySelectorAll('button')].some(b => b.checkVisibility())"),
        false
    );
    assert_eq!(page.eval("document.querySelectorAll('svg > title').length === document.querySelectorAll('svg').length"), true);
    page.eval("document.querySelector('details.data').open = true");
    assert!(
        page.eval("document.querySelector('details.data table').offsetHeight").as_f64()
            > Some(20.0)
    );

    page.media("print", "dark");
    assert_eq!(page.eval("document.querySelector('nav').checkVisibility()"), false);
    let paper = page.eval("getComputedStyle(document.body).backgroundColor");
    assert_eq!(paper, "rgb(255, 255, 255)", "ink on paper, whatever the screen is like");
    let pdf = page.call("Page.printToPDF", serde_json::json!({}));
    assert!(pdf["data"].as_str().unwrap().len() > 20_000);
}

#[test]
fn a_phone_scrolls_down_only() {
    let Some(_turn) = turn() else { return };
    let mut page = Page::start();
    page.resize(360, 740);
    for run in [
        "readme-ingest",
        "short-lived-connections",
        "all-targets",
        "fanout-9000",
        "idle",
        "gate-20us",
        "capacity-article",
        "scorecard/builtin",
        "advice",
    ] {
        let bench = Bench::new();
        page.open(&if run == "advice" { advice(&bench) } else { page_of(&bench, &[run]) });
        page.eval("document.querySelectorAll('details').forEach(d => d.open = true)");
        let wide = page.eval(
            "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > 361 && !e.closest('.scroll'))
               .slice(0, 5).map(e => e.outerHTML.slice(0, 120))",
        );
        let width = page.eval("document.documentElement.scrollWidth");
        assert_eq!(width, 360, "{run}: {wide:#}");
    }
}

#[test]
fn a_phone_shows_every_verdict_and_where_tables_go_on() {
    let Some(_turn) = turn() else { return };
    let mut page = Page::start();
    page.resize(360, 740);
    for run in ["readme-ingest", "four-sides", "idle", "in-flight-sweep", "gate-20us"] {
        let bench = Bench::new();
        page.open(&page_of(&bench, &[run]));
        page.eval("document.querySelectorAll('#verdict details').forEach(d => d.open = true)");
        let words = page.eval(
            "[...document.querySelectorAll('#verdict td.word')].filter(e => e.textContent && e.checkVisibility())
               .map(e => [e.textContent, e.getBoundingClientRect().left, e.getBoundingClientRect().right])",
        );
        let words = words.as_array().unwrap();
        assert!(words.len() >= 3, "{run}: {words:?}");
        for word in words {
            let at = |i: usize| word[i].as_f64().unwrap();
            assert!(at(1) >= 0.0 && at(2) <= 360.0, "{run}: {word}");
        }
        // What is still wider than its room has a shadow at its edge.
        let unmarked = page.eval(
            "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth)
               .filter(e => !getComputedStyle(e).backgroundImage.includes('gradient')).length",
        );
        assert_eq!(unmarked, 0, "{run}");
    }
}

#[test]
fn a_wide_screen_shows_verdicts_whole() {
    let Some(_turn) = turn() else { return };
    let mut page = Page::start();
    page.resize(1280, 900);
    for run in ["readme-ingest", "stuck-webhook", "four-sides", "idle", "in-flight-sweep"] {
        let bench = Bench::new();
        page.open(&page_of(&bench, &[run]));
        let cut = page.eval(
            "[...document.querySelectorAll('#verdict .scroll')].filter(e => e.scrollWidth > e.clientWidth)
               .map(e => [e.getAttribute('aria-label'), e.scrollWidth, e.clientWidth])",
        );
        assert_eq!(cut, serde_json::json!([]), "{run}: wider than their room");
    }
}

/// A short run made here: what it measures does not matter, nor whether it is valid.
fn duplex(bench: &Bench) -> PathBuf {
    bench.run(&["run", "duplex", "--blocks", "2", "--duration", "300ms", "--out", "duplex"]);
    bench.path("duplex/report.html")
}

/// What every look asks for, and what of it the colours decide.
const LEVEL_AA: &str = "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']";
const COLOURS: &str = "{type: 'rule', values: ['color-contrast', 'link-in-text-block']}";

/// Looks at the pages of these runs.
fn axe_finds_no_violation(page: &mut Page, axe: &str, bench: &Bench, pages: &[&[&str]]) {
    for runs in pages {
        axe_finds_none(page, axe, &page_of(bench, runs));
    }
}

/// The page of an advice from stored figures.
fn advice(bench: &Bench) -> PathBuf {
    let workload = concat!(env!("CARGO_MANIFEST_DIR"), "/workloads/mixed-customers.toml");
    let args = ["advise", workload, "--no-measure", "--format", "html", "--output", "advice.html"];
    bench.run(&args).succeeds();
    bench.path("advice.html")
}

fn axe_finds_none(page: &mut Page, axe: &str, file: &Path) {
    page.open(file);
    page.eval("document.querySelectorAll('details').forEach(d => d.open = true)");
    page.eval(&format!("{axe}; 0"));
    // Over the shadow of a narrow screen's tables axe judges no contrast: dark is looked at wide, too.
    for (scheme, width, rules) in
        [("light", 1280, LEVEL_AA), ("dark", 1280, COLOURS), ("dark", 360, LEVEL_AA)]
    {
        page.resize(width, 900);
        page.media("screen", scheme);
        let found = page.eval(&format!(
            "axe.run({{runOnly: {rules}}}).then(r => ({{
               passes: r.passes.length,
               violations: r.violations.map(v => [v.id, v.help, v.nodes.length, v.nodes.slice(0, 3).map(n => n.html + n.failureSummary)])
             }}))",
        ));
        let file = file.display();
        assert_eq!(found["violations"], serde_json::json!([]), "{file} {scheme}: {found:#}");
        let passes = found["passes"].as_u64();
        assert!(passes > Some(if rules == COLOURS { 0 } else { 10 }), "{file} {scheme}: {found}");
    }
    is_silent_and_alone(page);
}

#[test]
fn axe_finds_no_violation_of_level_aa_in_large_pages() {
    let Some(_turn) = turn() else { return };
    let Some(axe) = axe() else { return };
    let pages: [&[&str]; 2] = [&["in-flight-sweep"], &["readme-ingest", "short-lived-connections"]];
    axe_finds_no_violation(&mut Page::start(), &axe, &Bench::new(), &pages);
}

#[test]
fn axe_finds_no_violation_of_level_aa_in_other_pages() {
    let Some(_turn) = turn() else { return };
    let Some(axe) = axe() else { return };
    let (mut page, bench) = (Page::start(), Bench::new());
    let pages: [&[&str]; 7] = [
        &["readme-ingest"],
        &["four-sides"],
        &["idle"],
        &["gate-20us"],
        &["fanout-9000"],
        &["capacity-article"],
        &["scorecard/builtin"],
    ];
    axe_finds_no_violation(&mut page, &axe, &bench, &pages);
    axe_finds_none(&mut page, &axe, &duplex(&bench));
    axe_finds_none(&mut page, &axe, &advice(&bench));
}
