//! The functions that run for each event.

use crate::setting::{ARRIVALS, EVENT_BYTES, connect_config, ledger, ledger_of_shard, load};
use pushbench_core::event::{Matched, Template, acknowledgement};
use pushbench_core::message_pattern::{Captured, MessagePattern};
use pushbench_core::record::histogram::Hist;
use pushbench_core::scenario::{Lifetime, Payload};
use pushbench_core::schedule::Schedule;
use pushbench_core::transport::Carrier;
use pushbench_core::wording::{EVENT, ID, Wording};
use pushbench_host::clock;
use pushbench_load::connections::Client;
use pushbench_load::connections::ConnectConfig;
use pushbench_load::feed::{EventQueue, Source};
use pushbench_load::io::ReadTimes;
use pushbench_load::ledger::Instants;
use pushbench_load::pipeline::Window;
use pushbench_load::tcp::Tcp;
use pushbench_load::webhook::client::Webhook;
use pushbench_load::websocket::Websocket;
use pushbench_server::authentication::Authentication;
use pushbench_server::handler::Handler;
use pushbench_server::{tcp, webhook, websocket};
use pushbench_wire::hello::{Heartbeat, HelloStep};
use pushbench_wire::request_options::RequestOptions;
use pushbench_wire::signing::SigningKey;
use pushbench_wire::stream::Stream;
use std::future::poll_fn;
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::task::{Context, Waker};
use tokio::net::{TcpListener, TcpStream};

/// Enough that what is done once is far below a thousandth.
const MANY: u64 = 20_000;
/// Of those that make system calls, which valgrind is slow at.
const FEWER: u64 = 4_000;

/// A function by the name that a failure tells.
pub struct Function {
    pub name: &'static str,
    pub calls: u64,
    run: fn(u64),
}

const fn of(name: &'static str, calls: u64, run: fn(u64)) -> Function {
    Function { name, calls, run }
}

/// Events as they are.
pub const PLAIN: &str = "websocket: an event written, its answer read";
/// The same number of bytes.
pub const WITH_MESSAGES: &str = "websocket: the same with hello and wrap";

/// What one shard of a schedule does for an event …
pub const ALONE: &str = "record: an event through feed, window, ledger";
/// … and one of three, on three machines.
pub const OF_SEVERAL: &str = "record: the same, one shard of three";

/// All of them.
pub const FUNCTIONS: [Function; 17] = [
    of("schedule: next of constant", MANY, |n| schedule(0, n)),
    of("schedule: next of poisson", MANY, |n| schedule(1, n)),
    of("schedule: next of ramp", MANY, |n| schedule(2, n)),
    of("record: a value in a histogram", MANY, histogram),
    of("record: an event in the ledger", MANY, event_in_ledger),
    of(ALONE, MANY, |n| event_through_window(n, (0, 1))),
    of(OF_SEVERAL, MANY, |n| event_through_window(n, (1, 3))),
    of("event: made", MANY, made),
    of("event: answer matched by id", MANY, matched),
    of("event: answer matched by structure", MANY, matched_by_structure),
    of("tcp: an event written, its answer read", FEWER, |n| {
        carried::<Tcp, _>(n, 1, Events::Plain, |s| tcp::server::serve(Handler::default(), s));
    }),
    of(PLAIN, FEWER, |n| websocket(n, 1, Events::Plain)),
    of(WITH_MESSAGES, FEWER, |n| websocket(n, 1, Events::Wrapped)),
    of("websocket: the same, 16 in flight", FEWER, |n| websocket(n, 16, Events::Plain)),
    of("webhook: an event written, its answer read", FEWER, |n| {
        carried::<Webhook, _>(n, 1, Events::Plain, |s| {
            webhook::server::serve(Handler::default(), None, s)
        });
    }),
    of("webhook: the same, signed", FEWER, |n| {
        carried::<Webhook, _>(n, 1, Events::Signed(Carrier::Webhook), |s| {
            webhook::server::serve(verifying(Carrier::Webhook), None, s)
        });
    }),
    of("websocket: the same, signed", FEWER, |n| {
        carried::<Websocket, _>(n, 1, Events::Signed(Carrier::Websocket), |s| {
            websocket::server::serve(verifying(Carrier::Websocket), s)
        });
    }),
];

/// Calls the function of that name so often.
pub fn run(name: &str, calls: u64) {
    let function = FUNCTIONS.iter().find(|f| f.name == name);
    (function.expect("a function of that name").run)(calls);
}

/// What callgrind looks for by name: it must be called, and keep its name.
#[inline(never)]
fn what_is_counted<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// Calls `work` twice as often as is counted: at first what is made lazily is made.
fn repeated(calls: u64, mut work: impl FnMut()) {
    (0..calls).for_each(|_| work());
    what_is_counted(|| (0..calls).for_each(|_| work()));
}

fn schedule(which: usize, calls: u64) {
    let (_, arrivals) = ARRIVALS[which];
    let mut due = Schedule::new(&load(arrivals), 7, 0, 1).expect("an open load has a schedule");
    repeated(calls, || {
        black_box(due.next());
    });
}

fn histogram(calls: u64) {
    let (mut hist, mut value) = (Hist::new(), 100_000);
    repeated(calls, || {
        value = value * 5 % 1_000_003 + 1;
        hist.record(black_box(value));
    });
}

fn event_in_ledger(calls: u64) {
    let ledger = ledger(false);
    let (mut index, mut at) = (0, clock::now());
    repeated(calls, || {
        let ticket = ledger.open(index, at, Some(index));
        ledger.sent(&ticket);
        let [free, sent, done, woken] = [0, 1_000, 90_000, 89_000].map(|after| at + after);
        ledger.acknowledge(&ticket, Instants { free, sent, done, woken, nth: 100 });
        index += 1;
        at += 1_000;
    });
}

/// All that happens to an event beside its bytes.
fn event_through_window(calls: u64, (shard, of): (u64, u64)) {
    let ledger = ledger_of_shard(false, (shard, of));
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    let queue = EventQueue::new(ledger.clone(), Source::Open, 1, 1);
    let feed = queue.feed(0);
    let mut window = Window::new(&connect_config(&ledger, nowhere, Lifetime::Unlimited));
    let (read_times, cx) = (ReadTimes::default(), Context::from_waker(Waker::noop()));
    let answers: Vec<String> =
        (0..2 * calls).map(|n| acknowledgement(&format!("{:016x}", shard + n * of))).collect();
    let mut n = 0;
    repeated(calls, || {
        queue.put(shard + n * of, clock::now(), n);
        assert!(window.take(&feed, &cx).is_ready(), "the event must be there");
        window.answer(answers[n as usize].as_bytes(), &read_times);
        n += 1;
    });
    assert_eq!(ledger.open_count(), 0, "the bench must do what it says");
}

fn made(calls: u64) {
    let template = Template::new(&Payload::Bytes(EVENT_BYTES));
    let (mut out, mut index) = (Vec::with_capacity(2 * EVENT_BYTES), 0);
    repeated(calls, || {
        out.clear();
        index += 1;
        template.append(index, &mut out);
    });
}

fn matched(calls: u64) {
    let answer = acknowledgement("000000000000002a");
    repeated(calls, || {
        black_box(Matched::ById.index(black_box(answer.as_bytes())));
    });
}

fn matched_by_structure(calls: u64) {
    let answer = r#"{"type": "next", "payload": {"id": "000000000000002a"}}"#;
    let pattern = MessagePattern::parse(r#"{"type":"next","payload":{"id":"{id}"}}"#);
    let matched = Matched::ByPattern(pattern.expect("a pattern").into());
    repeated(calls, || {
        black_box(matched.index(black_box(answer.as_bytes())));
    });
}

fn websocket(calls: u64, in_flight: usize, messages: Events) {
    let serve = |s| websocket::server::serve(Handler::default(), s);
    carried::<Websocket, _>(calls, in_flight, messages, serve);
}

/// How events are sent.
#[derive(Clone, Copy)]
enum Events {
    /// As they are.
    Plain,
    /// As data of others.
    Wrapped,
    /// With a signature, where this carrier has it.
    Signed(Carrier),
}

fn key() -> SigningKey {
    SigningKey::parse("a secret of the bench").expect("a key")
}

fn verifying(carrier: Carrier) -> Handler {
    let authentication = Box::leak(Box::new(Authentication::new(carrier, None, Some(key()))));
    Handler { authentication: Some(authentication), ..Handler::default() }
}

fn signed(plain: ConnectConfig, carrier: Carrier) -> ConnectConfig {
    let request_options = RequestOptions::default().signed(key(), carrier);
    let template = request_options.wrapped(&plain.events, &Captured::new());
    ConnectConfig { request_options: request_options.into(), template: template.into(), ..plain }
}

/// Sends events as data of others, whose bytes are as many, after a hello.
fn with_messages(plain: ConnectConfig) -> ConnectConfig {
    let places = [EVENT, ID];
    let wrap = Wording::parse(r#"{"id":"{id}","type":"event","data":{event}}"#, &places);
    let hello = r#"{"id":"hello","type":"event","data":0}"#;
    let pattern = |text| MessagePattern::parse(text).expect("a pattern");
    let request_options = RequestOptions {
        hello: vec![
            HelloStep::Send(Wording::parse(hello, &[]).expect("a message")),
            HelloStep::Await(pattern(r#"{"id":"hello"}"#)),
        ],
        wrap: Some(wrap.expect("a template")),
        heartbeat: Some(
            Heartbeat { awaited: pattern(r#"{"type":"ping"}"#), sent: "{}".into(), every: None }
                .into(),
        ),
        answer: Some(pattern(r#"{"id":"{id}"}"#).into()),
        ..RequestOptions::default()
    };
    let around = r#"{"id":"0000000000000000","type":"event","data":}"#.len();
    let events = Template::new(&Payload::Bytes(EVENT_BYTES - around));
    let template = request_options.wrapped(&events, &Captured::new());
    assert_eq!(template.len(), plain.template.len(), "the bench must do what it says");
    ConnectConfig {
        matched: Matched::ByPattern(request_options.answer.clone().expect("a pattern")),
        request_options: request_options.into(),
        template: template.into(),
        events: events.into(),
        ..plain
    }
}

/// A connection carries events to a server beside it; what its client's task does is counted, the
/// server's and the runtime's part is not.
fn carried<C, S>(
    events: u64,
    in_flight: usize,
    messages: Events,
    serve: impl FnOnce(Stream<TcpStream>) -> S,
) where
    C: Client,
    S: Future<Output = ()> + 'static,
{
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_io().build_local(Default::default()).expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let socket = listener.local_addr().expect("an address");
        let ledger = ledger(true);
        let connect_config = ConnectConfig {
            in_flight,
            ..connect_config(&ledger, socket, Lifetime::Events(events))
        };
        let connect_config = match messages {
            Events::Plain => connect_config,
            Events::Wrapped => with_messages(connect_config),
            Events::Signed(carrier) => signed(connect_config, carrier),
        };
        let connect = tokio::task::spawn_local(async move { C::open(&connect_config).await });
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        let stream = Stream::accept(stream, None).await.expect("a stream");
        let server = tokio::task::spawn_local(serve(stream));
        let client = connect.await.expect("no panic").expect("an open connection");
        let queue = EventQueue::new(ledger.clone(), Source::Closed { shard: 0, of: 1 }, 1, 1);
        queue.run(true);
        let mut carry = pin!(client.carry(queue.feed(0), ledger.clone()));
        let counted = poll_fn(|cx| what_is_counted(|| carry.as_mut().poll(cx)));
        counted.await.expect("every event is answered");
        server.abort();
        let acknowledged = ledger.account().measured.acknowledged;
        assert_eq!(acknowledged, events, "the bench must do what it says");
    });
}
