//! Events over HTTP/2, end to end: as many in flight as over HTTP/1.1, on the connections that the arm says, and each
//! with its outcome.

use crate::common::{Bench, turn};
use pushbench_core::record::trial::{Stage, Trial};
use pushbench_host::results_store;
use std::io::{BufRead as _, BufReader};

/// The trials of a run's blocks. What is counted is exact however late a machine under load is, so invalid
/// trials count as well.
fn trials(bench: &Bench, args: &[&str]) -> Vec<Trial> {
    let ended = bench.run(&[&["run"], args, &["--out", "r"]].concat());
    assert!(matches!(ended.code, Some(0..=3)), "{}{}", ended.out, ended.err);
    bench.nothing_left();
    let trials = results_store::read(&bench.path("r")).unwrap().trials;
    let blocks: Vec<Trial> = trials.into_iter().filter(|t| t.stage == Stage::Block).collect();
    assert!(!blocks.is_empty(), "{}{}", ended.out, ended.err);
    for trial in &blocks {
        let [warmup, measured] = [&trial.account.warmup, &trial.account.measured];
        assert!(warmup.sums_are_exact() && measured.sums_are_exact(), "{measured:?}");
        assert!(measured.due > 0, "{}: {measured:?}", trial.label);
        assert_eq!(measured.acknowledged, measured.due, "{}: {:?}", trial.label, trial.account);
    }
    blocks
}

#[test]
fn events_in_flight_share_as_many_connections_as_the_arm_says() {
    let (bench, _turn) = (Bench::new(), turn::beside());
    let arms = [
        ("webhook+h2@builtin", 1),
        ("webhook+h2+connections=4@builtin", 4),
        ("webhook+tls+h2@builtin", 1),
        ("webhook+h2+token+signed@builtin", 1),
    ];
    let mut args = vec!["ingest", "--rate", "1500", "--blocks", "1", "--duration", "400ms"];
    args.extend(["--connections", "1", "--in-flight", "16", "--warmup", "100ms"]);
    args.extend(arms.iter().flat_map(|(arm, _)| ["--arm", arm]));
    let trials = trials(&bench, &args);
    for (arm, connections) in arms {
        let account = &trials.iter().find(|t| t.label == arm).unwrap().account;
        assert_eq!(account.connections, connections, "{arm}");
        let agreed = [("HTTP/2, at most 200 streams".to_owned(), connections)];
        assert_eq!(account.agreed, agreed.into(), "{arm}");
        assert_eq!(
            (account.duplicated, account.late, account.unsolicited),
            (Some(0), 0, 0),
            "{arm}"
        );
    }
    let tls = trials.iter().find(|t| t.label == arms[2].0).unwrap();
    let negotiated = &tls.account.handshakes.as_ref().unwrap().negotiated;
    assert!(negotiated.keys().all(|words| words.ends_with("ALPN h2")), "{negotiated:?}");
}

#[test]
fn a_connection_that_has_carried_its_events_is_replaced() {
    let (bench, _turn) = (Bench::new(), turn::beside());
    let args = ["ingest", "--arm", "webhook+h2@builtin", "--rate", "500", "--blocks", "1"];
    let lifetime = ["--duration", "400ms", "--connections", "2", "--in-flight", "4"];
    let set = ["--set", "connections.lifetime=10", "--warmup", "0s"];
    let trial = trials(&bench, &[&args[..], &lifetime, &set].concat()).remove(0);
    let account = &trial.account;
    assert!(account.connections >= account.sent.div_ceil(10), "{account:?}");
    assert!(account.connections <= account.sent.div_ceil(10) + 2, "{account:?}");
}

#[test]
fn questions_are_answered_over_http2() {
    let (bench, _turn) = (Bench::new(), turn::beside());
    let arm = ["duplex", "--arm", "webhook+h2@builtin", "--rate", "300", "--blocks", "1"];
    let window = ["--duration", "300ms", "--connections", "1", "--in-flight", "8"];
    trials(&bench, &[&arm[..], &window].concat());
}

#[test]
fn the_requests_of_a_connection_are_answered_at_the_same_time() {
    const DELAY_MS: u64 = 50;
    let (bench, _turn) = (Bench::new(), turn::beside());
    let delay = format!("{DELAY_MS}ms");
    let words = ["serve", "webhook+h2", "--listen", "127.0.0.1:0", "--delay", &delay];
    let mut server = bench.pushbench(&words).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.split(' ').nth(2).unwrap();
    let description =
        format!("url = \"http://{address}/webhook\"\nhttp_version = \"2\"\nmatch = \"id\"");
    bench.write("pushbench.toml", &format!("[target.mine.webhook]\n{description}\n"));
    let args = ["saturate", "--arm", "webhook+h2@mine", "--blocks", "1", "--connections", "1"];
    let window = ["--in-flight", "8", "--duration", "500ms", "--warmup", "100ms"];
    let ended = bench.run(&[&["run"], &args[..], &window, &["--out", "r"]].concat());
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(matches!(ended.code, Some(0..=3)), "{}{}", ended.out, ended.err);
    let trials = results_store::read(&bench.path("r")).unwrap().trials;
    let trial = trials.iter().find(|t| t.stage == Stage::Block).unwrap();
    assert_eq!(trial.account.connections, 1);
    // One after the other there could be one in each delay.
    let one_by_one = 500 / DELAY_MS + 1;
    let acknowledged = trial.account.measured.acknowledged;
    assert!(acknowledged > 2 * one_by_one, "{acknowledged} of 8 × {one_by_one}");
}
