//! `+token` and `+signed`, end to end: events whose sender is known are acknowledged, others are refused and
//! counted on both sides, and no secret stands in a result.

use crate::common::targets::CACHE;
use crate::common::{Bench, Ended, PUSHBENCH, ended, eventually, json, signal, turn};
use crate::python::python_is_missing;
use pushbench_wire::signing::SigningKey;
use rustix::process::Signal;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command};
use std::time::Duration;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const TOKEN: &str = "t0ken-of-the-sender";
const EVENT: &str = r#"{"id":"000000000000002a","type":"event","data":{}}"#;

/// `pushbench serve` with both secrets in its environment.
struct Server {
    child: Child,
    address: SocketAddr,
    _output: BufReader<ChildStdout>,
}

impl Server {
    fn start(bench: &Bench, arm: &str) -> Server {
        let mut command = bench.pushbench(&["serve", arm, "--listen", "127.0.0.1:0"]);
        command.env("PUSHBENCH_SECRET", SECRET).env("PUSHBENCH_BEARER", TOKEN);
        let mut child = command.spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.strip_prefix("listening on ").and_then(|l| l.split(' ').next());
        let address = address.unwrap_or_else(|| panic!("{line:?}")).parse().unwrap();
        Server { child, address, _output: output }
    }

    /// One request with these headers; its answer.
    fn ask(&self, method: &str, path: &str, headers: &[(&str, String)], body: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let head =
            format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n", body.len());
        let head = headers.iter().fold(head, |head, (n, value)| format!("{head}{n}: {value}\r\n"));
        let head = if headers.iter().any(|(name, _)| *name == "upgrade") {
            head
        } else {
            head + "connection: close\r\n"
        };
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn post(&self, headers: &[(&str, String)]) -> String {
        self.ask("POST", "/webhook", headers, EVENT)
    }

    /// Ends it; what it has printed on standard error.
    fn end(mut self) -> String {
        signal(&self.child, Signal::TERM);
        let mut printed = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut printed).unwrap();
        self.child.wait().unwrap();
        printed
    }
}

fn arms(arms: &[&str]) -> Vec<String> {
    arms.iter().flat_map(|arm| ["--arm".to_owned(), (*arm).to_owned()]).collect()
}

fn run(bench: &Bench, scenario: &str, names: &[&str], more: &[&str]) -> Ended {
    let arms = arms(names);
    let arms: Vec<&str> = arms.iter().map(String::as_str).collect();
    let short = ["--blocks", "1", "--duration", "400ms", "--warmup", "100ms"];
    bench.measure("r", &[&["run", scenario][..], &arms, &short, more].concat())
}

/// The value of an arm in a row of the parity table, and how it is known.
fn parity(report: &Value, property: &str, arm: usize) -> (String, String) {
    let rows = report["points"][0]["parity"]["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row["property"] == property);
    let found = &row.unwrap_or_else(|| panic!("no {property} in {rows:?}"))["arms"][arm];
    let text = |name: &str| found[name].as_str().unwrap().to_owned();
    (text("value"), text("known"))
}

#[test]
fn a_run_with_known_senders_acknowledges_everything_and_has_tested_that_others_are_refused() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let names = [
        "webhook+signed@builtin",
        "websocket+signed@builtin",
        "tcp+signed@builtin",
        "webhook+token@builtin",
        "websocket+token+signed@builtin",
        "webhook@builtin",
        "websocket@builtin",
    ];
    let ended = run(&bench, "ingest", &names, &["--rate", "200"]);
    assert!(matches!(ended.code, Some(0..=2)), "{}{}", ended.out, ended.err);
    let report = json(&bench, "r");
    for arm in report["points"][0]["arms"].as_array().unwrap() {
        assert!(arm["events"]["due"].as_u64() > Some(0), "{arm}");
        assert_eq!(arm["events"]["acknowledged"], arm["events"]["due"], "{arm}");
    }
    for (arm, how) in [
        (0, "Standard Webhooks v1 signature in headers"),
        (1, "Standard Webhooks v1 signature in the envelope"),
        (3, "bearer token in each request"),
        (4, "bearer token in the handshake, Standard Webhooks v1 signature in the envelope"),
    ] {
        assert_eq!(parity(&report, "authentication", arm), (how.to_owned(), "tested".to_owned()));
    }
    assert_eq!(parity(&report, "authentication", 5), ("none".to_owned(), "declared".to_owned()));
    let out = |arm: usize| {
        report["points"][0]["arms"][arm]["wire"]["bytes_out_per_event"].as_f64().unwrap()
    };
    assert_eq!((out(0) - out(5)).round(), 129.0, "three headers");
    assert_eq!((out(1) - out(6)).round(), 143.0, "an envelope");
    bench.nothing_left();
}

#[test]
fn wrong_stale_and_missing_signatures_are_refused_and_counted() {
    let bench = Bench::new();
    let server = Server::start(&bench, "webhook+token+signed");
    let key = SigningKey::parse(SECRET).unwrap();
    let other = SigningKey::parse("another secret").unwrap();
    let headers = |key: &SigningKey, token: &str| {
        let token = ("authorization", format!("Bearer {token}"));
        [key.fields("000000000000002a", EVENT.as_bytes()).to_vec(), vec![token]].concat()
    };
    for (headers, status, text) in [
        (headers(&key, TOKEN), 200, "{\"id\":\"000000000000002a\"}"),
        (headers(&other, TOKEN), 401, "the signature is wrong"),
        (headers(&key.stale(), TOKEN), 401, "the signature is stale: it is 6"),
        (
            headers(&key, TOKEN)[1..].to_vec(),
            401,
            "the signature is missing: there is no webhook-id",
        ),
        (headers(&key, TOKEN)[..3].to_vec(), 401, "the token is missing"),
        (headers(&key, "another"), 401, "the token is wrong"),
    ] {
        let answer = server.post(&headers);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains(text), "no {text} in {answer}");
    }
    let printed = server.end();
    assert!(printed.contains("refused: the signature is wrong"), "{printed}");
    assert!(printed.contains("1 verified, refused: 2 missing, 2 wrong, 1 stale"), "{printed}");
    assert!(!printed.contains(TOKEN) && !printed.contains(SECRET), "{printed}");
}

#[test]
fn a_websocket_is_refused_in_its_handshake_where_the_token_is_not_the_one() {
    let bench = Bench::new();
    let server = Server::start(&bench, "websocket+token");
    let handshake = |token: Option<&str>| {
        let mut headers: Vec<(&str, String)> = [
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .into();
        headers.extend(token.map(|token| ("authorization", format!("Bearer {token}"))));
        server.ask("GET", "/", &headers, "")
    };
    for (token, why) in [(None, "the token is missing"), (Some("another"), "the token is wrong")] {
        let answer = handshake(token);
        assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains(why), "{answer}");
    }
    assert!(server.end().contains("refused: 1 missing, 1 wrong, 0 stale"));
}

#[test]
fn serve_says_what_it_needs_and_what_has_no_meaning() {
    let bench = Bench::new();
    let serve = |args: &[&str], secret: Option<&str>| {
        let mut command = bench.pushbench(&[&["serve"], args].concat());
        command.env_remove("PUSHBENCH_SECRET").env_remove("PUSHBENCH_BEARER");
        command.envs(secret.map(|secret| ("PUSHBENCH_SECRET", secret)));
        ended(command.output().unwrap())
    };
    serve(&["webhook+signed"], None).fails(64, &["write PUSHBENCH_SECRET=$(openssl rand"]);
    serve(&["webhook+token"], None).fails(64, &["write PUSHBENCH_BEARER=$(openssl rand"]);
    serve(&["webhook+signed"], Some("short")).fails(64, &["fewer than 6 bytes"]);
    serve(&["webhook+signed"], Some("whsec_AAAA")).fails(64, &["24 to 64 bytes in Base64"]);
    serve(&["tcp+token"], None).fails(64, &["pushbench serve tcp+signed"]);
}

/// A server of one's own: the built-in one, started as a description says.
fn described(bench: &Bench, transport: &str, serves: &str, secret: &str) {
    let scheme = if transport == "webhook" { "http" } else { "ws" };
    let path = if transport == "webhook" { "/webhook" } else { "/" };
    let text = format!(
        "[target.mine.{transport}]\ncommand = [{PUSHBENCH:?}, \"serve\", {serves:?}, \"--listen\", \
         \"127.0.0.1:{{port}}\"]\nurl = \"{scheme}://127.0.0.1:{{port}}{path}\"\nsecret = \"{secret}\"\nmatch = \"id\"\n"
    );
    let before = std::fs::read_to_string(bench.path("pushbench.toml")).unwrap_or_default();
    bench.write("pushbench.toml", &(before + &text));
}

#[test]
fn a_server_of_ones_own_is_signed_for_with_the_key_of_its_description() {
    let bench = Bench::new();
    described(&bench, "webhook", "webhook+signed", "${PUSHBENCH_SECRET}");
    described(&bench, "websocket", "websocket+signed", "${PUSHBENCH_SECRET}");
    let verify = |secret: &str, arm: &str| {
        let mut command = bench.pushbench(&["verify", "--arm", arm, "--format", "json"]);
        command.env("PUSHBENCH_SECRET", secret).env("OTHER_SECRET", "the secret of another");
        ended(command.output().unwrap())
    };
    for arm in ["webhook+signed@mine", "websocket+signed@mine"] {
        let found = verify(SECRET, arm);
        found.succeeds();
        let report: Value = serde_json::from_str(&found.out).unwrap();
        let rows = report["rows"].as_array().unwrap();
        let row = rows.iter().find(|row| row["aspect"] == "authentication").unwrap();
        assert_eq!(row["arms"][0]["known"], "tested", "{row}");
        assert!(row["arms"][0]["value"].as_str().unwrap().contains("v1 signature"), "{row}");
        assert!(!found.out.contains(SECRET) && !found.err.contains(SECRET));
    }
    // One that takes everything, and one that knows another key.
    std::fs::remove_file(bench.path("pushbench.toml")).unwrap();
    described(&bench, "webhook", "webhook", "${PUSHBENCH_SECRET}");
    described(&bench, "websocket", "websocket+signed", "${OTHER_SECRET}");
    let taken = verify(SECRET, "webhook+signed@mine");
    taken.succeeds();
    assert!(taken.out.contains("not demanded"), "{}", taken.out);
    assert!(
        taken.out.contains("with no signature, with a wrong signature, with a stale signature")
    );
    verify(SECRET, "websocket+signed@mine").fails(3, &["the signature is wrong"]);
    verify(SECRET, "webhook+token@mine").fails(64, &["Authorization = \"Bearer ${NAME}\""]);
    // The key itself in the file, and one that is none.
    for (secret, why) in [("abcdefgh", "secret = \"${NAME}\""), ("${SHORT_KEY}", "24 to 64 bytes")]
    {
        std::fs::remove_file(bench.path("pushbench.toml")).unwrap();
        described(&bench, "webhook", "webhook+signed", secret);
        let mut command = bench.pushbench(&["verify", "--arm", "webhook+signed@mine"]);
        command.env("SHORT_KEY", "whsec_AAAA");
        ended(command.output().unwrap()).fails(64, &["pushbench.toml:4:", why]);
    }
    bench.nothing_left();
}

/// A sender and a receiver on the library of Standard Webhooks.
const PYTHON: &str = r#"
import os, sys, urllib.error, urllib.request
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["HOOK_SECRET"])

def send(url, event, signed):
    now = datetime.now(tz=timezone.utc)
    headers = {"webhook-id": "any.id", "webhook-timestamp": str(int(now.timestamp())),
               "webhook-signature": webhook.sign("any.id", now, signed)}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, event.encode(), headers)) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()

class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            status, answer = 200, b'{"id":"%s"}' % webhook.verify(body, dict(self.headers))["id"].encode()
        except WebhookVerificationError as error:
            status, answer = 401, str(error).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

if sys.argv[1] == "send":
    event = '{"id":"7","type":"t","data":{"text":"\u00e9"}}'
    print(send(sys.argv[2], event, event), send(sys.argv[2], event + " ", event))
else:
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Receiver).serve_forever()
"#;

/// The Python that has the library; set up once, kept between test runs.
fn python() -> PathBuf {
    let venv = Path::new(CACHE).join("standardwebhooks-1.1.0");
    let program = venv.join("bin/python");
    let has_it = || {
        let import = Command::new(&program).args(["-c", "import standardwebhooks"]).output();
        import.is_ok_and(|output| output.status.success())
    };
    if !has_it() {
        let run = |program: &Path, args: &[&str]| {
            let output = Command::new(program).args(args).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        run(Path::new("python3"), &["-m", "venv", venv.to_str().unwrap()]);
        run(&program, &["-m", "pip", "install", "--quiet", "standardwebhooks==1.1.0"]);
        assert!(has_it());
    }
    program
}

#[test]
fn the_library_of_standard_webhooks_verifies_what_we_sign_and_signs_what_we_verify() {
    if python_is_missing() {
        return;
    }
    let (bench, python) = (Bench::new(), python());
    bench.write("hooks.py", PYTHON);
    let server = Server::start(&bench, "webhook+signed");
    let url = format!("http://{}/webhook", server.address);
    let mut sender = bench.command(&python);
    let sent =
        ended(sender.args(["hooks.py", "send", &url]).env("HOOK_SECRET", SECRET).output().unwrap());
    sent.succeeds();
    assert!(
        sent.out.starts_with("(200, '{\"id\":\"7\"}') (401, 'the signature is wrong"),
        "{}",
        sent.out
    );
    assert!(server.end().contains("1 verified, refused: 0 missing, 1 wrong, 0 stale"));

    bench.write(
        "pushbench.toml",
        &format!(
            "[target.mine.webhook]\ncommand = [{python:?}, \"hooks.py\", \"receive\", \"{{port}}\"]\n\
             url = \"http://127.0.0.1:{{port}}/\"\nsecret = \"${{HOOK_SECRET}}\"\n"
        ),
    );
    let mut verify = bench.pushbench(&["verify", "--arm", "webhook+signed@mine"]);
    let found = ended(verify.env("HOOK_SECRET", SECRET).output().unwrap());
    found.succeeds();
    let row = found.out.lines().find(|line| line.starts_with("authentication")).unwrap();
    assert!(row.contains("Standard Webhooks v1 signature in headers"), "{row}");
    bench.nothing_left();
}

#[test]
fn what_is_delivered_is_signed_and_verified_over_every_transport() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let names = [
        "webhook+token+signed@builtin",
        "websocket+signed@builtin",
        "tcp+signed@builtin",
        "sse+signed@builtin",
        "long-poll+signed@builtin",
        "poll+signed@builtin",
    ];
    let few = ["--set", "subscribers.count=5", "--set", "delivery.poll_interval=100ms"];
    let ended = run(&bench, "fanout", &names, &few);
    assert!(matches!(ended.code, Some(0..=2)), "{}{}", ended.out, ended.err);
    for arm in json(&bench, "r")["points"][0]["arms"].as_array().unwrap() {
        let deliveries = &arm["fanout"]["deliveries"];
        assert!(deliveries["due"].as_u64() > Some(0), "{arm}");
        assert_eq!(deliveries["received"], deliveries["due"], "{arm}");
    }
    bench.nothing_left();
}

#[test]
fn a_publisher_that_signs_needs_its_secret() {
    let bench = Bench::new();
    let mut publisher =
        bench.pushbench(&["serve", "webhook+signed", "--publisher", "--listen", "127.0.0.1:0"]);
    publisher.env_remove("PUSHBENCH_SECRET").env("PUSHBENCH_TOKEN", "a-token");
    ended(publisher.output().unwrap()).fails(64, &["PUSHBENCH_SECRET"]);
    eventually("nothing to be left", || bench.processes().is_empty());
}
