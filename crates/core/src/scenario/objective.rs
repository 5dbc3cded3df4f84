//! `[objective]`: the promise that a load has to keep, which `pushbench capacity` searches the highest load for.

use crate::record::metrics;
use crate::record::metrics::{Family, Subject};
use crate::scenario::expect;
use crate::scenario::kind::{Kind as _, Percent};
use crate::scenario::raw::Raw;
use crate::scenario::{Expectation, Flow};
use serde_json::Value as Json;

/// Shares of what was due, which may not be smaller.
const SHARES: [(&str, &str); 2] = [
    ("acknowledged", "events acknowledged, of those due"),
    ("reach", "deliveries that arrived, of those due"),
];
const SHARE: Percent = Percent(100);

/// A figure that may be promised.
pub struct Figure {
    /// `response.p99`
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Of a metric; a share otherwise.
    metric: Option<expect::Figure>,
}

/// Every figure that `[objective]` accepts.
pub fn figures() -> Vec<Figure> {
    let shares = SHARES.into_iter().map(|(name, about)| Figure { name, about, metric: None });
    // A count of outcomes grows with the load, whatever the target does.
    let metrics = expect::figures().into_iter().filter(|f| metrics::named(f.name).is_some());
    let of = |figure: expect::Figure| Figure {
        name: figure.name,
        about: figure.about,
        metric: Some(figure),
    };
    shares.chain(metrics.map(of)).collect()
}

/// Whether a larger value of this figure keeps a promise better.
pub fn more_is_better(name: &str) -> bool {
    metrics::named(name).is_none_or(|metric| metric.more_is_better)
}

/// Whether the figure is a latency, which has a ratio to its limit.
pub fn is_latency(name: &str) -> bool {
    metrics::named(name).is_some_and(|metric| matches!(metric.family, Family::Latency { .. }))
}

/// Whether a trial of this flow has the figure.
pub fn is_of(name: &str, flow: Flow) -> bool {
    match metrics::named(name).map(|metric| metric.subject) {
        None if name == "reach" => flow.publishes(),
        None | Some(Subject::Guarantee) => true,
        Some(Subject::Event) => !flow.publishes(),
        Some(Subject::Delivery) => flow.publishes(),
        Some(Subject::Subscriber | Subject::Quiet) => flow.publishes(),
    }
}

impl Figure {
    /// What its limit takes, in words.
    pub fn takes(&self) -> String {
        self.metric.as_ref().map_or_else(|| SHARE.takes(), expect::Figure::takes)
    }

    /// The JSON Schema of its limit.
    pub fn schema(&self) -> Json {
        self.metric.as_ref().map_or_else(|| SHARE.schema(), expect::Figure::schema)
    }

    /// Adds its limit to the lines of the table, in place of an earlier one.
    pub(super) fn limit(&self, lines: &mut Vec<Expectation>, raw: &Raw) -> Result<(), String> {
        match &self.metric {
            Some(metric) => metric.limit(lines, raw),
            None => {
                let limit = SHARE.read(raw)?;
                lines.retain(|line| line.what != self.name);
                lines.push(Expectation { what: self.name.to_owned(), limit });
                Ok(())
            }
        }
    }
}
