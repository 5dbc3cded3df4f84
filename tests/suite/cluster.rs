//! Runs on several machines, played by processes of this one: a coordinator, and shards that connect to it.

mod merged;

use crate::browser::missing;
use crate::common::{Bench, PUSHBENCH, eventually, trials_so_far as trials};
use serde_json::Value;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A run with few events. Slices are as long as the pilots say, and the load is rounded to them: without slices it is the
/// same on any machines.
const RUN: [&str; 10] = [
    "--duration",
    "600ms",
    "--warmup",
    "200ms",
    "--rate",
    "400",
    "--connections",
    "8",
    "--set",
    "compare.design=sequential",
];

/// A coordinator that waits for shards.
struct Coordinator<'a> {
    bench: &'a Bench,
    child: Child,
    address: String,
    size: usize,
}

impl Coordinator<'_> {
    fn start<'a>(bench: &'a Bench, size: usize, blocks: usize, more: &[&str]) -> Coordinator<'a> {
        Coordinator::of("ingest", bench, size, blocks, more)
    }

    fn of<'a>(
        scenario: &str,
        bench: &'a Bench,
        size: usize,
        blocks: usize,
        more: &[&str],
    ) -> Coordinator<'a> {
        let run = |words: &[&str]| bench.pushbench(words);
        Coordinator::start_by(run, (scenario, "run"), bench, (size, blocks), more)
    }

    fn start_by<'a>(
        by: impl Fn(&[&str]) -> Command,
        (scenario, out): (&str, &str),
        bench: &'a Bench,
        (size, blocks): (usize, usize),
        more: &[&str],
    ) -> Coordinator<'a> {
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = by(&["coordinate", scenario, "--ticket", "ticket"]);
        command.args(["--listen", &address, "--shards", &size.to_string(), "--out", out]);
        command
            .args(RUN)
            .args(["--blocks", &blocks.to_string()])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(bench.path("said")).unwrap());
        let mut coordinator = Coordinator { bench, child: command.spawn().unwrap(), address, size };
        let began = Instant::now();
        while !bench.path("ticket").exists() {
            assert!(coordinator.child.try_wait().unwrap().is_none(), "it ended at once");
            assert!(began.elapsed() < Duration::from_secs(30), "no ticket");
            std::thread::sleep(Duration::from_millis(5));
        }
        // The coordinator takes it away as soon as all have joined.
        std::fs::copy(bench.path("ticket"), bench.path("kept")).unwrap();
        coordinator
    }

    fn shard(&self, rank: usize) -> Command {
        self.shard_with("kept", rank, self.size)
    }

    fn shard_with(&self, ticket: &str, rank: usize, size: usize) -> Command {
        let mut command = self.bench.pushbench(&["shard", "--coordinator", &self.address]);
        command.args([
            "--ticket",
            ticket,
            "--rank",
            &rank.to_string(),
            "--size",
            &size.to_string(),
        ]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn spawn(&self, ranks: impl IntoIterator<Item = usize>) -> Vec<Child> {
        ranks.into_iter().map(|rank| self.shard(rank).spawn().unwrap()).collect()
    }

    /// What it has said so far.
    fn said(&self) -> String {
        std::fs::read_to_string(self.bench.path("said")).unwrap()
    }

    fn until_it_says(&self, what: &str) {
        eventually(what, || self.said().contains(what));
    }

    /// Waits for the end of a run that succeeds, and of its shards.
    fn succeeds(self, shards: Vec<Child>) {
        let output = self.end();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        for shard in shards {
            let (code, err) = ended(shard);
            assert_eq!(code, Some(0), "{err}");
        }
    }

    fn end(self) -> Output {
        let bench = self.bench;
        let output = self.child.wait_with_output().unwrap();
        Output { stderr: std::fs::read(bench.path("said")).unwrap(), ..output }
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn ended(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    (output.status.code(), text(&output.stderr))
}

/// Waits until the run has begun to record blocks.
fn until_a_block(bench: &Bench) {
    let began = Instant::now();
    // Both arms of the first one.
    while trials(&bench.path("run")).iter().filter(|t| t["stage"] == "block").count() < 2 {
        assert!(began.elapsed() < Duration::from_secs(60), "no block");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Where the coordinator has no room left, the run ends with the reason, and so does everybody else.
#[test]
fn a_full_disk_at_the_coordinator_ends_the_run() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("small")).unwrap();
    let mounted = |words: &[&str]| {
        let script = "mount -t tmpfs -o size=64k none small || exit 99; exec \"$0\" \"$@\"";
        let mut command = bench.command("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", script]).args(words);
        command
    };
    if !mounted(&["true"]).output().is_ok_and(|tried| tried.status.success()) {
        return missing("no mount namespaces, which unshare of util-linux makes");
    }
    let coordinator = Coordinator::start_by(
        |words| mounted(&[&[PUSHBENCH], words].concat()),
        ("ingest", "small/run"),
        &bench,
        (3, 40),
        &[],
    );
    let shards = coordinator.spawn(0..3);
    let output = coordinator.end();
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{err}");
    assert!(err.contains("No space left") && err.contains("small/run"), "{err}");
    shards.into_iter().for_each(|shard| assert_ne!(ended(shard).0, None));
    bench.nothing_left();
}

#[test]
fn a_shard_that_is_killed_voids_its_block_and_is_named() {
    let bench = Bench::new();
    let coordinator = Coordinator::start(&bench, 3, 40, &[]);
    let mut shards = coordinator.spawn(0..3);
    until_a_block(&bench);
    shards[1].kill().unwrap();
    let output = coordinator.end();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let err = text(&output.stderr);
    assert!(err.contains("rank 1 (driver") && err.contains("is gone"), "{err}");
    for (rank, shard) in shards.into_iter().enumerate().filter(|(rank, _)| *rank != 1) {
        let (code, err) = ended(shard);
        assert!(matches!(code, Some(0 | 3)), "rank {rank}: {err}");
    }
    bench.nothing_left();
    // What was finished is there, and no half of a block.
    let report = bench.run(&["report", "run", "--format", "json"]);
    let json: Value = serde_json::from_str(&report.out).unwrap();
    assert_eq!(json["complete"], false);
    assert!(json["points"][0]["design"]["blocks_run"].as_u64() > Some(0), "{json:#}");
}

/// A paused machine closes nothing and answers nothing.
#[test]
fn a_shard_that_is_paused_ends_the_run_and_is_named() {
    let bench = Bench::new();
    let coordinator = Coordinator::start(&bench, 3, 40, &["--set", "load.timeout=1s"]);
    let shards = coordinator.spawn(0..3);
    until_a_block(&bench);
    let pid = rustix::process::Pid::from_child(&shards[0]);
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    let output = coordinator.end();
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{err}");
    assert!(err.contains("no answer in time from rank 0 (driver"), "{err}");
    rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
    shards.into_iter().for_each(|shard| drop(ended(shard)));
    bench.nothing_left();
}

#[test]
fn shards_and_targets_end_when_the_coordinator_is_killed() {
    let bench = Bench::new();
    let mut coordinator = Coordinator::start(&bench, 3, 40, &[]);
    let shards = coordinator.spawn(0..3);
    until_a_block(&bench);
    coordinator.child.kill().unwrap();
    for shard in shards {
        let (code, err) = ended(shard);
        assert_eq!(code, Some(3), "{err}");
        assert!(err.contains("the connection to the coordinator is lost"), "{err}");
    }
    bench.nothing_left();
    assert!(!trials(&bench.path("run")).is_empty());
}

#[test]
fn an_interrupted_coordinator_shows_what_it_has_and_ends_its_shards() {
    let bench = Bench::new();
    let coordinator = Coordinator::start(&bench, 3, 40, &[]);
    let shards = coordinator.spawn(0..3);
    until_a_block(&bench);
    let pid = rustix::process::Pid::from_child(&coordinator.child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = coordinator.end();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("3 machines"), "{}", text(&output.stdout));
    shards.into_iter().for_each(|shard| drop(ended(shard)));
    bench.nothing_left();
}

#[test]
fn shards_that_do_not_belong_are_refused_with_the_reason() {
    let bench = Bench::new();
    let coordinator = Coordinator::start(&bench, 3, 2, &[]);
    let ticket = std::fs::read_to_string(bench.path("kept")).unwrap();
    let private = |name: &str, text: &str| {
        std::fs::copy(bench.path("kept"), bench.path(name)).unwrap();
        std::fs::write(bench.path(name), text).unwrap();
    };
    let (rest, token) = ticket.trim().rsplit_once(':').unwrap();
    let first = if token.starts_with('0') { "1" } else { "0" };
    private("wrong-token", &format!("{rest}:{first}{}", &token[1..]));
    private("wrong-certificate", &format!("pushbench1:{}:{token}", "0".repeat(64)));
    let refused = |mut command: Command, messages: &[&str]| {
        let output = command.output().unwrap();
        let err = text(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{err}");
        messages.iter().for_each(|m| assert!(err.contains(m), "no {m:?} in {err}"));
    };
    refused(coordinator.shard_with("wrong-token", 0, 3), &["its token is not that of this run"]);
    refused(
        coordinator.shard_with("wrong-certificate", 0, 3),
        &["not the coordinator of the ticket"],
    );
    refused(coordinator.shard_with("kept", 3, 4), &["counts 4 shards", "coordinator 3"]);
    let mut first_target = coordinator.shard(0);
    first_target.args(["--role", "target"]);
    let mut shards = vec![first_target.spawn().unwrap()];
    coordinator.until_it_says("rank 0 joined: target");
    let mut second = coordinator.shard(1);
    second.args(["--role", "target"]);
    refused(second, &["there is a target already"]);
    refused(coordinator.shard(0), &["rank 0 has joined already"]);
    for rank in [1, 2] {
        let mut driver = coordinator.shard(rank);
        driver.args(["--role", "driver"]);
        shards.push(driver.spawn().unwrap());
    }
    let output = coordinator.end();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let said = text(&output.stderr);
    assert!(said.contains("was refused: its token is not that of this run"), "{said}");
    shards.into_iter().for_each(|shard| drop(ended(shard)));
}

/// Who connects and says nothing keeps nobody waiting; a shard that dies before the run begins may be started again.
#[test]
fn silent_peers_and_shards_that_start_again_do_not_stop_the_others() {
    let bench = Bench::new();
    let coordinator = Coordinator::start(&bench, 3, 2, &[]);
    let silent: Vec<std::net::TcpStream> =
        (0..50).map(|_| std::net::TcpStream::connect(&coordinator.address).unwrap()).collect();
    let mut first = coordinator.shard(0).spawn().unwrap();
    coordinator.until_it_says("rank 0 joined");
    first.kill().unwrap();
    drop(ended(first));
    coordinator.until_it_says("rank 0 is gone before the run has begun");
    let shards = coordinator.spawn(0..3);
    coordinator.succeeds(shards);
    drop(silent);
    bench.run(&["reproduce", "run"]).fails(64, &["3 machines"]);
}

#[test]
fn who_is_missing_is_named() {
    let bench = Bench::new();
    let coordinator = Coordinator::start(&bench, 3, 2, &["--join-within", "2s"]);
    let shards = coordinator.spawn([0, 2]);
    let output = coordinator.end();
    assert_eq!(output.status.code(), Some(3));
    let err = text(&output.stderr);
    assert!(err.contains("1 of 3 shards have not joined: rank 1"), "{err}");
    shards.into_iter().for_each(|shard| drop(ended(shard)));
    assert!(!bench.path("run").exists(), "nothing was begun");
}

#[test]
fn what_several_machines_cannot_measure_is_refused_before_anyone_joins() {
    let bench = Bench::new();
    for (args, messages) in [
        (vec!["idle"], vec!["the flow idle", "one machine"]),
        (vec!["duplex"], vec!["the flow duplex", "one machine"]),
        (vec!["fanout", "--set", "load.arrivals=closed"], vec!["closed loop"]),
        (vec!["fanout", "--arm", "webhook@flask"], vec!["flask"]),
        (vec!["ingest", "--set", "path.rtt=20ms"], vec!["[path]"]),
        (vec!["ingest", "--arm", "webhook+tls@builtin"], vec!["+tls"]),
        (vec!["ingest", "--set", "faults.refuse=1%"], vec!["[faults]"]),
        (vec!["ingest", "--shards", "1"], vec!["--shards 1", "2 or more"]),
        (vec!["ingest", "--arm", "webhook@flask"], vec!["flask", "take no address"]),
        (vec!["ingest", "--cpus", "driver=1,target=0"], vec!["--cpus"]),
        (vec!["ingest", "--allow-host", "a"], vec!["--allow-host"]),
        (vec!["ingest", "--webhook", "http://127.0.0.1:1/"], vec!["pushbench.toml"]),
    ] {
        let mut all = vec!["coordinate"];
        all.extend(&args);
        if !args.contains(&"--shards") {
            all.extend(["--shards", "3"]);
        }
        all.extend(["--ticket", "t", "--out", "r"]);
        bench.run(&all).fails(64, &messages);
        assert!(!bench.path("t").exists() && !bench.path("r").exists(), "{all:?}");
    }
    let help = bench.run(&["coordinate", "--help"]).out;
    for option in
        ["--webhook", "--websocket", "--command", "--ca", "--server-name", "--cpus", "--allow-host"]
    {
        assert!(!help.split_whitespace().any(|word| word == option), "{option} is offered: {help}");
        bench.run(&["coordinate", "--shards", "3", "--ticket", "t", option, "x"]).fails(64, &[]);
    }
    bench.run(&["run", "--listen", "127.0.0.1:7"]).fails(64, &["--on slurm"]);
    bench.run(&["run", "--on", "kubernetes"]).fails(64, &["slurm, or ssh:HOST,HOST"]);
    bench.run(&["run", "--on", "slurm", "--shards", "3"]).fails(64, &["--listen"]);
    bench.run(&["run", "--on", "ssh:a,b"]).fails(64, &["--listen"]);
    let nowhere = ["run", "--on", "ssh:a,b", "--listen", "0.0.0.0:0"];
    bench.run(&nowhere).fails(64, &["--listen"]);
    bench.run(&["shard", "--coordinator", "127.0.0.1:1"]).fails(64, &["--rank R --size N"]);
    let no_ticket = ["shard", "--coordinator", "127.0.0.1:1", "--rank", "0", "--size", "2"];
    bench.run(&no_ticket).fails(64, &["PUSHBENCH_TICKET", "--ticket FILE"]);
    std::fs::write(bench.path("open"), "x").unwrap();
    bench.run(&[&no_ticket[..], &["--ticket", "open"]].concat()).fails(64, &["chmod 600"]);
}
