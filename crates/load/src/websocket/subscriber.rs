//! A subscriber's end of an open WebSocket, on tokio-tungstenite.

use crate::hello;
use crate::hello::MessageChannel;
use crate::io::InstrumentedSocket;
use crate::subscriber::stream::StreamSubscriber;
use crate::subscriber::{SubscribeConfig, Subscriber};
use pushbench_wire::fault::Fault;
use pushbench_wire::hello::Greeted;
use pushbench_wire::messages;
use pushbench_wire::messages::Messages;
use pushbench_wire::stream::Stream;
use pushbench_wire::websocket::deflate::Agreed;
use pushbench_wire::websocket::deflate_stream::DeflateStream;
use pushbench_wire::websocket::handshake;
use pushbench_wire::websocket::messages::small;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

impl<S: AsyncRead + AsyncWrite + Unpin> MessageChannel for WebSocketStream<S> {
    fn poll_received(
        &mut self,
        cx: &mut Context<'_>,
        mut each: impl FnMut(&[u8]),
    ) -> Poll<Result<(), Fault>> {
        let each = |received: messages::Received<'_>| {
            if let messages::Received::Message(message) = received {
                each(message);
            }
        };
        self.poll_messages(cx, each).map_err(Fault::closed)
    }

    fn queue_text(&mut self, text: &str) -> Result<(), Fault> {
        self.queue(text.as_bytes().to_vec().into()).map_err(Fault::closed)
    }

    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Messages::poll_flush(self, cx).map_err(Fault::closed)
    }

    fn close_reason(&self) -> Option<String> {
        None
    }
}

/// What carries the frames of a subscriber.
pub trait FrameStream: AsyncRead + AsyncWrite + Unpin + Sized + 'static {
    /// Over a connection whose handshake is done, and what has come behind it.
    fn over(
        io: Stream<InstrumentedSocket>,
        received_early: Vec<u8>,
        agreed: Option<Agreed>,
    ) -> Result<(Self, Vec<u8>), Fault>;

    /// The socket below.
    fn socket(&self) -> &InstrumentedSocket;
}

impl FrameStream for Stream<InstrumentedSocket> {
    fn over(
        io: Stream<InstrumentedSocket>,
        received_early: Vec<u8>,
        _: Option<Agreed>,
    ) -> Result<(Self, Vec<u8>), Fault> {
        Ok((io, received_early))
    }

    fn socket(&self) -> &InstrumentedSocket {
        Stream::socket(self)
    }
}

impl FrameStream for DeflateStream<Stream<InstrumentedSocket>> {
    fn over(
        io: Stream<InstrumentedSocket>,
        received_early: Vec<u8>,
        agreed: Option<Agreed>,
    ) -> Result<(Self, Vec<u8>), Fault> {
        let none = || Fault::Refused("compression was not offered".to_owned());
        let agreed = agreed.ok_or_else(none)?;
        Ok((DeflateStream::new(io, &received_early, Role::Client, agreed), Vec::new()))
    }

    fn socket(&self) -> &InstrumentedSocket {
        self.get_ref().socket()
    }
}

/// A subscriber with its open connection.
pub struct WebsocketSubscriber<S>(StreamSubscriber<WebSocketStream<S>>);

/// A subscriber whose messages are as they are.
pub type PlainSubscriber = WebsocketSubscriber<Stream<InstrumentedSocket>>;
/// A subscriber whose messages are compressed.
pub type CompressedSubscriber = WebsocketSubscriber<DeflateStream<Stream<InstrumentedSocket>>>;

/// Whatever comes together with the first message; at least that.
async fn first_messages(socket: &mut impl Messages) -> Result<Vec<Vec<u8>>, Fault> {
    let mut first = Vec::new();
    poll_fn(|cx| {
        let each = |received: messages::Received<'_>| {
            if let messages::Received::Message(message) = received {
                first.push(message.to_vec());
            }
        };
        match socket.poll_messages(cx, each) {
            // Where the connection has ended as well, the next read says so again.
            _ if !first.is_empty() => Poll::Ready(Ok(())),
            Poll::Ready(Ok(())) => Poll::Ready(Err(Fault::refused("the connection was closed"))),
            Poll::Ready(Err(e)) => Poll::Ready(Err(Fault::of(e))),
            Poll::Pending => Poll::Pending,
        }
    })
    .await?;
    Ok(first)
}

impl<S: FrameStream> Subscriber for WebsocketSubscriber<S> {
    type Common = ();

    async fn prepare(_: &Rc<SubscribeConfig>) -> Result<(), Fault> {
        Ok(())
    }

    async fn subscribe(
        subscribe_config: &Rc<SubscribeConfig>,
        (): &(),
        number: usize,
    ) -> Result<Self, Fault> {
        let mut io = InstrumentedSocket::subscribe(subscribe_config, number).await?;
        let read_times = io.socket().read_times();
        let request = handshake::request(
            &subscribe_config.endpoint_for(number),
            &subscribe_config.request_options,
        )?;
        let (received_early, agreed) =
            handshake::shake(&mut io, &request, &subscribe_config.request_options).await?;
        agreed.iter().for_each(|agreed| subscribe_config.ledger.agreed(&agreed.to_string()));
        let (stream, received_early) = S::over(io, received_early, agreed)?;
        let config = Some(small());
        let mut socket =
            WebSocketStream::from_partially_read(stream, received_early, Role::Client, config)
                .await;
        let mut greeted = match subscribe_config.request_options.hello.is_empty() {
            true => Greeted::default(),
            false => hello::greet(&mut socket, &subscribe_config.request_options).await?,
        };
        if let Some(receivers) = subscribe_config.receivers.as_ref().filter(|all| all.resume()) {
            greeted.early = first_messages(&mut socket).await?;
            receivers.confirm(number, &greeted.early.remove(0))?;
        }
        socket.get_ref().socket().end_setup();
        Ok(WebsocketSubscriber(StreamSubscriber::new(
            socket,
            (subscribe_config.clone(), number),
            read_times,
            greeted.early,
        )?))
    }

    async fn receive(&mut self) -> Result<(), Fault> {
        self.0.receive().await
    }

    async fn leave(self) -> Result<(), Fault> {
        self.0.leave().await
    }
}
