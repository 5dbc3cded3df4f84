//! `pushbench verify`

use crate::cli::target_options;
use crate::cli::target_options::TargetOptions;
use crate::cli::{interrupt_flag, print};
use crate::run::arms;
use crate::verify::{Subject, VerifyContext, full};
use pushbench_analysis::compare::verified::{Verified, verified};
use pushbench_core::arm::ArmSpec;
use pushbench_core::error::{Error, Result};
use pushbench_core::event::Template;
use pushbench_core::record::findings::Aspect;
use pushbench_core::scenario::Override;
use pushbench_core::suggest::did_you_mean;
use pushbench_host::console::error_line;
use pushbench_host::cpus::Placement;
use pushbench_host::input;
use pushbench_report::findings;
use pushbench_sut::manifest;
use pushbench_sut::manifest::{BuiltinOptions, Listed};
use std::time::Duration;

/// How long an answer may take that shows how it is matched.
const TIMEOUT: Duration = Duration::from_secs(5);
const FORMATS: [&str; 2] = ["text", "json"];

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names of targets, each with every transport it serves; or arms
    targets: Vec<String>,
    /// Arm to check, TRANSPORT@TARGET; may be repeated
    #[arg(long = "arm", value_name = "ARM")]
    arms: Vec<String>,
    /// A JSON file whose event is sent instead of a generated one (payload.file)
    #[arg(long, value_name = "FILE")]
    event: Option<String>,
    /// text or json
    #[arg(long, default_value = "text")]
    format: String,
    /// CPUs of driver and targets, such as driver=1,target=0
    #[arg(long, value_name = "LIST")]
    cpus: Option<String>,
    /// Allows a target on this host; only loopback is allowed otherwise
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    #[command(flatten)]
    target: TargetOptions,
}

/// 0 when every arm acknowledges the known events exactly once, whatever else differs; otherwise 3.
pub fn run(args: &Args) -> Result<u8> {
    if !FORMATS.contains(&args.format.as_str()) {
        return Err(Error::usage(format!(
            "--format {}: no such format{}; there are {}",
            args.format,
            did_you_mean(&args.format, FORMATS),
            FORMATS.join(", ")
        )));
    }
    let placement = match &args.cpus {
        Some(text) => Placement::parse(text)?,
        None => Placement::automatic(),
    };
    let threads = placement.target.len();
    let builtin = BuiltinOptions { threads, ..BuiltinOptions::default() };
    let template = template(args.event.as_deref())?;
    let given = args.target.target(&args.allow_host)?;
    let names = target_options::names(given.as_ref(), &named(args)?, || {
        arms::DEFAULT.map(str::to_owned).to_vec()
    });
    let mut arms = arms::find(&names, &builtin, &args.allow_host, given.as_ref())?;
    let interrupt = interrupt_flag()?;
    target_options::remark(given.as_ref()).into_iter().for_each(error_line);
    let context =
        VerifyContext { cpus: &placement.target, interrupt: &interrupt, template: &template };
    arms::prepare(&mut arms, &context, TIMEOUT, &mut error_line)?;
    let subjects: Vec<Subject<'_>> = arms.iter().map(arms::Arm::subject).collect();
    let all = verified(&full(&subjects, &context)?);
    print(&match args.format.as_str() {
        "json" => findings::json(&all),
        _ => findings::text(&all),
    })?;
    match not_exact(&all) {
        Some(why) => Err(Error::target(why)),
        None => Ok(0),
    }
}

/// The arms that did not acknowledge each valid event once, and what was found.
fn not_exact(all: &Verified) -> Option<String> {
    let row = all.rows.iter().find(|row| row.aspect == Aspect::ExactlyOnce);
    let wrong = |(i, exact): (usize, &bool)| {
        let found = row.and_then(|row| row.arms.get(i)?.as_ref()?.detail.as_deref());
        let found = found.unwrap_or("it was not tested");
        (!exact).then(|| {
            format!("{}: not every event was acknowledged exactly once: {found}", all.arms[i])
        })
    };
    let wrong: Vec<String> = all.exactly_once.iter().enumerate().filter_map(wrong).collect();
    (!wrong.is_empty()).then(|| wrong.join("\n"))
}

/// Makes the events of the scenario `ingest`, or the user's own.
fn template(file: Option<&str>) -> Result<Template> {
    let own = file.map(|path| Override {
        key: "payload.file".to_owned(),
        value: path.to_owned(),
        origin: format!("--event {path}"),
    });
    let overrides: Vec<Override> = own.into_iter().collect();
    let question = input::scenario("ingest", &overrides)?;
    let payload = question.points.first().map(|p| Template::of(&p.scenario));
    payload.ok_or_else(|| Error::harness("the scenario ingest has no point: please report it"))
}

/// The arms of `--arm`, then those of each target.
fn named(args: &Args) -> Result<Vec<String>> {
    let mut names = args.arms.clone();
    if !args.targets.is_empty() {
        let known = manifest::list()?;
        for target in &args.targets {
            match target.contains('@') {
                true => names.push(target.clone()),
                false => names.extend(of_target(target, &known)?),
            }
        }
    }
    Ok(names)
}

/// An arm for each transport that the target serves.
fn of_target(target: &str, known: &[Listed]) -> Result<Vec<String>> {
    let names = || known.iter().map(|known| known.name.as_str());
    let Some(found) = known.iter().find(|known| known.name == target) else {
        return Err(Error::usage(format!(
            "no target is called \"{target}\"{}; there are {}; your own server is \
             described in {} in the working directory",
            did_you_mean(target, names()),
            names().collect::<Vec<_>>().join(", "),
            manifest::OWN_FILE
        )));
    };
    if let Some(mistake) = found.serves.iter().find_map(|(_, read)| read.as_ref().err()) {
        return Err(Error::usage(mistake.to_string()));
    }
    // A transport that only delivers to subscribers cannot be verified.
    let takes = |left: &&String| {
        ArmSpec::parse_left(left, target).is_ok_and(|spec| spec.transport.carrier().is_some())
    };
    let transports = found.serves.iter().map(|(transport, _)| transport);
    let arms: Vec<String> = transports.filter(takes).map(|t| format!("{t}@{target}")).collect();
    match found.serves.first().filter(|_| arms.is_empty()) {
        Some((transport, _)) => Err(Error::usage(format!(
            "{target} only delivers events to subscribers, and verify sends events to a target: measure it with \
             pushbench run fanout --arm {transport}@{target}"
        ))),
        None => Ok(arms),
    }
}
