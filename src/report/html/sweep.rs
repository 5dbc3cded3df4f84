//! A sweep at a glance: what each setting's verdicts are.

use super::frame::scrolled;
use super::summary::class;
use crate::compare::Point;
use crate::compare::page::headlines;
use crate::report::chart::forest;
use crate::report::table as cells;
use maud::{Markup, html};

/// A line a setting and candidate.
pub(super) fn matrix(points: &[Point]) -> Markup {
    let Some(first) = points.first() else { return html! {} };
    let asked = |m: &&'static str| first.comparisons.iter().any(|c| c.metric == *m);
    let metrics: Vec<&'static str> = headlines(points).into_iter().filter(asked).collect();
    scrolled(
        "Verdicts by setting",
        &html! {
            table.matrix {
                caption.hidden { "Verdicts by setting" }
                thead { tr { th scope="col" { "setting" } th scope="col" { "candidate" } @for m in &metrics { th scope="col" { (cells::metric_name(first.design.flow, m)) } } } }
                tbody {
                    @for point in points {
                        @for arm in point.arms.iter().skip(1) {
                            tr {
                                th scope="row" { bdi { (cells::setting(point)) } }
                                td { bdi { (arm.arm) } }
                                @for metric in &metrics {
                                    @match point.comparisons.iter().find(|c| c.metric == *metric && c.candidate == arm.arm) {
                                        Some(c) => td.word.(class(c.verdict)) { (forest::words(c)) br; span.soft { bdi { (cells::difference(c)) } } },
                                        None => td {},
                                    }
                                }
                            }
                        }
                    }
                }
            }
        },
    )
}
