//! Secrets: `${NAME}` in a description. Targets send them back and print them in every way; nothing that
//! pushbench writes, prints or starts contains one.

use crate::common::{Bench, Ended, ended, json, turn};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

/// Variables and their values: characters that are escaped in headers, URLs, JSON and HTML, behind a beginning
/// that is escaped nowhere and occurs nowhere else.
const SECRETS: [(&str, &str); 4] = [
    ("HEADER_TOKEN", "Zq7-h3ad3r\"h\\e'a & <d> +e%r"),
    ("QUERY_KEY", "Zq7-qu3ry/k?e&y=\"ü\\ <y>+ #%41"),
    ("BODY_KEY", "Zq7-b0dyk3y\"b\\o'd <é> & {Y}"),
    ("SUBSCRIBE_KEY", "Zq7-sub5cr1be&\"k\\e<y>"),
];
const MARK: &str = "Zq7-";

/// Sends back what it gets, and prints it, as its first argument says.
const ECHO: &str = r#"
import base64, hashlib, html, json, os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote

mode, port, written = sys.argv[1], int(sys.argv[2]), sys.argv[3]
assert written == "${HEADER_TOKEN}", "commands get the text as it is written"

def forms(text):
    return [text, quote(text, safe=""), unquote(text), json.dumps(text), html.escape(text),
            json.dumps(json.dumps(text)), repr(text), repr(text.encode())]

if mode == "ends":
    print(forms(os.environ["HEADER_TOKEN"]), *forms(os.environ["QUERY_KEY"]), "y" * 930,
          os.environ["BODY_KEY"])
    sys.exit("\n".join(os.environ.values()))

requests = 0

class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

    def reply(self, status, body, headers={}, reason=None):
        body = body.encode()
        self.send_response(status, reason)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def handle_request(self):
        global requests
        requests += 1
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        token = self.headers.get("Authorization", "")
        key = os.environ["QUERY_KEY"]
        assert token == "Bearer " + os.environ["HEADER_TOKEN"] and key in unquote(self.path)
        if self.path.startswith("/publish"):
            assert json.loads(body)["key"] == os.environ["BODY_KEY"], body
        if self.path.startswith("/subscribe"):
            assert json.loads(body)["key"] == os.environ["SUBSCRIBE_KEY"], body
        bare = token.removeprefix("Bearer ")
        told = [self.path, token, bare, key, body]
        told = "\n".join("\n".join(forms(text)) for text in told)
        if requests < 20:
            print(told, flush=True)
        if mode == "dies" and requests > 20:
            print(told, file=sys.stderr, flush=True)
            os._exit(3)
        if mode == "ok":
            answer = {"id": json.loads(body).get("id"), "headers": dict(self.headers), "told": told}
            self.reply(200, json.dumps(answer))
        elif mode == "page":
            self.reply(404, "<html><title>" + html.escape(bare) + "</title>" + html.escape(told))
        elif mode == "cut":
            self.reply(500, "x" * 105 + key + told)
        elif mode == "moved":
            self.reply(302, "", {"Location": "http://127.0.0.1" + self.path})
        elif mode == "garbage":
            self.wfile.write(("x" * 470 + bare + told).encode())
            self.close_connection = True
        elif mode == "folded":
            self.wfile.write(("HTTP/1.1 200 OK\r\nX: y\r\n  " + bare + "\r\n\r\n").encode())
            self.close_connection = True
        elif mode in ("closes", "accepts"):
            seed = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            accept = base64.b64encode(hashlib.sha1(seed.encode()).digest()).decode()
            if mode == "accepts":
                accept = bare
            self.send_response(101)
            for name, value in {"Upgrade": "websocket", "Connection": "Upgrade",
                                "Sec-WebSocket-Accept": accept}.items():
                self.send_header(name, value)
            self.end_headers()
            reason = bytes([3, 240]) + (bare + " " + json.dumps(bare)).encode()
            self.wfile.write(bytes([0x88, len(reason)]) + reason)
            self.close_connection = True
        elif self.path.startswith("/publish") and mode == "publishes":
            self.reply(400, told)
        else:
            self.reply(401, told, {"WWW-Authenticate": "Bearer " + bare}, "not " + bare)

    do_GET = do_POST = handle_request

ThreadingHTTPServer(("127.0.0.1", port), Echo).serve_forever()
"#;

/// Each mode of the program as a target over both transports.
fn describe(bench: &Bench) {
    bench.write("echo.py", ECHO);
    let modes = [
        "ok", "refuses", "page", "cut", "moved", "garbage", "folded", "closes", "accepts", "dies",
        "ends",
    ];
    let table = |mode: &str, transport: &str, more: &str| {
        format!(
            "[target.{mode}.{transport}]\nmatch = \"id\"\n\
             command = [\"python3\", \"echo.py\", \"{mode}\", \"{{port}}\", \"${{HEADER_TOKEN}}\"]\n\
             headers = {{ Authorization = \"Bearer ${{HEADER_TOKEN}}\" }}\n{more}\n"
        )
    };
    let url = |scheme: &str| format!("url = \"{scheme}://127.0.0.1:{{port}}/a?k=${{QUERY_KEY}}\"");
    let both =
        |mode: &str| table(mode, "webhook", &url("http")) + &table(mode, "websocket", &url("ws"));
    let address = "\"http://127.0.0.1:{port}/WHERE?k=${QUERY_KEY}\"";
    let publisher = "publish = { url = PUBLISH, body = '{\"key\":\"${BODY_KEY}\",\"event\":{event}}' }\n\
                     subscribe = { url = SUBSCRIBE, body = '{\"key\":\"${SUBSCRIBE_KEY}\",\"u\":\"{subscriber_url}\"}' }"
        .replace("PUBLISH", &address.replace("WHERE", "publish"))
        .replace("SUBSCRIBE,", &format!("{},", address.replace("WHERE", "subscribe")));
    let publishers = ["publishes", "subscribes"].map(|mode| table(mode, "webhook", &publisher));
    bench.write("pushbench.toml", &(modes.map(both).concat() + &publishers.concat()));
}

/// Runs pushbench with the secrets in its environment; meanwhile no process on the machine shows one.
fn run(bench: &Bench, args: &[&str]) -> Ended {
    let mut command = bench.pushbench(args);
    command.envs(SECRETS).env("XDG_CACHE_HOME", bench.path("cache"));
    command.env("TMPDIR", bench.path("")).env("RUST_BACKTRACE", "1");
    let done = AtomicBool::new(false);
    let ended = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for process in std::fs::read_dir("/proc").unwrap().flatten() {
                    let words = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
                    let words = String::from_utf8_lossy(&words).into_owned();
                    assert!(!words.contains(MARK), "{args:?}: {words}");
                }
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        });
        let ended = ended(command.output().unwrap());
        done.store(true, Ordering::Relaxed);
        ended
    });
    for text in [&ended.out, &ended.err] {
        assert!(!text.contains(MARK), "{args:?}\n{text}");
    }
    ended
}

/// No file below this folder contains a secret; how many there are.
fn clean(folder: &Path) -> usize {
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            files += clean(&entry.path());
        } else {
            let bytes = std::fs::read(entry.path()).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains(MARK), "{}:\n{text}", entry.path().display());
            files += 1;
        }
    }
    files
}

fn python_is_missing() -> bool {
    let works = Command::new("python3").args(["-c", "import http.server"]).output();
    if works.is_ok_and(|o| o.status.success()) {
        return false;
    }
    let missing = "python3 is missing: apt install python3";
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{missing}");
    eprintln!("skipped: {missing}");
    true
}

/// A run as short as it can be.
fn short<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&crate::common::short(args)[..], &["--connections", "4"]].concat()
}

#[test]
fn a_run_that_succeeds_shows_no_secret() {
    let _turn = turn::measuring();
    if python_is_missing() {
        return;
    }
    let bench = Bench::new();
    describe(&bench);
    // The command line is recorded: it has the name alone.
    let out = ["--arm", "webhook@ok", "--out", "r"];
    run(&bench, &short(&out)).succeeds();
    let arm = json(&bench, "r")["points"][0]["arms"][0].clone();
    assert_eq!(arm["events"]["acknowledged"], arm["events"]["due"], "{arm}");
    for format in ["text", "markdown", "html", "json", "csv", "junit"] {
        run(&bench, &["report", "r", "--format", format]).succeeds();
    }
    let gate = ["gate", "--base", "ok", "--candidate", "ok", "--blocks", "8", "--out", "g"];
    let load = ["load.duration=100ms", "load.warmup=20ms", "load.rate=100", "connections.count=4"];
    let load = load.iter().flat_map(|setting| ["--set", *setting]);
    let ended = run(
        &bench,
        &gate
            .into_iter()
            .chain(load)
            .chain(["--transport", "webhook", "--at-most", "5s"])
            .collect::<Vec<_>>(),
    );
    assert!(bench.path("g/gate.json").exists(), "{}", ended.err);
    run(&bench, &["report", "g"]);
    run(&bench, &["verify", "--arm", "webhook@ok"]).succeeds();
    run(&bench, &["list", "targets"]);
    assert!(clean(&bench.path("")) > 10);
    bench.nothing_left();
}

#[test]
fn what_fails_shows_no_secret() {
    if python_is_missing() {
        return;
    }
    let bench = Bench::new();
    describe(&bench);
    let mut shown = String::new();
    for mode in ["refuses", "page", "cut", "moved", "garbage", "folded", "dies", "ends"] {
        let arm = format!("webhook@{mode}");
        shown += &run(&bench, &short(&["--arm", &arm, "--out", mode])).err;
        shown += &run(&bench, &["verify", "--arm", &arm]).out;
    }
    for mode in ["refuses", "page", "closes", "accepts", "ends"] {
        let arm = format!("websocket@{mode}");
        shown += &run(&bench, &short(&["--arm", &arm, "--out", &format!("ws-{mode}")])).err;
        shown += &run(&bench, &["verify", "--arm", &arm]).out;
    }
    for mode in ["publishes", "subscribes"] {
        let arm = format!("webhook@{mode}");
        let fanout = ["run", "fanout", "--subscribers", "4", "--out", mode, "--blocks", "2"];
        let times = ["--duration", "300ms", "--warmup", "100ms", "--rate", "20"];
        let ended = run(&bench, &[&fanout[..], &times, &["--arm", &arm]].concat());
        assert_ne!(ended.code, Some(0), "{}", ended.err);
        shown += &ended.err;
    }
    shown += &run(&bench, &["verify", "--arm", "webhook@refuses", "--format", "json"]).out;
    let ended = run(&bench, &["gate", "--base", "ok", "--candidate", "refuses", "--out", "gate"]);
    assert_ne!(ended.code, Some(0), "{}", ended.err);
    shown += &ended.err;
    clean(&bench.path(""));
    for (name, _) in &SECRETS {
        assert!(shown.contains(&format!("${{{name}}}")), "{name} is hidden nowhere:\n{shown}");
    }
    bench.nothing_left();
}

/// Results are read by their words: a secret that is one of them must not change them.
#[test]
fn a_secret_that_is_an_ordinary_word_leaves_results_readable() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    bench.write(
        "pushbench.toml",
        "[target.mine.webhook]\nurl = \"http://127.0.0.1:{port}/webhook\"\nmatch = \"id\"\n\
         command = \"pushbench serve webhook --listen 127.0.0.1:{port}\"\n\
         headers = { X-Key = \"${WORD}\" }\n",
    );
    let mut command = bench.pushbench(&[]);
    command.args(short(&["--arm", "webhook@mine", "--out", "r"])).env("WORD", "webhook");
    ended(command.output().unwrap()).succeeds();
    let report = json(&bench, "r");
    let arm = &report["points"][0]["arms"][0];
    assert_eq!((&arm["target"], &arm["transport"]), (&"mine".into(), &"webhook".into()));
    bench.nothing_left();
}

#[test]
fn a_variable_that_cannot_be_used_is_refused_before_anything_starts() {
    let bench = Bench::new();
    let refused = |line: &str, value: Option<&str>, texts: &[&str]| {
        let url = if line.starts_with("url") { "" } else { "url = \"http://127.0.0.1:9/\"\n" };
        bench.write(
            "pushbench.toml",
            &format!("[target.mine.webhook]\nmatch = \"id\"\n{url}{line}\n"),
        );
        let mut command = bench.pushbench(&["run", "--arm", "webhook@mine"]);
        match value {
            Some(value) => command.env("MY_KEY", value),
            None => command.env_remove("MY_KEY"),
        };
        let ended = ended(command.output().unwrap());
        ended.fails(64, texts);
        let shown = value.filter(|value| value.len() > 3).is_some_and(|v| ended.err.contains(v));
        assert!(!shown, "{}", ended.err);
    };
    let header = "headers = { X = \"a ${MY_KEY}\" }";
    let place = "pushbench.toml:4:17: headers.X: the environment variable MY_KEY";
    refused(header, None, &[place, "is not set", "export MY_KEY=…", "$${"]);
    refused(header, Some(""), &[place, "is empty", "export MY_KEY=…"]);
    refused(header, Some("12345"), &[place, "fewer than 6 bytes"]);
    refused(header, Some("first\nsecond"), &[place, "line break"]);
    refused(header, Some("a{token}"), &["pushbench.toml:4:17: ", "placeholder"]);
    refused(header, Some("sécrets"), &["the value of X", "printable ASCII"]);
    refused("headers = { X = \"${MY_KEY\" }", None, &[":4:17: headers.X: `${` is not closed"]);
    refused("headers = { X = \"${MY-KEY}\" }", None, &["does not name a variable"]);
    refused("url = \"http://${MY_KEY}/\"", Some("127.0.0.1"), &[":3:7: url:", "before the path"]);
    refused("url = \"http://127.0.0.1:x/${MY_KEY}\"", Some("/secret"), &["/${MY_KEY}", "port"]);
}
