//! What the instrument itself costs: schedule, pacer, recorder, event and handler, one round trip over
//! each transport. `cargo bench` runs it; its figures speak of the instrument, not of the transports.

mod pacer;
mod recorder;
mod round_trip;
mod setting;

use criterion::{Criterion, criterion_group, criterion_main};
use hyper::HeaderMap;
use pacer::pacer;
use pushbench_core::event::{Matched, Template, acknowledgement};
use pushbench_core::scenario::Payload;
use pushbench_core::schedule::Schedule;
use pushbench_server::handler::{Handler, Pause};
use recorder::recorder;
use round_trip::round_trip;
use setting::{ARRIVALS, EVENT_BYTES, load};

fn schedule(c: &mut Criterion) {
    let mut group = c.benchmark_group("schedule");
    for (name, arrivals) in ARRIVALS {
        let mut due = Schedule::new(&load(arrivals), 7, 0, 1).expect("an open load has a schedule");
        group.bench_function(name, |b| b.iter(|| due.next()));
    }
    group.finish();
}

fn event(c: &mut Criterion) {
    let mut group = c.benchmark_group("event");
    let template = Template::new(&Payload::Bytes(EVENT_BYTES));
    let mut out = Vec::with_capacity(2 * EVENT_BYTES);
    let mut index = 0;
    group.bench_function("made", |b| {
        b.iter(|| {
            out.clear();
            index += 1;
            template.append(index, &mut out);
        });
    });
    let answer = acknowledgement("000000000000002a");
    group.bench_function("answer matched", |b| b.iter(|| Matched::ById.index(answer.as_bytes())));
    let bytes = template.render(1);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    group.bench_function("handled", |b| {
        b.iter(|| {
            let mut pause = Pause::default();
            runtime.block_on(Handler::default().handle(&mut pause, &HeaderMap::new(), &bytes))
        });
    });
    group.finish();
}

criterion_group!(benches, schedule, pacer, recorder, event, round_trip);
criterion_main!(benches);
