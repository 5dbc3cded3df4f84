//! HTTP/2 with other programs: curl, h2load and nghttp as clients of our servers, nginx and the shipped targets as
//! servers of our client. Skipped where such a program is missing, except in CI, where that is a failure.

use crate::common::publisher::{Publisher, TOKEN};
use crate::common::targets::set_up;
use crate::common::{Bench, Ended, turn};
use crate::one_line::Server;
use crate::own::{skip, works};
use crate::targets::described;
use pushbench_core::record::trial::{Stage, Trial};
use pushbench_host::results_store;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

const USAGE: i32 = 64;
const FAILED: i32 = 3;
const EVENT: &str = r#"{"id":"0000000000000007","type":"event","data":null}"#;

/// A server of ours without TLS and one with it: their URLs, and the certificate to trust.
fn servers(bench: &Bench, words: &str) -> ([Server; 2], [String; 2], String) {
    let ca = bench.path("ca.pem").to_str().unwrap().to_owned();
    let encrypted = format!("{words}+tls");
    let servers = [Server::start(&[words]), Server::start(&[&encrypted, "--cert-out", &ca])];
    let urls = [("http", 0), ("https", 1)]
        .map(|(scheme, i): (_, usize)| format!("{scheme}://{}/webhook", servers[i].1));
    (servers, urls, ca)
}

fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn curl_speaks_either_version_with_our_servers() {
    if !works("curl", &["--version"]) && skip("curl is missing: apt install curl") {
        return;
    }
    let (bench, without) = (Bench::new(), Bench::new());
    let (_servers, [plain, encrypted], ca) = servers(&bench, "webhook+h2");
    let (_first, [first, first_encrypted], first_ca) = servers(&without, "webhook");
    for (url, ca, option, version) in [
        (&plain, &ca, "--http1.1", "1.1"),
        // It asks for an upgrade, which our servers leave out (RFC 9113 has removed it).
        (&plain, &ca, "--http2", "1.1"),
        (&plain, &ca, "--http2-prior-knowledge", "2"),
        (&encrypted, &ca, "--http1.1", "1.1"),
        (&encrypted, &ca, "--http2", "2"),
        (&first, &first_ca, "--http2", "1.1"),
        (&first_encrypted, &first_ca, "--http2", "1.1"),
    ] {
        let args = ["-sS", option, "--cacert", ca, "-d", EVENT, "-w", " %{http_version}", url];
        let answered = output("curl", &args);
        assert_eq!(answered, format!("{{\"id\":\"0000000000000007\"}} {version}"), "{args:?}");
    }
}

#[test]
fn h2load_and_nghttp_speak_with_our_servers() {
    let there = |program| works(program, &["--version"]);
    if !(there("h2load") && there("nghttp")) && skip("apt install nghttp2-client") {
        return;
    }
    let bench = Bench::new();
    let (_servers, urls, _) = servers(&bench, "webhook+h2");
    bench.write("event.json", EVENT);
    let event = bench.path("event.json").to_str().unwrap().to_owned();
    for url in &urls {
        let load = ["-n", "400", "-c", "2", "-m", "100", "-d", &event, url];
        let loaded = output("h2load", &load);
        assert!(loaded.contains("400 succeeded, 0 failed"), "{loaded}");
        assert!(loaded.contains("status codes: 400 2xx"), "{loaded}");
        let answered = output("nghttp", &["-d", &event, url]);
        assert!(answered.contains("{\"id\":\"0000000000000007\"}"), "{answered}");
        // More at once than the server has said it takes.
        let pressed = output("nghttp", &["-d", &event, "-m", "300", "-s", url]);
        assert_eq!(pressed.matches(" 200 ").count(), 300, "{pressed}");
    }
}

#[test]
fn curl_subscribes_to_our_publisher() {
    if !works("curl", &["--version"]) && skip("curl is missing: apt install curl") {
        return;
    }
    let bench = Bench::new();
    let publisher = Publisher::start(&bench, &["sse+h2"]);
    let bearer = format!("Authorization: Bearer {TOKEN}");
    for (option, version) in
        [("--http1.1", "HTTP/1.1 200 OK"), ("--http2-prior-knowledge", "HTTP/2 200 ")]
    {
        let url = format!("http://{}/subscribe", publisher.address);
        let mut curl = Command::new("curl");
        let curl = curl.args(["-sSNi", option, "-H", &bearer, &url]).stdout(Stdio::piped());
        let mut curl = curl.spawn().unwrap();
        let mut lines = BufReader::new(curl.stdout.take().unwrap()).lines().map(Result::unwrap);
        assert_eq!(lines.next().unwrap(), version);
        assert!(lines.any(|line| line == "event: subscribed"));
        assert_eq!(publisher.publish("0000000000000007"), 1, "{option}");
        assert!(lines.any(|line| line.starts_with("id: 0000000000000007")), "{option}");
        curl.kill().unwrap();
        curl.wait().unwrap();
        publisher.reaches(&[("subscribers", 0)]);
    }
}

/// A short run with 8 events in flight on each of two connections.
fn run<'a>(rate: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let short = ["run", "ingest", "--blocks", "1", "--duration", "500ms", "--warmup", "200ms"];
    let load = ["--rate", rate, "--connections", "2", "--in-flight", "8", "--out", "r"];
    [&short[..], &load, more].concat()
}

/// The trials of a run's block. What is counted is exact however late a machine under load is, so invalid trials count
/// as well.
fn trials(bench: &Bench, ran: Ended) -> Vec<Trial> {
    assert!(matches!(ran.code, Some(0..=3)), "{}{}", ran.out, ran.err);
    let mut trials = results_store::read(&bench.path("r")).unwrap().trials;
    trials.retain(|trial| trial.stage == Stage::Block);
    assert!(trials.len() >= 2, "{}{}", ran.out, ran.err);
    assert!(
        trials.iter().all(|t| t.account.measured.due > 0 && t.account.measured.sums_are_exact())
    );
    trials
}

/// nginx with HTTP/2 before our server at $2, whose answers come over HTTP/1.1, with the certificate $3 and the key $4 or
/// without TLS. It ends each connection after 50 requests, by GOAWAY.
const NGINX: &str = r#"
cat > "nginx.$$.conf" <<END
daemon off;
worker_processes 1;
error_log stderr error;
pid nginx.$$.pid;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path temp;
  proxy_temp_path temp;
  fastcgi_temp_path temp;
  uwsgi_temp_path temp;
  scgi_temp_path temp;
  keepalive_requests 50;
  upstream server { server $2; keepalive 32; }
  server {
    listen 127.0.0.1:$1 http2 ${3:+ssl};
    ${3:+ssl_certificate $3; ssl_certificate_key $4; ssl_protocols TLSv1.3;}
    location / {
      proxy_pass http://server;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
  }
}
END
exec nginx -p . -c "$PWD/nginx.$$.conf"
"#;

#[test]
fn our_client_speaks_with_nginx_and_moves_on_when_it_goes_away() {
    if !works("nginx", &["-v"]) && skip("nginx is missing: apt install nginx") {
        return;
    }
    let _turn = turn::measuring();
    let bench = Bench::new();
    bench.write("nginx.sh", NGINX);
    let server = Server::start(&["webhook"]);
    bench.write(
        "pushbench.toml",
        &format!(
            "[target.nginx.webhook]\nurl = \"http://127.0.0.1:{{port}}/webhook\"\nmatch = \"id\"\nhttp_version = \"2\"\n\
             command = \"sh nginx.sh {{port}} {0}\"\n[target.nginx.webhook.tls]\n\
             url = \"https://127.0.0.1:{{port}}/webhook\"\n\
             command = \"sh nginx.sh {{port}} {0} {{cert}} {{key}}\"\n",
            server.1
        ),
    );
    let arms = ["--arm", "webhook+h2@nginx", "--arm", "webhook+h2+tls@nginx"];
    for trial in trials(&bench, bench.run(&run("800", &arms))) {
        let (events, observed) = (&trial.account.measured, format!("{:?}", trial.account));
        // What is on its way when a connection goes away may be lost: nginx does not process it.
        assert_eq!(events.acknowledged + events.lost, events.due, "{observed}");
        assert!(events.lost * 5 < events.due, "{observed}");
        assert!(trial.account.connections >= events.due / 50, "{observed}");
    }
    bench.nothing_left();
}

#[test]
fn hypercorn_serves_http2() {
    let recent = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))";
    if works("python3", &["-c", recent]) || !skip("Python 3.11 with venv is missing") {
        serve_http2("hypercorn");
    }
}

#[test]
fn node_serves_http2() {
    let recent = "process.exit(Number(parseInt(process.versions.node) < 20))";
    if works("node", &["-e", recent]) || !skip("Node.js 20 is missing") {
        serve_http2("node-http2");
    }
}

#[test]
fn axum_serves_http2() {
    if works("cargo", &["--version"]) || !skip("cargo is missing") {
        serve_http2("axum");
    }
}

/// Every event is acknowledged over as many connections as there should be, and `verify` finds nothing unusual.
fn serve_http2(target: &str) {
    let arms = [format!("webhook+h2@{target}"), format!("webhook+h2+tls@{target}")];
    set_up(&arms.each_ref().map(|arm| described(arm)));
    let _turn = turn::measuring();
    let bench = Bench::new();
    let pushbench = |args: &[&str]| {
        let args = [args, &["--arm", &arms[0], "--arm", &arms[1]]].concat();
        bench.run_prepared(&args)
    };
    for trial in trials(&bench, pushbench(&run("200", &[]))) {
        let events = &trial.account.measured;
        assert_eq!(events.acknowledged, events.due, "{:?}", trial.account);
        assert_eq!(trial.account.connections, 2, "{:?}", trial.account);
    }
    let verified = pushbench(&["verify", "--format", "json"]);
    verified.succeeds();
    for (aspect, value) in [
        ("exactly-once", "yes"),
        ("keep-alive", "kept"),
        ("malformed", "refused"),
        ("abrupt-close", "goes on"),
        ("in-pieces", "taken"),
        ("large", "taken"),
        ("chunked", "unknown"),
    ] {
        let found: serde_json::Value = serde_json::from_str(&verified.out).unwrap();
        let rows = found["rows"].as_array().unwrap();
        let row = rows.iter().find(|row| row["aspect"] == aspect).unwrap();
        for arm in row["arms"].as_array().unwrap() {
            assert_eq!(arm["value"], value, "{aspect}: {row}");
        }
    }
    bench.nothing_left();
}

#[test]
fn a_server_of_the_other_version_is_told() {
    let bench = Bench::new();
    let (_first, [plain, encrypted], _) = servers(&bench, "webhook");
    let describe = |url: &str, more: &str| {
        let text = format!("[target.mine.webhook]\nurl = \"{url}\"\nmatch = \"id\"\n{more}\n");
        bench.write("pushbench.toml", &text);
    };
    let tells = |arm: &str, texts: &[&str]| {
        let verified = bench.run(&["verify", "--arm", arm]);
        verified.fails(FAILED, &[]);
        texts.iter().for_each(|text| assert!(verified.out.contains(text), "{}", verified.out));
    };
    describe(&plain, "http_version = \"2\"");
    tells("webhook+h2@mine", &["it does not speak HTTP/2", "write the arm without +h2"]);
    describe(&encrypted, "ca = \"ca.pem\"");
    tells("webhook+h2@mine", &["ALPN http/1.1, or h2 with +h2", "enable that version in it"]);
    if works("node", &["--version"]) || !skip("Node.js 20 is missing") {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/targets/node-http2/webhook.js");
        let command = format!("command = \"node {script} {{port}}\"");
        describe("http://127.0.0.1:{port}/webhook", &command);
        let told = ["it speaks HTTP/2 only", "write the arm with +h2", "http_version = \"2\""];
        tells("webhook@mine", &told);
    }
}

#[test]
fn serve_says_what_has_no_meaning_over_http2() {
    let bench = Bench::new();
    for (words, texts) in [
        (&["websocket+h2"][..], ["is not served over HTTP/2", "serve webhook+h2"]),
        (&["tcp+h2"], ["is not served over HTTP/2", "pushbench serve tcp"]),
        (&["webhook+h2+callback", "--duplex", "64"], ["HTTP/1.1", "webhook+callback --duplex 64"]),
        (&["webhook+h2", "--publisher"], ["server-sent events", "serve sse+h2 --publisher"]),
        (&["poll+h2", "--publisher"], ["server-sent events", "pushbench serve poll --publisher"]),
        (&["sse+h2"], ["receives none", "--publisher"]),
        (&["webhook+h2+connections=2"], ["+connections", "only to the driver"]),
    ] {
        bench.run(&[&["serve"], words].concat()).fails(USAGE, &texts);
    }
}
