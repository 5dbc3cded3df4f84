//! Subscribers that do not acknowledge: each delivery has the outcome of its answer, and none is made twice.

use super::endpoint::{AfterAnswer, Endpoint, OK};
use crate::common::Bench;
use crate::common::publisher::{PATIENCE, Publisher, TOKEN};
use serde_json::Value;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, client};

const EVENTS: [&str; 3] = ["a", "b", "c"];
/// Long enough for an answer of a subscriber that gives one, on a machine that stalls.
const TIMEOUT: &str = "2s";

/// The counts of the publisher by name.
pub fn counts<const N: usize>(reply: &Value, names: [&str; N]) -> [u64; N] {
    names.map(|name| reply[name].as_u64().unwrap_or_else(|| panic!("no {name} in {reply}")))
}

/// Publishes three events to the only subscriber, one after the other's outcome: what became of them.
fn three_to(endpoint: &Endpoint, timeout: &str) -> Value {
    let bench = Bench::new();
    let publisher = Publisher::start(&bench, &["webhook", "--timeout", timeout]);
    publisher.subscribe(&endpoint.url);
    for (n, id) in EVENTS.iter().enumerate() {
        assert_eq!(publisher.publish(id), 1);
        publisher.reaches(&[("open", 0), ("queued", n as u64 + 1)]);
    }
    publisher.status()
}

pub fn answer(status: &str, header: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{header}Content-Length: 4\r\n\r\noops")
}

/// The three events had this outcome, and the endpoint got each once.
#[track_caller]
fn all_are(outcome: &str, endpoint: &Endpoint, timeout: &str) {
    let reply = three_to(endpoint, timeout);
    let observed = format!("{} {reply}", endpoint.url);
    assert_eq!(reply[outcome], 3, "{observed}");
    let outcomes = ["acknowledged", "failed", "timed_out", "lost"];
    assert_eq!(counts(&reply, outcomes).iter().sum::<u64>(), 3, "{observed}");
    assert_eq!(reply["subscribers"], 1, "nobody is unsubscribed: {observed}");
    assert_eq!(endpoint.requests(), 3, "{observed}");
}

#[test]
fn another_status_fails_the_delivery_and_nothing_else() {
    for (status, header) in [
        ("500 Internal Server Error", ""),
        ("410 Gone", ""),
        ("404 Not Found", ""),
        ("429 Too Many Requests", "Retry-After: 0\r\n"),
        ("503 Service Unavailable", "Retry-After: 0\r\n"),
    ] {
        let endpoint = Endpoint::start("127.0.0.2", answer(status, header), AfterAnswer::GoOn);
        all_are("failed", &endpoint, TIMEOUT);
        assert_eq!(endpoint.connections(), 1, "{status}: the connection is kept");
    }
}

#[test]
fn a_redirect_is_not_followed() {
    let away = Endpoint::start("127.0.0.3", OK, AfterAnswer::GoOn);
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let location = format!("Location: {}\r\n", away.url);
        let endpoint = Endpoint::start("127.0.0.2", answer(status, &location), AfterAnswer::GoOn);
        all_are("redirected", &endpoint, TIMEOUT);
        assert_eq!(endpoint.connections(), 1, "{status}: the connection is kept");
    }
    assert_eq!((away.requests(), away.connections()), (0, 0));
}

#[test]
fn no_answer_times_out_and_costs_the_connection() {
    let endpoint = Endpoint::start("127.0.0.2", "", AfterAnswer::GoOn);
    all_are("timed_out", &endpoint, "100ms");
    // An answer that comes late could not be told from the next one's.
    assert_eq!(endpoint.connections(), 3);
}

#[test]
fn a_connection_that_ends_amid_the_answer_loses_its_event() {
    for half in ["", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "nonsense\r\n\r\n"] {
        let endpoint = Endpoint::start("127.0.0.2", half, AfterAnswer::Close);
        all_are("lost", &endpoint, TIMEOUT);
        assert_eq!(endpoint.connections(), 3, "{half:?}");
    }
}

#[test]
fn a_connection_that_ends_behind_the_answer_costs_nothing() {
    let last = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let endpoint = Endpoint::start("127.0.0.2", last, AfterAnswer::Close);
    all_are("acknowledged", &endpoint, TIMEOUT);
    assert_eq!(endpoint.connections(), 3);
}

#[test]
fn an_answer_that_does_not_end_fails_and_costs_nobody_else() {
    // More than is read of an answer.
    let long = format!("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{}", "x".repeat(200_000));
    let endpoint = Endpoint::start("127.0.0.2", long, AfterAnswer::GoOn);
    all_are("failed", &endpoint, TIMEOUT);
    // Nor those that wait behind it already.
    let bench = Bench::new();
    let publisher = Publisher::start(&bench, &["webhook", "--timeout", TIMEOUT]);
    publisher.subscribe(&endpoint.url);
    EVENTS.iter().for_each(|id| assert_eq!(publisher.publish(id), 1));
    let reply = publisher.reaches(&[("open", 0)]);
    assert_eq!(counts(&reply, ["failed", "lost"]), [3, 0], "{reply}");
    assert_eq!(endpoint.requests(), 6);
}

#[test]
fn each_subscriber_has_its_own_outcomes() {
    let bench = Bench::new();
    let publisher = Publisher::start(&bench, &["webhook", "--timeout", TIMEOUT]);
    let away = Endpoint::start("127.0.0.3", OK, AfterAnswer::GoOn);
    let redirect = answer("307 Temporary Redirect", &format!("Location: {}\r\n", away.url));
    let fine = Endpoint::start("127.0.0.2", OK, AfterAnswer::GoOn);
    let odd = [
        Endpoint::start("127.0.0.4", answer("500 Internal Server Error", ""), AfterAnswer::GoOn),
        Endpoint::start("127.0.0.5", answer("410 Gone", ""), AfterAnswer::GoOn),
        Endpoint::start("127.0.0.6", redirect, AfterAnswer::GoOn),
        Endpoint::start("127.0.0.7", "", AfterAnswer::GoOn),
        Endpoint::start("127.0.0.8", "nonsense\r\n\r\n", AfterAnswer::GoOn),
    ];
    publisher.subscribe(&fine.url);
    odd.iter().for_each(|endpoint| publisher.subscribe(&endpoint.url));
    // Nobody listens there any more.
    let port = TcpListener::bind("127.0.0.9:0").unwrap().local_addr().unwrap().port();
    publisher.subscribe(&format!("http://127.0.0.9:{port}/"));
    for id in EVENTS {
        assert_eq!(publisher.publish(id), 7);
    }
    let reply = publisher.reaches(&[("open", 0)]);
    assert_eq!(counts(&reply, ["queued", "acknowledged", "complete"]), [21, 3, 0], "{reply}");
    assert_eq!(counts(&reply, ["failed", "redirected", "refused"]), [12, 3, 3], "{reply}");
    assert_eq!(counts(&reply, ["timed_out", "lost"]), [3, 3], "{reply}");
    assert_eq!(counts(&reply, ["least_acknowledged", "most_acknowledged"]), [0, 3], "{reply}");
    // No retry, no redirect followed.
    assert_eq!(fine.requests(), 3);
    assert!(odd.iter().all(|endpoint| endpoint.requests() == 3));
    assert_eq!(away.requests(), 0);
}

/// A subscriber by WebSocket on a blocking socket.
pub struct Socket(WebSocket<TcpStream>);

impl Socket {
    pub fn of(publisher: &Publisher) -> Socket {
        Socket::at(publisher, "/subscribe")
    }

    pub fn at(publisher: &Publisher, path: &str) -> Socket {
        let stream = TcpStream::connect(publisher.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let url = format!("ws://{}{path}", publisher.address);
        let mut request = url.into_client_request().unwrap();
        let bearer = HeaderValue::from_str(&format!("Bearer {TOKEN}")).unwrap();
        request.headers_mut().insert("Authorization", bearer);
        Socket(client(request, stream).unwrap().0)
    }

    /// The next message; `None` when the publisher has closed.
    pub fn message(&mut self) -> Option<Value> {
        match self.0.read().unwrap() {
            Message::Close(_) => None,
            message => Some(serde_json::from_str(message.to_text().unwrap()).unwrap()),
        }
    }

    pub fn id(&mut self) -> String {
        self.message().unwrap()["id"].as_str().unwrap().to_owned()
    }

    fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).unwrap();
    }

    pub fn acknowledge(&mut self, id: &str) {
        self.say(&format!("{{\"id\":\"{id}\"}}"));
    }

    /// Nothing has come for a while.
    pub fn hears_nothing(&mut self) -> bool {
        let socket = self.0.get_ref();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let received = self.0.read();
        self.0.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
        matches!(received, Err(Error::Io(e)) if e.kind() == std::io::ErrorKind::WouldBlock)
    }
}

#[test]
fn a_websocket_that_says_nothing_times_out_and_gets_what_follows() {
    let bench = Bench::new();
    let publisher = Publisher::start(&bench, &["websocket", "--timeout", "100ms"]);
    let mut mute = Socket::of(&publisher);
    for (n, id) in EVENTS.iter().enumerate() {
        publisher.publish(id);
        assert_eq!(mute.id(), *id);
        publisher.reaches(&[("timed_out", n as u64 + 1), ("open", 0)]);
    }
    assert!(mute.hears_nothing(), "nothing is sent again");
    // Too late to be anything but a stray.
    mute.acknowledge("a");
    let reply = publisher.reaches(&[("stray", 1)]);
    assert_eq!(counts(&reply, ["acknowledged", "subscribers", "complete"]), [0, 1, 0], "{reply}");
}

#[test]
fn a_websocket_that_acknowledges_something_else_has_acknowledged_nothing() {
    let bench = Bench::new();
    let publisher = Publisher::start(&bench, &["websocket"]);
    let mut odd = Socket::of(&publisher);
    publisher.publish("a");
    assert_eq!(odd.id(), "a");
    for text in [r#"{"id":"b"}"#, r#"{"error":"no"}"#, r#"{"id":7}"#, "oops", ""] {
        odd.say(text);
    }
    publisher.reaches(&[("stray", 5), ("open", 1), ("acknowledged", 0)]);
    odd.acknowledge("a");
    odd.acknowledge("a");
    let reply = publisher.reaches(&[("stray", 6), ("open", 0)]);
    assert_eq!(counts(&reply, ["acknowledged", "complete", "lost"]), [1, 1, 0], "{reply}");
    assert!(odd.hears_nothing());
}

#[test]
fn a_websocket_that_closes_loses_what_it_has_not_acknowledged_and_gets_nothing_again() {
    let bench = Bench::new();
    let publisher = Publisher::start(&bench, &["websocket"]);
    for in_order in [true, false] {
        let mut leaving = Socket::of(&publisher);
        let before = publisher.status();
        EVENTS.iter().for_each(|id| assert_eq!(publisher.publish(id), 1));
        assert_eq!((leaving.id(), leaving.id()), ("a".to_owned(), "b".to_owned()));
        leaving.acknowledge("a");
        let [acknowledged, lost] = counts(&before, ["acknowledged", "lost"]);
        publisher.reaches(&[("acknowledged", acknowledged + 1)]);
        if in_order {
            leaving.0.close(None).unwrap();
        }
        drop(leaving);
        publisher.reaches(&[("lost", lost + 2), ("subscribers", 0), ("open", 0)]);
        let mut again = Socket::of(&publisher);
        assert!(again.hears_nothing(), "who comes again begins anew");
        drop(again);
        publisher.reaches(&[("subscribers", 0)]);
    }
}
