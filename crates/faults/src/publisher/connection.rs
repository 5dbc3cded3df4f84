//! A publisher's end of one subscription, on a blocking socket.

use crate::http::Message;
use crate::tcp::Tcp;
use crate::websocket::Websocket;
use crate::wire::Wire;
use pushbench_core::event::acknowledged_index;
use std::io::{self, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// A subscriber that is there acknowledges within this, however busy the machine is.
const ACKNOWLEDGE_LIMIT: Duration = Duration::from_secs(30);

/// How a text reaches a subscriber.
pub(super) trait SubscriberConnection {
    /// Writes it.
    fn deliver(&mut self, text: &str) -> io::Result<()>;

    /// The index of the event that the subscriber acknowledges next; `None` when what comes next
    /// acknowledges none.
    fn acknowledgement(&mut self) -> io::Result<Option<u64>>;

    /// Every delivery is answered, acknowledged or not.
    fn always_answered(&self) -> bool;

    /// Ends it in order, and returns the number of unread messages.
    fn close(&mut self) -> io::Result<u64>;
}

/// A subscriber that is connected to for its POSTs.
pub(super) struct WebhookConnection {
    stream: BufReader<TcpStream>,
    head: String,
    /// The event that was posted last.
    posted: Option<u64>,
}

impl WebhookConnection {
    /// Connects to `http://ADDRESS:PORT/PATH`.
    pub fn connect(url: &str) -> io::Result<WebhookConnection> {
        let wrong = || io::Error::other("it takes http://ADDRESS:PORT/PATH");
        let (authority, path) =
            url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).ok_or_else(wrong)?;
        let address: SocketAddr = authority.parse().map_err(io::Error::other)?;
        let stream = TcpStream::connect(address)?;
        prepare(&stream)?;
        let head = format!("POST /{path} HTTP/1.1\r\nHost: {authority}\r\n");
        Ok(WebhookConnection { stream: BufReader::new(stream), head, posted: None })
    }
}

impl SubscriberConnection for WebhookConnection {
    fn deliver(&mut self, text: &str) -> io::Result<()> {
        self.posted = acknowledged_index(text.as_bytes());
        let request = format!("{}Content-Length: {}\r\n\r\n{text}", self.head, text.len());
        self.stream.get_mut().write_all(request.as_bytes())
    }

    fn acknowledgement(&mut self) -> io::Result<Option<u64>> {
        let answer = Message::read(&mut self.stream)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(self.posted.take().filter(|_| answer.start_word(1).starts_with('2')))
    }

    fn always_answered(&self) -> bool {
        true
    }

    fn close(&mut self) -> io::Result<u64> {
        self.stream.get_mut().shutdown(Shutdown::Write)?;
        Ok(count(|| Message::read(&mut self.stream)))
    }
}

/// A subscriber that holds a connection open.
pub(super) struct StreamConnection<W>(W);

impl StreamConnection<Websocket> {
    /// Behind the handshake; `read` are bytes that came with it.
    pub fn websocket(stream: TcpStream, read: Vec<u8>) -> io::Result<Self> {
        prepare(&stream)?;
        Ok(StreamConnection(Websocket::shaken(stream, read)))
    }
}

impl StreamConnection<Tcp> {
    /// Behind the welcome.
    pub fn tcp(wire: Tcp) -> Self {
        StreamConnection(wire)
    }
}

impl<W: Wire> SubscriberConnection for StreamConnection<W> {
    fn deliver(&mut self, text: &str) -> io::Result<()> {
        self.0.socket().write_all(&W::message(text))
    }

    fn acknowledgement(&mut self) -> io::Result<Option<u64>> {
        let message = self.0.event()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(acknowledged_index(&message))
    }

    fn always_answered(&self) -> bool {
        false
    }

    fn close(&mut self) -> io::Result<u64> {
        self.0.socket().shutdown(Shutdown::Write)?;
        Ok(count(|| self.0.event()))
    }
}

/// Messages until the peer has closed, in order or not.
fn count<T>(mut next: impl FnMut() -> io::Result<Option<T>>) -> u64 {
    let mut messages = 0;
    while let Ok(Some(_)) = next() {
        messages += 1;
    }
    messages
}

/// What every connection with a subscriber needs.
pub(super) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ACKNOWLEDGE_LIMIT))
}
