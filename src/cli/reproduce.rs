//! `pushbench reproduce`: what a sceptic does.

use crate::cli::compare::{Shape, name};
use crate::cli::progress::{ProgressOptions, Show};
use crate::cli::run::{default_out, exit_code};
use crate::cli::target_options::TargetOptions;
use crate::cli::{command_line, interrupt_flag, stored_run, target_of};
use crate::gate::record;
use crate::run;
use crate::run::arms;
use crate::run::arms::Arm;
use crate::run::{Request, StartedRun};
use pushbench_analysis::compare;
use pushbench_analysis::compare::completeness;
use pushbench_analysis::compare::runs::side_by_side;
use pushbench_core::error::{Error, Result};
use pushbench_core::record::run::{ArmHeader, RunHeader, StoredRun};
use pushbench_core::scenario::{Point, Question};
use pushbench_host::console::error_line;
use pushbench_host::cpus::Placement;
use pushbench_host::results_store::vacant;
use pushbench_host::results_store::{self};
use pushbench_report::runs::agreement_in_short;
use pushbench_sut::given::Given;
use pushbench_sut::manifest::BuiltinOptions;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A results directory
    dir: PathBuf,
    /// Directory of the new run [default: results/TIME-SCENARIO, the time in UTC]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// CPUs of driver and targets, such as driver=1,target=0 [default: those of the stored run]
    #[arg(long, value_name = "LIST")]
    cpus: Option<String>,
    /// Allows a target on this host; only loopback is allowed otherwise
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    #[command(flatten)]
    shape: Shape,
    #[command(flatten)]
    progress: ProgressOptions,
    #[command(flatten)]
    pub(super) target: TargetOptions,
}

/// Runs the plan again; the exit code is that of `run`.
pub fn run(args: &Args) -> Result<u8> {
    if record::is_gate(&args.dir) {
        return Err(a_gate(&args.dir));
    }
    let stored = stored_run(&args.dir)?;
    if !stored.header.machines.is_empty() {
        return Err(Error::usage(format!(
            "{} was made on {} machines, and one machine does not repeat it: run its command again: {}",
            name(&args.dir),
            stored.header.machines.len(),
            shell_words::join(&stored.header.command)
        )));
    }
    for difference in completeness::differences(&stored) {
        error_line(&format!("RECORDS DIFFER in {}: {difference}", name(&args.dir)));
    }
    let placement = placement(args, &stored.header)?;
    let question = question(&args.dir, &stored.header)?;
    crate::cli::run::allow_path(&question)?;
    let builtin = crate::run::arms::builtin(&question, &placement)?;
    let typed = args.target.target(&args.allow_host)?;
    let inherited = match typed {
        Some(_) => TargetOptions::default(),
        None => target_of(&stored.header.command),
    };
    let given =
        typed.map_or_else(|| inherited.target(&args.allow_host), |given| Ok(Some(given)))?;
    let mut request = Request {
        question,
        arms: arms(args, &stored.header, &builtin, given.as_ref())?,
        seed: stored.header.seed,
        placement,
        out: args.out.clone().unwrap_or_else(|| default_out(&stored.header.scenario)),
        command: [command_line(), inherited.words()].concat(),
    };
    vacant(&request.out)?;
    let interrupt = interrupt_flag()?;
    let mut show = args.progress.show()?;
    show.say_placement(&request.placement);
    let ended = run::prepare(&mut request, &interrupt, &mut show).and_then(|()| {
        let mut begun = StartedRun::new(&request)?;
        let ended = begun.measure(&interrupt, &mut show);
        show.finish();
        conclude(args, &stored, begun, &request.out, ended, &mut show)
    });
    show.end(&request.out, ended)
}

/// The arms of a gate's stages are commands, not targets: only the gate's command starts them.
fn a_gate(dir: &Path) -> Error {
    let again = match record::header(dir) {
        Ok(header) => format!(": {}", crate::cli::gate::command(&header.command)),
        Err(_) => String::new(),
    };
    Error::usage(format!(
        "{0} is the directory of a gate, and reproduce takes a run: repeat the gate with its own command{again}; \
         `pushbench report {0}` shows it",
        dir.display()
    ))
}

/// Shows both runs, as far as the new one was finished.
fn conclude(
    args: &Args,
    stored: &StoredRun,
    begun: StartedRun<'_>,
    out: &Path,
    ended: Result<()>,
    show: &mut Show,
) -> Result<u8> {
    let again = results_store::read(out)?;
    if again.trials.is_empty() && ended.is_err() {
        begun.discard();
        return ended.map(|()| 0);
    }
    let both = side_by_side((&name(&args.dir), stored), (&name(out), &again));
    let shown = args.shape.show(&both);
    show.conclusion(&format!("Verdicts {}", agreement_in_short(&both)));
    show.conclusion(&format!("Results  {}  ({})", out.display(), crate::cli::report::again(out)));
    ended?;
    shown?;
    exit_code(&compare::compare(&again), out)
}

fn question(dir: &Path, header: &RunHeader) -> Result<Question> {
    if header.points.is_empty() {
        return Err(Error::usage(format!(
            "{} has no plan: its run.json has no point; name another run",
            dir.display()
        )));
    }
    let point = |p: &pushbench_core::record::run::PointHeader| Point {
        setting: p.setting.clone(),
        scenario: p.scenario.clone(),
    };
    Ok(Question {
        name: header.scenario.clone(),
        question: header.question.clone(),
        points: header.points.iter().map(point).collect(),
    })
}

/// The stored run's CPUs where this machine has them.
fn placement(args: &Args, header: &RunHeader) -> Result<Placement> {
    if let Some(text) = &args.cpus {
        return Placement::parse(text);
    }
    let of = |side: &str| header.placement.get(side).cloned().unwrap_or_default();
    let stored = Placement { driver: of("driver"), target: of("target") };
    let allowed = pushbench_host::cpus::allowed();
    let here = stored.all().iter().all(|cpu| allowed.contains(cpu));
    Ok(match here && !stored.driver.is_empty() && !stored.target.is_empty() {
        true => stored,
        false => Placement::automatic(),
    })
}

/// The stored run's arms as this machine defines them.
fn arms(
    args: &Args,
    header: &RunHeader,
    builtin: &BuiltinOptions,
    given: Option<&Given>,
) -> Result<Vec<Arm>> {
    let arms = header.points.first().map(|p| &p.arms[..]).unwrap_or_default();
    // A repeated arm is numbered.
    let name = |arm: &ArmHeader| arm.label.split('#').next().unwrap_or_default().to_owned();
    let names: Vec<String> = arms.iter().map(name).collect();
    for (name, arm) in names.iter().zip(arms) {
        // One by one, so that the message can say what the stored run did.
        arms::find(std::slice::from_ref(name), builtin, &args.allow_host, given)
            .map_err(|e| cannot(&args.dir, arm, &e))?;
    }
    arms::find(&names, builtin, &args.allow_host, given)
}

fn cannot(dir: &Path, arm: &ArmHeader, e: &Error) -> Error {
    let how = match &arm.command {
        Some(command) => format!("it was started as `{}`", shell_words::join(command)),
        None => format!("it was running already, on {}", arm.host),
    };
    Error::usage(format!(
        "{} cannot be reproduced here: {} is missing: {e}\nin the stored run {how}; describe it in \
         pushbench.toml as [target.{}.{}] (`pushbench init` writes an example)",
        dir.display(),
        arm.label,
        arm.target,
        arm.transport
    ))
}
