//! What pacing costs per due instant, and how late it is.

use criterion::Criterion;
use pushbench_host::clock;
use pushbench_load::pacer::Pacer;
use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// So far ahead that the pacer spins and does not arm its timer.
const AHEAD_NS: u64 = 5_000;

/// Runs `work` with a pacer in a task of a shard's kind of runtime.
fn paced<F>(work: impl FnOnce(Pacer) -> F) -> Duration
where
    F: Future<Output = Duration> + 'static,
{
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_io().build_local(Default::default()).expect("a runtime");
    runtime.block_on(async {
        let pacer = Pacer::new(Rc::new(Cell::new(false))).expect("a timer");
        tokio::task::spawn_local(work(pacer)).await.expect("no panic")
    })
}

/// Time for `n` instants that have just passed.
async fn passed(mut pacer: Pacer, n: u64) -> Duration {
    let began = Instant::now();
    for _ in 0..n {
        pacer.until(clock::now()).await.expect("a working timer");
    }
    began.elapsed()
}

/// How late the pacer returns from `n` instants, in all.
async fn lateness(mut pacer: Pacer, n: u64) -> Duration {
    let mut late = 0;
    for _ in 0..n {
        let due = clock::now() + AHEAD_NS;
        pacer.until(due).await.expect("a working timer");
        late += clock::now() - due;
    }
    Duration::from_nanos(late)
}

pub fn pacer(c: &mut Criterion) {
    let mut group = c.benchmark_group("pacer");
    group.bench_function("an instant that has just passed", |b| {
        b.iter_custom(|n| paced(|pacer| passed(pacer, n)));
    });
    group.bench_function("lateness for one 5 µs ahead", |b| {
        b.iter_custom(|n| paced(|pacer| lateness(pacer, n)));
    });
    group.finish();
}
