//! A client's end of an open WebSocket: frames over buffers that its thread's connections share.

pub mod subscriber;

use crate::connections::{Client, ConnectConfig};
use crate::feed::Feed;
use crate::hello;
use crate::hello::{HeartbeatState, MessageChannel};
use crate::io::{InstrumentedSocket, ReadTimes};
use crate::ledger::Ledger;
use crate::pipeline;
use crate::pipeline::PipelinedConnection;
use pushbench_wire::fault::Fault;
use pushbench_wire::hello::Greeted;
use pushbench_wire::request_options::RequestOptions;
use pushbench_wire::shared_buffers::{Unread, Unwritten};
use pushbench_wire::stream::Stream;
use pushbench_wire::websocket::deflate::{Agreed, Deflater, Inflater};
use pushbench_wire::websocket::frames::{CLOSE, Frames, PONG, Received, TEXT};
use pushbench_wire::websocket::{RETRY_AFTER, frames, handshake};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::cell::RefCell;
use std::future::poll_fn;
use std::hash::{BuildHasher as _, RandomState};
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::ProtocolError;

/// While so many bytes wait for the peer to read, only the last of its pings is answered.
const MOST_WAITING: usize = 8 * 1024;
/// The reason of a close that breaks the rules for codes.
const VIOLATION: &[u8] = b"\x03\xeaProtocol violation";

thread_local! {
    /// Masks must not be predictable for the author of the text (RFC 6455, section 10.3).
    static MASK_KEYS: RefCell<ChaCha8Rng> =
        RefCell::new(ChaCha8Rng::seed_from_u64(RandomState::new().hash_one(0)));
}

fn key() -> [u8; 4] {
    MASK_KEYS.with_borrow_mut(|keys| keys.next_u32()).to_ne_bytes()
}

/// An open WebSocket; the messages of a compressed one are.
pub(super) struct Socket<const COMPRESSED: bool> {
    io: Stream<InstrumentedSocket>,
    unread: Unread,
    unwritten: Unwritten,
    frames: Frames,
    /// Where compression is agreed on.
    deflater: Option<Deflater>,
    /// The control frame that the peer expects.
    reply: Option<ControlReply>,
    /// The heartbeat of the protocol above, where it has one.
    heartbeat: Option<Box<HeartbeatState>>,
}

/// A control frame that answers one.
#[derive(Debug, PartialEq, Eq)]
struct ControlReply {
    opcode: u8,
    payload: Vec<u8>,
}

impl<const COMPRESSED: bool> Socket<COMPRESSED> {
    /// Over a connection whose handshake is done; `received_early` is what the peer has sent since.
    pub fn new(
        io: Stream<InstrumentedSocket>,
        (received_early, agreed): (&[u8], Option<Agreed>),
    ) -> Socket<COMPRESSED> {
        let mut unread = Unread::default();
        unread.push(received_early);
        Socket {
            io,
            unread,
            unwritten: Unwritten::default(),
            frames: agreed.map_or(Frames::default(), |agreed| {
                Frames::compressed(Inflater::new(agreed.server))
            }),
            deflater: agreed.map(|agreed| Deflater::new(agreed.client)),
            reply: None,
            heartbeat: None,
        }
    }

    /// Sends and awaits what the target's description wants before the first event.
    async fn greet(&mut self, request_options: &RequestOptions) -> Result<Greeted, Fault> {
        let greeted = match request_options.hello.is_empty() {
            true => Greeted::default(),
            false => hello::greet(self, request_options).await?,
        };
        self.heartbeat = HeartbeatState::new(request_options)?;
        Ok(greeted)
    }

    fn queue_message(&mut self, length: usize, fill: impl FnOnce(&mut Vec<u8>)) {
        let (out, key) = (self.unwritten.room(), key());
        match self.deflater.as_mut().filter(|_| COMPRESSED) {
            Some(deflater) => deflater.append(out, TEXT, Some(key), fill),
            None => frames::append(out, (TEXT, length), key, fill),
        }
    }

    fn queue_text(&mut self, text: &str) {
        self.queue_message(text.len(), |out| out.extend_from_slice(text.as_bytes()));
    }

    /// Sends the heartbeats that are due.
    #[cold]
    fn poll_heartbeat(&mut self, cx: &mut Context<'_>) -> Result<(), Fault> {
        if self.unwritten.len() >= MOST_WAITING {
            return Ok(());
        }
        let Some(mut state) = self.heartbeat.take() else { return Ok(()) };
        let due = state.poll_due(cx)?;
        (0..due).for_each(|_| self.queue_text(state.text()));
        self.heartbeat = Some(state);
        if due > 0 {
            let _rest_is_written_later = self.poll_flush(cx)?;
        }
        Ok(())
    }

    /// Sends a close frame if it can be written at once. Its bytes are not charged to events.
    pub fn close(mut self, cx: &mut Context<'_>) {
        self.io.socket().account();
        let ControlReply { opcode, payload } = match self.reply.take() {
            Some(answer) if answer.opcode == CLOSE => answer,
            _ => ControlReply { opcode: CLOSE, payload: Vec::new() },
        };
        self.control(opcode, &payload);
        let _not_waited_for = self.unwritten.poll_written(&mut self.io, cx);
        self.io.close_notify(cx);
    }

    /// For how long a peer that has closed with code 1013 wants no further connection, ns.
    fn retry_after(&self) -> Option<u64> {
        let reason = self.close_reason()?;
        let seconds: u64 =
            reason.strip_prefix("code 1013 ")?.strip_prefix(RETRY_AFTER)?.parse().ok()?;
        Some(seconds.saturating_mul(1_000_000_000))
    }

    fn control(&mut self, opcode: u8, payload: &[u8]) {
        frames::append(self.unwritten.room(), (opcode, payload.len()), key(), |out| {
            out.extend_from_slice(payload);
        });
    }

    /// Answers the last ping.
    #[cold]
    fn poll_pong(&mut self, cx: &mut Context<'_>) -> Result<(), Fault> {
        if self.unwritten.len() < MOST_WAITING
            && let Some(ControlReply { opcode, payload }) = self.reply.take_if(|r| r.opcode == PONG)
        {
            self.control(opcode, &payload);
            let _rest_is_written_later = self.poll_flush(cx)?;
        }
        Ok(())
    }
}

/// Hands the messages in `bytes` to `answer`; how many bytes were understood, and whether the peer closes.
#[inline(always)]
fn take(
    frames: &mut Frames,
    (reply, heartbeat): (&mut Option<ControlReply>, &mut Option<Box<HeartbeatState>>),
    bytes: &[u8],
    answer: &mut impl FnMut(&[u8]) -> bool,
) -> (usize, Result<bool, Error>) {
    let mut used = 0;
    loop {
        match frames.take(&bytes[used..]) {
            Ok(None) => return (used, Ok(false)),
            Err(e) => return (used, Err(e)),
            Ok(Some((n, received))) => {
                used += n;
                match received {
                    Received::Message(message) => {
                        if answer(message)
                            && let Some(state) = heartbeat
                        {
                            state.received();
                        }
                    }
                    Received::Nothing => {}
                    Received::Ping(payload) => {
                        *reply = Some(ControlReply { opcode: PONG, payload: payload.to_vec() });
                    }
                    Received::Close(reason) => {
                        *reply =
                            Some(ControlReply { opcode: CLOSE, payload: echo(reason).to_vec() });
                        return (used, Ok(true));
                    }
                }
            }
        }
    }
}

/// A close is answered with its own reason, unless that has a code that must not be sent.
fn echo(reason: &[u8]) -> &[u8] {
    use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
    match reason {
        [a, b, ..] if !CloseCode::from(u16::from_be_bytes([*a, *b])).is_allowed() => VIOLATION,
        reason => reason,
    }
}

impl<const COMPRESSED: bool> PipelinedConnection for Socket<COMPRESSED> {
    fn poll_answers(
        &mut self,
        cx: &mut Context<'_>,
        mut answer: impl FnMut(&[u8]) -> bool,
    ) -> Poll<Result<(), Fault>> {
        let (frames, replies) = (&mut self.frames, (&mut self.reply, &mut self.heartbeat));
        // What came with the handshake; later there is at most the begin of a frame.
        if !self.unread.bytes().is_empty()
            && self.unread.look(|bytes| take(frames, replies, bytes, &mut answer)).map_err(fault)?
        {
            return Poll::Ready(Ok(()));
        }
        loop {
            if self.reply.is_some() {
                self.poll_pong(cx)?;
            }
            let (frames, replies) = (&mut self.frames, (&mut self.reply, &mut self.heartbeat));
            let read = self
                .unread
                .poll_read(&mut self.io, cx, |bytes| take(frames, replies, bytes, &mut answer));
            let Poll::Ready(read) = read else {
                // The answer to one may have been read just now.
                if self.heartbeat.as_ref().is_some_and(|state| state.may_be_due()) {
                    self.poll_heartbeat(cx)?;
                }
                return Poll::Pending;
            };
            match read.map_err(Fault::of)? {
                None => {
                    return Poll::Ready(Err(fault(
                        ProtocolError::ResetWithoutClosingHandshake.into(),
                    )));
                }
                // What would be sent now is not read any more: the connection has ended.
                Some(closes) => {
                    if closes.map_err(fault)? {
                        return Poll::Ready(Ok(()));
                    }
                }
            }
        }
    }

    fn end_setup(&self) {
        self.io.socket().end_setup();
    }

    fn queued(&self) -> usize {
        self.unwritten.len()
    }

    fn write(&mut self, length: usize, fill: impl FnOnce(&mut Vec<u8>)) -> Result<(), Fault> {
        self.queue_message(length, fill);
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.unwritten.poll_written(&mut self.io, cx).map_err(Fault::of)
    }
}

fn fault(e: Error) -> Fault {
    match e {
        Error::Io(e) => Fault::of(e),
        Error::ConnectionClosed | Error::AlreadyClosed => Fault::closed(e),
        e => Fault::protocol(e),
    }
}

impl<const COMPRESSED: bool> MessageChannel for Socket<COMPRESSED> {
    fn poll_received(
        &mut self,
        cx: &mut Context<'_>,
        mut each: impl FnMut(&[u8]),
    ) -> Poll<Result<(), Fault>> {
        self.poll_answers(cx, |message| {
            each(message);
            false
        })
    }

    fn queue_text(&mut self, text: &str) -> Result<(), Fault> {
        Socket::queue_text(self, text);
        Ok(())
    }

    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.poll_flush(cx)
    }

    fn close_reason(&self) -> Option<String> {
        let reply = self.reply.as_ref().filter(|reply| reply.opcode == CLOSE)?;
        let [a, b, text @ ..] = &reply.payload[..] else { return None };
        let code = u16::from_be_bytes([*a, *b]);
        Some(format!("code {code} {}", String::from_utf8_lossy(text)).trim_end().to_owned())
    }
}

/// An open WebSocket, and whether its messages are compressed.
pub struct Websocket<const COMPRESSED: bool = false> {
    connect_config: ConnectConfig,
    socket: Socket<COMPRESSED>,
    read_times: Rc<ReadTimes>,
}

impl<const COMPRESSED: bool> Client for Websocket<COMPRESSED> {
    async fn open(connect_config: &ConnectConfig) -> Result<Self, Fault> {
        let mut io = InstrumentedSocket::connect(connect_config).await?;
        let read_times = io.socket().read_times();
        let request =
            handshake::request(&connect_config.address.endpoint, &connect_config.request_options)?;
        let (received_early, agreed) =
            handshake::shake(&mut io, &request, &connect_config.request_options).await?;
        agreed.iter().for_each(|agreed| connect_config.ledger.agreed(&agreed.to_string()));
        let mut socket = Socket::new(io, (&received_early, agreed));
        let greeted = socket.greet(&connect_config.request_options).await?;
        let mut connect_config = connect_config.clone();
        if !greeted.captured.is_empty() && connect_config.request_options.wrap.is_some() {
            let request_options = &connect_config.request_options;
            let wrapped = request_options.wrapped(&connect_config.events, &greeted.captured);
            connect_config.template = Rc::new(wrapped);
        }
        Ok(Websocket { connect_config, socket, read_times })
    }

    async fn carry(mut self, feed: Feed, ledger: Rc<Ledger>) -> Result<(), Fault> {
        let ended =
            pipeline::carry(&mut self.socket, &self.connect_config, self.read_times, &feed).await;
        if let Some(pause) = self.socket.retry_after() {
            ledger.stay_away(pause);
        }
        // Also where the peer has closed with events on their way: its close wants an answer (RFC 6455, 5.5.1).
        let mut socket = Some(self.socket);
        poll_fn(|cx| Poll::Ready(socket.take().map(|socket| socket.close(cx)))).await;
        ended
    }
}
