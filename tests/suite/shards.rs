//! Shards together do what one does alone: every event of the schedule once, and every count in its sum.

mod target;

use crate::common::turn;
use pushbench_core::arm::ArmSpec;
use pushbench_core::event::Matching;
use pushbench_core::event::Template;
use pushbench_core::plan::Slices;
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::trial::{Stage, TrialDesign};
use pushbench_core::scenario::{Arrivals, Lifetime, Load, Payload};
use pushbench_core::schedule::Schedule;
use pushbench_core::transport::Transport;
use pushbench_host::cpus::Placement;
use pushbench_load::block;
use pushbench_load::trial_group::{
    ExecutionContext, FinishedTrial, TrialArm, TrialGroup, TrialObserver,
};
use pushbench_sut::manifest::Manifest;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use target::Target;

const SEED: u64 = 11;

fn load(arrivals: Arrivals) -> Load {
    Load {
        rate: (arrivals != Arrivals::Closed).then_some(3_000.0),
        arrivals,
        warmup: Duration::from_millis(50),
        duration: Duration::from_millis(200),
        timeout: Duration::from_secs(30),
        backlog: 100_000,
    }
}

fn group(url: &str, load: Load) -> TrialGroup {
    let trial_arm = TrialArm {
        arm: 0,
        label: "counting".to_owned(),
        spec: ArmSpec::plain(Transport::Tcp, "target"),
        manifest: Manifest::running("counting", url, Matching::Id),
        connections: 5,
        in_flight: 2,
        subscribers: None,
    };
    TrialGroup {
        arms: vec![trial_arm],
        slices: Arc::new(Slices::alone((load.warmup + load.duration).as_nanos() as u64)),
        load,
        seed: SEED,
        template: Template::new(&Payload::Bytes(100)),
        lifetime: Lifetime::Unlimited,
        max_segment: None,
        place: (0, 0, 0),
        split: None,
        stage: Stage::Block,
        design: TrialDesign::Sequential,
        freeze: None,
        idle: false,
        path: None,
        connect_limit: None,
        tolerates_connect_failures: false,
        restart_after: None,
        guarantee: Default::default(),
        faults: Default::default(),
    }
}

fn drive(group: &TrialGroup, shards: usize) -> FinishedTrial {
    struct Unwatched;
    impl TrialObserver for Unwatched {
        fn second(&mut self, _arm: usize, _responses: &Hist) {}
        fn tick(&mut self) {}
    }
    let cpus = Placement::automatic().all();
    let driver = cpus.iter().copied().cycle().take(shards).collect();
    let placement = Placement { driver, target: cpus };
    let interrupt = AtomicBool::new(false);
    let bench = ExecutionContext::here(&placement, &interrupt);
    block::run(group, &bench, &mut Unwatched).unwrap().pop().unwrap()
}

#[test]
fn every_event_of_the_schedule_is_sent_once_by_some_shard() {
    let _turn = turn::beside();
    for arrivals in [Arrivals::Poisson, Arrivals::Closed] {
        for shards in [1, 2, 3] {
            let load = load(arrivals);
            let target = Target::start();
            let FinishedTrial { trial, seconds, .. } =
                drive(&group(&target.url(), load.clone()), shards);
            let observed = format!("{arrivals:?}, {shards} shards, {:?}", trial.account.faults);
            let mut came = target.came();
            came.sort_unstable();

            // What the target got: each index once. In a closed loop each shard counts for itself.
            assert!(came.windows(2).all(|pair| pair[0] < pair[1]), "an id came twice: {observed}");
            let (e, w) = (&trial.account.measured, &trial.account.warmup);
            assert_eq!(e.due + w.due, came.len() as u64, "{observed}");
            assert_eq!(trial.account.sent, came.len() as u64, "{observed}");
            if let Some(schedule) = Schedule::new(&load, SEED, 0, 1) {
                let whole: Vec<u64> = schedule.map(|due| due.index).collect();
                assert_eq!(came, whole, "{observed}");
            } else {
                let each =
                    |shard: u64| came.iter().filter(|i| **i % shards as u64 == shard).count();
                assert!((0..shards as u64).all(|shard| each(shard) > 0), "{observed}");
            }

            // What the record says of it.
            assert!(e.sums_are_exact() && w.sums_are_exact(), "{observed}");
            assert_eq!((e.acknowledged, w.acknowledged), (e.due, w.due), "{observed}");
            assert_eq!(trial.account.service.count(), e.acknowledged, "{observed}");
            let responses = if arrivals == Arrivals::Closed { 0 } else { e.acknowledged };
            assert_eq!(trial.account.response.count(), responses, "{observed}");
            let by_second: u64 = trial.time_line.iter().map(|second| second.due).sum();
            assert_eq!(by_second, e.due + w.due, "{observed}");
            let kept: u64 = seconds.iter().map(|(_, hist)| hist.count()).sum();
            assert_eq!(kept, e.acknowledged, "{observed}");
            assert_eq!((trial.account.connections, trial.warm_connections), (5, 5), "{observed}");
        }
    }
}
