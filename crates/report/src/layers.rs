//! What encryption and authentication cost each transport, as a table.

use crate::table::{NONE, measured, metric_name, verdict};
use pushbench_analysis::compare::{LayerCost, Point};
use std::collections::BTreeSet;

/// The metrics that have a column, where they are judged.
const SHOWN: [&str; 7] = [
    "response.p50",
    "throughput",
    "delivery.p50",
    "target_usage.cpu_ns_per_event",
    "driver_usage.cpu_ns_per_event",
    "target_usage.cpu_ns_per_delivery",
    "target_usage.bytes_per_subscriber",
];

/// A heading, and a row for each arm with layers; empty where there are none.
pub(crate) fn grid(point: &Point) -> Vec<Vec<String>> {
    if point.layers.is_empty() {
        return Vec::new();
    }
    let costs = || point.layers.iter().flat_map(|layer| &layer.comparisons);
    let judged: BTreeSet<&str> = costs().map(|c| c.metric).collect();
    let columns: Vec<&'static str> =
        SHOWN.into_iter().filter(|metric| judged.contains(metric)).collect();
    let mut head = vec!["layers".to_owned(), "added to".to_owned()];
    head.extend(columns.iter().map(|metric| metric_name(point.design.flow, metric).to_owned()));
    head.push("bytes/event".to_owned());
    let mut grid = vec![head];
    grid.extend(point.layers.iter().map(|layer| row(layer, &columns)));
    grid
}

fn row(layer: &LayerCost, columns: &[&str]) -> Vec<String> {
    let mut cells = vec![layer.layers.clone(), layer.baseline.clone()];
    for metric in columns {
        let found = layer.comparisons.iter().find(|c| c.metric == *metric);
        cells.push(found.map_or(NONE.to_owned(), |c| format!("{} {}", measured(c), verdict(c))));
    }
    cells.push(layer.bytes_per_event.map_or(NONE.to_owned(), |bytes| format!("{bytes:+.0}")));
    cells
}
