//! What subscribers cost in memory.

use serde::{Deserialize, Serialize};

/// Kernel memory before the first subscriber and with all: sockets, their descriptors and buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelMemory {
    /// Whose it is.
    pub of: KernelScope,
    /// Bytes.
    pub growth: Growth,
}

/// Whose kernel memory was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KernelScope {
    /// The target's alone, in a memory cgroup of its own.
    Target,
    /// The whole machine's: both ends of the connections and whatever else happened.
    Machine,
}

/// Memory before the first subscriber and at the end of the window, bytes (PSS, which counts shared
/// pages by their part).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Growth {
    /// With no subscriber.
    pub before: u64,
    /// With all of them.
    pub after: u64,
}

impl Growth {
    /// That of two machines.
    #[must_use]
    pub fn and(self, other: Growth) -> Growth {
        Growth { before: self.before + other.before, after: self.after + other.after }
    }

    /// What one of `n` subscribers has added.
    pub fn each(&self, n: u64) -> Option<f64> {
        (n > 0 && self.before > 0 && self.after > 0)
            .then(|| self.after.saturating_sub(self.before) as f64 / n as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_by_subscriber_or_not_at_all() {
        let growth = Growth { before: 1000, after: 9000 };
        assert_eq!(growth.each(4), Some(2000.0));
        assert_eq!(growth.each(0), None);
        assert_eq!(Growth::default().each(4), None);
        assert_eq!(Growth { before: 9000, after: 1000 }.each(4), Some(0.0));
    }
}
