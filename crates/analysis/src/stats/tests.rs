use crate::stats::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Exp1, StandardNormal};

/// NIST/SEMATECH e-Handbook, table 1.3.6.7.2: upper 2.5 % points of Student's t.
#[test]
fn half_widths_match_the_published_t_table() {
    for (n, t) in [(2usize, 12.706), (3, 4.303), (8, 2.365), (12, 2.201), (31, 2.042)] {
        let values: Vec<f64> = (0..n).map(|i| i as f64).collect();
        let i = t_interval(&values, 0.95).unwrap();
        let expected = t * std_dev(&values).unwrap() / (n as f64).sqrt();
        assert!(((i.high - i.estimate) / expected - 1.0).abs() < 5e-4, "n = {n}");
    }
}

#[test]
fn too_little_or_senseless_data_has_no_interval() {
    assert!(t_interval(&[], 0.95).is_none());
    assert!(t_interval(&[1.0], 0.95).is_none());
    assert!(t_interval(&[1.0, f64::NAN], 0.95).is_none());
    assert!(paired_ratio(&[1.0, 2.0], &[1.0, 0.0], 0.95).is_none());
    assert!(paired_ratio(&[1.0, 2.0], &[1.0], 0.95).is_none());
}

#[test]
fn a_ratio_inverts_with_its_arms() {
    let (a, b) = ([1.0, 2.0, 3.0, 5.0], [2.0, 3.5, 6.5, 9.0]);
    let (ab, ba) = (paired_ratio(&a, &b, 0.95).unwrap(), paired_ratio(&b, &a, 0.95).unwrap());
    assert!((ab.estimate * ba.estimate - 1.0).abs() < 1e-12);
    assert!((ab.low * ba.high - 1.0).abs() < 1e-12);
}

#[test]
fn median_of_odd_even_and_none() {
    assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
    assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    assert_eq!(median(&[]), None);
}

/// Coverage of the 95 % interval of a ratio over 12 blocks, by simulation.
fn coverage(noise: impl Fn(&mut ChaCha8Rng) -> f64, truth: f64) -> f64 {
    const RUNS: usize = 2000;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut covered = 0;
    for _ in 0..RUNS {
        let baseline: Vec<f64> = (0..12).map(|_| 100.0 * noise(&mut rng).exp()).collect();
        let candidate: Vec<f64> = (0..12).map(|_| 100.0 * truth * noise(&mut rng).exp()).collect();
        let i = paired_ratio(&baseline, &candidate, 0.95).unwrap();
        covered += usize::from(i.low <= truth && truth <= i.high);
    }
    covered as f64 / RUNS as f64
}

#[test]
fn the_ratio_interval_covers_what_it_promises() {
    let normal = |rng: &mut ChaCha8Rng| -> f64 {
        let z: f64 = StandardNormal.sample(rng);
        0.1 * z
    };
    let c = coverage(normal, 1.3);
    assert!((0.935..=0.965).contains(&c), "normal noise: {c}");
    // Rare stalls on one side of a block: differences of skewed noises are symmetric, heavy-tailed.
    let stalls = |rng: &mut ChaCha8Rng| -> f64 {
        let (e, z): (f64, f64) = (Exp1.sample(rng), StandardNormal.sample(rng));
        0.02 * z + if e > 2.0 { 0.2 * e } else { 0.0 }
    };
    let c = coverage(stalls, 1.3);
    assert!(c >= 0.93, "stalls: {c}");
}
