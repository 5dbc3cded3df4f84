//! What the intervals support, in words: never more (law 7), and of what was measured (law 8).

use crate::compare::{ArmFigures, Comparison, LayerCost, Trials, Verdict, cpu_measured, findings};
use crate::compare::{delayed_ack, guarantee};
use crate::validity::saturated;
use pushbench_core::record::run::PointHeader;
use pushbench_core::record::trial::Trial;
use pushbench_core::remedy::Try;
use pushbench_core::scenario::Arrivals;
use pushbench_core::units;

/// The rate suggested for an overloaded arm, as a share of what it completed.
const SAFE_SHARE: f64 = 0.7;

/// The closing sentences: one for each other arm, against the first or against the same arm without its layers.
pub fn closing(
    header: &PointHeader,
    arms: &[ArmFigures],
    (comparisons, layers): (&[Comparison], &[LayerCost]),
    trials: &Trials<'_>,
) -> Vec<String> {
    if trials.valid.is_empty() {
        return vec![no_valid_block(arms, trials)];
    }
    let mut sentences = Vec::new();
    let overloaded: Vec<&ArmFigures> = arms.iter().filter(|a| a.overloaded).collect();
    let ramp = matches!(header.scenario.load.arrivals, Arrivals::Ramp { .. });
    if !overloaded.is_empty() {
        sentences.push(match ramp {
            false => overload(&overloaded),
            true => "The ramp exceeds the capacity of an arm: latencies are compared by step only."
                .into(),
        });
    }
    sentences.extend(findings::of_arms(&header.scenario, arms));
    sentences.extend(guarantee::sentences(arms));
    for arm in arms.iter().skip(1) {
        // What a layer costs is said of the transport that has it.
        let (baseline, all) = match layers.iter().find(|cost| cost.candidate == arm.arm) {
            Some(cost) => (&cost.baseline, &cost.comparisons[..]),
            None => (&arms[0].arm, comparisons),
        };
        let mine: Vec<&Comparison> = all.iter().filter(|c| c.candidate == arm.arm).collect();
        sentences.push(against(header, baseline, &arm.arm, &mine));
    }
    if arms.len() == 1 {
        sentences.push(format!("{} was measured alone: nothing is compared.", arms[0].arm));
    }
    sentences
}

fn no_valid_block(arms: &[ArmFigures], trials: &Trials<'_>) -> String {
    if let Some(sentence) = driver_at_its_limit(trials).or_else(|| driver_stopped(trials)) {
        return sentence;
    }
    match arms.iter().find(|a| a.trials > 0 && a.invalid == a.trials) {
        Some(arm) => format!("{} has no valid trial: nothing is compared.", arm.arm),
        None if trials.all.is_empty() => "No trial was finished: nothing is compared.".to_owned(),
        None => "No block is valid: nothing is compared.".to_owned(),
    }
}

/// Where the driver itself is why no block is valid.
fn driver_at_its_limit(trials: &Trials<'_>) -> Option<String> {
    let at_limit: Vec<&Trial> = trials
        .all
        .iter()
        .copied()
        .filter(|t| t.offered_per_second.is_some() && saturated(t).is_some())
        .collect();
    let invalid = trials.all.iter().filter(|t| !t.is_valid()).count();
    let completed = |t: &&Trial| t.account.acknowledged_by_end as f64 / (t.window_ns as f64 / 1e9);
    let lowest = at_limit.iter().map(completed).reduce(f64::min)?;
    (at_limit.len() * 2 > invalid).then(|| {
        let offered = at_limit.iter().filter_map(|t| t.offered_per_second).fold(f64::MAX, f64::min);
        let lower = Try::Rate.below(try_rate(lowest), offered);
        let lower = lower.map_or(String::new(), |option| format!("try {option}, or "));
        format!(
            "The driver was at its own limit, so nothing is compared: {lower}give it more CPUs (--cpus)."
        )
    })
}

/// Where a pause of the driver is why no block is valid.
fn driver_stopped(trials: &Trials<'_>) -> Option<String> {
    let invalid = trials.all.iter().filter(|t| !t.is_valid()).count();
    let stopped = trials.all.iter().filter(|t| t.paused_ns().is_some()).count();
    (stopped > 0 && stopped * 2 > invalid).then(|| {
        "The driver was stopped during the measurement, so nothing is compared: run it again without pausing the process or the machine."
            .to_owned()
    })
}

fn overload(arms: &[&ArmFigures]) -> String {
    let names = |arms: &[&ArmFigures]| {
        arms.iter().map(|a| a.arm.as_str()).collect::<Vec<_>>().join(" and ")
    };
    let (waiting, slow): (Vec<&ArmFigures>, Vec<&ArmFigures>) =
        arms.iter().copied().partition(|a| a.answers_wait_for_acknowledgement);
    let text = format!("{} overloaded, so latencies are not compared", names(arms));
    if !waiting.is_empty() {
        // A lower rate would not make it faster.
        let mut text = format!(
            "{text}; no CPU is busy: each answer of {} waits 40 ms for a delayed acknowledgement: {}.",
            names(&waiting),
            delayed_ack::CURE
        );
        if !slow.is_empty() {
            text.push_str(&format!(" For {}: {}.", names(&slow), rate_advice(&slow)));
        }
        return text;
    }
    format!("{text}; {}.", rate_advice(arms))
}

fn rate_advice(arms: &[&ArmFigures]) -> String {
    let lowest = arms.iter().filter_map(|a| a.throughput_per_second).reduce(f64::min);
    let offered = arms[0].offered_per_second.unwrap_or(0.0);
    let lower = Try::Rate.below(lowest.map_or(1, try_rate), offered);
    let lower = lower.map_or(String::new(), |option| format!(": try {option}"));
    match lowest {
        Some(t) if t * SAFE_SHARE >= 1.0 => {
            format!("it completed {} of {offered}/s{lower}", units::rate(t))
        }
        _ => format!("it completed next to nothing of {offered}/s{lower}"),
    }
}

/// A rate that a target completing `t` events a second should hold, in two digits.
pub(crate) fn try_rate(t: f64) -> u64 {
    let safe = (t * SAFE_SHARE).max(1.0);
    let step = 10f64.powf(safe.log10().floor() - 1.0).max(1.0);
    ((safe / step).floor() * step) as u64
}

fn against(header: &PointHeader, baseline: &str, arm: &str, mine: &[&Comparison]) -> String {
    let find = |name: &str| mine.iter().find(|c| c.metric == name).copied();
    let mut claims = Vec::new();
    let mut unclear = Vec::new();
    let fans_out = header.scenario.subscribers.is_some();
    // A closed loop judges no latency.
    let latencies: &[(&str, &str)] = match fans_out {
        true => &[
            ("delivery.p50", "the median"),
            ("delivery.p99", "p99"),
            ("last.p50", "the last subscriber's median"),
        ],
        false => &[("response.p50", "the median"), ("response.p99", "p99")],
    };
    let verb = if fans_out { "delivers" } else { "answers" };
    for (metric, what) in latencies {
        match find(metric) {
            Some(c) if c.verdict == Verdict::Overloaded => {}
            Some(c) => note(&mut claims, &mut unclear, latency_claim(c, verb, what), what),
            None => {}
        }
    }
    for (metric, verb, what, called) in guarantee::COUNTED {
        if let Some(c) = find(metric) {
            note(&mut claims, &mut unclear, guarantee::claim(c, verb, what, called), called);
        }
    }
    for (metric, what) in guarantee::RECOVERED {
        match find(metric) {
            Some(c) if c.verdict == Verdict::Overloaded => {}
            Some(c) => note(&mut claims, &mut unclear, latency_claim(c, "is", what), what),
            None => {}
        }
    }
    if let Some(c) = find("throughput") {
        note(
            &mut claims,
            &mut unclear,
            relative_claim(c, "events a second", "more", "fewer"),
            "throughput",
        );
    }
    if let Some(c) = find("target_usage.cpu_ns_per_event") {
        let claim = relative_claim(c, "target CPU per event", "more", "less");
        note(&mut claims, &mut unclear, claim, "target CPU");
    }
    for (metric, what) in [
        ("target_usage.cpu_ns_per_delivery", "target CPU per delivery"),
        ("target_usage.bytes_per_subscriber", "target memory per subscriber"),
        ("target_usage.cpu_ns_per_subscriber_minute", "target CPU per idle subscriber"),
    ] {
        if let Some(c) = find(metric) {
            note(&mut claims, &mut unclear, relative_claim(c, what, "more", "less"), what);
        }
    }
    let mut sentence = match claims.is_empty() {
        true => format!("{arm} against {baseline}: no difference can be claimed"),
        false => format!("{arm} {}", join(&claims)),
    };
    if !claims.is_empty() {
        sentence.push_str(&format!(" (against {baseline})"));
    }
    if !unclear.is_empty() {
        sentence.push_str(&format!("; cannot tell: {}", unclear.join(", ")));
    }
    sentence.push('.');
    sentence
}

fn note(
    claims: &mut Vec<String>,
    unclear: &mut Vec<&'static str>,
    claim: Option<String>,
    what: &'static str,
) {
    match claim {
        Some(claim) => claims.push(claim),
        None => unclear.push(what),
    }
}

fn latency_claim(c: &Comparison, verb: &str, what: &str) -> Option<String> {
    let difference = c.difference?;
    let small = if c.matters { "" } else { " (too little to matter)" };
    let by = units::nanos_text(difference.abs());
    match c.verdict {
        Verdict::Better => Some(format!("{verb} {by} sooner at {what}{small}")),
        Verdict::Worse => Some(format!("{verb} {by} later at {what}{small}")),
        Verdict::Equivalent => Some(format!("is equivalent at {what}")),
        _ => None,
    }
}

fn relative_claim(c: &Comparison, what: &str, more: &str, less: &str) -> Option<String> {
    let ratio = c.ratio?;
    let small = if c.matters { "" } else { " (too little to matter)" };
    let how = c.design.map_or(String::new(), |design| format!(" when {}", cpu_measured(design)));
    let percent = (ratio - 1.0).abs() * 100.0;
    let by = if ratio > 2.0 {
        format!("{ratio:.1}× the")
    } else {
        format!("{percent:.0} % {}", if ratio > 1.0 { more } else { less })
    };
    let verb = if what.starts_with("events") { "completes" } else { "uses" };
    match c.verdict {
        Verdict::Better | Verdict::Worse => Some(format!("{verb} {by} {what}{how}{small}")),
        Verdict::Equivalent => Some(format!("is equivalent in {what}{how}")),
        _ => None,
    }
}

fn join(claims: &[String]) -> String {
    match claims {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::compare;
    use crate::compare::sample::ratios;

    /// Words that claim a difference.
    const CLAIMS: [&str; 6] = ["sooner", "later", "more", "fewer", "less", "×"];

    #[test]
    fn nothing_is_claimed_without_a_verdict_that_does() {
        use Verdict::{Better, Equivalent, Inconclusive, Invalid, Overloaded, Worse};
        let all = [Better, Worse, Equivalent, Inconclusive, Overloaded, Invalid];
        for (closed, metrics) in [
            (false, ["response.p50", "response.p99", "target_usage.cpu_ns_per_event"].as_slice()),
            (true, &["throughput", "target_usage.cpu_ns_per_event"]),
        ] {
            let mut run = ratios(0.8, 0.5);
            let load = &mut run.header.points[0].scenario.load;
            load.rate = load.rate.filter(|_| !closed);
            let judged = compare(&run).points.remove(0).comparisons;
            // Each combination of verdicts, whatever the numbers are.
            for number in 0..all.len().pow(metrics.len() as u32) {
                let verdicts = [number % 6, number / 6 % 6, number / 36].map(|v| all[v]);
                let verdicts = &verdicts[..metrics.len()];
                let with = |(name, verdict): (&&str, &Verdict)| {
                    let mut c = judged.iter().find(|c| c.metric == *name).unwrap().clone();
                    c.verdict = *verdict;
                    c
                };
                let mine: Vec<Comparison> = metrics.iter().zip(verdicts).map(with).collect();
                let text =
                    against(&run.header.points[0], "a", "b", &mine.iter().collect::<Vec<_>>());
                let claims = CLAIMS.iter().any(|word| text.contains(word));
                let supported = verdicts.iter().any(|v| matches!(v, Better | Worse));
                assert_eq!(claims, supported, "{verdicts:?}: {text}");
                let equal = verdicts.contains(&Equivalent);
                assert_eq!(text.contains("equivalent"), equal, "{verdicts:?}: {text}");
                let none = !supported && !equal;
                assert_eq!(text.contains("no difference can be claimed"), none, "{text}");
            }
        }
    }

    #[test]
    fn the_rate_to_try_is_safe_and_round() {
        assert_eq!(try_rate(980.0), 680);
        assert_eq!(try_rate(12_345.0), 8_600);
        assert_eq!(try_rate(1.2), 1);
        for t in [1.0f64, 3.0, 17.0, 99.0, 1e5] {
            assert!(try_rate(t) as f64 <= (t * SAFE_SHARE).max(1.0));
        }
    }
}
