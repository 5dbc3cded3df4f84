//! Where webhook subscribers listen. Under a guarantee or under faults they go down, refuse connections and deliveries, and
//! reset them.

use crate::io::{InstrumentedSocket, ReadTimes};
use crate::subscriber::receivers::{Receivers, Verdict};
use crate::subscriber::{SubscribeConfig, listens_at};
use crate::webhook::subscriber::{ACCEPT_PAUSE_NS, LONGEST, Received, identified, sleep};
use futures_util::future::{Either, select};
use hyper::StatusCode;
use pushbench_core::record::fanout::Conduct;
use pushbench_host::{arrival, clock};
use pushbench_wire::endpoint::Scheme;
use pushbench_wire::subscriber_addresses::{Addresses, number, to_loopback};
use pushbench_wire::webhook::request::Request;
use pushbench_wire::webhook::request_receiver::{ReceiverContext, RequestReceiver};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd as _;
use std::pin::pin;
use std::rc::Rc;
use tokio::net::{TcpListener, TcpStream};

/// Connections that may wait to be accepted: a publisher opens one to every subscriber at once.
const BACKLOG: i32 = 4096;

/// What is done about a request.
enum Handled {
    /// As without a guarantee.
    Plainly(Received),
    /// With a delivery.
    Delivery(Verdict, Conduct),
}

/// One descriptor for every address of the loopback network; where the kernel does not let us bind it
/// to the device, it listens on 127.0.0.1 alone: on all addresses it would be open to others.
pub(super) fn listen(
    port: u16,
    subscribe_config: &SubscribeConfig,
) -> io::Result<(TcpListener, Addresses)> {
    let (socket, shared_host) = bound(port, subscribe_config)?;
    let listener = listening(socket)?;
    let port = listener.local_addr()?.port();
    let scheme = if subscribe_config.listener_tls.is_some() { Scheme::Https } else { Scheme::Http };
    Ok((listener, Addresses { port, shared_host, scheme }))
}

fn listening(socket: Socket) -> io::Result<TcpListener> {
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

/// A socket that does not listen yet, and the host that the subscribers share, if they do.
fn bound(port: u16, subscribe_config: &SubscribeConfig) -> io::Result<(Socket, Option<Ipv4Addr>)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    let ends = subscribe_config.ends.as_ref();
    let mut address = listens_at(ends);
    // Reached from another machine, this one has one address.
    let outside = subscribe_config.spread.address;
    outside.iter().for_each(|ip| address.set_ip(*ip));
    let own_hosts = ends.is_none() && outside.is_none() && to_loopback(&socket);
    let shared_host = (!own_hosts).then(|| *address.ip());
    if own_hosts {
        address.set_ip(Ipv4Addr::UNSPECIFIED);
    }
    if port != 0 {
        address.set_port(port);
    }
    // Linux hands these down to every accepted connection.
    let _dated_by_reads_without = arrival::enable(socket.as_fd());
    socket.set_tcp_nodelay(true)?;
    if let Some(bytes) = subscribe_config.max_segment {
        socket.set_tcp_mss(bytes)?;
    }
    // It is bound again after an outage.
    if subscribe_config.receivers.as_ref().is_some_and(Receivers::has_outage) {
        socket.set_reuse_address(true)?;
    }
    socket.bind(&address.into())?;
    Ok((socket, ends.map_or(shared_host, |ends| Some(ends.driver_reached_at))))
}

/// Accepts connections until the trial ends. In an outage nothing listens at the port.
pub(super) async fn accept(mut listener: TcpListener, config: Rc<SubscribeConfig>) {
    let context = ReceiverContext::new(LONGEST);
    let Some(receivers) = &config.receivers else { return };
    loop {
        let accepted = {
            let (accepting, reset) = (pin!(listener.accept()), pin!(receivers.reset()));
            match select(accepting, reset).await {
                Either::Left((accepted, _)) => Some(accepted),
                Either::Right(_) => None,
            }
        };
        match accepted {
            None if receivers.are_down() => match relisten(listener, &config, receivers).await {
                Ok(again) => listener = again,
                Err(e) => {
                    let why = format!("receivers cannot listen again after their outage: {e}");
                    return config.ledger.fault(&why);
                }
            },
            None => {}
            Some(Ok((stream, _))) => {
                let (config, context) = (config.clone(), context.clone());
                (config.spawn.clone())(Box::pin(
                    async move { serve(stream, &config, context).await },
                ));
            }
            Some(Err(e)) => {
                config.ledger.fault(&format!("a subscriber cannot accept: {e}"));
                if sleep(ACCEPT_PAUSE_NS).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Closes the listener until the outage is over. Nobody else gets the port meanwhile: a socket that does not listen has it.
async fn relisten(
    listener: TcpListener,
    config: &SubscribeConfig,
    receivers: &Receivers,
) -> io::Result<TcpListener> {
    let port = listener.local_addr()?.port();
    drop(listener);
    let (holds_port, _) = bound(port, config)?;
    receivers.until_up().await;
    let (socket, _) = bound(port, config)?;
    drop(holds_port);
    listening(socket)
}

/// The receiver that a connection is for: each has an address of its own, or all share one.
fn receiver_at(stream: &TcpStream, config: &SubscribeConfig) -> usize {
    let host = match stream.local_addr() {
        Ok(SocketAddr::V4(address)) => number(*address.ip()),
        _ => None,
    };
    host.filter(|number| *number < config.settings.count).unwrap_or(0)
}

async fn serve(stream: TcpStream, config: &SubscribeConfig, context: Rc<ReceiverContext>) {
    let Some(receivers) = &config.receivers else { return };
    let (opened, refused) = (clock::now(), receivers.refuses(receiver_at(&stream, config)));
    let io = InstrumentedSocket::accepted(stream, &config.ledger);
    let read_times = io.read_times();
    if refused || receivers.are_down() {
        config.ledger.receiver_refused();
        return read_times.reset_when_dropped();
    }
    let serving = async {
        let Some(stream) = io.accept(config.listener_tls.as_ref()).await else { return };
        let mut receiver = RequestReceiver::new(stream, context);
        // The outcomes of its deliveries show if a connection ended with an error.
        while let Ok(Some(handled)) =
            receiver.next(|request| handle(config, receivers, (&read_times, opened), request)).await
        {
            let answered = match handled {
                None => receiver.answer(StatusCode::NOT_FOUND, "").await,
                Some(Handled::Plainly(Received::Challenge(text))) => {
                    receiver.answer(StatusCode::OK, &text).await
                }
                Some(Handled::Plainly(Received::Refused(why))) => {
                    receiver.answer(StatusCode::UNAUTHORIZED, &why).await
                }
                Some(Handled::Plainly(Received::Delivery(_))) => {
                    return receiver.until_end().await;
                }
                Some(Handled::Delivery(Verdict::Acknowledge, conduct)) => {
                    if conduct == Conduct::Slow {
                        receivers.timer.until(clock::now() + config.slow_by()).await;
                    }
                    receiver.answer(StatusCode::NO_CONTENT, "").await
                }
                Some(Handled::Delivery(Verdict::Refuse(status), _)) => {
                    let refused = StatusCode::from_u16(status);
                    let refused = refused.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                    receiver.refuse(refused, receivers.retry_after(status)).await
                }
                Some(Handled::Delivery(Verdict::Reset, _)) => {
                    return read_times.reset_when_dropped();
                }
            };
            if answered.is_err() {
                return;
            }
        }
    };
    let (mut serving, reset) = (pin!(serving), pin!(receivers.reset()));
    if let Either::Right(_) = select(serving.as_mut(), reset).await {
        read_times.reset_when_dropped();
    }
}

fn handle(
    config: &SubscribeConfig,
    receivers: &Receivers,
    (read_times, opened): (&ReadTimes, u64),
    request: &Request<'_>,
) -> Option<Handled> {
    Some(match identified(config, read_times, request)? {
        Err(received) => Handled::Plainly(received),
        Ok((number, index, conduct)) => {
            let times = read_times.delivery();
            Handled::Delivery(receivers.arrive((number, index), times, Some(opened)), conduct)
        }
    })
}
