//! Figures of stored runs and matrices, as advice uses them.

use crate::compare::{FEWEST_BLOCKS, Trials};
use crate::reach::Matrix;
use crate::stats;
use pushbench_core::arm::{ArmOption, ArmSpec};
use pushbench_core::evidence::{Evidence, Figure, Passage, Run, SCHEMA, Setting};
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::metrics;
use pushbench_core::record::run::{PointHeader, StoredRun};
use pushbench_core::scenario::Payload;

/// CPU of both sides for an event that was sent to a target, or for a delivery to a subscriber.
pub const CPU: [&str; 2] = ["total_usage.cpu_ns_per_event", "total_usage.cpu_ns_per_delivery"];
/// The time that 99 % of events or deliveries took at most, of all that were measured.
pub const P99: [&str; 2] = ["response.p99", "delivery.p99"];
/// The median.
pub const P50: [&str; 2] = ["response.p50", "delivery.p50"];
/// Memory of the publisher for a subscriber.
pub const MEMORY: &str = "target_usage.bytes_per_subscriber";
/// Requests for a delivery.
pub const REQUESTS: &str = "wire.requests_per_delivery";

/// The metrics of events that are sent to a target, and of deliveries to subscribers.
const METRICS: [&[&str]; 2] = [&[CPU[0]], &[CPU[1], MEMORY, REQUESTS]];
/// Quantiles, with their metrics.
const QUANTILES: [(f64, [&str; 2]); 2] = [(0.5, P50), (0.99, P99)];
/// Fewer times than this have no percentile.
const FEWEST_TIMES: u64 = 1_000;

const CONFIDENCE: f64 = 0.95;

/// The figures of a run. `own`: it was made for this advice, on this machine.
pub fn of_run(dir: &str, run: &StoredRun, own: bool) -> Evidence {
    let header = &run.header;
    let cpu = header.environment.get("cpu").cloned().unwrap_or_default();
    let (version, began) = (header.pushbench.clone(), header.started.clone());
    let source = Run { dir: dir.to_owned(), version, began, cpu, own };
    let points = header.points.iter().enumerate();
    let figures = points.flat_map(|(index, point)| {
        let trials = Trials::of(run, index);
        let arms = 0..point.arms.len();
        arms.flat_map(|arm| figures(point, arm, &trials)).collect::<Vec<_>>()
    });
    Evidence {
        schema: SCHEMA,
        figures: figures.collect(),
        runs: vec![source],
        ..Evidence::default()
    }
}

fn figures(point: &PointHeader, arm: usize, trials: &Trials<'_>) -> Vec<Figure> {
    let header = &point.arms[arm];
    let scenario = &point.scenario;
    let setting = Setting {
        receivers: scenario.subscribers.as_ref().map_or(1, |s| s.count as u64),
        deep: scenario.subscribers.is_none(),
        acknowledged: scenario.subscribers.as_ref().is_none_or(|s| s.acknowledged),
        rate: scenario.load.rate,
        in_flight: header.connections * header.in_flight,
        payload_bytes: match &scenario.payload {
            Payload::Bytes(bytes) => *bytes as u64,
            Payload::File { json, .. } => json.len() as u64,
        },
    };
    let spec = ArmSpec::parse(header.label.split('#').next().unwrap_or_default());
    let tls = spec.is_ok_and(|spec| spec.has(ArmOption::Tls));
    let valid = trials.of_arm(arm);
    let found = |metric: &str, value: f64, ci95: Option<[f64; 2]>| Figure {
        transport: header.transport.clone(),
        tls,
        metric: metric.to_owned(),
        setting,
        value,
        ci95,
        blocks: valid.len(),
        run: 0,
    };
    let mean = |name: &&str| {
        let metric = metrics::named(name)?;
        let values: Option<Vec<f64>> = valid.iter().map(|trial| (metric.value)(trial)).collect();
        let values = values?;
        let interval = stats::t_interval(&values, CONFIDENCE);
        let ci95 = interval.filter(|_| values.len() >= FEWEST_BLOCKS).map(|i| [i.low, i.high]);
        Some(found(name, stats::mean(&values)?, ci95))
    };
    let mut times = Hist::new();
    for trial in &valid {
        times.merge(match &trial.fanout {
            Some(fanout) => &fanout.deliveries.delivery,
            None => &trial.account.response,
        });
    }
    let flow = usize::from(!setting.deep);
    let quantile = |(q, metrics): &(f64, [&'static str; 2])| {
        let value = times.quantile(*q).filter(|_| times.count() >= FEWEST_TIMES)?;
        Some(found(metrics[flow], value as f64, None))
    };
    let means = METRICS[flow].iter().filter_map(mean);
    means.chain(QUANTILES.iter().filter_map(quantile)).collect()
}

/// What got through the paths of a matrix.
pub fn of_matrix(dir: &str, matrix: &Matrix) -> Evidence {
    let header = &matrix.header;
    let passage = |cell: &crate::reach::Cell| {
        let spec = ArmSpec::parse(&cell.arm).ok()?;
        Some(Passage {
            path: cell.path.clone(),
            transport: spec.transport.name().to_owned(),
            tls: spec.has(ArmOption::Tls),
            through: cell.through,
            survives_silence: cell.survives_silence,
            cure: cell.cure.clone(),
            why: cell.why.clone(),
            run: 0,
        })
    };
    Evidence {
        schema: SCHEMA,
        runs: vec![Run {
            dir: dir.to_owned(),
            version: header.version.clone(),
            began: header.began.clone(),
            cpu: header.machine.get("cpu").cloned().unwrap_or_default(),
            own: false,
        }],
        passages: matrix.cells.iter().filter_map(passage).collect(),
        ..Evidence::default()
    }
}
