//! Webhook endpoints on blocking sockets.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What an endpoint does once it has answered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum AfterAnswer {
    GoOn,
    Close,
}

/// A webhook endpoint that gives every request the same bytes, and counts.
pub struct Endpoint {
    pub url: String,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    connections: AtomicU64,
}

/// The answer that acknowledges.
pub const OK: &str = "HTTP/1.1 204 No Content\r\n\r\n";

impl Endpoint {
    pub fn start(host: &str, answer: impl Into<String>, then: AfterAnswer) -> Endpoint {
        let listener = TcpListener::bind((host, 0)).unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let counts = Arc::new(Counts::default());
        let (counted, answer) = (counts.clone(), Arc::new(answer.into()));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counted.connections.fetch_add(1, Ordering::SeqCst);
                let (counted, answer) = (counted.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &answer, then, &counted));
            }
        });
        Endpoint { url, counts }
    }

    /// Requests that came.
    pub fn requests(&self) -> u64 {
        self.counts.requests.load(Ordering::SeqCst)
    }

    /// Connections that were made.
    pub fn connections(&self) -> u64 {
        self.counts.connections.load(Ordering::SeqCst)
    }
}

fn serve(mut stream: TcpStream, answer: &str, then: AfterAnswer, counts: &Counts) {
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
        if reader.read_exact(&mut vec![0; length]).is_err() {
            return;
        }
        counts.requests.fetch_add(1, Ordering::SeqCst);
        if stream.write_all(answer.as_bytes()).is_err() || then == AfterAnswer::Close {
            return;
        }
    }
}
