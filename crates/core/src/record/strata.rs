//! Strata of measured events: by when they were due, or by how much their connection had carried.

use crate::record::histogram::Hist;
use serde::{Deserialize, Serialize};

/// Where one stratum ends and the next begins. Bounds rise; there is one stratum more than bounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "by")]
pub enum Split {
    /// By the due instant after the begin of the measured window, in cycles.
    Phase {
        /// Length of a cycle, ns of the arm's own time; `u64::MAX` for none.
        period_ns: u64,
        /// Where further strata begin within a cycle.
        bounds_ns: Vec<u64>,
    },
    /// By an event's number on its connection, from 1.
    Use {
        /// The last number of each stratum but the last one.
        bounds: Vec<u64>,
    },
}

impl Split {
    /// Number of strata.
    pub fn len(&self) -> usize {
        match self {
            Split::Phase { bounds_ns, .. } => bounds_ns.len() + 1,
            Split::Use { bounds } => bounds.len() + 1,
        }
    }

    /// Never true; what is not split has no [`Split`].
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The stratum of an event due `after` ns after the window began, the `nth` of its connection.
    #[inline]
    pub fn index(&self, after: u64, nth: u64) -> usize {
        match self {
            Split::Phase { period_ns, bounds_ns } => {
                let at = after % period_ns;
                bounds_ns.iter().take_while(|bound| **bound <= at).count()
            }
            Split::Use { bounds } => bounds.iter().take_while(|bound| **bound < nth).count(),
        }
    }
}

/// The times of one stratum's acknowledged events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stratum {
    /// `done − due`. Empty in a closed loop.
    pub response: Hist,
    /// `done − sent`.
    pub service: Hist,
}

impl Stratum {
    /// As many empty strata as a split has.
    pub(crate) fn all_of(split: Option<&Split>) -> Vec<Stratum> {
        let empty = || Stratum { response: Hist::new(), service: Hist::new() };
        (0..split.map_or(0, Split::len)).map(|_| empty()).collect()
    }

    /// Adds another shard's.
    pub fn merge(&mut self, other: &Stratum) {
        self.response.merge(&other.response);
        self.service.merge(&other.service);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_repeat_and_uses_do_not() {
        let phase = Split::Phase { period_ns: 100, bounds_ns: vec![20, 60] };
        let at = |after| phase.index(after, 1);
        assert_eq!([at(0), at(19), at(20), at(59), at(60), at(99), at(100)], [0, 0, 1, 1, 2, 2, 0]);
        let uses = Split::Use { bounds: vec![1, 10] };
        let of = |nth| uses.index(7, nth);
        assert_eq!([of(1), of(2), of(10), of(11)], [0, 1, 1, 2]);
        assert_eq!((phase.len(), uses.len()), (3, 3));
    }
}
