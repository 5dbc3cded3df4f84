//! Refuses runs that cannot be measured, before anything starts.

use crate::run::arms::Arm;
use crate::run::{Request, connections_each, slots};
use pushbench_core::error::{Error, Result};
use pushbench_core::publishing::QUEUE;
use pushbench_core::remedy::Try;
use pushbench_core::scenario::path::Inbound;
use pushbench_core::scenario::{DesignChoice, Flow, Recipients, Scenario, Subscribers};
use pushbench_core::transport::Transport;
use pushbench_load::limits;
use pushbench_sut::manifest::BUILTIN;
use pushbench_sut::proxy;
use pushbench_sut::publisher::Subscribe;

/// Refuses what cannot be measured.
pub(super) fn check(request: &Request) -> Result<()> {
    let limit = pushbench_host::descriptors::raise_descriptors();
    for point in &request.question.points {
        check_restart(request, &point.scenario)?;
        check_receivers(request, &point.scenario)?;
        check_promise(request, &point.scenario)?;
        check_path(request, &point.scenario)?;
        check_publishers(request, &point.scenario)?;
        check_stuck(request, &point.scenario)?;
        if point.scenario.subscribers.is_some() {
            check_subscribers(request, &point.scenario, limit)?;
            continue;
        }
        let alone = point.scenario.load.rate.is_none()
            || point.scenario.compare.design == DesignChoice::Sequential;
        let at_once = if alone { 1 } else { request.arms.len() };
        limits::check_descriptors(limit, largest_connections(request, &point.scenario), at_once)?;
    }
    check_polling(request)
}

/// Subscribers over tcp have no id to resume from.
fn check_promise(request: &Request, scenario: &Scenario) -> Result<()> {
    let promises = scenario.guarantee.retries() || scenario.guarantee.durable;
    let tcp = |arm: &&Arm| arm.spec.transport == Transport::Tcp && promises;
    match request.arms.iter().find(tcp).filter(|_| scenario.subscribers.is_some()) {
        Some(arm) => Err(Error::usage(format!(
            "--arm {}: subscribers over tcp cannot resume ([guarantee]): write --arm websocket@builtin, or --set \
             guarantee.delivery=at-most-once and guarantee.durable=false",
            arm.label
        ))),
        None => Ok(()),
    }
}

/// Only what we start can be ended and restarted.
fn check_restart(request: &Request, scenario: &Scenario) -> Result<()> {
    let restart = scenario.restart_after.map(|_| "faults.restart_after");
    // A receiver that is not built in is killed and started again.
    let outage = scenario.flow == Flow::Ingest && !scenario.faults.outage.is_zero();
    let planned = [(scenario.faults.kill, "faults.kill"), (outage, "faults.outage")];
    let planned = planned.into_iter().find(|(planned, _)| *planned).map(|(_, key)| key);
    let Some(key) = restart.or(planned) else { return Ok(()) };
    let foreign = request.arms.iter().find(|arm| arm.manifest.command.is_none());
    let greeted = request.arms.iter().find(|arm| !arm.manifest.hello_requests.is_empty());
    if let Some(arm) = greeted {
        return Err(Error::usage(format!(
            "--arm {}: {key} restarts the target, but its hello has requests, which are sent once: \
             write them as messages, or leave {key} out",
            arm.label
        )));
    }
    match foreign {
        Some(arm) => Err(Error::usage(format!(
            "--arm {}: {key} restarts the target, but this one was not started \
             by pushbench: give it a command, or leave {key} out",
            arm.label
        ))),
        None => Ok(()),
    }
}

/// Where the target takes the events, only the built-in one can meet them with planned faults.
fn check_receivers(request: &Request, scenario: &Scenario) -> Result<()> {
    let planned = scenario.faults.rates().into_iter().find(|(_, rate)| *rate > 0.0);
    let Some((key, _)) = planned.filter(|_| scenario.flow == Flow::Ingest) else { return Ok(()) };
    match request.arms.iter().find(|arm| arm.spec.target != BUILTIN) {
        Some(arm) => Err(Error::usage(format!(
            "--arm {}: {key}: in this flow the target is the receiver, and only the built-in one does that: write --arm \
             {}@{BUILTIN}, or leave {key} out; faults.outage, faults.cut and faults.kill work with every target",
            arm.label,
            arm.spec.transport.name()
        ))),
        None => Ok(()),
    }
}

/// Only what we start can be put at the end of a path.
fn check_path(request: &Request, scenario: &Scenario) -> Result<()> {
    let Some(path) = &scenario.path else { return Ok(()) };
    path.proxies().try_for_each(|(key, name)| check_proxy(request, scenario, key, name))?;
    let told_at_start = |arm: &&Arm| {
        arm.manifest.publisher.as_ref().is_some_and(|p| p.subscribe == Subscribe::AtStart)
    };
    if path.inbound == Inbound::Only443
        && let Some(arm) = request.arms.iter().find(told_at_start)
    {
        return Err(Error::usage(format!(
            "--arm {}: its publisher receives the addresses of subscribers when it starts, and they are not at port 443: \
             use subscribe, so that they subscribe one by one, or write another path.inbound",
            arm.label
        )));
    }
    match request.arms.iter().find(|arm| arm.manifest.command.is_none()) {
        Some(arm) => Err(Error::usage(format!(
            "--arm {}: [path] starts the target in a network namespace, but this one was not started by pushbench: \
             give it a command, or leave [path] out",
            arm.label
        ))),
        None => Ok(()),
    }
}

/// A proxy must be there, and able to do what it is wanted for.
fn check_proxy(request: &Request, scenario: &Scenario, key: &str, name: &str) -> Result<()> {
    let proxy = proxy::find(key, name)?;
    proxy.stands_for(key)?;
    let cutoff = scenario.path.as_ref().and_then(|path| path.idle_cutoff);
    if cutoff.is_some() && !proxy.cutoff_can_be_set() {
        return Err(Error::usage(format!(
            "path.idle_cutoff: the time-out of proxy {name} cannot be set, its config has no {{idle_cutoff}}: leave \
             path.idle_cutoff out"
        )));
    }
    let own = |arm: &&Arm| arm.manifest.tls.as_ref().is_some_and(|tls| tls.ca.is_some());
    match request.arms.iter().find(own).filter(|_| key == "path.via") {
        Some(arm) => Err(Error::usage(format!(
            "--arm {}: {key} {name}: a reverse proxy shows the certificate of the run, but connections to this target \
             trust ca alone: leave ca out and hand the target {{cert}} and {{key}}",
            arm.label
        ))),
        None => Ok(()),
    }
}

/// Arms with one more stuck subscriber than in the scenario.
fn check_stuck(request: &Request, scenario: &Scenario) -> Result<()> {
    let Some(arm) = request.arms.iter().find(|arm| arm.stuck()) else { return Ok(()) };
    let label = &arm.label;
    let Some(subscribers) = arm.subscribers(scenario) else { return Ok(()) };
    let unhealthy = subscribers.slow + subscribers.stuck;
    if scenario.flow == Flow::Idle {
        Err(Error::usage(format!(
            "--arm {label}: a stuck subscriber has no effect while no events are published: write pushbench \
             run fanout --arm {label}"
        )))
    } else if scenario.compare.design == DesignChoice::Sliced {
        Err(Error::usage(format!(
            "--arm {label}: the queue of a stuck subscriber grows in wall-clock time, which \
             slices would interrupt: write --set compare.design=sequential, or leave compare.design out"
        )))
    } else if unhealthy >= subscribers.count {
        Err(Error::usage(format!(
            "--arm {label}: it adds one stuck subscriber; with {unhealthy} slow and stuck ones out of {} subscribers \
             no healthy one remains: {}lower subscribers.slow or subscribers.stuck",
            subscribers.count,
            Try::Subscribers
                .above(unhealthy as u64 + 1, unhealthy as f64)
                .map_or(String::new(), |option| format!("write {option}, or "))
        )))
    } else {
        Ok(())
    }
}

/// What only the built-in publisher is known to do.
fn check_publishers(request: &Request, scenario: &Scenario) -> Result<()> {
    let Some(subscribers) = &scenario.subscribers else { return Ok(()) };
    let mute = |arm: &&Arm| arm.manifest.publisher.as_ref().is_some_and(|p| !p.acknowledges);
    if let Some(arm) = request.arms.iter().find(mute).filter(|_| subscribers.acknowledged) {
        return Err(Error::usage(format!(
            "--arm {}: {} takes no acknowledgements of its subscribers over {}: write --set \
             delivery.acknowledged=false, which concerns all arms",
            arm.label,
            arm.spec.target,
            arm.spec.transport.name()
        )));
    }
    for arm in request.arms.iter().filter(|arm| arm.is_foreign()) {
        let (key, why) = match arm.spec.transport {
            _ if subscribers.to == Recipients::One => (
                "delivery.to",
                "in that mode, each event has a type that only one subscriber wants",
            ),
            _ if subscribers.types.is_some() => {
                ("payload.types", "it publishes event types that the scenario defines")
            }
            Transport::Webhook if subscribers.stay.is_some() => {
                ("subscribers.stay", "a webhook subscriber unsubscribes by DELETE")
            }
            Transport::LongPoll if subscribers.stay.is_some() => (
                "subscribers.stay",
                "a subscriber that returns must know from when on events are due",
            ),
            _ => continue,
        };
        return Err(Error::usage(format!(
            "--arm {}: {key} works only with the built-in publisher: {why}, which other publishers do not support: leave {key} \
             out, or write --arm {}@{BUILTIN}",
            arm.label,
            arm.spec.transport.name()
        )));
    }
    Ok(())
}

/// A subscriber that polls too seldom would miss events by design: they time out, or find its queue full.
fn check_polling(request: &Request) -> Result<()> {
    let Some(arm) = request.arms.iter().find(|a| a.spec.transport == Transport::Poll) else {
        return Ok(());
    };
    for point in &request.question.points {
        let Some(subscribers) = &point.scenario.subscribers else { continue };
        let (interval, timeout) = (subscribers.poll_interval, point.scenario.load.timeout);
        let shorter = |millis: u64| {
            let option = Try::PollInterval.below(millis, interval.as_secs_f64() * 1e3);
            option.map_or(String::new(), |option| format!("write for example {option}, or "))
        };
        if interval >= timeout {
            return Err(Error::usage(format!(
                "{}: delivery.poll_interval is {interval:?}, but events time out after load.timeout, \
                 {timeout:?}: {}raise load.timeout",
                arm.label,
                shorter((timeout / 5).as_millis() as u64)
            )));
        }
        // What was answered stays until the next request acknowledges it.
        let rate = point.scenario.load.rate.unwrap_or_default();
        let each = match subscribers.to {
            Recipients::All => rate,
            Recipients::One => rate / subscribers.count as f64,
        };
        let queue = subscribers.publisher.queue.unwrap_or(QUEUE);
        let queued = each * 2.0 * interval.as_secs_f64();
        if queued > queue as f64 {
            return Err(Error::usage(format!(
                "{}: at {rate} events per second and a delivery.poll_interval of {interval:?} {queued:.0} events \
                 are waiting for each subscriber or its acknowledgement, but its queue holds only {queue}: {}lower --rate",
                arm.label,
                shorter((queue as f64 / 4.0 / each * 1e3) as u64)
            )));
        }
    }
    Ok(())
}

/// Subscribers of every arm at once are needed in slices only; where they do not fit, `point` runs one
/// arm after the other unless the scenario requires slices.
fn check_subscribers(request: &Request, scenario: &Scenario, limit: u64) -> Result<()> {
    let sliced = scenario.compare.design == DesignChoice::Sliced;
    let at_once = if sliced { request.arms.len() } else { 1 };
    let count = scenario.subscribers.as_ref().map_or(0, |s| s.count);
    let connections = largest_connections(request, scenario);
    let each = connections_each(&request.arms, scenario);
    // A subscriber that may have to return also needs a timer.
    let moves = |s: &Subscribers| s.stay.is_some() || s.backoff.is_some();
    let timers = usize::from(scenario.subscribers.as_ref().is_some_and(moves));
    let left = limit * each as u64 / (each + timers) as u64;
    limits::Machine::read(left).check_subscribers(count, connections, at_once, each)
}

fn largest_connections(request: &Request, scenario: &Scenario) -> usize {
    request.arms.iter().map(|a| slots(a, scenario).0).max().unwrap_or(0)
}
