//! What recovering from a planned fault cost the target.

use pushbench_core::record::guarantee::Recovery;

/// CPU time of one target since the measured window began, read now and then.
#[derive(Debug, Clone, Default)]
pub(super) struct CpuSamples(Vec<(u64, u64)>);

impl CpuSamples {
    /// `at`: ns after the measured window began. Earlier than the last one is ignored.
    pub fn note(&mut self, at: u64, cpu_ns: u64) {
        if self.0.last().is_none_or(|(last, _)| *last < at) {
            self.0.push((at, cpu_ns));
        }
    }

    /// CPU time at an instant, linear between two readings; `None` outside of them.
    fn at(&self, instant: u64) -> Option<f64> {
        let after = self.0.partition_point(|(at, _)| *at < instant);
        let (to, high) = self.0.get(after).copied()?;
        if to == instant {
            return Some(high as f64);
        }
        let (from, low) = self.0.get(after.checked_sub(1)?).copied()?;
        let part = (instant - from) as f64 / (to - from) as f64;
        Some(low as f64 + part * (high as f64 - low as f64))
    }

    /// From the fault's begin until all was caught up and all receivers were back: CPU beyond what it used before the fault in the same time, ns.
    pub fn spent_on(&self, recovery: &Recovery) -> Option<i64> {
        let (first, _) = self.0.first().copied()?;
        let begin = recovery.fault_at_ns;
        let recovered = recovery.caught_up_ns?.max(recovery.all_back_ns?);
        let end_at = begin + recovery.fault_ns + recovered;
        let (before, then, end) = (self.at(first)?, self.at(begin)?, self.at(end_at)?);
        let usual = (then - before) / begin.checked_sub(first).filter(|ns| *ns > 0)? as f64;
        Some((end - then - usual * (end_at - begin) as f64).round() as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recovery(caught_up_ns: Option<u64>) -> Recovery {
        let all_back_ns = Some(0);
        Recovery {
            fault_at_ns: 100,
            fault_ns: 50,
            caught_up_ns,
            all_back_ns,
            ..Recovery::default()
        }
    }

    #[test]
    fn what_is_beyond_the_usual_is_the_recovery() {
        let mut samples = CpuSamples::default();
        // 0.1 before the fault, nothing during it, then 0.9 until all is caught up.
        for (at, cpu) in [(0, 0), (50, 5), (100, 10), (150, 10), (200, 55), (300, 65)] {
            samples.note(at, cpu);
        }
        assert_eq!(samples.spent_on(&recovery(Some(50))), Some(45 - 10));
        assert_eq!(samples.spent_on(&recovery(Some(25))), Some(23 - 8), "between two readings");
        let last = Recovery { all_back_ns: Some(50), ..recovery(Some(0)) };
        assert_eq!(samples.spent_on(&last), Some(45 - 10), "who is back last counts");
        assert_eq!(samples.spent_on(&recovery(None)), None);
        assert_eq!(samples.spent_on(&recovery(Some(1000))), None, "after the last reading");
    }
}
