//! One server with a queue: the driver's responses against Lindley's recursion.

use crate::selftest::exact_run::{self, ExactRun, ExactTrial};
use crate::selftest::{Line, SelfTestContext};
use pushbench_core::error::Result;
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::trial::TrialDesign;
use pushbench_core::transport::Carrier;
use pushbench_core::units::nanos_text;
use pushbench_faults::exact_target::Service;

pub(crate) const ABOUT: &str = "a server that sleeps 2 ms for each event, one after the other, at more than 80 % utilisation: the responses \
     are those that its logged service times give, in the design that `run` chooses";

/// Quantiles that are compared.
pub(super) const QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];
/// The arms of such a run. Both have the same server.
pub(super) const CARRIERS: [Carrier; 2] = [Carrier::Webhook, Carrier::Websocket];

const SERVICE: Service = Service::Sleep(2_000_000);
const RATE: f64 = 400.0;
const MEASURED_MS: u64 = 2_000;
/// The way of an answer to a driver that sleeps. The rest of what is allowed is what the hiccup meter shows of the
/// machine.
const ALLOWED_NS: f64 = 50_000.0;

pub fn run(context: &SelfTestContext<'_>) -> Result<Vec<Line>> {
    let run = cell(context, SERVICE, RATE, 2, MEASURED_MS)?;
    if run.trials.is_empty() {
        let reasons = run.stored.trials.iter().flat_map(|t| &t.judged.invalid);
        return Ok(vec![Line {
            what: "a block".to_owned(),
            measured: reasons.cloned().collect::<Vec<_>>().join("; "),
            theory: "a valid block".to_owned(),
            ok: false,
        }]);
    }
    let mut lines = Vec::new();
    for (arm, carrier) in CARRIERS.into_iter().enumerate() {
        let distributions = Distributions::of(run.trials.iter().filter(|t| t.trial.arm == arm));
        let design = design(&run);
        let rows = QUANTILES.into_iter().zip(distributions.quantiles());
        lines.extend(rows.map(|(q, [reported, computed, hiccup_p99])| Line {
            what: format!("{}: response p{:.0}, {design} blocks", carrier.name(), q * 100.0),
            measured: nanos_text(reported),
            theory: format!(
                "{} ± {} and a hiccup p99 of {}",
                nanos_text(computed),
                nanos_text(ALLOWED_NS),
                nanos_text(hiccup_p99)
            ),
            ok: (reported - computed).abs() <= ALLOWED_NS + hiccup_p99,
        }));
    }
    Ok(lines)
}

/// A run of two arms with the same server, one for each transport.
pub(super) fn cell(
    context: &SelfTestContext<'_>,
    service: Service,
    rate: f64,
    blocks: usize,
    measured_ms: u64,
) -> Result<ExactRun> {
    let settings = [
        ("load.rate", rate.to_string()),
        ("load.duration", format!("{measured_ms}ms")),
        ("load.timeout", "60s".to_owned()),
        // So many events find a free connection: none waits for one while the server has nothing to do.
        ("connections.count", "128".to_owned()),
        ("compare.blocks", blocks.to_string()),
    ];
    exact_run::run(context, &CARRIERS.map(|carrier| (carrier, service)), &settings)
}

/// The design that `run` chose.
pub(super) fn design(run: &ExactRun) -> &'static str {
    let sliced = |t: &ExactTrial| t.trial.design != TrialDesign::Sequential;
    if run.trials.iter().any(sliced) { "sliced" } else { "sequential" }
}

/// Distributions of some trials.
pub(super) struct Distributions {
    /// Of the responses that the driver reports.
    pub reported: Hist,
    /// Of those that the recursion gives.
    pub computed: Hist,
    pub hiccup: Hist,
}

impl Distributions {
    pub fn of<'a>(trials: impl Iterator<Item = &'a ExactTrial>) -> Distributions {
        let [mut reported, mut computed, mut hiccup] = [Hist::new(), Hist::new(), Hist::new()];
        for t in trials {
            reported.merge(&t.trial.account.response);
            computed.merge(&t.events.computed());
            hiccup.merge(&t.trial.hiccup);
        }
        Distributions { reported, computed, hiccup }
    }

    /// Reported, computed, and the 99th percentile of the hiccup meter for each of [`QUANTILES`], ns.
    pub fn quantiles(&self) -> [[f64; 3]; 3] {
        let at = |hist: &Hist, q| hist.quantile(q).unwrap_or(0) as f64;
        let hiccup = at(&self.hiccup, 0.99);
        QUANTILES.map(|q| [at(&self.reported, q), at(&self.computed, q), hiccup])
    }
}
