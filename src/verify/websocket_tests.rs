//! Answers to a handshake, which are put before the clients of the driver and before the first look.

use super::*;
use hyper::header::HeaderValue;
use pushbench_wire::endpoint::Endpoint;
use tokio::io::AsyncWriteExt as _;

fn requesting(subprotocol: Option<&'static str>) -> (Request, RequestOptions) {
    let request_options = RequestOptions {
        subprotocol: subprotocol.map(HeaderValue::from_static),
        ..RequestOptions::default()
    };
    let endpoint = Endpoint::parse("ws://127.0.0.1/").unwrap();
    (handshake::request(&endpoint, &request_options).unwrap(), request_options)
}

/// What the driver's clients make of an answer: what came behind it, or why there is no WebSocket.
fn driver(
    request: &Request,
    request_options: &RequestOptions,
    answer: &str,
) -> Result<Vec<u8>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (mut near, mut far) = tokio::io::duplex(1 << 20);
        far.write_all(answer.as_bytes()).await.unwrap();
        far.shutdown().await.unwrap();
        handshake::shake(&mut near, request, request_options)
            .await
            .map(|(came, _)| came)
            .map_err(|fault| fault.to_string())
    })
}

/// A server that has answered already, and then closes.
struct Server<'a>(&'a [u8]);

impl Read for Server<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Server<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What the first look makes of it.
fn first_look(
    request: &Request,
    request_options: &RequestOptions,
    answer: &str,
) -> Result<Vec<u8>, String> {
    match shake(Server(answer.as_bytes()), request, request_options) {
        Ok((mut server, mut came, _)) => {
            server.read_to_end(&mut came).unwrap();
            Ok(came)
        }
        Err(NoAnswer::Unreadable(what, remedy)) => Err(format!("{what}: {remedy}")),
        Err(failure) => Err(failure.to_string()),
    }
}

/// `ACCEPT` is replaced by the required value, `REST` by the required lines.
fn filled(answer: &str, request: &Request) -> String {
    let rest = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\n\r\n";
    answer.replace("REST", rest).replace("ACCEPT", &request.accept)
}

const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\n";

#[test]
fn what_opens_a_websocket_opens_it_for_everyone() {
    let cookie = format!("Set-Cookie: {}\r\nREST", "c".repeat(65536));
    let many = "X: y\r\n".repeat(200) + "REST";
    for (subprotocol, answer) in [
        (None, "REST"),
        (
            None,
            "Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\n\r\n",
        ),
        (
            None,
            "Connection: keep-alive\r\nconnection: upgrade\r\nUpgrade:websocket\r\nSec-WebSocket-Accept:  ACCEPT \r\n\r\n",
        ),
        (None, cookie.as_str()),
        (None, many.as_str()),
        (None, "Content-Length: 5\r\nSec-WebSocket-Extensions:\r\nREST"),
        (Some("v1"), "Sec-WebSocket-Protocol: v1\r\nREST"),
        (Some("v1, v2"), "Sec-WebSocket-Protocol: v2\r\nREST"),
    ] {
        let (request, request_options) = requesting(subprotocol);
        let early = "HTTP/1.1 103 Early Hints\r\n\r\n";
        for before in ["", early] {
            let answer = filled(&format!("{before}{SWITCHING}{answer}frames"), &request);
            let shown = &answer[..answer.len().min(200)];
            assert_eq!(driver(&request, &request_options, &answer).unwrap(), b"frames", "{shown}");
            assert_eq!(
                first_look(&request, &request_options, &answer).unwrap(),
                b"frames",
                "{shown}"
            );
        }
    }
}

#[test]
fn what_opens_none_opens_none_for_anyone_and_both_say_why() {
    let with = |headers: &str| format!("{SWITCHING}{headers}\r\n\r\n");
    let accept = "\r\nSec-WebSocket-Accept: ACCEPT";
    let long = format!("{SWITCHING}X: {}\r\nREST", "x".repeat(400 * 1024));
    for (subprotocol, answer, why) in [
        (
            None,
            with(&format!("Connection: Upgrade{accept}")),
            "has no upgrade: the target must send Upgrade: websocket",
        ),
        (None, with(&format!("Upgrade: h2c\r\nConnection: Upgrade{accept}")), "has `upgrade: h2c`"),
        (
            None,
            with(&format!("Upgrade: websocket{accept}")),
            "has no connection: the target must send Connection: Upgrade",
        ),
        (
            None,
            with(&format!("Upgrade: websocket\r\nConnection: keep-alive, no-upgrade{accept}")),
            "has `connection: keep-alive, no-upgrade`",
        ),
        (None, with("Upgrade: websocket\r\nConnection: Upgrade"), "has no sec-websocket-accept"),
        (
            None,
            with("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x"),
            "Sec-WebSocket-Key of the same request",
        ),
        (
            None,
            format!("{SWITCHING}Sec-WebSocket-Extensions: permessage-deflate\r\nREST"),
            "no extension that was not requested",
        ),
        (
            None,
            "HTTP/1.0 101 Switching Protocols\r\nREST".to_owned(),
            "the response 101 uses HTTP/1.0",
        ),
        (
            None,
            format!("{SWITCHING}Sec-WebSocket-Protocol: v2.events\r\nREST"),
            "none was requested: add subprotocol = \"v2.events\"",
        ),
        (
            Some("v1"),
            format!("{SWITCHING}REST"),
            "has no subprotocol, but v1 was requested: leave subprotocol out",
        ),
        (
            Some("v1"),
            format!("{SWITCHING}Sec-WebSocket-Protocol: v2\r\nREST"),
            "write subprotocol = \"v2\"",
        ),
        (None, long, "longer than"),
        (None, format!("{SWITCHING}{}REST", "X: y\r\n".repeat(256)), "more than 256 headers"),
        (None, format!("{SWITCHING}X : y\r\nREST"), "colon"),
        (
            None,
            "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone".to_owned(),
            "404 Not Found: none",
        ),
        (None, "SSH-2.0-x\r\n".to_owned(), "SSH-2.0-x"),
        (None, "HTTP/1.1 101 Swi".to_owned(), "closed"),
        (None, String::new(), "closed"),
    ] {
        let (request, request_options) = requesting(subprotocol);
        let answer = filled(&answer, &request);
        let shown = &answer[..answer.len().min(200)];
        let driver = driver(&request, &request_options, &answer).unwrap_err();
        assert!(driver.contains(why), "{shown:?}: the driver says {driver}");
        let looked = first_look(&request, &request_options, &answer).unwrap_err();
        assert!(looked.contains(why), "{shown:?}: the first look says {looked}");
    }
}
