//! WebSocket on tungstenite in blocking mode, and the probes that only WebSocket has.

use crate::verify::answer::Answer;
use crate::verify::compressed_socket::CompressedSocket;
use crate::verify::http::ResponseReader;
use crate::verify::no_answer::{NoAnswer, shown};
use crate::verify::probe_connection::{
    BETWEEN_PIECES, ProbeConnection, ProbeTarget, WriteMode, pieces,
};
use crate::verify::recording_socket::RecordingSocket;
use crate::verify::tcp::ignore_closed;
use hyper::header::HeaderMap;
use pushbench_core::record::findings::{Aspect, Finding};
use pushbench_wire::hello::{Hello, LIMIT};
use pushbench_wire::request_options::RequestOptions;
use pushbench_wire::websocket::deflate::Agreed;
use pushbench_wire::websocket::handshake;
use pushbench_wire::websocket::handshake::{HandshakeError, Request};
use std::io::{Read, Write};
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket};

/// What a ping carries and its pong must.
const PING: &[u8] = b"pushbench";
/// A masked text frame that announces 100 bytes and brings a few.
const BEGUN: &[u8] = &[0x81, 0x80 | 100, 0, 0, 0, 0, b'{', b'"', b'i', b'd', b'"'];

pub(super) struct Websocket<'a> {
    socket: WebSocket<CompressedSocket<'a>>,
    options: RequestOptions,
    time_limit: Duration,
    closed: bool,
}

/// The handshake's request, the same for every probe.
fn request(target: &ProbeTarget<'_>) -> Result<Request, NoAnswer> {
    handshake::request(&target.address.endpoint, target.request_options)
        .map_err(|e| NoAnswer::Refused(e.to_string()))
}

impl<'a> ProbeConnection<'a> for Websocket<'a> {
    const PIPELINED: bool = true;

    fn open(target: &ProbeTarget<'a>) -> Result<Self, NoAnswer> {
        let mut recording_socket = RecordingSocket::connect(target)?;
        recording_socket.may_take(target.time_limit());
        let (recording_socket, received, agreed) =
            shake(recording_socket, &request(target)?, target.request_options)?;
        let socket = CompressedSocket::new(recording_socket, received, agreed);
        let socket = WebSocket::from_raw_socket(socket, Role::Client, None);
        let options = target.request_options.clone();
        let time_limit = target.time_limit();
        let mut opened = Websocket { socket, options, time_limit, closed: false };
        if !target.request_options.hello.is_empty() {
            opened.greet(target)?;
        }
        Ok(opened)
    }

    fn send(&mut self, message: &[u8], mode: WriteMode) -> Result<(), NoAnswer> {
        self.socket.get_mut().may_take(self.time_limit);
        let packed = self.socket.get_mut().packed(message);
        let message = packed.as_deref().unwrap_or(message);
        let pieces: Vec<&[u8]> = match mode {
            WriteMode::Whole => vec![message],
            WriteMode::Pieces => pieces(message).collect(),
        };
        for (i, piece) in pieces.iter().enumerate() {
            let kind = if i == 0 { Data::Text } else { Data::Continue };
            let last = i + 1 == pieces.len();
            let mut frame = Frame::message(piece.to_vec(), OpCode::Data(kind), last);
            frame.header_mut().rsv1 = i == 0 && packed.is_some();
            match self.socket.send(Message::Frame(frame)) {
                Err(Error::Io(e)) => return ignore_closed(Err(e)),
                // A close frame that was read already is heard with the next answer.
                Err(Error::ConnectionClosed | Error::AlreadyClosed | Error::Protocol(_)) => {
                    return Ok(());
                }
                Err(e) => return Err(NoAnswer::OtherProtocol(e.to_string())),
                Ok(()) if last => {}
                Ok(()) => std::thread::sleep(BETWEEN_PIECES),
            }
        }
        Ok(())
    }

    fn answer(&mut self, time_limit: Duration) -> Result<Answer, NoAnswer> {
        self.socket.get_mut().may_take(time_limit);
        loop {
            let body = match self.next()? {
                Message::Text(text) => text.as_bytes().to_vec(),
                Message::Binary(bytes) => bytes.to_vec(),
                _ => continue,
            };
            if self.options.is_heartbeat(&body) {
                if let Some(reply) = self.options.heartbeat_reply() {
                    let _a_close_is_heard_next = self.socket.send(Message::text(reply));
                }
                continue;
            }
            return Ok(Answer { status: None, headers: HeaderMap::new(), body });
        }
    }

    fn is_open(&self) -> bool {
        !self.closed
    }

    fn abort(mut self, _message: &[u8]) {
        let recording_socket = self.socket.get_mut();
        recording_socket.may_take(self.time_limit);
        let _may_be_closed = recording_socket.write_all(BEGUN);
        recording_socket.reset_when_dropped();
    }
}

impl<'a> Websocket<'a> {
    /// Sends and awaits the messages of `hello`.
    fn greet(&mut self, target: &ProbeTarget<'a>) -> Result<(), NoAnswer> {
        let mut hello = Hello::new(target.request_options);
        let began = Instant::now();
        loop {
            while let Some(text) = hello.to_send() {
                let sent = self.socket.send(Message::text(text));
                sent.or_else(|e| match e {
                    Error::Io(e) => ignore_closed(Err(e)),
                    _ => Ok(()),
                })?;
            }
            if hello.is_done() {
                break;
            }
            self.socket.get_mut().may_take(LIMIT.saturating_sub(began.elapsed()));
            let message = match self.next() {
                Ok(message) => message,
                Err(failure) => {
                    let why = hello.failure(&self.options.hide(&failure.to_string()));
                    return Err(NoAnswer::Greeting(why));
                }
            };
            match message {
                Message::Text(text) => hello.receive(text.as_bytes()),
                Message::Binary(bytes) => hello.receive(&bytes),
                _ => {}
            }
        }
        target.captured(&hello.finish().captured);
        Ok(())
    }

    /// The next message of any kind; a close frame is failure.
    fn next(&mut self) -> Result<Message, NoAnswer> {
        let failure = match self.socket.read() {
            Ok(Message::Close(frame)) => {
                // The answer to it (RFC 6455, 5.5.1), if the peer still takes it.
                let _gone = self.socket.flush();
                NoAnswer::Closed(Some(close_reason(frame.as_ref())))
            }
            Ok(message) => return Ok(message),
            Err(Error::Io(e)) => NoAnswer::of(&e),
            Err(Error::ConnectionClosed | Error::AlreadyClosed) => NoAnswer::Closed(None),
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => {
                NoAnswer::Closed(None)
            }
            Err(e) => NoAnswer::OtherProtocol(e.to_string()),
        };
        self.closed |= failure != NoAnswer::TimedOut;
        Err(failure)
    }
}

/// A ping on an open connection, and its pong.
pub(super) fn ping(target: &ProbeTarget<'_>) -> Finding {
    let send_events = || -> Result<(), NoAnswer> {
        let mut connection = Websocket::open(target)?;
        connection.socket.get_mut().may_take(target.time_limit());
        let sent = connection.socket.send(Message::Ping(PING.into()));
        sent.map_err(|e| NoAnswer::OtherProtocol(e.to_string()))?;
        loop {
            match connection.next()? {
                Message::Pong(payload) if &payload[..] == PING => return Ok(()),
                Message::Pong(payload) => {
                    return Err(NoAnswer::OtherProtocol(format!(
                        "the pong carries `{}`",
                        shown(&payload)
                    )));
                }
                _ => {}
            }
        }
    };
    match send_events() {
        Ok(()) => Finding::tested(Aspect::Ping, "answered"),
        Err(failure) => Finding::tested(Aspect::Ping, "not answered").with(failure.to_string()),
    }
}

/// A close frame on an open connection, and the one that must come back.
pub(super) fn close(target: &ProbeTarget<'_>) -> Finding {
    let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    let send_events = || -> Result<(), NoAnswer> {
        let mut connection = Websocket::open(target)?;
        connection.socket.get_mut().may_take(target.time_limit());
        connection.socket.close(Some(frame)).map_err(|e| NoAnswer::OtherProtocol(e.to_string()))?;
        loop {
            connection.next()?;
        }
    };
    match send_events() {
        Err(NoAnswer::Closed(Some(close_reason))) => {
            Finding::tested(Aspect::CloseHandshake, "completed").with(close_reason)
        }
        Err(failure) => {
            Finding::tested(Aspect::CloseHandshake, "not completed").with(failure.to_string())
        }
        Ok(()) => Finding::unknown(Aspect::CloseHandshake, "the connection stayed open"),
    }
}

/// Shakes hands; gives the socket back with what has come behind the answer, and the compression agreed on.
fn shake<S: Read + Write>(
    mut socket: S,
    request: &Request,
    request_options: &RequestOptions,
) -> Result<(S, Vec<u8>, Option<Agreed>), NoAnswer> {
    ignore_closed(socket.write_all(&request.bytes))?;
    let mut reader = ResponseReader::new(socket);
    loop {
        let head = reader.head().map_err(|failure| failure.without_secrets(request_options))?;
        if head.is_interim() {
            continue;
        }
        if head.code == 101 {
            let HandshakeError { what, remedy } = match request.check(head.old, &head.headers) {
                Ok(agreed) => return Ok((reader.socket, reader.left, agreed)),
                Err(handshake_error) => handshake_error,
            };
            return Err(NoAnswer::unreadable(what, remedy));
        }
        // Some bodies never end: the received part is enough.
        let body = reader.body(&head).unwrap_or(reader.left);
        let (status, body) = (Some((head.code, head.line)), request_options.hide_in(body));
        return Err(NoAnswer::Http(Box::new(Answer { status, headers: head.headers, body })));
    }
}

fn close_reason(frame: Option<&CloseFrame>) -> String {
    match frame {
        None => "no code".to_owned(),
        Some(f) if f.reason.is_empty() => format!("code {}", u16::from(f.code)),
        Some(f) => format!("code {}: {}", u16::from(f.code), shown(f.reason.as_bytes())),
    }
}

#[cfg(test)]
#[path = "websocket_tests.rs"]
mod tests;
