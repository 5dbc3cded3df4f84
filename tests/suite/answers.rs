//! Servers that answer something else than wanted: the message shows what came back and says what to
//! write instead.

use crate::common::{Bench, PUSHBENCH, short};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

const FAILED: i32 = 3;

/// A server that is already running: it answers whatever comes with what `answer` makes of it, and
/// closes when that is nothing.
fn server(answer: fn(&[u8]) -> Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = move |mut stream: TcpStream| {
        let mut bytes = [0; 8192];
        while let Ok(n @ 1..) = stream.read(&mut bytes) {
            let answer = answer(&bytes[..n]);
            if answer.is_empty() || stream.write_all(&answer).is_err() {
                return;
            }
        }
    };
    // Ends with the test program.
    std::thread::spawn(move || {
        listener
            .incoming()
            .flatten()
            .for_each(|stream| drop(std::thread::spawn(move || serve(stream))));
    });
    port
}

fn response(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Runs a short measurement of a server at this port, which must fail with these texts.
#[track_caller]
fn says(transport: &str, port: u16, wanted: &[&str]) {
    let bench = Bench::new();
    let scheme = if transport == "webhook" { "http" } else { "ws" };
    let text = format!(
        "[target.t.{transport}]\nurl = \"{scheme}://127.0.0.1:{port}/events\"\nmatch = \"id\"\n"
    );
    bench.write("pushbench.toml", &text);
    let arm = format!("{transport}@t");
    let args = ["--arm", &arm, "--connections", "2", "--set", "load.timeout=500ms"];
    bench.run(&short(&args)).fails(FAILED, wanted);
}

#[test]
fn missing_credentials_are_asked_for() {
    let asks = |_: &[u8]| response("401 Unauthorized\r\nWWW-Authenticate: Bearer realm=x", "who?");
    let wanted = ["401", "who?", "www-authenticate: Bearer realm=x", "headers = { Authorization"];
    says("webhook", server(asks), &wanted);
    says("websocket", server(asks), &["401", "who?", "headers = { Authorization"]);
}

#[test]
fn other_places_and_methods_are_named() {
    let moved = |_: &[u8]| response("308 Permanent Redirect\r\nLocation: /v2/events", "");
    says("webhook", server(moved), &["308", "location: /v2/events", "write that address in url"]);
    let put = |_: &[u8]| response("405 Method Not Allowed\r\nAllow: PUT", "");
    says("webhook", server(put), &["405", "allow: PUT", "set method"]);
}

#[test]
fn an_id_in_another_place_is_found() {
    let nested = |request: &[u8]| {
        let text = String::from_utf8_lossy(request);
        let id = text.split("\"id\":\"").nth(1).map_or("", |rest| &rest[..16]);
        response("200 OK", &format!("{{\"result\":{{\"event\":\"{id}\"}}}}"))
    };
    says("webhook", server(nested), &["at /result/event", "match = \"id:/result/event\""]);
    let none = |_: &[u8]| response("200 OK", "thanks");
    says("webhook", server(none), &["answered 200 OK: thanks", "match = \"order\""]);
}

#[test]
fn tls_on_a_plain_address_is_recognised() {
    let remedy = "uses TLS there: write https://";
    // As rustls does, as nginx does, and as OpenSSL does, which closes without a word.
    let alert = |_: &[u8]| vec![0x15, 3, 3, 0, 2, 2, 10];
    let tls_refusal = |_: &[u8]| {
        response(
            "400 Bad Request",
            "<center>The plain HTTP request was sent to HTTPS port</center>",
        )
    };
    let no_answer = |bytes: &[u8]| match bytes {
        [0x16, ..] => vec![0x15, 3, 3, 0, 2, 2, 40],
        _ => Vec::new(),
    };
    for transport in ["webhook", "websocket"] {
        says(transport, server(alert), &["it uses TLS", remedy]);
        says(transport, server(tls_refusal), &["400 Bad Request", remedy]);
        says(transport, server(no_answer), &["connection", remedy]);
    }
}

#[test]
fn other_protocols_are_shown() {
    let ssh = |_: &[u8]| b"SSH-2.0-OpenSSH_9.6\r\n".to_vec();
    says("webhook", server(ssh), &["SSH-2.0-OpenSSH_9.6", "is served by webhook"]);
    says("websocket", server(ssh), &["SSH-2.0-OpenSSH_9.6", "is served by websocket"]);
}

#[test]
fn a_request_that_meets_a_connection_closed_while_idle_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // As a keep-alive time-out that ends when the next request comes: that one is not read.
    let serve = |mut stream: TcpStream| {
        let mut bytes = [0; 8192];
        if let Ok(1..) = stream.read(&mut bytes) {
            let _gone = stream.write_all(&response("200 OK", "thanks"));
            let _closes = stream.peek(&mut bytes);
        }
    };
    std::thread::spawn(move || {
        let streams = listener.incoming().flatten();
        streams.for_each(|stream| drop(std::thread::spawn(move || serve(stream))));
    });
    let bench = Bench::new();
    let text =
        format!("[target.t.webhook]\nurl = \"http://127.0.0.1:{port}/\"\nmatch = \"order\"\n");
    bench.write("pushbench.toml", &text);
    let args = ["--arm", "webhook@t", "--connections", "1", "--out", "r", "--rate", "20"];
    let options = ["--blocks", "1", "--duration", "500ms", "--warmup", "100ms"];
    bench.run(&[&["run"][..], &args, &options].concat());
    let stored = pushbench_host::results_store::read(&bench.path("r")).unwrap();
    let faults: Vec<&String> = stored.trials.iter().flat_map(|t| t.account.faults.keys()).collect();
    let named = |fault: &&&String| fault.contains("ms idle: raise its keep-alive time-out");
    assert!(faults.iter().any(|f| named(&f)), "{faults:?}");
}

#[test]
fn a_server_of_one_transport_only() {
    let page = |_: &[u8]| response("200 OK", "<h1>welcome</h1>");
    says(
        "websocket",
        server(page),
        &["200 OK: welcome", "does not complete a WebSocket handshake"],
    );

    let bench = Bench::new();
    let text = format!(
        "[target.t.websocket]\ncommand = \"{PUSHBENCH} serve webhook --listen 127.0.0.1:{{port}}\"\n\
         url = \"ws://127.0.0.1:{{port}}/\"\nmatch = \"id\"\n"
    );
    bench.write("pushbench.toml", &text);
    bench
        .run(&short(&["--arm", "websocket@t"]))
        .fails(FAILED, &["404 Not Found", "there is no WebSocket at", "correct the path in url"]);
    bench.run(&["run", "--arm", "webhook@t"]).fails(64, &["does not serve webhook", "websocket"]);
    bench.nothing_left();
}

#[test]
fn messages_without_an_id_are_not_called_silence() {
    // Length-prefixed messages that say `ok`, whatever was asked.
    let port = server(|_| b"\x00\x00\x00\x02ok".to_vec());
    let text = format!("[target.t.tcp]\nurl = \"tcp://127.0.0.1:{port}\"\nmatch = \"id\"\n");
    let bench = Bench::new();
    bench.write("pushbench.toml", &text);
    let args = ["--arm", "tcp@t", "--connections", "2", "--set", "load.timeout=500ms"];
    bench.run(&short(&args)).fails(FAILED, &["answered `ok`", "match = \"order\""]);
}

#[test]
fn a_server_that_takes_everything_is_measured() {
    let bench = Bench::new();
    let port = server(|_| response("200 OK", "thanks"));
    let text =
        format!("[target.t.webhook]\nurl = \"http://127.0.0.1:{port}/\"\nmatch = \"order\"\n");
    bench.write("pushbench.toml", &text);
    bench.run(&short(&["--arm", "webhook@t", "--connections", "4"])).succeeds();
}
