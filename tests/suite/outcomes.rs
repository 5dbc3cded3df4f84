//! Every event has one outcome, also when the target misbehaves: each count of the record is exactly what
//! the fault did, for every fault, transport and loop.

mod batches;
mod cell;
mod publishing;

use self::cell::{Cell, PROBES, check_all};
use crate::common::Bench;
use pushbench_core::event::Matching;
use pushbench_core::transport::{CARRIERS, Carrier};
use pushbench_faults::FaultyServer;
use pushbench_faults::counts::Counts;
use pushbench_faults::server_fault;
use pushbench_faults::server_fault::ServerFault;
use serde_json::Value;

/// Every fault that applies, in both loops.
fn matrix(carrier: Carrier, matching: Matching, faults: &[ServerFault]) {
    let faults = faults.iter().filter(|fault| fault.applies(carrier));
    let both = |fault: &ServerFault| {
        [false, true].map(|closed| Cell::new(*fault, carrier, matching, closed))
    };
    check_all(&faults.flat_map(both).collect::<Vec<_>>());
}

/// A target that is stuck with every connection answers nobody: it has a test of its own.
fn every_deed() -> Vec<ServerFault> {
    server_fault::ALL
        .iter()
        .map(|(_, fault, _)| *fault)
        .filter(|fault| *fault != ServerFault::Stuck)
        .collect()
}

#[test]
fn every_deed_to_a_webhook() {
    matrix(Carrier::Webhook, Matching::Id, &every_deed());
}

#[test]
fn every_deed_to_a_websocket() {
    matrix(Carrier::Websocket, Matching::Id, &every_deed());
}

#[test]
fn every_deed_to_a_bare_socket() {
    matrix(Carrier::Tcp, Matching::Id, &every_deed());
}

#[test]
fn answers_without_an_id_are_matched_by_order() {
    let faults = [
        ServerFault::Silence,
        ServerFault::Garbage,
        ServerFault::WrongId,
        ServerFault::Twice,
        ServerFault::Swap,
        ServerFault::Half,
        ServerFault::Unsolicited,
        ServerFault::Status(503),
    ];
    for carrier in CARRIERS {
        matrix(carrier, Matching::Order, &faults);
    }
}

#[test]
fn events_are_told_apart_over_shards() {
    let cells = CARRIERS.map(|carrier| Cell {
        connections: 2,
        shards: 2,
        ..Cell::new(ServerFault::Twice, carrier, Matching::Id, false)
    });
    check_all(&cells);
}

/// What a connection carries when its target breaks the protocol is lost with it: all that was sent
/// and not answered before.
#[test]
fn a_broken_connection_loses_all_it_carries() {
    for carrier in [Carrier::Websocket, Carrier::Tcp] {
        for fault in [ServerFault::InvalidBytes, ServerFault::Half, ServerFault::Reset] {
            let one = Cell::new(fault, carrier, Matching::Id, true);
            let (trial, tally) = Cell { in_flight: 4, ..one }.run(0);
            let observed = format!("{carrier:?} {fault:?} {tally:?} {:?}", trial.account.faults);
            let c = Counts::of(&trial);
            let due = c.outcomes.due;
            assert!(
                trial.account.warmup.sums_are_exact() && trial.account.measured.sums_are_exact(),
                "{observed}"
            );
            assert_eq!(c.outcomes.acknowledged + c.outcomes.lost, due, "{observed}");
            assert_eq!(
                (c.sent, c.late, c.unsolicited, c.faults),
                (due, 0, 0, tally.affected),
                "{observed}"
            );
            // A reset throws away answers on their way, so there it may be fewer.
            match fault {
                ServerFault::Reset => {
                    assert!(c.outcomes.acknowledged <= tally.answered, "{observed}")
                }
                _ => assert_eq!(c.outcomes.acknowledged, tally.answered, "{observed}"),
            }
            assert!(c.outcomes.lost >= tally.affected && tally.affected > 0, "{observed}");
            assert_eq!(trial.account.connections, tally.connections - PROBES, "{observed}");
        }
    }
}

/// More events than a stuck target takes: one is in the air, the backlog holds three, the rest fail.
#[test]
fn a_full_backlog_turns_events_away() {
    for carrier in CARRIERS {
        let one = Cell::new(ServerFault::Stuck, carrier, Matching::Id, false);
        // More than the kernel's buffers hold, so that the connection stays blocked.
        let cell = Cell { connections: 1, backlog: 3, bytes: 16 << 20, ..one };
        let (trial, tally) = cell.run(0);
        let counted = Counts::of(&trial);
        let observed = format!("{counted:?}\n{tally:?}\n{:?}", trial.account.faults);
        let (f, due) = (counted.outcomes, cell.scheduled());
        assert_eq!(
            (f.due, f.failed, f.backlog_full, f.timed_out),
            (due, due - 4, due - 4, 4),
            "{observed}"
        );
        assert_eq!((f.acknowledged, f.lost), (0, 0), "{observed}");
        assert_eq!(counted.sent + f.never_sent, 4, "{observed}");
        if cell.case.gives_up() {
            // Time-outs are looked after every 25 ms: an event whose own has not come by then is
            // written to the next connection.
            assert!(counted.sent >= 1, "{observed}");
        } else {
            assert_eq!(counted.sent, 1, "{observed}");
        }
        assert_eq!(trial.account.connections, tally.connections - PROBES, "{observed}");
    }
}

/// The whole way: a server that is already running, described by its address.
#[test]
fn a_run_against_a_misbehaving_server_says_what_became_of_its_events() {
    let fault = ServerFault::WrongId;
    let server = FaultyServer::start(Carrier::Webhook, fault).unwrap();
    let bench = Bench::new();
    let url = server.url();
    bench.write(
        "pushbench.toml",
        &format!("[target.odd.webhook]\nurl = \"{url}\"\nmatch = \"id\"\n"),
    );
    // In a closed loop no block is voided because the machine stalls.
    let args = ["run", "saturate", "--arm", "webhook@odd", "--out", "r", "--blocks", "2"];
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
        let affected = (0..count("due")).filter(|i| fault.affects(*i)).count() as u64;
        assert_eq!(count("wrong_answer"), affected, "{trial}");
        assert_eq!(count("failed"), affected, "{trial}");
        assert_eq!(count("acknowledged"), count("due") - affected, "{trial}");
        assert!(trial["target"].is_null(), "its cost is unknown, not zero");
        assert_eq!(trial["connections"], 32);
    }
    assert_eq!(server.finish().unwrap().late, 0);
}

/// The same as a user sees it, with targets that are processes of their own.
#[test]
fn the_self_test_of_outcomes_passes_under_its_former_name_too() {
    let bench = Bench::new();
    let ended = bench.run(&["selftest", "--only", "fates"]);
    ended.succeeds();
    assert_eq!(ended.out.matches(" ok\n").count(), 12, "{}", ended.out);
    bench.nothing_left();
}

#[test]
fn the_self_test_of_deliveries_passes() {
    let bench = Bench::new();
    let ended = bench.run(&["selftest", "--only", "deliveries"]);
    ended.succeeds();
    assert_eq!(ended.out.matches(" ok\n").count(), 9, "{}", ended.out);
    bench.nothing_left();
}
