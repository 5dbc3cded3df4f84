//! How often the gate was right, as Markdown and JSON.

use crate::markdown::{escape, grid};
use pushbench_analysis::compare::gate::qualification::{Header, Rate, Tried, null_means, rates};
use pushbench_core::record::executables::Executables;
use pushbench_core::units;
use std::fmt::Write as _;

/// Rates first, then every gate.
pub fn render(header: &Header, trials: &[Tried]) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "# Error rates of the gate: {}\n", escape(&header.scenario));
    let gates = trials.iter().map(|t| t.gate).max().unwrap_or(0);
    let _ = writeln!(
        out,
        "{gates} of {} gates over {}, each of {} blocks and more where these do not decide, up to {}. {} of them include builds that are slower by 5 % and 10 % of a service p50 of {}.\n",
        header.gates,
        escape(&header.transport),
        header.blocks,
        match header.at_most_s {
            0.0 => "twice as many".to_owned(),
            seconds => format!("{:.0} s", seconds),
        },
        header.injected,
        units::nanos_text(header.service_ns)
    );
    if header.copied {
        let _ = writeln!(out, "In them {}.\n", Executables::Copied.sentence());
    }
    let mut rows = vec![["", "count", "of", "rate", "95 % interval"].map(str::to_owned).to_vec()];
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    rows.extend(rates(trials).into_iter().map(|r| {
        vec![
            r.what,
            r.count.to_string(),
            r.of.to_string(),
            percent(r.count as f64 / r.of as f64),
            format!("{} to {}", percent(r.ci95[0]), percent(r.ci95[1])),
        ]
    }));
    grid(&mut out, &rows, 1);
    out.push_str("The intervals are exact binomial intervals.\n\n");
    let means = null_means(header, trials);
    if !means.is_empty() {
        let head = ["mean of equal builds", "gates", "mean", "95 % interval", ""];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        let signed = |log: f64| format!("{:+.2} %", log.exp_m1() * 100.0);
        rows.extend(means.into_iter().map(|m| {
            let word = if m.biased { "biased" } else { "" };
            let interval = format!("{} to {}", signed(m.ci95[0]), signed(m.ci95[1]));
            vec![m.metric, m.of.to_string(), signed(m.mean), interval, word.to_owned()]
        }));
        grid(&mut out, &rows, 1);
        out.push_str(
            "A mean is *biased* if its interval (Student's t over gates) excludes 0 and it is beyond 0.3 %, in at least 20 gates. `pushbench \
             gate` does not judge a biased metric.\n\n",
        );
    }
    let metrics: Vec<&str> = header.settings.margins.iter().map(|m| m.metric.as_str()).collect();
    let mut rows =
        vec![["gate", "candidate", "verdict", "look", "blocks"].map(str::to_owned).to_vec()];
    rows[0].extend(metrics.iter().map(|m| (*m).to_owned()));
    rows.extend(trials.iter().map(|t| {
        let mut row = vec![
            t.gate.to_string(),
            t.candidate.clone(),
            t.verdict.name().to_owned(),
            t.look.to_string(),
            t.blocks.to_string(),
        ];
        row.extend(metrics.iter().map(|metric| {
            let found = t.log_ratios.iter().find(|(m, _)| m == metric);
            found.map_or("–".to_owned(), |(_, log)| format!("{:+.1} %", log.exp_m1() * 100.0))
        }));
        row
    }));
    grid(&mut out, &rows, 3);
    out
}

/// The rates in a sentence each.
pub(crate) fn sentences(trials: &[Tried]) -> Vec<String> {
    let sentence = |r: Rate| format!("{}: {} of {}.", r.what, r.count, r.of);
    rates(trials).into_iter().map(sentence).collect()
}

/// The same as data.
pub fn json(header: &Header, trials: &[Tried]) -> String {
    let all = serde_json::json!({ "header": header, "rates": rates(trials), "null_means": null_means(header, trials), "gates": trials });
    crate::visible::json(&format!("{all:#}\n"))
}
