//! What an arm does with events before it is measured: a known set of them, and in the full form what
//! is unusual or broken. Plain blocking sockets, bounded in time; nothing of the driver's own code.
//!
//! [`quick`] begins every run and sends well-formed events, and events of another sender where the arm
//! authenticates; [`full`] is `pushbench verify`. Both start targets as a run does. What is found is data; `compare` says where
//! arms differ and `report` shows it.

#[cfg(test)]
mod response_tests;

mod answer;
mod closed_loop;
mod compressed_socket;
mod forgeries;
mod head;
mod http;
mod http2;
mod known_events;
mod matching;
mod no_answer;
mod probe_connection;
mod probes;
mod recording_socket;
mod remedy;
mod tcp;
mod webhook;
mod websocket;

pub use closed_loop::closed_loop;

use known_events::{EventTally, Plan, Unacknowledged};
use no_answer::{NO_CONNECTION, NoAnswer};
use probe_connection::{ProbeConnection, ProbeTarget};
use pushbench_core::error::{Error, Result};
use pushbench_core::event::Template;
use pushbench_core::record::effective_config::EffectiveConfig;
use pushbench_core::record::findings::{Aspect, Finding, Findings};
use pushbench_core::transport::Carrier;
use pushbench_sut::manifest::Manifest;
use pushbench_sut::process::{Launch, Running, start_all, stop_all};
use pushbench_wire::response_diagnostics::TLS;
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Sockets of a process are closed before it has ended: this long it may take.
const GONE: Duration = Duration::from_secs(2);
/// An answer that takes longer does not come, whatever the scenario allows.
const LONGEST: Duration = Duration::from_secs(10);
/// On a machine that stalls an answer that is under way takes this long.
const SHORTEST: Duration = Duration::from_secs(2);
/// The events of the quick form: enough to see a connection used again and answers overtake.
const QUICK: Plan = Plan {
    events: 5,
    budget: Duration::from_secs(2),
    time_limit: LONGEST,
    quiet: Duration::from_millis(20),
};
/// The events of the full form, which waits longer for unsolicited messages.
const FULL: Plan = Plan {
    events: 16,
    budget: Duration::from_secs(3),
    time_limit: Duration::from_secs(5),
    quiet: Duration::from_millis(200),
};

/// An arm to be looked at.
pub struct Subject<'a> {
    /// Its name, `webhook@builtin`.
    pub label: &'a str,
    /// How events travel.
    pub carrier: Carrier,
    /// Requests go over HTTP/2.
    pub http2: bool,
    /// The program.
    pub manifest: &'a Manifest,
    /// How it knows who sent an event.
    pub authentication: Option<String>,
    /// Its requests carry batches.
    pub batches: bool,
}

/// Where and with what.
pub struct VerifyContext<'a> {
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
    context: &VerifyContext<'_>,
    timeout: Duration,
) -> Result<Vec<Findings>> {
    let plan = Plan { time_limit: timeout.clamp(SHORTEST, LONGEST), ..QUICK };
    let all = probe_each(subjects, context, |target| send_known_events(target, &plan))?;
    let none_acknowledged = |f: &&Findings| f.acknowledged == 0;
    match all.iter().find(none_acknowledged).and_then(|f| f.failure.as_ref()) {
        Some(failure) => Err(Error::target(failure.clone())),
        None => Ok(all),
    }
}

/// How the answers of each arm find their events, as they show it: one line for each arm, which says what was
/// found, and the manifest in which it is settled.
pub fn settle_matching(
    subjects: &[Subject<'_>],
    context: &VerifyContext<'_>,
    timeout: Duration,
) -> Result<Vec<(Manifest, String)>> {
    let plan = Plan { time_limit: timeout.clamp(SHORTEST, LONGEST), ..QUICK };
    let seen = RefCell::new(Vec::new());
    let all = probe_each(subjects, context, |target| {
        let (tally, ids) = match target.carrier {
            Carrier::Webhook if target.http2 => matching::observe::<http2::Http2>(target, &plan),
            Carrier::Webhook => matching::observe::<webhook::Webhook>(target, &plan),
            Carrier::Websocket => matching::observe::<websocket::Websocket>(target, &plan),
            Carrier::Tcp => matching::observe::<tcp::Tcp>(target, &plan),
        };
        seen.borrow_mut().push(ids.settled());
        ProbeResult { tally, list: Vec::new() }
    })?;
    let settled = subjects.iter().zip(&all).zip(seen.into_inner());
    let settled = settled.map(|((subject, found), settled)| {
        let label = subject.label;
        if let (0, Some(failure)) = (found.acknowledged, &found.failure) {
            return Err(Error::target(failure.clone()));
        }
        let (matching, id_at, found) = settled.map_err(|why| {
            Error::target(format!(
                "{label}: {why}: how answers find their events cannot be told: describe the target in pushbench.toml \
                 and say it with match, \"id\" (other messages are then ignored) or \"order\""
            ))
        })?;
        let mut manifest = subject.manifest.clone();
        (manifest.matching, manifest.request_options.id_at) = (matching, id_at);
        manifest.match_left_out = false;
        Ok((manifest, format!("{label}: {found}")))
    });
    settled.collect()
}

/// All probes of each arm.
pub fn full(subjects: &[Subject<'_>], context: &VerifyContext<'_>) -> Result<Vec<Findings>> {
    probe_each(subjects, context, |target| {
        let result = send_known_events(target, &FULL);
        // Whoever acknowledges nothing has nothing to say about the rest.
        if result.tally.acknowledged.is_empty() {
            return result;
        }
        let more = match target.carrier {
            Carrier::Webhook if target.http2 => {
                let mut found = probes::<http2::Http2>(target, &result.tally);
                found.extend(http2::not_applicable());
                found
            }
            Carrier::Webhook => {
                let mut found = probes::<webhook::Webhook>(target, &result.tally);
                found.extend([webhook::expect(target), webhook::chunked(target)]);
                found
            }
            Carrier::Websocket => {
                let mut found = probes::<websocket::Websocket>(target, &result.tally);
                found.extend([websocket::ping(target), websocket::close(target)]);
                found
            }
            Carrier::Tcp => probes::<tcp::Tcp>(target, &result.tally),
        };
        ProbeResult { list: [result.list, more].concat(), ..result }
    })
}

/// What a form has brought.
struct ProbeResult {
    tally: EventTally,
    list: Vec<Finding>,
}

fn send_known_events(target: &ProbeTarget<'_>, plan: &Plan) -> ProbeResult {
    let (tally, deep) = match target.carrier {
        Carrier::Webhook if target.http2 => {
            (known_events::send_events::<http2::Http2>(target, plan), false)
        }
        Carrier::Webhook => (known_events::send_events::<webhook::Webhook>(target, plan), false),
        Carrier::Websocket => {
            (known_events::send_events::<websocket::Websocket>(target, plan), true)
        }
        Carrier::Tcp => (known_events::send_events::<tcp::Tcp>(target, plan), true),
    };
    let list = tally.findings(target.matching, deep);
    ProbeResult { tally, list }
}

/// What is unusual or broken, the same for every transport.
fn probes<'a, T: ProbeConnection<'a>>(
    target: &ProbeTarget<'a>,
    tally: &EventTally,
) -> Vec<Finding> {
    vec![
        probes::malformed::<T>(target, tally.usual.as_deref()),
        probes::abrupt_close::<T>(target),
        probes::in_pieces::<T>(target),
        probes::large::<T>(target),
    ]
}

/// Starts all targets, looks at one after the other, and ends them.
fn probe_each(
    subjects: &[Subject<'_>],
    context: &VerifyContext<'_>,
    examine: impl Fn(&ProbeTarget<'_>) -> ProbeResult,
) -> Result<Vec<Findings>> {
    let (cpus, interrupt) = (context.cpus, context.interrupt);
    let launches: Vec<Launch<'_>> = subjects
        .iter()
        .map(|s| Launch { manifest: s.manifest, cpus, interrupt, driver: None })
        .collect();
    let mut targets = start_all(&launches)?;
    let mut probe = |(subject, target)| {
        let found = probe_one(subject, target, context, &examine);
        // What was found while the user wanted to stop is half of it.
        if context.interrupt.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { found }
    };
    let all = subjects.iter().zip(&mut targets).map(&mut probe).collect();
    stop_all(targets);
    all
}

fn probe_one(
    subject: &Subject<'_>,
    running: &mut Running,
    context: &VerifyContext<'_>,
    examine: impl Fn(&ProbeTarget<'_>) -> ProbeResult,
) -> Result<Findings> {
    let template = subject.manifest.event_template(context.template);
    let (address, mut tls) = (running.address().clone(), running.tls().cloned());
    if subject.http2 {
        tls = tls.map(|tls| tls.with_http2());
    }
    let request_options = match subject.batches {
        true => running.request_options().clone().batch_of_one(),
        false => running.request_options().clone(),
    };
    let described = (subject.manifest, &request_options);
    let reached = (address, tls.as_ref());
    let target = ProbeTarget::new(
        (subject.carrier, subject.http2),
        reached,
        described,
        &template,
        context.interrupt,
    );
    let mut result = examine(&target);
    // A server that was running before us gets well-formed events only, and a publisher is itself the sender.
    if let Some(how) = subject.authentication.as_deref()
        && !result.tally.acknowledged.is_empty()
        && subject.manifest.command.is_some()
        && subject.manifest.publisher.is_none()
    {
        result.list.push(forgeries::authentication(&target, how));
    }
    if subject.batches && !result.tally.acknowledged.is_empty() {
        result.list.push(webhook::batch(&target));
    }
    // What ends a target that has acknowledged every known event is a probe: that is a finding.
    let all_acknowledged = result.list.iter().any(|f| f.aspect == Aspect::Malformed)
        && result.tally.acknowledged.len() == result.tally.sent;
    if all_acknowledged {
        note_end(&mut result.list, running);
    }
    result.list.extend(effective_config(running));
    result.list.sort_by_key(|f| f.aspect);
    Ok(Findings {
        arm: subject.label.to_owned(),
        acknowledged: result.tally.acknowledged.len(),
        failure: match all_acknowledged {
            true => None,
            false => failure(subject, running, &target, &result.tally),
        },
        list: result.list,
    })
}

/// Says how the target ended where it no longer takes connections.
fn note_end(list: &mut [Finding], running: &mut Running) {
    let refused =
        |f: &&mut Finding| f.detail.as_ref().is_some_and(|d| d.starts_with(NO_CONNECTION));
    let mut refused = list.iter_mut().filter(refused).peekable();
    if refused.peek().is_none() {
        return;
    }
    if let Some(how) = wait_for_end(running) {
        refused.for_each(|f| f.detail = f.detail.take().map(|d| format!("{d}; the target {how}")));
    }
}

/// How a target ended that no longer takes connections.
fn wait_for_end(running: &mut Running) -> Option<String> {
    let until = Instant::now() + GONE;
    loop {
        match running.ended() {
            None if running.is_ours() && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(20));
            }
            how => return how,
        }
    }
}

/// What a built-in server says of its configuration; unknown for other servers.
fn effective_config(target: &Running) -> Vec<Finding> {
    match EffectiveConfig::read(&target.output_tail()) {
        Some(config) => vec![
            Finding::declared(Aspect::Nodelay, config.nodelay.to_string()),
            Finding::declared(Aspect::Runtime, config.runtime),
            Finding::declared(Aspect::Threads, config.threads.to_string()),
        ],
        None => [Aspect::Nodelay, Aspect::Runtime, Aspect::Threads]
            .map(|aspect| Finding::unknown(aspect, "not visible"))
            .to_vec(),
    }
}

/// Why an arm cannot be measured: nothing is acknowledged, or the target is gone.
fn failure(
    subject: &Subject<'_>,
    running: &mut Running,
    target: &ProbeTarget<'_>,
    tally: &EventTally,
) -> Option<String> {
    let label = subject.label;
    if let Some(Unacknowledged::NoAnswer(NoAnswer::Refused(_))) = &tally.unacknowledged {
        wait_for_end(running);
    }
    let died = running.exited();
    if !tally.acknowledged.is_empty() {
        return died.map(|how| format!("{label}: the target {how}"));
    }
    let events = match tally.sent {
        1 => "the event was not acknowledged".to_owned(),
        n => format!("none of {n} events was acknowledged"),
    };
    let unacknowledged = tally.unacknowledged.as_ref()?;
    let before = match (unacknowledged, &tally.sample) {
        (Unacknowledged::NoAnswer(_), Some(sample)) => {
            format!("; before that it sent `{}`", sample.text())
        }
        _ => String::new(),
    };
    let ended = died.map(|how| format!("; the target {how}")).unwrap_or_default();
    let listens_elsewhere = match running.listens_elsewhere() {
        Some(place) => format!("; it listens on {place} instead"),
        None => String::new(),
    };
    let tail = running.output_tail();
    let printed = match tail.trim() {
        _ if EffectiveConfig::read(&tail).is_some() || !ended.is_empty() => String::new(),
        "" => String::new(),
        tail => format!("\nits last output:\n  {}", tail.replace('\n', "\n  ")),
    };
    Some(format!(
        "{label}: {events}: {unacknowledged}{before}{listens_elsewhere}{ended}; {}{printed}",
        match unacknowledged {
            // Many TLS servers close the connection without an alert when a client does not use TLS.
            Unacknowledged::NoAnswer(failure) if failure.ends() && running.speaks_tls() =>
                TLS.to_owned(),
            _ => remedy::remedy(target, unacknowledged),
        }
    ))
}
