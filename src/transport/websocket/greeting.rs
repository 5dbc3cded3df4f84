//! The stream of an opening handshake. What a server sends behind its response belongs to the connection
//! and not to the handshake, which would swallow it.

use crate::transport::io::Stamped;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// As many as tungstenite takes.
const MOST_HEADERS: usize = 124;

/// A stream that ends where the head of `101 Switching Protocols` does.
pub struct Greeting {
    pub io: Stamped,
    /// The response so far; once it is whole, what came behind it.
    pub came: Vec<u8>,
}

impl AsyncRead for Greeting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        self.came.extend_from_slice(&buf.filled()[before..]);
        if let Some(end) = end_of_switching(&self.came) {
            let behind = self.came.split_off(end);
            buf.set_filled(buf.filled().len() - behind.len());
            self.came = behind;
        }
        Poll::Ready(Ok(()))
    }
}

/// Where the head of a 101 ends.
fn end_of_switching(bytes: &[u8]) -> Option<usize> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(end)) if response.code == Some(101) => Some(end),
        _ => None,
    }
}

impl AsyncWrite for Greeting {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
