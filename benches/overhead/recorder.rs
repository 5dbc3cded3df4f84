//! What recording costs per event.

use crate::setting::{connect_config, ledger};
use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion};
use pushbench_core::event::acknowledgement;
use pushbench_core::record::histogram::Hist;
use pushbench_core::scenario::Lifetime;
use pushbench_host::clock;
use pushbench_load::feed::{EventQueue, Source};
use pushbench_load::io::ReadTimes;
use pushbench_load::ledger::Instants;
use pushbench_load::pipeline::Window;
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::task::{Context, Poll, Waker};

pub fn recorder(c: &mut Criterion) {
    let mut group = c.benchmark_group("recorder");
    let mut hist = Hist::new();
    let mut value = 100_000;
    group.bench_function("histogram", |b| {
        b.iter(|| {
            value = value * 5 % 1_000_003 + 1;
            hist.record(black_box(value));
        });
    });
    let ledger = ledger(false);
    let (mut index, mut at) = (0, clock::now());
    group.bench_function("event in the ledger", |b| {
        b.iter(|| {
            let ticket = ledger.open(index, at, Some(index));
            ledger.sent(&ticket);
            let instants = Instants {
                free: at,
                sent: at + 1_000,
                done: at + 90_000,
                woken: at + 89_000,
                nth: 100,
            };
            ledger.acknowledge(&ticket, instants);
            index += 1;
            at += 1_000;
        });
    });
    event_through_window(&mut group);
    group.bench_function("clock", |b| b.iter(clock::now));
    group.finish();
}

/// All that happens to an event beside its bytes: put into the feed, taken, stamped, its answer read
/// and matched, its outcome and times written down.
fn event_through_window(group: &mut BenchmarkGroup<'_, WallTime>) {
    let ledger = ledger(false);
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    let queue = EventQueue::new(ledger.clone(), Source::Open, 1, 1);
    let feed = queue.feed(0);
    let mut window = Window::new(&connect_config(&ledger, nowhere, Lifetime::Unlimited));
    let (read_times, cx) = (ReadTimes::default(), Context::from_waker(Waker::noop()));
    let mut index = 0u64;
    group.bench_function("event through feed, window and ledger", |b| {
        b.iter_batched_ref(
            || {
                index += 1;
                (index, acknowledgement(&format!("{index:016x}")))
            },
            |(index, answer)| {
                queue.put(*index, clock::now(), *index);
                let taken = window.take(&feed, &cx);
                assert!(matches!(taken, Poll::Ready(Some(_))), "the event must be there");
                window.answer(answer.as_bytes(), &read_times);
            },
            BatchSize::SmallInput,
        );
    });
    assert_eq!(ledger.open_count(), 0, "the bench must do what it says");
}
