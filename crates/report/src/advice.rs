//! The result of `pushbench advise`: what is recommended, why, what would change it.

use crate::layout::{self, BOLD, Look};
use crate::markdown;
use crate::visible::line;
use pushbench_analysis::advice::{Advice, Because, Change, Cost, Excluded};
use pushbench_core::units::{bytes, span_text};
use std::fmt::Write as _;

/// What is printed where no figure is known.
const NONE: &str = "not measured";

/// The recommendation in a sentence.
pub(crate) fn verdict(advice: &Advice) -> String {
    let equal = advice.equal.join(" or ");
    let name = |pick: &str| pick.replace('+', " and ");
    match (&advice.recommendation[..], advice.does_not_matter) {
        ([], _) => "None: no transport satisfies this workload".to_owned(),
        ([pick, ..], true) => {
            format!("It does not matter: {} or {equal}; choose by what your team knows", name(pick))
        }
        ([pick, ..], false) if !equal.is_empty() => {
            format!("Recommended: {}; {equal} does as well", name(pick))
        }
        ([pick, ..], false) => format!("Recommended: {}", name(pick)),
    }
}

/// A reason with its source.
pub(crate) fn reason(because: &Because) -> String {
    match &because.run {
        Some(run) => format!("{} ({run})", because.sentence),
        None => because.sentence.clone(),
    }
}

pub(crate) fn exclusion(excluded: &Excluded) -> String {
    let run = excluded.run.as_ref().map_or(String::new(), |run| format!(", {run}"));
    format!("{}: {} ({}{run})", excluded.transport, excluded.because, excluded.key)
}

/// A value of a key at which something else is recommended.
pub(crate) fn change(change: &Change) -> String {
    let number = |at: &serde_json::Value| at.as_f64().map(|number| number.to_string());
    let at = change.at.as_str().map(str::to_owned).or_else(|| number(&change.at));
    let at = at.unwrap_or_default();
    let to = match &change.to[..] {
        [] => "nothing satisfies it".to_owned(),
        to => to.join(" or ").replace('+', " and "),
    };
    format!("{} = {at}: {to}", change.key)
}

/// Two significant digits, without an exponent.
fn cpus(value: f64) -> String {
    let digits = if value > 0.0 { (1.0 - value.log10().floor()).clamp(0.0, 9.0) } else { 0.0 };
    format!("{value:.0$}", digits as usize)
}

/// A row a transport.
pub(crate) fn costs(advice: &Advice) -> Vec<Vec<String>> {
    if advice.costs.is_empty() {
        return Vec::new();
    }
    let head = [
        "transport",
        "CPUs in a burst",
        "95 % interval",
        "pings and requests/s",
        "open connections",
        "memory of the sender",
        "age of an event",
        "figures from",
    ];
    let row = |cost: &Cost| {
        let known = |value: Option<String>| value.unwrap_or_else(|| NONE.to_owned());
        let interval = cost.cpus_ci95.map(|[low, high]| format!("[{}, {}]", cpus(low), cpus(high)));
        vec![
            cost.transport.to_owned(),
            known(cost.cpus.map(cpus)),
            known(interval),
            format!("{:.1}", cost.upkeep),
            cost.connections.to_string(),
            match cost.connections {
                0 => "–".to_owned(),
                _ => known(cost.memory_bytes.map(bytes)),
            },
            known(cost.age_ns.map(span_text)),
            known(cost.run.clone()),
        ]
    };
    std::iter::once(head.map(str::to_owned).to_vec()).chain(advice.costs.iter().map(row)).collect()
}

/// The lists that follow the verdict, each with its heading.
pub(crate) fn lists(advice: &Advice) -> Vec<(&'static str, Vec<String>)> {
    let duties = advice.duties.iter().flat_map(|duties| {
        let side = |who: &str, what: &[&str]| {
            (!what.is_empty()).then(|| format!("{}, {who}: {}", duties.transport, what.join("; ")))
        };
        [side("the sender", &duties.sender), side("each receiver", &duties.receiver)]
    });
    let mut lists = vec![
        ("Because", advice.because.iter().map(reason).collect()),
        ("Out of the question", advice.excluded.iter().map(exclusion).collect()),
        ("It would be satisfied with", advice.nearest.iter().map(change).collect()),
        ("Has to be written", duties.flatten().collect::<Vec<_>>()),
        ("Would change it", advice.would_change.iter().map(change).collect()),
        ("Assumed", advice.assumed.clone()),
        ("Not measured", advice.not_measured.clone()),
    ];
    let source = |run: &pushbench_core::evidence::Run| {
        let stored = if run.own { "measured now" } else { "stored" };
        let day = run.began.split('T').next().unwrap_or_default();
        format!("{}: {stored}, pushbench {}, {day}, {}", run.dir, run.version, run.cpu)
    };
    lists.push(("Figures from", advice.runs.iter().map(source).collect()));
    lists.retain(|(_, lines)| !lines.is_empty());
    lists
}

/// As on the terminal.
pub fn text(advice: &Advice, look: Look) -> String {
    let mut out = look.wrap(&look.paint(BOLD, &line(&verdict(advice))), 2);
    for (heading, lines) in lists(advice) {
        let _ = writeln!(out, "\n{}", look.paint(BOLD, heading));
        for item in lines {
            out.push_str(&look.wrap(&format!("- {}", line(&item)), 2));
        }
        if heading == "Because" {
            let _ = writeln!(out, "\n{}", layout::table(&costs(advice), 1, 1, look).trim_end());
        }
    }
    out
}

/// For a design document.
pub fn markdown(advice: &Advice) -> String {
    let mut out = format!("## {}\n\n", markdown::escape(&advice.workload.name));
    if !advice.workload.question.is_empty() {
        let _ = writeln!(out, "{}\n", markdown::paragraph(&advice.workload.question));
    }
    let _ = writeln!(out, "**{}**\n", markdown::escape(&verdict(advice)));
    for (heading, lines) in lists(advice) {
        let _ = writeln!(out, "### {heading}\n");
        for item in lines {
            let _ = writeln!(out, "- {}", markdown::escape(&item));
        }
        out.push('\n');
        if heading == "Because" {
            markdown::grid(&mut out, &costs(advice), 1);
        }
    }
    out
}

/// Schema 1.
pub fn json(advice: &Advice) -> String {
    let mut text = serde_json::to_string_pretty(advice).unwrap_or_default();
    text.push('\n');
    text
}
