//! What lies between HTTP/2 and its stream: one read at a time, whether the stream takes bytes, what the peer sent
//! first, and how much of the events waits above.

use crate::connections::ConnectConfig;
use bytes::Buf;
use pushbench_wire::fault::Fault;
use pushbench_wire::response_body::shown;
use pushbench_wire::response_diagnostics::instead;
use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes of a frame before its payload.
const FRAME_HEAD: usize = 9;
/// The type of a frame of settings.
const SETTINGS: u8 = 4;
/// As much of the beginning is kept as a message shows.
const SHOWN: usize = 128;

/// What is known of a connection below HTTP/2.
#[derive(Default)]
pub(super) struct Seen {
    read: Cell<bool>,
    blocked: Cell<bool>,
    held: Cell<usize>,
    first: RefCell<Vec<u8>>,
}

impl Seen {
    /// Whether bytes were read since the last time: nothing further is read before this was asked.
    pub fn take_read(&self) -> bool {
        self.read.take()
    }

    /// Whether the stream has not taken what was last written to it.
    pub fn blocked(&self) -> bool {
        self.blocked.get()
    }

    /// Bytes of events that were not written yet: they wait for the stream, or for the peer's windows.
    pub fn held(&self) -> usize {
        self.held.get()
    }

    /// The same fault, or what the peer speaks instead of HTTP/2.
    pub fn named(&self, fault: Fault, connect_config: &ConnectConfig) -> Fault {
        let (first, options) = (self.first.borrow(), &connect_config.request_options);
        // The text of a GOAWAY may repeat a header.
        let fault = match fault {
            Fault::Closed(text) => Fault::Closed(options.hide(&text)),
            Fault::Protocol(text) => Fault::Protocol(options.hide(&text)),
            other => other,
        };
        if !matches!(fault, Fault::Protocol(_)) || first.len() < FRAME_HEAD || first[3] == SETTINGS
        {
            return fault;
        }
        let without_tls = if connect_config.tls.is_some() { "" } else { " without TLS" };
        Fault::Protocol(match first.split(|byte| *byte == b'\r').next() {
            Some(line) if first.starts_with(b"HTTP/1.") => format!(
                "the target does not speak HTTP/2{without_tls}: it answered with HTTP/1.1 (\"{}\"): switch HTTP/2 on \
                 there, with prior knowledge of the client, or write the arm without +h2",
                shown(line, options)
            ),
            _ => {
                let sent = instead(&first, options);
                format!("the target does not speak HTTP/2{without_tls}{sent}")
            }
        })
    }
}

/// The stream.
pub(super) struct Tap<S> {
    stream: S,
    seen: Rc<Seen>,
}

impl<S> Tap<S> {
    pub fn new(stream: S, seen: Rc<Seen>) -> Tap<S> {
        Tap { stream, seen }
    }

    fn wrote<T>(&self, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.seen.blocked.set(result.is_pending());
        result
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    /// HTTP/2 reads until nothing is left. What a read has brought is looked at first here, so that its instant is the
    /// one of the answers in it.
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.seen.read.get() {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let bytes = &buf.filled()[before..];
        self.seen.read.set(!bytes.is_empty());
        let mut first = self.seen.first.borrow_mut();
        if first.len() < SHOWN {
            let room = SHOWN - first.len();
            first.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        self.wrote(result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The bytes of an event, counted until they are written.
pub(super) struct Body {
    bytes: Vec<u8>,
    at: usize,
    seen: Rc<Seen>,
}

impl Body {
    pub fn new(bytes: Vec<u8>, seen: &Rc<Seen>) -> Body {
        seen.held.set(seen.held.get() + bytes.len());
        Body { bytes, at: 0, seen: seen.clone() }
    }
}

impl Buf for Body {
    fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    fn advance(&mut self, bytes: usize) {
        self.at += bytes;
        self.seen.held.set(self.seen.held.get() - bytes);
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.seen.held.set(self.seen.held.get() - self.remaining());
    }
}
