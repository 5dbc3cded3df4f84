//! `pushbench list`

use super::print;
use crate::error::{Error, Result};
use crate::record::metrics::METRICS;
use crate::scenario::{self, Flow, keys};
use crate::suggest::did_you_mean;
use crate::transport::{self, Transport};
use crate::{report, target};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// scenarios, targets, transports, formats, metrics, keys, or schema (of scenario files)
    what: String,
    /// With targets: how much each is to write and to keep
    #[arg(long)]
    ease: bool,
}

const KINDS: [&str; 7] =
    ["scenarios", "targets", "transports", "formats", "metrics", "keys", "schema"];

pub fn run(args: &Args) -> Result<()> {
    if args.ease {
        return match args.what.as_str() {
            "targets" => print(&ease()?),
            _ => Err(Error::usage("--ease is about targets: pushbench list targets --ease")),
        };
    }
    let rows: Vec<(String, String)> = match args.what.as_str() {
        "scenarios" => scenarios()?,
        "targets" => targets()?,
        "transports" => {
            transport::ALL.iter().map(|t| (t.name().into(), transport_row(*t))).collect()
        }
        "formats" => report::ALL.iter().map(|f| (f.name().into(), f.about().into())).collect(),
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
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let lines = rows.iter().map(|(name, about)| format!("{name:<width$}  {about}\n"));
    print(&lines.collect::<String>())
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

fn targets() -> Result<Vec<(String, String)>> {
    let row = |(name, transports): (String, Vec<String>)| (name, transports.join(", "));
    Ok(target::manifest::names()?.into_iter().map(row).collect())
}

fn ease() -> Result<String> {
    let head = ["target", "transport", "lines of code", "packages direct", "all", "duties"];
    let mut grid = vec![head.map(str::to_owned).to_vec()];
    let number = |n: Option<usize>| n.map_or("–".to_owned(), |n| n.to_string());
    for row in target::ease::all()? {
        let ease = row.ease.as_ref();
        let packages = ease.and_then(|e| e.dependencies);
        let duties = match ease.and_then(|e| e.duties.as_deref()) {
            None => "–".to_owned(),
            Some([]) => "none".to_owned(),
            Some(duties) => duties.iter().map(|d| d.name()).collect::<Vec<_>>().join(", "),
        };
        grid.push(vec![
            report::visible::visible(&row.target),
            row.transport,
            number(ease.and_then(|e| e.lines_of_code)),
            number(packages.and_then(|p| p.direct)),
            number(packages.map(|p| p.all)),
            duties,
        ]);
    }
    Ok(report::text::align(&grid, 2, 1))
}

fn metric(m: &crate::record::metrics::Metric) -> (String, String) {
    let better = if m.more_is_better { "more is better" } else { "less is better" };
    (m.name.into(), format!("{} ({}, {better})", m.about, m.unit.name()))
}
