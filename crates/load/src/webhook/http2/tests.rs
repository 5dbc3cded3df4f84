//! The client against a scripted peer on a stream in memory, whose ledger a naive oracle keeps as well.

use super::Http2;
use crate::connections::ConnectConfig;
use crate::feed::{EventQueue, Feed, Source};
use crate::ledger::{Ledger, LedgerRules};
use hyper::header::{HeaderName, HeaderValue};
use proptest::prelude::*;
use pushbench_core::arm::ArmSpec;
use pushbench_core::event::{Matched, Template, acknowledged_index, acknowledgement};
use pushbench_core::scenario::{Lifetime, Payload};
use pushbench_core::transport::Transport;
use pushbench_host::clock;
use pushbench_wire::endpoint::{Endpoint, Resolved};
use pushbench_wire::fault::Fault;
use pushbench_wire::request_options::RequestOptions;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const PREFACE: usize = 24;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];
const MAX_CONCURRENT_STREAMS: [u8; 2] = [0, 3];

/// What the peer does next, to one of the streams that it has read.
#[derive(Debug, Clone, Copy)]
enum Action {
    Answer(usize),
    /// With an error code.
    Reset(usize, u32),
    /// With this many of them processed.
    GoAway(usize),
    Close,
}

/// What peers do, one connection after the other, and what they have done.
#[derive(Default)]
struct Script {
    /// Each with whether the next one is in the same write.
    actions: VecDeque<(Action, bool)>,
    settings: Vec<u8>,
    /// Requests are answered and reset when their headers have come.
    early: bool,
    /// Bytes that the stream takes; any number where nothing is said.
    room: Option<usize>,
    acknowledged: u64,
    failed: u64,
    overtook: u64,
    most_open: usize,
}

struct Peer {
    script: Rc<RefCell<Script>>,
    read: Vec<u8>,
    write: VecDeque<u8>,
    /// Streams with their events, oldest first.
    open: Vec<(u32, u64)>,
    bodies: BTreeMap<u32, Vec<u8>>,
    last: u32,
    ended: bool,
    waker: Option<Waker>,
}

impl Peer {
    fn new(script: &Rc<RefCell<Script>>) -> Peer {
        let settings = frame(SETTINGS, 0, 0, &script.borrow().settings);
        Peer {
            script: script.clone(),
            read: Vec::new(),
            write: settings.into(),
            open: Vec::new(),
            bodies: BTreeMap::new(),
            last: u32::MAX,
            ended: false,
            waker: None,
        }
    }

    /// Takes the frames apart that have come.
    fn take_frames(&mut self) {
        let skipped = if self.read.starts_with(b"PRI") { PREFACE } else { 0 };
        if self.read.len() < skipped {
            return;
        }
        self.read.drain(..skipped);
        while let Some([a, b, c, kind, flags, s @ ..]) = self.read.first_chunk::<9>().copied() {
            let end = 9 + u32::from_be_bytes([0, a, b, c]) as usize;
            if self.read.len() < end {
                return;
            }
            let bytes: Vec<u8> = self.read.drain(..end).skip(9).collect();
            let (stream, ends) = (u32::from_be_bytes(s), flags & 1 != 0);
            match kind {
                HEADERS if self.script.borrow().early => {
                    self.script.borrow_mut().acknowledged += 1;
                    self.answer(stream, 0);
                    self.write.extend(frame(RST_STREAM, 0, stream, &[0; 4]));
                }
                HEADERS if stream <= self.last => {
                    self.bodies.insert(stream, Vec::new());
                    let most = &mut self.script.borrow_mut().most_open;
                    *most = (*most).max(self.bodies.len());
                }
                DATA if let Some(body) = self.bodies.get_mut(&stream) => {
                    body.extend(bytes);
                    if ends {
                        self.open.push((stream, acknowledged_index(body).unwrap()));
                    }
                }
                RST_STREAM => {
                    self.bodies.remove(&stream);
                    self.open.retain(|(open, _)| *open != stream);
                }
                _ => {}
            }
        }
    }

    fn answer(&mut self, stream: u32, index: u64) {
        let body = acknowledgement(&format!("{index:016x}"));
        self.write.extend(frame(HEADERS, 4, stream, &[0x88]));
        self.write.extend(frame(DATA, 1, stream, body.as_bytes()));
    }

    fn remove(&mut self, at: usize) -> (u32, u64) {
        let (stream, index) = self.open.remove(at % self.open.len());
        self.bodies.remove(&stream);
        (stream, index)
    }

    /// Does what comes next.
    fn act(&mut self) {
        while !self.open.is_empty() && !self.ended {
            let next = self.script.borrow_mut().actions.pop_front();
            let (action, together) = next.unwrap_or((Action::Answer(0), false));
            match action {
                Action::Answer(at) => {
                    let (stream, index) = self.remove(at);
                    let older = self.open.iter().any(|(open, _)| *open < stream);
                    self.script.borrow_mut().overtook += u64::from(older);
                    self.script.borrow_mut().acknowledged += 1;
                    self.answer(stream, index);
                }
                Action::Reset(at, code) => {
                    let (stream, _) = self.remove(at);
                    self.script.borrow_mut().failed += 1;
                    self.write.extend(frame(RST_STREAM, 0, stream, &code.to_be_bytes()));
                }
                Action::GoAway(processed) => {
                    let processed = processed % (self.open.len() + 1);
                    let first = self.open[0].0;
                    let last = processed.checked_sub(1).map_or(first - 1, |at| self.open[at].0);
                    self.last = self.last.min(last);
                    self.open.retain(|(stream, _)| *stream <= last);
                    self.bodies.retain(|stream, _| *stream <= last);
                    let payload = [self.last.to_be_bytes(), [0; 4]].concat();
                    self.write.extend(frame(GOAWAY, 0, 0, &payload));
                }
                Action::Close => self.ended = true,
            }
            if !together {
                return;
            }
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let head = [length[1], length[2], length[3], kind, flags];
    [&head[..], &stream.to_be_bytes(), payload].concat()
}

impl AsyncRead for Peer {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.write.is_empty() {
            self.act();
        }
        if self.write.is_empty() && !self.ended {
            self.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let bytes = self.write.len().min(buf.remaining());
        buf.put_slice(&self.write.drain(..bytes).collect::<Vec<u8>>());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Peer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let room = self.script.borrow().room.unwrap_or(usize::MAX);
        if room == 0 {
            self.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let taken = bytes.len().min(room);
        if let Some(room) = &mut self.script.borrow_mut().room {
            *room -= taken;
        }
        self.read.extend_from_slice(&bytes[..taken]);
        self.take_frames();
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

const TIMEOUT: u64 = 60_000_000_000;

fn connect_config(in_flight: usize, matched: Matched) -> ConnectConfig {
    let rules = LedgerRules {
        origin: clock::now(),
        timeout: TIMEOUT,
        shard: 0,
        of: 1,
        wall_length: TIMEOUT,
        warmup: 0,
        window: TIMEOUT,
        split: None,
        closed_loop: false,
    };
    let template = Rc::new(Template::new(&Payload::Bytes(80)));
    let endpoint = Endpoint::parse("http://127.0.0.1:1/events").unwrap();
    ConnectConfig {
        address: Resolved::new(endpoint, ([127, 0, 0, 1], 1).into()).into(),
        namespace: None,
        tls: None,
        ledger: Rc::new(Ledger::new(rules, matched.tells_ids())),
        matched,
        request_options: Rc::default(),
        template: template.clone(),
        events: template,
        in_flight,
        lifetime: Lifetime::Unlimited,
        max_segment: None,
        spec: Rc::new(ArmSpec::plain(Transport::Webhook, "t")),
        warm: false,
    }
}

fn queue(connect_config: &ConnectConfig, slots: usize) -> EventQueue {
    EventQueue::new(connect_config.ledger.clone(), Source::Open, slots, 1_000)
}

fn put(queue: &EventQueue, indices: std::ops::Range<u64>) {
    indices.for_each(|index| _ = queue.put(index, clock::now(), 0));
}

/// Carries events over one connection after the other, as a slot does, until none is open: how many have ended with a
/// fault.
async fn carry(connect_config: &ConnectConfig, script: &Rc<RefCell<Script>>, feed: Feed) -> u64 {
    let (ledger, mut faults) = (&connect_config.ledger, 0);
    while ledger.open_count() > 0 {
        let client = Http2::over(Peer::new(script), Rc::default(), connect_config).await.unwrap();
        if let Err(fault) = client.carry_events(feed.next_handle(), ledger.clone()).await {
            ledger.fault(&fault.to_string());
            faults += 1;
        }
    }
    faults
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let limited = async { tokio::time::timeout(Duration::from_secs(20), work).await };
    runtime.block_on(limited).expect("it waits although everything has come")
}

fn action() -> impl Strategy<Value = (Action, bool)> {
    let action = prop_oneof![
        8 => (0..8usize).prop_map(Action::Answer),
        2 => (0..8usize, 1..15u32).prop_map(|(at, code)| Action::Reset(at, code)),
        1 => (0..8usize).prop_map(Action::GoAway),
        1 => Just(Action::Close),
    ];
    (action, any::<bool>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_event_has_the_outcome_that_the_peer_gave_it(
        actions in prop::collection::vec(action(), 0..40),
        events in 1..40u64,
        in_flight in 1..9usize,
        most in prop::option::of(1..6u32),
    ) {
        let settings = most.map(|n| [&MAX_CONCURRENT_STREAMS[..], &n.to_be_bytes()].concat());
        let script = Script {
            actions: actions.into(),
            settings: settings.unwrap_or_default(),
            ..Script::default()
        };
        let (script, config) = (Rc::new(RefCell::new(script)), connect_config(in_flight, Matched::ById));
        let queue = queue(&config, 1);
        put(&queue, 0..events);
        queue.end();
        let faults = run(carry(&config, &script, queue.feed(0)));
        let (account, script) = (config.ledger.account(), script.borrow());
        let outcomes = &account.measured;
        prop_assert!(outcomes.sums_are_exact());
        prop_assert_eq!(outcomes.due, events);
        prop_assert_eq!(outcomes.acknowledged, script.acknowledged);
        prop_assert_eq!(outcomes.wrong_answer, script.failed);
        prop_assert_eq!(outcomes.lost, events - script.acknowledged - script.failed);
        prop_assert_eq!(account.reordered.unwrap_or(0), script.overtook);
        prop_assert_eq!(account.sent, events);
        // A connection on which events were lost says so once.
        prop_assert_eq!(account.faults.values().sum::<u64>(), script.failed + faults);
        prop_assert_eq!(faults > 0, outcomes.lost > 0);
        let most = in_flight.min(most.map_or(usize::MAX, |n| n as usize));
        prop_assert!(script.most_open <= most, "{} streams of {most}", script.most_open);
    }
}

/// An answer that comes before the request was sent is an answer, whatever becomes of the stream.
#[test]
fn an_answer_counts_although_the_rest_of_the_request_is_refused() {
    let settings = [&INITIAL_WINDOW_SIZE[..], &[0; 4]].concat();
    let script = Script { settings, early: true, ..Script::default() };
    let (script, config) = (Rc::new(RefCell::new(script)), connect_config(2, Matched::ByOrder));
    let queue = queue(&config, 1);
    put(&queue, 0..5);
    queue.end();
    assert_eq!(run(carry(&config, &script, queue.feed(0))), 0);
    let account = config.ledger.account();
    assert_eq!(account.measured.acknowledged, 5, "{:?}", account.faults);
}

/// Wakes nobody and counts.
#[derive(Default)]
struct Counted(AtomicUsize);

impl Wake for Counted {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a stream does not take is not sent: events wait for it, which is no lag.
#[test]
fn a_stream_that_takes_no_bytes_is_given_no_events() {
    // The preface and the first frames.
    let script = Script { room: Some(PREFACE + 9), ..Script::default() };
    let (script, config) = (Rc::new(RefCell::new(script)), connect_config(2, Matched::ById));
    let (queue, ledger) = (queue(&config, 1), config.ledger.clone());
    put(&queue, 0..10);
    let client = run(Http2::over(Peer::new(&script), Rc::default(), &config)).unwrap();
    let mut carried = pin!(client.carry_events(queue.feed(0), ledger.clone()));
    let waker = Arc::<Counted>::default().into();
    let mut cx = Context::from_waker(&waker);
    for _ in 0..3 {
        assert!(carried.as_mut().poll(&mut cx).is_pending());
    }
    assert!(ledger.account().sent <= 2);
    // All time out; what comes later would be buffered without end.
    ledger.expire(clock::now() + TIMEOUT);
    put(&queue, 10..20);
    assert!(carried.as_mut().poll(&mut cx).is_pending());
    assert!(ledger.account().sent <= 2, "{}", ledger.account().sent);
    script.borrow_mut().room = None;
    let released = clock::now();
    queue.end();
    for _ in 0..100 {
        let _ended = carried.as_mut().poll(&mut cx);
        if ledger.open_count() == 0 {
            break;
        }
    }
    let account = ledger.account();
    assert_eq!(account.measured.acknowledged, 10, "{:?}", account.measured);
    // Nothing was free before the stream took bytes again.
    assert!(account.lag.max().unwrap() <= clock::now() - released, "{:?}", account.lag.max());
}

/// A connection that was woken for an event and cannot take it leaves it to another one.
#[test]
fn an_event_goes_to_a_connection_that_can_take_it() {
    let config = connect_config(1, Matched::ById);
    let queue = queue(&config, 2);
    let wakers: [Arc<Counted>; 2] = Default::default();
    let feeds = [queue.feed(0), queue.feed(1)];
    for (feed, waker) in feeds.iter().zip(&wakers) {
        let waker = waker.clone().into();
        assert!(feed.poll_next(&Context::from_waker(&waker)).is_pending());
    }
    let woken = || [0, 1].map(|n| wakers[n].0.load(Ordering::Relaxed));
    put(&queue, 0..1);
    assert_eq!(woken(), [1, 0]);
    feeds[0].pass_on();
    assert_eq!(woken(), [1, 1]);
}

#[test]
fn headers_that_http2_does_not_have_are_refused() {
    for name in ["connection", "te", "keep-alive"] {
        let mut options = RequestOptions::default();
        options.headers.insert(HeaderName::from_static(name), HeaderValue::from_static("x"));
        let config =
            ConnectConfig { request_options: options.into(), ..connect_config(1, Matched::ById) };
        let script = Rc::<RefCell<Script>>::default();
        let fault = run(Http2::over(Peer::new(&script), Rc::default(), &config)).err().unwrap();
        assert!(matches!(&fault, Fault::Refused(why) if why.contains(name)), "{fault}");
    }
}
