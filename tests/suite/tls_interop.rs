//! TLS with other programs: other people's servers as targets, nginx before our own, and curl and Python as clients
//! of our servers. Skipped where such a program is missing, except in CI, where that is a failure.

use crate::common::targets::set_up;
use crate::common::{Bench, json, turn};
use crate::one_line::Server;
use crate::own::{python_is_missing, python_with_websockets, skip, works};
use crate::targets::described;
use serde_json::Value;
use std::process::{Command, Output};

const USAGE: i32 = 64;
const FAILED: i32 = 3;
const EVENT: &str = r#"{"id":"0000000000000007","type":"t","data":null}"#;

#[test]
fn python_targets_serve_tls() {
    let recent = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))";
    if works("python3", &["-c", recent]) || !skip("Python 3.11 with venv is missing") {
        serve_tls(&[
            "webhook+tls@flask-gunicorn",
            "webhook+tls@fastapi",
            "websocket+tls@fastapi",
            "websocket+tls@websockets",
        ]);
    }
}

#[test]
fn node_targets_serve_tls() {
    let recent = "process.exit(Number(parseInt(process.versions.node) < 20))";
    if works("node", &["-e", recent]) && works("npm", &["--version"])
        || !skip("Node.js 20 with npm is missing")
    {
        serve_tls(&[
            "webhook+tls@express",
            "websocket+tls@express",
            "webhook+tls@ws",
            "websocket+tls@ws",
        ]);
    }
}

#[test]
fn axum_serves_tls() {
    if works("cargo", &["--version"]) || !skip("cargo is missing") {
        serve_tls(&["webhook+tls@axum", "websocket+tls@axum"]);
    }
}

/// Every event is acknowledged, connections resume the session of the one before, and what is no event is refused as
/// without TLS.
fn serve_tls(arms: &[&str]) {
    set_up(&arms.iter().map(|arm| described(arm)).collect::<Vec<_>>());
    let _turn = turn::measuring();
    let bench = Bench::new();
    let named: Vec<&str> = arms.iter().flat_map(|arm| ["--arm", arm]).collect();
    let pushbench = |args: &[&str]| {
        let args = [args, &named].concat();
        bench.run_prepared(&args)
    };
    let short = ["--rate", "100", "--blocks", "2", "--duration", "500ms", "--warmup", "200ms"];
    let reconnecting = ["--connections", "4", "--set", "connections.lifetime=5", "--out", "r"];
    pushbench(&[&["run", "ingest"], &short[..], &reconnecting].concat()).succeeds();
    let report = json(&bench, "r");
    for arm in report["points"][0]["arms"].as_array().unwrap() {
        let (events, connections) = (&arm["events"], &arm["connections"]);
        assert_eq!(events["acknowledged"], events["due"], "{arm}");
        let count = |kind: &str| connections["handshakes"][kind].as_u64().unwrap();
        assert_eq!(count("full") + count("resumed"), connections["opened"], "{arm}");
        // gunicorn makes a context for each connection, and with it the keys of tickets.
        assert_eq!(count("resumed") > 0, arm["target"] != "flask-gunicorn", "{arm}");
    }
    let verified = pushbench(&["verify", "--format", "json"]);
    verified.succeeds();
    assert!(verified.out.contains("refused"), "{}", verified.out);
    bench.nothing_left();
}

/// Starts nginx with a log of connections: whether each resumed a session, and the number of the request. $4 is the
/// transport, whose server's address is in the file of that name.
const NGINX: &str = r#"
cat > "nginx.$$.conf" <<END
daemon off;
worker_processes 1;
error_log stderr warn;
pid nginx.$$.pid;
events { worker_connections 1024; }
http {
  log_format handshakes "\$ssl_session_reused \$connection_requests";
  access_log $4.$(date +%s%N).log handshakes;
  client_body_temp_path temp;
  proxy_temp_path temp;
  fastcgi_temp_path temp;
  uwsgi_temp_path temp;
  scgi_temp_path temp;
  map \$http_upgrade \$forwarded { default upgrade; "" ""; }
  upstream server { server $(cat "$4"); keepalive 32; }
  server {
    listen 127.0.0.1:$1 ssl;
    ssl_certificate $2;
    ssl_certificate_key $3;
    ssl_protocols TLSv1.3;
    location / {
      proxy_pass http://server;
      proxy_http_version 1.1;
      proxy_set_header Upgrade \$http_upgrade;
      proxy_set_header Connection \$forwarded;
    }
  }
}
END
exec nginx -p . -c "$PWD/nginx.$$.conf"
"#;

#[test]
fn nginx_counts_the_same_handshakes() {
    if !works("nginx", &["-v"]) && skip("nginx is missing: apt install nginx") {
        return;
    }
    let _turn = turn::measuring();
    let bench = Bench::new();
    bench.write("nginx.sh", NGINX);
    let mut description = String::new();
    let transports = [("webhook", "https", "/webhook"), ("websocket", "wss", "/")];
    let _servers = transports.map(|(transport, scheme, path)| {
        description += &format!(
            "[target.nginx.{transport}]\nurl = \"{scheme}://127.0.0.1:{{port}}{path}\"\nmatch = \"id\"\n\
             command = \"sh nginx.sh {{port}} {{cert}} {{key}} {transport}\"\n"
        );
        let server = Server::start(&[transport]);
        bench.write(transport, &server.1);
        server
    });
    bench.write("pushbench.toml", &description);
    let arms = ["--arm", "webhook@nginx", "--arm", "websocket@nginx", "--out", "r"];
    let more = ["--connections", "4", "--set", "connections.lifetime=5"];
    bench.run(&crate::common::short(&[&arms[..], &more].concat())).succeeds();
    let counted = stored(&bench);
    for transport in ["webhook", "websocket"] {
        // The first look comes before the trials, with a process of its own.
        let logged = logged(&bench, transport);
        assert_eq!(logged[0], (1, 0));
        let ours: Vec<(u64, u64)> = counted
            .iter()
            .filter(|(label, _)| label.starts_with(&format!("{transport}@")))
            .map(|(_, counts)| *counts)
            .collect();
        assert_eq!(logged[1..], ours, "{transport}");
        assert!(ours.iter().all(|(full, resumed)| *full == 4 && *resumed > 0), "{ours:?}");
    }
    bench.nothing_left();
}

/// The handshakes of each trial, full and resumed, with the label of its arm.
fn stored(bench: &Bench) -> Vec<(String, (u64, u64))> {
    let lines = std::fs::read_to_string(bench.path("r/trials.jsonl")).unwrap();
    let trials = lines.lines().map(|line| {
        let trial: Value = serde_json::from_str(line).unwrap();
        let count = |kind: &str| trial["handshakes"][kind].as_u64().unwrap();
        (trial["label"].as_str().unwrap().to_owned(), (count("full"), count("resumed")))
    });
    trials.collect()
}

/// Those that nginx has logged, by process, in the order in which they were started.
fn logged(bench: &Bench, transport: &str) -> Vec<(u64, u64)> {
    let files = std::fs::read_dir(bench.path("")).unwrap().flatten();
    let mut logs: Vec<_> = files
        .map(|file| file.file_name().into_string().unwrap())
        .filter(|name| name.starts_with(&format!("{transport}.")) && name.ends_with(".log"))
        .collect();
    logs.sort();
    let counted = logs.iter().map(|log| {
        let text = std::fs::read_to_string(bench.path(log)).unwrap();
        let count = |line: &str| text.lines().filter(|l| *l == line).count() as u64;
        (count(". 1"), count("r 1"))
    });
    counted.collect()
}

fn output(program: impl AsRef<std::path::Path>, args: &[&str]) -> Output {
    Command::new(program.as_ref()).args(args).output().unwrap()
}

#[test]
fn curl_reaches_our_server_and_refuses_it_without_its_certificate() {
    if !works("curl", &["--version"]) && skip("curl is missing: apt install curl") {
        return;
    }
    let bench = Bench::new();
    let ca = bench.path("ca.pem").to_str().unwrap().to_owned();
    let server = Server::start(&["webhook+tls", "--cert-out", &ca]);
    let url = format!("https://{}/webhook", server.1);
    let sent = ["-sS", "--tlsv1.3", "-H", "Content-Type: application/json", "-d", EVENT];
    let answered = output("curl", &[&sent[..], &["--cacert", &ca, &url]].concat());
    let text = String::from_utf8_lossy(&answered.stdout);
    assert!(text.contains("0000000000000007"), "{text} {answered:?}");
    // 60: the certificate cannot be authenticated.
    let refused = output("curl", &[&sent[..], &[&*url]].concat());
    assert_eq!(refused.status.code(), Some(60), "{refused:?}");
}

const CLIENT: &str = r#"
import asyncio, http.client, json, ssl, sys, websockets

hook, hook_ca, socket, socket_ca, event = sys.argv[1:]
connection = http.client.HTTPSConnection(hook, context=ssl.create_default_context(cafile=hook_ca))
for _ in range(3):
    connection.request("POST", "/webhook", event, {"Content-Type": "application/json"})
    response = connection.getresponse()
    assert response.status == 200, response.status
    assert json.loads(response.read())["id"] == json.loads(event)["id"]
assert connection.sock.version() == "TLSv1.3"

async def main():
    context = ssl.create_default_context(cafile=socket_ca)
    async with websockets.connect(f"wss://{socket}/", ssl=context) as websocket:
        for _ in range(3):
            await websocket.send(event)
            assert json.loads(await websocket.recv())["id"] == json.loads(event)["id"]

asyncio.run(main())
"#;

#[test]
fn python_reaches_our_servers() {
    let Some(python) = python_with_websockets() else { return };
    let bench = Bench::new();
    let [hook, socket] = ["webhook", "websocket"].map(|transport| {
        let ca = bench.path(&format!("{transport}.pem")).to_str().unwrap().to_owned();
        (Server::start(&[&format!("{transport}+tls"), "--cert-out", &ca]), ca)
    });
    let args = ["-c", CLIENT, &hook.0.1, &hook.1, &socket.0.1, &socket.1, EVENT];
    let ended = output(python, &args);
    assert!(ended.status.success(), "{ended:?}");
}

#[test]
fn a_running_server_is_verified_with_options_alone() {
    let bench = Bench::new();
    let ca = bench.path("ca.pem").to_str().unwrap().to_owned();
    let server = Server::start(&["webhook+tls", "--cert-out", &ca]);
    let url = format!("https://{}/webhook", server.1);
    let verify = ["verify", "--webhook", &url];
    let trusting = [&verify[..], &["--ca", &ca]].concat();
    bench.run(&trusting).succeeds();
    bench.run(&[&trusting[..], &["--server-name", "localhost"]].concat()).succeeds();
    bench.run(&[&trusting[..], &["--server-name", "b.example"]].concat()).fails(FAILED, &[]);
    bench.run(&verify).fails(USAGE, &["--webhook: ", &url, "add --ca FILE.pem"]);
    for (more, text) in [
        (["--ca", "gone.pem"], "--ca: ca \"gone.pem\": cannot read"),
        (["--server-name", "a b"], "--server-name: server_name: \"a b\" is neither"),
    ] {
        bench.run(&[&verify[..], &more].concat()).fails(USAGE, &[text]);
    }
    let plain = ["run", "--webhook", "http://127.0.0.1:1/"];
    bench.run(&[&plain[..], &["--ca", &ca]].concat()).fails(USAGE, &["is not over TLS"]);
    bench.run(&[&plain[..], &["--arm", "webhook+tls@mine"]].concat()).fails(USAGE, &["https://…"]);
    bench.run(&["run", "--ca", &ca]).fails(USAGE, &["no URL says where the server is"]);
}

/// It knows whether it is ready, and demands the token that it gave at the login.
const GUARDED: &str = r#"
import json, ssl, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Hooks(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200 if self.path == "/health" else 404, {})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = self.headers["Authorization"] == "Bearer t0ken-of-this-run"
        if self.path == "/login":
            self.answer(200, {"token": "t0ken-of-this-run"})
        else:
            self.answer(200 if known else 401, {"id": body["id"]})

    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Hooks)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"#;

#[test]
fn readiness_and_login_are_requests_over_tls() {
    if python_is_missing() {
        return;
    }
    let bench = Bench::new();
    bench.write("server.py", GUARDED);
    bench.write(
        "pushbench.toml",
        "[target.guarded.webhook]\ncommand = \"python3 server.py {port} {cert} {key}\"\nready = \"http:/health\"\n\
         url = \"https://localhost:{port}/hook\"\nmatch = \"id\"\nheaders = { Authorization = \"Bearer {token}\" }\n\
         hello = [{ url = \"https://localhost:{port}/login\", body = \"{}\", await = '{\"token\":\"{token}\"}' }]\n",
    );
    let verified = bench.run(&["verify", "guarded"]);
    verified.succeeds();
    assert!(!verified.out.contains("t0ken"), "{}", verified.out);
    bench.nothing_left();
}

#[test]
fn mistakes_have_their_place_and_what_to_write() {
    let bench = Bench::new();
    bench.write("no.pem", "no certificate\n");
    let url = "url = \"https://127.0.0.1:{port}/\"\n";
    let (plain, run) =
        ("url = \"http://127.0.0.1:{port}/\"\n", "command = \"x {port} {cert} {key}\"\n");
    let started = "command = \"x {port}\"\n";
    for (text, place, texts) in [
        (format!("{started}{url}"), "3:7", ["nothing says which certificate", "ca = \"FILE.pem\""]),
        (format!("{started}{url}ca = \"gone\"\n"), "4:6", ["cannot read gone", "a PEM file"]),
        (format!("{started}{url}ca = \"no.pem\"\n"), "4:6", ["no PEM certificate", "BEGIN CERT"]),
        (format!("{run}{url}server_name = \"a/b\"\n"), "4:15", ["\"a/b\" is neither", "DNS name"]),
        (format!("{started}{plain}ca = \"no.pem\"\n"), "4:6", ["is not over TLS", "remove ca"]),
        (format!("{run}{plain}"), "1:11", ["has {cert}", "write https or wss"]),
        (
            format!("command = \"x {{port}} {{cert}}\"\n{url}"),
            "1:11",
            ["only one of", "both files"],
        ),
        (format!("{run}{url}tls = true\n"), "4:1", ["is true or false", "[target.t.webhook.tls]"]),
        (
            format!("{started}{plain}[target.t.webhook.tls]\n"),
            "4:19",
            ["is not over TLS", "url = \"https://127.0.0.1:{port}/\""],
        ),
        (format!("{run}{url}[target.t.webhook.tls]\n"), "4:19", ["already", "remove this table"]),
        (
            format!("{started}{plain}[target.t.webhook.tls]\n{run}{url}cwdd = 1\nmach = 1\n"),
            "7:1",
            ["no key \"cwdd\"", ":8:1: [target.t.webhook.tls] has no key \"mach\""],
        ),
        (
            format!("{run}{url}hello = [{{ url = \"http://127.0.0.1:{{port}}/\" }}]\n"),
            "4:18",
            ["names the same server", "write the same in both"],
        ),
        (
            format!("{started}{plain}hello = [{{ url = \"https://127.0.0.1:{{port}}/\" }}]\n"),
            "4:18",
            ["not reached over TLS", "write http"],
        ),
    ] {
        bench.write("pushbench.toml", &format!("[target.t.webhook]\n{text}"));
        let place = format!("pushbench.toml:{place}: ");
        bench.run(&["check"]).fails(USAGE, &[&[place.as_str()], &texts[..]].concat());
    }
    bench.write("pushbench.toml", &format!("[target.t.webhook]\n{started}{plain}"));
    let run = ["run", "--arm", "webhook+tls@t"];
    bench.run(&run).fails(USAGE, &["serves webhook;", "[target.t.webhook.tls]", "https://…"]);
    let variant =
        format!("[target.t.webhook.tls]\n{url}command = \"x {{port}} {{cert}} {{key}}\"\n");
    bench.write("pushbench.toml", &format!("[target.t.webhook]\n{started}{plain}{variant}"));
    let listed = bench.run(&["list", "targets"]).out;
    assert!(listed.lines().any(|l| l.starts_with("t ") && l.ends_with("webhook, webhook+tls")));
    let checked = bench.run(&["check", "--format", "json"]);
    let checked: Value = serde_json::from_str(&checked.out).unwrap();
    let arms = checked["files"][0]["targets"].as_array().unwrap();
    assert_eq!(arms[1]["arm"], "webhook+tls@t");
    assert_eq!(arms[1]["url"], "https://127.0.0.1:{port}/");
}
