//! The ledger's records of questions that are answered by a callback: the answer arrives on another
//! connection than the question and is matched by id.

use crate::ledger::state::State;
use crate::ledger::{Instants, Ledger, SendInstants, Ticket};
use pushbench_core::record::callbacks::Callbacks;
use pushbench_core::record::wire::Traffic;

impl Ledger {
    /// The same for questions that are answered by a callback. Reordering is not counted:
    /// the target chooses the connections of its answers.
    pub fn with_callbacks(self) -> Self {
        let mut inner = self.0.into_inner();
        inner.account.callbacks = Some(Callbacks::default());
        inner.account.reordered = None;
        Ledger(inner.into())
    }

    /// Records how a question is sent; true if it is measured.
    pub fn send_instants(&self, ticket: &Ticket, send_instants: SendInstants) -> bool {
        let mut inner = self.0.borrow_mut();
        let Some(entry) = inner.entry(ticket.seq) else { return false };
        entry.send_instants = Some(send_instants);
        entry.after.is_some()
    }

    /// The response that a measured question was accepted was read. The answer may have arrived before it.
    pub fn accepted(&self, ticket: &Ticket, done: u64) {
        if let Some(callbacks) = &mut self.0.borrow_mut().account.callbacks {
            callbacks.accepted.record(done.saturating_sub(ticket.due));
        }
    }

    /// An answer was read. `index`: its question, if it has the id of one.
    pub fn answered(&self, index: Option<u64>, done: u64, woken: u64) {
        let open = index.and_then(|index| {
            let mut inner = self.0.borrow_mut();
            let seq = inner.seq(index)?;
            let entry = inner.entry(seq).filter(|entry| entry.state == State::Sent)?;
            Some((entry.ticket, entry.send_instants?))
        });
        let Some((ticket, SendInstants { free, sent, nth })) = open else {
            return self.stray(index);
        };
        self.acknowledge(&ticket, Instants { free, sent, done, woken, nth });
    }

    /// Its answer may still come in time, or has come.
    pub(crate) fn is_in_time(&self, ticket: &Ticket, now: u64) -> bool {
        now < ticket.due.saturating_add(self.0.borrow().rules.timeout)
    }

    /// Counts a connection on which answers come.
    pub(crate) fn callback_connected(&self) {
        self.connected();
        if let Some(callbacks) = &mut self.0.borrow_mut().account.callbacks {
            callbacks.connections += 1;
        }
    }

    /// Adds what such a connection has carried when it ends.
    pub(crate) fn callback_traffic(&self, traffic: Traffic) {
        self.traffic(traffic);
        if let Some(callbacks) = &mut self.0.borrow_mut().account.callbacks {
            callbacks.traffic.add(&traffic);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::LedgerRules;
    use pushbench_core::record::account::Account;
    use pushbench_core::record::outcomes::Failure;

    const MS: u64 = 1_000_000;

    fn ledger(shard: u64, of: u64) -> Ledger {
        let rules = LedgerRules {
            origin: 0,
            timeout: 100 * MS,
            shard,
            of,
            wall_length: 1_000 * MS,
            warmup: 0,
            window: 1_000 * MS,
            split: None,
            closed_loop: false,
        };
        Ledger::new(rules, true).with_callbacks()
    }

    fn send_question(ledger: &Ledger, index: u64, due: u64) -> Ticket {
        let ticket = ledger.open(index, due, Some(due));
        ledger.sent(&ticket);
        assert!(ledger.send_instants(&ticket, SendInstants { free: due, sent: due + MS, nth: 1 }));
        ticket
    }

    fn account(ledger: &Ledger) -> Account {
        let account = ledger.account();
        assert!(account.measured.sums_are_exact(), "{:?}", account.measured);
        account
    }

    #[test]
    fn each_answer_finds_its_question_whatever_the_order() {
        let ledger = ledger(1, 2);
        let tickets = [1, 3, 5].map(|index| send_question(&ledger, index, index * MS));
        ledger.accepted(&tickets[0], 3 * MS);
        for (index, at) in [(5, 8 * MS), (1, 9 * MS), (3, 10 * MS)] {
            ledger.answered(Some(index), at, at - 1);
        }
        // The response that it was accepted counts before and after its answer.
        ledger.accepted(&tickets[2], 11 * MS);
        let a = account(&ledger);
        assert_eq!((a.measured.due, a.measured.acknowledged, a.sent), (3, 3, 3));
        assert_eq!((a.response.count(), a.service.count(), a.reordered), (3, 3, None));
        assert_eq!(a.response.max().unwrap() / MS, 8);
        assert_eq!(a.service.max().unwrap() / MS, 7);
        let accepted = &a.callbacks.unwrap().accepted;
        assert_eq!((accepted.count(), accepted.max().unwrap() / MS), (2, 6));
    }

    #[test]
    fn an_answer_twice_never_or_for_nobody_is_counted_once() {
        let ledger = ledger(0, 2);
        let tickets = [0, 2, 4].map(|index| send_question(&ledger, index, index * MS));
        ledger.answered(Some(0), 5 * MS, 5 * MS);
        ledger.answered(Some(0), 6 * MS, 6 * MS);
        // An id of another shard, an unknown id, no id.
        for wrong in [Some(1), Some(77), None] {
            ledger.answered(wrong, 6 * MS, 6 * MS);
        }
        ledger.fail(&tickets[1], Failure::WrongAnswer, "answered 500");
        ledger.answered(Some(2), 7 * MS, 7 * MS);
        assert!(
            ledger.is_in_time(&tickets[2], 103 * MS) && !ledger.is_in_time(&tickets[2], 104 * MS)
        );
        assert_eq!(ledger.expire(104 * MS), 1);
        ledger.answered(Some(4), 105 * MS, 105 * MS);
        let a = account(&ledger);
        let f = &a.measured;
        assert_eq!((f.due, f.acknowledged, f.failed, f.timed_out), (3, 1, 1, 1));
        assert_eq!((a.duplicated, a.unsolicited, a.late), (Some(1), 3, 2));
    }

    #[test]
    fn nothing_is_answered_before_it_is_asked() {
        let ledger = ledger(0, 1);
        let ticket = ledger.open(0, 0, Some(0));
        ledger.answered(Some(0), MS, MS);
        assert!(ledger.is_open(&ticket));
        ledger.expire(u64::MAX);
        let a = account(&ledger);
        assert_eq!((a.unsolicited, a.measured.timed_out, a.measured.never_sent), (1, 1, 1));
    }
}
