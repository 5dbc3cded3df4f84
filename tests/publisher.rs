//! The built-in publisher against subscribers and publishers of every kind, on plain sockets.

mod common;
#[path = "publisher/lab.rs"]
mod lab;
#[path = "publisher/subscribers.rs"]
mod subscribers;

use common::{Bench, eventually};
use lab::{PATIENCE, Publisher, TOKEN};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

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
