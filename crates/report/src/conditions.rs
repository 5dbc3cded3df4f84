//! The lines around a point's table: load, machine, trust, parity, and what was not tested.

use crate::guarantee;
use pushbench_analysis::compare::{
    ArmFigures, Design, MachineFigures, Point, Report, cpu_measured,
};
use pushbench_core::cpu_list::Cpus;
use pushbench_core::record::findings::Known;
use pushbench_core::scenario::{Arrivals, PathSettings};
use pushbench_core::units;
use std::collections::BTreeSet;

/// `2000/s poisson · 512 B · 32 warm connections, 1 in flight · 12 sliced blocks`
pub(crate) fn conditions(point: &Point) -> String {
    let d = &point.design;
    let arrivals = match (d.arrivals, d.rate) {
        (Arrivals::Closed, _) => "closed loop".to_owned(),
        (kind, rate) => {
            format!("{}/s {}", rate.unwrap_or(0.0), arrivals(kind))
        }
    };
    let size = units::bytes(d.payload_bytes as f64);
    let load = match (&d.subscribers, &d.questions) {
        (Some(subscribers), _) => pushbench_analysis::compare::fanout::describe(subscribers),
        (_, Some(questions)) => {
            format!(
                "{} · {}",
                pushbench_analysis::compare::duplex::describe(questions),
                slots(point)
            )
        }
        _ => slots(point),
    };
    let content = d.content.words();
    let promised = guarantee::words(d);
    format!("{arrivals} · {size}{content} · {load}{promised} · {}", blocks(d))
}

fn arrivals(kind: Arrivals) -> String {
    match kind {
        Arrivals::Constant => "constant".to_owned(),
        Arrivals::Poisson => "poisson".to_owned(),
        Arrivals::Closed => "closed".to_owned(),
        Arrivals::Ramp { to } => format!("rising to {to}/s"),
        Arrivals::Burst(b) => {
            let time = |d: std::time::Duration| units::nanos_text(d.as_nanos() as f64);
            format!("with bursts of ×{} for {} every {}", b.factor, time(b.length), time(b.every))
        }
    }
}

/// `loopback, no TLS · driver on CPU 1, target on CPU 0`
pub(crate) fn place(point: &Point) -> String {
    let d = &point.design;
    let (driver, target) = (Cpus(&d.driver_cpus), Cpus(&d.target_cpus));
    let tls = match d.tls() {
        Some(false) => "no TLS",
        Some(true) => "TLS",
        None => "TLS for some arms only",
    };
    // Ordinary scheduling is what everybody expects.
    let scheduling = d.scheduling.as_ref().filter(|how| *how != "ordinary");
    let scheduling = scheduling.map_or(String::new(), |how| format!(" · at {how}"));
    let hosts = match &d.path {
        Some(path) => {
            let version = |(name, version): (&String, &String)| format!("{name} {version}");
            let versions: Vec<String> = d.proxies.iter().map(version).collect();
            let versions = format!(" ({})", versions.join(", ")).replace(" ()", "");
            format!("path: {}{versions}", path.words())
        }
        None => d.hosts.join(" and "),
    };
    if !d.machines.is_empty() {
        return format!("{}, {tls}{scheduling}", machines(d));
    }
    format!("{hosts}, {tls} · driver on CPU {driver}, target on CPU {target}{scheduling}")
}

/// `3 machines: drivers a (CPU 0-1) and b (CPU 0-1), targets on c (CPU 0-3)`
fn machines(design: &Design) -> String {
    let of = |role: &str| {
        let mine = design.machines.iter().filter(|machine| machine.role == role);
        // Without a valid block it is not known.
        let known = design.blocks_valid > 0;
        let named = mine.map(|m| match known && m.had_nothing_to_do() {
            false => format!("{} (rank {}, CPU {})", m.host, m.rank, Cpus(&m.cpus)),
            true => format!("{} (rank {}, without a connection)", m.host, m.rank),
        });
        named.collect::<Vec<_>>().join(" and ")
    };
    let count = design.machines.len();
    format!("{count} machines: driver on {}, targets on {}", of("driver"), of("target"))
}

/// How CPU was measured at these settings: the figures depend on it.
pub(crate) fn cpu_design<'a>(points: impl IntoIterator<Item = &'a Point>) -> Option<String> {
    let kinds: BTreeSet<&str> = points.into_iter().filter_map(|p| p.design.kind).collect();
    let kinds: Vec<&str> = kinds.into_iter().map(cpu_measured).collect();
    let other = match kinds[..] {
        [] => return None,
        [one] if one == cpu_measured("sliced") => "one arm at a time it may differ",
        [_] => "in slices it may differ",
        _ => {
            let both = "CPU was measured in slices at some settings and one arm at a time at others; each setting says which";
            return Some(both.to_owned());
        }
    };
    Some(format!("CPU was {}; {other}", kinds[0]))
}

fn slots(point: &Point) -> String {
    let each = |a: &ArmFigures| {
        format!("{} warm connections, {} in flight", a.load.connections, a.load.in_flight)
    };
    let first = point.arms.first().map(each).unwrap_or_default();
    if point.arms.iter().all(|a| each(a) == first) {
        return first;
    }
    let of_arm = |a: &ArmFigures| format!("{}: {}", a.arm, each(a));
    point.arms.iter().map(of_arm).collect::<Vec<_>>().join("; ")
}

fn blocks(d: &Design) -> String {
    let count = d.blocks_run;
    match (d.kind, d.slice_ns) {
        (Some(kind), Some(slice)) => {
            format!("{count} {kind} blocks of {} slices", units::nanos_text(slice as f64))
        }
        (Some(kind), None) => format!("{count} {kind} blocks"),
        _ => "no block".to_owned(),
    }
}

/// `blocks 12/12 valid · lag p50 4 µs · spill 0.3 % · machine stalls p99 0.8 ms`
pub(crate) fn trust(point: &Point) -> String {
    let t = &point.validity.trust;
    let mut parts = vec![format!("blocks {}/{} valid", t.blocks_valid, t.blocks_run)];
    let mut add = |what: &str, value: Option<String>| {
        if let Some(value) = value {
            parts.push(format!("{what} {value}"));
        }
    };
    let time = |ns: Option<u64>| ns.map(|v| units::nanos_text(v as f64));
    add("lag p50", time(t.lag_p50_ns));
    add("late reading p50", time(t.reading_p50_ns));
    add("spill", t.spill.map(|s| format!("{:.1} %", s * 100.0)));
    add("machine stalls p99", time(t.hiccup_p99_ns));
    add("steal", t.steal.map(|s| format!("{:.1} %", s * 100.0)));
    let origin = point.design.machines.iter().map(|machine| machine.clock_uncertainty_ns).max();
    // Without a valid trial it is not known.
    let origin = origin.filter(|ns| *ns > 0);
    // Only where one machine publishes and another one receives is a time the difference of two clocks.
    let received = |m: &&MachineFigures| m.received.is_some_and(|n| n > 0);
    match point.design.machines.iter().filter(received).count() > 1 {
        false => add("common origin within ±", time(origin)),
        true => add("common origin, and so the time of each delivery, within ±", time(origin)),
    }
    let shared = &t.shared_cpus;
    add(
        "driver and target shared the core of CPU",
        (!shared.is_empty()).then(|| Cpus(shared).to_string()),
    );
    add("CPU quota", t.cpu_quota.map(|quota| format!("{quota:.2}")));
    let others = t.blocks_beside_other_runs;
    add("other runs active in", (others > 0).then(|| format!("{others}/{} blocks", t.blocks_run)));
    parts.join(" · ")
}

/// `tested same: order, keep-alive; declared same: handler, runtime; declared different: framing`
pub(crate) fn parity(point: &Point) -> String {
    let mut parts = Vec::new();
    for (how, known) in [("tested", Known::Tested), ("declared", Known::Declared)] {
        let [same, differ] = point.parity.names(known);
        parts.extend([(format!("{how} same"), same), (format!("{how} different"), differ)]);
    }
    parts.push(("unknown".to_owned(), point.parity.names(Known::Unknown).concat()));
    parts.retain(|(_, names)| !names.is_empty());
    let text = |(what, names): (String, Vec<&str>)| format!("{what}: {}", names.join(", "));
    parts.into_iter().map(text).collect::<Vec<_>>().join("; ")
}

/// What no figure of this report covers, from what was configured.
pub(crate) fn not_tested(report: &Report) -> Vec<&'static str> {
    let all = |is: fn(&Design) -> bool| report.points.iter().all(|p| is(&p.design));
    let stays =
        |d: &Design| d.subscribers.as_ref().is_none_or(|s| s.stay.is_none() && s.backoff.is_none());
    let path = report.points.iter().any(|p| p.design.path.is_some());
    let fans_out = |d: &Design| d.subscribers.is_some();
    let listed = [
        ("TLS", all(|d| d.tls() == Some(false))),
        ("network delay", all(|d| !d.is_remote() && !crosses(d, |p| !p.rtt.is_zero()))),
        ("packet loss", path && all(|d| !crosses(d, |p| p.loss > 0.0))),
        ("proxies", all(|d| !d.is_remote() && !crosses(d, PathSettings::has_proxies))),
        ("retries", all(|d| !d.guarantee.retries())),
        ("fan-out", all(|d| d.subscribers.is_none())),
        ("subscribers that come and go", all(fans_out) && all(stays)),
    ];
    listed.into_iter().filter(|(_, untested)| *untested).map(|(what, _)| what).collect()
}

/// Events cross a path of which this holds.
fn crosses(design: &Design, what: fn(&PathSettings) -> bool) -> bool {
    design.path.as_ref().is_some_and(what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pushbench_analysis::compare;
    use pushbench_analysis::compare::sample;
    use pushbench_core::record::run::StoredRun;
    use pushbench_core::record::trial::TrialDesign;

    #[test]
    fn the_trust_line_names_other_runs_shared_cpus_and_pauses() {
        let mut run = sample::ratios(1.0, 1.0);
        let line = |run: &StoredRun| trust(&compare::compare(run).points[0]);
        let quiet = line(&run);
        assert!(!quiet.contains("other runs") && !quiet.contains("shared"), "{quiet}");
        run.header.placement.insert("driver".to_owned(), vec![0, 1]);
        run.trials.iter_mut().filter(|t| t.block < 3).for_each(|t| t.other_runs = 1);
        run.trials[0].account.spill = run.trials[0].account.measured.due * 100;
        let text = line(&run);
        assert!(text.contains("driver and target shared the core of CPU 0"), "{text}");
        let mut other = sample::ratios(1.0, 1.0);
        other.header.shared_cores = vec![vec![0, 1]];
        other.header.cpu_quota = Some(1.5);
        let limited = line(&other);
        assert!(limited.contains("shared the core of CPU 0-1 · CPU quota 1.50"), "{limited}");
        let notes = &compare::compare(&other).points[0].validity.notes;
        let note = |words: &str| notes.iter().any(|note| note.text.contains(words));
        assert!(
            note("driver and target shared a core") && note("allows 1.50 CPUs of time"),
            "{notes:?}"
        );
        other.header.cpu_quota = Some(2.0);
        assert!(!line(&other).contains("CPU quota"), "no less than the CPUs in use");
        assert!(text.contains("other runs active in 3/12 blocks"), "{text}");
        assert!(text.contains("spill 100.0 %"), "a share of an older run: {text}");
        for trial in &mut run.trials {
            trial.driver.pause_ns = Some(3_000_000_000);
            trial.judged.invalid = vec!["driver stopped".to_owned()];
        }
        assert!(
            compare::compare(&run).points[0]
                .sentences
                .join(" ")
                .contains("The driver was stopped during the measurement")
        );
    }
    #[test]
    fn what_was_not_tested_follows_from_the_configuration() {
        let mut run = sample::ratios(1.0, 1.0);
        let lines = |run: &StoredRun| {
            let report = compare::compare(run);
            (not_tested(&report).join(", "), place(&report.points[0]))
        };
        let (plain, here) = lines(&run);
        assert_eq!(plain, "TLS, network delay, proxies, retries, fan-out");
        assert!(here.starts_with("loopback, no TLS · driver"), "{here}");
        let arms = &mut run.header.points[0].arms;
        arms[1].scheme = Some("wss".to_owned());
        assert!(lines(&run).1.contains("TLS for some arms only"));
        let arms = &mut run.header.points[0].arms;
        (arms[0].scheme, arms[0].host) = (Some("https".to_owned()), "example.org".to_owned());
        run.header.environment.insert("scheduling".to_owned(), "real-time priority 10".to_owned());
        let (secure, there) = lines(&run);
        assert_eq!(secure, "retries, fan-out");
        assert!(there.contains("example.org and loopback, TLS · driver"), "{there}");
        assert!(there.ends_with(" · at real-time priority 10"), "{there}");
        let fanned_out = crate::tests::fanned_out();
        assert!(lines(&fanned_out).0.ends_with("retries, subscribers that come and go"));
    }

    #[test]
    fn a_figure_of_cpu_says_how_it_was_measured() {
        let sliced = sample::ratios(0.8, 0.5);
        let mut sequential = sliced.clone();
        sequential.trials.iter_mut().for_each(|t| t.design = TrialDesign::Sequential);
        for (run, how) in
            [(sliced, "measured in slices"), (sequential, "measured one arm at a time")]
        {
            let report = compare::compare(&run);
            let point = &report.points[0];
            let sentence = format!("50 % less target CPU per event when {how} (against");
            assert!(point.sentences.concat().contains(&sentence), "{:?}", point.sentences);
            assert!(cpu_design([point]).unwrap().starts_with(&format!("CPU was {how}; ")));
            let json = serde_json::to_value(&report).unwrap();
            for c in json["points"][0]["comparisons"].as_array().unwrap() {
                let is_cpu = c["metric"].as_str().unwrap().contains("cpu");
                assert_eq!(c["design"].is_string(), is_cpu, "{c}");
            }
        }
    }
}
