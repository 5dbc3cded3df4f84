//! A server that answers every request with 200, and a handshake with 101 and an echo of what follows.

use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request that carries an event.
pub const POST: &[u8] =
    b"POST / HTTP/1.1\r\nHost: proxied\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
/// A handshake.
pub const UPGRADE: &[u8] =
    b"GET / HTTP/1.1\r\nHost: proxied\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[derive(Default)]
struct Seen {
    connections: usize,
    heads: Vec<String>,
}

/// The server, which lasts as long as the test program.
pub struct Backend {
    pub address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl Backend {
    pub fn start() -> Backend {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let backend = Backend { address: listener.local_addr().unwrap(), seen: Arc::default() };
        let seen = backend.seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let seen = seen.clone();
                std::thread::spawn(move || serve(stream, &seen));
            }
        });
        backend
    }

    /// Connections that carried a request.
    pub fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    /// The heads of the requests, in their order.
    pub fn heads(&self) -> Vec<String> {
        self.seen.lock().unwrap().heads.clone()
    }
}

fn serve(mut stream: TcpStream, seen: &Mutex<Seen>) {
    for n in 0.. {
        let head = head(&mut stream);
        if head.is_empty() {
            return;
        }
        let mut seen = seen.lock().unwrap();
        seen.connections += usize::from(n == 0);
        seen.heads.push(head.clone());
        drop(seen);
        let head = head.to_lowercase();
        if head.contains("upgrade: websocket") {
            let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
            let _gone = write!(
                stream,
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n\r\n"
            );
            let mut bytes = [0; 1024];
            while let Ok(n) = stream.read(&mut bytes)
                && n > 0
            {
                let _gone = stream.write_all(&bytes[..n]);
            }
            return;
        }
        let length = head.lines().find_map(|l| l.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |n| n.parse().unwrap())];
        let keep = if head.contains("http/1.0") { "close" } else { "keep-alive" };
        if stream.read_exact(&mut body).is_err()
            || write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: {keep}\r\n\r\n{{}}"
            )
            .is_err()
            || keep == "close"
        {
            return;
        }
    }
}

/// The head of a message; empty at the end of the connection.
pub fn head(stream: &mut impl Read) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return String::new(),
        }
    }
    String::from_utf8(head).unwrap()
}

/// The head of an answer, whose body is read.
pub fn answer(stream: &mut impl Read) -> String {
    let head = head(stream);
    let length = head
        .to_lowercase()
        .lines()
        .find_map(|l| Some(l.strip_prefix("content-length: ")?.to_owned()));
    stream.read_exact(&mut vec![0; length.map_or(0, |n| n.parse().unwrap())]).unwrap();
    head
}
