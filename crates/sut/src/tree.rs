//! Who descends from a process, read from /proc.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

/// Every process below `root`, parents before children, `root` itself and the already dead excluded.
///
/// The result is a snapshot: code that ends processes must repeat the call until none is left.
pub(super) fn descendants(root: u32) -> Vec<u32> {
    static FAST: OnceLock<bool> = OnceLock::new();
    // Some kernels lack the list of children (CONFIG_PROC_CHILDREN): then every process is read.
    let fast = *FAST.get_or_init(|| Path::new("/proc/thread-self/children").exists());
    let mut found = if fast { walk(root, children) } else { scan(root) };
    found.retain(|pid| stat(*pid).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X')));
    found
}

fn scan(root: u32) -> Vec<u32> {
    let mut below: HashMap<u32, Vec<u32>> = HashMap::new();
    for pid in numbers("/proc") {
        if let Some((_, parent)) = stat(pid) {
            below.entry(parent).or_default().push(pid);
        }
    }
    walk(root, |pid| below.remove(&pid).unwrap_or_default())
}

fn walk(root: u32, mut children: impl FnMut(u32) -> Vec<u32>) -> Vec<u32> {
    let mut found = children(root);
    let mut next = 0;
    while next < found.len() {
        let more = children(found[next]);
        // A process that changes its parent while we read could otherwise be listed twice.
        found.extend(more.into_iter().filter(|pid| *pid != root).collect::<Vec<_>>());
        next += 1;
        if found.len() > 100_000 {
            break;
        }
    }
    let mut visited = std::collections::HashSet::new();
    found.retain(|pid| visited.insert(*pid));
    found
}

/// The children of all threads of a process.
fn children(pid: u32) -> Vec<u32> {
    let mut all = Vec::new();
    for task in numbers(&format!("/proc/{pid}/task")) {
        let list = fs::read_to_string(format!("/proc/{pid}/task/{task}/children"));
        all.extend(
            list.unwrap_or_default().split_whitespace().filter_map(|n| n.parse::<u32>().ok()),
        );
    }
    all
}

fn numbers(dir: &str) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// State and parent. The name in between may hold spaces and brackets, so fields count from its end.
fn stat(pid: u32) -> Option<(char, u32)> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let after = text.iter().rposition(|byte| *byte == b')')? + 1;
    let mut fields = std::str::from_utf8(&text[after..]).ok()?.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn finds_grandchildren_both_ways() {
        // A background job of a shell has no standard input of its own.
        let mut shell = Command::new("sh")
            .args(["-c", "exec 3<&0; sh -c 'echo $$; read x <&3; :' & wait"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let out = shell.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).unwrap();
        let grandchild: u32 = line.trim().parse().unwrap();
        let me = std::process::id();
        let (found, scanned) = (descendants(me), scan(me));
        drop(shell.stdin.take());
        shell.wait().unwrap();
        for (way, list) in [("walked", found), ("scanned", scanned)] {
            let both = list.contains(&shell.id()) && list.contains(&grandchild);
            assert!(both, "{way}: {list:?}, wanted {} and {grandchild}", shell.id());
        }
    }
}
