//! Frames (RFC 6455, section 5) as a client has them: those of the server are taken apart where they were
//! read, those to it are masked in the buffer in which they were made. What is refused, and in which
//! words, is tungstenite's. Compressed messages are taken where they are [agreed on](Frames::compressed).

use crate::websocket::deflate::{COMPRESSED, Inflater};
use std::io;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::Data;

/// Longest frame that is taken, tungstenite's default.
pub(super) const LONGEST_FRAME: u64 = 16 << 20;
/// Longest message in several frames, likewise.
const LONGEST_MESSAGE: usize = 64 << 20;
/// A larger buffer is not kept for the next compressed message.
const KEPT_BYTES: usize = 1 << 20;
/// Longest payload of a control frame.
const LONGEST_CONTROL: usize = 125;

pub(super) const FINAL: u8 = 0x80;
const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
pub(super) const KEY_BYTES: usize = 4;
const CONTROL: u8 = 0x08;

pub(super) const CONTINUED: u8 = 0;
/// Opcode of a text message.
pub const TEXT: u8 = 1;
pub(super) const BINARY: u8 = 2;
/// Opcode of a close frame.
pub const CLOSE: u8 = 8;
const PING: u8 = 9;
/// Opcode of a pong.
pub const PONG: u8 = 10;

/// What a frame of the server brings.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<'a> {
    /// A whole message.
    Message(&'a [u8]),
    /// A piece of one, or an answer to a ping.
    Nothing,
    /// It wants a pong with this payload.
    Ping(&'a [u8]),
    /// It closes, for this reason.
    Close(&'a [u8]),
}

/// The server's frames.
#[derive(Debug, Default)]
pub struct Frames {
    /// The message that comes in pieces, while one does.
    incomplete: Option<Incomplete>,
    /// The message, decompressed.
    pieces: Vec<u8>,
    /// How much of them is known to be UTF-8.
    checked: usize,
    /// Where compression is agreed on.
    inflater: Option<Box<Inflater>>,
}

#[derive(Debug, Clone, Copy)]
struct Incomplete {
    text: bool,
    compressed: bool,
}

pub(super) struct Head {
    pub last: bool,
    pub reserved: u8,
    pub masked: bool,
    pub opcode: u8,
    /// Bytes of the head, and of the payload behind it.
    pub begin: usize,
    pub length: usize,
}

impl Frames {
    /// Of a server that may compress its messages.
    pub fn compressed(inflater: Inflater) -> Frames {
        Frames { inflater: Some(Box::new(inflater)), ..Frames::default() }
    }

    /// Takes the first frame: how many bytes it has and what it brings; `None` when some are missing.
    #[inline(always)]
    pub fn take<'a>(&'a mut self, bytes: &'a [u8]) -> Result<Option<(usize, Received<'a>)>, Error> {
        let Some(head) = head(bytes)? else { return Ok(None) };
        let end = head.begin + head.length;
        let Some(payload) = bytes.get(head.begin..end) else { return Ok(None) };
        if let Err(e) = head.check() {
            return Ok(Some((end, self.begin_compressed(&head, payload, e)?)));
        }
        let received = match head.opcode {
            TEXT | BINARY | CONTINUED => self.data(&head, payload)?,
            CLOSE => Received::Close(reason(payload)?),
            PING => Received::Ping(payload),
            _ => Received::Nothing,
        };
        Ok(Some((end, received)))
    }

    /// The first frame of a compressed message, which without compression breaks the protocol.
    #[cold]
    #[inline(never)]
    fn begin_compressed(
        &mut self,
        head: &Head,
        payload: &[u8],
        broken: ProtocolError,
    ) -> Result<Received<'_>, Error> {
        let data = matches!(head.opcode, TEXT | BINARY);
        let agreed = self.inflater.is_some() && head.reserved == COMPRESSED && data;
        if !agreed || self.incomplete.is_some() {
            return Err(broken.into());
        }
        if head.masked {
            return Err(ProtocolError::MaskedFrameFromServer.into());
        }
        match self.pieces.capacity() {
            0..=KEPT_BYTES => self.pieces.clear(),
            _ => self.pieces = Vec::new(),
        }
        self.checked = 0;
        self.piece(head, payload, Incomplete { text: head.opcode == TEXT, compressed: true })
    }

    #[inline(always)]
    fn data<'a>(&'a mut self, head: &Head, payload: &'a [u8]) -> Result<Received<'a>, Error> {
        let message = match (head.opcode, self.incomplete) {
            (CONTINUED, None) => return Err(ProtocolError::UnexpectedContinueFrame.into()),
            (CONTINUED, Some(message)) => message,
            (TEXT, None) => Incomplete { text: true, compressed: false },
            (_, None) => Incomplete { text: false, compressed: false },
            (opcode, Some(_)) => {
                let data = if opcode == TEXT { Data::Text } else { Data::Binary };
                return Err(ProtocolError::ExpectedFragment(data).into());
            }
        };
        if self.incomplete.is_none() {
            if head.last {
                return whole(payload, message.text);
            }
            // Those of the message before are not needed any more, nor is room for a large one.
            self.pieces = Vec::new();
            self.checked = 0;
        }
        self.piece(head, payload, message)
    }

    #[inline(never)]
    fn piece(
        &mut self,
        head: &Head,
        payload: &[u8],
        message: Incomplete,
    ) -> Result<Received<'_>, Error> {
        let before = self.pieces.len();
        match self.inflater.as_mut().filter(|_| message.compressed) {
            Some(inflater) => inflater
                .append(payload, head.last, LONGEST_FRAME as usize, &mut self.pieces)
                .map_err(io::Error::from)?,
            None if before + payload.len() <= LONGEST_MESSAGE => {
                self.pieces.extend_from_slice(payload);
            }
            None => return Err(too_long(before + payload.len(), LONGEST_MESSAGE)),
        }
        if self.pieces.len() > LONGEST_MESSAGE {
            return Err(too_long(self.pieces.len(), LONGEST_MESSAGE));
        }
        if message.text {
            self.check(head.last)?;
        }
        self.incomplete = (!head.last).then_some(message);
        Ok(if head.last { Received::Message(&self.pieces) } else { Received::Nothing })
    }

    /// Each piece of a text is checked as it comes; a character may be cut by their borders.
    fn check(&mut self, last: bool) -> Result<(), Error> {
        match std::str::from_utf8(&self.pieces[self.checked..]) {
            Ok(_) => self.checked = self.pieces.len(),
            Err(e) if e.error_len().is_none() && !last => self.checked += e.valid_up_to(),
            Err(e) => return Err(Error::Utf8(e.to_string())),
        }
        Ok(())
    }
}

/// The head of a frame; `None` when bytes of it are missing.
#[inline(always)]
pub(super) fn head(bytes: &[u8]) -> Result<Option<Head>, Error> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    let opcode = first & OPCODE;
    let masked = second & MASKED != 0;
    let (long, length) = match (second & !MASKED, rest) {
        (126, [a, b, ..]) => (2, u64::from(u16::from_be_bytes([*a, *b]))),
        (127, [a, b, c, d, e, f, g, h, ..]) => {
            (8, u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]))
        }
        (126 | 127, _) => return Ok(None),
        (short, _) => (0, u64::from(short)),
    };
    let begin = 2 + long + if masked { KEY_BYTES } else { 0 };
    if bytes.len() < begin {
        return Ok(None);
    }
    if !matches!(opcode, CONTINUED | TEXT | BINARY | CLOSE | PING | PONG) {
        return Err(ProtocolError::InvalidOpcode(opcode).into());
    }
    if length > LONGEST_FRAME {
        return Err(too_long(length as usize, LONGEST_FRAME as usize));
    }
    let (last, reserved) = (first & FINAL != 0, first & RESERVED);
    Ok(Some(Head { last, reserved, masked, opcode, begin, length: length as usize }))
}

impl Head {
    /// What a server's frame may not be.
    #[inline(always)]
    fn check(&self) -> Result<(), ProtocolError> {
        let control = self.opcode & CONTROL != 0;
        match () {
            () if self.reserved != 0 => Err(ProtocolError::NonZeroReservedBits),
            () if self.masked => Err(ProtocolError::MaskedFrameFromServer),
            () if control && !self.last => Err(ProtocolError::FragmentedControlFrame),
            () if control && self.length > LONGEST_CONTROL => {
                Err(ProtocolError::ControlFrameTooBig)
            }
            () => Ok(()),
        }
    }
}

#[inline(always)]
fn whole(message: &[u8], text: bool) -> Result<Received<'_>, Error> {
    if text {
        utf8(message)?;
    }
    Ok(Received::Message(message))
}

/// The payload of a close frame: nothing, or a code and a text.
#[cold]
fn reason(payload: &[u8]) -> Result<&[u8], Error> {
    match payload {
        [_] => return Err(ProtocolError::InvalidCloseSequence.into()),
        [_, _, text @ ..] => utf8(text)?,
        [] => {}
    }
    Ok(payload)
}

fn utf8(text: &[u8]) -> Result<(), Error> {
    // Most messages are short and ASCII, which is cheaper to see.
    if text.is_ascii() {
        return Ok(());
    }
    std::str::from_utf8(text).map(drop).map_err(|e| Error::Utf8(e.to_string()))
}

fn too_long(size: usize, max_size: usize) -> Error {
    Error::Capacity(CapacityError::MessageTooLong { size, max_size })
}

/// Appends a whole frame of `length` bytes, which `fill` appends, and masks it with `key`.
#[inline(always)]
pub fn append(
    out: &mut Vec<u8>,
    (opcode, length): (u8, usize),
    key: impl Into<Option<[u8; KEY_BYTES]>>,
    fill: impl FnOnce(&mut Vec<u8>),
) {
    let key = key.into();
    append_head(out, (FINAL | opcode, length), key);
    let begin = out.len();
    fill(out);
    debug_assert_eq!(out.len() - begin, length, "the head says how long the frame is");
    if let Some(key) = key {
        mask(&mut out[begin..], key);
    }
}

/// Appends the head of a frame, and makes room for its payload.
#[inline(always)]
pub(super) fn append_head(
    out: &mut Vec<u8>,
    (first, length): (u8, usize),
    key: Option<[u8; KEY_BYTES]>,
) {
    const LONGEST_HEAD: usize = 14;
    let masked = if key.is_some() { MASKED } else { 0 };
    out.reserve(LONGEST_HEAD + length);
    out.push(first);
    match length {
        0..=125 => out.push(masked | length as u8),
        126..=0xffff => {
            out.push(masked | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(masked | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    if let Some(key) = key {
        out.extend_from_slice(&key);
    }
}

/// Eight bytes at a time, which the compiler makes wider still.
#[inline(always)]
pub(super) fn mask(bytes: &mut [u8], key: [u8; KEY_BYTES]) {
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    rest.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
}

#[cfg(test)]
#[path = "frames_tests.rs"]
mod tests;
