//! A kept HTTP/1.1 connection on which one request follows the other, driven by the task that sends the
//! requests.

use crate::limits::MOST_HEADERS;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};

/// Bodies are read to their end, so that the connection can be used again, but not for ever.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Why there is no answer.
#[derive(Debug)]
pub enum ExchangeError {
    /// The connection ended or broke the protocol.
    Connection(hyper::Error),
    /// The answer has more bytes than this.
    TooLong(usize),
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExchangeError::Connection(e) => write!(f, "the connection ended: {e}"),
            ExchangeError::TooLong(longest) => {
                write!(f, "the answer has more than {longest} bytes")
            }
        }
    }
}

/// An open connection over a stream of this kind.
pub struct HttpConnection<S: AsyncRead + AsyncWrite + Unpin> {
    sender: SendRequest<Full<Bytes>>,
    open: DrivenConnection<S>,
    longest: usize,
}

/// The connection itself, while it is open. It is dropped as soon as it has ended: only then does the
/// sender learn of it.
struct DrivenConnection<S: AsyncRead + AsyncWrite + Unpin>(
    Option<Connection<TokioIo<S>, Full<Bytes>>>,
);

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> DrivenConnection<S> {
    /// Drives it; true once it has ended.
    fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        let ended = self.0.as_mut().is_none_or(|open| Pin::new(open).poll(cx).is_ready());
        if ended {
            self.0 = None;
        }
        ended
    }

    /// Polls something that waits for the connection.
    fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut waiting: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let mut ended = self.drive(cx);
        loop {
            if let Poll::Ready(done) = waiting(cx) {
                return Poll::Ready(done);
            }
            // The request just queued must reach the socket in this very poll.
            let was_open = !ended;
            ended = self.drive(cx);
            if !(was_open && ended) {
                return Poll::Pending;
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> HttpConnection<S> {
    /// Over a connected stream.
    pub async fn new(stream: S) -> Result<HttpConnection<S>, hyper::Error> {
        Self::built(&Builder::new(), stream).await
    }

    /// To a server that is not ours: its answers may have as many headers as those of any target, for which
    /// hyper allocates room with each.
    pub async fn to_target(stream: S) -> Result<HttpConnection<S>, hyper::Error> {
        Self::built(Builder::new().max_headers(MOST_HEADERS), stream).await
    }

    async fn built(builder: &Builder, stream: S) -> Result<HttpConnection<S>, hyper::Error> {
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        Ok(HttpConnection {
            sender,
            open: DrivenConnection(Some(connection)),
            longest: LONGEST_ANSWER,
        })
    }

    /// Answers may have this many bytes.
    pub fn up_to(self, longest: usize) -> HttpConnection<S> {
        HttpConnection { longest, ..self }
    }

    /// Drives the connection; true once it has ended.
    pub fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        self.open.drive(cx)
    }

    /// Sends a request and reads its answer to the end.
    pub async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, ExchangeError> {
        let HttpConnection { sender, open, longest } = self;
        let mut exchange = pin!(async move {
            let response = sender.send_request(request).await.map_err(ExchangeError::Connection)?;
            let (head, body) = response.into_parts();
            match Limited::new(body, *longest).collect().await {
                Ok(body) => Ok(Response::from_parts(head, body.to_bytes())),
                Err(e) if e.is::<LengthLimitError>() => Err(ExchangeError::TooLong(*longest)),
                Err(e) => Err(match e.downcast::<hyper::Error>() {
                    Ok(e) => ExchangeError::Connection(*e),
                    Err(_) => ExchangeError::TooLong(*longest),
                }),
            }
        });
        poll_fn(|cx| open.poll(cx, |cx| exchange.as_mut().poll(cx))).await
    }

    /// Sends a request and gives its answer as soon as its head is there.
    pub async fn begin(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, hyper::Error> {
        let HttpConnection { sender, open, .. } = self;
        let mut answer = pin!(sender.send_request(request));
        poll_fn(|cx| open.poll(cx, |cx| answer.as_mut().poll(cx))).await
    }

    /// The next bytes of such an answer; `None` at its end.
    pub fn poll_bytes(
        &mut self,
        body: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, hyper::Error>>> {
        self.open.poll(cx, |cx| {
            loop {
                match std::task::ready!(Pin::new(&mut *body).poll_frame(cx)) {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(bytes) => return Poll::Ready(Some(Ok(bytes))),
                        Err(_trailers) => {}
                    },
                    Some(Err(e)) => return Poll::Ready(Some(Err(e))),
                    None => return Poll::Ready(None),
                }
            }
        })
    }
}
