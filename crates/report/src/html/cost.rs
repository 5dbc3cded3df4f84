//! Cost of each arm, and code size and duties of its program.

use crate::chart::Kind;
use crate::cost as money;
use crate::html::Run;
use crate::html::figures;
use crate::html::frame::{heading, table};
use crate::table as cells;
use crate::table::NONE;
use maud::{Markup, html};
use pushbench_analysis::compare::charts::Evidence;
use pushbench_analysis::compare::{ArmFigures, Point};
use pushbench_core::scenario::Flow;
use pushbench_core::units;

/// Charts of a single point, a table of every point, ease.
pub(super) fn cost(run: &Run<'_>) -> Markup {
    let points = &run.page.report.points;
    html! {
        @if let Some(charts) = figures::of_kind(run, Kind::Resources) { (charts) }
        @for (point, evidence) in points.iter().zip(&run.page.evidence) {
            @let name = match point.setting.is_empty() { true => "Resources".to_owned(), false => format!("Resources at {}", cells::setting(point)) };
            @if points.len() > 1 {
                details.point { summary { bdi { (cells::setting(point)) } } (table(&name, &resources(point, evidence))) }
            } @else { (table(&name, &resources(point, evidence))) }
        }
        @for point in points { (bill(point)) }
        (ease(run))
    }
}

/// What it costs in money; nothing without prices.
fn bill(point: &Point) -> Markup {
    let grid = money::grid(point);
    let setting = cells::setting(point);
    html! {
        @if !grid.is_empty() {
            @if !setting.is_empty() { p.soft { bdi { (setting) } } }
            (table(&format!("Cost in money {setting}"), &grid))
            @for note in money::notes(point) { p.soft { bdi { (note) } } }
        }
    }
}

type Cell = fn(&ArmFigures) -> String;

/// A row a figure, a column an arm.
fn resources(point: &Point, evidence: &Evidence) -> Vec<Vec<String>> {
    let of_events = matches!(point.design.flow, Flow::Ingest | Flow::Duplex);
    let rows: [(&str, Cell); 12] = [
        ("target CPU/event", |a| cells::cpu(a.target_usage.cpu_ns_per_event)),
        ("driver CPU/event", |a| cells::cpu(a.driver_usage.cpu_ns_per_event)),
        ("driver busy", |a| {
            a.driver_usage.busy.map_or(NONE.into(), |b| format!("{:.0} %", b * 100.0))
        }),
        ("bytes out/event", |a| a.wire.bytes_out_per_event.map_or(NONE.into(), units::bytes)),
        ("bytes in/event", |a| a.wire.bytes_in_per_event.map_or(NONE.into(), units::bytes)),
        ("segments/event", |a| number(a.wire.segments_per_event)),
        ("target memory, steady", |a| bytes(a.target_usage.rss_steady_bytes)),
        ("target memory, peak", |a| bytes(a.target_usage.rss_peak_bytes)),
        ("context switches/event", |a| number(a.target_usage.context_switches_per_event)),
        ("threads of the target", |a| count(a.target_usage.threads)),
        ("descriptors of the target", |a| count(a.target_usage.descriptors)),
        ("connections opened/event", |a| number(a.connections.per_event)),
    ];
    let mut head = vec!["per arm".to_owned()];
    head.extend(point.arms.iter().map(|a| a.arm.clone()));
    let row = |(name, cell): &(&str, Cell)| {
        let mut row = vec![(*name).to_owned()];
        row.extend(point.arms.iter().map(cell));
        row
    };
    // Costs per delivery and per subscriber are in the table and in the bars.
    let shown = rows.iter().filter(|(name, _)| of_events || !name.ends_with("/event"));
    let mut grid: Vec<Vec<String>> = std::iter::once(head).chain(shown.map(row)).collect();
    if !of_events {
        return grid;
    }
    let mut memory = vec!["target memory ÷ connections".to_owned()];
    memory.extend(evidence.memory_per_connection.iter().map(|b| bytes(*b)));
    grid.push(memory);
    grid
}

fn bytes(n: Option<u64>) -> String {
    n.map_or(NONE.into(), |b| units::bytes(b as f64))
}

fn count(n: Option<u64>) -> String {
    n.map_or(NONE.into(), |n| n.to_string())
}

fn number(n: Option<f64>) -> String {
    n.map_or(
        NONE.into(),
        |n| if n < 0.01 && n > 0.0 { "<0.01".to_owned() } else { format!("{n:.2}") },
    )
}

/// Lines, packages and duties of the programs; nothing is known of the built-in servers.
fn ease(run: &Run<'_>) -> Markup {
    let Some(point) = run.page.report.points.first() else { return html! {} };
    let title = heading(
        run.level + 2,
        None,
        &html! { "Code size, dependencies and duties of the servers" },
    );
    if point.arms.iter().all(|a| a.ease.is_none()) {
        return html! { (title) p.soft { "Only built-in servers are shown; their code is not counted. Shipped targets and those of pushbench.toml are counted." } };
    }
    let head = ["", "lines of code", "packages direct / all", "duties in the code"];
    let row = |a: &ArmFigures| {
        vec![a.arm.clone(), cells::lines_of_code(a), cells::packages(a), cells::duties(a)]
    };
    let head = std::iter::once(head.map(str::to_owned).to_vec());
    let grid: Vec<Vec<String>> = head.chain(point.arms.iter().map(row)).collect();
    html! {
        (title)
        (table("Ease", &grid))
        p.soft { "Shorter code with fewer duties is not easier to write: compare only servers with the same duties. Duties are declared, not tested." }
    }
}
