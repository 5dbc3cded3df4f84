//! HTTP/2: the settings that both ends share, and a connection whose requests are streams of it. Whoever waits for one
//! of them drives the connection, so that it needs no task of its own.

use crate::fault::Fault;
use crate::http_connection::{ExchangeError, poll_bytes, read_to_end};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, Connection, SendRequest};
use hyper::rt::Executor;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::cell::RefCell;
use std::future::poll_fn;
use std::mem;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes that a stream may carry before its receiver has taken them up.
pub const STREAM_WINDOW: u32 = 1 << 20;
/// And all streams of a connection together.
pub const CONNECTION_WINDOW: u32 = 1 << 20;
/// Open streams that a built-in server allows on a connection, as hyper does by default.
pub const MAX_STREAMS: u32 = 200;

/// What hyper wants to run beside the connection.
#[derive(Clone, Default)]
struct Beside(Rc<RefCell<Vec<Pin<Box<dyn Future<Output = ()>>>>>>);

impl<F: Future<Output = ()> + 'static> Executor<F> for Beside {
    fn execute(&self, work: F) {
        self.0.borrow_mut().push(Box::pin(work));
    }
}

/// An open connection; a clone is the same one.
pub struct Http2Connection<S: AsyncRead + AsyncWrite + Unpin + 'static> {
    sender: SendRequest<Full<Bytes>>,
    /// `None` once it has ended.
    open: Rc<RefCell<Option<Connection<TokioIo<S>, Full<Bytes>, Beside>>>>,
    beside: Beside,
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Clone for Http2Connection<S> {
    fn clone(&self) -> Http2Connection<S> {
        let Http2Connection { sender, open, beside } = self;
        Http2Connection { sender: sender.clone(), open: open.clone(), beside: beside.clone() }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Http2Connection<S> {
    /// Over a connected stream.
    pub async fn new(stream: S) -> Result<Http2Connection<S>, Fault> {
        let beside = Beside::default();
        let (sender, connection) = Builder::new(beside.clone())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(Fault::refused)?;
        Ok(Http2Connection { sender, open: Rc::new(RefCell::new(Some(connection))), beside })
    }

    fn drive(&self, cx: &mut Context<'_>) {
        let mut open = self.open.borrow_mut();
        if open.as_mut().is_some_and(|open| Pin::new(open).poll(cx).is_ready()) {
            *open = None;
        }
        loop {
            let mut running = mem::take(&mut *self.beside.0.borrow_mut());
            running.retain_mut(|work| work.as_mut().poll(cx).is_pending());
            let mut started = self.beside.0.borrow_mut();
            let nothing_new = started.is_empty();
            started.splice(..0, running);
            if nothing_new {
                return;
            }
        }
    }

    /// Polls something that waits for the connection: before it is driven, because what was read for it has the time
    /// stamp of the last read.
    fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        mut waiting: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if let Poll::Ready(done) = waiting(cx) {
            return Poll::Ready(done);
        }
        self.drive(cx);
        waiting(cx)
    }

    /// Sends a request and reads its answer, of so many bytes at most.
    pub async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        longest: usize,
    ) -> Result<Response<Bytes>, ExchangeError> {
        let answer = self.sender.send_request(request);
        let mut exchange = pin!(async move {
            let response = answer.await.map_err(ExchangeError::Connection)?;
            read_to_end(response, longest).await
        });
        poll_fn(|cx| self.poll(cx, |cx| exchange.as_mut().poll(cx))).await
    }

    /// Sends a request and gives its answer as soon as its head is there.
    pub async fn begin(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, hyper::Error> {
        let mut answer = pin!(self.sender.send_request(request));
        poll_fn(|cx| self.poll(cx, |cx| answer.as_mut().poll(cx))).await
    }

    /// The next bytes of such an answer; `None` at its end.
    pub fn poll_bytes(
        &self,
        body: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, hyper::Error>>> {
        self.poll(cx, |cx| poll_bytes(body, cx))
    }
}
