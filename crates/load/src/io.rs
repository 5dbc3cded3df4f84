//! A TCP stream that records when it was last read and reports its traffic to the ledger.

pub use crate::read_times::ReadTimes;

use crate::connections::ConnectConfig;
use crate::ledger::Ledger;
use crate::subscriber::receivers::PLANNED;
use crate::subscriber::{SubscribeConfig, source};
use pushbench_core::record::wire::Traffic;
use pushbench_host::{arrival, clock, tcp_info};
use pushbench_path::namespace::Namespace;
use pushbench_wire::endpoint::Resolved;
use pushbench_wire::fault::Fault;
use pushbench_wire::stream::Stream;
use pushbench_wire::tls::{ClientTls, ServerTls};
use socket2::SockRef;
use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};

/// What a stream is for, hence where its traffic is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TrafficKind {
    /// Events to the target, and their answers.
    Events,
    /// Deliveries to a subscriber.
    Deliveries,
    /// Answers from the target, by callback.
    Answers,
}

/// The stream.
pub struct InstrumentedSocket {
    tcp: TcpStream,
    read_times: Rc<ReadTimes>,
    ledger: Rc<Ledger>,
    carries: TrafficKind,
    /// Traffic of the set-up of a connection that was warm before the first event.
    setup: Rc<Cell<Traffic>>,
    accounted: Cell<bool>,
}

impl InstrumentedSocket {
    /// A connection for events, with TCP_NODELAY.
    pub async fn connect(
        connect_config: &ConnectConfig,
    ) -> Result<Stream<InstrumentedSocket>, Fault> {
        let ConnectConfig { address, namespace, tls, max_segment, ledger, .. } = connect_config;
        let begun = clock::now();
        let tcp = connected(address, namespace.as_ref(), None, *max_segment).await?;
        if ledger.is_cut_at().is_some() {
            // The peer gets a reset, as it would from a machine between them.
            SockRef::from(&tcp).set_linger(Some(Duration::ZERO)).map_err(Fault::refused)?;
        }
        let stamped = InstrumentedSocket::over(tcp, ledger, TrafficKind::Events);
        let stream = encrypted(stamped, tls.as_ref(), begun).await?;
        ledger.connected();
        Ok(stream)
    }

    /// The same for subscriber `number`, from a source address of its own.
    pub async fn subscribe(
        subscribe_config: &SubscribeConfig,
        number: usize,
    ) -> Result<Stream<InstrumentedSocket>, Fault> {
        let SubscribeConfig { subscribe, tls, max_segment, ledger, .. } = subscribe_config;
        let begun = clock::now();
        // A namespace has one address, and so has this machine as another one sees it.
        let one = subscribe_config.ends.is_some() || subscribe_config.spread.address.is_some();
        let source = (!one).then(|| source(number).into());
        let tcp = connected(subscribe, None, source, *max_segment).await;
        let tcp = tcp.inspect_err(|_| ledger.receiver_refused())?;
        let _dated_by_reads_without = arrival::enable(tcp.as_fd());
        ledger.delivery_connected();
        let stamped = InstrumentedSocket::over(tcp, ledger, TrafficKind::Deliveries);
        let receivers = subscribe_config.receivers.as_ref();
        if receivers.is_some_and(|receivers| receivers.refuses(number)) {
            stamped.read_times.reset_when_dropped();
            ledger.receiver_refused();
            return Err(Fault::refused(PLANNED));
        }
        if subscribe_config.dead_after.is_some() || receivers.is_some() {
            stamped.read_times.opened();
            subscribe_config.listen_to(number, &stamped.read_times);
        }
        encrypted(stamped, tls.get(number), begun).await
    }

    /// A connection that a subscriber has accepted. Its listener has the kernel date what arrives.
    pub fn accepted(tcp: TcpStream, ledger: &Rc<Ledger>) -> InstrumentedSocket {
        ledger.delivery_connected();
        InstrumentedSocket::over(tcp, ledger, TrafficKind::Deliveries)
    }

    /// A connection that was accepted for answers.
    pub fn accepted_callback(tcp: TcpStream, ledger: &Rc<Ledger>) -> InstrumentedSocket {
        ledger.callback_connected();
        InstrumentedSocket::over(tcp, ledger, TrafficKind::Answers)
    }

    /// The server's end of the stream over it. One that cannot be set up is noted in the ledger.
    pub async fn accept(self, tls: Option<&ServerTls>) -> Option<Stream<InstrumentedSocket>> {
        let (ledger, accepted) = (self.ledger.clone(), clock::now());
        let trust = match tls {
            Some(_) => "; the target must trust the certificate in {ca}, whose name is localhost",
            None => "",
        };
        let note =
            |e| ledger.fault(&format!("an accepted connection cannot be set up: {e}{trust}"));
        let stream = Stream::accept(self, tls).await.map_err(note).ok()?;
        if let Some(negotiated) = stream.negotiated() {
            ledger.handshake(&negotiated, None, clock::now() - accepted);
        }
        Some(stream)
    }

    fn over(tcp: TcpStream, ledger: &Rc<Ledger>, carries: TrafficKind) -> InstrumentedSocket {
        InstrumentedSocket {
            tcp,
            read_times: Rc::default(),
            ledger: ledger.clone(),
            carries,
            setup: Rc::default(),
            accounted: Cell::default(),
        }
    }

    /// The instants of its last read.
    pub fn read_times(&self) -> Rc<ReadTimes> {
        self.read_times.clone()
    }

    /// To be ended when the stream is no longer at hand.
    pub(crate) fn start_setup(&self) -> Result<SetupTraffic, Fault> {
        let socket = self.tcp.as_fd().try_clone_to_owned().map_err(Fault::refused)?;
        Ok(SetupTraffic { socket, carried: self.setup.clone() })
    }

    /// What was carried until now was set-up and is not charged to events.
    pub fn end_setup(&self) {
        self.setup.set(tcp_info::traffic(self.tcp.as_fd()));
    }
}

/// Traffic of the set-up of a stream that is owned elsewhere. It has its own descriptor.
pub struct SetupTraffic {
    socket: OwnedFd,
    carried: Rc<Cell<Traffic>>,
}

impl SetupTraffic {
    /// As [`InstrumentedSocket::end_setup`].
    pub fn end(self) {
        self.carried.set(tcp_info::traffic(self.socket.as_fd()));
    }
}

/// The stream over a connected socket. `begun`: before it was connected.
async fn encrypted(
    socket: InstrumentedSocket,
    tls: Option<&ClientTls>,
    begun: u64,
) -> Result<Stream<InstrumentedSocket>, Fault> {
    let (ledger, connected) = (socket.ledger.clone(), clock::now());
    let stream = Stream::connect(socket, tls).await.map_err(Fault::refused)?;
    if let Some(negotiated) = stream.negotiated() {
        ledger.handshake(&negotiated, Some(connected - begun), clock::now() - connected);
    }
    Ok(stream)
}

/// A connection with TCP_NODELAY, through the tunnel of a forward proxy where one is needed. A cap of the segment
/// size set before the handshake limits what the other end sends, too.
pub(crate) async fn connected(
    address: &Resolved,
    namespace: Option<&Namespace>,
    source: Option<IpAddr>,
    max_segment: Option<u32>,
) -> Result<TcpStream, Fault> {
    let new = || -> io::Result<TcpSocket> {
        let _inside = namespace.map(Namespace::enter).transpose()?;
        match address.socket {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }
    };
    let socket = new().map_err(Fault::refused)?;
    socket.set_nodelay(true).map_err(Fault::refused)?;
    if let Some(bytes) = max_segment {
        SockRef::from(&socket).set_tcp_mss(bytes).map_err(Fault::refused)?;
    }
    if let Some(source) = source {
        choose_port_at_connect(&socket);
        socket.bind(SocketAddr::new(source, 0)).map_err(Fault::refused)?;
    }
    let mut tcp = socket.connect(address.socket).await.map_err(Fault::refused)?;
    address.open_tunnel(&mut tcp).await?;
    Ok(tcp)
}

/// Lets the kernel choose the port when it knows the destination: chosen by `bind` it must be free for
/// every destination, and looking for one takes milliseconds once thousands are in use.
fn choose_port_at_connect(socket: &TcpSocket) {
    let on: libc::c_int = 1;
    // SAFETY: the descriptor is open (borrowed), and the kernel reads an int of that length, which
    // is valid during the call.
    let _slower_without = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
}

impl InstrumentedSocket {
    /// Whether something that was sent has not reached the peer.
    pub fn has_unacknowledged(&self) -> bool {
        tcp_info::has_unacknowledged(self.tcp.as_fd())
    }

    /// Charges what was carried so far to the events; what comes later (a close frame) is not.
    pub fn account(&self) {
        if !self.accounted.replace(true) {
            let carried = tcp_info::traffic(self.tcp.as_fd()).since(&self.setup.get());
            match self.carries {
                TrafficKind::Events => self.ledger.traffic(carried),
                TrafficKind::Deliveries => self.ledger.delivery_traffic(carried),
                TrafficKind::Answers => self.ledger.callback_traffic(carried),
            }
        }
    }
}

impl InstrumentedSocket {
    fn wrote(&self, result: &Poll<io::Result<usize>>) {
        if let (TrafficKind::Deliveries, Poll::Ready(Ok(bytes))) = (self.carries, result) {
            self.ledger.delivery_carried(0, *bytes);
        }
    }

    /// Reads for a subscriber, and when what was read had arrived.
    fn poll_delivery(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.tcp.poll_read_ready(cx))?;
            let mut received = None;
            let result = self.tcp.try_io(Interest::READABLE, || {
                // SAFETY: nothing is written to it that is not initialised.
                let room = unsafe { buf.unfilled_mut() };
                let (bytes, stamp) = arrival::receive(self.tcp.as_fd(), room)?;
                received = Some((bytes, stamp));
                // A read that leaves room has emptied the socket. Tokio saves the next one, too.
                match bytes > 0 && bytes < room.len() {
                    true => Err(io::ErrorKind::WouldBlock.into()),
                    false => Ok(()),
                }
            });
            match (received, result) {
                (Some((bytes, stamp)), _) => {
                    // SAFETY: `receive` has initialised them.
                    unsafe { buf.assume_init(bytes) };
                    buf.advance(bytes);
                    if bytes > 0 {
                        self.ledger.delivery_carried(bytes, 0);
                        self.read_times.arrived(stamp);
                    }
                    return Poll::Ready(Ok(()));
                }
                (None, Err(e)) if e.kind() == io::ErrorKind::WouldBlock => {}
                (None, result) => return Poll::Ready(result),
            }
        }
    }
}

impl Drop for InstrumentedSocket {
    fn drop(&mut self) {
        self.account();
        if self.read_times.is_reset() {
            let _closed_in_good_order = SockRef::from(&self.tcp).set_linger(Some(Duration::ZERO));
        }
        if self.carries == TrafficKind::Deliveries {
            self.ledger.delivery_closed();
        }
    }
}

impl AsyncRead for InstrumentedSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.carries == TrafficKind::Deliveries {
            return self.poll_delivery(cx, buf);
        }
        let before = buf.filled().len();
        let result = Pin::new(&mut self.tcp).poll_read(cx, buf);
        if result.is_ready() && buf.filled().len() > before {
            self.read_times.answered();
        }
        result
    }
}

impl AsyncWrite for InstrumentedSocket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.read_times.writing();
        let result = Pin::new(&mut self.tcp).poll_write(cx, buf);
        self.wrote(&result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.read_times.writing();
        let result = Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs);
        self.wrote(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    #[inline]
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[path = "io_tests.rs"]
mod tests;
