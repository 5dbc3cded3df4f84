//! What is said on a new connection before the first event, over whatever carries the messages.

use pushbench_host::clock;
use pushbench_host::sleep::Timer;
use pushbench_wire::fault::Fault;
use pushbench_wire::hello::{Greeted, Heartbeat, Hello, LIMIT};
use pushbench_wire::request_options::RequestOptions;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A connection that carries messages both ways.
pub(crate) trait MessageChannel {
    /// Hands every message that has come to `each`; ready when the connection has ended.
    fn poll_received(
        &mut self,
        cx: &mut Context<'_>,
        each: impl FnMut(&[u8]),
    ) -> Poll<Result<(), Fault>>;

    /// Queues a text message.
    fn queue_text(&mut self, text: &str) -> Result<(), Fault>;

    /// Writes what is queued.
    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>>;

    /// The reason that the target gave when it closed.
    fn close_reason(&self) -> Option<String>;
}

/// Sends and awaits the messages of `hello`.
pub(crate) async fn greet<C: MessageChannel>(
    channel: &mut C,
    request_options: &RequestOptions,
) -> Result<Greeted, Fault> {
    let mut hello = Hello::new(request_options);
    let timer = Timer::new().map_err(Fault::refused)?;
    let mut limit = pin!(timer.until(clock::now() + LIMIT.as_nanos() as u64));
    let ended = poll_fn(|cx| {
        loop {
            while let Some(text) = hello.to_send() {
                channel.queue_text(&text)?;
            }
            let written = channel.poll_written(cx)?;
            if hello.is_done() && written.is_ready() {
                return Poll::Ready(Ok::<_, Fault>(None));
            }
            if hello.is_done() {
                return match limit.as_mut().poll(cx).is_ready() {
                    true => Poll::Ready(Ok(Some("it does not read".to_owned()))),
                    false => Poll::Pending,
                };
            }
            match channel.poll_received(cx, |message| hello.receive(message)) {
                // What has come may want an answer.
                _ if hello.is_done() || hello.has_to_send() => {}
                Poll::Ready(Ok(())) => {
                    let why = "the target closed the connection".to_owned();
                    return Poll::Ready(Ok(Some(why)));
                }
                Poll::Ready(Err(fault)) => return Poll::Ready(Ok(Some(fault.to_string()))),
                Poll::Pending if limit.as_mut().poll(cx).is_ready() => {
                    return Poll::Ready(Ok(Some(format!("it did not come within {LIMIT:?}"))));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await?;
    match ended {
        None => Ok(hello.finish()),
        Some(why) => {
            let reason = channel
                .close_reason()
                .map_or(String::new(), |reason| format!(" with {}", request_options.hide(&reason)));
            Err(Fault::Refused(hello.failure(&format!("{why}{reason}"))))
        }
    }
}

/// Heartbeats of a target that does not read are answered no more often.
const MOST_ANSWERS: usize = 64;

/// The heartbeats of one connection.
pub(crate) struct HeartbeatState {
    heartbeat: Arc<Heartbeat>,
    /// Those of the target that are not answered yet.
    to_answer: usize,
    /// Fires when the next one of ours is due, where we begin.
    timer: Option<Timer>,
    /// Ours has no answer yet.
    unanswered: bool,
}

impl HeartbeatState {
    /// Of a connection that is open from now on; `None` where the protocol has no heartbeats.
    pub fn new(request_options: &RequestOptions) -> Result<Option<Box<HeartbeatState>>, Fault> {
        let Some(heartbeat) = &request_options.heartbeat else { return Ok(None) };
        let timer = match heartbeat.every {
            Some(every) => {
                let (timer, first) = (Timer::new(), clock::now() + every.as_nanos() as u64);
                let timer = timer.and_then(|timer| timer.arm(first).map(|()| timer));
                Some(timer.map_err(Fault::refused)?)
            }
            None => None,
        };
        let heartbeat = heartbeat.clone();
        Ok(Some(HeartbeatState { heartbeat, to_answer: 0, timer, unanswered: false }.into()))
    }

    /// What is sent.
    pub fn text(&self) -> &str {
        &self.heartbeat.sent
    }

    /// The target has sent one, or has answered ours.
    pub fn received(&mut self) {
        match self.timer {
            Some(_) => self.unanswered = false,
            None => self.to_answer = MOST_ANSWERS.min(self.to_answer + 1),
        }
    }

    /// Whether one may have to be sent.
    pub fn may_be_due(&self) -> bool {
        self.to_answer > 0 || self.timer.is_some()
    }

    /// How many are to be sent now.
    pub fn poll_due(&mut self, cx: &mut Context<'_>) -> Result<usize, Fault> {
        let mut due = std::mem::take(&mut self.to_answer);
        let Some(timer) = &self.timer else { return Ok(due) };
        while timer.poll_fired(cx).map_err(Fault::closed)?.is_ready() {
            let every = self.heartbeat.every.unwrap_or_default();
            if std::mem::replace(&mut self.unanswered, true) {
                let why = format!("the heartbeat was not answered within {every:?}");
                return Err(Fault::Closed(why));
            }
            // The answer has the whole interval, also where this one is late.
            timer.arm(clock::now() + every.as_nanos() as u64).map_err(Fault::closed)?;
            due += 1;
        }
        Ok(due)
    }
}
