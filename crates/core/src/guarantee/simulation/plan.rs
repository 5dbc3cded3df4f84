//! What happens in a simulated schedule: a policy, and what breaks when. Drawn from a seed.

use super::{Bug, MS};
use crate::guarantee::{Guarantee, Jitter, Promise};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::time::Duration;

/// Events of a schedule at most; their ids are 1, 2, ….
pub(super) const EVENTS: usize = 24;

/// What breaks at one receiver. Shares are of its deliveries or connections.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    pub(super) refuse: f64,
    pub(super) reset: f64,
    /// 500.
    pub(super) error: f64,
    /// 503 or 429, with Retry-After.
    pub(super) busy: f64,
    pub(super) retry_after: u64,
    /// 410.
    pub(super) gone: f64,
    /// Processed, then the connection is reset instead of acknowledged.
    pub(super) lost_acks: f64,
    /// Processed, and the acknowledgement never arrives.
    pub(super) silent: f64,
    /// Refuses everything.
    pub(super) poison: bool,
    /// Longest processing of an event.
    pub(super) slow: u64,
    /// Down from, until.
    pub(super) outages: Vec<(u64, u64)>,
}

/// One schedule.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) streams: bool,
    pub(super) guarantee: Guarantee,
    /// The instant of each event's publication.
    pub(super) published: Vec<u64>,
    /// Open events that the publisher keeps for a receiver.
    pub(super) capacity: usize,
    /// For an acknowledgement.
    pub(super) timeout: u64,
    /// Longest transfer of a message, apart from one in fifty.
    pub(super) delay: u64,
    /// Longest sync of the store.
    pub(super) sync: u64,
    /// The publisher is killed at, is back at.
    pub(super) kills: Vec<(u64, u64)>,
    /// All connections are reset at.
    pub(super) cuts: Vec<u64>,
    /// Of each receiver.
    pub(super) faults: Vec<Faults>,
}

/// A random number generator of a schedule; `stream` says whose.
pub(super) fn random(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}

impl Faults {
    fn draw(rng: &mut ChaCha8Rng, streams: bool, end: u64) -> Faults {
        let most = [0.0, 0.05, 0.3][rng.random_range(0..3)];
        let mut share = || if rng.random_bool(0.4) { rng.random_range(0.0..=most) } else { 0.0 };
        let [refuse, reset, error, busy, lost_acks, silent] = std::array::from_fn(|_| share());
        let gone = if streams { 0.0 } else { share() / 20.0 };
        let outages = (0..rng.random_range(0..=2_u32)).map(|_| {
            let from = rng.random_range(0..end);
            (from, from + rng.random_range(0..300 * MS))
        });
        Faults {
            outages: outages.collect(),
            refuse,
            reset,
            error,
            busy,
            retry_after: rng.random_range(0..400 * MS),
            gone,
            lost_acks,
            silent: silent / 4.0,
            poison: rng.random_bool(0.03),
            slow: [MS, 10 * MS, 10 * MS, 60 * MS][rng.random_range(0..4)],
        }
    }
}

impl Plan {
    /// The schedule of this seed.
    pub(super) fn draw(seed: u64) -> Plan {
        let rng = &mut random(seed, 0);
        let streams = rng.random_bool(0.5);
        let interval = [2 * MS, 20 * MS, 60 * MS][rng.random_range(0..3)];
        let mut at = 20 * MS;
        let published = (0..rng.random_range(8..=EVENTS)).map(|_| {
            at += rng.random_range(0..interval);
            at
        });
        let published: Vec<u64> = published.collect();
        let end = at + 100 * MS;
        let faults = (0..rng.random_range(1..=3)).map(|_| Faults::draw(rng, streams, end));
        let faults = faults.collect();
        let instants = |rng: &mut ChaCha8Rng, most| -> Vec<(u64, u64)> {
            let kills = (0..rng.random_range(0..=most)).map(|_| {
                let at = rng.random_range(0..end);
                (at, at + rng.random_range(0..200 * MS))
            });
            kills.collect()
        };
        let kills = if rng.random_bool(0.5) { instants(rng, 2) } else { Vec::new() };
        let cuts = instants(rng, 2);
        // Most schedules have limits that are hardly ever reached.
        let limit = |rng: &mut ChaCha8Rng, most: usize| {
            if rng.random_bool(0.85) { EVENTS } else { rng.random_range(1..=most) }
        };
        let once = !streams && rng.random_bool(0.1);
        let guarantee = Guarantee {
            delivery: match rng.random_range(0..3) {
                _ if once => Promise::AtMostOnce,
                0 => Promise::AtLeastOnce,
                _ => Promise::ExactlyOnce,
            },
            ordered: rng.random_bool(0.5),
            durable: rng.random_bool(0.7),
            backoff: Duration::from_nanos(rng.random_range(1..20 * MS)),
            backoff_max: Duration::from_nanos(rng.random_range(20 * MS..200 * MS)),
            jitter: [Jitter::None, Jitter::Equal, Jitter::Full][rng.random_range(0..3)],
            attempts: if rng.random_bool(0.9) { 30 } else { rng.random_range(1..10) },
            log: limit(rng, 12),
            window: limit(rng, 8),
        };
        Plan {
            seed,
            streams,
            guarantee,
            published,
            capacity: limit(rng, 8),
            timeout: rng.random_range(60 * MS..200 * MS),
            delay: rng.random_range(1..10 * MS),
            sync: rng.random_range(1..10 * MS),
            kills,
            cuts: cuts.into_iter().map(|(at, _)| at).collect(),
            faults,
        }
    }

    /// A restart reads unsettled deliveries back. With at most one attempt they may have had it.
    pub(super) fn keeps_deliveries(&self) -> bool {
        self.guarantee.durable && self.guarantee.retries()
    }

    /// The same with a first receiver at which nothing breaks.
    pub(super) fn with_healthy_first(mut self) -> Plan {
        self.faults[0] = Faults { slow: MS, ..Faults::default() };
        self
    }

    /// The policy that the machines are given.
    pub(super) fn policy(&self, bug: Option<Bug>) -> Guarantee {
        let mut policy = self.guarantee;
        match bug {
            Some(Bug::OneAttemptTooMany) => policy.attempts += 1,
            Some(Bug::OrderNotKept) => policy.ordered = false,
            Some(Bug::PausesTooShort) => policy.backoff /= 2,
            _ => {}
        }
        policy
    }
}
