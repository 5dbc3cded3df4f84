//! Where shards join a run: the coordinator's address, certificate and ticket, and who is let in.

use crate::cluster::STEP;
use crate::cluster::coordinator::Cluster;
use crate::cluster::protocol::{FromShard, Join, Role, ToShard};
use crate::cluster::ticket::{Ticket, hex};
use pushbench_core::error::{Error, Result};
use pushbench_core::record::run::Machine;
use pushbench_host::clock;
use pushbench_wire::link::{Link, LinkServer};
use std::io::{ErrorKind, Read as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

/// Where shards join: the coordinator's address, certificate and ticket.
pub struct Rendezvous {
    listener: TcpListener,
    server: LinkServer,
    ticket: Ticket,
}

/// A shard that has joined.
pub(super) struct Shard {
    pub role: Role,
    pub machine: Machine,
    pub link: Arc<Link>,
    /// CPUs of its driver, of which each is a shard of the schedule.
    pub cpus: usize,
    /// When it said something last, ns.
    pub last_heard: Arc<AtomicU64>,
    /// Its connection has ended.
    pub gone: Arc<AtomicBool>,
}

/// What a shard said, and when it was heard, ns.
pub(super) type Heard = (usize, Option<FromShard>, u64);

impl Rendezvous {
    /// Listens there, with a certificate and a token of its own.
    ///
    /// # Errors
    /// The address cannot be used.
    pub fn open(address: SocketAddr) -> Result<Rendezvous> {
        let cannot = |e: std::io::Error| {
            Error::usage(format!(
                "--listen {address}: {e}; name an address of this machine, as in --listen 192.168.1.7:0"
            ))
        };
        let listener = TcpListener::bind(address).map_err(cannot)?;
        listener.set_nonblocking(true).map_err(cannot)?;
        let server = LinkServer::make().map_err(cannot)?;
        let mut token = [0; 32];
        std::fs::File::open("/dev/urandom")
            .and_then(|mut source| source.read_exact(&mut token))
            .map_err(|e| Error::harness(format!("no random numbers: {e}")))?;
        let ticket = Ticket { fingerprint: server.fingerprint(), token };
        Ok(Rendezvous { listener, server, ticket })
    }

    /// What shards need.
    pub fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// Where shards connect.
    pub fn address(&self) -> Result<SocketAddr> {
        self.listener.local_addr().map_err(|e| Error::harness(format!("no address: {e}")))
    }

    /// Waits until all shards have joined: `size` in all, one of them a target. `alive`: an error where those that are
    /// still to come cannot come any more.
    pub fn gather(
        self,
        size: usize,
        limit: Duration,
        interrupt: &AtomicBool,
        alive: &mut dyn FnMut() -> Result<()>,
        say: &mut dyn FnMut(&str),
    ) -> Result<Cluster> {
        let began = Instant::now();
        let mut joined: Vec<Option<Shard>> = (0..size).map(|_| None).collect();
        let (sender, heard) = channel::<Heard>();
        // Whoever connects is heard beside the others: one that is silent keeps nobody waiting.
        let (introduced, introductions) = channel::<(SocketAddr, Introduction)>();
        let server = Arc::new(self.server);
        while joined.iter().any(Option::is_none) {
            if interrupt.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            alive()?;
            if began.elapsed() > limit {
                let missing: Vec<String> =
                    (0..size).filter(|r| joined[*r].is_none()).map(|r| r.to_string()).collect();
                let address = self.listener.local_addr().map(|a| a.to_string()).unwrap_or_default();
                return Err(Error::harness(format!(
                    "after {} s {} of {size} shards have not joined: rank {}; see what they printed, whether the engine has started them, and whether they reach {address}",
                    limit.as_secs(),
                    missing.len(),
                    missing.join(", "),
                )));
            }
            while let Ok((socket, peer)) = self.listener.accept() {
                let (server, introduced) = (server.clone(), introduced.clone());
                let hear = move || {
                    let heard = introduction(&server, socket);
                    let _joined_without_it = introduced.send((peer, heard));
                };
                let thread = std::thread::Builder::new().name("joining".to_owned()).spawn(hear);
                thread.map_err(|e| Error::harness(format!("cannot start a thread: {e}")))?;
            }
            // One that has joined may be gone again, and be started anew.
            while let Ok((rank, message, _)) = heard.try_recv() {
                if message.is_none() && joined[rank].take().is_some() {
                    say(&format!("rank {rank} is gone before the run has begun"));
                }
            }
            let Ok((peer, introduction)) = introductions.recv_timeout(STEP) else { continue };
            let welcomed =
                introduction.and_then(|(link, join)| welcome(&self.ticket, link, join, &joined));
            match welcomed {
                Ok((rank, shard)) => {
                    say(&format!(
                        "rank {rank} joined: {}, {}",
                        shard.role.name(),
                        shard.machine.host
                    ));
                    let (link, sender) = (shard.link.clone(), sender.clone());
                    let (last_heard, gone) = (shard.last_heard.clone(), shard.gone.clone());
                    std::thread::Builder::new()
                        .name(format!("rank-{rank}"))
                        .spawn(move || {
                            listen(rank, &link, &last_heard, &sender);
                            gone.store(true, Ordering::Relaxed);
                            let _nobody_waits = sender.send((rank, None, clock::now()));
                        })
                        .map_err(|e| Error::harness(format!("cannot start a thread: {e}")))?;
                    joined[rank] = Some(shard);
                }
                Err(why) => say(&format!("{peer} was refused: {why}")),
            }
        }
        let shards: Vec<Shard> = joined.into_iter().flatten().collect();
        Ok(Cluster::of(shards, heard))
    }
}

/// What somebody who connected said first, or why nothing was understood.
type Introduction = std::result::Result<(Link, Join), String>;

fn introduction(server: &LinkServer, socket: TcpStream) -> Introduction {
    let silent = |e: std::io::Error| match e.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => "it was silent".to_owned(),
        _ => e.to_string(),
    };
    socket.set_nonblocking(false).map_err(silent)?;
    let link = server.accept(socket).map_err(silent)?;
    let frame = link.receive(Some(Duration::from_secs(5))).map_err(silent)?;
    let frame = frame.ok_or("it closed the connection")?;
    let join = serde_json::from_slice(&frame).map_err(|e| format!("it is no shard: {e}"))?;
    Ok((link, join))
}

fn welcome(
    ticket: &Ticket,
    link: Link,
    join: Join,
    joined: &[Option<Shard>],
) -> std::result::Result<(usize, Shard), String> {
    if let Some(why) = objection(ticket, &join, joined) {
        let frame = serde_json::to_vec(&ToShard::Refused(why.clone())).unwrap_or_default();
        let _already_gone = link.send(&frame);
        return Err(why);
    }
    link.trust();
    let cpus = join.machine.cpus.len().max(1);
    let Join { rank, role, machine, .. } = join;
    let last_heard = Arc::new(AtomicU64::new(clock::now()));
    let gone = Arc::new(AtomicBool::new(false));
    Ok((rank, Shard { role, machine, link: Arc::new(link), cpus, last_heard, gone }))
}

/// Why a shard is not wanted.
fn objection(ticket: &Ticket, join: &Join, joined: &[Option<Shard>]) -> Option<String> {
    let (own, size) = (env!("CARGO_PKG_VERSION"), joined.len());
    // In a time that does not depend on where it differs.
    let expected = hex(&ticket.token);
    let differs = expected.bytes().zip(join.token.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    if differs != 0 || expected.len() != join.token.len() {
        return Some("its token is not that of this run".to_owned());
    }
    if join.version != own {
        return Some(format!(
            "it is pushbench {}, and the coordinator is {own}: install the same version on all machines",
            join.version
        ));
    }
    if join.size != size {
        return Some(format!(
            "it counts {} shards, and the coordinator {size}: start as many as --shards says",
            join.size
        ));
    }
    if join.rank >= size {
        return Some(format!(
            "it has rank {}, and the last one of {size} is {}",
            join.rank,
            size - 1
        ));
    }
    if joined[join.rank].is_some() {
        return Some(format!(
            "rank {} has joined already: give each shard a rank of its own",
            join.rank
        ));
    }
    let targets = joined.iter().flatten().filter(|shard| shard.role == Role::Target).count();
    let drivers = joined.iter().flatten().filter(|shard| shard.role == Role::Driver).count();
    match join.role {
        Role::Target if targets > 0 => {
            Some("there is a target already: write --role driver".to_owned())
        }
        Role::Driver if drivers + 1 == size => {
            Some("no rank is left for the target: write --role target".to_owned())
        }
        _ => None,
    }
}

/// Hears a shard until it is gone.
fn listen(rank: usize, link: &Link, last_heard: &AtomicU64, sender: &Sender<Heard>) {
    while let Ok(Some(frame)) = link.receive(None) {
        let at = clock::now();
        last_heard.store(at, Ordering::Relaxed);
        let Ok(message) = serde_json::from_slice::<FromShard>(&frame) else { break };
        if matches!(message, FromShard::Alive) {
            continue;
        }
        if sender.send((rank, Some(message), at)).is_err() {
            return;
        }
    }
}
