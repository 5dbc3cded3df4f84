//! A publisher of a user, which pushbench.toml describes and which needs no change.

use super::{USAGE, all_received, connections, fanned_out, missing};
use crate::common::{Bench, turn};

/// A publisher as somebody may have it: paths, methods and bodies of its own, and no word of pushbench.
const OWN: &str = r#"
import json, os, queue, sys, threading, time
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, urlsplit

hooks = []

def hook(url, challenge=None):
    url, waiting = urlsplit(url), queue.Queue()
    connection = HTTPConnection(url.hostname, url.port)
    if challenge:
        connection.request("GET", url.path + "?hub.mode=subscribe&hub.challenge=" + quote(challenge))
        answer = connection.getresponse()
        assert (answer.status, answer.read().decode()) == (200, challenge)
    hooks.append(waiting)
    threading.Thread(target=deliver, args=(url, connection, waiting), daemon=True).start()

def deliver(url, connection, waiting):
    while True:
        connection.request("POST", url.path, waiting.get(), {"Content-Type": "application/json"})
        connection.getresponse().read()

class Publisher(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_PUT(self):
        message = self.taken("/api/messages")
        Publisher.looks = 0
        assert message["key"] == message["message"]["id"]
        body = json.dumps({"data": [{"event/id": message["key"]}]})
        for waiting in hooks:
            waiting.put(body)
        self.say(b"thanks")

    def do_PATCH(self):
        asked = self.taken("/api/hooks")
        for url in asked.get("callbacks", []) or [asked["callback"]]:
            hook(url, "of " + url)
        self.say(b"granted")

    # After an event ten deliveries are open, and one fewer each time that the status is read. The first nine times take 0.1 s.
    looks = 0

    def do_GET(self):
        assert self.path == "/status"
        Publisher.looks += 1
        acknowledged = min(Publisher.looks, 10)
        time.sleep(0.1 if Publisher.looks < 10 else 0)
        self.say(json.dumps({"queued": 10, "acknowledged": acknowledged, "open": 10 - acknowledged}).encode())

    def taken(self, path):
        assert self.path == path and self.headers["X-Key"] == "s3cret-of-mine"
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def say(self, text):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))

    def log_message(self, *_):
        pass

for url in filter(None, os.environ.get("HOOKS", "").split(",")):
    hook(url)
ThreadingHTTPServer.request_queue_size = 100
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Publisher).serve_forever()
"#;

/// Its description, but for how its subscribers reach it.
const DESCRIBED: &str = r#"[target.mine.webhook]
command = "python3 own.py {port}"
headers = { X-Key = "s3cret-of-mine" }
match = "order"
id = "/data/0/event~1id"
publish = { url = "http://127.0.0.1:{port}/api/messages", method = "PUT", body = '{"key": "{id}", "message": {event}}' }
"#;

#[test]
fn a_users_publisher_needs_no_change() {
    if missing(&[&["python3", "-c", "import http.server"]], "python3 (apt install python3)") {
        return;
    }
    let _turn = turn::measuring();
    let hooks = "url = \"http://127.0.0.1:{port}/api/hooks\", method = \"PATCH\"";
    for handed_over in [
        format!("subscribe = {{ {hooks}, body = '{{\"callback\": \"{{subscriber_url}}\"}}' }}"),
        format!("subscribe = {{ {hooks}, body = '{{\"callbacks\": {{subscriber_urls}}}}' }}"),
        "env = { HOOKS = \"{subscriber_urls}\" }".to_owned(),
    ] {
        let bench = Bench::new();
        bench.write("own.py", OWN);
        bench.write("pushbench.toml", &format!("{DESCRIBED}{handed_over}\n"));
        let (ended, arms, blocks) = fanned_out(&bench, &["--arm", "webhook@mine"]);
        all_received(&arms[0]);
        assert!(arms[0]["fanout"]["publisher"].is_null(), "it tells nothing: {}", arms[0]);
        assert_eq!(connections(&arms[0]), 20 * blocks, "{handed_over}: {}", arms[0]);
        let record = std::fs::read_to_string(bench.path("r/run.json")).unwrap();
        assert!(!(ended.out + &ended.err + &record).contains("s3cret"), "a secret is shown");
        if handed_over.starts_with("env") && pushbench_path::namespace::Namespace::new().is_ok() {
            let args = ["run", "fanout", "--arm", "webhook@mine", "--set", "path.inbound=only-443"];
            bench.run(&args).fails(USAGE, &["not at port 443", "use subscribe"]);
        }
    }
}

#[test]
fn a_publishers_status_is_read_as_long_as_acknowledgements_come() {
    if missing(&[&["python3", "-c", "import http.server"]], "python3 (apt install python3)") {
        return;
    }
    let _turn = turn::measuring();
    let bench = Bench::new();
    bench.write("own.py", OWN);
    let rest = "env = { HOOKS = \"{subscriber_urls}\" }\nstatus = \"/status\"\n";
    bench.write("pushbench.toml", &format!("{DESCRIBED}{rest}"));
    let (_, arms, blocks) = fanned_out(&bench, &["--arm", "webhook@mine"]);
    let p = &arms[0]["fanout"]["publisher"];
    let all = serde_json::json!(10 * blocks);
    assert_eq!((&p["acknowledged"], &p["open"]), (&all, &0.into()), "{p}");
}
