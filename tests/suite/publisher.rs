//! The built-in publisher against subscribers and publishers of every kind, on plain sockets.

mod endpoint;
mod guarantee;
mod subscribers;

use self::endpoint::{AfterAnswer, Endpoint, OK};
use crate::common::publisher::{PATIENCE, Publisher, TOKEN};
use crate::common::{Bench, eventually};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

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
        let (got, message) = publisher.ask(method, path, token, body);
        assert_eq!(got, status, "{method} {path} {body}: {message}");
        assert!(!message.contains(TOKEN));
    }
    let reply = publisher.status();
    assert_eq!((&reply["published"], &reply["subscribers"]), (&2.into(), &0.into()), "{reply}");
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
    let reply = publisher.status();
    assert_eq!(
        (&reply["overflowed"], &reply["open"], &reply["acknowledged"]),
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
    let reply = publisher.reaches(&[("lost", 2), ("subscribers", 1)]);
    assert_eq!(reply["complete"], 1, "only a reached both: {reply}");
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
    let reply = publisher.reaches(&[("subscribers", 1), ("pongs", 4)]);
    assert!(reply["pings"].as_u64() >= Some(5), "{reply}");
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
    let hook = Endpoint::start("127.0.0.2", OK, AfterAnswer::GoOn);
    publisher.subscribe(&hook.url);
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
    assert_eq!(hook.requests(), 1);
}

#[test]
fn an_idle_connection_is_closed_and_the_next_event_makes_another() {
    let bench = Bench::new();
    let publisher = Publisher::start(&bench, &["webhook", "--keep-alive", "50ms"]);
    let hook = Endpoint::start("127.0.0.2", OK, AfterAnswer::GoOn);
    publisher.subscribe(&hook.url);
    for (id, closed) in [("a", 1), ("b", 2)] {
        assert_eq!(publisher.publish(id), 1);
        publisher.reaches(&[("acknowledged", closed), ("idle_closed", closed)]);
    }
    assert_eq!(hook.requests(), 2);
}

#[test]
fn events_of_a_type_go_to_those_who_asked_for_it() {
    let bench = Bench::new();
    let publisher = Publisher::start(&bench, &["webhook", "--types", "peer-*,event"]);
    let one = Endpoint::start("127.0.0.2", OK, AfterAnswer::GoOn);
    let all = Endpoint::start("127.0.0.3", OK, AfterAnswer::GoOn);
    let wanted = json!({ "url": one.url, "types": ["peer-1"] }).to_string();
    assert_eq!(publisher.ask("POST", "/subscribe", TOKEN, &wanted).0, 201);
    let unknown = json!({ "url": one.url, "types": ["pear-1"] }).to_string();
    assert_eq!(publisher.ask("POST", "/subscribe", TOKEN, &unknown).0, 422);
    publisher.subscribe(&all.url);
    for (kind, queued) in [("peer-1", 2), ("peer-2", 1), ("event", 1)] {
        let event = json!({ "id": kind, "type": kind, "data": {} }).to_string();
        let (_, body) = publisher.ask("POST", "/publish", TOKEN, &event);
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["queued"], queued, "{kind}");
    }
    publisher.reaches(&[("acknowledged", 4), ("open", 0)]);
    assert_eq!((one.requests(), all.requests()), (1, 3));
}
