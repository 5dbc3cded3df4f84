//! What a ledger adds up: counts and histograms of one arm in one shard, merged over shards.

use super::callbacks::Callbacks;
use super::fanout::Deliveries;
use super::fates::Fates;
use super::histogram::Hist;
use super::peaks::Peaks;
use super::strata::{Split, Stratum};
use super::wire::Traffic;
use std::collections::BTreeMap;

/// Different fault messages kept, each with its count; enough to see what came back.
const FAULT_KINDS: usize = 8;
/// All further ones.
pub const OTHER_FAULTS: &str = "other faults";

/// The counts and histograms that a finished ledger leaves; merged over shards without loss.
#[derive(Debug, Clone)]
pub struct Account {
    /// Events due in the measured window.
    pub measured: Fates,
    /// Events due before it.
    pub warmup: Fates,
    /// `done − due`, ns. Empty in a closed loop.
    pub response: Hist,
    /// `done − due − lag`, ns: the response without the driver's own lateness.
    pub unlagged: Hist,
    /// `done − sent`, ns.
    pub service: Hist,
    /// Service times of the events due in the first and in the second half of the measured window.
    pub halves: [Hist; 2],
    /// Times told apart by the scenario's split.
    pub strata: Vec<Stratum>,
    /// `sent − max(due, free)`, ns. Empty in a closed loop.
    pub lag: Hist,
    /// From the wake of the reading task to `done`, ns.
    pub reading: Hist,
    /// Slowest response per stretch of the trial (service time in a closed loop).
    pub peaks: Peaks,
    /// Answers to events that had been acknowledged already; `None` when matched by order.
    pub duplicated: Option<u64>,
    /// Answers that overtook an older event of their connection; `None` when matched by order.
    pub reordered: Option<u64>,
    /// Answers to events that had timed out or failed before.
    pub late: u64,
    /// Messages that answer no event: unknown id, garbage, not asked for.
    pub unsolicited: u64,
    /// Events written, warm-up included.
    pub sent: u64,
    /// Acknowledgements read since measuring began, whenever their events were due.
    pub acknowledged_in_window: u64,
    /// Connections opened, the warm ones included.
    pub connections: u64,
    /// What it took to make a connection anew, handshake included, ns.
    pub connect: Hist,
    /// Measured events still open when the last slice ended.
    pub open_at_end: u64,
    /// Acknowledgements read between the start of measuring and the end of the last slice.
    pub acknowledged_by_end: u64,
    /// Measured events open when another arm's slice began, each once.
    pub spill: u64,
    /// Longest queue of events waiting for a connection.
    pub backlog_peak: u64,
    /// Bytes and segments of all connections.
    pub traffic: Traffic,
    /// What went wrong, by message.
    pub faults: BTreeMap<String, u64>,
    /// What subscribers saw, in a fan-out. It is not merged: one shard has all of them.
    pub deliveries: Option<Deliveries>,
    /// What was seen of answers that come by a callback, where they do.
    pub callbacks: Option<Callbacks>,
}

impl Account {
    /// Nothing yet. `tells_ids`: answers carry the event's id; `wall_length`: what the peaks cover, ns.
    pub(super) fn new(tells_ids: bool, wall_length: u64, split: Option<&Split>) -> Account {
        let told = tells_ids.then_some(0);
        Account {
            measured: Fates::default(),
            warmup: Fates::default(),
            response: Hist::new(),
            unlagged: Hist::new(),
            service: Hist::new(),
            halves: [Hist::new(), Hist::new()],
            strata: Stratum::all_of(split),
            lag: Hist::new(),
            reading: Hist::new(),
            peaks: Peaks::new(wall_length),
            duplicated: told,
            reordered: told,
            late: 0,
            unsolicited: 0,
            sent: 0,
            acknowledged_in_window: 0,
            connections: 0,
            connect: Hist::new(),
            open_at_end: 0,
            acknowledged_by_end: 0,
            spill: 0,
            backlog_peak: 0,
            traffic: Traffic::default(),
            faults: BTreeMap::new(),
            deliveries: None,
            callbacks: None,
        }
    }

    /// Counts what went wrong, by message.
    pub(super) fn fault(&mut self, message: &str) {
        let faults = &mut self.faults;
        if let Some(n) = faults.get_mut(message) {
            *n += 1;
        } else if faults.len() < FAULT_KINDS {
            faults.insert(message.to_owned(), 1);
        } else {
            *faults.entry(OTHER_FAULTS.to_owned()).or_default() += 1;
        }
    }

    /// Adds another shard of the same trial.
    pub fn merge(&mut self, other: &Account) {
        let both = |a: Option<u64>, b: Option<u64>| Some(a? + b?);
        self.measured.add(&other.measured);
        self.warmup.add(&other.warmup);
        self.response.merge(&other.response);
        self.unlagged.merge(&other.unlagged);
        self.service.merge(&other.service);
        self.halves.iter_mut().zip(&other.halves).for_each(|(mine, theirs)| mine.merge(theirs));
        self.strata.iter_mut().zip(&other.strata).for_each(|(mine, theirs)| mine.merge(theirs));
        self.lag.merge(&other.lag);
        self.reading.merge(&other.reading);
        self.peaks.merge(&other.peaks);
        self.duplicated = both(self.duplicated, other.duplicated);
        self.reordered = both(self.reordered, other.reordered);
        self.late += other.late;
        self.unsolicited += other.unsolicited;
        self.sent += other.sent;
        self.acknowledged_in_window += other.acknowledged_in_window;
        self.connections += other.connections;
        self.connect.merge(&other.connect);
        self.open_at_end += other.open_at_end;
        self.acknowledged_by_end += other.acknowledged_by_end;
        self.spill += other.spill;
        self.backlog_peak += other.backlog_peak;
        self.traffic.add(&other.traffic);
        if let (Some(mine), Some(theirs)) = (&mut self.callbacks, &other.callbacks) {
            mine.merge(theirs);
        }
        for (message, n) in &other.faults {
            *self.faults.entry(message.clone()).or_default() += n;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::fates::Failure;
    use crate::record::ledger::{Instants, Ledger, LedgerRules};
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    fn rules(shard: u64, of: u64, closed_loop: bool) -> LedgerRules {
        LedgerRules {
            origin: SECOND,
            timeout: 3 * SECOND,
            shard,
            of,
            wall_length: SECOND,
            warmup: SECOND / 4,
            window: SECOND * 3 / 4,
            split: Some(Split::Use { bounds: vec![1, 10] }),
            closed_loop,
        }
    }

    /// What happens to an event: when it is due, what becomes of it, how long each step takes.
    #[derive(Debug, Clone)]
    struct Event {
        due: u64,
        fate: u8,
        steps: [u64; 4],
        nth: u64,
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let steps = prop::array::uniform4(prop_oneof![0..2_000u64, 0..40_000_000u64]);
        let event = (0..SECOND, 0..8u8, steps, 1..20u64)
            .prop_map(|(due, fate, steps, nth)| Event { due, fate, steps, nth });
        prop::collection::vec(event, 1..200).prop_map(|mut events| {
            events.sort_by_key(|e| e.due);
            events
        })
    }

    #[test]
    fn an_event_spills_once_however_many_slices_it_outlives() {
        let rules = rules(0, 1, false);
        let origin = rules.origin;
        let ledger = Ledger::new(rules, true);
        for round in 0..5u64 {
            ledger.open(round, origin + round, Some(SECOND + round));
            ledger.end_of_slice();
            ledger.end_of_slice();
        }
        assert_eq!((ledger.account().spill, ledger.account().measured.due), (5, 5));
    }

    /// What a shard's ledger leaves of its events: those whose index is its own.
    fn account(events: &[Event], shard: u64, of: u64, closed: bool) -> Account {
        let rules = rules(shard, of, closed);
        let origin = rules.origin;
        let ledger = Ledger::new(rules, true);
        ledger.start_measuring();
        ledger.connected();
        let mut open = Vec::new();
        for (index, event) in (0..).zip(events).filter(|(index, _)| index % of == shard) {
            let ticket = ledger.open(index, origin + event.due, Some(event.due));
            if event.fate > 0 {
                ledger.sent(&ticket);
            }
            open.push((ticket, event));
        }
        // What is answered before the schedule ends, and what only in the drain.
        for ended in [false, true] {
            for (ticket, event) in open.iter().filter(|(_, e)| (e.fate > 4) == ended) {
                let [free, sent, woken, done] = event.steps;
                let sent = ticket.due + free + sent;
                let at = Instants {
                    free: ticket.due + free,
                    sent,
                    woken: sent + woken,
                    done: sent + woken + done,
                    nth: event.nth,
                };
                match event.fate {
                    0 => ledger.fail(ticket, Failure::Backlog, "backlog full"),
                    1 => ledger.lose(ticket),
                    2 => {} // times out
                    3 => ledger.fail(ticket, Failure::WrongAnswer, "503"),
                    _ => ledger.acknowledge(ticket, at),
                }
                if event.fate == 7 {
                    ledger.stray(Some(ticket.index)); // answered twice
                }
            }
            if !ended {
                ledger.end_of_slice();
                ledger.end_of_schedule();
            }
        }
        ledger.expire(u64::MAX);
        ledger.account()
    }

    /// All that is summed; a field that is added must be thought of here.
    fn told(account: Account) -> impl PartialEq + std::fmt::Debug {
        let Account {
            measured,
            warmup,
            response,
            unlagged,
            service,
            halves,
            strata,
            lag,
            reading,
            peaks,
            duplicated,
            reordered,
            late,
            unsolicited,
            sent,
            acknowledged_in_window,
            connections: _, // every shard has its own
            connect,
            open_at_end,
            acknowledged_by_end,
            spill,
            backlog_peak,
            traffic,
            faults,
            deliveries: _, // one shard has all of them
            callbacks: _,  // as deliveries, or merged by their own rule
        } = account;
        let [first, second] = halves;
        let times = [response, unlagged, service, lag, reading, connect, first, second];
        let counts = [late, unsolicited, sent, acknowledged_in_window, acknowledged_by_end];
        let open = [open_at_end, spill, backlog_peak];
        let ids = (duplicated, reordered);
        ((measured, warmup, faults), (times, strata, peaks), (counts, open, ids, traffic))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn shards_merged_are_one_shard_that_has_all_of_it(events in events(), of in 1..6u64, closed: bool) {
            let whole = account(&events, 0, 1, closed);
            let mut merged = account(&events, 0, of, closed);
            (1..of).for_each(|shard| merged.merge(&account(&events, shard, of, closed)));
            prop_assert_eq!(merged.connections, of);
            prop_assert!(whole.measured.sums_are_exact() && whole.warmup.sums_are_exact());
            prop_assert_eq!(told(merged), told(whole));
        }
    }
}
