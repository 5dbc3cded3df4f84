use super::*;
use std::collections::VecDeque;

const MS: u64 = 1_000_000;
const PLAIN: LinkSettings = LinkSettings {
    delay: 10 * MS,
    jitter: 0,
    loss: 0.0,
    loss_burst: 1.0,
    rate: None,
    queue: 100_000,
};

/// What happens to packets of 1,000 bytes that enter every `gap` ns.
fn admitted(settings: LinkSettings, seed: u64, gap: u64, packets: u64) -> Vec<Admitted> {
    let mut link = Link::new(settings, seed);
    (0..packets).map(|i| link.admit(i * gap, 1_000)).collect()
}

fn lost(settings: LinkSettings, seed: u64) -> Vec<bool> {
    admitted(settings, seed, 1_000, 400_000).iter().map(|a| *a == Admitted::Lost).collect()
}

/// Lengths of the runs of losses that ended.
fn bursts(lost: &[bool]) -> Vec<usize> {
    let runs = lost.split(|lost| !lost).map(<[bool]>::len);
    runs.filter(|length| *length > 0).collect()
}

#[test]
fn without_limits_every_packet_comes_out_after_the_delay() {
    let all = admitted(PLAIN, 1, 5, 1_000);
    assert!((0..1_000).all(|i| all[i] == Admitted::At(i as u64 * 5 + 10 * MS)));
}

#[test]
fn independent_losses_are_binomial() {
    for (loss, seed) in [(0.001, 1), (0.01, 2), (0.03, 3), (0.5, 4)] {
        let lost = lost(LinkSettings { loss, ..PLAIN }, seed);
        let (n, count) = (lost.len() as f64, lost.iter().filter(|l| **l).count() as f64);
        let deviation = (n * loss * (1.0 - loss)).sqrt();
        assert!((count - n * loss).abs() < 4.0 * deviation, "{count} of {n} at {loss}");
        // Whether a packet is lost says nothing of the next one.
        let after_a_loss = lost.windows(2).filter(|w| w[0] && w[1]).count() as f64;
        let expected = count * loss;
        let deviation = (count * loss * (1.0 - loss)).sqrt();
        assert!(
            (after_a_loss - expected).abs() < 4.0 * deviation + 1.0,
            "{after_a_loss} {expected}"
        );
    }
}

#[test]
fn bursts_have_a_geometric_length_and_the_mean_loss_of_the_settings() {
    let (loss, mean) = (0.02, 4.0);
    let lost = lost(LinkSettings { loss, loss_burst: mean, ..PLAIN }, 5);
    let bursts = bursts(&lost);
    let n = bursts.len() as f64;
    // Standard deviation of a geometric length: sqrt(1 − r)/r with r = 1/mean.
    let deviation = (mean * (mean - 1.0)).sqrt();
    let measured = bursts.iter().sum::<usize>() as f64 / n;
    assert!((measured - mean).abs() < 4.0 * deviation / n.sqrt(), "mean length {measured}");
    for length in 1..=10 {
        let longer = bursts.iter().filter(|b| **b > length).count() as f64;
        let p = (1.0 - 1.0 / mean).powi(length as i32);
        let deviation = (n * p * (1.0 - p)).sqrt();
        assert!((longer - n * p).abs() < 4.0 * deviation, "{longer} of {n} beyond {length}");
    }
    // Losses that come in bursts vary more: by the factor (1 + φ)/(1 − φ), φ = 1 − p − r.
    let (r, packets) = (1.0 / mean, lost.len() as f64);
    let correlation = 1.0 - r - r * loss / (1.0 - loss);
    let spread = (1.0 + correlation) / (1.0 - correlation);
    let deviation = (packets * loss * (1.0 - loss) * spread).sqrt();
    let count = lost.iter().filter(|l| **l).count() as f64;
    assert!((count - packets * loss).abs() < 4.0 * deviation, "{count} of {packets}");
}

#[test]
fn a_loss_of_nothing_and_of_everything() {
    assert!(lost(PLAIN, 1).iter().all(|lost| !lost));
    assert!(lost(LinkSettings { loss: 1.0, ..PLAIN }, 1).iter().all(|lost| *lost));
}

#[test]
fn the_same_seed_gives_the_same_and_jitter_moves_no_loss() {
    let lossy = LinkSettings { loss: 0.1, loss_burst: 2.0, jitter: 3 * MS, ..PLAIN };
    assert_eq!(admitted(lossy, 7, 50, 5_000), admitted(lossy, 7, 50, 5_000));
    assert_ne!(admitted(lossy, 7, 50, 5_000), admitted(lossy, 8, 50, 5_000));
    assert_eq!(lost(lossy, 7), lost(LinkSettings { jitter: 0, ..lossy }, 7));
}

#[test]
fn jitter_is_uniform_over_its_range_and_reorders_nothing() {
    let settings = LinkSettings { jitter: 4 * MS, ..PLAIN };
    // Far enough apart not to wait for each other.
    let apart = admitted(settings, 3, 20 * MS, 20_000);
    let mut jitters = Vec::new();
    for (i, admitted) in apart.iter().enumerate() {
        let Admitted::At(at) = admitted else { panic!("{admitted:?}") };
        jitters.push((at - i as u64 * 20 * MS) as f64 / MS as f64);
    }
    assert!(jitters.iter().all(|ms| (10.0..=14.0).contains(ms)));
    for (below, share) in [(10.4, 0.1), (11.0, 0.25), (12.0, 0.5), (13.6, 0.9)] {
        let measured = jitters.iter().filter(|ms| **ms < below).count() as f64 / 20_000.0;
        assert!((measured - share).abs() < 0.015, "{measured} of {share} below {below} ms");
    }
    let close = admitted(settings, 3, 10_000, 20_000);
    let mut last = 0;
    for (i, admitted) in close.iter().enumerate() {
        let Admitted::At(at) = *admitted else { panic!("{admitted:?}") };
        assert!(at >= last && at <= i as u64 * 10_000 + 14 * MS, "{at} after {last}");
        last = at;
    }
}

#[test]
fn a_busy_line_sends_at_its_rate_whatever_the_packets() {
    for rate in [1_000_000, 10_000_000, 1_000_000_000] {
        let mut link = Link::new(LinkSettings { rate: Some(rate), delay: 0, ..PLAIN }, 1);
        let (mut now, mut bytes, mut done) = (0, 0, 0);
        for i in 0..100_000_u64 {
            let size = 40 + (i * 37 % 1_461) as usize;
            match link.admit(now, size) {
                Admitted::At(at) => (bytes, done) = (bytes + size, at),
                _ => now = done,
            }
        }
        let measured = bytes as f64 * 8e9 / done as f64;
        assert!((measured / rate as f64 - 1.0).abs() < 0.001, "{measured} of {rate}");
    }
}

/// A line and its queue, byte by byte: what is left of each packet, in units of bytes × 8e9.
struct Oracle {
    rate: u128,
    queue: u128,
    waiting: VecDeque<u128>,
    now: u64,
}

impl Oracle {
    fn admit(&mut self, now: u64, bytes: u128) -> Option<u64> {
        let mut time = u128::from(now - self.now) * self.rate;
        self.now = now;
        while let Some(first) = self.waiting.front_mut() {
            let sent = time.min(*first);
            (*first, time) = (*first - sent, time - sent);
            if *first > 0 {
                break;
            }
            self.waiting.pop_front();
        }
        let unit = 8_000_000_000;
        let held: u128 = self.waiting.iter().sum();
        if held + bytes * unit > self.queue * unit {
            return None;
        }
        self.waiting.push_back(bytes * unit);
        Some(now + ((held + bytes * unit) / self.rate) as u64)
    }
}

#[test]
fn the_queue_is_that_of_a_byte_by_byte_simulation() {
    let (rate, queue) = (3_000_000_u64, 20_000_u64);
    let settings = LinkSettings { rate: Some(rate), queue, ..PLAIN };
    let mut link = Link::new(settings, 1);
    let mut oracle =
        Oracle { rate: rate.into(), queue: queue.into(), waiting: VecDeque::new(), now: 0 };
    let mut random = ChaCha8Rng::seed_from_u64(9);
    let (mut now, mut dropped) = (0, 0);
    for i in 0..50_000 {
        // Busy and idle times alternate.
        now += random.random_range(0..if i / 500 % 2 == 0 { 3 * MS } else { 9 * MS });
        let bytes = random.random_range(40..=1_500);
        let expected = oracle.admit(now, bytes as u128).map(|sent| sent + settings.delay);
        match (link.admit(now, bytes), expected) {
            (Admitted::At(at), Some(expected)) => {
                assert!(at.abs_diff(expected) <= 1, "packet {i}: {at} and not {expected}");
                // The queue is never longer than it may be.
                assert!(
                    (at - settings.delay - now) as f64 <= queue as f64 * 8e9 / rate as f64 + 1.0
                );
            }
            (Admitted::QueueFull, None) => dropped += 1,
            other => panic!("packet {i}: {other:?}"),
        }
    }
    assert!((1_000..30_000).contains(&dropped), "{dropped}");
}

#[test]
fn a_lost_packet_has_used_the_line() {
    let settings =
        LinkSettings { rate: Some(8_000_000), delay: 0, loss: 0.5, queue: 1 << 20, ..PLAIN };
    let all = admitted(settings, 4, 0, 100);
    for (i, admitted) in all.iter().enumerate() {
        let sent = (i as u64 + 1) * MS;
        assert!(*admitted == Admitted::At(sent) || *admitted == Admitted::Lost, "{admitted:?}");
    }
}

#[test]
fn a_pause_drops_what_enters_and_not_what_is_under_way() {
    let mut link = Link::new(LinkSettings { rate: Some(8_000_000), ..PLAIN }, 1);
    link.pause(5 * MS, 7 * MS);
    assert_eq!(link.admit(5 * MS - 1, 1_000), Admitted::At(16 * MS - 1));
    assert_eq!(link.admit(5 * MS, 1_000), Admitted::Paused);
    assert_eq!(link.admit(7 * MS - 1, 1_000), Admitted::Paused);
    // They have not used the line.
    assert_eq!(link.admit(7 * MS, 1_000), Admitted::At(18 * MS));
}
