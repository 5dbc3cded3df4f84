//! A guarantee and faults where the target takes events: what the driver promises, and what became of the events.

use crate::ledger::{AttemptAccount, AttemptRules};
use crate::trial_group::{TrialArm, TrialGroup};
use pushbench_core::arm::ArmOption;
use pushbench_core::record::account::Account;
use pushbench_core::record::guarantee::{GuaranteeRecord, LossReasons, ReceiverStatus, Recovery};
use pushbench_core::transport::Carrier;

/// How events of an arm are tried again, and what breaks; nothing where nothing is promised and nothing breaks.
/// `slots`: connections of the shard.
pub(super) fn attempt_rules(
    group: &TrialGroup,
    trial_arm: &TrialArm,
    slots: usize,
) -> Option<AttemptRules> {
    let quiet = group.guarantee.is_default() && !group.faults.any();
    if quiet || trial_arm.subscribers.is_some() || trial_arm.spec.has(ArmOption::Callback) {
        return None;
    }
    let fault = group
        .faults
        .planned()
        .map(|(at, lasts)| ((group.load.warmup + at).as_nanos() as u64, lasts.as_nanos() as u64));
    Some(AttemptRules {
        guarantee: group.guarantee,
        seed: group.seed,
        fault,
        cuts: group.faults.cut,
        breaks: group.faults.any(),
        pipelined: trial_arm.carrier() != Carrier::Webhook,
        slots,
    })
}

/// What became of the events of a trial. `received`: what a built-in receiver told.
pub(super) fn record(
    group: &TrialGroup,
    (account, attempts): (&Account, &AttemptAccount),
    received: Option<ReceiverStatus>,
) -> GuaranteeRecord {
    let mut all = account.measured;
    all.add(&account.warmup);
    // One that is not ours tells nothing: what it acknowledged, it has.
    let told = received.unwrap_or(ReceiverStatus {
        delivered: all.acknowledged,
        delivered_once: all.acknowledged,
        ..ReceiverStatus::default()
    });
    // A receiver that was started anew may have counted an event in both of its lives, and has not told what came between its
    // account and its end.
    let delivered = told.delivered.clamp(all.acknowledged, all.due);
    let (again, untold) =
        (told.delivered.saturating_sub(all.due), delivered.saturating_sub(told.delivered));
    let lost = all.due - delivered;
    let queue = all.backlog_full.min(lost);
    // An event that timed out had as many attempts as fit.
    let tried = (attempts.exhausted + all.timed_out).min(lost - queue);
    let lost = LossReasons {
        queue,
        attempts: tried,
        unexplained: lost - queue - tried,
        ..LossReasons::default()
    };
    let bytes = group.template.len() as u64;
    let fault_at_ns = group.faults.at.as_nanos() as u64;
    GuaranteeRecord {
        due: all.due,
        delivered,
        delivered_once: (told.delivered_once + untold).min(delivered).saturating_sub(again),
        duplicates_on_wire: told.duplicates_on_wire + again,
        duplicates_to_application: told.duplicates_to_application + again,
        out_of_order: told.out_of_order,
        met_by_fault: told.met_by_fault,
        lost_acks: told.lost_acks,
        not_accepted: 0,
        lost,
        attempts: account.sent + attempts.again,
        attempts_are_counted: true,
        arrivals_are_unknown: received.is_none(),
        backlog_peak: attempts.open_peak,
        backlog_peak_bytes: attempts.open_peak * bytes,
        connections_per_second_peak: attempts.connections_peak,
        connections_refused: attempts.connections_refused,
        recovery: attempts.recovery.map(|recovery| Recovery { fault_at_ns, ..recovery }),
        freshness: Vec::new(),
        held_ns: 0,
        held_events: 0,
        sync: None,
    }
}
