//! One trial of a cell: a block of one arm with one subscriber, whose path is the cell's.

use crate::reach::{Job, Request};
use crate::run;
use crate::run::arms;
use crate::run::point;
use crate::verify::VerifyContext;
use pushbench_core::error::{Error, Result};
use pushbench_core::event::Template;
use pushbench_core::reach::{CellRecord, Observed, Outcome, Probe, ReachPath};
use pushbench_core::record::fanout::Fanout;
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::trial::Trial;
use pushbench_core::scenario::{Override, Question};
use pushbench_host::input;
use pushbench_load::block;
use pushbench_load::trial_group::{ExecutionContext, TrialObserver};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// The scenario whose keys are set.
const SCENARIO: &str = "fanout";

/// The silence between two events: longer than the idle cut-off.
pub(super) fn silence(cutoff: Duration) -> Duration {
    cutoff * 3 / 2
}

/// An event that has not arrived after this is lost.
pub(super) fn event_timeout(cutoff: Duration) -> Duration {
    cutoff
}

/// How long a dead peer is given to be noticed. An event is due after half of it.
pub(super) fn death_limit(cutoff: Duration) -> Duration {
    cutoff * 5
}

/// A cell's arm, found and set up, and its scenario.
pub(super) fn prepared(
    request: &Request,
    cell: &CellRecord,
    job: &Job,
    interrupt: &AtomicBool,
) -> Result<run::Request> {
    let question = question(request, cell, job)?;
    let builtin = arms::builtin(&question, &request.placement)?;
    let mut arms = arms::find(std::slice::from_ref(&cell.arm), &builtin, &[], None)?;
    let scenario = &question.points[0].scenario;
    let (template, cpus) = (Template::of(scenario), &request.placement.target);
    let context = VerifyContext { cpus, interrupt, template: &template };
    arms::prepare(&mut arms, &context, scenario.load.timeout, &mut |_| ())?;
    let prepared = run::Request {
        question,
        arms,
        seed: request.seed,
        placement: request.placement.clone(),
        out: request.out.clone(),
        command: Vec::new(),
    };
    run::check(&prepared).map(|()| prepared)
}

/// Makes the trial. An error is an interruption.
pub(super) fn run(
    request: &Request,
    cell: &CellRecord,
    job: &Job,
    interrupt: &AtomicBool,
) -> Result<Outcome> {
    let mut observer = Connecting::default();
    match measure(request, cell, job, interrupt, &mut observer) {
        Ok(trial) => Ok(Outcome::Observed(observed(&trial, job.probe))),
        Err(Error::Interrupted) => Err(Error::Interrupted),
        Err(e) => Ok(match observer.why {
            Some(why) => Outcome::NotSubscribed(why),
            None => Outcome::NotTried(e.to_string()),
        }),
    }
}

fn measure(
    request: &Request,
    cell: &CellRecord,
    job: &Job,
    interrupt: &AtomicBool,
    observer: &mut Connecting,
) -> Result<Trial> {
    let request = prepared(request, cell, job, interrupt)?;
    let scenario = &request.question.points[0].scenario;
    let mut group = point::single(&request, scenario);
    group.connect_limit = Some(scenario.load.timeout);
    let context = ExecutionContext::here(&request.placement, interrupt);
    let trial = block::run(&group, &context, observer)?.pop().map(|finished| finished.trial);
    trial.ok_or_else(|| Error::harness("no record of a trial: please report it"))
}

/// The scenario of a trial: an event before the silence, which is the warm-up, and events after it.
fn question(request: &Request, cell: &CellRecord, job: &Job) -> Result<Question> {
    let cutoff = request.cutoff;
    let ms = |length: Duration| format!("{}ms", length.as_millis());
    // An event at the begin, and one after each silence.
    let (warmup, duration, between) = match job.probe {
        Probe::FirstEvent => (Duration::ZERO, cutoff / 8, cutoff / 8),
        Probe::Silence => (cutoff / 2, silence(cutoff), silence(cutoff)),
        Probe::PeerDeath => (cutoff / 2, death_limit(cutoff) - cutoff / 2, death_limit(cutoff) / 2),
    };
    let mut settings = vec![
        "subscribers.count=1".to_owned(),
        "connections.count=1".to_owned(),
        "subscribers.backoff=100ms".to_owned(),
        "load.arrivals=constant".to_owned(),
        format!("load.rate={}", 1.0 / between.as_secs_f64()),
        format!("load.warmup={}", ms(warmup)),
        format!("load.duration={}", ms(duration)),
        format!("load.timeout={}", ms(event_timeout(cutoff))),
        // What is usual is below the cut-off that is stood for, and stays below that of the matrix.
        format!("delivery.timeout={}", ms(cutoff / 2)),
        format!("delivery.poll_interval={}", ms(cutoff / 2)),
        format!("delivery.long_poll_hold={}", ms(cutoff * 5 / 12)),
    ];
    settings
        .extend(ReachPath::named(&cell.path).map(|path| path.settings(cutoff)).unwrap_or_default());
    if job.probe == Probe::PeerDeath {
        settings.extend([
            "path.pause_at=0ms".to_owned(),
            format!("path.pause={}", ms(death_limit(cutoff) * 2)),
        ]);
    }
    settings.extend(job.cure.iter().flat_map(|cure| cure.split(' ')).map(str::to_owned));
    let overrides = settings.iter().filter_map(|setting| setting.split_once('='));
    let overrides: Vec<Override> = overrides
        .map(|(key, value)| Override {
            key: key.to_owned(),
            value: value.to_owned(),
            origin: format!("reach {key}={value}"),
        })
        .collect();
    input::scenario(SCENARIO, &overrides)
}

/// What the record of a trial says about its only subscriber.
fn observed(trial: &Trial, probe: Probe) -> Observed {
    let Some(fanout) = &trial.fanout else { return Observed::default() };
    let deliveries = &fanout.deliveries;
    let turnover = deliveries.turnover.clone().unwrap_or_default();
    let whole = |mean: Option<f64>| mean.map(|ns| ns.round() as u64);
    let dead = probe == Probe::PeerDeath;
    Observed {
        subscribed_in_ns: fanout.subscribed_in_ns,
        delivered_in_ns: whole(deliveries.delivery.mean()).filter(|_| probe == Probe::FirstEvent),
        before: deliveries.warmup,
        after: deliveries.measured,
        cut_off: turnover.cut_off,
        subscribed_again: turnover.came,
        subscriber_noticed_ns: whole(turnover.noticed.mean()).filter(|_| dead),
        publisher_noticed_ns: whole(publisher_noticed(fanout)).filter(|_| dead),
        fault: point::most_frequent_fault(trial).or_else(|| publisher_fault(fanout)),
    }
}

fn publisher_noticed(fanout: &Fanout) -> Option<f64> {
    fanout.publisher?.silence_before_gone()
}

/// What became of deliveries by the publisher's own account.
fn publisher_fault(fanout: &Fanout) -> Option<String> {
    let status = fanout.publisher?;
    let counts = [
        (status.refused, "the publisher could not connect"),
        (status.failed, "the publisher was answered with an error"),
        (status.timed_out, "the publisher got no answer in time"),
    ];
    counts.into_iter().find(|(n, _)| *n > 0).map(|(_, what)| what.to_owned())
}

/// Keeps why a subscriber could not subscribe.
#[derive(Default)]
struct Connecting {
    why: Option<String>,
}

impl TrialObserver for Connecting {
    fn not_connected(&mut self, _arm: usize, why: &str) {
        self.why = Some(why.to_owned());
    }

    fn second(&mut self, _arm: usize, _responses: &Hist) {}
    fn tick(&mut self) {}
}
