//! Cost in money: what a million events or deliveries, or a month of idle subscribers, would come to at given prices.
//! Each trial has a bill; an arm's is the mean over blocks, so that its parts add up to its total.

mod quantity;
#[cfg(test)]
mod tests;

pub use quantity::Part;

use crate::compare::judge::{CONFIDENCE, Values};
use crate::compare::{ArmFigures, FEWEST_BLOCKS, Ratio, Trials};
use crate::stats;
use pushbench_core::record::run::PointHeader;
use pushbench_core::record::trial::{Stage, Trial};
use pushbench_core::scenario::{Flow, Prices};
use serde::Serialize;

/// What a bill is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Of {
    /// A million acknowledged events, or answered questions.
    MillionEvents,
    /// A million deliveries that were read.
    MillionDeliveries,
    /// All subscribers of the run for a month of 730 hours in which nothing is published.
    IdleMonth,
}

/// An arm's bill. Costs are in the currency of the prices.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cost {
    /// What it is for.
    pub of: Of,
    /// Of a month: the number of subscribers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscribers: Option<u64>,
    /// Everything that has a price.
    pub parts: Vec<PartCost>,
    /// Their sum; `null` where one was not measured.
    pub total: Option<f64>,
    /// Its 95 % interval: Student's t over blocks; `null` below the blocks that a verdict needs.
    pub ci95: Option<[f64; 2]>,
    /// Over the total of the first arm; `null` of the first arm itself and of too few blocks.
    pub over_first: Option<Ratio>,
    /// The parts that were not measured.
    pub missing: Vec<Part>,
}

/// A part of a bill.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartCost {
    /// What is paid for.
    pub part: Part,
    /// How much of it, in `unit`, mean over blocks; `null` where it was not measured in every block.
    pub quantity: Option<f64>,
    /// What it has a price by.
    pub unit: &'static str,
    /// Of one unit.
    pub price: f64,
    /// `quantity` times `price`.
    pub cost: Option<f64>,
}

impl Of {
    /// As in the JSON.
    pub fn name(self) -> &'static str {
        match self {
            Of::MillionEvents => "million-events",
            Of::MillionDeliveries => "million-deliveries",
            Of::IdleMonth => "idle-month",
        }
    }

    fn flow(flow: Flow) -> Of {
        match flow {
            Flow::Ingest | Flow::Duplex => Of::MillionEvents,
            Flow::Fanout => Of::MillionDeliveries,
            Flow::Idle => Of::IdleMonth,
        }
    }
}

/// The bills of a point's arms, where there are prices and valid trials.
pub(super) fn add(header: &PointHeader, arms: &mut [ArmFigures], trials: &Trials<'_>) {
    if header.scenario.price.is_empty() {
        return;
    }
    let first = totals(header, 0, trials);
    for (arm, figures) in arms.iter_mut().enumerate() {
        figures.cost = of_arm(header, arm, trials);
        let total = (arm > 0).then(|| totals(header, arm, trials)).flatten();
        let values = first.clone().zip(total);
        let values = values.map(|(baseline, candidate)| Values { baseline, candidate });
        let ratio = values.filter(|v| v.baseline.len() >= FEWEST_BLOCKS);
        let ratio = ratio.and_then(|v| v.ratio(CONFIDENCE));
        let ratio = ratio.map(|r| Ratio { ratio: r.estimate, ci95: [r.low, r.high] });
        figures.cost.iter_mut().for_each(|cost| cost.over_first.clone_from(&ratio));
    }
}

fn of_arm(header: &PointHeader, arm: usize, trials: &Trials<'_>) -> Option<Cost> {
    let valid = trials.of_arm(arm);
    let of = Of::flow(header.scenario.flow);
    let subscribers = valid.first()?.fanout.as_ref().map(|f| f.deliveries.subscribers);
    let part = |(part, price): (Part, f64)| {
        let each = valid.iter().map(|t| quantity(header, part, t, trials));
        let each: Option<Vec<f64>> = each.collect();
        let quantity = each.and_then(|each| stats::mean(&each));
        let cost = quantity.map(|n| n * price);
        PartCost { part, quantity, unit: part.unit(), price, cost }
    };
    let parts: Vec<PartCost> = priced(&header.scenario.price, of).map(part).collect();
    let interval = totals(header, arm, trials).filter(|each| each.len() >= FEWEST_BLOCKS);
    let interval = interval.and_then(|each| stats::t_interval(&each, CONFIDENCE));
    Some(Cost {
        of,
        subscribers: subscribers.filter(|_| of == Of::IdleMonth),
        total: parts.iter().map(|p| p.cost).sum(),
        ci95: interval.map(|i| [i.low, i.high]),
        over_first: None,
        missing: parts.iter().filter(|p| p.cost.is_none()).map(|p| p.part).collect(),
        parts,
    })
}

/// The total of each valid block; `None` where a part of one was not measured.
fn totals(header: &PointHeader, arm: usize, trials: &Trials<'_>) -> Option<Vec<f64>> {
    trials.of_arm(arm).into_iter().map(|t| total(header, t, trials)).collect()
}

/// The same of any trial of a block; `None` without prices.
pub(super) fn of_trial(header: &PointHeader, trial: &Trial, trials: &Trials<'_>) -> Option<f64> {
    let bill = trial.stage == Stage::Block && !header.scenario.price.is_empty();
    bill.then(|| total(header, trial, trials))?
}

/// The total of a trial's own bill.
fn total(header: &PointHeader, trial: &Trial, trials: &Trials<'_>) -> Option<f64> {
    let parts = priced(&header.scenario.price, Of::flow(header.scenario.flow));
    parts.map(|(part, price)| Some(quantity(header, part, trial, trials)? * price)).sum()
}

/// What a bill contains, with its price.
fn priced(prices: &Prices, of: Of) -> impl Iterator<Item = (Part, f64)> {
    Part::of(of).iter().filter_map(|part| Some((*part, part.price(prices)?)))
}

fn quantity(header: &PointHeader, part: Part, trial: &Trial, trials: &Trials<'_>) -> Option<f64> {
    let pilot = trials.pilot.iter().find(|t| t.arm == trial.arm).copied();
    let transport = &header.arms[trial.arm].transport;
    part.quantity(Of::flow(header.scenario.flow), transport, trial, pilot)
}
