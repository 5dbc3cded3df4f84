//! How early a timer is armed so that its thread is awake at the instant.

/// How long before an instant the timer is armed at the least. A quiet virtual machine needs 52–57 µs to
/// wake from idle whatever the timer slack; armed this early and spun for the rest it is on time.
const EARLY_NS: u64 = 80_000;
/// … and at the most. A virtual CPU of a busy host needed 0.6 ms in the median to wake after 50 ms of idling,
/// and 1.3 ms at p99.
const EARLIEST_NS: u64 = 2_000_000;
/// What one wake that was in time takes off: one in 65 may be late then.
const DECAY: u64 = 64;

/// How long before an instant the timer is armed: what this machine needs to wake from idle, learned from
/// the wakes so far.
pub(crate) struct Lead(u64);

impl Lead {
    pub(crate) fn new() -> Lead {
        Lead(EARLY_NS)
    }

    pub(crate) fn ns(&self) -> u64 {
        self.0
    }

    /// A wake came `late` ns after the instant that the timer was armed for.
    pub(crate) fn learn(&mut self, late: u64) {
        let wanted = if late > self.0 { late + late / 4 } else { self.0 - self.0 / DECAY };
        self.0 = wanted.clamp(EARLY_NS, EARLIEST_NS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_wakes_late_is_armed_for_earlier_and_a_stall_is_forgotten() {
        let mut lead = Lead::new();
        (0..100).for_each(|_| lead.learn(60_000));
        assert_eq!(lead.0, EARLY_NS);
        // 50 ms of idling on a busy host.
        let wakes = (0..1_000_u64).map(|n| 300_000 + n * 7_919 % 1_000 * 1_000);
        let late = wakes.filter(|&wake| {
            let late = wake > lead.0;
            lead.learn(wake);
            late
        });
        assert!(late.count() < 50);
        lead.learn(1_000_000_000);
        assert_eq!(lead.0, EARLIEST_NS);
        (0..300).for_each(|_| lead.learn(60_000));
        assert_eq!(lead.0, EARLY_NS);
    }
}
