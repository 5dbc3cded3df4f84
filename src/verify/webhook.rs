//! HTTP/1.1 written and read without a library, and the probes that only HTTP has.

use crate::verify::answer::Answer;
use crate::verify::http::{Response, ResponseReader};
use crate::verify::no_answer::NoAnswer;
use crate::verify::probe_connection::{
    BETWEEN_PIECES, ProbeConnection, ProbeTarget, WriteMode, pieces,
};
use crate::verify::probes::attempts;
use crate::verify::recording_socket::RecordingSocket;
use crate::verify::tcp::ignore_closed;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::{CONTENT_TYPE, USER_AGENT};
use pushbench_core::event::acknowledged_id;
use pushbench_core::record::findings::{Aspect, Finding};
use pushbench_wire::request_options::RequestOptions;
use std::borrow::Cow;
use std::io::Write as _;
use std::time::Duration;

/// How long a sender that expects `100 Continue` waits before it sends its body anyway (RFC 9110,
/// 10.1.1, requires that it does not wait forever).
const CONTINUE: Duration = Duration::from_secs(1);

/// Enough for one that is not the first and not the last.
const BATCHED_EVENTS: usize = 3;

pub(super) struct Webhook<'a> {
    reader: ResponseReader<RecordingSocket<'a>>,
    /// The part of the head that every request has.
    head: String,
    request_options: &'a RequestOptions,
    time_limit: Duration,
    closed: bool,
    /// The last response was HTTP/1.0.
    old: bool,
}

/// The head of a request up to the headers of its body, the same for every probe.
fn head(target: &ProbeTarget<'_>) -> String {
    let (endpoint, request_options) = (&target.address.endpoint, target.request_options);
    let method = &request_options.method;
    let mut head =
        format!("{method} {} HTTP/1.1\r\nHost: {}\r\n", endpoint.path, endpoint.authority);
    let usual = [(CONTENT_TYPE, "application/json"), (USER_AGENT, "pushbench")];
    for (name, value) in
        usual.iter().filter(|(name, _)| !request_options.headers.contains_key(name))
    {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if request_options.compression.is_some() {
        head.push_str("Content-Encoding: gzip\r\n");
    }
    for (name, value) in &request_options.headers {
        head.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap_or_default()));
    }
    head
}

/// The body of the request that carries a message.
pub(super) fn encoded<'m>(request_options: &RequestOptions, message: &'m [u8]) -> Cow<'m, [u8]> {
    if request_options.compression.is_none() {
        return message.into();
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    let packed = gzip.write_all(message).and_then(|()| gzip.finish());
    packed.expect("memory takes it").into()
}

impl<'a> ProbeConnection<'a> for Webhook<'a> {
    const PIPELINED: bool = false;

    fn open(target: &ProbeTarget<'a>) -> Result<Self, NoAnswer> {
        Ok(Webhook {
            reader: ResponseReader::new(RecordingSocket::connect(target)?),
            head: head(target),
            request_options: target.request_options,
            time_limit: target.time_limit(),
            closed: false,
            old: false,
        })
    }

    fn send(&mut self, message: &[u8], mode: WriteMode) -> Result<(), NoAnswer> {
        let body = encoded(self.request_options, message);
        let head = format!("{}Content-Length: {}\r\n\r\n", self.head(message), body.len());
        match mode {
            WriteMode::Whole => self.write([[head.as_bytes(), &body].concat().as_slice()]),
            WriteMode::Pieces => self.write(std::iter::once(head.as_bytes()).chain(pieces(&body))),
        }
    }

    fn answer(&mut self, time_limit: Duration) -> Result<Answer, NoAnswer> {
        self.reader.socket.may_take(time_limit);
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

    fn abort(mut self, message: &[u8]) {
        let body = encoded(self.request_options, message);
        let head = format!("{}Content-Length: {}\r\n\r\n", self.head(message), body.len());
        let half = [head.as_bytes(), &body[..body.len() / 2]].concat();
        let _may_be_closed = self.write([half.as_slice()]);
        self.reader.socket.reset_when_dropped();
    }

    fn old(&self) -> bool {
        self.old
    }
}

impl Webhook<'_> {
    /// The part of the head that every request has, and the fields of its signature.
    fn head(&self, message: &[u8]) -> String {
        let Some(key) = &self.request_options.signing else { return self.head.clone() };
        let id = acknowledged_id(message).unwrap_or("verify".into());
        let fields = key.fields(&id, message);
        fields
            .into_iter()
            .fold(self.head.clone(), |head, (name, value)| format!("{head}{name}: {value}\r\n"))
    }

    fn write<'a>(&mut self, parts: impl IntoIterator<Item = &'a [u8]>) -> Result<(), NoAnswer> {
        self.reader.socket.may_take(self.time_limit);
        for (i, part) in parts.into_iter().enumerate() {
            if i > 0 {
                std::thread::sleep(BETWEEN_PIECES);
            }
            let written = self.reader.socket.write_all(part);
            let gone = written.is_err();
            ignore_closed(written)?;
            if gone {
                break;
            }
        }
        Ok(())
    }

    fn response(&mut self) -> Result<Response, NoAnswer> {
        let response =
            self.reader.response().map_err(|failure| failure.without_secrets(self.request_options));
        self.closed |= response.as_ref().map_or(true, |r| r.last);
        self.old = response.as_ref().is_ok_and(|r| r.old);
        response
    }
}

/// A request that sends its body only after `100 Continue`.
pub(super) fn expect(target: &ProbeTarget<'_>) -> Finding {
    let send_events = || -> Result<(u64, bool, Answer), NoAnswer> {
        let (index, event) = target.event();
        let mut connection = Webhook::open(target)?;
        let body = encoded(connection.request_options, &event);
        let length = body.len();
        let head = format!(
            "{}Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n",
            connection.head(&event)
        );
        connection.write([head.as_bytes()])?;
        connection.reader.socket.may_take(CONTINUE);
        let continue_received = match connection.response() {
            Ok(response) if response.code == 100 => true,
            Ok(response) => {
                let status = Some((response.code, response.line));
                return Ok((
                    index,
                    false,
                    Answer { status, headers: response.headers, body: response.body },
                ));
            }
            Err(NoAnswer::TimedOut) => false,
            Err(failure) => return Err(failure),
        };
        connection.write([&*body])?;
        Ok((index, continue_received, connection.answer(target.time_limit())?))
    };
    match attempts(send_events, |(_, _, answer)| answer) {
        Ok((index, true, a)) if target.acknowledges(&a, index) => {
            Finding::tested(Aspect::Expect, "honoured")
        }
        Ok((index, false, a)) if target.acknowledges(&a, index) => {
            Finding::tested(Aspect::Expect, "ignored").with("no 100, then acknowledged")
        }
        Ok((_, _, a)) => Finding::tested(Aspect::Expect, "refused").with(a.shown()),
        Err(failure) => Finding::tested(Aspect::Expect, "fails").with(failure.to_string()),
    }
}

/// Several events in one request, each of which its answer has to acknowledge.
pub(super) fn batch(target: &ProbeTarget<'_>) -> Finding {
    let send_events = || -> Result<(Vec<u64>, Answer), NoAnswer> {
        let (indices, events): (Vec<u64>, Vec<Vec<u8>>) =
            (0..BATCHED_EVENTS).map(|_| target.event()).unzip();
        // Each is a batch of its own.
        let bare = events.iter().map(|event| &event[1..event.len() - 1]);
        let batch = [b"[", &bare.collect::<Vec<_>>().join(&b',')[..], b"]"].concat();
        let mut connection = Webhook::open(target)?;
        connection.send(&batch, WriteMode::Whole)?;
        Ok((indices, connection.answer(target.time_limit())?))
    };
    match attempts(send_events, |(_, answer)| answer) {
        Ok((_, a)) if a.refuses() => Finding::tested(Aspect::Batch, "refused").with(a.shown()),
        Ok((indices, a)) => {
            let mut named: Vec<u64> = target.named_in_array(&a.body);
            named.sort_unstable();
            match named == indices {
                true => Finding::tested(Aspect::Batch, "each by its id"),
                false => Finding::tested(Aspect::Batch, "not each by its id").with(a.shown()),
            }
        }
        Err(failure) => Finding::tested(Aspect::Batch, "fails").with(failure.to_string()),
    }
}

/// A request whose body comes in chunks, without a length.
pub(super) fn chunked(target: &ProbeTarget<'_>) -> Finding {
    let send_events = || -> Result<(u64, Answer), NoAnswer> {
        let (index, event) = target.event();
        let mut connection = Webhook::open(target)?;
        let head = format!("{}Transfer-Encoding: chunked\r\n\r\n", connection.head(&event));
        let chunk = |part: &[u8]| {
            let size = format!("{:x}\r\n", part.len());
            [size.as_bytes(), part, b"\r\n"].concat()
        };
        let body: Vec<u8> =
            pieces(&encoded(connection.request_options, &event)).flat_map(chunk).collect();
        connection.write([[head.as_bytes(), &body, b"0\r\n\r\n"].concat().as_slice()])?;
        Ok((index, connection.answer(target.time_limit())?))
    };
    match attempts(send_events, |(_, answer)| answer) {
        Ok((index, a)) if target.acknowledges(&a, index) => {
            Finding::tested(Aspect::Chunked, "taken")
        }
        Ok((_, a)) => Finding::tested(Aspect::Chunked, "refused").with(a.shown()),
        Err(failure) => Finding::tested(Aspect::Chunked, "fails").with(failure.to_string()),
    }
}
