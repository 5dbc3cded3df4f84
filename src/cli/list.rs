//! `pushbench list`

use crate::cli::formats::Stored;
use crate::cli::print;
use clap::builder::{PossibleValue, TypedValueParser as _};
use pushbench_core::arm::ArmOption;
use pushbench_core::error::{Error, Result};
use pushbench_core::reach::PATHS;
use pushbench_core::record::metrics::METRICS;
use pushbench_core::scenario;
use pushbench_core::scenario::{Flow, keys};
use pushbench_core::suggest::did_you_mean;
use pushbench_core::transport;
use pushbench_core::transport::Transport;
use pushbench_report;
use pushbench_report::visible::visible;
use pushbench_sut::manifest;
use pushbench_sut::manifest::Listed;
use pushbench_sut::proxy;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// scenarios, targets, proxies, transports, options (of arms), paths (of reach), formats, metrics, keys, or schema
    /// (of scenario files)
    what: String,
    /// With targets: lines of code, dependencies and duties of each
    #[arg(long)]
    ease: bool,
}

const KINDS: [&str; 10] = [
    "scenarios",
    "targets",
    "proxies",
    "transports",
    "options",
    "paths",
    "formats",
    "metrics",
    "keys",
    "schema",
];

pub fn run(args: &Args) -> Result<()> {
    if args.ease {
        return match args.what.as_str() {
            "targets" => ease(),
            _ => {
                Err(Error::usage("--ease applies to targets: write pushbench list targets --ease"))
            }
        };
    }
    let rows: Vec<(String, String)> = match args.what.as_str() {
        "scenarios" => scenarios()?,
        "targets" => return targets(),
        "proxies" => return proxies(),
        "transports" => {
            transport::ALL.iter().map(|t| (t.name().into(), transport_row(*t))).collect()
        }
        "options" => {
            ArmOption::ALL.iter().map(|o| (format!("+{}", o.written()), o.about().into())).collect()
        }
        "paths" => PATHS.iter().map(|path| (path.name.into(), path.about.into())).collect(),
        "formats" => {
            let about = |value: &PossibleValue| value.get_help().map(ToString::to_string);
            let row = |value: PossibleValue| {
                (value.get_name().to_owned(), about(&value).unwrap_or_default())
            };
            Stored.possible_values().into_iter().flatten().map(row).collect()
        }
        "metrics" => METRICS.iter().map(metric).collect(),
        "keys" => {
            keys::all().map(|k| (k.path.into(), format!("{}: {}", k.takes(), k.about))).collect()
        }
        "schema" => return print(&format!("{:#}\n", scenario::schema::schema())),
        other => {
            return Err(Error::usage(format!(
                "there is no list of \"{other}\"{}; there are {}",
                did_you_mean(other, KINDS),
                KINDS.join(", ")
            )));
        }
    };
    print(&table(&rows))
}

fn table(rows: &[(String, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    rows.iter().map(|(name, about)| format!("{name:<width$}  {about}\n")).collect()
}

/// Which flows it serves, and what it is.
fn transport_row(transport: Transport) -> String {
    let flows = Flow::ALL.into_iter().filter(|flow| transport.serves(*flow)).map(Flow::name);
    format!("{}: {}", flows.collect::<Vec<_>>().join(", "), transport.about())
}

fn scenarios() -> Result<Vec<(String, String)>> {
    scenario::shipped()
        .map(|(name, _)| Ok((name.to_owned(), scenario::load(name, &[])?.question)))
        .collect()
}

/// The targets and what each serves; an invalid one is shown with its error and fails the command.
fn targets() -> Result<()> {
    let all = manifest::list()?;
    let mut rows = Vec::new();
    for target in &all {
        let served = target.serves.iter().filter(|(_, read)| read.is_ok());
        let served: Vec<&str> = served.map(|(transport, _)| transport.as_str()).collect();
        if !served.is_empty() {
            rows.push((target.name.clone(), served.join(", ")));
        }
        for (transport, mistake) in mistakes(target) {
            let of = if transport.is_empty() { "" } else { " in " };
            for line in mistake.to_string().lines() {
                rows.push((target.name.clone(), format!("mistaken{of}{transport}: {line}")));
            }
        }
    }
    print(&visible(&table(&rows)))?;
    mended(all.iter().flat_map(mistakes).count(), "targets")
}

/// The proxies and what each is; one that is mistaken is shown with its error and fails the command.
fn proxies() -> Result<()> {
    let all = proxy::list()?;
    let mut rows = Vec::new();
    for (name, read) in &all {
        match read {
            Ok(proxy) => {
                let (kind, about) = (proxy.kind.name(), &proxy.about);
                let colon = if about.is_empty() { "" } else { ": " };
                rows.push((name.clone(), format!("{kind}{colon}{about}")));
            }
            Err(mistake) => {
                rows.extend(
                    mistake.to_string().lines().map(|l| (name.clone(), format!("mistaken: {l}"))),
                );
            }
        }
    }
    print(&visible(&table(&rows)))?;
    mended(all.values().filter(|read| read.is_err()).count(), "proxies")
}

fn mistakes(target: &Listed) -> impl Iterator<Item = (&str, &Error)> {
    target.serves.iter().filter_map(|(t, read)| Some((t.as_str(), read.as_ref().err()?)))
}

/// After the list was shown, an invalid description gives the exit code that a run of it would give.
fn mended(mistaken: usize, what: &str) -> Result<()> {
    match mistaken {
        0 => Ok(()),
        n => Err(Error::usage(format!(
            "{} has {n} mistaken description{}, shown above with what to write; other {what} can be run",
            manifest::OWN_FILE,
            if n == 1 { "" } else { "s" }
        ))),
    }
}

fn ease() -> Result<()> {
    let head = ["target", "transport", "lines of code", "packages direct", "all", "duties"];
    let mut grid = vec![head.map(str::to_owned).to_vec()];
    let number = |n: Option<usize>| n.map_or("–".to_owned(), |n| n.to_string());
    let all = manifest::list()?;
    for target in &all {
        for (transport, read) in &target.serves {
            let ease = match read {
                Ok(ease) => ease.as_ref(),
                Err(_) => continue,
            };
            let packages = ease.and_then(|e| e.dependencies);
            let duties = match ease.and_then(|e| e.duties.as_deref()) {
                None => "–".to_owned(),
                Some([]) => "none".to_owned(),
                Some(duties) => duties.iter().map(|d| d.name()).collect::<Vec<_>>().join(", "),
            };
            grid.push(vec![
                visible(&target.name),
                transport.clone(),
                number(ease.and_then(|e| e.lines_of_code)),
                number(packages.and_then(|p| p.direct)),
                number(packages.map(|p| p.all)),
                duties,
            ]);
        }
    }
    print(&pushbench_report::text::align(&grid, 2, 1))?;
    match all.iter().flat_map(mistakes).next() {
        None => Ok(()),
        Some((_, mistake)) => Err(Error::usage(mistake.to_string())),
    }
}

fn metric(m: &pushbench_core::record::metrics::Metric) -> (String, String) {
    let better = if m.more_is_better { "more is better" } else { "less is better" };
    (m.name.into(), format!("{} ({}, {better})", m.about, m.unit.name()))
}
