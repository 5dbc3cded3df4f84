//! What is asked, made into a request: nothing is started before all of it holds.

use crate::cli::command_line;
use crate::cli::gate::options::{GateOptions, with_margins};
use crate::cli::gate::{Args, instructions, read_nulls};
use crate::cli::run::{allow_path, default_out};
use crate::gate::against;
use crate::gate::against::Against;
use crate::gate::{Request, nulls, sides, waivers};
use crate::run::arms::Arm;
use pushbench_analysis::compare::gate as verdict;
use pushbench_analysis::compare::gate::{MarginSource, Settings};
use pushbench_core::arm::ArmSpec;
use pushbench_core::error::{Error, Result};
use pushbench_core::event::Matching;
use pushbench_core::scenario::Question;
use pushbench_host::cpus::Placement;
use pushbench_sut::instructions::Counter;
use pushbench_sut::manifest::BuiltinOptions;
use std::path::{Path, PathBuf};

/// The request, and the stored run that is its base.
pub struct Plan {
    pub request: Request,
    pub against: Option<Against>,
    /// What counts instructions, where these are judged.
    pub counter: Option<Counter>,
    /// Notes to print before the gate begins.
    pub remarks: Vec<String>,
}

/// Base, candidate and the metrics to judge.
struct Sides {
    question: Question,
    arms: Vec<Arm>,
    seed: u64,
    blocks: usize,
    base: String,
    against: Option<Against>,
}

impl Plan {
    pub fn of(args: &Args, transports: &[ArmSpec], placement: Placement) -> Result<Plan> {
        let options = &args.options;
        let counted = instructions::are_judged(args)?;
        let common = common(args, &placement)?;
        let sides = match &args.base {
            _ if !args.against.is_empty() => stored(args, transports, &common)?,
            Some(base) => Sides {
                question: options.question()?,
                arms: sides::arms(base, &args.candidate, transports, &common)?,
                seed: options.seed(),
                blocks: options.blocks(),
                base: base.clone(),
                against: None,
            },
            None => return Err(Error::usage("give --base CMD or --against DIR")),
        };
        allow_path(&sides.question)?;
        let named = args.waivers.as_deref();
        let file = named.unwrap_or(Path::new(waivers::FILE));
        let strictness = match counted {
            true => with_margins(vec![verdict::instructions::margin()]),
            false => {
                let all = read_nulls(args.nulls.as_deref())?;
                options.settings(&sides.question, transports, &all)?
            }
        };
        let settings = Settings {
            min_difference_ns: args.min_difference.as_nanos() as f64,
            ratio: args.ratio,
            waivers: waivers::read(file, named.is_some())?,
            ..strictness
        };
        let remarks = if counted { None } else { of_nulls(args.nulls.as_deref(), &settings) };
        let name = format!("gate-{}", sides.question.name);
        let request = Request {
            question: sides.question,
            arms: sides.arms,
            named: [sides.base, args.candidate.clone()],
            settings,
            blocks: sides.blocks,
            at_most: options.at_most,
            seed: sides.seed,
            placement,
            in_place: args.in_place,
            out: options.out.clone().unwrap_or_else(|| default_out(&name)),
            command: command_line(),
        };
        let counter = counted.then(|| instructions::counter(&request)).transpose()?;
        let remarks = remarks.into_iter().collect();
        Ok(Plan { request, against: sides.against, counter, remarks })
    }
}

/// Stored runs bring their own scenario and seed.
fn stored(args: &Args, transports: &[ArmSpec], common: &sides::SideOptions<'_>) -> Result<Sides> {
    let options = &args.options;
    let GateOptions { scenario, set, seed, .. } = options;
    if scenario.is_some() || !set.is_empty() || seed.is_some() {
        return Err(Error::usage(
            "--against uses the scenario and the seed of the stored run: leave out --scenario, --set and --seed",
        ));
    }
    let [transport] = transports else {
        return Err(Error::usage(
            "--against compares one transport at a time: give --transport once",
        ));
    };
    let found = Against::find(&args.against, transport)?;
    let program = sides::one("--candidate", &args.candidate, transport, common)?;
    let candidate = sides::arm(verdict::CANDIDATE, transport, program);
    Ok(Sides {
        question: against::question(&found.header),
        arms: against::arms(&candidate, &found.header),
        seed: found.header.seed,
        blocks: options
            .blocks_against(found.header.points.first().map_or(0, |p| p.blocks_planned())),
        base: match &found.dirs[..] {
            [dir] => format!("{} of {}", found.arm, dir.display()),
            dirs => format!("{} of {} runs", found.arm, dirs.len()),
        },
        against: Some(found),
    })
}

fn common<'a>(args: &'a Args, placement: &Placement) -> Result<sides::SideOptions<'a>> {
    let matching = match args.matching.as_deref() {
        None | Some("id") => Matching::Id,
        Some("order") => Matching::Order,
        Some(other) => {
            return Err(Error::usage(format!(
                "--match {other}: write id where answers carry the event's id, else order"
            )));
        }
    };
    let sides = args.base.iter().chain([&args.candidate]);
    if args.path.is_some() || args.matching.is_some() {
        let option = if args.path.is_some() { "--path" } else { "--match" };
        if sides.into_iter().all(|text| sides::is_name(text)) {
            return Err(Error::usage(format!(
                "{option} applies to commands, and a target defines its own: leave it out"
            )));
        }
    }
    let builtin = BuiltinOptions { threads: placement.target.len(), ..BuiltinOptions::default() };
    Ok(sides::SideOptions {
        path: args.path.as_deref(),
        matching,
        builtin,
        allow_hosts: &args.allow_host,
    })
}

/// Reports a given file of nulls that has too few nulls for a margin.
fn of_nulls(named: Option<&Path>, settings: &Settings) -> Option<String> {
    let from_default = |m: &verdict::Margin| match m.source {
        MarginSource::Default { nulls } => Some(nulls),
        MarginSource::Nulls { .. } | MarginSource::Fixed => None,
    };
    let most =
        settings.margins.iter().map(from_default).collect::<Option<Vec<_>>>()?.into_iter().max()?;
    let file = named.map(PathBuf::from).or_else(|| {
        let usual = PathBuf::from(nulls::FILE);
        usual.exists().then_some(usual)
    })?;
    Some(format!(
        "{}: {most} nulls of this kind of machine, scenario and transport, {} are needed: the margin is the \
         default one; more come from `pushbench qualify`",
        file.display(),
        verdict::margin::FEWEST_NULLS
    ))
}
