//! The options of a publisher about what it promises.

use pushbench_core::error::{Error, Result};
use pushbench_core::guarantee::{Guarantee, Jitter, Promise};
use pushbench_core::transport::Transport;
use pushbench_core::units;
use std::path::PathBuf;
use std::time::Duration;

/// What a publisher promises.
#[derive(Debug, clap::Args)]
pub struct GuaranteeOptions {
    /// How often an event reaches the application: at-most-once (the default), at-least-once, or exactly-once, which sends
    /// as at-least-once does and needs a receiver that removes duplicates
    #[arg(long, value_name = "PROMISE", requires = "publisher", value_parser = promise)]
    delivery: Option<Promise>,
    /// A webhook waits until the event before it is settled
    #[arg(long, requires = "publisher")]
    ordered: bool,
    /// Pause before the second attempt of a webhook; it doubles with each further one [default: 100ms]
    #[arg(long, value_name = "TIME", requires = "publisher", value_parser = units::parse_duration)]
    backoff: Option<Duration>,
    /// Longest pause between two attempts [default: 10s]
    #[arg(long, value_name = "TIME", requires = "publisher", value_parser = units::parse_duration)]
    backoff_max: Option<Duration>,
    /// How a pause is randomised: none, equal or full [default: full]
    #[arg(long, value_name = "JITTER", requires = "publisher", value_parser = jitter)]
    jitter: Option<Jitter>,
    /// Attempts for a webhook's delivery, after which it is lost [default: 10]
    #[arg(long, value_name = "N", requires = "publisher", value_parser = super::at_least_one)]
    attempts: Option<usize>,
    /// Events kept for subscribers that resume [default: 10000]
    #[arg(long, value_name = "N", requires = "publisher", value_parser = super::at_least_one)]
    log: Option<usize>,
    /// Keeps events and subscriptions in this file, and acknowledges an event when it is on disk
    #[arg(long, value_name = "FILE", requires = "publisher")]
    pub store: Option<PathBuf>,
}

fn promise(text: &str) -> std::result::Result<Promise, String> {
    match text {
        "at-most-once" => Ok(Promise::AtMostOnce),
        "at-least-once" => Ok(Promise::AtLeastOnce),
        "exactly-once" => Ok(Promise::ExactlyOnce),
        _ => Err("write at-most-once, at-least-once or exactly-once".into()),
    }
}

fn jitter(text: &str) -> std::result::Result<Jitter, String> {
    let all = [Jitter::None, Jitter::Equal, Jitter::Full];
    all.into_iter().find(|j| j.name() == text).ok_or_else(|| "write none, equal or full".into())
}

impl GuaranteeOptions {
    /// The policy, or what contradicts it. `acknowledged`: subscribers acknowledge.
    pub fn guarantee(&self, transport: Transport, acknowledged: bool) -> Result<Guarantee> {
        let default = Guarantee::default();
        let guarantee = Guarantee {
            delivery: self.delivery.unwrap_or_default(),
            ordered: self.ordered,
            durable: self.store.is_some(),
            backoff: self.backoff.unwrap_or(default.backoff),
            backoff_max: self.backoff_max.unwrap_or(default.backoff_max),
            jitter: self.jitter.unwrap_or(default.jitter),
            attempts: self.attempts.unwrap_or(default.attempts),
            log: self.log.unwrap_or(default.log),
            window: default.window,
        };
        let needs_retries = [
            ("--ordered", self.ordered),
            ("--backoff", self.backoff.is_some()),
            ("--backoff-max", self.backoff_max.is_some()),
            ("--jitter", self.jitter.is_some()),
            ("--attempts", self.attempts.is_some()),
            ("--log", self.log.is_some()),
        ];
        let contradiction = needs_retries.into_iter().find(|(_, given)| *given);
        if let Some((option, _)) = contradiction.filter(|_| !guarantee.retries()) {
            return Err(Error::usage(format!(
                "{option}: a publisher that delivers at most once sends nothing again: add --delivery at-least-once, or \
                 leave {option} out"
            )));
        }
        if guarantee.retries() && !acknowledged {
            return Err(Error::usage(
                "--unacknowledged: without acknowledgements nobody knows what to send again, and where to resume: leave it \
                 out, or write --delivery at-most-once",
            ));
        }
        if (guarantee.retries() || guarantee.durable) && transport == Transport::Tcp {
            let option = if guarantee.retries() { "--delivery" } else { "--store" };
            return Err(Error::usage(format!(
                "{option}: subscribers over tcp cannot resume: write pushbench serve websocket, or leave it out"
            )));
        }
        if guarantee.backoff_max < guarantee.backoff {
            let text = |time: Duration| units::nanos_text(time.as_nanos() as f64);
            let (first, most) = (text(guarantee.backoff), text(guarantee.backoff_max));
            let option = if self.backoff_max.is_some() { "--backoff-max" } else { "--backoff" };
            return Err(Error::usage(format!(
                "{option}: the first pause of {first} is longer than the longest of {most}: write --backoff-max with at \
                 least {first}, or a shorter --backoff"
            )));
        }
        Ok(guarantee)
    }
}
