//! What `pushbench verify` and the first look of every run find out about servers whose conduct is
//! known.

mod described;
pub mod server;

use self::described::{FAILED, expect, refused, running, started, value, verify, webhook};
use self::server::{http, response, serve, talking, unfragmented};
use crate::common::{Bench, ended, eventually, short, signal};
use pushbench_core::transport::Carrier;
use pushbench_faults::FaultyServer;
use pushbench_faults::server_fault::ServerFault;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const USAGE: i32 = 64;

#[test]
fn built_in_servers_do_everything_right() {
    let bench = Bench::new();
    let ended = bench.run(&["verify", "builtin", "--format", "json"]);
    ended.succeeds();
    let found: Value = serde_json::from_str(&ended.out).unwrap();
    let arms = ["webhook@builtin", "websocket@builtin", "tcp@builtin"];
    assert_eq!(found["arms"], serde_json::json!(arms));
    assert_eq!(found["exactly_once"], serde_json::json!([true, true, true]));
    let everywhere = [
        ("exactly-once", "yes"),
        ("order", "in order"),
        ("acknowledged-by", "id"),
        ("keep-alive", "kept"),
        ("malformed", "refused"),
        ("abrupt-close", "goes on"),
        ("in-pieces", "taken"),
        ("large", "taken"),
        ("nodelay", "true"),
    ];
    let webhook = [("expect", "honoured"), ("chunked", "taken")];
    let websocket = [("ping", "answered"), ("close-handshake", "completed")];
    for (arm, more) in [&webhook[..], &websocket, &[]].iter().enumerate() {
        for (aspect, wanted) in everywhere.iter().chain(*more) {
            assert_eq!(value(&found, aspect, arm).0, *wanted, "{aspect} of {}", arms[arm]);
        }
    }
    for row in found["rows"].as_array().unwrap() {
        assert_eq!(row["differs"], false, "{row}");
        // What only the server says of itself.
        let is_declared =
            matches!(row["aspect"].as_str().unwrap(), "nodelay" | "runtime" | "threads");
        let known = if is_declared { "declared" } else { "tested" };
        let cells = row["arms"].as_array().unwrap().iter().filter(|cell| !cell.is_null());
        cells.for_each(|cell| assert_eq!(cell["known"], known, "{row}"));
    }
    bench.nothing_left();
}

#[test]
fn the_arms_of_a_run_are_the_default_and_text_is_a_table() {
    let bench = Bench::new();
    let ended = bench.run(&["verify"]);
    ended.succeeds();
    for text in ["webhook@builtin", "websocket@builtin", "exactly once", "yes (16 of 16)", "ping"] {
        assert!(ended.out.contains(text), "no {text:?} in {}", ended.out);
    }
    bench.run(&["verify", "flsk"]).fails(USAGE, &["flsk", "did you mean \"flask\""]);
    bench.run(&["verify", "--event", "no.json"]).fails(USAGE, &["--event no.json", "no.json"]);
    bench.run(&["verify", "--format", "jsn"]).fails(USAGE, &["jsn", "did you mean \"json\""]);
    bench.run(&["verify", "--arm", "webhook"]).fails(USAGE, &["TRANSPORT@TARGET"]);
}

#[test]
fn a_200_for_everything_is_a_finding() {
    let bench = Bench::new();
    webhook(&bench, http(|_| response("200 OK", "", "Webhook received")));
    let (found, ended) = verify(&bench, "webhook@t");
    ended.succeeds();
    expect(
        &found,
        "malformed",
        "acknowledged",
        "acknowledges a message that it cannot have parsed",
    );
    expect(&found, "exactly-once", "yes", "16 of 16");
    expect(&found, "order", "unknown", "no id");
    expect(&found, "nodelay", "unknown", "");
    // It waits for the body that waits for its word.
    expect(&found, "expect", "ignored", "no 100");
}

#[test]
fn only_well_formed_events_are_sent_unasked() {
    static GARBAGE: AtomicBool = AtomicBool::new(false);
    let port = http(|request| {
        if serde_json::from_slice::<Value>(&request.body).is_err() {
            GARBAGE.store(true, Ordering::Relaxed);
        }
        response("200 OK", "", "ok")
    });
    let bench = Bench::new();
    webhook(&bench, port);
    bench.run(&short(&["--arm", "webhook@t", "--out", "r"])).succeeds();
    assert!(!GARBAGE.load(Ordering::Relaxed));
    verify(&bench, "webhook@t").1.succeeds();
    assert!(GARBAGE.load(Ordering::Relaxed));
}

#[test]
fn a_wrong_path_is_refused_with_the_remedy() {
    let bench = Bench::new();
    let listen = "webhook --listen 127.0.0.1:{port}";
    started(&bench, "webhook", listen, "http://127.0.0.1:{port}/wrong", "");
    refused(&bench, "webhook@t", &["answered 404 Not Found", "/wrong", "correct the path in url"]);
    bench.nothing_left();
}

#[test]
fn a_refusal_of_every_event_shows_status_and_body() {
    let bench = Bench::new();
    webhook(&bench, http(|_| response("503 Service Unavailable", "", "no database")));
    let texts = ["none of", "answered 503 Service Unavailable: no database", "curl -i"];
    refused(&bench, "webhook@t", &texts);
    webhook(&bench, http(|_| response("401 Unauthorized", "", "who are you?")));
    refused(&bench, "webhook@t", &["answered 401", "who are you?", "requires credentials"]);
}

#[test]
fn answers_without_an_id_where_ids_are_declared() {
    let bench = Bench::new();
    let port = http(|_| response("200 OK", "", "ok"));
    running(&bench, "webhook", &format!("http://127.0.0.1:{port}/"), "id");
    refused(&bench, "webhook@t", &["answered 200 OK: ok", "match = \"order\""]);
}

#[test]
fn a_second_answer_is_no_exactly_once() {
    let bench = Bench::new();
    for carrier in [Carrier::Webhook, Carrier::Websocket, Carrier::Tcp] {
        let odd = FaultyServer::start(carrier, ServerFault::Twice).unwrap();
        running(&bench, carrier.name(), &odd.url(), "id");
        let (found, ended) = verify(&bench, &format!("{}@t", carrier.name()));
        assert_eq!(ended.code, Some(FAILED), "{}{}", ended.out, ended.err);
        let why = format!("{}@t: not every event was acknowledged exactly once", carrier.name());
        ended.fails(FAILED, &[&why, "16 of 16, 3 twice"]);
        expect(&found, "exactly-once", "no", "16 of 16, 3 twice");
        assert!(found["trouble"][0].is_null(), "{found}");
    }
}

#[test]
fn what_nobody_asked_for_is_counted() {
    let bench = Bench::new();
    let odd = FaultyServer::start(Carrier::Websocket, ServerFault::Unsolicited).unwrap();
    running(&bench, "websocket", &odd.url(), "id");
    let (found, ended) = verify(&bench, "websocket@t");
    ended.succeeds();
    expect(&found, "exactly-once", "yes", "16 of 16, 6 unmatched, such as `news`");
    running(&bench, "websocket", &odd.url(), "order");
    let (found, ended) = verify(&bench, "websocket@t");
    assert_eq!(ended.code, Some(FAILED), "{}{}", ended.out, ended.err);
    expect(&found, "exactly-once", "no", "it counts as an answer");
}

#[test]
fn a_message_that_answers_nothing_does_not_end_the_wait_for_an_answer() {
    let bench = Bench::new();
    for (before_each, observed) in
        [("", "16 of 16, 1 unmatched"), ("beat", "16 of 16, 17 unmatched")]
    {
        let url = format!("ws://127.0.0.1:{}/", talking("welcome", before_each, true));
        running(&bench, "websocket", &url, "id");
        let (found, ended) = verify(&bench, "websocket@t");
        ended.succeeds();
        expect(&found, "exactly-once", "yes", observed);
        expect(&found, "order", "in order", "");
        expect(&found, "malformed", "refused", "answered `no JSON`");
        expect(&found, "abrupt-close", "goes on", "");
        expect(&found, "in-pieces", "taken", "");
        expect(&found, "large", "taken", "");
    }
    // By order the greeting is not told from an answer once a connection is opened for an event.
    let url = format!("ws://127.0.0.1:{}/", talking("welcome", "", true));
    running(&bench, "websocket", &url, "order");
    let (found, ended) = verify(&bench, "websocket@t");
    assert_eq!(ended.code, Some(FAILED), "{}{}", ended.out, ended.err);
    expect(
        &found,
        "exactly-once",
        "no",
        "16 of 16, 1 unmatched, such as `welcome`; when matched by order",
    );
    expect(&found, "in-pieces", "taken", "");
}

#[test]
fn a_greeting_that_nothing_follows_is_not_cured_by_order() {
    let bench = Bench::new();
    let greeting = "0{\"sid\":\"x\"}";
    let url = format!("ws://127.0.0.1:{}/", talking(greeting, "", false));
    running(&bench, "websocket", &url, "id");
    let (found, ended) = verify(&bench, "websocket@t");
    assert_eq!(ended.code, Some(FAILED), "{}{}", ended.out, ended.err);
    let failure = found["trouble"][0].as_str().unwrap();
    assert!(failure.contains("the greeting of Engine.IO (Socket.IO)"), "{failure}");
    assert!(!failure.contains("match = \"order\""), "{failure}");
}

#[test]
fn a_wrong_order_is_seen_by_id_and_no_failure() {
    let bench = Bench::new();
    for carrier in [Carrier::Websocket, Carrier::Tcp] {
        let odd = FaultyServer::start(carrier, ServerFault::Swap).unwrap();
        running(&bench, carrier.name(), &odd.url(), "id");
        let (found, ended) = verify(&bench, &format!("{}@t", carrier.name()));
        assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
        expect(&found, "order", "out of order", "3 overtook");
        expect(&found, "exactly-once", "yes", "");
    }
}

#[test]
fn connections_that_are_not_kept_are_seen() {
    let bench = Bench::new();
    webhook(&bench, http(|_| response("200 OK", "Connection: close\r\n", "ok")));
    let (found, ended) = verify(&bench, "webhook@t");
    ended.succeeds();
    expect(&found, "keep-alive", "one event each", "16 connections for 16 events");

    // One that closes behind its answer and does not say so.
    let no_answer = serve(|stream| {
        let mut reader = std::io::BufReader::new(stream);
        if server::Request::read(&mut reader, |_| true)?.is_some() {
            reader.get_mut().write_all(&response("200 OK", "", "ok"))?;
        }
        Ok(())
    });
    webhook(&bench, no_answer);
    let (found, ended) = verify(&bench, "webhook@t");
    ended.succeeds();
    expect(&found, "keep-alive", "one event each", "15 times without notice");
    expect(&found, "exactly-once", "yes", "16 of 16");
}

#[test]
fn silence_is_told_from_a_close() {
    let bench = Bench::new();
    webhook(&bench, serve(|mut stream| std::io::copy(&mut stream, &mut std::io::sink()).map(drop)));
    refused(&bench, "webhook@t", &["no answer came", "curl -i"]);
    webhook(&bench, serve(|mut stream| stream.read_exact(&mut [0; 4])));
    refused(&bench, "webhook@t", &["the connection was", "it may not be an HTTP server"]);
}

#[test]
fn tls_on_a_plain_address_is_named() {
    let bench = Bench::new();
    let alert = serve(|mut stream| {
        stream.read_exact(&mut [0; 4])?;
        stream.write_all(b"\x15\x03\x03\x00\x02\x02\x46")?;
        std::io::copy(&mut stream, &mut std::io::sink()).map(drop)
    });
    for (transport, scheme) in [("webhook", "http"), ("websocket", "ws"), ("tcp", "tcp")] {
        running(&bench, transport, &format!("{scheme}://127.0.0.1:{alert}/"), "order");
        refused(&bench, &format!("{transport}@t"), &["TLS", "write https://"]);
    }
    let nginx = "<html>The plain HTTP request was sent to HTTPS port</html>";
    let port = http(move |_| response("400 Bad Request", "Connection: close\r\n", nginx));
    webhook(&bench, port);
    refused(&bench, "webhook@t", &["400 Bad Request", "HTTPS port", "write https://"]);
    running(&bench, "websocket", &format!("ws://127.0.0.1:{port}/"), "order");
    refused(&bench, "websocket@t", &["400 Bad Request", "HTTPS port", "write https://"]);
}

#[test]
fn one_transport_under_the_name_of_another() {
    let bench = Bench::new();
    let listen = |server: &str| format!("{server} --listen 127.0.0.1:{{port}}");
    let ws = "ws://127.0.0.1:{port}/webhook";
    started(&bench, "websocket", &listen("webhook"), ws, "");
    refused(&bench, "websocket@t", &["405 Method Not Allowed", "target.NAME.webhook", "http://"]);
    let wrong = "ws://127.0.0.1:{port}/nowhere";
    started(&bench, "websocket", &listen("webhook"), wrong, "");
    refused(&bench, "websocket@t", &["404 Not Found", "/nowhere", "correct the path"]);
    started(&bench, "webhook", &listen("websocket"), "http://127.0.0.1:{port}/", "");
    refused(&bench, "webhook@t", &["the connection was", "it is a WebSocket", "url = \"ws://"]);
    let tcp = "tcp://127.0.0.1:{port}/";
    running(&bench, "tcp", &tcp.replace("{port}", &http(|_| Vec::new()).to_string()), "order");
    refused(&bench, "tcp@t", &["four bytes of length"]);
    bench.nothing_left();
}

#[test]
fn another_port_than_asked_is_named() {
    let bench = Bench::new();
    let (anywhere, url) = ("webhook --listen 127.0.0.1:0", "http://127.0.0.1:{port}/webhook");
    let port_variable = "env = { PORT = \"{port}\" }";
    started(&bench, "webhook", anywhere, url, &format!("{port_variable}\nready_timeout = \"1s\""));
    bench
        .run(&["verify", "--arm", "webhook@t"])
        .fails(FAILED, &["not ready", "it listens on 127.0.0.1:", "instead"]);
    // It says that it is ready, and is not there.
    started(
        &bench,
        "webhook",
        anywhere,
        url,
        &format!("{port_variable}\nready = \"line:listening\""),
    );
    refused(&bench, "webhook@t", &["refused", "it listens on 127.0.0.1:", "{port} in its command"]);
    bench.nothing_left();
}

#[test]
fn localhost_is_where_the_target_listens() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return; // a machine without IPv6
    }
    let bench = Bench::new();
    let url = "http://localhost:{port}/webhook";
    for ready in
        ["", "ready = \"line:listening\"", "ready = \"http:/nowhere\"\nready_timeout = \"1s\""]
    {
        started(&bench, "webhook", "webhook --listen [::1]:{port}", url, ready);
        let (found, ended) = verify(&bench, "webhook@t");
        match ready.contains("nowhere") {
            false => expect(&found, "exactly-once", "yes", "16 of 16"),
            true => ended.fails(FAILED, &["GET /nowhere at 127.0.0.1:", " or [::1]:"]),
        }
    }
    // Who listens on every address of IPv4 does not listen on those of IPv6.
    let (anywhere, url) = ("webhook --listen 0.0.0.0:{port}", "http://[::1]:{port}/webhook");
    started(&bench, "webhook", anywhere, url, "ready_timeout = \"1s\"");
    let ended = verify(&bench, "webhook@t").1;
    ended.fails(FAILED, &["not ready", "it listens on 0.0.0.0:", "instead"]);
    bench.nothing_left();
}

#[test]
fn a_fragmented_message_may_end_a_connection() {
    let bench = Bench::new();
    running(&bench, "websocket", &format!("ws://127.0.0.1:{}/", unfragmented()), "order");
    let (found, ended) = verify(&bench, "websocket@t");
    ended.succeeds();
    expect(&found, "in-pieces", "fails", "the connection was");
    expect(&found, "large", "taken", "");
    expect(&found, "malformed", "acknowledged", "cannot have parsed");
    expect(&found, "ping", "not answered", "the connection was");
    expect(&found, "close-handshake", "not completed", "the connection was");
}

#[test]
fn a_server_that_fails_now_and_then_is_not_said_to_fail_at_what_a_probe_asks() {
    static REQUESTS: AtomicU64 = AtomicU64::new(0);
    let bench = Bench::new();
    // Every second event, so that every probe meets a failure or the one behind it does.
    webhook(
        &bench,
        http(|_| match REQUESTS.fetch_add(1, Ordering::Relaxed) % 2 {
            0 => response("200 OK", "", "ok"),
            _ => response("500 Internal Server Error", "", "no luck"),
        }),
    );
    let (found, ended) = verify(&bench, "webhook@t");
    assert_eq!(ended.code, Some(FAILED), "{}{}", ended.out, ended.err);
    expect(&found, "exactly-once", "no", "8 of 16, answered 500 Internal Server Error: no luck");
    expect(&found, "abrupt-close", "goes on", "");
    expect(&found, "in-pieces", "taken", "");
    expect(&found, "large", "taken", "");
}

#[test]
fn a_large_event_may_be_refused() {
    let bench = Bench::new();
    let port = serve(|stream| {
        let mut reader = std::io::BufReader::new(stream);
        let fits = |length| length <= 64 << 10;
        while let Some(request) = server::Request::read(&mut reader, fits)? {
            if request.body.is_empty() {
                reader.get_mut().write_all(&response("413 Too Large", "", "64 KiB at most"))?;
                return std::io::copy(&mut reader, &mut std::io::sink()).map(drop);
            }
            reader.get_mut().write_all(&response("200 OK", "", "ok"))?;
        }
        Ok(())
    });
    webhook(&bench, port);
    let (found, ended) = verify(&bench, "webhook@t");
    ended.succeeds();
    expect(&found, "large", "refused", "answered 413 Too Large: 64 KiB at most");
    expect(&found, "in-pieces", "taken", "");
}

#[test]
fn a_run_keeps_what_it_has_found_for_the_parity_table() {
    let bench = Bench::new();
    webhook(&bench, http(|_| response("200 OK", "Connection: close\r\n", "ok")));
    let arms = ["--arm", "webhook@t", "--arm", "websocket@builtin", "--out", "r"];
    bench.run(&short(&arms)).succeeds();
    let header = std::fs::read_to_string(bench.path("r/run.json")).unwrap();
    let header: Value = serde_json::from_str(&header).unwrap();
    assert_eq!(header["findings"].as_array().unwrap().len(), 2, "{header}");
    let report = crate::common::json(&bench, "r");
    let rows = report["points"][0]["parity"]["rows"].as_array().unwrap();
    let row = |name: &str| rows.iter().find(|r| r["property"] == name).unwrap();
    let keep_alive = row("keep-alive");
    let values = ["one event each", "kept"];
    for (arm, value) in keep_alive["arms"].as_array().unwrap().iter().zip(values) {
        assert_eq!((&arm["value"], &arm["known"]), (&value.into(), &"tested".into()));
    }
    assert_eq!((&keep_alive["same"], &row("exactly once")["same"]), (&false.into(), &true.into()));
    assert_eq!(row("order")["arms"][0]["known"], "unknown");
    assert_eq!(row("order")["arms"][1]["value"], "in order");
    // The built-in target says it of itself; the other one says nothing.
    let somaxconn = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    let granted = somaxconn.trim().parse::<u32>().unwrap().min(4096).to_string();
    for (name, value) in [("backlog", granted.as_str()), ("handler delay", "0 ns")] {
        let arms = &row(name)["arms"];
        assert_eq!((&arms[1]["value"], &arms[1]["known"]), (&value.into(), &"declared".into()));
        assert_eq!(arms[0]["known"], "unknown", "{name}");
    }
    let library = row("target's library")["arms"][1]["value"].as_str().unwrap().to_owned();
    assert!(library.starts_with("tungstenite "), "{library}");
    assert_eq!(row("driver's library")["arms"][0]["known"], "declared");
    bench.nothing_left();
}

#[test]
fn ctrl_c_ends_a_verification() {
    static ASKED: AtomicBool = AtomicBool::new(false);
    let bench = Bench::new();
    let port = serve(|mut stream| {
        stream.read_exact(&mut [0; 4])?;
        ASKED.store(true, Ordering::Relaxed);
        std::io::copy(&mut stream, &mut std::io::sink()).map(drop)
    });
    webhook(&bench, port);
    let child = bench.pushbench(&["verify", "--arm", "webhook@t"]).spawn().unwrap();
    eventually("the first event", || ASKED.load(Ordering::Relaxed));
    signal(&child, rustix::process::Signal::INT);
    ended(child.wait_with_output().unwrap()).fails(130, &["interrupted"]);
}
