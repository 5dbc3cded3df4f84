//! A row a trial and arm with all its figures. Units are in the names of the columns; what could not
//! be measured is empty.

use crate::{table, visible};
use pushbench_analysis::compare::evidence::Evidence;
use pushbench_analysis::compare::{ArmFigures, Point, Report};
use pushbench_core::record::guarantee::GuaranteeRecord;
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::metrics::{METRICS, Metric, Subject, supported_quantile};
use pushbench_core::record::trial::{Stage, TargetUsage, Trial, TrialDesign};

/// What a row is made from.
struct Row<'a> {
    report: &'a Report,
    setting: &'a str,
    arm: &'a ArmFigures,
    trial: &'a Trial,
    cost: Option<f64>,
}

struct Column {
    name: String,
    cell: Box<dyn Fn(&Row<'_>) -> String>,
}

/// The whole table, pilots and voided trials included.
pub fn render(report: &Report, evidence: &Evidence<'_>) -> String {
    let trials = || evidence.points.iter().flat_map(|found| &found.trials);
    let prices = report.points.iter().any(|p| !p.prices.is_empty());
    let columns = columns(trials().any(|t| t.guarantee.is_some()), prices);
    let mut csv = csv::Writer::from_writer(Vec::new());
    let written = "writing to memory does not fail";
    csv.write_record(columns.iter().map(|c| &c.name)).expect(written);
    for (point, found) in report.points.iter().zip(&evidence.points) {
        let setting = table::setting(point);
        let rows = found.trials.iter().zip(&found.costs);
        for row in rows.filter_map(|(trial, cost)| row(report, point, &setting, trial, *cost)) {
            csv.write_record(columns.iter().map(|c| (c.cell)(&row))).expect(written);
        }
    }
    String::from_utf8(csv.into_inner().expect(written)).expect("it was made of text")
}

fn row<'a>(
    report: &'a Report,
    point: &'a Point,
    setting: &'a str,
    trial: &'a Trial,
    cost: Option<f64>,
) -> Option<Row<'a>> {
    Some(Row { report, setting, arm: point.arms.get(trial.arm)?, trial, cost })
}

/// Those of a guarantee and of faults where a trial has one, those of costs where there are prices.
fn columns(guarantee: bool, prices: bool) -> Vec<Column> {
    let mut all = Columns(Vec::new());
    all.identity();
    all.judgement();
    all.outcomes();
    for (name, hist) in HISTOGRAMS {
        all.histogram(name, hist);
    }
    all.usage();
    all.connections_and_bytes();
    all.layers();
    if guarantee {
        all.guarantee();
    }
    if prices {
        all.cost();
    }
    all.0
}

type OfHist = fn(&Trial) -> &Hist;

const HISTOGRAMS: [(&str, OfHist); 8] = [
    ("response", |t| &t.account.response),
    ("response_without_lag", |t| &t.account.unlagged),
    ("service", |t| &t.account.service),
    ("lag", |t| &t.account.lag),
    ("late_reading", |t| &t.account.reading),
    ("connect", |t| &t.account.connect),
    ("hiccup", |t| &t.hiccup),
    ("response_without_driver", |t| &t.account.driver_excluded),
];

const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99_9", 0.999)];

struct Columns(Vec<Column>);

impl Columns {
    fn add(&mut self, name: impl Into<String>, cell: impl Fn(&Row<'_>) -> String + 'static) {
        self.0.push(Column { name: name.into(), cell: Box::new(cell) });
    }

    fn cost(&mut self) {
        let of = |r: &Row<'_>| r.arm.cost.as_ref().map_or("", |cost| cost.of.name());
        self.add("cost_of", move |r| of(r).to_owned());
        self.add("cost", |r| r.cost.map_or(String::new(), |cost| cost.to_string()));
        self.add("cost_prices", |r| {
            let prices = r.report.points.iter().map(|p| &p.prices).find(|p| !p.is_empty());
            prices.map_or("", |p| if p.example { "example" } else { "own" }).to_owned()
        });
    }

    /// TLS handshakes, encryption and signatures.
    fn layers(&mut self) {
        self.known("handshakes_full", |t| Some(t.account.handshakes.as_ref()?.full));
        self.known("handshakes_resumed", |t| Some(t.account.handshakes.as_ref()?.resumed));
        self.known("encode_p50_ns", |t| t.account.layers.as_ref()?.encode.quantile(0.5));
        self.known("decode_p50_ns", |t| t.account.layers.as_ref()?.decode.quantile(0.5));
    }

    /// A figure of the trial.
    fn number<N: ToString>(&mut self, name: &str, of: impl Fn(&Trial) -> N + 'static) {
        self.add(name, move |r| of(r.trial).to_string());
    }

    /// A figure of the trial that may be unknown.
    fn known<N: ToString>(&mut self, name: &str, of: impl Fn(&Trial) -> Option<N> + 'static) {
        self.add(name, move |r| of(r.trial).map_or(String::new(), |n| n.to_string()));
    }

    fn identity(&mut self) {
        self.add("scenario", |r| harmless(&r.report.scenario));
        self.add("setting", |r| harmless(r.setting));
        self.add("seed", |r| r.report.seed.to_string());
        self.add("run_complete", |r| r.report.complete.to_string());
        self.add("arm", |r| harmless(&r.arm.arm));
        self.add("transport", |r| harmless(&r.arm.transport));
        self.add("target", |r| harmless(&r.arm.target));
        self.number("stage", |t| match t.stage {
            Stage::Pilot => "pilot",
            Stage::Block => "block",
        });
        self.number("block", |t| t.block);
        self.number("position", |t| t.position);
        self.number("design", |t| t.design.name());
        self.known("slice_ns", |t| match t.design {
            TrialDesign::Sliced { slice_ns } => Some(slice_ns),
            TrialDesign::Sequential => None,
        });
        self.add("started_utc", |r| harmless(&r.trial.started));
        self.number("window_ns", |t| t.window_ns);
        self.number("wall_ns", |t| t.wall_ns);
    }

    fn judgement(&mut self) {
        self.number("valid", Trial::is_valid);
        self.add("why_invalid", |r| harmless(&r.trial.judged.invalid.join("; ")));
        self.number("overloaded", |t| t.judged.overloaded);
        self.add("faults", |r| {
            let each = r.trial.account.faults.iter().map(|(message, n)| format!("{message} ×{n}"));
            harmless(&each.collect::<Vec<_>>().join("; "))
        });
        // Every metric of the registry as verdicts see it; percentiles again further on, whole.
        let whole = |m: &&Metric| !m.name.contains(".p") && m.subject != Subject::Guarantee;
        METRICS.iter().filter(whole).for_each(|metric| self.metric(metric));
        self.known("offered_events_per_s", |t| t.offered_per_second);
    }

    fn metric(&mut self, metric: &'static Metric) {
        let name = metric.name.replace('.', "_");
        let unit = metric.unit.name().replace('/', "_per_");
        let has_unit = name.contains("_ns_") || name.ends_with("_bytes");
        let name = if has_unit { name } else { format!("{name}_{unit}") };
        self.known(&name, metric.value);
    }

    fn guarantee(&mut self) {
        type Count = fn(&GuaranteeRecord) -> u64;
        let of = |of: Count| move |t: &Trial| t.guarantee.as_ref().map(of);
        // A receiver that is not the built-in one does not tell what came to it.
        let told = |of: Count| {
            move |t: &Trial| t.guarantee.as_ref().filter(|g| !g.arrivals_are_unknown).map(of)
        };
        let arrivals: [(&str, Count); 4] = [
            ("delivered_once_deliveries", |g| g.delivered_once),
            ("duplicates_on_wire", |g| g.duplicates_on_wire),
            ("duplicates_to_application", |g| g.duplicates_to_application),
            ("out_of_order_deliveries", |g| g.out_of_order),
        ];
        arrivals.into_iter().for_each(|(name, count)| self.known(name, told(count)));
        let counts: [(&str, Count); 15] = [
            ("due_deliveries", |g| g.due),
            ("delivered_deliveries", |g| g.delivered),
            ("met_by_fault", |g| g.met_by_fault),
            ("lost_acknowledgements", |g| g.lost_acks),
            ("not_accepted_events", |g| g.not_accepted),
            ("lost_attempts_deliveries", |g| g.lost.attempts),
            ("lost_log_deliveries", |g| g.lost.log),
            ("lost_queue_deliveries", |g| g.lost.queue),
            ("lost_gone_deliveries", |g| g.lost.gone),
            ("lost_restart_deliveries", |g| g.lost.restart),
            ("lost_away_deliveries", |g| g.lost.away),
            ("lost_open_deliveries", |g| g.lost.open),
            ("lost_unexplained_deliveries", |g| g.lost.unexplained),
            ("attempts", |g| g.attempts),
            ("connections_refused", |g| g.connections_refused),
        ];
        counts.into_iter().for_each(|(name, count)| self.known(name, of(count)));
        let mine = METRICS.iter().filter(|m| m.subject == Subject::Guarantee);
        mine.for_each(|metric| self.metric(metric));
    }

    fn outcomes(&mut self) {
        self.number("due_events", |t| t.account.measured.due);
        self.number("acknowledged_events", |t| t.account.measured.acknowledged);
        self.number("failed_events", |t| t.account.measured.failed);
        self.number("timed_out_events", |t| t.account.measured.timed_out);
        self.number("lost_events", |t| t.account.measured.lost);
        self.number("wrong_answer_events", |t| t.account.measured.wrong_answer);
        self.number("refused_events", |t| t.account.measured.refused);
        self.number("backlog_full_events", |t| t.account.measured.backlog_full);
        self.number("never_sent_events", |t| t.account.measured.never_sent);
        self.known("duplicated_events", |t| t.account.duplicated);
        self.known("reordered_events", |t| t.account.reordered);
        self.number("late_events", |t| t.account.late);
        self.number("unsolicited_messages", |t| t.account.unsolicited);
        self.number("warmup_due_events", |t| t.account.warmup.due);
        self.number("sent_events", |t| t.account.sent);
        self.number("acknowledged_in_window_events", |t| t.account.acknowledged_in_window);
        self.number("acknowledged_by_end_events", |t| t.account.acknowledged_by_end);
        self.number("open_at_end_events", |t| t.account.open_at_end);
        self.number("spill_events", |t| t.account.spill);
        self.number("backlog_peak_events", |t| t.account.backlog_peak);
    }

    /// A percentile that too few samples support is empty.
    fn histogram(&mut self, name: &str, of: OfHist) {
        self.number(&format!("{name}_count"), move |t| of(t).count());
        self.known(&format!("{name}_mean_ns"), move |t| of(t).mean());
        for (quantile, q) in QUANTILES {
            let name = format!("{name}_{quantile}_ns");
            self.known(&name, move |t| supported_quantile(of(t), q));
        }
        self.known(&format!("{name}_max_ns"), move |t| of(t).max());
    }

    fn usage(&mut self) {
        let target = |of: fn(&TargetUsage) -> u64| move |t: &Trial| t.target.as_ref().map(of);
        self.known("target_cpu_ns", target(|u| u.cpu_ns));
        self.known("target_voluntary_switches", target(|u| u.voluntary_switches));
        self.known("target_involuntary_switches", target(|u| u.involuntary_switches));
        self.known("target_rss_end_bytes", target(|u| u.end.rss_bytes));
        self.known("target_threads", target(|u| u.end.threads));
        self.known("target_descriptors", target(|u| u.end.descriptors));
        self.known("target_processes", target(|u| u.end.processes));
        self.number("driver_cpu_ns", |t| t.driver.cpu_ns);
        self.number("driver_spin_ns", |t| t.driver.spin_ns);
        self.number("driver_busy_share", |t| t.driver.busy);
        self.known("driver_rss_peak_bytes", |t| t.driver.rss_peak_bytes);
        self.number("steal_ns", |t| t.steal_ns);
    }

    fn connections_and_bytes(&mut self) {
        self.number("connections_opened", |t| t.account.connections);
        self.number("connections_warm", |t| t.warm_connections);
        self.number("slots", |t| t.slots);
        self.number("traffic_out_bytes", |t| t.account.traffic.bytes_out);
        self.number("traffic_in_bytes", |t| t.account.traffic.bytes_in);
        self.number("segments_out", |t| t.account.traffic.segments_out);
        self.number("segments_in", |t| t.account.traffic.segments_in);
        self.known("max_segment_bytes", |t| t.max_segment);
    }
}

/// Text that a spreadsheet takes for text: what begins like a formula gets an apostrophe.
fn harmless(value: &str) -> String {
    let value = visible::line(value);
    match value.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']) {
        true => format!("'{value}"),
        false => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for (text, cell) in [
            ("=1+1", "'=1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            (" -2", "' -2"),
            ("\t+3", "' +3"),
            ("＝1", "'＝1"),
            ("webhook@x", "webhook@x"),
            ("", ""),
        ] {
            assert_eq!(harmless(text), cell);
        }
    }

    #[test]
    fn columns_have_one_name_each_and_times_their_unit() {
        let columns = columns(true, true);
        let names: std::collections::BTreeSet<&str> =
            columns.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names.len(), columns.len());
        for metric in ["response_p99_ns", "throughput_events_per_s", "target_usage_rss_peak_bytes"]
        {
            assert!(names.contains(metric), "no {metric} in {names:?}");
        }
    }
}
