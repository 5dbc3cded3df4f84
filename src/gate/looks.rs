//! Measuring look by look: one run whose blocks grow until the verdict stands or the time is used up.

use crate::gate::failed_target;
use crate::run;
use crate::run::{Progress, Round, StartedRun};
use pushbench_analysis::compare::gate::Look;
use pushbench_analysis::compare::gate::looks::Schedule;
use pushbench_core::error::{Error, Result};
use pushbench_core::record::run::StoredRun;
use pushbench_core::scenario::Blocks;
use pushbench_host::input;
use pushbench_host::results_store::{self, write_atomically};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// Beside the records of the run.
const FILE: &str = "looks.json";

/// When the run was looked at.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Looks {
    /// In order.
    pub looks: Vec<Look>,
    /// The last of them decided, or nothing was left to spend.
    pub ended: bool,
}

impl Looks {
    /// Reads those of a run; `None` where there are none.
    pub fn read(dir: &Path) -> Result<Option<Looks>> {
        let path = dir.join(FILE);
        let text = match input::text(&path, input::GENERATED) {
            Ok(text) => text,
            Err(e) if e.is_missing() => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        let damaged = |why: String| Error::usage(format!("{} is damaged: {why}", path.display()));
        let found: Looks = serde_json::from_str(&text).map_err(|e| damaged(e.to_string()))?;
        if !found.spend_at_most_everything() {
            return Err(damaged("its looks do not spend the error once".to_owned()));
        }
        Ok(Some(found))
    }

    /// Parts of the error that were changed by hand would give another verdict.
    fn spend_at_most_everything(&self) -> bool {
        let shares = || self.looks.iter().map(|look| look.share);
        let numbered = self.looks.iter().zip(1..).all(|(look, number)| look.number == number);
        numbered && shares().all(|share| share > 0.0) && shares().sum::<f64>() <= 1.0 + 1e-9
    }

    fn write(&self, dir: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|e| Error::harness(format!("cannot write {FILE}: {e}")))?;
        write_atomically(&dir.join(FILE), format!("{text}\n").as_bytes())
    }
}

/// The time that a gate may take.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// When it began.
    pub began: Instant,
    /// In all.
    pub at_most: Duration,
}

impl Budget {
    /// From now on.
    pub fn new(at_most: Duration) -> Budget {
        Budget { began: Instant::now(), at_most }
    }

    fn left(&self) -> Duration {
        self.at_most.saturating_sub(self.began.elapsed())
    }
}

/// Measures a run look by look. `wants_more` judges the run at each look; the looks end when it is false, when another
/// block would not fit into the time, and when more blocks change nothing. A target that ended by itself, or acknowledged
/// nothing, ends it with an error: half a comparison is none.
pub fn measure(
    part: &run::Request,
    budget: Budget,
    interrupt: &AtomicBool,
    progress: &mut dyn Progress,
    wants_more: &mut dyn FnMut(&StoredRun, &Look, &mut dyn Progress) -> bool,
) -> Result<Looks> {
    let mut found = Looks::default();
    let first = match part.question.points.first().map(|p| p.scenario.compare.blocks) {
        Some(Blocks::Fixed(blocks)) => blocks,
        _ => return Err(Error::harness("a gate without a number of blocks: please report it")),
    };
    let mut run = StartedRun::new(part)?;
    let began = Instant::now();
    let mut schedule: Option<Schedule> = None;
    run.measure_rounds(interrupt, progress, &mut |round: &Round, progress| {
        let stored = results_store::read(&part.out)?;
        if let Some(why) = failed_target(&stored, &part.out) {
            return Err(why);
        }
        let blocks = round.begun.iter().copied().max().unwrap_or(1).max(1);
        // With what begins once, a block is taken to last a little longer than it does.
        let block = began.elapsed() / blocks as u32;
        let fit = (budget.left().as_secs_f64() / block.as_secs_f64().max(1e-3)) as usize;
        let schedule = schedule.get_or_insert_with(|| Schedule::new(first, blocks + fit));
        let mut look = schedule.look(round.begun.clone(), fit == 0 || round.stopped);
        look.stopped = round.stopped;
        let more = wants_more(&look.of(stored), &look, progress) && !look.last;
        found.ended = !more;
        found.looks.push(look);
        found.write(&part.out)?;
        let next = schedule.next().filter(|_| more);
        Ok(next.map(|next| next.min(blocks + fit)))
    })?;
    Ok(found)
}
