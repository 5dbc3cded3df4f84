//! A known set of well-formed events: each must be acknowledged once, in order.

use crate::verify::answer::Answer;
use crate::verify::no_answer::NoAnswer;
use crate::verify::probe_connection::{ProbeConnection, ProbeTarget, WriteMode};
use pushbench_core::event::Matching;
use pushbench_core::record::findings::{Aspect, Finding, YES};
use std::time::{Duration, Instant};

/// Once every event has its answer, a target that sends on and on is not listened to for ever.
const MOST_EXTRAS: usize = 100;

/// How many events are sent, and how much time that may take.
pub(super) struct Plan {
    pub events: usize,
    /// No further event is sent after this.
    pub budget: Duration,
    /// How long an answer may take.
    pub time_limit: Duration,
    /// How long further answers are waited for behind the last one.
    pub quiet: Duration,
}

/// What an event got instead of an acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unacknowledged {
    Answer(Answer),
    NoAnswer(NoAnswer),
}

/// What became of the events.
#[derive(Debug, Default)]
pub(super) struct EventTally {
    pub sent: usize,
    pub acknowledged: Vec<u64>,
    /// Answers to events that were acknowledged before.
    pub twice: usize,
    /// Messages that answer no event: greetings, heartbeats, or answers that carry no id.
    pub unmatched: usize,
    /// One of them, the latest that holds the id of an event where there is one.
    pub sample: Option<Answer>,
    /// Answers that came before an older event's.
    pub overtook: usize,
    /// Acknowledgements that carry their event's id.
    pub(crate) with_id: usize,
    pub connections: usize,
    /// Connections that ended behind an answer without a word.
    pub dropped: usize,
    /// Answers came by HTTP/1.0.
    pub old: bool,
    /// An acknowledgement, to know one by its looks.
    pub usual: Option<Vec<u8>>,
    /// What the first event without an acknowledgement got.
    pub unacknowledged: Option<Unacknowledged>,
}

/// Sends the events and listens.
pub(super) fn send_events<'a, T: ProbeConnection<'a>>(
    target: &ProbeTarget<'a>,
    plan: &Plan,
) -> EventTally {
    let mut tally = EventTally::default();
    let mut connection: Option<T> = None;
    let began = Instant::now();
    while tally.sent < plan.events && (tally.sent == 0 || began.elapsed() < plan.budget) {
        // The first alone: what it gets is its own.
        let several = (T::PIPELINED || T::MULTIPLEXED) && tally.sent > 0;
        let count = if several { plan.events - tally.sent } else { 1 };
        let events: Vec<u64> = (0..count).map(|_| target.next_index()).collect();
        tally.sent += count;
        if let Err(failure) = tally.exchange(target, &mut connection, &events, plan) {
            connection = None;
            tally.unacknowledged.get_or_insert(Unacknowledged::NoAnswer(failure));
        }
    }
    if let Some(connection) = connection.as_mut().filter(|l| l.is_open()) {
        tally.extras(target, connection, plan.quiet);
    }
    // Something came, but nothing that names an event: that is what the events got.
    if tally.acknowledged.is_empty()
        && tally.unacknowledged == Some(Unacknowledged::NoAnswer(NoAnswer::TimedOut))
        && let Some(sample) = &tally.sample
    {
        tally.unacknowledged = Some(Unacknowledged::Answer(sample.clone()));
    }
    tally
}

/// Sends the events one by one, until one is not acknowledged.
pub(super) fn send_one_by_one<'a, T: ProbeConnection<'a>>(
    target: &ProbeTarget<'a>,
    plan: &Plan,
) -> EventTally {
    let mut tally = EventTally::default();
    let mut connection: Option<T> = None;
    while tally.sent < plan.events && tally.acknowledged.len() == tally.sent {
        tally.sent += 1;
        let event = [target.next_index()];
        if let Err(failure) = tally.exchange(target, &mut connection, &event, plan) {
            tally.unacknowledged.get_or_insert(Unacknowledged::NoAnswer(failure));
        }
    }
    tally
}

impl EventTally {
    /// Sends events together and waits for what they get.
    fn exchange<'a, T: ProbeConnection<'a>>(
        &mut self,
        target: &ProbeTarget<'a>,
        connection: &mut Option<T>,
        events: &[u64],
        plan: &Plan,
    ) -> Result<(), NoAnswer> {
        let used = connection.as_ref().is_some_and(ProbeConnection::is_open);
        match self.exchange_on(target, connection, events, plan) {
            // It closed behind its last answer, and did not say so: that is its right.
            Err((failure, 0)) if used && failure.ends() => {
                self.dropped += 1;
                *connection = None;
                self.exchange_on(target, connection, events, plan).map_err(|(failure, _)| failure)
            }
            other => other.map_err(|(failure, _)| failure),
        }
    }

    /// The same over the connection there is, or a new one. An error comes with the number of answers
    /// before it.
    fn exchange_on<'a, T: ProbeConnection<'a>>(
        &mut self,
        target: &ProbeTarget<'a>,
        connection: &mut Option<T>,
        events: &[u64],
        plan: &Plan,
    ) -> Result<(), (NoAnswer, usize)> {
        if connection.as_ref().is_none_or(|l| !l.is_open()) {
            // The old one is closed before the new one is made.
            *connection = None;
            let mut new = T::open(target).map_err(|t| (t, 0))?;
            // By order a greeting would be taken for the answer to the first event.
            let may_greet = self.connections == 0 || target.sends_unmatched();
            if T::PIPELINED && target.matching == Matching::Order && may_greet {
                self.read_greeting(target, &mut new, plan.quiet);
            }
            *connection = Some(new);
            self.connections += 1;
        }
        let Some(connection) = connection else { return Ok(()) };
        for index in events {
            connection.send(&target.rendered(*index), WriteMode::Whole).map_err(|t| (t, 0))?;
        }
        let mut open = events.to_vec();
        let mut answers = 0;
        let began = Instant::now();
        let mut last = began;
        while !open.is_empty() {
            // What answers no event takes none of the time that an answer has, and gives none.
            let left = plan.time_limit.saturating_sub(last.elapsed());
            let answer = connection.answer(left).map_err(|t| (t, answers))?;
            self.old |= connection.old();
            if self.take::<T>(target, answer, connection.position(), &mut open) {
                answers += 1;
                last = Instant::now();
                target.extend_time_limit(began.elapsed() / events.len() as u32);
            }
        }
        Ok(())
    }

    /// Finds the event that an answer belongs to, where the protocol says so the one at this position; false when it
    /// answers no open event.
    fn take<'a, T: ProbeConnection<'a>>(
        &mut self,
        target: &ProbeTarget<'a>,
        answer: Answer,
        at: usize,
        open: &mut Vec<u64>,
    ) -> bool {
        if T::PIPELINED && !target.may_answer(&answer.body) {
            target.ignore(&answer.body);
            return false;
        }
        let named = target.named(&answer.body);
        let position = match (target.matching, named) {
            _ if answer.refuses() => None,
            (Matching::Id, named) => open
                .iter()
                .position(|index| Some(*index) == named)
                .filter(|position| !T::MULTIPLEXED || *position == at),
            (Matching::Order, _) => target.may_answer(&answer.body).then_some(at),
        };
        match (position, named) {
            (Some(position), _) => {
                let index = open.remove(position);
                self.with_id += usize::from(named == Some(index));
                // By order an answer may still name another event.
                let other = named.is_some_and(|n| n > index);
                self.overtook += usize::from(position > 0 || other);
                self.acknowledged.push(index);
                self.usual.get_or_insert(answer.body);
            }
            (None, Some(named)) if self.acknowledged.contains(&named) && !answer.refuses() => {
                self.twice += 1;
                return false;
            }
            (None, _) if T::PIPELINED => {
                self.unmatched(target, answer);
                return false;
            }
            (None, _) => {
                // A response answers its request, whatever it holds.
                open.remove(at);
                self.unacknowledged.get_or_insert(Unacknowledged::Answer(answer));
            }
        }
        true
    }

    /// A message that answers no event.
    fn unmatched(&mut self, target: &ProbeTarget<'_>, answer: Answer) {
        self.unmatched += 1;
        target.ignore(&answer.body);
        let names_one = |answer: &Answer| target.index_within(&answer.body).is_some();
        if names_one(&answer) || !self.sample.as_ref().is_some_and(names_one) {
            self.sample = Some(answer);
        }
    }

    /// What a target sends on a new connection before it was sent anything.
    fn read_greeting<'a, T: ProbeConnection<'a>>(
        &mut self,
        target: &ProbeTarget<'a>,
        connection: &mut T,
        quiet: Duration,
    ) {
        for _ in 0..MOST_EXTRAS {
            let Ok(answer) = connection.answer(quiet) else { return };
            match target.may_answer(&answer.body) {
                true => self.unmatched(target, answer),
                false => target.ignore(&answer.body),
            }
        }
    }

    /// Whatever else comes on an idle connection.
    fn extras<'a, T: ProbeConnection<'a>>(
        &mut self,
        target: &ProbeTarget<'a>,
        connection: &mut T,
        quiet: Duration,
    ) {
        for _ in 0..MOST_EXTRAS {
            let Ok(answer) = connection.answer(quiet) else { return };
            let named = target.named(&answer.body);
            match target.matching {
                Matching::Id if named.is_some_and(|n| self.acknowledged.contains(&n)) => {
                    self.twice += 1;
                }
                _ if !target.may_answer(&answer.body) => target.ignore(&answer.body),
                _ => self.unmatched(target, answer),
            }
        }
    }

    /// Whether every answer names its event.
    fn carries_ids(&self) -> bool {
        !self.acknowledged.is_empty() && self.with_id + self.overtook >= self.acknowledged.len()
    }

    /// The findings about the target.
    pub fn findings(&self, matching: Matching, deep: bool) -> Vec<Finding> {
        let mut found = vec![self.exactly_once(matching), self.order(matching)];
        found.push(self.acknowledged_by(matching));
        found.push(self.keep_alive(deep));
        found
    }

    fn exactly_once(&self, matching: Matching) -> Finding {
        let (done, sent) = (self.acknowledged.len(), self.sent);
        let mut parts = vec![format!("{done} of {sent}")];
        if self.twice > 0 {
            parts.push(format!("{} twice", self.twice));
        }
        let shown = self.sample.as_ref().map(|sample| sample.text()).unwrap_or_default();
        // Where answers carry an id, what answers no event is taken for nothing else.
        let stray = matching == Matching::Order && self.unmatched > 0;
        let exact = done == sent && self.twice == 0 && !stray;
        match self.unmatched {
            0 => {}
            n if stray => parts.push(format!(
                "{n} unmatched, such as `{shown}`; when matched by order, it counts as an answer"
            )),
            n => parts.push(format!("{n} unmatched, such as `{shown}`")),
        }
        let is_shown = |unacknowledged: &&Unacknowledged| !matches!(unacknowledged, Unacknowledged::Answer(a) if Some(a) == self.sample.as_ref());
        if let Some(unacknowledged) = self.unacknowledged.as_ref().filter(is_shown) {
            parts.push(unacknowledged.to_string());
        } else if exact && matching == Matching::Order {
            parts.push("by order".to_owned());
        }
        Finding::tested(Aspect::ExactlyOnce, if exact { YES } else { "no" }).with(parts.join(", "))
    }

    fn order(&self, matching: Matching) -> Finding {
        match self.overtook {
            _ if self.acknowledged.is_empty() => {
                Finding::unknown(Aspect::Order, "nothing was acknowledged")
            }
            0 if matching == Matching::Id || self.carries_ids() => {
                Finding::tested(Aspect::Order, "in order")
            }
            0 => Finding::unknown(Aspect::Order, "answers contain no id"),
            n => Finding::tested(Aspect::Order, "out of order").with(format!("{n} overtook")),
        }
    }

    fn acknowledged_by(&self, matching: Matching) -> Finding {
        match matching {
            Matching::Id if self.acknowledged.is_empty() => {
                Finding::declared(Aspect::AcknowledgedBy, "id")
            }
            Matching::Id => Finding::tested(Aspect::AcknowledgedBy, "id"),
            Matching::Order if self.carries_ids() => {
                Finding::declared(Aspect::AcknowledgedBy, "order")
                    .with("answers contain the id: match = \"id\" would make more checks possible")
            }
            Matching::Order => Finding::declared(Aspect::AcknowledgedBy, "order"),
        }
    }

    fn keep_alive(&self, deep: bool) -> Finding {
        let (done, connections) = (self.acknowledged.len(), self.connections);
        let version = if self.old { "HTTP/1.0" } else { "" };
        if done < 2 {
            return Finding::unknown(Aspect::KeepAlive, "fewer than two events were acknowledged");
        }
        if connections == 1 {
            return Finding::tested(Aspect::KeepAlive, "kept");
        }
        let kept =
            if deep || connections < done { "closed now and then" } else { "one event each" };
        let how = match (self.dropped, version) {
            (0, "") => format!("{connections} connections for {done} events"),
            (0, version) => version.to_owned(),
            (n, _) => format!("{n} times without notice"),
        };
        Finding::tested(Aspect::KeepAlive, kept).with(how)
    }
}

impl std::fmt::Display for Unacknowledged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unacknowledged::Answer(answer) => f.write_str(&answer.shown()),
            Unacknowledged::NoAnswer(failure) => failure.fmt(f),
        }
    }
}
