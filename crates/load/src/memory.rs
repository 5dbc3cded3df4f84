//! Memory of targets, driver and kernel before the first subscriber and with all of them.

use crate::assemble::MemoryObservations;
use pushbench_core::record::fanout::{Growth, KernelMemory, KernelScope};
use pushbench_host::{kernel_memory, usage};
use pushbench_sut::process::Running;

/// What was read at one instant, bytes.
pub(super) struct Memory {
    /// User memory of each target's process tree.
    targets: Vec<u64>,
    /// This process's.
    driver: u64,
    /// Kernel memory of each target in a cgroup of its own, or why there is none.
    kernels: Vec<Result<u64, String>>,
    /// The whole machine's.
    machine: Option<u64>,
}

impl Memory {
    pub fn read(targets: &[Running]) -> Memory {
        Memory {
            targets: targets.iter().map(|t| usage::tree_pss(&t.pids())).collect(),
            driver: usage::tree_pss(&[std::process::id()]),
            kernels: targets.iter().map(kernel_of).collect(),
            machine: kernel_memory::of_machine(),
        }
    }

    /// What target `i` and its surroundings have grown by until `after`. `alone`: no other arm shares
    /// the driver and the machine.
    pub fn growth(
        &self,
        after: &Memory,
        i: usize,
        target: &Running,
        alone: bool,
    ) -> MemoryObservations {
        let grown = |before, after| Growth { before, after };
        let (kernel, kernel_why) = match (&self.kernels[i], &after.kernels[i]) {
            (Ok(before), Ok(after)) => (
                Some(KernelMemory { of: KernelScope::Target, growth: grown(*before, *after) }),
                None,
            ),
            (Err(why), _) | (_, Err(why)) => {
                let both = self.machine.zip(after.machine).filter(|_| alone);
                let growth = both.map(|(before, after)| grown(before, after));
                let machine = |growth| KernelMemory { of: KernelScope::Machine, growth };
                (growth.map(machine), Some(why.clone()))
            }
        };
        MemoryObservations {
            target: target.is_ours().then(|| grown(self.targets[i], after.targets[i])),
            driver: alone.then_some(after.driver),
            kernel,
            kernel_why,
        }
    }
}

fn kernel_of(target: &Running) -> Result<u64, String> {
    let dir = target.cage()?;
    kernel_memory::of_cgroup(&dir).ok_or_else(|| format!("{} does not tell it", dir.display()))
}
