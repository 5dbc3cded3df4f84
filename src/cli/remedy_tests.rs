//! Every remedy that a message prints is accepted: commands and options by the command line, keys and
//! values by the reader of scenarios.

use crate::cli::Cli;
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};
use pushbench_core::remedy::Try;
use pushbench_core::scenario;
use pushbench_core::scenario::{Override, keys};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The string literals of the program, format placeholders as they are; comments, unit tests and hidden
/// commands are left out.
fn literals() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders =
        ["src", "crates"].map(|f| Path::new(env!("CARGO_MANIFEST_DIR")).join(f)).to_vec();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs")
                && !path.to_string_lossy().ends_with("tests.rs")
                && !path.ends_with("sample.rs")
            {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                found.extend(strings(code).into_iter().map(|s| (path.clone(), s)));
            }
        }
    }
    found
}

/// The string literals of Rust code, unescaped.
fn strings(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find(['"', '/', '\'']) {
        let (before, here) = (&rest[..at], &rest[at..]);
        if here.starts_with("//") {
            rest = here.split_once('\n').map_or("", |(_, after)| after);
        } else if let Some(after) = here.strip_prefix('"') {
            if let Some(hashes) = raw(before) {
                let (text, after) = after.split_once(&format!("\"{hashes}")).unwrap();
                found.push(text.to_owned());
                rest = after;
            } else {
                let (text, after) = quoted(after);
                found.push(text);
                rest = after;
            }
        } else if ["'\"'", "'/'", "'\\"].iter().any(|begin| here.starts_with(begin)) {
            rest = &here[3..];
        } else {
            rest = &here[1..];
        }
    }
    found
}

/// The hashes of a raw literal that begins here.
fn raw(before: &str) -> Option<&str> {
    let bare = before.trim_end_matches('#');
    bare.ends_with('r').then(|| &before[bare.len()..])
}

fn quoted(text: &str) -> (String, &str) {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (out, &text[at + 1..]),
            '\\' => match chars.next().unwrap().1 {
                'n' => out.push('\n'),
                '\n' => {
                    let rest = chars.as_str().trim_start();
                    let skipped = text.len() - rest.len();
                    let (tail, after) = quoted(&text[skipped..]);
                    return (out + &tail, after);
                }
                other => out.push(other),
            },
            c => out.push(c),
        }
    }
    panic!("a literal does not end: {text}");
}

/// With each placeholder replaced by what every option takes as a value.
fn filled(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        let end = rest[at..].find('}').map_or(rest.len(), |n| at + n + 1);
        // A name where a name stands.
        out.push_str(if out.ends_with("--format ") { "text" } else { "1" });
        rest = &rest[end..];
    }
    out + rest
}

/// The commands in a text: `pushbench SUBCOMMAND` and the words behind it that belong to it.
fn commands(text: &str) -> Vec<Vec<String>> {
    let known: Vec<String> =
        Cli::command().get_subcommands().map(|c| c.get_name().to_owned()).collect();
    let mut found = Vec::new();
    for rest in text.split("pushbench ").skip(1) {
        let end = rest.find(['`', ')', ',', ';', '\n', '(', ':', '…', '"']).unwrap_or(rest.len());
        let words: Vec<&str> = rest[..end].split_whitespace().collect();
        if !words.first().is_some_and(|w| known.iter().any(|k| k == w)) {
            continue;
        }
        let mut command = vec!["pushbench".to_owned(), words[0].to_owned()];
        let mut value = false;
        for (number, word) in words[1..].iter().enumerate() {
            // Behind the first operand only options go on: the rest is the sentence.
            if !(value || word.starts_with('-') || number == 0) {
                break;
            }
            value = word.starts_with("--");
            command.push((*word).to_owned());
        }
        found.push(command);
    }
    found
}

fn accepted(command: &[String]) -> Result<(), String> {
    match Cli::try_parse_from(command) {
        Ok(_) => Ok(()),
        // What is said elsewhere of a command may leave out what it needs.
        Err(e) if e.kind() == ErrorKind::MissingRequiredArgument => Ok(()),
        Err(e) => Err(format!("{command:?}: {e}")),
    }
}

fn options() -> BTreeSet<String> {
    let command = Cli::command();
    let own = command.get_subcommands().flat_map(|c| c.get_arguments());
    let mut all: BTreeSet<String> =
        own.filter_map(|a| a.get_long()).map(|long| format!("--{long}")).collect();
    all.extend(["--help", "--version"].map(str::to_owned));
    all
}

/// Options in a text, each with the word behind it.
fn named_options(text: &str) -> Vec<(String, String)> {
    let word = |c: char| c.is_ascii_lowercase() || c == '-';
    let mut found = Vec::new();
    for (at, _) in text.match_indices("--") {
        let before = text[..at].chars().next_back();
        let rest = &text[at..];
        let end = rest.find(|c| !word(c)).unwrap_or(rest.len());
        if end > 2
            && !rest.starts_with("---")
            && before.is_none_or(|c| !(word(c) || c.is_alphanumeric()))
        {
            let value = rest[end..].trim_start_matches(['=', ' ']);
            let value =
                value.split([' ', ',', ';', ')', '`', '\n', ':']).next().unwrap_or_default();
            found.push((rest[..end].to_owned(), value.to_owned()));
        }
    }
    found
}

fn override_of(text: &str) -> Override {
    let (key, value) = text.split_once('=').unwrap();
    let origin = format!("--set {text}");
    Override { key: key.to_owned(), value: value.to_owned(), origin }
}

/// One of the flows takes it.
fn scenario_takes(overrides: &[Override]) -> Result<(), String> {
    let mut last = String::new();
    for name in ["ingest", "fanout", "idle", "duplex"] {
        match scenario::load(name, overrides) {
            Ok(_) => return Ok(()),
            Err(e) => last = e.to_string(),
        }
    }
    Err(last)
}

#[test]
fn the_literals_of_code_are_found() {
    let code = "let a = \"one \\\n   two\"; // \"not this\"\nlet b = r#\"a \"b\"\"#; let c = '\"'; f(\"x\\\"y\")";
    assert_eq!(strings(code), ["one two", "a \"b\"", "x\"y"]);
    assert_eq!(filled("a {b} {c:?}{}"), "a 1 11");
    let found = commands(
        "see `pushbench list keys`, or write pushbench run fanout --arm 1 --rate 5 and so on",
    );
    assert_eq!(found[0].join(" "), "pushbench list keys");
    assert_eq!(found[1].join(" "), "pushbench run fanout --arm 1 --rate 5");
    let options = named_options("try --rate 5, or --set a=b; a--b --- (--cpus)");
    let names: Vec<&str> = options.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["--rate", "--set", "--cpus"]);
    assert_eq!((options[0].1.as_str(), options[1].1.as_str()), ("5", "a=b"));
    assert!(accepted(&["pushbench", "run", "--rat", "5"].map(str::to_owned)).is_err());
    assert!(scenario_takes(&[override_of("connections.count=0")]).is_err());
}

#[test]
fn every_command_that_is_printed_is_accepted() {
    let mut count = 0;
    for (file, text) in literals() {
        // The head of a gate's report is a sentence, no command.
        if text.starts_with("pushbench gate ") {
            continue;
        }
        for command in commands(&filled(&text)) {
            count += 1;
            accepted(&command).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        }
    }
    assert!(count > 20, "only {count} commands were found");
}

#[test]
fn every_option_that_is_printed_exists_and_takes_the_value_beside_it() {
    let known = options();
    let (mut count, mut values) = (0, 0);
    for (file, text) in literals() {
        // Words that start this program or another one are no advice.
        if text.starts_with("--") && !text.contains(' ')
            || text.contains("curl ")
            || text.contains("./server ")
            || file.ends_with("cli/proposal.rs")
        {
            continue;
        }
        for (option, value) in named_options(&text) {
            count += 1;
            let at = format!("{}: {option} in {text:?}", file.display());
            assert!(known.contains(&option), "{at}");
            let literal =
                !value.contains(['{', '…', '}']) && value.contains(|c: char| c.is_ascii_digit());
            if option == "--set" && value.contains('=') && !value.contains(['{', '…']) {
                let (key, value) = value.split_once('=').unwrap();
                if (key, value) == ("KEY", "VALUE") {
                    continue;
                }
                values += 1;
                assert!(keys::named(key).is_some(), "{at}");
                if !value.ends_with(".json") {
                    scenario_takes(&[override_of(&format!("{key}={value}"))])
                        .unwrap_or_else(|e| panic!("{at}: {e}"));
                }
            } else if literal
                && ["--rate", "--connections", "--subscribers", "--warmup"]
                    .contains(&option.as_str())
            {
                values += 1;
                let command = ["pushbench", "run", &option, &value].map(str::to_owned);
                accepted(&command).unwrap_or_else(|e| panic!("{at}: {e}"));
            }
        }
    }
    assert!(count > 60 && values > 4, "only {count} options and {values} values were found");
}

#[test]
fn every_value_that_is_computed_is_taken_and_is_not_the_one_that_was_refused() {
    for option in Try::ALL {
        for value in [0, 1, 2, 480, 999_999, 1_000_001, 5_000_001, 86_400_001, u64::MAX] {
            let found = [
                (option.below(value, f64::INFINITY), value == 0),
                (option.above(value, 0.0), false),
            ];
            for (text, none) in found {
                assert_eq!(text.is_none(), none, "{option:?} {value}");
                let Some(text) = text else { continue };
                let command = if option == Try::AtMost { "gate" } else { "run" };
                let words = shell_words::split(&format!("pushbench {command} {text}")).unwrap();
                accepted(&words).unwrap();
                let key = match option {
                    Try::AtMost => continue, // no key of a scenario
                    Try::Connections => "connections.count",
                    Try::Subscribers => "subscribers.count",
                    Try::Rate => "load.rate",
                    Try::Warmup => "load.warmup",
                    Try::PollInterval => "delivery.poll_interval",
                };
                let value = words.last().unwrap().rsplit('=').next().unwrap();
                let mut overrides = vec![override_of(&format!("{key}={value}"))];
                // So that no other limit than the option's own is met.
                overrides.extend(match option {
                    Try::Rate | Try::Warmup => vec![
                        override_of(if key == "load.rate" {
                            "load.warmup=0s"
                        } else {
                            "load.rate=1"
                        }),
                        override_of("load.duration=1s"),
                    ],
                    _ => vec![],
                });
                scenario_takes(&overrides).unwrap_or_else(|e| panic!("{text}: {e}"));
            }
        }
        assert_eq!(option.below(7, 7.0), None);
        assert_eq!(option.above(7, 7.0), None);
    }
}
