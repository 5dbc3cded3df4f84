//! A working directory in which the real binary is run as a user would.
#![allow(dead_code)] // every test program uses its own part

pub mod publisher;
pub mod targets;
pub mod terminal;
pub mod turn;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The binary under test.
pub const PUSHBENCH: &str = env!("CARGO_BIN_EXE_pushbench");
/// Only a broken machine makes a condition take this long.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The variable by which all processes of a bench are found.
const MARK: &str = "PUSHBENCH_TEST_MARK";
/// Where it is set, no trial is void because the machine stalled.
const COUNTS: &str = "PUSHBENCH_TEST_COUNTS";

/// An empty working directory of its own.
pub struct Bench {
    dir: tempfile::TempDir,
    mark: String,
    program: PathBuf,
    judges_lateness: bool,
    _turn: Arc<turn::Turn>,
}

/// How a command ended.
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Bench {
    pub fn new() -> Bench {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mark = format!("{}-{number}", std::process::id());
        let (dir, turn) = (tempfile::tempdir().unwrap(), turn::beside());
        Bench { dir, mark, program: PUSHBENCH.into(), judges_lateness: false, _turn: turn }
    }

    /// One whose trials are void where the driver was late or had no time left, as a user's are.
    pub fn judging_lateness() -> Bench {
        Bench { judges_lateness: true, ..Bench::new() }
    }

    /// One that runs a copy of the program. A process's memory counts its share of the pages that it has in
    /// common with others: here they are those of one run, and no other test's.
    pub fn with_its_own_program() -> Bench {
        let mut bench = Bench::new();
        bench.program = bench.path("pushbench");
        std::fs::copy(PUSHBENCH, &bench.program).unwrap();
        bench
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn executable(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.write(name, text);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// A command whose descendants can be found by their environment.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.current_dir(self.dir.path()).env(MARK, &self.mark).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        if !self.judges_lateness {
            command.env(COUNTS, "1");
        }
        command
    }

    pub fn pushbench(&self, args: &[&str]) -> Command {
        let mut command = self.command(&self.program);
        command.args(args);
        command
    }

    pub fn run(&self, args: &[&str]) -> Ended {
        ended(self.pushbench(args).output().unwrap())
    }

    /// The same with the targets that [`targets::set_up`] has prepared.
    pub fn run_prepared(&self, args: &[&str]) -> Ended {
        let mut command = self.pushbench(args);
        ended(command.env("XDG_CACHE_HOME", targets::CACHE).output().unwrap())
    }

    /// Measures into `dir`.
    pub fn measure(&self, dir: &str, args: &[&str]) -> Ended {
        self.run(&[args, &["--out", dir]].concat())
    }

    /// Runs it through a shell, so that its limits can be set: `ulimit -n 100; exec "$0" "$@"`.
    pub fn run_limited(&self, script: &str, args: &[&str]) -> Ended {
        let mut command = self.command("/bin/sh");
        command
            .args(["-c", &format!("{script}; exec \"$0\" \"$@\"")])
            .arg(&self.program)
            .args(args);
        ended(command.output().unwrap())
    }

    /// The processes that belong to this bench.
    pub fn processes(&self) -> Vec<u32> {
        let wanted = format!("{MARK}={}", self.mark);
        let numbers = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let ours = |pid: &u32| {
            let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environ.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
        };
        pids.filter(ours).collect()
    }

    /// The built-in servers among them.
    pub fn servers(&self) -> Vec<u32> {
        let serves = |pid: &u32| {
            let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let mut words = words.split(|byte| *byte == 0);
            words.next().is_some_and(|first| first.ends_with(b"pushbench"))
                && words.next() == Some(b"serve")
        };
        self.processes().into_iter().filter(serves).collect()
    }

    /// Whatever was started must be gone, at the latest soon.
    pub fn nothing_left(&self) {
        eventually("every process to end", || self.processes().is_empty());
    }
}

pub fn ended(output: Output) -> Ended {
    Ended {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Waits for a condition.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs a check of the self-test until each of its figures has agreed with theory, up to five times: what else runs on
/// the machine spoils some figure now and then, a wrong clock spoils the same one each time. What is lost, missing or
/// counted wrongly is so on any machine: that is wrong at once.
pub fn figures_agree(bench: &Bench, check: &str, figures: usize) {
    let mut right = std::collections::BTreeSet::new();
    for attempt in 1.. {
        let ended = bench.run(&["selftest", "--only", check]);
        bench.nothing_left();
        let counts = |line: &&str| ["lost", "missing", "packets"].iter().any(|w| line.contains(w));
        let miscounts = ended.out.lines().filter(|line| line.ends_with(" WRONG")).find(counts);
        assert_eq!(miscounts, None, "{}", ended.out);
        let agreed = ended.out.lines().filter(|line| line.ends_with(" ok"));
        right.extend(agreed.filter_map(|line| line.trim().split("  ").next()).map(str::to_owned));
        match ended.code {
            Some(0) => assert_eq!(ended.out.matches(" ok\n").count(), figures, "{}", ended.out),
            Some(1) if right.len() < figures && attempt < 5 => {
                eprintln!("once more: {}", ended.out);
                continue;
            }
            _ => assert_eq!(right.len(), figures, "{right:?}\n{}\n{}", ended.out, ended.err),
        }
        return;
    }
}

/// How often a process has waited: a server waits once for almost every event.
pub fn waits(pid: u32) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let status = threads.map(|t| std::fs::read_to_string(t.path().join("status")));
    let waits = |status: std::io::Result<String>| {
        let status = status.ok()?;
        let n = status.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"))?;
        n.trim().parse::<u64>().ok()
    };
    status.filter_map(waits).sum()
}

pub fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(child.id() as i32).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

impl Ended {
    /// Asserts the exit code and that the message holds every one of these.
    #[track_caller]
    pub fn fails(&self, code: i32, texts: &[&str]) {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        for text in texts {
            assert!(self.err.contains(text), "no {text:?} in:\n{}", self.err);
        }
        assert!(!self.err.contains("panicked"), "{}", self.err);
    }

    #[track_caller]
    pub fn succeeds(&self) {
        assert_eq!(self.code, Some(0), "{}\n{}", self.out, self.err);
    }
}

/// Options of a run that is as short as it can be.
pub const SHORT: [&str; 8] =
    ["--blocks", "2", "--duration", "300ms", "--warmup", "100ms", "--rate", "300"];

/// `run`, the given options, and those of a short run.
pub fn short<'a>(args: &[&'a str]) -> Vec<&'a str> {
    ["run"].iter().chain(args).chain(&SHORT).copied().collect()
}

/// The JSON report of a results directory.
pub fn json(bench: &Bench, dir: &str) -> serde_json::Value {
    let ended = bench.run(&["report", dir, "--format", "json"]);
    ended.succeeds();
    serde_json::from_str(&ended.out).unwrap()
}

/// The valid blocks of the first point, whose trials the report merges: a machine that stalls may void a block.
pub fn valid_blocks(report: &serde_json::Value) -> u64 {
    report["points"][0]["design"]["blocks_valid"].as_u64().unwrap()
}

/// The whole lines of a run's `trials.jsonl`, which may be written at this moment; none where there is no such file.
pub fn trials_so_far(run: &std::path::Path) -> Vec<serde_json::Value> {
    let lines = std::fs::read_to_string(run.join("trials.jsonl")).unwrap_or_default();
    lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
