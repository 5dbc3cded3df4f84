//! tungstenite's reader, for comparison in tests and in the fuzz target, which includes this file.

use std::io::{self, Read, Write};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

/// What came, in order, and how it ended.
pub type Transcript = (Vec<(char, Vec<u8>)>, String);

/// The bytes as a socket that closes behind them.
struct InMemorySocket(io::Cursor<Vec<u8>>);

impl Read for InMemorySocket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for InMemorySocket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The messages that tungstenite's client reads from these bytes, after which the server closes.
pub fn tungstenite_transcript(bytes: &[u8]) -> Transcript {
    let config = WebSocketConfig::default().read_buffer_size(4096);
    let socket_bytes = InMemorySocket(io::Cursor::new(bytes.to_vec()));
    let mut socket = WebSocket::from_raw_socket(socket_bytes, Role::Client, Some(config));
    let mut transcript = Vec::new();
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => transcript.push(('m', text.as_bytes().to_vec())),
            Ok(Message::Binary(bytes)) => transcript.push(('m', bytes.to_vec())),
            Ok(Message::Ping(bytes)) => transcript.push(('p', bytes.to_vec())),
            Ok(Message::Close(_)) => return (transcript, "closed".to_owned()),
            Ok(_) => {}
            Err(e) => return (transcript, error_text(&e)),
        }
    }
}

/// Where in a text the wrong byte is, tungstenite does not always say.
pub fn error_text(e: &Error) -> String {
    if matches!(e, Error::Utf8(_)) { "no UTF-8".to_owned() } else { e.to_string() }
}

/// The message that tungstenite's server reads in a client's frame.
pub fn masked(frame: &[u8]) -> Vec<u8> {
    let socket_bytes = InMemorySocket(io::Cursor::new(frame.to_vec()));
    let mut socket = WebSocket::from_raw_socket(socket_bytes, Role::Server, None);
    socket.read().expect("a message").into_data().to_vec()
}
