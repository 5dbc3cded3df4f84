//! What the machine allows: descriptors, raised as far as they go, memory and ports. Checked before
//! anything starts.

use crate::subscriber::CONNECTIONS_PER_SOURCE;
use pushbench_core::error::{Error, Result};
use pushbench_core::remedy::{Try, more_of};
use std::fs;

/// Descriptors that are not connections: standard streams, pipes of the targets, epoll, timers, files.
const OTHER_DESCRIPTORS: u64 = 64;

/// Refuses more connections than descriptors allow. `arms_at_once`: arms alive in a block.
pub fn check_descriptors(limit: u64, connections: usize, arms_at_once: usize) -> Result<()> {
    let needed = connections as u64 * arms_at_once as u64 + OTHER_DESCRIPTORS;
    if needed <= limit {
        return Ok(());
    }
    let fit = self::connections(limit) / arms_at_once.max(1) as u64;
    let fewer = Try::Connections.below(fit, connections as f64);
    let fewer = fewer.map_or(String::new(), |option| format!("try {option}, or "));
    let alone = connections as u64 <= self::connections(limit);
    let alone = if alone { "--set compare.design=sequential, or " } else { "" };
    Err(Error::usage(format!(
        "{connections} connections to each of {arms_at_once} arms need {needed} file descriptors, but this \
         machine allows {limit}: {fewer}{alone}raise the hard limit (ulimit -Hn)"
    )))
}

/// Connections to one target that a limit of descriptors allows.
pub fn connections(limit: u64) -> u64 {
    limit.saturating_sub(OTHER_DESCRIPTORS)
}

/// What a subscriber takes at most: both ends' buffers and the kernel's for two sockets. Measured: 10 to
/// 35 KiB in the target, 4 to 10 in the driver.
const SUBSCRIBER_BYTES: u64 = 96 * 1024;

/// What the machine has.
#[derive(Debug, Clone, Copy)]
pub struct Machine {
    /// Descriptors a process may have.
    pub descriptors: u64,
    /// Memory that is not in use, bytes; `None` if the kernel does not report it.
    pub memory: Option<u64>,
    /// Ports that connections from one address have; `None` if the kernel does not report it.
    pub ports: Option<u64>,
}

impl Machine {
    /// Reads them.
    pub fn read(descriptors: u64) -> Machine {
        let available = |text: String| {
            let line = text.lines().find(|l| l.starts_with("MemAvailable"))?.to_owned();
            Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
        };
        let range = |text: String| {
            let mut ends = text.split_whitespace().map(str::parse::<u64>);
            let (low, high) = (ends.next()?.ok()?, ends.next()?.ok()?);
            high.checked_sub(low).map(|n| n + 1)
        };
        let read = |path| fs::read_to_string(path).ok();
        Machine {
            descriptors,
            memory: read("/proc/meminfo").and_then(available),
            ports: read("/proc/sys/net/ipv4/ip_local_port_range").and_then(range),
        }
    }

    /// How many subscribers each of `arms` arms may have at the same time, in addition to its connections for
    /// publishing, and what is short beyond that. `each`: connections of a subscriber.
    pub fn subscribers(&self, connections: usize, arms: usize, each: usize) -> (u64, &'static str) {
        let (arms, each) = (arms.max(1) as u64, each.max(1) as u64);
        let fit = |n: u64| n.saturating_sub(connections as u64) / each;
        let descriptors = self.descriptors.saturating_sub(OTHER_DESCRIPTORS) / arms;
        let descriptors = (fit(descriptors), "file descriptors");
        let memory = self.memory.map(|bytes| (bytes / SUBSCRIBER_BYTES / arms / each, "memory"));
        // Sources have ports to spare by design; only a tiny range is short of them.
        let short = self.ports.filter(|n| *n < CONNECTIONS_PER_SOURCE as u64 * each);
        let ports = short.map(|n| (fit(n), "local ports"));
        let all = [Some(descriptors), memory, ports];
        all.into_iter().flatten().min_by_key(|(n, _)| *n).unwrap_or(descriptors)
    }

    /// Refuses more subscribers than fit.
    pub fn check_subscribers(
        &self,
        requested: usize,
        connections: usize,
        arms: usize,
        each: usize,
    ) -> Result<()> {
        let (fit, short) = self.subscribers(connections, arms, each);
        if requested as u64 <= fit {
            return Ok(());
        }
        let at_once = if arms > 1 {
            format!(" in each of {arms} arms at the same time")
        } else {
            String::new()
        };
        let more = more_of(short);
        let fewer = Try::Subscribers.below(fit, requested as f64);
        let fewer = fewer.map_or(String::new(), |option| format!("try {option}, or "));
        Err(Error::usage(format!(
            "{requested} subscribers{at_once} need more {short} than this machine has: {fewer}{more}"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_subscribers_as_fit_are_allowed_and_not_one_more() {
        let plenty = Machine { descriptors: 20_000, memory: Some(64 << 30), ports: Some(28_232) };
        let tight = [
            (plenty, 19_926, "file descriptors"),
            (Machine { memory: Some(96 << 20), ..plenty }, 1024, "memory"),
            (Machine { ports: Some(500), ..plenty }, 490, "local ports"),
            (Machine { memory: None, ports: None, ..plenty }, 19_926, "file descriptors"),
        ];
        for (machine, fit, short) in tight {
            assert!(machine.check_subscribers(fit, 10, 1, 1).is_ok(), "{short}");
            let error = machine.check_subscribers(fit + 1, 10, 1, 1).unwrap_err().to_string();
            assert!(
                error.contains(short) && error.contains(&format!("--subscribers {fit}")),
                "{error}"
            );
        }
        assert_eq!(plenty.subscribers(10, 2, 1).0, 9_958);
        assert_eq!(plenty.subscribers(10, 1, 2), (9_963, "file descriptors"));
    }

    #[test]
    fn where_nothing_fits_no_number_is_said() {
        for limit in [0, 64, 65] {
            let error = check_descriptors(limit, 4000, 2).unwrap_err().to_string();
            assert!(!error.contains("--connections") && error.contains("ulimit -Hn"), "{error}");
        }
        let none = Machine { descriptors: 64, memory: Some(0), ports: Some(1) };
        let error = none.check_subscribers(1, 10, 1, 1).unwrap_err().to_string();
        assert!(!error.contains("--subscribers") && error.contains("ulimit -Hn"), "{error}");
        let full = Machine { descriptors: 20_000, memory: Some(0), ports: None };
        let error = full.check_subscribers(1, 10, 1, 1).unwrap_err().to_string();
        assert!(
            error.ends_with("memory than this machine has: free some, or use a machine with more")
        );
    }

    #[test]
    fn the_number_that_fits_is_said_and_fits() {
        let error = check_descriptors(1024, 4000, 2).unwrap_err().to_string();
        assert!(error.contains("--connections 480"), "{error}");
        assert!(check_descriptors(1024, 480, 2).is_ok());
        assert!(check_descriptors(1024, 481, 2).is_err());
    }
}
