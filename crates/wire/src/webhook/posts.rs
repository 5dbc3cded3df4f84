//! A connection on which others POST to the driver. There are thousands of them, and most are idle: they
//! read into one buffer, and only one that has a part of a request keeps it.
//!
//! hyper's server keeps 8 KiB for each connection, which is more than all else that a subscriber costs.

use crate::webhook::request::{Come, Request, read};
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
const GO_ON: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What the connections of one listener share.
pub struct Common {
    buffer: RefCell<Vec<u8>>,
    /// The second, and how a response writes it.
    date: RefCell<(SystemTime, String)>,
    longest: usize,
}

impl Common {
    /// For bodies of at most `longest` bytes.
    pub fn new(longest: usize) -> Rc<Common> {
        let date = (SystemTime::UNIX_EPOCH, httpdate::fmt_http_date(SystemTime::UNIX_EPOCH));
        let buffer = vec![0; BUFFER_BYTES].into();
        Rc::new(Common { buffer, date: date.into(), longest })
    }

    /// A response without a body.
    fn response(&self, status: StatusCode, last: bool) -> String {
        let (mut date, now) = (self.date.borrow_mut(), SystemTime::now());
        if now.duration_since(date.0).map_or(true, |age| age >= Duration::from_secs(1)) {
            let second = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
            *date = (SystemTime::UNIX_EPOCH + Duration::from_secs(second), String::new());
            date.1 = httpdate::fmt_http_date(date.0);
        }
        let mut response = String::with_capacity(128);
        let _never_fails = write!(response, "HTTP/1.1 {status}\r\ndate: {}\r\n", date.1);
        if status != StatusCode::NO_CONTENT {
            response.push_str("content-length: 0\r\n");
        }
        response.push_str(if last { "connection: close\r\n\r\n" } else { "\r\n" });
        response
    }
}

/// The connection. Each request that was [taken](Posts::next) must be [answered](Posts::answer).
pub struct Posts<S> {
    stream: S,
    common: Rc<Common>,
    /// What has come of the next request.
    held: Vec<u8>,
    /// Nothing is read behind the request that was taken.
    last: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Posts<S> {
    /// Over a stream that was accepted.
    pub fn new(stream: S, common: Rc<Common>) -> Posts<S> {
        Posts { stream, common, held: Vec::new(), last: false }
    }

    /// What `take` makes of the next request; `None` when there is none. A request that cannot be read
    /// is refused, with an error of the kind `InvalidData`; one that ends amid is an `UnexpectedEof`.
    pub async fn next<T>(
        &mut self,
        mut take: impl FnMut(&Request<'_>) -> T,
    ) -> io::Result<Option<T>> {
        if self.last {
            return Ok(None);
        }
        // Behind the last request there may have been another.
        let mut more = self.held.is_empty();
        let mut told_to_go_on = false;
        loop {
            let seen = match more {
                true => poll_fn(|cx| self.poll_look(cx, &mut take)).await?,
                false => self.look(None, &mut take),
            };
            more = true;
            match seen {
                Step::Request(taken) => return Ok(Some(taken)),
                Step::Part { waits } => {
                    if waits && !std::mem::replace(&mut told_to_go_on, true) {
                        self.stream.write_all(GO_ON).await?;
                    }
                }
                Step::End if self.held.is_empty() => return Ok(None),
                Step::End => return Err(io::ErrorKind::UnexpectedEof.into()),
                Step::Refused(status) => {
                    self.last = true;
                    self.answer(status).await?;
                    let why = format!("a request that is answered {status}");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, why));
                }
            }
        }
    }

    /// Answers the request that was taken.
    pub async fn answer(&mut self, status: StatusCode) -> io::Result<()> {
        let response = self.common.response(status, self.last);
        self.stream.write_all(response.as_bytes()).await?;
        match self.last {
            true => self.stream.shutdown().await,
            false => Ok(()),
        }
    }

    /// Waits until the connection ends, whatever comes.
    pub async fn until_end(&mut self) {
        self.held = Vec::new();
        poll_fn(|cx| {
            loop {
                let mut buffer = self.common.buffer.borrow_mut();
                let mut buffer = ReadBuf::new(&mut buffer);
                let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
                if read.is_err() || buffer.filled().is_empty() {
                    return Poll::Ready(());
                }
            }
        })
        .await;
    }

    fn poll_look<T>(
        &mut self,
        cx: &mut Context<'_>,
        take: &mut impl FnMut(&Request<'_>) -> T,
    ) -> Poll<io::Result<Step<T>>> {
        let common = self.common.clone();
        let mut buffer = common.buffer.borrow_mut();
        let mut buffer = ReadBuf::new(&mut buffer);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(match buffer.filled() {
            [] => Step::End,
            read => self.look(Some(read), take),
        }))
    }

    /// Looks at what has come, and keeps what belongs to a later look.
    fn look<T>(
        &mut self,
        read: Option<&[u8]>,
        take: &mut impl FnMut(&Request<'_>) -> T,
    ) -> Step<T> {
        let seen = match read {
            Some(bytes) if self.held.is_empty() => {
                let (seen, used) = self.see(bytes, take);
                self.held.extend_from_slice(&bytes[used..]);
                seen
            }
            bytes => {
                self.held.extend_from_slice(bytes.unwrap_or_default());
                let mut held = std::mem::take(&mut self.held);
                let (seen, used) = self.see(&held, take);
                held.drain(..used);
                self.held = held;
                seen
            }
        };
        if self.held.is_empty() {
            self.held = Vec::new();
        }
        seen
    }

    fn see<T>(
        &mut self,
        bytes: &[u8],
        take: &mut impl FnMut(&Request<'_>) -> T,
    ) -> (Step<T>, usize) {
        match read(bytes, self.common.longest) {
            Come::Part { waits } => (Step::Part { waits }, 0),
            Come::Refused(status) => (Step::Refused(status), bytes.len()),
            Come::Whole(request, length) => {
                self.last = request.last;
                (Step::Request(take(&request)), length)
            }
        }
    }
}

/// What a look has seen.
enum Step<T> {
    Request(T),
    Part { waits: bool },
    Refused(StatusCode),
    End,
}

#[cfg(test)]
#[path = "posts_tests.rs"]
mod tests;
