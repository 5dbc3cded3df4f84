//! The quiet period of an idle flow: from when the warm-up has ended and all its deliveries have arrived
//! to just before the next event.

use crate::ledger::{Held, Ledger};
use crate::trial_group::TrialGroup;
use pushbench_core::record::fanout::Quiet;
use pushbench_core::schedule;
use pushbench_host::clock;

/// The quiet period ends this long before the event, so that memory is read before anything moves.
const BEFORE_THE_EVENT_NS: u64 = 100_000_000;
/// A shorter period tells nothing, ns.
pub(super) const SHORTEST_NS: u64 = 500_000_000;
/// How often to look whether the warm-up's deliveries have arrived, ns.
pub(super) const LOOK_NS: u64 = 5_000_000;
/// Nothing is timed while it is quiet: time-outs are looked after this often, ns.
pub(super) const STEP_NS: u64 = 500_000_000;

/// Where the quiet period of an idle flow ends, ns of the arm's own time; `None` in other flows.
pub(super) fn end(group: &TrialGroup) -> Option<u64> {
    let event = group.idle.then(|| schedule::first_measured(&group.load, group.seed))??;
    Some(event.saturating_sub(BEFORE_THE_EVENT_NS))
}

/// What stood when it began.
pub(super) struct Begin {
    at: u64,
    cpu: u64,
    held: Held,
}

impl Begin {
    pub fn now(ledger: &Ledger) -> Begin {
        Begin { at: clock::now(), cpu: clock::thread_cpu(), held: ledger.held() }
    }

    /// What came since; the target's part is not known here.
    pub fn until_now(&self, ledger: &Ledger) -> Quiet {
        let now = ledger.held();
        Quiet {
            ns: clock::now() - self.at,
            target_cpu_ns: None,
            driver_cpu_ns: clock::thread_cpu() - self.cpu,
            bytes_in: now.bytes_in - self.held.bytes_in,
            bytes_out: now.bytes_out - self.held.bytes_out,
            pings: now.pings - self.held.pings,
            connections: now.connections,
            unsettled: self.held.unsettled,
        }
    }
}
