//! Who is there: subscribers that are cut off, that leave and that come.

use crate::ledger::spread::Spreads;
use pushbench_core::record::fanout::Turnover;
use std::rc::Rc;

impl Spreads {
    /// A subscription was cut off: what is open at it is lost, what comes due until it is back fails.
    pub fn cut_off(&mut self, subscriber: usize, now: u64) {
        self.newcomers.remove(&(subscriber as u32));
        // One that is leaving only loses what is on its way.
        if self.present.has(subscriber) && self.absent.insert(subscriber as u32) {
            if self.absent.len() == 1 {
                self.cut_off_at = now;
            }
            self.turnover().cut_off += 1;
        }
        self.lose(subscriber);
    }

    /// A subscriber begins to leave: events due from now on are not due at it.
    pub fn leaving(&mut self, subscriber: usize, now: u64) {
        if !self.present.has(subscriber) {
            return;
        }
        Rc::make_mut(&mut self.present).clear(subscriber);
        self.count_here(subscriber, |n| *n -= 1);
        self.turnover().left += 1;
        self.newcomers.remove(&(subscriber as u32));
        self.there_again(subscriber, now);
    }

    /// A subscriber's subscription was confirmed `now`: events due from now on are due at it. It had
    /// asked for it at `asked`.
    pub fn came(&mut self, subscriber: usize, asked: u64, now: u64) {
        if !self.present.has(subscriber) {
            Rc::make_mut(&mut self.present).set(subscriber);
            self.count_here(subscriber, |n| *n += 1);
        }
        let turnover = self.turnover();
        turnover.came += 1;
        turnover.subscribing.record(now.saturating_sub(asked));
        self.newcomers.insert(subscriber as u32, asked);
        self.there_again(subscriber, now);
    }

    fn there_again(&mut self, subscriber: usize, now: u64) {
        if self.absent.remove(&(subscriber as u32)) && self.absent.is_empty() {
            let took = now.saturating_sub(self.cut_off_at);
            self.turnover().recovery.record(took);
        }
    }

    /// An attempt to subscribe has failed.
    pub fn turned_down(&mut self) {
        self.turnover().refused += 1;
    }

    pub(super) fn turnover(&mut self) -> &mut Turnover {
        self.account.turnover.get_or_insert_default()
    }
}
