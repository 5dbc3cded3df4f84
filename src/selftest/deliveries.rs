//! Faulty publishers: every delivery has the outcome that theory gives it, and no other.

use crate::selftest::{Line, SelfTestContext, load};
use pushbench_core::error::{Error, Result};
use pushbench_core::record::trial::Trial;
use pushbench_core::scenario::{Arrivals, Subscribers};
use pushbench_core::transport::CARRIERS;
use pushbench_faults::publisher::counts::Counts;
use pushbench_faults::publisher::publisher_fault::PublisherFault;
use pushbench_faults::publisher::{PublisherOptions, ReportSocket, Tally};
use pushbench_load::trial_group::TrialArm;
use pushbench_sut::manifest::Manifest;
use pushbench_sut::publisher::new_token;
use std::io;
use std::time::Duration;

pub(crate) const ABOUT: &str = "publishers that drop every fifth delivery, repeat it, or send it after the next one: \
     the counts of the record match the prediction and the publisher's own count";

const FAULTS: [PublisherFault; 3] =
    [PublisherFault::Drop, PublisherFault::Twice, PublisherFault::Swap];
/// No divisor of five, so that each misses other events.
const SUBSCRIBERS: u64 = 7;
const RATE: f64 = 200.0;
const WARMUP_MS: u64 = 50;
const MEASURED_MS: u64 = 150;
/// A stall of the machine this long would time out what the publisher delivers.
const TIMEOUT: Duration = Duration::from_secs(1);
/// The transports take turns, so that they wait for their time-outs together.
const SLICE: Duration = Duration::from_millis(10);

pub fn run(context: &SelfTestContext<'_>) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for fault in FAULTS {
        let report_sockets = CARRIERS.map(|_| ReportSocket::new());
        let report_sockets =
            report_sockets.into_iter().collect::<io::Result<Vec<_>>>().map_err(no_report)?;
        let arms = report_sockets
            .iter()
            .enumerate()
            .map(|(i, report_socket)| trial_arm(context, i, fault, report_socket));
        let arms = arms.collect::<Result<Vec<_>>>()?;
        let mut load = load(Arrivals::Constant, Some(RATE), WARMUP_MS, MEASURED_MS);
        load.timeout = TIMEOUT;
        let trials = context.measure(&context.group(arms, load, Some(SLICE)))?;
        for (trial, report_socket) in trials.iter().zip(&report_sockets) {
            lines.push(line(fault, trial, report_socket.last().map_err(no_report)?));
        }
    }
    Ok(lines)
}

fn no_report(e: io::Error) -> Error {
    Error::harness(format!("cannot read the report of a faulty publisher: {e}"))
}

fn trial_arm(
    context: &SelfTestContext<'_>,
    arm: usize,
    fault: PublisherFault,
    report_socket: &ReportSocket,
) -> Result<TrialArm> {
    let transport = CARRIERS[arm].transport();
    let options = PublisherOptions { transport, fault, acknowledged: true, token: new_token()? };
    let subscribers = Subscribers { count: SUBSCRIBERS as usize, ..Subscribers::default() };
    let words = report_socket.words(&options).map_err(no_report)?;
    let program = Manifest::this_program(fault.name(), transport, words);
    Ok(TrialArm {
        label: format!("{}@{}", transport.name(), fault.name()),
        manifest: program.publishing(transport, "127.0.0.1:{port}", &options.token),
        // Events are published in their order.
        connections: 1,
        subscribers: Some(subscribers),
        ..context.trial_arm(arm, transport, None)
    })
}

fn line(fault: PublisherFault, trial: &Trial, tally: Option<Tally>) -> Line {
    let events = RATE as u64 * (WARMUP_MS + MEASURED_MS) / 1_000;
    let theory = fault.theory(events, SUBSCRIBERS, true);
    let (counted, expected) = (Counts::of(trial), Counts::expected(&theory, SUBSCRIBERS));
    let did = tally == Some(theory);
    let own = match tally {
        _ if did => String::new(),
        Some(tally) => format!(", but the publisher reports {tally:?}"),
        None => ", but the publisher sent no report".to_owned(),
    };
    let name = CARRIERS[trial.arm].name();
    Line {
        what: format!("{name}: the publisher {}", fault.about()),
        measured: counted.as_ref().map_or("no fan-out".to_owned(), Counts::to_string),
        theory: format!("{expected}{own}"),
        ok: did && counted.is_some_and(|c| c == expected),
    }
}
