//! A kept HTTP/1.1 connection on which one request follows the other, driven by the task that asks.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use tokio::net::TcpStream;

/// Bodies are read to their end, so that the connection can be used again, but not for ever.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Why there is no answer.
#[derive(Debug)]
pub enum Ended {
    /// The connection ended or broke the protocol.
    Connection(hyper::Error),
    /// The answer does not end.
    Endless,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::Connection(e) => write!(f, "the connection ended: {e}"),
            Ended::Endless => write!(f, "the answer has more than {LONGEST_ANSWER} bytes"),
        }
    }
}

/// An open connection.
pub struct Line {
    sender: SendRequest<Full<Bytes>>,
    connection: Option<Connection<TokioIo<TcpStream>, Full<Bytes>>>,
}

impl Line {
    /// Over a connected stream.
    pub async fn new(stream: TcpStream) -> Result<Line, hyper::Error> {
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        Ok(Line { sender, connection: Some(connection) })
    }

    /// Drives the connection; true once it has ended. It is dropped at once: only then does the sender
    /// learn of it.
    pub fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        drive(&mut self.connection, cx)
    }

    /// Sends a request and reads its answer to the end.
    pub async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), Ended> {
        let Line { sender, connection } = self;
        let mut exchange = pin!(async move {
            let response = sender.send_request(request).await.map_err(Ended::Connection)?;
            let (head, body) = response.into_parts();
            match Limited::new(body, LONGEST_ANSWER).collect().await {
                Ok(body) => Ok((head.status, body.to_bytes())),
                Err(e) if e.is::<LengthLimitError>() => Err(Ended::Endless),
                Err(e) => Err(match e.downcast::<hyper::Error>() {
                    Ok(e) => Ended::Connection(*e),
                    Err(_) => Ended::Endless,
                }),
            }
        });
        poll_fn(|cx| {
            let mut ended = drive(connection, cx);
            loop {
                if let Poll::Ready(done) = exchange.as_mut().poll(cx) {
                    return Poll::Ready(done);
                }
                // The request just queued must reach the socket in this very poll.
                let was_open = !ended;
                ended = drive(connection, cx);
                if !(was_open && ended) {
                    return Poll::Pending;
                }
            }
        })
        .await
    }
}

fn drive(
    connection: &mut Option<Connection<TokioIo<TcpStream>, Full<Bytes>>>,
    cx: &mut Context<'_>,
) -> bool {
    let ended = connection.as_mut().is_none_or(|open| Pin::new(open).poll(cx).is_ready());
    if ended {
        *connection = None;
    }
    ended
}
