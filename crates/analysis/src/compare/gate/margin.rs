//! How large a slow-down is let pass, per metric.

use crate::stats::Interval;
use crate::stats::effect::Effect;
use serde::{Deserialize, Serialize};

/// Without nulls of this kind of machine: what good practice calls a small regression, and what the
/// simulation of the default gate can tell from nothing.
const DEFAULT: f64 = 0.05;
/// Nobody fixes less, whatever the machine can resolve.
const SMALLEST: f64 = 0.02;
/// A metric that needs more than this on a kind of machine is not judged there.
const LARGEST: f64 = 0.05;
/// Fewer nulls say too little of their own spread.
pub const FEWEST_NULLS: usize = 20;
/// Equal builds that differ by more than this on average are not measured alike: with enough gates such a
/// difference would be claimed.
const MOST_BIAS: f64 = 0.003;
/// Tukey's outer fence: beyond it a value is called far out (Exploratory Data Analysis, 1977).
const FENCE: f64 = 3.0;

/// Where a margin comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "from")]
pub enum MarginSource {
    /// Too few nulls are stored for this kind of machine, or none.
    Default {
        /// How many.
        #[serde(default)]
        nulls: usize,
    },
    /// The same everywhere.
    Fixed,
    /// As many stored nulls of this kind of machine.
    Nulls {
        /// How many.
        count: usize,
    },
}

/// The slow-down that one metric may show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Margin {
    /// Name in the registry.
    pub metric: String,
    /// 0.05 lets 5 % pass.
    pub share: f64,
    /// Where it comes from.
    pub source: MarginSource,
    /// Mean log ratio of equal builds, where it is a bias: certainly not 0, and not small.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias: Option<f64>,
    /// False when this kind of machine needs a wider margin than anybody should accept, or is biased.
    pub qualified: bool,
}

/// A null: the log ratio of equal builds in one gate, and the blocks that it is the mean of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Null {
    /// Mean log ratio of the blocks.
    pub log_ratio: f64,
    /// How many.
    pub blocks: usize,
}

/// The mean log ratio of equal builds over all blocks of all gates, with its 95 % interval; `None` of fewer than two
/// gates. A gate ends as soon as it passes, which is sooner where chance favours the candidate: the mean of the gates'
/// means is too low, but the sum over all blocks is not (Wald 1944: E S = μ · E N). The interval is that of a ratio
/// estimator over gates (Cochran 1977, Sampling Techniques, 6.4) with Student's t.
pub fn mean_of_nulls(nulls: &[Null]) -> Option<Interval> {
    let gates = nulls.len() as f64;
    let blocks: f64 = nulls.iter().map(|n| n.blocks as f64).sum();
    let mean = nulls.iter().map(|n| n.log_ratio * n.blocks as f64).sum::<f64>() / blocks;
    let around = |n: &Null| ((n.log_ratio - mean) * n.blocks as f64).powi(2);
    let squares: f64 = nulls.iter().map(around).sum();
    let error = (squares * gates / (gates - 1.0)).sqrt() / blocks;
    (nulls.len() > 1 && error.is_finite())
        .then_some(Effect { estimate: mean, error, freedom: gates - 1.0 })
        .and_then(|effect| effect.interval(0.95))
}

/// The mean where it is a bias: its interval excludes 0, and it is larger than 0.3 %.
pub fn bias(nulls: &[Null]) -> Option<f64> {
    let mean = mean_of_nulls(nulls).filter(|mean| !mean.holds(0.0))?;
    Some(mean.estimate).filter(|mean| mean.abs().exp_m1() > MOST_BIAS)
}

impl Margin {
    /// The margin of a metric, by the slow-downs that nulls have shown.
    pub fn of(metric: &str, nulls: &[Null]) -> Margin {
        let metric = metric.to_owned();
        if nulls.len() < FEWEST_NULLS {
            let source = MarginSource::Default { nulls: nulls.len() };
            return Margin { metric, share: DEFAULT, source, bias: None, qualified: true };
        }
        let mut sizes: Vec<f64> = nulls.iter().map(|null| null.log_ratio.abs().exp_m1()).collect();
        sizes.sort_by(f64::total_cmp);
        let (q1, q3) = (quantile(&sizes, 0.25), quantile(&sizes, 0.75));
        let share = SMALLEST.max(q3 + FENCE * (q3 - q1));
        let source = MarginSource::Nulls { count: nulls.len() };
        let bias = bias(nulls);
        Margin { metric, share, source, bias, qualified: share <= LARGEST && bias.is_none() }
    }

    /// Said which: `5 %`, `5 % (3 nulls are too few)`, `2.0 % (30 nulls)`.
    pub fn text(&self) -> String {
        match self.source {
            MarginSource::Default { nulls: 0 } => format!("{:.0} %", self.share * 100.0),
            MarginSource::Default { nulls } => {
                let are = if nulls == 1 { "null is" } else { "nulls are" };
                format!("{:.0} % ({nulls} {are} too few)", self.share * 100.0)
            }
            MarginSource::Fixed => format!("{:.1} %", self.share * 100.0),
            MarginSource::Nulls { count } => {
                let mean = self.bias.map_or(String::new(), |mean| {
                    format!(", which differ by {:+.1} % on average", mean.exp_m1() * 100.0)
                });
                format!("{:.1} % ({count} nulls{mean})", self.share * 100.0)
            }
        }
    }
}

/// Linear interpolation between order statistics (Hyndman and Fan's type 7, R's default).
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let at = (sorted.len() - 1) as f64 * q;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_are_those_of_r() {
        // quantile(c(1, 2, 4, 8, 16, 32), c(.25, .75)) gives 2.5 and 14.
        let values = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0];
        assert_eq!((quantile(&values, 0.25), quantile(&values, 0.75)), (2.5, 14.0));
    }

    fn nulls(log_ratios: &[f64]) -> Vec<Null> {
        log_ratios.iter().map(|&log_ratio| Null { log_ratio, blocks: 12 }).collect()
    }

    /// Of gates of one length it is Student's interval of their means.
    #[test]
    fn gates_of_one_length_weigh_alike_and_others_by_their_blocks() {
        let logs = [0.01, -0.02, 0.03, 0.005, -0.01];
        let (found, student) =
            (mean_of_nulls(&nulls(&logs)).unwrap(), crate::stats::t_interval(&logs, 0.95).unwrap());
        assert!(
            (found.low - student.low).abs() < 1e-12 && (found.high - student.high).abs() < 1e-12
        );
        // Three blocks of 1 and one of 5 are four of 2.
        let uneven = [(1.0, 3), (5.0, 1)].map(|(log_ratio, blocks)| Null { log_ratio, blocks });
        assert_eq!(mean_of_nulls(&uneven).unwrap().estimate, 2.0);
        assert_eq!(mean_of_nulls(&uneven[..1]), None);
    }

    #[test]
    fn a_quiet_machine_gets_the_smallest_a_noisy_one_is_not_qualified() {
        let of = |size: f64| {
            nulls(&(0..30).map(|i| size * f64::from(i % 7 - 3) / 3.0).collect::<Vec<f64>>())
        };
        let quiet = Margin::of("service.p50", &of(0.002));
        assert_eq!((quiet.share, quiet.qualified), (SMALLEST, true));
        assert_eq!(quiet.text(), "2.0 % (30 nulls)");
        let usual = Margin::of("service.p50", &of(0.014));
        assert!(usual.share > SMALLEST && usual.qualified, "{usual:?}");
        assert!(!Margin::of("service.p99", &of(0.2)).qualified);
        let few = Margin::of("service.p50", &nulls(&[0.5; FEWEST_NULLS - 1]));
        assert_eq!((few.share, few.qualified), (DEFAULT, true));
        assert_eq!(few.text(), "5 % (19 nulls are too few)");
        assert_eq!(Margin::of("service.p50", &[]).text(), "5 %");
    }

    #[test]
    fn nulls_that_are_all_small_and_on_one_side_are_a_bias() {
        let around = |mean: f64| {
            let log = |i: i32| mean + 0.001 * f64::from(i % 7 - 3) / 3.0;
            nulls(&(0..30).map(log).collect::<Vec<f64>>())
        };
        let biased = Margin::of("target_usage.cpu_ns_per_event", &around(-0.01));
        assert_eq!((biased.share, biased.qualified), (SMALLEST, false));
        assert_eq!(biased.text(), "2.0 % (30 nulls, which differ by -1.0 % on average)");
        // Certain, and too small to matter; and large, but not certain.
        assert!(Margin::of("service.p50", &around(-0.002)).qualified);
        let uncertain: Vec<f64> = (0..20).map(|i| if i == 0 { 0.1 } else { 0.0 }).collect();
        assert_eq!(bias(&nulls(&uncertain)), None);
    }
}
