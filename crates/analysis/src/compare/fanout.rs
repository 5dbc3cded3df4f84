//! The figures of a fan-out: what came to subscribers, and what a delivery and a subscriber cost.

use crate::compare::conduct;
use crate::compare::conduct::{ApartFigures, ResumptionFigures, TurnoverFigures, Upkeep};
use crate::compare::figures::{distribution, merged, over_blocks, per};
use crate::compare::idle;
use crate::compare::idle::IdleFigures;
use crate::compare::note::begins;
use crate::compare::trust::lacks;
use crate::compare::{ArmFigures, Latency, Note};
use crate::stats;
use pushbench_core::record::fanout::{
    DatedBy, Deliveries, DeliveryOutcomes, Fanout, KernelScope, PublisherStatus,
};
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::metrics;
use pushbench_core::record::trial::Trial;
use pushbench_core::record::wire::Traffic;
use pushbench_core::scenario::{Recipients, Subscribers};
use pushbench_core::units;
use serde::Serialize;

/// What came to subscribers, from the merged measured windows of valid trials.
#[derive(Debug, Clone, Serialize)]
pub struct FanoutFigures {
    /// Subscribers a trial.
    pub subscribers: u64,
    /// Each acknowledged every event.
    pub acknowledged: bool,
    /// What says when a delivery had arrived: `kernel` (receive timestamps), or `read` (the driver's poll).
    pub dated_by: DatedBy,
    /// From due to the arrival at each subscriber.
    pub delivery_ns: Latency,
    /// From due to the arrival at the last subscriber; an event that did not reach all counts with the time-out.
    pub last_ns: Latency,
    /// From the arrival at the first subscriber to that at the last one.
    pub skew_ns: Latency,
    /// Outcomes of the measured deliveries.
    pub deliveries: Delivered,
    /// Deliveries received, of those due.
    pub reach: Option<f64>,
    /// Measured events.
    pub events: u64,
    /// Of these, the ones that reached every subscriber.
    pub complete: u64,
    /// Deliveries read per second of the arm's own time.
    pub deliveries_per_second: Option<f64>,
    /// CPU of the target's process tree per delivery read in the window.
    pub target_cpu_ns_per_delivery: Option<f64>,
    /// CPU of the driver, publishing included.
    pub driver_cpu_ns_per_delivery: Option<f64>,
    /// Bytes and segments of the subscribers' connections.
    pub wire: DeliveryWire,
    /// Requests of subscribers; `null` where they make no requests.
    pub requests: Option<RequestFigures>,
    /// What the target's memory grew by for a subscriber, median over trials.
    pub target_bytes_per_subscriber: Option<f64>,
    /// The driver's, where an arm had it for itself.
    pub driver_bytes_per_subscriber: Option<f64>,
    /// Growth of kernel memory per subscriber, median over trials; `kernel_scope` names its scope.
    pub kernel_bytes_per_subscriber: Option<f64>,
    /// The target's own, or the whole machine's, which has both ends.
    pub kernel_scope: Option<KernelScope>,
    /// What subscribing took, by subscriber, median over trials.
    pub subscribe_ns_each: Option<f64>,
    /// Connections that carried deliveries.
    pub connections: u64,
    /// What holding subscribers cost while nothing was published; `null` in a fan-out.
    pub idle: Option<IdleFigures>,
    /// The publisher's own account, summed; `null` when it did not tell.
    pub publisher: Option<PublisherStatus>,
    /// Slow and stuck subscribers; all other figures are the healthy ones'.
    pub apart: Vec<ApartFigures>,
    /// Subscribers that joined and left; `null` where none did.
    pub turnover: Option<TurnoverFigures>,
    /// How events flowed again after a disruption of the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resumption: Option<ResumptionFigures>,
    /// What the publisher kept.
    pub upkeep: Upkeep,
}

/// Requests of subscribers since measuring began, for events or to acknowledge them.
#[derive(Debug, Clone, Serialize)]
pub struct RequestFigures {
    /// All of them.
    pub count: u64,
    /// Per delivery read.
    pub per_delivery: Option<f64>,
    /// The part that requested events and received none.
    pub empty: f64,
}

/// Outcomes of the measured deliveries, and what else came to subscribers.
#[derive(Debug, Clone, Serialize)]
pub struct Delivered {
    /// The exact sums.
    #[serde(flatten)]
    pub outcomes: DeliveryOutcomes,
    /// Events that a subscriber got again.
    pub duplicated: u64,
    /// Events that came behind a younger one.
    pub reordered: u64,
    /// Deliveries after they had another outcome.
    pub late: u64,
    /// Messages that are no event of the trial.
    pub unsolicited: u64,
    /// Events read where they were not due: another's, or published while one came or left.
    pub undue: u64,
    /// First deliveries read, warm-up and late ones included.
    pub read: u64,
    /// Events read, in the warm-up as well, of a type that the subscriber does not want; `null` where types are not distinguished.
    pub unwanted: Option<u64>,
}

/// Bytes inside TCP per delivery read, and segments from the pilot with a realistic segment size.
#[derive(Debug, Clone, Serialize)]
pub struct DeliveryWire {
    /// To the subscriber.
    pub bytes_in_per_delivery: Option<f64>,
    /// From it.
    pub bytes_out_per_delivery: Option<f64>,
    /// Both ways, acknowledgements included.
    pub segments_per_delivery: Option<f64>,
}

/// Late reading above this share of the delivery median is worth a warning.
const LATE_SHARE: f64 = 0.25;

/// The figures of an arm's valid trials; `None` in another flow. `pilot`: the arm's, for segments.
pub fn figures(trials: &[&Trial], pilot: Option<&Trial>) -> Option<FanoutFigures> {
    let all: Option<Vec<&Fanout>> = trials.iter().map(|t| t.fanout.as_ref()).collect();
    let all = all.filter(|all| !all.is_empty())?;
    let first = all[0];
    let hist = |pick: fn(&Deliveries) -> &Hist, peaked| {
        let mut merged = Hist::new();
        all.iter().for_each(|f| merged.merge(pick(&f.deliveries)));
        let hists: Vec<Option<&Hist>> = all.iter().map(|f| Some(pick(&f.deliveries))).collect();
        distribution(&merged, trials, peaked, |q| over_blocks(&hists, q))
    };
    let sum = |pick: fn(&Deliveries) -> u64| all.iter().map(|f| pick(&f.deliveries)).sum::<u64>();
    let mut outcomes = DeliveryOutcomes::default();
    all.iter().for_each(|f| outcomes.add(&f.deliveries.measured));
    let in_window = sum(|d| d.read_in_window);
    let window_ns: u64 = trials.iter().map(|t| t.window_ns).sum();
    let median = |value: fn(&Trial) -> Option<f64>| {
        let each: Vec<f64> = trials.iter().filter_map(|t| value(t)).collect();
        stats::median(&each)
    };
    let target_cpu: Option<u64> = trials.iter().map(|t| Some(t.target?.cpu_ns)).sum();
    Some(FanoutFigures {
        subscribers: first.deliveries.subscribers,
        acknowledged: first.acknowledged,
        dated_by: all.iter().map(|f| f.deliveries.dated_by()).max().unwrap_or(DatedBy::Read),
        delivery_ns: hist(|d| &d.delivery, true),
        last_ns: hist(|d| &d.last, false),
        skew_ns: hist(|d| &d.skew, false),
        deliveries: Delivered {
            outcomes,
            duplicated: sum(|d| d.duplicated),
            reordered: sum(|d| d.reordered),
            late: sum(|d| d.late),
            unsolicited: sum(|d| d.unsolicited),
            undue: sum(|d| d.undue),
            read: sum(|d| d.read),
            unwanted: all.iter().map(|f| f.deliveries.unwanted).sum(),
        },
        reach: outcomes.reach(),
        events: sum(|d| d.events),
        complete: sum(|d| d.complete),
        deliveries_per_second: (window_ns > 0)
            .then(|| sum(|d| d.read_by_end) as f64 / (window_ns as f64 / 1e9)),
        target_cpu_ns_per_delivery: target_cpu.and_then(|cpu| per(cpu, in_window)),
        driver_cpu_ns_per_delivery: per(trials.iter().map(|t| t.driver.cpu_ns).sum(), in_window),
        wire: wire(&all, pilot),
        requests: requests(sum(|d| d.requests), sum(|d| d.empty), in_window),
        target_bytes_per_subscriber: median(metrics::target_memory),
        driver_bytes_per_subscriber: median(metrics::driver_memory),
        kernel_bytes_per_subscriber: median(metrics::kernel_memory),
        kernel_scope: idle::kernel_scope(&all),
        idle: idle::figures(&all),
        subscribe_ns_each: median(|t| {
            let f = t.fanout.as_ref()?;
            per(f.subscribed_in_ns, f.deliveries.subscribers)
        }),
        connections: sum(|d| d.connections),
        publisher: publisher(&all),
        apart: conduct::apart(trials, &all),
        turnover: conduct::turnover(trials, &all),
        resumption: conduct::resumption(&all),
        upkeep: conduct::upkeep(trials),
    })
}

fn requests(count: u64, empty: u64, deliveries: u64) -> Option<RequestFigures> {
    let empty = per(empty, count)?;
    Some(RequestFigures { count, per_delivery: per(count, deliveries), empty })
}

fn wire(all: &[&Fanout], pilot: Option<&Trial>) -> DeliveryWire {
    let mut traffic = Traffic::default();
    all.iter().for_each(|f| traffic.add(&f.deliveries.traffic));
    let read = all.iter().map(|f| f.deliveries.read).sum();
    let realistic = pilot.filter(|p| p.max_segment.is_some() && p.is_valid());
    let segments = realistic.and_then(|p| p.fanout.as_ref()).and_then(|f| {
        let t = &f.deliveries.traffic;
        per(t.segments_out + t.segments_in, f.deliveries.read)
    });
    DeliveryWire {
        bytes_in_per_delivery: per(traffic.bytes_in, read),
        bytes_out_per_delivery: per(traffic.bytes_out, read),
        segments_per_delivery: segments,
    }
}

/// The sum over trials; `None` when one of them did not tell.
fn publisher(all: &[&Fanout]) -> Option<PublisherStatus> {
    let each: Vec<PublisherStatus> = all.iter().map(|f| f.publisher).collect::<Option<_>>()?;
    each.into_iter().reduce(PublisherStatus::and)
}

fn late_reading(trials: &[&Trial]) -> Option<u64> {
    merged(trials, |t| &t.account.reading).quantile(0.5)
}

/// What to know of an arm's deliveries before believing its figures. `trials`: the valid ones.
pub fn notes(arm: &ArmFigures, trials: &[&Trial]) -> Vec<Note> {
    let Some(f) = &arm.fanout else { return Vec::new() };
    let mut notes = Vec::new();
    let note = |text: String| Note::of(&arm.arm, text);
    if let (Some(late), Some(delivery)) = (late_reading(trials), f.delivery_ns.p50)
        && late as f64 > delivery as f64 * LATE_SHARE
    {
        let simulates = match trials.iter().any(|t| !t.machines.is_empty()) {
            true => "one CPU of each driver simulates all of its subscribers",
            false => "one CPU simulates all subscribers",
        };
        let dated = if f.dated_by == DatedBy::Kernel { "had arrived" } else { "were readable" };
        let late = note(format!(
            "half of the deliveries were read {} or more after they {dated}, and acknowledged that much later: {simulates}",
            units::nanos_text(late as f64)
        ));
        notes.push(late.moves(|m| begins(m, &["delivery", "last", "skew"])));
    }
    let outcomes = &f.deliveries.outcomes;
    let missing = outcomes.due - outcomes.received;
    if missing > 0 {
        let missed = note(format!(
            "{missing} deliveries did not arrive ({} failed, {} timed out, {} lost)",
            outcomes.failed, outcomes.timed_out, outcomes.lost
        ));
        let lacks = lacks(missing, outcomes.due);
        notes.push(missed.moves(|m| begins(m, &["delivery"]) && lacks(m)));
    }
    let Some(status) = &f.publisher else {
        notes.push(note("the publisher did not report its counts".to_owned()));
        return notes;
    };
    if status.overflowed > 0 {
        notes.push(note(format!(
            "{} deliveries were rejected because the subscriber's queue was full",
            status.overflowed
        )));
    }
    let read = |f: &Fanout| {
        let d = &f.deliveries;
        d.read + d.undue + d.unwanted.unwrap_or(0)
    };
    let read: u64 = trials.iter().filter_map(|t| t.fanout.as_ref()).map(read).sum();
    // Under a guarantee or faults an event may come, and be acknowledged, more often.
    if f.acknowledged && arm.guarantee.is_none() && status.acknowledged != read {
        let down = match f.upkeep.down_ns {
            Some(_) => "; its counts after the last status request before a restart are lost",
            None => "",
        };
        notes.push(note(format!(
            "the publisher recorded {} acknowledgements of the {read} deliveries that were read{down}",
            status.acknowledged
        )));
    }
    if !status.sums_are_exact() {
        notes.push(note(format!("the publisher's own counts do not add up: {status:?}")));
    }
    notes
}

impl FanoutFigures {
    /// The arm's figure of a metric.
    pub fn figure(&self, metric: &str) -> Option<f64> {
        match metric {
            "reach" => self.reach,
            "recovery" => self.turnover.as_ref()?.recovery_ns.mean,
            "noticed.subscriber" => self.turnover.as_ref()?.noticed_ns.as_ref()?.mean,
            "noticed.publisher" => self.publisher?.silence_before_gone(),
            "resumption" => self.resumption.as_ref()?.ns,
            "target_usage.descriptors" => self.upkeep.descriptors,
            "deliveries_per_second" => self.deliveries_per_second,
            "target_usage.cpu_ns_per_delivery" => self.target_cpu_ns_per_delivery,
            "driver_usage.cpu_ns_per_delivery" => self.driver_cpu_ns_per_delivery,
            "total_usage.cpu_ns_per_delivery" => {
                Some(self.target_cpu_ns_per_delivery? + self.driver_cpu_ns_per_delivery?)
            }
            "target_usage.bytes_per_subscriber" => self.target_bytes_per_subscriber,
            "driver_usage.bytes_per_subscriber" => self.driver_bytes_per_subscriber,
            "target_usage.kernel_bytes_per_subscriber" => {
                let own = self.kernel_scope == Some(KernelScope::Target);
                self.kernel_bytes_per_subscriber.filter(|_| own)
            }
            "target_usage.cpu_ns_per_subscriber_minute" => {
                self.idle.as_ref()?.target_cpu_ns_per_subscriber_minute
            }
            "driver_usage.cpu_ns_per_subscriber_minute" => {
                self.idle.as_ref()?.driver_cpu_ns_per_subscriber_minute
            }
            "wire.bytes_per_subscriber_minute" => {
                let idle = self.idle.as_ref()?;
                let to = idle.bytes_in_per_subscriber_minute?;
                Some(to + idle.bytes_out_per_subscriber_minute?)
            }
            "wire.requests_per_delivery" => self.requests.as_ref()?.per_delivery,
            "wire.bytes_per_delivery" => {
                Some(self.wire.bytes_in_per_delivery? + self.wire.bytes_out_per_delivery?)
            }
            _ => match metric.split_once('.')? {
                ("delivery", p) => self.delivery_ns.percentile(p),
                ("last", p) => self.last_ns.percentile(p),
                ("skew", p) => self.skew_ns.percentile(p),
                ("subscribing", p) => self.turnover.as_ref()?.subscribing_ns.percentile(p),
                ("first_event", p) => self.turnover.as_ref()?.first_event_ns.percentile(p),
                _ => None,
            },
        }
    }
}

/// `200 subscribers, acknowledged by id`
pub fn describe(subscribers: &Subscribers) -> String {
    let how = if subscribers.acknowledged { "acknowledged by id" } else { "not acknowledged" };
    let mut text = format!("{} subscribers, {how}", units::count(subscribers.count as f64));
    let time = |time: std::time::Duration| units::nanos_text(time.as_nanos() as f64);
    if subscribers.to == Recipients::One {
        text.push_str(", each event for one");
    }
    if let Some(types) = subscribers.types {
        let wants = subscribers.wants.unwrap_or(types);
        let by = if subscribers.filter { "filtered by the publisher" } else { "not filtered" };
        text.push_str(&format!(", each wants {wants} of {types} types, {by}"));
    }
    if let Some(every) = subscribers.publisher.ping {
        text.push_str(&format!(", WebSockets pinged every {}", time(every)));
    }
    if let Some(limit) = subscribers.dead_after {
        text.push_str(&format!(", connections taken for dead after {}", time(limit)));
    }
    if subscribers.slow > 0 {
        text.push_str(&format!(", {} slow by {}", subscribers.slow, time(subscribers.slow_by)));
    }
    if subscribers.stuck > 0 {
        text.push_str(&format!(", {} stuck", subscribers.stuck));
    }
    if let Some(stay) = subscribers.stay {
        let away = time(subscribers.away);
        text.push_str(&format!(", staying for {} and away for {away}", time(stay)));
    }
    text
}
