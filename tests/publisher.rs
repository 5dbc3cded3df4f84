//! The built-in publisher against subscribers and publishers of every kind, on plain sockets.

mod common;

use common::{Bench, eventually};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Child;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const TOKEN: &str = "a-token";
/// Only a broken machine makes an answer take this long.
const PATIENCE: Duration = Duration::from_secs(30);

struct Publisher {
    child: Mutex<Child>,
    address: SocketAddr,
    /// A publisher whose output nobody reads would stop at a full pipe.
    _output: BufReader<std::process::ChildStdout>,
}

impl Publisher {
    fn start(bench: &Bench, args: &[&str]) -> Publisher {
        let all = [&["serve"], args, &["--publisher", "--listen", "127.0.0.1:0"]].concat();
        let mut command = bench.pushbench(&all);
        let mut child = command.env("PUSHBENCH_TOKEN", TOKEN).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.strip_prefix("listening on ").and_then(|l| l.split(' ').next());
        let address = address.unwrap_or_else(|| panic!("{line:?}")).parse().unwrap();
        Publisher { child: Mutex::new(child), address, _output: output }
    }

    fn ask(&self, method: &str, path: &str, token: &str, body: &str) -> (u16, String) {
        let length = body.len();
        self.ask_with(method, path, token, &format!("Content-Length: {length}\r\n"), body)
    }

    fn ask_with(
        &self,
        method: &str,
        path: &str,
        token: &str,
        head: &str,
        body: &str,
    ) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let admitted = match token {
            "" => String::new(),
            token => format!("Authorization: Bearer {token}\r\n"),
        };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{admitted}{head}\r\n"
        );
        stream.write_all((head + body).as_bytes()).unwrap();
        let mut answer = String::new();
        // A refusal may come before the whole request was read, then the connection is reset.
        let _reset = stream.read_to_string(&mut answer);
        let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        (status, answer.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned()))
    }

    fn publish(&self, id: &str) -> u64 {
        let event = json!({ "id": id, "type": "event", "data": {} }).to_string();
        let (status, body) = self.ask("POST", "/publish", TOKEN, &event);
        assert_eq!(status, 202, "{body}");
        serde_json::from_str::<Value>(&body).unwrap()["queued"].as_u64().unwrap()
    }

    fn subscribe(&self, url: &str) {
        let (status, body) =
            self.ask("POST", "/subscribe", TOKEN, &json!({ "url": url }).to_string());
        assert_eq!(status, 201, "{body}");
    }

    fn status(&self) -> Value {
        let (status, body) = self.ask("GET", "/status", TOKEN, "");
        assert_eq!(status, 200);
        let told: Value = serde_json::from_str(&body).unwrap();
        let n = |name: &str| told[name].as_u64().unwrap();
        let fates = n("acknowledged") + n("written") + n("failed") + n("timed_out") + n("lost");
        assert_eq!(n("queued"), fates + n("open"), "{told}");
        told
    }

    /// Waits until these counts are reached.
    fn reaches(&self, counts: &[(&str, u64)]) -> Value {
        eventually(&format!("{counts:?}"), || {
            let told = self.status();
            counts.iter().all(|(name, n)| told[*name] == *n)
        });
        self.status()
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// A webhook endpoint that answers every request with these bytes, and counts requests.
fn endpoint(host: &str, answer: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((host, 0)).unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let counted = counted.clone();
            std::thread::spawn(move || serve(stream, answer, &counted));
        }
    });
    (url, asked)
}

fn serve(stream: TcpStream, answer: &str, asked: &AtomicUsize) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim().to_lowercase();
            if let Some(n) = line.strip_prefix("content-length:") {
                length = n.trim().parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        if reader.read_exact(&mut vec![0; length]).is_err() {
            return;
        }
        asked.fetch_add(1, Ordering::SeqCst);
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

const OK: &str = "HTTP/1.1 204 No Content\r\n\r\n";

#[test]
fn who_has_no_token_or_no_event_is_turned_away() {
    let bench = Bench::new();
    let publisher = Publisher::start(&bench, &["webhook", "--types", "event,order"]);
    let event = r#"{"id":"1","type":"event","data":{}}"#;
    let hook = r#"{"url":"http://127.0.0.1:9/"}"#;
    for (method, path, token, body, status) in [
        ("POST", "/publish", "", event, 401),
        ("POST", "/publish", "another", event, 401),
        ("POST", "/subscribe", "", hook, 401),
        ("GET", "/status", "a-toke", "", 401),
        ("POST", "/publish", TOKEN, event, 202),
        ("POST", "/publish", TOKEN, r#"{"id":"1","type":"order","data":{}}"#, 202),
        ("POST", "/publish", TOKEN, r#"{"id":"1","type":"other","data":{}}"#, 422),
        ("POST", "/publish", TOKEN, r#"{"id":"1","type":"event"}"#, 400),
        ("POST", "/publish", TOKEN, r#"{"id":"","type":"event","data":{}}"#, 400),
        ("POST", "/publish", TOKEN, "", 400),
        ("GET", "/publish", TOKEN, "", 405),
        ("POST", "/status", TOKEN, "", 405),
        ("POST", "/elsewhere", TOKEN, event, 404),
        ("GET", "/subscribe", TOKEN, "", 405),
        ("POST", "/subscribe", TOKEN, "{}", 400),
        ("POST", "/subscribe", TOKEN, r#"{"url":"http://127.0.0.1:9/","types":["other"]}"#, 422),
        ("POST", "/subscribe", TOKEN, r#"{"url":"http://192.0.2.1/"}"#, 403),
        ("POST", "/subscribe", TOKEN, r#"{"url":"http://example.com/"}"#, 403),
        ("POST", "/subscribe", TOKEN, r#"{"url":"file:///etc/passwd"}"#, 400),
    ] {
        let (got, said) = publisher.ask(method, path, token, body);
        assert_eq!(got, status, "{method} {path} {body}: {said}");
        assert!(!said.contains(TOKEN));
    }
    let told = publisher.status();
    assert_eq!((&told["published"], &told["subscribers"]), (&2.into(), &0.into()), "{told}");
}

#[test]
fn what_is_too_large_is_refused_before_it_is_read() {
    let bench = Bench::new();
    let publisher = Publisher::start(&bench, &["webhook"]);
    let ask = |path: &str, length: usize| {
        publisher.ask_with("POST", path, TOKEN, &format!("Content-Length: {length}\r\n"), "").0
    };
    assert_eq!(ask("/publish", (16 << 20) + 1), 413);
    assert_eq!(ask("/subscribe", 1 << 20), 413);
    // Without a length it is counted while it comes.
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000)).repeat(300);
    let head = "Transfer-Encoding: chunked\r\n";
    let (status, _) = publisher.ask_with("POST", "/publish", TOKEN, head, &(chunk + "0\r\n\r\n"));
    assert!(matches!(status, 413 | 0), "{status}: the connection may be reset before it is read");
    assert_eq!(publisher.status()["published"], 0);
}

#[test]
fn each_answer_of_a_subscriber_is_a_fate_and_nothing_is_sent_twice() {
    let bench = Bench::new();
    let publisher = Publisher::start(&bench, &["webhook", "--timeout", "300ms"]);
    let fine = endpoint("127.0.0.2", OK);
    let (away, not_asked) = endpoint("127.0.0.3", OK);
    let redirect =
        format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: {away}\r\nContent-Length: 0\r\n\r\n");
    let odd = [
        endpoint(
            "127.0.0.4",
            "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops",
        ),
        endpoint("127.0.0.5", "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"),
        endpoint("127.0.0.6", redirect.leak()),
        endpoint("127.0.0.7", ""),
        endpoint("127.0.0.8", "nonsense\r\n\r\n"),
    ];
    publisher.subscribe(&fine.0);
    odd.iter().for_each(|(url, _)| publisher.subscribe(url));
    // Nobody listens there any more.
    let port = TcpListener::bind("127.0.0.9:0").unwrap().local_addr().unwrap().port();
    publisher.subscribe(&format!("http://127.0.0.9:{port}/"));
    for id in ["a", "b", "c"] {
        assert_eq!(publisher.publish(id), 7);
    }
    let told = publisher.reaches(&[("open", 0)]);
    let n = |name: &str| told[name].as_u64().unwrap();
    assert_eq!((n("queued"), n("acknowledged"), n("complete")), (21, 3, 0), "{told}");
    assert_eq!((n("failed"), n("redirected"), n("refused")), (12, 3, 3), "{told}");
    assert_eq!((n("timed_out"), n("lost")), (3, 3), "{told}");
    assert_eq!((n("least_acknowledged"), n("most_acknowledged")), (0, 3), "{told}");
    // No retry, no redirect followed.
    assert_eq!(fine.1.load(Ordering::SeqCst), 3);
    assert!(odd.iter().all(|(_, asked)| asked.load(Ordering::SeqCst) == 3));
    assert_eq!(not_asked.load(Ordering::SeqCst), 0);
}

/// A subscriber of the tcp transport on a blocking socket.
struct Subscriber(TcpStream);

impl Subscriber {
    fn of(publisher: &Publisher, token: &str) -> (Subscriber, String) {
        let stream = TcpStream::connect(publisher.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut subscriber = Subscriber(stream);
        subscriber.send(&json!({ "token": token }).to_string());
        let welcome = subscriber.read();
        (subscriber, welcome)
    }

    fn send(&mut self, text: &str) {
        let length = (text.len() as u32).to_be_bytes();
        self.0.write_all(&[&length[..], text.as_bytes()].concat()).unwrap();
    }

    fn read(&mut self) -> String {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).unwrap();
        let mut text = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    fn id(&mut self) -> String {
        serde_json::from_str::<Value>(&self.read()).unwrap()["id"].as_str().unwrap().to_owned()
    }

    fn acknowledge(&mut self, id: &str) {
        self.send(&json!({ "id": id }).to_string());
    }
}

#[test]
fn a_slow_subscriber_costs_its_own_events_and_no_others() {
    let bench = Bench::new();
    let publisher = Publisher::start(&bench, &["tcp", "--queue", "2"]);
    assert!(Subscriber::of(&publisher, "wrong").1.contains("token"));
    let (mut quick, welcome) = Subscriber::of(&publisher, TOKEN);
    assert_eq!(welcome, "{}");
    let (mut slow, _) = Subscriber::of(&publisher, TOKEN);
    for id in ["a", "b", "c", "d"] {
        publisher.publish(id);
        assert_eq!(quick.id(), id);
        quick.acknowledge(id);
        eventually("the acknowledgement", || {
            publisher.status()["most_acknowledged"] == u64::from(id.as_bytes()[0] - b'a' + 1)
        });
    }
    let told = publisher.status();
    assert_eq!(
        (&told["overflowed"], &told["open"], &told["acknowledged"]),
        (&2.into(), &2.into(), &4.into())
    );
    // It got the oldest, and room again once it acknowledges.
    assert_eq!((slow.id(), slow.id()), ("a".to_owned(), "b".to_owned()));
    slow.acknowledge("a");
    slow.acknowledge("a");
    slow.send("what?");
    publisher.reaches(&[("stray", 2), ("open", 1)]);
    publisher.publish("e");
    assert_eq!(slow.id(), "e");
    drop(slow);
    let told = publisher.reaches(&[("lost", 2), ("subscribers", 1)]);
    assert_eq!(told["complete"], 1, "only a reached both: {told}");
}

#[test]
fn what_is_not_acknowledged_in_time_is_given_up() {
    let bench = Bench::new();
    let publisher = Publisher::start(&bench, &["tcp", "--timeout", "100ms"]);
    let (mut mute, _) = Subscriber::of(&publisher, TOKEN);
    publisher.publish("a");
    assert_eq!(mute.id(), "a");
    publisher.reaches(&[("timed_out", 1), ("open", 0)]);
    mute.acknowledge("a");
    publisher.reaches(&[("stray", 1), ("acknowledged", 0)]);
}

/// Opens a WebSocket by hand; what comes on it is neither read nor answered by a library.
fn open_websocket(publisher: &Publisher) -> TcpStream {
    let mut stream = TcpStream::connect(publisher.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = "Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    let request = format!("GET /subscribe HTTP/1.1\r\n{head}Authorization: Bearer {TOKEN}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
    stream
}

#[test]
fn who_answers_pings_stays_and_who_does_not_is_gone() {
    const PING: [u8; 2] = [0x89, 0];
    const PONG: [u8; 6] = [0x8a, 0x80, 1, 2, 3, 4];
    let bench = Bench::new();
    let publisher = Publisher::start(&bench, &["websocket", "--ping", "1s"]);
    let (mut alive, mut mute) = (open_websocket(&publisher), open_websocket(&publisher));
    publisher.reaches(&[("subscribers", 2)]);
    let answering = std::thread::spawn(move || {
        for _ in 0..4 {
            let mut frame = [0; 2];
            alive.read_exact(&mut frame).unwrap();
            assert_eq!(frame, PING);
            alive.write_all(&PONG).unwrap();
        }
        alive
    });
    let mut frame = [0; 2];
    mute.read_exact(&mut frame).unwrap();
    assert_eq!(frame, PING);
    let mut rest = Vec::new();
    let _reset = mute.read_to_end(&mut rest);
    assert!(rest.is_empty(), "it is closed, not pinged again: {rest:?}");
    let _alive = answering.join().unwrap();
    let told = publisher.reaches(&[("subscribers", 1), ("pongs", 4)]);
    assert!(told["pings"].as_u64() >= Some(5), "{told}");
}

#[test]
fn without_kept_connections_each_delivery_has_its_own() {
    let bench = Bench::new();
    let publisher = Publisher::start(&bench, &["webhook", "--close"]);
    let listener = TcpListener::bind("127.0.0.2:0").unwrap();
    publisher.subscribe(&format!("http://{}/hook", listener.local_addr().unwrap()));
    for id in ["a", "b", "c"] {
        publisher.publish(id);
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\"event\"}") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        let request = String::from_utf8(request).unwrap().to_lowercase();
        assert!(request.contains("connection: close\r\n"), "{request}");
        // It does not wait for us to close.
        stream.write_all(OK.as_bytes()).unwrap();
        let mut rest = Vec::new();
        let _reset = stream.read_to_end(&mut rest);
        assert!(rest.is_empty(), "{rest:?}");
    }
    publisher.reaches(&[("acknowledged", 3), ("open", 0)]);
}

#[test]
fn who_has_left_is_not_delivered_to() {
    let bench = Bench::new();
    let publisher = Publisher::start(&bench, &["webhook"]);
    let (url, asked) = endpoint("127.0.0.2", OK);
    publisher.subscribe(&url);
    assert_eq!(publisher.publish("a"), 1);
    publisher.reaches(&[("acknowledged", 1)]);
    for (method, path, token, status) in [
        ("DELETE", "/subscribe/0", "another", 401),
        ("POST", "/subscribe/0", TOKEN, 405),
        ("DELETE", "/subscribe/1", TOKEN, 404),
        ("DELETE", "/subscribe/none", TOKEN, 404),
        ("DELETE", "/subscribe/0", TOKEN, 204),
        ("DELETE", "/subscribe/0", TOKEN, 404),
    ] {
        assert_eq!(publisher.ask(method, path, token, "").0, status, "{method} {path}");
    }
    assert_eq!(publisher.publish("b"), 0);
    publisher.reaches(&[("subscribers", 0), ("queued", 1), ("open", 0)]);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[test]
fn an_idle_connection_is_closed_and_the_next_event_makes_another() {
    let bench = Bench::new();
    let publisher = Publisher::start(&bench, &["webhook", "--keep-alive", "50ms"]);
    let (url, asked) = endpoint("127.0.0.2", OK);
    publisher.subscribe(&url);
    for (id, closed) in [("a", 1), ("b", 2)] {
        assert_eq!(publisher.publish(id), 1);
        publisher.reaches(&[("acknowledged", closed), ("idle_closed", closed)]);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[test]
fn events_of_a_type_go_to_those_who_asked_for_it() {
    let bench = Bench::new();
    let publisher = Publisher::start(&bench, &["webhook", "--types", "peer-*,event"]);
    let (one, asked) = endpoint("127.0.0.2", OK);
    let (all, all_asked) = endpoint("127.0.0.3", OK);
    let wanted = json!({ "url": one, "types": ["peer-1"] }).to_string();
    assert_eq!(publisher.ask("POST", "/subscribe", TOKEN, &wanted).0, 201);
    let unknown = json!({ "url": one, "types": ["pear-1"] }).to_string();
    assert_eq!(publisher.ask("POST", "/subscribe", TOKEN, &unknown).0, 422);
    publisher.subscribe(&all);
    for (kind, queued) in [("peer-1", 2), ("peer-2", 1), ("event", 1)] {
        let event = json!({ "id": kind, "type": kind, "data": {} }).to_string();
        let (_, body) = publisher.ask("POST", "/publish", TOKEN, &event);
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["queued"], queued, "{kind}");
    }
    publisher.reaches(&[("acknowledged", 4), ("open", 0)]);
    assert_eq!((asked.load(Ordering::SeqCst), all_asked.load(Ordering::SeqCst)), (1, 3));
}
