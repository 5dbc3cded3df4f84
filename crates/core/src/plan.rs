//! Scenario × arms → blocks of trials, and the order of arms within a block. Pure and seeded.

use crate::scenario::Load;
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A slice is at least this many median busy periods long, so that it rarely cuts one: a queue starts empty in
/// each slice, and what waits in a steady state is missing until it has built up again. Of M/D/1 and M/M/1
/// queues at 20 to 90 % utilisation, simulated, such slices change the mean response by less than 3 %.
const BUSY_PERIODS_PER_SLICE: u64 = 50;
/// A slice cuts a queue if at its end the current busy period has lasted for more than this part (one in so
/// many) of it. Stalls of a busy machine are shorter than half of the shortest slice.
pub const SLICES_TO_EMPTY_IN: u64 = 2;
/// Shorter slices spend too much of themselves on their edges.
const SHORTEST_SLICE_NS: u64 = 10_000_000;
/// Longer slices no longer share the machine's stalls: better one arm after the other.
const LONGEST_SLICE_NS: u64 = 250_000_000;

/// One block: which order its arms stand in, and the seed of its schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// From 0.
    pub index: usize,
    /// Of the schedule, the same for every arm of the block.
    pub seed: u64,
    /// Arm indices in the order of their trials; in sliced blocks, of the starts of their targets.
    pub order: Vec<usize>,
}

/// The first `count` blocks of a point. A longer plan begins with the shorter one.
pub fn blocks(count: usize, arms: usize, seed: u64, point: usize) -> Vec<Block> {
    let seed = mix(seed, 0x706f_696e, point as u64);
    let rows = counterbalanced(count, arms, seed);
    let block = |(index, order): (usize, Vec<u8>)| Block {
        index,
        seed: mix(seed, 0x626c_6f63, index as u64),
        order: order.into_iter().map(usize::from).collect(),
    };
    rows.into_iter().enumerate().map(block).collect()
}

/// Derives a seed (SplitMix64's finaliser over the mixed words).
fn mix(seed: u64, purpose: u64, index: u64) -> u64 {
    let mut z = seed
        ^ purpose.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ index.wrapping_add(1).wrapping_mul(0xd1b5_4a32_d192_ed03);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Rows of arms in Williams designs (Williams 1949): in every group of `arms` rows each arm stands once
/// in every place, and in every whole design, which takes two such groups for an odd number of arms,
/// each arm follows each other one equally often, so that what an arm leaves behind strikes all alike.
/// For two arms that is AB BA or BA AB. The seed names the arms and orders the rows.
fn counterbalanced(rows: usize, arms: usize, seed: u64) -> Vec<Vec<u8>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut all = Vec::with_capacity(rows + 2 * arms);
    while all.len() < rows && arms > 0 {
        let mut names: Vec<u8> = (0..arms as u8).collect();
        names.shuffle(&mut rng);
        let mut square = williams(&names);
        square.shuffle(&mut rng);
        let mut mirror: Vec<Vec<u8>> = Vec::new();
        if arms % 2 == 1 && arms > 1 {
            mirror.extend(square.iter().map(|row| row.iter().rev().copied().collect()));
            mirror.shuffle(&mut rng);
        }
        all.extend(square);
        all.extend(mirror);
    }
    all.truncate(rows);
    all
}

/// The square whose first row goes to and fro, 0 1 n−1 2 n−2 …, and whose others add 1 each time:
/// neighbours differ by 1, −2, 3, −4 …, for an even n by every number but 0 once.
fn williams(names: &[u8]) -> Vec<Vec<u8>> {
    let n = names.len();
    let zigzag = |place: usize| if place % 2 == 1 { place.div_ceil(2) } else { n - place / 2 };
    let row = |shift: usize| (0..n).map(|place| names[(zigzag(place) + shift) % n]).collect();
    (0..n).map(row).collect()
}

/// The length of a slice for arms of which none has a longer median busy period (over its events) than `busy_ns`; `None` when
/// the load is better run one arm after the other.
pub fn slice_length(busy_ns: u64, load: &Load) -> Option<Duration> {
    let wanted = busy_ns.saturating_mul(BUSY_PERIODS_PER_SLICE).max(SHORTEST_SLICE_NS);
    let whole_ms = wanted.div_ceil(1_000_000) * 1_000_000;
    let half = load.duration.as_nanos() as u64 / 2;
    (whole_ms <= LONGEST_SLICE_NS.min(half)).then(|| Duration::from_nanos(whole_ms))
}

/// The load with warm-up and duration lengthened to whole slices, so that every arm's window holds
/// the same slices.
pub fn whole_slices(load: &Load, slice: Duration) -> Load {
    let slice_ns = slice.as_nanos() as u64;
    let round = |d: Duration| {
        let slices = (d.as_nanos() as u64).div_ceil(slice_ns);
        Duration::from_nanos(slices * slice_ns)
    };
    Load { warmup: round(load.warmup), duration: round(load.duration), ..load.clone() }
}

/// Whose turn it is in a block: every round gives each arm one slice, in counterbalanced order. An
/// arm's own time runs only during its slices, so that every arm has the same due offsets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slices {
    arms: u64,
    slice_ns: u64,
    length_ns: u64,
    order: Vec<Vec<u8>>,
    place: Vec<Vec<u8>>,
}

impl Slices {
    /// `length_ns`: how much of its own time each arm gets.
    pub fn new(arms: usize, slice_ns: u64, length_ns: u64, seed: u64) -> Slices {
        let slice_ns = slice_ns.max(1);
        let rounds = length_ns.div_ceil(slice_ns) as usize;
        let order = counterbalanced(rounds, arms, mix(seed, 0x736c_6963, 0));
        let places = |row: &Vec<u8>| {
            let mut place = vec![0; arms];
            row.iter().enumerate().for_each(|(i, arm)| place[usize::from(*arm)] = i as u8);
            place
        };
        let place = order.iter().map(places).collect();
        Slices { arms: arms as u64, slice_ns, length_ns, order, place }
    }

    /// One arm alone: its time is the wall's.
    pub fn alone(length_ns: u64) -> Slices {
        Slices::new(1, length_ns, length_ns, 0)
    }

    /// Length of a slice.
    pub fn slice_ns(&self) -> u64 {
        self.slice_ns
    }

    /// Each arm's own time.
    pub fn length_ns(&self) -> u64 {
        self.length_ns
    }

    /// Rounds in which every arm has one slice.
    pub fn rounds(&self) -> u64 {
        self.order.len() as u64
    }

    /// The arms in a round, by turn.
    pub fn order(&self, round: u64) -> &[u8] {
        &self.order[round as usize]
    }

    /// Length of the block on the wall.
    pub fn wall_length(&self) -> u64 {
        self.rounds() * self.arms * self.slice_ns
    }

    /// Where an instant of an arm's own time lies on the wall, both from the block's start. The end
    /// of the last slice has no successor to lie in and stays at its end.
    pub fn wall(&self, arm: usize, at: u64) -> u64 {
        let round = (at / self.slice_ns).min(self.rounds().saturating_sub(1));
        let place = u64::from(self.place[round as usize][arm]);
        (round * self.arms + place) * self.slice_ns + (at - round * self.slice_ns)
    }

    /// When the first arm gets to an instant of its own time, from the block's start.
    pub fn first_wall(&self, at: u64) -> u64 {
        (0..self.arms as usize).map(|arm| self.wall(arm, at)).min().unwrap_or(at)
    }

    /// Whose slice an instant of the wall is, and in which round; `None` past the end.
    pub fn arm_at(&self, wall: u64) -> Option<(usize, u64)> {
        let slice = wall / self.slice_ns;
        let round = slice / self.arms;
        let row = self.order.get(round as usize)?;
        Some((usize::from(row[(slice % self.arms) as usize]), round))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_arm_has_each_place_once_a_group(arms in 1..6usize, groups in 1..20usize, seed: u64) {
            let rows = counterbalanced(arms * groups, arms, seed);
            for group in rows.chunks(arms) {
                for place in 0..arms {
                    let mut there: Vec<u8> = group.iter().map(|r| r[place]).collect();
                    there.sort_unstable();
                    prop_assert_eq!(there, (0..arms as u8).collect::<Vec<_>>());
                }
            }
        }

        #[test]
        fn every_arm_follows_every_other_equally_often(arms in 2..8usize, designs in 1..6usize, seed: u64) {
            let (groups, each) = if arms % 2 == 0 { (1, 1) } else { (2, 2) };
            let rows = counterbalanced(arms * groups * designs, arms, seed);
            for design in rows.chunks(arms * groups) {
                let mut follows = vec![vec![0; arms]; arms];
                for pair in design.iter().flat_map(|row| row.windows(2)) {
                    follows[usize::from(pair[0])][usize::from(pair[1])] += 1;
                }
                for (before, after) in (0..arms).flat_map(|b| (0..arms).map(move |a| (b, a))) {
                    let wanted = if before == after { 0 } else { each };
                    prop_assert_eq!(follows[before][after], wanted, "{:?}", design);
                }
            }
        }

        #[test]
        fn a_longer_plan_begins_with_the_shorter(n in 0..20usize, more in 0..20usize, arms in 1..5usize, seed: u64) {
            let long = blocks(n + more, arms, seed, 3);
            prop_assert_eq!(&blocks(n, arms, seed, 3)[..], &long[..n]);
        }

        #[test]
        fn own_time_and_wall_agree(arms in 1..5usize, slice in 1..1000u64, rounds in 1..40u64, seed: u64, at: u64) {
            let s = Slices::new(arms, slice, slice * rounds, seed);
            let at = at % s.length_ns();
            let mut walls: Vec<u64> = (0..arms).map(|a| s.wall(a, at)).collect();
            for (arm, wall) in walls.iter().enumerate() {
                prop_assert_eq!(s.arm_at(*wall), Some((arm, at / slice)));
                prop_assert_eq!(wall % slice, at % slice);
                prop_assert!(*wall < s.wall_length());
            }
            walls.sort_unstable();
            prop_assert_eq!(s.first_wall(at), walls[0]);
            let round = at / slice * slice;
            prop_assert_eq!(s.first_wall(round), round * arms as u64, "a round begins with its first slice");
            walls.dedup();
            prop_assert_eq!(walls.len(), arms);
            prop_assert_eq!(s.arm_at(s.wall_length()), None);
        }
    }

    #[test]
    fn every_order_of_three_arms_comes_first_about_equally_often() {
        let mut first = std::collections::BTreeMap::new();
        (0..600).for_each(|s| *first.entry(blocks(1, 3, s, 0).remove(0).order).or_insert(0) += 1);
        assert!(first.len() == 6 && first.values().all(|n| (60..=140).contains(n)), "{first:?}");
    }

    #[test]
    fn two_arms_change_places_with_every_block() {
        for pair in blocks(40, 2, 5, 0).chunks(2) {
            assert_eq!(pair[0].order, pair[1].order.iter().rev().copied().collect::<Vec<_>>());
        }
    }

    #[test]
    fn both_orders_of_two_arms_come_first_about_equally_often() {
        let first = (0..200).filter(|s| blocks(1, 2, *s, 0)[0].order == [0, 1]).count();
        assert!((60..=140).contains(&first), "{first}");
    }

    #[test]
    fn blocks_have_seeds_of_their_own() {
        let mut seeds: Vec<u64> =
            (0..3).flat_map(|point| blocks(50, 2, 9, point)).map(|b| b.seed).collect();
        seeds.sort_unstable();
        seeds.dedup();
        assert_eq!(seeds.len(), 150);
    }

    #[test]
    fn alone_the_wall_is_ones_own_time() {
        let s = Slices::alone(500);
        assert_eq!((s.wall(0, 0), s.wall(0, 499), s.wall(0, 500)), (0, 499, 500));
        assert_eq!(s.wall_length(), 500);
    }

    #[test]
    fn slices_hold_fifty_busy_periods_or_there_are_none() {
        let load = Load {
            arrivals: crate::scenario::Arrivals::Poisson,
            rate: Some(1000.0),
            warmup: Duration::from_millis(55),
            duration: Duration::from_millis(1500),
            timeout: Duration::from_secs(5),
            backlog: 1,
        };
        let ms = |n| Some(Duration::from_millis(n));
        assert_eq!(slice_length(200_000, &load), ms(10));
        assert_eq!(slice_length(1_700_000, &load), ms(85));
        assert_eq!(slice_length(12_600_000, &load), None);
        let rounded = whole_slices(&load, Duration::from_millis(40));
        assert_eq!((rounded.warmup.as_millis(), rounded.duration.as_millis()), (80, 1520));
    }

    /// Dues and service times of Poisson events, in mean service times.
    fn events(exponential: bool, utilisation: f64) -> Vec<(f64, f64)> {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let mut next = || -(1.0 - random.random::<f64>()).ln();
        let mut due = 0.0;
        let mut event = || {
            due += next() / utilisation;
            (due, if exponential { next() } else { 1.0 })
        };
        (0..200_000).map(|_| event()).collect()
    }

    /// Dues and responses of one FIFO server (Lindley's recursion), which is empty at the start of each
    /// slice of this length.
    fn responses(events: &[(f64, f64)], slice: f64) -> Vec<(f64, f64)> {
        let mut free = 0.0f64;
        let mut current = 0.0;
        let response = |(due, service): &(f64, f64)| {
            let this = (due / slice).floor();
            if this != current {
                (free, current) = (0.0, this);
            }
            free = free.max(*due) + service;
            (*due, free - due)
        };
        events.iter().map(response).collect()
    }

    /// For half of the events the busy period was longer.
    fn busy_period(events: &[(f64, f64)]) -> f64 {
        let (mut periods, mut begin, mut end) = (Vec::new(), 0.0, 0.0);
        let mut members = 0;
        for (due, response) in events {
            if *due >= end {
                periods.push((end - begin, members));
                (begin, members) = (*due, 0);
            }
            end = due + response;
            members += 1;
        }
        periods.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut left, mut longest) = (events.len() / 2, 0.0);
        for (length, members) in periods {
            if left < members {
                return length;
            }
            left -= members;
            longest = length;
        }
        longest
    }

    #[test]
    fn slices_of_a_queue_change_its_mean_response_by_little_or_there_are_none() {
        let load = Load {
            arrivals: crate::scenario::Arrivals::Poisson,
            rate: Some(1000.0),
            warmup: Duration::from_millis(500),
            duration: Duration::from_secs(4),
            timeout: Duration::from_secs(5),
            backlog: 1,
        };
        let mean = |events: &[(f64, f64)]| {
            events.iter().map(|(_, response)| response).sum::<f64>() / events.len() as f64
        };
        let (mut sliced, mut alone) = (0, 0);
        for service_ns in [50_000.0, 200_000.0, 2_000_000.0] {
            for (exponential, utilisation) in
                [false, true].into_iter().flat_map(|e| [0.2, 0.5, 0.7, 0.8, 0.9].map(|u| (e, u)))
            {
                let events = events(exponential, utilisation);
                let steady = responses(&events, f64::INFINITY);
                let busy = busy_period(&steady) * service_ns;
                let Some(slice) = slice_length(busy as u64, &load) else {
                    alone += 1;
                    continue;
                };
                sliced += 1;
                let cut = responses(&events, slice.as_nanos() as f64 / service_ns);
                let bias = mean(&cut) / mean(&steady) - 1.0;
                let of = format!("{exponential} {utilisation} {service_ns} {slice:?}: {bias:.3}");
                assert!(bias.abs() < 0.03, "{of}");
            }
        }
        assert!(sliced >= 15 && alone >= 5, "{sliced} {alone}");
    }
}
