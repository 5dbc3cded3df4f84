//! Descriptors: raised to what the machine allows, and checked before anything starts.

use crate::error::{Error, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors beside the connections: standard streams, pipes of the targets, epoll, timers, files.
const BESIDE: u64 = 64;

/// Raises the soft limit of open files to the hard one and returns it.
pub fn raise_descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let hard = limit.maximum.unwrap_or(u64::MAX);
    let raised = Rlimit { current: Some(hard), maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => hard,
        Err(_) => limit.current.unwrap_or(hard),
    }
}

/// Refuses more connections than descriptors allow. `arms_at_once`: arms alive in a block.
pub fn check_descriptors(limit: u64, connections: usize, arms_at_once: usize) -> Result<()> {
    let needed = connections as u64 * arms_at_once as u64 + BESIDE;
    if needed <= limit {
        return Ok(());
    }
    let fit = limit.saturating_sub(BESIDE) / arms_at_once.max(1) as u64;
    Err(Error::usage(format!(
        "{connections} connections to each of {arms_at_once} arms need {needed} file descriptors, but this \
         machine allows {limit}: try --connections {fit}, or raise the hard limit (ulimit -Hn)"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_that_fits_is_said_and_fits() {
        let error = check_descriptors(1024, 4000, 2).unwrap_err().to_string();
        assert!(error.contains("--connections 480"), "{error}");
        assert!(check_descriptors(1024, 480, 2).is_ok());
        assert!(check_descriptors(1024, 481, 2).is_err());
    }
}
