//! Probes of every transport with unusual or invalid messages.

use crate::verify::answer::Answer;
use crate::verify::no_answer::NoAnswer;
use crate::verify::probe_connection::{ProbeConnection, ProbeTarget, WriteMode};
use pushbench_core::event::Matching;
use pushbench_core::record::findings::{Aspect, Finding};
use std::time::Duration;
use std::time::Instant;

/// No JSON, and nothing that could be taken for an id.
const MALFORMED: &[u8] = b"{\"this is no event";
/// How long a target that sends messages of its own is listened to before it is sent anything …
const GREETING: Duration = Duration::from_millis(100);
/// … and how many of them are taken then.
const MOST_GREETINGS: usize = 100;
/// How often a probe is attempted that a target fails at.
const ATTEMPTS: usize = 3;
/// Size of a large event.
const LARGE_BYTES: usize = 1 << 20;

/// A new connection, behind whatever the target greets with.
fn opened<'a, T: ProbeConnection<'a>>(target: &ProbeTarget<'a>) -> Result<T, NoAnswer> {
    let mut connection = T::open(target)?;
    if T::PIPELINED && target.sends_unmatched() {
        for _ in 0..MOST_GREETINGS {
            match connection.answer(GREETING) {
                Ok(_) => {}
                Err(NoAnswer::TimedOut) => break,
                Err(failure) => return Err(failure),
            }
        }
    }
    Ok(connection)
}

/// Repeats a probe: a target may fail occasionally for any message, which is not a result
/// of the probe.
pub(super) fn attempts<R>(
    attempt: impl Fn() -> Result<R, NoAnswer>,
    answer: impl Fn(&R) -> &Answer,
) -> Result<R, NoAnswer> {
    let failed = |got: &Result<R, NoAnswer>| match got {
        Ok(got) => answer(got).fails(),
        Err(failure) => failure.ends(),
    };
    let mut got = attempt();
    for _ in 1..ATTEMPTS {
        if !failed(&got) {
            break;
        }
        got = attempt();
    }
    got
}

/// One event in a way of its own.
fn single<'a, T: ProbeConnection<'a>>(
    target: &ProbeTarget<'a>,
    mode: WriteMode,
    transform: impl Fn(Vec<u8>) -> Vec<u8>,
) -> Result<(u64, Answer), NoAnswer> {
    attempts(|| once::<T>(target, mode, &transform), |(_, answer)| answer)
}

fn once<'a, T: ProbeConnection<'a>>(
    target: &ProbeTarget<'a>,
    mode: WriteMode,
    transform: impl Fn(Vec<u8>) -> Vec<u8>,
) -> Result<(u64, Answer), NoAnswer> {
    let mut connection: T = opened(target)?;
    let (index, event) = target.event();
    connection.send(&transform(event), mode)?;
    let mut answer = connection.answer(target.time_limit())?;
    // A message that names no event may answer none: the one that does is still to come.
    let until = Instant::now() + target.time_limit();
    while T::PIPELINED && target.matching == Matching::Id && !target.acknowledges(&answer, index) {
        match connection.answer(until.saturating_duration_since(Instant::now())) {
            Ok(next) => answer = next,
            Err(_) => break,
        }
    }
    Ok((index, answer))
}

fn finding_of(
    target: &ProbeTarget<'_>,
    aspect: Aspect,
    got: Result<(u64, Answer), NoAnswer>,
) -> Finding {
    match got {
        Ok((index, answer)) if target.acknowledges(&answer, index) => {
            Finding::tested(aspect, "taken")
        }
        Ok((_, answer)) => Finding::tested(aspect, "refused").with(answer.shown()),
        Err(failure) => Finding::tested(aspect, "fails").with(failure.to_string()),
    }
}

/// An event in several frames, or in several segments.
pub(super) fn in_pieces<'a, T: ProbeConnection<'a>>(target: &ProbeTarget<'a>) -> Finding {
    finding_of(target, Aspect::InPieces, single::<T>(target, WriteMode::Pieces, |event| event))
}

/// An event of 1 MiB: blanks are as good JSON as anything, whatever the event is.
pub(super) fn large<'a, T: ProbeConnection<'a>>(target: &ProbeTarget<'a>) -> Finding {
    let padded = |mut event: Vec<u8>| {
        let end = event.len().saturating_sub(1);
        let blanks = LARGE_BYTES.saturating_sub(event.len());
        event.splice(end..end, std::iter::repeat_n(b' ', blanks));
        event
    };
    finding_of(target, Aspect::Large, single::<T>(target, WriteMode::Whole, padded))
}

/// A client that closes in the middle of an event, then another client.
pub(super) fn abrupt_close<'a, T: ProbeConnection<'a>>(target: &ProbeTarget<'a>) -> Finding {
    let vanished = T::open(target).map(|connection| connection.abort(&target.event().1));
    let next = vanished.and_then(|()| single::<T>(target, WriteMode::Whole, |event| event));
    match finding_of(target, Aspect::AbruptClose, next) {
        served if served.value == "taken" => Finding::tested(Aspect::AbruptClose, "goes on"),
        Finding { detail, .. } => {
            Finding::tested(Aspect::AbruptClose, "fails").with(detail.unwrap_or_default())
        }
    }
}

/// What is no event, and an event behind it on the same connection. `usual` is what an
/// acknowledgement of this target looks like.
pub(super) fn malformed<'a, T: ProbeConnection<'a>>(
    target: &ProbeTarget<'a>,
    usual: Option<&[u8]>,
) -> Finding {
    match malformed_exchange::<T>(target, usual) {
        Ok(finding) => finding,
        Err(NoAnswer::Closed(Some(close_reason))) => {
            Finding::tested(Aspect::Malformed, "refused and closed").with(close_reason)
        }
        Err(failure) if failure.ends() => {
            Finding::tested(Aspect::Malformed, "closed").with(failure.to_string())
        }
        Err(failure) => Finding::tested(Aspect::Malformed, "fails").with(failure.to_string()),
    }
}

fn malformed_exchange<'a, T: ProbeConnection<'a>>(
    target: &ProbeTarget<'a>,
    usual: Option<&[u8]>,
) -> Result<Finding, NoAnswer> {
    let tested = |value: &str| Finding::tested(Aspect::Malformed, value);
    let mut connection: T = opened(target)?;
    let (index, event) = target.event();
    connection.send(MALFORMED, WriteMode::Whole)?;
    if T::PIPELINED {
        connection.send(&event, WriteMode::Whole)?;
    }
    let until = Instant::now() + target.time_limit();
    let mut next_answer = || connection.answer(until.saturating_duration_since(Instant::now()));
    let mut answer = next_answer()?;
    while T::PIPELINED && usual != Some(&answer.body) && target.ignores(&answer.body) {
        answer = next_answer()?;
    }
    let names_the_event = target.named(&answer.body) == Some(index);
    if T::PIPELINED && names_the_event && target.matching == Matching::Id {
        return Ok(tested("ignored"));
    }
    if !T::PIPELINED && connection.is_open() {
        connection.send(&event, WriteMode::Whole)?;
    }
    // What becomes of the event behind it.
    let next = if connection.is_open() {
        connection.answer(target.time_limit())
    } else {
        Err(NoAnswer::Reset)
    };
    let closed = next.as_ref().is_err_and(NoAnswer::ends);
    let looks_usual = usual == Some(&answer.body);
    Ok(match &answer.status {
        Some(_) if !answer.refuses() => acknowledges(tested, &answer),
        None if looks_usual && next.is_ok() => acknowledges(tested, &answer),
        // One answer for two messages by order: the event's, as far as can be determined.
        None if looks_usual && !closed => tested("ignored").with("one answer to two messages"),
        _ if closed => tested("refused and closed").with(answer.shown()),
        _ => tested("refused").with(answer.shown()),
    })
}

fn acknowledges(tested: impl Fn(&str) -> Finding, answer: &Answer) -> Finding {
    let shown = answer.shown();
    tested("acknowledged")
        .with(format!("{shown}; it acknowledges a message that it cannot have parsed"))
}
