//! A subscriber's connection over HTTP/2, whose requests are streams of it. Whoever waits for one of them drives the
//! connection, so that it needs no task of its own.

use crate::webhook::http2::diagnostics::{ended, reset};
use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use h2::{Error, RecvStream};
use hyper::{Request, Response};
use pushbench_wire::fault::Fault;
use pushbench_wire::http_connection::ExchangeError;
use pushbench_wire::http2::{CONNECTION_WINDOW, STREAM_WINDOW};
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};

/// An open connection over a stream of this kind.
pub(super) struct Http2Connection<S: AsyncRead + AsyncWrite + Unpin> {
    sender: SendRequest<Bytes>,
    /// `None` once it has ended.
    open: Rc<RefCell<Option<Connection<S, Bytes>>>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Http2Connection<S> {
    /// Over a connected stream.
    pub async fn new(stream: S) -> Result<Http2Connection<S>, Fault> {
        let mut builder = Builder::new();
        builder
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .enable_push(false);
        let (sender, connection) = builder.handshake(stream).await.map_err(fault)?;
        Ok(Http2Connection { sender, open: Rc::new(RefCell::new(Some(connection))) })
    }

    /// The same connection for another request at the same time.
    pub fn another(&self) -> Http2Connection<S> {
        Http2Connection { sender: self.sender.clone(), open: self.open.clone() }
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
        let mut open = self.open.borrow_mut();
        if open.as_mut().is_some_and(|open| Pin::new(open).poll(cx).is_ready()) {
            *open = None;
        }
        waiting(cx)
    }

    /// Sends a request and gives its answer as soon as its head is there.
    pub async fn begin(&mut self, request: Request<Bytes>) -> Result<Response<RecvStream>, Fault> {
        let (head, body) = request.into_parts();
        let mut sender = self.sender.clone();
        poll_fn(|cx| self.poll(cx, |cx| sender.poll_ready(cx))).await.map_err(fault)?;
        let request = Request::from_parts(head, ());
        let (response, mut stream) =
            sender.send_request(request, body.is_empty()).map_err(fault)?;
        if !body.is_empty() {
            stream.send_data(body, true).map_err(fault)?;
        }
        let mut response = pin!(response);
        poll_fn(|cx| self.poll(cx, |cx| response.as_mut().poll(cx))).await.map_err(fault)
    }

    /// The next bytes of such an answer; `None` at its end.
    pub async fn bytes(&self, body: &mut RecvStream) -> Result<Option<Bytes>, Fault> {
        let bytes = poll_fn(|cx| self.poll(cx, |cx| body.poll_data(cx))).await;
        let bytes = bytes.transpose().map_err(fault)?;
        let taken = bytes.as_ref().map_or(0, Bytes::len);
        let _stream_may_have_ended = body.flow_control().release_capacity(taken);
        Ok(bytes)
    }

    /// Sends a request and reads its answer, of so many bytes at most.
    pub async fn exchange(
        &mut self,
        request: Request<Bytes>,
        longest: usize,
    ) -> Result<Response<Bytes>, Fault> {
        let (head, mut body) = self.begin(request).await?.into_parts();
        let mut whole = Vec::new();
        while let Some(bytes) = self.bytes(&mut body).await? {
            whole.extend_from_slice(&bytes);
            if whole.len() > longest {
                return Err(Fault::protocol(ExchangeError::TooLong(longest)));
            }
        }
        Ok(Response::from_parts(head, whole.into()))
    }
}

fn fault(e: Error) -> Fault {
    match e.is_reset() {
        true => Fault::Closed(reset(&e)),
        false => ended(e, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use h2::server;
    use tokio::io::{DuplexStream, duplex};

    /// To `/events` an answer that goes on, else the request's own bytes.
    async fn serve(stream: DuplexStream) {
        let mut connection = server::handshake(stream).await.unwrap();
        let mut going_on = Vec::new();
        while let Some(Ok((mut request, mut respond))) = connection.accept().await {
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            if request.uri().path() == "/events" {
                stream.send_data("first".into(), false).unwrap();
                going_on.push(stream);
            } else {
                let bytes = request.body_mut().data().await.unwrap_or(Ok(Bytes::new()));
                stream.send_data(bytes.unwrap(), true).unwrap();
            }
        }
    }

    fn request(path: &str, body: &'static str) -> Request<Bytes> {
        Request::post(format!("http://x{path}")).body(body.into()).unwrap()
    }

    #[test]
    fn requests_are_answered_while_another_answer_goes_on() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (ours, theirs) = duplex(1 << 16);
            let server = tokio::spawn(serve(theirs));
            let mut events = Http2Connection::new(ours).await.unwrap();
            let mut other = events.another();
            let mut body = events.begin(request("/events", "")).await.unwrap().into_body();
            assert_eq!(events.bytes(&mut body).await.unwrap().unwrap(), "first");
            for sent in ["", "one", "two"] {
                let answer = other.exchange(request("/", sent), 3).await.unwrap();
                assert_eq!(answer.into_body(), sent);
            }
            let long = other.exchange(request("/", "four"), 3).await;
            assert!(
                matches!(&long, Err(Fault::Protocol(why)) if why.contains("more than 3 bytes")),
                "{long:?}"
            );
            server.abort();
            assert_eq!(
                events.bytes(&mut body).await,
                Err(Fault::Closed("closed by the target".to_owned()))
            );
            assert!(matches!(other.exchange(request("/", ""), 3).await, Err(Fault::Closed(_))));
        });
    }
}
