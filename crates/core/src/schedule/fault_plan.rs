//! Which delivery and which connection a planned fault meets: a pure function of the seed, the same for every arm.

use crate::scenario::Faults;

/// What a receiver does to a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlannedFault {
    /// It processes and acknowledges it.
    None,
    /// It refuses it with this status.
    Status(u16),
    /// It resets the connection before it processes it.
    Reset,
    /// It processes it, and resets the connection instead of acknowledging it.
    LoseAck,
}

/// The faults of one block that come at a rate or always.
#[derive(Debug, Clone)]
pub struct FaultPlan {
    seed: u64,
    /// Each with its share of the deliveries.
    deliveries: [(PlannedFault, f64); 5],
    refuse: f64,
    poison: usize,
}

/// Connections have random numbers of their own.
const CONNECTIONS: u64 = 1 << 63;

impl FaultPlan {
    /// What is to break, in the block of this seed.
    pub fn new(faults: &Faults, seed: u64) -> FaultPlan {
        FaultPlan {
            seed,
            deliveries: [
                (PlannedFault::Reset, faults.reset),
                (PlannedFault::Status(500), faults.status_500),
                (PlannedFault::Status(503), faults.status_503),
                (PlannedFault::Status(429), faults.status_429),
                (PlannedFault::LoseAck, faults.lost_acks),
            ],
            refuse: faults.refuse,
            poison: faults.poison,
        }
    }

    /// What meets event `event` when it comes to a subscriber for the n-th time, from 0.
    pub fn delivery(&self, subscriber: usize, event: u64, nth: u64) -> PlannedFault {
        if subscriber < self.poison {
            return PlannedFault::Status(500);
        }
        let mut left = self.uniform([subscriber as u64, event, nth]);
        for (fault, share) in self.deliveries {
            if left < share {
                return fault;
            }
            left -= share;
        }
        PlannedFault::None
    }

    /// Whether a receiver resets its n-th connection at once, from 0.
    pub fn refuses(&self, subscriber: usize, nth: u64) -> bool {
        self.refuse > 0.0 && self.uniform([CONNECTIONS, subscriber as u64, nth]) < self.refuse
    }

    /// Uniformly distributed over [0, 1).
    fn uniform(&self, of: [u64; 3]) -> f64 {
        let bits = of.into_iter().fold(mixed(self.seed), |state, word| mixed(state ^ word));
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// One step of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
fn mixed(state: u64) -> u64 {
    let z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn faults() -> Faults {
        Faults {
            refuse: 0.05,
            reset: 0.01,
            status_500: 0.02,
            status_503: 0.005,
            status_429: 0.1,
            lost_acks: 0.03,
            poison: 1,
            ..Faults::default()
        }
    }

    /// `share` of `n` within 4.5 standard deviations of a binomial distribution.
    fn within(count: usize, n: usize, share: f64) {
        let (n, deviation) = (n as f64, (n as f64 * share * (1.0 - share)).sqrt());
        assert!((count as f64 - n * share).abs() < 4.5 * deviation, "{count} of {n} for {share}");
    }

    #[test]
    fn each_fault_has_its_share_in_whichever_direction_one_counts() {
        let plan = FaultPlan::new(&faults(), 7);
        let all = |subscribers: std::ops::Range<usize>, events: std::ops::Range<u64>, times| {
            let mut counts: BTreeMap<String, usize> = BTreeMap::new();
            let mut n = 0;
            for subscriber in subscribers {
                for event in events.clone() {
                    for nth in 0..times {
                        let fault = plan.delivery(subscriber, event, nth);
                        *counts.entry(format!("{fault:?}")).or_default() += 1;
                        n += 1;
                    }
                }
            }
            let expected = [
                ("Reset", 0.01),
                ("Status(500)", 0.02),
                ("Status(503)", 0.005),
                ("Status(429)", 0.1),
                ("LoseAck", 0.03),
                ("None", 0.835),
            ];
            for (name, share) in expected {
                within(counts.get(name).copied().unwrap_or(0), n, share);
            }
        };
        // One subscriber's events, one event at many subscribers, one event again and again.
        all(1..2, 0..100_000, 1);
        all(1..100_001, 3..4, 1);
        all(1..2, 3..4, 100_000);
        all(1..101, 0..100, 10);
        let refused = |of: &dyn Fn(u64) -> bool| (0..100_000).filter(|i| of(*i)).count();
        within(refused(&|nth| plan.refuses(1, nth)), 100_000, 0.05);
        within(refused(&|subscriber| plan.refuses(subscriber as usize, 0)), 100_000, 0.05);
    }

    #[test]
    fn a_plan_depends_on_the_seed_alone_and_each_word_of_a_place_counts() {
        let (plan, again) = (FaultPlan::new(&faults(), 7), FaultPlan::new(&faults(), 7));
        let other = FaultPlan::new(&faults(), 8);
        let places =
            (1..20).flat_map(|s| (0..50).flat_map(move |e| (0..3).map(move |n| (s, e, n))));
        let all = |plan: &FaultPlan| -> Vec<PlannedFault> {
            places.clone().map(|(s, e, n)| plan.delivery(s, e, n)).collect()
        };
        assert_eq!(all(&plan), all(&again), "every arm has the same plan");
        assert_ne!(all(&plan), all(&other));
        let swapped: Vec<_> =
            places.clone().map(|(s, e, n)| plan.delivery(e as usize + 1, s as u64, n)).collect();
        assert_ne!(all(&plan), swapped);
    }

    #[test]
    fn the_first_receivers_refuse_everything_and_without_faults_nothing_is_refused() {
        let plan = FaultPlan::new(&Faults { poison: 2, ..Faults::default() }, 7);
        for event in 0..1000 {
            assert_eq!(plan.delivery(1, event, event % 3), PlannedFault::Status(500));
            assert_eq!(plan.delivery(2, event, event % 3), PlannedFault::None);
            assert!(!plan.refuses(0, event));
        }
    }
}
