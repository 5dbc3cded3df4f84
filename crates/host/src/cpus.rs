//! Which CPUs the driver and the targets get: never the same, and never two of one core, when there are
//! enough (law 10).

pub use pushbench_core::cpu_list::Cpus;
use pushbench_core::error::{Error, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// More driver shards than this add scheduling noise, not load, below a million events a second.
const MOST_DRIVER_CPUS: usize = 4;

/// The scheduler's time slice of a prompt thread, ns. A thread with a shorter slice than the one that runs takes the CPU
/// when it wakes: the driver's shard has the usual slice of some ms. The least that the kernel accepts.
const SLICE_NS: u64 = 100_000;

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

    /// The cores of which both sides have a CPU, by their CPUs in use: hyper-threads of one core share its
    /// execution units and caches, so the times and the CPU of the two sides are mixed.
    pub fn shared_cores(&self) -> Vec<Vec<usize>> {
        let cores = cores_of(&self.all(), siblings);
        let on = |side: &[usize], core: &[usize]| core.iter().any(|cpu| side.contains(cpu));
        cores.into_iter().filter(|c| on(&self.driver, c) && on(&self.target, c)).collect()
    }

    /// The placement for this machine: upper half of the allowed cores for the driver.
    pub fn automatic() -> Placement {
        Self::of(&cores_of(&allowed(), siblings))
    }

    /// The driver has one CPU of each of its cores, one shard each; the target all CPUs of its own. On a
    /// single core each side has a half of its CPUs.
    fn of(cores: &[Vec<usize>]) -> Placement {
        let drivers = (cores.len() / 2).min(MOST_DRIVER_CPUS);
        let (target, driver) = cores.split_at(cores.len() - drivers);
        let (target, driver) = match target {
            [only] if driver.is_empty() && only.len() > 1 => {
                let (target, driver) = only.split_at(only.len() - 1);
                (target.to_vec(), driver.to_vec())
            }
            _ if driver.is_empty() => (target.concat(), target.concat()),
            _ => (target.concat(), driver.iter().map(|core| core[0]).collect()),
        };
        let sorted = |mut cpus: Vec<usize>| {
            cpus.sort_unstable();
            cpus
        };
        Placement { driver: sorted(driver), target: sorted(target) }
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

/// These CPUs by core, in the order of the first CPU of each.
fn cores_of(cpus: &[usize], siblings: impl Fn(usize) -> Vec<usize>) -> Vec<Vec<usize>> {
    let mut cores: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for cpu in cpus {
        let lowest = siblings(*cpu).into_iter().min().unwrap_or(*cpu).min(*cpu);
        cores.entry(lowest).or_default().push(*cpu);
    }
    cores.into_values().collect()
}

/// The hyper-threads of the core of a CPU; none where the kernel does not tell.
fn siblings(cpu: usize) -> Vec<usize> {
    let list = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
    let text = fs::read_to_string(list).unwrap_or_default();
    list_of(&text.trim().replace(',', "+")).unwrap_or_default()
}

/// How many CPUs' worth of time the cgroups of this process allow it; `None` without a quota.
pub fn quota() -> Option<f64> {
    quota_of(&fs::read_to_string("/proc/self/cgroup").ok()?, Path::new("/sys/fs/cgroup"), |path| {
        fs::read_to_string(path).ok()
    })
}

/// The least quota of the cgroups in `/proc/self/cgroup`, of version 2 (`cpu.max`) or 1
/// (`cpu.cfs_quota_us`), and of those above them.
fn quota_of(cgroups: &str, root: &Path, read: impl Fn(&Path) -> Option<String>) -> Option<f64> {
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|n| *n > 0.0);
    let unified = |dir: &Path| {
        let text = read(&dir.join("cpu.max"))?;
        let (quota, period) = text.trim().split_once(' ')?;
        Some(number(quota)? / number(period)?)
    };
    let legacy = |dir: &Path| {
        let quota = number(&read(&dir.join("cpu.cfs_quota_us"))?)?;
        Some(quota / number(&read(&dir.join("cpu.cfs_period_us"))?)?)
    };
    let mut least: Option<f64> = None;
    for line in cgroups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let v2 = controllers.is_empty();
        if !v2 && !controllers.split(',').any(|name| name == "cpu") {
            continue;
        }
        let mount = if v2 { root.to_owned() } else { root.join(controllers) };
        for dir in Path::new(path.trim_start_matches('/')).ancestors() {
            let dir = mount.join(dir);
            let found = if v2 { unified(&dir) } else { legacy(&dir) };
            least = least.into_iter().chain(found).reduce(f64::min);
        }
    }
    least
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

/// Has the calling thread wake when it is to, and not up to 50 µs later, and get the CPU then.
pub fn request_short_slice() {
    let _later_without = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
    // SAFETY: it is made of integers, for which zero is a value.
    let mut attributes: libc::sched_attr = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::sched_attr>() as u32;
    // SAFETY: the kernel writes as much as was said into the structure during the call.
    let known =
        unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size, 0) } == 0;
    // One that the user runs at real-time priority is prompt already.
    if known && attributes.sched_policy == libc::SCHED_OTHER as u32 {
        attributes.sched_runtime = SLICE_NS;
        // SAFETY: the kernel reads the structure during the call. Kernels before 6.12 ignore the slice.
        unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The placement on cores of these CPUs.
    fn of(cores: &[&[usize]]) -> Placement {
        Placement::of(&cores.iter().map(|core| core.to_vec()).collect::<Vec<_>>())
    }

    #[test]
    fn two_cpus_are_split_and_one_is_shared() {
        let two = of(&[&[0], &[1]]);
        assert_eq!((two.driver.clone(), two.target.clone()), (vec![1], vec![0]));
        assert!(two.apart());
        assert!(!of(&[&[3]]).apart());
        let many = Placement::of(&(0..64).map(|cpu| vec![cpu]).collect::<Vec<_>>());
        assert_eq!(many.driver.len(), MOST_DRIVER_CPUS);
        assert!(many.apart());
    }

    #[test]
    fn hyper_threads_of_a_core_are_on_one_side() {
        // Four cores of two hyper-threads, numbered as Linux does.
        let four = |cpu: usize| vec![cpu % 4, cpu % 4 + 4];
        let cores = cores_of(&(0..8).collect::<Vec<_>>(), four);
        assert_eq!(cores, [[0, 4], [1, 5], [2, 6], [3, 7]]);
        let placement = Placement::of(&cores);
        assert_eq!(placement.target, [0, 1, 4, 5]);
        assert_eq!(placement.driver, [2, 3], "a shard each core");
        // One core: apart by CPU, but not by core.
        let one = of(&[&[0, 1]]);
        assert_eq!((one.driver.clone(), one.target.clone()), (vec![1], vec![0]));
        // Only the CPUs that are allowed count; where nothing is known each CPU is a core.
        assert_eq!(cores_of(&[1, 4, 5], four), [vec![4], vec![1, 5]]);
        assert_eq!(cores_of(&[2, 3], |_| Vec::new()), [[2], [3]]);
    }

    #[test]
    fn the_least_quota_counts() {
        let files = BTreeMap::from([
            ("/cg/a/b/cpu.max", "max 100000\n"),
            ("/cg/a/cpu.max", "150000 100000\n"),
            ("/cg/cpu.max", "400000 100000"),
            ("/cg/cpu,cpuacct/x/cpu.cfs_quota_us", "50000\n"),
            ("/cg/cpu,cpuacct/x/cpu.cfs_period_us", "100000\n"),
            ("/cg/cpu,cpuacct/cpu.cfs_quota_us", "-1\n"),
            ("/cg/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
        ]);
        let read = |path: &Path| Some((*files.get(path.to_str()?)?).to_owned());
        let quota = |cgroups: &str| quota_of(cgroups, Path::new("/cg"), read);
        assert_eq!(quota("0::/a/b\n"), Some(1.5));
        assert_eq!(quota("0::/"), Some(4.0));
        assert_eq!(quota("3:cpuset:/x\n1:cpu,cpuacct:/x\n"), Some(0.5));
        assert_eq!(quota("1:cpu,cpuacct:/\n"), None, "-1 is no quota");
        assert_eq!(quota("5:memory:/a\nnonsense\n"), None);
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
