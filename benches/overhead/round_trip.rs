//! One event and its acknowledgement over each transport.

use crate::setting::{connect_config, ledger};
use criterion::Criterion;
use pushbench_core::scenario::Lifetime;
use pushbench_load::connections::Client;
use pushbench_load::feed::{EventQueue, Source};
use pushbench_load::tcp::Tcp;
use pushbench_load::webhook::client::Webhook;
use pushbench_load::websocket::Websocket;
use pushbench_server::handler::Handler;
use pushbench_server::{tcp, webhook, websocket};
use pushbench_wire::stream::Stream;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};

/// Time for `events` one after the other over one connection, client and server on one thread.
async fn round_trips<C, S>(events: u64, serve: impl FnOnce(Stream<TcpStream>) -> S) -> Duration
where
    C: Client,
    S: Future<Output = ()> + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let socket = listener.local_addr().expect("an address");
    let ledger = ledger(true);
    let connect_config = connect_config(&ledger, socket, Lifetime::Events(events));
    let connect = tokio::task::spawn_local(async move { C::open(&connect_config).await });
    let (stream, _) = listener.accept().await.expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    let stream = Stream::accept(stream, None).await.expect("a stream");
    let server = tokio::task::spawn_local(serve(stream));
    let client = connect.await.expect("no panic").expect("an open connection");
    let queue = EventQueue::new(ledger.clone(), Source::Closed { shard: 0, of: 1 }, 1, 1);
    queue.run(true);
    let began = Instant::now();
    client.carry(queue.feed(0), ledger.clone()).await.expect("every event is answered");
    let took = began.elapsed();
    server.abort();
    assert_eq!(ledger.account().measured.acknowledged, events, "the bench must do what it says");
    took
}

pub fn round_trip(c: &mut Criterion) {
    let mut group = c.benchmark_group("round trip");
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_io().build_local(Default::default()).expect("a runtime")
    };
    group.bench_function("tcp", |b| {
        b.iter_custom(|n| {
            runtime()
                .block_on(round_trips::<Tcp, _>(n, |s| tcp::server::serve(Handler::default(), s)))
        });
    });
    group.bench_function("websocket", |b| {
        b.iter_custom(|n| {
            let serve = |s| websocket::server::serve(Handler::default(), s);
            runtime().block_on(round_trips::<Websocket, _>(n, serve))
        });
    });
    group.bench_function("webhook", |b| {
        b.iter_custom(|n| {
            let serve = |s| webhook::server::serve(Handler::default(), None, s);
            runtime().block_on(round_trips::<Webhook, _>(n, serve))
        });
    });
    group.finish();
}
