//! What a block does for a fan-out beside driving: who the subscribers are, and what is asked at the end.

use crate::assemble::SeenFanout;
use crate::block::address;
use crate::lives::Lives;
use crate::memory::Memory;
use crate::stretch::{Member, Stretch};
use crate::subscriber::Registration;
use crate::subscribers::SubscribersJob;
use pushbench_core::error::Result;
use pushbench_sut::process::Running;
use pushbench_sut::publisher;
use pushbench_sut::publisher::Subscribe;

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
        let target = &targets[i];
        let spent = asked.quiet.as_ref().filter(|_| target.is_ours());
        let told = publisher::status(target, &member.manifest, member.rests());
        Some(SeenFanout {
            acknowledged: subscribers.acknowledged,
            memory: asked.memory.growth(after?, i, target, alone),
            quiet_cpu_ns: spent.map(|(_, cpu)| cpu[i]),
            publisher: told
                .map(|now| asked.lives.publisher(i).map_or(now, |earlier| earlier.and(now))),
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
    let (address, registration) = match (&publisher.subscribe, target.told_port()) {
        (Subscribe::At(url, method, body), _) => {
            let url = target.filled(url);
            let socket = publisher::subscribe_address(target, &url)?;
            let registration = Registration::Request { method: method.clone(), body: body.clone() };
            (address(member, socket, &url)?, registration)
        }
        (Subscribe::Told, port) => {
            (address(member, target.address(), target.url())?, Registration::Told(port))
        }
    };
    Ok(Some(SubscribersJob {
        transport: member.transport,
        address,
        registration,
        asked: asked.clone(),
        acknowledgement: publisher.acknowledgement.clone(),
        matched: publisher.matched.clone(),
        seed: stretch.seed,
        length: stretch.slices.wall_length(),
        rests: member.rests(),
        restarts: stretch.restart_after.is_some(),
        token: publisher.token.clone(),
    }))
}
