//! The figures of one arm, from the merged windows of its valid trials.

use crate::compare::judge::CONFIDENCE;
use crate::compare::machine::SCHEDULING;
use crate::compare::{
    ArmFigures, ArmLoad, Backlog, Connections, Design, Events, Latency, MachineFigures,
    ProxyFigures, Second, Usage, Wire,
};
use crate::compare::{
    FEWEST_BLOCKS, Percentiles, Trials, delayed_ack, duplex, fanout, guarantee, layers, path,
    steady, strata,
};
use crate::stats;
use pushbench_core::event::Template;
use pushbench_core::record::account::OTHER_FAULTS;
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::metrics::{SAMPLES_BEYOND, supported_quantile};
use pushbench_core::record::outcomes::Outcomes;
use pushbench_core::record::run::{Machine, PointHeader, RunHeader};
use pushbench_core::record::trial::{MachineTrial, Trial, TrialDesign};
use pushbench_core::record::wire::Traffic;
use std::collections::{BTreeMap, BTreeSet};

/// A percentile's samples must come from this many separate stalls (law 7).
pub(super) const FEWEST_STALLS: usize = 3;

/// How the point was run.
pub fn design(run: &RunHeader, point: usize, trials: &Trials<'_>) -> Design {
    let header = &run.points[point];
    let s = &header.scenario;
    let hosts: BTreeSet<&String> = header.arms.iter().map(|a| &a.host).collect();
    let cpus = |side: &str| run.placement.get(side).cloned().unwrap_or_default();
    let schemes: BTreeSet<&String> = header.arms.iter().filter_map(|a| a.scheme.as_ref()).collect();
    let trial = trials.valid.first().and_then(|block| block.first()).or(trials.all.last());
    Design {
        kind: trial.map(|t| t.design.name()),
        slice_ns: trial.and_then(|t| match t.design {
            TrialDesign::Sliced { slice_ns } => Some(slice_ns),
            TrialDesign::Sequential => None,
        }),
        flow: s.flow,
        rate: s.load.rate,
        arrivals: s.load.arrivals,
        payload_bytes: Template::of(s).len(),
        content: s.content,
        subscribers: s.subscribers.clone(),
        questions: s.questions.clone(),
        path: s.path.clone(),
        guarantee: s.guarantee,
        faults: s.faults.clone(),
        proxies: header.proxies.clone(),
        hosts: hosts.into_iter().cloned().collect(),
        schemes: schemes.into_iter().cloned().collect(),
        scheduling: run.environment.get(SCHEDULING).cloned(),
        driver_cpus: match &s.subscribers {
            // One shard simulates all subscribers.
            Some(_) => cpus("driver").into_iter().take(1).collect(),
            None => cpus("driver"),
        },
        target_cpus: cpus("target"),
        machines: run.machines.iter().map(|machine| machine_figures(machine, trials)).collect(),
        blocks_planned: header.blocks_planned(),
        sizing: header.sizing.clone(),
        blocks_run: trials.blocks.len(),
        blocks_valid: trials.valid.len(),
    }
}

/// What one machine did.
fn machine_figures(machine: &Machine, trials: &Trials<'_>) -> MachineFigures {
    let part = |trial: &&Trial| trial.machines.iter().find(|m| m.rank == machine.rank).cloned();
    let valid: Vec<MachineTrial> = trials.valid.iter().flatten().filter_map(part).collect();
    let all = trials.all.iter().filter_map(part);
    let sum = |of: fn(&MachineTrial) -> Option<u64>| valid.iter().map(of).sum();
    MachineFigures {
        rank: machine.rank,
        role: machine.role.clone(),
        host: machine.host.clone(),
        cpus: machine.cpus.clone(),
        due: sum(|part| part.due),
        acknowledged: sum(|part| part.acknowledged),
        received: sum(|part| part.received).filter(|_| !valid.is_empty()),
        pause_ns: valid.iter().map(|part| part.pause_ns).max().unwrap_or(0),
        clock_uncertainty_ns: valid.iter().map(|part| part.clock_uncertainty_ns).max().unwrap_or(0),
        invalid: all.filter(|part| !part.invalid.is_empty()).count(),
    }
}

/// One arm's figures.
pub fn arm(point: &PointHeader, arm: usize, trials: &Trials<'_>) -> ArmFigures {
    let (header, scenario) = (&point.arms[arm], &point.scenario);
    let rate = scenario.load.rate;
    let mine: Vec<&Trial> = trials.all.iter().filter(|t| t.arm == arm).copied().collect();
    let valid = trials.of_arm(arm);
    let window_ns: u64 = valid.iter().map(|t| t.window_ns).sum();
    let by_end: u64 = valid.iter().map(|t| t.account.acknowledged_by_end).sum();
    let fans_out = scenario.subscribers.is_some();
    let pilot = trials.pilot.iter().find(|t| t.arm == arm).copied();
    let invalid = mine.iter().filter(|t| !t.is_valid()).count();
    let overloaded = mine.iter().filter(|t| t.is_valid() && t.judged.overloaded).count();
    let guarantee = guarantee::figures(arm, trials);
    ArmFigures {
        arm: header.label.clone(),
        transport: header.transport.clone(),
        target: header.target.clone(),
        trials: mine.len(),
        invalid,
        // One bad block is a stall; most of them are the arm's own doing.
        overloaded: overloaded * 2 > mine.len() - invalid,
        answers_wait_for_acknowledgement: delayed_ack::of_arm(&valid),
        offered_per_second: mine.first().map_or(rate, |t| t.offered_per_second),
        throughput_per_second: (window_ns > 0).then(|| by_end as f64 / (window_ns as f64 / 1e9)),
        // In a fan-out the peaks are the deliveries'.
        response_ns: latency(&valid, |t| &t.account.response, rate.is_some() && !fans_out),
        service_ns: latency(&valid, |t| &t.account.service, rate.is_none()),
        // In a fan-out these are of the application's own request, which is not what is compared.
        encode_ns: layers::encode(&valid).filter(|_| !fans_out),
        decode_ns: layers::decode(&valid).filter(|_| !fans_out),
        lag_ns: latency(&valid, |t| &t.account.lag, false),
        hiccup_ns: latency(&valid, |t| &t.hiccup, false),
        events: Events {
            guarantee: guarantee.as_ref().map(|g| g.counts.clone()),
            ..events(&valid)
        },
        connections: connections(&valid),
        backlog: backlog(&valid),
        load: ArmLoad { connections: header.connections as u64, in_flight: header.in_flight },
        target_usage: target_usage(&valid),
        driver_usage: driver_usage(&valid),
        proxies: proxies(&valid),
        wire: wire(&valid, pilot),
        path: path::figures(&valid),
        fanout: fanout::figures(&valid, pilot),
        guarantee,
        callbacks: duplex::figures(&valid),
        faults: faults(&mine),
        steady: steady::steady(scenario, &valid),
        knee_per_second: strata::knee(scenario, &valid),
        strata: strata::strata(scenario, &valid),
        first_over_last: strata::first_over_last(&valid),
        time_line: time_line(&valid),
        ease: header.ease.clone(),
        cost: None,
    }
}

fn time_line(trials: &[&Trial]) -> Vec<Second> {
    let seconds = |t: &&Trial| {
        let block = t.block;
        t.time_line.clone().into_iter().map(move |interval| Second { block, interval })
    };
    trials.iter().flat_map(seconds).collect()
}

fn backlog(trials: &[&Trial]) -> Backlog {
    let drains: Vec<Option<u64>> = trials.iter().flat_map(|t| t.drained_ns.clone()).collect();
    let mut drained: Vec<u64> = drains.iter().map(|d| d.unwrap_or(u64::MAX)).collect();
    drained.sort_unstable();
    Backlog {
        peak: trials.iter().map(|t| t.account.backlog_peak).max(),
        bursts: drains.len() as u64,
        undrained: drains.iter().filter(|d| d.is_none()).count() as u64,
        drain_ns: drained.get(drained.len() / 2).copied().filter(|ns| *ns < u64::MAX),
    }
}

/// Merges the histograms of some trials.
pub fn merged(trials: &[&Trial], of: impl Fn(&Trial) -> &Hist) -> Hist {
    let mut sum = Hist::new();
    trials.iter().for_each(|t| sum.merge(of(t)));
    sum
}

/// `peaked`: the trials' peaks belong to this distribution, so its stalls can be counted.
pub(super) fn latency(trials: &[&Trial], of: impl Fn(&Trial) -> &Hist, peaked: bool) -> Latency {
    let hists: Vec<Option<&Hist>> = trials.iter().map(|t| Some(of(t))).collect();
    distribution(&merged(trials, &of), trials, peaked, |q| over_blocks(&hists, q))
}

/// The same of a distribution that is merged already; `interval`: that of a percentile over blocks.
pub(super) fn distribution(
    sum: &Hist,
    trials: &[&Trial],
    peaked: bool,
    interval: impl Fn(f64) -> Option<[f64; 2]>,
) -> Latency {
    let percentile = |q: f64| {
        let value = sum.quantile(q)?;
        let beyond = (sum.count() as f64 * (1.0 - q)).floor() as u64;
        let stalls = || trials.iter().map(|t| t.account.peaks.stalls_above(value)).sum::<usize>();
        (beyond >= SAMPLES_BEYOND && (!peaked || stalls() >= FEWEST_STALLS)).then_some(value)
    };
    let (p50, p90, p99, p99_9) =
        (percentile(0.5), percentile(0.9), percentile(0.99), percentile(0.999));
    let interval = |q: f64, shown: Option<u64>| shown.and_then(|_| interval(q));
    Latency {
        count: sum.count(),
        mean: sum.mean(),
        p50,
        p90,
        p99,
        p99_9,
        max: sum.max(),
        intervals: Percentiles {
            p50: interval(0.5, p50),
            p90: interval(0.9, p90),
            p99: interval(0.99, p99),
            p99_9: interval(0.999, p99_9),
        },
    }
}

/// The interval of a block's percentile: as the blocks are the replicates, so they are here.
pub(super) fn over_blocks(hists: &[Option<&Hist>], q: f64) -> Option<[f64; 2]> {
    let log = |h: &Option<&Hist>| supported_quantile((*h)?, q).filter(|v| *v > 0.0).map(f64::ln);
    let logs: Vec<f64> = hists.iter().map(log).collect::<Option<_>>()?;
    let interval = stats::t_interval(&logs, CONFIDENCE).filter(|_| logs.len() >= FEWEST_BLOCKS)?;
    let interval = interval.map(f64::exp);
    Some([interval.low, interval.high])
}

fn events(trials: &[&Trial]) -> Events {
    let mut outcomes = Outcomes::default();
    trials.iter().for_each(|t| outcomes.add(&t.account.measured));
    let sum = |of: fn(&Trial) -> Option<u64>| -> Option<u64> {
        let each: Option<Vec<u64>> = trials.iter().map(|t| of(t)).collect();
        each.filter(|e| !e.is_empty()).map(|e| e.iter().sum())
    };
    Events {
        outcomes,
        duplicated: sum(|t| t.account.duplicated),
        reordered: sum(|t| t.account.reordered),
        late: trials.iter().map(|t| t.account.late).sum(),
        unsolicited: trials.iter().map(|t| t.account.unsolicited).sum(),
        guarantee: None,
    }
}

fn connections(trials: &[&Trial]) -> Connections {
    let opened: u64 = trials.iter().map(|t| t.account.connections).sum();
    let sent: u64 = trials.iter().map(|t| t.account.sent).sum();
    let per_trial = per(opened, trials.len() as u64);
    let batches: u64 = trials.iter().map(|t| t.account.batches).sum();
    Connections {
        opened,
        per_trial,
        per_event: per(opened, sent),
        events_per_request: per(sent, batches),
        reconnects: trials.iter().map(|t| t.account.connect.count()).sum(),
        connect_ns: latency(trials, |t| &t.account.connect, false),
        handshakes: layers::handshakes(trials),
    }
}

/// A total by each of so many.
pub(super) fn per(total: u64, events: u64) -> Option<f64> {
    (events > 0).then(|| total as f64 / events as f64)
}

fn target_usage(trials: &[&Trial]) -> Usage {
    let readings: Option<Vec<_>> = trials.iter().map(|t| t.target).collect();
    let Some(readings) = readings.filter(|r| !r.is_empty()) else {
        return Usage::default();
    };
    let acknowledged: u64 = trials.iter().map(|t| t.account.acknowledged_in_window).sum();
    let cpu: u64 = readings.iter().map(|r| r.cpu_ns).sum();
    let switches = |r: &pushbench_core::record::trial::TargetUsage| {
        r.voluntary_switches + r.involuntary_switches
    };
    let steady: Vec<f64> = readings.iter().map(|r| r.end.rss_bytes as f64).collect();
    Usage {
        cpu_ns_per_event: per(cpu, acknowledged),
        rss_peak_bytes: readings.iter().map(|r| r.end.rss_peak_bytes).max(),
        rss_steady_bytes: stats::median(&steady).map(|m| m as u64),
        threads: readings.iter().map(|r| r.end.threads).max(),
        descriptors: readings.iter().map(|r| r.end.descriptors).max(),
        context_switches_per_event: per(readings.iter().map(switches).sum(), acknowledged),
        ..Usage::default()
    }
}

/// The proxies of the path, in the order of the records: those of one name together.
fn proxies(trials: &[&Trial]) -> Vec<ProxyFigures> {
    let carried = |t: &&Trial| match &t.fanout {
        Some(fanout) => fanout.deliveries.read_in_window,
        None => t.account.acknowledged_in_window,
    };
    let carried: u64 = trials.iter().map(carried).sum();
    let mut all: Vec<(String, u64)> = Vec::new();
    for proxy in trials.iter().filter_map(|t| t.path.as_ref()).flat_map(|path| &path.proxies) {
        match all.iter_mut().find(|(name, _)| *name == proxy.name) {
            Some((_, cpu)) => *cpu += proxy.cpu_ns,
            None => all.push((proxy.name.clone(), proxy.cpu_ns)),
        }
    }
    let figures = |(name, cpu)| ProxyFigures { name, cpu_ns_per_event: per(cpu, carried) };
    all.into_iter().map(figures).collect()
}

fn driver_usage(trials: &[&Trial]) -> Usage {
    let acknowledged: u64 = trials.iter().map(|t| t.account.acknowledged_in_window).sum();
    let busy: Vec<f64> = trials.iter().map(|t| t.driver.busy).collect();
    Usage {
        cpu_ns_per_event: per(trials.iter().map(|t| t.driver.cpu_ns).sum(), acknowledged),
        rss_peak_bytes: trials.iter().filter_map(|t| t.driver.rss_peak_bytes).max(),
        busy: stats::median(&busy),
        trials: trials.len(),
        trials_at_limit: trials.iter().filter(|t| t.is_at_drivers_limit()).count(),
        ..Usage::default()
    }
}

fn wire(trials: &[&Trial], pilot: Option<&Trial>) -> Wire {
    let mut traffic = Traffic::default();
    trials.iter().for_each(|t| traffic.add(&t.account.traffic));
    let sent: u64 = trials.iter().map(|t| t.account.sent).sum();
    let segments = pilot.filter(|p| p.max_segment.is_some() && p.is_valid());
    Wire {
        bytes_out_per_event: per(traffic.bytes_out, sent),
        bytes_in_per_event: per(traffic.bytes_in, sent),
        segments_per_event: segments.and_then(|p| {
            per(p.account.traffic.segments_out + p.account.traffic.segments_in, p.account.sent)
        }),
    }
}

fn faults(trials: &[&Trial]) -> Vec<(String, u64)> {
    let mut sum: BTreeMap<&str, u64> = BTreeMap::new();
    for (message, n) in trials.iter().flat_map(|t| &t.account.faults) {
        *sum.entry(message).or_default() += n;
    }
    let mut faults: Vec<_> = sum.into_iter().map(|(m, n)| (m.to_owned(), n)).collect();
    // The names of the other arms give no information, however many there are.
    let unnamed = |message: &str| message == OTHER_FAULTS;
    faults.sort_by(|a, b| {
        unnamed(&a.0).cmp(&unnamed(&b.0)).then(b.1.cmp(&a.1)).then_with(|| a.0.cmp(&b.0))
    });
    faults
}
