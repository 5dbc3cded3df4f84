//! Charts saved from a page: SVG that stands alone, and CSV with the figures of the page.

use super::{is_silent_and_alone, page_of, turn};
use crate::browser::cdp::Page;
use crate::common::{Bench, eventually};
use serde_json::json;
use std::path::Path;

/// Presses the button of a figure and waits for the file.
fn saved(page: &mut Page, folder: &Path, figure: &str, kind: &str) -> String {
    let file = folder.join(format!("{figure}.{}", kind.to_lowercase()));
    page.eval(&format!(
        "[...document.querySelectorAll('#figure-{figure} .save button')].find(b => b.textContent.endsWith('{kind}')).click()"
    ));
    // Its name is taken before its content is there.
    eventually("the saved file", || std::fs::metadata(&file).is_ok_and(|m| m.len() > 0));
    std::fs::read_to_string(file).unwrap()
}

fn start(bench: &Bench) -> (Page, std::path::PathBuf) {
    let mut page = Page::start();
    let folder = bench.path("saved");
    std::fs::create_dir(&folder).unwrap();
    let allow = json!({"behavior": "allow", "downloadPath": folder});
    page.call("Page.setDownloadBehavior", allow);
    page.resize(1280, 900);
    (page, folder)
}

/// Rows of cells.
fn rows(csv: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(csv.as_bytes());
    let row =
        |r: Result<csv::StringRecord, csv::Error>| r.unwrap().iter().map(str::to_owned).collect();
    reader.records().map(row).collect()
}

#[test]
fn every_chart_can_be_saved_as_a_drawing_that_stands_alone() {
    let Some(_turn) = turn() else { return };
    let bench = Bench::new();
    let (mut page, folder) = start(&bench);
    page.open(&page_of(&bench, &["readme-ingest"]));
    let missing = "[...document.querySelectorAll('figure')].filter(f => f.querySelectorAll('.save button').length !== 2).map(f => f.id)";
    assert_eq!(page.eval(missing), json!([]));
    let names = page.eval("[...document.querySelectorAll('.save button')].map(b => b.ariaLabel)");
    let mut names: Vec<&str> =
        names.as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "each button has a name of its own");

    let text = saved(&mut page, &folder, "spectrum", "SVG");
    let tree = roxmltree::Document::parse(&text).unwrap();
    let root = tree.root_element();
    assert_eq!(root.tag_name().namespace(), Some("http://www.w3.org/2000/svg"));
    let part = |name: &str| root.children().find(|n| n.tag_name().name() == name).unwrap();
    let title = part("title").text().unwrap();
    let shown = page.eval("document.querySelector('#figure-spectrum figcaption').textContent");
    assert_eq!(shown, title);
    assert!(part("style").text().unwrap().contains(".c-webhook"));
    // The same as `--format svg` writes.
    let args = ["report", "results/readme-ingest", "--format", "svg", "--chart", "spectrum"];
    let mut command = bench.pushbench(&args);
    let written = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap().stdout;
    let written = String::from_utf8(written).unwrap();
    let written = roxmltree::Document::parse(&written).unwrap();
    let marks = |tree: &roxmltree::Document<'_>| -> Vec<String> {
        let paths = tree.descendants().filter(|n| n.tag_name().name() == "path");
        paths.map(|n| format!("{:?}{:?}", n.attribute("class"), n.attribute("d"))).collect()
    };
    assert!(marks(&tree).len() > 40 && marks(&tree) == marks(&written));

    // It is drawn in its colours where no page is around it.
    page.open(&folder.join("spectrum.svg"));
    let colour = "getComputedStyle(document.querySelector('.c-webhook .m')).fill";
    assert_eq!(page.eval(colour), "rgb(196, 78, 0)");
}

#[test]
fn the_figures_of_a_chart_can_be_saved_as_numbers() {
    let Some(_turn) = turn() else { return };
    let bench = Bench::new();
    let (mut page, folder) = start(&bench);
    page.open(&page_of(&bench, &["readme-ingest"]));
    let spectrum = rows(&saved(&mut page, &folder, "spectrum", "CSV"));
    let parts = ["", " low", " high", " unit"].map(|part| format!("webhook@builtin{part}"));
    assert_eq!((spectrum[0][0].as_str(), &spectrum[0][1..5]), ("percentile", &parts[..]));
    // 54.6 µs and 424 µs, as the page and the README show them.
    assert_eq!((spectrum[1][0].as_str(), spectrum[1][1].as_str()), ("p50", "54600"));
    let p99 = spectrum.iter().find(|row| row[0] == "p99").unwrap();
    assert_eq!((p99[1].as_str(), p99[4].as_str()), ("424000", "ns"));
    for row in &spectrum[1..] {
        for (head, cell) in spectrum[0].iter().zip(row).skip(1) {
            let is_unit = head.ends_with(" unit") && ["ns", ""].contains(&cell.as_str());
            assert!(is_unit || cell.is_empty() || cell.parse::<f64>().is_ok(), "{row:?}");
        }
    }
    let forest = rows(&saved(&mut page, &folder, "forest", "CSV"));
    let at = |name: &str| forest[0].iter().position(|head| head == name).unwrap();
    assert_eq!(forest[1][at("ratio")], "0.917");
    assert!(forest.iter().any(|row| row[at("verdict")].contains("cannot tell")), "{forest:?}");
    let cpu = rows(&saved(&mut page, &folder, "cpu", "CSV"));
    assert_eq!(cpu[1], ["webhook@builtin", "31700", "26300"]);
    let heat = rows(&saved(&mut page, &folder, "heat-1", "CSV"));
    assert!(heat.len() > 12 && heat[0].len() > 8 && heat.iter().flatten().any(|c| c == "0.2"));
    is_silent_and_alone(&page);
}

#[test]
fn a_gate_and_a_search_can_be_saved_too_and_paper_shows_no_button() {
    let Some(_turn) = turn() else { return };
    let bench = Bench::new();
    let (mut page, folder) = start(&bench);
    page.open(&page_of(&bench, &["gate-20us"]));
    let gate = rows(&saved(&mut page, &folder, "gate", "CSV"));
    assert!(gate.iter().any(|row| row.contains(&"REGRESSION".to_owned())), "{gate:?}");
    page.media("print", "light");
    let shown = "[...document.querySelectorAll('.save button')].some(b => b.checkVisibility())";
    assert_eq!(page.eval(shown), false);
    page.media("screen", "light");
    assert_eq!(page.eval(shown), true);
    page.open(&page_of(&bench, &["capacity-article"]));
    let curve = rows(&saved(&mut page, &folder, "capacity", "CSV"));
    assert!(
        curve.len() > 20 && curve[1][0] == "webhook@flask" && curve[1][1].parse::<f64>().is_ok(),
        "{:?}",
        &curve[..2]
    );
}
