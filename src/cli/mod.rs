//! The command line: one file a subcommand, thin.

mod compare;
mod formats;
mod gate;
mod init;
mod list;
mod page;
mod progress;
mod qualify;
#[cfg(test)]
mod remedy_tests;
mod report;
mod reproduce;
mod run;
mod selftest;
mod serve;
mod verify;

use crate::error::{Error, Result};
use crate::report::layout::Look;
use clap::{CommandFactory as _, Parser, Subcommand};
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Should these events travel by webhook or by WebSocket? Measures both under the same schedule and
/// says how sure it is.
#[derive(Debug, Parser)]
#[command(name = "pushbench", version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a scenario and compare its arms (the default: `pushbench` alone is `pushbench run ingest`)
    Run(Box<run::Args>),
    /// Show a finished or interrupted run again, without measuring
    Report(report::Args),
    /// Is a candidate slower than its base? For CI: exit 0 passes, 1 a regression, 2 cannot tell
    Gate(Box<gate::Args>),
    /// Find out how often the gate is right on this machine
    Qualify(Box<qualify::Args>),
    /// Put two stored runs side by side, and say first whether they may be compared
    Compare(compare::Args),
    /// Run a stored run's plan again here, and show both, figure by figure
    Reproduce(reproduce::Args),
    /// Write a pushbench.toml that describes your own server; it works as it is
    Init,
    /// Start one of the built-in servers
    Serve(serve::Args),
    /// Ask a target what it does with events: known ones, broken ones, large ones
    Verify(verify::Args),
    /// Check the instrument itself: a freeze, a known delay, an arm against itself, pacing, fates
    Selftest(selftest::Args),
    /// List scenarios, targets, transports, formats, metrics, scenario keys, or their schema
    List(list::Args),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Usage errors end with 64; clap's own 2 means something else in the contract.
const USAGE: u8 = 64;

/// The whole program.
pub fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    let hidden = [
        crate::target::keeper::main_if_asked,
        crate::selftest::odd::main_if_asked,
        crate::selftest::exact::main_if_asked,
    ];
    if let Some(code) = hidden.iter().find_map(|main| main(&args)) {
        return code;
    }
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(e) => {
            let _nowhere_to_say_it = e.print();
            return ExitCode::from(if e.use_stderr() { USAGE } else { 0 });
        }
    };
    let command = cli.command.unwrap_or_else(|| Command::Run(Box::new(run::Args::default_run())));
    match dispatch(command) {
        Ok(code) => ExitCode::from(code),
        Err(e) => {
            eprintln!("pushbench: {e}");
            e.exit_code()
        }
    }
}

fn dispatch(command: Command) -> Result<u8> {
    match command {
        Command::Run(args) => run::run(&args),
        Command::Report(args) => report::run(&args).map(|()| 0),
        Command::Gate(args) => gate::run(&args),
        Command::Qualify(args) => qualify::run(&args),
        Command::Compare(args) => compare::run(&args).map(|()| 0),
        Command::Reproduce(args) => reproduce::run(&args),
        Command::Init => init::run().map(|()| 0),
        Command::Serve(args) => serve::run(&args).map(|()| 0),
        Command::Verify(args) => verify::run(&args),
        Command::Selftest(args) => selftest::run(&args),
        Command::List(args) => list::run(&args).map(|()| 0),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "pushbench", &mut text);
            print(&String::from_utf8_lossy(&text)).map(|()| 0)
        }
    }
}

/// How standard output shows a report: colours on a terminal that is not told otherwise (`NO_COLOR`,
/// `CLICOLOR`, `TERM=dumb`), or where `CLICOLOR_FORCE` wants them; as wide as the terminal.
fn look() -> Look {
    let out = io::stdout();
    Look {
        colour: anstream::AutoStream::choice(&out) != anstream::ColorChoice::Never,
        width: terminal_size::terminal_size_of(&out).map(|(width, _)| width.0.into()),
    }
}

/// Prints to standard output; a reader that has gone (`| head`) is no error.
fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::harness(format!("cannot write to standard output: {e}")))
        }
        _ => Ok(()),
    }
}

/// The flag that Ctrl-C and SIGTERM set. A second one ends the process at once; children end with it
/// because their keepers see it go.
fn interrupt_flag() -> Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 130, flag.clone())
            .and_then(|_| signal_hook::flag::register(signal, flag.clone()))
            .map_err(|e| Error::harness(format!("cannot listen for signals: {e}")))?;
    }
    Ok(flag)
}
