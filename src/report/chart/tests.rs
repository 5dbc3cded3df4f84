use super::*;
use crate::compare::page::page;
use crate::compare::{compare, sample};
use crate::store::{Seconds, StoredRun};

fn charts(run: &StoredRun) -> Vec<Chart> {
    all(&page(run, compare(run), &Seconds::new()))
}

#[test]
fn every_chart_is_svg_with_a_name_a_text_and_a_title() {
    let mut run = sample::ratios(0.8, 0.5);
    run.header.points[0].arms[1].label = "websocket@<i>\u{202e}&\"'".to_owned();
    let charts = charts(&run);
    let names: Vec<&str> = charts.iter().map(|c| c.name.as_str()).collect();
    for name in ["forest", "spectrum", "time", "paired-response-p50", "cpu", "bytes", "memory"] {
        assert!(names.contains(&name), "no {name} in {names:?}");
    }
    for chart in &charts {
        let file = chart.file();
        let tree = roxmltree::Document::parse(&file).unwrap_or_else(|e| panic!("{e}: {file}"));
        let root = tree.root_element();
        assert_eq!((root.tag_name().name(), root.attribute("role")), ("svg", Some("img")));
        let text = |name: &str| {
            root.children().find(|n| n.has_tag_name(("http://www.w3.org/2000/svg", name))).unwrap()
        };
        assert_eq!(text("title").text(), Some(chart.title.as_str()));
        assert!(!text("desc").text().unwrap().is_empty());
        assert!(!file.contains("NaN") && !file.contains("inf"), "{file}");
    }
}

#[test]
fn names_are_unique_and_points_have_numbers() {
    let mut run = sample::ratios(0.8, 0.5);
    let mut second = run.header.points[0].clone();
    run.header.points[0].setting.insert("payload.bytes".to_owned(), "4KiB".into());
    second.setting.insert("payload.bytes".to_owned(), 64.into());
    run.header.points.push(second);
    let more = run.trials.clone().into_iter().map(|mut t| {
        t.point = 1;
        t
    });
    run.trials.extend(more.collect::<Vec<_>>());
    let charts = charts(&run);
    let mut names: Vec<&str> = charts.iter().map(|c| c.name.as_str()).collect();
    assert!(names.contains(&"sweep-response-p50") && names.contains(&"spectrum-2"), "{names:?}");
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn nothing_measured_draws_nothing() {
    let mut run = sample::ratios(0.8, 0.5);
    run.trials.clear();
    assert!(charts(&run).iter().all(|c| c.kind == Kind::Forest), "verdicts without figures");
}

/// Relative luminance by WCAG 2.
fn luminance(colour: &str) -> f64 {
    let long: String = match colour.len() {
        3 => colour.chars().flat_map(|c| [c, c]).collect(),
        _ => colour.to_owned(),
    };
    let channel = |i: usize| {
        let value = f64::from(u8::from_str_radix(&long[i..i + 2], 16).unwrap()) / 255.0;
        if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * channel(0) + 0.7152 * channel(2) + 0.0722 * channel(4)
}

#[test]
fn colours_stand_out_from_the_paper_in_light_and_dark() {
    // The first set of variables is the light one, the second the dark one.
    for set in STYLE.split("--ink:").skip(1).take(2) {
        let set = format!("--ink:{}", set.split('}').next().unwrap());
        let colour = |name: &str| {
            let rest = set.split(&format!("--{name}:#")).nth(1).unwrap_or_else(|| panic!("{name}"));
            rest.split(';').next().unwrap().trim().to_owned()
        };
        let contrast = |name: &str| {
            let (a, b) = (luminance(&colour(name)), luminance(&colour("paper")));
            (a.max(b) + 0.05) / (a.min(b) + 0.05)
        };
        for name in ["ink", "soft", "good", "bad"] {
            assert!(contrast(name) >= 4.5, "text {name}: {}", contrast(name));
        }
        for name in ["webhook", "websocket", "tcp", "sse", "longpoll", "poll", "other"] {
            assert!(contrast(name) >= 3.0, "line {name}: {}", contrast(name));
        }
    }
}
