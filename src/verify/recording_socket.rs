//! A blocking socket that never waits longer than it may, and remembers how its peer began.

use crate::verify::no_answer::NoAnswer;
use crate::verify::probe_connection::ProbeTarget;
use pushbench_wire::stream::Stream;
use pushbench_wire::tls::diagnostics;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt as _, ReadBuf};

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
    waiting: Rc<Waiting<'a>>,
    first: FirstBytes,
}

/// The socket below the stream. It never blocks: TLS reads until nothing more has come.
struct Socket<'a>(Rc<Waiting<'a>>);

/// A connected socket, and how long one may wait for it.
pub(super) struct Waiting<'a> {
    interrupt: &'a AtomicBool,
    tcp: TcpStream,
    until: Cell<Instant>,
    /// For what the last call that could not be done has to wait.
    wanted: Cell<PollFlags>,
}

impl<'a> RecordingSocket<'a> {
    pub fn connect(target: &ProbeTarget<'a>) -> Result<Self, NoAnswer> {
        let (address, interrupt) = (target.address.socket, target.interrupt);
        let refused = |e: io::Error| NoAnswer::Refused(format!("{address}: {e}"));
        let tcp = TcpStream::connect_timeout(&address, CONNECT).map_err(refused)?;
        tcp.set_nodelay(true).and_then(|()| tcp.set_nonblocking(true)).map_err(refused)?;
        let until = Cell::new(Instant::now() + CONNECT);
        let wanted = Cell::new(PollFlags::empty());
        let waiting = Rc::new(Waiting { interrupt, tcp, until, wanted });
        let connecting = Stream::connect(Socket(waiting.clone()), target.tls);
        let stream = waiting.blocking(connecting).map_err(|e| match target.tls {
            // That it takes too long is no error of the stream.
            Some(_) => NoAnswer::of(&diagnostics::of_handshake(e)),
            None => refused(e),
        })?;
        Ok(RecordingSocket { stream, waiting, first: FirstBytes::default() })
    }

    /// What follows may take this long altogether.
    pub(crate) fn may_take(&mut self, time_limit: Duration) {
        self.waiting.may_take(time_limit);
    }

    /// For a library that owns the socket.
    pub fn waiting(&self) -> Rc<Waiting<'a>> {
        self.waiting.clone()
    }

    /// What the TLS handshake has agreed on; nothing without TLS.
    pub fn negotiated(&self) -> Option<String> {
        self.stream.negotiated().map(|negotiated| negotiated.words)
    }

    /// The first bytes that came.
    pub fn first(&self) -> FirstBytes {
        self.first.clone()
    }

    /// Its end will be a reset.
    pub(crate) fn reset_when_dropped(&self) {
        self.waiting.reset_when_dropped();
    }
}

impl Waiting<'_> {
    /// As [`RecordingSocket::may_take`].
    pub fn may_take(&self, time_limit: Duration) {
        self.until.set(Instant::now() + time_limit);
    }

    /// As [`RecordingSocket::reset_when_dropped`].
    pub fn reset_when_dropped(&self) {
        let _already_gone = socket2::SockRef::from(&self.tcp).set_linger(Some(Duration::ZERO));
    }

    /// The outcome of an asynchronous call: repeats the attempt until it is done, its time limit passes or the
    /// user interrupts.
    pub fn blocking<T>(&self, call: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        let mut call = pin!(call);
        loop {
            let left = self.until.get().saturating_duration_since(Instant::now());
            if left.is_zero() || self.interrupt.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::TimedOut.into());
            }
            if let Poll::Ready(done) = call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return done;
            }
            let mut fds = [PollFd::new(&self.tcp, self.wanted.replace(PollFlags::empty()))];
            let at_most = Timespec::try_from(left.min(INTERRUPT_CHECK)).ok();
            match poll(&mut fds, at_most.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The outcome of a system call, which may have to be repeated when the socket is ready for it.
    fn polled<T>(&self, wanted: PollFlags, outcome: io::Result<T>) -> Poll<io::Result<T>> {
        match outcome {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                self.wanted.set(self.wanted.get() | wanted);
                Poll::Pending
            }
            other => Poll::Ready(other),
        }
    }
}

impl AsyncRead for Socket<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let outcome = (&self.0.tcp).read(buf.initialize_unfilled());
        self.0.polled(PollFlags::IN, outcome).map_ok(|n| buf.advance(n))
    }
}

impl AsyncWrite for Socket<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.polled(PollFlags::OUT, (&self.0.tcp).write(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A connection that was reset is closed already.
        let _reset = self.0.tcp.shutdown(Shutdown::Write);
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for RecordingSocket<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let mut first = self.first.borrow_mut();
        let room = FIRST_BYTES.saturating_sub(first.len());
        first.extend(buf.filled()[before..].iter().take(room));
        read
    }
}

impl AsyncWrite for RecordingSocket<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Read for RecordingSocket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let waiting = self.waiting.clone();
        waiting.blocking(AsyncReadExt::read(self, buffer))
    }
}

impl Write for RecordingSocket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (waiting, stream) = (&self.waiting, &mut self.stream);
        waiting.blocking(async {
            let n = stream.write(bytes).await?;
            // Below a layer that encrypts, bytes that were taken may still wait for the socket.
            stream.flush().await?;
            Ok(n)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.waiting.blocking(self.stream.flush())
    }
}
