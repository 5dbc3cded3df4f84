//! The process between the supervisor and a target whose instructions are counted. It starts the target without a random
//! layout of its memory, where that is allowed, and holds the counter.

use crate::instructions::hardware::{of_children, value};
use perf_event::events::{Hardware, Software};
use rustix::process::{Signal, WaitOptions, set_parent_process_death_signal, wait};
use std::ffi::OsString;
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The hidden subcommand.
pub(super) const SUBCOMMAND: &str = "__instructions";
/// The event that is counted.
pub(super) const INSTRUCTIONS: &str = "instructions";
/// No event: what follows counts by itself.
pub(super) const NOTHING: &str = "nothing";
/// An event that every machine counts: for tests of everything else.
const PAGE_FAULTS: &str = "page-faults";
/// As a shell ends where a command cannot be executed.
const CANNOT_EXECUTE: u8 = 127;

/// Runs as the wrapper if the command line requests it: `pushbench __instructions EVENT FILE COMMAND…`.
pub fn run_if_requested(args: &[OsString]) -> Option<ExitCode> {
    if args.get(1)? != SUBCOMMAND {
        return None;
    }
    let [event, file, program, rest @ ..] = args.get(2..)? else { return Some(ExitCode::FAILURE) };
    // Where it is not allowed, the gate says so.
    let _layout_stays_random = fix_addresses();
    let mut command = Command::new(program);
    command.args(rest);
    let failed = |e: io::Error| {
        let text = format!("cannot execute {}: {e}", program.to_string_lossy());
        let _reader_gone = io::Write::write_all(&mut io::stderr(), text.as_bytes());
        ExitCode::from(CANNOT_EXECUTE)
    };
    Some(run(command, &event.to_string_lossy(), file).unwrap_or_else(failed))
}

/// Runs the command to its end, and writes how often the event happened in it and its descendants into a file.
fn run(mut command: Command, event: &str, file: &OsString) -> io::Result<ExitCode> {
    // Descendants that lose their parent come here, and are waited for. The supervisor would kill those that take long.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let ending = Arc::new(AtomicBool::new(false));
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        signal_hook::flag::register(signal, ending.clone())?;
    }
    let counter = match event {
        INSTRUCTIONS => Some(of_children(Hardware::INSTRUCTIONS)?),
        PAGE_FAULTS => Some(of_children(Software::PAGE_FAULTS)?),
        _ => None,
    };
    // SAFETY: one system call, which is safe between fork and exec; nothing allocates.
    unsafe {
        command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
    }
    let child = command.spawn()?;
    let how = wait_for(child.id(), &ending)?;
    if let Some(mut counter) = counter {
        let counted = value(&mut counter).map_or_else(|why| why, |count| count.to_string());
        std::fs::write(file, counted)?;
    }
    let code = how.code().or(how.signal().map(|signal| 128 + signal)).unwrap_or_default();
    Ok(ExitCode::from(code as u8))
}

/// Waits for the first process, and for all others once they were asked to end.
fn wait_for(first: u32, ending: &AtomicBool) -> io::Result<std::process::ExitStatus> {
    let mut how = None;
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid.as_raw_nonzero().get() as u32 == first => {
                how = Some(std::process::ExitStatus::from_raw(status.as_raw()));
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::CHILD) => return how.ok_or(io::ErrorKind::NotFound.into()),
            Err(e) => return Err(e.into()),
        }
        if let (Some(how), false) = (how, ending.load(Ordering::Relaxed)) {
            return Ok(how);
        }
    }
}

/// Everything that this process starts from now on gets the same addresses each time. What it was before.
pub(super) fn fix_addresses() -> io::Result<libc::c_int> {
    // SAFETY: both only read and set a number of this process.
    let (before, set) = unsafe {
        let before = libc::personality(0xffff_ffff);
        (
            before,
            libc::personality(before as libc::c_ulong | libc::ADDR_NO_RANDOMIZE as libc::c_ulong),
        )
    };
    if before < 0 || set < 0 { Err(io::Error::last_os_error()) } else { Ok(before) }
}

/// As it was before.
pub(super) fn restore(before: libc::c_int) -> bool {
    // SAFETY: it only sets a number of this process.
    unsafe { libc::personality(before as libc::c_ulong) >= 0 }
}
