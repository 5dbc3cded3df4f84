//! The processor's own counter of instructions, by `perf_event_open`.

use crate::instructions::Count;
use perf_event::events::{Event, Hardware};
use perf_event::{Builder, Counter};
use std::hint::black_box;
use std::io;
use std::path::Path;

/// Whether there is a counter that counts; why not.
pub(super) fn available() -> Result<(), String> {
    let counted = || -> io::Result<u64> {
        let mut counter = Builder::new(Hardware::INSTRUCTIONS).inherit(true).build()?;
        counter.enable()?;
        (0..10_000).for_each(|n| {
            black_box(n);
        });
        counter.disable()?;
        counter.read()
    };
    match counted() {
        Ok(0) => Err("the hardware's counter of instructions counts nothing".to_owned()),
        Ok(_) => Ok(()),
        Err(e) => {
            Err(format!("the hardware's counter of instructions is refused ({e}): {}", remedy(&e)))
        }
    }
}

/// What can be done about it.
fn remedy(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) => {
            let level = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid");
            let level = level.map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned());
            format!(
                "kernel.perf_event_paranoid is {level}, and 2 or less is needed (sudo sysctl kernel.perf_event_paranoid=2); \
                 a container must allow perf_event_open, too"
            )
        }
        Some(libc::ENOSYS) => "this kernel has no perf events".to_owned(),
        _ => "this machine has no such counter, as most virtual machines".to_owned(),
    }
}

/// A counter of this process that is off, and on in every process that it starts, from its exec on.
pub(super) fn of_children(event: impl Event) -> io::Result<Counter> {
    Builder::new(event).inherit(true).enable_on_exec(true).build()
}

/// What it counted, over all that has run.
pub(super) fn value(counter: &mut Counter) -> Result<u64, String> {
    let all = counter.read_full().map_err(|e| format!("cannot read the counter: {e}"))?;
    match (all.time_enabled(), all.time_running()) {
        (Some(enabled), Some(running)) if running < enabled => Err(format!(
            "the hardware's counter was taken away for {:.1} % of the time, so the count is not exact: end other programs \
             that count (perf)",
            100.0 * (1.0 - running.as_secs_f64() / enabled.as_secs_f64())
        )),
        _ => Ok(all.count()),
    }
}

/// Reads the file that the wrapper wrote.
pub(super) fn read(file: &Path) -> Result<Count, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|e| format!("what was counted cannot be read: {e}"))?;
    match text.trim().parse() {
        Ok(instructions) => Ok(Count { instructions, processes: 1 }),
        Err(_) => Err(text.trim().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perf_event::events::Software;
    use std::process::Command;

    /// Faults in what a shell starts; `None` where this environment counts nothing at all.
    fn faults(script: &str) -> Option<u64> {
        let mut counter = match of_children(Software::PAGE_FAULTS) {
            Ok(counter) => counter,
            Err(e) => {
                assert!(
                    matches!(e.raw_os_error(), Some(libc::EACCES | libc::EPERM | libc::ENOSYS)),
                    "{e}"
                );
                eprintln!("skipped: perf_event_open is refused: {e}");
                return None;
            }
        };
        // Not counted: nothing was executed.
        black_box(vec![1_u8; 4 << 20]);
        assert_eq!(value(&mut counter), Ok(0));
        assert!(Command::new("sh").args(["-c", script]).status().unwrap().success());
        Some(value(&mut counter).unwrap())
    }

    #[test]
    fn a_counter_sees_all_descendants_and_not_this_process() {
        let (Some(none), Some(one)) = (faults(":"), faults("/bin/true; :")) else { return };
        assert!(none > 0 && one > none, "{none}, {one}");
        let each = one - none;
        for script in [
            "for n in 1 2 3 4 5 6 7 8; do /bin/true; done",
            "for n in 1 2 3 4 5 6 7 8; do sh -c '/bin/true & wait' & done; wait",
        ] {
            let eight = faults(script).unwrap();
            assert!(eight > none + 6 * each, "{script}: {eight}, {none} and {each} each");
        }
    }

    #[test]
    fn a_counter_that_is_not_there_is_explained() {
        if let Err(why) = available() {
            assert!(why.contains("hardware's counter"), "{why}");
        }
        let remedy = |code| remedy(&io::Error::from_raw_os_error(code));
        assert!(remedy(libc::EACCES).contains("sudo sysctl kernel.perf_event_paranoid=2"));
        assert!(remedy(libc::ENOENT).contains("virtual machine"));
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("count");
        assert!(read(&file).is_err());
        std::fs::write(&file, "the hardware's counter was taken away").unwrap();
        assert_eq!(read(&file), Err("the hardware's counter was taken away".to_owned()));
        std::fs::write(&file, "123").unwrap();
        assert_eq!(read(&file), Ok(Count { instructions: 123, processes: 1 }));
    }
}
