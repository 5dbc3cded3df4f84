//! `pushbench check` starts nothing, finds every mistake, and says what a run would do; `pushbench init` proposes
//! what passes it.

use crate::common::{Bench, SHORT, json, turn};

const USAGE: i32 = 64;

#[test]
fn every_mistake_is_shown_from_the_top_of_the_file_to_its_end() {
    let bench = Bench::new();
    bench.write(
        "pushbench.toml",
        "[target.fine.webhook]\ncommand = \"node server.js {port}\"\nurl = \"http://127.0.0.1:{port}/\"\n\n\
         [target.mine.webhook]\nurl = \"http://127.0.0.1:1/\"\nready = \"soon\"\nmach = \"id\"\nmethod = \"GET\"\n\n\
         [target.mine.websocket]\nurl = \"http://127.0.0.1:1/\"\n\n[target.\"a b\".webhook]\n",
    );
    let checked = bench.run(&["check"]);
    checked.fails(USAGE, &[]);
    let places = ["7:9: ready", "8:1: ", "9:10: method", "12:7: url", "14:9: a target cannot"];
    let mut lines = checked.err.lines();
    for place in places {
        let place = format!("pushbench.toml:{place}");
        assert!(lines.next().unwrap_or_default().contains(&place), "no {place}:\n{}", checked.err);
    }
    assert_eq!(lines.next(), None, "{}", checked.err);
    for part in ["webhook@fine", "node server.js {port}", "match left out: the first look"] {
        assert!(checked.out.contains(part), "no {part:?} in:\n{}", checked.out);
    }
    let args = ["check", "pushbench.toml", "--format", "json"];
    let found: serde_json::Value = serde_json::from_str(&bench.run(&args).out).unwrap();
    let file = &found["files"][0];
    assert_eq!((&found["schema"], &file["kind"]), (&1.into(), &"targets".into()));
    assert_eq!(file["targets"][0]["arm"], "webhook@fine");
    assert_eq!(file["mistakes"].as_array().unwrap().len(), places.len());
    // A run of such a target says all of it, too.
    bench
        .run(&["run", "--arm", "webhook@mine"])
        .fails(USAGE, &["toml:7:9", "toml:8:1", "toml:9:10"]);
    let list = bench.run(&["list", "targets"]);
    assert_eq!(list.out.lines().filter(|l| l.starts_with("mine ")).count(), 4, "{}", list.out);
}

#[test]
fn files_are_told_apart_by_what_they_hold() {
    let bench = Bench::new();
    bench.write("team/servers.toml", "[target.far.webhook]\nurl = \"http://192.0.2.1:9/\"\n");
    bench.write("s.toml", "[load]\nrate = 200\n");
    let checked = bench.run(&["check", "team/servers.toml", "s.toml", "saturate"]);
    checked.succeeds();
    for part in ["webhook@far", "running already", "--allow-host 192.0.2.1", "s.toml: valid"] {
        assert!(checked.out.contains(part), "no {part:?} in:\n{}", checked.out);
    }
    bench.write("s.toml", "[load]\nrat = 200\n");
    let mixed = bench.run(&["check", "s.toml", "team/servers.toml"]);
    mixed.fails(USAGE, &["s.toml:2:1", "did you mean \"load.rate\""]);
    assert!(mixed.out.contains("webhook@far"), "{}", mixed.out);
    bench.write("bad.toml", "[target.a.webhook\n");
    bench.run(&["check", "bad.toml"]).fails(USAGE, &["bad.toml:1:", "not TOML"]);
    bench.run(&["check", "gone/pushbench.toml"]).fails(USAGE, &["cannot read gone/pushbench.toml"]);
    bench.run(&["check", "ingst"]).fails(USAGE, &["did you mean \"ingest\""]);
    bench.run(&["check"]).fails(USAGE, &["no pushbench.toml here", "pushbench init"]);
    bench.run(&["check", "ingest", "--format", "jsn"]).fails(USAGE, &["did you mean \"json\""]);
    assert!(!bench.path("results").exists(), "something was begun");
    bench.nothing_left();
}

#[test]
fn a_scenario_is_told_its_arms_its_size_and_its_time() {
    let bench = Bench::new();
    let scenario = "question = \"Which rate?\"\n[load]\nduration = \"2s\"\nwarmup = \"500ms\"\n[connections]\n\
                    count = 7\n[compare]\nblocks = 10\n[sweep]\n\"load.rate\" = [200, 400]\n";
    bench.write("s.toml", scenario);
    bench.write("pushbench.toml", "[target.mine.webhook]\nurl = \"http://127.0.0.1:1/\"\n");
    let args = ["check", "s.toml", "--arm", "webhook@mine", "--arm", "websocket@builtin"];
    let checked = bench.run(&args);
    checked.succeeds();
    for part in ["Which rate?", "running already", "serve websocket", "10 for each point", "7 for"]
    {
        assert!(checked.out.contains(part), "no {part:?} in:\n{}", checked.out);
    }
    let found = bench.run(&[&args[..], &["--format", "json"]].concat());
    let found: serde_json::Value = serde_json::from_str(&found.out).unwrap();
    let file = &found["files"][0];
    assert_eq!((&file["points"], &file["seconds_at_most"]), (&2.into(), &().into()));
    assert_eq!(file["blocks"], serde_json::json!([10, 10]));
    assert_eq!(file["connections"], serde_json::json!([[7, 7], [7, 7]]));
    // Two points, ten blocks, two arms, and 2.5 s each, with a pilot for each arm of a point.
    let seconds = file["seconds_at_least"].as_f64().unwrap();
    assert!((100.0..105.0).contains(&seconds), "{seconds}");

    bench.write("s.toml", &scenario.replace("blocks = 10", "blocks = \"auto\""));
    let auto = bench.run(&["check", "s.toml", "--format", "json"]);
    let auto: serde_json::Value = serde_json::from_str(&auto.out).unwrap();
    let (least, most) =
        (&auto["files"][0]["seconds_at_least"], &auto["files"][0]["seconds_at_most"]);
    assert!(most.as_f64() > least.as_f64(), "{auto}");
    // What a run refuses is refused here as well.
    bench
        .run(&["check", "s.toml", "--arm", "webhook@nobody"])
        .fails(USAGE, &["no target \"nobody\""]);
    bench
        .run(&["check", "fanout", "--arm", "webhook@mine"])
        .fails(USAGE, &["mine does not", "publish and subscribe"]);
    assert!(!bench.path("results").exists(), "something was begun");
    bench.nothing_left();
}

/// Writes these files, runs `init`, and returns what it wrote and what it printed.
fn proposed(files: &[(&str, &str)]) -> (Bench, String, String) {
    let bench = Bench::new();
    files.iter().for_each(|(name, text)| drop(bench.write(name, text)));
    let init = bench.run(&["init"]);
    init.succeeds();
    bench.run(&["check"]).succeeds();
    let written = std::fs::read_to_string(bench.path("pushbench.toml")).unwrap();
    (bench, written, init.out)
}

#[test]
fn init_proposes_a_command_and_says_from_where() {
    let both = "pushbench run --arm webhook@mine --arm websocket@mine";
    let package =
        |rest: &str| format!("{{\"dependencies\": {{\"express\": \"5\", \"ws\": \"8\"}}, {rest}}}");
    let start = package("\"scripts\": {\"start\": \"touch executed\"}");
    let flask = "from flask import Flask\nweb = Flask(__name__)\n";
    let api = "from fastapi import FastAPI\napp: FastAPI = FastAPI()\n";
    let pyproject = "[project]\ndependencies = [\"fastapi>=0.1\"]\n";
    let cargo = "[package]\nname = \"x\"\n[dependencies]\nrocket = \"0.5\"\n";
    let env = "env = { PORT = \"{port}\" }";
    for (files, command, more, next) in [
        (&[("package.json", start.as_str())][..], "\"npm\",\"start\"", env, both),
        (
            &[("package.json", &package("\"main\": \"lib/my server.js\""))],
            "[\"node\",\"lib/my server.js\"]",
            "express, ws",
            both,
        ),
        (
            &[("package.json", "{\"bin\": {\"x\": \"cli.js\"}}")],
            "[\"node\",\"cli.js\"]",
            "package.json: bin",
            both,
        ),
        (
            &[("requirements.txt", "Flask==3.1 # web\n"), ("app.py", flask)],
            "[\"python3\",\"-m\",\"flask\",\"--app\",\"app:web\",\"run\",\"--port\",\"{port}\"]",
            "requirements.txt and app.py; it uses flask",
            "--arm webhook@mine --arm webhook@builtin",
        ),
        (
            &[("pyproject.toml", pyproject), ("src/main.py", api)],
            "\"uvicorn\",\"src.main:app\",\"--port\",\"{port}\"",
            "pyproject.toml and src/main.py",
            both,
        ),
        (
            &[("requirements.txt", "django\n"), ("manage.py", "")],
            "\"manage.py\",\"runserver\",\"--noreload\",\"127.0.0.1:{port}\"",
            "manage.py",
            "--arm webhook@mine --arm webhook@builtin",
        ),
        (
            &[("Cargo.toml", cargo)],
            "[\"cargo\",\"run\",\"--release\",\"--\"]",
            "env = { ROCKET_PORT = \"{port}\" }",
            "webhook@mine",
        ),
        (
            &[("go.mod", "module x\nrequire github.com/gorilla/websocket v1.5.0\n")],
            "[\"go\",\"run\",\".\"]",
            "github.com/gorilla/websocket",
            "--arm websocket@mine --arm websocket@builtin",
        ),
    ] {
        let (bench, written, printed) = proposed(files);
        for part in [command, more, next, "<==", "A server that is running already"] {
            assert!(written.contains(part), "no {part:?} in:\n{written}");
        }
        for part in [next, "nothing was executed", "pushbench check", files[0].0] {
            assert!(printed.contains(part), "no {part:?} in:\n{printed}");
        }
        assert!(!bench.path("executed").exists());
        bench.run(&["init"]).fails(USAGE, &["exists and was not changed"]);
    }
}

#[test]
fn init_writes_the_example_where_nothing_can_be_proposed() {
    let (_bench, written, _) = proposed(&[(
        "package.json",
        "{\"dependencies\": {\"express\": \"5\", \"socket.io\": \"4\"}}",
    )]);
    assert!(
        written.contains("# hello = [{ await = \"0{}\" }")
            && !written.contains("\n[target.mine.websocket]")
    );
    for files in [
        &[("package.json", "{ no JSON")][..],
        &[("Cargo.toml", "[package")],
        &[("package.json", "{\"main\": \"\\u0000.js\"}")],
        &[("README.md", "")],
    ] {
        let (_bench, written, printed) = proposed(files);
        assert!(written.contains("This file works as it is"), "{written}");
        assert!(printed.contains("works unchanged"), "{printed}");
    }
}

#[test]
fn a_proposed_program_is_measured_as_it_is_written() {
    let _turn = turn::measuring();
    if std::process::Command::new("node").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "node is missing");
        eprintln!("skipped: node is missing: apt install nodejs");
        return;
    }
    let server = "require('http').createServer((request, response) => {\n  let body = '';\n  \
                  request.on('data', part => body += part);\n  request.on('end', () => response.end(body));\n\
                  }).listen(process.env.PORT, '127.0.0.1');\n";
    let package = "{\"main\": \"server.js\", \"dependencies\": {\"express\": \"5\"}}";
    let (bench, ..) = proposed(&[("package.json", package), ("server.js", server)]);
    let typed = ["run", "--arm", "webhook@mine", "--arm", "webhook@builtin", "--out", "r"];
    bench.run(&[&typed[..], &SHORT].concat()).succeeds();
    let arms = json(&bench, "r")["points"][0]["arms"].clone();
    assert_eq!(arms[0]["events"]["acknowledged"], arms[0]["events"]["due"], "{arms}");
    bench.nothing_left();
}
