//! The closing sentence of a run over every combination of verdicts: each claim is looked up in the
//! comparison that it speaks of.

use crate::compare::sample::ratios;
use crate::compare::{Comparison, Verdict, compare, sentence};

const VERDICTS: [Verdict; 6] = [
    Verdict::Better,
    Verdict::Worse,
    Verdict::Equivalent,
    Verdict::Inconclusive,
    Verdict::Overloaded,
    Verdict::Invalid,
];

/// A metric, its words when it claims that the candidate is better or worse, and its name when
/// nothing can be small_is_stated.
struct Claim {
    metric: &'static str,
    better: &'static str,
    worse: &'static str,
    equivalent: &'static str,
    unclear: &'static str,
    /// Where it is better, the ratio is below 1.
    less_is_better: bool,
}

const OPEN: [Claim; 3] = [
    Claim {
        metric: "response.p50",
        better: "sooner at the median",
        worse: "later at the median",
        equivalent: "is equivalent at the median",
        unclear: "the median",
        less_is_better: true,
    },
    Claim {
        metric: "response.p99",
        better: "sooner at p99",
        worse: "later at p99",
        equivalent: "is equivalent at p99",
        unclear: "p99",
        less_is_better: true,
    },
    CPU,
];

const CPU: Claim = Claim {
    metric: "target_usage.cpu_ns_per_event",
    better: "less target CPU per event",
    worse: "more target CPU per event",
    equivalent: "is equivalent in target CPU per event",
    unclear: "target CPU",
    less_is_better: true,
};

/// Service time and throughput of a closed loop are one quantity: only throughput is claimed.
const CLOSED: [Claim; 2] = [
    Claim {
        metric: "throughput",
        better: "more events a second",
        worse: "fewer events a second",
        equivalent: "is equivalent in events a second",
        unclear: "throughput",
        less_is_better: false,
    },
    CPU,
];

/// The comparison of one metric with this verdict, its figures on the side that the verdict names.
fn comparison(claim: &Claim, verdict: Verdict, matters: bool, like: &Comparison) -> Comparison {
    let better = verdict != Verdict::Worse;
    let less = better == claim.less_is_better;
    let ratio = if less { 0.8 } else { 1.25 };
    let none = matches!(verdict, Verdict::Overloaded | Verdict::Invalid);
    let figure = |v: f64| (!none).then_some(v);
    Comparison {
        metric: claim.metric,
        ratio: figure(ratio),
        ci95: (!none).then_some([ratio - 0.01, ratio + 0.01]),
        difference: figure(if less { -20_000.0 } else { 25_000.0 }),
        verdict,
        matters,
        ..like.clone()
    }
}

fn holds(said: &str, claim: &Claim, comparison: &Comparison) {
    let verdict = comparison.verdict;
    // A slower candidate is not small_is_stated as a faster one, and an open question not as a difference.
    for (words, claimed) in [
        (claim.better, Verdict::Better),
        (claim.worse, Verdict::Worse),
        (claim.equivalent, Verdict::Equivalent),
    ] {
        assert_eq!(said.contains(words), verdict == claimed, "{words:?}, {verdict:?}: {said}");
    }
    if let Some(at) = said.find(claim.better).or(said.find(claim.worse)) {
        let small = said[at..].split(" and ").next().unwrap().split(", ").next().unwrap();
        let small_is_stated = small.contains("too little to matter");
        assert_eq!(small_is_stated, !comparison.matters, "{verdict:?}: {said}");
    }
    let unclear = said.split("cannot tell: ").nth(1).unwrap_or_default();
    let listed = unclear.trim_end_matches('.').split(", ").any(|name| name == claim.unclear);
    let open = matches!(verdict, Verdict::Inconclusive | Verdict::Invalid);
    assert!(!open || listed, "{verdict:?}: {said}");
    assert!(open || !listed || verdict == Verdict::Overloaded, "{verdict:?}: {said}");
}

#[test]
fn every_claim_is_one_of_the_comparisons() {
    for (closed, claims) in [(false, OPEN.as_slice()), (true, &CLOSED)] {
        let mut run = ratios(0.8, 0.5);
        let load = &mut run.header.points[0].scenario.load;
        load.rate = load.rate.filter(|_| !closed);
        let report = compare(&run);
        let like = report.points[0].comparisons[0].clone();
        let trials = crate::compare::Trials::of(&run, 0);
        for number in 0..(VERDICTS.len() * 2).pow(claims.len() as u32) {
            let mut left = number;
            let mine: Vec<Comparison> = claims
                .iter()
                .map(|claim| {
                    let (matters, verdict) = (left % 2 == 0, VERDICTS[left / 2 % 6]);
                    left /= 12;
                    comparison(claim, verdict, matters, &like)
                })
                .collect();
            let header = &run.header.points[0];
            let said =
                sentence::closing(header, &report.points[0].arms, (&mine, &[]), &trials).join(" ");
            for (claim, comparison) in claims.iter().zip(&mine) {
                holds(&said, claim, comparison);
            }
            let claimed = |c: &Comparison| {
                matches!(c.verdict, Verdict::Better | Verdict::Worse | Verdict::Equivalent)
            };
            let none = !mine.iter().any(claimed);
            assert_eq!(said.contains("no difference can be claimed"), none, "{said}");
            assert!(!closed || !said.contains("sooner") && !said.contains("later"), "{said}");
        }
    }
}
