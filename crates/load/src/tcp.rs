//! The sender's half: many unanswered events on one connection.

use crate::connections::{Client, ConnectConfig};
use crate::feed::Feed;
use crate::io::{InstrumentedSocket, ReadTimes};
use crate::ledger::Ledger;
use crate::pipeline;
use crate::pipeline::PipelinedConnection;
use crate::subscriber::stream::StreamSubscriber;
use crate::subscriber::{SubscribeConfig, Subscriber};
use pushbench_wire::fault::Fault;
use pushbench_wire::stream::Stream;
use pushbench_wire::tcp::Hello;
use pushbench_wire::tcp::codec::Framed;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// An open connection.
pub struct Tcp {
    connect_config: ConnectConfig,
    framed: Framed<Stream<InstrumentedSocket>>,
    read_times: Rc<ReadTimes>,
}

impl Client for Tcp {
    async fn open(connect_config: &ConnectConfig) -> Result<Self, Fault> {
        let io = InstrumentedSocket::connect(connect_config).await?;
        let read_times = io.socket().read_times();
        Ok(Tcp { connect_config: connect_config.clone(), framed: Framed::new(io), read_times })
    }

    async fn carry(mut self, feed: Feed, _ledger: Rc<Ledger>) -> Result<(), Fault> {
        let Tcp { connect_config, framed, read_times } = &mut self;
        pipeline::carry(framed, connect_config, read_times.clone(), &feed).await?;
        framed.stream.socket().account();
        poll_fn(|cx| {
            framed.stream.close_notify(cx);
            Poll::Ready(())
        })
        .await;
        Ok(())
    }
}

impl PipelinedConnection for Framed<Stream<InstrumentedSocket>> {
    fn poll_answers(
        &mut self,
        cx: &mut Context<'_>,
        mut answer: impl FnMut(&[u8]) -> bool,
    ) -> Poll<Result<(), Fault>> {
        while let Some(message) = ready!(self.poll_message(cx)).map_err(Fault::of)? {
            answer(message);
        }
        Poll::Ready(Ok(()))
    }

    fn end_setup(&self) {
        self.stream.socket().end_setup();
    }

    fn queued(&self) -> usize {
        self.left_to_write()
    }

    fn write(&mut self, _length: usize, fill: impl FnOnce(&mut Vec<u8>)) -> Result<(), Fault> {
        self.queue_with(fill);
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.poll_written(cx).map_err(Fault::closed)
    }
}

/// A subscriber with its open connection.
pub struct TcpSubscriber(StreamSubscriber<Framed<Stream<InstrumentedSocket>>>);

impl Subscriber for TcpSubscriber {
    type Common = ();

    async fn prepare(_: &Rc<SubscribeConfig>) -> Result<(), Fault> {
        Ok(())
    }

    async fn subscribe(
        subscribe_config: &Rc<SubscribeConfig>,
        (): &(),
        number: usize,
    ) -> Result<Self, Fault> {
        let io = InstrumentedSocket::subscribe(subscribe_config, number).await?;
        let read_times = io.socket().read_times();
        let mut framed = Framed::new(io);
        let hello = Hello {
            token: subscribe_config.token.clone(),
            types: subscribe_config.settings.wanted(number),
        };
        let hello = serde_json::to_vec(&hello).map_err(Fault::refused)?;
        framed.queue_with(|out| out.extend_from_slice(&hello));
        framed.flush().await.map_err(Fault::refused)?;
        let welcome = poll_fn(|cx| framed.poll_message(cx).map_ok(|m| m.map(<[u8]>::to_vec)));
        match welcome.await.map_err(Fault::refused)?.as_deref() {
            Some(b"{}") => {}
            Some(other) => return Err(Fault::Refused(String::from_utf8_lossy(other).into_owned())),
            None => {
                return Err(Fault::Refused(
                    "the connection was closed before the welcome message".to_owned(),
                ));
            }
        }
        framed.stream.socket().end_setup();
        Ok(TcpSubscriber(StreamSubscriber::new(
            framed,
            (subscribe_config.clone(), number),
            read_times,
            Vec::new(),
        )?))
    }

    async fn receive(&mut self) -> Result<(), Fault> {
        self.0.receive().await
    }

    async fn leave(self) -> Result<(), Fault> {
        self.0.leave().await
    }
}
