//! Counts of valgrind's cachegrind, without its caches. Each process writes a file as it ends.

use crate::instructions::{Count, files};
use std::path::Path;
use std::process::{Command, Stdio};

/// Stands before the number in the summary of a process.
const COUNTED: &str = "refs:";
/// What valgrind says of an instruction that it does not know.
const UNKNOWN: [&str; 3] =
    ["unhandled instruction bytes", "Unrecognised instruction", "Illegal opcode"];

/// valgrind's version; why there is none.
pub(super) fn version() -> Result<String, String> {
    let output = Command::new("valgrind")
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("valgrind cannot be started ({e})"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.trim().strip_prefix("valgrind-") {
        Some(version) if output.status.success() => Ok(version.to_owned()),
        _ => Err(format!("valgrind --version failed ({})", output.status)),
    }
}

/// What stands before the command of a target.
pub(super) fn command(directory: &str) -> Vec<String> {
    let mut words: Vec<String> = [
        "valgrind",
        // Options of the user's own files and variables would make other counts.
        "--command-line-only=yes",
        "--tool=cachegrind",
        "--cache-sim=no",
        "--cachegrind-out-file=/dev/null",
        "--trace-children=yes",
        "--vgdb=no",
    ]
    .map(str::to_owned)
    .into();
    words.push(format!("--log-file={directory}/%p"));
    words
}

/// The sum over all processes.
pub(super) fn read(directory: &Path) -> Result<Count, String> {
    let unreadable = |e: std::io::Error| format!("cannot read what valgrind counted: {e}");
    let logs = files(directory).map_err(unreadable)?;
    let mut count = Count { instructions: 0, processes: logs.len() };
    for log in &logs {
        let text = std::fs::read_to_string(log).map_err(unreadable)?;
        let counted = counted(&text).ok_or_else(|| {
            "a process of it was killed before valgrind wrote what it counted: let all of them end at SIGTERM".to_owned()
        })?;
        count.instructions += counted;
    }
    match count.instructions {
        0 => Err("valgrind counted nothing".to_owned()),
        _ => Ok(count),
    }
}

/// `==17== I   refs:      71,350,907`
fn counted(log: &str) -> Option<u64> {
    let number = |line: &str| {
        let (before, number) = line.split_once(COUNTED)?;
        // Of data there are references, too.
        (before.split_whitespace().last()? == "I")
            .then(|| number.trim().replace(',', "").parse().ok())?
    };
    log.lines().rev().find_map(number)
}

/// Why valgrind ended the target, where it met an instruction that it does not know.
pub(super) fn unsupported(directory: &Path) -> Option<String> {
    let logs = files(directory).ok()?;
    let mut texts = logs.iter().filter_map(|log| std::fs::read_to_string(log).ok());
    texts.find_map(|text| {
        let line = text.lines().find(|line| UNKNOWN.iter().any(|what| line.contains(what)))?;
        let said = line.split_once("== ").map_or(line, |(_, said)| said).trim();
        Some(format!(
            "valgrind does not know an instruction of it ({said}): build it for a processor without AVX-512, such as \
             -C target-cpu=x86-64-v3 or -march=x86-64-v3, or count on a machine with hardware counters"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
==4260== Cachegrind, a cache and branch-prediction profiler
==4260== Command: ./server 7101
--4260-- warning: L3 cache found, using its data for the LL simulation.
==4260== Process terminating with default action of signal 15 (SIGTERM)
==4260==
==4260== I   refs:      71,338,715
";

    #[test]
    fn the_instructions_of_a_process_are_read() {
        assert_eq!(counted(LOG), Some(71_338_715));
        // Of version 3.21 and later; with caches there would be more.
        assert_eq!(counted("==1== I refs:        7\n==1== D refs:  9  (8 rd + 1 wr)\n"), Some(7));
        assert_eq!(counted("==1== D refs:        7\n"), None);
        assert_eq!(counted("==4260== Command: ./server refs: x\n"), None);
    }

    #[test]
    fn processes_are_added_and_a_killed_one_is_named() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(dir.path()).is_err());
        std::fs::write(dir.path().join("1"), LOG).unwrap();
        std::fs::write(dir.path().join("2"), "==2== I   refs:      1,285\n").unwrap();
        let both = Count { instructions: 71_340_000, processes: 2 };
        assert_eq!(read(dir.path()), Ok(both));
        std::fs::write(dir.path().join("3"), "==3== Command: ./server 7101\n").unwrap();
        assert!(read(dir.path()).unwrap_err().contains("end at SIGTERM"));
    }

    #[test]
    fn an_instruction_that_valgrind_does_not_know_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("1"), LOG).unwrap();
        assert_eq!(unsupported(dir.path()), None);
        let log = "vex amd64->IR: unhandled instruction bytes: 0x62 0xF1 0x7D 0x48\n==1== valgrind: Unrecognised instruction at address 0x40101c.\n";
        std::fs::write(dir.path().join("2"), log).unwrap();
        let why = unsupported(dir.path()).unwrap();
        assert!(why.contains("0x62") && why.contains("x86-64-v3"), "{why}");
    }
}
