//! Publishers that misbehave: every delivery has the fate that theory gives it, and no other.

use crate::selftest::{Lab, Line, load};
use pushbench_core::error::{Error, Result};
use pushbench_core::record::trial::Trial;
use pushbench_core::scenario::{Arrivals, Subscribers};
use pushbench_core::transport::CARRIERS;
use pushbench_faults::publisher::counts::Counts;
use pushbench_faults::publisher::mischief::Mischief;
use pushbench_faults::publisher::{Conduct, Ear, Tally};
use pushbench_load::stretch::Member;
use pushbench_sut::manifest::Manifest;
use pushbench_sut::publisher::new_token;
use std::io;
use std::time::Duration;

pub const ABOUT: &str = "publishers that drop every fifth delivery, make it twice, or behind the next one: \
     the record's counts are exactly those, and those of the publisher's own tally";

const MISCHIEF: [Mischief; 3] = [Mischief::Drop, Mischief::Twice, Mischief::Swap];
/// No divisor of five, so that each misses other events.
const SUBSCRIBERS: u64 = 7;
const RATE: f64 = 200.0;
const WARMUP_MS: u64 = 50;
const MEASURED_MS: u64 = 150;
/// A stall of the machine this long would time out what the publisher delivers.
const TIMEOUT: Duration = Duration::from_secs(1);
/// The transports take turns, so that they wait for their time-outs together.
const SLICE: Duration = Duration::from_millis(10);

pub fn run(lab: &Lab<'_>) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for mischief in MISCHIEF {
        let ears = CARRIERS.map(|_| Ear::new());
        let ears = ears.into_iter().collect::<io::Result<Vec<_>>>().map_err(deaf)?;
        let members = ears.iter().enumerate().map(|(i, ear)| member(lab, i, mischief, ear));
        let members = members.collect::<Result<Vec<_>>>()?;
        let mut load = load(Arrivals::Constant, Some(RATE), WARMUP_MS, MEASURED_MS);
        load.timeout = TIMEOUT;
        let trials = lab.measure(&lab.stretch(members, load, Some(SLICE)))?;
        for (trial, ear) in trials.iter().zip(&ears) {
            lines.push(line(mischief, trial, ear.last().map_err(deaf)?));
        }
    }
    Ok(lines)
}

fn deaf(e: io::Error) -> Error {
    Error::harness(format!("cannot hear what a misbehaving publisher tells: {e}"))
}

fn member(lab: &Lab<'_>, arm: usize, mischief: Mischief, ear: &Ear) -> Result<Member> {
    let transport = CARRIERS[arm].transport();
    let conduct = Conduct { transport, mischief, acknowledged: true, token: new_token()? };
    let subscribers = Subscribers { count: SUBSCRIBERS as usize, ..Subscribers::default() };
    let words = ear.words(&conduct).map_err(deaf)?;
    let program = Manifest::this_program(mischief.name(), transport.name(), words);
    Ok(Member {
        label: format!("{}@{}", transport.name(), mischief.name()),
        manifest: program.publishing(transport.name(), "127.0.0.1:{port}", &conduct.token),
        // Events are published in their order.
        connections: 1,
        subscribers: Some(subscribers),
        ..lab.member(arm, transport, None)
    })
}

fn line(mischief: Mischief, trial: &Trial, tally: Option<Tally>) -> Line {
    let events = RATE as u64 * (WARMUP_MS + MEASURED_MS) / 1_000;
    let theory = mischief.theory(events, SUBSCRIBERS, true);
    let (counted, expected) = (Counts::of(trial), Counts::told(&theory, SUBSCRIBERS));
    let did = tally == Some(theory);
    let own = match tally {
        _ if did => String::new(),
        Some(tally) => format!(", but the publisher tells {tally:?}"),
        None => ", but the publisher has not told".to_owned(),
    };
    let name = CARRIERS[trial.arm].name();
    Line {
        what: format!("{name}: the publisher {}", mischief.about()),
        measured: counted.as_ref().map_or("no fan-out".to_owned(), Counts::to_string),
        theory: format!("{expected}{own}"),
        ok: did && counted.is_some_and(|c| c == expected),
    }
}
