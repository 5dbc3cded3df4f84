//! Publishers over server-sent events and long polling that somebody describes: what is a delivery and what is
//! none, and what their mistakes look like.

use super::{USAGE, all_received, fanned_out};
use crate::common::{Bench, turn};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

/// Every event so far, in its order.
type Events = Arc<(Mutex<Vec<String>>, Condvar)>;

/// What a publisher does with the connection of a subscriber: it has read this head.
type Serve = fn(&str, &mut TcpStream, &Events) -> std::io::Result<()>;

/// A publisher that is already running; the address it has.
fn publisher(serve: Serve) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let events = Events::default();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let events = events.clone();
            std::thread::spawn(move || connection(stream, serve, &events));
        }
    });
    address.to_string()
}

fn connection(mut stream: TcpStream, serve: Serve, events: &Events) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            let start = head.len();
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
            let line = head[start..].to_lowercase();
            if let Some(n) = line.strip_prefix("content-length:") {
                length = n.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        if head.starts_with("POST /publish ") {
            events.0.lock().unwrap().push(String::from_utf8(body).unwrap());
            events.1.notify_all();
            stream.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")?;
        } else {
            serve(&head, &mut stream, events)?;
        }
    }
}

/// Event `n`, once there is one.
fn event(events: &Events, n: usize) -> String {
    let waited = events.1.wait_while(events.0.lock().unwrap(), |events| events.len() <= n);
    waited.unwrap()[n].clone()
}

/// The number of events so far.
fn count(events: &Events) -> usize {
    events.0.lock().unwrap().len()
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// A correct one, with everything around its events that a stream may have.
fn stream(_: &str, stream: &mut TcpStream, events: &Events) -> std::io::Result<()> {
    let first = count(events);
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n")?;
    stream.write_all(b": hello\n\nretry: 100\n\nevent: greeting\ndata: {\"id\": \"you\"}\n\n")?;
    for n in first.. {
        let data = event(events, n);
        let around = "event: ping\ndata: 0\n\n: alive\n\n";
        stream.write_all(format!("{around}id: {n}\ndata: {data}\n\n{around}").as_bytes())?;
    }
    Ok(())
}

/// A correct one. Whoever is new gets what was published last, as many servers do, and whoever waits gets an answer
/// without an event now and then.
fn long_poll(head: &str, stream: &mut TcpStream, events: &Events) -> std::io::Result<()> {
    let tag = head.to_lowercase().split("if-none-match: \"").nth(1).map(|rest| {
        let (n, empty) = rest.split_once('"').unwrap().0.split_once('-').unwrap();
        (n.parse::<usize>().unwrap(), empty.parse::<usize>().unwrap())
    });
    let text = match tag {
        None => {
            let events = events.0.lock().unwrap();
            let tag = format!("ETag: \"{}-0\"\r\n", events.len());
            answer("200 OK", &tag, events.last().map_or("", String::as_str))
        }
        Some((n, empty @ 0..3)) => {
            let status = ["204 No Content", "304 Not Modified", "408 Request Timeout"][empty];
            let length = if empty == 2 { "Content-Length: 0\r\n" } else { "" };
            format!("HTTP/1.1 {status}\r\nETag: \"{n}-{}\"\r\n{length}\r\n", empty + 1)
        }
        Some((n, _)) => answer("200 OK", &format!("ETag: \"{}-0\"\r\n", n + 1), &event(events, n)),
    };
    stream.write_all(text.as_bytes())
}

/// Its description in a working directory of its own.
fn bench(transport: &str, address: &str) -> Bench {
    let bench = Bench::new();
    let text = format!(
        "[target.mine.{transport}]\npublish = \"http://{address}/publish\"\n\
         subscribe = \"http://{address}/subscribe\"\n"
    );
    bench.write("pushbench.toml", &text);
    bench
}

const UNACKNOWLEDGED: [&str; 2] = ["--set", "delivery.acknowledged=false"];

#[test]
fn a_described_stream_delivers_its_events_and_nothing_else() {
    delivers("sse", stream);
}

#[test]
fn a_described_long_poll_delivers_what_is_published_from_the_subscription_on() {
    delivers("long-poll", long_poll);
}

fn delivers(transport: &str, serve: Serve) {
    let _turn = turn::measuring();
    let bench = bench(transport, &publisher(serve));
    let arm = format!("{transport}@mine");
    bench.run(&["verify", "mine"]).fails(USAGE, &["only delivers", "run fanout --arm", &arm]);
    let (_, arms, _) = fanned_out(&bench, &[&["--arm", &arm][..], &UNACKNOWLEDGED].concat());
    all_received(&arms[0]);
    let d = &arms[0]["fanout"]["deliveries"];
    for other in ["unsolicited", "unpublished", "undue"] {
        assert_eq!(d[other], 0, "{d}");
    }
}

#[test]
fn a_publisher_that_cannot_be_subscribed_to_is_refused_with_its_answer() {
    let _turn = turn::measuring();
    let text: Serve = |_, stream, _| {
        stream.write_all(answer("200 OK", "Content-Type: text/plain\r\n", "events").as_bytes())
    };
    let none: Serve = |_, stream, _| stream.write_all(answer("404 Not Found", "", "no").as_bytes());
    let at_once: Serve = |_, stream, _| stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
    let unnamed: Serve = |_, stream, _| stream.write_all(answer("200 OK", "", "{}").as_bytes());
    for (transport, serve, wanted) in [
        ("sse", text, &["sse@mine", "text/plain", "text/event-stream was expected", "events"][..]),
        ("sse", none, &["sse@mine", "404 Not Found", "no"]),
        ("long-poll", none, &["long-poll@mine", "404 Not Found", "no"]),
        ("long-poll", at_once, &["long-poll@mine", "204 No Content at once", "held"]),
        ("long-poll", unnamed, &["long-poll@mine", "neither Last-Modified nor Etag"]),
    ] {
        let bench = bench(transport, &publisher(serve));
        let arm = format!("{transport}@mine");
        let run = [&["run", "fanout", "--arm", &arm, "--out", "r"][..], &UNACKNOWLEDGED].concat();
        bench.run(&run).fails(3, wanted);
    }
}

/// The first event is delivered, and the run states what was missing afterwards.
#[test]
fn a_subscription_that_breaks_later_is_reported() {
    let _turn = turn::measuring();
    let ends: Serve = |_, stream, events| {
        let published = count(events);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")?;
        let first = event(events, published);
        stream.write_all(format!("data: {first}\n\n").as_bytes())?;
        Err(std::io::ErrorKind::Other.into())
    };
    let unnamed: Serve = |_, stream, events| {
        let first = event(events, count(events));
        stream.write_all(answer("200 OK", "", &first).as_bytes())
    };
    for (transport, serve, why) in [
        ("sse", ends, "the publisher ended the subscription"),
        ("long-poll", unnamed, "neither Last-Modified nor Etag"),
    ] {
        let bench = bench(transport, &publisher(serve));
        let arm = format!("{transport}@mine");
        // The first event is one of the warm-up.
        let short = ["run", "fanout", "--blocks", "2", "--duration", "500ms", "--warmup", "1s"];
        let run =
            [&short[..], &["--subscribers", "5", "--arm", &arm, "--out", "r"], &UNACKNOWLEDGED];
        let ended = bench.run(&run.concat());
        ended.fails(3, &[&arm, "no valid trial", why]);
    }
}

#[test]
fn bad_descriptions_are_refused_with_their_place() {
    let bench = Bench::new();
    let both = "publish = \"http://127.0.0.1:1/p\"\nsubscribe = \"http://127.0.0.1:1/s\"";
    for (transport, lines, wanted) in [
        (
            "sse",
            "url = \"http://127.0.0.1:1/\"".to_owned(),
            &["toml:3:1", "only delivered", "publish"][..],
        ),
        (
            "long-poll",
            format!("{both}\nurl = \"http://127.0.0.1:1/\""),
            &["toml:5:1", "only delivered"],
        ),
        ("sse", String::new(), &["toml:1:14", "has no publish", "add publish and subscribe"]),
        ("sse", "publish = \"http://127.0.0.1:1/p\"".to_owned(), &["toml:3:11", "add subscribe"]),
        (
            "sse",
            both.replace("http://127.0.0.1:1/s", "ws://127.0.0.1:1/s"),
            &["toml:4:13", "http://"],
        ),
        ("sse", format!("{both}\nacknowledge = \"{{id}}\""), &["toml:5:15", "write true"]),
        ("sse", format!("{both}\nmethod = \"PUT\""), &["toml:5:1", "publish = {"]),
        ("sse", format!("{both}\nsubprotocol = \"a\""), &["toml:5:1", "only a WebSocket"]),
        ("long-poll", format!("{both}\nacknowledge = true"), &["toml:5:1", "remove this key"]),
        (
            "long-poll",
            both.replace(
                "\"http://127.0.0.1:1/s\"",
                "{ url = \"http://127.0.0.1:1/s\", method = \"PUT\" }",
            ),
            &["toml:4:", "\"method\"", "only a webhook"],
        ),
        ("poll", both.to_owned(), &["toml:1:14", "[target.mine.long-poll]"]),
    ] {
        let text = format!("[target.mine.{transport}]\nmatch = \"order\"\n{lines}\n");
        bench.write("pushbench.toml", &text);
        let arm = format!("{transport}@mine");
        let ended = bench.run(&["run", "fanout", "--arm", &arm, "--out", "r"]);
        ended.fails(USAGE, wanted);
        assert!(!bench.path("r").exists(), "something was begun: {lines}");
        bench.run(&["list", "targets"]).fails(USAGE, &[]);
    }
}
