//! Deliveries, answers by callback and held connections over TLS, end to end: nothing is lost, each connection
//! has its handshake in the account, and who connects again resumes.

use crate::common::publisher::{Publisher, TOKEN};
use crate::common::{Bench, PUSHBENCH, eventually, turn};
use pushbench_core::record::fanout::Fanout;
use pushbench_core::record::handshakes::Handshakes;
use pushbench_core::record::trial::{Stage, Trial};
use pushbench_host::results_store;

const USAGE: i32 = 64;
/// Every transport, polled often.
const ALL: [&str; 16] = [
    "--arm",
    "webhook+tls@builtin",
    "--arm",
    "websocket+tls@builtin",
    "--arm",
    "tcp+tls@builtin",
    "--arm",
    "sse+tls@builtin",
    "--arm",
    "sse+h2+tls@builtin",
    "--arm",
    "long-poll+tls@builtin",
    "--arm",
    "poll+tls@builtin",
    "--set",
    "delivery.poll_interval=20ms",
];

/// Runs it and gives the records of its blocks. What is counted must be exact however late a machine under load
/// is, so invalid trials count as well.
fn trials(bench: &Bench, args: &[&str]) -> Vec<Trial> {
    let ended = bench.run(&[&["run"], args, &["--out", "r"]].concat());
    assert!(matches!(ended.code, Some(0..=3)), "{}{}", ended.out, ended.err);
    bench.nothing_left();
    let trials = results_store::read(&bench.path("r")).unwrap().trials;
    let blocks: Vec<Trial> = trials.into_iter().filter(|t| t.stage == Stage::Block).collect();
    assert!(!blocks.is_empty(), "{}{}", ended.out, ended.err);
    for trial in &blocks {
        let outcomes = &trial.account.measured;
        assert!(outcomes.due > 0 && outcomes.sums_are_exact(), "{outcomes:?}");
        let mut deliveries = trial.fanout.iter().flat_map(|f| f.deliveries.all_outcomes());
        assert!(deliveries.all(|(_, d)| d.sums_are_exact()), "{:?}", trial.fanout);
    }
    blocks
}

/// A fan-out over every transport, with these lines in its sections.
fn fanned_out(bench: &Bench, subscribers: &str, rest: &str) -> Vec<(Trial, Fanout)> {
    fanned_out_under("rate = 40\nduration = \"1s\"\ntimeout = \"2s\"", bench, subscribers, rest)
}

fn fanned_out_under(
    load: &str,
    bench: &Bench,
    subscribers: &str,
    rest: &str,
) -> Vec<(Trial, Fanout)> {
    let text = format!(
        "question = \"?\"\nflow = \"fanout\"\n[load]\narrivals = \"constant\"\nwarmup = \"200ms\"\n{load}\n\
         [connections]\ncount = 2\n[subscribers]\n{subscribers}\n[compare]\n\
         blocks = 1\n{rest}\n"
    );
    bench.write("mine.toml", &text);
    let trials = trials(bench, &[&["mine.toml"][..], &ALL].concat());
    assert_eq!(trials.len(), 7);
    let split = |mut trial: Trial| {
        let fanout = trial.fanout.take().unwrap();
        assert!(fanout.publisher.unwrap().sums_are_exact(), "{:?}", fanout.publisher);
        (trial, fanout)
    };
    trials.into_iter().map(split).collect()
}

fn handshakes(trial: &Trial) -> &Handshakes {
    trial.account.handshakes.as_ref().unwrap_or_else(|| panic!("{}: no handshakes", trial.label))
}

/// Each connection has its handshake, whoever opened it.
fn each_connection_has_a_handshake(trial: &Trial, deliveries: u64) {
    let opened = trial.account.connections + deliveries;
    assert_eq!(shook_hands(trial), opened, "{}: {:?}", trial.label, handshakes(trial));
}

/// The same where some of this many subscribers may be connecting when the trial ends.
fn all_but_a_few_shook_hands(trial: &Trial, deliveries: u64, subscribers: u64) {
    let (found, opened) = (shook_hands(trial), trial.account.connections + deliveries);
    let expected = opened - subscribers..=opened;
    assert!(expected.contains(&found), "{}: {found} of {opened}", trial.label);
}

/// The handshakes of a trial, all of TLS 1.3 and each with its time.
fn shook_hands(trial: &Trial) -> u64 {
    let found = handshakes(trial);
    let all = found.full + found.resumed;
    let times = found.full_tls.count() + found.resumed_tls.count();
    assert_eq!((times, found.negotiated.values().sum()), (all, all), "{}", trial.label);
    let version = found.negotiated.keys().all(|words| words.starts_with("TLS 1.3, "));
    assert!(version, "{}: {found:?}", trial.label);
    all
}

#[test]
fn every_transport_delivers_everything_once() {
    let bench = Bench::with_its_own_program();
    // More connections at once than one task may read and write without a pause. At 2,000 deliveries a second, and with
    // half a minute for each, a slow machine delivers all of them, too.
    let load = "rate = 10\nduration = \"2s\"\ntimeout = \"30s\"";
    for (trial, f) in fanned_out_under(load, &bench, "count = 200", "") {
        let (d, label) = (&f.deliveries, &trial.label);
        assert_eq!(
            d.measured.received,
            trial.account.measured.due * 200,
            "{label}: {:?}",
            trial.account.faults
        );
        assert_eq!((d.duplicated, d.late), (0, 0), "{label}");
        let publisher = f.publisher.unwrap();
        assert_eq!((publisher.acknowledged, publisher.open), (publisher.queued, 0), "{label}");
        assert_eq!(trial.account.faults.len(), 0, "{label}: {:?}", trial.account.faults);
        // Over HTTP/2 the acknowledgements are streams of the connection that brings the events.
        let per_subscriber = if label.starts_with("sse+tls") { 2 } else { 1 };
        assert_eq!(d.connections, 200 * per_subscriber, "{label}");
        each_connection_has_a_handshake(&trial, d.connections);
        let found = handshakes(&trial);
        // The connection of acknowledgements resumes the session of the stream.
        assert_eq!(found.resumed, 200 * (per_subscriber - 1), "{label}");
        // A subscriber of tcp does not speak HTTP, and who is connected to has not connected.
        let without = found.negotiated.iter().filter(|(words, _)| words.ends_with("ALPN none"));
        let tcp = if label.starts_with("tcp") { 200 } else { 0 };
        assert_eq!(without.map(|(_, n)| n).sum::<u64>(), tcp, "{label}: {found:?}");
        let accepted = if label.starts_with("webhook") { 200 } else { 0 };
        assert_eq!(found.tcp.count() + accepted, found.full + found.resumed, "{label}");
    }
}

#[test]
fn who_leaves_and_comes_back_resumes() {
    let bench = Bench::new();
    for (trial, f) in fanned_out(&bench, "count = 10\nstay = \"300ms\"\naway = \"50ms\"", "") {
        let (d, t) = (&f.deliveries, f.deliveries.turnover.as_ref().unwrap());
        assert_eq!(
            d.measured.due, d.measured.received,
            "{}: {:?}",
            trial.label, trial.account.faults
        );
        assert!(t.came > 10 && trial.account.faults.is_empty(), "{:?}", trial.account.faults);
        all_but_a_few_shook_hands(&trial, d.connections, 10);
        let found = handshakes(&trial);
        match trial.label.starts_with("webhook") {
            // Its subscribers leave an address, and the publisher's connection to it with that.
            true => assert!(d.connections > 10, "{found:?}"),
            false => {
                assert!(found.full == 12 && found.resumed >= t.came, "{}: {found:?}", trial.label)
            }
        }
    }
}

#[test]
fn without_resumption_nobody_resumes() {
    let bench = Bench::new();
    let subscribers = "count = 5\nstay = \"300ms\"\naway = \"50ms\"";
    let rest = "[delivery]\nkeep_alive = \"1ms\"\n[tls]\nresumption = false\nkey = \"rsa2048\"";
    for (trial, f) in fanned_out(&bench, subscribers, rest) {
        assert!(f.deliveries.connections > 5, "{}", trial.label);
        all_but_a_few_shook_hands(&trial, f.deliveries.connections, 5);
        assert_eq!(handshakes(&trial).resumed, 0, "{}", trial.label);
    }
}

#[test]
fn a_slow_and_a_stuck_subscriber_cost_no_other() {
    let bench = Bench::new();
    let subscribers = "count = 8\nslow = 1\nslow_by = \"5ms\"\nstuck = 1";
    for (trial, f) in fanned_out(&bench, subscribers, "[delivery]\nqueue = 16\ntimeout = \"300ms\"")
    {
        let (d, events) = (&f.deliveries, trial.account.measured.due);
        assert_eq!(
            (d.measured.due, d.measured.received),
            (events * 6, events * 6),
            "{}: {d:?}",
            trial.label
        );
        let publisher = f.publisher.unwrap();
        assert!(publisher.acknowledged < publisher.queued, "{}: {publisher:?}", trial.label);
    }
}

#[test]
fn after_a_restart_of_the_publisher_everybody_comes_back() {
    let bench = Bench::new();
    let rest = "[faults]\nrestart_after = \"300ms\"";
    // Everybody has the time to come back on a slow machine, too.
    let load = "rate = 40\nduration = \"3s\"\ntimeout = \"2s\"";
    for (trial, f) in fanned_out_under(load, &bench, "count = 10\nbackoff = \"5ms\"", rest) {
        let (d, t) = (&f.deliveries, f.deliveries.turnover.as_ref().unwrap());
        assert_eq!((t.cut_off, t.came), (10, 10), "{}: {t:?}", trial.label);
        assert!(d.measured.received > 0, "{}: {:?}", trial.label, d.measured);
        // The new process cannot read the tickets of the one before it.
        let found = handshakes(&trial);
        assert!(found.full > 20, "{}: {found:?}", trial.label);
        assert!(
            found.full + found.resumed <= trial.account.connections + d.connections,
            "{found:?}"
        );
    }
}

#[test]
fn held_connections_are_held_and_closed_ones_are_resumed() {
    let bench = Bench::new();
    let arms = [
        "webhook+tls@builtin",
        "webhook+tls@builtin-close",
        "websocket+tls@builtin",
        "sse+tls@builtin",
        "sse+h2+tls@builtin",
    ]
    .map(|arm| ["--arm", arm])
    .concat();
    let short =
        ["idle", "--subscribers", "40", "--warmup", "500ms", "--rate", "0.5", "--duration", "2s"];
    for trial in trials(&bench, &[&short[..], &arms].concat()) {
        let f = trial.fanout.as_ref().unwrap();
        let (d, held) = (&f.deliveries, f.quiet.unwrap().connections);
        assert_eq!((d.measured.due, d.measured.received), (40, 40), "{}", trial.label);
        each_connection_has_a_handshake(&trial, d.connections);
        let (held_by_each, resumed) = match trial.label.as_str() {
            "webhook+tls@builtin-close" => (0, 40),
            "sse+tls@builtin" => (2, 40),
            _ => (1, 0),
        };
        let found = handshakes(&trial);
        assert_eq!(
            (held, found.resumed),
            (held_by_each * 40, resumed),
            "{}: {found:?}",
            trial.label
        );
    }
}

#[test]
fn answers_come_back_by_callback() {
    let bench = Bench::new();
    let short =
        ["duplex", "--arm", "webhook+tls+callback@builtin", "--blocks", "1", "--duration", "600ms"];
    let more = ["--warmup", "200ms", "--rate", "100"];
    for trial in trials(&bench, &[&short[..], &more[..]].concat()) {
        let events = &trial.account.measured;
        assert_eq!(events.due, events.acknowledged, "{:?}", trial.account.faults);
        let callbacks = trial.account.callbacks.as_ref().unwrap();
        assert!(callbacks.connections > 0, "{callbacks:?}");
        each_connection_has_a_handshake(&trial, 0);
        let connected = trial.account.connections - callbacks.connections;
        assert_eq!(handshakes(&trial).tcp.count(), connected, "those of the server's have none");
    }
}

#[test]
fn a_burst_of_cold_connections_has_all_its_outcomes() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    // Two bursts of 2,000 events in 100 ms, each of which ends its connection: the second one finds none open.
    let text = "question = \"?\"\nflow = \"ingest\"\n[load]\narrivals = \"burst\"\nrate = 200\nburst_factor = 100\n\
        burst_length = \"100ms\"\nburst_every = \"1s\"\nwarmup = \"200ms\"\nduration = \"2s\"\ntimeout = \"30s\"\n\
        [connections]\ncount = 2000\nin_flight = 1\nlifetime = 1\n[compare]\nblocks = 1\n";
    bench.write("cold.toml", text);
    for trial in trials(
        &bench,
        &["cold.toml", "--arm", "webhook+tls@builtin", "--arm", "websocket+tls@builtin"],
    ) {
        let events = &trial.account.measured;
        assert!(events.due > 3000, "{events:?}");
        assert_eq!(events.due, events.acknowledged, "{}: {:?}", trial.label, trial.account.faults);
        each_connection_has_a_handshake(&trial, 0);
        let found = handshakes(&trial);
        assert!(found.full == 2000 && found.resumed > 1000, "{}: {found:?}", trial.label);
    }
}

/// This program as a publisher that somebody describes, over TLS; `env`: a line of that table.
fn described(bench: &Bench, transport: &str, trusts: &str, env: &str) {
    let command = format!(
        "{PUSHBENCH} serve {transport}+tls --publisher --listen 127.0.0.1:{{port}} --cert {{cert}} --key {{key}}{trusts}"
    );
    let (plain, over_tls) = match transport {
        "websocket" => ("ws", "wss"),
        _ => ("http", "https"),
    };
    let urls = |http: &str, scheme: &str| {
        format!(
            "publish = \"{http}://127.0.0.1:{{port}}/publish\"\nsubscribe = \"{scheme}://127.0.0.1:{{port}}/subscribe\"\n"
        )
    };
    let text = format!(
        "[target.mine.{transport}]\ncommand = \"false {{port}}\"\n{}match = \"id\"\nstatus = \"/status\"\n\
         [target.mine.{transport}.tls]\ncommand = {command:?}\n{}{env}\n",
        urls("http", plain),
        urls("https", over_tls)
    );
    bench.write("pushbench.toml", &text);
}

#[test]
fn described_publishers_deliver_over_tls() {
    let short = ["--subscribers", "5", "--blocks", "1", "--duration", "300ms", "--warmup", "100ms"];
    for (transport, trusts) in [("webhook", " --ca {ca}"), ("websocket", "")] {
        let bench = Bench::new();
        described(&bench, transport, trusts, "");
        let arm = format!("{transport}+tls@mine");
        for trial in trials(&bench, &[&["fanout", "--arm", &arm][..], &short].concat()) {
            let d = &trial.fanout.as_ref().unwrap().deliveries;
            assert_eq!(
                d.measured.received,
                trial.account.measured.due * 5,
                "{:?}",
                trial.account.faults
            );
            each_connection_has_a_handshake(&trial, d.connections);
        }
    }
    let bench = Bench::new();
    described(&bench, "webhook", "", "");
    let refused = bench.run(&["run", "fanout", "--arm", "webhook+tls@mine"]);
    refused.fails(USAGE, &["webhook+tls@mine", "{ca}", "--arm webhook+tls@builtin"]);
}

#[test]
fn a_publisher_that_does_not_trust_the_run_delivers_nothing_and_is_told_what_to_trust() {
    let bench = Bench::new();
    let keys = ["webhook+tls", "--listen", "127.0.0.1:0", "--cert-out", "other.pem"];
    let mut other = bench.pushbench(&[&["serve"][..], &keys].concat()).spawn().unwrap();
    eventually("the certificate is there", || bench.path("other.pem").exists());
    other.kill().unwrap();
    other.wait().unwrap();
    described(&bench, "webhook", " --ca other.pem", "env = { TRUSTED = \"{ca}\" }");
    let short = ["--subscribers", "3", "--blocks", "1", "--duration", "300ms", "--warmup", "100ms"];
    for trial in trials(&bench, &[&["fanout", "--arm", "webhook+tls@mine"][..], &short].concat()) {
        let d = &trial.fanout.as_ref().unwrap().deliveries;
        assert_eq!(d.measured.received, 0, "{d:?}");
        let faults = trial.account.faults.keys().cloned().collect::<String>();
        assert!(faults.contains("trust the certificate in {ca}"), "{faults}");
    }
}

#[test]
fn a_server_connects_over_tls_only_to_whom_it_can_check() {
    let bench = Bench::new();
    let publisher = Publisher::start(&bench, &["webhook"]);
    let subscription = "{\"url\":\"https://127.0.0.1:9/\"}";
    let (status, why) = publisher.ask("POST", "/subscribe", TOKEN, subscription);
    assert_eq!(status, 400, "{why}");
    assert!(why.contains("--ca FILE"), "{why}");
    for (args, wanted) in [
        (&["webhook", "--ca", "ca.pem"][..], &["--ca ca.pem", "serve webhook --duplex 64"][..]),
        (&["websocket", "--publisher", "--ca", "ca.pem"], &["--ca ca.pem", "leave it out"]),
        (&["webhook", "--duplex", "64", "--ca", "ca.pem"], &["--ca", "ca.pem", "No such file"]),
    ] {
        bench.run(&[&["serve"], args].concat()).fails(USAGE, wanted);
    }
    bench.write("ca.pem", "nothing");
    let args = ["serve", "webhook", "--duplex", "64", "--ca", "ca.pem"];
    bench.run(&args).fails(USAGE, &["--ca ca.pem", "PEM"]);
}
