//! Every delivery has one outcome, also when the publisher misbehaves: each count of the record is what
//! the fault asks for and what the publisher has tallied.

use super::cell::{TIMEOUT, check_each, drive};
use pushbench_core::arm::ArmSpec;
use pushbench_core::event::Matching;
use pushbench_core::event::Template;
use pushbench_core::plan::Slices;
use pushbench_core::record::fanout::Fanout;
use pushbench_core::record::trial::{Stage, Trial, TrialDesign};
use pushbench_core::scenario::{Arrivals, Lifetime, Load, Payload, Subscribers};
use pushbench_core::transport::Transport;
use pushbench_faults::publisher::counts::Counts;
use pushbench_faults::publisher::publisher_fault;
use pushbench_faults::publisher::publisher_fault::PublisherFault;
use pushbench_faults::publisher::{FaultyPublisher, PublisherOptions, Tally};
use pushbench_load::trial_group::{TrialArm, TrialGroup};
use pushbench_sut::manifest::Manifest;
use std::sync::Arc;
use std::time::Duration;

/// No divisor of five, so that each subscriber misses other events.
const SUBSCRIBERS: u64 = 7;
const WARMUP: Duration = Duration::from_millis(30);

#[derive(Debug, Clone, Copy)]
struct Cell {
    transport: Transport,
    fault: PublisherFault,
    acknowledged: bool,
}

impl Cell {
    /// Events due, the first of them in the warm-up.
    fn load(&self) -> Load {
        let (rate, duration) = match self.fault {
            // What is released at the 25th event has timed out by then.
            PublisherFault::Late => (10.0, Duration::from_secs(3)),
            _ => (200.0, Duration::from_millis(100)),
        };
        Load {
            arrivals: Arrivals::Constant,
            rate: Some(rate),
            warmup: WARMUP,
            duration,
            timeout: TIMEOUT,
            backlog: 1_000,
        }
    }

    fn events(&self) -> u64 {
        let load = self.load();
        ((load.warmup + load.duration).as_secs_f64() * load.rate.unwrap()).ceil() as u64
    }

    /// One connection publishes, so that events come in their order.
    fn group(&self, manifest: Manifest) -> TrialGroup {
        let load = self.load();
        let subscribers = Subscribers {
            count: SUBSCRIBERS as usize,
            acknowledged: self.acknowledged,
            ..Subscribers::default()
        };
        TrialGroup {
            arms: vec![TrialArm {
                arm: 0,
                label: "odd".to_owned(),
                spec: ArmSpec::plain(self.transport, "target"),
                manifest,
                connections: 1,
                in_flight: 1,
                subscribers: Some(subscribers),
            }],
            slices: Arc::new(Slices::alone((load.warmup + load.duration).as_nanos() as u64)),
            load,
            seed: 7,
            template: Template::new(&Payload::Bytes(80)),
            lifetime: Lifetime::Unlimited,
            max_segment: None,
            place: (0, 0, 0),
            split: None,
            stage: Stage::Block,
            design: TrialDesign::Sequential,
            freeze: None,
            idle: false,
            path: None,
            connect_limit: None,
            tolerates_connect_failures: false,
            restart_after: None,
            guarantee: Default::default(),
            faults: Default::default(),
        }
    }

    fn run(&self, cpu: usize) -> (Trial, Tally) {
        let publisher = FaultyPublisher::start(PublisherOptions {
            transport: self.transport,
            fault: self.fault,
            acknowledged: self.acknowledged,
            token: "a-token".to_owned(),
        })
        .unwrap();
        let running = Manifest::running(self.fault.name(), "", Matching::Id);
        let at = publisher.address().to_string();
        let manifest = running.publishing(self.transport, &at, "a-token");
        let trial = drive(&self.group(manifest), 1, cpu);
        (trial, publisher.finish().unwrap())
    }

    /// A webhook's delivery is always answered.
    fn answers(&self) -> bool {
        self.acknowledged || self.transport == Transport::Webhook
    }

    fn check(&self, cpu: usize) {
        let (trial, tally) = self.run(cpu);
        let observed = format!("{self:?}\n{tally:?}\n{:?}", trial.account.faults);
        let counted = Counts::of(&trial).unwrap();
        assert_eq!(
            tally,
            self.fault.theory(self.events(), SUBSCRIBERS, self.answers()),
            "{observed}"
        );
        assert_eq!(counted, Counts::expected(&tally, SUBSCRIBERS), "{observed}");
        assert!(
            counted.outcomes.sums_are_exact() && trial.account.measured.sums_are_exact(),
            "{observed}"
        );
        let affected = tally.affected + tally.turned_away;
        assert_eq!(affected > 0, self.fault != PublisherFault::Correct, "{observed}");
        self.check_the_rest(trial.fanout.as_ref().unwrap(), &tally, &observed);
    }

    /// What reached everybody, by which connections, and what the publisher said of itself.
    fn check_the_rest(&self, fanout: &Fanout, tally: &Tally, observed: &str) {
        let d = &fanout.deliveries;
        let first = self.events() - d.events;
        let missed = |index: u64| {
            let misses = matches!(self.fault, PublisherFault::Drop | PublisherFault::Late)
                || self.fault == PublisherFault::Swap && index + 1 == self.events();
            misses && (0..SUBSCRIBERS).any(|s| self.fault.affects(index, s))
                || self.fault.rejects(index)
        };
        let whole = (first..self.events()).filter(|index| !missed(*index)).count() as u64;
        assert_eq!(d.complete, whole, "{observed}");
        assert_eq!((d.last.count(), d.skew.count()), (d.events, whole), "{observed}");
        assert_eq!(d.delivery.count(), d.measured.received, "{observed}");
        assert_eq!(d.connections, SUBSCRIBERS, "{observed}");
        let status = fanout.publisher.unwrap();
        assert!(status.sums_are_exact(), "{status:?} {observed}");
        assert_eq!((status.published, status.stray), (tally.published, 0), "{observed}");
        assert_eq!(status.acknowledged + status.written, tally.delivered, "{observed}");
    }
}

/// Everything but [`PublisherFault::HangUp`], whose exact moment is the driver's.
fn matrix(transport: Transport) {
    let cells: Vec<Cell> = publisher_fault::ALL
        .iter()
        .filter(|(_, fault, _)| *fault != PublisherFault::HangUp)
        .flat_map(|(_, fault, _)| {
            [true, false].map(|acknowledged| Cell { transport, fault: *fault, acknowledged })
        })
        .collect();
    check_each(&cells, Cell::check);
}

#[test]
fn every_mischief_to_deliveries_by_webhook() {
    matrix(Transport::Webhook);
}

#[test]
fn every_mischief_to_deliveries_by_websocket() {
    matrix(Transport::Websocket);
}

#[test]
fn every_mischief_to_deliveries_on_a_bare_socket() {
    matrix(Transport::Tcp);
}

/// Who was hung up on has lost what was on its way, and is not subscribed for what comes: it does not
/// subscribe again unasked.
#[test]
fn a_subscriber_that_is_hung_up_on_misses_all_that_follows() {
    for transport in [Transport::Websocket, Transport::Tcp] {
        for acknowledged in [true, false] {
            let cell = Cell { transport, fault: PublisherFault::HangUp, acknowledged };
            let (trial, tally) = cell.run(0);
            let observed = format!("{cell:?}\n{tally:?}\n{:?}", trial.account.faults);
            let counted = Counts::of(&trial).unwrap();
            let f = counted.outcomes;
            assert!(f.sums_are_exact(), "{f:?} {observed}");
            assert_eq!((tally.hung_up, tally.affected), (2, 2), "{observed}");
            assert_eq!((f.due, f.received), (tally.due, tally.delivered), "{observed}");
            assert_eq!(f.lost + f.unsubscribed, tally.gone, "{observed}");
            assert_eq!(tally.gone, 2 * (cell.events() - 5), "{observed}");
            assert!(f.lost >= tally.hung_up, "{observed}");
            assert_eq!((f.timed_out, f.unpublished, counted.late), (0, 0, 0), "{observed}");
            assert_eq!(trial.fanout.unwrap().deliveries.connections, SUBSCRIBERS, "{observed}");
        }
    }
}

/// A webhook's subscriber has no connection to lose: the next delivery would open another.
#[test]
fn a_webhook_that_is_hung_up_on_times_out() {
    let cell =
        Cell { transport: Transport::Webhook, fault: PublisherFault::HangUp, acknowledged: true };
    let (trial, tally) = cell.run(0);
    let f = Counts::of(&trial).unwrap().outcomes;
    assert_eq!((f.received, f.timed_out, f.lost), (tally.delivered, tally.gone, 0), "{tally:?}");
    assert_eq!(tally.gone, 2 * (cell.events() - 5), "{tally:?}");
}
