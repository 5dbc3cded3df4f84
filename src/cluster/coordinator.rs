//! The coordinator: it waits for shards, hands out the plan, gives each trial group a common origin, and gathers the
//! records.

use crate::cluster::merge::merged;
use crate::cluster::protocol::{Driven, FromShard, Join, Role, ToShard};
use crate::cluster::ticket::{Ticket, hex};
use crate::run;
use crate::run::group_builder::GroupSpec;
use pushbench_core::error::{Error, Result};
use pushbench_core::record::findings::Findings;
use pushbench_core::record::run::Machine;
use pushbench_host::clock;
use pushbench_load::block;
use pushbench_load::target_side::TargetRecord;
use pushbench_load::trial_group::{
    ExecutionContext, FinishedTrial, RemoteBlocks, TrialGroup, TrialObserver,
};
use pushbench_wire::link::{Link, LinkServer};
use std::io::{ErrorKind, Read as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two looks whether the user wants to stop.
const STEP: Duration = Duration::from_millis(20);
/// Questions for the clock of a shard: the shortest round trip tells most.
const CLOCK_QUESTIONS: u64 = 16;
/// Between the last open connection and the origin, and round trips beside it, so that every shard knows the origin in
/// time.
const LEAD_NS: u64 = 50_000_000;
const LEAD_ROUND_TRIPS: u64 = 8;
/// A shard that is told to stop has stopped after this, or is not waited for.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// Where shards join: the coordinator's address, certificate and ticket.
pub struct Rendezvous {
    listener: TcpListener,
    server: LinkServer,
    ticket: Ticket,
}

/// A shard that has joined.
struct Shard {
    role: Role,
    machine: Machine,
    link: Arc<Link>,
    /// CPUs of its driver, of which each is a shard of the schedule.
    cpus: usize,
}

/// What is waited for.
struct Wait<'a> {
    interrupt: &'a AtomicBool,
    until: Instant,
    /// Those that have not answered yet.
    whom: &'a [usize],
    /// What they are to do.
    what: &'static str,
}

impl<'a> Wait<'a> {
    fn of(
        interrupt: &'a AtomicBool,
        limit: Duration,
        whom: &'a [usize],
        what: &'static str,
    ) -> Wait<'a> {
        Wait { interrupt, until: Instant::now() + limit, whom, what }
    }
}

/// Setting targets up may load and build packages.
const SET_UP: Duration = Duration::from_secs(900);
/// A shard answers a question at once, starts targets or opens connections in this time.
const ANSWER: Duration = Duration::from_secs(120);
/// What a trial group takes longer than its load and its time-out.
const SPARE: Duration = Duration::from_secs(30);

/// What a shard said, and when it was heard, ns.
type Heard = (usize, Option<FromShard>, u64);

/// The shards of a run, by rank.
pub struct Cluster {
    shards: Vec<Shard>,
    heard: Mutex<Receiver<Heard>>,
}

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
                    std::thread::Builder::new()
                        .name(format!("rank-{rank}"))
                        .spawn(move || listen(rank, &link, &sender))
                        .map_err(|e| Error::harness(format!("cannot start a thread: {e}")))?;
                    joined[rank] = Some(shard);
                }
                Err(why) => say(&format!("{peer} was refused: {why}")),
            }
        }
        let shards: Vec<Shard> = joined.into_iter().flatten().collect();
        Ok(Cluster { shards, heard: Mutex::new(heard) })
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
    Ok((rank, Shard { role, machine, link: Arc::new(link), cpus }))
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
fn listen(rank: usize, link: &Link, sender: &Sender<Heard>) {
    while let Ok(Some(frame)) = link.receive(None) {
        let at = clock::now();
        let Ok(message) = serde_json::from_slice::<FromShard>(&frame) else { break };
        if sender.send((rank, Some(message), at)).is_err() {
            return;
        }
    }
    let _nobody_waits = sender.send((rank, None, clock::now()));
}

impl Cluster {
    /// The machines, by rank.
    pub fn machines(&self) -> Vec<Machine> {
        self.shards.iter().map(|shard| shard.machine.clone()).collect()
    }

    fn target(&self) -> usize {
        self.shards.iter().position(|shard| shard.role == Role::Target).unwrap_or(0)
    }

    fn drivers(&self) -> Vec<usize> {
        let all = self.shards.iter().enumerate();
        all.filter(|(_, shard)| shard.role == Role::Driver).map(|(rank, _)| rank).collect()
    }

    fn name(&self, rank: usize) -> String {
        let machine = &self.shards[rank].machine;
        format!("rank {rank} ({}, {})", machine.role, machine.host)
    }

    fn tell(&self, rank: usize, message: &ToShard) -> Result<()> {
        let frame = serde_json::to_vec(message)
            .map_err(|e| Error::harness(format!("cannot write a message: {e}")))?;
        self.shards[rank].link.send(&frame).map_err(|e| self.gone(rank, &format!(": {e}")))
    }

    /// Shards that have not answered in time.
    fn silent(&self, whom: &[usize], what: &str) -> Error {
        let names: Vec<String> = whom.iter().map(|rank| self.name(*rank)).collect();
        Error::harness(format!(
            "no answer in time from {} ({what}): is it paused, or its machine too busy? Its block is void, and the finished trials are kept",
            names.join(" and ")
        ))
    }

    fn gone(&self, rank: usize, why: &str) -> Error {
        Error::harness(format!(
            "{} is gone{why}; its block is void, and the finished trials are kept",
            self.name(rank)
        ))
    }

    /// The next message of any shard; an error where one is gone or has failed, where none comes in time, or where the user
    /// wants to stop.
    fn hear(&self, wait: &Wait<'_>, tick: &mut dyn FnMut()) -> Result<(usize, FromShard, u64)> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            tick();
            if wait.interrupt.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            if Instant::now() > wait.until {
                return Err(self.silent(wait.whom, wait.what));
            }
            match heard.recv_timeout(STEP) {
                Ok((rank, Some(FromShard::Stopped(failure)), _)) => {
                    return Err(match failure {
                        Some(f) if f.of_target => {
                            Error::target(format!("{}: {}", self.name(rank), f.why))
                        }
                        Some(f) => Error::harness(format!("{}: {}", self.name(rank), f.why)),
                        None => Error::harness(format!("{} was interrupted", self.name(rank))),
                    });
                }
                Ok((rank, Some(message), at)) => return Ok((rank, message, at)),
                Ok((rank, None, _)) => return Err(self.gone(rank, "")),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::harness("every shard is gone".to_owned()));
                }
            }
        }
    }

    /// Tells every shard what is measured, and waits until each can do its part.
    pub fn plan(&self, request: &run::Request, interrupt: &AtomicBool) -> Result<()> {
        let plan = ToShard::Plan {
            question: request.question.clone(),
            arms: request
                .arms
                .iter()
                .map(|arm| arm.label.split('#').next().unwrap_or_default().to_owned())
                .collect(),
            seed: request.seed,
        };
        (0..self.shards.len()).try_for_each(|rank| self.tell(rank, &plan))?;
        let mut waiting: Vec<usize> = (0..self.shards.len()).collect();
        while !waiting.is_empty() {
            let wait = Wait::of(interrupt, ANSWER, &waiting, "to read the plan");
            if let (rank, FromShard::Ready, _) = self.hear(&wait, &mut || ())? {
                waiting.retain(|other| *other != rank);
            }
        }
        Ok(())
    }

    /// What the target's machine sees of each arm.
    pub fn first_look(&self, interrupt: &AtomicBool) -> Result<Vec<Findings>> {
        self.tell(self.target(), &ToShard::FirstLook)?;
        let target = [self.target()];
        let wait = Wait::of(interrupt, SET_UP, &target, "to set up and look at the targets");
        loop {
            if let (_, FromShard::Looked(findings), _) = self.hear(&wait, &mut || ())? {
                return Ok(findings);
            }
        }
    }

    /// Ends the run for all shards.
    pub fn bye(&self) {
        for rank in 0..self.shards.len() {
            let _already_gone = self.tell(rank, &ToShard::Bye);
        }
    }

    /// Asks for the time of every shard: offset, and half of the shortest round trip (Cristian 1989).
    fn clock_offsets(&self, interrupt: &AtomicBool) -> Result<Vec<(i64, u64)>> {
        let mut clocks = Vec::new();
        for rank in 0..self.shards.len() {
            let mut best: Option<(i64, u64)> = None;
            for number in 0..CLOCK_QUESTIONS {
                let asked = clock::now();
                self.tell(rank, &ToShard::Clock(number))?;
                let whom = [rank];
                let wait = Wait::of(interrupt, ANSWER, &whom, "to tell the time");
                let (theirs, answered) = loop {
                    match self.hear(&wait, &mut || ())? {
                        (from, FromShard::Clock(n, theirs), at) if from == rank && n == number => {
                            break (theirs, at);
                        }
                        _ => {}
                    }
                };
                let half = (answered - asked).div_ceil(2);
                let offset = theirs as i64 - (asked + half) as i64;
                if best.is_none_or(|(_, known)| half < known) {
                    best = Some((offset, half));
                }
            }
            clocks.extend(best);
        }
        Ok(clocks)
    }

    fn measure(
        &self,
        group: &TrialGroup,
        interrupt: &AtomicBool,
        observer: &mut dyn TrialObserver,
    ) -> Result<Vec<FinishedTrial>> {
        let (spec, target, drivers) = (GroupSpec::of(group), self.target(), self.drivers());
        self.tell(target, &ToShard::Start(spec.clone()))?;
        let the_target = [target];
        let wait = Wait::of(interrupt, ANSWER, &the_target, "to start the targets");
        let urls = loop {
            if let (_, FromShard::Started(urls), _) = self.hear(&wait, &mut || observer.tick())? {
                break urls;
            }
        };
        let smallest = group.arms.iter().map(|arm| arm.connections).min().unwrap_or(1);
        let fans_out = group.arms.iter().any(|arm| arm.subscribers.is_some());
        let parts = parts(
            &drivers.iter().map(|rank| self.shards[*rank].cpus).collect::<Vec<_>>(),
            smallest,
            fans_out,
        );
        let working: Vec<(usize, (usize, usize, usize))> =
            drivers.iter().copied().zip(parts).filter(|(_, part)| part.1 > 0).collect();
        for (rank, part) in &working {
            let drive = ToShard::Drive { group: spec.clone(), urls: urls.clone(), part: *part };
            self.tell(*rank, &drive)?;
        }
        let mut waiting: Vec<usize> = working.iter().map(|(rank, _)| *rank).collect();
        while !waiting.is_empty() {
            let wait = Wait::of(interrupt, ANSWER, &waiting, "to open the connections");
            if let (rank, FromShard::Warm, _) = self.hear(&wait, &mut || observer.tick())? {
                waiting.retain(|other| *other != rank);
            }
        }
        let clocks = self.clock_offsets(interrupt)?;
        let slowest = clocks.iter().map(|(_, half)| half * 2).max().unwrap_or(0);
        let origin = clock::now() + LEAD_NS + LEAD_ROUND_TRIPS * slowest;
        let theirs = |rank: usize| origin.saturating_add_signed(clocks[rank].0);
        for rank in working.iter().map(|(rank, _)| *rank).chain([target]) {
            self.tell(rank, &ToShard::Origin(theirs(rank)))?;
        }
        observer.turns(group.arms.len());
        let mut driven: Vec<(usize, Vec<Driven>)> = Vec::new();
        let mut waiting: Vec<usize> = working.iter().map(|(rank, _)| *rank).collect();
        let length = Duration::from_nanos(group.slices.wall_length()) + group.load.timeout + SPARE;
        let until = Instant::now() + length;
        while !waiting.is_empty() {
            let wait = Wait { interrupt, until, whom: &waiting, what: "to send its events" };
            match self.hear(&wait, &mut || observer.tick())? {
                (_, FromShard::Second(arm, responses), _) => observer.second(arm, &responses),
                (rank, FromShard::Driven(trials), _) => {
                    waiting.retain(|other| *other != rank);
                    driven.push((rank, trials));
                }
                _ => {}
            }
        }
        self.tell(target, &ToShard::Finish)?;
        let wait = Wait::of(interrupt, ANSWER, &the_target, "to read what the targets spent");
        let observed: TargetRecord = loop {
            if let (_, FromShard::Observed(record), _) =
                self.hear(&wait, &mut || observer.tick())?
            {
                break record;
            }
        };
        driven.sort_by_key(|(rank, _)| *rank);
        merged(group, driven, (target, observed), &clocks)
    }

    /// Ends what is going on, wherever it is. Shards that are gone need not be told.
    fn stop(&self) {
        let mut waiting: Vec<usize> = (0..self.shards.len())
            .filter(|rank| self.tell(*rank, &ToShard::Stop).is_ok())
            .collect();
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let until = Instant::now() + STOP_LIMIT;
        while !waiting.is_empty() && Instant::now() < until {
            if let Ok((rank, None | Some(FromShard::Idle), _)) = heard.recv_timeout(STEP) {
                waiting.retain(|other| *other != rank);
            }
        }
    }
}

impl RemoteBlocks for Cluster {
    fn run(
        &self,
        group: &TrialGroup,
        context: &ExecutionContext<'_>,
        observer: &mut dyn TrialObserver,
    ) -> Result<Vec<FinishedTrial>> {
        let measured = self.measure(group, context.interrupt, observer);
        if measured.is_err() {
            self.stop();
        }
        measured
    }
}

/// How many shards of the schedule each driver has: one a CPU, no more in all than there are connections. The number of
/// its first one, its own, and those of all.
fn parts(cpus: &[usize], connections: usize, fans_out: bool) -> Vec<(usize, usize, usize)> {
    let of = block::shards(cpus.iter().sum(), connections, fans_out);
    // Each driver gets one before any gets a second one.
    let mut own = vec![0; cpus.len()];
    let mut left = of;
    while left > 0 {
        for (own, cpus) in own.iter_mut().zip(cpus) {
            if left > 0 && *own < *cpus {
                (*own, left) = (*own + 1, left - 1);
            }
        }
    }
    let first = own.iter().scan(0, |sum, own| {
        let first = *sum;
        *sum += own;
        Some(first)
    });
    first.collect::<Vec<_>>().into_iter().zip(own).map(|(first, own)| (first, own, of)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_spread_over_drivers_without_a_gap() {
        assert_eq!(parts(&[2, 2], 32, false), [(0, 2, 4), (2, 2, 4)]);
        assert_eq!(parts(&[1, 4], 3, false), [(0, 1, 3), (1, 2, 3)]);
        assert_eq!(parts(&[4, 4], 1, false), [(0, 1, 1), (1, 0, 1)]);
        assert_eq!(parts(&[2, 2], 32, true), [(0, 1, 1), (1, 0, 1)]);
    }
}
