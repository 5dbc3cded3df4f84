//! What a publisher's own account adds to the record of a guarantee: attempts, and why deliveries were lost.

use pushbench_core::record::fanout::PublisherStatus;
use pushbench_core::record::guarantee::{GuaranteeRecord, SyncTimes};

/// The record with what the publisher tells. `retries`: what failed is tried again; `connects`: the publisher connects
/// to its receivers.
pub(super) fn explained(
    mut record: GuaranteeRecord,
    publisher: Option<&PublisherStatus>,
    (retries, connects): (bool, bool),
) -> GuaranteeRecord {
    let Some(publisher) = publisher else { return record };
    // At most once, an attempt that failed was the last one.
    let failed = match retries {
        true => publisher.exhausted,
        false => (publisher.failed + publisher.timed_out + publisher.lost)
            .saturating_sub(publisher.ended_410),
    };
    let lost = &mut record.lost;
    for (reason, counted) in [
        (&mut lost.gone, publisher.ended_410),
        (&mut lost.queue, publisher.overflowed),
        (&mut lost.attempts, failed),
        (&mut lost.open, if retries { publisher.open } else { 0 }),
    ] {
        let explained = counted.min(lost.unexplained);
        *reason += explained;
        lost.unexplained -= explained;
    }
    if publisher.attempts > 0 {
        if connects {
            // What did not arrive met nobody who listened, or was reset at once.
            record.connections_refused = publisher.attempts.saturating_sub(record.attempts);
        }
        record.attempts = publisher.attempts;
        record.attempts_are_counted = true;
    }
    (record.held_ns, record.held_events) = (publisher.held_ns, publisher.held_events);
    record.sync = (publisher.syncs > 0).then_some(SyncTimes {
        count: publisher.syncs,
        total_ns: publisher.sync_ns,
        longest_ns: publisher.sync_longest_ns,
    });
    record
}

#[cfg(test)]
mod tests {
    use super::*;
    use pushbench_core::record::guarantee::LossReasons;

    fn record(unexplained: u64) -> GuaranteeRecord {
        let lost = LossReasons { unexplained, log: 1, ..LossReasons::default() };
        GuaranteeRecord {
            due: 100,
            delivered: 99 - unexplained,
            lost,
            attempts: 90,
            ..Default::default()
        }
    }

    #[test]
    fn no_account_explains_more_than_was_lost() {
        let publisher = PublisherStatus {
            ended_410: 3,
            overflowed: 2,
            exhausted: 50,
            failed: 60,
            open: 7,
            attempts: 130,
            ..PublisherStatus::default()
        };
        for unexplained in [0, 2, 4, 10, 60, 70] {
            for retries in [true, false] {
                let explained = explained(record(unexplained), Some(&publisher), (retries, true));
                let lost = &explained.lost;
                assert_eq!(explained.due, explained.delivered + lost.sum(), "{explained:?}");
                let failed = if retries { 50 } else { 57 };
                assert_eq!(lost.gone, unexplained.min(3));
                assert_eq!(lost.attempts, unexplained.saturating_sub(5).min(failed));
                let open = if retries { 7 } else { 0 };
                assert_eq!(lost.open, unexplained.saturating_sub(5 + failed).min(open));
                assert_eq!((explained.attempts, explained.connections_refused), (130, 40));
            }
        }
        let seen = explained(record(4), None, (true, true));
        assert_eq!((seen.lost.unexplained, seen.attempts_are_counted), (4, false));
    }
}
