//! Every event has exactly one outcome.

use serde::{Deserialize, Serialize};

/// Why an event failed although it was not lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The target answered with something that is not an acknowledgement.
    WrongAnswer,
    /// No connection could be made for the event.
    Refused,
    /// More events were waiting than `load.backlog` allows.
    Backlog,
}

/// Counts of outcomes; the sum of the last four is `due`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcomes {
    /// Events that became due.
    pub due: u64,
    /// Answered, and the answer was an acknowledgement.
    pub acknowledged: u64,
    /// Sum of the three failures below.
    pub failed: u64,
    /// No answer within the time-out, counted from the due instant.
    pub timed_out: u64,
    /// Sent, then the connection ended.
    pub lost: u64,
    /// Of `failed`: the answer was wrong.
    pub wrong_answer: u64,
    /// Of `failed`: no connection.
    pub refused: u64,
    /// Of `failed`: the backlog was full.
    pub backlog_full: u64,
    /// Of `timed_out`: never sent, it waited for a connection the whole time.
    pub never_sent: u64,
}

impl Outcomes {
    /// Law 3: `due = acknowledged + failed + timed out + lost`, and the parts of `failed` add up.
    pub fn sums_are_exact(&self) -> bool {
        self.due == self.acknowledged + self.failed + self.timed_out + self.lost
            && self.failed == self.wrong_answer + self.refused + self.backlog_full
    }

    /// Counts a failure.
    pub fn fail(&mut self, why: Failure) {
        self.failed += 1;
        match why {
            Failure::WrongAnswer => self.wrong_answer += 1,
            Failure::Refused => self.refused += 1,
            Failure::Backlog => self.backlog_full += 1,
        }
    }

    /// Adds the counts of another shard or trial.
    pub fn add(&mut self, other: &Outcomes) {
        self.due += other.due;
        self.acknowledged += other.acknowledged;
        self.failed += other.failed;
        self.timed_out += other.timed_out;
        self.lost += other.lost;
        self.wrong_answer += other.wrong_answer;
        self.refused += other.refused;
        self.backlog_full += other.backlog_full;
        self.never_sent += other.never_sent;
    }
}
