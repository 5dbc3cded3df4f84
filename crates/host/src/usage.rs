//! What processes and the machine spent, from the CPU clocks and `/proc`.

pub use pushbench_core::record::usage::Reading;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

/// Reads a process tree. Processes that have ended meanwhile count nothing.
pub fn read_tree(pids: &[u32]) -> Reading {
    let mut sum = Reading::default();
    for one in pids.iter().filter_map(|pid| read_process(*pid)) {
        sum.cpu_ns += one.cpu_ns;
        sum.voluntary_switches += one.voluntary_switches;
        sum.involuntary_switches += one.involuntary_switches;
        sum.rss_bytes += one.rss_bytes;
        sum.rss_peak_bytes += one.rss_peak_bytes;
        sum.threads += one.threads;
        sum.descriptors += one.descriptors;
        sum.processes += 1;
    }
    sum
}

/// The CPU time alone, which is cheap enough to read at the edge of a window.
pub fn tree_cpu(pids: &[u32]) -> u64 {
    pids.iter().filter_map(|pid| process_cpu(*pid)).sum()
}

/// Resident memory of this process now, bytes; 0 if the kernel does not report it.
pub fn own_rss() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    field(&status, "VmRSS") * 1024
}

/// Memory of a process tree, bytes: its own pages and its part of shared ones (PSS). 0 when the
/// kernel does not report it.
pub fn tree_pss(pids: &[u32]) -> u64 {
    let one = |pid: &u32| {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        field(&rollup, "Pss") * 1024
    };
    pids.iter().map(one).sum()
}

/// Gives memory back to the kernel that this process has freed, so that what comes next is not served
/// from it unseen.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: glibc's own function, callable at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// A number of `/proc/PID/status`; 0 where there is none.
fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|l| l.strip_prefix(name));
    let word = line.and_then(|l| l.trim_start_matches(':').split_whitespace().next());
    word.and_then(|w| w.parse().ok()).unwrap_or(0)
}

fn read_process(pid: u32) -> Option<Reading> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| field(&status, name);
    let (voluntary_switches, involuntary_switches) = switches(pid);
    Some(Reading {
        cpu_ns: process_cpu(pid)?,
        voluntary_switches,
        involuntary_switches,
        rss_bytes: field("VmRSS") * 1024,
        rss_peak_bytes: field("VmHWM") * 1024,
        threads: field("Threads"),
        descriptors: fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |d| d.count() as u64),
        processes: 1,
    })
}

/// Sums over the threads; `/proc/PID/status` alone describes the first one.
fn switches(pid: u32) -> (u64, u64) {
    let mut sum = (0, 0);
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return sum;
    };
    for task in tasks.flatten() {
        let Ok(status) = fs::read_to_string(task.path().join("status")) else {
            continue;
        };
        for line in status.lines() {
            let value = || line.rsplit(char::is_whitespace).next().and_then(|v| v.parse().ok());
            if line.starts_with("voluntary_ctxt_switches") {
                sum.0 += value().unwrap_or(0);
            } else if line.starts_with("nonvoluntary_ctxt_switches") {
                sum.1 += value().unwrap_or(0);
            }
        }
    }
    sum
}

/// CPU time of a process in ns: `/proc/PID/stat` counts in ticks of 10 ms, this clock does not.
fn process_cpu(pid: u32) -> Option<u64> {
    let mut clock: libc::clockid_t = 0;
    // SAFETY: `clock` is valid during the call, which only writes an id into it.
    if unsafe { libc::clock_getcpuclockid(pid as libc::pid_t, &raw mut clock) } != 0 {
        return None;
    }
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid during the call, which only writes into it.
    let code = unsafe { libc::clock_gettime(clock, &raw mut time) };
    (code == 0).then_some(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// How long a thread was ready to run and had no CPU, because others ran on it. Kernels without
/// `CONFIG_SCHED_INFO` do not report it.
pub struct RunQueue(File);

impl RunQueue {
    /// Of the calling thread; any thread may read it.
    pub fn of_this_thread() -> Option<RunQueue> {
        let of_thread = RunQueue(File::open("/proc/thread-self/schedstat").ok()?);
        of_thread.read().map(|_| of_thread)
    }

    /// Until now, ns.
    pub fn waited(&self) -> u64 {
        self.read().unwrap_or(0)
    }

    fn read(&self) -> Option<u64> {
        // Time on a CPU, time waiting for one, times it got one.
        let mut line = [0; 64];
        let length = self.0.read_at(&mut line, 0).ok()?;
        std::str::from_utf8(&line[..length]).ok()?.split_whitespace().nth(1)?.parse().ok()
    }
}

/// Resets this process's own peak of resident memory, so that the next reading covers what came
/// after. Does nothing where the kernel does not allow it.
pub fn reset_own_peak() {
    let _unsupported = fs::write("/proc/self/clear_refs", "5");
}

/// Time the hypervisor took from these CPUs since boot, ns (ticks of 10 ms).
pub fn steal(cpus: &[usize]) -> u64 {
    let Ok(stat) = fs::read_to_string("/proc/stat") else {
        return 0;
    };
    let mut ticks = 0;
    for line in stat.lines() {
        let mut words = line.split_whitespace();
        let cpu = words.next().and_then(|w| w.strip_prefix("cpu")?.parse::<usize>().ok());
        if cpu.is_some_and(|c| cpus.contains(&c)) {
            // user nice system idle iowait irq softirq steal
            ticks += words.nth(7).and_then(|w| w.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    ticks * 1_000_000_000 / rustix::param::clock_ticks_per_second()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn burnt_cpu_shows_in_nanoseconds() {
        let me = [std::process::id()];
        let (before, thread) = (tree_cpu(&me), clock::thread_cpu());
        while clock::thread_cpu() - thread < 3_000_000 {}
        assert!(tree_cpu(&me) - before >= 3_000_000);
    }

    #[test]
    fn our_own_process_has_memory_threads_and_descriptors() {
        let r = read_tree(&[std::process::id()]);
        assert!(r.rss_bytes > 0 && r.rss_peak_bytes >= r.rss_bytes);
        assert!(r.threads >= 1 && r.descriptors >= 3 && r.processes == 1);
    }

    #[test]
    fn two_threads_on_one_cpu_wait_for_each_other() {
        let cpu = crate::cpus::allowed()[0];
        let spin = move || {
            crate::cpus::pin(&[cpu]);
            let queue = RunQueue::of_this_thread()?;
            let (before, from) = (queue.waited(), clock::now());
            while clock::now() - from < 100_000_000 {}
            Some(queue.waited() - before)
        };
        let threads = [std::thread::spawn(spin), std::thread::spawn(spin)];
        let waited: Option<Vec<u64>> = threads.into_iter().map(|t| t.join().unwrap()).collect();
        // There is nothing to check if the kernel does not report it.
        assert!(waited.is_none_or(|w| w.iter().sum::<u64>() > 20_000_000));
    }

    #[test]
    fn an_ended_process_counts_nothing() {
        assert_eq!(read_tree(&[u32::MAX / 2]), Reading::default());
    }
}
