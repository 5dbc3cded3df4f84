//! A server with messages of its own above HTTP and WebSocket: a challenge, a login, a greeting, wrapped events and
//! answers, heartbeats both ways. Each fault breaks one of them.
//!
//! HTTP: `GET /hook?challenge=X` is answered `X`; `POST /login` with the password is answered `{"token":…}`;
//! `POST /hook` with that token takes `{"event":…}` and answers `{"received":{"id":…}}`. WebSocket at `/ws`:
//! `welcome`, `login`, `ready`; then each `event` is answered `ack`, and `stats`, which is no answer.

use crate::http::{Message as Http, response};
use serde_json::{Value, json};
use std::io::{self, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, accept};

/// The word behind the hidden subcommand.
pub(super) const ARGUMENT: &str = "messages";
/// The password of the login.
pub const PASSWORD: &str = "open sesame";
/// The token that a login gives.
const TOKEN: &str = "token-of-this-server";
/// Events between two pings of the server, and how many it takes without a pong.
const PING_EVERY: u64 = 3;
const MOST_UNANSWERED: u64 = 20;

/// What the server breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageFault {
    /// Nothing.
    Correct,
    /// It does not answer the challenge.
    NoChallenge,
    /// It does not greet.
    NoGreeting,
    /// It refuses every login.
    RefusedLogin,
    /// It answers no heartbeat.
    Deaf,
    /// Some answers have no id.
    NoId,
}

/// Every fault by its name on the command line.
pub const ALL: [(&str, MessageFault); 6] = [
    ("correct", MessageFault::Correct),
    ("no-challenge", MessageFault::NoChallenge),
    ("no-greeting", MessageFault::NoGreeting),
    ("refused-login", MessageFault::RefusedLogin),
    ("deaf", MessageFault::Deaf),
    ("no-id", MessageFault::NoId),
];

impl MessageFault {
    /// Whether the answer to this event has no id.
    fn affects(self, id: &str) -> bool {
        let index = u64::from_str_radix(id, 16).unwrap_or_default();
        self == MessageFault::NoId && index % 5 == 2
    }
}

/// Serves until the process is ended: `FAULT ADDR`.
pub(super) fn run(words: &[&str]) -> io::Result<std::convert::Infallible> {
    let wrong = || io::Error::other("it takes FAULT ADDR");
    let [name, address] = words else { return Err(wrong()) };
    let fault = ALL.iter().find(|(known, _)| known == name).ok_or_else(wrong)?.1;
    let listener: TcpListener = crate::listen(address)?;
    loop {
        let (stream, _) = listener.accept()?;
        // Peers close as they like.
        std::thread::spawn(move || drop(serve(stream, fault)));
    }
}

fn serve(stream: TcpStream, fault: MessageFault) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut first = [0; 7];
    while stream.peek(&mut first)? < first.len() {
        if stream.peek(&mut [0])? == 0 {
            return Ok(()); // it only asked whether anybody is here
        }
    }
    match &first {
        b"GET /ws" => websocket(stream, fault),
        _ => http(BufReader::new(stream), fault),
    }
}

fn http(mut stream: BufReader<TcpStream>, fault: MessageFault) -> io::Result<()> {
    while let Some(request) = Http::read(&mut stream)? {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let (method, target) = (request.start_word(0), request.start_word(1));
        let bytes = match (method, target.split_once("?challenge=")) {
            ("GET", Some(_)) if fault == MessageFault::NoChallenge => {
                response(200, "", "nothing here")
            }
            ("GET", Some((_, challenge))) => response(200, "", challenge),
            ("POST", None) if target == "/login" => {
                let known = body["password"] == PASSWORD && fault != MessageFault::RefusedLogin;
                match known {
                    true => response(200, "", &json!({ "token": TOKEN }).to_string()),
                    false => response(401, "", r#"{"error":"wrong password"}"#),
                }
            }
            ("POST", None)
                if request.header("authorization") == Some(&format!("Bearer {TOKEN}")) =>
            {
                match body["event"]["id"].as_str() {
                    Some(id) => response(200, "", &received(id, fault).to_string()),
                    None => response(400, "", r#"{"error":"no event"}"#),
                }
            }
            _ => response(401, "", r#"{"error":"log in first"}"#),
        };
        stream.get_mut().write_all(&bytes)?;
    }
    Ok(())
}

fn received(id: &str, fault: MessageFault) -> Value {
    match fault.affects(id) {
        true => json!({ "received": {} }),
        false => json!({ "received": { "id": id } }),
    }
}

fn websocket(stream: TcpStream, fault: MessageFault) -> io::Result<()> {
    let mut socket = accept(stream).map_err(io::Error::other)?;
    if fault != MessageFault::NoGreeting {
        send(&mut socket, &json!({ "type": "welcome", "session": "se\"ssion" }))?;
    }
    let (mut logged_in, mut events, mut unanswered) = (false, 0, 0);
    loop {
        let message = match socket.read() {
            Ok(Message::Text(text)) => serde_json::from_str(&text).unwrap_or_default(),
            Ok(Message::Close(_)) => return socket.flush().map_err(io::Error::other),
            Err(Error::ConnectionClosed) => return Ok(()),
            Ok(_) => continue,
            Err(e) => return Err(io::Error::other(e)),
        };
        let message: Value = message;
        let ours = message["session"] == "se\"ssion";
        match message["type"].as_str().unwrap_or_default() {
            "login" if ours && message["token"] == TOKEN && fault != MessageFault::RefusedLogin => {
                logged_in = true;
                send(&mut socket, &json!({ "type": "ready" }))?;
            }
            "login" => return close(&mut socket, 4401, "wrong token"),
            "event" if logged_in && ours => {
                let id = message["event"]["id"].as_str().unwrap_or_default();
                let mut answer = received(id, fault);
                answer["type"] = "ack".into();
                send(&mut socket, &answer)?;
                send(&mut socket, &json!({ "type": "stats", "events": events }))?;
                events += 1;
                if events % PING_EVERY == 0 {
                    unanswered += 1;
                    send(&mut socket, &json!({ "type": "ping" }))?;
                }
                if unanswered > MOST_UNANSWERED {
                    return close(&mut socket, 4408, "no pong");
                }
            }
            "pong" => unanswered = 0,
            "are-you-there" if fault == MessageFault::Deaf => {}
            "are-you-there" => send(&mut socket, &json!({ "type": "here" }))?,
            _ => return close(&mut socket, 4400, "log in first"),
        }
    }
}

fn send(socket: &mut WebSocket<TcpStream>, message: &Value) -> io::Result<()> {
    socket.send(Message::text(message.to_string())).map_err(io::Error::other)
}

fn close(socket: &mut WebSocket<TcpStream>, code: u16, reason: &str) -> io::Result<()> {
    let frame = CloseFrame { code: code.into(), reason: reason.into() };
    socket.close(Some(frame)).map_err(io::Error::other)?;
    while socket.read().is_ok() {}
    Ok(())
}
