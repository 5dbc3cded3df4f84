//! A shard: it connects to its coordinator, and does what that asks for until the connection ends. Nothing here listens
//! for commands.

use crate::cluster::STEP;
use crate::cluster::coordinator_link::{Order, Signals, connect, lost, read, tell};
use crate::cluster::protocol::{Driven, DriverPart, Failure, FromShard, Join, Role, ToShard};
use crate::cluster::ticket::Ticket;
use crate::run::arms::{self, Arm};
use crate::run::group_builder::GroupSpec;
use crate::run::{self, environment};
use pushbench_core::error::{Error, Result};
use pushbench_core::event::Template;
use pushbench_core::publishing::TOKEN_VARIABLE;
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::run::Machine;
use pushbench_core::scenario::Question;
use pushbench_host::clock;
use pushbench_host::cpus::Placement;
use pushbench_load::block;
use pushbench_load::subscriber::Spread;
use pushbench_load::target_side::{TargetSide, TargetUrls};
use pushbench_load::trial_group::{ExecutionContext, Part, TrialObserver};
use pushbench_sut::publisher::SecretSource;
use pushbench_wire::endpoint::Endpoint;
use pushbench_wire::link::Link;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The exit code of a shard whose coordinator is gone.
const GONE: u8 = 3;

/// The parameters of `pushbench shard`.
pub struct Request {
    /// Where the coordinator listens.
    pub coordinator: SocketAddr,
    /// What it shows and wants to see.
    pub ticket: Ticket,
    /// From 0.
    pub rank: usize,
    /// Shards in all.
    pub size: usize,
    /// What this one does.
    pub role: Role,
    /// CPUs of this machine.
    pub placement: Placement,
    /// Hosts beside loopback to which events may go.
    pub allow_hosts: Vec<String>,
    /// The coordinator may begin to listen this much later.
    pub patience: Duration,
}

/// Takes part in a run until it is over. `interrupt`: set when the user wants to stop.
pub fn run(request: &Request, interrupt: &Arc<AtomicBool>) -> Result<()> {
    let link = connect(request, interrupt)?;
    let signals = Arc::new(Signals {
        link,
        stop: Arc::new(AtomicBool::new(false)),
        origin: Mutex::new(None),
        finish: AtomicBool::new(false),
        release: AtomicBool::new(false),
    });
    let own = signals.link.addresses().map_err(|e| lost(&e.to_string()))?.0.ip();
    tell(&signals.link, &join(request))?;
    let (sender, orders) = channel();
    let (reading, ctrl_c) = (signals.clone(), interrupt.clone());
    std::thread::Builder::new()
        .name("link".to_owned())
        .spawn(move || read(&reading, &sender, &ctrl_c))
        .map_err(|e| Error::harness(format!("cannot start a thread: {e}")))?;
    let mut worker = Worker { request, own, signals: &signals, plan: None };
    let ended = worker.work(&orders, interrupt);
    signals.link.close();
    ended
}

/// Ends this process when standard input ends: whoever started it is gone. Its targets end with it.
pub fn end_with_standard_input() -> Result<()> {
    let wait = || {
        let mut rest = std::io::stdin().lock();
        let _ended = std::io::copy(&mut rest, &mut std::io::sink());
        std::process::exit(i32::from(GONE));
    };
    let thread = std::thread::Builder::new().name("stdin".to_owned()).spawn(wait);
    thread.map(drop).map_err(|e| Error::harness(format!("cannot start a thread: {e}")))
}

fn join(request: &Request) -> Join {
    Join {
        token: crate::cluster::ticket::hex(&request.ticket.token),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        rank: request.rank,
        size: request.size,
        role: request.role,
        machine: Machine {
            rank: request.rank,
            role: request.role.name().to_owned(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            cpus: match request.role {
                Role::Driver => request.placement.driver.clone(),
                Role::Target => request.placement.target.clone(),
            },
            environment: environment::describe(),
        },
    }
}

struct Worker<'a> {
    request: &'a Request,
    /// The address by which other machines reach this one.
    own: IpAddr,
    signals: &'a Arc<Signals>,
    plan: Option<run::Request>,
}

impl Worker<'_> {
    fn work(&mut self, orders: &Receiver<Order>, interrupt: &AtomicBool) -> Result<()> {
        loop {
            let order = match orders.recv_timeout(STEP) {
                Ok(Order::Do(order)) => *order,
                Ok(Order::Gone) | Err(RecvTimeoutError::Disconnected) => {
                    return Err(lost("it was closed before the run was over"));
                }
                Err(RecvTimeoutError::Timeout) if interrupt.load(Ordering::Relaxed) => {
                    // So that it is not taken for one that was killed.
                    let _lost = tell(&self.signals.link, &FromShard::Stopped(None));
                    return Err(Error::Interrupted);
                }
                Err(RecvTimeoutError::Timeout) => continue,
            };
            let answer = match order {
                ToShard::Bye => return Ok(()),
                ToShard::Refused(why) => {
                    return Err(Error::usage(format!("the coordinator refuses this shard: {why}")));
                }
                // It came when nothing was going on any more.
                ToShard::Stop => {
                    self.signals.stop.store(false, Ordering::Relaxed);
                    FromShard::Idle
                }
                other => self.answer(other),
            };
            tell(&self.signals.link, &answer)?;
        }
    }

    fn answer(&mut self, order: ToShard) -> FromShard {
        self.signals.finish.store(false, Ordering::Relaxed);
        self.signals.release.store(false, Ordering::Relaxed);
        *self.origin() = None;
        let done = match order {
            ToShard::Plan { question, arms, seed, key } => {
                self.prepare(question, &arms, seed, key).map(|()| FromShard::Ready)
            }
            ToShard::FirstLook => self.first_look(),
            ToShard::Start(group) => self.serve(&group),
            ToShard::Drive { group, urls, part } => self.drive(&group, urls, part),
            _ => Err(Error::harness("an order that is none".to_owned())),
        };
        done.unwrap_or_else(|e| {
            let stopped = matches!(e, Error::Interrupted);
            let failure =
                Failure { of_target: matches!(e, Error::Target { .. }), why: e.to_string() };
            FromShard::Stopped((!stopped).then_some(failure))
        })
    }

    fn origin(&self) -> std::sync::MutexGuard<'_, Option<u64>> {
        self.signals.origin.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Only what this machine's own descriptions and the shipped ones name is ever started.
    fn prepare(
        &mut self,
        question: Question,
        names: &[String],
        seed: u64,
        key: String,
    ) -> Result<()> {
        let placement = self.request.placement.clone();
        let mut builtin = arms::builtin(&question, &placement)?;
        builtin.secrets = SecretSource::shared(key);
        if let Some(publish) = &mut builtin.publish {
            publish.token = builtin.secrets.secret(TOKEN_VARIABLE)?;
        }
        let mut arms = arms::find(names, &builtin, &self.request.allow_hosts, None)?;
        if self.request.role == Role::Target {
            for arm in &mut arms {
                let manifest = arm.manifest.clone().at_host(self.own)?;
                arm.manifest = manifest.delivering_to(&addresses(&self.request.allow_hosts)?);
            }
        }
        let command = Vec::new();
        self.plan =
            Some(run::Request { question, arms, seed, placement, out: PathBuf::new(), command });
        Ok(())
    }

    fn plan(&self) -> Result<&run::Request> {
        self.plan.as_ref().ok_or_else(|| Error::harness("an order came before the plan".to_owned()))
    }

    fn first_look(&mut self) -> Result<FromShard> {
        let stop = self.signals.stop.clone();
        let plan = self.plan.as_mut().ok_or_else(|| Error::harness("no plan".to_owned()))?;
        if let Some(point) = plan.question.points.first() {
            let template = Template::of(&point.scenario);
            let timeout = point.scenario.load.timeout;
            let context = crate::verify::VerifyContext {
                cpus: &plan.placement.target,
                interrupt: &stop,
                template: &template,
            };
            arms::prepare(&mut plan.arms, &context, timeout, &mut |_| ())?;
        }
        run::first_look(plan, &stop).map(FromShard::Looked)
    }

    fn serve(&self, spec: &GroupSpec) -> Result<FromShard> {
        let plan = self.plan()?;
        let group = spec.group(plan)?;
        let context = ExecutionContext::here(&plan.placement, &self.signals.stop);
        let mut side = TargetSide::start(&group, &context)?;
        tell(&self.signals.link, &FromShard::Started(side.urls()?))?;
        let origin = self.wait_until(|| *self.origin())?;
        let observed = side.measure(origin, &|| self.signals.finish.load(Ordering::Relaxed))?;
        tell(&self.signals.link, &FromShard::Observed(observed))?;
        self.wait_for_release()?;
        side.end();
        Ok(FromShard::Ended)
    }

    fn wait_for_release(&self) -> Result<()> {
        self.wait_until(|| self.signals.release.load(Ordering::Relaxed).then_some(()))
    }

    fn wait_until<T>(&self, ready: impl Fn() -> Option<T>) -> Result<T> {
        loop {
            if let Some(ready) = ready() {
                return Ok(ready);
            }
            if self.signals.stop.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn drive(
        &self,
        spec: &GroupSpec,
        urls: Vec<TargetUrls>,
        DriverPart { first, here, of, share }: DriverPart,
    ) -> Result<FromShard> {
        let plan = self.plan()?;
        let mut group = spec.group(plan)?;
        let mut elsewhere = false;
        for (arm, urls) in group.arms.iter_mut().zip(urls) {
            for url in [Some(&urls.events), urls.subscribe.as_ref()].into_iter().flatten() {
                elsewhere |= !self.checked(&plan.arms[arm.arm], url)?.is_loopback();
            }
            arm.manifest.is_running_at(urls.events, urls.subscribe);
        }
        let address = match self.own {
            IpAddr::V4(own) if elsewhere => Some(own),
            IpAddr::V6(own) if elsewhere && group.arms.iter().any(|a| a.subscribers.is_some()) => {
                return Err(Error::usage(format!(
                    "subscribers are reached by IPv4, and this machine reaches the coordinator from {own}: give the coordinator an IPv4 address with --listen"
                )));
            }
            _ => None,
        };
        let margin = AtomicI64::new(0);
        let barrier = || {
            tell(&self.signals.link, &FromShard::Warm)?;
            let origin = self.wait_until(|| *self.origin())?;
            margin.store(origin as i64 - clock::now() as i64, Ordering::Relaxed);
            Ok(origin)
        };
        let drained = || {
            tell(&self.signals.link, &FromShard::Drained)?;
            self.wait_for_release()
        };
        let spread = Spread { share, address };
        let run = crate::cluster::ticket::hex(&self.request.ticket.fingerprint.0[..8]);
        let part = Part { run: &run, first, here, of, spread, origin: &barrier, drained: &drained };
        let context = ExecutionContext {
            part: Some(&part),
            ..ExecutionContext::here(&plan.placement, &self.signals.stop)
        };
        let mut observer = Telling { link: &self.signals.link };
        let finished = block::run(&group, &context, &mut observer)?;
        let driven = finished.into_iter().map(|finished| Driven {
            trial: finished.trial,
            seconds: finished.seconds,
            event_records: finished.event_records,
            margin_ns: margin.load(Ordering::Relaxed),
        });
        Ok(FromShard::Driven(driven.collect()))
    }

    /// Events go to loopback, and to hosts that this shard's own command line names.
    fn checked(&self, arm: &Arm, url: &str) -> Result<Endpoint> {
        let endpoint =
            Endpoint::parse(url).map_err(|why| Error::harness(format!("{url}: {why}")))?;
        let allowed =
            self.request.allow_hosts.iter().any(|host| host.eq_ignore_ascii_case(&endpoint.host));
        match endpoint.is_loopback() || allowed {
            true => Ok(endpoint),
            false => Err(Error::usage(format!(
                "{} would send events to {}, which is not this machine: add --allow-host {} to the command of the run, or of each shard",
                arm.label, endpoint.host, endpoint.host
            ))),
        }
    }
}

/// The addresses of these hosts.
fn addresses(hosts: &[String]) -> Result<Vec<IpAddr>> {
    let mut all = Vec::new();
    for host in hosts {
        let found = (host.trim_matches(['[', ']']), 0).to_socket_addrs().map_err(|e| {
            Error::usage(format!("--allow-host {host}: {e}; write its address, as in 192.168.1.10"))
        })?;
        all.extend(found.map(|address| address.ip()));
    }
    Ok(all)
}

/// Tells the coordinator what each second brought.
struct Telling<'a> {
    link: &'a Link,
}

impl TrialObserver for Telling<'_> {
    fn second(&mut self, arm: usize, responses: &Hist) {
        // Where the connection is lost, the thread that reads it ends the trial.
        let _lost = tell(self.link, &FromShard::Second(arm, responses.clone()));
    }

    fn tick(&mut self) {}
}
