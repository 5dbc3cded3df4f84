//! What the driver allocates per event: nothing of its own, and over TLS what rustls does.
//!
//! Only the driver's thread is counted; the server runs on another one.

use pushbench_core::arm::ArmSpec;
use pushbench_core::event::{Matched, Template};
use pushbench_core::message_pattern::{Captured, MessagePattern};
use pushbench_core::record::strata::Split;
use pushbench_core::scenario::{Compression, KeyKind, Lifetime, Payload};
use pushbench_core::transport::{Carrier, Transport};
use pushbench_core::wording::{EVENT, ID, Wording};
use pushbench_host::clock;
use pushbench_load::connections::Client;
use pushbench_load::connections::ConnectConfig;
use pushbench_load::feed::{EventQueue, Source};
use pushbench_load::ledger::{Ledger, LedgerRules};
use pushbench_load::pacer::Pacer;
use pushbench_load::tasks::TimedTask;
use pushbench_load::tcp::Tcp;
use pushbench_load::webhook::client::Webhook;
use pushbench_load::websocket::Websocket;
use pushbench_server::authentication::Authentication;
use pushbench_server::handler::Handler;
use pushbench_server::{tcp, webhook, websocket};
use pushbench_wire::endpoint::{Endpoint, Resolved, Scheme};
use pushbench_wire::hello::Heartbeat;
use pushbench_wire::request_options::RequestOptions;
use pushbench_wire::signing::SigningKey;
use pushbench_wire::stream::Stream;
use pushbench_wire::tls::certificates::Certificates;
use pushbench_wire::tls::{ClientTls, ServerTls};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::OnceLock;
use tokio::net::{TcpListener, TcpStream};

/// Events of the short and the long trial: what both allocate alike is set-up.
const FEW: u64 = 2_000;
const MANY: u64 = 20_000;
/// Allocations per event that are none: a buffer that still grows now and then.
const NONE: f64 = 0.001;
/// Over TLS: of rustls, two for what is sent and two for what is read. The first event that is encrypted also makes
/// the driver's histograms for it.
const OF_RUSTLS: f64 = 4.0;
const IN_FLIGHT: usize = 8;

struct Counting;

thread_local! {
    static COUNTED: Cell<Option<u64>> = const { Cell::new(None) };
}

fn count() {
    // Memory is also allocated while a thread's locals are gone.
    let _ending = COUNTED.try_with(|n| n.set(n.get().map(|n| n + 1)));
}

// SAFETY: everything is passed on to the system's allocator; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller promised.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as the caller promised.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// A server, and how its connections are encrypted.
struct Target {
    address: SocketAddr,
    tls: Option<ClientTls>,
}

/// Serves on a thread of its own until the test program ends.
fn server<S>(serve: fn(Stream<TcpStream>) -> S) -> Target
where
    S: Future<Output = ()> + 'static,
{
    Target { address: listening(serve, None), tls: None }
}

/// The same over TLS.
fn server_over_tls<S>(serve: fn(Stream<TcpStream>) -> S) -> Target
where
    S: Future<Output = ()> + 'static,
{
    let made = Certificates::make(KeyKind::P256, &[]).unwrap();
    let client = ClientTls::new(&made.ca, "localhost", Scheme::Https, true).unwrap();
    let own = ServerTls::new(&made.cert, &made.key).unwrap();
    Target { address: listening(serve, Some(own)), tls: Some(client) }
}

fn listening<S>(serve: fn(Stream<TcpStream>) -> S, tls: Option<ServerTls>) -> SocketAddr
where
    S: Future<Output = ()> + 'static,
{
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_io().build_local(Default::default()).unwrap();
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let stream = Stream::accept(stream, tls.as_ref()).await.unwrap();
                tokio::task::spawn_local(serve(stream));
            }
        });
    });
    address
}

/// How many times memory is allocated while `events` are carried over a warm connection.
async fn trial<C: Client>(
    Target { address, tls }: &Target,
    source: Source,
    events: u64,
    request_options: &RequestOptions,
) -> u64 {
    let rules = LedgerRules {
        origin: clock::now(),
        timeout: 60_000_000_000,
        shard: 0,
        of: 1,
        wall_length: 60_000_000_000,
        warmup: 0,
        window: 60_000_000_000,
        split: Some(Split::Use { bounds: vec![1, 10] }),
        closed_loop: source != Source::Open,
    };
    let ledger = Rc::new(Ledger::new(rules, true));
    let url = format!("http://{address}{}", webhook::server::PATH);
    let endpoint = Endpoint::parse(&url).unwrap();
    let plain = Template::new(&Payload::Bytes(512));
    let connect_config = ConnectConfig {
        address: Resolved::new(endpoint, *address).into(),
        namespace: None,
        tls: tls.clone(),
        matched: request_options.answer.clone().map_or(Matched::ById, Matched::ByPattern),
        request_options: Rc::new(request_options.clone()),
        template: Rc::new(request_options.wrapped(&plain, &Captured::new())),
        events: Rc::new(plain),
        in_flight: IN_FLIGHT,
        lifetime: Lifetime::Events(events),
        max_segment: None,
        ledger: ledger.clone(),
        spec: Rc::new(match request_options.compression {
            Some(_) => compressed(),
            None => ArmSpec::plain(Transport::Webhook, "builtin"),
        }),
        warm: true,
    };
    let client = C::open(&connect_config).await.unwrap();
    let queue = EventQueue::new(ledger.clone(), source, 1, 1_000);
    let worked = Rc::new(Cell::new(false));
    let mut pacer = Pacer::new(worked.clone()).unwrap();
    COUNTED.set(Some(0));
    let carried = TimedTask::new(client.carry(queue.feed(0), ledger.clone()), worked);
    let carried = tokio::task::spawn_local(carried);
    match source {
        Source::Open => put(&queue, &ledger, &mut pacer, events).await,
        Source::Closed { .. } => queue.run(true),
        Source::Elsewhere => unreachable!("another machine sends"),
    }
    carried.await.unwrap().unwrap();
    let counted = COUNTED.take().unwrap();
    assert_eq!(ledger.account().measured.acknowledged, events);
    counted
}

/// Events due a few microseconds apart, some of them while others are still open.
async fn put(queue: &EventQueue, ledger: &Ledger, pacer: &mut Pacer, events: u64) {
    let begun = clock::now();
    for index in 0..events {
        let due = clock::now() + 5_000;
        pacer.until(due).await.unwrap();
        queue.put(index, due, due.saturating_sub(begun));
        while ledger.open_count() >= IN_FLIGHT as u64 {
            tokio::task::yield_now().await;
        }
    }
}

/// Allocations per event: what a long trial has more than a short one.
fn per_event<C: Client>(target: &Target, source: Source) -> f64 {
    per_event_with::<C>(target, source, &RequestOptions::default())
}

fn per_event_with<C: Client>(target: &Target, source: Source, options: &RequestOptions) -> f64 {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_io().build_local(Default::default()).unwrap();
    runtime.block_on(async {
        let _warm_up = trial::<C>(target, source, FEW, options).await;
        let few = trial::<C>(target, source, FEW, options).await;
        let many = trial::<C>(target, source, MANY, options).await;
        println!("{}: {few} and {many}", std::any::type_name::<C>());
        many.saturating_sub(few) as f64 / (MANY - FEW) as f64
    })
}

const LOADS: [Source; 2] = [Source::Open, Source::Closed { shard: 0, of: 1 }];

#[test]
fn tcp_allocates_nothing_per_event() {
    let target = server(|stream| tcp::server::serve(Handler::default(), stream));
    for source in LOADS {
        let per_event = per_event::<Tcp>(&target, source);
        assert!(per_event < NONE, "{per_event} allocations per event, {source:?}");
    }
}

#[test]
fn websocket_allocates_nothing_per_event() {
    let target = server(|stream| websocket::server::serve(Handler::default(), stream));
    for source in LOADS {
        let per_event = per_event::<Websocket>(&target, source);
        assert!(per_event < NONE, "{per_event} allocations per event, {source:?}");
    }
}

#[test]
fn messages_above_websocket_allocate_nothing_per_event() {
    let target = server(|stream| websocket::server::serve(Handler::default(), stream));
    let wrap = Wording::parse(r#"{"id":"{id}","type":"event","data":{event}}"#, &[EVENT, ID]);
    let pattern = |text| MessagePattern::parse(text).unwrap();
    // With the blanks no answer is the pattern byte for byte.
    for answer in [r#"{"id":"{id}"}"#, r#"{ "id": "{id}" }"#] {
        let options = RequestOptions {
            wrap: Some(wrap.clone().unwrap()),
            heartbeat: Some(
                Heartbeat { awaited: pattern("2"), sent: "3".to_owned(), every: None }.into(),
            ),
            answer: Some(pattern(answer).into()),
            ..RequestOptions::default()
        };
        for source in LOADS {
            let per_event = per_event_with::<Websocket>(&target, source, &options);
            assert!(per_event < NONE, "{per_event} allocations per event, {source:?}, {answer}");
        }
    }
}

#[test]
fn signed_events_allocate_nothing() {
    fn verifying(carrier: Carrier) -> Handler {
        static AUTHENTICATION: [OnceLock<Authentication>; 2] = [OnceLock::new(), OnceLock::new()];
        let made = AUTHENTICATION[usize::from(carrier == Carrier::Webhook)]
            .get_or_init(|| Authentication::new(carrier, None, SigningKey::parse("a secret").ok()));
        Handler { authentication: Some(made), ..Handler::default() }
    }
    let options =
        |carrier| RequestOptions::default().signed(SigningKey::parse("a secret").unwrap(), carrier);
    let webhook = server(|s| webhook::server::serve(verifying(Carrier::Webhook), None, s));
    let websocket = server(|s| websocket::server::serve(verifying(Carrier::Websocket), s));
    for source in LOADS {
        let per_event = [
            per_event_with::<Webhook>(&webhook, source, &options(Carrier::Webhook)),
            per_event_with::<Websocket>(&websocket, source, &options(Carrier::Websocket)),
        ];
        assert!(per_event.iter().all(|n| *n < NONE), "{per_event:?} per event, {source:?}");
    }
}

fn compressed() -> ArmSpec {
    ArmSpec::parse("webhook+compressed@builtin").unwrap()
}

#[test]
fn compressed_events_allocate_nothing() {
    const HANDLER: fn() -> Handler =
        || Handler { options: compressed().options, ..Handler::default() };
    let webhook = server(|s| webhook::server::serve(HANDLER(), None, s));
    let websocket = server(|s| websocket::server::serve(HANDLER(), s));
    for context_takeover in [true, false] {
        let settings = Compression { context_takeover, ..Compression::default() };
        let options = RequestOptions { compression: Some(settings), ..RequestOptions::default() };
        for source in LOADS {
            let per_event = [
                per_event_with::<Webhook>(&webhook, source, &options),
                per_event_with::<Websocket<true>>(&websocket, source, &options),
            ];
            assert!(per_event.iter().all(|n| *n < NONE), "{per_event:?} per event, {source:?}");
        }
    }
}

#[test]
fn webhook_allocates_nothing_per_event() {
    let target = server(|stream| webhook::server::serve(Handler::default(), None, stream));
    for source in LOADS {
        let per_event = per_event::<Webhook>(&target, source);
        assert!(per_event < NONE, "{per_event} allocations per event, {source:?}");
    }
}

#[test]
fn over_tls_rustls_alone_allocates() {
    let webhook = server_over_tls(|s| webhook::server::serve(Handler::default(), None, s));
    let websocket = server_over_tls(|s| websocket::server::serve(Handler::default(), s));
    for source in LOADS {
        let per_event =
            [per_event::<Webhook>(&webhook, source), per_event::<Websocket>(&websocket, source)];
        assert!(per_event.iter().all(|n| *n <= OF_RUSTLS), "{per_event:?} per event, {source:?}");
    }
}
