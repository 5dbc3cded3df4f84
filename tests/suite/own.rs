//! A user's own server, measured as easily as the built-in pair: `pushbench init`, and programs that know
//! nothing of pushbench behind a few lines of `pushbench.toml`.

use crate::common::{Bench, json, short};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A subclass of the standard library's server, as a tutorial has it.
const HTTP_SERVER: &str = r#"
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Hooks(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open("last.json", "wb") as last:
            last.write(body)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Hooks).serve_forever()
"#;

/// One that takes events by PUT from those who know the secret, and puts the id where it likes.
const GUARDED_HTTP_SERVER: &str = r#"
import json, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Hooks(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = self.headers["Authorization"] == "Bearer s3cret-of-mine"
        kind = self.headers["Content-Type"] == "application/cloudevents+json"
        answer = {"data": [{"event/id": event["id"]}], "seen": dict(self.headers)}
        body = json.dumps(answer).encode()
        self.send_response(200 if known and kind else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Hooks).serve_forever()
"#;

/// The echo of the library's own documentation.
const ECHO: &str = r#"
import asyncio, sys, websockets

async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)

async def main():
    async with websockets.serve(echo, "127.0.0.1", int(sys.argv[1])):
        await asyncio.get_running_loop().create_future()

asyncio.run(main())
"#;

/// An echo that wants a secret and a subprotocol.
const GUARDED_ECHO: &str = r#"
import asyncio, sys, websockets

def known(connection, request):
    if request.headers.get("Authorization") != "Bearer s3cret-of-mine":
        return connection.respond(401, "who are you?\n")

async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)

async def main():
    port, subprotocols = int(sys.argv[1]), sys.argv[2:] or None
    async with websockets.serve(
        echo, "127.0.0.1", port, process_request=known, subprotocols=subprotocols
    ):
        await asyncio.get_running_loop().create_future()

asyncio.run(main())
"#;

pub fn works(program: impl AsRef<Path>, args: &[&str]) -> bool {
    Command::new(program.as_ref()).args(args).output().is_ok_and(|o| o.status.success())
}

/// Skips a test with a message; in CI, where everything is there, that is a failure.
pub fn skip(missing: &str) -> bool {
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{missing}");
    eprintln!("skipped: {missing}");
    true
}

pub fn python_is_missing() -> bool {
    !works("python3", &["-c", "import http.server"])
        && skip("python3 is missing: apt install python3 python3-venv")
}

/// A Python with the `websockets` of the shipped target, kept between test runs.
pub fn python_with_websockets() -> Option<&'static PathBuf> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    let make = || {
        let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("own-python");
        let python = venv.join("bin/python");
        let pinned = concat!(env!("CARGO_MANIFEST_DIR"), "/targets/websockets/requirements.txt");
        let there = works(&python, &["-c", "import websockets"]);
        let install = ["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "-r"];
        let made = there
            || works("python3", &["-m", "venv", venv.to_str().unwrap()])
                && works(&python, &[&install[..], &[pinned]].concat());
        (made || !skip("no Python with venv and pip: apt install python3 python3-venv"))
            .then_some(python)
    };
    PYTHON.get_or_init(make).as_ref()
}

/// Describes a target in at most six lines.
fn describe(bench: &Bench, lines: &[&str]) {
    assert!(lines.len() <= 6, "so much is not needed");
    bench.write("pushbench.toml", &(lines.join("\n") + "\n"));
}

/// Measures `arm` and asserts that every event was acknowledged; gives its record.
fn measured(bench: &Bench, arm: &str, more: &[&str]) -> serde_json::Value {
    let args = [&["--arm", arm, "--out", "r", "--connections", "4"], more].concat();
    bench.run(&short(&args)).succeeds();
    let arm = json(bench, "r")["points"][0]["arms"][0].clone();
    assert_eq!(arm["events"]["acknowledged"], arm["events"]["due"], "{arm}");
    assert!(arm["target_usage"]["cpu_ns_per_event"].as_f64() > Some(1000.0), "{arm}");
    bench.nothing_left();
    arm
}

#[test]
fn init_writes_a_file_that_works_and_overwrites_none() {
    let bench = Bench::new();
    let init = bench.run(&["init"]);
    init.succeeds();
    assert!(init.out.contains("pushbench run --arm webhook@mine --arm websocket@mine"));
    let written = std::fs::read_to_string(bench.path("pushbench.toml")).unwrap();
    assert!(written.contains("pushbench run --arm webhook@mine --arm websocket@mine"));
    bench.run(&["init"]).fails(64, &["pushbench.toml exists and was not changed", "list targets"]);
    assert_eq!(std::fs::read_to_string(bench.path("pushbench.toml")).unwrap(), written);
    let list = bench.run(&["list", "targets"]);
    assert!(list.out.lines().any(|l| l.starts_with("mine ") && l.contains("webhook, websocket")));

    // The built-in pair, whatever the file describes.
    let run = bench.run(&short(&["--out", "builtin"]));
    run.succeeds();
    assert!(run.out.contains("Your own server?"), "{}", run.out);
    let arms = json(&bench, "builtin")["points"][0]["arms"].clone();
    assert_eq!((&arms[0]["target"], &arms[1]["target"]), (&"builtin".into(), &"builtin".into()));

    let both = ["--arm", "webhook@mine", "--arm", "websocket@mine", "--out", "mine"];
    bench.run(&short(&both)).succeeds();
    let arms = json(&bench, "mine")["points"][0]["arms"].clone();
    for arm in arms.as_array().unwrap() {
        assert_eq!(arm["target"], "mine");
        assert_eq!(arm["events"]["acknowledged"], arm["events"]["due"], "{arm}");
        assert_eq!(arm["events"]["duplicated"], 0, "matched by id");
    }
    bench.nothing_left();
}

#[test]
fn init_says_what_is_in_its_way() {
    let bench = Bench::new();
    let run = bench.run(&short(&["--out", "r"]));
    let next = "Your own server?       pushbench run --webhook URL --websocket URL";
    assert!(run.out.contains(next), "{}", run.out);
    // A link into nowhere would be followed by a less careful program.
    std::os::unix::fs::symlink("nowhere.toml", bench.path("pushbench.toml")).unwrap();
    bench.run(&["init"]).fails(64, &["pushbench.toml exists and was not changed"]);
    assert!(!bench.path("nowhere.toml").exists());
}

#[test]
fn a_subclass_of_pythons_http_server() {
    if python_is_missing() {
        return;
    }
    let bench = Bench::new();
    bench.write("server.py", HTTP_SERVER);
    bench.write("my.json", r#"{"type": "order.created", "id": "theirs", "data": {"total": 12}}"#);
    describe(
        &bench,
        &[
            "[target.mine.webhook]",
            "command = \"python3 server.py {port}\"",
            "url = \"http://127.0.0.1:{port}/\"",
            "match = \"order\"",
        ],
    );
    let arm = measured(&bench, "webhook@mine", &["--set", "payload.file=my.json"]);
    assert!(arm["events"]["duplicated"].is_null(), "{arm}");
    let last = std::fs::read_to_string(bench.path("last.json")).unwrap();
    let last: serde_json::Value = serde_json::from_str(&last).unwrap();
    assert_eq!((&last["type"], &last["data"]["total"]), (&"order.created".into(), &12.into()));
    let id = last["id"].as_str().unwrap();
    assert!(id.len() == 16 && u64::from_str_radix(id, 16).is_ok(), "{id}");
}

#[test]
fn a_guarded_http_server_and_no_secret_in_the_record() {
    if python_is_missing() {
        return;
    }
    let bench = Bench::new();
    bench.write("server.py", GUARDED_HTTP_SERVER);
    let lines = [
        "[target.mine.webhook]",
        "command = \"python3 server.py\"",
        "env = { PORT = \"{port}\" }",
        "url = \"http://127.0.0.1:{port}/\"",
        "method = \"PUT\"",
        "match = \"id:/data/0/event~1id\"",
        "[target.mine.webhook.headers]",
        "Authorization = \"Bearer s3cret-of-mine\"",
        "Content-Type = \"application/cloudevents+json\"",
    ];
    let describe = |lines: &[&str]| bench.write("pushbench.toml", &(lines.join("\n") + "\n"));
    describe(&lines);
    let arm = measured(&bench, "webhook@mine", &[]);
    assert_eq!(arm["events"]["duplicated"], 0);
    for file in ["run.json", "trials.jsonl", "report.md"] {
        let text = std::fs::read_to_string(bench.path("r").join(file)).unwrap();
        assert!(!text.contains("s3cret"), "{file}");
    }
    let header = std::fs::read_to_string(bench.path("r/run.json")).unwrap();
    let header: serde_json::Value = serde_json::from_str(&header).unwrap();
    let arm = &header["points"][0]["arms"][0];
    assert_eq!(arm["headers"], serde_json::json!(["authorization", "content-type"]));
    assert_eq!((&arm["method"], &arm["matched"]), (&"PUT".into(), &"id:/data/0/event~1id".into()));

    // Without the type that it wants the server sends everything back, the secret too.
    describe(&lines[..8]);
    let args = short(&["--arm", "webhook@mine", "--connections", "4"]);
    let refused = bench.run(&args);
    refused.fails(3, &["answered 401", "headers = { Authorization"]);
    assert!(!refused.err.contains("s3cret"), "{}", refused.err);
    // The id is not where it is looked for.
    describe(&[&lines[..5], &["match = \"id\""], &lines[6..]].concat());
    bench.run(&args).fails(3, &["answered 200", "match = \"id:/data/0/event~1id\""]);
    bench.nothing_left();
}

#[test]
fn a_bare_echo_over_websocket() {
    let Some(python) = python_with_websockets() else { return };
    let bench = Bench::new();
    bench.write("echo.py", ECHO);
    describe(
        &bench,
        &[
            "[target.mine.websocket]",
            &format!("command = \"{} echo.py {{port}}\"", python.display()),
            "url = \"ws://127.0.0.1:{port}/\"",
            "match = \"id\" # an echo returns the event, and with it the id",
        ],
    );
    let arm = measured(&bench, "websocket@mine", &["--in-flight", "4"]);
    let none = serde_json::Value::from(0);
    assert_eq!((&arm["events"]["duplicated"], &arm["events"]["reordered"]), (&none, &none));
}

#[test]
fn a_handshake_with_a_secret_and_a_subprotocol() {
    let Some(python) = python_with_websockets() else { return };
    let bench = Bench::new();
    bench.write("echo.py", GUARDED_ECHO);
    let lines = |speaks: &str, requested: &str, headers: &str| {
        let command = format!("command = \"{} echo.py {{port}} {speaks}\"", python.display());
        let url = "url = \"ws://127.0.0.1:{port}/\"";
        let lines = [
            "[target.mine.websocket]",
            command.as_str(),
            url,
            "match = \"id\"",
            requested,
            headers,
        ];
        describe(&bench, &lines);
    };
    let secret = "headers = { Authorization = \"Bearer s3cret-of-mine\" }";
    let requested = "subprotocol = \"v1.events\"";
    lines("v1.events", requested, secret);
    measured(&bench, "websocket@mine", &[]);

    let args = short(&["--arm", "websocket@mine", "--out", "s", "--connections", "4"]);
    lines("v1.events", requested, "");
    bench.run(&args).fails(3, &["401 Unauthorized", "who are you?", "headers = { Authorization"]);
    lines("", requested, secret);
    bench.run(&args).fails(3, &["has no subprotocol", "v1.events", "leave subprotocol out"]);
    bench.nothing_left();
}
