//! A target whose time is known exactly: one thread that answers each event a given time after its read, or
//! serves one event after the other, and records the actual times. [`Service`] says which.
//!
//! It is a process of its own, `pushbench __exact TRANSPORT SERVICE ACCOUNT ADDR`, and writes its account
//! to the file ACCOUNT when it is ended, or to ACCOUNT.1, ACCOUNT.2 … where that exists.

mod service;
mod wire;

pub use service::{Served, Service};

use pushbench_core::error::{Error, Result};
use pushbench_core::record::effective_config::LISTENING;
use pushbench_core::record::histogram::Hist;
use pushbench_core::transport::Carrier;
use pushbench_host::clock;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::time::Timespec;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use wire::{Id, Received, Wire, answer, index};

/// The hidden subcommand.
const SUBCOMMAND: &str = "__exact";
/// Stands for the listener among connections.
const LISTENER: u64 = u64::MAX;
/// Readiness taken from the kernel at once.
const AT_ONCE: usize = 256;
/// More connections than the self-test opens at once.
const BACKLOG: i32 = 4096;
/// How long a target that blocks does so before it looks whether it is to end.
const BLOCK: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
const NO_WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// The report of an exact target at its end.
#[derive(Debug, Serialize, Deserialize)]
pub struct Account {
    /// From the read that completed an event to before its answer's write, ns; warm-up included.
    pub held: Hist,
    /// Every event in the order of its answer; empty for [`Service::Delay`].
    #[serde(default)]
    pub log: Vec<Served>,
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
    pub fn arguments(&self, carrier: Carrier, service: Service) -> Vec<String> {
        let path = self.path().display().to_string();
        [SUBCOMMAND, carrier.name(), &service.to_string(), &path, "127.0.0.1:{port}"]
            .map(str::to_owned)
            .to_vec()
    }

    /// The report of the target after its end.
    pub fn account(&self) -> Result<Account> {
        read(&self.path())
    }

    /// The reports of all targets that were started with these words, in the order in which they were started.
    pub fn accounts(&self) -> Result<Vec<Account>> {
        let paths =
            std::iter::successors(Some(0), |n| Some(n + 1)).map(|n| numbered(&self.path(), n));
        paths.take_while(|path| path.exists()).map(|path| read(&path)).collect()
    }
}

fn read(path: &Path) -> Result<Account> {
    let read =
        || -> io::Result<Account> { Ok(serde_json::from_str(&std::fs::read_to_string(path)?)?) };
    read().map_err(|e| Error::harness(format!("the exact target left no account: {e}")))
}

/// ACCOUNT, ACCOUNT.1, ACCOUNT.2 …
fn numbered(path: &Path, n: usize) -> PathBuf {
    match n {
        0 => path.to_owned(),
        n => PathBuf::from(format!("{}.{n}", path.display())),
    }
}

/// Makes the first of them that does not exist.
fn create(path: &Path) -> io::Result<File> {
    let mut n = 0;
    loop {
        match File::create_new(numbered(path, n)) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => n += 1,
            other => return other,
        }
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
    let wrong = || io::Error::other("it takes TRANSPORT SERVICE ACCOUNT ADDR");
    let [carrier, service, account, address] = arguments else { return Err(wrong()) };
    let carrier = Carrier::named(carrier).ok_or_else(wrong)?;
    let service = Service::parse(service).ok_or_else(wrong)?;
    let mut account = create(Path::new(account))?;
    let ended = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGTERM, ended.clone())?;
    pushbench_host::descriptors::raise_descriptors();
    let mut target = Target::new(listen(address)?, carrier, service)?;
    while !ended.load(Ordering::Relaxed) {
        target.poll_once()?;
        if !service.blocks() {
            // At real-time priority, no process of the same priority would run here again, including its
            // supervisor.
            std::thread::yield_now();
        }
    }
    let report = serde_json::to_vec(&Account { held: target.held, log: target.log })?;
    account.write_all(&report)
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
    index: u64,
    read: u64,
    /// The one with the smallest is answered first: the instant of its answer, or its position in the schedule.
    key: u64,
}

struct Target {
    carrier: Carrier,
    service: Service,
    listener: TcpListener,
    epoll: OwnedFd,
    ready: Vec<epoll::Event>,
    /// One that has ended leaves its place empty: its events must not reach another's peer.
    connections: Vec<Option<Connection>>,
    /// By their keys.
    waiting: VecDeque<PendingAnswer>,
    /// When a server with a queue ended its last service, until it has looked for the next event.
    free: Option<u64>,
    held: Hist,
    log: Vec<Served>,
}

impl Target {
    fn new(listener: TcpListener, carrier: Carrier, service: Service) -> io::Result<Target> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        let ready = Vec::with_capacity(AT_ONCE);
        let (connections, waiting, held) = (Vec::new(), VecDeque::new(), Hist::new());
        let (free, log) = (None, Vec::new());
        Ok(Target {
            carrier,
            service,
            listener,
            epoll,
            ready,
            connections,
            waiting,
            free,
            held,
            log,
        })
    }

    /// Reads what is there and answers what is due, or serves one event.
    fn poll_once(&mut self) -> io::Result<()> {
        let idle = self.waiting.is_empty() && self.free.is_none();
        let wait = if idle && self.service.blocks() { BLOCK } else { NO_WAIT };
        self.ready.clear();
        let room = rustix::buffer::spare_capacity(&mut self.ready);
        match epoll::wait(&self.epoll, room, Some(&wait)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        let woken = clock::now();
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
        if self.service.is_queue() {
            self.serve(woken);
        }
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
                    let index = index(&id)?;
                    let key = match self.service.is_queue() {
                        true => index,
                        false => read + self.service.time(index),
                    };
                    let place = self.waiting.partition_point(|other| other.key <= key);
                    let event = PendingAnswer { connection: number, id, index, read, key };
                    self.waiting.insert(place, event);
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
            if self.service.is_queue() || now < first.key {
                return;
            }
            let Some(event) = self.waiting.pop_front() else { return };
            self.held.record(now - event.read);
            self.write(&event);
            if self.service.blocks() {
                self.record(&event, event.read, now);
            }
        }
    }

    /// Serves the first event in the queue. If the server has just served another one, this service begins at
    /// the end of that one: what the server did in between belongs to its work.
    fn serve(&mut self, woken: u64) {
        let free = self.free.take();
        let Some(event) = self.waiting.pop_front() else { return };
        let start = free.unwrap_or(woken);
        let until = start + self.service.time(event.index);
        match self.service {
            Service::Spin(_) => while clock::now() < until {},
            _ => clock::sleep_until(until),
        }
        let end = clock::now();
        self.held.record(end - event.read);
        self.write(&event);
        self.record(&event, start, end);
        self.free = self.log.last().map(|served| served.free);
    }

    fn record(&mut self, event: &PendingAnswer, start: u64, end: u64) {
        let (index, read, free) = (event.index, event.read, clock::now());
        self.log.push(Served { index, read, start, end, free });
    }

    fn write(&mut self, event: &PendingAnswer) {
        let Some(to) = &mut self.connections[event.connection] else { return };
        // A hundred bytes find room; where they do not, the driver counts a lost event.
        if to.stream.write_all(&answer(self.carrier, &event.id)).is_err() {
            self.connections[event.connection] = None;
        }
    }
}
