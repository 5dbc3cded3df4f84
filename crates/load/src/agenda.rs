//! What a block must do at which instant.

use crate::trial_group::TrialGroup;
use pushbench_host::clock;
use std::time::Duration;

/// The block looks after its targets and the user's wish to stop this often.
pub(super) const TICK: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, Copy)]
pub(super) enum Mark {
    Measure,
    /// The quiet period of an idle flow ends.
    Quiet,
    Freeze,
    Thaw,
    Restart,
}

/// What the block must do at which instant.
pub(super) struct Agenda(Vec<(u64, Mark)>);

impl Agenda {
    /// `from`: when the measured window begins, `quiet`: when the quiet period of an idle flow ends,
    /// both after the origin.
    pub fn new(origin: u64, from: u64, quiet: Option<u64>, group: &TrialGroup) -> Agenda {
        let mut marks = Vec::new();
        marks.extend(quiet.map(|end| (origin + end, Mark::Quiet)));
        if let Some(freeze) = group.freeze {
            marks.push((origin + freeze.at, Mark::Freeze));
            marks.push((origin + freeze.at + freeze.length, Mark::Thaw));
        }
        marks.extend(group.restart_after.map(|after| (origin + from + after, Mark::Restart)));
        // The last of those at the same instant comes first.
        marks.push((origin + from, Mark::Measure));
        marks.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        Agenda(marks)
    }

    pub fn due(&mut self) -> Option<Mark> {
        let (at, mark) = *self.0.last()?;
        (at <= clock::now()).then(|| {
            self.0.pop();
            mark
        })
    }

    pub fn wait(&self) -> Duration {
        let next = self.0.last().map_or(u64::MAX, |(at, _)| at.saturating_sub(clock::now()));
        TICK.min(Duration::from_nanos(next))
    }
}
