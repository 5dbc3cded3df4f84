//! How bytes travel on a connected socket: the layer between a socket and a protocol. Every connection of the
//! driver, its subscribers, the built-in servers and `verify` goes through it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, ToSocketAddrs};

/// Bytes as they are, over a socket of this kind.
pub struct Stream<S>(S);

impl<S: AsyncRead + AsyncWrite + Unpin> Stream<S> {
    /// The client's end of a connected socket, ready for the first byte of the protocol.
    ///
    /// # Errors
    /// The layer cannot be set up.
    pub async fn connect(socket: S) -> io::Result<Stream<S>> {
        Ok(Stream(socket))
    }

    /// The server's end of an accepted socket.
    ///
    /// # Errors
    /// The layer cannot be set up.
    pub async fn accept(socket: S) -> io::Result<Stream<S>> {
        Ok(Stream(socket))
    }
}

impl Stream<TcpStream> {
    /// Connects to the first address that accepts, with TCP_NODELAY.
    ///
    /// # Errors
    /// No address accepts, or the layer cannot be set up.
    pub async fn open(addresses: impl ToSocketAddrs) -> io::Result<Stream<TcpStream>> {
        let socket = TcpStream::connect(addresses).await?;
        socket.set_nodelay(true)?;
        Stream::connect(socket).await
    }
}

impl<S> Stream<S> {
    /// The socket below.
    #[inline]
    pub fn socket(&self) -> &S {
        &self.0
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stream<S> {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    #[inline]
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    #[inline]
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    #[inline]
    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    #[inline]
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    #[inline]
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
