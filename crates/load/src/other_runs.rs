//! Other runs of pushbench that measure on the same CPUs at the same time.
//!
//! Each block binds a Unix socket whose abstract name says on which CPUs it measures, and reads the names of
//! the others in `/proc/net/unix`. Such a name needs no file, every user of the network namespace sees it,
//! and it is gone with its process, however that ends.

use pushbench_core::cpu_list::Cpus;
use pushbench_host::cpus::list_of;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// What such names begin with; then come the CPUs and a number.
const PREFIX: &str = "pushbench/measures/";
/// Every socket of this network namespace.
const SOCKETS: &str = "/proc/net/unix";
/// More blocks than this are not measured at the same time on one machine.
const MOST: u32 = 1024;

/// Says on which CPUs this process measures, until it is dropped.
pub(super) struct OtherRuns {
    cpus: Vec<usize>,
    own: Option<(UnixDatagram, String)>,
    /// Ends the names of all machines of a run; nothing where there is one.
    run: String,
}

impl OtherRuns {
    /// Announces a block. Where that cannot be done (no such sockets), nothing is announced. `run`: names a run on several
    /// machines, whose other drivers are no others.
    pub fn announce(cpus: &[usize], run: Option<&str>) -> OtherRuns {
        let run = run.map_or(String::new(), |run| format!("-{run}"));
        let own = (0..MOST).find_map(|number| {
            let name = format!("{PREFIX}{}/{}-{number}{run}", Cpus(cpus), std::process::id());
            let address = SocketAddr::from_abstract_name(&name).ok()?;
            Some((UnixDatagram::bind_addr(&address).ok()?, name))
        });
        OtherRuns { cpus: cpus.to_vec(), own, run }
    }

    /// How many others measure on one of these CPUs now; 0 if the kernel does not report it.
    pub fn others(&self) -> usize {
        let sockets = std::fs::read_to_string(SOCKETS).unwrap_or_default();
        let own = self.own.as_ref().map(|(_, name)| name.as_str());
        others(&sockets, &self.cpus, own, &self.run)
    }
}

/// The same in the text of [`SOCKETS`]; `own`: the name that is not another's; `run`: what ends those of the same run.
fn others(sockets: &str, cpus: &[usize], own: Option<&str>, run: &str) -> usize {
    let names =
        sockets.lines().filter_map(|line| line.split_whitespace().last()?.strip_prefix('@'));
    let is_ours = |name: &&str| Some(*name) == own || !run.is_empty() && name.ends_with(run);
    let theirs = names.filter(|name| !is_ours(name)).filter_map(|name| {
        let (list, _) = name.strip_prefix(PREFIX)?.split_once('/')?;
        list_of(list)
    });
    theirs.filter(|theirs| theirs.iter().any(|cpu| cpus.contains(cpu))).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_on_the_same_cpus_are_counted_and_nothing_else() {
        let sockets = "Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000: 00000002 00000000 00000000 0002 01 1 @pushbench/measures/0-1/7-0\n\
            0000: 00000002 00000000 00000000 0002 01 2 @pushbench/measures/1+4/8-0\n\
            0000: 00000002 00000000 00000000 0002 01 3 @pushbench/measures/2-3/9-0\n\
            0000: 00000003 00000000 00000000 0001 03 4\n\
            0000: 00000002 00000000 00000000 0002 01 5 @pushbench/measures/x/9-0\n\
            0000: 00000002 00000000 00000000 0002 01 6 @pushbench/measures/\n\
            0000: 00000002 00000000 00000000 0002 01 7 /run/pushbench/measures/1/1-0\n";
        assert_eq!(others(sockets, &[0, 1], Some("pushbench/measures/0-1/7-0"), ""), 1);
        // A driver of the same run on several machines.
        assert_eq!(others(&sockets.replace("8-0", "8-0-ab"), &[1], None, "-ab"), 1);
        assert_eq!(others(sockets, &[0, 1], None, ""), 2);
        assert_eq!(others(sockets, &[3], None, ""), 1);
        assert_eq!(others(sockets, &[9], None, ""), 0);
        assert_eq!(others("", &[0], None, ""), 0);
    }

    #[test]
    fn two_blocks_see_each_other_until_one_of_them_ends() {
        // Hardly a machine has these: tests that measure do not meet this one.
        let first = OtherRuns::announce(&[1020, 1021], None);
        assert!(first.own.is_some() && first.others() == 0);
        let second = OtherRuns::announce(&[1021], None);
        assert_eq!((first.others(), second.others()), (1, 1));
        let listens_elsewhere = OtherRuns::announce(&[1022], None);
        assert_eq!((listens_elsewhere.others(), first.others()), (0, 1));
        drop(second);
        assert_eq!(first.others(), 0);
    }
}
