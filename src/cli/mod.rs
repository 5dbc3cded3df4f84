//! The command line: one file a subcommand, thin.

mod advise;
mod capacity;
mod check;
mod compare;
mod coordinate;
mod formats;
mod gate;
mod index;
mod init;
mod list;
mod man;
mod page;
mod progress;
mod proposal;
mod qualify;
mod reach;
#[cfg(test)]
mod remedy_tests;
mod report;
mod reproduce;
mod run;
mod scorecard;
mod selftest;
mod serve;
mod shard;
mod target_options;
mod verify;

use crate::gate::qualify::is_qualification;
use crate::gate::record;
use clap::{CommandFactory as _, Parser, Subcommand};
use pushbench_core::error::{Error, Result};
use pushbench_core::record::run::StoredRun;
use pushbench_core::visible;
use pushbench_host::console;
use pushbench_host::console::error_line;
use pushbench_host::results_store::{self, write_atomically};
use pushbench_report::layout::Look;
use serde::de::DeserializeOwned;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use target_options::TargetOptions;

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
    Run(Box<run::Command>),
    /// Show a finished or interrupted run again, without measuring
    Report(report::Args),
    /// Test whether a candidate is slower than its base; for CI: exit code 0 passed, 1 regression, 2 cannot tell
    Gate(Box<gate::Args>),
    /// Measure how often the gate gives the right verdict on this machine
    Qualify(Box<qualify::Args>),
    /// Compare two stored runs, after a check whether they are comparable
    Compare(compare::Args),
    /// Run the plan of a stored run again on this machine and compare both runs figure by figure
    Reproduce(reproduce::Args),
    /// Try which transport gets through which path: NAT, firewalls, proxies, silence
    Reach(reach::Args),
    /// Search the highest load at which an objective holds, for each arm
    Capacity(Box<capacity::Args>),
    /// Try the usual claims about webhooks and WebSockets, five factors, on a pair of servers
    Scorecard(Box<scorecard::Args>),
    /// Recommend a transport for a workload, say why, and what would change it
    Advise(advise::Args),
    /// Run a scenario on several machines: hand out its plan to shards that connect, and gather their records
    Coordinate(Box<coordinate::Args>),
    /// Take part in a run on several machines: send a part of the events, or start the targets
    Shard(shard::Args),
    /// Validate scenario files and pushbench.toml without starting anything, and say how long a run takes
    Check(check::Args),
    /// Write a pushbench.toml for the program in this directory, or an example that works unchanged
    Init,
    /// Start one of the built-in servers
    Serve(Box<serve::Args>),
    /// Check how a target handles events: valid, malformed and large ones
    Verify(verify::Args),
    /// Check the instrument itself: a frozen target, a known delay, a queue, an arm against itself, pacing, outcomes
    Selftest(selftest::Args),
    /// List scenarios, targets, transports, paths, formats, metrics, scenario keys, or their schema
    List(list::Args),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a directory
    Man(man::Args),
}

/// Usage errors end with 64; clap's own 2 means something else in the contract.
const USAGE: u8 = 64;

/// The whole program.
pub fn main() -> ExitCode {
    console::report_panics();
    // A fault of this program is a failure of the harness; its message is written by the hook.
    std::panic::catch_unwind(program).unwrap_or_else(|_| Error::harness("").exit_code())
}

fn program() -> ExitCode {
    let args = match pushbench_path::user_namespace::enter_if_requested() {
        Ok(args) => args,
        Err(e) => return ended(Err(e)),
    };
    // A file that reaches the limit on its size is an error of the write, which says where.
    let _cannot_be = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
    let hidden = [
        pushbench_sut::supervisor::run_if_requested,
        pushbench_sut::private_directory::run_if_requested,
        pushbench_sut::instructions::run_if_requested,
        pushbench_faults::run_if_requested,
        pushbench_faults::exact_target::run_if_requested,
    ];
    if let Some(code) = hidden.iter().find_map(|main| main(&args)) {
        return code;
    }
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(e) => return ended(wanted(&e)),
    };
    let command =
        cli.command.unwrap_or_else(|| Command::Run(Box::new(run::Command::default_run())));
    ended(dispatch(command))
}

fn ended(how: Result<u8>) -> ExitCode {
    match how {
        Ok(code) => ExitCode::from(code),
        Err(e) => {
            error_line(&format!("pushbench: {e}"));
            e.exit_code()
        }
    }
}

/// The requested help or version, or why the command line cannot be read.
fn wanted(e: &clap::Error) -> Result<u8> {
    let text = e.render();
    if !e.use_stderr() {
        let text = if look().colour { text.ansi().to_string() } else { text.to_string() };
        return print(&text).map(|()| 0);
    }
    let text = text.to_string();
    if visible::terminal(&text) == text {
        let _nobody_reads_it = e.print(); // in colours
    } else {
        error_line(text.trim_end());
    }
    Ok(USAGE)
}

fn dispatch(command: Command) -> Result<u8> {
    match command {
        Command::Run(args) => run::command(&args),
        Command::Report(args) => report::run(&args).map(|()| 0),
        Command::Gate(args) => gate::run(&args),
        Command::Qualify(args) => qualify::run(&args),
        Command::Compare(args) => compare::run(&args).map(|()| 0),
        Command::Reproduce(args) => reproduce::run(&args),
        Command::Reach(args) => reach::run(&args),
        Command::Capacity(args) => capacity::run(&args),
        Command::Scorecard(args) => scorecard::run(&args),
        Command::Advise(args) => advise::run(&args),
        Command::Coordinate(args) => coordinate::run(&args),
        Command::Shard(args) => shard::run(&args),
        Command::Check(args) => check::run(&args).map(|()| 0),
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
        Command::Man(args) => man::run(&args).map(|()| 0),
    }
}

/// How standard output shows a report: colours on a terminal unless `NO_COLOR`,
/// `CLICOLOR` or `TERM=dumb` disables them, or where `CLICOLOR_FORCE` enables them; the terminal's width.
fn look() -> Look {
    let out = io::stdout();
    Look {
        colour: anstream::AutoStream::choice(&out) != anstream::ColorChoice::Never,
        width: terminal_size::terminal_size_of(&out).map(|(width, _)| width.0.into()),
    }
}

/// Prints to standard output; a closed pipe (`| head`) is no error.
fn print(text: &str) -> Result<()> {
    console::output(text)
        .map_err(|e| Error::harness(format!("cannot write to standard output: {e}")))
}

/// A file that a command has stored.
fn stored_document<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = pushbench_host::input::text(path, pushbench_host::input::GENERATED)?;
    serde_json::from_str(&text).map_err(|e| Error::usage(format!("{}: {e}", path.display())))
}

/// Writes to the file of `--output`; `-`, or no `--output`, is standard output.
fn deliver(text: &str, output: Option<&Path>) -> Result<()> {
    match output {
        Some(path) if path.as_os_str() != "-" => write_atomically(path, text.as_bytes()),
        _ => print(text),
    }
}

/// The command line for the record, without the program's directory: results may be published.
fn command_line() -> Vec<String> {
    let args = pushbench_path::user_namespace::args().skip(1);
    let args = args.map(|arg| arg.to_string_lossy().into_owned());
    std::iter::once("pushbench".to_owned()).chain(args).collect()
}

/// The options that described a target in a stored run.
fn target_of(command: &[String]) -> TargetOptions {
    match Cli::try_parse_from(command).map(|cli| cli.command) {
        Ok(Some(Command::Run(args))) => args.run.target,
        Ok(Some(Command::Reproduce(args))) => args.target,
        _ => TargetOptions::default(),
    }
}

/// Reads a run. The directory of a gate or a qualification is refused; the message names its runs.
fn stored_run(dir: &Path) -> Result<StoredRun> {
    let shown = dir.display();
    Err(Error::usage(if record::is_gate(dir) {
        format!(
            "{shown} is the directory of a gate, whose blocks are a run: give {}; `pushbench report {shown}` \
             shows the gate",
            record::last_run(dir).display()
        )
    } else if is_qualification(dir) {
        format!(
            "{shown} is the directory of a qualification, whose gates are runs: give {shown}/gate-01 or another one; \
             `pushbench report {shown}` shows the qualification"
        )
    } else if selftest::is_truth(dir) {
        format!(
            "{shown} is no run, it is a page of the self-test: `pushbench report {shown}` shows it"
        )
    } else if capacity::is_capacity(dir) {
        format!(
            "{shown} is no run, it is a search for capacities: `pushbench report {shown}` shows it"
        )
    } else if scorecard::is_card(dir) {
        format!("{shown} is no run, it is a scorecard: `pushbench report {shown}` shows it")
    } else if reach::is_matrix(dir) {
        format!("{shown} is no run, it is a matrix of paths: `pushbench report {shown}` shows it")
    } else {
        return results_store::read(dir);
    }))
}

/// The flag that Ctrl-C, SIGTERM and SIGHUP set. A second Ctrl-C or SIGTERM ends the process at once; children
/// end with it because their supervisors notice its end.
fn interrupt_flag() -> Result<Arc<AtomicBool>> {
    let cannot = |e: io::Error| Error::harness(format!("cannot listen for signals: {e}"));
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 130, flag.clone())
            .and_then(|_| signal_hook::flag::register(signal, flag.clone()))
            .map_err(cannot)?;
    }
    // A closed terminal and its shell both send one: a second does not end anything. `nohup` ignores it.
    if !ignores(signal_hook::consts::SIGHUP) {
        signal_hook::flag::register(signal_hook::consts::SIGHUP, flag.clone()).map_err(cannot)?;
    }
    Ok(flag)
}

/// Whether this process was started so that it ignores a signal.
fn ignores(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}
