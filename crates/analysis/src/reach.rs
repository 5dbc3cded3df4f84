//! The decisions of `pushbench reach`: what gets through, what survives a silence, what cures it.

#[cfg(test)]
mod tests;

use pushbench_core::arm::ArmSpec;
use pushbench_core::reach::{Attempt, CellRecord, Header, Observed, Outcome, Probe, Reach};
use pushbench_core::transport::Transport;
use pushbench_core::units::nanos_text;
use serde::Serialize;
use std::time::Duration;

/// The matrix; its JSON is schema 1 and holds the record that it is derived from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Matrix {
    /// The circumstances.
    #[serde(flatten)]
    pub header: Header,
    /// The cells in the order of the record.
    pub cells: Vec<Cell>,
}

impl Matrix {
    /// Cells in which events arrive, and all that were tried.
    pub fn passages(&self) -> (usize, usize) {
        let known = || self.cells.iter().filter_map(|cell| cell.through);
        (known().filter(|through| *through).count(), known().count())
    }
}

/// One arm on one path. `None` where it was not measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cell {
    /// Name of the path.
    pub path: String,
    /// The arm.
    pub arm: String,
    /// Events arrive.
    pub through: Option<bool>,
    /// From the begin of subscribing to the confirmed subscription, and from the due instant of the first event to its
    /// arrival, ns.
    pub first_event_ns: Option<u64>,
    /// The subscription is not cut off in the silence, and the events after it arrive.
    pub survives_silence: Option<bool>,
    /// From the death of the path until either side notices it, ns.
    pub peer_death_noticed_ns: Option<u64>,
    /// Which side it is: `subscriber` or `publisher`.
    pub peer_death_noticed_by: Option<&'static str>,
    /// Events before and after the silence that did not arrive in time.
    pub lost: Option<u64>,
    /// The setting that cures what the cell lacks, `KEY=VALUE`.
    pub cure: Option<String>,
    /// The reasons, in one line; empty where there is nothing to say.
    pub why: String,
    /// The record.
    pub trials: Vec<Attempt>,
}

/// What a cell lacks first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// Events do not arrive.
    Passage,
    /// A silence ends the subscription.
    Silence,
    /// A dead peer is not noticed.
    PeerDeath,
}

impl Lack {
    /// The trial that shows whether it is cured.
    pub fn probe(self) -> Probe {
        match self {
            Lack::Passage | Lack::Silence => Probe::Silence,
            Lack::PeerDeath => Probe::PeerDeath,
        }
    }
}

/// Derives the matrix from its record.
pub fn judge(reach: &Reach) -> Matrix {
    let header = reach.header.clone();
    let cells = reach.cells.iter().map(|cell| judge_cell(cell, &header)).collect();
    Matrix { header, cells }
}

/// Derives one cell.
pub fn judge_cell(record: &CellRecord, header: &Header) -> Cell {
    let trial = |probe| outcome(&record.trials, probe, None);
    let silence = trial(Probe::Silence);
    let observed = observed(silence);
    let through = silence.and_then(through);
    let first = self::observed(trial(Probe::FirstEvent));
    let noticed = self::observed(trial(Probe::PeerDeath)).and_then(noticed);
    let mut cell = Cell {
        path: record.path.clone(),
        arm: record.arm.clone(),
        through,
        first_event_ns: first.and_then(|o| Some(o.subscribed_in_ns + o.delivered_in_ns?)),
        survives_silence: observed.filter(|_| through == Some(true)).map(survives),
        peer_death_noticed_ns: noticed.map(|(ns, _)| ns),
        peer_death_noticed_by: noticed.map(|(_, side)| side),
        lost: observed.map(lost),
        cure: None,
        why: String::new(),
        trials: record.trials.clone(),
    };
    let lack = cell.lack();
    let tried = || record.trials.iter().filter_map(|trial| trial.cure.as_deref());
    cell.cure = lack
        .and_then(|lack| tried().find(|cure| is_cured(&record.trials, lack, cure)))
        .map(str::to_owned);
    let mut why = reasons(&cell, silence, header);
    if cell.cure.is_none() {
        let mut vain: Vec<&str> = tried().collect();
        vain.dedup();
        why.extend(vain.iter().map(|cure| format!("{cure} does not help")));
    }
    cell.why = why.join("; ");
    cell
}

impl Cell {
    /// What it lacks first; `None` where it lacks nothing, or was not tried.
    pub fn lack(&self) -> Option<Lack> {
        let died = |trial: &Attempt| trial.probe == Probe::PeerDeath && trial.cure.is_none();
        match (self.through, self.survives_silence) {
            (Some(false), _) => Some(Lack::Passage),
            (_, Some(false)) => Some(Lack::Silence),
            (Some(true), _)
                if self.peer_death_noticed_ns.is_none() && self.trials.iter().any(died) =>
            {
                Some(Lack::PeerDeath)
            }
            _ => None,
        }
    }
}

/// The settings that may cure what a cell lacks, the best one first.
pub fn cures(cell: &Cell, arm: &ArmSpec, cutoff: Duration) -> Vec<String> {
    let often = format!("{}ms", (cutoff / 2).as_millis());
    match (cell.lack(), cell.path.as_str()) {
        (None, _) => Vec::new(),
        (Some(Lack::Passage), "nginx") => vec!["path.via=nginx-websocket".to_owned()],
        (Some(Lack::Passage), "forward-proxy-no-connect") => {
            vec!["path.forward_proxy=squid".to_owned()]
        }
        (Some(Lack::Passage), _) => Vec::new(),
        (Some(Lack::Silence), _) => vec![match arm.transport {
            Transport::Webhook => format!("delivery.keep_alive={often}"),
            Transport::LongPoll => format!("delivery.long_poll_hold={often}"),
            Transport::Poll => format!("delivery.poll_interval={often}"),
            Transport::Websocket | Transport::Sse | Transport::Tcp => {
                format!("delivery.ping={often}")
            }
        }],
        // A publisher knows whether its WebSocket pings are answered. Otherwise the subscriber looks after it.
        (Some(Lack::PeerDeath), _) => match arm.transport {
            Transport::Websocket => vec![format!("delivery.ping={often}")],
            Transport::Sse => {
                vec![format!("delivery.ping={often} delivery.dead_after={}ms", cutoff.as_millis())]
            }
            Transport::Poll | Transport::LongPoll => vec![format!("delivery.dead_after={often}")],
            Transport::Webhook | Transport::Tcp => Vec::new(),
        },
    }
}

/// The outcome of the last trial of that kind.
fn outcome<'a>(trials: &'a [Attempt], probe: Probe, cure: Option<&str>) -> Option<&'a Outcome> {
    let same = |trial: &&Attempt| trial.probe == probe && trial.cure.as_deref() == cure;
    trials.iter().rfind(same).map(|trial| &trial.outcome)
}

fn observed(outcome: Option<&Outcome>) -> Option<&Observed> {
    match outcome? {
        Outcome::Observed(observed) => Some(observed),
        Outcome::NotTried(_) | Outcome::NotSubscribed(_) => None,
    }
}

fn through(outcome: &Outcome) -> Option<bool> {
    match outcome {
        Outcome::NotTried(_) => None,
        Outcome::NotSubscribed(_) => Some(false),
        Outcome::Observed(observed) => Some(observed.before.received > 0),
    }
}

fn survives(observed: &Observed) -> bool {
    observed.cut_off == 0 && observed.after.due > 0 && observed.after.received == observed.after.due
}

fn lost(observed: &Observed) -> u64 {
    let of = |outcomes: &pushbench_core::record::fanout::DeliveryOutcomes| {
        outcomes.due - outcomes.received
    };
    of(&observed.before) + of(&observed.after)
}

/// When either side noticed a dead peer, and which one was first.
fn noticed(observed: &Observed) -> Option<(u64, &'static str)> {
    let by = |ns: Option<u64>, side| ns.map(|ns| (ns, side));
    let sides = [
        by(observed.subscriber_noticed_ns, "subscriber"),
        by(observed.publisher_noticed_ns, "publisher"),
    ];
    sides.into_iter().flatten().min_by_key(|(ns, _)| *ns)
}

fn is_cured(trials: &[Attempt], lack: Lack, cure: &str) -> bool {
    let Some(observed) = observed(outcome(trials, lack.probe(), Some(cure))) else { return false };
    match lack {
        Lack::Passage => observed.before.received > 0,
        Lack::Silence => survives(observed),
        Lack::PeerDeath => noticed(observed).is_some(),
    }
}

fn reasons(cell: &Cell, silence: Option<&Outcome>, header: &Header) -> Vec<String> {
    let time = |ns: u64| nanos_text(ns as f64);
    let fault = |observed: &Observed| {
        let fault = observed.fault.as_deref().map(without_ports);
        fault.map_or(String::new(), |fault| format!(": {fault}"))
    };
    let mut why = Vec::new();
    match silence {
        None => why.push("not tried: the command was stopped before".to_owned()),
        Some(Outcome::NotTried(reason)) => why.push(format!("not tried: {reason}")),
        Some(Outcome::NotSubscribed(reason)) => {
            why.push(format!("the subscriber could not subscribe: {}", without_ports(reason)));
        }
        Some(Outcome::Observed(observed)) if cell.through == Some(false) => why.push(format!(
            "no event arrived within {}{}",
            time(header.event_timeout_ns),
            fault(observed)
        )),
        Some(Outcome::Observed(observed)) if cell.survives_silence == Some(false) => {
            let silent = time(header.silence_ns);
            why.push(match (observed.cut_off, observed.subscribed_again) {
                (0, _) => format!(
                    "the connection died in a silence of {silent}, and the subscriber was not told{}",
                    fault(observed)
                ),
                (_, 0) => format!("a silence of {silent} ended the connection{}", fault(observed)),
                (_, _) => format!(
                    "a silence of {silent} ended the connection, and the subscriber subscribed again{}",
                    fault(observed)
                ),
            });
        }
        Some(Outcome::Observed(_)) => {}
    }
    let death = outcome(&cell.trials, Probe::PeerDeath, None);
    if observed(death).is_some() && cell.peer_death_noticed_ns.is_none() {
        let limit = time(header.peer_death_limit_ns);
        why.push(format!("neither side noticed a dead peer within {limit}"));
    }
    why
}

/// A text without the ports behind addresses, which differ from trial to trial.
fn without_ports(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (i, part) in text.split(':').enumerate() {
        let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let is_port = digits >= 4 && out.ends_with(|c: char| c.is_ascii_digit());
        match (i, is_port) {
            (0, _) => out.push_str(part),
            (_, true) => out.push_str(&part[digits..]),
            (_, false) => out.extend([":", part]),
        }
    }
    out
}
