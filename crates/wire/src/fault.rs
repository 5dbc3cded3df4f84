//! Why a connection ended or could not be made.

use pushbench_core::units;
use std::fmt;
use std::io;

/// How the message of a [`Fault::Closed`] begins.
pub const ENDED: &str = "connection ended";
/// How the message of a [`Fault::Protocol`] begins.
pub const BROKEN: &str = "protocol broken";

/// An unexpected end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// No connection: refused, unreachable, or the handshake was turned down.
    Refused(String),
    /// The target closed or reset it.
    Closed(String),
    /// The target broke the protocol.
    Protocol(String),
    /// The event it was busy with timed out, and a late answer could not be matched; or the event
    /// it was opened for did before it was open.
    TimedOut,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Refused(why) => write!(f, "no connection: {why}"),
            Fault::Closed(why) => write!(f, "{ENDED}: {why}"),
            Fault::Protocol(why) => write!(f, "{BROKEN}: {why}"),
            Fault::TimedOut => f.write_str("the connection was closed after a time-out"),
        }
    }
}

impl std::error::Error for Fault {}

impl Fault {
    /// From an error while connecting.
    pub fn refused(e: impl fmt::Display) -> Fault {
        Fault::Refused(e.to_string())
    }

    /// From an error on an open connection.
    pub fn closed(e: impl fmt::Display) -> Fault {
        Fault::Closed(e.to_string())
    }

    /// From an error on an open connection whose bytes may be understood below: what is not allowed there breaks the
    /// protocol.
    pub fn of(e: io::Error) -> Fault {
        match e.kind() {
            io::ErrorKind::InvalidData => Fault::protocol(e),
            _ => Fault::closed(e),
        }
    }

    /// From an error of an HTTP connection: what broke below it says more than that something did.
    pub fn of_http(e: hyper::Error) -> Fault {
        match std::error::Error::source(&e).and_then(|e| e.downcast_ref::<io::Error>()) {
            Some(below) => Fault::of(io::Error::new(below.kind(), below.to_string())),
            None => Fault::closed(e),
        }
    }

    /// The same, with what is known besides.
    pub fn with(self, more: &str) -> Fault {
        match self {
            Fault::Refused(why) => Fault::Refused(why + more),
            Fault::Closed(why) => Fault::Closed(why + more),
            Fault::Protocol(why) => Fault::Protocol(why + more),
            Fault::TimedOut => Fault::TimedOut,
        }
    }

    /// The same, of a connection that was closed before the peer read the event it was busy with, and that
    /// had carried nothing for so long, ns.
    pub fn after_idle(self, ns: u64) -> Fault {
        // Rounded down to 1, 2 or 5 of a power of ten, so that the record counts them together.
        let power = 10u64.pow(ns.max(1).ilog10());
        let at_least = [5, 2, 1].map(|n| n * power).into_iter().find(|step| *step <= ns);
        let at_least = units::nanos_text(at_least.unwrap_or_default() as f64);
        self.with(&format!(
            "; the target closed it after at least {at_least} idle: raise its keep-alive time-out"
        ))
    }

    /// From something the protocol does not allow.
    pub fn protocol(e: impl fmt::Display) -> Fault {
        Fault::Protocol(e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http_connection::HttpConnection;
    use bytes::Bytes;
    use http_body_util::Full;
    use hyper::Request;
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    /// As a stream of TLS whose peer answers with garbage.
    #[derive(Default)]
    struct Garbage {
        requested: bool,
    }

    impl AsyncRead for Garbage {
        fn poll_read(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if !self.requested {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "no TLS")))
        }
    }

    impl AsyncWrite for Garbage {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.requested = true;
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn what_broke_below_http_is_named() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let ended = runtime.block_on(async {
            let mut connection = HttpConnection::new(Garbage::default()).await.unwrap();
            connection.begin(Request::new(Full::new(Bytes::new()))).await
        });
        let fault = Fault::of_http(ended.unwrap_err());
        assert_eq!(fault, Fault::Protocol("no TLS".to_owned()));
    }

    #[test]
    fn idle_times_are_counted_together() {
        let message = |ns| Fault::closed("gone").after_idle(ns).to_string();
        assert_eq!(message(5_003_000_000), message(5_900_000_000));
        assert!(message(5_003_000_000).contains("closed it after at least 5.00 s idle"));
    }
}
