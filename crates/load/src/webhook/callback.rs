//! The driver's address for answers that come back as a webhook of their own: what was asked on one
//! connection is answered on another, and only the id in the answer binds the two.

use crate::io::{Stamped, Stamps};
use crate::ledger::Ledger;
use crate::subscriber::Spawn;
use hyper::StatusCode;
use pushbench_core::event::Matched;
use pushbench_core::scenario::payload::MAX_BYTES;
use pushbench_wire::webhook::posts::{Common, Posts};
use pushbench_wire::webhook::request::Request;
use std::io::{self, ErrorKind};
use std::net::Ipv4Addr;
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
    /// Where it is told.
    pub ledger: Rc<Ledger>,
    /// For the listener and its connections.
    pub spawn: Spawn,
}

impl Callback {
    /// Listens on an address of this machine, and gives its URL.
    pub fn listen(self, max_segment: Option<u32>) -> io::Result<String> {
        let socket = TcpSocket::new_v4()?;
        // Linux hands these down to every accepted connection.
        socket.set_nodelay(true)?;
        if let Some(bytes) = max_segment {
            socket2::SockRef::from(&socket).set_tcp_mss(bytes)?;
        }
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let listener = socket.listen(BACKLOG)?;
        let url = format!("http://{}{PATH}", listener.local_addr()?);
        (self.spawn.clone())(Box::pin(self.accept(listener)));
        Ok(url)
    }

    async fn accept(self, listener: TcpListener) {
        let common = Common::new(MAX_BYTES);
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let io = Stamped::called_back(stream, &self.ledger);
                    (self.spawn)(Box::pin(self.clone().serve(io, common.clone())));
                }
                Err(e) => {
                    self.ledger.fault(&format!("an answer's connection cannot be accepted: {e}"));
                    // Whoever holds the descriptors that are missing may run and end.
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    async fn serve(self, io: Stamped, common: Rc<Common>) {
        let stamps = io.stamps();
        let Some(stream) = io.accept().await else { return };
        let mut posts = Posts::new(stream, common);
        loop {
            let status = match posts.next(|request| self.take(&stamps, request)).await {
                Ok(Some(status)) => status,
                Ok(None) => return,
                Err(e) => {
                    if matches!(e.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) {
                        self.ledger.fault(&format!("an answer cannot be read: {e}"));
                    }
                    return;
                }
            };
            if posts.answer(status).await.is_err() {
                return;
            }
        }
    }

    /// Whatever is POSTed here is an answer, its outcome is the ledger's affair.
    fn take(&self, stamps: &Stamps, request: &Request<'_>) -> StatusCode {
        match (request.method, request.path) {
            ("POST", PATH) => {
                let index = self.matched.index(&request.body);
                self.ledger.answered(index, stamps.read(), stamps.woken());
                StatusCode::NO_CONTENT
            }
            (_, PATH) => StatusCode::METHOD_NOT_ALLOWED,
            _ => StatusCode::NOT_FOUND,
        }
    }
}
