//! A webhook server that takes batches, and breaks each of its answers in the same way.

use crate::http::{Message, response};
use crate::{accept_until_end, request_end};
use serde_json::{Value, json};
use std::io::{self, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

/// What is wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchFault {
    /// Nothing.
    Correct,
    /// It has an entry for every other event.
    InPart,
    /// The entries come in the wrong order.
    Backwards,
    /// Each entry comes twice.
    EntriesTwice,
    /// The whole answer comes twice.
    Twice,
    /// It has an entry for an event that nobody sent.
    UnknownId,
    /// The last event is refused.
    Refused,
    /// It is no array.
    Object,
    /// The array has no end.
    Cut,
    /// The last event has led to an error, and the status says so.
    Status,
    /// There is none: the connection is closed.
    Closed,
    /// There is none.
    Silent,
}

/// One in this process.
pub struct BatchServer {
    address: SocketAddr,
    requests: Arc<AtomicU64>,
    accepting: JoinHandle<()>,
}

impl BatchServer {
    /// Starts one on a free port of this machine.
    pub fn start(fault: BatchFault) -> io::Result<BatchServer> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let requests = Arc::new(AtomicU64::new(0));
        let counted = requests.clone();
        let accepting = std::thread::spawn(move || {
            std::thread::scope(|scope| {
                accept_until_end(&listener, |stream| {
                    let counted = &counted;
                    // Peers close as they like.
                    scope.spawn(move || drop(serve(stream, fault, counted)));
                });
            });
        });
        Ok(BatchServer { address, requests, accepting })
    }

    /// Where it takes events.
    pub fn url(&self) -> String {
        format!("http://{}/webhook", self.address)
    }

    /// Waits until every connection has ended, and says how many requests came.
    pub fn finish(self) -> io::Result<u64> {
        request_end(self.address)?;
        self.accepting.join().map_err(|_| io::Error::other("the faulty server panicked"))?;
        Ok(self.requests.load(Ordering::Relaxed))
    }
}

fn serve(stream: TcpStream, fault: BatchFault, requests: &AtomicU64) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    while let Some(request) = Message::read(&mut stream)? {
        requests.fetch_add(1, Ordering::Relaxed);
        let events: Vec<Value> = serde_json::from_slice(&request.body)?;
        let ids: Vec<&Value> = events.iter().map(|event| &event["id"]).collect();
        let Some(answer) = answer(fault, &ids) else {
            if fault == BatchFault::Closed {
                return Ok(());
            }
            continue;
        };
        stream.get_mut().write_all(&answer)?;
    }
    Ok(())
}

fn answer(fault: BatchFault, ids: &[&Value]) -> Option<Vec<u8>> {
    let last = ids.last()?;
    let mut entries: Vec<Value> = ids.iter().map(|id| json!({ "id": id })).collect();
    match fault {
        BatchFault::InPart => entries = entries.into_iter().step_by(2).collect(),
        BatchFault::Backwards => entries.reverse(),
        BatchFault::EntriesTwice => {
            entries = entries.into_iter().flat_map(|entry| [entry.clone(), entry]).collect();
        }
        BatchFault::UnknownId => entries.insert(1, json!({ "id": "ffffffffffffffff" })),
        BatchFault::Refused => {
            entries.pop();
            entries.push(json!({ "id": last, "error": format!("{} is full", last.as_str()?) }));
        }
        _ => {}
    }
    let text = Value::from(entries).to_string();
    Some(match fault {
        BatchFault::Closed | BatchFault::Silent => return None,
        BatchFault::Twice => response(200, "", &text).repeat(2),
        BatchFault::Object => response(200, "", &json!({ "ids": ids }).to_string()),
        BatchFault::Cut => response(200, "", &text[..text.len() - 1]),
        BatchFault::Status => response(500, "", &format!("{} is full", last.as_str()?)),
        _ => response(200, "", &text),
    })
}
