//! The supervisor: a small process between pushbench and a target that ends the target's whole process
//! tree as soon as pushbench is gone, however it went (`kill -9` included).
//!
//! pushbench holds the other end of the supervisor's standard input and never writes to it; its end of
//! file is the signal. The supervisor adopts orphans of its tree (subreaper), so that a target that
//! starts further processes cannot leave any. It reports events on standard output, one line
//! each; the target's own output goes to standard error.

use crate::memory_cgroup::MemoryCgroup;
use crate::tree::descendants;
use pushbench_host::cpus;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, getpid, getppid, kill_process, pidfd_open,
    set_child_subreaper, set_parent_process_death_signal, wait,
};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// The hidden subcommand.
pub(super) const SUBCOMMAND: &str = "__keep";
/// Requests a memory cgroup for the target, and begins the line with its directory.
pub(super) const CGROUP: &str = "cgroup";
/// Requests none, and begins the line with the reason why there is none.
pub(super) const NO_CGROUP: &str = "no-cgroup";
/// First word of the line with the reason why the target could not be executed.
pub(super) const FAILED: &str = "failed ";
/// First word of the line with the target's exit.
pub(super) const ENDED: &str = "ended ";

/// Time a target has between SIGTERM and SIGKILL: Ctrl-C must end within 2 s, with several targets.
const GRACE: Duration = Duration::from_millis(500);
/// SIGKILL is repeated until the tree is empty, at most this long: a process in an uninterruptible
/// system call cannot be waited for.
const KILL_LIMIT: Duration = Duration::from_secs(2);
/// Pause between two looks at a tree that is ending.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Runs as a supervisor if the command line requests it: `pushbench __keep CPUS CGROUP COMMAND…`.
pub fn run_if_requested(args: &[OsString]) -> Option<ExitCode> {
    if args.get(1)? != SUBCOMMAND {
        return None;
    }
    Some(match supervise(args.get(2..).unwrap_or_default()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&format!("{FAILED}the supervisor failed: {error}"));
            ExitCode::FAILURE
        }
    })
}

/// The reader may have ended.
fn report(line: &str) {
    let mut out = io::stdout().lock();
    let _reader_gone = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn supervise(args: &[OsString]) -> io::Result<()> {
    let [cpus, wants_cgroup, program, rest @ ..] = args else {
        return Err(io::Error::other("it takes CPUS CGROUP COMMAND…"));
    };
    let (wake, alarm) = UnixStream::pair()?;
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        signal_hook::low_level::pipe::register(signal, alarm.try_clone()?)?;
    }
    set_child_subreaper(Some(getpid()))?;
    pin(&cpus.to_string_lossy());
    // Outlives the tree: it is removed when the last process has left it.
    let cgroup = if wants_cgroup == CGROUP { memory_cgroup() } else { None };
    let cgroup_procs = cgroup.as_ref().and_then(|cgroup| cgroup.procs_file().ok());
    let child = match start(program, rest, cgroup_procs) {
        Ok(pid) => pid,
        Err(error) => {
            report(&format!("{FAILED}{error}"));
            return Ok(());
        }
    };
    watch(child, &wake)?;
    end_tree();
    Ok(())
}

fn memory_cgroup() -> Option<MemoryCgroup> {
    match MemoryCgroup::make() {
        Ok(cgroup) => {
            report(&format!("{CGROUP} {}", cgroup.dir().display()));
            Some(cgroup)
        }
        Err(why) => {
            report(&format!("{NO_CGROUP} {why}"));
            None
        }
    }
}

fn pin(cpus: &str) {
    let cpus: Vec<usize> = cpus.split(',').filter_map(|c| c.parse().ok()).collect();
    if !cpus.is_empty() {
        cpus::pin(&cpus);
    }
}

fn start(program: &OsString, args: &[OsString], cgroup_procs: Option<File>) -> io::Result<Pid> {
    let supervisor = getpid();
    let mut command = Command::new(program);
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(io::stderr().as_fd().try_clone_to_owned()?)
        .process_group(0);
    // SAFETY: only system calls that are safe between fork and exec; nothing allocates.
    unsafe {
        command.pre_exec(move || {
            // For the case that the supervisor itself is killed; grandchildren are beyond its reach then.
            set_parent_process_death_signal(Some(Signal::KILL))?;
            if getppid() != Some(supervisor) {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            if let Some(cgroup_procs) = &cgroup_procs {
                rustix::io::write(cgroup_procs, b"0")?;
            }
            Ok(())
        });
    }
    let child = command.spawn()?;
    Pid::from_raw(child.id() as i32).ok_or_else(|| io::Error::other("no process id"))
}

/// Returns when the target has ended or has to.
fn watch(child: Pid, wake: &UnixStream) -> io::Result<()> {
    let pidfd = pidfd_open(child, PidfdFlags::empty())?;
    let stdin = io::stdin();
    loop {
        let mut fds = [
            PollFd::new(&stdin, PollFlags::IN),
            PollFd::new(wake, PollFlags::IN),
            PollFd::new(&pidfd, PollFlags::IN),
        ];
        // Adopted orphans that have ended are buried now and then.
        let second = Timespec { tv_sec: 1, tv_nsec: 0 };
        match poll(&mut fds, Some(&second)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [from_pushbench, signal, _target] = fds.map(|fd| !fd.revents().is_empty());
        if let Some(how) = reap(Some(child)) {
            report(&format!("{ENDED}{how}"));
            return Ok(());
        }
        if signal || from_pushbench && stdin.lock().read(&mut [0; 64])? == 0 {
            return Ok(());
        }
    }
}

/// Collects every child that has ended, and returns how `wanted` ended if it is among them.
fn reap(wanted: Option<Pid>) -> Option<String> {
    let mut found = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if Some(pid) == wanted {
            found = Some(describe(status));
        }
    }
    found
}

fn describe(status: WaitStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(signal)) => {
            let name = signal_hook::low_level::signal_name(signal).unwrap_or("signal");
            format!("was killed by {name} ({signal})")
        }
        (None, None) => "ended".to_owned(),
    }
}

fn end_tree() {
    let me = std::process::id();
    let signal_all = |signals: &[Signal]| {
        let alive = descendants(me);
        for pid in alive.iter().filter_map(|pid| Pid::from_raw(*pid as i32)) {
            for signal in signals {
                let _already_gone = kill_process(pid, *signal);
            }
        }
        alive.is_empty()
    };
    // A stopped process takes SIGTERM only when it goes on.
    let mut empty = signal_all(&[Signal::TERM, Signal::CONT]);
    let signalled = Instant::now();
    while !empty && signalled.elapsed() < GRACE {
        std::thread::sleep(POLL_INTERVAL);
        reap(None);
        empty = descendants(me).is_empty();
    }
    let forced = Instant::now();
    while !empty && forced.elapsed() < KILL_LIMIT {
        // Anew each time: a process may have started another meanwhile.
        empty = signal_all(&[Signal::KILL]);
        reap(None);
        std::thread::sleep(POLL_INTERVAL);
    }
}
