//! What the faults must know of a transport: how to read an event, and the bytes of what is sent back.

use crate::site::Site;
use pushbench_core::event::acknowledgement;
use std::io;
use std::net::TcpStream;

/// A server's end of one connection, on a blocking socket.
pub(super) trait Wire: Sized {
    /// Bytes that the protocol does not know.
    const INVALID_BYTES: &'static [u8];
    /// The head of a message longer than anybody takes.
    const HUGE_LENGTH: &'static [u8];

    /// Takes a connection over; `None` when it was turned down or nothing came of it.
    fn open(stream: TcpStream, site: &Site) -> io::Result<Option<Self>>;

    /// The next event; `None` when the peer has closed.
    fn event(&mut self) -> io::Result<Option<Vec<u8>>>;

    /// The socket under it.
    fn socket(&mut self) -> &mut TcpStream;

    /// A message that holds `text`.
    fn message(text: &str) -> Vec<u8>;

    /// A message with a status of its own, where there is such a thing.
    fn with_status(_status: u16, text: &str) -> Vec<u8> {
        Self::message(text)
    }

    /// A message and the notice that it is the last one.
    fn last(text: &str) -> Vec<u8> {
        Self::message(text)
    }

    /// An answer with unsolicited messages.
    fn with_unsolicited(answer: &[u8]) -> Vec<u8>;
}

/// The id of the event with this index.
pub(super) fn id_of(index: u64) -> String {
    format!("{index:016x}")
}

/// The answer that an event deserves.
pub(super) fn correct_answer<W: Wire>(index: u64) -> Vec<u8> {
    W::message(&acknowledgement(&id_of(index)))
}
