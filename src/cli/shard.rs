//! `pushbench shard`

use crate::cli::interrupt_flag;
use crate::cluster::protocol::Role;
use crate::cluster::shard::Request;
use crate::cluster::ticket::Ticket;
use crate::cluster::{rank, shard};
use pushbench_core::error::{Error, Result};
use pushbench_core::units;
use pushbench_host::cpus::{Placement, allowed};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the coordinator listens
    #[arg(long, value_name = "HOST:PORT")]
    coordinator: String,
    /// What this machine does [default: the last rank has the targets]
    #[arg(long, value_name = "ROLE")]
    role: Option<Role>,
    /// Which shard this is, from 0 [default: as the engine says: SLURM_PROCID, OMPI_COMM_WORLD_RANK, JOB_COMPLETION_INDEX]
    #[arg(long, value_name = "R")]
    rank: Option<usize>,
    /// Shards in all [default: SLURM_NTASKS, OMPI_COMM_WORLD_SIZE, JOB_COMPLETIONS]
    #[arg(long, value_name = "N")]
    size: Option<usize>,
    /// File with the coordinator's ticket; - is standard input, whose end also ends the shard [default: the variable
    /// PUSHBENCH_TICKET]
    #[arg(long, value_name = "FILE")]
    ticket: Option<PathBuf>,
    /// Allows events to this host; only loopback is allowed otherwise
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    /// CPUs that this shard uses [default: all]
    #[arg(long, value_name = "LIST")]
    cpus: Option<String>,
    /// The coordinator may begin to listen this much later
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = units::parse_duration)]
    wait: Duration,
}

/// 0 when the run is over, 3 when the coordinator is gone.
pub fn run(args: &Args) -> Result<u8> {
    let rank = rank::read(args.rank, args.size, &|name| std::env::var(name).ok())?;
    let cpus = match &args.cpus {
        Some(text) => pushbench_host::cpus::list_of(text)
            .ok_or_else(|| Error::usage(format!("--cpus {text}: write a list such as 0-2,5")))?,
        None => allowed(),
    };
    let request = Request {
        coordinator: address(&args.coordinator)?,
        ticket: Ticket::read(args.ticket.as_deref())?,
        rank: rank.rank,
        size: rank.size,
        role: args.role.unwrap_or(match rank.rank + 1 == rank.size {
            true => Role::Target,
            false => Role::Driver,
        }),
        placement: Placement { driver: cpus.clone(), target: cpus },
        allow_hosts: args.allow_host.clone(),
        patience: args.wait,
    };
    let interrupt = interrupt_flag()?;
    if args.ticket.as_deref() == Some(Path::new("-")) {
        shard::end_with_standard_input()?;
    }
    shard::run(&request, &interrupt).map(|()| 0)
}

fn address(text: &str) -> Result<SocketAddr> {
    let found = text.to_socket_addrs().ok().and_then(|mut all| all.next());
    found.ok_or_else(|| {
        Error::usage(format!(
            "--coordinator {text}: write an address and a port, as the coordinator prints it"
        ))
    })
}
