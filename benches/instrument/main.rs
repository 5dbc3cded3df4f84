//! What the instrument itself costs: schedule, pacer, recorder, event and handler, one round trip over
//! each transport. `cargo bench` runs it; its figures speak of the instrument, not of the transports.

mod pacer;
mod recorder;
mod round_trip;

use criterion::{Criterion, criterion_group, criterion_main};
use pacer::pacer;
use pushbench::record::clock;
use pushbench::record::ledger::{Ledger, LedgerRules};
use pushbench::record::strata::Split;
use pushbench::scenario::{Arrivals, Lifetime, Load, Payload};
use pushbench::schedule::Schedule;
use pushbench::transport::dial::{Address, Dial};
use pushbench::transport::event::{Matched, Template};
use pushbench::transport::handler::{Handler, Pause};
use pushbench::transport::webhook;
use recorder::recorder;
use round_trip::round_trip;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

const EVENT_BYTES: usize = 512;

fn load(arrivals: Arrivals) -> Load {
    Load {
        arrivals,
        rate: Some(10_000.0),
        warmup: Duration::ZERO,
        // Longer than any bench lasts: the schedule must not end.
        duration: Duration::from_secs(10_000_000),
        timeout: Duration::from_secs(60),
        backlog: 1_000,
    }
}

fn schedule(c: &mut Criterion) {
    let mut group = c.benchmark_group("schedule");
    for (name, arrivals) in [
        ("constant", Arrivals::Constant),
        ("poisson", Arrivals::Poisson),
        ("ramp", Arrivals::Ramp { to: 20_000.0 }),
    ] {
        let mut due = Schedule::new(&load(arrivals), 7, 0, 1).expect("an open load has a schedule");
        group.bench_function(name, |b| b.iter(|| due.next()));
    }
    group.finish();
}

fn ledger(closed_loop: bool) -> Rc<Ledger> {
    let rules = LedgerRules {
        origin: clock::now(),
        timeout: 60_000_000_000,
        shard: 0,
        of: 1,
        wall_length: 10_000_000_000,
        warmup: 0,
        window: 10_000_000_000,
        // The dearest case: events are told apart, too.
        split: Some(Split::Use { bounds: vec![1, 10, 99] }),
        closed_loop,
    };
    Rc::new(Ledger::new(rules, true))
}

/// One connection to the built-in servers' address, one event in flight.
fn dial(ledger: &Rc<Ledger>, socket: SocketAddr, lifetime: Lifetime) -> Dial {
    let (authority, path) = (socket.to_string(), webhook::server::PATH.into());
    Dial {
        address: Address { socket, authority, path },
        matched: Matched::ById,
        terms: Rc::default(),
        template: Rc::new(Template::new(&Payload::Bytes(EVENT_BYTES))),
        in_flight: 1,
        lifetime,
        max_segment: None,
        ledger: ledger.clone(),
        called_back: false,
        warm: true,
    }
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
    let bytes = template.render(1);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    group.bench_function("handled", |b| {
        b.iter(|| {
            let mut pause = Pause::default();
            runtime.block_on(Handler::default().handle(&mut pause, &bytes))
        });
    });
    group.finish();
}

criterion_group!(benches, schedule, pacer, recorder, event, round_trip);
criterion_main!(benches);
