//! Which CPUs the driver and the targets get: never the same when there are two (law 10).

pub use pushbench_core::cpu_list::Cpus;
use pushbench_core::error::{Error, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::{Deserialize, Serialize};

/// More driver shards than this add scheduling noise, not load, below a million events a second.
const MOST_DRIVER_CPUS: usize = 4;

/// The CPUs of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The driver's, one shard each.
    pub driver: Vec<usize>,
    /// The targets'.
    pub target: Vec<usize>,
}

impl Placement {
    /// True when driver and target have no CPU in common.
    pub fn apart(&self) -> bool {
        !self.driver.iter().any(|c| self.target.contains(c))
    }

    /// All CPUs in use.
    pub fn all(&self) -> Vec<usize> {
        let mut all = [self.driver.clone(), self.target.clone()].concat();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The placement for this machine: upper half of the allowed CPUs for the driver.
    pub fn automatic() -> Placement {
        Self::of(&allowed())
    }

    fn of(cpus: &[usize]) -> Placement {
        if cpus.len() < 2 {
            return Placement { driver: cpus.to_vec(), target: cpus.to_vec() };
        }
        let drivers = (cpus.len() / 2).min(MOST_DRIVER_CPUS);
        let (target, driver) = cpus.split_at(cpus.len() - drivers);
        Placement { driver: driver.to_vec(), target: target.to_vec() }
    }

    /// Reads `driver=1,target=0`; a side may be a list `0-2+5`.
    pub fn parse(text: &str) -> Result<Placement> {
        let bad = |what: String| {
            let Placement { driver, target } = Placement::automatic();
            Error::usage(format!(
                "--cpus {text}: {what}; write for example --cpus driver={},target={}",
                Cpus(&driver),
                Cpus(&target)
            ))
        };
        let (mut driver, mut target) = (None, None);
        for part in text.split(',') {
            let (side, list) =
                part.split_once('=').ok_or_else(|| bad(format!("\"{part}\" has no \"=\"")))?;
            let cpus =
                list_of(list).ok_or_else(|| bad(format!("\"{list}\" is not a list of CPUs")))?;
            let slot = match side.trim() {
                "driver" => &mut driver,
                "target" => &mut target,
                other => return Err(bad(format!("\"{other}\" is neither driver nor target"))),
            };
            *slot = Some(cpus);
        }
        let (Some(driver), Some(target)) = (driver, target) else {
            return Err(bad("both driver and target are needed".to_owned()));
        };
        let allowed = allowed();
        if let Some(cpu) = driver.iter().chain(&target).find(|c| !allowed.contains(c)) {
            return Err(bad(format!(
                "this process may not use CPU {cpu}; it may use {}",
                Cpus(&allowed)
            )));
        }
        Ok(Placement { driver, target })
    }
}

/// Reads a list of CPUs as [`Cpus`] prints it.
pub fn list_of(text: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for range in text.split('+') {
        let (low, high) = range.split_once('-').unwrap_or((range, range));
        let (low, high): (usize, usize) = (low.trim().parse().ok()?, high.trim().parse().ok()?);
        if low > high || high >= CpuSet::MAX_CPU {
            return None;
        }
        cpus.extend(low..=high);
    }
    Some(cpus)
}

/// The CPUs this process may run on.
pub fn allowed() -> Vec<usize> {
    let set = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
    let cpus: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|c| set.is_set(*c)).collect();
    if cpus.is_empty() { vec![0] } else { cpus }
}

/// Pins the calling thread. Failing to is not fatal: the placement is shown, and noise is measured.
pub fn pin(cpus: &[usize]) {
    let mut set = CpuSet::new();
    cpus.iter().for_each(|c| set.set(*c));
    let _stays_where_it_is = sched_setaffinity(None, &set);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_cpus_are_split_and_one_is_shared() {
        let two = Placement::of(&[0, 1]);
        assert_eq!((two.driver.clone(), two.target.clone()), (vec![1], vec![0]));
        assert!(two.apart());
        assert!(!Placement::of(&[3]).apart());
        let many = Placement::of(&(0..64).collect::<Vec<_>>());
        assert_eq!(many.driver.len(), MOST_DRIVER_CPUS);
        assert!(many.apart());
    }

    #[test]
    fn lists_read_back_as_printed() {
        for text in ["0", "0-3", "0-1+4", "7+9-10"] {
            let cpus = list_of(text).unwrap();
            assert_eq!(Cpus(&cpus).to_string(), text);
        }
        for bad in ["", "a", "3-1", "0-", "999999"] {
            assert!(list_of(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_bad_placement_says_what_to_write() {
        for bad in
            ["1", "driver=1", "driver=x,target=0", "driver=0,target=99999", "server=1,target=0"]
        {
            let error = Placement::parse(bad).unwrap_err().to_string();
            assert!(error.contains("driver=1,target=0"), "{error}");
        }
    }
}
