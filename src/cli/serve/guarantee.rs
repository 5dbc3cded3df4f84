//! The options of a server about what its deliveries promise.

use pushbench_core::error::{Error, Result};
use pushbench_core::guarantee::{Guarantee, Jitter, Promise};
use pushbench_core::scenario::Faults;
use pushbench_core::transport::Transport;
use pushbench_core::units;
use pushbench_server::receiver::Receiver;
use signal_hook::consts::{SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// What deliveries promise, and at a receiver what goes wrong with them.
#[derive(Debug, clap::Args)]
pub struct GuaranteeOptions {
    /// How often an event reaches the application. A publisher with at-least-once or exactly-once sends again or replays what
    /// was not acknowledged. A receiver counts events and duplicates, and shows the counts at SIGUSR2; with exactly-once it
    /// acknowledges duplicates and removes them. It closes its listener and resets its connections from SIGUSR1 to SIGUSR2
    #[arg(long, value_name = "PROMISE", value_parser = promise)]
    delivery: Option<Promise>,
    /// Ids that a receiver with exactly-once remembers
    #[arg(long, value_name = "N", requires = "delivery", conflicts_with = "publisher", value_parser = super::at_least_one)]
    window: Option<usize>,
    /// What a receiver does to its share of connections and events, by a seeded plan: for example
    /// refuse=1%,reset=1%,status.503=1%,retry_after=1s,lost_acks=1%,seed=7
    #[arg(long, value_name = "LIST", requires = "delivery", conflicts_with = "publisher", value_parser = Faults::read_at_receiver)]
    faults: Option<(Faults, u64)>,
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
    let all = [Promise::AtMostOnce, Promise::AtLeastOnce, Promise::ExactlyOnce];
    all.into_iter()
        .find(|promise| promise.name() == text)
        .ok_or_else(|| format!("write {}", all.map(Promise::name).join(", ")))
}

fn jitter(text: &str) -> std::result::Result<Jitter, String> {
    let all = [Jitter::None, Jitter::Equal, Jitter::Full];
    all.into_iter().find(|j| j.name() == text).ok_or_else(|| "write none, equal or full".into())
}

impl GuaranteeOptions {
    /// What a receiver does beyond acknowledging, where deliveries promise something or faults are planned. Signals control
    /// it. `answers`: it answers questions.
    pub fn receiver(&self, answers: bool) -> Result<Option<Receiver>> {
        let Some(delivery) = self.delivery else { return Ok(None) };
        if answers {
            return Err(Error::usage(
                "--delivery: answers to questions are not deduplicated: leave out --delivery or --duplex",
            ));
        }
        let default = Guarantee::default();
        let window = self.window.unwrap_or(default.window);
        let (faults, seed) = self.faults.clone().unwrap_or_default();
        let receiver = Receiver::new(&Guarantee { delivery, window, ..default }, &faults, seed);
        let signalled = receiver.clone();
        let cannot = |e: io::Error| Error::harness(format!("cannot listen for signals: {e}"));
        let mut signals = Signals::new([SIGUSR1, SIGUSR2]).map_err(cannot)?;
        std::thread::spawn(move || {
            for signal in signals.forever() {
                signalled.set_down(signal == SIGUSR1);
                if signal == SIGUSR2 {
                    let _nobody_reads_it = signalled.tell();
                }
            }
        });
        Ok(Some(receiver))
    }

    /// The policy of a publisher, or what contradicts it. `acknowledged`: subscribers acknowledge.
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
