//! What became of events under a guarantee or under faults, and how long it took until all was well: figures, notes, and
//! what they come to in words.

use crate::compare::blocks;
use crate::compare::blocks::OverBlocks;
use crate::compare::note::begins;
use crate::compare::{ArmFigures, Comparison, Note, Trials, Verdict};
use crate::stats;
use pushbench_core::guarantee::Guarantee;
use pushbench_core::record::guarantee::{Freshness, GuaranteeRecord, LossReasons, SyncTimes};
use pushbench_core::record::metrics::{METRICS, Subject};
use pushbench_core::record::trial::Trial;
use pushbench_core::units;
use serde::Serialize;
use std::collections::BTreeMap;

/// What an arm's events get under a guarantee or under faults: sums over valid trials, warm-ups included. For each event and
/// each receiver that it is due at there is one delivery.
#[derive(Debug, Clone, Default, Serialize)]
pub struct GuaranteeCounts {
    /// Handed to the application exactly once; `null`, as the next three, where a receiver does not tell what came to it.
    pub delivered_once: Option<u64>,
    /// Arrivals of an event at a receiver that had processed it already.
    pub duplicates_on_wire: Option<u64>,
    /// Of these, handed to the application again.
    pub duplicates_to_application: Option<u64>,
    /// First deliveries to the application behind a younger event's.
    pub out_of_order: Option<u64>,
    /// Never handed to the application.
    pub lost_for_good: u64,
    /// Attempts, as the publisher counts them, or else as arrivals are seen from outside.
    pub attempts: u64,
    /// From the end of the planned fault, means over blocks; `null` where a block has none.
    pub recovery_ns: RecoveryTimes,
}

/// Times after the end of a planned fault, ns: means over blocks.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct RecoveryTimes {
    /// To the first event that a receiver got.
    pub first_event: Option<f64>,
    /// Until no delivery that was due before it was outstanding.
    pub caught_up: Option<f64>,
    /// Until all receivers were back.
    pub all_back: Option<f64>,
}

/// The rest of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct GuaranteeFigures {
    /// Deliveries of events that the publisher accepted.
    pub due: u64,
    /// Of these, handed to the application.
    pub delivered: u64,
    /// Of these, the ones that were not, by reason.
    pub lost: LossReasons,
    /// Events that the publisher did not accept; its client knows.
    pub not_accepted: u64,
    /// Arrivals that a planned fault met before they were processed.
    pub met_by_fault: u64,
    /// Deliveries whose acknowledgement a planned fault suppressed.
    pub lost_acks: u64,
    /// The publisher counted the attempts.
    pub attempts_are_counted: bool,
    /// Most deliveries outstanding at a time in any trial.
    pub backlog_peak: u64,
    /// Their bytes as events.
    pub backlog_peak_bytes: u64,
    /// Most connections opened within 100 ms in any trial, per second.
    pub connections_per_second_peak: u64,
    /// Attempts to connect that failed.
    pub connections_refused: u64,
    /// Time that events waited behind one that was being tried again, ns.
    pub held_ns: u64,
    /// Events that waited so.
    pub held_events: u64,
    /// Syncs of the publisher's store; `null` without one.
    pub sync: Option<SyncTimes>,
    /// The planned fault; `null` where none was planned at an instant.
    pub fault: Option<FaultFigures>,
    /// Figures over blocks, each with its interval.
    pub over_blocks: Vec<OverBlocks>,
    /// The age of the newest event that receivers have, medians over blocks.
    pub freshness: Vec<Freshness>,
    /// What stands in the arm's events.
    #[serde(skip)]
    pub counts: GuaranteeCounts,
}

/// The planned fault, and in how many blocks its end was followed by what.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct FaultFigures {
    /// When it began, ns after the measured window began.
    pub at_ns: u64,
    /// How long it lasted; 0 of an instant. Median over blocks.
    pub ns: u64,
    /// Blocks with one.
    pub blocks: usize,
    /// Of these, the ones in which an event came after it.
    pub flowed_again: usize,
    /// In which every delivery that was due before its end came.
    pub caught_up: usize,
    /// In which all receivers came back.
    pub all_back: usize,
}

/// The figures of an arm's valid trials; `None` without a guarantee and faults.
pub(super) fn figures(arm: usize, trials: &Trials<'_>) -> Option<GuaranteeFigures> {
    let of_arm = trials.of_arm(arm);
    let all: Vec<&GuaranteeRecord> = of_arm.iter().filter_map(|t| t.guarantee.as_ref()).collect();
    let first = all.first()?;
    let sum = |of: fn(&GuaranteeRecord) -> u64| all.iter().map(|g| of(g)).sum::<u64>();
    let most = |of: fn(&GuaranteeRecord) -> u64| all.iter().map(|g| of(g)).max().unwrap_or(0);
    let mut lost = LossReasons::default();
    all.iter().for_each(|g| lost.add(&g.lost));
    let over_blocks: Vec<OverBlocks> = METRICS
        .iter()
        .filter(|m| m.subject == Subject::Guarantee)
        .filter_map(|m| blocks::of_metric(m, arm, trials))
        .collect();
    let mean = |name| over_blocks.iter().find(|o| o.metric == name).map(|o| o.estimate);
    let known = all.iter().all(|g| !g.arrivals_are_unknown);
    let told = |of: fn(&GuaranteeRecord) -> u64| known.then(|| sum(of));
    let counts = GuaranteeCounts {
        delivered_once: told(|g| g.delivered_once),
        duplicates_on_wire: told(|g| g.duplicates_on_wire),
        duplicates_to_application: told(|g| g.duplicates_to_application),
        out_of_order: told(|g| g.out_of_order),
        lost_for_good: lost.sum(),
        attempts: sum(|g| g.attempts),
        recovery_ns: RecoveryTimes {
            first_event: mean("recovery.first_event"),
            caught_up: mean("recovery.caught_up"),
            all_back: mean("recovery.all_back"),
        },
    };
    Some(GuaranteeFigures {
        due: sum(|g| g.due),
        delivered: sum(|g| g.delivered),
        lost,
        not_accepted: sum(|g| g.not_accepted),
        met_by_fault: sum(|g| g.met_by_fault),
        lost_acks: sum(|g| g.lost_acks),
        attempts_are_counted: all.iter().all(|g| g.attempts_are_counted),
        backlog_peak: most(|g| g.backlog_peak),
        backlog_peak_bytes: most(|g| g.backlog_peak_bytes),
        connections_per_second_peak: most(|g| g.connections_per_second_peak),
        connections_refused: sum(|g| g.connections_refused),
        held_ns: sum(|g| g.held_ns),
        held_events: sum(|g| g.held_events),
        sync: first.sync.map(|_| syncs(&all)),
        fault: fault(&all),
        over_blocks,
        freshness: freshness(&all),
        counts,
    })
}

fn syncs(all: &[&GuaranteeRecord]) -> SyncTimes {
    let add = |a: SyncTimes, b: SyncTimes| SyncTimes {
        count: a.count + b.count,
        total_ns: a.total_ns + b.total_ns,
        longest_ns: a.longest_ns.max(b.longest_ns),
    };
    all.iter().filter_map(|g| g.sync).fold(SyncTimes::default(), add)
}

fn fault(all: &[&GuaranteeRecord]) -> Option<FaultFigures> {
    let each: Vec<_> = all.iter().filter_map(|g| g.recovery).collect();
    let first = each.first()?;
    let lasted: Vec<f64> = each.iter().map(|r| r.fault_ns as f64).collect();
    Some(FaultFigures {
        at_ns: first.fault_at_ns,
        ns: stats::median(&lasted).map_or(0, |ns| ns as u64),
        blocks: each.len(),
        flowed_again: each.iter().filter(|r| r.first_event_ns.is_some()).count(),
        caught_up: each.iter().filter(|r| r.caught_up_ns.is_some()).count(),
        all_back: each.iter().filter(|r| r.all_back_ns.is_some()).count(),
    })
}

/// Medians over blocks at about the same instants: a record begins up to some ms late.
fn freshness(all: &[&GuaranteeRecord]) -> Vec<Freshness> {
    let mut at: BTreeMap<u32, [Vec<f64>; 2]> = BTreeMap::new();
    for point in all.iter().flat_map(|g| &g.freshness) {
        let [median, oldest] = at.entry((point.at_ms + 50) / 100 * 100).or_default();
        median.push(f64::from(point.median_us));
        oldest.push(f64::from(point.oldest_us));
    }
    let of = |values: &[f64]| stats::median(values).map_or(0, |us| us as u32);
    at.into_iter()
        .map(|(at_ms, [median, oldest])| Freshness {
            at_ms,
            median_us: of(&median),
            oldest_us: of(&oldest),
        })
        .collect()
}

/// Something that was planned broke in this trial: what it left behind is no fault of target or driver.
pub(crate) fn is_broken(trial: &Trial) -> bool {
    trial.guarantee.as_ref().is_some_and(|g| {
        g.recovery.is_some() || g.met_by_fault + g.lost_acks + g.connections_refused > 0
    })
}

impl GuaranteeFigures {
    /// The arm's figure of a metric.
    pub fn figure(&self, metric: &str) -> Option<f64> {
        self.over_blocks.iter().find(|o| o.metric == metric).map(|o| o.estimate)
    }

    /// Why deliveries were lost, each reason with its number; empty where none was.
    pub fn reasons(&self) -> Vec<(&'static str, u64)> {
        let l = &self.lost;
        let all = [
            ("all attempts failed", l.attempts),
            ("the event had left the publisher's log", l.log),
            ("the queue at the publisher was full", l.queue),
            ("the subscription was ended with a 410", l.gone),
            ("the publisher was restarted and had not kept the event", l.restart),
            ("the receiver was away, and nothing is kept for it", l.away),
            ("still to be tried again when the trial ended", l.open),
            ("unexplained", l.unexplained),
        ];
        all.into_iter().filter(|(_, n)| *n > 0).collect()
    }
}

/// What to know of what an arm lost.
pub(super) fn notes(arm: &ArmFigures, guarantee: &Guarantee) -> Vec<Note> {
    let Some(g) = &arm.guarantee else { return Vec::new() };
    let note = |text: String| {
        Note::of(&arm.arm, text)
            .on(|m| begins(m, &["lost_share"]) || m.name == "recovery.caught_up")
    };
    let of_all = |n: u64| format!("{} of {} deliveries", count(n), count(g.due));
    let mut notes = Vec::new();
    if g.lost.unexplained > 0 {
        notes.push(note(format!("{} were lost for no known reason", of_all(g.lost.unexplained))));
    }
    if g.lost.restart > 0 && !guarantee.durable {
        notes.push(note(format!(
            "{} were lost because the publisher was restarted and is not durable: it keeps events in memory only (guarantee.durable)",
            of_all(g.lost.restart)
        )));
    }
    if g.lost.log > 0 {
        notes.push(note(format!(
            "{} were lost because the publisher's log of {} events was too small: raise guarantee.log",
            of_all(g.lost.log),
            count(guarantee.log as u64)
        )));
    }
    notes
}

/// What was lost, what came twice, and how long it took until all was well: one sentence an arm.
pub(super) fn sentences(arms: &[ArmFigures]) -> Vec<String> {
    let sentence = |a: &ArmFigures| Some(format!("{}: {}.", a.arm, words(a.guarantee.as_ref()?)));
    arms.iter().filter_map(sentence).collect()
}

fn words(g: &GuaranteeFigures) -> String {
    let counts = &g.counts;
    let mut parts = Vec::new();
    let reasons: Vec<String> =
        g.reasons().into_iter().map(|(why, n)| format!("{}: {why}", count(n))).collect();
    let why = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join("; ")) };
    let lost = count(counts.lost_for_good);
    parts.push(format!("{lost} of {} deliveries were lost for good{why}", count(g.due)));
    if let (Some(twice), Some(seen), Some(out_of_order)) =
        (counts.duplicates_on_wire, counts.duplicates_to_application, counts.out_of_order)
    {
        let of_these = match (twice, seen) {
            (0, _) => String::new(),
            (_, 0) => ", all removed by the receiver".to_owned(),
            (_, seen) if seen == twice => ", all of them to the application".to_owned(),
            (_, seen) => format!(", {} of them to the application", count(seen)),
        };
        parts.push(format!("{} came twice{of_these}", count(twice)));
        parts.push(format!("{} came out of order", count(out_of_order)));
    } else {
        let unknown = "what came twice or out of order is not known: the receiver does not tell";
        parts.push(unknown.to_owned());
    }
    if let Some(fault) = &g.fault {
        let times = &counts.recovery_ns;
        let when = |what: &str, ns: Option<f64>, known: usize| match ns {
            Some(ns) => format!("{what} after {}", units::nanos_text(ns)),
            None => format!("{what} in {known} of {} blocks", fault.blocks),
        };
        let recovered = [
            when("events flowed again", times.first_event, fault.flowed_again),
            when("everything outstanding had arrived", times.caught_up, fault.caught_up),
            when("all receivers were back", times.all_back, fault.all_back),
        ];
        parts.push(format!("once the fault had ended, {}", recovered.join(", ")));
    }
    parts.join("; ")
}

/// What is counted, the verb of an arm that has it, what it has, and how the count is called.
pub(super) const COUNTED: [(&str, &str, &str, &str); 3] = [
    ("lost_share", "loses", "deliveries for good", "losses"),
    ("duplicates_per_delivery", "repeats", "deliveries", "duplicates"),
    ("out_of_order_share", "has", "deliveries out of order", "order"),
];

/// Times after a fault, with what an arm is sooner or later at.
pub(super) const RECOVERED: [(&str, &str); 3] = [
    ("recovery.first_event", "the first event after the fault"),
    ("recovery.caught_up", "the last outstanding event"),
    ("recovery.all_back", "the last receiver being back"),
];

/// `loses fewer deliveries for good`, where the verdict says so.
pub(super) fn claim(c: &Comparison, verb: &str, what: &str, equal: &str) -> Option<String> {
    match c.verdict {
        Verdict::Better => Some(format!("{verb} fewer {what}")),
        Verdict::Worse => Some(format!("{verb} more {what}")),
        Verdict::Equivalent => Some(format!("is equivalent in {equal}")),
        _ => None,
    }
}

fn count(n: u64) -> String {
    units::count(n as f64)
}
