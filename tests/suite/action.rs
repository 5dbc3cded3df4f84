//! The GitHub action: its description, and the script that it runs, against a pushbench that only notes
//! what it was asked.

use crate::common::{Bench, Ended, ended};
use std::path::Path;
use std::process::Command;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A repository with two revisions of a server, and the variables of the script.
struct Job {
    bench: Bench,
    variables: Vec<(&'static str, String)>,
}

impl Job {
    /// The gate ends with this code.
    fn new(code: u8) -> Job {
        let bench = Bench::new();
        let script =
            format!("#!/bin/sh\nprintf '%s\\n' \"$@\" > asked\npwd > where\nexit {code}\n");
        let pushbench = bench.executable("bin/pushbench", &script);
        for (server, message) in [("old", "the base"), ("new", "the candidate")] {
            bench.write("work/server", server);
            let git = |args: &[&str]| {
                let mut git = Command::new("git");
                git.current_dir(bench.path("work")).args([
                    "-c",
                    "user.name=a",
                    "-c",
                    "user.email=a@b",
                ]);
                assert!(git.args(args).output().unwrap().status.success(), "git {args:?}");
            };
            if server == "old" {
                git(&["init", "--quiet"]);
            }
            git(&["add", "server"]);
            git(&["commit", "--quiet", "-m", message]);
        }
        let variables = vec![
            ("PUSHBENCH", pushbench.display().to_string()),
            ("BASE", "HEAD~1".to_owned()),
            ("BASE_DIR", bench.path("base of it").display().to_string()),
            ("BUILD", "cp server built".to_owned()),
            ("COMMAND", "./server --port {port}".to_owned()),
            ("GITHUB_OUTPUT", bench.path("output").display().to_string()),
            ("GITHUB_STEP_SUMMARY", bench.path("summary").display().to_string()),
        ];
        Job { bench, variables }
    }

    fn with(mut self, name: &'static str, value: &str) -> Job {
        self.variables.retain(|(n, _)| *n != name);
        self.variables.push((name, value.to_owned()));
        self
    }

    fn run(&self) -> Ended {
        let mut command = self.bench.command(repository().join(".github/gate.sh"));
        command.current_dir(self.bench.path("work"));
        command.envs(self.variables.iter().map(|(name, value)| (*name, value.as_str())));
        ended(command.output().unwrap())
    }

    fn text(&self, file: &str) -> String {
        std::fs::read_to_string(self.bench.path(file)).unwrap_or_default()
    }
}

#[test]
fn exit_codes_are_what_the_job_does() {
    for (code, on_inconclusive, wanted, verdict) in [
        (0, "warn", 0, "passed"),
        (1, "warn", 1, "failed"),
        (2, "warn", 0, "inconclusive"),
        (2, "fail", 2, "inconclusive"),
        (3, "warn", 3, "error"),
        (130, "warn", 130, "interrupted"),
        (64, "warn", 64, "error"),
    ] {
        let job = Job::new(code).with("ON_INCONCLUSIVE", on_inconclusive);
        let result = job.run();
        assert_eq!(
            result.code,
            Some(wanted),
            "{code} {on_inconclusive}: {}{}",
            result.out,
            result.err
        );
        assert_eq!(job.text("output"), format!("verdict={verdict}\n"));
        assert_eq!(result.out.contains("::error"), verdict == "error", "{}", result.out);
        assert_eq!(result.out.contains("::warning"), verdict == "interrupted", "{}", result.out);
        let none = ["error", "interrupted"].contains(&verdict);
        assert_eq!(job.text("summary").contains("No verdict"), none);
        assert!(!job.bench.path("base of it").exists(), "the base's tree is left over");
    }
}

/// The gate itself has said why in the log, the summary and on its page.
#[test]
fn a_gate_that_failed_is_not_said_a_second_time() {
    let printed = |code: i32, verdict: &str, level: &str, before: bool| {
        let job = Job::new(3);
        let script = format!(
            "#!/bin/sh\nmkdir -p results/gate\necho why > results/gate/report.md\n\
             echo '::{level} title=pushbench gate::why'\nexit {code}\n"
        );
        job.bench.executable("bin/pushbench", &script);
        if before {
            job.bench.write("work/results/gate/report.md", "of before");
        }
        let result = job.run();
        assert_eq!(result.code, Some(code), "{}{}", result.out, result.err);
        assert_eq!(job.text("output"), format!("verdict={verdict}\n"));
        result.out.matches(&format!("::{level}")).count()
    };
    for (code, verdict, level) in [(3, "error", "error"), (130, "interrupted", "warning")] {
        assert_eq!(printed(code, verdict, level, false), 1);
        let again = printed(code, verdict, level, true);
        assert_eq!(again, 2, "what lay there before says nothing of this gate");
    }
}

#[test]
fn both_revisions_are_built_and_each_is_started_in_its_own_directory() {
    let job = Job::new(0)
        .with("BUILD", "cp server built; pwd >> ../built-in")
        .with("JUDGE", "service.p50")
        .with("EVENT_PATH", "/hook")
        .with("AT_MOST", "2m")
        .with("ARGS", "--blocks 24 --set 'a b=$(touch x)'");
    job.run().succeeds();
    let (work, base) = (job.bench.path("work"), job.bench.path("base of it"));
    assert_eq!(job.text("built-in"), format!("{}\n{}\n", base.display(), work.display()));
    assert_eq!(std::fs::read_to_string(work.join("built")).unwrap(), "new");
    let requested = job.text("work/asked");
    let words: Vec<&str> = requested.lines().collect();
    let option = |name: &str| words[words.iter().position(|w| *w == name).unwrap() + 1];
    for (side, dir) in [("--base", &base), ("--candidate", &work)] {
        let command = shell_words::split(option(side)).unwrap();
        let dir = dir.display().to_string();
        assert_eq!(command, ["env", "-C", &dir, "./server", "--port", "{port}"]);
    }
    assert_eq!(
        (words[0], option("--format"), option("--judge")),
        ("gate", "github", "service.p50")
    );
    assert_eq!((option("--path"), option("--blocks")), ("/hook", "24"));
    assert_eq!(option("--at-most"), "2m");
    assert_eq!(option("--set"), "a b=$(touch x)");
    assert!(!work.join("x").exists(), "an option was run as a command");
}

#[test]
fn what_cannot_be_compared_ends_without_a_verdict() {
    for (name, value, code, text) in [
        ("BASE", "nowhere", 64, "there is no revision nowhere"),
        ("BASE", "--upload-pack=touch", 64, "is no revision"),
        ("ON_INCONCLUSIVE", "ignore", 64, "warn or fail"),
        ("BUILD", "grep -q new server", 3, "the base does not build"),
        ("BUILD", "grep -q old server", 3, "the candidate does not build"),
    ] {
        let job = Job::new(0).with(name, value);
        let result = job.run();
        assert_eq!(result.code, Some(code), "{name}={value}: {}{}", result.out, result.err);
        assert!(result.out.contains(text) && job.text("summary").contains(text), "{}", result.out);
        assert!(!job.bench.path("work/asked").exists(), "{name}={value}: it was gated");
    }
    let job = Job::new(0).with("COMMAND", "");
    assert!(job.run().err.contains("{port}"), "{}", job.run().err);
}

/// The action, read by a parser of YAML that is not ours.
#[test]
fn every_input_is_used_and_every_used_one_is_there() {
    let text = std::fs::read_to_string(repository().join("action.yml")).unwrap();
    let action: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
    let inputs = action["inputs"].as_object().unwrap();
    let page = std::fs::read_to_string(repository().join("docs/ci.md")).unwrap();
    for (name, input) in inputs {
        assert!(text.contains(&format!("inputs.{name} }}}}")), "{name} is parsed and ignored");
        assert!(input["description"].is_string(), "{name} says nothing");
        let named = [format!("`{name}`"), format!(" {name}: ")];
        assert!(named.iter().any(|n| page.contains(n)), "docs/ci.md does not name {name}");
        assert!(input["required"] == true || input["default"].is_string(), "{name}");
    }
    for used in text.split("inputs.").skip(1) {
        let name: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '-').collect();
        assert!(inputs.contains_key(&name), "{name} is no input");
    }
    assert_eq!(inputs["on-inconclusive"]["default"], "warn");
    assert_eq!(action["runs"]["using"], "composite");
    // Each variable that a step sets is read by the script, and inputs never stand in a command.
    let script = ["gate.sh", "program.sh"]
        .map(|name| std::fs::read_to_string(repository().join(".github").join(name)).unwrap());
    let script = script.concat();
    for step in action["runs"]["steps"].as_array().unwrap() {
        let run = step["run"].as_str().unwrap_or_default();
        assert!(!run.contains("${{"), "{run}");
        assert!(run.is_empty() || step["shell"] == "bash", "{run}");
        for name in step["env"].as_object().into_iter().flatten().map(|(name, _)| name) {
            assert!(
                script.contains(&format!("${{{name}")) || script.contains(&format!("${name}")),
                "{name}"
            );
        }
    }
}
