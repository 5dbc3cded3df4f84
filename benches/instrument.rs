//! What the instrument itself costs: schedule, recorder, event and handler, one round trip over each
//! transport. `cargo bench` runs it; its figures speak of the instrument, not of the transports.

use criterion::{Criterion, criterion_group, criterion_main};
use pushbench::record::clock;
use pushbench::record::histogram::Hist;
use pushbench::record::ledger::{Instants, Ledger, LedgerRules};
use pushbench::record::strata::Split;
use pushbench::scenario::{Arrivals, Lifetime, Load, Payload};
use pushbench::schedule::Schedule;
use pushbench::transport::dial::{Address, Dial};
use pushbench::transport::event::{Matched, Template};
use pushbench::transport::feed::{Source, Spout};
use pushbench::transport::handler::{Handler, Pause};
use pushbench::transport::tcp::client::Tcp;
use pushbench::transport::webhook::client::Webhook;
use pushbench::transport::websocket::client::Websocket;
use pushbench::transport::{Client, tcp, webhook, websocket};
use std::hint::black_box;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};

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
    for (name, arrivals) in [("constant", Arrivals::Constant), ("poisson", Arrivals::Poisson)] {
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

fn recorder(c: &mut Criterion) {
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
    group.bench_function("clock", |b| b.iter(clock::now));
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

/// Time for `events` one after the other over one connection, client and server on one thread.
async fn round_trips<C, S>(events: u64, serve: impl FnOnce(TcpStream) -> S) -> Duration
where
    C: Client,
    S: Future<Output = ()> + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let socket = listener.local_addr().expect("an address");
    let ledger = ledger(true);
    let dial = Dial {
        address: Address {
            socket,
            authority: socket.to_string(),
            path: webhook::server::PATH.into(),
        },
        matched: Matched::ById,
        template: Rc::new(Template::new(&Payload::Bytes(EVENT_BYTES))),
        in_flight: 1,
        lifetime: Lifetime::Events(events),
        max_segment: None,
        ledger: ledger.clone(),
        warm: true,
    };
    let connect = tokio::task::spawn_local(async move { C::open(&dial).await });
    let (stream, _) = listener.accept().await.expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    let server = tokio::task::spawn_local(serve(stream));
    let client = connect.await.expect("no panic").expect("an open connection");
    let spout = Spout::new(ledger.clone(), Source::Closed { shard: 0, of: 1 }, 1, 1);
    spout.run(true);
    let began = Instant::now();
    client.carry(spout.feed(0), ledger.clone()).await.expect("every event is answered");
    let took = began.elapsed();
    server.abort();
    assert_eq!(ledger.account().measured.acknowledged, events, "the bench must do what it says");
    took
}

fn round_trip(c: &mut Criterion) {
    let mut group = c.benchmark_group("round trip");
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_io().build_local(Default::default()).expect("a runtime")
    };
    let handler = Handler::default();
    group.bench_function("tcp", |b| {
        b.iter_custom(|n| {
            runtime().block_on(round_trips::<Tcp, _>(n, |s| tcp::server::serve(handler, s)))
        });
    });
    group.bench_function("websocket", |b| {
        b.iter_custom(|n| {
            let serve = |s| websocket::server::serve(handler, s);
            runtime().block_on(round_trips::<Websocket, _>(n, serve))
        });
    });
    group.bench_function("webhook", |b| {
        b.iter_custom(|n| {
            let serve = |s| webhook::server::serve(handler, s);
            runtime().block_on(round_trips::<Webhook, _>(n, serve))
        });
    });
    group.finish();
}

criterion_group!(benches, schedule, recorder, event, round_trip);
criterion_main!(benches);
