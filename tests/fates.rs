//! Every event has one fate, also when the target misbehaves: each count of the record is exactly what
//! the deed did, for every deed, transport and loop.

mod common;

use common::Bench;
use pushbench::cpus::Placement;
use pushbench::drive::block;
use pushbench::drive::stretch::{self, Member, Stretch, Watch};
use pushbench::plan::Slices;
use pushbench::record::histogram::Hist;
use pushbench::record::trial::{Stage, Trial, TrialDesign};
use pushbench::scenario::{Arrivals, Lifetime, Load, Payload};
use pushbench::selftest::odd::counts::{Case, Counts};
use pushbench::selftest::odd::deed::{self, Deed};
use pushbench::selftest::odd::{Odd, Tally};
use pushbench::target::manifest::{Manifest, Matching};
use pushbench::transport::event::Template;
use pushbench::transport::{self, Transport};
use serde_json::Value;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// An honest answer takes this long only on a machine that stands still.
const TIMEOUT: Duration = Duration::from_millis(1_500);
/// Longer than the time-out, so that something follows it.
const BEYOND: Duration = Duration::from_millis(1_900);
/// The server is asked once whether it is there, before the driver connects.
const PROBES: u64 = 1;
/// Trials at the same time: most of them wait for a time-out.
const AT_ONCE: usize = 6;

/// What a trial drives, and how.
#[derive(Debug, Clone, Copy)]
struct Cell {
    case: Case,
    closed: bool,
    connections: usize,
    in_flight: usize,
    lifetime: Lifetime,
    rate: f64,
    duration: Duration,
    backlog: usize,
    bytes: usize,
    shards: usize,
}

impl Cell {
    /// One event after the other, a deed at every fifth.
    fn new(deed: Deed, transport: Transport, matching: Matching, closed: bool) -> Cell {
        let cell = Cell {
            case: Case { deed, transport, matching },
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
        match deed {
            Deed::HangUp => Cell { lifetime: Lifetime::Events(2), ..cell },
            Deed::TurnDown => Cell { lifetime: Lifetime::Events(1), ..cell },
            Deed::Swap => Cell { in_flight: if closed { 2 } else { 8 }, ..cell },
            // An event that waits for its time-out must hold up no other: each struck one finds a
            // connection of its own, and the honest ones too.
            Deed::Late if !closed => {
                Cell { connections: 8, rate: 10.0, duration: Duration::from_secs(3), ..cell }
            }
            Deed::Late | Deed::Deaf if closed => Cell { connections: 4, duration: BEYOND, ..cell },
            _ if expected.fates.timed_out > 0 || deed == Deed::Deaf => match closed {
                false => Cell { connections: 8, ..cell },
                true => Cell { duration: BEYOND, ..cell },
            },
            Deed::Honest | Deed::Twice | Deed::Chatter
                if matching == Matching::Id && transport != Transport::Webhook =>
            {
                Cell { in_flight: 4, ..cell }
            }
            _ => cell,
        }
    }

    fn stretch(&self, url: &str) -> Stretch {
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
        Stretch {
            members: vec![Member {
                arm: 0,
                label: "odd".to_owned(),
                transport: self.case.transport,
                manifest: Manifest::running("odd", url, self.case.matching),
                connections: self.connections,
                in_flight: self.in_flight,
            }],
            slices: Arc::new(Slices::alone((warmup + self.duration).as_nanos() as u64)),
            load,
            seed: 7,
            template: Template::new(&Payload::Bytes(self.bytes)),
            lifetime: self.lifetime,
            max_segment: None,
            place: (0, 0, 0),
            stage: Stage::Block,
            design: TrialDesign::Sequential,
            freeze: None,
        }
    }

    /// Events due in an open loop.
    fn scheduled(&self) -> u64 {
        ((Duration::from_millis(30) + self.duration).as_secs_f64() * self.rate).ceil() as u64
    }

    /// Drives it against its server: the record and what the server did.
    fn run(&self, cpu: usize) -> (Trial, Tally) {
        struct Unwatched;
        impl Watch for Unwatched {
            fn interval(&mut self, _arm: usize, _responses: &Hist) {}
            fn tick(&mut self) {}
        }
        let server = Odd::start(self.case.transport, self.case.deed).unwrap();
        let cpus = Placement::automatic().all();
        let driver = (0..self.shards).map(|shard| cpus[(cpu + shard) % cpus.len()]).collect();
        let placement = Placement { driver, target: cpus };
        let interrupt = AtomicBool::new(false);
        let bench = stretch::Bench { placement: &placement, interrupt: &interrupt };
        let stretch = self.stretch(&server.url());
        let mut finished = block::run(&stretch, &bench, &mut Unwatched).unwrap();
        (finished.pop().unwrap().trial, server.finish().unwrap())
    }

    /// Compares every count with theory, and with the server's own.
    fn check(&self, cpu: usize) {
        let (trial, tally) = self.run(cpu);
        let counted = Counts::of(&trial);
        let seen = format!("{self:?}\n{tally:?}\n{:?}", trial.faults);
        let due = counted.fates.due;
        assert_eq!(counted, self.case.theory(due, &tally), "{seen}");
        assert!(self.closed || due == self.scheduled(), "{seen}");
        assert!(due > 2, "nothing was struck: {seen}");

        // What the server says of itself.
        let heard = tally.events + tally.unheard;
        assert_eq!(heard, counted.sent, "every event sent came once: {seen}");
        let struck = (0..due).filter(|i| self.case.deed.strikes(*i)).count() as u64;
        assert_eq!(tally.struck, struck, "{seen}");
        assert_eq!((tally.turned_down, tally.hung_up), self.struck_connections(due), "{seen}");
        if self.case.matching == Matching::Id {
            assert_eq!(counted.fates.acknowledged, tally.answered, "{seen}");
        }
        assert_eq!(trial.connections, tally.connections - PROBES, "{seen}");
        let broken = trial.faults.keys().all(|fault| fault.starts_with("protocol broken"));
        let breaks = matches!(self.case.deed, Deed::Nonsense | Deed::Absurd);
        assert!(broken || !breaks, "{seen}");
        if self.connections == 1 {
            assert_eq!(trial.connections, self.connections_opened(due), "{seen}");
        }
    }

    fn struck_connections(&self, due: u64) -> (u64, u64) {
        match self.case.deed {
            Deed::TurnDown => (due / 5, 0),
            Deed::HangUp => (0, due / 5),
            _ => (0, 0),
        }
    }

    /// Connections that one slot opens: the warm one, and one whenever an event finds none.
    fn connections_opened(&self, due: u64) -> u64 {
        let webhook = self.case.transport == Transport::Webhook;
        // After the last event nothing is opened.
        let followed = (0..due - 1).filter(|i| self.case.deed.strikes(*i)).count() as u64;
        match self.case.deed {
            Deed::TurnDown | Deed::Farewell => due,
            // Two events, two events, one event.
            Deed::HangUp => due / 5 * 3 + [0, 1, 1, 2, 2][due as usize % 5],
            Deed::Nonsense | Deed::Absurd | Deed::Half | Deed::Reset => 1 + followed,
            // Bytes behind an answer: nobody could tell any more which answer belongs to which event.
            Deed::Twice | Deed::Chatter if webhook => 1 + followed,
            Deed::Silence | Deed::Late if self.case.gives_up() => 1 + followed,
            _ => 1,
        }
    }
}

/// Checks all cells, several at the same time, and names those that fail.
fn check_all(cells: &[Cell]) {
    let next = AtomicUsize::new(0);
    let failed = AtomicUsize::new(0);
    let work = || {
        while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
            let cpu = next.load(Ordering::Relaxed);
            if catch_unwind(AssertUnwindSafe(|| cell.check(cpu))).is_err() {
                failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(work))));
    assert_eq!(failed.into_inner(), 0, "of {} cells", cells.len());
}

/// Every deed that applies, in both loops.
fn matrix(transport: Transport, matching: Matching, deeds: &[Deed]) {
    let deeds = deeds.iter().filter(|deed| deed.applies(transport));
    let both =
        |deed: &Deed| [false, true].map(|closed| Cell::new(*deed, transport, matching, closed));
    check_all(&deeds.flat_map(both).collect::<Vec<_>>());
}

/// A target that is stuck with every connection answers nobody: it has a test of its own.
fn every_deed() -> Vec<Deed> {
    deed::ALL.iter().map(|(_, deed, _)| *deed).filter(|deed| *deed != Deed::Stuck).collect()
}

#[test]
fn every_deed_to_a_webhook() {
    matrix(Transport::Webhook, Matching::Id, &every_deed());
}

#[test]
fn every_deed_to_a_websocket() {
    matrix(Transport::Websocket, Matching::Id, &every_deed());
}

#[test]
fn every_deed_to_a_bare_socket() {
    matrix(Transport::Tcp, Matching::Id, &every_deed());
}

#[test]
fn answers_without_an_id_are_matched_by_order() {
    let deeds = [
        Deed::Silence,
        Deed::Garbage,
        Deed::WrongId,
        Deed::Twice,
        Deed::Swap,
        Deed::Half,
        Deed::Chatter,
        Deed::Status(503),
    ];
    for transport in transport::ALL {
        matrix(transport, Matching::Order, &deeds);
    }
}

#[test]
fn events_are_told_apart_over_shards() {
    let cells = transport::ALL.map(|transport| Cell {
        connections: 2,
        shards: 2,
        ..Cell::new(Deed::Twice, transport, Matching::Id, false)
    });
    check_all(&cells);
}

/// What a connection carries when its target breaks the protocol is lost with it: all that was sent
/// and not answered before.
#[test]
fn a_broken_connection_loses_all_it_carries() {
    for transport in [Transport::Websocket, Transport::Tcp] {
        for deed in [Deed::Nonsense, Deed::Half, Deed::Reset] {
            let one = Cell::new(deed, transport, Matching::Id, true);
            let (trial, tally) = Cell { in_flight: 4, ..one }.run(0);
            let seen = format!("{transport:?} {deed:?} {tally:?} {:?}", trial.faults);
            let c = Counts::of(&trial);
            let due = c.fates.due;
            assert!(trial.warmup.sums_are_exact() && trial.events.sums_are_exact(), "{seen}");
            assert_eq!(c.fates.acknowledged + c.fates.lost, due, "{seen}");
            assert_eq!(
                (c.sent, c.late, c.unsolicited, c.faults),
                (due, 0, 0, tally.struck),
                "{seen}"
            );
            // A reset throws away answers on their way, so there it may be fewer.
            match deed {
                Deed::Reset => assert!(c.fates.acknowledged <= tally.answered, "{seen}"),
                _ => assert_eq!(c.fates.acknowledged, tally.answered, "{seen}"),
            }
            assert!(c.fates.lost >= tally.struck && tally.struck > 0, "{seen}");
            assert_eq!(trial.connections, tally.connections - PROBES, "{seen}");
        }
    }
}

/// More events than a stuck target takes: one is in the air, the backlog holds three, the rest fail.
#[test]
fn a_full_backlog_turns_events_away() {
    for transport in transport::ALL {
        let one = Cell::new(Deed::Stuck, transport, Matching::Id, false);
        // More than the kernel's buffers hold, so that the connection stays blocked.
        let cell = Cell { connections: 1, backlog: 3, bytes: 16 << 20, ..one };
        let (trial, tally) = cell.run(0);
        let counted = Counts::of(&trial);
        let seen = format!("{counted:?}\n{tally:?}\n{:?}", trial.faults);
        let (f, due) = (counted.fates, cell.scheduled());
        assert_eq!(
            (f.due, f.failed, f.backlog_full, f.timed_out),
            (due, due - 4, due - 4, 4),
            "{seen}"
        );
        assert_eq!((f.acknowledged, f.lost), (0, 0), "{seen}");
        assert_eq!(counted.sent + f.never_sent, 4, "{seen}");
        if cell.case.gives_up() {
            // Time-outs are looked after every 25 ms: an event whose own has not come by then is
            // written to the next connection.
            assert!(counted.sent >= 1, "{seen}");
        } else {
            assert_eq!(counted.sent, 1, "{seen}");
        }
        assert_eq!(trial.connections, tally.connections - PROBES, "{seen}");
    }
}

/// The whole way: a server that is already running, described by its address.
#[test]
fn a_run_against_a_misbehaving_server_says_what_became_of_its_events() {
    let deed = Deed::WrongId;
    let server = Odd::start(Transport::Webhook, deed).unwrap();
    let bench = Bench::new();
    let url = server.url();
    bench.write(
        "pushbench.toml",
        &format!("[target.odd.webhook]\nurl = \"{url}\"\nmatch = \"id\"\n"),
    );
    let args = ["run", "--arm", "webhook@odd", "--out", "r", "--blocks", "2", "--rate", "200"];
    let ended = bench.run(&[&args[..], &["--duration", "200ms", "--warmup", "100ms"]].concat());
    // The shipped scenario expects that nothing fails.
    assert_eq!(ended.code, Some(1), "{}{}", ended.out, ended.err);
    assert!(ended.out.contains("did not start"), "{}", ended.out);

    let stored = std::fs::read_to_string(bench.path("r/trials.jsonl")).unwrap();
    let trials: Vec<Value> = stored.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(trials.len(), 3, "a pilot and two blocks");
    for trial in trials {
        let count = |name: &str| -> u64 {
            let of = |window: &str| trial[window][name].as_u64().unwrap();
            of("events") + of("warmup")
        };
        let struck = (0..count("due")).filter(|i| deed.strikes(*i)).count() as u64;
        assert_eq!(count("wrong_answer"), struck, "{trial}");
        assert_eq!(count("failed"), struck, "{trial}");
        assert_eq!(count("acknowledged"), count("due") - struck, "{trial}");
        assert!(trial["target"].is_null(), "its cost is unknown, not zero");
        assert_eq!(trial["connections"], 32);
    }
    assert_eq!(server.finish().unwrap().late, 0);
}

/// The same as a user sees it, with targets that are processes of their own.
#[test]
fn the_self_test_of_fates_passes() {
    let bench = Bench::new();
    let ended = bench.run(&["selftest", "--only", "fates"]);
    ended.succeeds();
    assert_eq!(ended.out.matches(" ok\n").count(), 12, "{}", ended.out);
    bench.nothing_left();
}
