//! A trial group: the arms that run at the same time (all of a sliced block, one of a
//! sequential one).

use crate::subscriber::Spread;
use pushbench_core::arm::{ArmOption, ArmSpec};
use pushbench_core::error::Result;
use pushbench_core::event::Template;
use pushbench_core::guarantee::Guarantee;
use pushbench_core::plan::Slices;
use pushbench_core::record::fanout::EventRecords;
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::strata::Split;
use pushbench_core::record::trial::{Stage, Trial, TrialDesign};
use pushbench_core::scenario::{Faults, Lifetime, Load, PathSettings, Subscribers};
use pushbench_core::transport::{Carrier, Transport};
use pushbench_host::cpus::Placement;
use pushbench_path::proxies::Opens;
use pushbench_sut::manifest::Manifest;
use pushbench_wire::tls::ServerTls;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// One arm of a trial group.
#[derive(Debug, Clone)]
pub struct TrialArm {
    /// Its index in the run.
    pub arm: usize,
    /// Its name, `webhook@builtin`.
    pub label: String,
    /// Transport, options and target.
    pub spec: ArmSpec,
    /// The program.
    pub manifest: Manifest,
    /// Connections over all shards.
    pub connections: usize,
    /// Unanswered events each.
    pub in_flight: usize,
    /// Who gets the events that the target publishes; `None` when it takes them.
    pub subscribers: Option<Subscribers>,
}

impl TrialArm {
    /// How events travel from the driver: to a publisher by POST, whatever it delivers by.
    pub fn carrier(&self) -> Carrier {
        self.spec.transport.carrier_to(self.subscribers.is_some())
    }

    /// Which ends open connections that cross a path.
    pub(super) fn opens(&self) -> Opens {
        let webhook = self.spec.transport == Transport::Webhook;
        let delivers = webhook && self.subscribers.is_some();
        Opens { driver: !delivers, target: delivers || self.spec.has(ArmOption::Callback) }
    }

    /// The driver's end of connections that the target opens; nothing where it opens none, and without TLS.
    pub(super) fn listener_tls(&self) -> Result<Option<ServerTls>> {
        match self.spec.transport == Transport::Webhook
            && (self.subscribers.is_some() || self.spec.has(ArmOption::Callback))
        {
            true => self.manifest.listener_tls(),
            false => Ok(None),
        }
    }

    /// How long a delivery waits at most by design, and then its acknowledgement once more.
    pub fn max_polling_delay(&self) -> Duration {
        match (&self.subscribers, self.spec.transport) {
            (Some(subscribers), Transport::Poll) => subscribers.poll_interval,
            _ => Duration::ZERO,
        }
    }
}

/// A pause of the target, for the self-test: the process tree is stopped and continued.
#[derive(Debug, Clone, Copy)]
pub struct Freeze {
    /// When it stops, ns after the origin.
    pub at: u64,
    /// For how long, ns.
    pub length: u64,
}

/// The arms that are measured together.
#[derive(Debug, Clone)]
pub struct TrialGroup {
    /// The arms alive together.
    pub arms: Vec<TrialArm>,
    /// The load, warm-up and duration rounded to slices.
    pub load: Load,
    /// The order of the slices.
    pub slices: Arc<Slices>,
    /// Seed of the schedule.
    pub seed: u64,
    /// Makes the events.
    pub template: Template,
    /// Events a connection carries.
    pub lifetime: Lifetime,
    /// Cap of the segment size.
    pub max_segment: Option<u32>,
    /// Point of the sweep, block and place in it.
    pub place: (usize, usize, usize),
    /// How measured events are divided into strata.
    pub split: Option<Split>,
    /// What for.
    pub stage: Stage,
    /// The block's design.
    pub design: TrialDesign,
    /// A pause to inject.
    pub freeze: Option<Freeze>,
    /// Connections and subscriptions must be open after this, where it is less than the usual limit.
    pub connect_limit: Option<Duration>,
    /// What lies between two events is measured, one arm alone.
    pub idle: bool,
    /// What lies between driver and target; nothing but the loopback device where there is none.
    pub path: Option<PathSettings>,
    /// Connections that cannot be opened do not end the trial: its events fail.
    pub tolerates_connect_failures: bool,
    /// When the targets are ended and restarted, ns after the measured window began.
    pub restart_after: Option<u64>,
    /// What a delivery promises.
    pub guarantee: Guarantee,
    /// What else breaks.
    pub faults: Faults,
}

/// A finished trial and its time line.
pub struct FinishedTrial {
    /// The record, not judged yet.
    pub trial: Trial,
    /// How its target ended, where it should not have.
    pub ended: Option<String>,
    /// Responses in each second of the wall clock, by its number.
    pub seconds: Vec<(u64, Hist)>,
    /// What the merge needs of each event, of one driver of several; empty where one has all subscribers.
    pub event_records: EventRecords,
}

/// Receives the progress of a trial group.
pub trait TrialObserver {
    /// So many arms take turns: each has that part of every second. What is measured begins after this time.
    fn turns(&mut self, _arms: usize, _measured_in: Duration) {}
    /// The connections of an arm (its index in the run), or its subscribers', could not be opened, and why: the trial
    /// group ends with an error.
    fn not_connected(&mut self, _arm: usize, _why: &str) {}
    /// A second of an arm (its index in the run) ended.
    fn second(&mut self, arm: usize, responses: &Hist);
    /// Some time has passed.
    fn tick(&mut self);
}

/// The CPUs and the interrupt flag of a run, and where its trial groups are run.
#[derive(Clone, Copy)]
pub struct ExecutionContext<'a> {
    /// Which CPUs.
    pub placement: &'a Placement,
    /// Set when the user wants to stop.
    pub interrupt: &'a AtomicBool,
    /// What this driver is of a run on several machines.
    pub part: Option<&'a Part<'a>>,
    /// Runs trial groups on other machines; here where there is nothing.
    pub remote: Option<&'a dyn RemoteBlocks>,
}

impl<'a> ExecutionContext<'a> {
    /// Everything is on this machine.
    pub fn here(placement: &'a Placement, interrupt: &'a AtomicBool) -> ExecutionContext<'a> {
        ExecutionContext { placement, interrupt, part: None, remote: None }
    }
}

/// The part of one driver of several: some of the shards of the schedule.
pub struct Part<'a> {
    /// Names the run.
    pub run: &'a str,
    /// Number of its first shard.
    pub first: usize,
    /// Its shards.
    pub here: usize,
    /// The shards of all drivers.
    pub of: usize,
    /// In a fan-out, the subscribers of this driver and where they are reached.
    pub spread: Spread,
    /// Called when all of its connections are open: waits for the common origin, in this machine's clock, ns.
    pub origin: &'a (dyn Fn() -> Result<u64> + Sync),
    /// Called when every event has its outcome: waits until connections may be closed.
    pub drained: &'a (dyn Fn() -> Result<()> + Sync),
}

/// Other machines that run trial groups.
pub trait RemoteBlocks: Sync {
    /// Runs one; the records are merged over machines, and not judged.
    ///
    /// # Errors
    /// A machine is gone or has failed, or the user wants to stop. Nothing of the group is running any more.
    fn run(
        &self,
        group: &TrialGroup,
        context: &ExecutionContext<'_>,
        observer: &mut dyn TrialObserver,
    ) -> Result<Vec<FinishedTrial>>;
}
