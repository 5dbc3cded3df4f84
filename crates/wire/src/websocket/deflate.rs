//! Messages compressed with permessage-deflate (RFC 7692): one deflate stream for each direction of a connection.

use crate::websocket::frames;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use pushbench_core::units;
use std::cell::Cell;
use std::fmt;
use std::io;

/// Marks the first frame of a compressed message.
pub const COMPRESSED: u8 = 0x40;
/// What ends each flush of a deflate stream; it is not sent (section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// A message without content (section 7.2.3.6).
const EMPTY: u8 = 0;
/// Room beside the bytes themselves, which may be more when they are compressed.
const ROOM: usize = 64;
/// Most that one round of decompression adds, bytes.
const STEP: usize = 64 * 1024;
/// A larger buffer is not kept for the next message.
const KEPT_BYTES: usize = 1024 * 1024;

thread_local! {
    /// A message before and after compression or decompression.
    static BUFFERS: Cell<(Vec<u8>, Vec<u8>)> = const { Cell::new((Vec::new(), Vec::new())) };
}

/// What holds for the messages of one end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Direction {
    /// Base-2 logarithm of the window's size in bytes, 9 to 15.
    pub window_bits: u8,
    /// A message is compressed with what was sent before it.
    pub takeover: bool,
}

/// What the two ends of a connection have agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreed {
    /// Messages of the client.
    pub client: Direction,
    /// Messages of the server.
    pub server: Direction,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let takeover = if self.takeover { "context takeover" } else { "no context takeover" };
        write!(f, "{} bits, {takeover}", self.window_bits)
    }
}

impl fmt::Display for Agreed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.client == self.server {
            true => write!(f, "permessage-deflate, {}", self.client),
            false => {
                write!(f, "permessage-deflate, client {}, server {}", self.client, self.server)
            }
        }
    }
}

/// Lends two empty buffers, the same to all connections of a thread.
pub(super) fn with_buffers<T>(work: impl FnOnce(&mut Vec<u8>, &mut Vec<u8>) -> T) -> T {
    let (mut first, mut second) = BUFFERS.take();
    let done = work(&mut first, &mut second);
    if first.capacity().max(second.capacity()) <= KEPT_BYTES {
        first.clear();
        second.clear();
        BUFFERS.set((first, second));
    }
    done
}

/// Compresses the messages of one direction.
pub struct Deflater {
    state: Compress,
    takeover: bool,
}

impl Deflater {
    /// Before the first message.
    pub fn new(direction: Direction) -> Deflater {
        let Direction { window_bits, takeover } = direction;
        let state = Compress::new_with_window_bits(Compression::default(), false, window_bits);
        Deflater { state, takeover }
    }

    /// Appends a frame with a compressed message, which `fill` appends to an empty buffer; `key` masks it.
    pub fn append(
        &mut self,
        out: &mut Vec<u8>,
        opcode: u8,
        key: Option<[u8; 4]>,
        fill: impl FnOnce(&mut Vec<u8>),
    ) {
        with_buffers(|plain, packed| {
            fill(plain);
            self.deflate(plain, packed);
            frames::append(out, (COMPRESSED | opcode, packed.len()), key, |out| {
                out.extend_from_slice(packed);
            });
        });
    }

    /// Appends the compressed message.
    fn deflate(&mut self, message: &[u8], out: &mut Vec<u8>) {
        if message.is_empty() {
            return out.push(EMPTY);
        }
        let before = self.state.total_in();
        loop {
            out.reserve(message.len() + ROOM);
            let used = (self.state.total_in() - before) as usize;
            let status = self.state.compress_vec(&message[used..], out, FlushCompress::Sync);
            debug_assert!(matches!(status, Ok(Status::Ok | Status::BufError)), "{status:?}");
            // A flush that is complete leaves room.
            if out.len() < out.capacity() || status.is_err() {
                break;
            }
        }
        debug_assert!(out.ends_with(&TAIL));
        out.truncate(out.len() - TAIL.len());
        if !self.takeover {
            self.state.reset();
        }
    }
}

/// Why a compressed message is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InflateError {
    /// It is no deflate stream, for this reason.
    Corrupt(String),
    /// It becomes longer than so many bytes.
    TooLong(usize),
}

impl fmt::Display for InflateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InflateError::Corrupt(why) => write!(f, "corrupt permessage-deflate message: {why}"),
            InflateError::TooLong(most) => {
                write!(
                    f,
                    "compressed frame of more than {} when it is decompressed",
                    units::bytes(*most as f64)
                )
            }
        }
    }
}

impl std::error::Error for InflateError {}

impl From<InflateError> for io::Error {
    fn from(e: InflateError) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, e)
    }
}

/// Decompresses the messages of one direction.
pub struct Inflater {
    state: Decompress,
    takeover: bool,
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inflater")
    }
}

impl Inflater {
    /// Before the first message.
    pub fn new(direction: Direction) -> Inflater {
        let Direction { window_bits, takeover } = direction;
        // A state with another window than the usual one cannot be reset.
        let window_bits = if takeover { window_bits } else { 15 };
        Inflater { state: Decompress::new_with_window_bits(false, window_bits), takeover }
    }

    /// Appends what a piece of a message, and `last` its end, decompress to: at most `most` bytes.
    ///
    /// # Errors
    /// It is corrupt or longer. The connection cannot go on.
    pub fn append(
        &mut self,
        piece: &[u8],
        last: bool,
        most: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), InflateError> {
        let most_there = out.len() + most;
        self.inflate(piece, most_there, out)?;
        if last {
            self.inflate(&TAIL, most_there, out)?;
            if !self.takeover {
                self.state.reset(false);
            }
        }
        match out.len() > most_there {
            true => Err(InflateError::TooLong(most)),
            false => Ok(()),
        }
    }

    fn inflate(
        &mut self,
        mut piece: &[u8],
        most_there: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), InflateError> {
        while out.len() <= most_there {
            out.reserve((4 * piece.len()).clamp(ROOM, STEP));
            let before = self.state.total_in();
            let status = self.state.decompress_vec(piece, out, FlushDecompress::Sync);
            let status = status.map_err(|e| {
                InflateError::Corrupt(e.message().unwrap_or("no deflate stream").to_owned())
            })?;
            piece = &piece[(self.state.total_in() - before) as usize..];
            match status {
                // A block may say that it is the last of its stream (section 7.2.3.4).
                Status::StreamEnd => self.state.reset(false),
                _ if out.len() < out.capacity() => break,
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "deflate_tests.rs"]
mod tests;
