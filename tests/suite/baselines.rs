//! Server-sent events, long polling and polling: what people use when they use neither webhooks nor
//! WebSocket. Whole runs first, then the publisher on plain sockets.

use crate::common::publisher::{PATIENCE, Publisher, TOKEN};
use crate::common::{Bench, ended, eventually, json, turn};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

const BASELINES: [&str; 6] =
    ["--arm", "sse@builtin", "--arm", "long-poll@builtin", "--arm", "poll@builtin"];

/// A fan-out as short as it can be. Who polls does it once in nearly the whole of it.
fn fanout<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let short = ["run", "fanout", "--subscribers", "20", "--blocks", "2", "--duration", "500ms"];
    let rate = ["--warmup", "200ms", "--rate", "40", "--set", "delivery.poll_interval=400ms"];
    [&short[..], &rate, more].concat()
}

fn arms(report: &Value) -> &[Value] {
    report["points"][0]["arms"].as_array().unwrap()
}

/// Every trial's record.
fn trials(bench: &Bench) -> Vec<Value> {
    let text = std::fs::read_to_string(bench.path("r/trials.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Asserts the connections of a subscriber, by arm.
fn connections_each(bench: &Bench, each: [u64; 3]) {
    for trial in trials(bench) {
        let arm = trial["arm"].as_u64().unwrap() as usize;
        assert_eq!(trial["fanout"]["deliveries"]["connections"], 20 * each[arm], "{trial}");
    }
}

#[test]
fn every_subscriber_gets_every_event_and_the_publisher_knows() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let ended = bench.run(&fanout(&[&BASELINES[..], &["--out", "r"]].concat()));
    ended.succeeds();
    assert!(ended.out.contains("requests/delivery (empty)"), "{}", ended.out);
    let report = json(&bench, "r");
    connections_each(&bench, [2, 1, 1]);
    for arm in arms(&report) {
        let f = &arm["fanout"];
        let n = |name: &str| f["deliveries"][name].as_u64().expect(name);
        assert_eq!(n("due"), n("received"), "{f}");
        assert_eq!((n("duplicated"), n("reordered"), n("unsolicited")), (0, 0, 0), "{f}");
        assert_eq!(f["complete"], f["events"], "{f}");
        let p = &f["publisher"];
        assert_eq!((&p["acknowledged"], &p["open"]), (&p["queued"], &0.into()), "{f}");
        assert_eq!((&p["stray"], &p["timed_out"]), (&0.into(), &0.into()), "{f}");
        assert!(f["wire"]["bytes_in_per_delivery"].as_f64() > Some(512.0), "{f}");
        assert!(f["requests"]["count"].as_u64() > Some(0), "{f}");
        // Waiting for the next poll is no overload.
        assert_eq!(arm["overloaded"], false, "{arm}");
    }
    // A request may bring several events and several may be acknowledged by one.
    let part = |arm: usize, what: &str| arms(&report)[arm]["fanout"]["requests"][what].as_f64();
    assert!(part(0, "per_delivery") <= Some(1.0) && part(0, "empty") == Some(0.0));
    assert!(part(2, "per_delivery") < Some(1.0), "a poll of 400 ms brings many events");
    // On average a poller waits for half of its interval, whatever the machine does more.
    let p50 = arms(&report)[2]["fanout"]["delivery_ns"]["p50"].as_u64().unwrap();
    assert!(p50 > 100_000_000, "{p50}");
    let parity = bench.run(&["report", "r", "--format", "json"]).out;
    assert!(parity.contains("deliveries acknowledged by"), "{parity}");
    bench.nothing_left();
}

#[test]
fn four_sides_stand_in_one_table() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let sides = ["--arm", "webhook@builtin", "--arm", "websocket@builtin"];
    let ended = bench.run(&fanout(&[&sides[..], &BASELINES[..4]].concat()));
    ended.succeeds();
    let line = |arm: &str| ended.out.lines().filter(|l| l.starts_with(arm)).count();
    for arm in ["webhook@builtin ", "websocket@builtin ", "sse@builtin ", "long-poll@builtin "] {
        assert!(line(arm) >= 1, "no line {arm:?} in {}", ended.out);
    }
}

#[test]
fn what_nobody_acknowledges_needs_no_second_connection_and_no_cursor() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let more = ["--set", "delivery.acknowledged=false", "--out", "r"];
    bench.run(&fanout(&[&BASELINES[..], &more].concat())).succeeds();
    let report = json(&bench, "r");
    for arm in arms(&report) {
        let f = &arm["fanout"];
        assert_eq!((&f["acknowledged"], &f["reach"]), (&false.into(), &1.0.into()), "{f}");
        let p = &f["publisher"];
        assert_eq!((&p["acknowledged"], &p["written"]), (&0.into(), &p["queued"]), "{f}");
    }
    connections_each(&bench, [1, 1, 1]);
    let f = &arms(&report)[0]["fanout"];
    assert_eq!((&f["wire"]["bytes_out_per_delivery"], &f["requests"]), (&0.0.into(), &Value::Null));
}

#[test]
fn a_publisher_that_dies_voids_its_block_and_leaves_exact_sums() {
    for arm in ["sse@builtin", "long-poll@builtin", "poll@builtin"] {
        let bench = Bench::new();
        let args = ["run", "fanout", "--arm", arm, "--subscribers", "20", "--blocks", "1"];
        let args = [&args[..], &["--duration", "1s", "--rate", "40", "--out", "r"]].concat();
        let run = bench.pushbench(&args).spawn().unwrap();
        eventually("the pilot to end", || {
            std::fs::metadata(bench.path("r/trials.jsonl")).is_ok_and(|file| file.len() > 0)
        });
        eventually("the publisher of the first block", || kill_publisher(&bench));
        let ended = ended(run.wait_with_output().unwrap());
        assert!(!ended.err.contains("panicked"), "{}", ended.err);
        let trials = trials(&bench);
        let says = |t: &&Value| t["invalid"].to_string().contains("SIGKILL");
        let Some(died) = trials.iter().find(says) else {
            // It may have died before the first event: then nothing was recorded of it.
            assert!(ended.err.contains("is void"), "{arm}: {}{}", ended.out, ended.err);
            continue;
        };
        for part in ["measured", "warmup"] {
            let n = |name: &str| died["fanout"]["deliveries"][part][name].as_u64().expect(name);
            assert_eq!(
                n("due"),
                n("received") + n("failed") + n("timed_out") + n("lost"),
                "{died}"
            );
        }
        assert_eq!(died["overloaded"], false, "{died}");
        bench.nothing_left();
    }
}

/// Kills the running publisher of a bench, if there is one.
fn kill_publisher(bench: &Bench) -> bool {
    let found = bench.servers().into_iter().next();
    found.and_then(|pid| Pid::from_raw(pid as i32)).is_some_and(|pid| {
        // Once it has subscribers: let it run a moment into its block.
        std::thread::sleep(Duration::from_millis(700));
        kill_process(pid, Signal::KILL).is_ok()
    })
}

#[test]
fn what_takes_no_events_is_refused_with_what_to_type() {
    let bench = Bench::new();
    for args in [
        &["run", "ingest", "--arm", "sse@builtin"][..],
        &["run", "--arm", "webhook@builtin", "--arm", "poll@builtin"],
        &["verify", "--arm", "long-poll@builtin"],
        &["run", "--arm", "sse@flask"],
    ] {
        let wanted = ["only delivers events to subscribers", "run fanout --arm", "--arm webhook@"];
        bench.run(args).fails(64, &wanted);
    }
    for transport in ["sse", "long-poll", "poll"] {
        let remedy = format!("pushbench serve {transport} --publisher");
        bench.run(&["serve", transport]).fails(64, &[&remedy, "PUSHBENCH_TOKEN", "webhook"]);
        bench
            .run(&["serve", transport, "--publisher"])
            .fails(64, &["needs a token", "PUSHBENCH_TOKEN="]);
    }
    bench.write("pushbench.toml", "[target.mine.sse]\nurl = \"http://127.0.0.1:1/\"\n");
    bench.run(&["run", "--arm", "webhook@mine"]).fails(64, &["are only delivered to subscribers"]);
    let listed = bench.run(&["list", "transports"]).out;
    let flows = |name: &str| {
        let line = listed.lines().find(|l| l.starts_with(name)).unwrap();
        (line.contains("ingest"), line.contains("fanout"))
    };
    assert_eq!(
        (flows("webhook "), flows("sse "), flows("poll ")),
        ((true, true), (false, true), (false, true))
    );
}

#[test]
fn an_interval_in_which_events_time_out_is_refused() {
    let bench = Bench::new();
    let slow = ["--arm", "poll@builtin", "--set", "load.timeout=400ms", "--out", "r"];
    bench.run(&fanout(&slow)).fails(
        64,
        &["poll@builtin", "delivery.poll_interval is 400ms", "--set delivery.poll_interval=80ms"],
    );
    let many = ["run", "fanout", "--arm", "poll@builtin", "--rate", "600", "--out", "r"];
    bench.run(&many).fails(64, &["1200 events", "queue holds only 1024", "poll_interval=426ms"]);
    assert!(!bench.path("r").exists(), "something was begun");
    bench
        .run(&["run", "ingest", "--set", "delivery.poll_interval=1s"])
        .fails(64, &["delivery.poll_interval", "fanout"]);
}

/// A stream of events on a blocking socket.
struct Stream(BufReader<TcpStream>);

impl Stream {
    fn open(publisher: &Publisher, head: &str) -> (Stream, u16) {
        let mut stream = TcpStream::connect(publisher.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!(
            "GET /subscribe HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n{head}\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut stream = Stream(BufReader::new(stream));
        let status = stream.line().split(' ').nth(1).unwrap().parse().unwrap();
        while !stream.line().is_empty() {}
        (stream, status)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// The lines of the next event: one to a chunk.
    fn event(&mut self) -> Vec<String> {
        let _size = self.line();
        let lines: Vec<String> =
            std::iter::from_fn(|| Some(self.line()).filter(|line| !line.is_empty())).collect();
        assert_eq!(self.line(), "", "the end of the chunk");
        lines
    }
}

#[test]
fn a_stream_is_opened_acknowledged_beside_it_and_lost_with_its_connection() {
    let bench = Bench::new();
    let publisher = Publisher::start(&bench, &["sse"]);
    for (method, path, token, head, status) in [
        ("GET", "/subscribe", "", "", 401),
        ("GET", "/subscribe", "wrong", "", 401),
        ("POST", "/ack/0", "", "", 401),
        ("POST", "/subscribe", TOKEN, "Content-Length: 0\r\n", 405),
        ("GET", "/subscribe", TOKEN, "Accept: text/html, application/json\r\n", 406),
        ("GET", "/subscribe?types=event,other", TOKEN, "", 422),
        ("GET", "/ack/0", TOKEN, "", 405),
        ("GET", "/events/0", TOKEN, "", 404),
    ] {
        let (got, message) = publisher.ask_with(method, path, token, head, "");
        assert_eq!(got, status, "{method} {path} {head}: {message}");
    }
    let accept = "Accept: text/event-stream;q=0.9, */*\r\nLast-Event-ID: 41\r\n";
    let (mut stream, status) = Stream::open(&publisher, accept);
    assert_eq!(status, 200);
    let hello = stream.event();
    assert_eq!(hello[0], "event: subscribed");
    let reply: Value = serde_json::from_str(hello[1].strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(reply["resumed"], false, "what came before is not brought again, and that is said");
    let place = reply["acknowledge"].as_str().unwrap();
    let ack = |ids: &Value| publisher.ask("POST", place, TOKEN, &ids.to_string());
    for id in ["a", "b", "c"] {
        assert_eq!(publisher.publish(id), 1);
        let event = stream.event();
        assert_eq!(event[0], format!("id: {id}"));
        let data: Value = serde_json::from_str(event[1].strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!((&data["id"], event.len()), (&id.into(), 2));
    }
    // An event in several lines is one event still.
    let event = "{\n \"id\": \"d\",\r\n \"type\": \"event\", \"data\": {}}";
    assert_eq!(publisher.ask("POST", "/publish", TOKEN, event).0, 202);
    let lines = stream.event();
    assert_eq!((lines[0].as_str(), lines.len()), ("id: d", 4), "{lines:?}");
    assert!(lines[1..].iter().all(|line| line.starts_with("data: ")), "{lines:?}");
    assert_eq!(ack(&json!(["b", "a"])).0, 204);
    assert_eq!(ack(&json!(["a", "z"])).0, 204);
    assert_eq!(ack(&json!({ "id": "c" })).0, 400);
    publisher.reaches(&[("acknowledged", 2), ("stray", 2), ("open", 2)]);
    drop(stream);
    publisher.reaches(&[("lost", 2), ("subscribers", 0)]);
    assert_eq!(ack(&json!(["c"])).0, 404);
}

/// A subscriber that asks, on plain sockets.
struct Asking<'a>(&'a Publisher, String);

impl Asking<'_> {
    fn subscribe(publisher: &Publisher) -> Asking<'_> {
        let (status, body) = publisher.ask("POST", "/subscribe", TOKEN, "{}");
        assert_eq!(status, 201, "{body}");
        let reply: Value = serde_json::from_str(&body).unwrap();
        Asking(publisher, reply["events"].as_str().unwrap().to_owned())
    }

    fn ask(&self, query: &str) -> (u16, String) {
        // Where it asks has a query of its own.
        let query = query.replace('?', "&");
        self.0.ask_with("GET", &format!("{}{query}", self.1), TOKEN, "", "")
    }

    /// The ids of what an answer brings.
    fn ids(&self, query: &str) -> Vec<String> {
        let (status, body) = self.ask(query);
        assert_eq!(status, 200, "{body}");
        let events: Vec<Value> = serde_json::from_str(&body).unwrap();
        events.iter().map(|e| e["id"].as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn who_leaves_acknowledges_and_an_earlier_process_is_not_spoken_of() {
    let bench = Bench::new();
    let publisher = Publisher::start(&bench, &["poll"]);
    let asking = Asking::subscribe(&publisher);
    publisher.publish("a");
    publisher.publish("b");
    assert_eq!(asking.ids(""), ["a", "b"]);
    let path = asking.1.split('?').next().unwrap();
    let ask = |method: &str, path: &str| publisher.ask(method, path, TOKEN, "").0;
    for method in ["GET", "DELETE"] {
        assert_eq!(ask(method, &format!("{path}?life=0&after=a")), 404, "{method}");
    }
    publisher.reaches(&[("subscribers", 1), ("acknowledged", 0), ("open", 2)]);
    assert_eq!(ask("DELETE", &format!("{}&after=b", asking.1)), 204);
    publisher.reaches(&[("subscribers", 0), ("acknowledged", 2), ("lost", 0)]);
    assert_eq!(ask("DELETE", &asking.1), 404);
}

#[test]
fn a_cursor_acknowledges_and_what_did_not_arrive_is_brought_again() {
    let bench = Bench::new();
    let publisher = Publisher::start(&bench, &["poll"]);
    for (method, path, token, body, status) in [
        ("POST", "/subscribe", "", "{}", 401),
        ("GET", "/events/0", "wrong", "", 401),
        ("GET", "/subscribe", TOKEN, "", 405),
        ("POST", "/subscribe", TOKEN, "[", 400),
        ("POST", "/subscribe", TOKEN, r#"{"types":["other"]}"#, 422),
        ("GET", "/events/0", TOKEN, "", 404),
        ("POST", "/ack/0", TOKEN, "[]", 404),
    ] {
        let (got, message) = publisher.ask(method, path, token, body);
        assert_eq!(got, status, "{method} {path} {body}: {message}");
    }
    let poller = Asking::subscribe(&publisher);
    assert!(poller.ids("").is_empty(), "answered at once with nothing");
    for id in ["a", "b/ü", "c"] {
        assert_eq!(publisher.publish(id), 1);
    }
    assert_eq!(poller.ids(""), ["a", "b/ü", "c"]);
    publisher.reaches(&[("open", 3), ("acknowledged", 0), ("requests", 2), ("empty", 1)]);
    // Nothing was acknowledged: perhaps the answer never arrived.
    assert_eq!(poller.ids(""), ["a", "b/ü", "c"]);
    publisher.publish("d");
    assert_eq!(poller.ids("?after=b%2F%C3%BC"), ["c", "d"]);
    publisher.reaches(&[("acknowledged", 2), ("open", 2)]);
    // A cursor that stands still, or that means nothing, acknowledges nothing.
    assert_eq!(poller.ids("?after=b%2F%C3%BC"), ["c", "d"]);
    assert_eq!(poller.ids("?after=z"), ["c", "d"]);
    assert!(poller.ids("?after=d").is_empty());
    assert!(poller.ids("?after=d").is_empty());
    let reply =
        publisher.reaches(&[("acknowledged", 4), ("open", 0), ("stray", 0), ("complete", 4)]);
    assert_eq!((&reply["requests"], &reply["empty"]), (&8.into(), &3.into()), "{reply}");
}

#[test]
fn a_long_poll_is_held_until_there_is_an_event_or_its_time_is_over() {
    let bench = Bench::new();
    let publisher = Publisher::start(&bench, &["long-poll", "--hold", "300ms"]);
    let poller = Asking::subscribe(&publisher);
    assert!(poller.ids("").is_empty(), "the time was over");
    publisher.reaches(&[("requests", 1), ("empty", 1)]);
    drop(publisher);

    let publisher = Publisher::start(&bench, &["long-poll", "--hold", "1h"]);
    let poller = Asking::subscribe(&publisher);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| poller.ask(""));
        // Of two requests of a subscriber the older one gives up, whichever comes first.
        let second = scope.spawn(|| poller.ask(""));
        eventually("one of them to give up", || first.is_finished() || second.is_finished());
        assert_eq!(publisher.publish("a"), 1);
        let mut answers = [first.join().unwrap(), second.join().unwrap()];
        answers.sort_by_key(|(status, _)| *status);
        assert_eq!((answers[0].0, answers[1].0), (200, 409), "{answers:?}");
        assert!(answers[0].1.contains("\"a\""));
    });
    publisher.reaches(&[("open", 1), ("empty", 0)]);
    // The next one acknowledges, and is held again.
    std::thread::scope(|scope| {
        let next = scope.spawn(|| poller.ids("?after=a"));
        publisher.reaches(&[("acknowledged", 1), ("open", 0)]);
        publisher.publish("b");
        assert_eq!(next.join().unwrap(), ["b"]);
    });
}

#[test]
fn a_stuck_subscriber_costs_its_own_events_and_is_gone_at_last() {
    let bench = Bench::new();
    let args = ["long-poll", "--queue", "2", "--hold", "1s", "--timeout", "1s"];
    let publisher = Publisher::start(&bench, &args);
    let (stuck, healthy) = (Asking::subscribe(&publisher), Asking::subscribe(&publisher));
    let mut after = String::new();
    for (id, queued) in [("a", 2), ("b", 2), ("c", 1), ("d", 1)] {
        assert_eq!(publisher.publish(id), queued);
        assert_eq!(healthy.ids(&after), [id]);
        after = format!("?after={id}");
    }
    publisher.reaches(&[("overflowed", 2), ("acknowledged", 3)]);
    // Who asks for nothing for longer than a request is held and a delivery may take is gone.
    eventually("the stuck one to be gone", || {
        assert!(healthy.ids(&after).is_empty());
        publisher.status()["subscribers"] == 1
    });
    let reply = publisher.status();
    assert_eq!((&reply["lost"], &reply["acknowledged"]), (&2.into(), &4.into()), "{reply}");
    assert_eq!(stuck.ask("").0, 404);
    assert!(stuck.ask("").1.contains("subscribe again"));
}
