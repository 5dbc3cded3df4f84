//! What each layer costs, and figures of what lies between events and sockets: TLS handshakes, encryption, signatures.

use crate::compare::figures::{distribution, over_blocks};
use crate::compare::{ArmFigures, Comparison, Latency, Trials, decide};
use pushbench_core::arm::{ArmOption, ArmSpec};
use pushbench_core::record::handshakes::Handshakes;
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::run::PointHeader;
use pushbench_core::record::trial::Trial;
use serde::Serialize;
use std::collections::BTreeMap;

/// The options that add a layer between events and sockets, or change how events share connections.
const LAYERS: [ArmOption; 7] = [
    ArmOption::Tls,
    ArmOption::H2,
    ArmOption::Connections,
    ArmOption::Batch,
    ArmOption::Token,
    ArmOption::Signed,
    ArmOption::Compressed,
];

/// What one or several layers cost a transport: an arm against the same arm without them.
#[derive(Debug, Clone, Serialize)]
pub struct LayerCost {
    /// `+tls+signed`
    pub layers: String,
    /// The arm without them.
    pub baseline: String,
    /// The arm with them.
    pub candidate: String,
    /// Every judged metric.
    pub comparisons: Vec<Comparison>,
    /// Bytes inside TCP that each event has more, both ways.
    pub bytes_per_event: Option<f64>,
}

/// The costs of the layers of every arm that is measured without them, too.
pub(super) fn costs(
    header: &PointHeader,
    arms: &[ArmFigures],
    trials: &Trials<'_>,
) -> Vec<LayerCost> {
    let specs: Vec<Option<ArmSpec>> =
        header.arms.iter().map(|arm| ArmSpec::parse(&arm.label).ok()).collect();
    let of = |candidate: usize| {
        let spec = specs[candidate].as_ref()?;
        let plain = LAYERS.into_iter().fold(spec.clone(), |plain, layer| plain.without(layer));
        let baseline = specs.iter().position(|other| other.as_ref() == Some(&plain))?;
        let bytes = |arm: usize| {
            let wire = &arms[arm].wire;
            Some(wire.bytes_out_per_event? + wire.bytes_in_per_event?)
        };
        // An arm may be over TLS by its URL alone.
        let scheme = |arm: usize| header.arms[arm].scheme.as_deref();
        let same = spec.has(ArmOption::Tls) && scheme(baseline) == scheme(candidate);
        (baseline != candidate && !same).then(|| LayerCost {
            layers: spec.options.written(|option| LAYERS.contains(&option)),
            baseline: arms[baseline].arm.clone(),
            candidate: arms[candidate].arm.clone(),
            comparisons: decide::against(header, arms, trials, (baseline, candidate)),
            bytes_per_event: bytes(candidate)
                .zip(bytes(baseline))
                .map(|(with, plain)| with - plain),
        })
    };
    (0..arms.len()).filter_map(of).collect()
}

/// TLS handshakes over valid trials, those of warm connections included.
#[derive(Debug, Clone, Serialize)]
pub struct HandshakeFigures {
    /// With certificate and signature.
    pub full: u64,
    /// That resumed a session.
    pub resumed: u64,
    /// Until TCP was connected, where the driver has connected.
    pub tcp_ns: Latency,
    /// From then until the end of a full handshake.
    pub full_ns: Latency,
    /// The same of a resumed one.
    pub resumed_ns: Latency,
}

/// The handshakes of an arm's valid trials; `None` without TLS.
pub(super) fn handshakes(trials: &[&Trial]) -> Option<HandshakeFigures> {
    let mut all = Handshakes::default();
    for trial in trials {
        all.merge(trial.account.handshakes.as_ref()?);
    }
    (all.full + all.resumed > 0).then(|| HandshakeFigures {
        full: all.full,
        resumed: all.resumed,
        tcp_ns: times(trials, |t| Some(&t.account.handshakes.as_ref()?.tcp)),
        full_ns: times(trials, |t| Some(&t.account.handshakes.as_ref()?.full_tls)),
        resumed_ns: times(trials, |t| Some(&t.account.handshakes.as_ref()?.resumed_tls)),
    })
}

/// From sent until the bytes of an event were handed to the socket; `None` where no layer takes its time.
pub(super) fn encode(trials: &[&Trial]) -> Option<Latency> {
    let found = times(trials, |t| Some(&t.account.layers.as_ref()?.encode));
    (found.count > 0).then_some(found)
}

/// From the read of the last encrypted byte until its answer was decrypted; `None` where no layer takes its time.
pub(super) fn decode(trials: &[&Trial]) -> Option<Latency> {
    let found = times(trials, |t| Some(&t.account.layers.as_ref()?.decode));
    (found.count > 0).then_some(found)
}

fn times(trials: &[&Trial], of: impl Fn(&Trial) -> Option<&Hist>) -> Latency {
    let each: Vec<Option<&Hist>> = trials.iter().map(|t| of(t)).collect();
    let mut sum = Hist::new();
    each.iter().flatten().for_each(|hist| sum.merge(hist));
    distribution(&sum, trials, false, |q| over_blocks(&each, q))
}

/// What the connections of an arm have agreed on in TLS, as they say themselves. `None` without TLS, and where no
/// trial was finished.
pub(super) fn security(arm: usize, trials: &[&Trial]) -> Option<String> {
    agreed(arm, trials, |t| Some(&t.account.handshakes.as_ref()?.negotiated))
}

/// The same above TLS: HTTP/2 and its limits, extensions of WebSocket.
pub(super) fn protocol(arm: usize, trials: &[&Trial]) -> Option<String> {
    agreed(arm, trials, |t| Some(&t.account.agreed))
}

/// The most frequent first.
fn agreed(
    arm: usize,
    trials: &[&Trial],
    of: impl Fn(&Trial) -> Option<&BTreeMap<String, u64>>,
) -> Option<String> {
    let mut all = BTreeMap::<&str, u64>::new();
    let mine = trials.iter().filter(|t| t.arm == arm);
    for (words, n) in mine.filter_map(|t| of(t)).flatten() {
        *all.entry(words).or_default() += n;
    }
    let mut found: Vec<(&str, u64)> = all.into_iter().collect();
    found.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let words: Vec<&str> = found.into_iter().map(|(words, _)| words).collect();
    (!words.is_empty()).then(|| words.join("; "))
}
