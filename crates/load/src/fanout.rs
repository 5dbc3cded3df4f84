//! What a block does for a fan-out beside driving: who the subscribers are, and what is asked at the end.

use crate::assemble::FanoutObservations;
use crate::memory::Memory;
use crate::restart_tracker::RestartTracker;
use crate::subscriber::Registration;
use crate::subscribers::SubscribersJob;
use crate::trial_group::{TrialArm, TrialGroup};
use pushbench_core::error::Result;
use pushbench_sut::process::Running;
use pushbench_sut::publisher;
use pushbench_sut::publisher::Subscribe;

/// What a block has kept for the end.
pub(super) struct BlockContext<'a> {
    /// Memory before the first subscriber.
    pub memory: &'a Memory,
    /// At the end of the quiet period of an idle flow: memory, and CPU of each target since it
    /// began.
    pub quiet: Option<(Memory, Vec<u64>)>,
    /// What publishers had told before they were restarted.
    pub restarts: &'a RestartTracker,
}

/// What a fan-out is asked while targets and subscribers still stand.
pub(super) fn ask(
    group: &TrialGroup,
    targets: &[Running],
    asked: &BlockContext<'_>,
) -> Vec<Option<FanoutObservations>> {
    if group.arms.iter().all(|m| m.subscribers.is_none()) {
        return vec![None; group.arms.len()];
    }
    let now = asked.quiet.is_none().then(|| Memory::read(targets));
    let after = asked.quiet.as_ref().map(|(memory, _)| memory).or(now.as_ref());
    let alone = group.arms.len() == 1;
    let seen = |(i, trial_arm): (usize, &TrialArm)| {
        let subscribers = trial_arm.subscribers.as_ref()?;
        let target = &targets[i];
        let spent = asked.quiet.as_ref().filter(|_| target.is_ours());
        let told = publisher::status(target, &trial_arm.manifest, trial_arm.rests());
        Some(FanoutObservations {
            acknowledged: subscribers.acknowledged,
            memory: asked.memory.growth(after?, i, target, alone),
            quiet_cpu_ns: spent.map(|(_, cpu)| cpu[i]),
            publisher: told
                .map(|now| asked.restarts.publisher(i).map_or(now, |earlier| earlier.and(now))),
        })
    };
    group.arms.iter().enumerate().map(seen).collect()
}

/// The subscribers of an arm that publishes.
pub(super) fn subscribers(
    group: &TrialGroup,
    trial_arm: &TrialArm,
    target: &Running,
) -> Result<Option<SubscribersJob>> {
    let (Some(asked), Some(publisher)) = (&trial_arm.subscribers, &trial_arm.manifest.publisher)
    else {
        return Ok(None);
    };
    let (address, registration) = match (&publisher.subscribe, target.told_port()) {
        (Subscribe::At(url, method, body), _) => {
            let registration = Registration::Request { method: method.clone(), body: body.clone() };
            (publisher::subscribe_address(target, &target.filled(url))?, registration)
        }
        (Subscribe::AtStart, port) => (target.address().clone(), Registration::AtStart(port)),
    };
    Ok(Some(SubscribersJob {
        transport: trial_arm.spec.transport,
        address,
        registration,
        asked: asked.clone(),
        acknowledgement: publisher.acknowledgement.clone(),
        matched: publisher.matched.clone(),
        seed: group.seed,
        length: group.slices.wall_length(),
        rests: trial_arm.rests(),
        restarts: group.restart_after.is_some(),
        token: publisher.token.clone(),
    }))
}
