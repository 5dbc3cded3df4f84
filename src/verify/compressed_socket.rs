//! permessage-deflate (RFC 7692) beside tungstenite, which has none: what is sent, and what is read as if it had come
//! without compression. The driver has code of its own.

use crate::verify::recording_socket::RecordingSocket;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use pushbench_wire::websocket::deflate::Agreed;
use std::io::{self, Read, Write};
use std::ops::{Deref, DerefMut};

/// A message that is longer is no answer.
const LONGEST: usize = 64 << 20;
/// The bit that marks a compressed message.
const COMPRESSED: u8 = 0x40;
/// What a sender removes from the end of each message.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// The socket below a WebSocket.
pub(super) struct CompressedSocket<'a> {
    socket: RecordingSocket<'a>,
    /// Where compression is agreed on.
    streams: Option<Streams>,
    /// What has come, and how it reads without compression.
    raw: Vec<u8>,
    plain: Vec<u8>,
}

struct Streams {
    agreed: Agreed,
    sent: Compress,
    received: Decompress,
    /// The latest message is compressed.
    compressed: bool,
}

impl<'a> CompressedSocket<'a> {
    /// `received`: what has come behind the handshake.
    pub fn new(socket: RecordingSocket<'a>, received: Vec<u8>, agreed: Option<Agreed>) -> Self {
        let streams = agreed.map(|agreed| Streams {
            agreed,
            sent: Compress::new_with_window_bits(
                Compression::default(),
                false,
                agreed.client.window_bits,
            ),
            received: Decompress::new(false),
            compressed: false,
        });
        CompressedSocket { socket, streams, raw: received, plain: Vec::new() }
    }

    /// The message as it is sent, where it is compressed.
    pub fn packed(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        let Streams { agreed, sent, .. } = self.streams.as_mut()?;
        let mut packed = Vec::with_capacity(message.len() + 1024);
        sent.compress_vec(message, &mut packed, FlushCompress::Sync).ok()?;
        if !agreed.client.takeover {
            sent.reset();
        }
        packed.truncate(packed.len() - TAIL.len());
        Some(packed)
    }

    /// Makes of the whole frames what they are without compression.
    fn understand(&mut self) -> io::Result<()> {
        let Some(streams) = &mut self.streams else {
            self.plain.append(&mut self.raw);
            return Ok(());
        };
        while let Some((begin, length)) = extent(&self.raw) {
            if length > LONGEST {
                return Err(invalid("a frame is too long"));
            }
            let Some(payload) = self.raw.get(begin..begin + length) else { break };
            let (first, opcode) = (self.raw[0], self.raw[0] & 0x0f);
            if matches!(opcode, 1 | 2) {
                streams.compressed = first & COMPRESSED != 0;
            }
            if opcode <= 2 && streams.compressed {
                let payload = streams.inflate(payload, first & 0x80 != 0)?;
                let length = payload.len() as u64;
                self.plain.extend([first & !COMPRESSED, 127]);
                self.plain.extend_from_slice(&length.to_be_bytes());
                self.plain.extend_from_slice(&payload);
            } else {
                self.plain.extend_from_slice(&self.raw[..begin + length]);
            }
            self.raw.drain(..begin + length);
        }
        Ok(())
    }
}

impl Streams {
    fn inflate(&mut self, payload: &[u8], last: bool) -> io::Result<Vec<u8>> {
        let packed = [payload, if last { &TAIL[..] } else { &[] }].concat();
        let (mut plain, mut rest) = (Vec::new(), &packed[..]);
        loop {
            plain.reserve(4 * packed.len() + 1024);
            let before = self.received.total_in();
            let inflated = self.received.decompress_vec(rest, &mut plain, FlushDecompress::Sync);
            let status = inflated
                .map_err(|e| invalid(&format!("a message is not compressed as agreed: {e}")))?;
            rest = &rest[(self.received.total_in() - before) as usize..];
            if plain.len() > LONGEST {
                return Err(invalid("a message is too long when it is decompressed"));
            }
            match status {
                // A block may say that it is the last of its stream (RFC 7692, 7.2.3.4).
                Status::StreamEnd => self.received.reset(false),
                _ if plain.len() < plain.capacity() => break,
                _ => {}
            }
        }
        if last && !self.agreed.server.takeover {
            self.received.reset(false);
        }
        Ok(plain)
    }
}

/// Where the payload of the first frame begins and how long it is; `None` where that has not come.
fn extent(raw: &[u8]) -> Option<(usize, usize)> {
    let short = usize::from(raw.get(1)? & 0x7f);
    let masked = if raw[1] & 0x80 != 0 { 4 } else { 0 };
    Some(match short {
        126 => (4 + masked, usize::from(u16::from_be_bytes(*raw.get(2..)?.first_chunk()?))),
        127 => (10 + masked, u64::from_be_bytes(*raw.get(2..)?.first_chunk()?) as usize),
        short => (2 + masked, short),
    })
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

impl<'a> Deref for CompressedSocket<'a> {
    type Target = RecordingSocket<'a>;

    fn deref(&self) -> &RecordingSocket<'a> {
        &self.socket
    }
}

impl<'a> DerefMut for CompressedSocket<'a> {
    fn deref_mut(&mut self) -> &mut RecordingSocket<'a> {
        &mut self.socket
    }
}

impl Read for CompressedSocket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.understand()?;
            if !self.plain.is_empty() {
                let n = self.plain.len().min(buffer.len());
                buffer[..n].copy_from_slice(&self.plain[..n]);
                self.plain.drain(..n);
                return Ok(n);
            }
            let mut chunk = [0; 4096];
            match self.socket.read(&mut chunk)? {
                0 => return Ok(0),
                n => self.raw.extend_from_slice(&chunk[..n]),
            }
        }
    }
}

impl Write for CompressedSocket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}
