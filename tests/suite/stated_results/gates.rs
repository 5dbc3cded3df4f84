//! What documents say of gates: their verdicts, how often they are right, and what each ending looks like.

use super::texts::{at_real_time, grid};
use crate::common::Bench;
use crate::documents::{ROOT, read};
use pushbench_analysis::compare::gate::sample::{Recipe, recipe, settings};
use pushbench_analysis::compare::gate::{CANDIDATE, Failure, Gate, Look, Settings, judge};
use pushbench_analysis::stats;
use pushbench_report::gate::{GateSides, github};
use serde_json::Value;

/// The head of a gate, and how far its null lets it judge.
pub fn gate() -> String {
    let bench = Bench::new();
    let dir = format!("{ROOT}/results/gate-20us");
    let out = bench.run(&["report", &dir]).out;
    let json: Value =
        serde_json::from_str(&bench.run(&["report", &dir, "--format", "json"]).out).unwrap();
    let last = json["stages"].as_array().unwrap().last().unwrap();
    let first = if last["looks_planned"].is_null() { "stage 1: " } else { "look 1 of " };
    let head = &out[out.find(first).unwrap()..out.find("\n\nexact").unwrap()];
    let named = |outcome: &[&str]| -> Vec<&str> {
        let lines = last["lines"].as_array().unwrap().iter();
        let mine = lines.filter(|l| outcome.contains(&l["outcome"].as_str().unwrap()));
        mine.map(|l| l["metric"].as_str().unwrap()).collect()
    };
    let mut text = String::new();
    let decided = named(&["passed", "regression", "waived"]);
    let open = named(&["cannot-tell", "not-qualified"]);
    for (names, what) in [(decided, "This gate decided on"), (open, "It could not tell for")] {
        if !names.is_empty() {
            text.push_str(&format!("{what} `{}`.\n", names.join("`, `")));
        }
    }
    let (chrt, priority) = match at_real_time("gate-20us") {
        true => {
            let why = "`chrt -f 10` sets a real-time priority, which keeps other programs off the CPUs.\n";
            ("chrt -f 10 ", why)
        }
        false => ("", ""),
    };
    format!(
        "{text}{priority}\n```\n{chrt}pushbench gate --base './old/server serve webhook --listen 127.0.0.1:{{port}}' \\\n  \
         --candidate './new/server serve webhook --listen 127.0.0.1:{{port}} --work 20us'\n\n{head}\n…\n{}\n```\n",
        last["sentence"].as_str().unwrap()
    )
}

/// How often a gate was right.
pub fn rates(run: &str) -> String {
    let report: Value = serde_json::from_str(&read(format!("results/{run}/report.json"))).unwrap();
    let mut rows = vec![["", "found", "exact 95 % interval"].map(str::to_owned).to_vec()];
    rows.extend(report["rates"].as_array().unwrap().iter().map(|rate| {
        let [low, high] = [0, 1].map(|i| rate["ci95"][i].as_f64().unwrap() * 100.0);
        vec![
            rate["what"].as_str().unwrap().to_owned(),
            format!("{} of {}", rate["count"], rate["of"]),
            format!("{low:.1} to {high:.1} %"),
        ]
    }));
    let header = &report["header"];
    let priority = if at_real_time(run) { ", at real-time priority" } else { "" };
    let blocks = match header["at_most_s"].as_f64() {
        Some(seconds) => format!("{} blocks and more, up to {seconds:.0} s", header["blocks"]),
        None => format!("{} blocks", header["blocks"]),
    };
    let mut blocks_used: Vec<u64> =
        report["gates"].as_array().unwrap().iter().filter_map(|g| g["blocks"].as_u64()).collect();
    blocks_used.sort_unstable();
    let used = blocks_used.get(blocks_used.len() / 2).map_or(String::new(), |median| {
        format!("A build was decided after {median} blocks at the median.\n\n")
    });
    format!(
        "{} gates of {blocks} (`results/{run}`{priority}):\n\n{used}{}",
        header["gates"],
        grid(&rows)
    )
}

/// Gates of one executable against itself on a machine that was busy with something else.
pub fn busy() -> String {
    let gates: Vec<Value> = serde_json::from_str(&read("results/gate-busy/gates.json")).unwrap();
    assert!(gates.iter().all(|gate| gate["failure"].is_null()), "a gate without a verdict");
    let count = |verdict: &str| gates.iter().filter(|gate| gate["verdict"] == verdict).count();
    let (all, failed) = (gates.len(), count("regression"));
    assert_eq!(count("passed") + count("cannot-tell") + failed, all);
    let mut blocks: Vec<u64> =
        gates.iter().map(|gate| gate["blocks_valid"].as_u64().unwrap()).collect();
    blocks.sort_unstable();
    let rate = stats::exact_binomial(failed as u64, all as u64, 0.95);
    format!(
        "Of {all} gates (`results/gate-busy`) {} passed, {} could not be told and {failed} failed: a false alarm in {:.1} to \
         {:.1} % of such gates (exact 95 % interval). They took {} blocks at the median, {} at most.\n",
        count("passed"),
        count("cannot-tell"),
        rate.low * 100.0,
        rate.high * 100.0,
        blocks[all / 2],
        blocks[all - 1]
    )
}

/// The simulated error rates.
pub fn simulation() -> String {
    let table: Value = serde_json::from_str(&read("results/gate-simulation/rates.json")).unwrap();
    let gates = table["gates"].as_u64().unwrap();
    let cells = table["cells"].as_array().unwrap();
    let number = |v: &Value, key: &str| v[key].as_f64().unwrap();
    // So many of the four metrics are slower.
    let cell = |noise: f64, heavy: bool, slow_down: f64, slower: u64| {
        let is = |c: &&Value| {
            (number(c, "noise"), number(c, "slow_down")) == (noise, slow_down)
                && c["heavy"] == heavy
                && c["slower_metrics"] == slower
        };
        cells
            .iter()
            .find(is)
            .unwrap_or_else(|| panic!("no cell {noise} {heavy} {slow_down} {slower}"))
    };
    let share = |c: &Value, key: &str| 100.0 * number(c, key) / gates as f64;
    let percent = |c: &Value, key: &str| format!("{:.1} %", share(c, key));
    let found = |c: &Value| format!("{}, {:.0} s", percent(c, "failed"), number(c, "median_s"));
    let mut noises: Vec<f64> = cells.iter().map(|c| number(c, "noise")).collect();
    noises.sort_by(f64::total_cmp);
    noises.dedup();
    let head = [
        "noise",
        "tails",
        "equal builds pass",
        "cannot tell",
        "fail",
        "at the margin fail",
        "pass",
        "+10 % found",
        "+10 % in all found",
        "+20 % found",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for noise in &noises {
        for heavy in [false, true] {
            let at = |slow_down, slower| cell(*noise, heavy, slow_down, slower);
            let equal = at(0.0, 4);
            rows.push(vec![
                format!("{:.0} %", noise * 100.0),
                if heavy { "heavy" } else { "normal" }.to_owned(),
                format!("{}, {:.0} s", percent(equal, "passed"), number(equal, "median_s")),
                percent(equal, "cannot_tell"),
                percent(equal, "failed"),
                percent(at(0.05, 4), "failed"),
                percent(at(0.05, 1), "passed"),
                found(at(0.1, 1)),
                found(at(0.1, 4)),
                found(at(0.2, 1)),
            ]);
        }
    }
    // What can be had of a noise, by the worse of both kinds of tails.
    let had = |noise: f64| {
        let worst = |slow_down: f64, slower: u64, key: &str| {
            let of = |heavy| share(cell(noise, heavy, slow_down, slower), key);
            of(false).min(of(true)).floor()
        };
        format!(
            "At {:.0} % a block, at least {:.0} % of equal builds pass, and the gate finds {:.0} % of slow-downs by 10 % and \
             {:.0} % of those by 20 % in one metric.",
            noise * 100.0,
            worst(0.0, 4, "passed"),
            worst(0.1, 1, "failed"),
            worst(0.2, 1, "failed")
        )
    };
    let noisiest: Vec<String> = noises.iter().filter(|n| **n >= 0.1).map(|n| had(*n)).collect();
    format!(
        "{gates} gates a cell of at most {:.0} s, with {:.1} s a block and {:.0} s beside the blocks \
         (`results/gate-simulation`). Seconds are medians. Slow-downs are in one of the four metrics, where nothing else is \
         said; *at the margin* they are in all four for the failures, where these are most frequent, and in one for the \
         passes.\n\n{}\n{}\n",
        number(&table, "at_most_s"),
        number(&table, "block_s"),
        number(&table, "beside_s"),
        grid(&rows),
        noisiest.join(" ")
    )
}

/// What each ending looks like: the sentence of every report, and the annotation on a pull request.
pub fn endings() -> String {
    let mut out = String::from(
        "The sentence stands in every report and in the annotation of that kind on GitHub. These are made by the code of \
         the reports from simulated blocks.\n\n",
    );
    for (title, gate) in examples() {
        let stages = [gate];
        let sides = GateSides {
            base: "./old/server --port {port}",
            candidate: "./new/server --port {port}",
            executables: None,
            command: "pushbench gate --base './old/server --port {port}' --candidate './new/server --port {port}'",
            stages: &stages,
        };
        let annotation = github::annotations(&sides);
        let begins = title.to_uppercase().replace("ERROR", "NO VERDICT");
        assert!(stages[0].sentence.starts_with(&begins), "{title}: {}", stages[0].sentence);
        // `::error title=…::` and the sentence.
        let command = &annotation[..annotation[2..].find("::").unwrap() + 2];
        out.push_str(&format!(
            "- **{title}**, exit {}: `{command}`\n\n  > {}\n\n",
            stages[0].exit_code(),
            stages[0].sentence
        ));
    }
    out
}

fn examples() -> Vec<(&'static str, Gate)> {
    let look = |number: usize, last: bool| Look {
        number,
        planned: 6,
        share: if last { 0.5 } else { 1.0 / 6.0 },
        last,
        begun: vec![12],
        ..Look::only()
    };
    let service = Settings {
        margins: settings().margins.into_iter().filter(|m| m.metric == "service.p50").collect(),
        ..settings()
    };
    let judged = |recipe: Recipe, look: &Look| judge(&recipe.run(), CANDIDATE, &service, look);
    let wide = || Recipe { noise: [0.0, 0.1, 0.02], ..recipe(1.03) };
    let failure = |error: &str, exit_code| Failure { error: error.to_owned(), exit_code };
    let unfinished = Look::unfinished(&[look(1, false)]);
    let stopped = Gate { looks_planned: Some(6), ..judged(wide(), &unfinished) };
    vec![
        ("Passed", judged(recipe(1.0), &look(2, false))),
        ("Failed", judged(recipe(1.25), &look(2, false))),
        ("Cannot tell", judged(wide(), &look(4, true)).out_of_time(300.0)),
        (
            "Error",
            Gate::without_records("gate")
                .failed(failure("webhook@candidate: block 3: the target exited with code 1", 3)),
        ),
        ("Interrupted", stopped.failed(failure("interrupted", 130))),
    ]
}
