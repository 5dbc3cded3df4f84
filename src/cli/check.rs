//! `pushbench check`

use crate::cli::print;
use crate::cli::run::{SEED, default_arms};
use crate::run;
use crate::run::arms::builtin;
use crate::run::{Request, arms, slots};
use pushbench_core::error::{Error, Result};
use pushbench_core::event::Matched;
use pushbench_core::origin::read_toml;
use pushbench_core::record::sizing::{MOST_BLOCKS, PILOT_BLOCKS};
use pushbench_core::scenario::{Blocks, Scenario};
use pushbench_core::suggest::did_you_mean;
use pushbench_core::visible;
use pushbench_host::cpus::Placement;
use pushbench_host::input;
use pushbench_sut::manifest;
use pushbench_sut::manifest::{Described, Manifest, OWN_FILE};
use pushbench_sut::proxy;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

const FORMATS: [&str; 2] = ["text", "json"];

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Scenarios (files or shipped names) and descriptions of targets and proxies [default: pushbench.toml]
    #[arg(value_name = "FILE")]
    files: Vec<String>,
    /// Arm with which a scenario would be run, TRANSPORT@TARGET; may be repeated
    #[arg(long = "arm", value_name = "ARM")]
    arms: Vec<String>,
    /// Allows a target on this host; only loopback is allowed otherwise
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    /// text or json
    #[arg(long, default_value = "text")]
    format: String,
}

/// What a file holds: as text, as JSON, and its mistakes.
struct Checked {
    text: String,
    json: Value,
    mistakes: Vec<String>,
}

/// Shows what is valid and fails with every mistake, each with its place.
pub fn run(args: &Args) -> Result<()> {
    if !FORMATS.contains(&args.format.as_str()) {
        return Err(Error::usage(format!(
            "--format {}: no such format{}; there are {}",
            args.format,
            did_you_mean(&args.format, FORMATS),
            FORMATS.join(", ")
        )));
    }
    let files = match args.files.is_empty() {
        false => args.files.clone(),
        true if Path::new(OWN_FILE).exists() => vec![OWN_FILE.to_owned()],
        true => {
            return Err(Error::usage(format!(
                "there is no {OWN_FILE} here to check: name a file, for example pushbench check my.toml, or write \
                 one with `pushbench init`"
            )));
        }
    };
    let all: Vec<Checked> = files.iter().map(|file| check(file, args)).collect();
    print(&match args.format.as_str() {
        "json" => {
            let files: Vec<&Value> = all.iter().map(|checked| &checked.json).collect();
            format!("{:#}\n", json!({ "schema": 1, "files": files }))
        }
        _ => visible::visible(&all.iter().map(|checked| checked.text.as_str()).collect::<String>()),
    })?;
    let mistakes: Vec<String> = all.into_iter().flat_map(|checked| checked.mistakes).collect();
    if mistakes.is_empty() { Ok(()) } else { Err(Error::usage(mistakes.join("\n"))) }
}

fn check(file: &str, args: &Args) -> Checked {
    let (kind, checked) = match descriptions(file) {
        Some(text) => ("targets", text.and_then(|text| targets(file, &text))),
        None => ("scenario", scenario(file, args)),
    };
    let mut checked = checked.unwrap_or_else(|mistake| Checked {
        text: String::new(),
        json: json!({}),
        mistakes: vec![mistake.to_string()],
    });
    checked.json["file"] = json!(file);
    checked.json["kind"] = json!(kind);
    checked.json["mistakes"] = json!(checked.mistakes);
    checked
}

/// The text of a file that describes targets or proxies: it has such a table, or the name of such a file.
fn descriptions(file: &str) -> Option<Result<String>> {
    let named = Path::new(file).file_name().is_some_and(|name| name == OWN_FILE);
    match input::text(Path::new(file), input::WRITTEN) {
        Ok(text) => {
            let holds = read_toml(file, &text).is_ok_and(|t| {
                t.iter().any(|(k, _)| ["target", "proxy"].contains(&k.get_ref().as_ref()))
            });
            (named || holds).then_some(Ok(text))
        }
        Err(e) => named.then(|| Err(e.into())),
    }
}

fn targets(file: &str, text: &str) -> Result<Checked> {
    let found = manifest::described(file, text)?;
    let mut rows = Vec::new();
    let (mut valid, mut mistakes) = (Vec::new(), Vec::new());
    for Described { target, transport, read } in found {
        let manifest = match read {
            Ok(manifest) => manifest,
            Err(mistake) => {
                mistakes.extend(mistake.to_string().lines().map(str::to_owned));
                continue;
            }
        };
        let arm = format!("{transport}@{target}");
        let matched = matched(&manifest);
        let host = Some(manifest.host()).filter(|host| host != "loopback");
        let far = host
            .as_ref()
            .map(|host| format!(", which a run sends to only with --allow-host {host}"));
        let (starts, far) = (starts(&manifest), far.unwrap_or_default());
        rows.push(vec![arm.clone(), starts, format!("{}, {matched}{far}", manifest.url)]);
        valid.push(json!({
            "arm": arm,
            "command": manifest.command,
            "setup": manifest.setup,
            "url": manifest.url,
            "matched": if manifest.match_left_out { Value::Null } else { json!(matched) },
        }));
    }
    let mut proxies = Vec::new();
    for (name, read) in proxy::described_in(file, text)? {
        match read {
            Ok(proxy) => {
                let (kind, command) = (proxy.kind.name(), proxy.command_line());
                rows.push(vec![format!("proxy {name}"), visible::line(&command), kind.to_owned()]);
                proxies.push(json!({ "proxy": name, "kind": kind, "command": command }));
            }
            Err(mistake) => mistakes.extend(mistake.to_string().lines().map(str::to_owned)),
        }
    }
    let text = match rows.is_empty() {
        true => format!("{file}: no valid target or proxy\n"),
        false => {
            let table = pushbench_report::text::align(&rows, 3, 0);
            format!("{file}: {} valid\n{}", rows.len(), indented(&table))
        }
    };
    mistakes.sort_by_key(|mistake| place(file, mistake));
    Ok(Checked { text, json: json!({ "targets": valid, "proxies": proxies }), mistakes })
}

/// Line and column of a mistake, to show mistakes from the top of the file to its end.
fn place(file: &str, mistake: &str) -> (usize, usize) {
    let rest =
        mistake.strip_prefix(file).and_then(|rest| rest.strip_prefix(':')).unwrap_or_default();
    let mut numbers = rest.split(':').map(|n| n.parse().unwrap_or(usize::MAX));
    (numbers.next().unwrap_or(usize::MAX), numbers.next().unwrap_or(usize::MAX))
}

fn matched(manifest: &Manifest) -> String {
    match manifest.matched() {
        _ if manifest.match_left_out => "match left out: the first look finds it".to_owned(),
        Matched::ByOrder => "matched by order".to_owned(),
        Matched::ById => "matched by id".to_owned(),
        Matched::ByIdAt(pointer) => format!("matched by id at {pointer}"),
        Matched::ByPattern(answer) if answer.has_id() => "matched by id in its answers".to_owned(),
        Matched::ByPattern(_) => "matched by the order of its answers".to_owned(),
    }
}

/// What would be started, without the values of its environment: they may be secrets.
fn starts(manifest: &Manifest) -> String {
    match &manifest.command {
        None => "running already".to_owned(),
        Some(words) => visible::line(&shell_words::join(words)).replace("'{port}'", "{port}"),
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {}\n", line.trim_end())).collect()
}

fn scenario(file: &str, args: &Args) -> Result<Checked> {
    let question = input::scenario(file, &[])?;
    let placement = Placement::automatic();
    let options = builtin(&question, &placement)?;
    let names = if args.arms.is_empty() { default_arms(&question) } else { args.arms.clone() };
    let arms = arms::find(&names, &options, &args.allow_host, None)?;
    let request =
        Request { question, arms, seed: SEED, placement, out: PathBuf::new(), command: Vec::new() };
    run::check(&request)?;
    Ok(plan(file, &request))
}

fn plan(file: &str, Request { question, arms, .. }: &Request) -> Checked {
    let scenarios = || question.points.iter().map(|p| &p.scenario);
    let (least, most) = run::estimates(question, arms.len());
    let blocks = span(scenarios().map(planned));
    let connections =
        span(arms.iter().flat_map(|arm| scenarios().map(|s| slots(arm, s).0.to_string())));
    let subscribers =
        span(scenarios().filter_map(|s| Some(s.subscribers.as_ref()?.count.to_string())));
    let first = scenarios().next();
    let trial = first.map_or(Duration::ZERO, |s| s.load.warmup + s.load.duration);
    let takes = match most > least {
        true => format!(
            "at least about {}, at most about {}: the first {PILOT_BLOCKS} blocks say how many are needed",
            shown(least),
            shown(most)
        ),
        false => format!("at least about {}", shown(least)),
    };
    let mut rows = vec![vec!["question".to_owned(), question.question.clone()]];
    let starts = |arm: &arms::Arm| vec![arm.label.clone(), starts(&arm.manifest)];
    rows.extend(arms.iter().map(starts));
    rows.push(vec!["points".to_owned(), question.points.len().to_string()]);
    rows.push(vec!["blocks".to_owned(), format!("{blocks} for each point")]);
    let each = format!("{} for each arm of a block, with its warm-up", shown(trial));
    rows.push(vec!["trial".to_owned(), each]);
    rows.push(vec!["connections".to_owned(), format!("{connections} for each arm")]);
    if !subscribers.is_empty() {
        rows.push(vec!["subscribers".to_owned(), format!("{subscribers} for each arm")]);
    }
    let other = "; the starts of the targets and blocks in the place of void ones come on top";
    rows.push(vec!["takes".to_owned(), format!("{takes}{other}")]);
    let table = pushbench_report::text::align(&rows, 2, 0);
    let arm = |arm: &arms::Arm| json!({ "arm": arm.label, "command": arm.manifest.command, "url": arm.manifest.url });
    let per_arm = |s: &Scenario| arms.iter().map(|arm| slots(arm, s).0).collect::<Vec<_>>();
    let json = json!({
        "scenario": question.name,
        "question": question.question,
        "arms": arms.iter().map(arm).collect::<Vec<_>>(),
        "points": question.points.len(),
        "blocks": scenarios().map(run::first_planned).collect::<Vec<_>>(),
        "connections": scenarios().map(per_arm).collect::<Vec<_>>(),
        "seconds_at_least": least.as_secs_f64(),
        "seconds_at_most": (most > least).then_some(most.as_secs_f64()),
    });
    Checked { text: format!("{file}: valid\n{}", indented(&table)), json, mistakes: Vec::new() }
}

/// The blocks of a point.
fn planned(scenario: &Scenario) -> String {
    match scenario.compare.blocks {
        Blocks::Fixed(n) => n.to_string(),
        Blocks::Auto { .. } => format!("{PILOT_BLOCKS} to {MOST_BLOCKS}"),
    }
}

/// The different values of the points, in their order.
fn span(values: impl Iterator<Item = String>) -> String {
    let mut different: Vec<String> = Vec::new();
    for value in values {
        if !different.contains(&value) {
            different.push(value);
        }
    }
    different.join(", ")
}

/// Seconds, and from two minutes on minutes.
fn shown(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds < 10.0 => format!("{seconds:.1} s"),
        seconds if seconds < 120.0 => format!("{seconds:.0} s"),
        seconds => format!("{:.0} min", seconds / 60.0),
    }
}
