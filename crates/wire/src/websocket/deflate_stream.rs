//! Compression below a WebSocket library that has none: what the library writes is compressed on its way to the
//! socket, what comes is decompressed. The library sees whole frames without compression.

use crate::shared_buffers::{Unread, Unwritten};
use crate::websocket::deflate::{
    Agreed, COMPRESSED, Deflater, Direction, InflateError, Inflater, with_buffers,
};
use crate::websocket::frames;
use crate::websocket::frames::{BINARY, CONTINUED, FINAL, Head, KEY_BYTES, LONGEST_FRAME, TEXT};
use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::protocol::Role;

/// A larger buffer is not kept for the next connection.
const KEPT_BYTES: usize = 1024 * 1024;

thread_local! {
    /// Lent to the connection that has frames which the library has not read yet.
    static FRAMES: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A stream of frames above a stream of compressed ones.
pub struct DeflateStream<S> {
    stream: S,
    unread: Unread,
    /// What came with the handshake was not looked at yet.
    early: bool,
    reader: Reader,
    /// Why nothing is read behind the frames that wait.
    failed: Option<io::Error>,
    unwritten: Unwritten,
    writer: Writer,
}

impl<S> DeflateStream<S> {
    /// Over a connection that has agreed on compression; `received_early` came behind the handshake.
    pub fn new(stream: S, received_early: &[u8], role: Role, agreed: Agreed) -> DeflateStream<S> {
        let Agreed { client, server } = agreed;
        let (reads, writes) = match role {
            Role::Client => (server, client),
            Role::Server => (client, server),
        };
        let mut unread = Unread::default();
        unread.push(received_early);
        DeflateStream {
            stream,
            unread,
            early: true,
            reader: Reader::new(reads),
            failed: None,
            unwritten: Unwritten::default(),
            writer: Writer { direction: writes, deflater: None },
        }
    }

    /// The stream below.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }
}

/// Takes frames apart as they come.
struct Reader {
    direction: Direction,
    /// From the first compressed message on.
    inflater: Option<Inflater>,
    /// Frames for the library, and how much of them it has read.
    frames: Vec<u8>,
    read: usize,
    /// Bytes of a payload that are passed on as they are.
    passing: usize,
    /// A message comes in pieces: whether it is compressed.
    incomplete: Option<bool>,
}

impl Reader {
    fn new(direction: Direction) -> Reader {
        let (inflater, frames) = (None, Vec::new());
        Reader { direction, inflater, frames, read: 0, passing: 0, incomplete: None }
    }

    /// Understands what it can; how many bytes that were.
    fn take(&mut self, bytes: &[u8]) -> (usize, io::Result<()>) {
        if self.frames.capacity() == 0 {
            self.frames = FRAMES.take();
        }
        let taken = self.take_frames(bytes);
        self.consume(0);
        taken
    }

    fn take_frames(&mut self, bytes: &[u8]) -> (usize, io::Result<()>) {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            let n = self.passing.min(rest.len());
            self.frames.extend_from_slice(&rest[..n]);
            self.passing -= n;
            match self.frame(&rest[n..]) {
                Ok(Some(taken)) => used += n + taken,
                Ok(None) => return (used + n, Ok(())),
                Err(e) => return (used + n, Err(e)),
            }
        }
    }

    /// Takes the first frame, or its head where the payload is passed on; `None` when bytes of it are missing.
    fn frame(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        let invalid = |e| io::Error::new(io::ErrorKind::InvalidData, e);
        let Some(head) = frames::head(bytes).map_err(invalid)? else { return Ok(None) };
        let compressed = match (head.opcode, self.incomplete) {
            (TEXT | BINARY, None) => head.reserved == COMPRESSED,
            (CONTINUED, Some(compressed)) => compressed && head.reserved == 0,
            // A control frame, or one that the library refuses.
            _ => false,
        };
        let end = head.begin + head.length;
        if compressed && bytes.len() < end {
            return Ok(None);
        }
        if matches!(head.opcode, TEXT | BINARY | CONTINUED) {
            self.incomplete = (!head.last).then_some(compressed);
        }
        if compressed {
            self.decompress(&head, &bytes[head.begin - KEY_BYTES * usize::from(head.masked)..end])?;
            return Ok(Some(end));
        }
        self.frames.extend_from_slice(&bytes[..head.begin]);
        self.passing = head.length;
        Ok(Some(head.begin))
    }

    /// The same frame with what its payload decompresses to. `payload` begins with the key where it is masked.
    fn decompress(&mut self, head: &Head, payload: &[u8]) -> Result<(), InflateError> {
        let inflater = self.inflater.get_or_insert_with(|| Inflater::new(self.direction));
        let frames = &mut self.frames;
        with_buffers(|unmasked, plain| {
            let payload = match payload.split_first_chunk().filter(|_| head.masked) {
                None => payload,
                Some((key, masked)) => {
                    unmasked.extend_from_slice(masked);
                    frames::mask(unmasked, *key);
                    unmasked
                }
            };
            inflater.append(payload, head.last, LONGEST_FRAME as usize, plain)?;
            // The library expects a mask where there was one: this one changes nothing.
            let key = head.masked.then_some([0; KEY_BYTES]);
            let last = if head.last { FINAL } else { 0 };
            frames::append_head(frames, (last | head.opcode, plain.len()), key);
            frames.extend_from_slice(plain);
            Ok(())
        })
    }

    /// Frames that the library has not read yet.
    fn waiting(&self) -> &[u8] {
        &self.frames[self.read..]
    }

    /// The library has read so many bytes of them.
    fn consume(&mut self, n: usize) {
        self.read += n;
        if self.read == self.frames.len() {
            let mut frames = std::mem::take(&mut self.frames);
            self.read = 0;
            if frames.capacity() <= KEPT_BYTES {
                frames.clear();
                FRAMES.set(frames);
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for DeflateStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let DeflateStream { stream, unread, early, reader, failed, .. } = self.get_mut();
        if std::mem::take(early) {
            *failed = unread.look(|bytes| reader.take(bytes)).err();
        }
        while reader.waiting().is_empty() {
            if let Some(e) = failed.take() {
                return Poll::Ready(Err(e));
            }
            match ready!(unread.poll_read(stream, cx, |bytes| reader.take(bytes)))? {
                None => return Poll::Ready(Ok(())),
                Some(taken) => *failed = taken.err(),
            }
        }
        let n = reader.waiting().len().min(buf.remaining());
        buf.put_slice(&reader.waiting()[..n]);
        reader.consume(n);
        Poll::Ready(Ok(()))
    }
}

/// Compresses what the library writes.
struct Writer {
    direction: Direction,
    /// From the first message on.
    deflater: Option<Deflater>,
}

impl Writer {
    /// Appends the frames in `bytes`, of which the last one is whole; messages are compressed.
    fn append(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        while !bytes.is_empty() {
            let invalid = |e| io::Error::new(io::ErrorKind::InvalidData, e);
            let head = frames::head(bytes).map_err(invalid)?.ok_or(io::ErrorKind::InvalidData)?;
            let end = head.begin + head.length;
            let frame = bytes.get(..end).ok_or(io::ErrorKind::InvalidData)?;
            bytes = &bytes[end..];
            // A message in pieces may go without compression.
            if !matches!(head.opcode, TEXT | BINARY) || !head.last {
                out.extend_from_slice(frame);
                continue;
            }
            let payload = &frame[head.begin..];
            let key = frame[..head.begin].last_chunk().copied().filter(|_| head.masked);
            let deflater = self.deflater.get_or_insert_with(|| Deflater::new(self.direction));
            deflater.append(out, head.opcode, key, |plain| {
                plain.extend_from_slice(payload);
                key.iter().for_each(|key| frames::mask(plain, *key));
            });
        }
        Ok(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for DeflateStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let DeflateStream { stream, unwritten, writer, .. } = self.get_mut();
        // All or nothing is taken, so that the library never begins amid a frame.
        if !unwritten.is_empty() {
            ready!(unwritten.poll_written(stream, cx))?;
        }
        writer.append(buf, unwritten.room())?;
        let _rest_is_written_later = unwritten.poll_written(stream, cx)?;
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let DeflateStream { stream, unwritten, .. } = self.get_mut();
        unwritten.poll_written(stream, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let DeflateStream { stream, unwritten, .. } = self.get_mut();
        ready!(unwritten.poll_written(stream, cx))?;
        Pin::new(stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[path = "deflate_stream_tests.rs"]
mod tests;
