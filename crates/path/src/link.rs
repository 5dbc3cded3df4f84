//! One direction of the path: when a packet that enters it comes out, or why it does not.
//!
//! A pure model: instants are given, in ns of any one clock, and the same seed gives the same losses and the
//! same jitter. What happens to a packet, in this order:
//!
//! 1. Within a pause it is dropped.
//! 2. With a rate limit it joins the queue of a line that sends one packet after the other, byte by byte. The
//!    queue holds what waits and what is not yet sent of the packet on the line. A packet that does not fit is
//!    dropped (tail drop).
//! 3. It is lost or not ([`LinkSettings::loss`]). A lost packet has used the line.
//! 4. It comes out after the delay and the jitter, never before the packet that entered before it.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// What a direction does to its packets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinkSettings {
    /// Time from the last byte sent to the packet's arrival, ns.
    pub delay: u64,
    /// What is added to the delay of each packet: drawn uniformly from 0 to this, ns, independently of the
    /// others. Packets that follow each other closely are not reordered: one that would come out before the
    /// packet ahead of it comes out with it, so in a burst the added delay is longer in the mean.
    pub jitter: u64,
    /// The part of packets that are lost in the long run, 0 to 1.
    ///
    /// With `loss_burst` above 1 the losses are those of the Gilbert–Elliott model in its simplest form: every
    /// packet is lost in the bad state and none in the good one. The state changes from packet to packet, from bad
    /// to good with probability `r` and from good to bad with `p`. A burst of losses then has a geometric length
    /// with mean `1/r`, and the long-run loss is `p/(p+r)`; so `r = 1/loss_burst` and
    /// `p = r·loss/(1 − loss)` (E. N. Gilbert, Capacity of a burst-noise channel, Bell System Technical Journal
    /// 39, 1960; E. O. Elliott, the same journal 42, 1963; parameters as in G. Hasslinger and O. Hohlfeld, The
    /// Gilbert-Elliott model for packet loss in real time services on the Internet, MMB 2008).
    pub loss: f64,
    /// Mean number of packets lost in a row; 1: each is lost independently of the others.
    pub loss_burst: f64,
    /// Bits of IP packets a second; `None`: unlimited.
    pub rate: Option<u64>,
    /// Length of the queue of the rate limit, bytes of IP packets.
    pub queue: u64,
}

/// A byte, where a line sends `rate` parts of it in a nanosecond.
const BYTE: u128 = 8_000_000_000;

/// What happens to a packet that enters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admitted {
    /// It comes out at this instant.
    At(u64),
    /// It is lost on the way.
    Lost,
    /// There is no room in the queue of the rate limit.
    QueueFull,
    /// The path is paused.
    Paused,
}

/// The state of a direction.
#[derive(Debug, Clone)]
pub struct Link {
    settings: LinkSettings,
    losses: Losses,
    jitter: ChaCha8Rng,
    /// What was in the queue at `as_of`, in parts of a [`BYTE`].
    backlog: u128,
    as_of: u64,
    /// When the packet before comes out.
    last: u64,
    /// First instant of the pause, and the first one after it.
    pause: (u64, u64),
}

impl Link {
    /// Nothing is under way. Losses and jitter have random numbers of their own: one does not change the other.
    pub fn new(settings: LinkSettings, seed: u64) -> Link {
        let mut jitter = ChaCha8Rng::seed_from_u64(seed);
        jitter.set_stream(1);
        let losses = Losses::new(settings.loss, settings.loss_burst, seed);
        Link { settings, losses, jitter, backlog: 0, as_of: 0, last: 0, pause: (0, 0) }
    }

    /// Packets that enter from `from` on and before `until` are dropped.
    pub fn pause(&mut self, from: u64, until: u64) {
        self.pause = (from, until);
    }

    /// A packet of that many bytes enters. `now` never goes back.
    pub fn admit(&mut self, now: u64, bytes: usize) -> Admitted {
        if (self.pause.0..self.pause.1).contains(&now) {
            return Admitted::Paused;
        }
        let Some(sent) = self.send(now, bytes) else { return Admitted::QueueFull };
        if self.losses.next() {
            return Admitted::Lost;
        }
        self.last = self.last.max(sent + self.delay());
        Admitted::At(self.last)
    }

    /// When the packet's last byte is on the line; `None` where the queue has no room for it.
    fn send(&mut self, now: u64, bytes: usize) -> Option<u64> {
        let Some(rate) = self.settings.rate else { return Some(now) };
        let sent = u128::from(now - self.as_of) * u128::from(rate);
        self.backlog = self.backlog.saturating_sub(sent);
        self.as_of = now;
        let with_it = self.backlog + bytes as u128 * BYTE;
        if with_it > u128::from(self.settings.queue) * BYTE {
            return None;
        }
        self.backlog = with_it;
        Some(now + with_it.div_ceil(u128::from(rate)) as u64)
    }

    fn delay(&mut self) -> u64 {
        let LinkSettings { delay, jitter, .. } = self.settings;
        match jitter {
            0 => delay,
            _ => delay + self.jitter.random_range(0..=jitter),
        }
    }
}

/// Which packets are lost.
#[derive(Debug, Clone)]
struct Losses {
    rng: ChaCha8Rng,
    /// Probability of a loss after a packet that passed, and after one that was lost.
    after: [f64; 2],
    lost: bool,
}

impl Losses {
    fn new(loss: f64, burst: f64, seed: u64) -> Losses {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let after = match burst > 1.0 {
            true => [loss / (1.0 - loss) / burst, 1.0 - 1.0 / burst],
            false => [loss, loss],
        };
        // As likely bad as in the long run.
        let lost = loss > 0.0 && rng.random::<f64>() < loss;
        Losses { rng, after, lost }
    }

    /// Whether the next packet is lost.
    fn next(&mut self) -> bool {
        let probability = self.after[usize::from(self.lost)];
        self.lost = probability > 0.0 && self.rng.random::<f64>() < probability;
        self.lost
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
