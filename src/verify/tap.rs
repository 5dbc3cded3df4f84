//! A blocking socket that never waits longer than it may, and remembers how its peer began.

use crate::verify::no_answer::NoAnswer;
use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Bytes kept of what came first: a status line and the beginning of a body.
const FIRST_BYTES: usize = 1024;
/// A target that is ready accepts at once; a machine that stalls takes longer.
const CONNECT: Duration = Duration::from_secs(5);
/// Between two looks whether the user wants to stop.
const LOOK_UP: Duration = Duration::from_millis(100);

/// What came first, also for whoever has lost the socket to a protocol library.
pub(super) type FirstBytes = Rc<RefCell<Vec<u8>>>;

pub(super) struct Tap<'a> {
    interrupt: &'a AtomicBool,
    stream: TcpStream,
    first: FirstBytes,
    until: Instant,
}

impl<'a> Tap<'a> {
    pub fn connect(address: SocketAddr, interrupt: &'a AtomicBool) -> Result<Self, NoAnswer> {
        let refused = |e: io::Error| NoAnswer::Refused(format!("{address}: {e}"));
        let stream = TcpStream::connect_timeout(&address, CONNECT).map_err(refused)?;
        stream.set_nodelay(true).map_err(refused)?;
        Ok(Tap { interrupt, stream, first: FirstBytes::default(), until: Instant::now() + CONNECT })
    }

    /// What follows may take this long altogether.
    pub fn may_take(&mut self, patience: Duration) {
        self.until = Instant::now() + patience;
    }

    /// The first bytes that came.
    pub fn first(&self) -> FirstBytes {
        self.first.clone()
    }

    /// Its end will be a reset.
    pub fn reset_when_dropped(&self) {
        let _already_gone = socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }

    /// Tries again and again for as long as it may take and nobody wants to stop.
    fn patiently(
        &self,
        mut attempt: impl FnMut(Duration) -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            let left = self.until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.interrupt.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match attempt(left.min(LOOK_UP)) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                other => return other,
            }
        }
    }
}

impl Read for Tap<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.patiently(|at_most| {
            self.stream.set_read_timeout(Some(at_most))?;
            (&self.stream).read(buffer)
        })?;
        let mut first = self.first.borrow_mut();
        let room = FIRST_BYTES.saturating_sub(first.len());
        first.extend_from_slice(&buffer[..n.min(room)]);
        Ok(n)
    }
}

impl Write for Tap<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.patiently(|at_most| {
            self.stream.set_write_timeout(Some(at_most))?;
            (&self.stream).write(bytes)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
