//! The index of a directory tree in headless Chromium: sorted, searched, read on a phone and without script.

use super::{axe, axe_finds_none, is_silent_and_alone, turn};
use crate::browser::cdp::Page;
use crate::common::Bench;
use crate::index::{begun, place};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Three nights of one scenario, a gate, other records, a hostile name, and what is no record.
fn index(bench: &Bench) -> PathBuf {
    for day in 1..=3 {
        begun(bench, &format!("all/night-{day}"), day);
    }
    for name in ["gate-20us", "in-flight-sweep", "capacity-article", "readme-ingest", "four-sides"]
    {
        place(bench, name, &format!("all/{name}"));
    }
    place(bench, "idle", "all/<script>pwned()<");
    bench.write("all/photos/a.jpg", "");
    bench.run(&["report", "all", "--output", "index.html"]).succeeds();
    bench.path("index.html")
}

/// The first column of the rows that are shown.
const SHOWN: &str =
    "[...document.querySelectorAll('.records tbody tr')].filter(r => r.checkVisibility())
    .map(r => r.cells[0].querySelector('bdi').textContent)";

#[test]
fn records_are_sorted_and_searched() {
    let Some(_turn) = turn() else { return };
    let (mut page, bench) = (Page::start(), Bench::new());
    page.resize(1280, 900);
    page.open(&index(&bench));
    let all = page.eval(SHOWN);
    let all: Vec<&str> = all.as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect();
    assert_eq!(all.len(), 9);
    assert!(all.contains(&"<script>pwned()<"), "{all:?}");
    assert_eq!(&all[6..], ["night-3", "night-2", "night-1"], "the newest first");

    let press = |name: &str| {
        format!(
            "[...document.querySelectorAll('.records th button')].find(b => b.textContent === '{name}').click()"
        )
    };
    let sorted = "[...document.querySelectorAll('.records th[aria-sort]')].map(h => h.textContent + ' ' + h.ariaSort)";
    page.eval(&press("began"));
    assert_eq!(page.eval(SHOWN)[0], "night-1");
    assert_eq!(page.eval(sorted), json!(["began ascending"]));
    page.eval(&press("began"));
    assert_eq!(page.eval(SHOWN)[8], "night-1");
    page.eval(&press("blocks"));
    assert_eq!(page.eval(sorted), json!(["blocks ascending"]));
    let blocks = page.eval(
        "[...document.querySelectorAll('.records tbody tr')].map(r => parseInt(r.cells[5].textContent) || 0)",
    );
    let blocks: Vec<u64> = blocks.as_array().unwrap().iter().map(|b| b.as_u64().unwrap()).collect();
    assert!(blocks.is_sorted() && blocks.last() > Some(&12), "by number: {blocks:?}");

    let search = |text: &str| {
        format!(
            "(() => {{ const field = document.getElementById('search'); field.value = '{text}'; field.dispatchEvent(new Event('input')); }})()"
        )
    };
    page.eval(&search("Night ingest"));
    assert_eq!(page.eval(SHOWN).as_array().unwrap().len(), 3);
    assert_eq!(page.eval("document.getElementById('matches').textContent"), "3 of 9 shown");
    page.eval(&search("failed"));
    assert_eq!(page.eval(SHOWN), json!(["gate-20us"]));
    page.eval(&search(""));
    assert_eq!(page.eval(SHOWN).as_array().unwrap().len(), 9);
    is_silent_and_alone(&page);
}

#[test]
fn names_lead_to_pages_and_a_list_chooses_the_metric() {
    let Some(_turn) = turn() else { return };
    let (mut page, bench) = (Page::start(), Bench::new());
    page.resize(1280, 900);
    page.open(&index(&bench));
    assert_eq!(page.eval("document.querySelectorAll('script').length"), 2, "our own");
    let links = page.eval(
        "[...document.querySelectorAll('.records a')].map(a => decodeURIComponent(a.pathname))",
    );
    let links = links.as_array().unwrap();
    assert!(links.len() >= 4, "{links:?}");
    for link in links {
        assert!(PathBuf::from(link.as_str().unwrap()).exists(), "{link}");
    }
    let titles = "[...document.querySelectorAll('.history h4')].filter(h => h.checkVisibility()).map(h => h.textContent)";
    assert_eq!(page.eval(titles), json!(["response p50"]));
    page.eval("(() => { const list = document.querySelector('.history select'); list.value = 1; list.dispatchEvent(new Event('change')); })()");
    assert_eq!(page.eval(titles), json!(["response p99"]));
    assert_eq!(
        page.eval(
            "document.querySelector('.history select').labels[0].textContent.startsWith('Metric')"
        ),
        true
    );
    is_silent_and_alone(&page);
}

#[test]
fn without_script_every_record_and_metric_is_there() {
    let Some(_turn) = turn() else { return };
    let (mut page, bench) = (Page::start(), Bench::new());
    page.call("Emulation.setScriptExecutionDisabled", json!({"value": true}));
    page.open(&index(&bench));
    assert_eq!(page.eval(SHOWN).as_array().unwrap().len(), 9);
    let offered =
        "[...document.querySelectorAll('button, input, select')].some(e => e.checkVisibility())";
    assert_eq!(page.eval(offered), false, "what only the script makes work");
    let metrics = "[...document.querySelectorAll('.history summary')].filter(s => s.checkVisibility() && s.parentElement.className === 'metric').length";
    assert_eq!(page.eval(metrics), 3);
}

#[test]
fn axe_finds_nothing_in_an_index_and_a_phone_scrolls_down_only() {
    let Some(_turn) = turn() else { return };
    let (mut page, bench) = (Page::start(), Bench::new());
    let file = index(&bench);
    page.resize(360, 740);
    page.open(&file);
    page.eval("document.querySelectorAll('details').forEach(d => d.open = true)");
    let wide = page.eval(
        "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > 361 && !e.closest('.scroll'))
           .slice(0, 5).map(e => e.outerHTML.slice(0, 120))",
    );
    assert_eq!(page.eval("document.documentElement.scrollWidth"), 360, "{wide:#}");
    // Rows are stacked, so that nothing lies beside the screen.
    let verdicts = page.eval(
        "[...document.querySelectorAll('.records .verdict')].map(e => e.getBoundingClientRect().right)",
    );
    let inside = |right: &Value| right.as_f64() <= Some(360.0);
    assert!(verdicts.as_array().unwrap().iter().all(inside), "{verdicts}");
    // The table has no head there: a list sorts it.
    let choose = |what: &str| {
        format!(
            "(() => {{ const list = document.getElementById('sort'); list.selectedIndex = [...list.options].findIndex(o => o.text === '{what}'); list.dispatchEvent(new Event('change')); }})()"
        )
    };
    assert_eq!(page.eval("document.getElementById('sort').checkVisibility()"), true);
    page.eval(&choose("began, ascending"));
    assert_eq!(page.eval(SHOWN)[0], "night-1");
    page.eval(&choose("began, descending"));
    assert_eq!(page.eval(SHOWN)[8], "night-1");
    let heads = "[...document.querySelectorAll('.records thead button')].some(b => b.checkVisibility({visibilityProperty: true}))";
    assert_eq!(page.eval(heads), false, "nothing is focused that cannot be seen");
    page.resize(1280, 900);
    assert_eq!(page.eval("document.getElementById('sort').checkVisibility()"), false);
    page.resize(360, 740);
    let Some(axe) = axe() else { return };
    axe_finds_none(&mut page, &axe, &file);
}
