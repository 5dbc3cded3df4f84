//! Publishers that are not the built-in one: those shipped, and a user's own behind a few lines of
//! `pushbench.toml`. Skipped where the language is missing, except in CI, where that is a failure.

mod described;
mod nchan;
mod unchanged;

use crate::common::targets::set_up;
use crate::common::{Bench, Ended, PUSHBENCH, json, turn, valid_blocks};
use pushbench_core::arm::ArmSpec;
use pushbench_sut::manifest::Manifest;
use pushbench_sut::process::{Launch, Running, start_all};
use pushbench_sut::publisher;
use pushbench_sut::publisher::PublishOptions;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

const TRANSPORTS: [&str; 2] = ["webhook", "websocket"];
const TOKEN: &str = "a-token";
const EVENT: &str = r#"{"id":"1","type":"event","data":{}}"#;
const HOOK: &str = r#"{"url":"http://127.0.0.1:9/"}"#;
const USAGE: i32 = 64;

pub(super) fn missing(needs: &[&[&str]], named: &str) -> bool {
    let works = |words: &&[&str]| {
        Command::new(words[0]).args(&words[1..]).output().is_ok_and(|o| o.status.success())
    };
    if needs.iter().all(works) {
        return false;
    }
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "missing: {named}");
    eprintln!("skipped, missing: {named}");
    true
}

/// A fan-out as short as it can be, and the arms of its report.
/// How the run ended, its arms, and how many of its blocks are valid.
fn fanned_out(bench: &Bench, more: &[&str]) -> (Ended, Vec<Value>, u64) {
    let short = ["run", "fanout", "--subscribers", "20", "--blocks", "2", "--duration", "500ms"];
    let args = [&short[..], &["--warmup", "200ms", "--rate", "100", "--out", "r"], more].concat();
    let ended = bench.run_prepared(&args);
    ended.succeeds();
    let report = json(bench, "r");
    bench.nothing_left();
    (ended, report["points"][0]["arms"].as_array().unwrap().clone(), valid_blocks(&report))
}

fn connections(arm: &Value) -> u64 {
    arm["fanout"]["connections"].as_u64().unwrap()
}

/// Every subscriber got every event exactly once.
fn all_received(arm: &Value) {
    let (f, d) = (&arm["fanout"], &arm["fanout"]["deliveries"]);
    assert!(d["due"].as_u64() > Some(100), "{arm}");
    assert_eq!((&d["received"], &f["reach"]), (&d["due"], &1.0.into()), "{arm}");
    assert_eq!(d["duplicated"], 0, "{arm}");
    // What is published side by side may be taken in any order, the same for every subscriber.
    let reordered = d["reordered"].as_u64().unwrap();
    assert_eq!(reordered % f["subscribers"].as_u64().unwrap(), 0, "{arm}");
}

#[test]
fn python() {
    let check = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))";
    if !missing(&[&["python3", "-c", check]], "Python 3.11 with venv (apt install python3-venv)") {
        shipped("aiohttp-publisher", &TRANSPORTS);
    }
}

#[test]
fn node() {
    let check = "process.exit(Number(parseInt(process.versions.node) < 20))";
    let needs: [&[&str]; 2] = [&["node", "-e", check], &["npm", "--version"]];
    if !missing(&needs, "Node.js 20 with npm (apt install nodejs npm)") {
        shipped("node-publisher", &TRANSPORTS);
        shipped("socketio-publisher", &["websocket"]);
    }
}

fn shipped(name: &str, transports: &[&str]) {
    set_up(&transports.iter().map(|transport| described(transport, name)).collect::<Vec<_>>());
    let _turn = turn::measuring();
    let bench = Bench::new();
    let arms: Vec<String> = transports.iter().map(|t| format!("{t}@{name}")).collect();
    let more: Vec<&str> = arms.iter().flat_map(|arm| ["--arm", arm]).collect();
    let (_, measured, blocks) = fanned_out(&bench, &more);
    for arm in measured {
        all_received(&arm);
        // Its own account says the same as the subscribers'.
        let p = &arm["fanout"]["publisher"];
        assert_eq!((&p["acknowledged"], &p["open"]), (&p["queued"], &0.into()), "{arm}");
        assert_eq!(p["complete"], p["published"], "{arm}");
        assert_eq!(connections(&arm), 20 * blocks, "connections are kept: {arm}");
        assert!(arm["ease"]["lines_of_code"].as_u64() > Some(0), "{arm}");
    }
    let bench = Bench::new();
    let unasked = [&more[more.len() - 2..], &["--set", "delivery.acknowledged=false"]].concat();
    for arm in fanned_out(&bench, &unasked).1 {
        all_received(&arm);
        let p = &arm["fanout"]["publisher"];
        assert_eq!((&p["written"], &p["acknowledged"]), (&p["queued"], &0.into()), "{arm}");
    }
    let no_publisher = ["run", "ingest", "--arm", &arms[0], "--out", "ingest"];
    bench.run(&no_publisher).fails(USAGE, &["does not accept them", "run fanout --arm"]);
    transports.iter().for_each(|transport| turns_away(transport, name));
}

fn described(transport: &str, name: &str) -> Manifest {
    let options = PublishOptions::new(vec!["event".into(), "order".into()], TOKEN.into());
    let spec = ArmSpec::parse(&format!("{transport}@{name}")).unwrap();
    publisher::find(&spec, &[], &options).unwrap()
}

/// Who has no token or no event is turned away, and so is an address elsewhere.
fn turns_away(transport: &str, name: &str) {
    let manifest = described(transport, name);
    let interrupt = AtomicBool::new(false);
    let launch = Launch { manifest: &manifest, cpus: &[], interrupt: &interrupt, driver: None };
    let running = start_all(&[launch]).unwrap().remove(0);
    let webhook = transport == "webhook";
    // Subscribers that greet connect elsewhere.
    let websocket = !webhook && manifest.request_options.hello.is_empty();
    for (method, path, token, body, status, requested) in [
        ("POST", "/publish", "", EVENT, 401, true),
        ("POST", "/publish", "another", EVENT, 401, true),
        ("GET", "/status", "a-toke", "", 401, true),
        ("POST", "/subscribe", "", HOOK, 401, webhook),
        ("GET", "/subscribe", "", "", 401, websocket),
        ("POST", "/publish", TOKEN, EVENT, 202, true),
        ("POST", "/publish", TOKEN, r#"{"id":"1","type":"order","data":null}"#, 202, true),
        ("POST", "/publish", TOKEN, r#"{"id":"1","type":"other","data":{}}"#, 422, true),
        ("POST", "/publish", TOKEN, r#"{"id":"1","type":"event"}"#, 400, true),
        ("POST", "/publish", TOKEN, r#"{"id":"","type":"event","data":{}}"#, 400, true),
        ("POST", "/publish", TOKEN, r#"{"id":7,"type":"event","data":{}}"#, 400, true),
        ("POST", "/publish", TOKEN, "[]", 400, true),
        ("POST", "/publish", TOKEN, "", 400, true),
        ("GET", "/publish", TOKEN, "", 405, true),
        ("POST", "/elsewhere", TOKEN, EVENT, 404, true),
        ("POST", "/subscribe", TOKEN, "{}", 400, webhook),
        ("POST", "/subscribe", TOKEN, r#"{"url":"file:///etc/passwd"}"#, 400, webhook),
        (
            "POST",
            "/subscribe",
            TOKEN,
            r#"{"url":"http://127.0.0.1:9/","types":["other"]}"#,
            422,
            webhook,
        ),
        ("POST", "/subscribe", TOKEN, r#"{"url":"http://192.0.2.1/"}"#, 403, webhook),
        ("POST", "/subscribe", TOKEN, r#"{"url":"http://0.0.0.0:1/"}"#, 403, webhook),
        ("POST", "/subscribe", TOKEN, r#"{"url":"http://127.0.0.1.nip.io/"}"#, 403, webhook),
        ("GET", "/subscribe", TOKEN, "", 426, websocket),
    ] {
        if requested {
            let (got, printed) = ask(&running, method, path, token, body.len(), body);
            assert_eq!(got, status, "{transport}@{name}: {method} {path} {body}: {printed}");
            assert!(!printed.contains(TOKEN), "{printed}");
        }
    }
    // Said before it is read.
    let (got, _) = ask(&running, "POST", "/publish", TOKEN, (16 << 20) + 1, "");
    assert_eq!(got, 413, "{transport}@{name}");
    let (_, reply) = ask(&running, "GET", "/status", TOKEN, 0, "");
    let reply: Value = serde_json::from_str(&reply).unwrap();
    assert_eq!((&reply["published"], &reply["subscribers"]), (&2.into(), &0.into()), "{reply}");
    assert_eq!(running.output_tail().trim(), "", "{transport}@{name} logs");
    running.stop();
}

fn ask(
    running: &Running,
    method: &str,
    path: &str,
    token: &str,
    length: usize,
    body: &str,
) -> (u16, String) {
    let mut stream = TcpStream::connect(running.address().socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let admitted = match token {
        "" => String::new(),
        token => format!("Authorization: Bearer {token}\r\n"),
    };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\
         {admitted}\r\n"
    );
    stream.write_all((head + body).as_bytes()).unwrap();
    let mut answer = String::new();
    // A refusal may come before the whole request was read, then the connection is reset.
    let _reset = stream.read_to_string(&mut answer);
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    (status, answer.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned()))
}

#[test]
fn a_websocket_is_acknowledged_in_the_publishers_own_words() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let text = format!(
        "[target.mine.websocket]\ncommand = \"{PUSHBENCH} serve websocket --publisher --listen \
         127.0.0.1:{{port}}\"\npublish = \"http://127.0.0.1:{{port}}/publish\"\n\
         subscribe = {{ url = \"ws://127.0.0.1:{{port}}/subscribe?types=event\" }}\nmatch = \"id\"\n\
         status = \"/status\"\nacknowledge = '{{\"done\": {{}}, \"id\": \"{{id}}\"}}'\n"
    );
    bench.write("pushbench.toml", &text);
    let (_, arms, _) = fanned_out(&bench, &["--arm", "websocket@mine"]);
    all_received(&arms[0]);
    let p = &arms[0]["fanout"]["publisher"];
    assert_eq!((&p["acknowledged"], &p["stray"]), (&p["queued"], &0.into()), "{p}");
    // Bytes of the words above, the id in them, and of a masked frame's head.
    let words = r#"{"done": {}, "id": "0000000000000000"}"#.len() as f64;
    assert_eq!(arms[0]["fanout"]["wire"]["bytes_out_per_delivery"], words + 6.0, "{}", arms[0]);
}

#[test]
fn bad_mappings_are_refused_with_their_place() {
    let bench = Bench::new();
    let publish = "publish = \"http://127.0.0.1:{port}/p\"";
    let subscribe = "subscribe = \"http://127.0.0.1:{port}/s\"";
    let both = format!("{publish}\n{subscribe}");
    for (lines, wanted) in [
        (publish.to_owned(), &["pushbench.toml:4:11", "add subscribe", "{subscriber_urls}"][..]),
        (subscribe.to_owned(), &["pushbench.toml:1:14", "no url", "publish"]),
        (format!("{both}\npublsh = 1"), &["pushbench.toml:6:1", "did you mean \"publish\""]),
        (format!("{both}\nid = \"data\""), &["pushbench.toml:6:6", "/data/id"]),
        (format!("{both}\nstatus = \"status\""), &["pushbench.toml:6:10", "\"/status\""]),
        (format!("{both}\nacknowledge = \"{{id}}\""), &["pushbench.toml:6:1", "2xx"]),
        (
            format!(
                "{publish}\nsubscribe = {{ url = \"http://127.0.0.1:{{port}}/\", bdy = \"\" }}"
            ),
            &["pushbench.toml:5:", "\"bdy\" (did you mean \"body\"?)"],
        ),
        (
            format!("{publish}\nsubscribe = {{ body = '{{subscriber_url}}' }}"),
            &["pushbench.toml:5:13", "has no url"],
        ),
        (
            format!(
                "{publish}\nsubscribe = {{ url = \"http://127.0.0.1:{{port}}/\", body = \
                 '{{\"u\": \"{{subscribers_url}}\"}}' }}"
            ),
            &["pushbench.toml:5:", "{subscribers_url}", "did you mean \"subscriber_url\""],
        ),
        (
            format!(
                "{publish}\nsubscribe = {{ url = \"http://127.0.0.1:{{port}}/\", body = '{{\"u\": 1}}' }}"
            ),
            &["pushbench.toml:5:", "no placeholder", "{subscriber_url} or {subscriber_urls}"],
        ),
        (
            format!(
                "publish = {{ url = \"http://127.0.0.1:{{port}}/\", body = '{{evnt}}' }}\n{subscribe}"
            ),
            &["pushbench.toml:4:", "did you mean \"event\""],
        ),
        (
            format!(
                "publish = {{ url = \"http://127.0.0.1:{{port}}/\", method = \"GET\" }}\n{subscribe}"
            ),
            &["pushbench.toml:4:", "POST, PUT or PATCH"],
        ),
        (format!("publish = 7\n{subscribe}"), &["pushbench.toml:4:11", "a number"]),
        (
            format!("publish = \"ws://127.0.0.1:{{port}}/\"\n{subscribe}"),
            &["pushbench.toml:4:11", "reached by http://"],
        ),
        (
            format!("{publish}\nsubscribe = \"http://example.com/\""),
            &["pushbench.toml:5:13", "--allow-host example.com"],
        ),
        (
            format!("{both}\nenv = {{ U = \"{{subscriber_urls}}\" }}"),
            &["pushbench.toml:5:13", "twice; keep one"],
        ),
        (
            format!("{publish}\nenv = {{ U = \"{{subscriber_url}}\" }}"),
            &["pushbench.toml:1:14", "write {subscriber_urls}"],
        ),
        (
            "url = \"http://127.0.0.1:{port}/\"\nid = \"/id\"".to_owned(),
            &["pushbench.toml:5:6", "applies only to publishers"],
        ),
        (
            "url = \"http://127.0.0.1:{port}/\"".to_owned(),
            &["webhook@mine", "mine does not", "webhook@builtin"],
        ),
    ] {
        let head = "[target.mine.webhook]\ncommand = \"server {port}\"\nmatch = \"order\"\n";
        bench.write("pushbench.toml", &format!("{head}{lines}\n"));
        let ended = bench.run(&["run", "fanout", "--arm", "webhook@mine", "--out", "r"]);
        ended.fails(USAGE, wanted);
        assert!(!bench.path("r").exists(), "something was begun: {lines}");
    }
    let running = "[target.mine.webhook]\nmatch = \"order\"\npublish = \"http://127.0.0.1:1/p\"\n\
                   subscribe = \"http://127.0.0.1:1/s\"\n";
    bench.write("pushbench.toml", running);
    bench
        .run(&["run", "fanout", "--arm", "webhook@mine"])
        .fails(USAGE, &["pushbench.toml:3:11", "already running", "add the command"]);
    let socket = "[target.mine.websocket]\ncommand = \"server {port}\"\nmatch = \"order\"\n\
                  publish = \"http://127.0.0.1:{port}/p\"\n\
                  subscribe = { url = \"ws://127.0.0.1:{port}/\", body = \"{subscriber_url}\" }\n";
    bench.write("pushbench.toml", socket);
    bench
        .run(&["run", "fanout", "--arm", "websocket@mine"])
        .fails(USAGE, &["pushbench.toml:5:", "\"body\"", "subscribers open a connection"]);
}

#[test]
fn what_only_the_builtin_publisher_does_is_asked_of_no_other() {
    let bench = Bench::new();
    for (scenario, key) in [("sparse", "delivery.to"), ("churn", "subscribers.stay")] {
        let ended = bench.run(&["run", scenario, "--arm", "webhook@node-publisher", "--out", "r"]);
        ended.fails(USAGE, &["webhook@node-publisher", key, "webhook@builtin"]);
    }
    let arm = ["--arm", "sse@node-publisher", "--out", "r"];
    bench.run(&[&["run", "fanout"][..], &arm].concat()).fails(USAGE, &["sse@node-publisher"]);
    assert!(!bench.path("r").exists(), "something was begun");
}

#[test]
fn more_addresses_than_a_program_can_be_told_are_refused_with_the_number_that_fits() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let text = "[target.mine.webhook]\ncommand = \"false {port}\"\nmatch = \"order\"\n\
                publish = \"http://127.0.0.1:{port}/p\"\n";
    // Said often, so that few fill it.
    let urls = ["{subscriber_urls}"; 6].join(",");
    bench.write("pushbench.toml", &format!("{text}env = {{ HOOKS = \"{urls}\" }}\n"));
    let run = |count: &str| {
        bench.run(&["run", "fanout", "--arm", "webhook@mine", "--subscribers", count, "--out", "r"])
    };
    let ended = run("1000");
    ended.fails(USAGE, &["1000 subscribers", "lower to --subscribers", "one by one"]);
    assert!(!bench.path("r").exists(), "something was begun");
    // That number is no guess: the program is started, and ends at once.
    let most = ended.err.split("--subscribers ").nth(1).unwrap();
    run(most.split(',').next().unwrap()).fails(3, &["exited with code 1"]);
}
