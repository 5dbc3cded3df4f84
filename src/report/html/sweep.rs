//! A sweep at a glance: what each setting's verdicts are.

use super::frame::scrolled;
use super::summary::{TILES, class};
use crate::compare::Point;
use crate::report::chart::forest;
use crate::report::table as cells;
use maud::{Markup, html};

/// A line a setting and candidate.
pub(super) fn matrix(points: &[Point]) -> Markup {
    let Some(first) = points.first() else { return html! {} };
    let asked = |m: &&&str| first.comparisons.iter().any(|c| c.metric == **m);
    let closed = points.iter().all(|p| p.design.rate.is_none());
    let fits = |m: &&&str| closed || !m.starts_with("service");
    let metrics: Vec<&str> = TILES.iter().filter(asked).filter(fits).copied().collect();
    scrolled(
        "Verdicts by setting",
        &html! {
            table.matrix {
                caption.hidden { "Verdicts by setting" }
                thead { tr { th scope="col" { "setting" } th scope="col" { "candidate" } @for m in &metrics { th scope="col" { (forest::metric_name(m)) } } } }
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
