use crate::chart::*;
use pushbench_analysis::compare::charts::page;
use pushbench_analysis::compare::{compare, sample};
use pushbench_core::record::interval_log::Logged;
use pushbench_core::record::run::{Seconds, StoredRun};
use pushbench_core::record::trial::Stage;

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

/// The names beside the rows of a chart, and whether all of each keeps to the paper.
fn names_of(chart: &Chart) -> (String, bool) {
    let file = chart.file();
    let tree = roxmltree::Document::parse(&file).unwrap();
    let names: Vec<_> = tree.descendants().filter(|n| n.attribute("class") == Some("t")).collect();
    let fits = |n: &roxmltree::Node<'_, '_>| {
        let (x, letters) = (n.attribute("x").unwrap(), n.text().unwrap().chars().count());
        n.attribute("text-anchor") != Some("end")
            || x.parse::<f64>().unwrap() >= letters as f64 * plot::LETTER
    };
    let all: Vec<&str> = names.iter().filter_map(|n| n.text()).collect();
    (all.join(" "), names.iter().all(fits))
}

#[test]
fn rows_are_named_in_full_on_the_paper() {
    let mut swept = crate::tests::idled();
    let mut third = swept.header.points[0].arms[0].clone();
    third.label = "webhook@builtin-close".to_owned();
    swept.header.points.iter_mut().for_each(|p| p.arms.push(third.clone()));
    let more: Vec<_> = swept.trials.iter().filter(|t| t.arm == 0).cloned().collect();
    swept.trials.extend(more.into_iter().map(|mut t| {
        (t.arm, t.label) = (2, third.label.clone());
        t
    }));
    for point in &mut swept.header.points {
        point.setting.insert("payload.bytes".to_owned(), 256.into());
    }
    for (run, named) in [
        (swept, "bytes = 256, count = 1000, webhook@builtin-close"),
        (crate::tests::fanned_out(), "target memory/subscriber"),
        (sample::ratios(0.8, 0.5), "target CPU/event"),
    ] {
        let forests: Vec<Chart> =
            charts(&run).into_iter().filter(|c| c.kind == Kind::Forest).collect();
        let names: Vec<(String, bool)> = forests.iter().map(names_of).collect();
        assert!(names.iter().all(|(_, fits)| *fits), "{names:?}");
        assert!(names.iter().any(|(all, _)| all.contains(named)), "no {named:?} in {names:?}");
        assert!(!names.iter().any(|(all, _)| all.contains('…')), "{names:?}");
    }
}

#[test]
fn charts_call_metrics_what_tables_call_them() {
    use pushbench_analysis::compare::decide::is_judged;
    for name in ["ingest", "saturate", "duplex", "fanout", "idle"] {
        let scenario = pushbench_core::scenario::load(name, &[]).unwrap().points.remove(0).scenario;
        let judged =
            pushbench_core::record::metrics::METRICS.iter().filter(|m| is_judged(m, &scenario));
        for metric in judged {
            let label = crate::table::metric_name(scenario.flow, metric.name);
            let raw = label.contains('_') || label == metric.name && label.contains('.');
            assert!(!raw, "{name}: {label}");
        }
    }
}

#[test]
fn what_no_arm_has_a_figure_of_is_no_row() {
    let charts = charts(&crate::tests::fanned_out());
    let (names, _) = names_of(charts.iter().find(|c| c.name == "forest").unwrap());
    assert!(names.contains("delivery p50") && !names.contains("resubscribing"), "{names}");
}

#[test]
fn a_gate_names_its_lines_as_its_table_does() {
    let failed = pushbench_analysis::compare::gate::sample::recipe(1.25).gate();
    let (names, fits) = names_of(&gate::of_gate(&failed).unwrap());
    let cpu = "webhook target_usage.cpu_ns_per_ event";
    assert!(fits && names.contains(cpu) && !names.contains('…'), "{names}");
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

#[test]
fn deliveries_have_trials_and_no_seconds() {
    let run = crate::tests::fanned_out();
    let mut seconds = Seconds::new();
    for t in run.trials.iter().filter(|t| t.stage == Stage::Block) {
        let logged = Logged {
            start: t.began(),
            length: std::time::Duration::from_secs(1),
            hist: t.account.response.clone(),
        };
        seconds.entry(t.label.clone()).or_default().push(logged);
    }
    let page = page(&run, compare(&run), &seconds);
    let evidence = &page.evidence[0];
    assert!(evidence.time.arms.iter().all(Vec::is_empty), "those are the publisher's answers");
    assert!(evidence.heat.is_empty(), "and so are the logs");
    let (trial, whole) = (&run.trials[0], evidence.time.spans[0].of_arm(0).unwrap());
    let delivery = &trial.fanout.as_ref().unwrap().deliveries.delivery;
    assert_eq!((whole.p50, whole.p99), (delivery.quantile(0.5), delivery.quantile(0.99)));
    // 50 subscribers, 3,000 events in 1.5 s.
    assert_eq!(whole.per_second, Some(100_000.0));
}

#[test]
fn bytes_stand_against_cpu_where_some_arms_are_compressed() {
    let mut run = sample::ratios(0.8, 0.5);
    assert!(charts(&run).iter().all(|chart| chart.name != "bytes-cpu"));
    for trial in &mut run.trials {
        if trial.arm == 1 {
            trial.label = "websocket+compressed@builtin".to_owned();
        }
    }
    run.header.points[0].arms[1].label = "websocket+compressed@builtin".to_owned();
    let charts = charts(&run);
    let chart = charts.iter().find(|chart| chart.name == "bytes-cpu").expect("a chart");
    assert_eq!(chart.table.len(), 3, "{:?}", chart.table);
    assert!(chart.table[2][0].contains("+compressed"), "{:?}", chart.table);
    let file = chart.file();
    assert!(file.matches("class=\"m\"").count() >= 4 && !file.contains("NaN"), "{file}");
}

#[test]
fn a_fault_is_marked_where_it_is_drawn_how_far_behind_receivers_were() {
    assert!(charts(&sample::ratios(0.8, 0.5)).iter().all(|chart| chart.name != "freshness"));
    let mut run = sample::outage(crate::tests::fanned_out());
    let fresh = |run: &StoredRun| {
        charts(run).into_iter().find(|chart| chart.name == "freshness").expect("a chart")
    };
    let outage = fresh(&run);
    let file = outage.file();
    assert!(file.contains("receivers down") && file.contains("class=\"region\""), "{file}");
    assert!(!file.contains("NaN") && file.matches("class=\"b\"").count() == 2, "{file}");
    let oldest: Vec<&str> = outage.table.iter().map(|row| row[4].as_str()).collect();
    assert!(oldest.contains(&"2.88 s"), "{oldest:?}");
    let faults = &mut run.header.points[0].scenario.faults;
    (faults.outage, faults.kill) = (std::time::Duration::ZERO, true);
    for record in run.trials.iter_mut().filter_map(|t| t.guarantee.as_mut()) {
        record.recovery.as_mut().unwrap().fault_ns = 0;
    }
    let file = fresh(&run).file();
    assert!(file.contains("target killed") && !file.contains("class=\"region\""), "{file}");
}
