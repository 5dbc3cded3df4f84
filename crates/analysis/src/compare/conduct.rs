//! Figures of subscribers that do not just sit there: the slow and the stuck ones apart, those that come
//! and go, and what the publisher keeps for all of them.

use crate::compare::Latency;
use crate::compare::figures::distribution;
use crate::stats;
use pushbench_core::record::fanout::{
    Apart, Conduct, DeliveryOutcomes, Fanout, Resumption, Turnover,
};
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::trial::Trial;
use serde::Serialize;

/// Subscribers that do not behave like the healthy ones, which all other figures describe.
#[derive(Debug, Clone, Serialize)]
pub struct ApartFigures {
    /// How they behave.
    pub conduct: Conduct,
    /// How many they are.
    pub subscribers: u64,
    /// Outcomes of their measured deliveries.
    pub deliveries: DeliveryOutcomes,
    /// From due to the instant it was taken up.
    pub delivery_ns: Latency,
}

/// Who came and went, summed over trials, warm-ups included, and what it took.
#[derive(Debug, Clone, Serialize)]
pub struct TurnoverFigures {
    /// Left of their own will.
    pub left: u64,
    /// Were cut off by the publisher.
    pub cut_off: u64,
    /// Came again.
    pub came: u64,
    /// Attempts to subscribe that failed.
    pub refused: u64,
    /// From an attempt's begin to the confirmed subscription.
    pub subscribing_ns: Latency,
    /// From the same begin to the first event.
    pub first_event_ns: Latency,
    /// From the first subscription cut off to the instant at which all were there again; medians and
    /// the like are over trials.
    pub recovery_ns: Latency,
    /// From the last read on a subscriber's connection to the instant at which it knew that it had ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noticed_ns: Option<Latency>,
}

/// How events flowed again after a pause or a change of address of the path, over all trials.
#[derive(Debug, Clone, Serialize)]
pub struct ResumptionFigures {
    /// Subscribers that were there when it began.
    pub subscribers: u64,
    /// Of these, the ones that got no event any more.
    pub never: u64,
    /// From its begin to a subscriber's first event that came due after it, mean; `None` where somebody got none.
    pub ns: Option<f64>,
}

/// What a publisher keeps, medians over trials.
#[derive(Debug, Clone, Serialize)]
pub struct Upkeep {
    /// Growth of its memory from before the first subscriber to the end, bytes.
    pub grew_bytes: Option<f64>,
    /// Its descriptors at the end.
    pub descriptors: Option<f64>,
    /// How long it was down when it was ended and restarted.
    pub down_ns: Option<f64>,
}

/// Those of each conduct, in the order of the record.
pub(super) fn apart(trials: &[&Trial], all: &[&Fanout]) -> Vec<ApartFigures> {
    let of = |first: &Apart| {
        let mut hist = Hist::new();
        let mut deliveries = DeliveryOutcomes::default();
        let each = all.iter().flat_map(|f| &f.deliveries.apart);
        for apart in each.filter(|a| a.conduct == first.conduct) {
            hist.merge(&apart.delivery);
            deliveries.add(&apart.measured);
        }
        ApartFigures {
            conduct: first.conduct,
            subscribers: first.subscribers,
            deliveries,
            delivery_ns: distribution(&hist, trials, false, |_| None),
        }
    };
    all.first().map_or(Vec::new(), |f| f.deliveries.apart.iter().map(of).collect())
}

/// Joins and departures of all subscribers; `None` where there were none.
pub(super) fn turnover(trials: &[&Trial], all: &[&Fanout]) -> Option<TurnoverFigures> {
    let each = all.iter().filter_map(|f| f.deliveries.turnover.as_ref());
    let sum = each.cloned().reduce(Turnover::and).filter(|sum| !sum.is_empty())?;
    let of = |hist: &Hist| distribution(hist, trials, false, |_| None);
    Some(TurnoverFigures {
        left: sum.left,
        cut_off: sum.cut_off,
        came: sum.came,
        refused: sum.refused,
        subscribing_ns: of(&sum.subscribing),
        first_event_ns: of(&sum.first_event),
        recovery_ns: of(&sum.recovery),
        noticed_ns: (!sum.noticed.is_empty()).then(|| of(&sum.noticed)),
    })
}

/// How events flowed again after a disruption of the path; `None` where there was none.
pub(super) fn resumption(all: &[&Fanout]) -> Option<ResumptionFigures> {
    let sum = all.iter().filter_map(|f| f.deliveries.resumption.clone());
    let sum = sum.reduce(Resumption::and)?;
    Some(ResumptionFigures { subscribers: sum.subscribers, never: sum.never(), ns: sum.mean() })
}

/// What the targets kept.
pub(super) fn upkeep(trials: &[&Trial]) -> Upkeep {
    let median = |value: fn(&Trial) -> Option<f64>| {
        let each: Vec<f64> = trials.iter().filter_map(|t| value(t)).collect();
        stats::median(&each)
    };
    Upkeep {
        grew_bytes: median(|t| {
            let memory = t.fanout.as_ref()?.target_memory?;
            (memory.before > 0 && memory.after > 0)
                .then(|| memory.after.saturating_sub(memory.before) as f64)
        }),
        descriptors: median(|t| Some(t.target?.end.descriptors as f64).filter(|n| *n > 0.0)),
        down_ns: median(|t| t.down_ns.map(|ns| ns as f64)),
    }
}
