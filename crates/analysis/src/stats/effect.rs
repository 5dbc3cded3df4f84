//! An effect on a linear scale (log ratios, differences) with its standard error: bounds and one-sided
//! tests against a margin.

use crate::stats::{Interval, mean, std_dev};
use statrs::distribution::{ContinuousCDF as _, StudentsT};

/// The mean of a t-distributed estimate. Of paired values the degrees of freedom are n − 1; of two
/// independent groups they are Welch's (Welch 1947, the Satterthwaite approximation).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effect {
    /// Best guess.
    pub estimate: f64,
    /// Its standard error.
    pub error: f64,
    /// Degrees of freedom.
    pub(crate) freedom: f64,
}

impl Effect {
    /// Of values one for each block. `None` below two or when one is not finite.
    pub fn paired(values: &[f64]) -> Option<Effect> {
        let n = values.len() as f64;
        let (estimate, deviation) = (mean(values)?, std_dev(values)?);
        let effect = Effect { estimate, error: deviation / n.sqrt(), freedom: n - 1.0 };
        (estimate.is_finite() && effect.error.is_finite()).then_some(effect)
    }

    /// Of `candidate` over `baseline`, measured apart. `None` below two values a side.
    pub(crate) fn unpaired(baseline: &[f64], candidate: &[f64]) -> Option<Effect> {
        let (b, c) = (Effect::paired(baseline)?, Effect::paired(candidate)?);
        let (vb, vc) = (b.error.powi(2), c.error.powi(2));
        let spread = vb.powi(2) / b.freedom + vc.powi(2) / c.freedom;
        // Without any variance every number of degrees of freedom gives the same bounds.
        let freedom = if spread > 0.0 { (vb + vc).powi(2) / spread } else { b.freedom + c.freedom };
        Some(Effect { estimate: c.estimate - b.estimate, error: (vb + vc).sqrt(), freedom })
    }

    /// Of `candidate`, one run, over `runs` of another build, each of values for its blocks. Runs of one build differ by
    /// more than their blocks explain, so the run is the replicate: the means of the runs deviate by s, and one more run
    /// from their mean by s·√(1 + 1/k) (the prediction interval of a normal sample, k − 1 degrees of freedom). A
    /// candidate whose own mean is less exact than theirs adds that. `None` below two runs or two values a run.
    pub(crate) fn beside_runs(runs: &[&[f64]], candidate: &[f64]) -> Option<Effect> {
        let each = runs.iter().map(|run| Effect::paired(run)).collect::<Option<Vec<_>>>()?;
        let means: Vec<f64> = each.iter().map(|run| run.estimate).collect();
        let within = mean(&each.iter().map(|run| run.error.powi(2)).collect::<Vec<_>>())?;
        let candidate = Effect::paired(candidate)?;
        let less_exact = (candidate.error.powi(2) - within).max(0.0);
        let k = means.len() as f64;
        let error = (std_dev(&means)?.powi(2) * (1.0 + 1.0 / k) + less_exact).sqrt();
        Some(Effect { estimate: candidate.estimate - mean(&means)?, error, freedom: k - 1.0 })
    }

    fn distribution(&self) -> Option<StudentsT> {
        StudentsT::new(0.0, 1.0, self.freedom).ok()
    }

    /// The probability of an estimate as large as this one, were the true effect `bound`.
    pub(crate) fn p_above(&self, bound: f64) -> Option<f64> {
        let t = (self.estimate - bound) / self.error;
        match t.is_nan() {
            true => Some(1.0), // no variance and no distance: nothing speaks for an effect
            false => Some(self.distribution()?.sf(t)),
        }
    }

    /// One-sided lower bound: the true effect lies below it with probability `alpha` at most.
    pub fn low(&self, alpha: f64) -> Option<f64> {
        Some(self.estimate - self.distribution()?.inverse_cdf(1.0 - alpha) * self.error)
    }

    /// One-sided upper bound.
    pub fn high(&self, alpha: f64) -> Option<f64> {
        Some(self.estimate + self.distribution()?.inverse_cdf(1.0 - alpha) * self.error)
    }

    /// Two-sided interval.
    pub fn interval(&self, confidence: f64) -> Option<Interval> {
        let alpha = (1.0 - confidence) / 2.0;
        Some(Interval { estimate: self.estimate, low: self.low(alpha)?, high: self.high(alpha)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Student's sleep data (1908), groups 1 and 2: R gives for `t.test(extra ~ group)` t = −1.8608,
    /// df = 17.776, p = 0.07939 and for the paired test t = −4.0621, df = 9, p = 0.002833.
    const FIRST: [f64; 10] = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0];
    const SECOND: [f64; 10] = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];

    #[test]
    fn agrees_with_r_on_students_sleep_data() {
        let apart = Effect::unpaired(&FIRST, &SECOND).unwrap();
        assert!((apart.estimate / apart.error - 1.8608).abs() < 1e-4);
        assert!((apart.freedom - 17.776).abs() < 1e-3);
        assert!((2.0 * apart.p_above(0.0).unwrap() - 0.07939).abs() < 1e-5);
        let gains: Vec<f64> = SECOND.iter().zip(FIRST).map(|(s, f)| s - f).collect();
        let paired = Effect::paired(&gains).unwrap();
        assert!((2.0 * paired.p_above(0.0).unwrap() - 0.002833).abs() < 1e-6);
        let interval = paired.interval(0.95).unwrap();
        assert!((interval.low - 0.7001).abs() < 1e-4 && (interval.high - 2.4599).abs() < 1e-4);
    }

    /// Runs that differ by 10 % and blocks that do not: one more run of the same build lies within the bounds as often
    /// as they say, which Welch's test over all blocks misses by far.
    #[test]
    fn the_variance_between_runs_is_covered() {
        use rand::SeedableRng as _;
        use rand_distr::{Distribution as _, Normal};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
        let (between, within) = (Normal::new(0.0, 0.1).unwrap(), Normal::new(0.0, 0.02).unwrap());
        let mut run = || -> Vec<f64> {
            let mean = between.sample(&mut rng);
            (0..12).map(|_| mean + within.sample(&mut rng)).collect()
        };
        let (mut alarms, mut by_blocks) = (0, 0);
        for _ in 0..2_000 {
            let stored: Vec<Vec<f64>> = (0..5).map(|_| run()).collect();
            let now = run();
            let slices: Vec<&[f64]> = stored.iter().map(Vec::as_slice).collect();
            let low = |e: Effect| e.low(0.025).unwrap() > 0.0;
            alarms += u64::from(low(Effect::beside_runs(&slices, &now).unwrap()));
            by_blocks += u64::from(low(Effect::unpaired(&stored.concat(), &now).unwrap()));
        }
        let rate = crate::stats::exact_binomial(alarms, 2_000, 0.99);
        assert!(rate.low <= 0.025 && rate.high >= 0.015, "{alarms} of 2000");
        assert!(by_blocks > 400, "{by_blocks} of 2000");
    }

    #[test]
    fn a_bound_and_its_test_agree() {
        let effect = Effect::paired(&FIRST).unwrap();
        for alpha in [0.2, 0.05, 0.01] {
            let low = effect.low(alpha).unwrap();
            assert!((effect.p_above(low).unwrap() - alpha).abs() < 1e-9);
        }
        assert_eq!(Effect::paired(&[1.0]), None);
        assert_eq!(Effect::paired(&[1.0, f64::NAN]), None);
        assert_eq!(Effect::paired(&[0.0, 0.0]).unwrap().p_above(0.0), Some(1.0));
    }
}
