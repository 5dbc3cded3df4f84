//! A failing target, a failing machine, an impatient user: a clear message with the remedy, the right
//! exit code, nothing left running, and finished trials kept.

use crate::common::{Bench, PUSHBENCH, ended, eventually, json, short, signal};
use rustix::process::Signal;
use std::io::BufRead as _;
use std::process::Child;

const FAILED: i32 = 3;

/// Describes a webhook target `t` by its command.
fn target(bench: &Bench, command: &str, more: &str) {
    let text = format!(
        "[target.t.webhook]\ncommand = {command:?}\nurl = \"http://127.0.0.1:{{port}}/webhook\"\nmatch = \"id\"\nenv = {{ PORT = \"{{port}}\" }}\n{more}\n"
    );
    bench.write("pushbench.toml", &text);
}

#[test]
fn a_target_that_cannot_be_executed() {
    let bench = Bench::new();
    target(&bench, "./no-such-program {port}", "");
    bench
        .run(&["run", "--arm", "webhook@t"])
        .fails(FAILED, &["./no-such-program", "No such file", "command"]);
    bench.write("data.txt", "no program");
    target(&bench, "./data.txt", "");
    bench.run(&["run", "--arm", "webhook@t"]).fails(FAILED, &["./data.txt", "Permission denied"]);
    bench.nothing_left();
}

#[test]
fn a_target_that_exits_at_once_shows_its_last_lines() {
    let bench = Bench::new();
    target(&bench, "sh -c 'echo one; echo two >&2; echo no such table: events >&2; exit 7'", "");
    bench.run(&["run", "--arm", "webhook@t"]).fails(
        FAILED,
        &["exited with code 7 before it was ready", "no such table: events", "manually"],
    );
    target(&bench, "sh -c 'kill -9 $$'", "");
    bench.run(&["run", "--arm", "webhook@t"]).fails(FAILED, &["SIGKILL", "it printed nothing"]);
    bench.nothing_left();
}

#[test]
fn a_target_that_never_gets_ready() {
    let bench = Bench::new();
    for (ready, text) in [
        ("tcp", "no server accepts connections"),
        ("http:/health", "GET /health"),
        ("line:READY", "did not print \"READY\""),
    ] {
        let more = format!("ready = \"{ready}\"\nready_timeout = \"200ms\"");
        target(&bench, "sh -c 'echo starting; sleep 60 & sleep 60'", &more);
        bench
            .run(&["run", "--arm", "webhook@t"])
            .fails(FAILED, &["not ready after 200 ms", text, "starting", "ready_timeout"]);
    }
    bench.nothing_left();
}

#[test]
fn a_target_that_answers_nothing_is_shown_what_came_back() {
    let bench = Bench::new();
    let server = format!("{PUSHBENCH} serve webhook --listen 127.0.0.1:{{port}}");
    target(&bench, &server, "");
    let wrong = std::fs::read_to_string(bench.path("pushbench.toml")).unwrap();
    bench.write("pushbench.toml", &wrong.replace("/webhook\"", "/wrong\""));
    bench.run(&short(&["--arm", "webhook@t"])).fails(
        FAILED,
        &["answered 404", "events are accepted at /webhook", "correct the path in url"],
    );
    bench.nothing_left();
}

#[test]
fn a_target_that_listens_elsewhere() {
    let bench = Bench::new();
    let soon = "ready_timeout = \"500ms\"";
    target(&bench, &format!("{PUSHBENCH} serve webhook --listen 127.0.0.1:0"), soon);
    bench.run(&["run", "--arm", "webhook@t"]).fails(
        FAILED,
        &["no server accepts connections at 127.0.0.1:", "it listens on 127.0.0.1:", "{port}"],
    );
    target(&bench, "sleep 60", soon);
    bench.run(&["run", "--arm", "webhook@t"]).fails(FAILED, &["it does not listen on any port"]);
    bench.nothing_left();
}

#[test]
fn a_target_that_goes_into_the_background() {
    let bench = Bench::new();
    target(
        &bench,
        &format!("sh -c '{PUSHBENCH} serve webhook --listen 127.0.0.1:0 & sleep 0.2'"),
        "",
    );
    bench
        .run(&["run", "--arm", "webhook@t"])
        .fails(FAILED, &["exited with code 0 before it was ready", "in the foreground"]);
    bench.nothing_left();
}

#[test]
fn a_target_that_prints_a_lot_and_ignores_sigterm() {
    let bench = Bench::new();
    // One line of 4 MB, then as many empty ones, before it serves and while it does.
    let print = "head -c 4000000 /dev/zero | tr \"\\0\"";
    let server = format!("{PUSHBENCH} serve webhook --listen 127.0.0.1:{{port}}");
    let talk = format!("{print} x; {print} \"\\n\" >&2");
    target(&bench, &format!("sh -c 'trap \"\" TERM; {talk}; ({talk}) & exec {server}'"), "");
    bench.run(&short(&["--arm", "webhook@t", "--arm", "webhook@builtin"])).succeeds();
    bench.nothing_left();
}

#[test]
fn set_up_commands_are_shown_before_they_run() {
    let bench = Bench::new();
    let more = "setup = [\"touch first\", \"sh -c 'test -e first && exit 5'\"]";
    target(&bench, "sleep 60", more);
    let mut command = bench.pushbench(&["run", "--arm", "webhook@t"]);
    let ended = ended(command.env("XDG_CACHE_HOME", bench.path("cache")).output().unwrap());
    ended.fails(FAILED, &["setting up t (once): touch first", "exited with code 5", "manually"]);
    let at = |text: &str| ended.err.find(text).unwrap();
    assert!(at("(once): sh -c 'test -e first && exit 5'") < at("exited with code 5"));
}

#[test]
fn a_target_that_dies_mid_trial_voids_its_blocks_and_ends_the_run() {
    let bench = Bench::new();
    let server = format!("{PUSHBENCH} serve webhook --listen 127.0.0.1:{{port}}");
    // The pilots are through by then; the blocks are not.
    let dying = format!("sh -c '{server} & sleep 1; echo out of memory >&2; kill -9 $!; exit 7'");
    target(&bench, &dying, "");
    let args = ["run", "--arm", "webhook@t", "--arm", "websocket@builtin", "--rate", "200"];
    let ended =
        bench.run(&[&args[..], &["--blocks", "4", "--duration", "2s", "--out", "r"]].concat());
    ended.fails(FAILED, &["webhook@t", "exited with code 7", "out of memory", "are kept"]);
    let report = json(&bench, "r");
    assert_eq!(report["complete"], false);
    let arms = &report["points"][0]["arms"];
    assert!(arms[0]["trials"].as_u64() >= Some(1), "{arms}");
    assert_eq!(arms[0]["trials"], arms[0]["invalid"]);
    bench.nothing_left();
}

#[test]
fn a_failing_set_up_says_what_to_install() {
    let bench = Bench::new();
    let cache = bench.path("cache");
    let run = |path: &std::path::Path, args: &[&str]| {
        let mut command = bench.pushbench(args);
        ended(command.env("XDG_CACHE_HOME", &cache).env("PATH", path).output().unwrap())
    };
    let flask = ["run", "--arm", "webhook@flask"];
    run(&bench.path("empty"), &flask)
        .fails(FAILED, &["python3", "not installed", "apt install python3"]);

    let no_venv = "#!/bin/sh\necho 'The virtual environment was not created successfully because ensurepip is not available.'\nexit 1\n";
    bench.executable("bin/python3", no_venv);
    run(&bench.path("bin"), &flask)
        .fails(FAILED, &["exited with code 1", "apt install python3-venv"]);

    // A virtual environment whose pip finds no index.
    let with_pip = "#!/bin/sh\n/bin/mkdir -p .venv/bin\nprintf '#!/bin/sh\\necho ERROR: No matching distribution found for Flask >&2\\nexit 2\\n' > .venv/bin/pip\n/bin/chmod +x .venv/bin/pip\n";
    bench.executable("bin/python3", with_pip);
    run(&bench.path("bin"), &flask).fails(
        FAILED,
        &[
            "pip install",
            "exited with code 2",
            "No matching distribution found for Flask",
            "manually",
        ],
    );
    assert!(!bench.path("results").exists(), "something was begun");
    bench.nothing_left();
}

#[test]
fn a_full_disk_keeps_the_finished_trials() {
    let bench = Bench::new();
    // The limit of file sizes stands for a disk of 40 blocks; dash counts 512 bytes a block.
    let args = short(&["--out", "r", "--blocks", "6", "--set", "compare.blocks=6"]);
    let args: Vec<&str> =
        args.into_iter().filter(|a| *a != "--blocks" && *a != "2" && *a != "6").collect();
    let ended = bench.run_limited("trap '' XFSZ; ulimit -f 64", &args);
    ended.fails(FAILED, &["r/trials.jsonl", "ulimit -f", "are kept"]);
    let report = json(&bench, "r");
    assert_eq!(report["complete"], false);
    let stored = std::fs::read_to_string(bench.path("r/trials.jsonl")).unwrap();
    assert!(stored.lines().count() > 2, "{}", stored.len());
    bench.nothing_left();
}

/// Starts a long run and waits until it has finished a block.
fn started(bench: &Bench) -> Child {
    let args = ["run", "--out", "r", "--blocks", "500", "--duration", "300ms", "--warmup", "100ms"];
    // Sliced whatever the machine does meanwhile, so that both targets of a block live together.
    let more = ["--rate", "300", "--set", "compare.design=sliced"];
    // Where the tests themselves run under nohup, a hangup would be ignored.
    let mut command = bench.command("env");
    command.args(["--default-signal=HUP", PUSHBENCH]).args(args).args(more);
    let child = command.spawn().unwrap();
    eventually("the first block", || {
        let Ok(file) = std::fs::File::open(bench.path("r/trials.jsonl")) else { return false };
        std::io::BufReader::new(file).lines().count() >= 4
    });
    child
}

#[test]
fn ctrl_c_ends_the_run_and_shows_what_was_finished() {
    for which in [Signal::INT, Signal::TERM, Signal::HUP] {
        let bench = Bench::new();
        let child = started(&bench);
        signal(&child, which);
        if which == Signal::HUP {
            signal(&child, which); // from the terminal, and from the shell
        }
        let ended = ended(child.wait_with_output().unwrap());
        ended.fails(130, &["interrupted"]);
        assert!(ended.out.contains("INCOMPLETE"), "{}", ended.out);
        assert_eq!(json(&bench, "r")["complete"], false);
        bench.nothing_left();
    }
}

#[test]
fn ctrl_c_ends_a_start_and_a_set_up() {
    let bench = Bench::new();
    let slow = "ready = \"line:NEVER\"\nready_timeout = \"10m\"";
    let set_up = "setup = [\"sh -c 'touch started; sleep 600'\"]";
    for more in [slow, set_up] {
        let _not_there = std::fs::remove_file(bench.path("started"));
        target(&bench, "sh -c 'trap : TERM; touch started; sleep 600 & wait; wait'", more);
        let mut command = bench.pushbench(&["run", "--arm", "webhook@t"]);
        let child = command.env("XDG_CACHE_HOME", bench.path("cache")).spawn().unwrap();
        eventually("the target", || bench.path("started").exists());
        signal(&child, Signal::INT);
        ended(child.wait_with_output().unwrap()).fails(130, &["interrupted"]);
        bench.nothing_left();
    }
}

#[test]
fn kill_9_leaves_no_child_and_a_readable_run() {
    let bench = Bench::new();
    let mut child = started(&bench);
    // pushbench, and for each arm a supervisor and its server; between two blocks there are none.
    eventually("the targets of a block", || bench.processes().len() == 5);
    signal(&child, Signal::KILL);
    child.wait().unwrap();
    bench.nothing_left();

    let text = bench.run(&["report", "r"]);
    text.succeeds();
    assert!(text.out.contains("INCOMPLETE"), "{}", text.out);
    assert!(text.out.contains("of 500 blocks were finished"), "{}", text.out);
    let report = json(&bench, "r");
    assert_eq!(report["complete"], false);
    let arms = report["points"][0]["arms"].as_array().unwrap();
    assert!(arms.iter().all(|arm| arm["trials"].as_u64() >= Some(1)), "{arms:?}");
}

#[test]
fn grandchildren_of_a_target_do_not_survive_either() {
    let bench = Bench::new();
    let server = format!("{PUSHBENCH} serve webhook --listen 127.0.0.1:{{port}}");
    // One that left its process group, one that ignores SIGTERM.
    let many =
        format!("sh -c 'setsid sleep 600 & (trap : TERM; sleep 600; sleep 600) & exec {server}'");
    target(&bench, &many, "");
    bench.run(&short(&["--arm", "webhook@t", "--arm", "webhook@builtin"])).succeeds();
    bench.nothing_left();
}
