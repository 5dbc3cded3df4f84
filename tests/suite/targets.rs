//! The shipped targets beside the article's pair, set up from nothing and measured for a moment; then
//! each is told what is no event. Skipped where the language is missing, except in CI, where that is a
//! failure.

use crate::common::targets::set_up;
use crate::common::{Bench, json, turn};
use futures_util::{SinkExt as _, StreamExt as _};
use pushbench_core::arm::ArmSpec;
use pushbench_core::event::{Answered, Matching};
use pushbench_sut::manifest;
use pushbench_sut::manifest::Manifest;
use pushbench_sut::process::{Launch, Running, start_all};
use pushbench_wire::hello::HelloStep;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

const EVENT: &str = r#"{"id":"0000000000000007","type":"t","data":null}"#;
/// The first ones are refused by the article's app too, which looks for an id and no further.
const NO_EVENTS: [&str; 9] = [
    "{",
    "[]",
    "{}",
    "null",
    r#"{"id":"0000000000000007","type":"t"}"#,
    r#"{"id":"0000000000000007","data":{}}"#,
    r#"{"id":"","type":"t","data":{}}"#,
    r#"{"id":"0000000000000007","type":"","data":{}}"#,
    r#"{"id":7,"type":"t","data":{}}"#,
];
const REFUSED_BY_ALL: usize = 3;
/// The largest event of a scenario.
const LARGEST: usize = 16 << 20;

#[test]
fn python() {
    let check = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))";
    let needs: [&[&str]; 1] = [&["python3", "-c", check]];
    targets(
        &needs,
        "Python 3.11 with venv (apt install python3 python3-venv)",
        &[
            "webhook@flask-gunicorn",
            "webhook@fastapi",
            "websocket@fastapi",
            "webhook@hypercorn",
            "websocket@hypercorn",
            "webhook@aiohttp",
            "websocket@aiohttp",
            "webhook@starlette",
            "websocket@starlette",
            "webhook@quart",
            "websocket@quart",
            "webhook@django",
            "websocket@django",
            "webhook@python-socketio",
            "websocket@python-socketio",
        ],
    );
}

#[test]
fn node() {
    let check = "process.exit(Number(parseInt(process.versions.node) < 20))";
    let needs: [&[&str]; 2] = [&["node", "-e", check], &["npm", "--version"]];
    targets(
        &needs,
        "Node.js 20 with npm (apt install nodejs npm)",
        &[
            "webhook@express",
            "websocket@express",
            "webhook@fastify",
            "websocket@fastify",
            "webhook@ws",
            "websocket@ws",
            "webhook@hono",
            "websocket@hono",
            "webhook@socketio",
            "websocket@socketio",
            "webhook@graphql-ws",
            "websocket@graphql-ws",
            "webhook@stomp",
            "websocket@stomp",
        ],
    );
}

#[test]
fn rust() {
    let needs: [&[&str]; 1] = [&["cargo", "--version"]];
    let arms = ["webhook@axum", "websocket@axum", "webhook@actix", "websocket@actix"];
    targets(&needs, "cargo (rustup)", &arms);
}

#[test]
fn gunicorn_serves_the_very_app_of_the_article() {
    let apps = ["flask", "flask-gunicorn"].map(|name| {
        let path = format!("{}/targets/{name}/app.py", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).unwrap()
    });
    assert_eq!(apps[0], apps[1]);
}

#[test]
fn ease_is_listed_of_every_target_a_users_own_included() {
    let bench = Bench::new();
    bench.write("server.js", "// mine\nlet a = 1;\nlet b = 2;\n");
    bench.write(
        "pushbench.toml",
        "[target.mine.webhook]\nurl = \"http://127.0.0.1:1/\"\nmatch = \"id\"\n\
         code = [\"server.js\"]\nduties = [\"retry\"]\n",
    );
    let listed = bench.run(&["list", "targets", "--ease"]);
    listed.succeeds();
    let row = |start: [&str; 2]| -> Vec<&str> {
        let rows = listed.out.lines().map(|line| line.split_whitespace().collect());
        let mut rows = rows.filter(|cells: &Vec<&str>| cells[..2] == start);
        rows.next().unwrap_or_else(|| panic!("no {start:?} in\n{}", listed.out))
    };
    assert_eq!(row(["mine", "webhook"])[2..], ["2", "–", "–", "retry"]);
    assert_eq!(row(["builtin", "webhook"])[2..], ["–", "–", "–", "–"]);
    assert_eq!(row(["express", "websocket"])[3..], ["1", "1", "none"]);
    assert_eq!(row(["websockets", "websocket"])[3..], ["1", "1", "backpressure"]);
}

fn targets(needs: &[&[&str]], named: &str, arms: &[&str]) {
    let works = |words: &&[&str]| {
        Command::new(words[0]).args(&words[1..]).output().is_ok_and(|o| o.status.success())
    };
    if !needs.iter().all(works) {
        let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
        assert!(!ci, "missing: {named}");
        eprintln!("skipped, missing: {named}");
        return;
    }
    set_up(&arms.iter().map(|arm| described(arm)).collect::<Vec<_>>());
    let _turn = turn::measuring();
    every_event_is_acknowledged(arms);
    arms.iter().for_each(|arm| what_is_no_event_is_refused(arm));
}

fn every_event_is_acknowledged(arms: &[&str]) {
    let bench = Bench::new();
    let mut args = vec!["run", "ingest", "--rate", "100", "--blocks", "2", "--duration", "500ms"];
    args.extend(["--warmup", "200ms", "--connections", "8", "--out", "r"]);
    arms.iter().for_each(|arm| args.extend(["--arm", arm]));
    bench.run_prepared(&args).succeeds();
    let report = json(&bench, "r");
    for arm in report["points"][0]["arms"].as_array().unwrap() {
        let events = &arm["events"];
        assert!(events["due"].as_u64() > Some(50), "{arm}");
        assert_eq!(events["acknowledged"], events["due"], "{arm}");
        assert_eq!(arm["connections"]["opened"], 16, "connections are kept: {arm}");
        assert!(arm["ease"]["lines_of_code"].as_u64() > Some(0), "{arm}");
    }
    bench.nothing_left();
}

pub fn described(arm: &str) -> Manifest {
    let spec = ArmSpec::parse(arm).unwrap();
    manifest::find(&spec, &[]).unwrap()
}

fn what_is_no_event_is_refused(arm: &str) {
    let (transport, _) = arm.split_once('@').unwrap();
    let manifest = described(arm);
    let interrupt = AtomicBool::new(false);
    let launch = Launch { manifest: &manifest, cpus: &[], interrupt: &interrupt, driver: None };
    let running = start_all(&[launch]).unwrap().remove(0);
    match transport {
        "webhook" => webhook(arm, &manifest, &running),
        _ => websocket(arm, &manifest, &running),
    }
    assert_eq!(running.output_tail().trim(), "", "{arm} logs");
    running.stop();
}

fn webhook(arm: &str, manifest: &Manifest, running: &Running) {
    let by_id = manifest.matching == Matching::Id;
    let refused = if by_id { NO_EVENTS.len() } else { REFUSED_BY_ALL };
    for event in &NO_EVENTS[..refused] {
        let answer = post(running, &wrapped(manifest, event, 0));
        assert!(answer.starts_with("HTTP/1.1 400 "), "{arm}: {event}: {answer}");
    }
    for (index, event) in [(7, EVENT), (8, &large())] {
        let answer = post(running, &wrapped(manifest, event, index));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{arm}: {answer}");
        let (head, mut body) = answer.split_once("\r\n\r\n").unwrap();
        if head.to_lowercase().contains("transfer-encoding: chunked") {
            body = body.lines().nth(1).unwrap();
        }
        let answered = manifest.matched().answered(body.as_bytes());
        assert_eq!(answered == Answered::Event(index), by_id, "{arm}: {body}");
    }
}

fn post(running: &Running, event: &str) -> String {
    let mut stream = TcpStream::connect(running.address().socket).unwrap();
    let length = event.len();
    let path = &running.address().endpoint.path;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(format!("{head}{event}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn websocket(arm: &str, manifest: &Manifest, running: &Running) {
    let options = &manifest.request_options;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(running.address().socket).await.unwrap();
        let mut request = running.address().endpoint.to_string().into_client_request().unwrap();
        if let Some(subprotocol) = &options.subprotocol {
            request.headers_mut().insert("Sec-WebSocket-Protocol", subprotocol.clone());
        }
        let (mut socket, response) =
            tokio_tungstenite::client_async(request, stream).await.unwrap();
        assert!(response.headers().get("sec-websocket-extensions").is_none(), "{arm} compresses");
        for step in &options.hello {
            match step {
                HelloStep::Send(text) => socket.send(Message::text(text.written())).await.unwrap(),
                HelloStep::Await(pattern) => {
                    let message = socket.next().await.unwrap().unwrap().into_text().unwrap();
                    assert!(pattern.fit(message.as_bytes()).is_some(), "{arm}: {message}");
                }
            }
        }
        // Protocols with messages of their own close where one cannot be parsed.
        let wraps = options.wrap.is_some();
        let matched = manifest.matched();
        let answered = |message: &str| matched.answered(message.as_bytes());
        for (event, id) in NO_EVENTS.iter().zip(16..).skip(usize::from(wraps)) {
            socket.send(Message::text(wrapped(manifest, event, id))).await.unwrap();
            let answer = socket.next().await.unwrap().unwrap().into_text().unwrap();
            assert_eq!(answered(&answer), Answered::Nothing, "{arm}: {event}: {answer}");
            if !wraps {
                let value: serde_json::Value = serde_json::from_str(&answer).unwrap();
                assert!(value["error"].is_string(), "{arm}: {event}: {answer}");
            }
        }
        for (index, event) in [(7, EVENT.to_owned()), (8, large())] {
            socket.send(Message::text(wrapped(manifest, &event, index))).await.unwrap();
            let mut answer = socket.next().await.unwrap().unwrap().into_text().unwrap();
            while wraps && answered(&answer) == Answered::Nothing {
                answer = socket.next().await.unwrap().unwrap().into_text().unwrap();
            }
            assert_eq!(answered(&answer), Answered::Event(index), "{arm}: {answer}");
        }
    });
}

/// What is sent for an event with this index, or for what is none.
fn wrapped(manifest: &Manifest, event: &str, index: u64) -> String {
    let id = format!("{index:016x}");
    match &manifest.request_options.wrap {
        Some(wrap) => wrap.filled(|place| if place == "id" { &id } else { event }.to_owned()),
        None => event.to_owned(),
    }
}

/// Event 8.
fn large() -> String {
    let padding = "x".repeat(LARGEST - EVENT.len() + "null".len() - "\"\"".len());
    EVENT.replace('7', "8").replace("null", &format!("\"{padding}\""))
}
