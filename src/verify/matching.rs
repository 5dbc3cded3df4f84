//! How the answers of a target find their events, where its description does not say: a few events are sent
//! one by one, and each answer is searched for the id of its event.

use crate::verify::answer::Answer;
use crate::verify::known_events::{EventTally, Plan, Unacknowledged};
use crate::verify::no_answer::NoAnswer;
use crate::verify::probe_connection::{ProbeConnection, ProbeTarget, WriteMode};
use pushbench_core::event::Matching;
use pushbench_wire::response_body;
use std::time::{Duration, Instant};

/// How long a new connection is listened to before anything is sent, and how long a message without an id
/// is waited after: the message that has it may follow.
const QUIET: Duration = Duration::from_millis(100);
/// Most messages that are taken in such a time.
const MOST_EXTRAS: usize = 100;
/// Ids that the first look uses are not used here: a target may remember them.
const IDS_OF_THE_FIRST_LOOK: usize = 64;

/// What answers hold.
#[derive(Debug, Default)]
pub(super) struct AnswerIds {
    /// JSON pointers to the event's id, one for each answer that has it.
    places: Vec<String>,
    /// An answer without it, and their number.
    without: Option<(Answer, usize)>,
    /// A message that came before any event, or beside an answer without id.
    stray: Option<Answer>,
}

/// Sends events one by one and reads what each gets.
pub(super) fn observe<'a, T: ProbeConnection<'a>>(
    target: &ProbeTarget<'a>,
    plan: &Plan,
) -> (EventTally, AnswerIds) {
    let (mut tally, mut ids) = (EventTally::default(), AnswerIds::default());
    for _ in 0..IDS_OF_THE_FIRST_LOOK {
        let _not_used_here = target.next_index();
    }
    let mut connection: Option<T> = None;
    let began = Instant::now();
    while tally.sent < plan.events && (tally.sent == 0 || began.elapsed() < plan.budget) {
        let index = target.next_index();
        tally.sent += 1;
        match ids.exchange(target, &mut connection, index, plan.time_limit) {
            Ok(answer) if answer.refuses() => {
                tally.unacknowledged.get_or_insert(Unacknowledged::Answer(answer));
            }
            Ok(answer) => {
                tally.acknowledged.push(index);
                ids.take(target, index, answer);
            }
            Err(failure) => {
                connection = None;
                tally.unacknowledged.get_or_insert(Unacknowledged::NoAnswer(failure));
            }
        }
    }
    tally.sample = ids.stray.clone();
    (tally, ids)
}

/// Where an answer has the id of its event; the usual place first.
fn place(target: &ProbeTarget<'_>, answer: &Answer, index: u64) -> Option<String> {
    match target.named(&answer.body) {
        Some(named) if named == index => Some("/id".to_owned()),
        _ => response_body::pointer_in(&answer.body, index),
    }
}

impl AnswerIds {
    /// One event and its answer, over the connection there is or a new one.
    fn exchange<'a, T: ProbeConnection<'a>>(
        &mut self,
        target: &ProbeTarget<'a>,
        connection: &mut Option<T>,
        index: u64,
        time_limit: Duration,
    ) -> Result<Answer, NoAnswer> {
        if let Some(open) = connection.as_mut().filter(|c| c.is_open()) {
            match self.answer(target, open, index, time_limit) {
                // It closed behind its last answer, and did not say so: that is its right.
                Err(failure) if failure.ends() => {}
                other => return other,
            }
        }
        // The old one is closed before the new one is made.
        *connection = None;
        let new = connection.insert(T::open(target)?);
        self.greeting(new);
        self.answer(target, new, index, time_limit)
    }

    /// What comes before anything was sent.
    fn greeting<'a, T: ProbeConnection<'a>>(&mut self, connection: &mut T) {
        for _ in 0..MOST_EXTRAS {
            let Some(Ok(greeting)) = T::PIPELINED.then(|| connection.answer(QUIET)) else { return };
            self.stray.get_or_insert(greeting);
        }
    }

    fn answer<'a, T: ProbeConnection<'a>>(
        &mut self,
        target: &ProbeTarget<'a>,
        connection: &mut T,
        index: u64,
        time_limit: Duration,
    ) -> Result<Answer, NoAnswer> {
        connection.send(&target.rendered(index), WriteMode::Whole)?;
        let (mut first, mut until) = (None, Instant::now() + time_limit);
        for _ in 0..MOST_EXTRAS {
            match connection.answer(until.saturating_duration_since(Instant::now())) {
                Ok(answer) if !T::PIPELINED || place(target, &answer, index).is_some() => {
                    return Ok(answer);
                }
                // A further message about an earlier event.
                Ok(answer) if target.index_within(&answer.body).is_some() => {}
                Ok(answer) if first.is_none() => {
                    first = Some(answer);
                    until = Instant::now() + QUIET;
                }
                Ok(answer) => self.stray = Some(answer),
                Err(failure) => return first.ok_or(failure),
            }
        }
        first.ok_or(NoAnswer::TimedOut)
    }

    fn take(&mut self, target: &ProbeTarget<'_>, index: u64, answer: Answer) {
        match place(target, &answer, index) {
            Some(place) => self.places.push(place),
            None => self.without.get_or_insert((answer, 0)).1 += 1,
        }
    }

    /// How answers find their events, the place of the id where it is not the usual one, and what was found in
    /// words; or why neither id nor order is right.
    pub fn settled(&self) -> Result<(Matching, Option<String>, String), String> {
        let first = self.places.first();
        let shown = |answer: &Answer| answer.shown();
        match (first, &self.without) {
            (Some(place), None) if self.places.iter().all(|other| other == place) => {
                let found = format!("answers contain the event's id at {place}: matched by id");
                Ok((Matching::Id, Some(place.clone()).filter(|place| place != "/id"), found))
            }
            (Some(place), None) => {
                let other = self.places.iter().find(|other| *other != place);
                Err(format!(
                    "answers contain the event's id at different places, at {place} and at {}",
                    other.unwrap_or(place)
                ))
            }
            (Some(place), Some((answer, without))) => Err(format!(
                "{} of {} answers contain the event's id (at {place}), the others do not: it {}",
                self.places.len(),
                self.places.len() + without,
                shown(answer)
            )),
            (None, answer) => match &self.stray {
                Some(stray) => Err(format!(
                    "answers contain no id, and it also sends messages that are no answers, such as `{}`, which \
                     would count as answers if they were matched by order",
                    stray.text()
                )),
                None => Ok((
                    Matching::Order,
                    None,
                    format!(
                        "answers contain no id: matched by order{}",
                        // A refusal may have the status 200.
                        answer.as_ref().map_or(String::new(), |(answer, _)| format!(
                            "; the first one {}",
                            shown(answer)
                        ))
                    ),
                )),
            },
        }
    }
}
