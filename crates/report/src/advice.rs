//! The result of `pushbench advise`: what is recommended, why, what would change it.

use crate::layout::{self, BOLD, Look};
use crate::markdown;
use crate::visible::line;
use pushbench_analysis::advice::{Advice, Because, Change, Code, Cost, Excluded, Source};
use pushbench_core::evidence::Setting;
use pushbench_core::units::{bytes, money, span_text};
use pushbench_core::workload::{Recipients, Workload};
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
            format!("It does not matter: {} or {equal}; choose what your team knows", name(pick))
        }
        ([pick, ..], false) if !equal.is_empty() => {
            format!("Recommended: {}; {equal} is as good", name(pick))
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
    let measured = if change.measured { " (measured there)" } else { "" };
    format!("{} = {at}: {to}{measured}", change.key)
}

/// Two significant digits, without an exponent.
fn cpus(value: f64) -> String {
    const LEAST: f64 = 0.0001;
    match value {
        v if v < LEAST => format!("< {LEAST}"),
        v => format!("{v:.0$}", (1.0 - v.log10().floor()).max(0.0) as usize),
    }
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
        "CPU figures from",
        "age figures from",
    ];
    let prices = &advice.workload.prices;
    let priced = !prices.is_empty();
    let mut head = head.map(str::to_owned).to_vec();
    let currency = match prices.currency.as_str() {
        "" => String::new(),
        currency => format!(", {currency}"),
    };
    head.extend(priced.then(|| format!("a month{currency}")));
    let month = |cost: &Cost| match (cost.month, cost.month_ci95) {
        (Some(sum), Some([low, high])) => {
            format!("{} [{}, {}]", money(sum), money(low), money(high))
        }
        (Some(sum), None) => money(sum),
        (None, _) => NONE.to_owned(),
    };
    let row = |cost: &Cost| {
        let known = |value: Option<String>| value.unwrap_or_else(|| NONE.to_owned());
        let interval = cost.cpus_ci95.map(|[low, high]| format!("[{}, {}]", cpus(low), cpus(high)));
        let mut row = vec![
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
            known(cost.age_run.clone()),
        ];
        row.extend(priced.then(|| month(cost)));
        row
    };
    std::iter::once(head).chain(advice.costs.iter().map(row)).collect()
}

/// `1 receiver`, `2 receivers`.
fn many(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A load in words.
fn setting(s: &Setting) -> String {
    let rate = s.rate.map_or("as many events".to_owned(), |rate| format!("{rate:.0} events"));
    let who = match (s.deep, s.acknowledged) {
        (true, _) => format!("1 receiver, {} events in flight", s.in_flight),
        (false, true) => format!("{}, acknowledged", many(s.receivers, "subscriber")),
        (false, false) => format!("{}, not acknowledged", many(s.receivers, "subscriber")),
    };
    format!("{who}, {rate} a second, {} bytes each", s.payload_bytes)
}

/// What was asked.
fn workload(w: &Workload) -> Vec<String> {
    let time = |time: std::time::Duration| span_text(time.as_nanos() as f64);
    let each = match w.recipients() {
        Recipients::All => "to every receiver",
        Recipients::One => "to one receiver each",
    };
    let split = w.split.map_or(String::new(), |(public, nat)| {
        format!(" ({public} public servers, {nat} behind NAT)")
    });
    let outage = w.outage.map_or(String::new(), |o| format!(", outages of {}", time(o)));
    let also = [
        (w.durable, ", durable"),
        (w.ordered, ", ordered"),
        (!w.always_on, ", receivers not always on"),
    ];
    let also: String = also.iter().filter(|(is, _)| *is).map(|(_, text)| *text).collect();
    let tls = if w.tls { "over TLS" } else { "without TLS" };
    vec![
        format!(
            "{} events a second {each}, {} times the rate in a burst, {} bytes each, {}",
            w.rate, w.burst_factor, w.payload_bytes, w.direction
        ),
        format!("{}: {}{split}; proxy: {}", many(w.count, "receiver"), w.place, w.proxy),
        format!(
            "at most {} old, {}{outage}{also}; {tls}, sender known by: {}",
            time(w.freshness),
            w.promise.words(),
            w.sender
        ),
    ]
}

/// What a program takes that only receives.
fn code(code: &Code) -> String {
    let known = |n: Option<usize>| n.map_or("an unknown number of".to_owned(), |n| n.to_string());
    format!(
        "{}, received on {}: {} lines of code, {} packages (of the shipped target, which only receives and has none of these duties)",
        code.transport,
        code.stack,
        known(code.lines_of_code),
        known(code.packages)
    )
}

fn changes(advice: &Advice) -> Vec<String> {
    match (&advice.would_change[..], &advice.recommendation[..]) {
        ([], [_, ..]) => vec![
            "nothing: rate, burst, number of receivers and freshness may be a million times as large or small".to_owned(),
        ],
        (changes, _) => changes.iter().map(change).collect(),
    }
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
        ("The workload", workload(&advice.workload)),
        ("Because", advice.because.iter().map(reason).collect()),
        ("Excluded", advice.excluded.iter().map(exclusion).collect()),
        ("The nearest that could be satisfied", advice.nearest.iter().map(change).collect()),
        (
            "What you have to build",
            duties.flatten().chain(advice.code.iter().map(code)).collect::<Vec<_>>(),
        ),
        ("What would change it", changes(advice)),
        ("Assumed", advice.assumed.clone()),
        ("Not measured", advice.not_measured.clone()),
    ];
    let source = |source: &Source| {
        let run = &source.run;
        let stored = if run.own { "measured now" } else { "stored" };
        let day = run.began.split('T').next().unwrap_or_default();
        let load = source.setting.map_or(String::new(), |s| format!(" with {}", setting(&s)));
        format!("{}: {stored}{load}; pushbench {}, {day}, {}", run.dir, run.version, run.cpu)
    };
    lists.push(("Figures from", advice.runs.iter().map(source).collect()));
    lists.retain(|(_, lines)| !lines.is_empty());
    lists
}

/// As on the terminal.
pub fn text(advice: &Advice, look: Look) -> String {
    let mut out = look.wrap(&line(&advice.workload.name), 2);
    out.push_str(&look.wrap(&look.paint(BOLD, &line(&verdict(advice))), 2));
    for (heading, lines) in lists(advice) {
        let _ = writeln!(out, "\n{}", look.paint(BOLD, heading));
        for item in lines {
            out.push_str(&look.wrap(&format!("- {}", line(&item)), 2));
        }
        if heading == "Because" && !advice.costs.is_empty() {
            let _ = writeln!(out, "\n{}", layout::table(&costs(advice), 1, 2, look).trim_end());
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
