//! A durable publisher: an event is acknowledged when it is on disk, and outlives the process.

use crate::common::publisher::{PATIENCE, Publisher, TOKEN};
use crate::common::{Bench, eventually};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{self, Message};

const AT_LEAST_ONCE: [&str; 3] = ["--publisher", "--delivery", "at-least-once"];

/// The command of a durable publisher.
fn durable(bench: &Bench, transport: &str, listen: &str) -> Command {
    let args = ["serve", transport, "--store", "store", "--listen", listen, "--queue", "100000"];
    let mut command = bench.pushbench(&args);
    command.args(AT_LEAST_ONCE).args(["--log", "100000", "--backoff", "5ms"]);
    command
}

/// A client that publishes over one connection; `None` when that ended.
struct Client(BufReader<TcpStream>);

impl Client {
    fn open(address: SocketAddr) -> Option<Client> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.set_nodelay(true).ok()?;
        Some(Client(BufReader::new(stream)))
    }

    /// The status and the text of the answer.
    fn publish(&mut self, id: &str) -> Option<(u16, String)> {
        let event = json!({ "id": id, "type": "event", "data": "x".repeat(200) }).to_string();
        let head = format!(
            "POST /publish HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {}\r\n\r\n",
            event.len()
        );
        self.0.get_mut().write_all((head + &event).as_bytes()).ok()?;
        let (head, body) = message(&mut self.0)?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body))
    }
}

/// The first line of an HTTP message, and its body.
fn message(reader: &mut impl std::io::BufRead) -> Option<(String, String)> {
    let (mut first, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if first.is_empty() {
            first.clone_from(&line);
        }
        if line == "\r\n" {
            break;
        }
        if let Some(n) = line.to_lowercase().strip_prefix("content-length:") {
            length = n.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((first, String::from_utf8(body).ok()?))
}

/// How often each event came.
type Got = Arc<Mutex<HashMap<String, u64>>>;

fn count(got: &Got, event: &str) -> Option<String> {
    let event: Value = serde_json::from_str(event).ok()?;
    let id = event["id"].as_str()?.to_owned();
    *got.lock().unwrap().entry(id.clone()).or_default() += 1;
    Some(id)
}

/// An endpoint that acknowledges what it has counted.
fn endpoint(listener: TcpListener) -> Got {
    let got = Got::default();
    let counts = got.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let counts = counts.clone();
            thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                while let Some((_, event)) = message(&mut reader) {
                    count(&counts, &event);
                    let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
                    if reader.get_mut().write_all(answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    got
}

/// A subscriber over WebSocket that resumes after what it has acknowledged, until it is told to end.
fn subscriber(address: SocketAddr, ends: Arc<AtomicBool>) -> Got {
    let got = Got::default();
    let counts = got.clone();
    thread::spawn(move || {
        let mut after = String::new();
        while !ends.load(Relaxed) {
            let _disconnected = subscribed(address, &mut after, &counts);
            thread::sleep(Duration::from_millis(2));
        }
    });
    got
}

fn subscribed(address: SocketAddr, after: &mut String, got: &Got) -> Option<()> {
    let url = format!("ws://{address}/subscribe?after={after}");
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {TOKEN}").parse().unwrap());
    let (mut socket, _) = tungstenite::client(request, TcpStream::connect(address).ok()?).ok()?;
    loop {
        let Message::Text(text) = socket.read().ok()? else { continue };
        // The first message says how it resumed: what it has acknowledged was on disk.
        let Some(id) = count(got, &text) else {
            assert!(text.contains(r#""resumed":true"#), "{text}");
            continue;
        };
        socket.send(json!({ "id": id }).to_string().into()).ok()?;
        *after = id;
    }
}

/// Without acknowledged events that are missing.
fn missing(acknowledged: &[String], got: &Got) -> usize {
    let got = got.lock().unwrap();
    acknowledged.iter().filter(|id| !got.contains_key(*id)).count()
}

/// Kills a publisher at random instants while three clients publish over connections of their own.
fn survives_kills(transport: &str) {
    let kills: u64 = std::env::var("PUSHBENCH_KILLS").map_or(12, |n| n.parse().unwrap());
    let bench = Bench::new();
    let mut publisher = Publisher::spawn(&mut durable(&bench, transport, "127.0.0.1:0"));
    let address = publisher.address;
    let [ends, subscriber_ends] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
    let got = if transport == "webhook" {
        let listener = TcpListener::bind("127.0.0.2:0").unwrap();
        publisher.subscribe(&format!("http://{}/hook", listener.local_addr().unwrap()));
        endpoint(listener)
    } else {
        subscriber(address, subscriber_ends.clone())
    };
    let clients = ["a", "b", "c"].map(|name| {
        let ends = ends.clone();
        thread::spawn(move || {
            let (mut acknowledged, mut n) = (Vec::new(), 0);
            while !ends.load(Relaxed) {
                thread::sleep(Duration::from_millis(1));
                let Some(mut client) = Client::open(address) else { continue };
                while !ends.load(Relaxed) {
                    n += 1;
                    let id = format!("{name}{n}");
                    match client.publish(&id) {
                        Some((202, _)) => acknowledged.push(id),
                        Some((status, why)) => panic!("{status} {why}"),
                        None => break,
                    }
                    thread::sleep(Duration::from_millis(1));
                }
            }
            acknowledged
        })
    });
    for _ in 0..kills {
        let random = RandomState::new().build_hasher().finish();
        thread::sleep(Duration::from_micros(random % 100_000));
        drop(publisher);
        publisher = Publisher::spawn(&mut durable(&bench, transport, &address.to_string()));
    }
    thread::sleep(Duration::from_millis(50));
    ends.store(true, Relaxed);
    let acknowledged = clients.map(|client| client.join().unwrap()).concat();
    let n = acknowledged.len();
    assert!(n as u64 > kills, "only {n} events were acknowledged");
    eventually("every acknowledged event", || missing(&acknowledged, &got) == 0);
    subscriber_ends.store(true, Relaxed);
    let (events, deliveries) = {
        let got = got.lock().unwrap();
        (got.len(), got.values().sum::<u64>())
    };
    eprintln!(
        "{transport}: {kills} kills, {n} acknowledged, {events} delivered, {deliveries} times"
    );
}

#[test]
fn no_acknowledged_event_is_missing_over_webhook_after_kills() {
    survives_kills("webhook");
}

#[test]
fn no_acknowledged_event_is_missing_over_websocket_after_kills() {
    survives_kills("websocket");
}

/// Builds the library that is preloaded; `None` without a C compiler.
fn preloaded(bench: &Bench) -> Option<std::path::PathBuf> {
    let source = bench.write("syncs.c", include_str!("durable/syncs.c"));
    let library = bench.path("syncs.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source);
    match compiler.output() {
        Ok(built) => {
            assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
            Some(library)
        }
        Err(e) => {
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "missing: cc: {e}");
            eprintln!("skipped, missing: cc: {e}");
            None
        }
    }
}

#[test]
fn a_sync_begins_after_the_request_and_returns_before_its_answer() {
    let bench = Bench::new();
    let Some(library) = preloaded(&bench) else { return };
    let journal = bench.path("journal");
    let mut command = durable(&bench, "websocket", "127.0.0.1:0");
    let publisher = Publisher::spawn(command.env("LD_PRELOAD", library).env("SYNCS", &journal));
    let address = publisher.address;
    let clients = ["a", "b", "c", "d"].map(|name| {
        thread::spawn(move || {
            let mut client = Client::open(address).unwrap();
            for n in 0..50 {
                let (status, why) = client.publish(&format!("{name}{n}")).unwrap();
                assert_eq!(status, 202, "{why}");
            }
        })
    });
    clients.into_iter().for_each(|client| client.join().unwrap());
    let (mut received, mut begun, mut newest, mut answers) =
        (BTreeMap::new(), BTreeMap::new(), 0, 0);
    let lines = std::fs::read_to_string(&journal).unwrap();
    for (at, line) in lines.lines().enumerate() {
        let words: Vec<&str> = line.split(' ').collect();
        let [what, fd, thread] = words[..] else { panic!("{line:?}") };
        match what {
            "received" => _ = received.insert(fd, at),
            "sync" => _ = begun.insert(thread, at),
            // When the newest sync began that has returned.
            "synced" => newest = newest.max(begun[thread]),
            "answer" => {
                answers += 1;
                let request = received[fd];
                assert!(newest > request, "line {at}: {request} is the request, {newest} the sync");
            }
            _ => panic!("{line:?}"),
        }
    }
    assert_eq!(answers, 200);
    let status = publisher.status();
    assert!(status["syncs"].as_u64() <= Some(200) && status["sync_longest_ns"] != 0, "{status}");
}

/// What the kernel did not write after a sync that failed it may take for written at the next one.
#[test]
fn after_a_sync_that_failed_nothing_more_is_acknowledged() {
    let bench = Bench::new();
    let Some(library) = preloaded(&bench) else { return };
    let failing = bench.path("failing");
    let mut command = durable(&bench, "sse", "127.0.0.1:0");
    command.env("LD_PRELOAD", library).env("SYNCS", bench.path("journal"));
    let publisher = Publisher::spawn(command.env("FAILING", &failing));
    let mut client = Client::open(publisher.address).unwrap();
    assert_eq!(client.publish("a").unwrap().0, 202);
    std::fs::write(&failing, "").unwrap();
    let (status, why) = client.publish("b").unwrap();
    assert_eq!(status, 503, "{why}");
    assert!(why.contains("/store: ") && why.contains("start the publisher anew"), "{why}");
    std::fs::remove_file(&failing).unwrap();
    assert_eq!(client.publish("c").unwrap().0, 503);
    assert_eq!(publisher.status()["published"], 1, "it goes on, with what it has");
    drop(publisher);
    let publisher = Publisher::spawn(&mut durable(&bench, "websocket", "127.0.0.1:0"));
    publisher.publish("d");
    has(&publisher, &["a", "d"].map(str::to_owned));
}

#[test]
fn an_address_that_is_registered_again_has_its_subscription_and_what_is_open_at_it() {
    let bench = Bench::new();
    let publisher = Publisher::spawn(&mut durable(&bench, "webhook", "127.0.0.1:0"));
    let listener = TcpListener::bind("127.0.0.2:0").unwrap();
    let hook = listener.local_addr().unwrap();
    let other = TcpListener::bind("127.0.0.3:0").unwrap();
    let url = |hook: SocketAddr| json!({ "url": format!("http://{hook}/hook") }).to_string();
    let register =
        |publisher: &Publisher, hook| publisher.ask("POST", "/subscribe", TOKEN, &url(hook));
    let (gone, number) =
        (other.local_addr().unwrap(), |n: u64| json!({ "subscriber": n }).to_string());
    assert_eq!(register(&publisher, gone), (201, number(0)));
    assert_eq!(register(&publisher, hook), (201, number(1)));
    let _got = endpoint(other);
    drop(listener);
    publisher.publish("a");
    publisher.publish("b");
    assert_eq!(publisher.ask("DELETE", "/subscribe/0", TOKEN, "").0, 204);
    publisher.reaches(&[("subscribers", 1), ("open", 2)]);
    publisher.publish("c");
    drop(publisher);
    let publisher = Publisher::spawn(&mut durable(&bench, "webhook", "127.0.0.1:0"));
    let status = publisher.status();
    assert_eq!((&status["subscribers"], &status["open"]), (&1.into(), &3.into()), "{status}");
    assert_eq!(register(&publisher, hook), (200, number(1)));
    assert_eq!(register(&publisher, gone), (201, number(2)));
    let got = endpoint(TcpListener::bind(hook).unwrap());
    eventually("what was open", || missing(&["a", "b", "c"].map(str::to_owned), &got) == 0);
    publisher.reaches(&[("open", 0), ("acknowledged", 3)]);
}

/// Waits until a subscriber that begins at the begin of the log has these events.
fn has(publisher: &Publisher, events: &[String]) {
    let ends = Arc::new(AtomicBool::new(false));
    let got = subscriber(publisher.address, ends.clone());
    eventually("the log", || missing(events, &got) == 0);
    ends.store(true, Relaxed);
}

#[test]
fn what_does_not_fit_is_refused_and_what_was_acknowledged_is_kept() {
    let bench = Bench::new();
    let mut command = bench.command("/bin/sh");
    let durable_command = durable(&bench, "websocket", "127.0.0.1:0");
    command.args(["-c", "ulimit -f 256; exec \"$0\" \"$@\""]).arg(durable_command.get_program());
    command.args(durable_command.get_args());
    let publisher = Publisher::spawn(&mut command);
    let mut client = Client::open(publisher.address).unwrap();
    let mut acknowledged = Vec::new();
    let why = loop {
        let id = format!("a{}", acknowledged.len());
        match client.publish(&id).unwrap() {
            (202, _) => acknowledged.push(id),
            (507, why) => break why,
            (status, why) => panic!("{status} {why}"),
        }
    };
    assert!(why.contains("/store: ") && why.contains("ulimit -f"), "{why}");
    let published = &publisher.status()["published"];
    assert_eq!(*published, acknowledged.len(), "it goes on, with what it has");
    has(&publisher, &acknowledged);
    drop(publisher);
    let publisher = Publisher::spawn(&mut durable(&bench, "websocket", "127.0.0.1:0"));
    has(&publisher, &acknowledged);
    publisher.publish("with room");
}

#[test]
fn a_store_that_cannot_be_used_is_refused_before_anything_starts() {
    let bench = Bench::new();
    let serve = |transport: &str, file: &str| {
        let listen = ["serve", transport, "--listen", "127.0.0.1:0", "--store", file];
        let mut command = bench.pushbench(&listen);
        let command = command.args(AT_LEAST_ONCE).env("PUSHBENCH_TOKEN", TOKEN);
        crate::common::ended(command.output().unwrap())
    };
    serve("websocket", "none/s").fails(64, &["--store none/s: No such file", "make the directory"]);
    bench.write("text", &"not a store ".repeat(1000));
    serve("sse", "text").fails(64, &["--store text: not a store", "name another file"]);
    let publisher = Publisher::spawn(&mut durable(&bench, "webhook", "127.0.0.1:0"));
    serve("webhook", "store").fails(64, &["--store store: another publisher uses it", "end that"]);
    publisher.subscribe("http://127.0.0.2:9/hook");
    drop(publisher);
    serve("websocket", "store").fails(64, &["--store store: ", "webhook", "name another file"]);
}
