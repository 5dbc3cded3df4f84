//! HTTP/1.1 written and read by hand, and what only HTTP can be asked.

use crate::verify::http::{Inbox, Response};
use crate::verify::no_answer::NoAnswer;
use crate::verify::probes::attempts;
use crate::verify::talk::{Answer, BETWEEN_PIECES, Cut, Peer, Talk, pieces};
use crate::verify::tap::Tap;
use crate::verify::tcp::gone_is_heard_later;
use hyper::header::{CONTENT_TYPE, USER_AGENT};
use pushbench_core::record::findings::{Aspect, Finding};
use pushbench_wire::request_options::RequestOptions;
use std::io::Write as _;
use std::time::Duration;

/// How long a sender that expects `100 Continue` waits before it sends its body anyway (RFC 9110,
/// 10.1.1, asks it not to wait for ever).
const CONTINUE: Duration = Duration::from_secs(1);

pub(super) struct Webhook<'a> {
    inbox: Inbox<Tap<'a>>,
    /// The part of the head that every request has.
    head: String,
    request_options: &'a RequestOptions,
    patience: Duration,
    closed: bool,
    /// The last response was HTTP/1.0.
    old: bool,
}

/// The head of a request up to what its body asks for, the same for every probe.
fn head(peer: &Peer<'_>) -> String {
    let (endpoint, request_options) = (&peer.address.endpoint, peer.request_options);
    let method = &request_options.method;
    let mut head =
        format!("{method} {} HTTP/1.1\r\nHost: {}\r\n", endpoint.path, endpoint.authority);
    let usual = [(CONTENT_TYPE, "application/json"), (USER_AGENT, "pushbench")];
    for (name, value) in
        usual.iter().filter(|(name, _)| !request_options.headers.contains_key(name))
    {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    for (name, value) in &request_options.headers {
        head.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap_or_default()));
    }
    head
}

impl<'a> Talk<'a> for Webhook<'a> {
    const DEEP: bool = false;

    fn open(peer: &Peer<'a>) -> Result<Self, NoAnswer> {
        Ok(Webhook {
            inbox: Inbox::new(Tap::connect(peer.address.socket, peer.interrupt)?),
            head: head(peer),
            request_options: peer.request_options,
            patience: peer.patience(),
            closed: false,
            old: false,
        })
    }

    fn send(&mut self, message: &[u8], cut: Cut) -> Result<(), NoAnswer> {
        let head = format!("{}Content-Length: {}\r\n\r\n", self.head, message.len());
        match cut {
            Cut::Whole => self.write([[head.as_bytes(), message].concat().as_slice()]),
            Cut::Pieces => self.write(std::iter::once(head.as_bytes()).chain(pieces(message))),
        }
    }

    fn answer(&mut self, patience: Duration) -> Result<Answer, NoAnswer> {
        self.inbox.socket.may_take(patience);
        loop {
            let response = self.response()?;
            if !response.is_interim() {
                let status = Some((response.code, response.line));
                let body = self.request_options.hide_in(response.body);
                return Ok(Answer { status, headers: response.headers, body });
            }
        }
    }

    fn is_open(&self) -> bool {
        !self.closed
    }

    fn break_off(mut self, message: &[u8]) {
        let head = format!("{}Content-Length: {}\r\n\r\n", self.head, message.len());
        let half = [head.as_bytes(), &message[..message.len() / 2]].concat();
        let _vanishes_anyway = self.write([half.as_slice()]);
        self.inbox.socket.reset_when_dropped();
    }

    fn old(&self) -> bool {
        self.old
    }
}

impl Webhook<'_> {
    fn write<'a>(&mut self, parts: impl IntoIterator<Item = &'a [u8]>) -> Result<(), NoAnswer> {
        self.inbox.socket.may_take(self.patience);
        for (i, part) in parts.into_iter().enumerate() {
            if i > 0 {
                std::thread::sleep(BETWEEN_PIECES);
            }
            let written = self.inbox.socket.write_all(part);
            let gone = written.is_err();
            gone_is_heard_later(written)?;
            if gone {
                break;
            }
        }
        Ok(())
    }

    fn response(&mut self) -> Result<Response, NoAnswer> {
        let response =
            self.inbox.response().map_err(|failure| failure.hiding(self.request_options));
        self.closed |= response.as_ref().map_or(true, |r| r.last);
        self.old = response.as_ref().is_ok_and(|r| r.old);
        response
    }
}

/// A request that sends its body only when it is asked to.
pub(super) fn expect(peer: &Peer<'_>) -> Finding {
    let ask = || -> Result<(u64, bool, Answer), NoAnswer> {
        let (index, event) = peer.event();
        let mut talk = Webhook::open(peer)?;
        let length = event.len();
        let head = format!("{}Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n", talk.head);
        talk.write([head.as_bytes()])?;
        talk.inbox.socket.may_take(CONTINUE);
        let asked = match talk.response() {
            Ok(response) if response.code == 100 => true,
            Ok(response) => {
                let status = Some((response.code, response.line));
                return Ok((
                    index,
                    false,
                    Answer { status, headers: response.headers, body: response.body },
                ));
            }
            Err(NoAnswer::Silent) => false,
            Err(failure) => return Err(failure),
        };
        talk.write([event.as_slice()])?;
        Ok((index, asked, talk.answer(peer.patience())?))
    };
    match attempts(ask, |(_, _, answer)| answer) {
        Ok((index, true, a)) if peer.acknowledges(&a, index) => {
            Finding::tested(Aspect::Expect, "honoured")
        }
        Ok((index, false, a)) if peer.acknowledges(&a, index) => {
            Finding::tested(Aspect::Expect, "ignored").with("no 100, then acknowledged")
        }
        Ok((_, _, a)) => Finding::tested(Aspect::Expect, "refused").with(a.shown()),
        Err(failure) => Finding::tested(Aspect::Expect, "fails").with(failure.to_string()),
    }
}

/// A request whose body comes in chunks, without a length.
pub(super) fn chunked(peer: &Peer<'_>) -> Finding {
    let ask = || -> Result<(u64, Answer), NoAnswer> {
        let (index, event) = peer.event();
        let mut talk = Webhook::open(peer)?;
        let head = format!("{}Transfer-Encoding: chunked\r\n\r\n", talk.head);
        let chunk = |part: &[u8]| {
            let size = format!("{:x}\r\n", part.len());
            [size.as_bytes(), part, b"\r\n"].concat()
        };
        let body: Vec<u8> = pieces(&event).flat_map(chunk).collect();
        talk.write([[head.as_bytes(), &body, b"0\r\n\r\n"].concat().as_slice()])?;
        Ok((index, talk.answer(peer.patience())?))
    };
    match attempts(ask, |(_, answer)| answer) {
        Ok((index, a)) if peer.acknowledges(&a, index) => Finding::tested(Aspect::Chunked, "taken"),
        Ok((_, a)) => Finding::tested(Aspect::Chunked, "refused").with(a.shown()),
        Err(failure) => Finding::tested(Aspect::Chunked, "fails").with(failure.to_string()),
    }
}
