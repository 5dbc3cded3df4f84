//! What documents say of a stored run: figures and verdicts as its report has them, so that no sentence says
//! more than the verdict.

use crate::common::Bench;
use crate::documents::{ROOT, read};
use pushbench_analysis::compare::{ArmFigures, Comparison, Point, Report, compare, cpu_measured};
use pushbench_core::record::trial::Trial;
use pushbench_core::units;
use pushbench_host::results_store;
use pushbench_report::table;
use serde_json::Value;
use std::path::Path;

/// A stored run, compared.
pub struct Stored {
    name: &'static str,
    pub report: Report,
    pub trials: Vec<Trial>,
}

impl Stored {
    pub fn of(name: &'static str) -> Stored {
        let run = results_store::read(&Path::new(ROOT).join("results").join(name)).unwrap();
        Stored { name, report: compare(&run), trials: run.trials }
    }

    /// The same, compared with another arm than the first.
    pub fn with_baseline(name: &'static str, baseline: &str) -> Stored {
        let mut run = results_store::read(&Path::new(ROOT).join("results").join(name)).unwrap();
        let arms = &run.header.points[0].arms;
        let first = arms.iter().position(|arm| arm.label == baseline).unwrap();
        run.header.points.iter_mut().for_each(|point| point.arms.swap(0, first));
        for trial in &mut run.trials {
            trial.arm = match trial.arm {
                arm if arm == first => 0,
                0 => first,
                other => other,
            };
        }
        Stored { name, report: compare(&run), trials: run.trials }
    }

    /// `results/x`: 12 blocks, CPU measured in slices, at real-time priority
    pub fn source(&self) -> String {
        let designs = || self.report.points.iter().map(|p| &p.design);
        let fewest = designs().map(|d| d.blocks_valid).min().unwrap();
        let blocks = match fewest {
            0 => "no valid block".to_owned(),
            1 => "1 block, which is too few for a claim".to_owned(),
            n if n < 8 => format!("{n} blocks, which are too few for a claim"),
            n => format!("{n} blocks"),
        };
        let mut kinds: Vec<&str> = designs().filter_map(|d| d.kind).map(cpu_measured).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let priority = if at_real_time(self.name) { ", at real-time priority" } else { "" };
        format!("`results/{}`: {blocks}, CPU {}{priority}", self.name, kinds.join(" and "))
    }
}

/// The command of a stored run, from the list of results.
fn command(name: &str) -> String {
    let list = read("results/README.md");
    let row = list.lines().find_map(|l| l.strip_prefix(&format!("| `{name}/` | `")));
    let row = row.unwrap_or_else(|| panic!("{name} is not in results/README.md"));
    row.split('`').next().unwrap().to_owned()
}

/// Whether a run was made at real-time priority: as it recorded, and of older versions, as its command says.
pub fn at_real_time(name: &str) -> bool {
    let listed = command(name).starts_with("chrt ");
    let header = ["run.json", "blocks/run.json", "stage-1/run.json"]
        .map(|file| std::fs::read_to_string(format!("{ROOT}/results/{name}/{file}")));
    let Some(text) = header.into_iter().find_map(Result::ok) else { return listed };
    let header: Value = serde_json::from_str(&text).unwrap();
    if let Some(how) = header["environment"]["scheduling"].as_str() {
        let recorded = how.starts_with("real-time");
        assert_eq!(recorded, listed, "results/README.md and run.json of {name}: {how}");
    }
    listed
}

/// The sentences under the tables of the accuracy page, which are derived from its figures.
pub fn accuracy() -> String {
    let page = Bench::new().run(&["report", &format!("{ROOT}/results/truth")]).out;
    let mut text = String::new();
    for section in page.split("\n## ").skip(1) {
        let (title, body) = section.split_once("\n\n").unwrap();
        let (_, below) = body.trim_end().rsplit_once("|\n\n").unwrap_or_default();
        // A part for each transport ends in a table, its sentence is above.
        let parts = body.split("### ").skip(1).filter_map(|part| {
            let (transport, below) = part.split_once("\n\n")?;
            Some(format!("{transport}: {}", below.lines().next()?))
        });
        let parts: Vec<String> = parts.collect();
        let sentence = if parts.is_empty() { below.replace('\n', " ") } else { parts.join(" ") };
        if !sentence.is_empty() {
            text += &format!("- **{title}.** {sentence}\n");
        }
    }
    text
}

/// The output of a run, as the terminal shows it again.
pub fn terminal(name: &str) -> String {
    let out = Bench::new().run(&["report", &format!("{ROOT}/results/{name}")]).out;
    let priority =
        if at_real_time(name) { "\nThis run was made at real-time priority.\n" } else { "" };
    format!("```\n{}\n```\n{priority}", out.trim_end())
}

/// A Markdown table.
pub fn grid(rows: &[Vec<String>]) -> String {
    let line = |row: &Vec<String>| format!("| {} |\n", row.join(" | "));
    let rule = format!("|{}\n", "---|".repeat(rows[0].len()));
    line(&rows[0]) + &rule + &rows[1..].iter().map(line).collect::<String>()
}

/// `186 µs, 254 µs: worse*`: both arms and the verdict on the second one, or that none is given.
fn pair(point: &Point, candidate: usize, metric: &str) -> String {
    let Some(row) = table::rows(point, candidate).into_iter().find(|r| r.metric == metric) else {
        return "–".to_owned();
    };
    let verdict = if row.verdict.is_empty() { "not judged".to_owned() } else { row.verdict };
    let verdict = verdict.trim_end_matches('†').replace('*', "\\*");
    let moved = if row.notes.is_empty() { "" } else { "!" };
    format!("{}, {}: {verdict}{moved}", row.arms[0], row.arms[candidate])
}

/// What a metric is called in the table.
pub fn name(point: &Point, metric: &str) -> String {
    let rows = table::rows(point, 1);
    rows.iter().find(|r| r.metric == metric).map_or("", |r| r.name).to_owned()
}

/// The meaning of the signs in a table.
pub fn legend(points: &[Point], shown: &str) -> String {
    let mut text = String::new();
    if shown.contains("\\*") {
        let matters = "\\* too small to matter by the scenario (`compare.matters`).";
        text.push_str(matters);
        text.push('\n');
    }
    if shown.contains('!') {
        let mut notes: Vec<&str> = points
            .iter()
            .flat_map(|p| &p.validity.notes)
            .filter(|n| n.moves_figures)
            .map(|n| n.text.as_str())
            .collect();
        notes.sort_unstable();
        notes.dedup();
        text.push_str(&format!("! can be moved by: {}.\n", notes.join("; ")));
    }
    text
}

/// Both arms at each setting of a sweep.
pub fn sweep(run: &Stored, key: &str, metrics: &[&str]) -> String {
    let points = &run.report.points;
    let mut rows = vec![vec![key.to_owned()]];
    rows[0].extend(metrics.iter().map(|m| name(&points[0], m)));
    for point in points {
        let value = point.setting.values().next().unwrap();
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let cells = metrics.iter().map(|m| pair(point, 1, m));
        rows.push(std::iter::once(value).chain(cells).collect());
    }
    let [base, other] = [0, 1].map(|arm| &points[0].arms[arm].arm);
    let shown = grid(&rows);
    format!(
        "Figures of `{base}` and `{other}`, and the verdict on the latter ({}):\n\n{shown}\n{}",
        run.source(),
        legend(points, &shown)
    )
}

/// Each arm of a fan-out.
pub fn sides(run: &Stored) -> String {
    const METRICS: [&str; 4] =
        ["delivery.p50", "delivery.p99", "target_usage.cpu_ns_per_delivery", "reach"];
    let point = &run.report.points[0];
    let cells = |arm: usize| -> Vec<String> {
        let rows = table::rows(point, arm.max(1));
        let cell = |metric: &&str| {
            let row = rows.iter().find(|r| r.metric == *metric).unwrap();
            let verdict = row.verdict.trim_end_matches('†').replace('*', "\\*");
            let moved = if row.notes.is_empty() { "" } else { "!" };
            match (arm, verdict.as_str()) {
                (0, _) | (_, "") => format!("{}{moved}", row.arms[arm]),
                _ => format!("{}: {verdict}{moved}", row.arms[arm]),
            }
        };
        std::iter::once(format!("`{}`", point.arms[arm].arm))
            .chain(METRICS.iter().map(cell))
            .collect()
    };
    let mut rows = vec![vec!["arm".to_owned()]];
    rows[0].extend(METRICS.map(|m| name(point, m)));
    rows.extend((0..point.arms.len()).map(cells));
    let shown = grid(&rows);
    format!(
        "Each arm, with the verdict against `{}` ({}):\n\n{shown}\n{}",
        point.arms[0].arm,
        run.source(),
        legend(std::slice::from_ref(point), &shown)
    )
}

/// What came of every delivery.
pub fn delivered(run: &Stored) -> String {
    let point = &run.report.points[0];
    let arm = |a: &ArmFigures| {
        let d = &a.fanout.as_ref().unwrap().deliveries.outcomes;
        let count = |n: u64| units::count(n as f64);
        format!("`{}` {} of {}", a.arm, count(d.received), count(d.due))
    };
    let arms: Vec<String> = point.arms.iter().map(arm).collect();
    format!(
        "With {} subscribers and {} event/s, deliveries received: {} ({}).\n",
        point.design.subscribers.as_ref().unwrap().count,
        point.design.rate.unwrap(),
        arms.join(", "),
        run.source()
    )
}

/// Memory of a subscriber at each size, and what can be said of the difference.
pub fn memory(run: &Stored) -> String {
    let points = &run.report.points;
    let sizes: Vec<String> =
        points.iter().map(|p| p.design.subscribers.as_ref().unwrap().count.to_string()).collect();
    let mut rows =
        vec![["arm", "target", "driver", "verdict on the target's"].map(str::to_owned).to_vec()];
    for (i, arm) in points[0].arms.iter().enumerate() {
        let each = |of: fn(&ArmFigures) -> Option<f64>| {
            let cell = |p: &Point| of(&p.arms[i]).map_or("–".to_owned(), units::bytes);
            points.iter().map(cell).collect::<Vec<_>>().join(", ")
        };
        let verdict = |p: &Point| {
            let c = of_metric(p, &arm.arm, "target_usage.bytes_per_subscriber");
            c.map(table::verdict).unwrap_or_default()
        };
        let mut verdicts: Vec<String> = points.iter().map(verdict).collect();
        if verdicts.windows(2).all(|w| w[0] == w[1]) {
            verdicts.truncate(1);
        }
        rows.push(vec![
            format!("`{}`", arm.arm),
            each(|a| a.fanout.as_ref()?.target_bytes_per_subscriber),
            each(|a| a.fanout.as_ref()?.driver_bytes_per_subscriber),
            verdicts.join(", ").replace('*', "\\*"),
        ]);
    }
    format!(
        "Memory of an idle subscriber with {} of them ({}):\n\n{}",
        sizes.join(", "),
        run.source(),
        grid(&rows)
    )
}

fn of_metric<'a>(point: &'a Point, arm: &str, metric: &str) -> Option<&'a Comparison> {
    point.comparisons.iter().find(|c| c.candidate == arm && c.metric == metric)
}

/// What a stuck subscriber does to the others, beside the same arm against itself.
pub fn stuck(run: &Stored) -> String {
    let point = &run.report.points[0];
    let change = |arm: usize| {
        let c = of_metric(point, &point.arms[arm].arm, "delivery.p99").unwrap();
        format!("{} ({})", table::difference(c), table::verdict(c).trim_end_matches('†'))
    };
    format!(
        "With one stuck subscriber, the p99 of the others over `{}` changes by {}; the same arm against itself \
         changes by {} ({}).\n",
        point.arms[0].arm,
        change(2),
        change(1),
        run.source()
    )
}

/// How long it takes to subscribe, which is not compared.
pub fn subscribed(run: &Stored) -> String {
    let point = &run.report.points[0];
    let arm = |a: &ArmFigures| {
        let each = a.fanout.as_ref().unwrap().subscribe_ns_each.unwrap();
        format!("`{}` {}", a.arm, units::nanos_text(each))
    };
    let arms: Vec<String> = point.arms.iter().map(arm).collect();
    let count = point.design.subscribers.as_ref().unwrap().count;
    format!("Time to subscribe, for each of {count}: {} ({}).\n", arms.join(", "), run.source())
}

/// The target's CPU for a delivery.
pub fn compared(run: &Stored) -> String {
    const CPU: &str = "target_usage.cpu_ns_per_delivery";
    let point = &run.report.points[0];
    let c = of_metric(point, &point.arms[1].arm, CPU).unwrap();
    format!(
        "Target CPU of a delivery over `{}` and `{}`: {}, {} ({}).\n",
        point.arms[0].arm,
        point.arms[1].arm,
        pair(point, 1, CPU),
        table::difference(c),
        run.source()
    )
}

/// A run that comes out the other way is stated the other way.
#[test]
fn what_is_stated_follows_the_verdict() {
    use pushbench_analysis::compare::sample;
    for (ratio, verdict) in [(0.8, "better"), (1.0, "equivalent"), (1.3, "worse")] {
        let mut run = sample::ratios(ratio, 1.0);
        run.header.points[0].setting.insert("load.rate".to_owned(), 2000.into());
        let mut stored =
            Stored { name: "readme-ingest", report: compare(&run), trials: Vec::new() };
        let text = sweep(&stored, "rate", &["response.p50"]);
        assert!(text.contains(&format!("µs: {verdict}")), "{text}");
        run.trials.retain(|t| t.block < 7);
        stored.report = compare(&run);
        let text = sweep(&stored, "rate", &["response.p50"]);
        assert!(text.contains("µs: cannot tell"), "{text}");
        assert!(text.contains("7 blocks, which are too few for a claim"), "{text}");
    }
}
