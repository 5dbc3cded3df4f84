//! The ratio between two transports: whether one has become slower relative to the other.

use crate::compare::decide::is_judged;
use crate::compare::gate::Settings;
use crate::compare::gate::draft::{Draft, Subject};
use crate::compare::gate::evidence::{Evidence, fallen_behind, mixed};
use crate::compare::gate::pairs::Pairs;
use crate::compare::gate::values::{Source, Values, minus, worse};
use crate::stats::effect::Effect;
use pushbench_core::record::metrics;
use pushbench_core::record::metrics::Metric;
use pushbench_core::record::trial::Trial;

/// Whether the later transport has become slower relative to the earlier one, block by block.
pub fn all(all: &[Pairs<'_>], settings: &Settings) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for (at, first) in all.iter().enumerate() {
        let same = |p: &&Pairs<'_>| p.setting == first.setting && p.paired && first.paired;
        for second in all[at + 1..].iter().filter(same) {
            for margin in &settings.margins {
                let Some(metric) = metrics::named(&margin.metric) else { continue };
                if is_judged(metric, first.scenario) {
                    let subject = Subject {
                        setting: second.setting.clone(),
                        transport: format!("{}:{}", second.transport, first.transport),
                        metric,
                        margin,
                        design: first.base.first().map(|t| t.design.name()),
                        waiver: settings.waiver(&first.scenario.name, metric.name),
                    };
                    drafts.push(Draft::new(subject, evidence(first, second, metric)));
                }
            }
        }
    }
    drafts
}

fn evidence(first: &Pairs<'_>, second: &Pairs<'_>, metric: &Metric) -> Evidence {
    let change = |base: &[&Trial], other: &[&Trial], of: Source| {
        let values = Values::of(base, other, true, of)?;
        let logs = |side: &[f64]| side.iter().map(|v| worse(metric, v.ln())).collect::<Vec<f64>>();
        minus(&logs(&values.candidate), &logs(&values.base))
    };
    let beside = |of: Source| {
        let own = change(&first.base, &first.candidate, of)?;
        Effect::paired(&minus(&change(&second.base, &second.candidate, of)?, &own)?)
    };
    let null = || {
        let ((a, b), (c, d)) = (first.null.as_ref()?, second.null.as_ref()?);
        Effect::paired(&minus(&change(c, d, metric.value)?, &change(a, b, metric.value)?)?)
    };
    let mut evidence = Evidence {
        blocks: first.blocks().min(second.blocks()),
        slow_down: beside(metric.value),
        unlagged: metric.without_lag.map(beside),
        null: null(),
        ..Evidence::default()
    };
    evidence.doubt = mixed(first, metric)
        .or_else(|| fallen_behind(first, metric))
        .or_else(|| fallen_behind(second, metric))
        .or_else(|| evidence.too_little(metric));
    evidence
}
