//! `+compressed`, end to end: every event is acknowledged, the two ends say what they have agreed on, and what breaks
//! the rules has one outcome and a message.

use crate::common::targets::{CACHE, set_up};
use crate::common::{Bench, Ended, PUSHBENCH, ended, json, turn};
use crate::one_line::Server;
use crate::own::{skip, works};
use crate::python::python_is_missing;
use crate::targets::described;
use pushbench_wire::webhook::gzip::Gzip;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

const USAGE: i32 = 64;
const FAILED: i32 = 3;
const EVENT: &str = r#"{"id":"000000000000002a","type":"event","data":{}}"#;

fn run(bench: &Bench, scenario: &str, names: &[&str], more: &[&str]) -> Ended {
    let arms: Vec<&str> = names.iter().flat_map(|name| ["--arm", name]).collect();
    let short = match scenario {
        "idle" => ["--duration", "2s", "--warmup", "500ms"],
        _ => ["--duration", "400ms", "--warmup", "100ms"],
    };
    let args = [&["run", scenario, "--blocks", "1", "--out", "r"], &short[..], &arms, more];
    bench.run_prepared(&args.concat())
}

/// Of the arms that acknowledged every event: the row "protocol" of the parity table.
#[track_caller]
fn protocols(bench: &Bench, ended: &Ended) -> Vec<String> {
    assert!(matches!(ended.code, Some(0..=2)), "{}{}", ended.out, ended.err);
    let report = json(bench, "r");
    let point = &report["points"][0];
    for arm in point["arms"].as_array().unwrap() {
        assert!(arm["events"]["due"].as_u64() > Some(0), "{arm}");
        assert_eq!(arm["events"]["acknowledged"], arm["events"]["due"], "{arm}");
    }
    let rows = point["parity"]["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row["property"] == "protocol").unwrap();
    let values = row["arms"].as_array().unwrap().iter();
    values.map(|arm| arm["value"].as_str().unwrap_or_default().to_owned()).collect()
}

const TAKEOVER: &str = "permessage-deflate, 15 bits, context takeover";

#[test]
fn compressed_events_are_acknowledged_and_shorter() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let names = [
        "websocket@builtin",
        "websocket+compressed@builtin",
        "websocket+tls+signed+compressed@builtin",
        "webhook@builtin",
        "webhook+compressed@builtin",
        "webhook+signed+compressed@builtin",
    ];
    let ended = run(&bench, "ingest", &names, &["--rate", "200", "--payload", "4096"]);
    let protocols = protocols(&bench, &ended);
    assert_eq!(protocols[1..3], [TAKEOVER, TAKEOVER], "{protocols:?}");
    let report = json(&bench, "r");
    let arms = &report["points"][0]["arms"];
    let sent = |arm: usize| arms[arm]["wire"]["bytes_out_per_event"].as_f64().unwrap();
    assert!(sent(1) < sent(0) / 4.0 && sent(4) < sent(3) / 4.0, "{arms}");
    for arm in [1, 4] {
        assert!(arms[arm]["encode_ns"]["p50"].as_u64() > Some(0), "{arms}");
        assert!(arms[arm]["decode_ns"]["p50"].as_u64() > Some(0), "{arms}");
    }
    bench.nothing_left();
}

#[test]
fn settings_reach_the_offer() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let narrow = [
        "--set",
        "compression.window_bits=10",
        "--set",
        "compression.context_takeover=false",
        "--rate",
        "200",
    ];
    let ended = run(&bench, "ingest", &["websocket+compressed@builtin"], &narrow);
    let words = "permessage-deflate, 10 bits, no context takeover";
    assert_eq!(protocols(&bench, &ended), [words]);
}

#[test]
fn every_flow_of_a_websocket_is_compressed() {
    let _turn = turn::measuring();
    for scenario in ["fanout", "duplex", "idle"] {
        let bench = Bench::new();
        let more: &[&str] = match scenario {
            "fanout" => &["--subscribers", "4", "--rate", "50"],
            "idle" => &["--subscribers", "4", "--rate", "0.5"],
            _ => &["--rate", "100"],
        };
        let ended = run(&bench, scenario, &["websocket+compressed@builtin"], more);
        assert_eq!(protocols(&bench, &ended), [TAKEOVER], "{scenario}");
        bench.nothing_left();
    }
}

#[test]
fn a_first_look_finds_out_what_it_finds_without() {
    let bench = Bench::new();
    let arms = ["websocket+compressed@builtin", "webhook+compressed@builtin", "websocket@builtin"];
    let named: Vec<&str> = arms.iter().flat_map(|arm| ["--arm", arm]).collect();
    let verified = bench.run(&[&["verify", "--format", "json"][..], &named].concat());
    verified.succeeds();
    let found: Value = serde_json::from_str(&verified.out).unwrap();
    for row in found["rows"].as_array().unwrap() {
        let value = |arm: usize| &row["arms"][arm]["value"];
        if !["handler", "protocol"].contains(&row["aspect"].as_str().unwrap_or_default()) {
            assert_eq!(value(0), value(2), "{row}");
        }
    }
    bench.nothing_left();
}

/// The answer to a POST with this encoding and body.
fn post(server: &Server, encoding: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(&server.1).unwrap();
    let head = format!(
        "POST /webhook HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-encoding: {encoding}\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_body_that_cannot_be_decoded_is_refused() {
    let (compressed, plain) = (Server::start(&["webhook+compressed"]), Server::start(&["webhook"]));
    let body = Gzip::default().encode(EVENT.as_bytes()).to_vec();
    let bomb = Gzip::default().encode(&vec![0; 80 << 20]).to_vec();
    for (server, encoding, body, wanted) in [
        (&compressed, "gzip", &body[..], ["200 OK", r#"{"id":"000000000000002a"}"#]),
        (&compressed, "gzip", &body[..20], ["400 Bad", "gzip that is cut short"]),
        (&compressed, "gzip", EVENT.as_bytes(), ["400 Bad", "corrupt gzip"]),
        (&compressed, "gzip", &bomb, ["400 Bad", "gzip of more than 64 MiB"]),
        (&compressed, "br", &body, ["415 Unsupported", "this server accepts gzip"]),
        (&plain, "gzip", &body, ["415 Unsupported", "pushbench serve webhook+compressed"]),
    ] {
        let answer = post(server, encoding, body);
        for text in wanted {
            assert!(answer.contains(text), "no {text:?} in {answer}");
        }
    }
}

#[test]
fn what_is_not_compressed_is_refused_with_what_to_write() {
    let bench = Bench::new();
    for (scenario, arm, plain) in [
        ("ingest", "tcp+compressed@builtin", "tcp@builtin"),
        ("fanout", "webhook+compressed@builtin", "webhook@builtin"),
        ("fanout", "sse+compressed@builtin", "sse@builtin"),
        ("duplex", "webhook+compressed+callback@builtin", "webhook+callback@builtin"),
    ] {
        let wanted = ["+compressed: ", "not compressed", &format!("write --arm {plain}")];
        bench.run(&["run", scenario, "--arm", arm]).fails(USAGE, &wanted);
    }
    for words in [&["tcp+compressed"][..], &["webhook+compressed", "--publisher"]] {
        let args = [&["serve"], words].concat();
        bench
            .run(&args)
            .fails(USAGE, &["+compressed: ", "write pushbench serve websocket+compressed"]);
    }
    bench.nothing_left();
}

/// The faulty server of that name.
fn faulty(bench: &Bench, fault: &str) {
    bench.write(
        "pushbench.toml",
        &format!(
            "[target.t.websocket]\ncommand = \"{PUSHBENCH} __faulty compression {fault} 127.0.0.1:{{port}}\"\n\
             url = \"ws://127.0.0.1:{{port}}/\"\nmatch = \"id\"\n"
        ),
    );
}

#[test]
fn a_handshake_that_agrees_on_nothing_ends_the_run_before_it_begins() {
    let bench = Bench::new();
    for (fault, wanted) in [
        (
            "declined",
            ["the target does not agree on permessage-deflate", "the arm without +compressed"],
        ),
        (
            "not-offered",
            ["it names x-webkit-deflate-frame, which was not offered", "RFC 7692, 7.1"],
        ),
        (
            "wrong-parameter",
            [
                "server_max_window_bits=16 is no number from 8 to 15",
                "permessage-deflate; client_max_window_bits",
            ],
        ),
    ] {
        faulty(&bench, fault);
        run(&bench, "ingest", &["websocket+compressed@t"], &[]).fails(FAILED, &wanted);
        // An extension that nobody has offered is refused without compression, too.
        let plain = run(&bench, "ingest", &["websocket@t"], &[]);
        if fault != "declined" {
            plain.fails(FAILED, &["send no extension that was not requested"]);
        }
        bench.nothing_left();
    }
}

#[test]
fn a_peer_may_refuse_to_take_over_the_context() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    faulty(&bench, "no-takeover");
    let ended = run(&bench, "ingest", &["websocket+compressed@t"], &["--rate", "200"]);
    let words = "permessage-deflate, 15 bits, no context takeover";
    assert_eq!(protocols(&bench, &ended), [words]);
}

#[test]
fn a_message_that_cannot_be_decompressed_loses_what_its_connection_carries() {
    let _turn = turn::measuring();
    for (fault, why) in [
        ("corrupt", "protocol broken: corrupt permessage-deflate message: "),
        ("bomb", "protocol broken: compressed frame of more than 16 MiB when it is decompressed"),
    ] {
        let bench = Bench::new();
        faulty(&bench, fault);
        let more = ["--rate", "50", "--connections", "4"];
        let ended = run(&bench, "ingest", &["websocket+compressed@t"], &more);
        let report = json(&bench, "r");
        let events = &report["points"][0]["arms"][0]["events"];
        let count = |what: &str| events[what].as_u64().unwrap();
        let struck = count("failed") + count("lost") + count("timed_out");
        assert_eq!(count("acknowledged") + struck, count("due"), "{events}");
        assert!(count("lost") > 0 && count("timed_out") == 0, "{fault}: {events}");
        let trials = std::fs::read_to_string(bench.path("r/trials.jsonl")).unwrap();
        assert!(trials.contains(why), "{fault}: {}{}", ended.err, ended.out);
        bench.nothing_left();
    }
}

/// Servers that people use, with their own settings.
#[test]
fn python_servers_compress() {
    if !python_is_missing() {
        compressed(
            &["websocket+compressed@websockets", "websocket+compressed@fastapi"],
            "permessage-deflate, 12 bits, context takeover",
        );
        set_up(&[described("webhook@fastapi")]);
        let bench = Bench::new();
        let ended = run(&bench, "ingest", &["webhook+compressed@fastapi"], &[]);
        ended.fails(FAILED, &["it may not decompress the bodies of requests"]);
    }
}

#[test]
fn node_servers_compress() {
    let recent = "process.exit(Number(parseInt(process.versions.node) < 20))";
    if works("node", &["-e", recent]) && works("npm", &["--version"])
        || !skip("Node.js 20 with npm is missing")
    {
        compressed(&["websocket+compressed@express", "websocket+compressed@ws"], TAKEOVER);
        compressed(&["webhook+compressed@express"], "");
    }
}

fn compressed(arms: &[&str], protocol: &str) {
    let plain: Vec<String> = arms.iter().map(|arm| arm.replace("+compressed", "")).collect();
    set_up(&plain.iter().map(|arm| described(arm)).collect::<Vec<_>>());
    let _turn = turn::measuring();
    let bench = Bench::new();
    let ended = run(&bench, "ingest", arms, &["--rate", "100"]);
    if protocol.is_empty() {
        assert!(matches!(ended.code, Some(0..=2)), "{}{}", ended.out, ended.err);
    } else {
        assert!(protocols(&bench, &ended).iter().all(|there| there == protocol), "{}", ended.out);
    }
    let named: Vec<&str> = arms.iter().flat_map(|arm| ["--arm", arm]).collect();
    let mut verify = bench.pushbench(&[&["verify"][..], &named].concat());
    ended_well(verify.env("XDG_CACHE_HOME", CACHE));
    bench.nothing_left();
}

fn ended_well(command: &mut std::process::Command) {
    ended(command.output().unwrap()).succeeds();
}
