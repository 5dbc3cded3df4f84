//! A guarantee under planned faults: attempts, duplicates and what the receiver removes are as many as the plan says.

use crate::selftest::{Line, SelfTestContext, load, unusable};
use pushbench_core::error::Result;
use pushbench_core::guarantee::{Guarantee, Jitter, Promise};
use pushbench_core::record::guarantee::GuaranteeRecord;
use pushbench_core::scenario::{Arrivals, Faults, Subscribers};
use pushbench_core::schedule::fault_plan::{FaultPlan, PlannedFault};
use pushbench_core::transport::Transport;
use pushbench_sut::manifest::{BuiltinOptions, Manifest};
use pushbench_sut::publisher::{PublishOptions, new_token};
use std::time::Duration;

pub(crate) const ABOUT: &str = "receivers that refuse deliveries, reset connections and lose acknowledgements by a plan: retries by webhook, \
     resumption over a WebSocket and removed duplicates are as many as the plan says";

const SUBSCRIBERS: usize = 5;
const RATE: f64 = 100.0;
const WARMUP_MS: u64 = 50;
const MEASURED_MS: u64 = 450;

/// What a plan comes to, if every event is delivered until it is acknowledged.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    due: u64,
    delivered_once: u64,
    met_by_fault: u64,
    lost_acks: u64,
    duplicates_on_wire: u64,
    duplicates_to_application: u64,
    lost: u64,
}

impl Counts {
    fn planned(plan: &FaultPlan, events: u64) -> Counts {
        let mut counts = Counts::default();
        for (subscriber, event) in
            (0..SUBSCRIBERS).flat_map(|s| (0..events).map(move |event| (s, event)))
        {
            counts.due += 1;
            counts.delivered_once += 1;
            let mut processed = false;
            for nth in 0.. {
                let fault = plan.delivery(subscriber, event, nth);
                counts.duplicates_on_wire += u64::from(processed);
                match fault {
                    PlannedFault::None => break,
                    PlannedFault::LoseAck => {
                        counts.lost_acks += 1;
                        processed = true;
                    }
                    PlannedFault::Status(_) | PlannedFault::Reset => counts.met_by_fault += 1,
                }
            }
        }
        counts
    }

    fn of(record: &GuaranteeRecord) -> Counts {
        Counts {
            due: record.due,
            delivered_once: record.delivered_once,
            met_by_fault: record.met_by_fault,
            lost_acks: record.lost_acks,
            duplicates_on_wire: record.duplicates_on_wire,
            duplicates_to_application: record.duplicates_to_application,
            lost: record.lost.sum(),
        }
    }

    fn text(&self) -> String {
        format!(
            "{} of {} once, {} lost, {} refused or reset, {} acknowledgements lost, {} came again, {} of them to the application",
            self.delivered_once,
            self.due,
            self.lost,
            self.met_by_fault,
            self.lost_acks,
            self.duplicates_on_wire,
            self.duplicates_to_application
        )
    }
}

pub fn run(context: &SelfTestContext<'_>) -> Result<Vec<Line>> {
    let transports = [Transport::Webhook, Transport::Websocket];
    transports.into_iter().map(|transport| one(context, transport)).collect()
}

fn one(context: &SelfTestContext<'_>, transport: Transport) -> Result<Line> {
    let guarantee = Guarantee {
        delivery: Promise::ExactlyOnce,
        backoff: Duration::from_millis(5),
        backoff_max: Duration::from_millis(20),
        jitter: Jitter::Full,
        attempts: 50,
        ..Guarantee::default()
    };
    let faults = Faults { status_500: 0.05, reset: 0.05, lost_acks: 0.1, ..Faults::default() };
    let mut arm = context.trial_arm(0, transport, None);
    let publish = PublishOptions::new(vec!["event".to_owned()], new_token()?);
    let threads = context.placement.target.len();
    let options = BuiltinOptions { threads, publish: Some(publish), ..BuiltinOptions::default() };
    arm.manifest = Manifest::builtin(&arm.spec, &options).promising(&guarantee);
    // Events are published in their order.
    arm.connections = 1;
    arm.subscribers = Some(Subscribers { count: SUBSCRIBERS, ..Subscribers::default() });
    let load = load(Arrivals::Constant, Some(RATE), WARMUP_MS, MEASURED_MS);
    let mut group = context.group(vec![arm], load, None);
    group.guarantee = guarantee;
    group.faults = faults;
    let plan = FaultPlan::new(&group.faults, group.seed);
    let events = RATE as u64 * (WARMUP_MS + MEASURED_MS) / 1_000;
    let theory = Counts::planned(&plan, events);
    let what = format!("{}: {events} events for {SUBSCRIBERS} receivers", transport.name());
    let trial = context.measure_one(&group)?;
    if let Some(line) = unusable(&what, &trial) {
        return Ok(line);
    }
    let measured = trial.guarantee.as_ref().map(Counts::of);
    Ok(Line {
        what,
        measured: measured.as_ref().map_or("no record".to_owned(), Counts::text),
        theory: theory.text(),
        ok: measured == Some(theory),
    })
}
