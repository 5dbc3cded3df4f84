//! What `run.json` says of a run and of each arm before anything is measured.

use crate::run::arms::Arm;
use crate::run::{Request, environment, slots};
use hyper::header::AUTHORIZATION;
use pushbench_core::arm::ArmOption;
use pushbench_core::event::Matched;
use pushbench_core::record::run::{ArmHeader, PointHeader, RunHeader, SCHEMA};
use pushbench_core::scenario::Scenario;
use pushbench_core::transport::{Carrier, Transport};
use pushbench_host::cpus;
use pushbench_wire::libraries;
use pushbench_wire::webhook::CALLBACK_URL;
use std::collections::BTreeMap;

/// The header of a run that begins.
pub(super) fn of(request: &Request) -> RunHeader {
    let points = request.question.points.iter().map(|p| PointHeader {
        setting: p.setting.clone(),
        scenario: p.scenario.clone(),
        arms: request.arms.iter().map(|a| arm_header(a, &p.scenario)).collect(),
        sizing: None,
        failed_blocks: Vec::new(),
        calibration: None,
        proxies: BTreeMap::new(),
    });
    let placement = &request.placement;
    RunHeader {
        schema: SCHEMA,
        pushbench: env!("CARGO_PKG_VERSION").to_owned(),
        command: request.command.clone(),
        scenario: request.question.name.clone(),
        question: request.question.question.clone(),
        seed: request.seed,
        started: jiff::Timestamp::now().to_string(),
        finished: None,
        complete: false,
        failure: None,
        records: None,
        points: points.collect(),
        findings: Vec::new(),
        placement: BTreeMap::from([
            ("driver".to_owned(), placement.driver.clone()),
            ("target".to_owned(), placement.target.clone()),
        ]),
        shared_cores: placement.shared_cores(),
        cpu_quota: cpus::quota(),
        environment: environment::describe(),
        machines: Vec::new(),
    }
}

fn arm_header(arm: &Arm, scenario: &Scenario) -> ArmHeader {
    let (connections, in_flight) = slots(arm, scenario);
    ArmHeader {
        label: arm.label.clone(),
        transport: arm.spec.transport.name().to_owned(),
        target: arm.spec.target.clone(),
        scheme: arm.manifest.scheme(),
        library: Some(libraries::of_driver(&arm.spec, scenario.subscribers.is_some()).to_owned()),
        command: arm.manifest.command.clone(),
        host: arm.manifest.host(),
        matched: match arm.manifest.matched() {
            Matched::ByOrder => "order".to_owned(),
            Matched::ById => "id".to_owned(),
            Matched::ByIdAt(pointer) => format!("id:{pointer}"),
            Matched::ByPattern(answer) if answer.has_id() => "id".to_owned(),
            Matched::ByPattern(_) => "order".to_owned(),
        },
        method: (arm.carrier() == Carrier::Webhook)
            .then(|| arm.manifest.request_options.method.to_string()),
        headers: header_names(arm, scenario),
        authentication: authentication(arm),
        subprotocol: subprotocol(arm),
        messages: messages(arm),
        framing: framing(arm, in_flight),
        acknowledgement: scenario
            .subscribers
            .as_ref()
            .filter(|s| s.acknowledged)
            .map(|_| arm.spec.transport.acknowledgement(arm.spec.has(ArmOption::H2)).to_owned()),
        stuck: usize::from(arm.stuck()),
        in_flight,
        connections,
        ease: arm.manifest.ease.clone(),
    }
}

/// What surrounds an event on the wire.
fn framing(arm: &Arm, in_flight: usize) -> String {
    let transport = arm.spec.transport;
    match transport {
        Transport::Webhook if arm.called_back() => format!("{}, twice", transport.framing()),
        Transport::Webhook if arm.spec.has(ArmOption::H2) => {
            "HTTP/2 HEADERS and DATA frames, heads compressed with HPACK".to_owned()
        }
        Transport::Sse if arm.spec.has(ArmOption::H2) => {
            "lines id: and data: in a DATA frame of an HTTP/2 response".to_owned()
        }
        Transport::Webhook if let Some(most) = arm.spec.options.number(ArmOption::Batch) => {
            format!("{} for up to {} events", transport.framing(), most.min(in_flight))
        }
        // Its publisher answers with the event itself.
        Transport::LongPoll if arm.is_foreign() => "HTTP/1.1 request and response heads".to_owned(),
        _ => transport.framing().to_owned(),
    }
}

/// Names of the additional headers in requests of an arm.
fn header_names(arm: &Arm, scenario: &Scenario) -> Vec<String> {
    let mut names = arm.manifest.request_options.header_names();
    let (bytes, has_headers) = (scenario.headers_bytes, arm.carrier() != Carrier::Tcp);
    names.extend((bytes > 0 && has_headers).then(|| format!("{bytes} bytes of usual ones")));
    names.extend(arm.called_back().then(|| CALLBACK_URL.to_owned()));
    names
}

/// What its description says about messages.
fn messages(arm: &Arm) -> Vec<String> {
    let (options, requests) = (&arm.manifest.request_options, arm.manifest.hello_requests.len());
    let mut said = Vec::new();
    let wrapped = options.wrap.is_some() && options.signing.is_none();
    said.extend(wrapped.then(|| "events wrapped".to_owned()));
    said.extend((requests > 0).then(|| format!("hello of {requests} requests")));
    said.extend(
        (!options.hello.is_empty()).then(|| format!("hello of {} messages", options.hello.len())),
    );
    said.extend(options.heartbeat.is_some().then(|| "heartbeats".to_owned()));
    said
}

/// How the receiver of its events knows who sent them.
fn authentication(arm: &Arm) -> Option<String> {
    let headers = &arm.manifest.request_options.headers;
    // A publisher always gets the token of the run.
    let foreign = arm.is_foreign() && arm.manifest.publisher.is_none();
    let own = foreign && headers.contains_key(AUTHORIZATION);
    arm.spec.authentication().or_else(|| own.then(|| "header authorization".to_owned()))
}

fn subprotocol(arm: &Arm) -> Option<String> {
    let requested = arm.manifest.request_options.subprotocol.as_ref()?;
    requested.to_str().ok().map(str::to_owned)
}
