//! What reports write, read by readers that are not ours: HdrHistogram's Python port, xmllint, Python's csv
//! and JSON, a CommonMark parser, a validator of JSON Schema. Runs are the committed ones, and one whose names
//! and messages are as hostile as a target can make them. A reader that is missing is skipped with a message,
//! except in CI, where that is a failure.

use crate::common::{Bench, PUSHBENCH, ended, json};
use pulldown_cmark::{Event, Options, Parser, Tag};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/results");
const READERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/formats");
/// Pinned: a newer one may read what this one refuses.
const HDRHISTOGRAM: &str = "hdrhistogram==0.10.8";
/// The committed runs: open and closed, without and with a sweep, two arms and many.
const RUNS: [&str; 3] = ["readme-ingest", "in-flight-sweep", "all-targets"];

const HOSTILE_LABEL: &str = "webhook@<b>&`x`|\u{7}\u{202e},\"'=1\n#";
const HOSTILE_TEXT: &str =
    "=cmd|' /C calc'!A1 <script>alert(1)</script> ]]> [x](http://x.y) \u{1b}[31m\u{2066}\n# no";

/// Says that something is missing; in CI that is a failure.
fn missing(what: &str) {
    let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(!ci, "missing: {what}");
    eprintln!("skipped, missing: {what}");
}

/// Tests get the feature from a crate that only they use; the program must ask for it itself.
#[test]
fn the_program_reads_figures_as_they_were_written_to_the_last_digit() {
    let args = "tree --offline --locked --edges no-dev,features --invert serde_json --depth 1";
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(args.split(' '));
    let result = ended(cargo.output().unwrap());
    result.succeeds();
    assert!(result.out.contains("serde_json feature \"float_roundtrip\""), "{}", result.out);
}

/// A Python that has HdrHistogram, set up once and kept between test runs.
fn python() -> Option<PathBuf> {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cache/{HDRHISTOGRAM}"));
    let python = venv.join("bin/python");
    let works = |program: &Path, args: &[&str]| {
        Command::new(program).args(args).output().is_ok_and(|o| o.status.success())
    };
    if works(&python, &["-c", "import hdrh.log"]) {
        return Some(python);
    }
    let new = ["-m", "venv", "--clear", venv.to_str().unwrap()];
    let install = ["-m", "pip", "install", "--quiet", HDRHISTOGRAM];
    if works(Path::new("python3"), &new) && works(&python, &install) {
        return Some(python);
    }
    missing("Python 3.9 with venv, and PyPI (apt install python3 python3-venv)");
    None
}

/// The committed runs and the hostile one in a bench, by the names of their directories.
fn runs(bench: &Bench) -> Vec<String> {
    for name in RUNS {
        copy(&Path::new(RESULTS).join(name), &bench.path(name));
    }
    hostile(bench, "hostile");
    RUNS.map(str::to_owned).into_iter().chain(["hostile".to_owned()]).collect()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// A run whose every text is hostile.
fn hostile(bench: &Bench, name: &str) {
    let from = Path::new(RESULTS).join("readme-ingest");
    let text = std::fs::read_to_string(from.join("run.json")).unwrap();
    let mut run: Value = serde_json::from_str(&text).unwrap();
    (run["scenario"], run["question"]) = (HOSTILE_TEXT.into(), HOSTILE_TEXT.into());
    run["command"].as_array_mut().unwrap().push(HOSTILE_TEXT.into());
    run["environment"]["cpu"] = HOSTILE_TEXT.into();
    run["points"][0]["arms"][0]["label"] = HOSTILE_LABEL.into();
    run["points"][0]["arms"][0]["host"] = HOSTILE_TEXT.into();
    run["complete"] = false.into();
    run.as_object_mut().unwrap().remove("records");
    bench.write(&format!("{name}/run.json"), &run.to_string());
    let lines = std::fs::read_to_string(from.join("trials.jsonl")).unwrap();
    let mut changed = String::new();
    for line in lines.lines() {
        let mut trial: Value = serde_json::from_str(line).unwrap();
        if trial["arm"] == 0 {
            trial["label"] = HOSTILE_LABEL.into();
            trial["faults"] = json!({ HOSTILE_TEXT: 3 });
        }
        if trial["arm"] == 1 && trial["block"] == 2 {
            trial["invalid"] = json!([HOSTILE_TEXT]);
        }
        changed.push_str(&format!("{trial}\n"));
    }
    bench.write(&format!("{name}/trials.jsonl"), &changed);
}

/// Writes a format of a run into `w-RUN/`; several files into a folder of the format's name.
fn write(bench: &Bench, run: &str, format: &str, to: &str) -> PathBuf {
    let folder = format!("w-{run}");
    std::fs::create_dir_all(bench.path(&folder)).unwrap();
    let to = format!("{folder}/{to}");
    bench.run(&["report", run, "--format", format, "--output", &to]).succeeds();
    bench.path(&to)
}

fn written(bench: &Bench, run: &str, format: &str, to: &str) -> String {
    std::fs::read_to_string(write(bench, run, format, to)).unwrap()
}

#[test]
fn hdrhistogram_reads_the_same_percentiles_and_python_the_table() {
    let Some(python) = python() else { return };
    let bench = Bench::new();
    for run in runs(&bench) {
        for (format, to) in
            [("json", "report.json"), ("csv", "trials.csv"), ("hgrm", "hgrm"), ("hlog", "hlog")]
        {
            write(&bench, &run, format, to);
        }
        let script = format!("{READERS}/read.py");
        let folder = bench.path(&format!("w-{run}"));
        let mut read = bench.command(&python);
        read.arg(script).arg(bench.path(&run)).arg(folder);
        let read = ended(read.output().unwrap());
        assert_eq!(read.code, Some(0), "{run}: {}{}", read.out, read.err);
        eprintln!("{run}: {}", read.out.trim());
    }
}

#[test]
fn xmllint_finds_junit_valid() {
    if Command::new("xmllint").arg("--version").output().is_err() {
        return missing("xmllint (apt install libxml2-utils)");
    }
    let bench = Bench::new();
    let gate = "gate-20us".to_owned();
    std::os::unix::fs::symlink(Path::new(RESULTS).join(&gate), bench.path(&gate)).unwrap();
    for run in runs(&bench).into_iter().chain([gate]) {
        let xml = write(&bench, &run, "junit", "junit.xml");
        let mut lint = bench.command("xmllint");
        lint.args(["--noout", "--nonet", "--schema", &format!("{READERS}/junit-10.xsd")]);
        let lint = ended(lint.arg(&xml).output().unwrap());
        assert_eq!(lint.code, Some(0), "{run}: {}", lint.err);
        let text = std::fs::read_to_string(&xml).unwrap();
        assert!(text.matches("<testcase").count() > 10, "{text}");
        let incomplete = text.contains("<error message=\"INCOMPLETE");
        assert_eq!(incomplete, run == "hostile", "{text}");
    }
}

#[test]
fn a_commonmark_parser_reads_tables_and_no_markup_of_a_target() {
    let bench = Bench::new();
    for run in runs(&bench) {
        let text = written(&bench, &run, "markdown", "report.md");
        assert!(text.len() < 65_536, "a comment on GitHub holds no more");
        let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_GFM;
        let (mut tables, mut words) = (0, String::new());
        for event in Parser::new_ext(&text, options) {
            match event {
                Event::Start(Tag::Table(_)) => tables += 1,
                Event::Start(Tag::Link { .. } | Tag::Image { .. } | Tag::Strikethrough) => {
                    panic!("{run}: {event:?}")
                }
                // What is folded is the only HTML, and it is ours.
                Event::Html(html) | Event::InlineHtml(html) => {
                    let inner = html.trim().trim_start_matches("<details><summary>");
                    let inner = inner.trim_end_matches("</summary>").replace("</details>", "");
                    assert!(!inner.contains(['<', '>']), "{run}: {html}");
                }
                Event::Text(text) | Event::Code(text) => words.push_str(&text),
                Event::SoftBreak | Event::HardBreak => words.push(' '),
                _ => {}
            }
        }
        assert!(tables >= 2, "{run}: {text}");
        if run == "hostile" {
            for shown in [
                "=cmd|' /C calc'!A1 <script>alert(1)</script> ]]> [x](http://x.y) [U+001B][31m[U+2066] # no",
                "webhook@<b>&`x`|[U+0007][U+202E],\"'=1 #",
            ] {
                assert!(words.contains(shown), "no {shown:?} in {words}");
            }
        }
    }
}

#[test]
fn trackers_of_benchmarks_get_the_shapes_that_they_document() {
    // https://bencher.dev/docs/reference/bencher-metric-format
    let metric = json!({
        "type": "object",
        "properties": {"value": {"type": "number"}, "lower_value": {"type": "number"},
            "upper_value": {"type": "number"}},
        "required": ["value"], "additionalProperties": false
    });
    let measures = json!({"type": "object", "minProperties": 1,
        "patternProperties": {"^[a-z0-9-]{1,64}$": metric}, "additionalProperties": false});
    let bencher = json!({"type": "object", "minProperties": 2, "additionalProperties": measures});
    // https://github.com/benchmark-action/github-action-benchmark, "customSmallerIsBetter"
    let action = json!({"type": "array", "minItems": 2, "items": {
        "type": "object",
        "properties": {"name": {"type": "string", "minLength": 1}, "unit": {"type": "string"},
            "value": {"type": "number"}, "range": {"type": "string"}, "extra": {"type": "string"}},
        "required": ["name", "unit", "value"], "additionalProperties": false
    }});
    let bench = Bench::new();
    for run in runs(&bench) {
        let text = written(&bench, &run, "bencher", "bencher.json");
        let found: Value = serde_json::from_str(&text).unwrap();
        valid(&bencher, &found, &run);
        for measure in found.as_object().unwrap().values().flat_map(|m| m.as_object().unwrap()) {
            let of = |key: &str| measure.1[key].as_f64().unwrap();
            let ordered = of("lower_value") <= of("value") && of("value") <= of("upper_value");
            assert!(ordered, "{run}: {measure:?}");
        }
        let folder = write(&bench, &run, "github-action-benchmark", "action");
        let mut names = Vec::new();
        for (file, unit) in
            [("smaller-is-better.json", "ns"), ("bigger-is-better.json", "events/s")]
        {
            let text = std::fs::read_to_string(folder.join(file)).unwrap();
            let found: Value = serde_json::from_str(&text).unwrap();
            valid(&action, &found, &run);
            let entries = found.as_array().unwrap();
            assert!(entries.iter().any(|e| e["unit"] == unit), "{found}");
            names.extend(entries.iter().map(|e| e["name"].clone()));
        }
        let all = names.len();
        names.sort_by_key(|n| n.to_string());
        names.dedup();
        assert_eq!(names.len(), all, "{run}: every name once, over both files");
    }
}

fn valid(schema: &Value, found: &Value, run: &str) {
    let validator = jsonschema::validator_for(schema).unwrap();
    if let Err(e) = validator.validate(found) {
        panic!("{run}: {e} in {found:#}");
    }
}

/// <https://go.googlesource.com/proposal/+/master/design/14313-benchmark-format.md>, and the units'
/// directions of golang.org/x/perf.
#[test]
fn gobench_keeps_to_the_documented_format() {
    let bench = Bench::new();
    for run in runs(&bench) {
        let text = written(&bench, &run, "gobench", "bench.txt");
        let (mut results, mut keys) = (0, Vec::new());
        for line in text.lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if line.starts_with('#') {
                continue;
            } else if line.starts_with("Unit ") {
                let known = ["events/s", "reach"];
                assert!(known.contains(&fields[1]) && fields[2..] == ["better=higher"], "{line}");
            } else if let Some(name) = line.strip_prefix("Benchmark") {
                results += 1;
                assert!(!name.starts_with(char::is_lowercase), "{line}");
                assert!(fields.len() >= 4 && fields.len().is_multiple_of(2), "{line}");
                assert!(
                    fields[0].contains("/arm=") && fields[1].parse::<u64>().unwrap() > 0,
                    "{line}"
                );
                for pair in fields[2..].chunks(2) {
                    assert!(pair[0].parse::<f64>().unwrap().is_finite(), "{line}");
                    assert!(pair[1].parse::<f64>().is_err(), "a unit is no number: {line}");
                }
            } else {
                let (key, value) =
                    line.split_once(": ").unwrap_or_else(|| panic!("{run}: {line:?}"));
                assert!(!key.contains(|c: char| c.is_whitespace() || c.is_uppercase()), "{line}");
                assert!(!value.contains(char::is_control), "{line:?}");
                keys.push(key.to_owned());
            }
        }
        assert!(keys.contains(&"scenario".to_owned()) && keys.contains(&"cpu".to_owned()));
        let report = json(&bench, &run);
        let blocks = |p: &Value| p["design"]["blocks_valid"].as_u64().unwrap();
        let arms = |p: &Value| p["arms"].as_array().unwrap().len() as u64;
        let expected: u64 =
            report["points"].as_array().unwrap().iter().map(|p| blocks(p) * arms(p)).sum();
        // A voided block's other trials are valid themselves.
        let more = u64::from(run == "hostile");
        assert_eq!(results, expected + more, "{run}: a line a valid trial");
    }
}

#[test]
fn colours_are_on_a_terminal_alone_and_lines_as_wide_as_it_is() {
    let bench = Bench::new();
    hostile(&bench, "hostile");
    for run in ["hostile", &format!("{RESULTS}/readme-ingest")] {
        let shown = |name: &str, value: &str| {
            let mut command = bench.pushbench(&["report", run]);
            ended(command.env(name, value).output().unwrap()).out
        };
        let plain = shown("TERM", "xterm-256color");
        assert!(!plain.contains('\u{1b}') && !plain.contains('\u{7}'), "{plain:?}");
        assert!(plain.lines().any(|l| l.chars().count() > 120), "nothing is wrapped on a pipe");
        let coloured = shown("CLICOLOR_FORCE", "1");
        assert!(coloured.contains("\u{1b}[32mbetter"), "{coloured:?}");
        let file = bench.path("t.txt");
        let mut command = bench.pushbench(&["report", run, "--output", file.to_str().unwrap()]);
        ended(command.env("CLICOLOR_FORCE", "1").output().unwrap()).succeeds();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), plain, "files are never coloured");
    }
}

#[test]
fn a_terminal_is_asked_for_its_width_and_what_it_wants() {
    let python = Path::new("python3");
    if Command::new(python).args(["-c", "import pty"]).output().is_ok_and(|o| !o.status.success()) {
        return missing("Python 3 (apt install python3)");
    }
    let bench = Bench::new();
    let shown = |name: &str, value: &str| {
        let mut command = bench.command(python);
        command.arg(format!("{READERS}/terminal.py")).args(["72", PUSHBENCH, "report"]);
        command.arg(format!("{RESULTS}/readme-ingest"));
        // A terminal in CI understands colours, whatever its TERM says.
        for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI"] {
            command.env_remove(name);
        }
        let ended = ended(command.env("TERM", "xterm").env(name, value).output().unwrap());
        ended.succeeds();
        ended.out
    };
    let coloured = shown("LANG", "C.UTF-8");
    assert!(coloured.contains("\u{1b}[32mbetter"), "{coloured:?}");
    for (name, value) in [("NO_COLOR", "1"), ("CLICOLOR", "0"), ("TERM", "dumb")] {
        let plain = shown(name, value);
        assert!(!plain.contains('\u{1b}'), "{name}={value}: {plain:?}");
        assert!(plain.lines().all(|l| l.chars().count() <= 72), "{plain}");
        assert!(plain.contains("response p50"), "{plain}");
    }
}
