//! How receivers recover from a planned fault: when events come again, when all are back, and how old what they have is.

use crate::ledger::fanout_event::BitSet;
use pushbench_core::record::guarantee::{Freshness, Recovery};

/// Connections are counted over this, ns.
const CONNECTIONS_WITHIN_NS: u64 = 100_000_000;

/// A fault at an instant, ns after the origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FaultPeriod {
    pub begin: u64,
    pub end: u64,
    /// Every connection ends with it; otherwise it is the path that changes.
    pub ends_connections: bool,
    /// It ends the publisher's process.
    pub restarts: bool,
}

/// Where and when receivers recover.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecoveryRules {
    /// When the measured window begins, ns after the origin.
    pub window: u64,
    pub fault: Option<FaultPeriod>,
    /// Receivers connect: they are back when they are connected, and else when an event comes.
    pub receivers_connect: bool,
}

/// The receivers of one arm before, in and after a planned fault.
#[derive(Debug)]
pub(super) struct RecoveryTracker {
    rules: RecoveryRules,
    /// 0 before the trial begins.
    pub(super) origin: u64,
    /// When the first connection ended with the publisher's process.
    process_ended: Option<u64>,
    /// Those that are back after the fault.
    back: BitSet,
    not_back: usize,
    all_back: u64,
    first_event: Option<u64>,
    /// When the last delivery came of those due before the fault ended; `None` once one of them is lost.
    caught_up: Option<u64>,
    /// For each receiver, when the newest event that it has was due.
    newest_due: Vec<u64>,
    pub(super) freshness: Vec<Freshness>,
    /// The current interval of connections, and how many there were in it.
    connected: (u64, u64),
    pub(super) connections_per_second_peak: u64,
}

impl RecoveryTracker {
    pub fn new(rules: RecoveryRules, receivers: usize) -> RecoveryTracker {
        RecoveryTracker {
            rules,
            origin: 0,
            process_ended: None,
            back: BitSet::none(receivers),
            not_back: receivers,
            all_back: 0,
            first_event: None,
            caught_up: Some(0),
            newest_due: vec![0; receivers],
            freshness: Vec::new(),
            connected: (0, 0),
            connections_per_second_peak: 0,
        }
    }

    /// The planned fault, in instants of the clock.
    pub fn fault(&self) -> Option<FaultPeriod> {
        let fault = self.rules.fault.filter(|_| self.origin != 0)?;
        let (begin, end) = (self.origin + fault.begin, self.origin + fault.end);
        let (begin, end) = self.process_ended.map_or((begin, end), |ended| (ended, ended));
        Some(FaultPeriod { begin, end, ..fault })
    }

    /// A subscription was cut off. A process that is to end at an instant ends a little later.
    pub fn cut_off(&mut self, now: u64) {
        let ends_now = |fault: FaultPeriod| fault.restarts && now >= fault.begin;
        if self.process_ended.is_none() && self.fault().is_some_and(ends_now) {
            self.process_ended = Some(now);
        }
    }

    /// A connection that carries deliveries was opened.
    pub fn connected(&mut self, now: u64) {
        let Some(after) = now.checked_sub(self.origin).filter(|_| self.origin != 0) else { return };
        let interval = after / CONNECTIONS_WITHIN_NS;
        let (current, count) = self.connected;
        self.connected = (interval, if interval == current { count + 1 } else { 1 });
        let per_second = self.connected.1 * (1_000_000_000 / CONNECTIONS_WITHIN_NS);
        self.connections_per_second_peak = self.connections_per_second_peak.max(per_second);
    }

    /// An event that was due `due` came to a receiver for the first time, on a connection that was `opened` then.
    pub fn delivered(&mut self, receiver: usize, at: u64, due: u64, opened: u64) {
        self.newest_due[receiver] = self.newest_due[receiver].max(due);
        let Some(fault) = self.fault().filter(|fault| at >= fault.end) else { return };
        // What was on its way when the fault began is no sign of recovery.
        let recovered =
            if fault.ends_connections { opened >= fault.begin } else { due >= fault.end };
        if recovered {
            self.first_event = Some(self.first_event.map_or(at, |first| first.min(at)));
            self.is_back(receiver, at);
        }
    }

    /// A receiver is subscribed again.
    pub fn subscribed(&mut self, receiver: usize, now: u64) {
        let Some(fault) = self.fault().filter(|fault| now >= fault.begin) else { return };
        if self.rules.receivers_connect && fault.ends_connections {
            self.is_back(receiver, now.max(fault.end));
        }
    }

    fn is_back(&mut self, receiver: usize, at: u64) {
        if !self.back.has(receiver) {
            self.back.set(receiver);
            self.not_back -= 1;
            self.all_back = self.all_back.max(at);
        }
    }

    /// An event has all deliveries that it will have. `complete`: of all that were due, the last one at `last`.
    pub fn settled(&mut self, due: u64, complete: bool, last: u64) {
        if self.fault().is_some_and(|fault| due < fault.end) {
            self.caught_up = self.caught_up.filter(|_| complete).map(|at| at.max(last));
        }
    }

    /// Notes how old the newest event of each receiver is; `planned`: the instant at which it should be looked at.
    pub fn sample_freshness(&mut self, planned: u64, now: u64) {
        let begin = self.origin + self.rules.window;
        let Some(at) = planned.checked_sub(begin).filter(|_| self.origin != 0) else { return };
        let age = |due: &u64| now.saturating_sub(*due.max(&self.origin));
        let mut ages: Vec<u64> = self.newest_due.iter().map(age).collect();
        let Some(oldest) = ages.iter().copied().max() else { return };
        let middle = (ages.len() - 1) / 2;
        let median = *ages.select_nth_unstable(middle).1;
        let us = |ns: u64| u32::try_from(ns / 1000).unwrap_or(u32::MAX);
        self.freshness.push(Freshness {
            at_ms: u32::try_from(at / 1_000_000).unwrap_or(u32::MAX),
            median_us: us(median),
            oldest_us: us(oldest),
        });
    }

    pub fn record(&self) -> Option<Recovery> {
        let fault = self.fault()?;
        let after = |at: u64| at.saturating_sub(fault.end);
        Some(Recovery {
            fault_at_ns: fault.begin.saturating_sub(self.origin + self.rules.window),
            fault_ns: fault.end - fault.begin,
            first_event_ns: self.first_event.map(after),
            caught_up_ns: self.caught_up.map(after),
            all_back_ns: (self.not_back == 0).then(|| after(self.all_back)),
            cpu_ns: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracker(ends_connections: bool, receivers_connect: bool) -> RecoveryTracker {
        let fault = FaultPeriod { begin: 1_000, end: 3_000, ends_connections, restarts: false };
        let rules = RecoveryRules { window: 400, fault: Some(fault), receivers_connect };
        RecoveryTracker { origin: 10_000, ..RecoveryTracker::new(rules, 2) }
    }

    #[test]
    fn events_on_connections_that_outlived_the_fault_are_no_recovery() {
        for (ends_connections, first) in [(true, 700), (false, 500)] {
            let mut t = tracker(ends_connections, false);
            t.delivered(0, 10_900, 10_800, 10_000);
            t.delivered(0, 13_400, 10_950, 10_000);
            t.delivered(0, 13_500, 13_450, 10_000);
            t.delivered(0, 13_700, 13_650, 13_200);
            assert_eq!(t.record().unwrap().first_event_ns, Some(first), "{ends_connections}");
            assert_eq!(t.record().unwrap().all_back_ns, None);
            t.delivered(1, 14_000, 13_800, 13_900);
            t.delivered(1, 15_000, 14_900, 13_900);
            let record = t.record().unwrap();
            assert_eq!(record.all_back_ns, Some(1_000));
            assert_eq!((record.fault_at_ns, record.fault_ns), (600, 2_000));
        }
    }

    #[test]
    fn receivers_that_connect_are_back_when_they_are_connected() {
        let mut t = tracker(true, true);
        t.subscribed(0, 10_500);
        t.subscribed(1, 13_100);
        assert_eq!(t.record().unwrap().all_back_ns, None, "the first one was before the fault");
        t.subscribed(0, 13_050);
        t.subscribed(0, 14_000);
        assert_eq!(t.record().unwrap().all_back_ns, Some(100));
        let mut webhook = tracker(true, false);
        (0..2).for_each(|receiver| webhook.subscribed(receiver, 13_100));
        assert_eq!(webhook.record().unwrap().all_back_ns, None);
    }

    #[test]
    fn a_process_ends_when_the_first_connection_does() {
        let mut t = tracker(true, true);
        let fault =
            FaultPeriod { begin: 1_000, end: 1_000, ends_connections: true, restarts: true };
        t.rules.fault = Some(fault);
        t.cut_off(10_900);
        t.delivered(0, 11_200, 11_100, 10_000);
        t.cut_off(11_300);
        t.cut_off(11_400);
        t.settled(11_250, true, 11_900);
        t.delivered(0, 11_700, 11_250, 11_500);
        let record = t.record().unwrap();
        assert_eq!((record.fault_at_ns, record.first_event_ns), (900, Some(400)));
        assert_eq!(record.caught_up_ns, Some(600));
    }

    #[test]
    fn caught_up_is_the_last_delivery_of_what_was_due_before_and_never_with_a_loss() {
        let mut t = tracker(true, true);
        t.settled(10_500, true, 10_600);
        t.settled(12_999, true, 13_800);
        t.settled(13_000, false, 20_000);
        assert_eq!(t.record().unwrap().caught_up_ns, Some(800));
        t.settled(12_000, false, 13_000);
        t.settled(12_500, true, 14_000);
        assert_eq!(t.record().unwrap().caught_up_ns, None);
    }

    #[test]
    fn freshness_is_the_age_of_the_newest_event_of_the_median_and_of_the_last_receiver() {
        let ms = 1_000_000;
        let rules = RecoveryRules { window: 100 * ms, fault: None, receivers_connect: true };
        let mut t = RecoveryTracker::new(rules, 3);
        t.sample_freshness(ms, ms);
        t.origin = 1_000 * ms;
        t.sample_freshness(1_050 * ms, 1_100 * ms);
        t.delivered(0, 1_090 * ms, 1_080 * ms, 0);
        t.delivered(1, 1_090 * ms, 1_060 * ms, 0);
        t.delivered(1, 1_091 * ms, 1_050 * ms, 0);
        t.sample_freshness(1_100 * ms, 1_200 * ms);
        let sample = Freshness { at_ms: 0, median_us: 140_000, oldest_us: 200_000 };
        assert_eq!(t.freshness, [sample]);
    }

    #[test]
    fn the_busiest_tenth_of_a_second_counts() {
        let mut t = tracker(true, true);
        t.connected(5);
        for at in [0, 99, 100, 150, 199, 450] {
            t.connected(10_000 + at * 1_000_000);
        }
        assert_eq!(t.connections_per_second_peak, 30);
    }
}
