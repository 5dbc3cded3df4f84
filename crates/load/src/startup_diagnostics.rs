//! What can be found out about a target that took no connection or acknowledged nothing, while it
//! still runs.

use crate::trial_group::{Finished, TrialArm};
use pushbench_core::error::Error;
use pushbench_sut::process::Running;
use pushbench_wire::fault::ENDED;
use pushbench_wire::response_diagnostics::TLS;

/// Adds to the faults of silent targets what a look at them tells.
pub(super) fn explain(finished: &mut [Finished], targets: &[Running]) {
    for (f, target) in finished.iter_mut().zip(targets) {
        let trial = &mut f.trial;
        let silent = trial.account.measured.acknowledged + trial.account.warmup.acknowledged == 0;
        // A server that closes without a word may have wanted TLS; one that says nothing did not.
        if !silent || !trial.account.faults.keys().any(|fault| fault.starts_with(ENDED)) {
            continue;
        }
        let more = hint(target);
        let faults = std::mem::take(&mut trial.account.faults);
        trial.account.faults = faults.into_iter().map(|(fault, n)| (fault + &more, n)).collect();
    }
}

/// The warm connections of an arm could not be opened.
pub(super) fn cannot_connect(trial_arm: &TrialArm, target: &mut Running, why: &str) -> Error {
    let more = match target.exited() {
        Some(how) => format!("; the target {how}"),
        None if why.contains(TLS) => String::new(),
        None => hint(target),
    };
    let tail = match target.output_tail().trim() {
        "" => String::new(),
        tail => format!("\nits last output:\n{tail}"),
    };
    Error::target(format!(
        "{}: cannot open {} connections to {}: {why}{more}; check that it serves {} there{tail}",
        trial_arm.label,
        trial_arm.connections,
        target.address().endpoint,
        trial_arm.spec.transport.name(),
    ))
}

/// `; it speaks TLS there …`, or nothing.
fn hint(target: &Running) -> String {
    if target.speaks_tls() { format!("; {TLS}") } else { String::new() }
}
