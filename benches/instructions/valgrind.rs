//! Asks callgrind.

use super::COUNT;
use std::process::Command;

/// Callgrind counts from the call of this function to its return.
const TOGGLE: &str = "--toggle-collect=*what_is_counted*";
/// Stands before the number, behind the process's own number.
const COLLECTED: &str = "Collected : ";

/// The instructions a call of that function takes.
pub fn count(name: &str, calls: u64) -> Result<f64, String> {
    let own = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", TOGGLE]);
    valgrind.arg("--collect-atstart=no").arg(own);
    valgrind.args([COUNT, name, &calls.to_string()]);
    let output = valgrind.output().map_err(|e| format!("valgrind: {e}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let counted = text.lines().find_map(|line| line.split_once(COLLECTED)?.1.trim().parse().ok());
    match counted {
        Some(counted) if output.status.success() && counted > 0 => {
            let counted: u64 = counted;
            Ok(counted as f64 / calls as f64)
        }
        _ => Err(format!("{name}: {}; it said:\n{text}", output.status)),
    }
}

/// valgrind's version; why there is none.
pub fn version() -> Result<String, String> {
    output("valgrind", "--version")
}

/// The compiler's version.
pub fn rustc() -> Result<String, String> {
    output(&std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned()), "--version")
}

fn output(program: &str, option: &str) -> Result<String, String> {
    let output =
        Command::new(program).arg(option).output().map_err(|e| format!("{program}: {e}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
