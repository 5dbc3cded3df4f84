//! What an arm does with events before it is measured: a known set of them, and in the full form what
//! is unusual or broken. Plain blocking sockets, bounded in time; nothing of the driver's own code.
//!
//! [`quick`] stands at the head of every run and sends well-formed events only; [`full`] is
//! `pushbench verify`. Both start targets as a run does. What is found is data; `compare` says where
//! arms differ and `report` shows it.

#[cfg(test)]
mod response_tests;

mod head;
mod http;
mod known;
mod no_answer;
mod probes;
mod remedy;
mod talk;
mod tap;
mod tcp;
mod webhook;
mod websocket;

use known::{Instead, Plan, Tallied};
use pushbench_core::error::{Error, Result};
use pushbench_core::event::Template;
use pushbench_core::record::effective_config::EffectiveConfig;
use pushbench_core::record::findings::{Aspect, Finding, Findings};
use pushbench_core::transport::Carrier;
use pushbench_sut::manifest::Manifest;
use pushbench_sut::process::{Launch, Running, start_all, stop_all};
use pushbench_wire::response_diagnostics::TLS;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use talk::{Peer, Talk};

/// An answer that takes longer does not come, whatever the scenario allows.
const LONGEST: Duration = Duration::from_secs(10);
/// On a machine that stalls an answer that is under way takes this long.
const SHORTEST: Duration = Duration::from_secs(2);
/// The events of the quick form: enough to see a connection used again and answers overtake.
const QUICK: Plan = Plan {
    events: 5,
    budget: Duration::from_secs(2),
    patience: LONGEST,
    quiet: Duration::from_millis(20),
};
/// The events of the full form, which listens longer for what nobody asked for.
const FULL: Plan = Plan {
    events: 16,
    budget: Duration::from_secs(3),
    patience: Duration::from_secs(5),
    quiet: Duration::from_millis(200),
};

/// An arm to be looked at.
pub struct Subject<'a> {
    /// Its name, `webhook@builtin`.
    pub label: &'a str,
    /// How events travel.
    pub carrier: Carrier,
    /// The program.
    pub manifest: &'a Manifest,
}

/// Where and with what.
pub struct Bench<'a> {
    /// The targets' CPUs.
    pub cpus: &'a [usize],
    /// Set when the user wants to stop.
    pub interrupt: &'a AtomicBool,
    /// Makes the events.
    pub template: &'a Template,
}

/// A handful of well-formed events to each arm; an arm that acknowledges none of them ends it. An
/// answer may take as long as the scenario allows, within reason.
pub fn quick(
    subjects: &[Subject<'_>],
    bench: &Bench<'_>,
    timeout: Duration,
) -> Result<Vec<Findings>> {
    let plan = Plan { patience: timeout.clamp(SHORTEST, LONGEST), ..QUICK };
    let all = each(subjects, bench, |peer| form(peer, &plan))?;
    let mute = |f: &&Findings| f.acknowledged == 0;
    match all.iter().find(mute).and_then(|f| f.failure.as_ref()) {
        Some(failure) => Err(Error::target(failure.clone())),
        None => Ok(all),
    }
}

/// Everything that can be asked of each arm.
pub fn full(subjects: &[Subject<'_>], bench: &Bench<'_>) -> Result<Vec<Findings>> {
    each(subjects, bench, |peer| {
        let form = form(peer, &FULL);
        // Whoever acknowledges nothing has nothing to say about the rest.
        if form.seen.acknowledged.is_empty() {
            return form;
        }
        let more = match peer.carrier {
            Carrier::Webhook => {
                let mut found = probes::<webhook::Webhook>(peer, &form.seen);
                found.extend([webhook::expect(peer), webhook::chunked(peer)]);
                found
            }
            Carrier::Websocket => {
                let mut found = probes::<websocket::Websocket>(peer, &form.seen);
                found.extend([websocket::ping(peer), websocket::close(peer)]);
                found
            }
            Carrier::Tcp => probes::<tcp::Tcp>(peer, &form.seen),
        };
        Form { list: [form.list, more].concat(), ..form }
    })
}

/// Status and body of the response in these bytes, behind which the peer closes, and whether the connection
/// ends with it: for tests, which put the same bytes before the driver's client.
#[doc(hidden)]
pub fn read_response(bytes: &[u8]) -> Option<(u16, Vec<u8>, bool)> {
    http::whole(bytes).ok()
}

/// What a form has brought.
struct Form {
    seen: Tallied,
    list: Vec<Finding>,
}

fn form(peer: &Peer<'_>, plan: &Plan) -> Form {
    let (seen, deep) = match peer.carrier {
        Carrier::Webhook => (known::ask::<webhook::Webhook>(peer, plan), false),
        Carrier::Websocket => (known::ask::<websocket::Websocket>(peer, plan), true),
        Carrier::Tcp => (known::ask::<tcp::Tcp>(peer, plan), true),
    };
    let list = seen.findings(peer.matching, deep);
    Form { seen, list }
}

/// What is unusual or broken, the same for every transport.
fn probes<'a, T: Talk<'a>>(peer: &Peer<'a>, seen: &Tallied) -> Vec<Finding> {
    vec![
        probes::malformed::<T>(peer, seen.usual.as_deref()),
        probes::abrupt_close::<T>(peer),
        probes::in_pieces::<T>(peer),
        probes::large::<T>(peer),
    ]
}

/// Starts all targets, looks at one after the other, and ends them.
fn each(
    subjects: &[Subject<'_>],
    bench: &Bench<'_>,
    look: impl Fn(&Peer<'_>) -> Form,
) -> Result<Vec<Findings>> {
    let (cpus, interrupt) = (bench.cpus, bench.interrupt);
    let launches: Vec<Launch<'_>> =
        subjects.iter().map(|s| Launch { manifest: s.manifest, cpus, interrupt }).collect();
    let mut targets = start_all(&launches)?;
    let mut look_at = |(subject, target)| {
        let found = one(subject, target, bench, &look);
        // What was found while the user wanted to stop is half of it.
        if bench.interrupt.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { found }
    };
    let all = subjects.iter().zip(&mut targets).map(&mut look_at).collect();
    stop_all(targets);
    all
}

fn one(
    subject: &Subject<'_>,
    target: &mut Running,
    bench: &Bench<'_>,
    look: impl Fn(&Peer<'_>) -> Form,
) -> Result<Findings> {
    let template = subject.manifest.worded(bench.template);
    let address = target.address().clone();
    let peer = Peer::new(subject.carrier, address, subject.manifest, &template, bench.interrupt);
    let mut form = look(&peer);
    form.list.extend(in_force(target));
    form.list.sort_by_key(|f| f.aspect);
    Ok(Findings {
        arm: subject.label.to_owned(),
        acknowledged: form.seen.acknowledged.len(),
        failure: failure(subject, target, &peer, &form.seen),
        list: form.list,
    })
}

/// What a built-in server says of itself; of another one it is not known.
fn in_force(target: &Running) -> Vec<Finding> {
    match EffectiveConfig::read(&target.output_tail()) {
        Some(said) => vec![
            Finding::tested(Aspect::Nodelay, said.nodelay.to_string()),
            Finding::declared(Aspect::Runtime, said.runtime),
            Finding::declared(Aspect::Threads, said.threads.to_string()),
        ],
        None => [Aspect::Nodelay, Aspect::Runtime, Aspect::Threads]
            .map(|aspect| Finding::unknown(aspect, "not visible"))
            .to_vec(),
    }
}

/// Why an arm cannot be measured: nothing is acknowledged, or the target is gone.
fn failure(
    subject: &Subject<'_>,
    target: &mut Running,
    peer: &Peer<'_>,
    seen: &Tallied,
) -> Option<String> {
    let label = subject.label;
    let died = target.exited();
    if !seen.acknowledged.is_empty() {
        return died.map(|how| format!("{label}: the target {how}"));
    }
    let events = match seen.sent {
        1 => "the event it was sent was not acknowledged".to_owned(),
        n => format!("not one of {n} events was acknowledged"),
    };
    let instead = seen.instead.as_ref()?;
    let before = match (instead, &seen.sample) {
        (Instead::NoAnswer(_), Some(sample)) => {
            format!("; before that it sent `{}`", sample.text())
        }
        _ => String::new(),
    };
    let ended = died.map(|how| format!("; the target {how}")).unwrap_or_default();
    let elsewhere = match target.elsewhere() {
        Some(place) => format!("; it listens on {place} instead"),
        None => String::new(),
    };
    let tail = target.output_tail();
    let printed = match tail.trim() {
        _ if EffectiveConfig::read(&tail).is_some() || !ended.is_empty() => String::new(),
        "" => String::new(),
        tail => format!("\nits last output:\n  {}", tail.replace('\n', "\n  ")),
    };
    Some(format!(
        "{label}: {events}: {instead}{before}{elsewhere}{ended}; {}{printed}",
        match instead {
            // Many servers of TLS close without a word when they are spoken to without.
            Instead::NoAnswer(failure) if failure.ends() && target.speaks_tls() => TLS.to_owned(),
            _ => remedy::remedy(peer, instead),
        }
    ))
}
