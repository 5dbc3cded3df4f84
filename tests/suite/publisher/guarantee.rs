//! The built-in publisher under a guarantee, against endpoints and subscribers that fail, go away and come again.

use super::endpoint::{AfterAnswer, Endpoint, OK};
use super::subscribers::{Socket, answer, counts};
use crate::common::Bench;
use crate::common::publisher::{PATIENCE, Publisher, TOKEN};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A publisher that tries again after this pause.
fn publisher(bench: &Bench, args: &str, pause: &str) -> Publisher {
    let again = format!(
        "{args} --delivery at-least-once --jitter none --backoff {pause} --backoff-max {pause}"
    );
    Publisher::start(bench, &again.split(' ').collect::<Vec<_>>())
}

fn free(host: &str) -> TcpListener {
    TcpListener::bind((host, 0)).unwrap()
}

/// Ids of the events that came, one behind the other.
fn ids(endpoint: &Endpoint) -> String {
    endpoint.arrivals().iter().map(|(id, _)| id.as_str()).collect()
}

#[test]
fn an_attempt_that_fails_in_any_way_is_made_again() {
    let fails = |n: u64, answer: &str| if n < 3 { answer.to_owned() } else { OK.to_owned() };
    for (failure, then) in [
        (answer("500 Internal Server Error", ""), AfterAnswer::GoOn),
        (answer("404 Not Found", ""), AfterAnswer::GoOn),
        (answer("302 Found", "Location: http://127.0.0.3:1/\r\n"), AfterAnswer::GoOn),
        (String::new(), AfterAnswer::GoOn),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".to_owned(), AfterAnswer::Close),
        ("nonsense\r\n\r\n".to_owned(), AfterAnswer::Close),
    ] {
        let bench = Bench::new();
        let publisher = publisher(&bench, "webhook --timeout 500ms", "1ms");
        let named = failure.clone();
        let endpoint = Endpoint::answering(free("127.0.0.2"), move |n, _| fails(n, &failure), then);
        publisher.subscribe(&endpoint.url);
        assert_eq!(publisher.publish("a"), 1);
        let reply = publisher.reaches(&[("open", 0)]);
        let names = ["acknowledged", "complete", "failed", "timed_out", "lost"];
        assert_eq!(counts(&reply, names), [1, 1, 0, 0, 0], "{named:?} {reply}");
        let [attempts, retried, exhausted] = counts(&reply, ["attempts", "retried", "exhausted"]);
        // More where the machine stalls for longer than the time-out.
        assert!(attempts >= endpoint.requests() && endpoint.requests() >= 4, "{named:?} {reply}");
        assert_eq!((retried, exhausted), (attempts - 1, 0), "{named:?} {reply}");
    }
}

#[test]
fn a_destination_that_nobody_listens_at_is_tried_until_somebody_does() {
    let bench = Bench::new();
    let publisher = publisher(&bench, "webhook --attempts 100000", "5ms");
    let listener = free("127.0.0.2");
    let address = listener.local_addr().unwrap();
    drop(listener);
    publisher.subscribe(&format!("http://{address}/"));
    publisher.publish("a");
    crate::common::eventually("attempts", || publisher.status()["retried"].as_u64() >= Some(3));
    let listener = TcpListener::bind(address).unwrap();
    let endpoint = Endpoint::answering(listener, |_, _| OK.to_owned(), AfterAnswer::GoOn);
    publisher.reaches(&[("acknowledged", 1), ("open", 0), ("refused", 0)]);
    assert_eq!(endpoint.requests(), 1);
}

#[test]
fn when_all_attempts_have_failed_the_delivery_is_lost_with_the_last_ones_outcome() {
    let bench = Bench::new();
    let publisher = publisher(&bench, "webhook --attempts 3", "1ms");
    let endpoint = Endpoint::start("127.0.0.2", answer("500 Oops", ""), AfterAnswer::GoOn);
    publisher.subscribe(&endpoint.url);
    publisher.publish("a");
    publisher.publish("b");
    let reply = publisher.reaches(&[("open", 0)]);
    assert_eq!(counts(&reply, ["failed", "exhausted", "retried", "attempts"]), [2, 2, 4, 6]);
    assert_eq!((endpoint.requests(), &reply["subscribers"]), (6, &1.into()), "{reply}");
}

#[test]
fn retry_after_is_waited_for_where_the_destination_is_overloaded() {
    for status in ["503 Service Unavailable", "429 Too Many Requests"] {
        let bench = Bench::new();
        let publisher = publisher(&bench, "webhook", "1ms");
        let busy = answer(status, "Retry-After: 1\r\n");
        let answers = move |n, _: &str| if n == 0 { busy.clone() } else { OK.to_owned() };
        let endpoint = Endpoint::answering(free("127.0.0.2"), answers, AfterAnswer::GoOn);
        publisher.subscribe(&endpoint.url);
        publisher.publish("a");
        publisher.publish("b");
        publisher.reaches(&[("acknowledged", 2), ("retried", 1)]);
        let came = endpoint.arrivals();
        assert_eq!(ids(&endpoint), "aab", "the whole destination is left alone");
        assert!(came[1].1 - came[0].1 >= Duration::from_secs(1), "{status} {came:?}");
    }
}

#[test]
fn gone_ends_the_subscription_and_what_is_open_at_it() {
    let bench = Bench::new();
    let publisher = publisher(&bench, "webhook", "1h");
    let answers = |n, _: &str| answer(if n == 0 { "500 Oops" } else { "410 Gone" }, "");
    let endpoint = Endpoint::answering(free("127.0.0.2"), answers, AfterAnswer::GoOn);
    publisher.subscribe(&endpoint.url);
    publisher.publish("a");
    publisher.reaches(&[("retried", 1)]);
    publisher.publish("b");
    let reply = publisher.reaches(&[("subscribers", 0), ("open", 0)]);
    assert_eq!(counts(&reply, ["lost", "ended_410", "failed"]), [2, 2, 0], "{reply}");
    assert_eq!((publisher.publish("c"), endpoint.requests()), (0, 2));
    // It may come again.
    publisher.subscribe(&endpoint.url);
}

#[test]
fn an_ordered_destination_gets_nothing_before_its_predecessor_is_settled() {
    for (args, came, held) in [("webhook --ordered", "aaabc", 2), ("webhook", "abcaa", 0)] {
        let bench = Bench::new();
        let publisher = publisher(&bench, args, "1s");
        let tried = AtomicU64::new(0);
        let answers = move |_, id: &str| match id {
            "a" if tried.fetch_add(1, Ordering::SeqCst) < 2 => answer("500 Oops", ""),
            _ => OK.to_owned(),
        };
        let endpoint = Endpoint::answering(free("127.0.0.2"), answers, AfterAnswer::GoOn);
        publisher.subscribe(&endpoint.url);
        ["a", "b", "c"].iter().for_each(|id| assert_eq!(publisher.publish(id), 1));
        let reply = publisher.reaches(&[("acknowledged", 3), ("retried", 2)]);
        assert_eq!(
            (ids(&endpoint).as_str(), &reply["held_events"]),
            (came, &held.into()),
            "{reply}"
        );
        assert_eq!(reply["held_ns"].as_u64() > Some(0), held > 0, "{reply}");
    }
}

#[test]
fn a_destination_that_always_fails_costs_no_other_destination() {
    let bench = Bench::new();
    // A pause takes none of the deliveries that may be under way.
    let publisher = publisher(&bench, "webhook --concurrency 1", "1h");
    let poison = Endpoint::start("127.0.0.2", answer("500 Oops", ""), AfterAnswer::GoOn);
    let good = Endpoint::start("127.0.0.3", OK, AfterAnswer::GoOn);
    publisher.subscribe(&poison.url);
    publisher.subscribe(&good.url);
    let events = ["a", "b", "c", "d"];
    events.iter().for_each(|id| assert_eq!(publisher.publish(id), 2));
    let reply = publisher.reaches(&[("acknowledged", 4), ("retried", 4)]);
    assert_eq!(counts(&reply, ["open", "complete"]), [4, 0], "{reply}");
    assert_eq!((ids(&good).as_str(), good.connections()), ("abcd", 1));
}

#[test]
fn a_websocket_resumes_after_the_last_event_that_it_has_acknowledged() {
    let bench = Bench::new();
    let publisher = publisher(&bench, "websocket --log 4", "1ms");
    let mut leaving = Socket::at(&publisher, "/subscribe");
    let told = leaving.message().unwrap();
    assert_eq!(
        [&told["resumed"], &told["from"], &told["last"]],
        [&json!(false), &Value::Null, &json!("")]
    );
    ["a", "b", "c"].iter().for_each(|id| assert_eq!(publisher.publish(id), 1));
    assert_eq!([leaving.id(), leaving.id()], ["a", "b"]);
    leaving.acknowledge("a");
    publisher.reaches(&[("acknowledged", 1)]);
    drop(leaving);
    publisher.reaches(&[("subscribers", 0), ("detached", 2), ("lost", 0)]);
    publisher.publish("d");
    let mut again = Socket::at(&publisher, "/subscribe?after=a");
    let now = again.message().unwrap();
    assert_eq!(
        [&now["resumed"], &now["from"], &now["last"]],
        [&json!(true), &json!("b"), &json!("d")]
    );
    assert_eq!(now["publisher"], told["publisher"]);
    publisher.publish("e");
    for id in ["b", "c", "d", "e"] {
        assert_eq!(again.id(), id);
        again.acknowledge(id);
    }
    assert!(again.hears_nothing());
    let reply = publisher.reaches(&[("acknowledged", 5), ("open", 0)]);
    assert_eq!(counts(&reply, ["replayed", "resumed", "queued"]), [3, 1, 7], "{reply}");
    // Of five events the log has four.
    let told = Socket::at(&publisher, "/subscribe?after=").message().unwrap();
    assert_eq!([&told["resumed"], &told["from"]], [&json!(false), &json!("b")]);
    let another_process = self::publisher(&bench, "websocket", "1ms");
    let told = Socket::at(&another_process, "/subscribe?after=e").message().unwrap();
    assert_eq!((&told["resumed"], &told["from"]), (&json!(false), &Value::Null));
    assert_ne!(told["publisher"], now["publisher"], "its log is another one");
}

#[test]
fn a_websocket_that_acknowledges_nothing_is_closed_and_resumes() {
    let bench = Bench::new();
    let publisher = publisher(&bench, "websocket --timeout 1s", "1ms");
    let mut mute = Socket::at(&publisher, "/subscribe");
    mute.message().unwrap();
    publisher.publish("a");
    assert_eq!((mute.id().as_str(), mute.message()), ("a", None), "closed");
    let reply = publisher.reaches(&[("subscribers", 0), ("detached", 1)]);
    assert_eq!(counts(&reply, ["timed_out", "lost", "gone"]), [0, 0, 1], "{reply}");
    let mut again = Socket::at(&publisher, "/subscribe?after=");
    again.message().unwrap();
    assert_eq!(again.id(), "a");
    again.acknowledge("a");
    publisher.reaches(&[("acknowledged", 1), ("open", 0)]);
}

#[test]
fn without_a_guarantee_a_cursor_means_nothing() {
    let bench = Bench::new();
    let publisher = Publisher::start(&bench, &["websocket"]);
    publisher.publish("a");
    let mut socket = Socket::at(&publisher, "/subscribe?after=");
    publisher.publish("b");
    assert_eq!(socket.id(), "b", "neither a first message nor a replay");
    let publisher = Publisher::start(&bench, &["sse"]);
    publisher.publish("a");
    let mut stream = Stream::of(&publisher, "/subscribe?after=", "Last-Event-ID: x\r\n");
    let told = json!({ "subscriber": 0, "resumed": false, "acknowledge": "/ack/0" });
    assert_eq!(stream.data(), told);
    publisher.publish("b");
    assert_eq!(stream.data()["id"], "b");
}

/// A subscriber over sse on a blocking socket.
struct Stream(BufReader<TcpStream>);

impl Stream {
    fn of(publisher: &Publisher, path: &str, header: &str) -> Stream {
        let mut stream = TcpStream::connect(publisher.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head =
            format!("Host: x\r\nConnection: close\r\nAuthorization: Bearer {TOKEN}\r\n{header}");
        stream.write_all(format!("GET {path} HTTP/1.1\r\n{head}\r\n").as_bytes()).unwrap();
        Stream(BufReader::new(stream))
    }

    /// The data of the next event.
    fn data(&mut self) -> Value {
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream has ended");
            if let Some(data) = line.strip_prefix("data: ") {
                return serde_json::from_str(data).unwrap();
            }
        }
    }
}

#[test]
fn a_stream_resumes_after_its_last_event_id() {
    let bench = Bench::new();
    let publisher = publisher(&bench, "sse --timeout 1s", "1ms");
    let mut stream = Stream::of(&publisher, "/subscribe", "");
    assert_eq!(stream.data()["last"], "");
    ["a", "b", "c"].iter().for_each(|id| assert_eq!(publisher.publish(id), 1));
    assert_eq!(stream.data()["id"], "a");
    let (status, _) = publisher.ask("POST", "/ack/0", TOKEN, r#"["a"]"#);
    assert_eq!(status, 204);
    // The others are not acknowledged in time, and the response ends.
    let mut rest = String::new();
    stream.0.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("\r\n0\r\n\r\n"), "{rest:?}");
    publisher.reaches(&[("subscribers", 0), ("detached", 2), ("lost", 0)]);
    // A browser repeats the query and adds the header.
    for (path, header, from) in [
        ("/subscribe?after=a", "", "b"),
        ("/subscribe?after=", "", "a"),
        ("/subscribe?after=", "Last-Event-ID: a\r\n", "b"),
        ("/subscribe?after=b", "Last-Event-ID: \r\n", "c"),
    ] {
        let mut again = Stream::of(&publisher, path, header);
        let told = again.data();
        assert_eq!((&told["resumed"], &told["from"]), (&json!(true), &json!(from)), "{told}");
        assert!(told["acknowledge"].is_string() && again.data()["id"] == from, "{told}");
    }
}

#[test]
fn a_polling_subscriber_resumes_with_its_next_subscription() {
    let bench = Bench::new();
    let publisher = publisher(&bench, "long-poll --hold 500ms --timeout 1s", "1ms");
    let subscribe = |body: &Value| -> Value {
        let (status, answer) = publisher.ask("POST", "/subscribe", TOKEN, &body.to_string());
        assert_eq!(status, 201, "{answer}");
        serde_json::from_str(&answer).unwrap()
    };
    let ask = |told: &Value, after: &str| {
        let path = format!("{}{after}", told["events"].as_str().unwrap());
        let (status, answer) = publisher.ask("GET", &path, TOKEN, "");
        let events: Vec<Value> = serde_json::from_str(&answer).unwrap_or_default();
        (status, events.iter().map(|event| event["id"].as_str().unwrap()).collect::<String>())
    };
    let told = subscribe(&json!({}));
    ["a", "b", "c"].iter().for_each(|id| assert_eq!(publisher.publish(id), 1));
    assert_eq!(ask(&told, ""), (200, "abc".to_owned()));
    publisher.reaches(&[("subscribers", 0), ("detached", 3), ("lost", 0)]);
    assert_eq!(ask(&told, "&after=a").0, 404, "it was away for too long");
    let again = subscribe(&json!({ "after": "a" }));
    assert_eq!(
        [&again["resumed"], &again["from"], &again["last"]],
        [&json!(true), &json!("b"), &json!("c")]
    );
    assert_eq!(ask(&again, ""), (200, "bc".to_owned()));
    assert_eq!(ask(&again, "&after=c"), (200, String::new()));
    publisher.reaches(&[("acknowledged", 2), ("replayed", 2)]);
}

#[test]
fn options_that_contradict_each_other_are_refused_with_what_to_write() {
    let bench = Bench::new();
    for (args, named, remedy) in [
        ("webhook --ordered", "--ordered", "--delivery at-least-once"),
        ("webhook --backoff 1ms", "--backoff", "--delivery at-least-once"),
        ("websocket --log 5 --delivery at-most-once", "--log", "--delivery at-least-once"),
        ("websocket --unacknowledged --delivery exactly-once", "--unacknowledged", "leave it out"),
        ("tcp --delivery at-least-once", "--delivery", "pushbench serve websocket"),
        ("tcp --store x.db", "--store", "pushbench serve websocket"),
        ("webhook --delivery at-least-once --backoff 20s", "--backoff", "--backoff-max"),
        ("webhook --delivery at-least-once --backoff-max 1ms", "--backoff-max", "--backoff"),
        ("webhook --delivery at-least-once --jitter half", "--jitter", "none, equal or full"),
        ("webhook --delivery twice", "--delivery", "at-least-once"),
    ] {
        let args = format!("serve {args} --publisher --listen 127.0.0.1:0");
        let args: Vec<&str> = args.split(' ').collect();
        let ended = bench.pushbench(&args).env("PUSHBENCH_TOKEN", TOKEN).output().unwrap();
        let err = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(64), "{args:?}: {err}");
        assert!(err.contains(named) && err.contains(remedy), "{args:?}: {err}");
    }
}
