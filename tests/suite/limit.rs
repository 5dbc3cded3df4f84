//! A run says by itself that its driver is at its limit, and never takes that for the target's doing: nor
//! the other way round. What the machine is able to do decides nothing here.

use crate::common::{Bench, PUSHBENCH, turn};
use pushbench_host::cpus::{allowed, pin};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Far beyond whatever just came of a closed loop.
const EXCESS: f64 = 10.0;

/// A CPU for the driver and another one for the target, where there are two.
fn two_cpus() -> Option<[usize; 2]> {
    let Some([target, driver]) = allowed().last_chunk::<2>().copied() else {
        let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
        assert!(!ci, "driver and target need a CPU each");
        eprintln!("skipped: driver and target need a CPU each");
        return None;
    };
    Some([driver, target])
}

/// Threads that never sleep, on one CPU, as another program would be.
struct Competitors {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Competitors {
    fn on(cpu: usize, count: usize) -> Competitors {
        let stop = Arc::new(AtomicBool::new(false));
        let spin = |stop: Arc<AtomicBool>| {
            move || {
                pin(&[cpu]);
                while !stop.load(Ordering::Relaxed) {}
            }
        };
        let threads = (0..count).map(|_| std::thread::spawn(spin(stop.clone()))).collect();
        Competitors { stop, threads }
    }
}

impl Drop for Competitors {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _it_only_spins = thread.join();
        }
    }
}

/// Runs one block of one arm over tcp; its trial, and what was printed.
fn trial(bench: &Bench, arm: &str, [driver, target]: [usize; 2], more: &[&str]) -> (Value, String) {
    let cpus = format!("driver={driver},target={target}");
    let out = format!("run-{}", std::fs::read_dir(bench.path(".")).unwrap().count());
    let scenario = if more.contains(&"--rate") { "ingest" } else { "saturate" };
    let mut words = vec!["run", scenario, "--arm", arm, "--blocks", "1", "--warmup", "100ms"];
    words.extend(["--duration", "400ms", "--cpus", &cpus, "--out", &out]);
    words.extend(more);
    let ended = bench.run(&words);
    let trials = std::fs::read_to_string(bench.path(&out).join("trials.jsonl"));
    let trials = trials.unwrap_or_else(|e| panic!("{e}: {}\n{}", ended.out, ended.err));
    let trial = serde_json::from_str(trials.lines().last().unwrap()).unwrap();
    (trial, ended.out + &ended.err)
}

/// Events a second of a closed loop, times [`EXCESS`].
fn beyond(closed: &Value) -> String {
    let seconds = closed["window_ns"].as_f64().unwrap() / 1e9;
    let completed = closed["events"]["acknowledged"].as_f64().unwrap() / seconds;
    assert!(completed > 0.0, "{closed}");
    format!("{:.0}", completed * EXCESS)
}

fn reasons(trial: &Value) -> Vec<&str> {
    trial["invalid"].as_array().unwrap().iter().map(|why| why.as_str().unwrap()).collect()
}

/// Eight programs that never sleep leave the driver a ninth of its CPU. Many events are in flight, so that there
/// is always something to do when its turn comes, even where the target is short of CPU, too.
#[test]
fn a_driver_whose_cpu_is_taken_says_that_it_is_at_its_limit() {
    let Some(cpus) = two_cpus() else { return };
    let _turn = turn::alone();
    let bench = Bench::judging_lateness();
    let many = ["--in-flight", "256"];
    let _others = Competitors::on(cpus[0], 8);
    let (closed, _) = trial(&bench, "tcp@builtin", cpus, &many);
    let rate = beyond(&closed);
    let (open, message) =
        trial(&bench, "tcp@builtin", cpus, &[&many[..], &["--rate", &rate]].concat());
    assert!(
        reasons(&open).iter().any(|why| why.starts_with("driver saturated")),
        "{}\n{}\n{message}",
        open["driver"],
        open["invalid"]
    );
    assert_eq!(open["overloaded"], false, "{}", open["driver"]);
    assert!(message.contains("The driver was at its own limit"), "{message}");
    assert!(message.contains("try --rate") && message.contains("--cpus"), "{message}");
    assert!(!message.contains("overloaded"), "{message}");
    bench.nothing_left();
}

/// As far beyond what the target does, with a competitor on the driver's CPU: the driver has time to spare.
#[test]
fn a_slow_target_is_overloaded_and_the_driver_not_to_blame() {
    let Some(cpus) = two_cpus() else { return };
    let _turn = turn::alone();
    let bench = Bench::judging_lateness();
    bench.write(
        "pushbench.toml",
        &format!(
            "[target.slow.tcp]\ncommand = [\"{PUSHBENCH}\", \"serve\", \"tcp\", \"--listen\", \
             \"127.0.0.1:{{port}}\", \"--work\", \"500us\"]\nurl = \"tcp://127.0.0.1:{{port}}\"\n\
             ready = \"line:listening on\"\nmatch = \"id\"\n"
        ),
    );
    for competitors in [0, 1] {
        let _others = Competitors::on(cpus[0], competitors);
        let (closed, _) = trial(&bench, "tcp@slow", cpus, &[]);
        // What was not answered soon is given up, or the end of the trial would be long.
        let more = ["--rate", &beyond(&closed), "--set", "load.timeout=1s"];
        let mut attempts = 1;
        let (open, message) = loop {
            let (open, message) = trial(&bench, "tcp@slow", cpus, &more);
            // Of a trial in which the machine stood still nothing is said.
            let stood_still = reasons(&open).iter().any(|why| why.starts_with("driver stopped"));
            if attempts == 8 || !stood_still {
                break (open, message);
            }
            attempts += 1;
        };
        assert_eq!(reasons(&open), Vec::<&str>::new(), "{}\n{message}", open["driver"]);
        assert_eq!(open["overloaded"], true, "{}\n{message}", open["driver"]);
        assert!(message.contains("overloaded, so latencies are not compared"), "{message}");
    }
    bench.nothing_left();
}
