//! What the kernel keeps for sockets and their descriptors, from a memory cgroup or for the whole
//! machine.

use std::fs;
use std::path::Path;

/// Kernel memory charged to a memory cgroup, bytes: sockets, their descriptors and buffers, page
/// tables. `None` if the cgroup does not report it.
pub fn of_cgroup(dir: &Path) -> Option<u64> {
    let number = |file: &str| fs::read_to_string(dir.join(file)).ok()?.trim().parse::<u64>().ok();
    // Version 1 counts buffers of sockets apart.
    if let Some(kernel) = number("memory.kmem.usage_in_bytes") {
        return Some(kernel + number("memory.kmem.tcp.usage_in_bytes").unwrap_or(0));
    }
    of_stat(&fs::read_to_string(dir.join("memory.stat")).ok()?)
}

/// The same from version 2's `memory.stat`.
fn of_stat(stat: &str) -> Option<u64> {
    let field = |name: &str| {
        let line = stat.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.trim().parse::<u64>().ok())
    };
    Some(field("kernel")? + field("sock")?)
}

/// Kernel memory of the whole machine that could be sockets', bytes: slabs that cannot be reclaimed and
/// TCP's buffers. `None` if `/proc` does not report it.
pub fn of_machine() -> Option<u64> {
    let slabs = slabs(&fs::read_to_string("/proc/meminfo").ok()?)?;
    let buffers = buffers(&fs::read_to_string("/proc/net/sockstat").ok()?)?;
    Some(slabs + buffers)
}

fn slabs(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|l| l.strip_prefix("SUnreclaim:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

fn buffers(sockstat: &str) -> Option<u64> {
    let line = sockstat.lines().find_map(|l| l.strip_prefix("TCP:"))?;
    let mut words = line.split_whitespace().skip_while(|word| *word != "mem");
    let pages = words.nth(1)?.parse::<u64>().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// Memory that programs may still take, bytes; `None` if the kernel does not report it.
pub fn available() -> Option<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_writes_is_read() {
        let stat = "anon 4096\nkernel 70000\nkernel_stack 16384\nsock 5000\nsocket 1\n";
        assert_eq!(of_stat(stat), Some(75_000));
        assert_eq!(of_stat("anon 4096\nkernel 1\n"), None);
        assert_eq!(slabs("MemTotal: 5 kB\nSUnreclaim:      12 kB\n"), Some(12_288));
        let page = rustix::param::page_size() as u64;
        let sockstat =
            "sockets: used 9\nTCP: inuse 3 orphan 0 tw 5 alloc 3 mem 7\nUDP: inuse 0 mem 1\n";
        assert_eq!(buffers(sockstat), Some(7 * page));
        assert!(of_machine().is_some_and(|bytes| bytes > 0));
        assert!(available().is_some_and(|bytes| bytes > 0));
    }

    #[test]
    fn both_versions_of_a_cgroup_are_read() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(of_cgroup(dir.path()), None);
        fs::write(dir.path().join("memory.stat"), "kernel 10\nsock 2\n").unwrap();
        assert_eq!(of_cgroup(dir.path()), Some(12));
        fs::write(dir.path().join("memory.kmem.usage_in_bytes"), "100\n").unwrap();
        assert_eq!(of_cgroup(dir.path()), Some(100));
        fs::write(dir.path().join("memory.kmem.tcp.usage_in_bytes"), "7\n").unwrap();
        assert_eq!(of_cgroup(dir.path()), Some(107));
    }
}
