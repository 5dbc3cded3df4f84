//! A memory cgroup of a target's own, so that the kernel memory of its sockets is separated from that of the
//! other end, which on one machine is ours.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Begins the name of each; the supervisor's process id follows.
const PREFIX: &str = "pushbench-";
/// Version 1 charges an accepted socket to its cgroup only where buffers of sockets are limited; this
/// is more than any machine has.
const NO_LIMIT: &str = "1099511627776";
/// A process that has ended leaves its cgroup a moment later.
const REMOVE_INTERVAL: Duration = Duration::from_millis(2);
/// Looks at a cgroup that is to go.
const REMOVE_ATTEMPTS: usize = 50;

/// The cgroup of one target; dropping it removes it once its processes are gone.
pub(super) struct MemoryCgroup {
    dir: PathBuf,
}

impl MemoryCgroup {
    /// Makes one, or says why this machine does not allow it.
    pub fn make() -> Result<MemoryCgroup, String> {
        let mut why = "this machine has no memory cgroups".to_owned();
        for parent in parent_dirs() {
            remove_left_over(&parent);
            let dir = parent.join(format!("{PREFIX}{}", std::process::id()));
            if let Err(e) = fs::create_dir(&dir) {
                why = format!("cannot create a memory cgroup in {}: {e}", parent.display());
                continue;
            }
            let cgroup = MemoryCgroup { dir };
            match cgroup.set_up() {
                Ok(()) => return Ok(cgroup),
                Err(e) => why = format!("{} does not count kernel memory: {e}", parent.display()),
            }
        }
        Err(why)
    }

    fn set_up(&self) -> io::Result<()> {
        let limit = self.dir.join("memory.kmem.tcp.limit_in_bytes");
        if limit.exists() {
            fs::write(limit, NO_LIMIT)?;
        }
        match pushbench_host::kernel_memory::of_cgroup(&self.dir) {
            Some(_) => Ok(()),
            None => Err(io::Error::other("the controller is not enabled there")),
        }
    }

    /// The directory of its figures.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A process that writes `0` into this file is in it from then on, and its children are.
    pub(crate) fn procs_file(&self) -> io::Result<File> {
        OpenOptions::new().write(true).open(self.dir.join("cgroup.procs"))
    }
}

impl Drop for MemoryCgroup {
    fn drop(&mut self) {
        for _ in 0..REMOVE_ATTEMPTS {
            if fs::remove_dir(&self.dir).is_ok() {
                return;
            }
            std::thread::sleep(REMOVE_INTERVAL);
        }
    }
}

/// Directories in which one may be made: inside our own cgroup, or next to it where version 2 allows no
/// cgroup with both processes and children.
fn parent_dirs() -> Vec<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    own_cgroup(&own, &mounts)
        .map(|dir| match dir.join("cgroup.controllers").exists() {
            true => dir.parent().map_or_else(Vec::new, |p| vec![dir.clone(), p.to_owned()]),
            false => vec![dir],
        })
        .unwrap_or_default()
}

/// The directory of our own memory cgroup.
fn own_cgroup(own: &str, mounts: &str) -> Option<PathBuf> {
    let line = |wanted: &dyn Fn(&str) -> bool| {
        own.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            wanted(parts.next()?).then(|| parts.next())?
        })
    };
    let v1 = line(&|controllers| controllers.split(',').any(|c| c == "memory"));
    let (path, version) = match v1 {
        Some(path) => (path, "cgroup"),
        None => (line(&str::is_empty)?, "cgroup2"),
    };
    // 36 25 0:31 ROOT MOUNTPOINT options … - TYPE source options
    let mount = mounts.lines().find_map(|line| {
        let (mount, about) = line.split_once(" - ")?;
        let mut about = about.split(' ');
        let options = (about.next()? == version).then(|| about.nth(1))??;
        let fits = version == "cgroup2" || options.split(',').any(|o| o == "memory");
        let mut fields = mount.split(' ').skip(3);
        fits.then_some((fields.next()?, fields.next()?))
    });
    let (root, point) = mount?;
    // A container may see only a part of the hierarchy.
    let below = path.strip_prefix(root.trim_end_matches('/')).unwrap_or(path);
    Some(Path::new(point).join(below.trim_start_matches('/')))
}

/// Removes those whose supervisor was killed before it could.
fn remove_left_over(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for name in entries.flatten().filter_map(|e| e.file_name().into_string().ok()) {
        let supervisor = name.strip_prefix(PREFIX).and_then(|pid| pid.parse::<u32>().ok());
        if supervisor.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            // One with a process in it cannot be removed.
            let _in_use = fs::remove_dir(parent.join(name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_cgroup_is_found_in_both_versions() {
        let v1 = "4:memory:/jobs/7\n3:cpuset:/\n0::/\n";
        let mounts = "30 24 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                      31 24 0:27 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n\
                      32 24 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let found = |own, mounts| own_cgroup(own, mounts).map(|p| p.display().to_string());
        assert_eq!(found(v1, mounts).as_deref(), Some("/sys/fs/cgroup/memory/jobs/7"));
        let v2 = "31 24 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(found("0::/user.slice/a", v2).as_deref(), Some("/sys/fs/cgroup/user.slice/a"));
        let inside = "31 24 0:27 /docker/x /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(found("0::/docker/x/y", inside).as_deref(), Some("/sys/fs/cgroup/y"));
        assert_eq!(found("", mounts), None);
    }

    #[test]
    fn a_cage_is_there_and_gone_or_it_is_said_why() {
        match MemoryCgroup::make() {
            Ok(cgroup) => {
                let dir = cgroup.dir().to_owned();
                assert!(pushbench_host::kernel_memory::of_cgroup(&dir).is_some());
                drop(cgroup);
                assert!(!dir.exists());
            }
            Err(why) => assert!(why.contains("cgroup"), "{why}"),
        }
    }
}
