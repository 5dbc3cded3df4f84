//! Anonymous network namespaces.

use crate::interface;
use pushbench_core::error::{Error, Result};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};
use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::os::fd::AsFd as _;
use std::sync::Arc;

/// The namespace of the calling thread.
const OWN: &str = "/proc/thread-self/ns/net";

/// A network namespace. It lasts as long as a process, a socket or a descriptor is in it.
#[derive(Debug, Clone)]
pub struct Namespace(Arc<File>);

/// The calling thread is in another namespace until this is dropped.
pub struct Entered {
    before: File,
    /// Namespaces are a thread's.
    _of_this_thread: PhantomData<*const ()>,
}

impl Namespace {
    /// A new one with nothing but a loopback device, and the settings that every namespace of a path has.
    ///
    /// # Errors
    /// The kernel does not allow it: the message says what to do.
    pub fn new() -> Result<Namespace> {
        let made = std::thread::spawn(|| -> io::Result<File> {
            unshare_network()?;
            interface::up("lo")?;
            // What a trial learns of a path is not used in another, and packets to 127.0.0.1 may come from the router.
            sysctl("net/ipv4/tcp_no_metrics_save", "1")?;
            File::open(OWN)
        });
        let made = made.join().unwrap_or_else(|_| Err(io::Error::other("its thread panicked")));
        made.map(|file| Namespace(Arc::new(file))).map_err(|e| {
            let remedy = match e.raw_os_error() {
                Some(libc::ENOSPC) => {
                    "raise user.max_net_namespaces: `sysctl user.max_net_namespaces=1000` as root"
                }
                _ => "run as root, or allow user namespaces: `sysctl kernel.unprivileged_userns_clone=1 user.max_user_namespaces=1000` as root",
            };
            Error::harness(format!("[path] needs network namespaces, and none can be made: {e}; {remedy}"))
        })
    }

    /// Moves the calling thread into it. Sockets and processes that it makes now belong there.
    ///
    /// # Errors
    /// The kernel does not allow it.
    pub fn enter(&self) -> io::Result<Entered> {
        let before = File::open(OWN)?;
        move_to(&self.0)?;
        Ok(Entered { before, _of_this_thread: PhantomData })
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // A thread that cannot return must not go on where it does not belong.
        move_to(&self.before).expect("a thread may return to the namespace that it came from");
    }
}

fn move_to(namespace: &File) -> io::Result<()> {
    Ok(move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?)
}

fn unshare_network() -> io::Result<()> {
    // SAFETY: descriptors stay shared; only the thread's network namespace changes.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }?;
    Ok(())
}

/// Sets a value of the calling thread's namespace, by its path below /proc/sys.
pub(crate) fn sysctl(path: &str, value: &str) -> io::Result<()> {
    std::fs::write(format!("/proc/sys/{path}"), value).map_err(|e| {
        io::Error::new(e.kind(), format!("cannot set {}: {e}", path.replace('/', ".")))
    })
}
