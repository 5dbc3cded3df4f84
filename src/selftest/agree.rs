//! An arm against itself, and one design of blocks against the other.

use crate::selftest::{Line, SelfTestContext, load};
use pushbench_analysis::stats::{Interval, paired_ratio};
use pushbench_core::error::Result;
use pushbench_core::record::metrics;
use pushbench_core::record::trial::Trial;
use pushbench_core::scenario::Arrivals;
use pushbench_core::transport::Transport;
use std::time::Duration;

pub(crate) const ABOUT: &str = "an arm does not differ from itself, and sliced blocks give the same ratio as sequential blocks";

const RATE: f64 = 2_000.0;
const SLICE: Duration = Duration::from_millis(10);
const WARMUP_MS: u64 = 100;
const MEASURED_MS: u64 = 400;
const SLICED_BLOCKS: usize = 10;
const SEQUENTIAL_BLOCKS: usize = 10;
/// A slice begins with colder caches than a trial that has its core for itself, and a larger program
/// pays more for it: this is the allowed difference between the designs, in addition to noise.
const DESIGN_EFFECT: f64 = 1.05;
/// Fewer valid blocks say nothing (law 4 allows 8, two may be voided here).
const FEWEST: usize = 6;
/// At 95 %, one correct self-test in five would fail for one of its metrics.
const CONFIDENCE: f64 = 0.999;
const METRICS: [&str; 3] = ["response.p50", "service.p50", "target_usage.cpu_ns_per_event"];

pub fn run(context: &SelfTestContext<'_>) -> Result<Vec<Line>> {
    let sliced = sliced(context)?;
    let sequential = sequential(context)?;
    let mut lines = Vec::new();
    for (arm, first, again) in [("webhook", 0, 3), ("websocket", 1, 2)] {
        for name in METRICS {
            let null = interval(&sliced, first, again, name);
            lines.push(Line {
                what: format!("{arm} against itself: {name}"),
                measured: shown(null.as_ref()),
                theory: "×1 within the 99.9 % interval".to_owned(),
                ok: null.is_some_and(|i| i.low <= 1.0 && 1.0 <= i.high),
            });
        }
    }
    for name in METRICS {
        let (one, other) = (interval(&sliced, 0, 1, name), interval(&sequential, 0, 1, name));
        lines.push(Line {
            what: format!("websocket against webhook, sliced: {name}"),
            measured: shown(one.as_ref()),
            theory: format!("sequential {}, ± 5 % for cache effects", shown(other.as_ref())),
            ok: one.zip(other).is_some_and(|(a, b)| agree(&a, &b)),
        });
    }
    Ok(lines)
}

fn agree(sliced: &Interval, sequential: &Interval) -> bool {
    let [low, high] = [sliced.low / DESIGN_EFFECT, sliced.high * DESIGN_EFFECT];
    Interval { low, high, ..*sliced }.overlaps(sequential)
}

/// Blocks of webhook and websocket, and of both again: the first arm of a block has its equal, too.
fn sliced(context: &SelfTestContext<'_>) -> Result<Vec<Vec<Trial>>> {
    let arms = [Transport::Webhook, Transport::Websocket, Transport::Websocket, Transport::Webhook];
    let mut blocks = Vec::new();
    for block in 0..SLICED_BLOCKS {
        let arms = arms.iter().enumerate().map(|(i, t)| context.trial_arm(i, *t, None)).collect();
        let context = SelfTestContext { seed: context.seed + block as u64, ..*context };
        let load = load(Arrivals::Poisson, Some(RATE), WARMUP_MS, MEASURED_MS);
        blocks.push(context.measure(&context.group(arms, load, Some(SLICE)))?);
    }
    Ok(blocks)
}

/// Blocks of webhook and websocket, one alive at a time, in alternating order.
fn sequential(context: &SelfTestContext<'_>) -> Result<Vec<Vec<Trial>>> {
    let mut blocks = Vec::new();
    for block in 0..SEQUENTIAL_BLOCKS {
        let context = SelfTestContext { seed: context.seed + block as u64, ..*context };
        let mut arms = [Transport::Webhook, Transport::Websocket];
        if block % 2 == 1 {
            arms.reverse();
        }
        let mut trials = Vec::new();
        for transport in arms {
            let load = load(Arrivals::Poisson, Some(RATE), WARMUP_MS, MEASURED_MS);
            let arm = usize::from(transport == Transport::Websocket);
            let trial_arm = context.trial_arm(arm, transport, None);
            trials.push(context.measure_one(&context.group(vec![trial_arm], load, None))?);
        }
        trials.sort_by_key(|t| t.arm);
        blocks.push(trials);
    }
    Ok(blocks)
}

/// The interval of a metric's ratio over the blocks whose every trial is valid.
fn interval(
    blocks: &[Vec<Trial>],
    baseline: usize,
    candidate: usize,
    name: &str,
) -> Option<Interval> {
    let metric = metrics::named(name)?;
    let valid: Vec<&Vec<Trial>> = blocks.iter().filter(|b| b.iter().all(Trial::is_valid)).collect();
    if valid.len() < FEWEST {
        return None;
    }
    let side =
        |arm: usize| valid.iter().map(|b| (metric.value)(&b[arm])).collect::<Option<Vec<f64>>>();
    paired_ratio(&side(baseline)?, &side(candidate)?, CONFIDENCE)
}

fn shown(interval: Option<&Interval>) -> String {
    match interval {
        Some(i) => format!("×{:.3} [{:.3}, {:.3}]", i.estimate, i.low, i.high),
        None => "too few valid blocks".to_owned(),
    }
}
