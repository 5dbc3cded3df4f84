//! Questions and their answers, end to end: in the response, by a callback, over a connection that stays
//! open; and targets that answer twice, never, or with another's id.

use crate::common::{Bench, json, turn};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

/// A run of one block with these options, and its arms.
fn arms(bench: &Bench, more: &[&str]) -> Vec<Value> {
    let short = ["--blocks", "1", "--duration", "600ms", "--warmup", "200ms", "--rate", "100"];
    let ended = bench.measure("r", &[&["run", "duplex"][..], &short, more].concat());
    // Expectations are not judged here: a machine under load may time out what it should not.
    assert!(matches!(ended.code, Some(0..=2)), "{}{}", ended.out, ended.err);
    let arms = json(bench, "r")["points"][0]["arms"].as_array().unwrap().clone();
    for arm in &arms {
        assert_eq!((&arm["trials"], &arm["invalid"]), (&1.into(), &0.into()), "{arm}");
        let n = |name: &str| count(arm, name);
        let outcomes = n("acknowledged") + n("failed") + n("timed_out") + n("lost");
        assert!(n("due") > 0 && n("due") == outcomes, "{}", arm["events"]);
    }
    bench.nothing_left();
    arms
}

fn count(arm: &Value, name: &str) -> u64 {
    arm["events"][name].as_u64().unwrap_or_else(|| panic!("no {name} in {}", arm["events"]))
}

#[test]
fn every_question_is_answered_in_each_way() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let (bytes, takes) = ("duplex.answer_bytes=2000", "duplex.takes=3ms");
    let tcp = ["webhook@builtin", "webhook+callback@builtin", "websocket@builtin", "tcp@builtin"]
        .map(|arm| ["--arm", arm])
        .concat();
    let arms = arms(&bench, &[&["--set", bytes, "--set", takes][..], &tcp].concat());
    assert_eq!(arms.len(), 4);
    for arm in &arms {
        assert_eq!(count(arm, "due"), count(arm, "acknowledged"), "{arm}");
        let n = |name: &str| count(arm, name);
        assert_eq!((n("duplicated"), n("unsolicited"), n("late")), (0, 0, 0), "{arm}");
        assert!(arm["response_ns"]["p50"].as_u64() > Some(3_000_000), "{arm}");
        // A question of 512 bytes goes out, an answer of 2000 comes in, and something around each.
        let wire = |name: &str| arm["wire"][name].as_f64().unwrap();
        assert!(
            wire("bytes_out_per_event") > 512.0 && wire("bytes_out_per_event") < 1000.0,
            "{arm}"
        );
        assert!(
            wire("bytes_in_per_event") > 2000.0 && wire("bytes_in_per_event") < 2500.0,
            "{arm}"
        );
        let callbacks = &arm["callbacks"];
        assert_eq!(callbacks.is_null(), arm["arm"] != "webhook+callback@builtin", "{arm}");
        if !callbacks.is_null() {
            // Accepted at once, answered after a while.
            let accepted = &callbacks["accepted_ns"];
            assert_eq!(accepted["count"], arm["events"]["due"]);
            assert!(accepted["p50"].as_u64() < arm["response_ns"]["p50"].as_u64(), "{arm}");
            assert!(arm["events"]["reordered"].is_null(), "{arm}");
            let opened = callbacks["connections_per_trial"].as_f64().unwrap();
            assert!(
                opened >= 1.0 && arm["connections"]["per_trial"].as_f64() >= Some(32.0 + opened)
            );
            let theirs = callbacks["bytes_in_per_event"].as_f64().unwrap();
            assert!(theirs > 2000.0 && theirs < wire("bytes_in_per_event"), "{arm}");
        }
    }
}

#[test]
fn the_default_arms_end_with_a_table_of_their_own() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let ended = bench.run(&crate::common::short(&["duplex", "--out", "r"]));
    assert!(matches!(ended.code, Some(0..=2)), "{}{}", ended.out, ended.err);
    for text in ["webhook+callback@builtin", "answer p50", "accepted p50", "answers of 512 B"] {
        assert!(ended.out.contains(text), "no {text:?} in:\n{}", ended.out);
    }
    let labels = json(&bench, "r")["points"][0]["arms"].clone();
    let labels: Vec<&str> =
        labels.as_array().unwrap().iter().map(|a| a["arm"].as_str().unwrap()).collect();
    assert_eq!(labels, ["webhook@builtin", "webhook+callback@builtin", "websocket@builtin"]);
}

/// What a target does with the answer of every fourth question that wants a callback, and with each
/// where it says so.
const ODD: &str = r##"
import http.client, http.server, json, queue, sys, threading
from urllib.parse import urlparse

fault, port = sys.argv[1], int(sys.argv[2])
answers = queue.Queue()

def call_back():
    lines = {}
    while True:
        url, id = answers.get()
        at = urlparse(url)
        line = lines.setdefault(at.netloc, http.client.HTTPConnection(at.netloc))
        line.request("POST", at.path, json.dumps({"id": id}))
        line.getresponse().read()

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_POST(self):
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        url, id = self.headers["Callback-Url"], question["id"]
        said = b"" if url else json.dumps({"id": id}).encode()
        odd = id[:6] != "766572" and int(id, 16) % 4 == 1
        self.send_response(500 if url and odd and fault == "refuse" else 202)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)
        if not url:
            return
        if not odd or fault == "proper":
            answers.put((url, id))
        elif fault == "twice":
            answers.put((url, id))
            answers.put((url, id))
        elif fault == "wrong":
            answers.put((url, "%016x" % (int(id, 16) + (1 << 40))))
        elif fault == "refuse":
            answers.put((url, id))

threading.Thread(target=call_back, daemon=True).start()
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"##;

/// What a target with this fault leaves: due, acknowledged, failed, timed out, and twice, for none, late.
fn odd(fault: &str) -> ([u64; 4], [u64; 3]) {
    let bench = Bench::new();
    bench.write("odd.py", ODD);
    bench.write(
        "pushbench.toml",
        &format!(
            "[target.odd.webhook]\ncommand = [\"python3\", \"odd.py\", \"{fault}\", \"{{port}}\"]\n\
             url = \"http://127.0.0.1:{{port}}/\"\nmatch = \"id\"\n"
        ),
    );
    let arms = arms(
        &bench,
        &["--arm", "webhook+callback@odd", "--connections", "4", "--set", "load.timeout=500ms"],
    );
    let n = |name: &str| count(&arms[0], name);
    (
        ["due", "acknowledged", "failed", "timed_out"].map(n),
        ["duplicated", "unsolicited", "late"].map(n),
    )
}

#[test]
fn a_target_that_answers_as_it_should_is_believed() {
    let _turn = turn::measuring();
    let ([due, answered, failed, timed_out], other) = odd("proper");
    assert_eq!((due, failed, timed_out, other), (answered, 0, 0, [0; 3]));
}

#[test]
fn an_answer_that_comes_twice_is_counted_once_and_told() {
    let _turn = turn::measuring();
    let ([due, answered, ..], [twice, for_none, late]) = odd("twice");
    assert_eq!((answered, for_none, late), (due, 0, 0));
    // Those of the warm-up are among them.
    assert!(twice >= due / 4 && twice <= due, "{twice} of {due}");
}

#[test]
fn an_answer_that_never_comes_times_out() {
    let _turn = turn::measuring();
    let ([due, answered, failed, timed_out], other) = odd("never");
    assert_eq!((answered + timed_out, failed, other), (due, 0, [0; 3]));
    assert!(timed_out.abs_diff(due / 4) <= 1, "{timed_out} of {due}");
}

#[test]
fn an_answer_with_the_wrong_id_answers_nothing() {
    let _turn = turn::measuring();
    let ([due, answered, failed, timed_out], [twice, for_none, late]) = odd("wrong");
    assert_eq!((answered + timed_out, failed, twice, late), (due, 0, 0, 0));
    assert!(timed_out.abs_diff(due / 4) <= 1 && for_none >= timed_out, "{timed_out}, {for_none}");
}

#[test]
fn a_question_that_is_not_accepted_has_failed_whatever_comes() {
    let _turn = turn::measuring();
    let ([due, answered, failed, timed_out], [_, for_none, _]) = odd("refuse");
    // Its answer may come before or behind the word that it is not accepted.
    assert_eq!((answered + failed, timed_out, for_none), (due, 0, 0));
    assert!(failed > 0, "{failed} of {due}");
}

#[test]
fn who_never_calls_back_is_not_measured() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    // It takes the header for nothing and answers in the response.
    bench.write(
        "pushbench.toml",
        &format!(
            "[target.no_report.webhook]\ncommand = [{:?}, \"serve\", \"webhook\", \"--listen\", \
             \"127.0.0.1:{{port}}\"]\nurl = \"http://127.0.0.1:{{port}}/webhook\"\nmatch = \"id\"\n",
            crate::common::PUSHBENCH
        ),
    );
    let args = ["duplex", "--arm", "webhook+callback@no_report", "--set", "load.timeout=300ms"];
    bench
        .run(&crate::common::short(&args))
        .fails(3, &["webhook+callback@no_report", "questions were accepted", "callback-url"]);
    bench.nothing_left();
}

#[test]
fn a_callback_is_a_webhook_that_answers_a_question_by_its_id() {
    let bench = Bench::new();
    let refused = |scenario: &str, arm: &str, texts: &[&str]| {
        bench.run(&["run", scenario, "--arm", arm]).fails(64, texts);
    };
    refused(
        "duplex",
        "websocket+callback@builtin",
        &["a callback is a webhook", "webhook+callback@"],
    );
    refused("ingest", "webhook+callback@builtin", &["sends none", "pushbench run duplex"]);
    refused(
        "duplex",
        "webhook+callbak@builtin",
        &["no option is called \"callbak\"", "did you mean \"callback\""],
    );
    refused("duplex", "webhook+callback@flask", &["matched by order", "match = \"id\""]);
    let set = |pair: &str, texts: &[&str]| {
        bench.run(&["run", "duplex", "--set", pair]).fails(64, texts);
    };
    set("duplex.answer_bytes=10", &["duplex.answer_bytes", "from 37 to"]);
    set("duplex.takes=5s", &["has timed out by then", "load.timeout"]);
    set("load.arrivals=closed", &["before its callback has arrived"]);
    bench
        .run(&["run", "ingest", "--set", "duplex.takes=5ms"])
        .fails(64, &["flow = \"duplex\"", "leave it out"]);
    bench.run(&["serve", "webhook", "--duplex", "5"]).fails(64, &["from 37 to"]);
}

/// One POST on a connection of its own: the head and the body of what comes back.
fn post(address: &str, callback: Option<&str>, body: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let callback = callback.map_or(String::new(), |url| format!("Callback-Url: {url}\r\n"));
    write!(
        stream,
        "POST /webhook HTTP/1.1\r\nHost: {address}\r\n{callback}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[test]
fn the_built_in_server_answers_where_it_is_told_on_this_machine_only() {
    let bench = Bench::new();
    let mut command =
        bench.pushbench(&["serve", "webhook", "--duplex", "64", "--listen", "127.0.0.1:0"]);
    let mut server = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.split_whitespace().find(|word| word.starts_with("127.0.0.1:")).unwrap();
    let question = r#"{"id":"q1","type":"event","data":{}}"#;

    let (head, body) = post(address, None, question);
    assert!(head.starts_with("HTTP/1.1 200") && body.len() == 64, "{head} {body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer["id"], "q1");

    for (url, status) in [
        ("http://10.1.2.3/answer", "403"),
        ("http://example.org/answer", "403"),
        ("https://127.0.0.1/answer", "400"),
        ("nonsense", "400"),
    ] {
        let (head, body) = post(address, Some(url), question);
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{url}: {head}");
        assert!(body.starts_with("callback-url: "), "{url}: {body}");
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/here?now", listener.local_addr().unwrap());
    let (head, body) = post(address, Some(&url), r#"{"id":"","type":"event","data":{}}"#);
    assert!(
        head.starts_with("HTTP/1.1 400") && body.contains("must not be empty"),
        "{head} {body}"
    );

    let (head, body) = post(address, Some(&url), question);
    assert!(head.starts_with("HTTP/1.1 202") && body.is_empty(), "{head} {body}");
    let mut called = BufReader::new(listener.accept().unwrap().0);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(called.read_line(&mut head).unwrap() > 0, "{head}");
    }
    assert!(head.starts_with("POST /here?now HTTP/1.1"), "{head}");
    let mut reply = vec![0; 64];
    called.read_exact(&mut reply).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&reply).unwrap(), answer);
    server.kill().unwrap();
    server.wait().unwrap();
}
