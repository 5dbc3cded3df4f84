//! What every transport can be asked beside well-formed events.

use crate::verify::no_answer::NoAnswer;
use crate::verify::talk::{Answer, Cut, Peer, Talk};
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
fn opened<'a, T: Talk<'a>>(peer: &Peer<'a>) -> Result<T, NoAnswer> {
    let mut line = T::open(peer)?;
    if T::DEEP && peer.sends_unmatched() {
        for _ in 0..MOST_GREETINGS {
            match line.answer(GREETING) {
                Ok(_) => {}
                Err(NoAnswer::Silent) => break,
                Err(failure) => return Err(failure),
            }
        }
    }
    Ok(line)
}

/// Some attempts at a probe: a target may fail now and then, whatever it is sent, and that says nothing
/// of what the probe asks.
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
fn single<'a, T: Talk<'a>>(
    peer: &Peer<'a>,
    cut: Cut,
    dress: impl Fn(Vec<u8>) -> Vec<u8>,
) -> Result<(u64, Answer), NoAnswer> {
    attempts(|| once::<T>(peer, cut, &dress), |(_, answer)| answer)
}

fn once<'a, T: Talk<'a>>(
    peer: &Peer<'a>,
    cut: Cut,
    dress: impl Fn(Vec<u8>) -> Vec<u8>,
) -> Result<(u64, Answer), NoAnswer> {
    let (index, event) = peer.event();
    let mut line: T = opened(peer)?;
    line.send(&dress(event), cut)?;
    let mut answer = line.answer(peer.patience())?;
    // A message that names no event may answer none: the one that does is still to come.
    let until = Instant::now() + peer.patience();
    while T::DEEP && peer.matching == Matching::Id && !peer.acknowledges(&answer, index) {
        match line.answer(until.saturating_duration_since(Instant::now())) {
            Ok(next) => answer = next,
            Err(_) => break,
        }
    }
    Ok((index, answer))
}

fn taken(peer: &Peer<'_>, aspect: Aspect, got: Result<(u64, Answer), NoAnswer>) -> Finding {
    match got {
        Ok((index, answer)) if peer.acknowledges(&answer, index) => {
            Finding::tested(aspect, "taken")
        }
        Ok((_, answer)) => Finding::tested(aspect, "refused").with(answer.shown()),
        Err(failure) => Finding::tested(aspect, "fails").with(failure.to_string()),
    }
}

/// An event in several frames, or in several segments.
pub(super) fn in_pieces<'a, T: Talk<'a>>(peer: &Peer<'a>) -> Finding {
    taken(peer, Aspect::InPieces, single::<T>(peer, Cut::Pieces, |event| event))
}

/// An event of 1 MiB: blanks are as good JSON as anything, whatever the event is.
pub(super) fn large<'a, T: Talk<'a>>(peer: &Peer<'a>) -> Finding {
    let padded = |mut event: Vec<u8>| {
        let end = event.len().saturating_sub(1);
        let blanks = LARGE_BYTES.saturating_sub(event.len());
        event.splice(end..end, std::iter::repeat_n(b' ', blanks));
        event
    };
    taken(peer, Aspect::Large, single::<T>(peer, Cut::Whole, padded))
}

/// A peer that vanishes amid an event, and then another one that does not.
pub(super) fn abrupt_close<'a, T: Talk<'a>>(peer: &Peer<'a>) -> Finding {
    let vanished = T::open(peer).map(|line| line.break_off(&peer.event().1));
    let next = vanished.and_then(|()| single::<T>(peer, Cut::Whole, |event| event));
    match taken(peer, Aspect::AbruptClose, next) {
        served if served.value == "taken" => Finding::tested(Aspect::AbruptClose, "goes on"),
        Finding { detail, .. } => {
            Finding::tested(Aspect::AbruptClose, "fails").with(detail.unwrap_or_default())
        }
    }
}

/// What is no event, and an event behind it on the same connection. `usual` is what an
/// acknowledgement of this target looks like.
pub(super) fn malformed<'a, T: Talk<'a>>(peer: &Peer<'a>, usual: Option<&[u8]>) -> Finding {
    match garbage::<T>(peer, usual) {
        Ok(finding) => finding,
        Err(NoAnswer::Closed(Some(said))) => {
            Finding::tested(Aspect::Malformed, "refused and closed").with(said)
        }
        Err(failure) if failure.ends() => {
            Finding::tested(Aspect::Malformed, "closed").with(failure.to_string())
        }
        Err(failure) => Finding::tested(Aspect::Malformed, "fails").with(failure.to_string()),
    }
}

fn garbage<'a, T: Talk<'a>>(peer: &Peer<'a>, usual: Option<&[u8]>) -> Result<Finding, NoAnswer> {
    let tested = |value: &str| Finding::tested(Aspect::Malformed, value);
    let (index, event) = peer.event();
    let mut line: T = opened(peer)?;
    line.send(MALFORMED, Cut::Whole)?;
    if T::DEEP {
        line.send(&event, Cut::Whole)?;
    }
    let until = Instant::now() + peer.patience();
    let mut heard = || line.answer(until.saturating_duration_since(Instant::now()));
    let mut answer = heard()?;
    while T::DEEP && usual != Some(&answer.body) && peer.ignores(&answer.body) {
        answer = heard()?;
    }
    let names_the_event = peer.named(&answer.body) == Some(index);
    if T::DEEP && names_the_event && peer.matching == Matching::Id {
        return Ok(tested("ignored"));
    }
    if !T::DEEP && line.is_open() {
        line.send(&event, Cut::Whole)?;
    }
    // What becomes of the event behind it.
    let next = if line.is_open() { line.answer(peer.patience()) } else { Err(NoAnswer::Reset) };
    let closed = next.as_ref().is_err_and(NoAnswer::ends);
    let looks_usual = usual == Some(&answer.body);
    Ok(match &answer.status {
        Some(_) if !answer.refuses() => acknowledges(tested, &answer),
        None if looks_usual && next.is_ok() => acknowledges(tested, &answer),
        // One answer for two messages by order: the event's, as far as can be told.
        None if looks_usual && !closed => tested("ignored").with("one answer for two messages"),
        _ if closed => tested("refused and closed").with(answer.shown()),
        _ => tested("refused").with(answer.shown()),
    })
}

fn acknowledges(tested: impl Fn(&str) -> Finding, answer: &Answer) -> Finding {
    let shown = answer.shown();
    tested("acknowledged").with(format!("{shown}; it acknowledges what it cannot have read"))
}
