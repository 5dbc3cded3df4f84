//! `pushbench reproduce`: what a sceptic does.

use super::compare::{Shape, name};
use super::interrupt_flag;
use super::progress::Show;
use super::run::{default_out, exit_code};
use crate::compare::runs::side_by_side;
use crate::compare::{self, completeness};
use crate::cpus::Placement;
use crate::error::{Error, Result};
use crate::report::runs::agreement_in_short;
use crate::run::arms::{self, Arm};
use crate::run::{self, Request};
use crate::scenario::{Point, Question};
use crate::store::{ArmHeader, RunHeader, Store, StoredRun};
use crate::target::manifest::BuiltinOptions;
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
}

/// Runs the plan again; the exit code is that of `run`.
pub fn run(args: &Args) -> Result<u8> {
    let stored = StoredRun::read(&args.dir)?;
    for said in completeness::differences(&stored) {
        eprintln!("RECORDS DIFFER in {}: {said}", name(&args.dir));
    }
    let placement = placement(args, &stored.header)?;
    let question = question(&args.dir, &stored.header)?;
    let builtin = super::run::builtin(&question, &placement)?;
    let request = Request {
        question,
        arms: arms(args, &stored.header, &builtin)?,
        seed: stored.header.seed,
        placement,
        out: args.out.clone().unwrap_or_else(|| default_out(&stored.header.scenario)),
        command: std::iter::once("pushbench".to_owned()).chain(std::env::args().skip(1)).collect(),
    };
    let interrupt = interrupt_flag()?;
    let mut show = Show::new();
    show.say_placement(&request.placement);
    run::prepare(&request, &interrupt, &mut show)?;
    let ended = run::execute(&request, &interrupt, &mut show);
    show.finish();
    conclude(args, &stored, &request.out, ended)
}

/// Shows both, as far as the new one came.
fn conclude(args: &Args, stored: &StoredRun, out: &Path, ended: Result<()>) -> Result<u8> {
    let Ok(again) = StoredRun::read(out) else {
        return ended.map(|()| 0); // nothing was begun: the error says why
    };
    if again.trials.is_empty() && ended.is_err() {
        Store::discard(out);
        return ended.map(|()| 0);
    }
    let both = side_by_side((&name(&args.dir), stored), (&name(out), &again));
    args.shape.show(&both)?;
    eprintln!("Verdicts {}", agreement_in_short(&both));
    eprintln!("Results  {}  (pushbench report {})", out.display(), out.display());
    ended?;
    Ok(exit_code(&compare::compare(&again)))
}

fn question(dir: &Path, header: &RunHeader) -> Result<Question> {
    if header.points.is_empty() {
        return Err(Error::usage(format!(
            "{} holds no plan: its run.json has no point; name another run",
            dir.display()
        )));
    }
    let point = |p: &crate::store::PointHeader| Point {
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
    let allowed = crate::cpus::allowed();
    let here = stored.all().iter().all(|cpu| allowed.contains(cpu));
    Ok(match here && !stored.driver.is_empty() && !stored.target.is_empty() {
        true => stored,
        false => Placement::automatic(),
    })
}

/// The stored run's arms as they are found here.
fn arms(args: &Args, header: &RunHeader, builtin: &BuiltinOptions) -> Result<Vec<Arm>> {
    let told = header.points.first().map(|p| &p.arms[..]).unwrap_or_default();
    let names: Vec<String> = told.iter().map(|a| format!("{}@{}", a.transport, a.target)).collect();
    for (name, arm) in names.iter().zip(told) {
        // One by one, so that the message can say what the stored run did.
        arms::find(std::slice::from_ref(name), builtin, &args.allow_host)
            .map_err(|e| cannot(&args.dir, arm, &e))?;
    }
    arms::find(&names, builtin, &args.allow_host)
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
