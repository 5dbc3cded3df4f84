//! The arms of a point in the order of a metric.

use crate::compare::{ArmFigures, Latency, Report};
use pushbench_core::record::metrics::{Family, METRICS, Metric};
use pushbench_core::scenario::Flow;

/// The metric that many arms are sorted by by default; `rate` is `None` in a closed loop.
pub(super) fn headline(flow: Flow, rate: Option<f64>) -> &'static str {
    match (flow, rate) {
        (Flow::Fanout, _) => "delivery.p50",
        (Flow::Idle, _) => "target_usage.bytes_per_subscriber",
        (Flow::Ingest | Flow::Duplex, None) => "throughput",
        (Flow::Ingest | Flow::Duplex, Some(_)) => "response.p50",
    }
}

impl ArmFigures {
    /// The arm's figure of a metric, in its unit; `None` when it could not be measured.
    pub fn figure(&self, metric: &str) -> Option<f64> {
        match metric {
            "throughput" => self.throughput_per_second,
            "target_usage.cpu_ns_per_event" => self.target_usage.cpu_ns_per_event,
            "driver_usage.cpu_ns_per_event" => self.driver_usage.cpu_ns_per_event,
            "total_usage.cpu_ns_per_event" => {
                Some(self.target_usage.cpu_ns_per_event? + self.driver_usage.cpu_ns_per_event?)
            }
            "target_usage.rss_peak_bytes" => self.target_usage.rss_peak_bytes.map(|b| b as f64),
            _ => match metric.split_once('.') {
                Some(("response", p)) => self.response_ns.percentile(p),
                Some(("service", p)) => self.service_ns.percentile(p),
                _ => {
                    let fanout = self.fanout.as_ref().and_then(|f| f.figure(metric));
                    fanout.or_else(|| self.guarantee.as_ref()?.figure(metric))
                }
            },
        }
    }
}

impl Latency {
    pub(super) fn percentile(&self, name: &str) -> Option<f64> {
        let value = match name {
            "p50" => self.p50,
            "p90" => self.p90,
            "p99" => self.p99,
            "p99_9" => self.p99_9,
            _ => None,
        };
        value.map(|ns| ns as f64)
    }
}

/// Sorts the arms of every point by a metric, the best first; arms without a figure, and overloaded
/// ones where the metric is a latency, come last. Without a metric each point has its headline.
pub fn sort(report: &mut Report, metric: Option<&'static Metric>) {
    for point in &mut report.points {
        let name = metric.map_or(headline(point.design.flow, point.design.rate), |m| m.name);
        let Some(metric) = METRICS.iter().find(|m| m.name == name) else { continue };
        let latency = matches!(metric.family, Family::Latency { .. });
        let key = |arm: &usize| {
            let a = &point.arms[*arm];
            let figure = a.figure(name).filter(|_| !(latency && a.overloaded));
            let least_first = if metric.more_is_better { -1.0 } else { 1.0 };
            figure.map_or(f64::INFINITY, |v| v * least_first)
        };
        let mut order: Vec<usize> = (0..point.arms.len()).collect();
        order.sort_by(|a, b| key(a).total_cmp(&key(b)));
        (point.sorted_by, point.order) = (name, order);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::compare;
    use crate::compare::sample::ratios;
    use pushbench_core::record::metrics;
    use pushbench_core::record::metrics::Subject;

    #[test]
    fn every_metric_has_a_figure_and_sorts_its_own_way() {
        let mut report = compare(&ratios(0.8, 2.0));
        for metric in METRICS.iter().filter(|m| m.subject == Subject::Event) {
            let known = report.points[0].arms[0].figure(metric.name);
            // 3,000 events a trial are too few for nothing but the far tail of a merged run.
            assert!(known.is_some() || metric.name.ends_with("p99_9"), "{}", metric.name);
        }
        let order = |report: &Report| report.points[0].order.clone();
        assert_eq!(order(&report), [1, 0], "the second answers sooner");
        sort(&mut report, metrics::named("target_usage.cpu_ns_per_event"));
        assert_eq!(
            (order(&report), report.points[0].sorted_by),
            (vec![0, 1], "target_usage.cpu_ns_per_event")
        );
        report.points[0].arms[1].overloaded = true;
        sort(&mut report, metrics::named("response.p50"));
        assert_eq!(order(&report), [0, 1], "a latency of an overloaded arm is none");
    }
}
