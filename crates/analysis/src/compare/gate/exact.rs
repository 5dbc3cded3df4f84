//! What is counted, not estimated: outcomes, order, connections, bytes, keeping up.

use crate::compare::gate::pairs::Pairs;
use crate::compare::gate::{Exact, FEWEST, Outcome};
use crate::stats::counts::{by_chance, by_chance_in_blocks};
use pushbench_core::record::trial::Trial;

/// Bytes and connections per event may grow by this much: hand-shakes of replaced connections spread
/// over however many events a block happened to have.
const ROUNDING: f64 = 0.01;
/// Where the base fails events, too, a candidate must fail so many more that chance would bring them
/// this seldom.
const CHANCE: f64 = 0.001;

/// Without events, a count of 0 means nothing.
const NO_EVENT: &str = "no event was sent";

/// A count over trials; `None` where it cannot be counted.
type Count = fn(&Trial) -> Option<u64>;

/// Outcomes and order: none is fine, some that repeat are not.
const COUNTS: [(&str, Count); 6] = [
    ("failed", |t| Some(t.account.measured.failed)),
    ("timed out", |t| Some(t.account.measured.timed_out)),
    ("lost", |t| Some(t.account.measured.lost)),
    ("duplicated", |t| t.account.duplicated),
    ("reordered", |t| t.account.reordered),
    ("unsolicited", |t| Some(t.account.unsolicited)),
];

/// Per event: the same programs show the same.
const RATES: [(&str, Count); 3] = [
    ("connections per event", |t| Some(t.account.connections)),
    ("bytes to the target per event", |t| Some(t.account.traffic.bytes_out)),
    ("bytes from the target per event", |t| Some(t.account.traffic.bytes_in)),
];

/// Every count of one pair.
pub fn all(pairs: &Pairs<'_>) -> Vec<Exact> {
    let counts = COUNTS.iter().map(|(what, count)| counted(pairs, what, *count));
    let rates = RATES.iter().map(|(what, count)| rated(pairs, what, *count));
    std::iter::once(keeping_up(pairs)).chain(counts).chain(rates).collect()
}

/// The arm completed less than it was offered in most blocks.
pub fn overloaded(trials: &[&Trial]) -> bool {
    2 * trials.iter().filter(|t| t.judged.overloaded).count() > trials.len()
}

/// In how many blocks something must have happened to the candidate alone before it is its own doing: a stall of the
/// machine strikes any arm. Where each of three arms meets such a stall equally often, three blocks of the candidate and
/// none of the two others come by chance in 1.1 % of the gates at most.
const OFTEN: u64 = 3;
/// What happened in fewer blocks of the candidate passes after so many blocks without it.
pub(super) const NOT_AGAIN: usize = FEWEST;
/// More blocks change nothing where chance would let this happen only to the candidate this seldom.
const BEYOND_DOUBT: f64 = 0.00001;
/// The count that depends on the machine's day.
pub(crate) const KEEPING_UP: &str = "share of blocks overloaded";

/// A machine that is busy with something else makes every arm fall behind now and then: the candidate
/// fails where it does so in most blocks and what is known never did, or beyond chance.
fn keeping_up(pairs: &Pairs<'_>) -> Exact {
    let behind = |trials: &[&Trial]| {
        (trials.iter().filter(|t| t.judged.overloaded).count() as u64, trials.len() as u64)
    };
    let share = |(n, of): (u64, u64)| (of > 0).then(|| n as f64 / of as f64);
    let (base, candidate) = (behind(&pairs.base), behind(&pairs.candidate));
    let null = pairs.null.as_ref().map(|(_, null)| behind(null));
    let again = null.filter(|_| pairs.paired).unwrap_or_default();
    let known = (base.0 + again.0, base.1 + again.1);
    let most = |(n, of): (u64, u64)| 2 * n > of;
    let chance = by_chance_in_blocks(candidate, known);
    let certain = known.0 == 0 && candidate.0 >= OFTEN || chance < CHANCE;
    let (outcome, why) = match (most(base), most(candidate)) {
        (true, _) => (
            Outcome::CannotTell,
            Some("the base is overloaded: try a lower rate (--set load.rate=…)"),
        ),
        (false, true) if certain => {
            (Outcome::Regression, Some("the base keeps up, the candidate does not"))
        }
        (false, true) => (
            Outcome::CannotTell,
            Some(
                "the base is overloaded in some blocks, too: try a lower rate (--set load.rate=…)",
            ),
        ),
        (false, false) => (Outcome::Passed, None),
    };
    let shares = [share(base), share(candidate), null.and_then(share)];
    Exact {
        decisive: known.0 == 0 && chance < BEYOND_DOUBT && outcome == Outcome::Regression,
        ..row(pairs, KEEPING_UP, shares, outcome, why)
    }
}

fn counted(pairs: &Pairs<'_>, what: &'static str, count: Count) -> Exact {
    let sum = |trials: &[&Trial]| trials.iter().map(|t| count(t)).sum::<Option<u64>>();
    let due = |trials: &[&Trial]| trials.iter().map(|t| t.account.measured.due).sum::<u64>();
    let (base, candidate) = (sum(&pairs.base), sum(&pairs.candidate));
    let again = pairs.null.as_ref().map(|(_, null)| null);
    let null = again.and_then(|null| sum(null));
    // Against a stored run the null is the candidate measured again, which gives no information about the base.
    let again = again.filter(|_| pairs.paired);
    let known = base.unwrap_or(0) + again.and_then(|null| sum(null)).unwrap_or(0);
    let known_due = due(&pairs.base) + again.map_or(0, |null| due(null));
    if due(&pairs.base) == 0 || due(&pairs.candidate) == 0 {
        return row(pairs, what, [None; 3], Outcome::CannotTell, Some(NO_EVENT));
    }
    let known_blocks = pairs.base.len() + again.map_or(0, Vec::len);
    let (outcome, why, decisive) = match (base, candidate) {
        (Some(_), Some(0)) => (Outcome::Passed, None, false),
        (Some(_), Some(_)) if known == 0 => only_candidate(&pairs.candidate, known_blocks, count),
        (Some(_), Some(n)) => {
            let chance = by_chance((n, due(&pairs.candidate)), (known, known_due));
            match chance < CHANCE {
                true => (
                    Outcome::Regression,
                    Some("more than the base's own count and chance explain".to_owned()),
                    chance < BEYOND_DOUBT,
                ),
                false => {
                    let why = "within chance of the base's own count";
                    (Outcome::Passed, Some(why.to_owned()), false)
                }
            }
        }
        (Some(_), None) => {
            let why = "can no longer be counted: answers no longer carry an id";
            (Outcome::Regression, Some(why.to_owned()), true)
        }
        (None, _) => (Outcome::Passed, None, false),
    };
    let float = |n: Option<u64>| n.map(|n| n as f64);
    let counts = [float(base), float(candidate), float(null)];
    Exact { decisive, why, ..row(pairs, what, counts, outcome, None) }
}

/// What happened to the candidate and never to the base or the null. Once may be the machine: it has to repeat.
fn only_candidate(
    candidate: &[&Trial],
    known_blocks: usize,
    count: Count,
) -> (Outcome, Option<String>, bool) {
    let happened = |t: &&Trial| count(t).is_some_and(|n| n > 0);
    let blocks = candidate.iter().filter(|t| happened(t)).count() as u64;
    let since = candidate.iter().rev().take_while(|t| !happened(t)).count();
    let of = candidate.len() as u64;
    let chance = by_chance_in_blocks((blocks, of), (0, known_blocks as u64));
    if blocks >= OFTEN {
        let why = format!("in {blocks} blocks, and in none of the base");
        return (Outcome::Regression, Some(why), chance < BEYOND_DOUBT);
    }
    let in_blocks = if blocks == 1 { "in 1 block" } else { "in 2 blocks" };
    match since >= NOT_AGAIN {
        true => (Outcome::Passed, Some(format!("{in_blocks}, and not again in {since}")), false),
        false => {
            let why = format!("{in_blocks} only: it fails if it repeats");
            (Outcome::CannotTell, Some(why), false)
        }
    }
}

fn rated(pairs: &Pairs<'_>, what: &'static str, count: Count) -> Exact {
    let rate = |trials: &[&Trial]| {
        let total = trials.iter().map(|t| count(t)).sum::<Option<u64>>()? as f64;
        let sent = trials.iter().map(|t| t.account.sent).sum::<u64>();
        (sent > 0).then(|| total / sent as f64)
    };
    let null = pairs.null.as_ref().map(|(first, second)| (rate(first), rate(second)));
    let spread = match null {
        Some((Some(first), Some(second))) if first > 0.0 => (second / first - 1.0).abs(),
        _ => 0.0,
    };
    let (base, candidate) = (rate(&pairs.base), rate(&pairs.candidate));
    let (outcome, why) = match (base, candidate) {
        _ if spread > ROUNDING => (Outcome::CannotTell, Some("the base differs from itself")),
        (Some(b), Some(c)) if c > b * (1.0 + ROUNDING) => {
            (Outcome::Regression, Some("more by over 1 %"))
        }
        (Some(_), Some(_)) => (Outcome::Passed, None),
        _ => (Outcome::CannotTell, Some(NO_EVENT)),
    };
    row(pairs, what, [base, candidate, null.and_then(|n| n.1)], outcome, why)
}

fn row(
    pairs: &Pairs<'_>,
    what: &'static str,
    [base, candidate, null]: [Option<f64>; 3],
    outcome: Outcome,
    why: Option<&str>,
) -> Exact {
    let (setting, transport) = (pairs.setting.clone(), pairs.transport.clone());
    let why = why.map(str::to_owned);
    let decisive = outcome == Outcome::Regression;
    Exact { setting, transport, what, base, candidate, null, outcome, why, decisive }
}
