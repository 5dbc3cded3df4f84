//! The ratio between two transports: whether one has become slower beside the other.

use super::draft::{Draft, applies, waiver};
use super::pairs::{Pairs, minus};
use super::{Margin, Settings};
use crate::record::metrics;
use crate::record::trial::Trial;
use crate::stats::effect::Effect;

/// Whether the second transport has become slower beside the first one, block by block.
pub fn all(all: &[Pairs<'_>], settings: &Settings) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for first in all {
        let later = all.iter().skip_while(|p| !std::ptr::eq(*p, first)).skip(1);
        for second in later.filter(|p| p.setting == first.setting && p.paired && first.paired) {
            for margin in &settings.margins {
                drafts.extend(ratio(first, second, margin, settings));
            }
        }
    }
    drafts
}

fn ratio(
    first: &Pairs<'_>,
    second: &Pairs<'_>,
    margin: &Margin,
    settings: &Settings,
) -> Option<Draft> {
    let metric = metrics::named(&margin.metric)?;
    if !applies(metric, first.scenario) {
        return None;
    }
    let waiver = waiver(settings, &first.scenario.name, metric.name);
    let mut draft = Draft::new(second, metric, margin, waiver);
    draft.line.transport = format!("{}:{}", second.transport, first.transport);
    draft.in_ns = false;
    let sign = if metric.more_is_better { -1.0 } else { 1.0 };
    let change = |base: &[&Trial], other: &[&Trial], of: fn(&Trial) -> Option<f64>| {
        let logs = |side: &[&Trial]| {
            side.iter().map(|t| of(t).map(|v| sign * v.ln())).collect::<Option<Vec<f64>>>()
        };
        minus(&logs(other)?, &logs(base)?)
    };
    let candidate = |of: fn(&Trial) -> Option<f64>| {
        let own = change(&first.base, &first.candidate, of)?;
        Effect::paired(&minus(&change(&second.base, &second.candidate, of)?, &own)?)
    };
    let null = || {
        let ((a, b), (c, d)) = (first.null.as_ref()?, second.null.as_ref()?);
        Effect::paired(&minus(&change(c, d, metric.value)?, &change(a, b, metric.value)?)?)
    };
    draft.unlagged = metric.without_lag.map(candidate);
    draft.measured(candidate(metric.value), null());
    Some(draft)
}
