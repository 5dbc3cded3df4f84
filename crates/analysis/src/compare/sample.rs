//! Made-up runs for the tests of comparison and report.

use pushbench_core::guarantee::Promise;
use pushbench_core::record::account::Account;
use pushbench_core::record::effective_config::EffectiveConfig;
use pushbench_core::record::guarantee::{Freshness, GuaranteeRecord, LossReasons, Recovery};
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::interval::Interval;
use pushbench_core::record::outcomes::Outcomes;
use pushbench_core::record::peaks::Peaks;
use pushbench_core::record::records::Records;
use pushbench_core::record::run::{ArmHeader, PointHeader, RunHeader, SCHEMA, StoredRun};
use pushbench_core::record::trial::{DriverUsage, Judged, Stage, TargetUsage, Trial, TrialDesign};
use pushbench_core::record::usage::Reading;
use pushbench_core::record::wire::Traffic;
use pushbench_core::scenario;
use std::collections::BTreeMap;
use std::time::Duration;

/// Events of each trial: enough for a p99, too few for a p99.9.
const EVENTS: u64 = 3_000;

/// What one arm does in one block.
#[derive(Clone, Copy)]
pub struct Block {
    /// Median of its service time, ns; the tail is ten times as long.
    pub service: u64,
    /// CPU per event of the target, ns.
    pub cpu: u64,
    /// Lag of every event, ns.
    pub lag: u64,
}

impl Block {
    /// With the usual lag.
    pub fn of(service: u64, cpu: u64) -> Block {
        Block { service, cpu, lag: 5_000 }
    }
}

/// A run of two arms over these blocks.
pub fn run(blocks: &[[Block; 2]]) -> StoredRun {
    let header = header(blocks.len());
    let mut trials = Vec::new();
    for (number, arms) in blocks.iter().enumerate() {
        for (arm, block) in arms.iter().enumerate() {
            trials.push(trial(&header.points[0].arms[arm].label, arm, number, block));
        }
    }
    StoredRun { header, trials, cut: false, altered: None }
}

/// Twelve blocks in which the second arm takes about these parts of the first one's 100 µs and 40 µs
/// of CPU.
pub fn ratios(service: f64, cpu: f64) -> StoredRun {
    let block = |n: u64| {
        // Both arms share the machine's conditions; a little is left of their own.
        let shared = 1.0 + 0.1 * ((n * 7) % 5) as f64;
        let own = 1.0 + 0.004 * ((n * 3) % 4) as f64;
        let part = |base: f64, ratio: f64| (base * shared * ratio) as u64;
        [
            Block::of(part(100_000.0, 1.0), part(40_000.0, 1.0)),
            Block::of(part(100_000.0, service * own), part(40_000.0, cpu * own)),
        ]
    };
    run(&(0..12).map(block).collect::<Vec<_>>())
}

/// The same run under "exactly once" with receivers that were down for 2 s: the first arm delivers everything, and its
/// receiver removes duplicates; events of the second one fell out of the log.
pub fn outage(mut run: StoredRun) -> StoredRun {
    for point in &mut run.header.points {
        let scenario = &mut point.scenario;
        scenario.guarantee.delivery = Promise::ExactlyOnce;
        scenario.faults.outage = Duration::from_secs(2);
    }
    for trial in &mut run.trials {
        trial.guarantee = Some(kept(trial.arm as u64, trial.block as u64));
    }
    run
}

/// What became of 20,000 deliveries of an arm in a block of [`outage`].
fn kept(arm: u64, block: u64) -> GuaranteeRecord {
    let (due, second) = (20_000, 1_000_000_000);
    let lost = LossReasons { log: arm * (300 + 10 * (block % 3)), ..LossReasons::default() };
    let delivered = due - lost.sum();
    let duplicates = if arm == 0 { 200 + 7 * (block % 4) } else { 4 + block % 3 };
    let after = |ms: u64| Some(ms * 1_000_000 + block % 5 * 20_000_000);
    // Age grows during the outage, and falls when events flow again.
    let fresh = |tenth: u32| {
        let down = tenth.clamp(10, 30 + arm as u32 * 4) - 10;
        let back = tenth > 30 + arm as u32 * 4;
        let age = if back { 3_000 } else { 3_000 + down * 100_000 };
        Freshness { at_ms: tenth * 100, median_us: age, oldest_us: age + age / 5 }
    };
    GuaranteeRecord {
        due,
        delivered,
        delivered_once: delivered,
        duplicates_on_wire: duplicates,
        duplicates_to_application: 0,
        out_of_order: (1 - arm) * (40 + block % 3),
        met_by_fault: 900,
        lost_acks: 0,
        not_accepted: 0,
        lost,
        attempts: due + duplicates + 900,
        attempts_are_counted: arm == 0,
        arrivals_are_unknown: false,
        backlog_peak: 8_000 + 10 * block,
        backlog_peak_bytes: 512 * (8_000 + 10 * block),
        connections_per_second_peak: 400 + 100 * arm,
        connections_refused: 120,
        recovery: Some(Recovery {
            fault_at_ns: second,
            fault_ns: 2 * second,
            first_event_ns: after(100 + 400 * arm),
            caught_up_ns: after(1_300).filter(|_| arm == 0),
            all_back_ns: after(900 - 300 * arm),
            cpu_ns: Some(30_000_000 + arm as i64 * 5_000_000),
        }),
        freshness: (0..50).map(fresh).collect(),
        held_ns: 0,
        held_events: 0,
        sync: None,
    }
}

fn header(blocks: usize) -> RunHeader {
    let mut scenario = scenario::load("ingest", &[]).unwrap().points.remove(0).scenario;
    scenario.compare.blocks = scenario::Blocks::Fixed(blocks);
    let arm = |transport: &str, framing: &str| ArmHeader {
        label: format!("{transport}@builtin"),
        transport: transport.to_owned(),
        target: "builtin".to_owned(),
        scheme: Some(if transport == "webhook" { "http" } else { "ws" }.to_owned()),
        library: Some("own code".to_owned()),
        command: Some(vec!["pushbench".to_owned(), "serve".to_owned(), transport.to_owned()]),
        host: "loopback".to_owned(),
        matched: "id".to_owned(),
        method: None,
        headers: Vec::new(),
        authentication: None,
        subprotocol: None,
        messages: Vec::new(),
        framing: framing.to_owned(),
        acknowledgement: None,
        stuck: 0,
        in_flight: 1,
        connections: 32,
        ease: None,
    };
    RunHeader {
        schema: SCHEMA,
        pushbench: "0.1.0".to_owned(),
        command: vec!["pushbench".to_owned()],
        scenario: "ingest".to_owned(),
        question: scenario.question.clone(),
        seed: 7,
        started: "2026-01-01T00:00:00Z".to_owned(),
        finished: Some("2026-01-01T00:01:00Z".to_owned()),
        complete: true,
        failure: None,
        records: Some(Records { count: 2 * blocks, sha256: String::new() }),
        points: vec![PointHeader {
            setting: BTreeMap::new(),
            scenario,
            arms: vec![arm("webhook", "HTTP/1.1"), arm("websocket", "WebSocket frames")],
            sizing: None,
            failed_blocks: Vec::new(),
            calibration: None,
            proxies: BTreeMap::new(),
        }],
        findings: Vec::new(),
        placement: BTreeMap::from([("driver".to_owned(), vec![1]), ("target".to_owned(), vec![0])]),
        shared_cores: Vec::new(),
        cpu_quota: None,
        environment: BTreeMap::new(),
        machines: Vec::new(),
    }
}

/// The trial of an arm in a block.
pub fn trial(label: &str, arm: usize, number: usize, block: &Block) -> Trial {
    let mut hists = [Hist::new(), Hist::new(), Hist::new(), Hist::new()];
    let [response, unlagged, service, lag] = &mut hists;
    let mut peaks = Peaks::new(3_000_000_000);
    for event in 0..EVENTS {
        // One event in 40 is slow, evenly spread.
        let spread = 900 + (event * 37) % 200;
        let slow = if event % 40 == 0 { 10 } else { 1 };
        let took = block.service * spread / 1000 * slow;
        response.record(took + block.lag);
        unlagged.record(took);
        service.record(took);
        lag.record(block.lag);
        peaks.record(event * 1_000_000, took + block.lag);
    }
    let mut hiccup = Hist::new();
    (0..1500).for_each(|n| hiccup.record(60_000 + n * 100));
    let [response, unlagged, service, lag] = hists;
    let account = Account {
        measured: Outcomes { due: EVENTS, acknowledged: EVENTS, ..Outcomes::default() },
        response,
        unlagged,
        halves: [service.clone(), service.clone()],
        service,
        lag: lag.clone(),
        reading: lag,
        peaks,
        sent: EVENTS,
        acknowledged_in_window: EVENTS,
        acknowledged_by_end: EVENTS,
        spill: 9,
        backlog_peak: 3,
        connections: 32,
        traffic: Traffic {
            bytes_out: EVENTS * 637,
            bytes_in: EVENTS * 133,
            segments_out: EVENTS,
            segments_in: EVENTS,
            data_segments_out: EVENTS,
            data_segments_in: EVENTS,
        },
        ..Account::new(true, 0, None)
    };
    Trial {
        point: 0,
        stage: Stage::Block,
        block: number,
        arm,
        label: label.to_owned(),
        position: arm,
        design: TrialDesign::Sliced { slice_ns: 10_000_000 },
        started: "2026-01-01T00:00:00Z".to_owned(),
        window_ns: 1_500_000_000,
        wall_ns: 3_000_000_000,
        offered_per_second: Some(2000.0),
        account,
        drained_ns: Vec::new(),
        warm_connections: 32,
        slots: 32,
        split: None,
        hiccup,
        time_line: vec![Interval {
            second: 0,
            due: EVENTS,
            acknowledged: EVENTS,
            p50: Some(block.service),
            p99: None,
            max: Some(block.service * 11),
            backlog_peak: 3,
            driver_rss_bytes: 8 << 20,
        }],
        max_segment: None,
        target: Some(TargetUsage {
            cpu_ns: block.cpu * EVENTS,
            voluntary_switches: EVENTS,
            involuntary_switches: 0,
            end: Reading {
                rss_peak_bytes: 6 << 20,
                rss_bytes: 5 << 20,
                threads: 1,
                ..Reading::default()
            },
        }),
        driver: DriverUsage {
            cpu_ns: 60_000 * EVENTS,
            spin_ns: 0,
            busy: 0.12,
            ..DriverUsage::default()
        },
        steal_ns: 0,
        other_runs: 0,
        in_force: Some(EffectiveConfig {
            handler: "built-in".to_owned(),
            runtime: "tokio".to_owned(),
            library: Some("hyper 1.2.3".to_owned()),
            threads: 1,
            nodelay: true,
            backlog: 4096,
            delay_ns: 0,
            work_ns: 0,
        }),
        fanout: None,
        down_ns: None,
        path: None,
        guarantee: None,
        machines: Vec::new(),
        judged: Judged::default(),
    }
}
