//! A path without root: the program executes itself again in a user namespace, in which it may make network namespaces.

use crate::interface;
use pushbench_core::error::{Error, Result};
use rustix::process::{getgid, getuid};
use rustix::thread::UnshareFlags;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// The first argument of the program in its user namespace.
const MARK: &str = "__user-namespace";

/// Makes sure that network namespaces can be made: at once where they can, else by executing the program again in a
/// user namespace. To be called before anything was started.
///
/// # Errors
/// Neither is allowed; the message says what to do.
pub fn ensure() -> Result<()> {
    match crate::namespace::Namespace::new() {
        Ok(_) => Ok(()),
        Err(e) if is_inside() || getuid().is_root() => Err(e),
        Err(_) => {
            let failed = Command::new("/proc/self/exe")
                .arg0("pushbench")
                .arg(MARK)
                .args(args().skip(1))
                .exec();
            Err(Error::harness(format!("cannot execute pushbench in a user namespace: {failed}")))
        }
    }
}

/// Whether this program was executed again.
fn is_inside() -> bool {
    std::env::args_os().nth(1).is_some_and(|arg| arg == MARK)
}

/// The command line as the user wrote it.
pub fn args() -> impl Iterator<Item = OsString> {
    std::env::args_os().enumerate().filter(|(i, _)| *i != 1 || !is_inside()).map(|(_, arg)| arg)
}

/// Enters the user namespace if the command line says so; the command line without that.
///
/// # Errors
/// User namespaces are not allowed.
pub fn enter_if_requested() -> Result<Vec<OsString>> {
    if is_inside() {
        enter().map_err(|e| {
            Error::harness(format!(
                "[path] needs root or a user namespace, and none can be made: {e}; run as root, or write as root \
                 `sysctl kernel.unprivileged_userns_clone=1 user.max_user_namespaces=1000` (Ubuntu: \
                 `sysctl kernel.apparmor_restrict_unprivileged_userns=0`)"
            ))
        })?;
    }
    Ok(args().collect())
}

/// One user is mapped: the caller, who is root inside. Only a network namespace that belongs to it can be entered
/// again after another one, so it has one of its own from the beginning.
fn enter() -> io::Result<()> {
    let (user, group) = (getuid().as_raw(), getgid().as_raw());
    // SAFETY: no other thread runs yet; descriptors stay shared.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWUSER | UnshareFlags::NEWNET) }?;
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("0 {group} 1"))?;
    interface::up("lo")
}
