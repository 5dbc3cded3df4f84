//! The configuration that a built-in server prints on its first line; source of the parity table.

use serde::{Deserialize, Serialize};

/// What a built-in server says of itself, read back from the kernel where it can tell. Printed on the line
/// that says it listens; the parity table shows it as declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectiveConfig {
    /// Which handler code runs.
    pub handler: String,
    /// Which runtime.
    pub runtime: String,
    /// The library that speaks the protocol, with its version; `None` in runs of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub library: Option<String>,
    /// Its threads.
    pub threads: usize,
    /// TCP_NODELAY of accepted connections, as the kernel reports it.
    pub nodelay: bool,
    /// Length of the accept queue that the kernel granted; in runs of older versions, the requested one.
    pub backlog: u32,
    /// Sleep per event, ns.
    pub delay_ns: u64,
    /// CPU burnt per event, ns.
    pub work_ns: u64,
}

/// Text before the settings on a server's first line.
pub const LISTENING: &str = "listening on ";

impl EffectiveConfig {
    /// Finds the settings in what a server has printed.
    pub fn read(output: &str) -> Option<EffectiveConfig> {
        let line = output.lines().find_map(|l| l.strip_prefix(LISTENING))?;
        serde_json::from_str(&line[line.find('{')?..]).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_found_among_other_output() {
        let settings = EffectiveConfig {
            handler: "h".into(),
            runtime: "r".into(),
            library: Some("l 1.2.3".into()),
            threads: 1,
            nodelay: true,
            backlog: 7,
            delay_ns: 0,
            work_ns: 5,
        };
        let json = serde_json::to_string(&settings).unwrap();
        let output = format!("warning: x\n{LISTENING}127.0.0.1:1 {json}\nmore\n");
        assert_eq!(EffectiveConfig::read(&output), Some(settings));
        assert_eq!(EffectiveConfig::read("listening on 127.0.0.1:1\n"), None);
    }
}
