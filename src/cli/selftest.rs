//! `pushbench selftest`

use super::{interrupt_flag, print};
use crate::cpus::{Cpus, Placement};
use crate::error::{Error, Result};
use crate::selftest::{CHECKS, Check, Lab, Line};
use crate::suggest::did_you_mean;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Runs this check alone: freeze, delay, agree, pacing, fates or deliveries; may be repeated
    #[arg(long, value_name = "CHECK")]
    only: Vec<String>,
    /// CPUs of driver and targets, such as driver=1,target=0
    #[arg(long, value_name = "LIST")]
    cpus: Option<String>,
    /// Seed of the schedules
    #[arg(long, value_name = "N", default_value_t = 7)]
    seed: u64,
}

/// Runs the checks; 0 when all agree with theory, else 1.
pub fn run(args: &Args) -> Result<u8> {
    let checks = chosen(&args.only)?;
    let placement = match &args.cpus {
        Some(text) => Placement::parse(text)?,
        None => Placement::automatic(),
    };
    let interrupt = interrupt_flag()?;
    let lab = Lab { placement: &placement, interrupt: &interrupt, seed: args.seed };
    print(&format!(
        "driver on CPU {}, target on CPU {}\n",
        Cpus(&placement.driver),
        Cpus(&placement.target)
    ))?;
    let mut wrong = 0;
    for check in checks {
        print(&format!("\n{}: {}\n", check.name, check.about))?;
        let lines = check.run(&lab)?;
        wrong += lines.iter().filter(|l| !l.ok).count();
        print(&shown(&lines))?;
    }
    print(&match wrong {
        0 => "\nThe instrument measures what theory says.\n".to_owned(),
        n => format!(
            "\n{n} figures disagree with theory: do not trust this machine's results until this is understood.\n"
        ),
    })?;
    Ok(u8::from(wrong > 0))
}

fn chosen(names: &[String]) -> Result<Vec<Check>> {
    if names.is_empty() {
        return Ok(CHECKS.to_vec());
    }
    let known = || CHECKS.iter().map(|c| c.name);
    let find = |name: &String| {
        CHECKS.iter().find(|c| c.name == name).copied().ok_or_else(|| {
            Error::usage(format!(
                "--only {name}: no such check{}; there are {}",
                did_you_mean(name, known()),
                known().collect::<Vec<_>>().join(", ")
            ))
        })
    };
    names.iter().map(find).collect()
}

fn shown(lines: &[Line]) -> String {
    let width =
        |of: fn(&Line) -> &str| lines.iter().map(|l| of(l).chars().count()).max().unwrap_or(0);
    let (what, measured, theory) =
        (width(|l| &l.what), width(|l| &l.measured), width(|l| &l.theory));
    let line = |l: &Line| {
        let verdict = if l.ok { "ok" } else { "WRONG" };
        format!(
            "  {:<what$}   {:>measured$}   theory: {:<theory$}   {verdict}\n",
            l.what, l.measured, l.theory
        )
    };
    lines.iter().map(line).collect()
}
