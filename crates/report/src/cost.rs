//! Cost in money as a table, and what has to be said about it.

use crate::table::NONE;
use pushbench_analysis::compare::cost::{Of, Part, PartCost};
use pushbench_analysis::compare::{ArmFigures, Cost, Point};
use pushbench_core::units;

/// A heading, and a row for each arm; empty where there are no prices.
pub(crate) fn grid(point: &Point) -> Vec<Vec<String>> {
    let costs = || point.arms.iter().filter_map(|a| Some((a, a.cost.as_ref()?)));
    let Some((_, first)) = costs().next() else { return Vec::new() };
    let names = first.parts.iter().map(|p| p.part.name().to_owned());
    let mut head = vec![format!("cost of {}", of(first))];
    head.extend(names.chain([format!("total{} [95 %]", currency(point))]));
    head.extend((point.arms.len() > 1).then(|| format!("over {}", point.arms[0].arm)));
    let columns = head.len();
    let row = |(arm, cost): (&ArmFigures, &Cost)| {
        let mut cells = vec![arm.arm.clone()];
        cells.extend(cost.parts.iter().map(|p| p.cost.map_or(NONE.into(), units::money)));
        cells.push(cost.total.map_or(NONE.into(), |total| match cost.ci95 {
            Some([low, high]) => {
                format!("{} [{}, {}]", units::money(total), units::money(low), units::money(high))
            }
            None => units::money(total),
        }));
        cells.push(cost.over_first.as_ref().map_or(String::new(), |r| {
            format!("×{:.2} [{:.2}, {:.2}]", r.ratio, r.ci95[0], r.ci95[1])
        }));
        cells.truncate(columns);
        cells
    };
    std::iter::once(head).chain(costs().map(row)).collect()
}

/// The prices, what a total lacks, and on what it depends; nothing without prices.
pub(crate) fn notes(point: &Point) -> Vec<String> {
    let costs: Vec<(&str, &Cost)> =
        point.arms.iter().filter_map(|a| Some((a.arm.as_str(), a.cost.as_ref()?))).collect();
    let Some((_, first)) = costs.first() else { return Vec::new() };
    let whose =
        if point.prices.example { "example prices, replace them with yours" } else { "prices" };
    // User and kernel memory have one price.
    let each = first.parts.iter().filter(|p| p.part != Part::KernelMemory).map(price);
    let mut notes =
        vec![format!("{whose}{}: {}", currency(point), each.collect::<Vec<_>>().join(", "))];
    let lasts = |p: &PartCost| matches!(p.part, Part::Memory | Part::ConnectionMinutes);
    if first.of != Of::IdleMonth && first.parts.iter().any(lasts) {
        notes.push("memory and open connections are paid for the time that a million takes at the rate of this run".to_owned());
    }
    let lacks = |(arm, cost): &(&str, &Cost)| {
        let names: Vec<&str> = cost.missing.iter().map(|part| part.name()).collect();
        (!names.is_empty())
            .then(|| format!("no total of {arm}: not measured: {}", names.join(", ")))
    };
    notes.extend(costs.iter().filter_map(lacks));
    notes
}

/// `0.04 a core-hour`
fn price(part: &PartCost) -> String {
    let unit = match part.part {
        Part::Cpu => "a core-hour",
        Part::Memory | Part::KernelMemory => "a GiB-hour",
        Part::Egress => "a GiB of egress",
        Part::Requests => "a million requests",
        Part::ConnectionMinutes => "a million connection-minutes",
        Part::Messages => "a million messages",
    };
    format!("{} {unit}", part.price)
}

/// ` in USD`
fn currency(point: &Point) -> String {
    match point.prices.currency.as_str() {
        "" => String::new(),
        name => format!(" in {name}"),
    }
}

fn of(cost: &Cost) -> String {
    match (cost.of, cost.subscribers) {
        (Of::MillionEvents, _) => "a million events".to_owned(),
        (Of::MillionDeliveries, _) => "a million deliveries".to_owned(),
        (Of::IdleMonth, count) => {
            format!("a month of {} idle subscribers", count.unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{csv, html, markdown, text};
    use pushbench_analysis::compare;
    use pushbench_analysis::compare::evidence::evidence;
    use pushbench_analysis::compare::sample;
    use pushbench_core::record::run::StoredRun;
    use pushbench_core::record::trial::Stage;
    use pushbench_core::scenario::Prices;
    use std::collections::BTreeMap;

    /// Over blocks of which a pilot of the first arm alone counted the segments.
    fn priced(prices: &[&str]) -> StoredRun {
        let mut run = sample::ratios(0.8, 0.5);
        let given: Vec<String> = prices.iter().map(|text| (*text).to_owned()).collect();
        run.header.points[0].scenario.price = Prices::default().with(&given).unwrap();
        let mut pilot = run.trials[0].clone();
        (pilot.stage, pilot.max_segment) = (Stage::Pilot, Some(1448));
        run.trials.push(pilot);
        run
    }

    #[test]
    fn costs_are_a_table_with_its_prices_and_with_what_is_missing() {
        let run = priced(&["example", "request_million=1"]);
        let report = compare::compare(&run);
        let evidence = evidence(&run, &report, &BTreeMap::new());
        insta::assert_snapshot!("text", text::render(&report, text::Look::PLAIN));
        insta::assert_snapshot!("markdown", markdown::render(&report, &evidence));
    }

    #[test]
    fn a_row_of_csv_has_the_bill_of_its_trial() {
        let run = priced(&["core_hour=3.6"]);
        let report = compare::compare(&run);
        let table = csv::render(&report, &evidence(&run, &report, &BTreeMap::new()));
        let mut lines = table.lines();
        assert!(lines.next().unwrap().ends_with(",cost_of,cost,cost_prices"));
        // 40 µs an event
        let first = lines.next().unwrap();
        let cost: f64 = first.split(',').rev().nth(1).unwrap().parse().unwrap();
        assert!((cost - 0.04).abs() < 1e-12 && first.ends_with(",own"), "{first}");
        assert!(lines.last().unwrap().ends_with(",million-events,,own")); // the pilot
    }

    #[test]
    fn the_page_shows_the_same_table() {
        let page = html::tests::html(&priced(&["example"]));
        assert!(page.contains("cost of a million events") && page.contains("example prices"));
    }
}
