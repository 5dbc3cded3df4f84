//! A blocking socket that never waits longer than it may, and remembers how its peer began.

use crate::verify::no_answer::NoAnswer;
use pushbench_wire::stream::Stream;
use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

/// Bytes kept of what came first: a status line and the beginning of a body.
const FIRST_BYTES: usize = 1024;
/// A target that is ready accepts at once; a machine that stalls takes longer.
const CONNECT: Duration = Duration::from_secs(5);
/// Between two looks whether the user wants to stop.
const INTERRUPT_CHECK: Duration = Duration::from_millis(100);

/// The first bytes, also readable while a protocol library owns the socket.
pub(super) type FirstBytes = Rc<RefCell<Vec<u8>>>;

/// Whoever uses it reads and writes through the stream over the socket.
pub(super) struct RecordingSocket<'a> {
    stream: Stream<Socket<'a>>,
    first: FirstBytes,
}

/// Its asynchronous calls block until they are done, hence are never pending.
struct Socket<'a> {
    interrupt: &'a AtomicBool,
    tcp: TcpStream,
    until: Cell<Instant>,
}

/// The outcome of an asynchronous call on such a socket.
fn blocking<T>(call: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

impl<'a> RecordingSocket<'a> {
    pub fn connect(address: SocketAddr, interrupt: &'a AtomicBool) -> Result<Self, NoAnswer> {
        let refused = |e: io::Error| NoAnswer::Refused(format!("{address}: {e}"));
        let tcp = TcpStream::connect_timeout(&address, CONNECT).map_err(refused)?;
        tcp.set_nodelay(true).map_err(refused)?;
        let until = Cell::new(Instant::now() + CONNECT);
        let stream = blocking(Stream::connect(Socket { interrupt, tcp, until }));
        Ok(RecordingSocket { stream: stream.map_err(refused)?, first: FirstBytes::default() })
    }

    /// What follows may take this long altogether.
    pub(crate) fn may_take(&mut self, time_limit: Duration) {
        self.stream.socket().until.set(Instant::now() + time_limit);
    }

    /// The first bytes that came.
    pub fn first(&self) -> FirstBytes {
        self.first.clone()
    }

    /// Its end will be a reset.
    pub(crate) fn reset_when_dropped(&self) {
        let socket = socket2::SockRef::from(&self.stream.socket().tcp);
        let _already_gone = socket.set_linger(Some(Duration::ZERO));
    }
}

impl Socket<'_> {
    /// Repeats the attempt until it succeeds, its time limit passes or the user interrupts.
    fn until_limit(
        &self,
        mut attempt: impl FnMut(Duration) -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            let left = self.until.get().saturating_duration_since(Instant::now());
            if left.is_zero() || self.interrupt.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match attempt(left.min(INTERRUPT_CHECK)) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                other => return other,
            }
        }
    }
}

impl AsyncRead for Socket<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let n = self.until_limit(|at_most| {
            self.tcp.set_read_timeout(Some(at_most))?;
            (&self.tcp).read(buf.initialize_unfilled())
        })?;
        buf.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.until_limit(|at_most| {
            self.tcp.set_write_timeout(Some(at_most))?;
            (&self.tcp).write(bytes)
        }))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.tcp.shutdown(Shutdown::Write))
    }
}

impl Read for RecordingSocket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = blocking(self.stream.read(buffer))?;
        let mut first = self.first.borrow_mut();
        let room = FIRST_BYTES.saturating_sub(first.len());
        first.extend_from_slice(&buffer[..n.min(room)]);
        Ok(n)
    }
}

impl Write for RecordingSocket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        blocking(self.stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        blocking(self.stream.flush())
    }
}
