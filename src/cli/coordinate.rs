//! `pushbench coordinate`, and the coordinator of `pushbench run --on`.

use crate::cli::progress::Show;
use crate::cli::run::{self as of_run, Measured};
use crate::cluster::coordinator::Cluster;
use crate::cluster::engine::{Engine, SSH, Start};
use crate::cluster::rendezvous::Rendezvous;
use crate::cluster::{self};
use crate::run::Progress as _;
use pushbench_core::error::{Error, Result};
use pushbench_core::units;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Options of a run that a coordinator refuses, and so does not show.
const REFUSED: [&str; 7] =
    ["webhook", "websocket", "command", "ca", "server_name", "cpus", "allow_host"];

#[derive(Debug, clap::Args)]
#[command(mut_args(|arg| if REFUSED.contains(&arg.get_id().as_str()) { arg.hide(true) } else { arg }))]
pub struct Args {
    /// Shards in all: drivers, and one with the targets
    #[arg(long, value_name = "N")]
    shards: usize,
    /// File to which the ticket is written, which each shard needs; only its owner may read it
    #[arg(long, value_name = "FILE")]
    ticket: PathBuf,
    #[command(flatten)]
    run: of_run::Args,
    #[command(flatten)]
    listening: Listening,
}

/// Where shards come together.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Several machines")]
pub struct Listening {
    /// The address that shards reach, with a port; 0 takes a free one [default: 127.0.0.1:0, which only shards on this
    /// machine reach]
    #[arg(
        long,
        value_name = "ADDR:PORT",
        default_value = "127.0.0.1:0",
        hide_default_value = true
    )]
    pub listen: SocketAddr,
    /// Time within which all shards must have joined
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = units::parse_duration)]
    pub join_within: Duration,
}

impl Default for Listening {
    fn default() -> Listening {
        Listening {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            join_within: Duration::from_secs(60),
        }
    }
}

/// The exit code of the run.
pub fn run(args: &Args) -> Result<u8> {
    if args.shards < 2 {
        return Err(Error::usage(format!(
            "--shards {}: write 2 or more: one has the targets, the others send events",
            args.shards
        )));
    }
    args.run.check_elsewhere()?;
    if !args.run.allow_hosts().is_empty() {
        return Err(Error::usage(
            "--allow-host: each shard has its own: write it behind pushbench shard".to_owned(),
        ));
    }
    let gather = |measured: &Measured<'_>, show: &mut Show| {
        let rendezvous = Rendezvous::open(args.listening.listen)?;
        rendezvous.ticket().write(&args.ticket)?;
        show.say(&format!(
            "waiting for {} shards at {}: pushbench shard --coordinator {1} --ticket {2} --rank 0 --size {0}; and so on for the other ranks",
            args.shards,
            rendezvous.address()?,
            args.ticket.display()
        ));
        let joined = gathered(
            rendezvous,
            args.shards,
            &args.listening,
            measured.interrupt,
            &mut || Ok(()),
            show,
        );
        // It is of no use any more.
        let _removed_already = std::fs::remove_file(&args.ticket);
        joined
    };
    of_run::run_on(&args.run, &mut |measured, show, run| {
        cluster::check(measured.request)?;
        let cluster = gather(measured, show)?;
        planned(&cluster, measured, show, run)
    })
}

/// The same with shards that an engine starts.
pub(super) fn on_engine(
    args: &of_run::Args,
    engine: &Engine,
    elsewhere: &of_run::Elsewhere,
) -> Result<u8> {
    let of_run::Elsewhere { shards, program, ssh, listening, .. } = elsewhere;
    if ssh.is_some() && *engine == Engine::Slurm {
        return Err(Error::usage(
            "--ssh: srun connects by itself; write --on ssh:HOST,HOST, or leave it out".to_owned(),
        ));
    }
    let size = match (engine, *shards) {
        (Engine::Ssh(hosts), None) => hosts.len(),
        (Engine::Ssh(hosts), Some(size)) if size != hosts.len() => {
            return Err(Error::usage(format!(
                "--shards {size}: --on names {} hosts, one for each shard",
                hosts.len()
            )));
        }
        (_, Some(size)) if size > 1 => size,
        (Engine::Slurm, None) => of_allocation()?,
        (_, Some(size)) => {
            return Err(Error::usage(format!(
                "--shards {size}: write 2 or more: one has the targets"
            )));
        }
    };
    args.check_elsewhere()?;
    let here = |host: &String| {
        let host = host.rsplit('@').next().unwrap_or_default();
        host == "localhost" || host.starts_with("127.")
    };
    let all_here = matches!(engine, Engine::Ssh(hosts) if hosts.iter().all(here));
    let own = listening.listen.ip();
    if own.is_unspecified() || own.is_loopback() && !all_here {
        return Err(Error::usage(
            "--on: name the address of this machine that the others reach, as in --listen 192.168.1.7:0".to_owned(),
        ));
    }
    of_run::run_on(args, &mut |measured, show, run| {
        cluster::check(measured.request)?;
        let rendezvous = Rendezvous::open(listening.listen)?;
        let own = std::env::current_exe()
            .map_err(|e| Error::harness(format!("cannot find this program: {e}")))?;
        let mut started = engine.start(&Start {
            coordinator: rendezvous.address()?,
            ticket: rendezvous.ticket(),
            size,
            allow_hosts: args.allow_hosts(),
            program: program.clone().unwrap_or(own),
            ssh: ssh.as_ref().map_or_else(|| vec![SSH.to_owned()], |words| words.0.clone()),
        })?;
        let cluster = gathered(
            rendezvous,
            size,
            listening,
            measured.interrupt,
            &mut || started.check(),
            show,
        )?;
        planned(&cluster, measured, show, run)
    })
}

/// The nodes of the allocation that this command is run in.
fn of_allocation() -> Result<usize> {
    let nodes = std::env::var("SLURM_JOB_NUM_NODES").ok().and_then(|n| n.parse().ok());
    nodes.filter(|n| *n > 1).ok_or_else(|| {
        Error::usage(
            "--on slurm: on how many nodes? Write --shards N, or run this in an allocation of two nodes or more".to_owned(),
        )
    })
}

fn gathered(
    rendezvous: Rendezvous,
    size: usize,
    listening: &Listening,
    interrupt: &AtomicBool,
    alive: &mut dyn FnMut() -> Result<()>,
    show: &mut Show,
) -> Result<Cluster> {
    rendezvous.gather(size, listening.join_within, interrupt, alive, &mut |line| show.say(line))
}

fn planned(
    cluster: &Cluster,
    measured: &Measured<'_>,
    show: &mut Show,
    run: &mut dyn FnMut(&Cluster, &mut Show) -> Result<u8>,
) -> Result<u8> {
    let ended =
        cluster.plan(measured.request, measured.interrupt).and_then(|()| run(cluster, show));
    cluster.bye();
    ended
}
