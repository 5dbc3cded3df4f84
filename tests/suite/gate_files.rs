//! Which files base, null and candidate of a gate run from, and what is left of them.

use crate::common::{Bench, Ended, PUSHBENCH, ended, eventually, signal};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// As short as a gate can be, all arms of a block alive together.
const QUICK: [&str; 16] = [
    "--blocks",
    "8",
    "--at-most",
    "10s",
    "--judge",
    "target_usage.cpu_ns_per_event",
    "--set",
    "load.duration=100ms",
    "--set",
    "load.warmup=20ms",
    "--set",
    "load.rate=300",
    "--set",
    "connections.count=4",
    "--set",
    "compare.design=sliced",
];

/// A bench with a directory for temporary files of its own.
struct Files {
    bench: Bench,
    temporary: PathBuf,
}

impl Files {
    fn new() -> Files {
        let bench = Bench::new();
        let temporary = bench.path("tmp");
        std::fs::create_dir(&temporary).unwrap();
        Files { bench, temporary }
    }

    /// The shell as an executable of this name. It is copied by another process: a file that this one has open for
    /// writing might be open in a process that another test starts.
    fn shell(&self, name: &str) -> String {
        let path = self.bench.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        assert!(self.bench.command("cp").arg("/bin/sh").arg(&path).status().unwrap().success());
        path.display().to_string()
    }

    /// A server that writes its file and that file's number to `log` when it starts, and stays alive in front of
    /// the one that does the work.
    fn server(&self, name: &str, log: &str) -> String {
        let shell = self.shell(name);
        format!(
            "{shell} -c 'echo $(readlink /proc/$$/exe) $(stat -L -c %i /proc/$$/exe) >> {log}; {PUSHBENCH} serve \
             webhook --listen 127.0.0.1:$0; true' {{port}}"
        )
    }

    fn gate(&self, more: &[&str]) -> std::process::Command {
        let mut command = self.bench.pushbench(&[&["gate"], more, &QUICK].concat());
        command.env("TMPDIR", &self.temporary);
        command
    }

    fn run(&self, more: &[&str]) -> Ended {
        ended(self.gate(more).output().unwrap())
    }

    #[track_caller]
    fn nothing_left(&self) {
        self.bench.nothing_left();
        let left: Vec<_> = std::fs::read_dir(&self.temporary).unwrap().flatten().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Each start: the number of the copy, its path, and the number of its file.
fn starts(log: &Path) -> Vec<(usize, String, u64)> {
    let text = std::fs::read_to_string(log).unwrap();
    let start = |line: &str| {
        let (path, inode) = line.split_once(' ').unwrap();
        let folder = Path::new(path).parent().unwrap().file_name().unwrap().to_str().unwrap();
        (folder.parse().unwrap(), path.to_owned(), inode.parse().unwrap())
    };
    text.lines().map(start).collect()
}

#[test]
fn every_arm_of_a_block_runs_from_a_copy_of_its_own_and_the_roles_rotate() {
    let files = Files::new();
    let base = files.server("old/server", "base.log");
    let candidate = files.server("new/server-next", "candidate.log");
    let result = files.run(&["--base", &base, "--candidate", &candidate, "--out", "g"]);
    assert!(matches!(result.code, Some(0..=2)), "{}\n{}", result.out, result.err);
    files.nothing_left();

    let of = |name: &str| starts(&files.bench.path(name));
    let (bases, candidates) = (of("base.log"), of("candidate.log"));
    let is_candidate: BTreeSet<usize> = candidates.iter().map(|(n, ..)| *n).collect();
    let mut all = [bases, candidates].concat();
    all.sort();
    let numbers: Vec<usize> = all.iter().map(|(number, ..)| *number).collect();
    assert_eq!(numbers, (0..all.len()).collect::<Vec<_>>(), "a copy served twice or never");
    let lengths: BTreeSet<usize> = all.iter().map(|(_, path, _)| path.len()).collect();
    assert_eq!(lengths.len(), 1, "{all:?}");
    assert!(all.iter().all(|(_, path, _)| Path::new(path).starts_with(&files.temporary)));
    // The last blocks: all three are alive together.
    let mut places = BTreeSet::new();
    for block in all[all.len() - 24..].chunks(3) {
        let inodes: BTreeSet<u64> = block.iter().map(|(.., inode)| *inode).collect();
        assert_eq!(inodes.len(), 3, "two arms ran from one file: {block:?}");
        let at: Vec<usize> = (0..3).filter(|i| is_candidate.contains(&block[*i].0)).collect();
        assert_eq!(at.len(), 1, "{block:?}");
        places.insert(at[0]);
    }
    assert_eq!(places.len(), 3, "the candidate's copy was always made in the same order");

    // What was given is what is recorded.
    let arms = read(&files.bench.path("g/blocks/run.json"))["points"][0]["arms"].clone();
    let programs: Vec<&Value> =
        arms.as_array().unwrap().iter().map(|arm| &arm["command"][0]).collect();
    let (old, new) = (files.bench.path("old/server"), files.bench.path("new/server-next"));
    assert_eq!(programs, [&json!(old), &json!(new), &json!(old)]);
    assert_eq!(read(&files.bench.path("g/gate.json"))["executables"], json!("copied"));
    let said = "each start of a program had a fresh copy of its executable";
    for format in ["text", "markdown", "html"] {
        let report = files.bench.run(&["report", "g", "--format", format]).out;
        assert!(report.contains(said), "{report}");
    }
    let report = files.bench.run(&["report", "g", "--format", "json"]).out;
    assert!(report.contains("\"executables\": \"copied\""), "{report}");
}

#[test]
fn copies_are_removed_however_a_gate_ends() {
    let files = Files::new();
    let server = files.server("server", "log");
    for (number, code) in
        [(rustix::process::Signal::INT, Some(130)), (rustix::process::Signal::KILL, None)]
    {
        let out = format!("g{number:?}");
        let mut child = files
            .gate(&["--base", &server, "--candidate", &server, "--out", &out])
            .spawn()
            .unwrap();
        let trials = files.bench.path(&out).join("blocks/trials.jsonl");
        eventually("the first trial", || std::fs::metadata(&trials).is_ok_and(|m| m.len() > 0));
        assert!(std::fs::read_dir(&files.temporary).unwrap().next().is_some());
        signal(&child, number);
        assert_eq!(child.wait().unwrap().code(), code);
        files.nothing_left();
    }
    // It fails from its own file as well: then that is what the message is about.
    let shell = files.shell("broken/server");
    let broken = format!("{shell} -c 'echo no such config; exit 7' {{port}}");
    let result = files.run(&["--base", &server, "--candidate", &broken]);
    result.fails(3, &["no such config", "code 7", &format!("try it manually: {shell}")]);
    assert!(!result.err.contains("--in-place"), "{}", result.err);
    files.nothing_left();
}

#[test]
fn a_program_that_needs_files_beside_itself_is_told_of_in_place() {
    let files = Files::new();
    let shell = files.shell("app/server");
    files.bench.write("app/config", "");
    let command = format!(
        "{shell} -c 'test -e $(dirname $(readlink /proc/$$/exe))/config || {{ echo no config; exit 7; }}; exec \
         {PUSHBENCH} serve webhook --listen 127.0.0.1:$0' {{port}}"
    );
    let sides = ["--base", &command, "--candidate", &command];
    files.run(&sides).fails(3, &["no config", "started from its own file it works", "--in-place"]);
    files.nothing_left();
    let result = files.run(&[&sides[..], &["--in-place", "--out", "g"]].concat());
    assert!(matches!(result.code, Some(0..=2)), "{}\n{}", result.out, result.err);
    assert!(result.out.contains("were not copied"), "{}", result.out);
    let kept = read(&files.bench.path("g/gate.json"))["executables"].clone();
    assert_eq!(kept, json!({"in_place": "--in-place was given"}));
    // Held against a stored run it is told the same.
    let against = ["gate", "--against", "g", "--candidate", &command, "--blocks", "8"];
    let mut against = files.bench.pushbench(&against);
    let result = ended(against.env("TMPDIR", &files.temporary).output().unwrap());
    result.fails(3, &["no config", "--in-place"]);
    files.nothing_left();
}

#[test]
fn a_qualification_runs_from_copies() {
    let files = Files::new();
    let args = ["qualify", "--gates", "1", "--injected", "1", "--out", "q"];
    let mut command = files.bench.pushbench(&[&args[..], &QUICK].concat());
    let mut child = command.env("TMPDIR", &files.temporary).spawn().unwrap();
    eventually("five servers from five copies", || {
        let exe = |pid: u32| std::fs::read_link(format!("/proc/{pid}/exe")).ok();
        let exes: BTreeSet<PathBuf> = files.bench.servers().into_iter().filter_map(exe).collect();
        exes.iter().filter(|exe| exe.starts_with(&files.temporary)).count() == 5
    });
    signal(&child, rustix::process::Signal::INT);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    files.nothing_left();
    assert_eq!(read(&files.bench.path("q/qualify.json"))["copied"], json!(true));
}

/// In a mount namespace, where the directory for temporary files allows no execution, and where it is full.
#[test]
fn copies_lie_in_the_results_where_temporary_files_cannot_be_executed() {
    let files = Files::new();
    let mounted = |options: &str, args: &[&str]| {
        let script = format!("mount -t tmpfs -o {options} none tmp || exit 99; exec \"$0\" \"$@\"");
        let mut command = files.bench.command("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", &script]).args(args);
        ended(command.env("TMPDIR", &files.temporary).output().unwrap())
    };
    let tried = mounted("noexec", &["true"]);
    if tried.code != Some(0) {
        assert!(std::env::var_os("CI").is_none(), "no mount namespace: {}", tried.err);
        eprintln!("skipped: no mount namespace: {}", tried.err);
        return;
    }
    let server = files.server("server", "log");
    let args = [PUSHBENCH, "gate", "--base", &server, "--candidate", &server, "--out"];
    let result = mounted("noexec", &[&args[..], &["g"], &QUICK].concat());
    assert!(matches!(result.code, Some(0..=2)), "{}\n{}", result.out, result.err);
    let of = starts(&files.bench.path("log"));
    assert!(of.iter().all(|(_, path, _)| Path::new(path).starts_with(files.bench.path("g"))));
    let names = std::fs::read_dir(files.bench.path("g")).unwrap().flatten();
    let left = names.filter(|e| e.file_name().to_string_lossy().contains("programs")).count();
    assert_eq!(left, 0);
    let full = mounted("size=8k", &[&args[..], &["full"], &QUICK].concat());
    full.fails(3, &["tmp has 0 MiB free", "TMPDIR"]);
    files.nothing_left();
}
