//! A server's bytes over HTTP/2, behind its first settings: however they are cut the client comes to the same
//! outcomes, and every event has one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pushbench_core::arm::ArmSpec;
use pushbench_core::event::{Matched, Template};
use pushbench_core::scenario::{Lifetime, Payload};
use pushbench_core::transport::Transport;
use pushbench_fuzz::{Cuts, ROOM, Socket, bounded, polled};
use pushbench_load::connections::ConnectConfig;
use pushbench_load::feed::{EventQueue, Source};
use pushbench_load::ledger::{Ledger, LedgerRules, PastOutcome};
use pushbench_load::webhook::http2::Http2;
use pushbench_wire::endpoint::{Endpoint, Resolved};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// All are in flight when the bytes come.
const EVENTS: u64 = 4;
/// SETTINGS without a setting.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const SECOND: u64 = 1_000_000_000;
/// A header block may name long headers by short numbers.
const HEADERS: usize = 2 * 400 * 1024;

/// Writes and reads take turns: what a server answers it has been asked before.
struct InTurns<'a>(Socket<'a>, bool);

impl AsyncRead for InTurns<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.1 = !self.1;
        match self.1 {
            true => Poll::Pending,
            false => Pin::new(&mut self.0).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for InTurns<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

thread_local! {
    /// One for all inputs: its histograms are large.
    static CONFIG: ConnectConfig = connect_config();
}

fn connect_config() -> ConnectConfig {
    let rules = LedgerRules {
        origin: 0,
        timeout: SECOND,
        shard: 0,
        of: 1,
        wall_length: SECOND,
        warmup: 0,
        window: SECOND,
        split: None,
        closed_loop: false,
    };
    let template = Rc::new(Template::new(&Payload::Bytes(80)));
    let endpoint = Endpoint::parse("http://127.0.0.1:1/events").unwrap();
    ConnectConfig {
        address: Resolved::new(endpoint, ([127, 0, 0, 1], 1).into()).into(),
        namespace: None,
        tls: None,
        matched: Matched::ById,
        request_options: Rc::default(),
        template: template.clone(),
        events: template,
        in_flight: EVENTS as usize,
        lifetime: Lifetime::Unlimited,
        max_segment: None,
        ledger: Rc::new(Ledger::new(rules, true)),
        spec: Rc::new(ArmSpec::plain(Transport::Webhook, "t")),
        warm: false,
    }
}

/// What became of each event.
fn outcomes(config: &ConnectConfig, bytes: &[u8], cuts: Cuts) -> Vec<PastOutcome> {
    let ledger = &config.ledger;
    let queue = EventQueue::new(ledger.clone(), Source::Open, 1, EVENTS as usize);
    (0..EVENTS).for_each(|index| _ = queue.put(index, 0, 0));
    queue.end();
    bounded(bytes, ROOM + HEADERS, || {
        let socket = Socket::new([SETTINGS].into_iter().chain(cuts.pieces(bytes)));
        let carried = polled(async {
            let client = Http2::over(InTurns(socket, false), Rc::default(), config).await;
            client.unwrap().carry_events(queue.feed(0), ledger.clone()).await
        });
        if let Err(fault) = carried {
            let message = fault.to_string();
            assert!(!message.contains(char::is_control), "{message}");
        }
    });
    assert_eq!(ledger.open_count(), 0, "an event has no outcome");
    (0..EVENTS).map(|index| ledger.past_outcome(index)).collect()
}

fuzz_target!(|input: &[u8]| {
    let (cuts, bytes) = Cuts::of(input);
    CONFIG.with(|config| {
        let whole = outcomes(config, bytes, Cuts::NONE);
        for cuts in cuts.and_all() {
            assert_eq!(outcomes(config, bytes, cuts), whole, "cut at {cuts:?}");
        }
    });
});
