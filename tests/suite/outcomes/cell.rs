//! One trial against a faulty server, and every count it must leave.

use crate::common::turn;
use pushbench_analysis::validity;
use pushbench_core::arm::ArmSpec;
use pushbench_core::event::Matching;
use pushbench_core::event::Template;
use pushbench_core::plan::Slices;
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::trial::{Stage, Trial, TrialDesign};
use pushbench_core::scenario::{Arrivals, Lifetime, Load, Payload};
use pushbench_core::transport::Carrier;
use pushbench_faults::counts::{Case, Counts};
use pushbench_faults::server_fault::ServerFault;
use pushbench_faults::{FaultyServer, Tally};
use pushbench_host::cpus::Placement;
use pushbench_load::block;
use pushbench_load::trial_group::{ExecutionContext, TrialArm, TrialGroup, TrialObserver};
use pushbench_sut::manifest::Manifest;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// An honest answer takes this long only on a machine that stands still.
pub const TIMEOUT: Duration = Duration::from_millis(1_500);
/// Longer than the time-out, so that something follows it.
const BEYOND: Duration = Duration::from_millis(1_900);
/// The server is asked once whether it is there, before the driver connects.
pub const PROBES: u64 = 1;
/// Trials at the same time: most of them wait for a time-out.
const AT_ONCE: usize = 6;

/// What a trial drives, and how.
#[derive(Debug, Clone, Copy)]
pub struct Cell {
    pub case: Case,
    pub closed: bool,
    pub connections: usize,
    pub in_flight: usize,
    pub lifetime: Lifetime,
    pub rate: f64,
    pub duration: Duration,
    pub backlog: usize,
    pub bytes: usize,
    pub shards: usize,
}

impl Cell {
    /// One event after the other, a fault at every fifth.
    pub fn new(fault: ServerFault, carrier: Carrier, matching: Matching, closed: bool) -> Cell {
        let cell = Cell {
            case: Case { fault, carrier, matching },
            closed,
            connections: 1,
            in_flight: 1,
            lifetime: Lifetime::Unlimited,
            rate: 200.0,
            duration: Duration::from_millis(100),
            backlog: 1_000,
            bytes: 80,
            shards: 1,
        };
        let expected = cell.case.theory(5, &Tally::default());
        match fault {
            ServerFault::HangUp => Cell { lifetime: Lifetime::Events(2), ..cell },
            ServerFault::TurnDown => Cell { lifetime: Lifetime::Events(1), ..cell },
            // The fifth handshake is the first that fails: four connections can be warm.
            ServerFault::Stall => {
                let stalls = Cell { lifetime: Lifetime::Events(1), duration: BEYOND, ..cell };
                let few = Duration::from_millis(100);
                let open = Cell { connections: 4, rate: 100.0, duration: few, ..stalls };
                if closed { stalls } else { open }
            }
            ServerFault::Swap => Cell { in_flight: if closed { 2 } else { 8 }, ..cell },
            // An event that waits for its time-out must hold up no other: each struck one finds a
            // connection of its own, and the honest ones too.
            ServerFault::Late if !closed => {
                Cell { connections: 8, rate: 10.0, duration: Duration::from_secs(3), ..cell }
            }
            ServerFault::Late | ServerFault::SometimesUnread if closed => {
                Cell { connections: 4, duration: BEYOND, ..cell }
            }
            _ if expected.outcomes.timed_out > 0 || fault == ServerFault::SometimesUnread => {
                match closed {
                    false => Cell { connections: 8, ..cell },
                    true => Cell { duration: BEYOND, ..cell },
                }
            }
            ServerFault::Correct | ServerFault::Twice | ServerFault::Unsolicited
                if matching == Matching::Id && carrier != Carrier::Webhook =>
            {
                Cell { in_flight: 4, ..cell }
            }
            _ => cell,
        }
    }

    /// The trial group of one arm at that address.
    pub fn group(&self, url: &str) -> TrialGroup {
        let warmup = Duration::from_millis(30);
        let (arrivals, rate) = match self.closed {
            true => (Arrivals::Closed, None),
            false => (Arrivals::Constant, Some(self.rate)),
        };
        let load = Load {
            arrivals,
            rate,
            warmup,
            duration: self.duration,
            timeout: TIMEOUT,
            backlog: self.backlog,
        };
        TrialGroup {
            arms: vec![TrialArm {
                arm: 0,
                label: "odd".to_owned(),
                spec: ArmSpec::plain(self.case.carrier.transport(), "target"),
                manifest: Manifest::running("odd", url, self.case.matching),
                connections: self.connections,
                in_flight: self.in_flight,
                subscribers: None,
            }],
            slices: Arc::new(Slices::alone((warmup + self.duration).as_nanos() as u64)),
            load,
            seed: 7,
            template: Template::new(&Payload::Bytes(self.bytes)),
            lifetime: self.lifetime,
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

    /// Events due in an open loop.
    pub fn scheduled(&self) -> u64 {
        ((Duration::from_millis(30) + self.duration).as_secs_f64() * self.rate).ceil() as u64
    }

    /// Drives it against its server: the record and what the server did.
    pub fn run(&self, cpu: usize) -> (Trial, Tally) {
        let server = FaultyServer::start(self.case.carrier, self.case.fault).unwrap();
        let trial = drive(&self.group(&server.url()), self.shards, cpu);
        (trial, server.finish().unwrap())
    }

    /// Drives it until something was struck: how many events a closed loop sends is up to the machine.
    fn run_until_struck(&self, cpu: usize) -> (Trial, Tally) {
        let mut cell = *self;
        loop {
            let (trial, tally) = cell.run(cpu);
            if !cell.closed || cell.strikes(Counts::of(&trial).outcomes.due) {
                return (trial, tally);
            }
            cell.duration *= 2;
            assert!(
                cell.duration < Duration::from_secs(60),
                "nothing is struck: {cell:?} {tally:?}"
            );
        }
    }

    /// Whether the fault shows in so many events.
    fn strikes(&self, due: u64) -> bool {
        match self.case.fault {
            ServerFault::TurnDown | ServerFault::Stall | ServerFault::HangUp => due >= 5,
            fault => due > 2 || (0..due).any(|i| fault.affects(i)),
        }
    }

    /// Compares every count with theory, and with the server's own.
    fn check(&self, cpu: usize) {
        let (trial, tally) = self.run_until_struck(cpu);
        let counted = Counts::of(&trial);
        let observed = format!("{self:?}\n{tally:?}\n{:?}", trial.account.faults);
        let due = counted.outcomes.due;
        assert_eq!(counted, self.case.theory(due, &tally), "{observed}");
        assert!(self.closed || due == self.scheduled(), "{observed}");
        assert!(self.strikes(due), "nothing was struck: {observed}");

        // What the server says of itself.
        let received = tally.events + tally.unread_events;
        assert_eq!(received, counted.sent, "every event sent came once: {observed}");
        let affected = (0..due).filter(|i| self.case.fault.affects(*i)).count() as u64;
        assert_eq!(tally.affected, affected, "{observed}");
        assert_eq!(
            (tally.failed_handshakes, tally.hung_up),
            self.struck_connections(due),
            "{observed}"
        );
        if self.case.matching == Matching::Id {
            assert_eq!(counted.outcomes.acknowledged, tally.answered, "{observed}");
        }
        assert_eq!(trial.account.connections, tally.connections - PROBES, "{observed}");
        let broken = trial.account.faults.keys().all(|fault| fault.starts_with("protocol broken"));
        let breaks = matches!(self.case.fault, ServerFault::InvalidBytes | ServerFault::HugeLength);
        assert!(broken || !breaks, "{observed}");
        if self.connections == 1 {
            assert_eq!(trial.account.connections, self.connections_opened(due), "{observed}");
        }
    }

    fn struck_connections(&self, due: u64) -> (u64, u64) {
        match self.case.fault {
            ServerFault::TurnDown | ServerFault::Stall => (due / 5, 0),
            ServerFault::HangUp => (0, due / 5),
            _ => (0, 0),
        }
    }

    /// Connections that one slot opens: the warm one, and one whenever an event finds none.
    fn connections_opened(&self, due: u64) -> u64 {
        let webhook = self.case.carrier == Carrier::Webhook;
        // After the last event nothing is opened.
        let followed = (0..due - 1).filter(|i| self.case.fault.affects(*i)).count() as u64;
        match self.case.fault {
            ServerFault::TurnDown | ServerFault::Stall | ServerFault::CloseAfterAnswer => due,
            // Two events, two events, one event.
            ServerFault::HangUp => due / 5 * 3 + [0, 1, 1, 2, 2][due as usize % 5],
            ServerFault::InvalidBytes
            | ServerFault::HugeLength
            | ServerFault::Half
            | ServerFault::Reset => 1 + followed,
            // Bytes behind an answer: nobody could tell any more which answer belongs to which event.
            ServerFault::Twice | ServerFault::Unsolicited if webhook => 1 + followed,
            ServerFault::Silence | ServerFault::Late if self.case.gives_up() => 1 + followed,
            _ => 1,
        }
    }
}

/// Drives a trial group of one arm, from this CPU on.
pub fn drive(group: &TrialGroup, shards: usize, cpu: usize) -> Trial {
    struct Unwatched;
    impl TrialObserver for Unwatched {
        fn second(&mut self, _arm: usize, _responses: &Hist) {}
        fn tick(&mut self) {}
    }
    let cpus = Placement::automatic().all();
    let driver = (0..shards).map(|shard| cpus[(cpu + shard) % cpus.len()]).collect();
    let placement = Placement { driver, target: cpus };
    let interrupt = AtomicBool::new(false);
    let context = ExecutionContext::here(&placement, &interrupt);
    let mut finished = block::run(group, &context, &mut Unwatched).unwrap();
    let mut finished = finished.pop().unwrap();
    validity::judge(&mut finished.trial, finished.ended.as_deref());
    finished.trial
}

/// Checks all cells, and names those that fail.
pub fn check_all(cells: &[Cell]) {
    check_each(cells, Cell::check);
}

/// Checks cells of any kind, several at the same time.
pub fn check_each<C: Sync>(cells: &[C], check: impl Fn(&C, usize) + Sync) {
    let _turn = turn::beside();
    let next = AtomicUsize::new(0);
    let failed = AtomicUsize::new(0);
    let work = || {
        while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
            let cpu = next.load(Ordering::Relaxed);
            if catch_unwind(AssertUnwindSafe(|| check(cell, cpu))).is_err() {
                failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(work))));
    assert_eq!(failed.into_inner(), 0, "of {} cells", cells.len());
}
