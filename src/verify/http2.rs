//! HTTP/2: each event is a request, which is a stream, and several are open at the same time.

use crate::verify::answer::Answer;
use crate::verify::no_answer::NoAnswer;
use crate::verify::probe_connection::{
    BETWEEN_PIECES, ProbeConnection, ProbeTarget, WriteMode, pieces,
};
use crate::verify::recording_socket::{FirstBytes, RecordingSocket, Waiting};
use crate::verify::webhook::encoded;
use bytes::Bytes;
use h2::client::{Connection, ResponseFuture, SendRequest, handshake};
use h2::{RecvStream, SendStream};
use hyper::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT,
};
use hyper::{Request, Uri, Version};
use pushbench_core::event::acknowledged_id;
use pushbench_core::record::findings::{Aspect, Finding};
use pushbench_wire::limits::LONGEST_BODY;
use pushbench_wire::request_options::RequestOptions;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// The kind of frame that a server begins with.
const SETTINGS: u8 = 4;
/// What to do about a server without it.
const SWITCH_ON: &str =
    "switch HTTP/2 without TLS (prior knowledge) on there, or write the arm without +h2";

pub(super) struct Http2<'a> {
    connection: Connection<RecordingSocket<'a>, Bytes>,
    sender: SendRequest<Bytes>,
    waiting: Rc<Waiting<'a>>,
    first: FirstBytes,
    /// The request without its event.
    request: Request<()>,
    request_options: &'a RequestOptions,
    time_limit: Duration,
    /// Requests without an answer, oldest first.
    open: Vec<Exchange>,
    /// Which of them the last answer belonged to.
    position: usize,
    /// The peer accepts no more.
    ended: Option<NoAnswer>,
}

/// A request whose answer is awaited.
type Exchange = Pin<Box<dyn Future<Output = Result<Answer, h2::Error>>>>;

/// Reads an answer. The stream of its request is reset if that is dropped before.
async fn exchange(
    response: ResponseFuture,
    _stream: SendStream<Bytes>,
) -> Result<Answer, h2::Error> {
    let (head, mut stream) = response.await?.into_parts();
    let body = body(&mut stream).await?;
    let status = Some((head.status.as_u16(), head.status.to_string()));
    Ok(Answer { status, headers: head.headers, body })
}

async fn body(stream: &mut RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut body = Vec::new();
    while let Some(bytes) = stream.data().await.transpose()? {
        stream.flow_control().release_capacity(bytes.len())?;
        body.extend_from_slice(&bytes);
        if body.len() as u64 > LONGEST_BODY {
            return Err(h2::Reason::CANCEL.into());
        }
    }
    Ok(body)
}

/// The request without its event, the same for every probe.
fn request(target: &ProbeTarget<'_>) -> Result<Request<()>, NoAnswer> {
    let (endpoint, request_options) = (&target.address.endpoint, target.request_options);
    let uri = Uri::builder()
        .scheme(if endpoint.scheme.is_tls() { "https" } else { "http" })
        .authority(endpoint.authority.as_str())
        .path_and_query(endpoint.path.as_str());
    let mut request = Request::new(());
    *request.uri_mut() = uri.build().map_err(|e| NoAnswer::Refused(format!("{endpoint}: {e}")))?;
    *request.method_mut() = request_options.method.clone();
    *request.version_mut() = Version::HTTP_2;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static("pushbench"));
    headers.extend(request_options.headers.clone());
    if request_options.compression.is_some() {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(request)
}

impl<'a> ProbeConnection<'a> for Http2<'a> {
    const PIPELINED: bool = false;
    const MULTIPLEXED: bool = true;

    fn open(target: &ProbeTarget<'a>) -> Result<Self, NoAnswer> {
        let socket = RecordingSocket::connect(target)?;
        if let Some(agreed) = socket.negotiated().filter(|words| !words.ends_with("ALPN h2")) {
            return Err(NoAnswer::unreadable(
                format!(
                    "it does not speak HTTP/2: the TLS handshake has agreed on {agreed}, not on ALPN h2"
                ),
                "switch HTTP/2 on there, or write the arm without +h2",
            ));
        }
        let (waiting, first) = (socket.waiting(), socket.first());
        let handshake = waiting.blocking(async { Ok(handshake(socket).await) });
        let (sender, connection) =
            handshake.map_err(|e| NoAnswer::of(&e))?.map_err(|e| no_answer(e, &first))?;
        Ok(Http2 {
            connection,
            sender,
            waiting,
            first,
            request: request(target)?,
            request_options: target.request_options,
            time_limit: target.time_limit(),
            open: Vec::new(),
            position: 0,
            ended: None,
        })
    }

    fn send(&mut self, message: &[u8], mode: WriteMode) -> Result<(), NoAnswer> {
        self.waiting.may_take(self.time_limit);
        let body = encoded(self.request_options, message);
        let begun = self.begin(message, body.len())?;
        let Some((response, mut stream)) = begun else { return Ok(()) };
        let parts: Vec<&[u8]> = match mode {
            WriteMode::Whole => vec![&body],
            WriteMode::Pieces => pieces(&body).collect(),
        };
        for (i, part) in parts.iter().enumerate() {
            if i > 0 {
                self.drive();
                std::thread::sleep(BETWEEN_PIECES);
            }
            // What becomes of a stream that was reset is its answer.
            let _reset = stream.send_data(Bytes::copy_from_slice(part), i + 1 == parts.len());
        }
        self.open.push(Box::pin(exchange(response, stream)));
        self.drive();
        Ok(())
    }

    fn answer(&mut self, time_limit: Duration) -> Result<Answer, NoAnswer> {
        // Nothing comes that was not requested.
        if self.open.is_empty() {
            return Err(self.ended.clone().unwrap_or(NoAnswer::TimedOut));
        }
        let waiting = self.waiting.clone();
        waiting.may_take(time_limit);
        let answer = waiting.blocking(poll_fn(|cx| self.poll_answer(cx).map(Ok)));
        let answer = answer.map_err(|e| NoAnswer::of(&e)).flatten();
        answer.map_err(|failure| failure.without_secrets(self.request_options))
    }

    fn is_open(&self) -> bool {
        self.ended.is_none()
    }

    fn abort(mut self, message: &[u8]) {
        self.waiting.may_take(self.time_limit);
        let body = encoded(self.request_options, message);
        if let Ok(Some((_response, mut stream))) = self.begin(message, body.len()) {
            let half = Bytes::copy_from_slice(&body[..body.len() / 2]);
            let _may_be_closed = stream.send_data(half, false);
            self.drive();
            self.waiting.reset_when_dropped();
        }
    }

    fn position(&self) -> usize {
        self.position
    }
}

impl Http2<'_> {
    /// A new stream for a message, whose body has so many bytes; `None` once the peer has gone, which is heard when an answer is awaited.
    fn begin(
        &mut self,
        message: &[u8],
        length: usize,
    ) -> Result<Option<(ResponseFuture, SendStream<Bytes>)>, NoAnswer> {
        let mut request = self.request.clone();
        let headers = request.headers_mut();
        headers.insert(CONTENT_LENGTH, length.into());
        if let Some(key) = &self.request_options.signing {
            let id = acknowledged_id(message).unwrap_or("verify".into());
            for (name, value) in key.fields(&id, message) {
                if let Ok(value) = HeaderValue::from_str(&value) {
                    headers.insert(HeaderName::from_static(name), value);
                }
            }
        }
        let waiting = self.waiting.clone();
        let ready = waiting.blocking(poll_fn(|cx| {
            self.poll_connection(cx);
            match self.ended {
                Some(_) => Poll::Ready(Ok(())),
                None => self.sender.poll_ready(cx).map(|_| Ok(())),
            }
        }));
        ready.map_err(|e| NoAnswer::of(&e))?;
        match self.sender.send_request(request, false) {
            Ok(begun) => Ok(Some(begun)),
            Err(e) => {
                self.ended.get_or_insert(no_answer(e, &self.first));
                Ok(None)
            }
        }
    }

    /// Writes what can be written and reads what has come.
    fn drive(&mut self) {
        let waiting = self.waiting.clone();
        let _at_once = waiting.blocking(poll_fn(|cx| {
            self.poll_connection(cx);
            Poll::Ready(Ok(()))
        }));
    }

    fn poll_connection(&mut self, cx: &mut Context<'_>) {
        if self.ended.is_some() {
            return;
        }
        self.ended = match (Pin::new(&mut self.connection).poll(cx), self.sender.poll_ready(cx)) {
            (Poll::Ready(Ok(())), _) => Some(without_http2(NoAnswer::Closed(None), &self.first)),
            (Poll::Ready(Err(e)), _) => Some(no_answer(e, &self.first)),
            (Poll::Pending, Poll::Ready(Err(e))) => Some(no_answer(e, &self.first)),
            (Poll::Pending, _) => None,
        };
    }

    /// The next answer, whichever request it belongs to.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answer, NoAnswer>> {
        self.poll_connection(cx);
        for position in 0..self.open.len() {
            if let Poll::Ready(answer) = self.open[position].as_mut().poll(cx) {
                drop(self.open.remove(position));
                self.position = position;
                return Poll::Ready(match answer {
                    Ok(answer) => {
                        let body = self.request_options.hide_in(answer.body);
                        Ok(Answer { body, ..answer })
                    }
                    Err(e) => Err(no_answer(e, &self.first)),
                });
            }
        }
        // What was taken of an answer makes room for more.
        self.poll_connection(cx);
        match &self.ended {
            Some(ended) => Poll::Ready(Err(ended.clone())),
            None => Poll::Pending,
        }
    }
}

/// From an error of the library; `bytes`: what the peer began with.
fn no_answer(e: h2::Error, bytes: &FirstBytes) -> NoAnswer {
    let first = bytes.borrow();
    let http2 = first.get(3).is_none_or(|kind| *kind == SETTINGS);
    if !http2 || first.starts_with(b"HTTP") {
        return match NoAnswer::other_protocol(&first) {
            NoAnswer::Tls => NoAnswer::Tls,
            other => {
                NoAnswer::unreadable(format!("it does not speak HTTP/2: it {other}"), SWITCH_ON)
            }
        };
    }
    let text = e.to_string();
    if e.is_reset() && e.is_remote() {
        return NoAnswer::unreadable(
            format!("it has reset the stream of the request: {text}"),
            "its log may show the cause",
        );
    }
    if e.is_go_away() && e.is_remote() {
        return NoAnswer::Closed(Some(format!("GOAWAY: {text}")));
    }
    drop(first);
    match e.into_io() {
        Some(below) => without_http2(NoAnswer::of(&below), bytes),
        None => NoAnswer::OtherProtocol(text),
    }
}

/// From the end of a connection: a server that has not even sent its settings may not know what they are.
fn without_http2(failure: NoAnswer, first: &FirstBytes) -> NoAnswer {
    match failure.ends() && first.borrow().is_empty() {
        true => NoAnswer::unreadable(format!("it does not speak HTTP/2: {failure}"), SWITCH_ON),
        false => failure,
    }
}

/// What has a meaning in HTTP/1.1 only.
pub(super) fn not_applicable() -> [Finding; 2] {
    [
        Finding::unknown(Aspect::Expect, "not sent over HTTP/2"),
        Finding::unknown(Aspect::Chunked, "HTTP/2 has no chunks"),
    ]
}
