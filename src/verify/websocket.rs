//! WebSocket on tungstenite in blocking mode, and what only a WebSocket can be asked.

use crate::verify::http::Inbox;
use crate::verify::no_answer::{NoAnswer, shown};
use crate::verify::talk::{Answer, BETWEEN_PIECES, Cut, Peer, Talk, pieces};
use crate::verify::tap::Tap;
use crate::verify::tcp::gone_is_heard_later;
use hyper::header::HeaderMap;
use pushbench_core::record::findings::{Aspect, Finding};
use pushbench_wire::request_options::RequestOptions;
use pushbench_wire::websocket::handshake;
use pushbench_wire::websocket::handshake::{Request, Unfit};
use std::io::{Read, Write};
use std::time::Duration;
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
    socket: WebSocket<Tap<'a>>,
    patience: Duration,
    closed: bool,
}

/// The handshake's request, the same for every probe.
fn request(peer: &Peer<'_>) -> Result<Request, NoAnswer> {
    handshake::request(&peer.address.endpoint, peer.request_options)
        .map_err(|e| NoAnswer::Refused(e.to_string()))
}

impl<'a> Talk<'a> for Websocket<'a> {
    const DEEP: bool = true;

    fn open(peer: &Peer<'a>) -> Result<Self, NoAnswer> {
        let mut tap = Tap::connect(peer.address.socket, peer.interrupt)?;
        tap.may_take(peer.patience());
        let (tap, came) = shake(tap, &request(peer)?, peer.request_options)?;
        let socket = WebSocket::from_partially_read(tap, came, Role::Client, None);
        Ok(Websocket { socket, patience: peer.patience(), closed: false })
    }

    fn send(&mut self, message: &[u8], cut: Cut) -> Result<(), NoAnswer> {
        self.socket.get_mut().may_take(self.patience);
        let pieces: Vec<&[u8]> = match cut {
            Cut::Whole => vec![message],
            Cut::Pieces => pieces(message).collect(),
        };
        for (i, piece) in pieces.iter().enumerate() {
            let kind = if i == 0 { Data::Text } else { Data::Continue };
            let last = i + 1 == pieces.len();
            let frame = Frame::message(piece.to_vec(), OpCode::Data(kind), last);
            match self.socket.send(Message::Frame(frame)) {
                Err(Error::Io(e)) => return gone_is_heard_later(Err(e)),
                // A close frame that was read already is heard with the next answer.
                Err(Error::ConnectionClosed | Error::AlreadyClosed | Error::Protocol(_)) => {
                    return Ok(());
                }
                Err(e) => return Err(NoAnswer::Alien(e.to_string())),
                Ok(()) if last => {}
                Ok(()) => std::thread::sleep(BETWEEN_PIECES),
            }
        }
        Ok(())
    }

    fn answer(&mut self, patience: Duration) -> Result<Answer, NoAnswer> {
        self.socket.get_mut().may_take(patience);
        loop {
            let body = match self.next()? {
                Message::Text(text) => text.as_bytes().to_vec(),
                Message::Binary(bytes) => bytes.to_vec(),
                _ => continue,
            };
            return Ok(Answer { status: None, headers: HeaderMap::new(), body });
        }
    }

    fn is_open(&self) -> bool {
        !self.closed
    }

    fn break_off(mut self, _message: &[u8]) {
        let tap = self.socket.get_mut();
        tap.may_take(self.patience);
        let _vanishes_anyway = tap.write_all(BEGUN);
        tap.reset_when_dropped();
    }
}

impl Websocket<'_> {
    /// The next message of any kind; a close frame is failure.
    fn next(&mut self) -> Result<Message, NoAnswer> {
        let failure = match self.socket.read() {
            Ok(Message::Close(frame)) => {
                // The answer to it (RFC 6455, 5.5.1), if the peer still takes it.
                let _gone = self.socket.flush();
                NoAnswer::Closed(Some(said(frame.as_ref())))
            }
            Ok(message) => return Ok(message),
            Err(Error::Io(e)) => NoAnswer::of(&e),
            Err(Error::ConnectionClosed | Error::AlreadyClosed) => NoAnswer::Closed(None),
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => {
                NoAnswer::Closed(None)
            }
            Err(e) => NoAnswer::Alien(e.to_string()),
        };
        self.closed |= failure != NoAnswer::Silent;
        Err(failure)
    }
}

/// A ping on an open connection, and its pong.
pub(super) fn ping(peer: &Peer<'_>) -> Finding {
    let ask = || -> Result<(), NoAnswer> {
        let mut talk = Websocket::open(peer)?;
        talk.socket.get_mut().may_take(peer.patience());
        let sent = talk.socket.send(Message::Ping(PING.into()));
        sent.map_err(|e| NoAnswer::Alien(e.to_string()))?;
        loop {
            match talk.next()? {
                Message::Pong(payload) if &payload[..] == PING => return Ok(()),
                Message::Pong(payload) => {
                    return Err(NoAnswer::Alien(format!("the pong carries `{}`", shown(&payload))));
                }
                _ => {}
            }
        }
    };
    match ask() {
        Ok(()) => Finding::tested(Aspect::Ping, "answered"),
        Err(failure) => Finding::tested(Aspect::Ping, "not answered").with(failure.to_string()),
    }
}

/// A close frame on an open connection, and the one that must come back.
pub(super) fn close(peer: &Peer<'_>) -> Finding {
    let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    let ask = || -> Result<(), NoAnswer> {
        let mut talk = Websocket::open(peer)?;
        talk.socket.get_mut().may_take(peer.patience());
        talk.socket.close(Some(frame)).map_err(|e| NoAnswer::Alien(e.to_string()))?;
        loop {
            talk.next()?;
        }
    };
    match ask() {
        Err(NoAnswer::Closed(Some(said))) => {
            Finding::tested(Aspect::CloseHandshake, "completed").with(said)
        }
        Err(failure) => {
            Finding::tested(Aspect::CloseHandshake, "not completed").with(failure.to_string())
        }
        Ok(()) => Finding::unknown(Aspect::CloseHandshake, "the connection went on"),
    }
}

/// Shakes hands; gives the socket back with what has come behind the answer.
fn shake<S: Read + Write>(
    mut socket: S,
    request: &Request,
    request_options: &RequestOptions,
) -> Result<(S, Vec<u8>), NoAnswer> {
    gone_is_heard_later(socket.write_all(&request.bytes))?;
    let mut inbox = Inbox::new(socket);
    loop {
        let head = inbox.head().map_err(|failure| failure.hiding(request_options))?;
        if head.is_interim() {
            continue;
        }
        if head.code == 101 {
            let Unfit { what, remedy } = match request.check(head.old, &head.headers) {
                Ok(()) => return Ok((inbox.socket, inbox.left)),
                Err(unfit) => unfit,
            };
            return Err(NoAnswer::unreadable(what, remedy));
        }
        // Some never end: what has come of it says enough.
        let body = inbox.body(&head).unwrap_or(inbox.left);
        let (status, body) = (Some((head.code, head.line)), request_options.hide_in(body));
        return Err(NoAnswer::Http(Box::new(Answer { status, headers: head.headers, body })));
    }
}

fn said(frame: Option<&CloseFrame>) -> String {
    match frame {
        None => "no code".to_owned(),
        Some(f) if f.reason.is_empty() => format!("code {}", u16::from(f.code)),
        Some(f) => format!("code {}: {}", u16::from(f.code), shown(f.reason.as_bytes())),
    }
}

#[cfg(test)]
#[path = "websocket_tests.rs"]
mod tests;
