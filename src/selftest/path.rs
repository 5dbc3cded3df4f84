//! The path: its round trip, losses, rate, and the lateness of its router.

use crate::selftest::{Line, SelfTestContext, load, unusable};
use pushbench_analysis::stats;
use pushbench_core::error::Result;
use pushbench_core::record::path::PathRecord;
use pushbench_core::scenario::{Arrivals, PathSettings};
use pushbench_core::transport::Transport;
use pushbench_core::units::{bit_rate, nanos_text};
use pushbench_host::cpus::Placement;
use pushbench_path::calibration::{OPENS, bulk, calibrate};
use pushbench_path::{Path, Side};
use std::time::Duration;

pub(crate) const ABOUT: &str = "network namespaces with a router between: round trips, losses, rate, the router's lateness, and every packet counted once";

/// A round trip may be wrong by this part …
const ROUND_TRIP: f64 = 0.03;
/// … or this, ns.
const FLOOR_NS: f64 = 100_000.0;
/// Budget of the router's p99, as a multiple of the hiccup meter's.
const TIMES_HICCUP: f64 = 2.0;
const LOSS: f64 = 0.02;
/// One of a thousand correct paths fails.
const CONFIDENCE: f64 = 0.999;
const RATE: u64 = 10_000_000;
const RATE_SHARE: f64 = 0.02;

pub fn run(context: &SelfTestContext<'_>) -> Result<Vec<Line>> {
    let placement = context.placement;
    if let Err(why) = Path::open(&PathSettings::default(), Side::Far, OPENS, 0, &placement.driver) {
        let what = "not tried".to_owned();
        let theory = "scenarios with [path] do not run on this machine".to_owned();
        return Ok(vec![Line { what, measured: why.to_string(), theory, ok: true }]);
    }
    let mut lines = Vec::new();
    for ms in [1, 10, 100] {
        lines.push(round_trip(Duration::from_millis(ms), placement)?);
    }
    lines.extend(trial(context)?);
    lines.extend(rate(placement)?);
    Ok(lines)
}

fn round_trip(rtt: Duration, placement: &Placement) -> Result<Line> {
    let path = PathSettings { rtt, ..PathSettings::default() };
    let (found, asked) = (calibrate(&path, placement)?, rtt.as_nanos() as f64);
    let allowed = FLOOR_NS.max(asked * ROUND_TRIP);
    Ok(Line {
        what: format!("round trip of {}, p50", nanos_text(asked)),
        measured: format!(
            "{}, p99 {}, bias {}",
            nanos_text(found.p50_ns as f64),
            nanos_text(found.p99_ns as f64),
            nanos_text(found.bias_ns as f64)
        ),
        theory: format!("{} ± {}", nanos_text(asked), nanos_text(allowed)),
        ok: (found.p50_ns as f64 - asked).abs() <= allowed,
    })
}

/// Losses and lateness under the load of a trial.
fn trial(context: &SelfTestContext<'_>) -> Result<Vec<Line>> {
    let trial_arm = context.trial_arm(0, Transport::Websocket, None);
    let mut group =
        context.group(vec![trial_arm], load(Arrivals::Poisson, Some(1_000.0), 200, 3_000), None);
    let rtt = Duration::from_millis(10);
    group.path = Some(PathSettings { rtt, loss: LOSS, ..PathSettings::default() });
    let trial = context.measure_one(&group)?;
    if let Some(line) = unusable("websocket over a path", &trial) {
        return Ok(vec![line]);
    }
    let path = trial.path.unwrap_or_default();
    let [late, hiccup] =
        [&path.lateness, &trial.hiccup].map(|hist| hist.quantile(0.99).unwrap_or(0) as f64);
    let sum = |of: fn(&pushbench_core::record::path::PacketCounts) -> u64| -> u64 {
        path.directions().into_iter().map(of).sum()
    };
    let share = stats::exact_binomial(sum(|d| d.lost), sum(|d| d.entered), CONFIDENCE);
    Ok(vec![
        Line {
            what: "router late, p99".to_owned(),
            measured: format!("{}, ×{:.2} of hiccups", nanos_text(late), late / hiccup.max(1.0)),
            theory: format!("at most ×{TIMES_HICCUP} of hiccup p99 {}", nanos_text(hiccup)),
            ok: late <= hiccup * TIMES_HICCUP,
        },
        Line {
            what: format!("loss of {} %", LOSS * 100.0),
            measured: format!("{:.2} %", share.estimate * 100.0),
            theory: format!("within [{:.2}, {:.2}] %", share.low * 100.0, share.high * 100.0),
            ok: (share.low..=share.high).contains(&LOSS),
        },
        counted("trial", &path),
    ])
}

fn rate(placement: &Placement) -> Result<[Line; 2]> {
    let narrow = PathSettings { rate: Some(RATE), ..PathSettings::default() };
    let (rate, record) = bulk(&narrow, &placement.driver)?;
    let line = Line {
        what: format!("rate of {}", bit_rate(RATE)),
        measured: bit_rate(rate as u64),
        theory: format!("± {:.0} %", RATE_SHARE * 100.0),
        ok: (rate / RATE as f64 - 1.0).abs() <= RATE_SHARE,
    };
    Ok([line, counted("bulk transfer", &record)])
}

fn counted(what: &str, path: &PathRecord) -> Line {
    let entered: u64 = path.directions().iter().map(|d| d.entered).sum();
    let outcomes: u64 = path.directions().iter().map(|d| d.outcomes()).sum();
    Line {
        what: format!("packets of the {what}"),
        measured: format!(
            "{entered} entered, {outcomes} outcomes, {} dropped unread",
            path.not_read
        ),
        theory: format!(
            "one outcome each; the kernels count {} and none dropped",
            path.read - path.handed_over - path.ignored
        ),
        ok: path.sums_are_exact() && path.not_read == 0,
    }
}
