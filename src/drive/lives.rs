//! Targets that are ended and started anew amid a trial: what they spend is added up over their lives.

use super::assemble::difference;
use super::stretch::{Bench, Member, Stretch};
use crate::error::Result;
use crate::record::clock;
use crate::record::fanout::PublisherStatus;
use crate::record::trial::TargetUsage;
use crate::record::usage;
use crate::target::process::{Launch, Running, restart};
use crate::target::publisher;

/// How a member's target is started.
pub(super) fn launch<'a>(member: &'a Member, bench: &'a Bench<'_>) -> Launch<'a> {
    let cpus = &bench.placement.target;
    Launch { manifest: &member.manifest, cpus, interrupt: bench.interrupt }
}

/// What a target has used by now.
pub(super) fn read(target: &Running) -> usage::Reading {
    let pids = target.pids();
    // CPU first: reading the rest takes a while.
    let cpu_ns = usage::tree_cpu(&pids);
    usage::Reading { cpu_ns, ..usage::read_tree(&pids) }
}

/// An earlier life of a target.
struct Earlier {
    spent: TargetUsage,
    /// What its publisher had counted just before its end.
    publisher: Option<PublisherStatus>,
    /// From its end to the next one's readiness, ns.
    down_ns: u64,
}

/// The lives of a block's targets.
pub(super) struct Lives {
    /// What each had used when the measured window began; nothing when it was started since.
    before: Vec<usage::Reading>,
    earlier: Vec<Option<Earlier>>,
}

impl Lives {
    pub fn of(targets: usize) -> Lives {
        let before = vec![usage::Reading::default(); targets];
        Lives { before, earlier: (0..targets).map(|_| None).collect() }
    }

    /// The measured window begins.
    pub fn measure(&mut self, targets: &[Running]) {
        self.before = targets.iter().map(read).collect();
    }

    /// What a target has spent since, in all its lives. `now`: what it has used.
    pub fn spent(&self, i: usize, now: usage::Reading) -> TargetUsage {
        let spent = difference(self.before[i], now);
        self.earlier[i].as_ref().map_or(spent, |earlier| earlier.spent.and(spent))
    }

    /// Ends each target and starts it anew on its port. The shards go on meanwhile.
    pub fn restart(
        &mut self,
        targets: &mut [Running],
        stretch: &Stretch,
        bench: &Bench<'_>,
    ) -> Result<()> {
        for (i, (member, target)) in stretch.members.iter().zip(targets).enumerate() {
            let publisher = member.manifest.publisher.as_ref();
            let publisher = publisher.and_then(|p| publisher::status_now(target, p));
            let spent = self.spent(i, read(target));
            let ended = clock::now();
            restart(target, &launch(member, bench))?;
            self.earlier[i] = Some(Earlier { spent, publisher, down_ns: clock::now() - ended });
            self.before[i] = usage::Reading::default();
        }
        Ok(())
    }

    /// How long each was down; `None` where it was not.
    pub fn down_ns(&self) -> Vec<Option<u64>> {
        self.earlier.iter().map(|e| e.as_ref().map(|e| e.down_ns)).collect()
    }

    /// What a target's publisher had counted before it was started anew.
    pub fn publisher(&self, i: usize) -> Option<PublisherStatus> {
        self.earlier[i].as_ref()?.publisher
    }
}
