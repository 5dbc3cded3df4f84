//! Standard streams that are closed or full, files that are none, disks that are full: every command ends with a
//! code of the contract, and nothing that was there before is replaced or lost.
//!
//! No test opens a device of the machine to replace it: what is written over is a FIFO, a link or an open file of
//! the test's own, and a full disk is a file system of a mount namespace of its own.

use crate::common::{Bench, Ended, PUSHBENCH, SHORT, ended};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

const USAGE: i32 = 64;
const FAILED: i32 = 3;

/// A stored result of this repository.
fn stored(name: &str) -> String {
    format!("{}/results/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// How a command's streams are lost, and whether standard output is full: what cannot be shown then is a failure.
const LOST: [(&str, bool); 8] = [
    ("exec 2>/dev/full", false),
    ("exec >/dev/full", true),
    ("exec >/dev/full 2>&1", true),
    ("exec 2>&-", false),
    ("exec >&-", false),
    ("exec >&- 2>&-", false),
    ("exec <&-", false),
    ("exec <&- >&- 2>&-", false),
];

#[test]
fn a_lost_stream_is_no_panic() {
    let bench = Bench::new();
    let (run, gate) = (stored("readme-ingest"), stored("gate-20us"));
    let commands: [(&[&str], i32); 14] = [
        (&["--help"], 0),
        (&["--version"], 0),
        (&["list", "keys"], 0),
        (&["completions", "bash"], 0),
        (&["init"], 0),
        (&["report", &run], 0),
        (&["report", &gate], 0),
        (&["compare", &run, &run], 0),
        (&["rum"], USAGE),
        (&["run", "ingset"], USAGE),
        (&["reproduce", &gate], USAGE),
        (&["verify", "flsk"], USAGE),
        (&["qualify", "--gates", "0"], USAGE),
        // No address of this machine.
        (&["serve", "webhook", "--listen", "192.0.2.1:1"], FAILED),
    ];
    for (args, usual) in commands {
        for (script, full) in LOST {
            let _not_there = std::fs::remove_file(bench.path("pushbench.toml"));
            let ended = bench.run_limited(script, args);
            let code = if full && usual == 0 { FAILED } else { usual };
            assert_eq!(ended.code, Some(code), "{script}; {args:?}: {}", ended.err);
        }
        let _not_there = std::fs::remove_file(bench.path("pushbench.toml"));
        let mut command = bench.pushbench(args);
        let ended = ended(command.stdout(gone()).stderr(gone()).output().unwrap());
        assert_eq!(ended.code, Some(usual), "readers that have gone: {args:?}");
    }
    let full = bench.run_limited("exec >/dev/full", &["list", "keys"]);
    full.fails(FAILED, &["cannot write to standard output", "No space left"]);
    let server = ["serve", "webhook", "--listen", "127.0.0.1:0"];
    bench.run_limited("exec >/dev/full", &server).fails(FAILED, &["No space left"]);
}

/// A pipe whose reader has gone.
fn gone() -> Stdio {
    std::io::pipe().unwrap().1.into()
}

/// What measures: a lost standard error loses nothing, a full standard output nothing that was measured.
#[test]
fn a_lost_stream_loses_no_run() {
    let bench = Bench::new();
    let complete = |dir: &str| {
        let header = std::fs::read_to_string(bench.path(dir).join("run.json")).unwrap();
        header.contains("\"complete\": true") && bench.path(dir).join("report.html").exists()
    };
    let run = |out| [&["run", "--arm", "tcp@builtin", "--out", out], &SHORT[..]].concat();
    let mut command = bench.pushbench(&run("gone"));
    let message = ended(command.stderr(gone()).output().unwrap());
    assert!(matches!(message.code, Some(0 | 3)) && complete("gone"), "{}", message.out);
    assert!(message.out.contains("tcp@builtin"), "{}", message.out);
    let full = bench.run_limited("exec >/dev/full 2>/dev/full", &run("full"));
    assert!(full.code == Some(FAILED) && complete("full"), "{:?}", full.code);

    let lost = |args: &[&str]| bench.run_limited("exec 2>&1 >/dev/full", args);
    lost(&["reproduce", "full", "--out", "again"]).fails_to_write();
    assert!(bench.path("again/run.json").exists());
    lost(&["verify", "tcp@builtin"]).fails_to_write();
    lost(&["selftest", "--only", "pacing"]).fails_to_write();
    let load = ["--set", "load.duration=100ms", "--set", "load.warmup=20ms"];
    let quick = [&["--blocks", "8", "--at-most", "5s"], &load[..]].concat();
    let gate = ["gate", "--base", "builtin", "--candidate", "builtin", "--out", "g"];
    lost(&[&gate[..], &quick].concat()).fails_to_write();
    bench.run(&["report", "g"]).succeeds();
    bench.nothing_left();
}

impl Ended {
    /// Standard output was full, and standard error, which is what was captured here, says so.
    #[track_caller]
    fn fails_to_write(&self) {
        assert_eq!(self.code, Some(FAILED), "{}", self.out);
        assert!(self.out.contains("cannot write to standard output"), "{}", self.out);
    }
}

#[test]
fn arguments_that_are_no_text_are_taken_or_refused() {
    let bench = Bench::new();
    bench.write(
        "pushbench.toml",
        "[target.t.webhook]\ncommand = \"./gone {port}\"\nurl = \"http://127.0.0.1:{port}/\"\nmatch = \"id\"\n",
    );
    let odd = OsStr::from_bytes(b"r\xff");
    let run = |args: &[&str]| ended(bench.pushbench(args).arg(odd).output().unwrap());
    run(&["run", "--arm", "webhook@t", "--out"]).fails(FAILED, &["./gone", "cannot execute"]);
    run(&["gate", "--base", "t", "--candidate", "t", "--out"]).fails(FAILED, &["./gone"]);
    // It has kept why it ended.
    run(&["report"]).succeeds();
    let fresh = Bench::new();
    let csv = ["report", &stored("readme-ingest"), "--format", "csv", "--output"];
    ended(fresh.pushbench(&csv).arg(odd).output().unwrap()).succeeds();
    assert!(fresh.path(".").join(odd).is_file());
    run(&["run", "--arm"]).fails(USAGE, &["UTF-8"]);
}

#[test]
fn what_a_terminal_would_obey_is_shown() {
    let bench = Bench::new();
    bench.write(
        "pushbench.toml",
        "[target.t.webhook]\ncommand = \"printf 'a\\\\tb\\\\342\\\\200\\\\256c' {port}\"\nurl = \"http://127.0.0.1:{port}/\"\n\
         match = \"id\"\n",
    );
    let ended = bench.run(&["run", "--arm", "webhook@t"]);
    ended.fails(FAILED, &["a\tb[U+202E]c"]);
    let url = "url = \"http://127.0.0.1:9/\"\nmatch = \"id\"\n";
    bench.write("pushbench.toml", &format!("[target.\"a\u{202e}b\".webhook]\n{url}"));
    let listed = bench.run(&["list", "targets"]).out;
    assert!(listed.contains("a[U+202E]b") && !listed.contains('\u{202e}'), "{listed}");
    let hostile = "x\u{202e}\u{1b}[2J\u{9b}";
    for args in
        [&[hostile][..], &["run", hostile], &["report", hostile], &["run", "--arm", hostile]]
    {
        let ended = bench.run(args);
        ended.fails(USAGE, &["[U+202E]"]);
        let steers = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!(ended.out + &ended.err).contains(steers), "{args:?}: {:?}", ended.err);
    }
}

#[test]
fn output_goes_where_it_points() {
    let bench = Bench::new();
    let run = stored("readme-ingest");
    let csv =
        |output: &str| ["report", &run, "--format", "csv", "--output", output].map(String::from);
    let report = |output: &str| bench.run(&csv(output).each_ref().map(String::as_str));
    let wanted = bench.run(&["report", &run, "--format", "csv"]).out;
    for (command, output) in [
        (vec!["report", &run, "--format", "csv"], "-"),
        (vec!["report", &run, "--format", "csv"], "stdout"),
    ] {
        // As /dev/stdout is.
        let _there_already = symlink("/proc/self/fd/1", bench.path("stdout"));
        let ended = bench.run(&[&command[..], &["--output", output]].concat());
        ended.succeeds();
        assert_eq!(ended.out, wanted, "--output {output}");
    }
    assert!(bench.path("stdout").is_symlink() && !bench.path("-").exists());
    // Standard output that is a file goes on behind what it holds.
    let script = "exec >file; echo before";
    bench.run_limited(script, &csv("stdout").each_ref().map(String::as_str)).succeeds();
    let file = std::fs::read_to_string(bench.path("file")).unwrap();
    assert!(file == format!("before\n{wanted}"), "{file}");
    let full = bench.run_limited("exec >/dev/full", &csv("stdout").each_ref().map(String::as_str));
    full.fails(FAILED, &["stdout: No space left"]);

    assert!(Command::new("mkfifo").arg(bench.path("fifo")).status().unwrap().success());
    let reader = std::thread::spawn({
        let fifo = bench.path("fifo");
        move || std::fs::read_to_string(fifo).unwrap()
    });
    report("fifo").succeeds();
    assert_eq!(reader.join().unwrap(), wanted);
    for args in [&["compare", &run, &run][..], &["report", &stored("gate-20us")]] {
        let (there, here) = (bench.run(args), bench.run(&[args, &["--output", "-"]].concat()));
        assert!(here.code == Some(0) && here.out == there.out, "{}", here.err);
    }
    bench
        .run(&["report", &run, "--format", "hgrm", "--output", "-"])
        .fails(USAGE, &["writes several files", "--output hgrm"]);
    bench
        .run(&["report", &run, "--format", "hgrm", "--output", "fifo"])
        .fails(USAGE, &["is not a directory"]);
}

#[test]
fn a_limit_on_the_size_of_files_is_said() {
    let bench = Bench::new();
    bench.write("page.html", "old");
    let args = ["report", &stored("readme-ingest"), "--format", "html", "--output", "page.html"];
    bench.run_limited("ulimit -f 0", &args).fails(FAILED, &["page.html: File too large", "ulimit"]);
    assert_eq!(std::fs::read_to_string(bench.path("page.html")).unwrap(), "old");
    let run = bench.run_limited("ulimit -f 0", &["run", "--arm", "tcp@builtin", "--out", "r"]);
    run.fails(FAILED, &["File too large", "ulimit -f"]);
    assert!(!bench.path("r").exists(), "what was not begun is in nobody's way");
}

#[test]
fn results_overwrite_nothing() {
    let bench = Bench::new();
    bench.write("r/run.json", &std::fs::read_to_string(stored("idle") + "/run.json").unwrap());
    bench.write("r/trials.jsonl", "");
    bench.write("r/report.html", "mine");
    bench.write("t/truth.json", "mine");
    bench.write("file", "mine");
    symlink("nowhere", bench.path("link")).unwrap();
    let run = stored("readme-ingest");
    let gate = ["gate", "--base", "builtin", "--candidate", "builtin"];
    let truth = ["selftest", "--truth"];
    for (command, out, says) in [
        (&["run"][..], "r", "is not empty"),
        (&["reproduce", &run], "r", "is not empty"),
        (&gate, "r", "is not empty"),
        (&truth, "t", "is not empty"),
        (&["run"], "file", "is not a directory"),
        (&["run"], "link", "symbolic link"),
        (&truth, "file", "is not a directory"),
    ] {
        let ended = bench.run(&[command, &["--out", out]].concat());
        ended.fails(USAGE, &[says, "--out"]);
        assert!(!ended.err.contains("to go"), "nothing is begun: {}", ended.err);
    }
    for file in ["r/report.html", "t/truth.json", "file"] {
        assert_eq!(std::fs::read_to_string(bench.path(file)).unwrap(), "mine", "{file}");
    }
    assert!(bench.path("r/run.json").exists() && bench.path("link").is_symlink());
    // An empty one holds nothing that could be overwritten, and stays when nothing comes of the run.
    std::fs::create_dir(bench.path("empty")).unwrap();
    let run = [&["run", "--arm", "tcp@builtin", "--out", "empty"], &SHORT[..]].concat();
    bench.run_limited("ulimit -f 0", &run).fails(FAILED, &["ulimit -f"]);
    assert_eq!(std::fs::read_dir(bench.path("empty")).unwrap().count(), 0);
    assert!(matches!(bench.run(&run).code, Some(0 | 3)));
    bench.run(&["report", "empty"]).succeeds();
}

#[test]
fn what_is_no_run_is_named() {
    let bench = Bench::new();
    let (run, gate, qualification) =
        (stored("readme-ingest"), stored("gate-20us"), stored("qualify-gate"));
    let stage = format!("{gate}/blocks");
    let texts = ["the directory of a gate", &stage, &format!("pushbench report {gate}")];
    bench.run(&["compare", &run, &gate]).fails(USAGE, &texts);
    bench.run(&["compare", &stage, &stage]).succeeds();
    bench.run(&["report", &run, &gate]).fails(USAGE, &texts);
    bench.run(&["reproduce", &gate]).fails(
        USAGE,
        &["the directory of a gate", "pushbench gate --base", &format!("pushbench report {gate}")],
    );
    bench.run(&["compare", &run, &qualification]).fails(USAGE, &["directory of a qualification"]);
    bench.run(&["reproduce", &stored("truth")]).fails(USAGE, &["page of the self-test"]);
}

/// Runs a script in a mount namespace of its own, in which `full` is a file system of 64 KiB; `None` where this
/// user may not have one.
fn on_a_small_disk(bench: &Bench, script: &str) -> Option<Ended> {
    std::fs::create_dir(bench.path("full")).unwrap();
    let ways: [&[&str]; 3] =
        [&["unshare", "-m"], &["unshare", "-r", "-m"], &["sudo", "-n", "unshare", "-m"]];
    let way = ways.into_iter().find(|way| {
        let mut try_it = Command::new(way[0]);
        try_it.args(&way[1..]).args(["mount", "-t", "tmpfs", "none"]).arg(bench.path("full"));
        try_it.output().is_ok_and(|tried| tried.status.success())
    });
    let Some(way) = way else {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "missing: mount namespaces");
        eprintln!("skipped, missing: mount namespaces");
        return None;
    };
    let mut command = bench.command(Path::new(way[0]));
    let script = format!("mount -t tmpfs -o size=64k none full && {script}");
    command.args(&way[1..]).args(["sh", "-c", &script, PUSHBENCH]);
    Some(ended(command.output().unwrap()))
}

/// The records of one block fit, the page does not.
#[test]
fn a_full_disk_announces_nothing_that_it_has_not() {
    let bench = Bench::new();
    let run = "--blocks 1 --duration 300ms --warmup 100ms --rate 300 --out full/r";
    let script = format!("\"$0\" run {run}; echo code $?; ls full/r");
    let Some(ended) = on_a_small_disk(&bench, &script) else { return };
    assert!(ended.out.contains("code 3\n"), "{}\n{}", ended.out, ended.err);
    assert!(ended.err.contains("report.html: No space left"), "{}\n{}", ended.out, ended.err);
    for text in ["webhook@builtin", "pushbench report full/r", "run.json", "trials.jsonl"] {
        assert!(ended.out.contains(text), "no {text} in {}", ended.out);
    }
    assert!(!ended.out.contains("report.html") && !ended.out.contains(".tmp"), "{}", ended.out);
}
