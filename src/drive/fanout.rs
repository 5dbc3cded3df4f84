//! What a block does for a fan-out beside driving: who the subscribers are, and what is asked at the end.

use super::assemble::SeenFanout;
use super::block::address;
use super::lives::Lives;
use super::memory::Memory;
use super::stretch::{Member, Stretch};
use super::subscribers::SubscribersJob;
use crate::error::Result;
use crate::target::process::Running;
use crate::target::publisher;

/// What a block has kept for the end.
pub(super) struct Asked<'a> {
    /// Memory before the first subscriber.
    pub memory: &'a Memory,
    /// At the end of the quiet stretch of an idle flow: memory, and CPU of each target since it
    /// began.
    pub quiet: Option<(Memory, Vec<u64>)>,
    /// What publishers had told before they were started anew.
    pub lives: &'a Lives,
}

/// What a fan-out is asked while targets and subscribers still stand.
pub(super) fn ask(
    stretch: &Stretch,
    targets: &[Running],
    asked: &Asked<'_>,
) -> Vec<Option<SeenFanout>> {
    if stretch.members.iter().all(|m| m.subscribers.is_none()) {
        return vec![None; stretch.members.len()];
    }
    let now = asked.quiet.is_none().then(|| Memory::read(targets));
    let after = asked.quiet.as_ref().map(|(memory, _)| memory).or(now.as_ref());
    let alone = stretch.members.len() == 1;
    let seen = |(i, member): (usize, &Member)| {
        let subscribers = member.subscribers.as_ref()?;
        let (target, publisher) = (&targets[i], member.manifest.publisher.as_ref());
        let spent = asked.quiet.as_ref().filter(|_| target.is_ours());
        Some(SeenFanout {
            acknowledged: subscribers.acknowledged,
            memory: asked.memory.growth(after?, i, target, alone),
            quiet_cpu_ns: spent.map(|(_, cpu)| cpu[i]),
            publisher: publisher.and_then(|p| {
                let now = publisher::status(target, p, member.rests())?;
                Some(asked.lives.publisher(i).map_or(now, |earlier| earlier.and(now)))
            }),
        })
    };
    stretch.members.iter().enumerate().map(seen).collect()
}

/// The subscribers of an arm that publishes.
pub(super) fn subscribers(
    stretch: &Stretch,
    member: &Member,
    target: &Running,
) -> Result<Option<SubscribersJob>> {
    let (Some(asked), Some(publisher)) = (&member.subscribers, &member.manifest.publisher) else {
        return Ok(None);
    };
    Ok(Some(SubscribersJob {
        transport: member.transport,
        address: address(member, target, &target.filled(&publisher.subscribe))?,
        asked: asked.clone(),
        seed: stretch.seed,
        length: stretch.slices.wall_length(),
        rests: member.rests(),
        token: publisher.token.clone(),
    }))
}
