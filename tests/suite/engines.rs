//! Runs that Slurm and SSH spread over three hosts, which are made of namespaces (`tests/cluster`).

use crate::browser::missing;
use crate::common::{Bench, Ended, ended, trials_so_far as trials};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The address at which commands are run there.
const HUB: &str = "10.77.0.254:0";
/// The host of the targets.
const TARGET: &str = "10.77.0.3";
/// Slurm kills tasks 30 s after it has asked them to end.
const LEFT: Duration = Duration::from_secs(60);
const RUN: [&str; 15] = [
    "run",
    "ingest",
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
    "--listen",
    HUB,
    "--allow-host",
];

/// Three hosts; they are gone when this is dropped.
struct Hosts<'a> {
    bench: &'a Bench,
    script: String,
    dir: String,
}

impl Hosts<'_> {
    /// `None` where this machine cannot have them, which is an error on CI.
    fn up<'a>(bench: &'a Bench, name: &str, more: &[&str]) -> Option<Hosts<'a>> {
        let script = format!("{}/tests/cluster/{name}", env!("CARGO_MANIFEST_DIR"));
        let dir = bench.path("c").display().to_string();
        let up = bench.command(&script).arg("up").arg(&dir).args(more).output().unwrap();
        let said = String::from_utf8_lossy(&up.stderr).into_owned();
        match up.status.code() {
            Some(0) => Some(Hosts { bench, script, dir }),
            Some(77) => {
                missing(said.trim());
                None
            }
            _ => panic!("{name} up: {said}"),
        }
    }

    /// A command at the hub.
    fn at_hub(&self, words: &[&str]) -> Command {
        let mut command = self.bench.command(&self.script);
        command.args(["exec", &self.dir, "--"]).args(words);
        command
    }

    /// A script on one host, which sees no other host's processes; what it prints.
    fn on(&self, node: usize, script: &str) -> String {
        let slurm = self.script.ends_with("slurm");
        let mut command = match slurm {
            true => {
                let mut command = self.bench.command(&self.script);
                command.args([
                    "run",
                    &self.dir,
                    "--",
                    "-N1",
                    "-w",
                    &format!("n{node}"),
                    "sh",
                    "-c",
                ]);
                command
            }
            false => {
                let config = format!("{}/ssh_config", self.dir);
                self.at_hub(&["ssh", "-F", &config, &format!("node{node}")])
            }
        };
        let output = command.arg(script).stdin(Stdio::null()).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn run(&self, words: &[&str]) -> Ended {
        ended(self.at_hub(words).output().unwrap())
    }
}

impl Drop for Hosts<'_> {
    fn drop(&mut self) {
        let _gone = Command::new(&self.script).args(["down", &self.dir]).status();
    }
}

/// The words of a run by this engine into `out`.
fn words<'a>(engine: &'a [&'a str], out: &'a str, blocks: &'a str) -> Vec<&'a str> {
    let program = env!("CARGO_BIN_EXE_pushbench");
    [&[program][..], &RUN, &[TARGET, "--blocks", blocks, "--out", out, "--on"], engine].concat()
}

/// What each shard did adds up to the schedule of one machine, and each host is named.
fn is_exact(bench: &Bench, made: &Ended, hosts: [&str; 3]) {
    assert_eq!(made.code, Some(0), "{}", made.err);
    assert!(made.out.contains("3 machines"), "{}", made.out);
    let [first, second, targets] = hosts;
    for said in [
        format!("driver on {first} (rank 0"),
        format!("and {second} (rank 1"),
        format!("targets on {targets} (rank 2"),
    ] {
        assert!(made.out.contains(&said), "no {said:?} in:\n{}", made.out);
    }
    let own = [&RUN[..12], &["--blocks", "2", "--out", "alone"]].concat();
    assert_eq!(bench.run(&own).code, Some(0));
    let due = |dir: &str| -> Vec<String> {
        let blocks = trials(&bench.path(dir)).into_iter().filter(|t| t["stage"] == "block");
        let mut all: Vec<String> = blocks
            .map(|t| format!("{} {} {}", t["block"], t["label"], t["events"]["due"]))
            .collect();
        all.sort();
        all
    };
    assert_eq!(due("r"), due("alone"));
    for trial in trials(&bench.path("r")) {
        let machines = trial["machines"].as_array().unwrap();
        let sum = |what: &str| machines.iter().filter_map(|m| m[what].as_u64()).sum::<u64>();
        assert_eq!(Some(sum("due")), trial["events"]["due"].as_u64(), "{machines:?}");
        assert_eq!(Some(sum("acknowledged")), trial["events"]["acknowledged"].as_u64());
        assert!(trial["target"]["cpu_ns"].as_u64() > Some(0));
    }
}

/// Subscribers on two hosts get what a publisher on the third one publishes, by a POST to each or over a connection of each:
/// every event reaches every subscriber, and nobody delivers to a host that is not named.
fn fans_out(bench: &Bench, hosts: &Hosts<'_>, engine: &[&str]) {
    let out = bench.path("f").display().to_string();
    let program = env!("CARGO_BIN_EXE_pushbench");
    let fan_out =
        ["--rate", "50", "--set", "subscribers.count=9", "--set", "compare.design=sequential"];
    let length = ["--duration", "600ms", "--warmup", "200ms", "--blocks", "1", "--listen", HUB];
    let to_targets = ["--allow-host", TARGET, "--out", &out, "--on"];
    let words = [&[program, "run", "fanout"][..], &fan_out, &length, &to_targets, engine].concat();
    let refused = hosts.run(&words);
    assert_ne!(refused.code, Some(0), "{}", refused.out);
    assert!(refused.err.contains("add --allow-host 10.77.0."), "{}", refused.err);
    let to_subscribers = ["--allow-host", "10.77.0.1", "--allow-host", "10.77.0.2"];
    let made = hosts.run(&[&words[..], &to_subscribers].concat());
    assert_eq!(made.code, Some(0), "{}", made.err);
    assert!(made.out.contains("the time of each delivery, within ±"), "{}", made.out);
    let trials = trials(Path::new(&out));
    assert_eq!(trials.iter().filter(|t| t["stage"] == "block").count(), 2, "{}", made.err);
    for trial in trials {
        let deliveries = &trial["fanout"]["deliveries"];
        let (events, due) = (deliveries["events"].as_u64(), deliveries["measured"]["due"].as_u64());
        assert!(events > Some(0) && events.map(|n| n * 9) == due, "{deliveries}");
        assert_eq!(deliveries["complete"].as_u64(), events, "{deliveries}");
        assert_eq!(deliveries["measured"]["received"].as_u64(), due, "{deliveries}");
        let machines = trial["machines"].as_array().unwrap();
        let received: Vec<Option<u64>> = machines.iter().map(|m| m["received"].as_u64()).collect();
        let each = |n| events.map(|events| events * n);
        assert_eq!(received, [each(5), each(4), None]);
    }
}

/// Starts a run, waits for its first block, and kills one of its shards.
fn kills_a_shard(bench: &Bench, hosts: &Hosts<'_>, engine: &[&str]) {
    let out = bench.path("killed").display().to_string();
    let mut command = hosts.at_hub(&words(engine, &out, "60"));
    let child = command.stdin(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while trials(Path::new(&out)).iter().filter(|t| t["stage"] == "block").count() < 2 {
        assert!(began.elapsed() < Duration::from_secs(90), "no block");
        std::thread::sleep(Duration::from_millis(20));
    }
    hosts.on(0, "pkill -KILL -f '^[^ ]*pushbench shard'");
    let end = ended(child.wait_with_output().unwrap());
    assert_eq!(end.code, Some(3), "{}", end.err);
    assert!(end.err.contains("is gone; its block is void"), "{}", end.err);
    let report = bench.run(&["report", &out]);
    assert!(report.out.contains("3 machines"), "{}\n{}", report.out, report.err);
    // Neither a shard nor a target is left on any host.
    let list = "pgrep -a -f '^[^ ]*pushbench (shard|serve|__keep)' || true";
    let left = || (0..3).map(|node| hosts.on(node, list)).collect::<String>();
    let began = Instant::now();
    loop {
        let left = left();
        if left.trim().is_empty() {
            return;
        }
        assert!(began.elapsed() < LEFT, "left: {left}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn slurm_spreads_a_run_over_three_nodes() {
    let bench = Bench::new();
    let Some(hosts) = Hosts::up(&bench, "slurm", &[]) else { return };
    let out = bench.path("r").display().to_string();
    let engine = ["slurm", "--shards", "3"];
    is_exact(&bench, &hosts.run(&words(&engine, &out, "2")), ["n0", "n1", "n2"]);
    kills_a_shard(&bench, &hosts, &engine);
}

#[test]
fn ssh_spreads_a_run_over_three_hosts() {
    let bench = Bench::new();
    let Some(hosts) = Hosts::up(&bench, "ssh", &["3"]) else { return };
    let out = bench.path("r").display().to_string();
    let client = format!("ssh -F {}/ssh_config", hosts.dir);
    let engine = ["ssh:node0,node1,node2", "--ssh", &client];
    is_exact(&bench, &hosts.run(&words(&engine, &out, "2")), ["node0", "node1", "node2"]);
    fans_out(&bench, &hosts, &engine);
    kills_a_shard(&bench, &hosts, &engine);
}
