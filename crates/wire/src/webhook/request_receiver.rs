//! A connection on which others POST to the driver. There are thousands of them, and most are idle: they
//! read into one buffer, and only one that has a part of a request keeps it.
//!
//! hyper's server keeps 8 KiB for each connection, which is more than all else that a subscriber costs.

use crate::webhook::request::{Parsed, Request, read};
use hyper::StatusCode;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};

/// Bytes read at once.
const BUFFER_BYTES: usize = 64 * 1024;
/// To who waits with a body.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What the connections of one listener share.
pub struct ReceiverContext {
    buffer: RefCell<Vec<u8>>,
    /// The second, and how a response writes it.
    date: RefCell<(SystemTime, String)>,
    longest: usize,
}

impl ReceiverContext {
    /// For bodies of at most `longest` bytes.
    pub fn new(longest: usize) -> Rc<ReceiverContext> {
        let date = (SystemTime::UNIX_EPOCH, httpdate::fmt_http_date(SystemTime::UNIX_EPOCH));
        let buffer = vec![0; BUFFER_BYTES].into();
        Rc::new(ReceiverContext { buffer, date: date.into(), longest })
    }

    /// A response with this text for a body, where there is one.
    fn response(&self, status: StatusCode, last: bool, text: &str) -> String {
        let (mut date, now) = (self.date.borrow_mut(), SystemTime::now());
        if now.duration_since(date.0).map_or(true, |age| age >= Duration::from_secs(1)) {
            let second = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
            *date = (SystemTime::UNIX_EPOCH + Duration::from_secs(second), String::new());
            date.1 = httpdate::fmt_http_date(date.0);
        }
        let mut response = String::with_capacity(128);
        let _never_fails = write!(response, "HTTP/1.1 {status}\r\ndate: {}\r\n", date.1);
        if status != StatusCode::NO_CONTENT {
            let _never_fails = write!(response, "content-length: {}\r\n", text.len());
        }
        response.push_str(if last { "connection: close\r\n\r\n" } else { "\r\n" });
        response.push_str(text);
        response
    }
}

/// The connection. Each request that was [taken](RequestReceiver::next) must be
/// [answered](RequestReceiver::answer).
pub struct RequestReceiver<S> {
    stream: S,
    receiver_context: Rc<ReceiverContext>,
    /// What has come of the next request.
    buffered: Vec<u8>,
    /// Nothing is read behind the request that was taken.
    last: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> RequestReceiver<S> {
    /// Over a stream that was accepted.
    pub fn new(stream: S, receiver_context: Rc<ReceiverContext>) -> RequestReceiver<S> {
        RequestReceiver { stream, receiver_context, buffered: Vec::new(), last: false }
    }

    /// What `receive` makes of the next request; `None` when there is none. A request that cannot be read
    /// is refused, with an error of the kind `InvalidData`; one that is incomplete is an `UnexpectedEof`.
    pub async fn next<T>(
        &mut self,
        mut receive: impl FnMut(&Request<'_>) -> T,
    ) -> io::Result<Option<T>> {
        if self.last {
            return Ok(None);
        }
        // Behind the last request there may have been another.
        let mut more = self.buffered.is_empty();
        let mut continue_sent = false;
        loop {
            let step = match more {
                true => poll_fn(|cx| self.poll_parse(cx, &mut receive)).await?,
                false => self.parse_buffered(None, &mut receive),
            };
            more = true;
            match step {
                ParseStep::Request(received) => return Ok(Some(received)),
                ParseStep::Incomplete { expects_continue } => {
                    if expects_continue && !std::mem::replace(&mut continue_sent, true) {
                        self.stream.write_all(CONTINUE).await?;
                        self.stream.flush().await?;
                    }
                }
                ParseStep::End if self.buffered.is_empty() => return Ok(None),
                ParseStep::End => return Err(io::ErrorKind::UnexpectedEof.into()),
                ParseStep::Refused(status) => {
                    self.last = true;
                    self.answer(status, "").await?;
                    let why = format!("a request that is answered {status}");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, why));
                }
            }
        }
    }

    /// Answers the request that was taken; only an answer other than 204 has a text.
    pub async fn answer(&mut self, status: StatusCode, text: &str) -> io::Result<()> {
        let response = self.receiver_context.response(status, self.last, text);
        self.write(&response).await
    }

    /// Refuses the request that was taken; `retry_after`: when to try again, s.
    pub async fn refuse(&mut self, status: StatusCode, retry_after: Option<u64>) -> io::Result<()> {
        let mut response = self.receiver_context.response(status, self.last, "");
        if let (Some(seconds), Some(end)) = (retry_after, response.find("\r\n")) {
            response.insert_str(end + 2, &format!("retry-after: {seconds}\r\n"));
        }
        self.write(&response).await
    }

    async fn write(&mut self, response: &str) -> io::Result<()> {
        self.stream.write_all(response.as_bytes()).await?;
        // Below a layer that encrypts, bytes that were taken may still wait for the socket.
        self.stream.flush().await?;
        match self.last {
            true => self.stream.shutdown().await,
            false => Ok(()),
        }
    }

    /// The stream.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// Waits until the connection ends, whatever comes.
    pub async fn until_end(&mut self) {
        self.buffered = Vec::new();
        poll_fn(|cx| {
            loop {
                let mut buffer = self.receiver_context.buffer.borrow_mut();
                let mut buffer = ReadBuf::new(&mut buffer);
                let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
                if read.is_err() || buffer.filled().is_empty() {
                    return Poll::Ready(());
                }
            }
        })
        .await;
    }

    fn poll_parse<T>(
        &mut self,
        cx: &mut Context<'_>,
        receive: &mut impl FnMut(&Request<'_>) -> T,
    ) -> Poll<io::Result<ParseStep<T>>> {
        let receiver_context = self.receiver_context.clone();
        let mut buffer = receiver_context.buffer.borrow_mut();
        let mut buffer = ReadBuf::new(&mut buffer);
        match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
            // A peer of TLS that closes without close_notify: between two requests as good as with it.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {}
            read => read?,
        }
        Poll::Ready(Ok(match buffer.filled() {
            [] => ParseStep::End,
            read => self.parse_buffered(Some(read), receive),
        }))
    }

    /// Looks at what has come, and keeps what belongs to a later look.
    fn parse_buffered<T>(
        &mut self,
        read: Option<&[u8]>,
        receive: &mut impl FnMut(&Request<'_>) -> T,
    ) -> ParseStep<T> {
        let step = match read {
            Some(bytes) if self.buffered.is_empty() => {
                let (step, used) = self.parse(bytes, receive);
                self.buffered.extend_from_slice(&bytes[used..]);
                step
            }
            bytes => {
                self.buffered.extend_from_slice(bytes.unwrap_or_default());
                let mut buffered = std::mem::take(&mut self.buffered);
                let (step, used) = self.parse(&buffered, receive);
                buffered.drain(..used);
                self.buffered = buffered;
                step
            }
        };
        if self.buffered.is_empty() {
            self.buffered = Vec::new();
        }
        step
    }

    fn parse<T>(
        &mut self,
        bytes: &[u8],
        receive: &mut impl FnMut(&Request<'_>) -> T,
    ) -> (ParseStep<T>, usize) {
        match read(bytes, self.receiver_context.longest) {
            Parsed::Incomplete { expects_continue } => {
                (ParseStep::Incomplete { expects_continue }, 0)
            }
            Parsed::Refused(status) => (ParseStep::Refused(status), bytes.len()),
            Parsed::Complete(request, length) => {
                self.last = request.last;
                (ParseStep::Request(receive(&request)), length)
            }
        }
    }
}

/// What a look has seen.
enum ParseStep<T> {
    Request(T),
    Incomplete { expects_continue: bool },
    Refused(StatusCode),
    End,
}

#[cfg(test)]
#[path = "request_receiver_tests.rs"]
mod tests;
