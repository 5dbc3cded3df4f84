//! `pushbench advise`: the workloads of `workloads/`, each with the answer that an experienced engineer gives.

use crate::common::Bench;
use pushbench_analysis::advice::evidence::{of_matrix, of_run};
use pushbench_core::evidence::Evidence;
use pushbench_host::results_store;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn workloads() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root("workloads")).unwrap().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "toml"));
    files.sort();
    files
}

fn advice(bench: &Bench, file: &Path) -> Value {
    let file = file.display().to_string();
    let ended = bench.run(&["advise", &file, "--no-measure", "--format", "json"]);
    assert!(matches!(ended.code, Some(0 | 1)), "{file}: {}", ended.err);
    serde_json::from_str(&ended.out).unwrap()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[test]
fn known_workloads_have_their_answers() {
    let bench = Bench::new();
    let files = workloads();
    assert_eq!(files.len(), 10);
    let mut wrong = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let answer = text.parse::<toml::Table>().unwrap().remove("answer").unwrap();
        let list = |key: &str| -> Vec<String> {
            let values = answer[key].as_array().unwrap().iter();
            values.map(|value| value.as_str().unwrap().to_owned()).collect()
        };
        let given = advice(&bench, &file);
        let picks = texts(&given["recommendation"]);
        let any_of = list("any_of");
        let excluded: Vec<&str> = given["excluded"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["transport"].as_str().unwrap())
            .collect();
        let right = picks.iter().all(|pick| any_of.contains(pick))
            && picks.is_empty() == any_of.is_empty()
            && list("excluded").iter().all(|name| excluded.contains(&name.as_str()))
            && given["does_not_matter"].as_bool() == answer["does_not_matter"].as_bool();
        if !right {
            wrong.push(format!("{}: {answer}\n{given:#}", file.display()));
        }
        // Every sentence with a figure of a run names it, and the run is in the list.
        let runs: Vec<&str> =
            given["runs"].as_array().unwrap().iter().map(|r| r["dir"].as_str().unwrap()).collect();
        for because in given["because"].as_array().unwrap() {
            let run = &because["run"];
            assert!(run.is_null() || runs.contains(&run.as_str().unwrap()), "{because}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The figures that come with the program are those of the stored runs.
#[test]
fn shipped_figures_are_those_of_the_stored_runs() {
    let run = |dir: &str| of_run(dir, &results_store::read(&root(dir)).unwrap(), false);
    let mut evidence: Evidence = run("results/advice/fanout");
    evidence.extend(run("results/advice/broadcast"));
    evidence.extend(run("results/advice/few"));
    evidence.extend(run("results/advice/ingest"));
    let reach = std::fs::read_to_string(root("results/reach/reach.json")).unwrap();
    let matrix = pushbench_analysis::reach::judge(&serde_json::from_str(&reach).unwrap());
    evidence.extend(of_matrix("results/reach", &matrix));
    let text = serde_json::to_string_pretty(&evidence).unwrap() + "\n";
    let file = root("results/advice/evidence.json");
    if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    assert!(std::fs::read_to_string(&file).unwrap() == text, "UPDATE_DOCUMENTS=1 writes {file:?}");
}

#[test]
fn a_workload_is_asked_for_where_there_is_no_file() {
    use std::io::Write as _;
    let bench = Bench::new();
    let mut command = bench.pushbench(&["advise", "--no-measure", "--format", "json"]);
    let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
    // Rate, burst, bytes, receivers, where; the rest as proposed. A wrong answer is asked for again.
    let answers =
        format!("often\n20\n5\n200\n2000\nbrowser\n\n250ms\nat-most-once\n{}", "\n".repeat(4));
    child.stdin.take().unwrap().write_all(answers.as_bytes()).unwrap();
    let ended = crate::common::ended(child.wait_with_output().unwrap());
    ended.succeeds();
    let given: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(given["workload"]["count"], 2000);
    assert_eq!(texts(&given["recommendation"]), ["sse"]);
    assert!(ended.err.contains("events.rate = often: write a number"), "{}", ended.err);
    // A question without an answer is named.
    let ended = bench.run(&["advise", "--no-measure"]);
    ended.fails(64, &["no answer for events.rate", "pushbench advise FILE"]);
}

const SMALL: &str = "[events]\nrate = 5\n[receivers]\ncount = 3\nwhere = \"same-network\"\n[need]\nfreshness = \"1s\"\n";

#[test]
fn what_is_wrong_is_refused_with_its_line_and_a_remedy() {
    let bench = Bench::new();
    let cases = [
        (
            SMALL.replace("rate = 5", "rate = 0"),
            vec!["w.toml:2:1: events.rate = 0: write a number greater than 0"],
        ),
        (
            SMALL.replace("rate", "rates"),
            vec!["w.toml:2:1: unknown key \"events.rates\"", "events.rate"],
        ),
        (SMALL.replace("[events]", "[event]"), vec!["w.toml:1:2: unknown table [event]", "events"]),
        (SMALL.replace("same-network", "moon"), vec!["receivers.where = moon", "\"behind-nat\""]),
        (SMALL.replace("freshness", "#"), vec!["need.freshness is missing", "250ms"]),
        (
            format!("{SMALL}durable = true\n"),
            vec!["w.toml:8:1: need.durable = true contradicts need.guarantee = at-most-once"],
        ),
        (
            SMALL.replace("\"same-network\"", "\"mixed\"\npublic_server = 1\nbehind_nat = 1"),
            vec![
                "w.toml:6:1: receivers.public_server = 1 contradicts w.toml:4:1: receivers.count = 3",
            ],
        ),
    ];
    for (text, messages) in cases {
        bench.write("w.toml", &text);
        bench.run(&["advise", "w.toml", "--no-measure"]).fails(64, &messages);
    }
    // Nothing was measured, and nothing is left.
    assert!(!bench.path("results").exists());
    bench.run(&["advise", "none.toml"]).fails(64, &["none.toml"]);
}

#[test]
fn an_option_that_would_be_ignored_is_refused() {
    let bench = Bench::new();
    bench.write("w.toml", SMALL);
    bench.run(&["advise", "w.toml", "--no-measure", "--seed", "3"]).fails(64, &["--seed"]);
    let searches = ["selftest", "--only", "freeze", "--searches", "3"];
    bench.run(&searches).fails(64, &["--searches", "--only capacity"]);
}

#[test]
fn nothing_that_satisfies_a_workload_is_said_with_the_nearest_that_would() {
    let bench = Bench::new();
    let text = SMALL.replace("same-network", "function").replace("1s", "1ms");
    bench.write("w.toml", &text);
    let ended = bench.run(&["advise", "w.toml", "--no-measure"]);
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    for says in ["None: no transport satisfies this workload", "need.freshness = "] {
        assert!(ended.out.contains(says), "no {says:?} in {}", ended.out);
    }
}

#[test]
fn a_workload_is_measured_at_its_own_load() {
    let bench = Bench::new();
    bench.write("w.toml", SMALL);
    let args = ["advise", "w.toml", "--at-most", "60s", "--format", "json", "--out", "r"];
    let ended = bench.run(&args);
    ended.succeeds();
    let given: Value = serde_json::from_str(&ended.out).unwrap();
    let own: Vec<&Value> =
        given["runs"].as_array().unwrap().iter().filter(|run| run["own"] == true).collect();
    assert_eq!(own.len(), 1, "{}", given["runs"]);
    assert_eq!(own[0]["dir"], "r");
    // Its figures replace the stored ones.
    for cost in given["costs"].as_array().unwrap() {
        assert_eq!((&cost["run"], &cost["age_run"]), (&"r".into(), &"r".into()), "{cost}");
    }
    assert!(bench.path("r/advice.html").exists() && bench.path("r/trials.jsonl").exists());
    bench.nothing_left();
    bench
        .run(&["advise", "w.toml", "--at-most", "5s", "--out", "s"])
        .fails(64, &["--at-most", "--no-measure"]);
    assert!(!bench.path("s").exists());
}

#[test]
fn a_workload_may_name_its_stack_and_its_prices() {
    let bench = Bench::new();
    let text = std::fs::read_to_string(root("workloads/payment-provider.toml")).unwrap();
    let priced =
        format!("stack = \"express\"\n{text}\n[price]\ncurrency = \"USD\"\ncore_hour = 0.04\n");
    std::fs::write(bench.path("w.toml"), &priced).unwrap();
    let ended = bench.run(&["advise", "w.toml", "--no-measure"]);
    for said in ["a month, USD", "received on express", "lines of code", "730 hours"] {
        assert!(ended.out.contains(said), "no {said:?} in:\n{}", ended.out);
    }
    let advice: Value = serde_json::from_str(
        &bench.run(&["advise", "w.toml", "--no-measure", "--format", "json"]).out,
    )
    .unwrap();
    assert!(advice["costs"][0]["month"].as_f64().unwrap() > 0.0, "{advice:#}");
    assert_eq!(advice["code"][0]["stack"], "express");
    std::fs::write(bench.path("w.toml"), priced.replace("express", "expres")).unwrap();
    bench.run(&["advise", "w.toml", "--no-measure"]).fails(64, &["w.toml", "expres", "express"]);
}
