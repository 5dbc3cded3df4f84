//! Webhook endpoints on blocking sockets.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// What an endpoint does once it has answered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum AfterAnswer {
    GoOn,
    Close,
}

/// A webhook endpoint that answers with bytes, and counts.
pub struct Endpoint {
    pub url: String,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    connections: AtomicU64,
    /// Ids of the events that came, and when.
    arrivals: Mutex<Vec<(String, Instant)>>,
}

/// The answer that acknowledges.
pub const OK: &str = "HTTP/1.1 204 No Content\r\n\r\n";

impl Endpoint {
    /// Gives every request the same bytes.
    pub fn start(host: &str, answer: impl Into<String>, then: AfterAnswer) -> Endpoint {
        let (listener, answer) = (TcpListener::bind((host, 0)).unwrap(), answer.into());
        Endpoint::answering(listener, move |_, _| answer.clone(), then)
    }

    /// Gives each request an answer of its own, by its number, from 0, and the id of its event.
    pub fn answering(
        listener: TcpListener,
        answer: impl Fn(u64, &str) -> String + Send + Sync + 'static,
        then: AfterAnswer,
    ) -> Endpoint {
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let counts = Arc::new(Counts::default());
        let (counted, answer) = (counts.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counted.connections.fetch_add(1, Ordering::SeqCst);
                let (counted, answer) = (counted.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &*answer, then, &counted));
            }
        });
        Endpoint { url, counts }
    }

    /// Requests that came.
    pub fn requests(&self) -> u64 {
        self.counts.requests.load(Ordering::SeqCst)
    }

    /// Ids of the events that came, and when.
    pub fn arrivals(&self) -> Vec<(String, Instant)> {
        self.counts.arrivals.lock().unwrap().clone()
    }

    /// Connections that were made.
    pub fn connections(&self) -> u64 {
        self.counts.connections.load(Ordering::SeqCst)
    }
}

fn serve(
    mut stream: TcpStream,
    answer: &impl Fn(u64, &str) -> String,
    then: AfterAnswer,
    counts: &Counts,
) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim().to_lowercase();
            if let Some(n) = line.strip_prefix("content-length:") {
                length = n.trim().parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let event: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let id = event["id"].as_str().unwrap();
        counts.arrivals.lock().unwrap().push((id.to_owned(), Instant::now()));
        let answer = answer(counts.requests.fetch_add(1, Ordering::SeqCst), id);
        if stream.write_all(answer.as_bytes()).is_err() || then == AfterAnswer::Close {
            return;
        }
    }
}
