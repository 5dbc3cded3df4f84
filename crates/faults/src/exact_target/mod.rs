//! A target whose time is exact: one thread that never sleeps, so that no timer and no wake-up is late.
//! It answers each event a given time after its read, and records the actual time.
//!
//! It is a process of its own, `pushbench __exact TRANSPORT DELAY_NS ACCOUNT ADDR`, and writes its account
//! to the file ACCOUNT when it is ended.

mod wire;

use pushbench_core::error::{Error, Result};
use pushbench_core::record::effective_config::LISTENING;
use pushbench_core::record::histogram::Hist;
use pushbench_core::transport::Carrier;
use pushbench_host::clock;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use wire::{Id, Received, Wire, answer};

/// The hidden subcommand.
const SUBCOMMAND: &str = "__exact";
/// Stands for the listener among connections.
const LISTENER: u64 = u64::MAX;
/// Readiness taken from the kernel at once.
const AT_ONCE: usize = 256;
/// More connections than the self-test opens at once.
const BACKLOG: i32 = 4096;

/// The report of an exact target at its end.
#[derive(Debug, Serialize, Deserialize)]
pub struct Account {
    /// From the read that completed an event to before its answer's write, ns; warm-up included.
    pub held: Hist,
}

/// Where an exact target leaves its account.
pub struct AccountFile {
    dir: tempfile::TempDir,
}

impl AccountFile {
    /// In a directory of its own.
    pub fn new() -> Result<AccountFile> {
        let dir = tempfile::tempdir();
        let dir = dir.map_err(|e| Error::harness(format!("no directory for an account: {e}")))?;
        Ok(AccountFile { dir })
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("account.json")
    }

    /// The words with which this program is started as such a target.
    pub fn arguments(&self, carrier: Carrier, delay: Duration) -> Vec<String> {
        let path = self.path().display().to_string();
        let delay = delay.as_nanos().to_string();
        [SUBCOMMAND, carrier.name(), &delay, &path, "127.0.0.1:{port}"].map(str::to_owned).to_vec()
    }

    /// The report of the target after its end.
    pub fn account(&self) -> Result<Account> {
        let read = || -> io::Result<Account> {
            Ok(serde_json::from_str(&std::fs::read_to_string(self.path())?)?)
        };
        read().map_err(|e| Error::harness(format!("the exact target left no account: {e}")))
    }
}

/// Runs as an exact target if the command line requests it.
pub fn run_if_requested(args: &[OsString]) -> Option<ExitCode> {
    if args.get(1)? != SUBCOMMAND {
        return None;
    }
    let arguments: Vec<&str> = args[2..].iter().filter_map(|a| a.to_str()).collect();
    match run(&arguments) {
        Ok(()) => Some(ExitCode::SUCCESS),
        Err(error) => {
            pushbench_host::console::error_line(&format!("the exact target failed: {error}"));
            Some(ExitCode::FAILURE)
        }
    }
}

fn run(arguments: &[&str]) -> io::Result<()> {
    let wrong = || io::Error::other("it takes TRANSPORT DELAY_NS ACCOUNT ADDR");
    let [carrier, delay, account, address] = arguments else { return Err(wrong()) };
    let carrier = Carrier::named(carrier).ok_or_else(wrong)?;
    let delay = delay.parse().map_err(|_| wrong())?;
    let ended = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGTERM, ended.clone())?;
    pushbench_host::descriptors::raise_descriptors();
    let mut target = Target::new(listen(address)?, carrier, delay)?;
    while !ended.load(Ordering::Relaxed) {
        target.poll_once()?;
        // At real-time priority, no process of the same priority would run here again, including its
        // supervisor.
        std::thread::yield_now();
    }
    let report = serde_json::to_vec(&Account { held: target.held })?;
    std::fs::write(Path::new(account), report)
}

fn listen(address: &str) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    let mut out = io::stdout().lock();
    writeln!(out, "{LISTENING}{}", listener.local_addr()?)?;
    out.flush()?;
    Ok(listener)
}

struct Connection {
    stream: TcpStream,
    wire: Wire,
}

/// An event that is held.
struct PendingAnswer {
    connection: usize,
    id: Id,
    read: u64,
}

struct Target {
    carrier: Carrier,
    delay: u64,
    listener: TcpListener,
    epoll: OwnedFd,
    ready: Vec<epoll::Event>,
    /// One that has ended leaves its place empty: its events must not reach another's peer.
    connections: Vec<Option<Connection>>,
    /// All are held equally long, so the first that came is the first that goes.
    waiting: VecDeque<PendingAnswer>,
    held: Hist,
}

impl Target {
    fn new(listener: TcpListener, carrier: Carrier, delay: u64) -> io::Result<Target> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        let ready = Vec::with_capacity(AT_ONCE);
        let (connections, waiting, held) = (Vec::new(), VecDeque::new(), Hist::new());
        Ok(Target { carrier, delay, listener, epoll, ready, connections, waiting, held })
    }

    /// Reads what is there and answers what is due, without waiting for either.
    fn poll_once(&mut self) -> io::Result<()> {
        let now = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
        self.ready.clear();
        let room = rustix::buffer::spare_capacity(&mut self.ready);
        match epoll::wait(&self.epoll, room, Some(&now)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        for i in 0..self.ready.len() {
            match self.ready[i].data.u64() {
                LISTENER => self.accept()?,
                // A peer closes as it likes.
                n => match self.read(n as usize) {
                    Ok(()) => {}
                    Err(_closed) => self.connections[n as usize] = None,
                },
            }
            self.answer();
        }
        self.answer();
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            };
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let number = EventData::new_u64(self.connections.len() as u64);
            epoll::add(&self.epoll, &stream, number, EventFlags::IN)?;
            self.connections.push(Some(Connection { stream, wire: Wire::new(self.carrier) }));
        }
    }

    /// Takes what a connection has brought; an error when it has ended.
    fn read(&mut self, number: usize) -> io::Result<()> {
        let Some(connection) = &mut self.connections[number] else { return Ok(()) };
        let mut bytes = [0; 16 * 1024];
        let length = match connection.stream.read(&mut bytes) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
            other => other?,
        };
        let read = clock::now();
        connection.wire.feed(&bytes[..length]);
        while let Some(received) = connection.wire.next()? {
            match received {
                Received::Event(id) => {
                    self.waiting.push_back(PendingAnswer { connection: number, id, read })
                }
                Received::Handshake(back) => connection.stream.write_all(&back)?,
                Received::CloseAfterAnswer => return Err(ErrorKind::ConnectionAborted.into()),
            }
        }
        Ok(())
    }

    /// Writes the answers whose instant has come.
    fn answer(&mut self) {
        while let Some(first) = self.waiting.front() {
            let now = clock::now();
            if now < first.read + self.delay {
                return;
            }
            let Some(held) = self.waiting.pop_front() else { return };
            let Some(to) = &mut self.connections[held.connection] else { continue };
            self.held.record(now - held.read);
            // A hundred bytes find room; where they do not, the driver counts a lost event.
            if to.stream.write_all(&answer(self.carrier, &held.id)).is_err() {
                self.connections[held.connection] = None;
            }
        }
    }
}
