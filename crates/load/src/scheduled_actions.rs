//! What a block does to its targets at which instant.

use crate::trial_group::TrialGroup;
use pushbench_host::clock;
use std::time::Duration;

/// How often the block checks its targets and the interrupt flag.
pub(super) const TICK: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, Copy)]
pub(super) enum Action {
    Measure,
    /// The quiet period of an idle flow ends.
    Quiet,
    Freeze,
    Thaw,
    Restart,
    /// Targets that take events are down …
    BeginOutage,
    /// … until now.
    EndOutage,
}

/// What the block must do at which instant.
pub(super) struct ScheduledActions(Vec<(u64, Action)>);

impl ScheduledActions {
    /// `from`: when the measured window begins, `quiet`: when the quiet period of an idle flow ends,
    /// both after the origin.
    pub fn new(origin: u64, from: u64, quiet: Option<u64>, group: &TrialGroup) -> ScheduledActions {
        let mut actions = Vec::new();
        actions.extend(quiet.map(|end| (origin + end, Action::Quiet)));
        if let Some(freeze) = group.freeze {
            actions.push((origin + freeze.at, Action::Freeze));
            actions.push((origin + freeze.at + freeze.length, Action::Thaw));
        }
        let kill = group.faults.kill.then_some(group.faults.at.as_nanos() as u64);
        let restart = group.restart_after.or(kill);
        actions.extend(restart.map(|after| (origin + from + after, Action::Restart)));
        // In the other direction the driver has the receivers.
        let takes_events = group.arms.iter().all(|arm| arm.subscribers.is_none());
        if let Some((at, lasts)) = group.faults.planned().filter(|(_, lasts)| !lasts.is_zero())
            && takes_events
        {
            let begin = origin + from + at.as_nanos() as u64;
            actions.push((begin, Action::BeginOutage));
            actions.push((begin + lasts.as_nanos() as u64, Action::EndOutage));
        }
        // The last of those at the same instant comes first.
        actions.push((origin + from, Action::Measure));
        actions.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        ScheduledActions(actions)
    }

    pub fn due(&mut self) -> Option<Action> {
        let (at, action) = *self.0.last()?;
        (at <= clock::now()).then(|| {
            self.0.pop();
            action
        })
    }

    pub fn wait(&self) -> Duration {
        let next = self.0.last().map_or(u64::MAX, |(at, _)| at.saturating_sub(clock::now()));
        TICK.min(Duration::from_nanos(next))
    }
}
