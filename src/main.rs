//! Parse, call, exit code.

#![deny(clippy::print_stderr, clippy::print_stdout)]

use std::process::ExitCode;

fn main() -> ExitCode {
    pushbench::cli::main()
}
