//! The result of `pushbench scorecard`: five factors, the usual claim about each, and what the figures make of it.

use crate::layout::{BOLD, Look};
use crate::markdown;
use crate::visible::line;
use pushbench_analysis::scorecard::{Card, Factor, Line, Stance, Verdict};
use pushbench_core::units::nanos_text;
use std::fmt::Write as _;

/// Said wherever claims are shown.
pub(crate) const CLAIMS: &str = "A claim is borne out if answers agree and none speaks against it, contradicted if none agrees, and depends on the conditions otherwise. A difference is too small to matter below 1 ms of a latency and 5 % of anything else, unless the scenario says otherwise. The factors are those of the article \"Webhooks vs. Websockets: choosing the right approach in Python\". The claims are what is usually said under these headings, in our words.";

/// What was compared, for how long, and by what.
pub(crate) fn conditions(card: &Card) -> String {
    let record = &card.record;
    let cpu = record.machine.get("cpu").map_or("an unknown CPU", String::as_str);
    let cut = if record.complete { "" } else { ", cut short" };
    let sources = || record.measurements.iter().filter_map(|m| m.source.as_ref());
    let stored = match sources().filter(|source| source.stored).count() {
        0 => String::new(),
        stored => format!(", {stored} of {} measurements stored before", sources().count()),
    };
    format!(
        "{} and {}; {} form, {}{stored}{cut}; {cpu}, {} CPUs; pushbench {}, {}",
        record.webhook,
        record.websocket,
        record.form.name(),
        nanos_text(record.took_ns as f64),
        record.machine.get("cpus").map_or("?", String::as_str),
        record.version,
        record.began.split('T').next().unwrap_or_default()
    )
}

/// A factor's verdict with the answers that it rests on.
pub(crate) fn verdict(factor: &Factor) -> String {
    let mut parts = Vec::new();
    for (count, stance) in [
        (factor.agree, Stance::Agrees),
        (factor.disagree, Stance::Disagrees),
        (factor.too_small, Stance::TooSmall),
        (factor.cannot_tell, Stance::CannotTell),
    ] {
        parts.extend((count > 0).then(|| format!("{count} {}", stance.name())));
    }
    match (parts.is_empty(), factor.verdict) {
        (true, verdict) => verdict.name().to_owned(),
        // Something was, and not well enough.
        (false, Verdict::NotMeasured) => format!("not decided ({})", parts.join(", ")),
        (false, verdict) => format!("{} ({})", verdict.name(), parts.join(", ")),
    }
}

/// On what it depends: where answers agree with the claim.
pub(crate) fn depends_on(factor: &Factor) -> Option<String> {
    let mut agreeing: Vec<&str> = Vec::new();
    for line in factor.because.iter().filter(|line| line.claim == Stance::Agrees) {
        if !agreeing.contains(&line.conditions.as_str()) {
            agreeing.push(&line.conditions);
        }
    }
    (factor.verdict == Verdict::Depends)
        .then(|| format!("It agrees here: {}.", agreeing.join("; ")))
}

/// A row a factor.
pub(crate) fn overview(card: &Card) -> Vec<Vec<String>> {
    let head = ["factor", "claim", "verdict"].map(str::to_owned).to_vec();
    let row = |f: &Factor| vec![f.factor.to_owned(), f.claim.to_owned(), verdict(f)];
    std::iter::once(head).chain(card.factors.iter().map(row)).collect()
}

/// A row an answer.
pub(crate) fn answers(factor: &Factor) -> Vec<Vec<String>> {
    let head = ["what", "conditions", "figures", "difference [95 %]", "claim", "from"];
    let row = |l: &Line| {
        let arms = l.arms.iter().map(|[name, value]| format!("{name}: {value}"));
        let from = l.run.as_deref().and_then(|run| run.rsplit('/').next());
        vec![
            l.what.clone(),
            l.conditions.clone(),
            arms.collect::<Vec<_>>().join("; "),
            l.difference.clone(),
            match &l.why {
                Some(why) => format!("{}; {why}", l.claim.name()),
                None => l.claim.name().to_owned(),
            },
            from.unwrap_or("the program").to_owned(),
        ]
    };
    std::iter::once(head.map(str::to_owned).to_vec())
        .chain(factor.because.iter().map(row))
        .collect()
}

/// What has to be built for each transport.
pub(crate) fn duties(card: &Card) -> Vec<String> {
    let of = |duties: &pushbench_analysis::advice::Duties| {
        [("the sender", &duties.sender), ("each receiver", &duties.receiver)]
            .map(|(who, what)| format!("{}, {who}: {}", duties.transport, what.join("; ")))
    };
    card.duties.iter().flat_map(of).collect()
}

/// Where the figures are from.
pub(crate) fn sources(card: &Card) -> Vec<String> {
    let sources = card.record.measurements.iter().filter_map(|m| {
        let source = m.source.as_ref()?;
        let stored = if source.stored { ", stored before" } else { "" };
        let differs = match &source.differs[..] {
            [] => String::new(),
            all => format!(", {}", all.join("; ")),
        };
        Some(format!("{}: {} ({}{stored}{differs})", m.name, source.dir, source.began))
    });
    sources.collect()
}

/// As on the terminal.
pub fn text(card: &Card, look: Look) -> String {
    let mut out = look.wrap(&line(&conditions(card)), 0);
    for factor in &card.factors {
        let _ = writeln!(out, "\n{}", look.paint(BOLD, factor.factor));
        out.push_str(&look.wrap(&format!("  claim    {}", factor.claim), 11));
        let verdict = verdict(factor);
        out.push_str(&look.wrap(&format!("  verdict  {}", look.paint(BOLD, &verdict)), 11));
        if let Some(line) = depends_on(factor) {
            out.push_str(&look.wrap(&format!("           {line}"), 11));
        }
        for answer in &factor.because {
            out.push_str(&look.wrap(&format!("  - {}", line(&answer.sentence)), 4));
        }
        for missing in &factor.not_measured {
            out.push_str(&look.wrap(&format!("  - not measured: {}", line(missing)), 4));
        }
    }
    for (heading, lines) in [
        ("What has to be built", duties(card)),
        ("Not measured", not_measured(card)),
        ("Figures from", sources(card)),
    ] {
        let _ = writeln!(out, "\n{}", look.paint(BOLD, heading));
        for item in lines {
            out.push_str(&look.wrap(&format!("  - {item}"), 4));
        }
    }
    out.push('\n');
    out.push_str(&look.wrap(CLAIMS, 0));
    out
}

pub(crate) fn not_measured(card: &Card) -> Vec<String> {
    card.not_measured.iter().map(|item| (*item).to_owned()).collect()
}

/// For a design document.
pub fn markdown(card: &Card) -> String {
    let mut out = format!(
        "## Webhook or WebSocket: {} and {}\n\n{}\n\n",
        markdown::escape(&card.record.webhook),
        markdown::escape(&card.record.websocket),
        markdown::paragraph(&conditions(card))
    );
    markdown::grid(&mut out, &overview(card), 3);
    for factor in &card.factors {
        let _ = writeln!(out, "### {}\n", factor.factor);
        let _ = writeln!(out, "{}\n", factor.question);
        let _ = writeln!(out, "Claim: {}\n\nVerdict: **{}**\n", factor.claim, verdict(factor));
        if let Some(line) = depends_on(factor) {
            let _ = writeln!(out, "{}\n", markdown::paragraph(&line));
        }
        if !factor.because.is_empty() {
            markdown::grid(&mut out, &answers(factor), 6);
        }
        if !factor.not_measured.is_empty() {
            out.push_str("Not measured:\n\n");
            for missing in &factor.not_measured {
                let _ = writeln!(out, "- {}", markdown::escape(missing));
            }
            out.push('\n');
        }
    }
    for (heading, lines) in [
        ("What has to be built", duties(card)),
        ("Not measured", not_measured(card)),
        ("Figures from", sources(card)),
    ] {
        let _ = writeln!(out, "### {heading}\n");
        for item in lines {
            let _ = writeln!(out, "- {}", markdown::escape(&item));
        }
        out.push('\n');
    }
    let _ = writeln!(out, "{CLAIMS}");
    out
}

/// Schema 1.
pub fn json(card: &Card) -> String {
    let mut text = serde_json::to_string_pretty(card).unwrap_or_default();
    text.push('\n');
    text
}
