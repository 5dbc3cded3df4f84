//! How bytes travel on a connected socket: the layer between a socket and a protocol. Every connection of the
//! driver, its subscribers, the built-in servers and `verify` goes through it.

use crate::tls;
use crate::tls::diagnostics;
use crate::tls::{ClientTls, ServerTls};
use pushbench_core::record::handshakes::Negotiated;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio_rustls::TlsStream;

/// Bytes over a socket of this kind.
pub enum Stream<S> {
    /// As they are.
    Plain(S),
    /// Encrypted.
    Tls(Box<TlsStream<S>>),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream<S> {
    /// The client's end of a connected socket, ready for the first byte of the protocol.
    ///
    /// # Errors
    /// The TLS handshake failed.
    pub async fn connect(socket: S, tls: Option<&ClientTls>) -> io::Result<Stream<S>> {
        let Some(tls) = tls else { return Ok(Stream::Plain(socket)) };
        let (connector, name) = tls.connector();
        let stream = connector.connect(name, socket).await.map_err(diagnostics::of_handshake)?;
        Ok(Stream::Tls(Box::new(stream.into())))
    }

    /// The server's end of an accepted socket.
    ///
    /// # Errors
    /// The TLS handshake failed.
    pub async fn accept(socket: S, tls: Option<&ServerTls>) -> io::Result<Stream<S>> {
        let Some(tls) = tls else { return Ok(Stream::Plain(socket)) };
        let stream = tls.acceptor().accept(socket).await.map_err(diagnostics::of_handshake)?;
        Ok(Stream::Tls(Box::new(stream.into())))
    }

    /// Tells the peer that nothing more will come, as far as the socket takes it now: TLS marks the end of its
    /// data, TCP itself needs nothing before its socket is closed.
    pub fn close_notify(&mut self, cx: &mut Context<'_>) {
        if let Stream::Tls(tls) = self {
            let _not_waited_for = Pin::new(tls).poll_shutdown(cx);
        }
    }
}

impl Stream<TcpStream> {
    /// Connects to the first address that accepts, with TCP_NODELAY.
    ///
    /// # Errors
    /// No address accepts, or the TLS handshake failed.
    pub async fn open(
        addresses: impl ToSocketAddrs,
        tls: Option<&ClientTls>,
    ) -> io::Result<Stream<TcpStream>> {
        let socket = TcpStream::connect(addresses).await?;
        socket.set_nodelay(true)?;
        Stream::connect(socket, tls).await
    }

    /// The first byte that the next read brings, which stays; nothing at the end.
    ///
    /// # Errors
    /// The connection has failed.
    pub async fn peek(&mut self) -> io::Result<Option<u8>> {
        let mut first = [0];
        match self {
            Stream::Plain(socket) => Ok((socket.peek(&mut first).await? > 0).then_some(first[0])),
            Stream::Tls(tls) => Ok(tls.fill_buf().await?.first().copied()),
        }
    }
}

impl<S> Stream<S> {
    /// The socket below, under the encryption.
    #[inline]
    pub fn socket(&self) -> &S {
        match self {
            Stream::Plain(socket) => socket,
            Stream::Tls(tls) => tls.get_ref().0,
        }
    }

    /// What the TLS handshake has agreed on; nothing without TLS.
    pub fn negotiated(&self) -> Option<Negotiated> {
        match self {
            Stream::Plain(_) => None,
            Stream::Tls(stream) => Some(tls::negotiated(stream.get_ref().1)),
        }
    }
}

// Out of line, so that a plain stream stays a part of the code that uses it.

#[inline(never)]
fn poll_read<S: AsyncRead + AsyncWrite + Unpin>(
    tls: &mut TlsStream<S>,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    Pin::new(tls).poll_read(cx, buf).map_err(diagnostics::of_stream)
}

#[inline(never)]
fn poll_write<S: AsyncRead + AsyncWrite + Unpin>(
    tls: &mut TlsStream<S>,
    cx: &mut Context<'_>,
    buf: &[u8],
) -> Poll<io::Result<usize>> {
    Pin::new(tls).poll_write(cx, buf).map_err(diagnostics::of_stream)
}

#[inline(never)]
fn poll_write_vectored<S: AsyncRead + AsyncWrite + Unpin>(
    tls: &mut TlsStream<S>,
    cx: &mut Context<'_>,
    bufs: &[io::IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    Pin::new(tls).poll_write_vectored(cx, bufs)
}

#[inline(never)]
fn poll_flush<S: AsyncRead + AsyncWrite + Unpin>(
    tls: &mut TlsStream<S>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    Pin::new(tls).poll_flush(cx)
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    #[inline(always)]
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Stream::Tls(tls) => poll_read(tls, cx, buf),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    #[inline(always)]
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_write(cx, buf),
            Stream::Tls(tls) => poll_write(tls, cx, buf),
        }
    }

    #[inline(always)]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, bufs),
            Stream::Tls(tls) => poll_write_vectored(tls, cx, bufs),
        }
    }

    #[inline(always)]
    fn is_write_vectored(&self) -> bool {
        match self {
            Stream::Plain(socket) => socket.is_write_vectored(),
            Stream::Tls(tls) => tls.is_write_vectored(),
        }
    }

    #[inline(always)]
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Stream::Tls(tls) => poll_flush(tls, cx),
        }
    }

    #[inline(always)]
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Stream::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
