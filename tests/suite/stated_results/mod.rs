//! The results that documents state are made from the stored runs. Between `<!-- results: NAME -->` and
//! `<!-- end of results -->` stands what [`block`] makes of a run, and nothing else.
//! `UPDATE_DOCUMENTS=1 cargo test --test suite stated_results` writes these blocks anew.

mod answer;
mod capacity;
mod claims;
mod failures;
mod gates;
mod instructions;
mod paths;
mod protocols;
mod texts;

use crate::common::Bench;
use crate::documents::{ROOT, documents, read};
use std::collections::BTreeMap;
use std::path::Path;
use texts::{
    Stored, accuracy, compared, delivered, memory, sides, stuck, subscribed, sweep, terminal,
};

const BEGIN: &str = "\n<!-- results: ";
const END: &str = "<!-- end of results -->\n";

/// What a document says of a run.
fn block(name: &str) -> String {
    match name {
        "answer" => answer::answer(),
        "thousand" => answer::thousand(),
        "readme-ingest" => terminal("readme-ingest"),
        "gate-20us" => gates::gate(),
        "gate-simulation" => gates::simulation(),
        "gate-endings" => gates::endings(),
        "gate-busy" => gates::busy(),
        "in-flight-sweep" => sweep(
            &Stored::of("in-flight-sweep"),
            "in flight per connection",
            &["throughput", "target_usage.cpu_ns_per_event"],
        ),
        "short-lived-connections" => sweep(
            &Stored::of("short-lived-connections"),
            "events per connection",
            &["response.p50", "response.p99", "target_usage.cpu_ns_per_event"],
        ),
        "fanout-9000" => delivered(&Stored::of("fanout-9000")),
        "idle" => memory(&Stored::of("idle")),
        "stuck" => ["stuck-websocket", "stuck-webhook"].map(|run| stuck(&Stored::of(run))).concat(),
        "four-sides" => sides(&Stored::of("four-sides")),
        "open-5000" => subscribed(&Stored::of("open-5000")),
        "broadcast-256" => compared(&Stored::of("broadcast-256")),
        "qualify-gate" => gates::rates("qualify-gate"),
        "gate-instructions" => instructions::gates(),
        "truth" => accuracy(),
        "ablation" => claims::layers(&Stored::of("ablation")),
        "tls-cold" => claims::cold(&Stored::of("tls-cold")),
        "claim-hmac" => claims::hmac(&Stored::of("hmac-bottleneck")),
        "claim-handshakes" => claims::handshakes(&Stored::of("tls-cold")),
        "http2" => protocols::http2(&Stored::of("http2")),
        "claim-http2" => protocols::claim_http2(&Stored::of("http2")),
        "claim-throughput" => protocols::throughput(),
        "claim-bytes" => protocols::bytes(&Stored::of("headers")),
        "claim-memory" => protocols::memory(&Stored::of("compressed-memory")),
        "distance" => paths::distance(&Stored::of("distance")),
        "loss" => paths::settings(
            &Stored::of("loss"),
            &[("path.loss", "loss each way")],
            &["response.p50", "response.p99"],
        ),
        "claim-silent" => paths::silent_websockets(&Stored::of("silent-websockets")),
        "outage" => failures::outcomes(&Stored::of("outage"), &[("guarantee.delivery", "promise")]),
        "lost-acks" => {
            failures::outcomes(&Stored::of("lost-acks"), &[("guarantee.delivery", "promise")])
        }
        "restart-publisher" => failures::outcomes(
            &Stored::of("restart-publisher"),
            &[("guarantee.durable", "durable")],
        ),
        "ordered" => {
            failures::outcomes(&Stored::of("ordered"), &[("guarantee.ordered", "ordered")])
        }
        "poison" => paths::settings(
            &Stored::of("poison"),
            &[("faults.poison", "receivers that refuse everything")],
            &["delivery.p50", "delivery.p99"],
        ),
        "reconnect-storm" => failures::storm(&Stored::of("reconnect-storm")),
        "guarantees" => paths::settings(
            &Stored::of("guarantees"),
            &[("guarantee.delivery", "promise"), ("guarantee.durable", "durable")],
            &["delivery.p50", "delivery.p99", "target_usage.cpu_ns_per_delivery"],
        ),
        "promises" => failures::promises(),
        "claim-twice" => failures::twice_or_lost(&Stored::of("twice-or-lost")),
        "claim-jitter" => failures::jitter(&Stored::of("jitter")),
        "claim-slow-endpoint" => failures::slow_endpoint(&Stored::of("slow-endpoint")),
        "idle-cutoff" => paths::deliveries(
            &Stored::of("idle-cutoff"),
            &[("load.rate", "silence"), ("delivery.ping", "pings every")],
            &[
                ("noticed.subscriber", "subscriber knows after"),
                ("noticed.publisher", "publisher knows after"),
                ("wire.bytes_per_subscriber_minute", "bytes a subscriber and minute"),
            ],
        ),
        "roaming" => paths::deliveries(
            &Stored::of("roaming"),
            &[("path.pause", "pause"), ("path.new_address_at", "new address after")],
            &[("resumption", "events flow again after")],
        ),
        "reach" => paths::reach(),
        "proxied" => paths::settings(
            &Stored::of("proxied"),
            &[("path.via", "in front of the server")],
            &["response.p50", "target_usage.cpu_ns_per_event"],
        ),
        "narrow" => paths::settings(
            &Stored::of("narrow"),
            &[("path.rate", "bit rate"), ("payload.headers_bytes", "bytes of headers added")],
            &["response.p50"],
        ),
        "capacity" => capacity::searches(),
        "connections-9000" => capacity::connections(&Stored::of("connections-9000")),
        other => panic!("no document states the results of {other}"),
    }
}

/// A block as it stands in a document: prose is wrapped, tables and code are not.
fn set(block: &str) -> String {
    const WIDTH: usize = 110;
    let (mut out, mut code) = (String::from("\n"), false);
    for line in block.trim_end().lines() {
        code ^= line == "```";
        let mut used = 0;
        let whole = code || line.starts_with('|');
        for (i, word) in line.split(' ').enumerate() {
            let length = word.chars().count();
            let wrap = !whole && i > 0 && used + 1 + length > WIDTH;
            if i > 0 {
                out.push(if wrap { '\n' } else { ' ' });
            }
            used = if wrap { length } else { used + 1 + length };
            out.push_str(word);
        }
        out.push('\n');
    }
    out + "\n"
}

/// Each block of a text: the name of its results, and where its content lies.
fn blocks(text: &str) -> Vec<(&str, std::ops::Range<usize>)> {
    let begin = |(at, _): (usize, &str)| {
        let (name, _) = text[at + BEGIN.len()..].split_once(" -->\n").unwrap();
        let from = at + BEGIN.len() + name.len() + " -->\n".len();
        let length = text[from..].find(END).unwrap_or_else(|| panic!("{name} has no end"));
        (name, from..from + length)
    };
    text.match_indices(BEGIN).map(begin).collect()
}

#[test]
fn documents_state_the_results_of_the_stored_runs() {
    let mut made: BTreeMap<String, String> = BTreeMap::new();
    let mut stale = Vec::new();
    for document in documents() {
        let old = read(&document);
        let mut new = old.clone();
        // From the end, so that places before stay where they are.
        for (name, at) in blocks(&old).into_iter().rev() {
            let text = made.entry(name.to_owned()).or_insert_with(|| set(&block(name)));
            new.replace_range(at, text);
        }
        if new != old && std::env::var_os("UPDATE_DOCUMENTS").is_some() {
            std::fs::write(Path::new(ROOT).join(&document), &new).unwrap();
        } else if new != old {
            stale.push(document);
        }
    }
    assert!(made.len() > 8, "only {:?} are stated", made.keys());
    assert!(
        stale.is_empty(),
        "{stale:?} do not state what the stored runs do: UPDATE_DOCUMENTS=1 cargo test --test suite stated_results"
    );
}

/// Pictures of documents that are a chart of a stored run: the file, the run, the name of the chart.
const CHARTS: [(&str, &str, &str); 1] = [("docs/multiplexing.svg", "http2", "sweep-response-p50")];

#[test]
fn pictures_show_the_stored_runs() {
    for (file, run, chart) in CHARTS {
        let dir = format!("{ROOT}/results/{run}");
        let drawn = Bench::new()
            .run(&["report", &dir, "--format", "svg", "--chart", chart, "--output", "-"]);
        drawn.succeeds();
        let path = Path::new(ROOT).join(file);
        if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
            std::fs::write(&path, &drawn.out).unwrap();
        }
        let stored = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            stored, drawn.out,
            "{file}: UPDATE_DOCUMENTS=1 cargo test --test suite stated_results"
        );
    }
}

/// Outside of these blocks, the README's results have neither a figure nor a word that says which is ahead.
#[test]
fn the_readme_states_no_result_of_its_own() {
    const CLAIMS: [&str; 15] = [
        "faster", "slower", "sooner", "later", "higher", "lower", "more", "less", "fewer", "ahead",
        "best", "same", "equal", "most", "cheaper",
    ];
    let readme = read("README.md");
    let section =
        readme.split_once("\n## Results so far\n").unwrap().1.split("\n## ").next().unwrap();
    let mut text = section.to_owned();
    for (_, at) in blocks(section).into_iter().rev() {
        text.replace_range(at, "");
    }
    let text: String =
        text.split(BEGIN).map(|t| t.split_once(" -->").map_or(t, |(_, t)| t)).collect();
    let text: String = text.split('`').step_by(2).collect();
    assert!(!text.contains(|c: char| c.is_ascii_digit()), "{text}");
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).collect();
    let claims: Vec<&&str> = CLAIMS.iter().filter(|claim| words.contains(claim)).collect();
    assert!(claims.is_empty(), "{claims:?} in {text}");
}
