//! A tile per headline metric: the better arm, the difference, and the notes that affect it.

use crate::chart::forest;
use crate::html::Run;
use crate::html::validity::mark;
use crate::{notes, table as cells};
use maud::{Markup, html};
use pushbench_analysis::compare::charts::headlines;
use pushbench_analysis::compare::{ArmFigures, Comparison, Point, Verdict, cpu_measured};
use pushbench_core::record::metrics;
use pushbench_core::record::metrics::Family;

/// Tiles compare with the second arm; the table shows further candidates.
pub(super) fn tiles(run: &Run<'_>, point: &Point) -> Markup {
    if point.arms.len() != 2 {
        return html! {};
    }
    let of = |metric: &str| point.comparisons.iter().find(|c| c.metric == metric);
    let found: Vec<&Comparison> = headlines([point]).into_iter().filter_map(of).collect();
    html! {
        div.tiles {
            @for c in found {
                @let moving = notes::of_row(point, 1, c.metric);
                div.tile.(if moving.is_empty() { class(c) } else { "moved" }) {
                    p.what { (cells::metric_name(point.design.flow, c.metric)) }
                    p.word { bdi { (claim(point, c)) } }
                    @if notes::is_small(c) { p.small { "too small to matter" } }
                    p.figure { bdi { (cells::measured(c)) } }
                    @if let Some(design) = c.design { p.small { (cpu_measured(design)) } }
                    @if let Some(why) = &c.why { p.why { bdi { (why) } } }
                    @if !moving.is_empty() { p.why { (mark(run, point, &moving)) " affects this figure" } }
                }
            }
        }
        p.soft.under { bdi { (point.arms[1].arm) } " against " bdi { (point.arms[0].arm) } ", differences with their 95\u{a0}% intervals." }
    }
}

/// The class of a verdict: neither colour for what is too small to matter.
pub(super) fn class(c: &Comparison) -> &'static str {
    match c.verdict {
        Verdict::Better if c.matters => "better",
        Verdict::Worse if c.matters => "worse",
        Verdict::Better | Verdict::Worse | Verdict::Equivalent => "alike",
        _ => "open",
    }
}

/// `✓ websocket sooner`: the verdict with its subject.
fn claim(point: &Point, c: &Comparison) -> String {
    let better = match c.verdict {
        Verdict::Better => true,
        Verdict::Worse => false,
        _ => return forest::words(c),
    };
    let word = match (metrics::named(c.metric).map(|m| m.family), better) {
        (Some(Family::Latency { .. }), true) => "sooner",
        (Some(Family::Latency { .. }), false) => "later",
        (Some(Family::Throughput), true) => "faster",
        (Some(Family::Throughput), false) => "slower",
        (Some(Family::Counted), true) => "loses less",
        (Some(Family::Counted), false) => "loses more",
        (_, true) => "needs less",
        (_, false) => "needs more",
    };
    let sign = match (c.matters, better) {
        (false, _) => "",
        (true, true) => "✓ ",
        (true, false) => "✗ ",
    };
    format!("{sign}{} {word}", subject(&point.arms, &c.candidate))
}

/// The shortest part of an arm's name that distinguishes it: transport and options, or the target.
pub(super) fn subject<'a>(arms: &[ArmFigures], arm: &'a str) -> &'a str {
    let Some((way, target)) = arm.split_once('@') else { return arm };
    let alone = |is: &dyn Fn((&str, &str)) -> bool| {
        arms.iter().filter(|a| a.arm.split_once('@').is_some_and(is)).count() == 1
    };
    if alone(&|(other, _)| other == way) {
        way
    } else if alone(&|(_, other)| other == target) {
        target
    } else {
        arm
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pushbench_analysis::compare::{compare, sample};

    #[test]
    fn a_subject_is_what_tells_arms_apart() {
        let first = compare(&sample::ratios(1.0, 1.0)).points.remove(0).arms.remove(0);
        let arms = |names: &[&str]| -> Vec<ArmFigures> {
            let arm = |name: &&str| ArmFigures { arm: (*name).to_owned(), ..first.clone() };
            names.iter().map(arm).collect()
        };
        for (names, of_last) in [
            (["webhook@builtin", "websocket@builtin"], "websocket"),
            (["webhook@builtin", "webhook@flask"], "flask"),
            (["webhook@builtin", "webhook@builtin#2"], "builtin#2"),
            (["webhook@builtin", "webhook@builtin"], "webhook@builtin"),
        ] {
            assert_eq!(subject(&arms(&names), names[1]), of_last, "{names:?}");
        }
    }
}
