//! The answer to the question whether a webhook or a WebSocket is right, from the stored cards.

use super::texts::grid;
use crate::documents::ROOT;
use pushbench_analysis::scorecard::{Card, Factor, Line, Stance, Verdict, judge};
use std::fmt::Write as _;

const CARDS: [&str; 2] = ["builtin", "article"];

/// The answers that are shown: card, measurement, what was compared, and the arm that comes second.
const SHOWN: [(&str, &str, &str, &str); 10] = [
    ("builtin", "loaded", "median response", "websocket@builtin"),
    ("builtin", "distance-100ms", "median response", "websocket@builtin"),
    ("builtin", "silence", "median delivery", "websocket@builtin"),
    ("builtin", "fan-out", "target CPU per delivery", "websocket@builtin"),
    ("builtin", "idle", "memory per silent subscriber", "webhook@builtin"),
    ("builtin", "idle", "memory per silent subscriber", "webhook@builtin-close"),
    ("builtin", "polling", "CPU of both sides per delivery", "websocket@builtin"),
    ("builtin", "reach", "the subscriber can open connections and cannot be reached", ""),
    ("builtin", "reach", "nginx as installed before the side that listens", ""),
    ("article", "saturation", "throughput", "websocket@websockets"),
];

fn card(name: &str) -> Card {
    let path = format!("{ROOT}/results/scorecard/{name}/scorecard.json");
    judge(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
}

fn lines(card: &Card) -> impl Iterator<Item = &Line> {
    card.factors.iter().flat_map(|factor| &factor.because)
}

/// An answer in a line. That of a path is what gets through.
fn shown(line: &Line) -> String {
    // The built-in servers are meant where none is named.
    let arm = |[name, value]: &[String; 2]| format!("{} {value}", name.replace("@builtin", ""));
    let arms: Vec<String> = line.arms.iter().map(arm).collect();
    let mut conditions = line.conditions.clone();
    conditions[..1].make_ascii_uppercase();
    if line.what == "passage" {
        return format!("**{conditions}**: {}", arms.join(", "));
    }
    let reading = match line.claim {
        Stance::CannotTell => ", cannot tell",
        Stance::TooSmall => ", too small to matter",
        _ => "",
    };
    format!("**{conditions}**: {} {} ({}{reading})", line.what, arms.join(", "), line.difference)
}

/// Ten answers, after what became of the five claims.
pub fn answer() -> String {
    let cards = CARDS.map(|name| (name, card(name)));
    let found = &cards[0].1.factors;
    let named = |verdict: Verdict| -> Vec<&str> {
        found.iter().filter(|f| f.verdict == verdict).map(|f: &Factor| f.factor).collect()
    };
    let parts = [
        (Verdict::Depends, "What is usually said depends on the conditions in"),
        (Verdict::BorneOut, "What is usually said is borne out in"),
        (Verdict::Contradicted, "What is usually said is contradicted in"),
        (Verdict::NotMeasured, "What is usually said was not decided in"),
    ];
    let mut text = String::new();
    for (verdict, words) in parts {
        let names = named(verdict);
        if let Some((last, others)) = names.split_last() {
            let and = if others.is_empty() { "" } else { ", and " };
            let _ = write!(text, "{words} {}{and}{last}. ", others.join(", "));
        }
    }
    text = format!("{}\n\n", text.trim_end());

    for (name, measurement, what, second) in SHOWN {
        let (_, card) = cards.iter().find(|(card, _)| *card == name).unwrap();
        let mine = |line: &&Line| {
            let run = line.run.as_deref().unwrap_or_default();
            run.ends_with(&format!("/{measurement}"))
                && (line.what == what && line.arms[1][0] == second || line.conditions == what)
        };
        let line = lines(card).find(mine).unwrap_or_else(|| panic!("{name} {measurement} {what}"));
        let _ = writeln!(text, "- {}.", shown(line));
    }
    let mut links = Vec::new();
    for (name, card) in &cards {
        let pair = format!("`{}` and `{}`", card.record.webhook, card.record.websocket);
        let link = format!("[results/scorecard/{name}](results/scorecard/{name}/scorecard.md)");
        links.push(format!("{pair} ({link})"));
    }
    let _ = writeln!(text, "\nMeasured by `pushbench scorecard` on {}.", links.join(" and on "));
    text
}

/// How the merge of many shards grows.
pub fn thousand() -> String {
    let path = format!("{ROOT}/results/merge-simulation/figures.json");
    let figures: Vec<serde_json::Value> =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut rows = vec![
        ["shards", "blocks", "bytes a shard and block", "time of the merge", "peak memory"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for f in &figures {
        assert_eq!(f["merged_is_exact"], true);
        rows.push(vec![
            f["shards"].to_string(),
            f["blocks"].to_string(),
            f["bytes_per_shard_and_block"].to_string(),
            format!("{:.2} s", f["seconds"].as_f64().unwrap()),
            format!("{} MiB", f["peak_mib"]),
        ]);
    }
    format!(
        "Simulated in one process, each shard with its part of a million events; the merged histogram is that of one shard with \
         all events, bucket by bucket (`results/merge-simulation`).\n\n{}",
        grid(&rows)
    )
}
