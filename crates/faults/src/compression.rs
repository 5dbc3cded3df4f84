//! Faulty servers of compressed WebSocket messages (RFC 7692): tungstenite performs the handshake, frames are read and
//! written as bytes. Events are acknowledged by id.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use serde_json::{Value, json};
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use tokio_tungstenite::tungstenite::accept_hdr;
use tokio_tungstenite::tungstenite::handshake::server::{
    Callback, ErrorResponse, Request, Response,
};
use tokio_tungstenite::tungstenite::http::HeaderValue;

/// The word behind the hidden subcommand.
pub(super) const ARGUMENT: &str = "compression";
/// More than a frame may hold.
const BOMB: usize = (16 << 20) + 1;
/// What ends a flush and is not sent.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// What is answered to the offer of a client, and to the events that are struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CompressionFault {
    /// Bytes that are no deflate stream.
    Corrupt,
    /// A short message that becomes very long.
    Bomb,
    /// Nothing is wrong: both ends begin anew with each message.
    NoTakeover,
    /// An extension that was not offered.
    NotOffered,
    /// A parameter that the offer does not allow.
    WrongParameter,
    /// No extension.
    Declined,
}

/// Every fault by the name it has on the command line.
const ALL: [(&str, CompressionFault); 6] = [
    ("corrupt", CompressionFault::Corrupt),
    ("bomb", CompressionFault::Bomb),
    ("no-takeover", CompressionFault::NoTakeover),
    ("not-offered", CompressionFault::NotOffered),
    ("wrong-parameter", CompressionFault::WrongParameter),
    ("declined", CompressionFault::Declined),
];

impl CompressionFault {
    fn answer(self) -> Option<&'static str> {
        match self {
            CompressionFault::Corrupt | CompressionFault::Bomb => Some("permessage-deflate"),
            CompressionFault::NoTakeover => {
                Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover")
            }
            CompressionFault::NotOffered => Some("x-webkit-deflate-frame"),
            CompressionFault::WrongParameter => {
                Some("permessage-deflate; server_max_window_bits=16")
            }
            CompressionFault::Declined => None,
        }
    }

    /// The events of a first look are answered properly.
    fn affects(self, id: &str) -> bool {
        let struck = matches!(self, CompressionFault::Corrupt | CompressionFault::Bomb);
        let first_look = id.starts_with("766572696679");
        struck && !first_look && u64::from_str_radix(id, 16).is_ok_and(|index| index % 5 == 2)
    }
}

impl Callback for CompressionFault {
    fn on_request(self, _: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
        if let Some(answer) = self.answer() {
            let answer = HeaderValue::from_static(answer);
            response.headers_mut().insert("sec-websocket-extensions", answer);
        }
        Ok(response)
    }
}

/// Serves until the process is ended: `FAULT ADDR`.
pub(super) fn run(words: &[&str]) -> io::Result<std::convert::Infallible> {
    let wrong = || io::Error::other("it takes FAULT ADDR");
    let [name, address] = words else { return Err(wrong()) };
    let fault = ALL.iter().find(|(known, _)| known == name).ok_or_else(wrong)?.1;
    crate::accept_until_end(&crate::listen(address)?, |stream| {
        std::thread::spawn(move || drop(serve(stream, fault)));
    });
    Err(io::Error::other("it was called to end"))
}

fn serve(stream: TcpStream, fault: CompressionFault) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut socket = accept_hdr(stream, fault).map_err(|e| io::Error::other(e.to_string()))?;
    let stream = socket.get_mut();
    let (mut sent, mut received) =
        (Compress::new(Compression::default(), false), Decompress::new(false));
    loop {
        let (first, message) = frame(stream)?;
        if first & 0x0f != 1 {
            return stream.write_all(&[0x88, 0]);
        }
        let mut plain = Vec::with_capacity(64 << 10);
        let packed = [&message[..], &TAIL].concat();
        received.decompress_vec(&packed, &mut plain, FlushDecompress::Sync)?;
        let event: Value = serde_json::from_slice(&plain)?;
        let id = event["id"].as_str().unwrap_or_default();
        let struck = fault.affects(id);
        let answer = match struck && fault == CompressionFault::Bomb {
            true => vec![0; BOMB],
            false => json!({ "id": id }).to_string().into_bytes(),
        };
        let mut packed = Vec::with_capacity(answer.len() + 64);
        sent.compress_vec(&answer, &mut packed, FlushCompress::Sync)?;
        packed.truncate(packed.len() - TAIL.len());
        if struck && fault == CompressionFault::Corrupt {
            packed.fill(0xff);
        }
        if fault == CompressionFault::NoTakeover {
            sent.reset();
            received.reset(false);
        }
        let length = (packed.len() as u16).to_be_bytes();
        stream.write_all(&[&[0xc1, 126], &length[..], &packed].concat())?;
    }
}

/// The first byte of a client's frame, and its payload without the mask.
fn frame(stream: &mut TcpStream) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 2];
    stream.read_exact(&mut head)?;
    let mut length = usize::from(head[1] & 0x7f);
    if length == 126 {
        let mut long = [0; 2];
        stream.read_exact(&mut long)?;
        length = usize::from(u16::from_be_bytes(long));
    }
    let mut key = [0; 4];
    stream.read_exact(&mut key)?;
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload)?;
    payload.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
    Ok((head[0], payload))
}
