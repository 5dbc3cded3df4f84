//! Batches whose answers are broken in one way each: every event has its outcome, and the record says why.

use crate::outcomes::cell::{Cell, check_each, drive};
use pushbench_core::arm::ArmSpec;
use pushbench_core::event::Matching;
use pushbench_core::scenario::Arrivals;
use pushbench_core::transport::Carrier;
use pushbench_faults::batches::{BatchFault, BatchServer};
use pushbench_faults::counts::Counts;
use pushbench_faults::server_fault::ServerFault;
use pushbench_load::trial_group::TrialGroup;
use std::time::Duration;

/// Events that a request carries.
const EVENTS: u64 = 4;

/// One connection, in a closed loop: each request carries as many events as it may.
fn group(url: &str, duration: Duration) -> TrialGroup {
    let one = Cell::new(ServerFault::Correct, Carrier::Webhook, Matching::Id, true);
    let mut group = Cell { in_flight: EVENTS as usize, duration, ..one }.group(url);
    group.arms[0].spec = ArmSpec::parse(&format!("webhook+batch={EVENTS}@target")).unwrap();
    group
}

/// Of the events of each request: acknowledged, failed and lost; duplicated, reordered and unsolicited answers; what
/// the record says.
type Expected = (BatchFault, [u64; 3], [u64; 3], &'static str);

const ALL: [Expected; 11] = [
    (BatchFault::Correct, [4, 0, 0], [0, 0, 0], ""),
    (BatchFault::InPart, [2, 2, 0], [0, 1, 0], "not acknowledged in the response of its batch"),
    (BatchFault::Backwards, [4, 0, 0], [0, 3, 0], ""),
    (BatchFault::EntriesTwice, [4, 0, 0], [4, 0, 0], ""),
    (BatchFault::Twice, [4, 0, 0], [4, 0, 0], ""),
    (BatchFault::UnknownId, [4, 0, 0], [0, 0, 1], ""),
    (
        BatchFault::Refused,
        [3, 1, 0],
        [0, 0, 0],
        "refused in the response of its batch: <id> is full",
    ),
    (
        BatchFault::Object,
        [0, 4, 0],
        [0, 0, 0],
        "a batch is answered with a JSON array, one entry for each event",
    ),
    (
        BatchFault::Cut,
        [0, 4, 0],
        [0, 0, 0],
        "a batch is answered with a JSON array, one entry for each event",
    ),
    (BatchFault::Status, [0, 4, 0], [0, 0, 0], "answered 500 Internal Server Error: <id> is full"),
    (BatchFault::Closed, [0, 0, 4], [0, 0, 0], "closed"),
];

fn check((fault, outcomes, answers, message): &Expected, cpu: usize) {
    // How many requests there are in a closed loop is up to the machine.
    let mut duration = Duration::from_millis(100);
    let (trial, requests) = loop {
        let server = BatchServer::start(*fault).unwrap();
        let trial = drive(&group(&server.url(), duration), 1, cpu);
        let requests = server.finish().unwrap();
        if requests > 2 || duration > Duration::from_secs(10) {
            break (trial, requests);
        }
        duration *= 2;
    };
    let (c, account) = (Counts::of(&trial), &trial.account);
    let observed = format!("{fault:?}, {requests} requests: {c:?} {:?}", account.faults);
    assert!(requests > 2, "{observed}");
    // Where the connection is made again the last event may have come without others.
    assert_eq!((account.batches, c.sent.div_ceil(EVENTS)), (requests, requests), "{observed}");
    let of_sent = |n: u64| n * c.sent / EVENTS;
    let counted = [c.outcomes.acknowledged, c.outcomes.failed, c.outcomes.lost];
    assert_eq!(counted, outcomes.map(of_sent), "{observed}");
    let answered = [account.duplicated.unwrap(), account.reordered.unwrap(), account.unsolicited];
    assert_eq!(answered, answers.map(of_sent), "{observed}");
    assert_eq!((c.late, c.outcomes.timed_out), (0, 0), "{observed}");
    let messages: Vec<&String> = account.faults.keys().collect();
    match &messages[..] {
        [] => assert!(message.is_empty(), "{observed}"),
        [one] => assert!(one.contains(message) && !message.is_empty(), "{observed}"),
        _ => panic!("the same for every event: {observed}"),
    }
}

#[test]
fn a_broken_answer_to_a_batch_is_counted_event_by_event() {
    check_each(&ALL, check);
}

/// The oldest event times out, and its connection ends: those behind it that are still in time are lost with it.
#[test]
fn a_batch_that_is_not_answered_ends_with_its_oldest_event() {
    let server = BatchServer::start(BatchFault::Silent).unwrap();
    let mut group = group(&server.url(), Duration::from_secs(1));
    let load = &mut group.load;
    (load.arrivals, load.rate) = (Arrivals::Constant, Some(40.0));
    load.timeout = Duration::from_millis(600);
    group.slices = std::sync::Arc::new(pushbench_core::plan::Slices::alone(1_030_000_000));
    let trial = drive(&group, 1, 0);
    let requests = server.finish().unwrap();
    let (c, faults) = (Counts::of(&trial).outcomes, &trial.account.faults);
    let observed = format!("{requests} requests: {c:?} {faults:?}");
    assert!(trial.account.warmup.sums_are_exact() && trial.account.measured.sums_are_exact());
    assert_eq!(c.due, c.timed_out + c.lost, "{observed}");
    // The first request carries the first event alone, and the next ones what has waited for it.
    assert!(c.lost > 0 && c.timed_out > c.never_sent, "{observed}");
    assert_eq!(c.timed_out - c.never_sent + c.lost, trial.account.sent, "{observed}");
    assert!(faults.keys().any(|fault| fault.contains("after a time-out")), "{observed}");
}
