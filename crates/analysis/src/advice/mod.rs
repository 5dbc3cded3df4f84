//! Advice: by which transport a workload's events should travel, why, and what would change it.
//!
//! Hard constraints come first (who can be reached, what a proxy lets through, what a receiver can hold), then measured
//! costs, then what each receiver has to do itself. Nothing is weighed into a score: a rule decides, and is printed.

mod changes;
mod choice;
mod constraints;
pub(crate) mod duties;
pub mod evidence;
mod load;
#[cfg(test)]
mod tests;

use crate::compare::FEWEST_BLOCKS;
use choice::choose;
use pushbench_core::evidence::{Evidence, Figure, Run, Setting};
use pushbench_core::guarantee::Promise;
use pushbench_core::record::ease::{Ease, StackEase};
use pushbench_core::transport::Transport;
use pushbench_core::units::span_text;
use pushbench_core::workload::{Place, Recipients, Workload};
use serde::Serialize;

/// Version of the JSON.
pub const SCHEMA: u32 = 1;

/// The transports that may be recommended.
pub const TRANSPORTS: [Transport; 5] = [
    Transport::Webhook,
    Transport::Websocket,
    Transport::Sse,
    Transport::LongPoll,
    Transport::Poll,
];

/// The answer to a workload.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Advice {
    /// [`SCHEMA`]
    pub schema: u32,
    /// The workload.
    pub workload: Workload,
    /// What is recommended: one name, `a+b` for a combination; empty where nothing satisfies the workload.
    pub recommendation: Vec<String>,
    /// What does as well.
    pub equal: Vec<String>,
    /// The difference is too small to matter.
    pub does_not_matter: bool,
    /// Why, in the order in which it was decided.
    pub because: Vec<Because>,
    /// What is out of the question.
    pub excluded: Vec<Excluded>,
    /// Where nothing satisfies the workload: the change that lets something satisfy it.
    pub nearest: Option<Change>,
    /// What the workload takes of each transport that remains.
    pub costs: Vec<Cost>,
    /// What has to be written, beside sending and receiving.
    pub duties: Vec<Duties>,
    /// What the workload does not say and was assumed.
    pub assumed: Vec<String>,
    /// Code of the stack that the workload names, for each transport that it was counted of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub code: Vec<Code>,
    /// What was not measured and might matter.
    pub not_measured: Vec<String>,
    /// Where the recommendation changes, one key at a time.
    pub would_change: Vec<Change>,
    /// The runs that the figures come from.
    pub runs: Vec<Source>,
}

/// A run, and the load under which it measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Source {
    /// The run.
    #[serde(flatten)]
    pub run: Run,
    /// The load of its figures; `None` of a matrix of paths.
    pub setting: Option<Setting>,
}

/// A reason.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Because {
    /// In words.
    pub sentence: String,
    /// The figure that it rests on; `None` of a rule.
    pub figure: Option<f64>,
    /// Its unit.
    pub unit: Option<&'static str>,
    /// The directory of the run that it comes from; `None` of the workload itself.
    pub run: Option<String>,
}

/// A transport that is out of the question.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Excluded {
    /// The transport.
    pub transport: &'static str,
    /// Why.
    pub because: String,
    /// The key of the workload that excludes it.
    pub key: &'static str,
    /// The directory of the run that shows it; `None` where it follows from the workload.
    pub run: Option<String>,
}

/// What a workload takes of a transport.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cost {
    /// The transport.
    pub transport: &'static str,
    /// CPUs of both sides in a burst; `None` where no figure is known.
    pub cpus: Option<f64>,
    /// Its 95 % interval.
    pub cpus_ci95: Option<[f64; 2]>,
    /// Money for a month at the average rate, in the currency of the workload's prices; left out without prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub month: Option<f64>,
    /// Its 95 % interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub month_ci95: Option<[f64; 2]>,
    /// Requests and pings a second, deliveries apart, that it takes to stay current.
    pub upkeep: f64,
    /// Connections that are open all the time.
    pub connections: u64,
    /// Memory of the sender for them, bytes.
    pub memory_bytes: Option<f64>,
    /// How old an event is when it arrives, at most and without a fault, ns; `None` where no figure is known.
    pub age_ns: Option<f64>,
    /// The directory of the run with the CPU figure.
    pub run: Option<String>,
    /// The same of what the age contains of the programs' time.
    pub age_run: Option<String>,
}

/// What has to be written for a transport.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Duties {
    /// The transport.
    pub transport: &'static str,
    /// By whoever sends.
    pub sender: Vec<&'static str>,
    /// By each receiver.
    pub receiver: Vec<&'static str>,
}

/// The code of a program that receives by a transport.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Code {
    /// The transport.
    pub transport: &'static str,
    /// The target that it was counted of.
    pub stack: String,
    /// Without blank lines and comments.
    pub lines_of_code: Option<usize>,
    /// All packages of its lockfile.
    pub packages: Option<usize>,
}

/// A value of a key at which the recommendation changes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// The key of the workload.
    pub key: &'static str,
    /// Its value.
    pub at: serde_json::Value,
    /// The recommendation there; two names where it does not matter which.
    pub to: Vec<String>,
    /// What is recommended for the workload was measured here at that load, too.
    pub measured: bool,
}

/// Many events are under way to one receiver at once.
pub fn is_deep(workload: &Workload) -> bool {
    load::is_deep(workload)
}

/// The transports that remain and that a measurement can compare.
pub fn to_measure(workload: &Workload, evidence: &Evidence) -> Vec<Transport> {
    // What a stored figure excludes is measured, because it may be otherwise here.
    let remains = |transport: &Transport| {
        let parts = match workload.place {
            Place::Mixed => [Place::PublicServer, Place::BehindNat].to_vec(),
            place => vec![place],
        };
        parts.into_iter().any(|place| {
            let part = Workload { place, ..workload.clone() };
            constraints::impossible(*transport, &part, evidence).is_none()
        })
    };
    // How often a receiver polls decides what polling costs, and follows from the workload; only a webhook and a
    // WebSocket are measured with many events under way.
    let measured = |transport: &Transport| match transport {
        Transport::Poll => false,
        Transport::Sse | Transport::LongPoll => !is_deep(workload),
        _ => true,
    };
    TRANSPORTS.into_iter().filter(remains).filter(measured).collect()
}

/// The workload at the nearest load at which something else is recommended.
pub fn nearest_change(workload: &Workload, evidence: &Evidence) -> Option<Workload> {
    changes::nearest_load(workload, evidence)
}

/// The answer from what is known.
pub fn advise(workload: &Workload, evidence: &Evidence) -> Advice {
    let chosen = choose(workload, evidence);
    let found =
        if chosen.pick.is_empty() { Vec::new() } else { changes::changes(workload, evidence) };
    let would_change = found.into_iter().map(|at| at.change).collect();
    let nearest = chosen.pick.is_empty().then(|| changes::nearest(workload, evidence)).flatten();
    let named: Vec<Transport> = TRANSPORTS
        .into_iter()
        .filter(|transport| chosen.names().any(|name| name == transport.name()))
        .collect();
    Advice {
        schema: SCHEMA,
        workload: workload.clone(),
        recommendation: recommendation(&chosen.pick),
        equal: chosen.equal.iter().map(|transport| transport.name().to_owned()).collect(),
        does_not_matter: chosen.does_not_matter,
        because: chosen.because.clone(),
        excluded: chosen.excluded.clone(),
        nearest,
        costs: chosen.costs.clone(),
        duties: named.iter().map(|transport| duties::of(*transport, workload)).collect(),
        code: code(workload, evidence, &named),
        assumed: assumed(workload, &chosen),
        not_measured: not_measured(workload, evidence),
        would_change,
        runs: sources(evidence),
    }
}

fn sources(known: &Evidence) -> Vec<Source> {
    let source = |(index, run): (usize, &Run)| {
        let setting = known.figures.iter().find(|f| f.run == index).map(|f| f.setting);
        Source { run: run.clone(), setting }
    };
    known.runs.iter().enumerate().map(source).collect()
}

/// Of the transports that are recommended.
fn code(workload: &Workload, known: &Evidence, named: &[Transport]) -> Vec<Code> {
    let stack = known.stacks.iter().find(|stack| Some(&stack.stack) == workload.stack.as_ref());
    let of = |stack: &StackEase| {
        let sides =
            [(Transport::Webhook, &stack.webhook), (Transport::Websocket, &stack.websocket)];
        let side = |(transport, ease): (Transport, &Option<Ease>)| {
            let ease = ease.as_ref().filter(|_| named.contains(&transport))?;
            Some(Code {
                transport: transport.name(),
                stack: stack.stack.clone(),
                lines_of_code: ease.lines_of_code,
                packages: ease.dependencies.map(|packages| packages.all),
            })
        };
        sides.into_iter().filter_map(side).collect()
    };
    stack.map(of).unwrap_or_default()
}

fn recommendation(pick: &[Transport]) -> Vec<String> {
    let names: Vec<&str> = pick.iter().map(|transport| transport.name()).collect();
    (!names.is_empty()).then(|| names.join("+")).into_iter().collect()
}

/// The recommendation; both where it does not matter.
fn either(chosen: &choice::Chosen) -> Vec<String> {
    let mut names = recommendation(&chosen.pick);
    let equal = chosen.equal.iter().filter(|_| chosen.does_not_matter);
    names.extend(equal.map(|transport| transport.name().to_owned()));
    names
}

fn assumed(workload: &Workload, chosen: &choice::Chosen) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |line: String| lines.push(line);
    if workload.recipients.is_none() && workload.count > 1 {
        say(match workload.recipients() {
            Recipients::All => "each event goes to every receiver (events.recipients)".to_owned(),
            Recipients::One => "each event goes to one receiver (events.recipients)".to_owned(),
        });
    }
    if workload.rtt.is_none() {
        let rtt = span_text(load::rtt(workload).as_nanos() as f64);
        say(format!(
            "a round trip takes {rtt}: what is usual there, or a quarter of the freshness if that is shorter (receivers.rtt)"
        ));
    }
    let kept = chosen.costs.iter().any(|cost| cost.connections > 0);
    if kept && workload.idle_cutoff.is_none() {
        let cutoff = load::DEFAULT_CUTOFF.as_secs();
        say(format!(
            "a connection that is silent for {cutoff} s may be cut off, and is pinged after half of that (receivers.idle_cutoff)"
        ));
    }
    if kept {
        say("a ping costs as much CPU as a delivery, and an event in the answer to a poll as much as one over SSE".to_owned());
    }
    if !workload.always_on && workload.promise == Promise::AtMostOnce {
        say("what is sent while a receiver is off is lost (need.guarantee)".to_owned());
    }
    if !workload.tls {
        say("nobody between the two reads or changes events: without TLS tokens travel in clear text (security.tls)".to_owned());
    }
    if matches!(workload.place, Place::PublicServer | Place::Mixed) {
        say("public servers belong to others, who write and run what receives".to_owned());
    }
    if !workload.prices.is_empty() {
        say("a month has 730 hours at the average rate; money counts the CPU of both sides, also that of receivers which others pay for, the sender's memory for open connections, and the bytes of events (price)".to_owned());
    }
    say("your programs cost what the built-in ones do; a framework costs more on either side"
        .to_owned());
    lines
}

/// A workload that is so many times as large as what was measured, or as small, is told.
const FAR: f64 = 3.0;

fn not_measured(workload: &Workload, known: &Evidence) -> Vec<String> {
    let mut lines = vec![
        "HTTP/3, WebTransport, gRPC, brokers, mobile push, batches of events in one request, batteries of mobile devices"
            .to_owned(),
    ];
    if !workload.prices.is_empty() && workload.prices.egress_gib.is_some() {
        lines.push(
            "bytes of headers, frames, requests for polls and TLS, which the price leaves out"
                .to_owned(),
        );
    }
    let decides = |f: &Figure| known.runs[f.run].own && f.blocks >= FEWEST_BLOCKS;
    if !known.figures.iter().any(decides) {
        lines.push("your machine: every figure with an interval is of a stored run; without --no-measure it is measured here".to_owned());
    }
    let cpu = load::figure(known, Transport::Websocket, workload, &evidence::CPU);
    if let Some(setting) = cpu.map(|figure| figure.setting) {
        let far =
            |own: f64, measured: f64| !(1.0 / FAR..=FAR).contains(&(own / measured.max(1e-9)));
        if far(workload.payload_bytes as f64, setting.payload_bytes as f64) {
            lines.push(format!(
                "events of {} bytes: costs are those of {} bytes",
                workload.payload_bytes, setting.payload_bytes
            ));
        }
        if workload.count > setting.receivers * FAR as u64 {
            lines.push(format!(
                "{} receivers: costs are those of {} receivers, multiplied",
                workload.count, setting.receivers
            ));
        }
        let rate = setting.rate.unwrap_or(0.0) * setting.receivers as f64;
        let burst = workload.deliveries() * workload.burst_factor;
        if burst > rate * FAR {
            lines.push(format!(
                "{burst:.0} deliveries a second: costs are those of {rate:.0} a second, multiplied"
            ));
        }
    }
    let few = |f: &&Figure| known.runs[f.run].own && f.blocks < FEWEST_BLOCKS;
    if let Some(figure) = known.figures.iter().find(few) {
        let line = format!(
            "{} has {} valid blocks, and {FEWEST_BLOCKS} are needed for an interval: its costs decide nothing; measure again on a quiet machine, or longer with --at-most",
            known.runs[figure.run].dir, figure.blocks
        );
        lines.insert(0, line);
    }
    if workload.tls {
        lines.push("TLS at this load: costs are those over plain TCP (pushbench run ablation measures the difference)".to_owned());
    }
    if workload.place == Place::Function {
        lines.push("the cold start of a function".to_owned());
    }
    lines
}
