//! How long the queue that a burst left takes to empty.

/// The bursts of a trial and when each one's queue was gone.
#[derive(Debug, Clone, Default)]
pub(super) struct Bursts {
    /// Ends of the bursts in the arm's own time, ns, earliest first.
    ends: Vec<u64>,
    /// Time from a burst's end to the first event that found no queue; as many as are known.
    drained: Vec<u64>,
}

impl Bursts {
    pub fn new(ends: Vec<u64>) -> Bursts {
        Bursts { ends, drained: Vec::new() }
    }

    /// An event came due `at`; `alone`: no other was waiting for a connection.
    pub fn note(&mut self, at: u64, alone: bool) {
        if let Some(&end) = self.ends.get(self.drained.len())
            && alone
            && at >= end
        {
            self.drained.push(at - end);
        }
    }

    /// For each burst the time to drain, `None` when its queue outlived the next one or the window.
    pub fn finish(self) -> Vec<Option<u64>> {
        let next = |i: usize| self.ends.get(i + 1).copied().unwrap_or(u64::MAX);
        let drained = |(i, end): (usize, &u64)| {
            self.drained.get(i).copied().filter(|took| end + took < next(i))
        };
        self.ends.iter().enumerate().map(drained).collect()
    }
}

/// Over shards: the queues of all have to be gone.
pub(super) fn merge(shards: impl Iterator<Item = Vec<Option<u64>>>) -> Vec<Option<u64>> {
    let both = |a: Vec<Option<u64>>, b: Vec<Option<u64>>| {
        a.into_iter().zip(b).map(|(a, b)| Some(a?.max(b?))).collect()
    };
    shards.reduce(both).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_event_without_a_queue_ends_the_drain() {
        let mut bursts = Bursts::new(vec![100, 300, 500]);
        for (at, alone) in [(50, true), (101, false), (120, true), (130, false), (520, true)] {
            bursts.note(at, alone);
        }
        // The second burst's queue was still there when the third one ended; then both are gone.
        assert_eq!(bursts.finish(), [Some(20), None, None]);
    }

    #[test]
    fn every_shard_must_have_drained() {
        let shards = vec![vec![Some(3), Some(1), None], vec![Some(2), Some(9), Some(1)]];
        assert_eq!(merge(shards.into_iter()), [Some(3), Some(9), None]);
    }
}
