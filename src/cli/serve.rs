//! `pushbench serve`

use crate::error::{Error, Result};
use crate::suggest::did_you_mean;
use crate::transport::handler::Handler;
use crate::transport::serve::{ServeOptions, serve};
use crate::transport::{ALL, Transport};
use crate::units;
use std::net::SocketAddr;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// webhook, websocket or tcp
    transport: String,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Sleeps this long per event
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration)]
    delay: Option<Duration>,
    /// Burns CPU this long per event
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration)]
    work: Option<Duration>,
    /// Runtime threads
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,
}

pub fn run(args: &Args) -> Result<()> {
    let names = || ALL.map(Transport::name);
    let transport = Transport::named(&args.transport).ok_or_else(|| {
        Error::usage(format!(
            "no transport is called \"{}\"{}; there are {}",
            args.transport,
            did_you_mean(&args.transport, names()),
            names().join(", ")
        ))
    })?;
    let listen: SocketAddr = args.listen.parse().map_err(|_| {
        Error::usage(format!(
            "--listen {}: not an address with a port; write for example --listen 127.0.0.1:8080",
            args.listen
        ))
    })?;
    crate::drive::limits::raise_descriptors();
    serve(&ServeOptions {
        transport,
        listen,
        threads: usize::from(args.threads),
        handler: Handler { delay: args.delay, work: args.work },
    })
}
