//! `[faults]`: what breaks, the same for every arm of a block.

use crate::units;
use crate::units::nanos;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What the keys of a scenario begin with.
const PREFIX: &str = "faults.";

/// `[faults]`, `restart_after` apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Faults {
    /// When the outage, the cut or the kill begins, after the measured window began.
    #[serde(with = "nanos")]
    pub at: Duration,
    /// Receivers are down for so long; zero: never.
    #[serde(with = "nanos")]
    pub outage: Duration,
    /// The connections of all subscribers are reset at once.
    pub cut: bool,
    /// The publisher is killed and started anew.
    pub kill: bool,
    /// Share of the connections that a receiver resets before anything is sent.
    pub refuse: f64,
    /// Share of the deliveries at which a receiver resets the connection before it has processed them.
    pub reset: f64,
    /// Share of the deliveries that a receiver refuses with a 500.
    pub status_500: f64,
    /// With a 503 and Retry-After.
    pub status_503: f64,
    /// With a 429 and Retry-After.
    pub status_429: f64,
    /// What Retry-After says, in whole seconds.
    #[serde(with = "nanos")]
    pub retry_after: Duration,
    /// Share of the deliveries that are processed and whose acknowledgement is lost with the connection.
    pub lost_acks: f64,
    /// Receivers that refuse everything with a 500: the first ones.
    pub poison: usize,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults {
            at: Duration::from_secs(1),
            outage: Duration::ZERO,
            cut: false,
            kill: false,
            refuse: 0.0,
            reset: 0.0,
            status_500: 0.0,
            status_503: 0.0,
            status_429: 0.0,
            retry_after: Duration::from_secs(1),
            lost_acks: 0.0,
            poison: 0,
        }
    }
}

impl Faults {
    /// Nothing is given.
    pub fn is_default(&self) -> bool {
        *self == Faults::default()
    }

    /// Something breaks at an instant: then, for so long.
    pub fn planned(&self) -> Option<(Duration, Duration)> {
        (self.cut || self.kill || !self.outage.is_zero()).then_some((self.at, self.outage))
    }

    /// Something breaks at a rate or always.
    pub fn at_random(&self) -> bool {
        self.poison > 0 || self.rates().into_iter().any(|(_, rate)| rate > 0.0)
    }

    /// Something breaks.
    pub fn any(&self) -> bool {
        self.planned().is_some() || self.at_random()
    }

    /// Each rate with its key.
    pub fn rates(&self) -> [(&'static str, f64); 6] {
        [
            ("faults.refuse", self.refuse),
            ("faults.reset", self.reset),
            ("faults.status.500", self.status_500),
            ("faults.status.503", self.status_503),
            ("faults.status.429", self.status_429),
            ("faults.lost_acks", self.lost_acks),
        ]
    }

    /// Those that a built-in receiver is told, and the seed of their plan: `reset=1%,retry_after=1s,seed=7`.
    pub fn at_receiver(&self, seed: u64) -> String {
        let rates = self.rates().into_iter().filter(|(_, rate)| *rate > 0.0);
        let rates = rates.map(|(key, rate)| format!("{}={}%,", &key[PREFIX.len()..], rate * 100.0));
        let rates: String = rates.collect();
        format!("{rates}retry_after={}ns,seed={seed}", self.retry_after.as_nanos())
    }

    /// Reads what [`Faults::at_receiver`] writes.
    ///
    /// # Errors
    /// It is something else; with what to write.
    pub fn read_at_receiver(text: &str) -> Result<(Faults, u64), String> {
        let (mut faults, mut seed) = (Faults::default(), 0);
        for part in text.split(',') {
            let (name, value) = part.split_once('=').ok_or_else(|| {
                format!("\"{part}\" has no value: write for example reset=1%,seed=7")
            })?;
            let rate = match name {
                "seed" => {
                    let wrong = |_| format!("seed={value}: write a whole number");
                    seed = value.parse().map_err(wrong)?;
                    continue;
                }
                "retry_after" => {
                    faults.retry_after = units::parse_duration(value)?;
                    if faults.retry_after.subsec_nanos() != 0 {
                        return Err(format!("retry_after={value}: write whole seconds"));
                    }
                    continue;
                }
                "refuse" => &mut faults.refuse,
                "reset" => &mut faults.reset,
                "status.500" => &mut faults.status_500,
                "status.503" => &mut faults.status_503,
                "status.429" => &mut faults.status_429,
                "lost_acks" => &mut faults.lost_acks,
                _ => {
                    let names = Faults::default().rates().map(|(key, _)| &key[PREFIX.len()..]);
                    let names = names.join(", ");
                    return Err(format!(
                        "\"{name}\" is unknown: write {names}, retry_after or seed"
                    ));
                }
            };
            *rate = units::parse_percent(value)?;
        }
        match faults.rates().into_iter().map(|(_, rate)| rate).sum::<f64>() {
            all if (0.0..=1.0).contains(&all) => Ok((faults, seed)),
            all => Err(format!("{} % in all: write at most 100 %", all * 100.0)),
        }
    }

    /// `receivers down for 2 s after 1 s, 1 % of the acknowledgements lost`
    pub fn words(&self) -> String {
        let time = |length: Duration| units::nanos_text(length.as_nanos() as f64);
        let at = time(self.at);
        let mut words = Vec::new();
        if !self.outage.is_zero() {
            words.push(format!("receivers down for {} after {at}", time(self.outage)));
        }
        words.extend(self.cut.then(|| format!("all connections reset after {at}")));
        words.extend(self.kill.then(|| format!("publisher killed after {at}")));
        let names = [
            "of the connections reset at once",
            "of the deliveries met by a reset",
            "refused with 500",
            "refused with 503",
            "refused with 429",
            "of the acknowledgements lost",
        ];
        let rates = self.rates().into_iter().zip(names);
        words.extend(
            rates
                .filter(|((_, rate), _)| *rate > 0.0)
                .map(|((_, rate), name)| format!("{} % {name}", rate * 100.0)),
        );
        if self.poison > 0 {
            words.push(format!("{} receivers refuse everything", self.poison));
        }
        words.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_reads_what_it_is_told() {
        let faults = Faults {
            refuse: 0.25,
            reset: 0.01,
            status_503: 0.02,
            lost_acks: 0.03,
            retry_after: Duration::from_secs(2),
            ..Faults::default()
        };
        let (read, seed) = Faults::read_at_receiver(&faults.at_receiver(7)).unwrap();
        assert_eq!((read, seed), (faults, 7));
        for (wrong, why) in [
            ("reset", "write for example reset=1%"),
            ("resets=1%", "write refuse, reset, status.500"),
            ("reset=1", "write for example 5%"),
            ("reset=60%,lost_acks=60%", "at most 100 %"),
            ("retry_after=1500ms", "whole seconds"),
            ("seed=x", "whole number"),
        ] {
            let refused = Faults::read_at_receiver(wrong).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
    }
}
