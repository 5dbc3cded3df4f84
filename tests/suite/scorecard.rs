//! `pushbench scorecard`: the stored cards, and a card that is made.

use crate::common::Bench;
use crate::documents::ROOT;
use pushbench_analysis::scorecard::judge;
use pushbench_core::scorecard::CardRecord;
use serde_json::Value;

const CARDS: [&str; 2] = ["builtin", "article"];

fn stored(name: &str) -> CardRecord {
    let path = format!("{ROOT}/results/scorecard/{name}/scorecard.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn factors(card: &Value) -> &Vec<Value> {
    card["factors"].as_array().unwrap()
}

/// A stored card says what is derived from its record: a figure that moves takes its sentence with it.
#[test]
fn stored_cards_say_what_their_figures_support() {
    let bench = Bench::new();
    for name in CARDS {
        let record = stored(name);
        assert!(record.complete, "{name}");
        let dir = format!("{ROOT}/results/scorecard/{name}");
        let text = std::fs::read_to_string(format!("{dir}/scorecard.json")).unwrap();
        let derived = bench.run(&["report", &dir, "--format", "json"]);
        assert_eq!(derived.code, Some(0), "{}", derived.err);
        assert_eq!(
            text, derived.out,
            "{name}: write it again with pushbench report {dir} --format json --output {dir}/scorecard.json"
        );
        let document = std::fs::read_to_string(format!("{dir}/scorecard.md")).unwrap();
        assert_eq!(document, bench.run(&["report", &dir, "--format", "markdown"]).out, "{name}");
        let mut moved = record.clone();
        let first = moved.measurements.iter_mut().find(|m| m.name == "distance-20ms").unwrap();
        let median = &mut first.compared[0];
        median.difference = median.difference.map(|all| all.map(|ns| ns + 7e6));
        let sentences = |record: CardRecord| -> Vec<String> {
            let card = judge(record);
            card.factors.iter().flat_map(|f| &f.because).map(|l| l.sentence.clone()).collect()
        };
        assert_ne!(sentences(record), sentences(moved), "{name}");
    }
}

/// The contract: five factors, each with claim, verdict and reasons with their runs.
#[test]
fn a_card_has_five_factors_with_verdicts_of_four_kinds() {
    for name in CARDS {
        let card = serde_json::to_value(judge(stored(name))).unwrap();
        assert_eq!(card["schema"], 1);
        let names: Vec<&str> =
            factors(&card).iter().map(|f| f["factor"].as_str().unwrap()).collect();
        assert_eq!(
            names,
            [
                "real-time updates",
                "scalability",
                "ease of implementation",
                "push against pull",
                "firewall and proxy restrictions"
            ]
        );
        for factor in factors(&card) {
            let verdict = factor["verdict"].as_str().unwrap();
            assert!(["borne out", "contradicted", "depends", "not measured"].contains(&verdict));
            assert!(!factor["claim"].as_str().unwrap().is_empty());
            for because in factor["because"].as_array().unwrap() {
                let run = because["run"].as_str();
                let of_code = factor["factor"] == "ease of implementation";
                assert_eq!(run.is_none(), of_code, "{because}");
                let agrees = because["claim"] == "agrees";
                assert!(!(agrees && because["sentence"].as_str().unwrap().contains("cannot tell")));
            }
        }
    }
}

#[test]
fn a_card_measures_what_is_asked_and_takes_it_again_from_its_directory() {
    let bench = Bench::new();
    let args = ["scorecard", "--only", "rest", "--format", "json", "--out", "results/first"];
    let made = bench.run(&args);
    assert_eq!(made.code, Some(0), "{}", made.err);
    let card: Value = serde_json::from_str(&made.out).unwrap();
    let real_time = &factors(&card)[0];
    let because = real_time["because"].as_array().unwrap();
    assert_eq!(because.len(), 1, "{real_time:#}");
    assert_eq!(because[0]["run"], "results/first/rest");
    assert_eq!(because[0]["arms"][0][0], "webhook@builtin");
    for file in ["scorecard.json", "scorecard.html", "scorecard.md", "rest/run.json"] {
        assert!(bench.path("results/first").join(file).is_file(), "{file}");
    }
    // The same machine and program measured it: it is taken, and the card says from where.
    let again =
        bench.run(&["scorecard", "--only", "rest", "--format", "json", "--out", "results/second"]);
    let card: Value = serde_json::from_str(&again.out).unwrap();
    assert_eq!(factors(&card)[0]["because"][0]["run"], "results/first/rest", "{}", again.err);
    assert!(!bench.path("results/second/rest").exists());
    // Another machine's is taken only where it is asked for, and named in the sentence.
    let file = bench.path("results/first/rest/run.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let cpu = serde_json::from_str::<Value>(&text).unwrap()["environment"]["cpu"].clone();
    std::fs::write(&file, text.replace(cpu.as_str().unwrap(), "another CPU")).unwrap();
    let asked = ["scorecard", "--only", "rest", "--format", "json", "--reuse", "results/first"];
    let card: Value = serde_json::from_str(&bench.run(&asked).out).unwrap();
    let sentence = factors(&card)[0]["because"][0]["sentence"].as_str().unwrap();
    assert!(sentence.contains("another CPU"), "{sentence}");
}

#[test]
fn a_server_that_only_receives_leaves_questions_open_and_says_why() {
    let bench = Bench::new();
    let args =
        ["scorecard", "--webhook", "flask", "--websocket", "websockets", "--only", "fan-out"];
    let ended = bench.run(&args);
    ended.fails(3, &["nothing could be measured: a fan-out needs a target that publishes"]);
    assert!(ended.out.contains("flask does not"), "{}", ended.out);
}

#[test]
fn wrong_input_is_refused_before_anything_starts() {
    let bench = Bench::new();
    for (args, messages) in [
        (vec!["--webhook", "flaks"], vec!["flaks", "flask"]),
        (vec!["--webhook", "websocket@builtin"], vec!["--webhook builtin"]),
        (vec!["--webhook", "http://127.0.0.1:1/"], vec!["pushbench.toml"]),
        (vec!["--only", "capacity"], vec!["short form", "saturation", "--long"]),
        (vec!["--reuse", "."], vec!["no run"]),
        (vec!["--only", "rset"], vec!["rest"]),
        (vec!["--reuse", "nowhere"], vec!["nowhere"]),
        (vec!["--anew", "--reuse", "."], vec!["--anew"]),
    ] {
        let all = [vec!["scorecard"], args].concat();
        bench.run(&all).fails(64, &messages);
        assert!(!bench.path("results").exists(), "{all:?}");
    }
}
