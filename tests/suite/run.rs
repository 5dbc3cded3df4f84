//! The main job, end to end: real servers, real sockets, and every field of the contract.

use crate::common::{Bench, json, short};
use serde_json::Value;

/// Asserts that a JSON report carries what the contract promises, `null` allowed where it says so.
fn keeps_the_contract(report: &Value, points: usize) {
    assert_eq!(report["schema"], 1);
    assert!(report["scenario"].is_string() && report["seed"].is_u64());
    assert!(report["complete"].is_boolean());
    assert_eq!(report["points"].as_array().unwrap().len(), points);
    for point in report["points"].as_array().unwrap() {
        assert!(point["setting"].is_object());
        for arm in point["arms"].as_array().unwrap() {
            keeps_the_contract_of_an_arm(arm);
        }
        assert!(!point["comparisons"].as_array().unwrap().is_empty());
        for comparison in point["comparisons"].as_array().unwrap() {
            keeps_the_contract_of_a_comparison(comparison);
        }
        assert!(point["validity"]["ok"].is_boolean() && point["validity"]["notes"].is_array());
    }
}

fn keeps_the_contract_of_an_arm(arm: &Value) {
    let has = |value: &Value, names: &[&str]| {
        for name in names {
            assert!(value.get(name).is_some(), "no {name} in {value}");
        }
    };
    has(arm, &["offered_per_second", "throughput_per_second"]);
    assert!(arm["arm"].is_string() && arm["transport"].is_string() && arm["target"].is_string());
    assert!(arm["trials"].is_u64() && arm["invalid"].is_u64() && arm["overloaded"].is_boolean());
    for latency in ["response_ns", "service_ns", "lag_ns", "hiccup_ns"] {
        has(&arm[latency], &["count", "mean", "p50", "p90", "p99", "p99_9", "max"]);
    }
    has(&arm["events"], &["duplicated", "reordered"]);
    let event = |name: &str| arm["events"][name].as_u64().expect(name);
    let outcomes = event("acknowledged") + event("failed") + event("timed_out") + event("lost");
    assert_eq!(event("due"), outcomes, "{arm}");
    has(&arm["connections"], &["opened", "per_event"]);
    has(&arm["target_usage"], &["cpu_ns_per_event", "rss_peak_bytes"]);
    has(&arm["driver_usage"], &["cpu_ns_per_event", "rss_peak_bytes"]);
    has(&arm["wire"], &["bytes_out_per_event", "bytes_in_per_event", "segments_per_event"]);
}

fn keeps_the_contract_of_a_comparison(comparison: &Value) {
    for name in ["metric", "baseline", "candidate", "unit"] {
        assert!(comparison[name].is_string(), "no {name} in {comparison}");
    }
    for name in ["ratio", "ci95", "difference", "difference_ci95"] {
        assert!(comparison.get(name).is_some(), "no {name} in {comparison}");
    }
    let verdicts = ["better", "worse", "equivalent", "inconclusive", "overloaded", "invalid"];
    assert!(verdicts.contains(&comparison["verdict"].as_str().unwrap()), "{comparison}");
    assert!(comparison["matters"].is_boolean());
}

#[test]
fn a_run_compares_both_transports_and_accounts_for_every_event() {
    let bench = Bench::new();
    let ended = bench.run(&short(&["--out", "r", "--seed", "11"]));
    ended.succeeds();
    for text in ["response p50", "difference [95 %]", "trust ", "parity ", "Not tested here: TLS"] {
        assert!(ended.out.contains(text), "no {text:?} in {}", ended.out);
    }
    assert!(ended.err.contains("driver on CPU"), "{}", ended.err);
    let report = json(&bench, "r");
    keeps_the_contract(&report, 1);
    assert_eq!((&report["complete"], &report["seed"]), (&true.into(), &11.into()));
    let arms = report["points"][0]["arms"].as_array().unwrap();
    let names: Vec<&str> = arms.iter().map(|a| a["arm"].as_str().unwrap()).collect();
    assert_eq!(names, ["webhook@builtin", "websocket@builtin"]);
    for arm in arms {
        assert_eq!(arm["events"]["acknowledged"], arm["events"]["due"]);
        assert_eq!(arm["events"]["due"], arms[0]["events"]["due"], "same schedule for every arm");
        assert_eq!(
            (&arm["events"]["duplicated"], &arm["events"]["reordered"]),
            (&0.into(), &0.into())
        );
        assert_eq!(arm["connections"]["opened"], 64, "32 warm connections in each of 2 blocks");
        assert!(arm["target_usage"]["cpu_ns_per_event"].as_f64() > Some(1000.0));
        assert!(arm["wire"]["bytes_out_per_event"].as_f64() > Some(512.0));
        assert!(arm["wire"]["segments_per_event"].as_f64() > Some(1.0));
    }
    for file in ["run.json", "trials.jsonl", "report.md", "report.html", "webhook@builtin.hlog"] {
        assert!(bench.path("r").join(file).exists(), "no {file}");
    }
    bench.nothing_left();
}

/// Closing them takes CPU as well: the arm whose connections go first would be charged for it alone.
#[test]
fn targets_are_read_while_every_connection_stands() {
    const CONNECTIONS: u64 = 60;
    let bench = Bench::new();
    let connections = format!("connections.count={CONNECTIONS}");
    bench.run(&short(&["--set", &connections, "--out", "r"])).succeeds();
    let trials = std::fs::read_to_string(bench.path("r/trials.jsonl")).unwrap();
    let trials: Vec<Value> = trials.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(trials.len() >= 4, "{trials:?}");
    for trial in &trials {
        let open = &trial["target"]["end"]["descriptors"];
        assert!(open.as_u64() >= Some(CONNECTIONS), "{} has {open} open", trial["label"]);
    }
}

#[test]
fn a_stored_run_renders_to_the_same_bytes_and_writes_nothing() {
    let bench = Bench::new();
    let run = bench.run(&short(&["--out", "r"]));
    run.succeeds();
    let before = std::fs::read_dir(bench.path("r")).unwrap().count();
    for format in ["json", "text", "markdown"] {
        let once = bench.run(&["report", "r", "--format", format]);
        once.succeeds();
        assert_eq!(once.out, bench.run(&["report", "r", "--format", format]).out);
        bench.run(&["report", "r", "--format", format, "--output", "file"]).succeeds();
        assert_eq!(std::fs::read_to_string(bench.path("file")).unwrap(), once.out);
    }
    let text = bench.run(&["report", "r"]).out;
    assert!(run.out.contains(text.trim()), "the run showed something else than its report");
    assert_eq!(std::fs::read_dir(bench.path("r")).unwrap().count(), before);
    bench.run(&["report", "r", "--output", "no/such/dir"]).fails(3, &["no/such/dir"]);
}

#[test]
fn a_sweep_has_a_point_for_each_value() {
    let bench = Bench::new();
    let sweep = "question = \"How does the rate change it?\"\nflow = \"ingest\"\n\
        [load]\narrivals = \"constant\"\nduration = \"200ms\"\nwarmup = \"100ms\"\n\
        [connections]\ncount = 4\n[payload]\nbytes = 200\n[compare]\nblocks = 2\n\
        design = \"sequential\"\n[sweep]\n\"load.rate\" = [200, 400]\n";
    bench.write("mine.toml", sweep);
    let ended = bench.run(&["run", "mine.toml", "--out", "r"]);
    ended.succeeds();
    assert!(ended.out.contains("load.rate = 400"), "{}", ended.out);
    let report = json(&bench, "r");
    keeps_the_contract(&report, 2);
    assert_eq!(report["scenario"], "mine");
    assert_eq!(report["points"][0]["setting"]["load.rate"], 200);
    assert_eq!(report["points"][1]["arms"][0]["offered_per_second"], 400.0);
    // Blocks of 200 ms each; slices would make them as long as some whole ones.
    let arm = &report["points"][1]["arms"][0];
    let blocks = report["points"][1]["design"]["blocks_valid"].as_u64().unwrap();
    assert_eq!(arm["events"]["due"], 80 * blocks);

    bench.run(&["run", "mine.toml", "--rate", "300", "--out", "one"]).succeeds();
    let report = json(&bench, "one");
    keeps_the_contract(&report, 1);
    assert_eq!(report["points"][0]["setting"], serde_json::json!({}));
}

#[test]
fn a_closed_loop_reports_throughput_and_service_time() {
    let bench = Bench::new();
    let args = ["run", "saturate", "--out", "r", "--blocks", "2", "--duration", "200ms"];
    let ended = bench.run(&[&args[..], &["--warmup", "400ms", "--connections", "4"]].concat());
    ended.succeeds();
    let report = json(&bench, "r");
    keeps_the_contract(&report, 1);
    for arm in report["points"][0]["arms"].as_array().unwrap() {
        assert_eq!(arm["offered_per_second"], Value::Null);
        assert!(arm["throughput_per_second"].as_f64() > Some(10.0), "{arm}");
        assert!(arm["service_ns"]["p50"].is_u64(), "{arm}");
        // The warm-up is twice as long as the window: were its CPU charged, a thread would seem to
        // have worked for longer than there was time.
        assert!(arm["driver_usage"]["busy"].as_f64() < Some(1.1), "{arm}");
    }
    let metrics: Vec<&str> = report["points"][0]["comparisons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["metric"].as_str().unwrap())
        .collect();
    assert!(metrics.contains(&"throughput") && !metrics.contains(&"response.p50"), "{metrics:?}");
}

#[test]
fn a_target_that_falls_behind_is_overloaded_and_told_a_rate() {
    let bench = Bench::new();
    // 20 ms of work for each event: 50 a second at most.
    let server = format!(
        "{} serve webhook --work 20ms --listen 127.0.0.1:{{port}}",
        crate::common::PUSHBENCH
    );
    bench.write(
        "pushbench.toml",
        &format!("[target.slow.webhook]\ncommand = {server:?}\nurl = \"http://127.0.0.1:{{port}}/webhook\"\nmatch = \"id\"\n"),
    );
    let args = ["run", "--arm", "webhook@slow", "--arm", "websocket@builtin", "--out", "r"];
    let more = ["--rate", "200", "--duration", "500ms", "--warmup", "200ms", "--blocks", "9"];
    // In a block in which this machine stood still nobody is said to be overloaded: most have to be without.
    let mut attempts = 1;
    let mut ended = bench.run(&[&args[..], &more].concat());
    while attempts < 3 && !ended.out.contains("overloaded, so latencies are not compared") {
        eprintln!("once more: {}", ended.out);
        std::fs::remove_dir_all(bench.path("r")).unwrap();
        (ended, attempts) = (bench.run(&[&args[..], &more].concat()), attempts + 1);
    }
    ended.succeeds();
    assert!(ended.out.contains("overloaded, so latencies are not compared"), "{}", ended.out);
    assert!(ended.out.contains("try --rate "), "{}", ended.out);
    let report = json(&bench, "r");
    keeps_the_contract(&report, 1);
    let point = &report["points"][0];
    assert_eq!(
        (&point["arms"][0]["overloaded"], &point["arms"][1]["overloaded"]),
        (&true.into(), &false.into())
    );
    for comparison in point["comparisons"].as_array().unwrap() {
        if comparison["unit"] == "ns" && !comparison["metric"].as_str().unwrap().contains("cpu") {
            assert_eq!(comparison["verdict"], "overloaded");
            assert_eq!(
                (&comparison["ratio"], &comparison["difference"]),
                (&Value::Null, &Value::Null)
            );
        }
    }
}

#[test]
fn a_run_cut_short_keeps_the_contract() {
    let bench = Bench::new();
    bench.run(&short(&["--out", "r"])).succeeds();
    // What kill -9 leaves: no end in run.json, half a line in trials.jsonl.
    let header = std::fs::read_to_string(bench.path("r/run.json")).unwrap();
    bench.write("r/run.json", &header.replace("\"complete\": true", "\"complete\": false"));
    let trials = std::fs::read_to_string(bench.path("r/trials.jsonl")).unwrap();
    bench.write("r/trials.jsonl", &trials[..trials.len() - 500]);
    let report = json(&bench, "r");
    keeps_the_contract(&report, 1);
    assert_eq!(report["complete"], false);
    assert_eq!(report["points"][0]["validity"]["ok"], false);
    // Before the first trial ended there is nothing, and that is said too.
    bench.write("r/trials.jsonl", "");
    let report = json(&bench, "r");
    keeps_the_contract(&report, 1);
    assert_eq!(report["points"][0]["arms"][0]["response_ns"]["p50"], Value::Null);
    // Damage elsewhere is not glossed over.
    bench.write("r/trials.jsonl", &trials.replacen("\"point\"", "\"pint\"", 1));
    bench.run(&["report", "r"]).fails(64, &["trials.jsonl", "1"]);
}

#[test]
fn an_expectation_decides_the_exit_code() {
    let bench = Bench::new();
    let base = "question = \"?\"\nflow = \"ingest\"\n[load]\narrivals = \"constant\"\nrate = 300\n\
        duration = \"200ms\"\nwarmup = \"100ms\"\n[connections]\ncount = 4\n[payload]\nbytes = 200\n\
        [compare]\nblocks = 2\n[expect]\n";
    for (line, code, text) in [
        ("lost = 0\n", 0, "sums"),
        ("\"response.p50\" = \"1us\"\n", 1, "FAILED"),
        ("\"response.p99_9\" = \"10s\"\n", 2, "cannot be judged"),
    ] {
        bench.write("e.toml", &format!("{base}{line}"));
        let ended = bench.run(&["run", "e.toml"]);
        assert_eq!(ended.code, Some(code), "{line}{}{}", ended.out, ended.err);
        if code != 0 {
            assert!(ended.out.contains(text), "{}", ended.out);
        }
    }
}

#[test]
fn lists_and_help_name_what_there_is() {
    let bench = Bench::new();
    for (what, texts) in [
        ("scenarios", &["ingest", "saturate", "rate-sweep"][..]),
        ("targets", &["builtin", "flask", "websockets"]),
        ("transports", &["webhook", "websocket", "tcp"]),
        ("formats", &["text", "json", "markdown"]),
        ("metrics", &["response.p99", "target_usage.cpu_ns_per_event"]),
        ("keys", &["load.rate", "connections.in_flight"]),
    ] {
        let ended = bench.run(&["list", what]);
        ended.succeeds();
        texts.iter().for_each(|text| assert!(ended.out.contains(text), "{text}: {}", ended.out));
    }
    for args in [&["--help"][..], &["--version"], &["run", "--help"], &["completions", "bash"]] {
        let ended = bench.run(args);
        ended.succeeds();
        assert!(ended.out.contains("pushbench"));
    }
}
