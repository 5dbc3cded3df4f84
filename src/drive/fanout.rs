//! What a block does for a fan-out beside driving: who the subscribers are, and what is asked at the end.

use super::assemble::SeenFanout;
use super::block::address;
use super::stretch::{Member, Stretch};
use super::subscribers::SubscribersJob;
use crate::error::Result;
use crate::record::fanout::Growth;
use crate::record::usage;
use crate::target::process::Running;
use crate::target::publisher::{self, Subscribe};
use crate::transport::subscriber::Asking;

/// Memory of each target and of the driver, bytes.
pub(super) struct Memory {
    targets: Vec<u64>,
    driver: u64,
}

impl Memory {
    /// Before the first subscriber.
    pub fn before(targets: &[Running]) -> Memory {
        usage::give_back();
        Memory::read(targets)
    }

    fn read(targets: &[Running]) -> Memory {
        Memory {
            targets: targets.iter().map(|t| usage::tree_pss(&t.pids())).collect(),
            driver: usage::tree_pss(&[std::process::id()]),
        }
    }
}

/// What a fan-out is asked while targets and subscribers still stand.
pub(super) fn ask(
    stretch: &Stretch,
    targets: &[Running],
    before: &Memory,
) -> Vec<Option<SeenFanout>> {
    if stretch.members.iter().all(|m| m.subscribers.is_none()) {
        return vec![None; stretch.members.len()];
    }
    let after = Memory::read(targets);
    let seen = |(i, member): (usize, &Member)| {
        let subscribers = member.subscribers.as_ref()?;
        let target = &targets[i];
        let growth = |before, after| Growth { before, after };
        let alone = stretch.members.len() == 1;
        Some(SeenFanout {
            acknowledged: subscribers.acknowledged,
            target_memory: target.is_ours().then(|| growth(before.targets[i], after.targets[i])),
            driver_memory: alone.then(|| growth(before.driver, after.driver)),
            publisher: publisher::status(target, &member.manifest),
        })
    };
    stretch.members.iter().enumerate().map(seen).collect()
}

/// The subscribers of an arm that publishes.
pub(super) fn subscribers(member: &Member, target: &Running) -> Result<Option<SubscribersJob>> {
    let (Some(asked), Some(publisher)) = (&member.subscribers, &member.manifest.publisher) else {
        return Ok(None);
    };
    let (address, asking) = match (&publisher.subscribe, target.told_port()) {
        (Subscribe::At(url, method, body), _) => {
            let url = target.filled(url);
            let socket = publisher::subscribe_address(target, &url)?;
            let asking = Asking::Request { method: method.clone(), body: body.clone() };
            (address(member, socket, &url)?, asking)
        }
        (Subscribe::Told, port) => {
            (address(member, target.address(), target.url())?, Asking::Told(port))
        }
    };
    Ok(Some(SubscribersJob {
        transport: member.transport,
        address,
        asking,
        count: asked.count,
        acknowledged: asked.acknowledged,
        acknowledgement: publisher.acknowledgement.clone(),
        matched: publisher.matched.clone(),
        token: publisher.token.clone(),
    }))
}
