use super::*;
use pushbench_analysis::reach::judge;
use pushbench_core::reach::{Attempt, CellRecord, Observed, Outcome, Probe, Reach, SCHEMA};
use pushbench_core::record::fanout::DeliveryOutcomes;

const SECOND: u64 = 1_000_000_000;

fn deliveries(due: u64, received: u64) -> DeliveryOutcomes {
    DeliveryOutcomes { due, received, timed_out: due - received, ..DeliveryOutcomes::default() }
}

fn trial(probe: Probe, observed: Observed) -> Attempt {
    Attempt { probe, cure: None, outcome: Outcome::Observed(observed) }
}

fn silence(after: u64) -> Observed {
    Observed {
        subscribed_in_ns: 900_000,
        before: deliveries(1, 1),
        after: deliveries(2, after),
        ..Observed::default()
    }
}

/// A cell that gets through, with the events that survive the silence and the time at which a dead peer is noticed.
fn through(path: &str, arm: &str, after: u64, noticed: Option<u64>) -> CellRecord {
    let first = Observed {
        subscribed_in_ns: 900_000,
        delivered_in_ns: Some(334_000),
        ..Observed::default()
    };
    let death = Observed { publisher_noticed_ns: noticed, ..Observed::default() };
    let trials = vec![
        trial(Probe::Silence, silence(after)),
        trial(Probe::FirstEvent, first),
        trial(Probe::PeerDeath, death),
    ];
    CellRecord { path: path.into(), arm: arm.into(), trials }
}

fn ended(path: &str, arm: &str, outcome: Outcome) -> CellRecord {
    let trials = vec![Attempt { probe: Probe::Silence, cure: None, outcome }];
    CellRecord { path: path.into(), arm: arm.into(), trials }
}

/// Every kind of cell; `name` is where a name of somebody else could stand.
pub(crate) fn sample(name: &str) -> Matrix {
    let header = Header {
        schema: SCHEMA,
        silence_scaled_by: 30.0,
        version: "1".into(),
        command: "pushbench reach".into(),
        began: "2026-01-01T00:00:00Z".into(),
        proxies: [("nginx".to_owned(), "nginx/1.22".to_owned())].into(),
        machine: [("cpu".to_owned(), "one".to_owned())].into(),
        idle_cutoff_ns: 2 * SECOND,
        silence_ns: 3 * SECOND,
        event_timeout_ns: 2 * SECOND,
        peer_death_limit_ns: 10 * SECOND,
        complete: true,
    };
    let (webhook, websocket) = (format!("webhook@{name}"), format!("websocket@{name}"));
    let fault = Some(format!("3× no connection to {name}"));
    let refused = Observed { before: deliveries(1, 0), fault, ..Observed::default() };
    let mut cut = through("idle-cutoff", &websocket, 0, None);
    let cure = Some("delivery.ping=1000ms".to_owned());
    cut.trials.push(Attempt { cure, ..trial(Probe::Silence, silence(2)) });
    let no_nft = "nft is not installed: apt-get install nftables".to_owned();
    let cells = vec![
        through("direct", &webhook, 2, Some(SECOND)),
        through("direct", &websocket, 2, None),
        ended("receiver-behind-nat", &webhook, Outcome::Observed(refused)),
        ended("receiver-behind-nat", &websocket, Outcome::NotTried(no_nft.clone())),
        ended("nginx", &webhook, Outcome::NotSubscribed(format!("{name}: 426"))),
        ended("nginx", &websocket, Outcome::NotSubscribed(format!("{name}: 426"))),
        ended("idle-cutoff", &webhook, Outcome::NotTried(no_nft)),
        cut,
    ];
    judge(&Reach { header, cells })
}

#[test]
fn every_format_shows_the_matrix() {
    let matrix = sample("builtin");
    insta::assert_snapshot!("reach_text", text(&matrix, Look { colour: false, width: Some(80) }));
    insta::assert_snapshot!("reach_markdown", markdown(&matrix));
    insta::assert_snapshot!("reach_json", json(&matrix));
}

#[test]
fn a_cell_that_was_not_tried_is_never_a_no() {
    let matrix = sample("builtin");
    let words = |path, arm| {
        let cell = find(&matrix, path, arm).unwrap();
        Shown::ALL.map(|shown| shown.word(cell))
    };
    assert_eq!(words("idle-cutoff", "webhook@builtin"), ["not tried", "–", "–"]);
    assert_eq!(words("nginx", "webhook@builtin"), ["no", "–", "–"]);
    assert_eq!(words("direct", "websocket@builtin"), ["yes 1.23 ms", "yes", "not in time"]);
    assert_eq!(
        words("idle-cutoff", "websocket@builtin"),
        ["yes 1.23 ms", "no, 2 lost", "not in time"]
    );
}

#[test]
fn the_page_escapes_what_others_have_written() {
    let hostile = "</script><script>alert(1)</script>\"'&\u{202e}\u{1b}[31m";
    let page = crate::html::reach::render(&sample(hostile), "results/reach");
    assert!(
        !page.contains("<script>alert") && !page.contains('\u{1b}') && !page.contains('\u{202e}')
    );
    let page = crate::html::reach::render(&sample("builtin"), "results/reach");
    for text in [
        "title=\"not tried: nft is not installed",
        "cure: <code>delivery.ping=1000ms</code>",
        "pushbench report results/reach --format html",
        "stands for 60.0\u{a0}s",
    ] {
        assert!(page.contains(text), "no {text:?} in {page}");
    }
    assert_eq!(page.matches("<h1").count(), 1);
    let markdown = markdown(&sample(hostile));
    assert!(!markdown.contains("<script>"), "{markdown}");
}
