//! The machine of a run, recorded in its header.

use std::collections::BTreeMap;
use std::fs;

/// Names and values; values that the machine does not report are omitted.
pub fn describe() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|v| !v.is_empty()) {
            found.insert(name.to_owned(), value);
        }
    };
    let read = |path: &str| fs::read_to_string(path).ok().map(|t| t.trim().to_owned());
    let cpuinfo = read("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = cpuinfo.lines().find(|l| l.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    add("cpu", field("model name"));
    add("cpus", Some(pushbench_host::cpus::allowed().len().to_string()));
    let virtual_machine = field("flags").is_some_and(|f| f.split(' ').any(|w| w == "hypervisor"));
    add("virtual machine", Some(virtual_machine.to_string()));
    add("kernel", read("/proc/sys/kernel/osrelease"));
    add("clock", read("/sys/devices/system/clocksource/clocksource0/current_clocksource"));
    add("governor", read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"));
    let memory = read("/proc/meminfo").unwrap_or_default();
    add("memory", memory.lines().next().and_then(|l| Some(l.split_once(':')?.1.trim().to_owned())));
    add("scheduling", read("/proc/self/stat").and_then(|stat| scheduling(&stat)));
    add("build", Some(if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned()));
    found
}

/// How the kernel schedules this process, from its `/proc/PID/stat`: `ordinary`, or `real-time priority 10`.
/// Its targets inherit it.
fn scheduling(stat: &str) -> Option<String> {
    // The name of the program may contain anything; after it, fields are numbered from 3.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(40 - 3);
    let priority = fields.next()?;
    Some(match fields.next()? {
        "1" | "2" => format!("real-time priority {priority}"),
        _ => "ordinary".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheduling_is_read_from_the_policy() {
        let stat = |policy: &str, priority: &str| {
            let zeros = "0 ".repeat(40 - 4);
            scheduling(&format!("7 (a ) b) S {zeros}{priority} {policy} 0 0"))
        };
        assert_eq!(stat("0", "0").as_deref(), Some("ordinary"));
        assert_eq!(stat("1", "10").as_deref(), Some("real-time priority 10"));
        assert!(describe().contains_key("scheduling"));
    }
}
