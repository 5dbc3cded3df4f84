//! The driver's address for answers that arrive as callbacks: what was sent on one
//! connection is answered on another, and only the id in the answer binds the two.

use crate::io::{InstrumentedSocket, ReadTimes};
use crate::ledger::Ledger;
use crate::subscriber::Spawn;
use hyper::StatusCode;
use pushbench_core::event::Matched;
use pushbench_core::scenario::payload::MAX_BYTES;
use pushbench_wire::endpoint::Scheme;
use pushbench_wire::tls::ServerTls;
use pushbench_wire::webhook::request::Request;
use pushbench_wire::webhook::request_receiver::{ReceiverContext, RequestReceiver};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::rc::Rc;
use tokio::net::{TcpListener, TcpSocket};

/// Path that takes answers.
const PATH: &str = "/answer";
/// Connections that may wait to be accepted: a target may open one for every answer.
const BACKLOG: u32 = 4096;

/// Where the answers of one arm in one shard come in.
#[derive(Clone)]
pub struct Callback {
    /// Where an answer carries the id of its question.
    pub matched: Matched,
    /// Where outcomes are recorded.
    pub ledger: Rc<Ledger>,
    /// For the listener and its connections.
    pub spawn: Spawn,
    /// The driver's end of its connections; nothing without TLS.
    pub tls: Option<ServerTls>,
}

impl Callback {
    /// Listens on an address of this machine, and gives its URL, with the host at which the target reaches it.
    pub fn listen(
        self,
        address: SocketAddrV4,
        reached_at: Ipv4Addr,
        max_segment: Option<u32>,
    ) -> io::Result<String> {
        let socket = TcpSocket::new_v4()?;
        // Linux hands these down to every accepted connection.
        socket.set_nodelay(true)?;
        if let Some(bytes) = max_segment {
            socket2::SockRef::from(&socket).set_tcp_mss(bytes)?;
        }
        socket.bind(address.into())?;
        let listener = socket.listen(BACKLOG)?;
        let scheme = if self.tls.is_some() { Scheme::Https } else { Scheme::Http };
        let url = format!("{scheme}://{reached_at}:{}{PATH}", listener.local_addr()?.port());
        (self.spawn.clone())(Box::pin(self.accept(listener)));
        Ok(url)
    }

    async fn accept(self, listener: TcpListener) {
        let receiver_context = ReceiverContext::new(MAX_BYTES);
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let io = InstrumentedSocket::accepted_callback(stream, &self.ledger);
                    (self.spawn)(Box::pin(self.clone().serve(io, receiver_context.clone())));
                }
                Err(e) => {
                    self.ledger.fault(&format!("cannot accept a connection for answers: {e}"));
                    // Whoever holds the descriptors that are missing may run and end.
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    async fn serve(self, io: InstrumentedSocket, receiver_context: Rc<ReceiverContext>) {
        let read_times = io.read_times();
        let Some(stream) = io.accept(self.tls.as_ref()).await else { return };
        let mut receiver = RequestReceiver::new(stream, receiver_context);
        loop {
            let status = match receiver.next(|request| self.take(&read_times, request)).await {
                Ok(Some(status)) => status,
                Ok(None) => return,
                Err(e) => {
                    if matches!(e.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) {
                        self.ledger.fault(&format!("an answer cannot be read: {e}"));
                    }
                    return;
                }
            };
            if receiver.answer(status, "").await.is_err() {
                return;
            }
        }
    }

    /// Every POST here is an answer; the ledger determines its outcome.
    fn take(&self, read_times: &ReadTimes, request: &Request<'_>) -> StatusCode {
        match (request.method, request.path) {
            ("POST", PATH) => {
                let index = self.matched.index(&request.body);
                self.ledger.answered(index, read_times.read(), read_times.woken());
                StatusCode::NO_CONTENT
            }
            (_, PATH) => StatusCode::METHOD_NOT_ALLOWED,
            _ => StatusCode::NOT_FOUND,
        }
    }
}
