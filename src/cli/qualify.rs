//! `pushbench qualify`

use crate::cli::gate::{GateOptions, read_nulls};
use crate::cli::progress::{ProgressOptions, Show};
use crate::cli::run::{allow_path, default_out};
use crate::cli::{command_line, deliver, interrupt_flag, print};
use crate::gate::nulls;
use crate::gate::qualify;
use crate::gate::qualify::Request;
use crate::run::environment;
use pushbench_core::error::{Error, Result};
use pushbench_host::results_store::write_atomically;
use pushbench_report::qualification;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

// Without what a gate alone has: counts of instructions and stored runs.
#[derive(Debug, clap::Args)]
#[command(
    mut_arg("judge", |arg| arg.help(
        "Metrics to judge, separated by commas [default: those of \
         service.p50,response.p50,throughput,target_usage.cpu_ns_per_event that the load has]"
    )),
    mut_arg("scenario", |arg| arg.help("A shipped scenario's name or a path to a .toml file [default: gate]")),
    mut_arg("blocks", |arg| arg.help("Blocks before the first judgement [default: 8]")),
    mut_arg("seed", |arg| arg.help("Seed of schedules and orders [default: 7]")),
)]
pub struct Args {
    #[command(flatten)]
    options: GateOptions,
    /// Gates to run; more gates give narrower intervals of the rates
    #[arg(long, value_name = "N", default_value_t = 30)]
    gates: usize,
    /// Gates that also include builds that are 5 % and 10 % slower
    #[arg(long, value_name = "N", default_value_t = 10)]
    injected: usize,
    /// File for the differences between equal builds, from which `pushbench gate` takes its margins
    #[arg(long, value_name = "FILE", default_value = nulls::FILE)]
    nulls: PathBuf,
    #[command(flatten)]
    progress: ProgressOptions,
}

/// 0 when every gate was run, whatever the rates are.
pub fn run(args: &Args) -> Result<u8> {
    args.options.check_blocks()?;
    if args.gates == 0 || args.injected > args.gates {
        return Err(Error::usage(format!(
            "--gates {} --injected {}: write at least one gate, and at most as many injected",
            args.gates, args.injected
        )));
    }
    let transports = args.options.transports()?;
    let [transport] = &transports[..] else {
        return Err(Error::usage("qualify one transport at a time: give --transport once"));
    };
    let question = args.options.question()?;
    allow_path(&question)?;
    if question.points.len() > 1 {
        return Err(Error::usage(
            "a sweep cannot be qualified: set the swept key to one value with --set",
        ));
    }
    let placement = args.options.placement()?;
    // The margins of a machine without nulls: what is found out here must not judge itself.
    let settings = args.options.settings(&question, &transports, &nulls::Nulls::default())?;
    let out = args
        .options
        .out
        .clone()
        .unwrap_or_else(|| default_out(&format!("qualify-{}", question.name)));
    let request = Request {
        question,
        transport: transport.clone(),
        settings,
        blocks: args.options.blocks(),
        at_most: args.options.at_most,
        gates: args.gates,
        injected: args.injected,
        seed: args.options.seed(),
        placement,
        out,
        command: command_line(),
    };
    let older = read_nulls(args.nulls.exists().then_some(args.nulls.as_path()))?;
    let interrupt = interrupt_flag()?;
    let mut show = args.progress.show()?;
    let ended = measure(&request, older, &interrupt, &mut show, args);
    show.end(&request.out, ended)
}

fn measure(
    request: &Request,
    older: nulls::Nulls,
    interrupt: &AtomicBool,
    show: &mut Show,
    args: &Args,
) -> Result<u8> {
    show.say_placement(&request.placement);
    let ended = qualify::execute(request, interrupt, show);
    show.finish();
    if !matches!(&ended, Ok(_) | Err(Error::Usage(_))) && request.out.is_dir() {
        show.conclusion(&format!(
            "finished gates are kept: continue with the same command and --out {}",
            request.out.display()
        ));
    }
    let (header, trials) = ended?;
    older.store(qualify::entries(&header, &trials, &environment::describe()), &args.nulls)?;
    let text = qualification::render(&header, &trials);
    write_atomically(&request.out.join("report.md"), text.as_bytes())?;
    print(&text)?;
    show.conclusion(&format!(
        "Results  {}\nNulls    {}",
        request.out.display(),
        args.nulls.display()
    ));
    Ok(0)
}

/// A stored qualification, judged again.
pub fn report(dir: &Path, format: &str, output: Option<&Path>) -> Result<()> {
    let (header, trials) = qualify::read(dir)?;
    let text = match format {
        "text" | "markdown" => qualification::render(&header, &trials),
        "json" => qualification::json(&header, &trials),
        other => {
            return Err(Error::usage(format!(
                "--format {other}: a qualification is shown as text, markdown or json"
            )));
        }
    };
    deliver(&text, output)
}
